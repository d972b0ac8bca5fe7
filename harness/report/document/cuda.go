package document

import (
	"slices"
	"strings"

	"attndiff/reference/source"
	"attndiff/traces/tap"
)

// cudaKernels quotes what computes attention's ops in llama.cpp on a GPU, each
// kernel once, in the order of the ops.
func (m *material) cudaKernels(p *page) {
	if m.noTree != nil {
		_, why := m.site(source.Scores)
		p.block(why)
		return
	}
	p.para("The lines that decide what each op means, whichever device the reference ran on.")
	var list []*gpuKernel
	for _, t := range attentionTaps {
		s, err := m.cudaSite(t)
		if err != nil {
			p.para("%s: %s.", code(t.String()), text(err.Error()))
			continue
		}
		i := slices.IndexFunc(list, func(k *gpuKernel) bool { return k.File == s.File && slices.Equal(k.Snippet, s.Snippet) })
		if i < 0 {
			i, list = len(list), append(list, &gpuKernel{Site: s})
		}
		list[i].add(t, s.Note)
	}
	for _, k := range list {
		p.para("**%s** for %s, %s:", code(k.Symbol), prose(slices.Concat(k.of...)), codef("%s:%d", k.File, k.Line))
		if len(k.notes) == 1 {
			explained(p, k.Snippet, k.notes[0])
			continue
		}
		explained(p, k.Snippet, "")
		for i, note := range k.notes {
			p.para("For %s: %s.", prose(k.of[i]), text(note))
		}
	}
}

// gpuKernel is a kernel with what is to be said of it, and the taps that each
// note is about.
type gpuKernel struct {
	source.Site
	notes []string
	of    [][]string
}

func (k *gpuKernel) add(t tap.Tap, note string) {
	i := slices.Index(k.notes, note)
	if i < 0 {
		i, k.notes, k.of = len(k.notes), append(k.notes, note), append(k.of, nil)
	}
	k.of[i] = append(k.of[i], code(t.String()))
}

// cudaSite is the kernel for a tap; fused attention has one for all three.
func (m *material) cudaSite(t tap.Tap) (source.Site, error) {
	if m.flash() && (t == tap.KQ || t == tap.KQSoftMax || t == tap.KQV) {
		return source.Fused()
	}
	place, err := m.tree.Find(t)
	return place.CUDA, err
}

// explained shows lines of llama.cpp and what they do not say by themselves.
func explained(p *page, lines []string, note string) {
	p.fence("cpp", strings.Join(lines, "\n"))
	if note != "" {
		p.para("Here: %s.", text(note))
	}
}
