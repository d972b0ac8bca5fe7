package engines

import (
	"slices"
	"strings"

	"attndiff/harness/report"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/reference/source"
	"attndiff/traces/tap"
)

// Locate says which kernel of ours writes a tap in a step of so many tokens, for
// the version of ours that made a recording: attention takes one of two paths,
// and the fused one has a kernel for a prefill and another for decoding. Taps that
// a GEMM writes have no kernel of ours; the forward pass that calls it is named
// instead.
func Locate(version string) func(t tap.Tap, tokens int) report.Place {
	path := qwen2.PathOf(version)
	return func(t tap.Tap, tokens int) report.Place { return locate(path, t, tokens) }
}

func locate(path qwen2.Path, t tap.Tap, tokens int) report.Place {
	other := "prefill" // the phase whose kernels a step of so many tokens does not take
	if tokens > 1 {
		other = "decode"
	}
	found, err := kernels.ForTap(t)
	found = slices.DeleteFunc(found, func(k kernels.Kernel) bool { return !path.Runs(k.File) || strings.Contains(k.Name, other) })
	if err != nil || len(found) == 0 {
		file, line, function := qwen2.ProjectionPlace()
		return report.Place{File: &file, Line: &line, Function: &function}
	}
	return place(found[0])
}

// LocateChoice says which kernel of ours makes the greedy choice.
func LocateChoice() report.Place {
	all, err := kernels.Default().Kernels()
	i := slices.IndexFunc(all, func(k kernels.Kernel) bool { return k.Name == qwen2.ChoiceKernel })
	if err != nil || i < 0 {
		return report.Place{}
	}
	return place(all[i])
}

func place(k kernels.Kernel) report.Place {
	file := "ours/kernels/" + k.File
	return report.Place{File: &file, Line: &k.Line, Function: &k.Name}
}

// MatchChoice says where llama.cpp makes the greedy choice; all null when its
// sources are not on this machine.
func MatchChoice() report.Symbol {
	s, err := source.Greedy()
	if err != nil {
		return report.Symbol{}
	}
	return symbol(s)
}

// Match says where llama.cpp computes a tap, of which a reference of another
// name has the CUDA kernel alone: it ran no line of llama.cpp's, and who writes
// CUDA has a kernel to compare with all the same. All is null when the sources
// are not on this machine, as on one that a binary was copied to.
func Match(reference string) func(t tap.Tap, composed []tap.Tap) report.Symbol {
	llama := strings.HasPrefix(reference, "llama.cpp:")
	return func(t tap.Tap, composed []tap.Tap) report.Symbol {
		p, err := source.Find(t)
		if err == nil && t == tap.KQV && slices.Contains(composed, tap.KQSoftMax) {
			p.CUDA, err = source.Fused()
		}
		if err != nil {
			return report.Symbol{}
		}
		var s report.Symbol
		if llama {
			arithmetic := symbol(p.Arithmetic)
			s = symbol(p.Site)
			s.Arithmetic = &arithmetic
		}
		kernel := symbol(p.CUDA)
		s.CUDA = &kernel
		return s
	}
}

func symbol(s source.Site) report.Symbol {
	return report.Symbol{File: &s.File, Line: &s.Line, Symbol: &s.Symbol, Snippet: s.Snippet, Note: s.Note}
}
