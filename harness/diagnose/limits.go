package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"attndiff/traces/tap"
)

// Limit is one kind of mistake that this run could not have shown.
type Limit struct {
	What     string   // the mistakes that could hide
	Why      string   // the fact of this run that hides them, with its numbers
	Show     string   // the option that would show them, as part of a command
	Mistakes []string // IDs of the hypotheses that changed nothing here; empty where none was tried
}

// Limits says what a verdict of this run does not cover. Every hypothesis of
// the catalogue is made on the reference's own recordings, as a trial: one that
// changes no recording beyond its allowance would have gone unseen. Taps and
// layers that were not recorded come first, then what hides the most mistakes.
func Limits(b Bench) ([]Limit, error) {
	if b.Model == nil {
		return []Limit{{What: "every mistake that drifts no more than rounding may",
			Why: "no op was recomputed: the model is not known", Show: "--model FILE"}}, nil
	}
	b.prepare()
	r := b.scope()
	tried, err := b.trials()
	if err != nil {
		return nil, err
	}
	hidden := map[int][]trial{} // by reason
	for _, t := range tried {
		if t.hidden() && r.possible(t) && !t.elsewhere(tried) {
			i := slices.IndexFunc(reasons, func(why reason) bool { return why.hides(r, t) })
			hidden[i] = append(hidden[i], t)
		}
	}
	var unseen []Limit
	for i, why := range reasons {
		if len(hidden[i]) > 0 {
			unseen = append(unseen, Limit{What: why.what(r, hidden[i]), Why: why.why(r, hidden[i]), Show: why.show(r), Mistakes: ids(hidden[i])})
		}
	}
	slices.SortStableFunc(unseen, func(a, b Limit) int { return len(b.Mistakes) - len(a.Mistakes) })
	return append(r.unreached(), unseen...), nil
}

// summary names what mistakes are about, a clause for each op or ops alike:
// "RoPE of Q and RoPE of K: pairing, frequency".
func summary(hidden []trial) []string {
	var ops []string
	aspects := map[string][]string{} // by op
	spread := map[string]int{}       // ops by aspect
	for _, t := range hidden {
		op, aspect := opNames[t.tap], t.about()
		if !slices.Contains(ops, op) {
			ops = append(ops, op)
		}
		if !slices.Contains(aspects[op], aspect) {
			aspects[op] = append(aspects[op], aspect)
			spread[aspect]++
		}
	}
	var clauses []string
	common := slices.DeleteFunc(slices.Sorted(maps.Keys(spread)), func(a string) bool { return spread[a] <= len(opNames)/4 })
	if len(common) > 0 {
		clauses = append(clauses, "most ops: "+strings.Join(common, ", "))
	}
	about := func(op string) string {
		own := slices.DeleteFunc(slices.Clone(aspects[op]), func(a string) bool { return slices.Contains(common, a) })
		return strings.Join(own, ", ")
	}
	ops = slices.DeleteFunc(ops, func(op string) bool { return about(op) == "" })
	for len(ops) > 0 {
		this := about(ops[0])
		var alike []string
		for _, op := range ops {
			if about(op) == this {
				alike = append(alike, op)
			}
		}
		ops = slices.DeleteFunc(ops, func(op string) bool { return slices.Contains(alike, op) })
		clauses = append(clauses, prose(alike)+": "+this)
	}
	return clauses
}

// about words the part of the op that a mistake is about.
func (t trial) about() string {
	if words, ok := aspectNames[t.Aspect]; ok {
		return words
	}
	if of, ok := strings.CutSuffix(t.Aspect, " type"); ok {
		return "precision of " + of
	}
	return t.Aspect
}

// aspectNames are words for aspects that say little beside an op's name.
var aspectNames = map[string]string{
	"type": "precision", "whole": "another row's, layer's or step's result", "coverage": "tails of blocks",
	"terms": "terms of the sum", "beta": "adding to what was there", "written": "place of the result",
	"turns": "direction", "amount": "left out or added twice", "row": "rows", "source": "what is stored",
}

func ids(hidden []trial) []string {
	var out []string
	for _, t := range hidden {
		out = append(out, t.ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// prose joins words as prose does: "a, b and c".
func prose(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// opNames are words for ops that read better than taps.
var opNames = map[tap.Tap]string{
	tap.InpEmbd: "embedding", tap.AttnNorm: "attention norm", tap.FFNNorm: "feed-forward norm", tap.ResultNorm: "final norm",
	tap.QProj: "Q projection", tap.KProj: "projections", tap.VProj: "V projection", // K stands for all, see trials
	tap.QBias: "bias of Q", tap.KBias: "bias of K", tap.VBias: "bias of V",
	tap.QRope: "RoPE of Q", tap.KRope: "RoPE of K", tap.KCache: "K cache", tap.VCache: "V cache",
	tap.KQ: "scores", tap.KQSoftMax: "softmax", tap.KQV: "weighted sum", tap.AttnOut: "output projection",
	tap.FFNInp: "attention residual", tap.FFNGate: "gate", tap.FFNUp: "up", tap.FFNSwiglu: "SwiGLU", tap.FFNOut: "down",
	tap.LOut: "feed-forward residual", tap.ResultOutput: "logits",
}

// scope is what a run reached.
type scope struct {
	bench    *Bench
	steps    int
	longest  int              // tokens in the largest step
	cells    int              // cache length at the end
	layers   []int            // judged
	judged   map[tap.Tap]bool // by itself
	composed map[tap.Tap]bool // across a gap
}

// scope gathers what was judged.
func (b *Bench) scope() *scope {
	meta := b.Ours.Meta()
	r := &scope{bench: b, steps: len(meta.Steps), cells: len(meta.Tokens), longest: slices.Max(meta.Steps),
		judged: map[tap.Tap]bool{}, composed: map[tap.Tap]bool{}}
	for _, t := range b.Result.Taps {
		if !spoken(t) {
			continue
		}
		r.judged[t.Key.Tap] = true
		for _, c := range t.Composed {
			r.composed[c] = true
		}
		if t.Key.Layer >= 0 {
			r.layers = append(r.layers, t.Key.Layer)
		}
	}
	slices.Sort(r.layers)
	r.layers = slices.Compact(r.layers)
	return r
}

// possible reports whether a mistake can be made with this model at all. One
// that applied nowhere reads what is not there: an earlier step or another
// layer, which a longer run has, or a weight, which no run of this model has.
func (r *scope) possible(t trial) bool {
	return t.made > 0 || len(r.layers) == 1 || r.steps == 1 && t.Aspect != "weight" && t.Aspect != "table"
}

// unreached are the limits that follow from what was recorded.
func (r *scope) unreached() []Limit {
	var out []Limit
	var across, never []string
	for _, t := range tap.All() {
		switch {
		case r.judged[t]:
		case r.composed[t]:
			across = append(across, t.String())
		default:
			never = append(never, t.String())
		}
	}
	if never != nil {
		out = append(out, Limit{What: "any mistake in " + prose(never),
			Why: "ours did not record it, and nothing that was recorded follows from it", Show: "record all taps: leave out --taps and --layers"})
	}
	if across != nil {
		out = append(out, Limit{What: "which of " + prose(across) + " is wrong, and mistakes in them that cancel",
			Why: "ours did not record them; they were judged together, across the gap", Show: "record all taps: leave out --taps, or --path fused"})
	}
	if n := r.bench.Ours.Meta().Hparams.NLayer; len(r.layers) > 0 && len(r.layers) < n {
		out = append(out, Limit{What: "mistakes in one layer alone: its weights, its place in the cache",
			Why: fmt.Sprintf("%d of %d layers were recorded", len(r.layers), n), Show: "leave out --layers"})
	}
	return out
}
