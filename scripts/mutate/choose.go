package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"attndiff/ours/kernels"
)

// digest identifies the kernel files that match a pattern.
func digest(src kernels.Source, pattern string) string {
	return kernels.New(slices.DeleteFunc(src.Files(), func(f kernels.File) bool { return !among(pattern, f.Name) })...).Digest()
}

// among reports whether a file's name matches one of the patterns, which have
// commas between.
func among(patterns, name string) bool {
	return slices.ContainsFunc(strings.Split(patterns, ","), func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

// matching takes the mutants of the files that the options ask for.
func (o *options) matching(all []mutant) []mutant {
	return slices.DeleteFunc(slices.Clone(all), func(m mutant) bool { return !among(o.only, m.File) })
}

// choose takes the mutants that the options ask for.
func (o *options) choose(all []mutant) ([]mutant, error) {
	for p := range strings.SplitSeq(o.only, ",") {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("-only %s: %w", p, err)
		}
	}
	list := o.matching(all)
	if len(list) == 0 {
		return nil, fmt.Errorf("-only %s: no kernel file of that name has mutants", o.only)
	}
	var k, n int
	if _, err := fmt.Sscanf(o.shard, "%d/%d", &k, &n); err != nil || k < 1 || k > n {
		return nil, fmt.Errorf("-shard %s: want a share of the mutants as 2/8, the second of eight", o.shard)
	}
	if n > 1 {
		var share []mutant
		for i := k - 1; i < len(list); i += n {
			share = append(share, list[i])
		}
		list = share
	}
	if o.sample > 0 && o.sample < len(list) {
		random := rand.New(rand.NewPCG(o.seed, 0))
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:o.sample]
		slices.SortFunc(list, func(a, b mutant) int { return cmp.Or(strings.Compare(a.File, b.File), a.At-b.At) })
	}
	return list, nil
}
