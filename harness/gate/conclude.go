package gate

import (
	"fmt"
	"slices"
)

// conclude settles what needs all cases: waivers that are expired or unused,
// cases of the baseline that are gone, and the verdict.
func (p *Part) conclude() {
	p.General = []Problem{}
	stale := func(format string, args ...any) {
		p.General = append(p.General, Problem{Kind: Stale, Layers: []int{}, Steps: []int{}, Text: fmt.Sprintf(format, args...)})
	}
	whole := p.Shard.Of == 1 && len(p.Only) == 0
	for i := range p.Known {
		w := &p.Known[i]
		switch {
		case w.Expired:
			stale("%s:%d: the waiver of %s expired on %s: mend the op, or give the waiver a new reason and date", w.File, w.Line, w.Tap, w.Expires)
		case whole && p.unused(i):
			stale("%s:%d: the waiver of %s covers nothing that happens: remove it", w.File, w.Line, w.Tap)
		}
	}
	if whole {
		for _, name := range p.Gone {
			stale("%s has case %s, which %s does not: run `attndiff gate --update`", p.Baseline.File, name, p.Matrix.File)
		}
	}
	switch {
	case p.count(Crashed) > 0:
		p.Verdict = Crashed
	case p.count(Fail)+len(p.General) > 0:
		p.Verdict = Fail
	default:
		p.Verdict = Pass
	}
}

// unused reports whether a waiver put up with nothing although the cases that
// it is about ran. Those that were skipped may need it elsewhere.
func (p *Part) unused(i int) bool {
	for _, r := range p.all() {
		for _, problem := range r.Problems {
			if problem.Waiver != nil && *problem.Waiver == i {
				return false
			}
		}
		if r.Verdict == Skipped && p.Known[i].covers(r.Name) {
			return false
		}
	}
	return true
}

// Merge joins the parts of all shards of one run into the part that a single
// run would have made. The error says what does not fit together: shards of
// another matrix, baseline, waivers or program, one missing or there twice.
func Merge(parts []*Part, files []string) (*Part, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("merge: no parts; give the gate.json of each shard")
	}
	first := parts[0]
	at := make([]string, first.Shard.Of) // the file of each shard
	for i, p := range parts {
		for _, same := range []struct{ what, a, b string }{
			{"matrix", first.Matrix.SHA256, p.Matrix.SHA256},
			{"baseline", first.Baseline.SHA256, p.Baseline.SHA256},
			{"waivers", first.Waivers.SHA256, p.Waivers.SHA256},
			{"commit", first.Program.Commit, p.Program.Commit},
			{"llama.cpp", first.Program.Llama, p.Program.Llama},
			{"kernels", first.Program.Kernels, p.Program.Kernels},
			{"number of shards", fmt.Sprint(first.Shard.Of), fmt.Sprint(p.Shard.Of)},
			{"choice of cases", fmt.Sprint(first.Only), fmt.Sprint(p.Only)},
			{"faults", fmt.Sprint(first.Faults), fmt.Sprint(p.Faults)},
			{"number of cases", fmt.Sprint(first.Total), fmt.Sprint(p.Total)},
		} {
			if same.a != same.b {
				return nil, fmt.Errorf("%s and %s are not of one run: %s is %s and %s; run all shards from the same files and program",
					files[0], files[i], same.what, shortened(same.a), shortened(same.b))
			}
		}
		if again := at[p.Shard.Index-1]; again != "" {
			return nil, fmt.Errorf("shard %s is there twice, in %s and in %s; give each once", p.Shard, again, files[i])
		}
		at[p.Shard.Index-1] = files[i]
	}
	if i := slices.Index(at, ""); i >= 0 {
		return nil, fmt.Errorf("shard %d/%d is missing among the %d given; give the gate.json of every shard", i+1, len(at), len(parts))
	}
	whole := *first
	whole.Shard, whole.Cases, whole.Goldens = Shard{1, 1}, []Result{}, []Result{}
	whole.Known = slices.Clone(first.Known)
	for _, p := range parts {
		whole.Cases = append(whole.Cases, p.Cases...)
		whole.Goldens = append(whole.Goldens, p.Goldens...)
		for i := range p.Known {
			if i < len(whole.Known) {
				whole.Known[i].Expired = whole.Known[i].Expired || p.Known[i].Expired
			}
		}
	}
	byIndex := func(a, b Result) int { return a.Index - b.Index }
	slices.SortFunc(whole.Cases, byIndex)
	slices.SortFunc(whole.Goldens, byIndex)
	if err := whole.complete(); err != nil {
		return nil, err
	}
	whole.conclude()
	return &whole, nil
}

// complete checks that each case is there once. Shards that chose some cases
// need not have all.
func (p *Part) complete() error {
	seen := map[int]bool{}
	for _, r := range p.all() {
		if seen[r.Index] {
			return fmt.Errorf("case %s is in two shards; run the shards again", r.Name)
		}
		seen[r.Index] = true
	}
	if len(p.Only) == 0 && len(seen) != p.Total {
		return fmt.Errorf("the shards hold %d of the matrix's %d cases; run the shards again", len(seen), p.Total)
	}
	return nil
}

// shortened abbreviates a digest for a message.
func shortened(s string) string {
	const enough = 16
	switch {
	case s == "":
		return "none"
	case len(s) > 2*enough:
		return s[:enough] + "..."
	}
	return s
}
