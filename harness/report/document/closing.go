package document

import (
	"fmt"
	"strings"

	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

func closeOrder(m *material, p *page) []string {
	return answerSequence(m, p)
}

func closeScores(m *material, p *page) []string {
	if m.flash() {
		p.para("In this run inside one fused op: each query head with the keys of KV head h / %d, scale 1/sqrt(%d), mask and softmax, f32 precision forced (1.3, 1.4, 6.3).", m.groups(), m.hp.HeadDim)
		return []string{m.judged(tap.KQV), m.any().nodeFactOf(m.scaled())}
	}
	p.para("Each query head is multiplied with the keys of KV head h / %d for all positions, in one batched product with forced f32 precision; scale 1/sqrt(%d), mask and softmax follow in one op (1.3, 1.4, 6.3).", m.groups(), m.hp.HeadDim)
	return []string{m.judged(tap.KQ), m.judged(tap.KQSoftMax), m.trials.evidence("heads of k")}
}

func closeCache(m *material, p *page) []string {
	p.para("A K and a V tensor per layer, [KV channels, cells] in %s; a step writes the rows of its tokens by number and reads a view from cell 0 to the cells in use, rounded up (2.1 to 2.4).%s", m.hp.KVType, m.valueLayoutText())
	return []string{m.judged(tap.KCache), m.judged(tap.VCache)}
}

func closeRope(m *material, p *page) []string {
	_, turned, stored := m.ropeBeforeCache()
	when := "before the cache write, by the order of llama.cpp's sources"
	if turned >= 0 && turned < stored {
		when = "before the cache write, as the graph's order and the cache's contents show"
	}
	p.para("To Q and K after their biases, %s; pairs (i, i+%d), angle pos * %.0f^(-2i/%d), positions counted over the whole sequence (3.1, 3.3).", when, m.hp.HeadDim/2, m.hp.RopeFreqBase, m.hp.HeadDim)
	return []string{m.trials.evidence("pairs"), m.trials.evidence("k cache"), m.trials.evidence("position")}
}

func closeShapes(m *material, p *page) []string {
	d, h := m.dims(0), m.hp
	p.para("In the prefill of %s: Q [%d, %d, %d], K and V [%d, %d, %d], scores [%d, %d, %d], attention output [%d, %d] (row-major). In a decode step the token axis is 1 and the positions grow by one. 5.1 has every tap on both sides, 5.4 every node with its strides.",
		plural(d.T, "token"), d.T, h.NHead, h.HeadDim, d.T, h.NHeadKV, h.HeadDim, h.NHead, d.T, d.C(), d.T, h.NHead*h.HeadDim)
	return []string{"shapes in both traces"}
}

func closeDifferent(m *material, p *page) []string {
	if len(m.Findings) == 0 {
		p.para("Nothing that changes results beyond rounding. What the two do unlike each other is listed, ticked, under [Differences](#differences).")
		return []string{m.counted()}
	}
	var items []string
	for _, f := range m.Findings {
		items = append(items, fmt.Sprintf("%s: %s (%s).", code(f.Tap), text(f.Cause.Title), f.Cause.Status))
	}
	p.bullets(items...)
	p.para("The rest of the list under [Differences](#differences) is measured and harmless, or open because this run cannot show it.")
	return []string{m.counted()}
}

// counted says how many recordings were judged and how.
func (m *material) counted() string {
	count := map[verdict.Status]int{}
	for i := range m.Taps {
		count[m.Taps[i].Status]++
	}
	if n := len(m.Taps); count[verdict.OK] == n {
		return fmt.Sprintf("all %d recordings are ok", n)
	}
	var parts []string
	for _, c := range classes {
		if n := count[c.status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.status))
		}
	}
	return fmt.Sprintf("%d recordings: %s", len(m.Taps), strings.Join(parts, ", "))
}

func closeGarbage(m *material, p *page) []string {
	switch {
	case len(m.Findings) == 0 && len(m.Tokens.Reference) == 0:
		p.para("None: every op that was judged is right. This run generated no text to compare.")
	case len(m.Findings) == 0:
		p.para("None in this run: no op is wrong, and %s.", m.agreement())
	default:
		var names []string
		for _, f := range m.ranked() { // the worst first
			if f.Severity == report.Critical {
				names = append(names, fmt.Sprintf("%s (%s)", code(f.Tap), text(f.Cause.Title)))
			}
		}
		if names == nil {
			p.para("None of the findings is large enough by itself; %s. [ATTENTION_BUGS_FOUND.md](ATTENTION_BUGS_FOUND.md) ranks them.", m.agreement())
		} else {
			p.para("Those graded critical, worst first: %s. %s. [ATTENTION_BUGS_FOUND.md](ATTENTION_BUGS_FOUND.md) has the evidence, [ATTENTION_FIX_PLAN.md](ATTENTION_FIX_PLAN.md) the changes.", prose(names), capital(m.agreement()))
		}
	}
	return []string{m.counted()}
}

// agreement compares what both sides say, in a clause.
func (m *material) agreement() string {
	ref, ours := m.Tokens.Reference, m.Tokens.Ours
	if len(ref) == 0 && len(ours) == 0 {
		return "no text was generated"
	}
	for i := range max(len(ref), len(ours)) {
		if i >= len(ref) || i >= len(ours) || ref[i] != ours[i] {
			return fmt.Sprintf("the generated tokens differ from token %d of %d on", i+1, max(len(ref), len(ours)))
		}
	}
	return fmt.Sprintf("both sides generate the same %s", plural(len(ref), "token"))
}

// capital begins a clause as a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
