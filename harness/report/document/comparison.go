package document

import (
	"fmt"
	"strings"

	"attndiff/harness/report"
	"attndiff/reference/source"
	"attndiff/traces/tap"
)

// comparison writes LLAMACPP_VS_OURS_COMPARISON.md.
func (m *material) comparison() string {
	p := &page{}
	p.heading(1, "llama.cpp vs Our Implementation")
	m.facts(p, true)
	p.bullets("[Attention Flow Comparison](#attention-flow-comparison)", "[Code Snippets](#code-snippets)", "[Identified Issues](#identified-issues)",
		"[Research Questions](#research-questions)", "[Questions to Answer](#questions-to-answer)")

	p.heading(2, "Attention Flow Comparison")
	m.diagram(p)
	p.heading(3, "llama.cpp")
	m.referenceFlow(p)
	p.heading(3, "Our Implementation")
	m.ourFlow(p)
	p.heading(3, "Differences")
	p.para("An open box is wrong, or not settled by this run; a ticked one was measured here and does no harm.")
	p.checklist(m.differences())

	p.heading(2, "Code Snippets")
	p.heading(3, "llama.cpp Attention (Simplified)")
	m.referenceSnippets(p)
	p.heading(3, "llama.cpp's CUDA Kernels")
	m.cudaKernels(p)
	p.heading(3, "Our Attention")
	m.ourSnippets(p)
	p.heading(3, "CUDA Kernels, Side by Side")
	m.kernelTable(p)
	gpuKernels(p, m.gpu)

	p.heading(2, "Identified Issues")
	m.issues(p)

	p.heading(2, "Research Questions")
	p.para("Shapes, strides and parameters are those of the graph that llama.cpp built in this run; formulas are tried on the recordings of both sides, and the figures say what each leaves. NMSE is sum (a-b)^2 / sum b^2: 1e-02 is 10 %% of the signal, 1e-08 the rounding of f16, 1e-14 that of f32.")
	if m.trials.why != "" {
		p.para("%s.", capital(m.trials.why))
	}
	for i, topic := range Topics() {
		p.heading(3, fmt.Sprintf("%d. %s", i+1, text(topic.Title)))
		p.para("**Primary Questions**")
		for _, q := range topic.Primary {
			p.heading(4, text(q.Text))
			q.write(m, p)
		}
		p.para("**What to Document**")
		for j, q := range topic.Document {
			p.heading(4, fmt.Sprintf("%d.%d. %s", i+1, j+1, text(q.Text)))
			q.write(m, p)
		}
	}

	p.heading(2, "Questions to Answer")
	for i, q := range Closing() {
		p.heading(3, fmt.Sprintf("%d. %s", i+1, text(q.Text)))
		q.write(m, p)
	}
	return p.b.String()
}

// facts say what was run, in a table; in full, with what a reader must know
// before the verdict.
func (m *material) facts(p *page, full bool) {
	prompt := m.Prompt.Name
	if prompt == "" {
		prompt = "given by hand"
	}
	steps := m.ref.Meta().Steps
	fed := plural(steps[0], "token")
	if n := len(steps) - 1; n > 0 {
		fed += fmt.Sprintf(", then %s", plural(n, "step"))
		if steps[len(steps)-1] == 1 {
			fed += " of one token"
		}
	}
	rows := [][]string{
		{"verdict", fmt.Sprintf("**%s**", m.Verdict)},
		{"model", fmt.Sprintf("%s: %s, %s; KV cache %s", code(m.Model.Name), plural(m.hp.NLayer, "layer"), m.heads(), m.hp.KVType)},
		{"prompt", fmt.Sprintf("%s (%s), %s", code(clip(m.Prompt.Text, 200)), text(prompt), fed)},
		{"reference", text(fmt.Sprintf("%s, %s, on %s", m.Reference.Engine, m.Reference.Version, m.Reference.Device))},
		{"ours", text(m.oursLine())},
	}
	if m.Text.Reference != "" || m.Text.Ours != "" {
		rows = append(rows, []string{"llama.cpp says", code(clip(m.Text.Reference, 200))}, []string{"ours says", code(clip(m.Text.Ours, 200))})
	}
	rows = append(rows, []string{"again", code(m.Rerun)}, []string{"machine-readable", "[report.json](report.json)"})
	p.table([]string{"this run", ""}, rows)
	if !full {
		return
	}
	if m.noTree == nil {
		p.para("Files of llama.cpp are below the Go module `github.com/ollama/ollama`, whose copy of llama.cpp this build links (%s).", text(m.Reference.Version))
	}
	for _, n := range m.Notes {
		p.para("Note: %s.", strings.TrimSuffix(text(n), "."))
	}
}

// oursLine names our engine, and what was planted in it.
func (m *material) oursLine() string {
	s := fmt.Sprintf("%s, %s, on %s", m.Ours.Engine, m.Ours.Version, m.Ours.Device)
	if m.Ours.Faults != nil && len(*m.Ours.Faults) > 0 {
		s += "; planted for this run: " + strings.Join(*m.Ours.Faults, ", ")
	}
	return s
}

// clip cuts text to a number of characters.
func clip(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// referenceSnippets quotes llama.cpp's attention in the order it runs.
func (m *material) referenceSnippets(p *page) {
	list := []source.Excerpt{source.Rotation, source.ScoreScale, source.CacheThenRead, source.StoreK, source.StoreV, source.ViewK, source.ViewV,
		source.PermuteHeads, source.Scores, source.Probabilities, source.WeightedSum}
	if m.flash() {
		list = append(list, source.FlashAttention)
	}
	if m.noTree != nil {
		_, why := m.site(list[0])
		p.block(why)
		return
	}
	var parts []string
	for _, e := range list {
		s, where := m.site(e)
		if s == nil {
			p.block(where)
			continue
		}
		m.quoted[e] = true
		parts = append(parts, "// "+where+"\n"+strings.Join(s.Snippet, "\n"))
	}
	p.fence("cpp", strings.Join(parts, "\n\n"))
}

// ourSnippets quotes our kernels of the attention proper, as they were
// compiled.
func (m *material) ourSnippets(p *page) {
	if m.ours.kernels == nil {
		p.para("This trace (%s) does not hold the text of its kernels%s, so none can be quoted.", text(m.Ours.Engine), m.ours.why())
		return
	}
	var all []fragment
	shown := map[string]bool{}
	for _, t := range []tap.Tap{tap.KBias, tap.KRope, tap.KCache, tap.KQ, tap.KQSoftMax, tap.KQV} {
		for _, f := range m.ourCode(t) {
			if !shown[f.String()] {
				shown[f.String()] = true
				all = append(all, f)
			}
		}
	}
	if all == nil {
		p.para("The trace does not say which kernels its attention launched.")
		return
	}
	p.para("As compiled for this run; the projections are calls to cuBLAS, whose operands are under 5.2.")
	p.block(codeBlock(all))
}

// kernelTable puts the kernels of both sides beside each other: launch
// configuration as measured for ours and as llama.cpp's sources compute it.
func (m *material) kernelTable(p *page) {
	var rows [][]string
	for _, k := range []struct {
		tap    tap.Tap
		theirs source.Excerpt
		how    string
	}{
		{tap.KRope, source.RopeLaunch, "a thread per pair of dims, a block column per row (head of a token)"},
		{tap.KCache, source.SetRowsKernel, "a thread per element, the row's number read from the index tensor"},
		{tap.KQ, source.BatchedGemm, "many tokens: cuBLAS over all heads; one token: a vector kernel, a block per row and head"},
		{tap.KQSoftMax, source.SoftMaxLaunch, "a block per row of scores, threads doubled up to the row's length or 1024"},
		{tap.KQV, source.BroadcastKernel, "the same product as the scores, V transposed"},
	} {
		own := "untold"
		for _, l := range m.ours.launches {
			if l == nil {
				continue
			}
			if op := l.Find(k.tap.String(), 0); op != nil && op.Launch != nil {
				part := fmt.Sprintf("%s grid %s, block %s", l.Phase(), dim(op.Launch.Grid), dim(op.Launch.Block))
				name := code(op.Launch.Kernel) + ": "
				if own == "untold" {
					own = name + part
				} else if strings.HasPrefix(own, name) {
					own += "; " + part
				} else {
					own += "; " + name + part
				}
			}
		}
		rows = append(rows, []string{code(k.tap.String()), own, k.how, m.at(k.theirs)})
	}
	p.table([]string{"op", "ours, as launched", "llama.cpp on a GPU", "where"}, rows)
}

// issues lists the findings, the worst first.
func (m *material) issues(p *page) {
	if len(m.Findings) == 0 {
		p.para("None. %s, and every op that was judged is right: %s.", capital(m.agreement()), m.counted())
		return
	}
	var items []string
	for _, f := range m.ranked() {
		items = append(items, fmt.Sprintf("**%s**: %s (%s, %s; %s). %s", code(f.Tap), text(f.Cause.Title), f.Severity, f.Cause.Status,
			report.Ranges("layer", f.Layers)+m.since(f), "Details in [ATTENTION_BUGS_FOUND.md](ATTENTION_BUGS_FOUND.md)."))
	}
	p.steps(items...)
}
