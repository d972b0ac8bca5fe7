package diagnose

import (
	"fmt"
	"math"

	"attndiff/traces/tap"
)

// suspects are the things that make people suspect a bug, the most asked about
// first: the tap that shows it, how to look, and why it is fine where the
// reference has it too.
var suspects = []struct {
	tap  tap.Tap
	look func(*view) (reading, error)
	why  string
}{
	{tap.KBias, (*view).bias, "it is the model's own bias, learnt so (Qwen2 biases K most); llama.cpp adds the same"},
	{tap.QBias, (*view).bias, "it is the model's own bias, learnt so; llama.cpp adds the same"},
	{tap.VBias, (*view).bias, "it is the model's own bias, learnt so; llama.cpp adds the same"},
	{tap.KQ, (*view).scores, "no scale or mask is in kq yet; llama.cpp's is as large, kept in f32, and softmax subtracts the row's maximum before exp"},
	{tap.KRope, (*view).channels, "llama.cpp's key is as large there"},
	{tap.QRope, (*view).channels, "llama.cpp's query is as large there"},
	{tap.LOut, (*view).channels, "the residual stream carries a few large channels from layer to layer; llama.cpp's are the same"},
	{tap.LOut, (*view).rows, "one token may carry far more than the others, the first most of all; llama.cpp's does too"},
	{tap.AttnNorm, (*view).gains, "it is the norm's own weight; llama.cpp multiplies by the same"},
	{tap.FFNNorm, (*view).gains, "it is the norm's own weight; llama.cpp multiplies by the same"},
	{tap.ResultNorm, (*view).gains, "it is the norm's own weight; llama.cpp multiplies by the same"},
	{tap.KQSoftMax, (*view).saturated, "attention may settle on one position, the first token most of all (a sink); llama.cpp's row does the same"},
	{tap.FFNInp, (*view).squares, "norms sum squares in f32 or wider, here and in llama.cpp, whose value is the same"},
	{tap.FFNSwiglu, (*view).channels, "one unit of the feed-forward block fires for a token; llama.cpp's does too"},
	{tap.LOut, (*view).growth, "the residual stream grows as layers add to it; llama.cpp's has grown as much"},
}

// bias looks at what an op adds to its input: the largest element against the
// median of all.
func (v *view) bias() (reading, error) {
	y, x, err := v.with(tap.At(v.key.Step, v.key.Layer, v.key.Tap-1))
	if err != nil || y == nil {
		return reading{}, err
	}
	added := make([]float64, len(y)/v.dims().T) // to token 0; it is the same for all
	for i := range added {
		added[i] = y[i] - x[i]
	}
	marks, median := outliers(added)
	return reading{scores: marks, values: added, scale: rms(y), what: func(i int) string {
		return fmt.Sprintf("a bias of %.4g, %s the median bias", added[i], times(added[i], median))
	}}, nil
}

// channels looks at one channel (of all heads) over all tokens: the root mean
// square against that of the median channel. The value is the channel's
// largest element.
func (v *view) channels() (reading, error) {
	x, err := v.own()
	if err != nil || x == nil {
		return reading{}, err
	}
	width := len(x) / v.dims().T
	return summarise(x, width, func(i int) int { return i % width }, "channel"), nil
}

// rows looks at one token's row: the root mean square against the median row's.
func (v *view) rows() (reading, error) {
	x, err := v.own()
	if err != nil || x == nil {
		return reading{}, err
	}
	n := v.dims().T
	width := len(x) / n
	return summarise(x, n, func(i int) int { return i / width }, "row"), nil
}

// summarise scores n groups of elements by their root mean square; each stands
// for itself with its largest element.
func summarise(x []float64, n int, group func(i int) int, noun string) reading {
	size, peak, at, count := make([]float64, n), make([]float64, n), make([]int, n), make([]float64, n)
	for i, e := range x {
		g := group(i)
		size[g] += e * e
		count[g]++
		if math.Abs(e) > math.Abs(peak[g]) {
			peak[g], at[g] = e, i
		}
	}
	for g := range size {
		size[g] = math.Sqrt(size[g] / count[g])
	}
	marks, median := outliers(size)
	return reading{scores: marks, values: peak, at: at, scale: rms(x), what: func(g int) string {
		return fmt.Sprintf("%.4g in a %s %s the median %s", peak[g], noun, times(size[g], median), noun)
	}}
}

// scores looks at raw scores. Were the elements of q and k of size 1, as a norm
// leaves them, a score would be a sum of D random signs, sqrt(D) large, and the
// largest of n of them sqrt(2 ln n) times that.
func (v *view) scores() (reading, error) {
	x, err := v.own()
	if err != nil || x == nil {
		return reading{}, err
	}
	expected := math.Sqrt(float64(v.dims().D) * 2 * math.Log(float64(len(x)+1)))
	marks := make([]float64, len(x))
	for i, e := range x {
		marks[i] = math.Abs(e) / expected
	}
	return reading{scores: marks, values: x, scale: rms(x), what: func(i int) string {
		return fmt.Sprintf("a raw score of %.4g, where q and k of size 1 would stay below %.2g", x[i], expected)
	}}, nil
}

// squares looks at elements of the residual stream whose square f16 does not
// hold: kernels that sum squares in f16 overflow there.
func (v *view) squares() (reading, error) {
	x, err := v.own()
	if err != nil || x == nil {
		return reading{}, err
	}
	marks := make([]float64, len(x))
	for i, e := range x {
		marks[i] = math.Abs(e) / math.Sqrt(largestHalf)
	}
	return reading{scores: marks, values: x, scale: rms(x), what: func(i int) string {
		return fmt.Sprintf("%.4g in the residual stream, whose square f16 does not hold", x[i])
	}}, nil
}

// largestHalf is the largest finite f16.
const largestHalf = 65504

// times words a ratio of magnitudes.
func times(x, of float64) string {
	if r := math.Abs(x / of); r < 10 {
		return fmt.Sprintf("%.1f times", r)
	} else {
		return fmt.Sprintf("%.0f times", r)
	}
}
