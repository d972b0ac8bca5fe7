package diagnose

import (
	"fmt"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// maskMistakes are the mistakes people make in which columns a token sees.
func maskMistakes(m Model) []Hypothesis {
	visible := func(id, title, fix string, f func(past, t, c int) bool) Hypothesis {
		return Hypothesis{ID: id, Aspect: "mask", Taps: softMaxTaps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.Visible = f })}
	}
	causal := "Token t of a step that finds past tokens cached sees columns 0 to past+t, itself included."
	out := []Hypothesis{
		visible("mask-missing", "every token sees every position of the step, those after it included", causal,
			func(int, int, int) bool { return true }),
		visible("mask-one-too-many", "each token also sees the one after it", causal, func(past, t, c int) bool { return c <= past+t+1 }),
		visible("mask-one-too-few", "no token sees itself", causal, func(past, t, c int) bool { return c < past+t }),
		visible("mask-ignores-cached", "the mask counts tokens of this step only: columns 0 to t", causal, func(_, t, c int) bool { return c <= t }),
		visible("mask-of-past-only", "tokens see the cached positions only, not those of their own step", causal, func(past, _, c int) bool { return c < past }),
		visible("mask-of-this-step-only", "tokens see the positions of their own step only", causal, func(past, t, c int) bool { return c >= past && c <= past+t }),
		visible("mask-transposed", "tokens see the positions after them instead of those before", causal, func(past, t, c int) bool { return c >= past+t }),
		visible("mask-counts-past-twice", "cached tokens are counted twice", causal, func(past, t, c int) bool { return c <= 2*past+t }),
		visible("mask-first-position-hidden", "position 0 is hidden", causal, func(past, t, c int) bool { return c <= past+t && (c > 0 || past+t == 0) }),
		visible("mask-self-only", "each token sees itself only", causal, func(past, t, c int) bool { return c == past+t }),
		visible("mask-two-too-many", "each token also sees the two after it", causal, func(past, t, c int) bool { return c <= past+t+2 }),
		visible("mask-two-too-few", "no token sees itself and the one before it", causal, func(past, t, c int) bool { return c < past+t-1 }),
		visible("mask-of-step-start", "every token of a step sees what its first token sees", causal, func(past, _, c int) bool { return c <= past }),
		{ID: "masked-scores-are-zero", Aspect: "mask", Taps: softMaxTaps,
			Title: "masked scores are 0 instead of -Inf, which leaves them a probability", Fix: "Set masked scores to -Inf before the softmax.",
			Variant: semantic(func(s *oracle.Semantics) { s.Masked = 0 })},
	}
	out = append(out, Hypothesis{ID: "mask-one-too-few-of-none", Aspect: "mask", Taps: softMaxTaps, Leaves: true,
		Title: "no token sees itself, and the first one, which sees nothing, is 0/0", Fix: causal,
		Variant: oracle.Variant{
			Semantics: func(_ tap.Key, s *oracle.Semantics) { s.Visible = func(past, t, c int) bool { return c < past+t } },
			Result: func(_ tap.Key, y oracle.Rows, d tap.Dims, _ oracle.Fetch) (oracle.Rows, error) {
				return undefinedWhere(y, func(i int) bool { return d.P+i/max(d.C(), 1)%max(d.T, 1) == 0 }), nil
			}}})
	for _, b := range []int{32, 64, 16, 8, 4, 128, 256} {
		out = append(out, visible(fmt.Sprintf("mask-rounded-up-to-%d", b), fmt.Sprintf("visible positions are rounded up to a multiple of %d", b),
			"Mask the padding again: "+causal, func(past, t, c int) bool { return c < (past+t+b)/b*b }))
		out = append(out, visible(fmt.Sprintf("mask-rounded-down-to-%d", b), fmt.Sprintf("visible positions are rounded down to a multiple of %d", b),
			causal, func(past, t, c int) bool { return c < (past+t+1)/b*b }))
	}
	for _, w := range distinct([]int{m.Dims.D, 32, 64, 16, 128, 256, 512, 1024, 4096, 8, 4, 2}, func(int) bool { return true }) {
		out = append(out, visible(fmt.Sprintf("mask-window-of-%d", w), fmt.Sprintf("tokens see the last %d positions only (sliding window)", w),
			"Qwen2.5's sliding window is off: tokens see all positions before them.", func(past, t, c int) bool { return c <= past+t && c > past+t-w }))
	}
	return out
}
