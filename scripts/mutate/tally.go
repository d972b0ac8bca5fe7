package main

import (
	"fmt"
	"slices"
	"strings"
)

// The bar: shares of the non-equivalent mutants that must be killed and of the
// killed that must be located.
const (
	killedWanted  = 0.97
	locatedWanted = 0.95
)

// Count counts mutants.
type Count struct {
	Mutants    int `json:"mutants"` // that compile
	Equivalent int `json:"equivalent"`
	Killed     int `json:"killed"`
	Located    int `json:"located"`
	Survived   int `json:"survived"`
}

// add counts one more.
func (c *Count) add(f *Finding) {
	if f.Fate == Invalid {
		return
	}
	c.Mutants++
	switch {
	case f.Fate.killed():
		c.Killed++
		if f.Located {
			c.Located++
		}
	case f.Reason != "":
		c.Equivalent++
	default:
		c.Survived++
	}
}

// Results are all findings and what they come to.
type Results struct {
	Kernels  string           `json:"kernel_digest"`
	Drawn    []Drawn          `json:"drawn,omitempty"` // files of which not every change is here
	Only     string           `json:"only"`            // patterns of the files whose mutants these are
	All      Count            `json:"all"`
	Invalid  int              `json:"invalid"` // do not compile
	Files    map[string]Count `json:"files"`
	Kinds    map[string]Count `json:"kinds"`
	Fates    map[Fate]int     `json:"fates"`
	Verdict  []string         `json:"verdict"` // what falls short, empty when the bar is met
	Findings []*Finding       `json:"mutants"`
}

// Drawn is how many changes of a file are here, and how many there are.
type Drawn struct {
	File string `json:"file"`
	Here int    `json:"here"`
	Of   int    `json:"of"`
}

// drawn lists the files of which not every mutant was examined.
func drawn(findings []*Finding, all []mutant) (list []Drawn) {
	for _, m := range all {
		if n := len(list); n == 0 || list[n-1].File != m.File {
			list = append(list, Drawn{File: m.File})
		}
		list[len(list)-1].Of++
	}
	for _, f := range findings {
		i := slices.IndexFunc(list, func(d Drawn) bool { return d.File == f.File })
		list[i].Here++
	}
	return slices.DeleteFunc(list, func(d Drawn) bool { return d.Here == d.Of })
}

// collect explains survivors by the equivalent mutants, counts, and holds the
// counts against the bar.
func collect(findings []*Finding, list []equivalence) *Results {
	r := &Results{Files: map[string]Count{}, Kinds: map[string]Count{}, Fates: map[Fate]int{}, Verdict: []string{}, Findings: findings}
	for _, f := range findings {
		why, listed := reason(list, f.mutant)
		gap, open := strings.CutPrefix(why, gapMark)
		switch {
		case listed && f.Fate == Survived && open:
			f.What = gap
		case listed && f.Fate == Survived:
			f.Reason = why
		case listed:
			r.Verdict = append(r.Verdict, fmt.Sprintf("equivalent.txt lists %s, which came out as %s (%s); remove it", f.mutant, f.Fate, f.What))
		}
		r.Fates[f.Fate]++
		if f.Fate == Invalid {
			r.Invalid++
		}
		for _, group := range []struct {
			in  map[string]Count
			key string
		}{{r.Files, f.File}, {r.Kinds, f.Kind}} {
			c := group.in[group.key]
			c.add(f)
			group.in[group.key] = c
		}
		r.All.add(f)
	}
	meant := r.All.Mutants - r.All.Equivalent
	if float64(r.All.Killed) < killedWanted*float64(meant) {
		r.Verdict = append(r.Verdict, fmt.Sprintf("%d of %d mutants that are not equivalent are killed, wanted %.0f %%", r.All.Killed, meant, 100*killedWanted))
	}
	if float64(r.All.Located) < locatedWanted*float64(r.All.Killed) {
		r.Verdict = append(r.Verdict, fmt.Sprintf("%d of %d killed mutants are located, wanted %.0f %%", r.All.Located, r.All.Killed, 100*locatedWanted))
	}
	return r
}

// where returns the findings that a condition holds for.
func (r *Results) where(is func(*Finding) bool) []*Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f *Finding) bool { return !is(f) })
}

// percent prints a share, with "all" where nothing lacks.
func percent(n, of int) string {
	switch {
	case of == 0:
		return "-"
	case n == of:
		return "all"
	}
	// Cut, not rounded: 99.96 % is not 100 %.
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(1000*n/of)/10), ".0") + " %"
}
