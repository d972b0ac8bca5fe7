package document

import (
	"fmt"
	"math"
	"slices"

	"attndiff/harness/oracle"
	"attndiff/harness/report"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
)

// trial holds rival formulas of one op against what both sides recorded.
type trial struct {
	key    tap.Key
	rivals []rival
	ref    []float64 // NMSE that each rival leaves on the reference's recording; NaN where it cannot be tried
	ours   []float64
	shown  bool // its table is on the page
}

// rival is one way to compute an op. The first of a trial's is the model's.
type rival struct {
	name    string // Markdown
	variant oracle.Variant
}

// trials are the experiments of a run by name; one that this run cannot make
// is not there.
type trials struct {
	made map[string]*trial
	why  string // why none could be made, "" when they could
}

// runTrials makes every experiment that the recordings allow.
func runTrials(m *material, model *gguf.File) (*trials, error) {
	all := &trials{made: map[string]*trial{}}
	if model == nil {
		all.why = "no model was given, so formulas could not be tried on the recordings"
		return all, nil
	}
	o := oracle.New(oracle.GGUF(model), m.hp, oracle.Default(m.hp))
	for _, p := range proposals(m) {
		key, ok := m.trialKey(p)
		if !ok {
			continue
		}
		t := &trial{key: key, rivals: p.rivals}
		for _, r := range p.rivals {
			t.ref = append(t.ref, residual(o, m.ref, oracle.GGML, key, r.variant))
			t.ours = append(t.ours, residual(o, m.ours, oracle.PlainF32, key, r.variant))
		}
		if !math.IsNaN(t.ref[0]) || !math.IsNaN(t.ours[0]) {
			all.made[p.name] = t
		}
	}
	return all, nil
}

// trialKey chooses the recording that an experiment is made on: layer 0, the
// smallest step that can tell the rivals apart.
func (m *material) trialKey(p proposal) (tap.Key, bool) {
	steps := m.ref.Meta().Steps
	order := []int{1, 0}
	for _, step := range order {
		if step >= len(steps) || p.suits != nil && !p.suits(m.dims(step)) {
			continue
		}
		key := tap.At(step, 0, p.tap)
		if recorded(m.ref, key) || recorded(m.ours, key) {
			return key, true
		}
	}
	return tap.Key{}, false
}

// recorded reports whether a side has a recording in the model's shape.
func recorded(s *side, k tap.Key) bool {
	info, ok := s.Info(k)
	return ok && slices.Equal(info.Shape, k.Tap.Shape(s.Dims(k.Step)))
}

// residual is the NMSE between a recording and what a variant makes of its
// recorded inputs; NaN when there is nothing to compare.
func residual(o *oracle.Oracle, s *side, arith oracle.Arithmetic, k tap.Key, v oracle.Variant) float64 {
	if !recorded(s, k) {
		return math.NaN()
	}
	got, err := s.Float64(k, nil)
	if err != nil {
		return math.NaN()
	}
	values, err := o.With(v).Eval([]oracle.Request{{Side: oracle.NewSide(s.Reader, arith, nil), Key: k}})
	if err != nil || len(values[0].Data) != len(got) {
		return math.NaN()
	}
	var diff, energy float64
	for i, want := range values[0].Data {
		diff += (got[i] - want) * (got[i] - want)
		energy += want * want
	}
	if diff == 0 {
		return 0
	}
	return diff / energy
}

// best is the rival that fits a side's recording: the one that leaves least,
// if it leaves less than a hundredth of the signal and of what any other does.
// -1 when none stands out.
func best(residuals []float64) int {
	const apart = 100
	at := -1
	for i, r := range residuals {
		if !math.IsNaN(r) && (at < 0 || r < residuals[at]) {
			at = i
		}
	}
	if at < 0 || residuals[at] > 1.0/apart {
		return -1
	}
	for i, r := range residuals {
		if i != at && !(r > apart*residuals[at]) && !math.IsNaN(r) {
			return -1
		}
	}
	return at
}

// table shows a trial, the best rival of each side in bold.
func (t *trial) table() ([]string, [][]string) {
	rows := make([][]string, len(t.rivals))
	for i, r := range t.rivals {
		rows[i] = []string{r.name, measured(t.ref, i), measured(t.ours, i)}
	}
	return []string{"experiment: " + t.place() + " recomputed as", "llama.cpp is off by", "ours is off by"}, rows
}

// measured is one residual of a list.
func measured(list []float64, i int) string {
	if math.IsNaN(list[i]) {
		return "-"
	}
	s := report.Number(list[i]).String()
	if list[i] == 0 {
		s = "0, bit for bit"
	}
	if best(list) == i {
		s = "**" + s + "**"
	}
	return s
}

// place says which recording a trial is made on: "`kq`, layer 0, step 1".
func (t *trial) place() string {
	return fmt.Sprintf("%s, layer %d, step %d (%s)", code(t.key.Tap.String()), t.key.Layer, t.key.Step, report.Phase(t.key.Step))
}

// verdicts say which rival each side computes.
func (t *trial) verdicts() (ref, ours string) { return t.verdict(t.ref), t.verdict(t.ours) }

func (t *trial) verdict(residuals []float64) string {
	if i := best(residuals); i >= 0 {
		return t.rivals[i].name
	}
	return "none of these"
}

// both says which rival each side computes and shows the trial's table where
// it comes up first; nothing when the trial could not be made.
func (all *trials) both(p *page, name, about string) {
	t := all.made[name]
	if t == nil {
		return
	}
	ref, ours := t.verdicts()
	said := fmt.Sprintf("%s: llama.cpp computes %s, ours %s.", about, ref, ours)
	if ref == ours {
		said = fmt.Sprintf("%s: both sides compute %s.", about, ref)
	}
	if math.IsNaN(t.ref[0]) {
		said = fmt.Sprintf("%s: ours computes %s; llama.cpp did not record it.", about, ours)
	} else if math.IsNaN(t.ours[0]) {
		said = fmt.Sprintf("%s: llama.cpp computes %s; ours did not record it.", about, ref)
	}
	if t.shown {
		p.para("%s The experiment is above.", said)
		return
	}
	t.shown = true
	p.para("%s", said)
	p.table(t.table())
}

// evidence is a trial in a clause; "" when it could not be made.
func (all *trials) evidence(name string) string {
	t := all.made[name]
	if t == nil || math.IsNaN(t.ref[0]) {
		return ""
	}
	next := math.NaN()
	for _, r := range t.ref[1:] {
		if !(r >= next) {
			next = r
		}
	}
	s := fmt.Sprintf("experiment on llama.cpp's %s: %s leaves %s", t.place(), t.rivals[0].name, report.Number(t.ref[0]))
	if !math.IsNaN(next) {
		s += fmt.Sprintf(", any other tried at least %s", report.Number(next))
	}
	return s
}
