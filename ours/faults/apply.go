package faults

import (
	"fmt"
	"strings"

	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
)

// Apply plants faults: it returns the kernel source with their patches and a
// function for [qwen2.Options.Edit] with their rewrites, nil if there are none.
// Faults compose in the order given; two that change the same text or the same
// slot of the host code are refused, and the error names both.
func Apply(list []Fault, src kernels.Source) (kernels.Source, func([]qwen2.Op) []qwen2.Op, error) {
	var rewrites []Rewrite
	owner := map[string]string{} // slot -> fault
	clean := src
	for i, f := range list {
		for _, p := range f.Patches {
			patched, err := src.Replace(p.File, p.Old, p.New)
			if err != nil {
				return kernels.Source{}, nil, blame(f, p, list[:i], clean, err)
			}
			src = patched
		}
		for _, r := range f.Rewrites {
			if other, taken := owner[r.Slot]; taken {
				return kernels.Source{}, nil, conflict(other, f.Name, r.Slot)
			}
			owner[r.Slot] = f.Name
		}
		rewrites = append(rewrites, f.Rewrites...)
	}
	if len(rewrites) == 0 {
		return src, nil, nil
	}
	return src, func(ops []qwen2.Op) []qwen2.Op {
		for _, r := range rewrites {
			ops = r.Apply(ops)
		}
		return ops
	}, nil
}

// blame explains a patch that does not fit: an earlier fault of the list
// changed the text it looks for, or the kernel itself has changed.
func blame(f Fault, p Patch, earlier []Fault, clean kernels.Source, err error) error {
	if _, alone := clean.Replace(p.File, p.Old, p.New); alone != nil {
		return fmt.Errorf("fault %s: %w", f.Name, err)
	}
	var names []string
	for _, e := range earlier {
		for _, q := range e.Patches {
			if q.File == p.File {
				names = append(names, e.Name)
				break
			}
		}
	}
	return conflict(strings.Join(names, " and "), f.Name, p.File)
}

func conflict(a, b, where string) error {
	return fmt.Errorf("faults %s and %s both change %s and cannot be planted together; plant them in separate runs", a, b, where)
}
