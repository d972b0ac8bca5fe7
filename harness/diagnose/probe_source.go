package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// kvHeads computes the scores or the weighted sum of every query head with
// every KV head, and reads off which one each query head took.
func kvHeads(p *probe) []Clue {
	k := p.axisNamed("head")
	if p.tap != tap.KQ && p.tap != tap.KQV || p.dims.G < 2 || len(p.exhibits) == 0 {
		return nil
	}
	heads, group := p.dims.H, max(p.dims.H/p.dims.G, 1)
	takes := make([][]int, len(p.exhibits))
	sums := map[*exhibit]*claim{}
	for n, x := range p.exhibits {
		a := x.axisOf(k)
		takes[n] = make([]int, heads)
		sums[x] = &claim{nans(len(x.got)), make([]float64, len(x.got))}
		for h := range heads {
			takes[n][h] = unknown
			if x.same(a, h, h, nil) {
				takes[n][h] = h / group
				x.take(a, h, sums[x], &claim{x.want, x.noise})
			}
		}
		for g := range p.dims.G {
			c := p.recompute(oracle.Variant{Semantics: func(_ tap.Key, s *oracle.Semantics) {
				s.KVHead = func(int, int, int) int { return g }
			}}, x)
			if c == nil {
				return nil
			}
			for h := range heads {
				if takes[n][h] == unknown && x.agrees(a, h, c) {
					takes[n][h] = g
					x.take(a, h, sums[x], c)
				}
			}
		}
	}
	residual, ok := p.holds(func(x *exhibit) *claim { return sums[x] })
	if !ok {
		return nil
	}
	text := spell(takes, "query head", "h", readsFrom, "KV head")
	if text == "" {
		return nil
	}
	text += fmt.Sprintf(" instead of h/%d", group)
	return []Clue{{Kind: "kv-head-map", Grade: Whole, Residual: residual, Names: true, axis: "head",
		Text: "in ours " + text, Title: fmt.Sprintf("%s: %s", p.tap, text),
		Fix: fmt.Sprintf("Neighbouring query heads share a KV head: g = h / (H/G) = h / %d.", group)}}
}

// agrees reports whether slice s of ours meets a claim.
func (x *exhibit) agrees(a axis, s int, c *claim) bool {
	var err, noise float64
	for j := range a.outer * a.inner {
		i := a.at(s, j)
		d := x.got[i] - c.v[i]
		err, noise = err+d*d, noise+c.noise[i]
	}
	return err <= sliceConfidence*noise
}

// take copies slice s from one claim to another.
func (x *exhibit) take(a axis, s int, to, from *claim) {
	for j := range a.outer * a.inner {
		i := a.at(s, j)
		to.v[i], to.noise[i] = from.v[i], from.noise[i]
	}
}
