package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// classes holds the catalogue's entries class by class, in listing order.
var classes = []struct {
	class  Class
	faults []Fault
}{
	{Cache, cacheFaults}, {Scores, scoreFaults}, {Rope, ropeFaults}, {Gemm, gemmFaults},
	{GQA, gqaFaults}, {BiasNorm, biasNormFaults}, {FFN, ffnFaults}, {Numerics, numericFaults},
}

// Catalogue returns every fault, class by class and by name within a class.
func Catalogue() []Fault {
	var all []Fault
	for _, c := range classes {
		list := slices.Clone(c.faults)
		for i := range list {
			list[i].Class = c.class
		}
		slices.SortFunc(list, func(a, b Fault) int { return cmp.Compare(a.Name, b.Name) })
		all = append(all, list...)
	}
	return all
}

// Select returns the faults of a comma-separated list of names, as --fault
// takes it, in the list's order. An empty list selects none. The error for an
// unknown name proposes those that resemble it.
func Select(list string) ([]Fault, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	all := Catalogue()
	var chosen []Fault
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		named := func(f Fault) bool { return f.Name == name }
		if slices.ContainsFunc(chosen, named) {
			continue
		}
		i := slices.IndexFunc(all, named)
		if i < 0 {
			return nil, unknown(name, all)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// unknown says that no fault has that name and which names resemble it.
func unknown(name string, all []Fault) error {
	meant := ""
	if near := nearest(name, all); len(near) > 0 {
		meant = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown fault %q%s `attndiff faults` lists all", name, cmp.Or(meant, ";"))
}

// maxNear bounds how many names an error proposes.
const maxNear = 3

// nearest returns the names most like name: those that share the most of its
// letter pairs (Dice's coefficient), at least a third.
func nearest(name string, all []Fault) []string {
	type match struct {
		name  string
		score float64
	}
	var matches []match
	want := pairs(name)
	for _, f := range all {
		have := pairs(f.Name)
		shared := 0
		for p := range want {
			if have[p] {
				shared++
			}
		}
		if score := 2 * float64(shared) / float64(len(want)+len(have)); score >= 1.0/3 {
			matches = append(matches, match{f.Name, score})
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return cmp.Compare(b.score, a.score) })
	var names []string
	for _, m := range matches[:min(len(matches), maxNear)] {
		names = append(names, m.name)
	}
	return names
}

// pairs returns the set of adjacent letter pairs of a name, its ends included.
func pairs(name string) map[string]bool {
	set := map[string]bool{}
	letters := []rune(" " + name + " ")
	for i := range len(letters) - 1 {
		set[string(letters[i:i+2])] = true
	}
	return set
}
