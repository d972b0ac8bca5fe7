package document

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"attndiff/harness/evidence"
	"attndiff/harness/report"
	"attndiff/harness/verdict"
	"attndiff/reference/source"
	"attndiff/traces/execution"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Input is a finished diff.
type Input struct {
	Report    *report.Report
	Reference string // trace files
	Ours      string
	Model     *gguf.File // nil when drift alone was judged
	Out       string     // the folder the documents end up in, for links to code
}

// side is one engine's recording with what it tells of itself.
type side struct {
	*trace.Reader
	graph    [len(execution.Phases)]*graph              // by step; nil when untold
	launches [len(execution.Phases)]*execution.Launches // by step; nil when untold
	kernels  execution.Sources                          // nil when untold
	broken   []string                                   // notes that cannot be read
}

// openSide opens a trace and reads its notes. A note that cannot be read is
// one that the trace does not tell.
func openSide(path string) (*side, error) {
	r, err := trace.Open(path)
	if err != nil {
		return nil, err
	}
	s := &side{Reader: r}
	keep := func(err error) {
		if err != nil {
			s.broken = append(s.broken, err.Error())
		}
	}
	notes := execution.Notes(r.Meta().Notes)
	for step := range execution.Phases {
		g, err := notes.Graph(step)
		if keep(err); g != nil {
			s.graph[step] = newGraph(g)
		}
		s.launches[step], err = notes.Launches(step)
		keep(err)
	}
	s.kernels, err = notes.Sources()
	keep(err)
	return s, nil
}

// material is everything the documents are made of.
type material struct {
	*report.Report
	ref, ours *side
	hp        trace.Hparams
	tree      source.Tree
	noTree    error // why llama.cpp's sources are not here
	trials    *trials
	links     *linker
	audit     []mismatch // where ours' launches are not what the model calls for
	quoted    map[source.Excerpt]bool
	gpu       []evidence.Kernel // what both engines launched on a GPU; nil when no GPU run told
}

// gather opens both traces and makes the experiments that answers rest on.
func gather(in Input) (*material, error) {
	m := &material{Report: in.Report, links: newLinker(in.Out), quoted: map[source.Excerpt]bool{}}
	var err error
	if m.ref, err = openSide(in.Reference); err != nil {
		return nil, err
	}
	if m.ours, err = openSide(in.Ours); err != nil {
		return nil, errors.Join(err, m.ref.Close())
	}
	m.hp = m.ref.Meta().Hparams
	m.tree, m.noTree = source.Open()
	if dir := evidence.Find(); dir != "" {
		if m.gpu, err = evidence.Kernels(dir); err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	m.audit = auditLaunches(m.ours, m.hp)
	if m.trials, err = runTrials(m, in.Model); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *material) close() error { return errors.Join(m.ref.Close(), m.ours.Close()) }

// dims are the sizes of a step.
func (m *material) dims(step int) tap.Dims { return m.ref.Dims(step) }

// decodes reports whether the run has a decode step.
func (m *material) decodes() bool { return len(m.ref.Meta().Steps) > 1 }

// flash reports whether the reference ran its fused attention.
func (m *material) flash() bool {
	for _, k := range m.ref.Keys() {
		if k.Tap == tap.KQ || k.Tap == tap.KQSoftMax {
			return false
		}
	}
	for _, g := range m.ref.graph {
		if g != nil {
			return slices.ContainsFunc(g.Tensors, func(t execution.Tensor) bool { return t.Op == "FLASH_ATTN_EXT" })
		}
	}
	return false
}

// groups are query heads per KV head.
func (m *material) groups() int { return m.hp.NHead / m.hp.NHeadKV }

// worst returns a tap's recording furthest beyond its allowance or closest to
// it, and the gravest status of all its recordings; nil when it was not
// recorded.
func (m *material) worst(t tap.Tap) (*report.Tap, verdict.Status) {
	var worst *report.Tap
	var status verdict.Status
	for i := range m.Taps {
		r := &m.Taps[i]
		if r.Tap != t.String() {
			continue
		}
		if report.Worse(r.Status, status) {
			status = r.Status
		}
		if worst == nil || r.Excess() > worst.Excess() {
			worst = r
		}
	}
	return worst, status
}

// quote returns a passage of llama.cpp as a block of code with its place, or
// says that it cannot be shown.
func (m *material) quote(e source.Excerpt) string {
	s, where := m.site(e)
	if s == nil {
		return where
	}
	if m.quoted[e] {
		return "Quoted above: " + code(where) + "."
	}
	m.quoted[e] = true
	return fenced("cpp", "// "+where+"\n"+strings.Join(s.Snippet, "\n"))
}

// at is the place of a passage of llama.cpp, for evidence.
func (m *material) at(e source.Excerpt) string {
	s, where := m.site(e)
	if s == nil {
		return where
	}
	return code(where) + " (" + code(s.Symbol) + ")"
}

// site finds a passage; without it the second result says why.
func (m *material) site(e source.Excerpt) (*source.Site, string) {
	if m.noTree != nil {
		return nil, "_llama.cpp's sources are not on this machine, so the lines cannot be quoted: " + text(m.noTree.Error()) + "._"
	}
	s, err := m.tree.Quote(e)
	if err != nil {
		return nil, "_not found: " + text(err.Error()) + "._"
	}
	return &s, fmt.Sprintf("%s:%d", s.File, s.Line)
}
