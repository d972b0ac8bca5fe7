package exam

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"attndiff/ours/faults"
	"attndiff/ours/kernels"
)

// Kind is what a case asks.
type Kind string

// The kinds of cases.
const (
	Single Kind = "single" // one fault
	Pair   Kind = "pair"   // two at a time
	Triple Kind = "triple"
	Clean  Kind = "clean" // none: anything found is a false alarm
)

// Case is one question to the harness.
type Case struct {
	Kind    Kind
	Setting Setting
	Faults  []faults.Fault
}

// names lists the case's faults as --fault takes them.
func (c Case) names() []string {
	var names []string
	for _, f := range c.Faults {
		names = append(names, f.Name)
	}
	return names
}

// String names the case in messages.
func (c Case) String() string {
	if len(c.Faults) == 0 {
		return c.Setting.String()
	}
	return strings.Join(c.names(), ",") + " on " + c.Setting.String()
}

// decode is how many steps faults are given to show in.
const decode = 4

// plain is the setting that faults are planted in: the shipped model, an f16
// cache. One thread of llama.cpp, since cases run side by side.
func plain(m *Model, prompt string) Setting {
	return Setting{Model: m, Prompt: prompt, Decode: decode, KV: "f16", Threads: 1}
}

// singles plants every fault alone on every prompt, fault after fault, so that
// a fault's kernels are compiled once and found in the cache from then on.
func singles(m *Model, prompts []string) []Case {
	var list []Case
	for _, f := range faults.Catalogue() {
		for _, p := range prompts {
			list = append(list, Case{Single, plain(m, p), []faults.Fault{f}})
		}
	}
	return list
}

// combinations draws n cases of k faults each that can be planted together, on
// the prompts in turn.
func combinations(m *Model, kind Kind, k, n int, prompts []string, random *rand.Rand) ([]Case, error) {
	all := faults.Catalogue()
	var list []Case
	seen := map[string]bool{}
	for tries := 0; len(list) < n; tries++ {
		if tries > 100*n {
			return nil, fmt.Errorf("%d of %d combinations of %d faults drawn: too few faults can be planted together", len(list), n, k)
		}
		c := Case{Kind: kind, Setting: plain(m, prompts[len(list)%len(prompts)])}
		for _, i := range random.Perm(len(all))[:k] {
			c.Faults = append(c.Faults, all[i])
		}
		name := strings.Join(slices.Sorted(slices.Values(c.names())), ",")
		if _, _, err := faults.Apply(c.Faults, kernels.Default()); err != nil || seen[name] {
			continue
		}
		seen[name] = true
		list = append(list, c)
	}
	return list, nil
}

// clean crosses models, prompts and cache types, with the other choices in
// turn: steps, threads and flash attention. The long prompt takes as much time
// as all others together and gets one choice of each where they get two.
func clean(models []*Model, prompts []string) []Case {
	steps, threads := []int{8, 0, 3, 16}, []int{1, 2, 0}
	var list []Case
	for _, m := range models {
		for _, p := range prompts {
			rounds := 2
			if p == long {
				rounds = 1
			}
			for round := range rounds {
				for k, kv := range []string{"f16", "f32"} {
					n := len(list)
					list = append(list, Case{Kind: Clean, Setting: Setting{Model: m, Prompt: p, KV: kv,
						Decode: steps[n%len(steps)], Threads: threads[n%len(threads)], Flash: (round+k)%2 == 1}})
				}
			}
		}
	}
	return list
}

// long is the prompt that crosses llama.cpp's padding of 256 cached tokens.
const long = "long"

// wants reports whether a case has one of the faults and one of the prompts
// asked for.
func (e *Exam) wants(c Case) bool {
	if len(e.Prompts) > 0 && !slices.Contains(e.Prompts, c.Setting.Prompt) {
		return false
	}
	return len(e.Faults) == 0 || slices.ContainsFunc(e.Faults, func(f faults.Fault) bool { return slices.Contains(c.names(), f.Name) })
}

// sample keeps n cases of each kind. Of the singles it keeps every fault once
// before any twice, each on prompts drawn at random.
func sample(list []Case, n int, random *rand.Rand) []Case {
	if n <= 0 {
		return list
	}
	list = slices.Clone(list)
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	turn := map[string]int{}
	rank := map[string]int{}
	for _, c := range list {
		key := c.String()
		if c.Kind == Single {
			name := c.Faults[0].Name
			rank[key] = turn[name]
			turn[name]++
		}
	}
	slices.SortStableFunc(list, func(a, b Case) int { return rank[a.String()] - rank[b.String()] })
	kept := map[Kind]int{}
	return slices.DeleteFunc(list, func(c Case) bool {
		kept[c.Kind]++
		return kept[c.Kind] > n
	})
}
