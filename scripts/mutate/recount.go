package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"attndiff/ours/kernels"
)

// recount reads the findings that earlier runs wrote, each of some of the
// mutants, so that a long run can be made in parts and survivors can be explained
// one after the other. They must be of the kernels as they are. only are the
// patterns of all the files that the runs were about.
func recount(files []string, src kernels.Source) (findings []*Finding, only string, err error) {
	all := mutants(src)
	at := map[int]*Finding{} // by place in all; a later file's finding replaces an earlier one's
	var patterns []string
	for _, file := range files {
		r, err := read(file, src)
		if err != nil {
			return nil, "", err
		}
		patterns = append(patterns, strings.Split(r.Only, ",")...)
		for _, f := range r.Findings {
			if f == nil {
				return nil, "", fmt.Errorf("%s: a mutant is null", file)
			}
			i := slices.IndexFunc(all, func(m mutant) bool {
				return m.File == f.File && m.Line == f.Line && m.Kind == f.Kind && m.From == f.From && m.To == f.To
			})
			if i < 0 {
				return nil, "", fmt.Errorf("%s: there is no mutant %s any more; run make mutants", file, f.mutant)
			}
			f.mutant = all[i]
			if f.Fate == Survived {
				f.Reason = ""
			}
			at[i] = f
		}
	}
	for i := range all {
		if f := at[i]; f != nil {
			findings = append(findings, f)
		}
	}
	slices.SortStableFunc(findings, func(a, b *Finding) int { return cmp.Compare(a.File, b.File) })
	slices.Sort(patterns)
	only = strings.Join(slices.Compact(patterns), ",")
	if !slices.ContainsFunc(all, func(m mutant) bool { return !among(only, m.File) }) {
		only = "*"
	}
	return findings, only, nil
}

// unexplained lists the mutants that survived in earlier runs and that no known
// equivalence explains, and those that were killed and not located, and the
// patterns of the files the runs were about.
func unexplained(files []string, src kernels.Source, known []equivalence) (list []mutant, only string, err error) {
	findings, only, err := recount(files, src)
	for _, f := range findings {
		if _, listed := reason(known, f.mutant); f.Fate == Survived && !listed || f.Fate.killed() && !f.Located {
			list = append(list, f.mutant)
		}
	}
	return list, only, err
}

// read reads what one run wrote.
func read(file string, src kernels.Source) (*Results, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r Results
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if r.Kernels != digest(src, r.Only) {
		return nil, fmt.Errorf("%s: written with other kernels than these; run make mutants", file)
	}
	return &r, nil
}
