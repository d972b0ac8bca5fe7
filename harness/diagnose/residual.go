package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// residualMistakes are the mistakes people make in the two residual
// connections: ffn_inp = attn_out + stream, l_out = ffn_out + ffn_inp.
func residualMistakes(m Model) []Hypothesis {
	attn, ffn := []tap.Tap{tap.FFNInp}, []tap.Tap{tap.LOut}
	both := []tap.Tap{tap.FFNInp, tap.LOut}
	branch := func(t tap.Tap) bool { return t == tap.AttnOut || t == tap.FFNOut }
	// times multiplies the branch and the stream that it is added to.
	times := func(id, title, fix string, ofBranch, ofStream float64) Hypothesis {
		return Hypothesis{ID: id, Aspect: "amount", Taps: both, Title: title, Fix: fix,
			Variant: oracle.Variant{Feed: func(_, in tap.Key, x oracle.Rows, _ tap.Dims) oracle.Rows {
				if branch(in.Tap) {
					return multiplied(x, ofBranch)
				}
				return multiplied(x, ofStream)
			}}}
	}
	skip := func(id, title string, taps []tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: "stream", Taps: taps, Title: title,
			Fix: "ffn_inp adds the stream that entered the layer; l_out adds ffn_inp.",
			Variant: oracle.Variant{Read: func(of, in tap.Key) tap.Key {
				if branch(in.Tap) {
					return in
				}
				return other(of, in)
			}}}
	}
	added := func(id, title string, taps []tap.Tap, other func(of, in tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: "branch", Taps: taps, Title: title, Fix: "ffn_inp adds attn_out; l_out adds ffn_out.",
			Variant: oracle.Variant{Read: func(of, in tap.Key) tap.Key {
				if !branch(in.Tap) {
					return in
				}
				return other(of, in)
			}}}
	}
	sum := "Add the branch to the stream that it left."
	before := func(t tap.Tap) func(of, in tap.Key) tap.Key {
		return func(of, _ tap.Key) tap.Key { return tap.At(of.Step, layerOrNone(of.Layer-1), t) }
	}
	// row adds another token's row of the branch or of the stream.
	row := func(id, title string, ofBranch bool, from func(t, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "row", Taps: both, Title: title, Fix: "Add row t of the branch to row t of the stream.",
			Variant: oracle.Variant{Feed: func(_, in tap.Key, x oracle.Rows, d tap.Dims) oracle.Rows {
				if branch(in.Tap) != ofBranch {
					return x
				}
				return permuted(x, func(i int) int { return from(i/x.Width, d.T)*x.Width + i%x.Width })
			}}}
	}
	first, last := func(int, int) int { return 0 }, func(_, n int) int { return n - 1 }
	embedding := func(of, _ tap.Key) tap.Key { return tap.At(of.Step, tap.NoLayer, tap.InpEmbd) }
	extra := func(id, title string, taps []tap.Tap, other func(of tap.Key) tap.Key) Hypothesis {
		return Hypothesis{ID: id, Aspect: "extra", Taps: taps, Title: title, Fix: sum, Variant: adds(other)}
	}
	return []Hypothesis{
		times("residual-missing", "the stream is not added: the branch alone is passed on", sum, 1, 0),
		times("branch-missing", "the branch is not added: the stream passes unchanged", sum, 0, 1),
		times("residual-twice", "the stream is added twice", sum, 1, 2),
		times("branch-twice", "the branch is added twice", sum, 2, 1),
		times("branch-subtracted", "the branch is subtracted", sum, -1, 1),
		times("residual-subtracted", "the stream is subtracted", sum, 1, -1),
		times("residual-averaged", "branch and stream are averaged", sum, 0.5, 0.5),
		times("residual-over-sqrt-2", "the sum is divided by sqrt(2)", sum, 1/math.Sqrt2, 1/math.Sqrt2),
		skip("residual-from-norm", "the residual is the normed stream instead of the stream", attn, tapOf(tap.AttnNorm)),
		skip("residual-from-norm", "the residual is the normed stream instead of the stream", ffn, tapOf(tap.FFNNorm)),
		skip("residual-before-attention", "the FFN's residual is the stream from before attention, which drops the attention", ffn, streamOf),
		{ID: "residual-before-attention-in-place", Aspect: "stream", Taps: ffn,
			Title: "the FFN's residual is the stream from before attention, which after layer 0 is the very buffer that l_out is written to",
			Fix:   "l_out adds ffn_inp, and is written to another buffer than it is read from.",
			Variant: oracle.Variant{Feed: func(of, in tap.Key, x oracle.Rows, _ tap.Dims) oracle.Rows {
				return undefinedWhere(x, func(int) bool { return of.Layer > 0 && !branch(in.Tap) })
			}, Read: func(of, in tap.Key) tap.Key {
				if branch(in.Tap) {
					return in
				}
				return streamOf(of, in)
			}}},
		skip("residual-from-attn-norm", "the FFN's residual is attn_norm", ffn, tapOf(tap.AttnNorm)),
		skip("residual-from-attn-out", "the FFN's residual is attn_out, without the stream", ffn, tapOf(tap.AttnOut)),
		skip("residual-from-embedding", "the residual is the embedding", both, embedding),
		skip("residual-from-ffn-inp-before", "the residual is ffn_inp of the layer before, which drops that layer's FFN", attn, before(tap.FFNInp)),
		skip("residual-from-layer-before", "the residual is the stream that entered the layer before", attn,
			func(of, _ tap.Key) tap.Key { return stream(of.Step, layerOrNone(of.Layer-1)) }),
		skip("residual-from-ffn-out-before", "the residual is ffn_out of the layer before", attn, before(tap.FFNOut)),
		row("residual-of-first-token", "every token adds the stream of the step's first one", false, first),
		row("residual-of-last-token", "every token adds the stream of the step's last one", false, last),
		row("branch-of-first-token", "every token adds the branch of the step's first one", true, first),
		row("branch-of-last-token", "every token adds the branch of the step's last one", true, last),
		added("branch-is-kqv", "kqv is added instead of attn_out: the output projection is left out", attn, tapOf(tap.KQV)),
		added("branch-of-layer-before", "the layer before's branch is added", both, func(of, in tap.Key) tap.Key {
			return tap.At(of.Step, layerOrNone(of.Layer-1), in.Tap)
		}),
		added("branch-is-attn-out", "attn_out is added once more instead of ffn_out", ffn, tapOf(tap.AttnOut)),
		added("branch-is-ffn-norm", "ffn_norm is added instead of ffn_out: the FFN is left out", ffn, tapOf(tap.FFNNorm)),
		extra("stream-added-too", "the stream from before attention is added as well", ffn,
			func(of tap.Key) tap.Key { return stream(of.Step, of.Layer) }),
		extra("attn-out-added-too", "attn_out is added once more", ffn, func(of tap.Key) tap.Key { return tap.At(of.Step, of.Layer, tap.AttnOut) }),
		extra("embedding-added-too", "the embedding is added as well", both, func(of tap.Key) tap.Key { return tap.At(of.Step, tap.NoLayer, tap.InpEmbd) }),
	}
}
