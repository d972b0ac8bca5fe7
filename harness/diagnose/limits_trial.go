package diagnose

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"attndiff/harness/oracle"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// trial is one hypothesis made on the reference's recordings.
type trial struct {
	Hypothesis
	tap        tap.Tap
	recordings []verdict.Tap // that judge the op
	made       int           // recordings it applies to
	left       int           // recordings that were out of budget
	largest    float64       // the largest error it leaves, in units of what is allowed
}

// hidden reports whether the mistake would have gone unseen. One that was not
// made on every recording of the sample makes no claim.
func (t trial) hidden() bool { return t.left == 0 && !(t.largest > 1) }

// elsewhere reports whether the mistake is seen at another op that the same
// code computes: there is one RMSNorm for three norms, one rotation for Q and
// K, one write for both caches. Biases are each their own: one may be left out
// where it is zero and be missed where it is not.
func (t trial) elsewhere(all []trial) bool {
	code := sharedCode[t.tap]
	return slices.ContainsFunc(all, func(o trial) bool {
		return code != 0 && o.ID == t.ID && sharedCode[o.tap] == code && o.largest > 1
	})
}

// sharedCode numbers the code that more than one op is computed by.
var sharedCode = map[tap.Tap]int{
	tap.AttnNorm: 1, tap.FFNNorm: 1, tap.ResultNorm: 1,
	tap.QRope: 2, tap.KRope: 2,
	tap.KCache: 3, tap.VCache: 3,
	tap.FFNInp: 4, tap.LOut: 4,
}

// trialWork bounds all trials together, in the unit of cost: about a second on
// one core.
const trialWork = 1 << 30

// trials makes every hypothesis of the catalogue, round after round: in each,
// the mistakes not yet seen are made on the next recording that judges their
// op. What a round costs is known before it begins, so that the same run always
// gives the same answer; the cheapest go first.
func (b *Bench) trials() ([]trial, error) {
	l := newLaboratory(b)
	var all []*trial
	for _, t := range tap.All() {
		if recordings := l.sample(t); affordable(t) && len(recordings) > 0 {
			for _, h := range Catalogue(t, b.model()) {
				made := &trial{Hypothesis: h, tap: t, recordings: recordings}
				if !made.aboutValues() {
					made.recordings = ends(recordings)
				}
				all = append(all, made)
			}
		}
	}
	spent := 0
	for round, open := 0, slices.Clone(all); len(open) > 0; round++ {
		open = slices.DeleteFunc(open, func(t *trial) bool {
			return t.largest > 1 || t.left > 0 || round >= len(t.recordings)
		})
		slices.SortStableFunc(open, func(a, b *trial) int {
			return l.cost(a.recordings[round]) - l.cost(b.recordings[round])
		})
		for i, t := range open {
			if spent += l.cost(t.recordings[round]); spent > trialWork {
				for _, t := range open[i:] {
					t.left = len(t.recordings) - round
				}
				open = open[:i]
				break
			}
		}
		if err := l.round(open, round); err != nil {
			return nil, err
		}
	}
	out := make([]trial, len(all))
	for i, t := range all {
		out[i] = *t
	}
	return out, nil
}

// affordable reports whether trials at a tap are worth their time: projections
// cost the most and hide the least, so the smallest stands for all.
func affordable(t tap.Tap) bool {
	switch t {
	case tap.QProj, tap.VProj, tap.AttnOut, tap.FFNGate, tap.FFNUp, tap.FFNOut, tap.ResultOutput:
		return false
	}
	return true
}

// spoken reports whether the oracle had its say about a recording.
func spoken(t verdict.Tap) bool {
	return t.Status != verdict.NoOracle && t.Status != verdict.Missing && !math.IsNaN(t.OpOurs)
}

// laboratory recomputes recordings of the reference, limited to the inputs
// that ours recorded, so that what is composed for ours is composed here.
type laboratory struct {
	bench  *Bench
	source *heldRecordings // the reference's
	oracle *oracle.Oracle

	mu    sync.Mutex
	right map[tap.Key]oracle.Value // under no mistake
}

func newLaboratory(b *Bench) *laboratory {
	hp := b.Reference.Meta().Hparams
	return &laboratory{bench: b, source: holdRecordings(b.Reference), right: map[tap.Key]oracle.Value{},
		oracle: oracle.New(b.weights, hp, oracle.Default(hp))}
}

// round makes each mistake on its next recording, on all cores.
func (l *laboratory) round(open []*trial, round int) error {
	return l.bench.each(len(open), func(i int) error { return l.make(open[i], open[i].recordings[round]) })
}

// sample picks the recordings that judge a tap: its own or, where there are
// none, those judged across it; the last step first, which sees the most and
// costs the least, then the prompt's.
func (l *laboratory) sample(of tap.Tap) []verdict.Tap {
	var own, across []verdict.Tap
	last := len(l.bench.Ours.Meta().Steps) - 1
	for _, t := range l.bench.Result.Taps {
		switch {
		case !spoken(t) || t.Key.Step != 0 && t.Key.Step != last:
		case t.Key.Tap == of:
			own = append(own, t)
		case slices.Contains(t.Composed, of):
			across = append(across, t)
		}
	}
	if len(own) == 0 {
		own = across
	}
	slices.SortStableFunc(own, func(a, b verdict.Tap) int { return b.Key.Step - a.Key.Step })
	return own
}

// ends keeps the first and the last layer of each step: what hides a mistake
// about order, place or length hides it in every layer. What hides one about
// values need not.
func ends(recordings []verdict.Tap) []verdict.Tap {
	var out []verdict.Tap
	for i, r := range recordings {
		if i == 0 || i == len(recordings)-1 || r.Key.Step != recordings[i-1].Key.Step || r.Key.Step != recordings[i+1].Key.Step {
			out = append(out, r)
		}
	}
	return out
}

// make makes one mistake on one recording.
func (l *laboratory) make(t *trial, r verdict.Tap) error {
	wrong, err := l.eval(l.oracle.With(t.Variant), r.Key)
	if errors.Is(err, oracle.ErrNotApplicable) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s on %s: %w", t.ID, r.Key, err)
	}
	right, err := l.unharmed(r.Key)
	if err != nil {
		return err
	}
	t.made++
	t.largest = max(t.largest, excess(wrong, right, r))
	return nil
}

// unharmed is the recording under no mistake.
func (l *laboratory) unharmed(k tap.Key) (oracle.Value, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, ok := l.right[k]; ok {
		return v, nil
	}
	v, err := l.eval(l.oracle, k)
	if err == nil {
		l.right[k] = v
	}
	return v, err
}

func (l *laboratory) eval(o *oracle.Oracle, k tap.Key) (oracle.Value, error) {
	ours := func(k tap.Key) bool { _, ok := l.bench.Ours.Info(k); return ok }
	values, err := o.Eval([]oracle.Request{{Side: oracle.NewSide(l.source, oracle.PlainF32, ours), Key: k}})
	if err != nil {
		return oracle.Value{}, err
	}
	return values[0], nil
}

// cost is roughly how many nanoseconds a recording takes.
func (l *laboratory) cost(r verdict.Tap) int { return l.bench.cost(r.Key, r.Inputs, r.Composed) }
