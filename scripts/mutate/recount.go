package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"attndiff/ours/kernels"
)

// recount reads the findings that an earlier run wrote, so that survivors can be
// explained one after the other without running everything again. They must be
// of the kernels as they are.
func recount(file string, src kernels.Source) (*Results, error) {
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
	all := mutants(src)
	for _, f := range r.Findings {
		if f == nil {
			return nil, fmt.Errorf("%s: a mutant is null", file)
		}
		i := slices.IndexFunc(all, func(m mutant) bool {
			return m.File == f.File && m.Line == f.Line && m.Kind == f.Kind && m.From == f.From && m.To == f.To
		})
		if i < 0 {
			return nil, fmt.Errorf("%s: there is no mutant %s any more; run make mutants", file, f.mutant)
		}
		f.mutant = all[i]
		if f.Fate == Survived {
			f.Reason = ""
		}
	}
	return &r, nil
}
