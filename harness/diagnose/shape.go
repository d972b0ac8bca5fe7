package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// shape explains recordings of another shape than the model calls for; nil
// when there are none. What is wrong there is a fact, not a guess: the cause is
// proven. Whether the right values are in it, under another order, cut or
// padded, is found out by laying them so (see [arrangement]).
func (b *Bench) shape(group []verdict.Tap) (*Diagnosis, error) {
	odd := slices.DeleteFunc(slices.Clone(group), func(t verdict.Tap) bool { return slices.Equal(t.Shape, b.called(t.Key)) })
	if len(odd) == 0 {
		return nil, nil
	}
	first := odd[0]
	want := b.called(first.Key)
	d := &Diagnosis{Tap: first.Key.Tap,
		Cause: Cause{ID: "wrong-shape", Status: Proven, Residual: math.NaN(), RunnerUpResidual: math.NaN(),
			Title: fmt.Sprintf("%s is recorded with shape %v; the model calls for %v, [%s]", first.Key.Tap, first.Shape, want,
				strings.Join(first.Key.Tap.Axes(), ", "))},
		Fix: fmt.Sprintf("Give %s the shape [%s] = %v, row-major, at %s; check the reshape, and which sizes it is given.",
			first.Key.Tap, strings.Join(first.Key.Tap.Axes(), ", "), want, first.Key)}
	if b.Model == nil {
		return d, nil
	}
	if len(odd) < len(group) {
		rest, err := b.one(slices.DeleteFunc(slices.Clone(group), func(t verdict.Tap) bool { return !slices.Equal(t.Shape, b.called(t.Key)) }))
		if err != nil {
			return nil, err
		}
		d.Evidence = append(d.Evidence, fmt.Sprintf("%d of the %d wrong recordings have another shape, first %s; in the others %s (%s)",
			len(odd), len(group), first.Key, rest.Cause.Title, rest.Cause.Status))
	}
	e := &experiment{bench: b, tap: first.Key.Tap, oracle: oracle.New(b.weights, b.Reference.Meta().Hparams, oracle.Default(b.Reference.Meta().Hparams))}
	right, err := e.eval(oracle.Variant{}, first.Key)
	if err != nil {
		return nil, err
	}
	got, err := b.source.Float64(first.Key, nil)
	if err != nil {
		return nil, err
	}
	info, _ := b.Ours.Info(first.Key)
	for _, a := range arrangements(right.Shape, first.Shape, first.Key.Tap.Axes()) {
		if residual, ok := a.holds(right, got, info); ok {
			d.Cause.Residual = residual
			d.Cause.Title += ": " + a.text
			d.Evidence = append(d.Evidence, "the right values are in it: "+a.text)
			return d, nil
		}
	}
	d.Evidence = append(d.Evidence, "its values are not the right ones in another order either, nor a part of them")
	return d, nil
}

// called is the shape that the model calls for.
func (b *Bench) called(k tap.Key) []int { return k.Tap.Shape(b.Ours.Dims(k.Step)) }

// arrangement is a way to lay a tensor into another shape: element i of what is
// recorded holds element at(i) of the right one, -1 for padding.
type arrangement struct {
	text string
	at   func(i int) int
}

// arrangements lists the ways to get from the right shape to the recorded one.
func arrangements(right, got []int, axes []string) []arrangement {
	var out []arrangement
	for _, p := range permutations(len(right)) {
		shape := make([]int, len(right))
		names := make([]string, len(right))
		for i, k := range p {
			shape[i], names[i] = right[k], axes[k]
		}
		if slices.IsSorted(p) || !slices.Equal(shape, got) {
			continue
		}
		out = append(out, arrangement{"its axes are [" + strings.Join(names, ", ") + "]", func(i int) int {
			at := unravel(i, got)
			from := make([]int, len(right))
			for j, k := range p {
				from[k] = at[j]
			}
			return ravel(from, right)
		}})
	}
	if tap.Elements(right) == tap.Elements(got) {
		out = append(out, arrangement{"the same elements in the same order, axes merged or split", func(i int) int { return i }})
	}
	if len(right) != len(got) {
		return out
	}
	for k := range right {
		others := slices.Equal(right[:k], got[:k]) && slices.Equal(right[k+1:], got[k+1:])
		if others && right[k] != got[k] {
			out = append(out, resized(right, got, k, axes[k])...)
		}
	}
	return out
}

// resized lists the ways in which one axis gets another length.
func resized(right, got []int, k int, name string) []arrangement {
	n, m := right[k], got[k]
	take := func(text string, from func(a int) int) arrangement {
		return arrangement{text, func(i int) int {
			at := unravel(i, got)
			at[k] = from(at[k])
			if at[k] < 0 || at[k] >= n {
				return -1
			}
			return ravel(at, right)
		}}
	}
	if m < n {
		return []arrangement{
			take(fmt.Sprintf("only the first %d of %d along %s", m, n, name), func(a int) int { return a }),
			take(fmt.Sprintf("only the last %d of %d along %s", m, n, name), func(a int) int { return a + n - m }),
		}
	}
	var out []arrangement
	if m%n == 0 {
		out = append(out,
			take(fmt.Sprintf("each %s is repeated %d times, one by one", name, m/n), func(a int) int { return a / (m / n) }),
			take(fmt.Sprintf("all %ss are repeated %d times, as a whole", name, m/n), func(a int) int { return a % n }))
	}
	return append(out, take(fmt.Sprintf("%s is padded from %d to %d", name, n, m), func(a int) int { return a }),
		take(fmt.Sprintf("%s is padded in front from %d to %d", name, n, m), func(a int) int { return a - (m - n) }))
}

// holds reports whether a recording holds the right values so arranged, and
// how well.
func (a arrangement) holds(right oracle.Value, got []float64, info trace.Info) (residual float64, ok bool) {
	v := oracle.Value{Shape: append([]int{1}, info.Shape...), Data: make([]float64, len(got)), Noise: make([]float64, len(got)), Exact: right.Exact}
	claimed := 0
	for i := range got {
		j := a.at(i)
		if j < 0 {
			v.Data[i] = got[i] // padding may hold anything
			continue
		}
		v.Data[i], v.Noise[i] = right.Data[j], right.Noise[j]
		claimed++
	}
	c, ok := compare(recording{got: got, dtype: info.DType, right: v}, v)
	return ratio(c.err, c.energy), ok && c.within && claimed > 0
}

// permutations lists all orders of n axes.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			out = append(out, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return out
}

// unravel is an element's index along each axis.
func unravel(i int, shape []int) []int {
	at := make([]int, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		at[k] = i % max(shape[k], 1)
		i /= max(shape[k], 1)
	}
	return at
}

// ravel is the element's place in row-major order.
func ravel(at, shape []int) int {
	i := 0
	for k, n := range shape {
		i = i*n + at[k]
	}
	return i
}
