package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attndiff/traces/tap"
)

// reason is a fact of a run that hides mistakes.
type reason struct {
	hides func(*scope, trial) bool
	also  func(*scope) []string // what it hides that no hypothesis says
	why   func(*scope, []trial) string
	how   string // the option that would show them
	more  string // the same when the run had that option already
}

// what names the mistakes.
func (why reason) what(r *scope, hidden []trial) string {
	var clauses []string
	if why.also != nil {
		clauses = why.also(r)
	}
	return strings.Join(append(clauses, summary(hidden)...), "; ")
}

// show is the option that would show them.
func (why reason) show(r *scope) string {
	if why.more != "" && r.cells > padding {
		return why.more
	}
	return why.how
}

// reasons from the most to the least particular; the last holds for whatever
// the others do not explain.
var reasons = []reason{
	{
		hides: func(r *scope, t trial) bool {
			return biasOf[t.tap] != "" && t.Aspect != "coverage" && !t.aboutValues() && r.largestBias(t.tap) == 0
		},
		why: func(_ *scope, hidden []trial) string {
			var names []string
			for _, t := range hidden {
				names = append(names, opNames[t.tap])
			}
			return prose(slices.Compact(names)) + ": zero in every layer of this model"
		},
		how: "--model FILE with biases, such as a Qwen2.5",
	},
	{
		hides: func(r *scope, t trial) bool { return r.cells == 1 && !t.aboutValues() },
		also: func(*scope) []string {
			return []string{"score scale, mask and RoPE", "the head map of K, but for kq itself", "the strides of the cache"}
		},
		why: func(*scope, []trial) string {
			return "one token was fed, at position 0: RoPE turns by 0, softmax over one position is 1 whatever the score, and the cache has one row"
		},
		how: "--prompt haiku",
	},
	{
		hides: func(r *scope, t trial) bool { return r.steps == 1 && !t.aboutValues() },
		why: func(r *scope, _ []trial) string {
			return fmt.Sprintf("nothing was decoded: %s fed in one step, which found the cache empty", plural(r.cells, "token"))
		},
		how: "--steps 8",
	},
	{
		hides: func(r *scope, t trial) bool { return r.longest == 1 && !t.aboutValues() },
		why: func(r *scope, _ []trial) string {
			return fmt.Sprintf("each of the %d steps fed one token, so no step has rows to mix up or a later column to mask", r.steps)
		},
		how: "--prompt haiku, fed in one step",
	},
	{
		hides: func(r *scope, t trial) bool { return len(r.layers) == 1 && !t.aboutValues() },
		why:   func(r *scope, _ []trial) string { return fmt.Sprintf("layer %d alone was judged", r.layers[0]) },
		how:   "leave out --layers",
	},
	{
		hides: func(r *scope, t trial) bool {
			return t.ofCache() && t.aboutValues() && r.bench.Ours.Meta().Hparams.KVType == "f32"
		},
		why: func(*scope, []trial) string { return "the KV cache is f32: nothing is rounded to f16 on the way in" },
		how: "--kv f16",
	},
	{
		hides: func(r *scope, t trial) bool { return t.ofCache() && t.aboutValues() },
		why: func(r *scope, _ []trial) string {
			return fmt.Sprintf("the largest element of the cache is %.3g, far from where f16 ends (%d)", r.largestCached(), largestHalf)
		},
		how: "--model FILE with larger keys or values",
	},
	{
		hides: func(r *scope, t trial) bool { return t.ofNorm() && (t.Aspect == "eps" || t.Aspect == "root") },
		why: func(r *scope, hidden []trial) string {
			return fmt.Sprintf("the norms read rows with a mean square of %.2g or more, beside which eps = %.0e is nothing",
				r.smallestSquare(hidden), r.bench.Ours.Meta().Hparams.RMSEps)
		},
		how: "--model FILE with a smaller residual stream",
	},
	{
		hides: func(r *scope, t trial) bool { return t.Aspect == "peak" },
		why: func(r *scope, _ []trial) string {
			return fmt.Sprintf("scaled scores reach %.3g; exp overflows past %.1f", r.largestScore(), math.Log(math.MaxFloat32))
		},
		how: "--model FILE with larger scores",
	},
	{
		hides: func(r *scope, t trial) bool { return t.largest == 0 && !t.aboutTypes() && t.Aspect != notFinite },
		also: func(r *scope) []string {
			if r.cells > padding {
				return nil
			}
			return []string{fmt.Sprintf("columns past %d, to a multiple of which llama.cpp pads", padding)}
		},
		why: func(r *scope, _ []trial) string {
			hp := r.bench.Ours.Meta().Hparams
			return fmt.Sprintf("%s in the longest step, %s in the cache, rows of %d, %d and %d: they end within a block of threads, or with one",
				plural(r.longest, "token"), plural(r.cells, "position"), hp.HeadDim, hp.NEmbd, hp.NFF)
		},
		how:  "--prompt long --steps 16",
		more: "--prompt-file FILE of a longer text",
	},
	{
		hides: func(r *scope, t trial) bool { return t.Aspect == notFinite },
		why:   func(*scope, []trial) string { return "no value of llama.cpp's is NaN or Inf in this run" },
		how:   "--kv f16 and a --model FILE with keys or values beyond 65504",
	},
	{
		hides: func(r *scope, t trial) bool { return t.aboutValues() },
		why: func(r *scope, _ []trial) string {
			return fmt.Sprintf("weights are %s and the cache is %s: llama.cpp rounds to these types itself, so ours may lose as much",
				r.bench.Model.WeightTypes(), r.bench.Ours.Meta().Hparams.KVType)
		},
		how: "--kv f32 and a --model FILE of F32 weights",
	},
	{
		hides: func(*scope, trial) bool { return true },
		why: func(_ *scope, hidden []trial) string {
			most := 0.0
			for _, t := range hidden {
				most = math.Max(most, t.largest)
			}
			return fmt.Sprintf("made on llama.cpp's own recordings of this run, they change no more than %.2g times what rounding may", most)
		},
		how: "another --prompt, --model or --kv",
	},
}

// padding is the multiple that llama.cpp pads the columns of attention to
// (llama_kv_cache::get_n_kv, llama-kv-cache.cpp).
const padding = 256

// aboutValues reports whether a mistake acts on the size or the precision of
// values, so that it is them and not the shape of the run that hide it.
func (t trial) aboutValues() bool {
	switch t.Aspect {
	case "eps", "root", "terms", "accumulation", notFinite:
		return true
	}
	return t.aboutTypes()
}

func (t trial) aboutTypes() bool { return strings.HasSuffix(t.Aspect, "type") }

func (t trial) ofCache() bool { return t.tap == tap.KCache || t.tap == tap.VCache }

func (t trial) ofNorm() bool {
	return t.tap == tap.AttnNorm || t.tap == tap.FFNNorm || t.tap == tap.ResultNorm
}
