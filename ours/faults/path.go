package faults

import (
	"fmt"

	"attndiff/ours/qwen2"
)

// Check refuses faults that an attention path has no place for: a patch of a
// kernel that it does not run, a rewrite of an op that it does not have. Planted
// all the same they would change nothing, or only half of what they mean to.
func Check(list []Fault, path qwen2.Path) error {
	for _, f := range list {
		for _, p := range f.Patches {
			if !path.Runs(p.File) {
				return fmt.Errorf("fault %s changes ours/kernels/%s, which the %s attention path does not run; plant it on the other path",
					f.Name, p.File, path)
			}
		}
		for _, r := range f.Rewrites {
			for _, t := range r.Taps {
				if !path.Computes(t) {
					return fmt.Errorf("fault %s changes the op of %s, which the %s attention path does not have; plant it on the other path",
						f.Name, t, path)
				}
			}
		}
	}
	return nil
}
