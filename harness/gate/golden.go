package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Golden is a recording of llama.cpp made earlier, which tells whether llama.cpp
// itself moved. Ours has no part in what it is held against.
//
// Two builds of one llama.cpp differ too: another processor adds in another
// order. So the file says, for each recording, by how much llama.cpp may differ
// from it and still be the same: 4 times what it strayed, when it was recorded,
// from an engine that rounds nothing but f32 (ours, with every op right), or the
// op's allowance then, whichever is larger. Both recordings err from exact
// arithmetic by about that drift, so one is not further from the other than
// twice its amplitude.
type Golden struct {
	Name          string
	Model, Prompt string
	KV            string
	Steps         int
	Taps          []tap.Tap
	Path          string // of the trace
	Line          int    // in the matrix
}

// String names the golden as a case.
func (g Golden) String() string { return "golden/" + g.Name }

// roundingNote is the trace's note with what rounding explains: a JSON object
// of NMSE by tensor name.
const roundingNote = "rounding"

// look runs the reference as a golden has it and says which taps moved. In an
// update it makes the golden anew where it is missing or out of date.
func (g *Gate) look(ctx context.Context, want Golden, r *Result) error {
	old, err := want.open()
	if err != nil {
		return err
	}
	if old != nil {
		defer old.Close()
	}
	m, err := g.shelf.get(want.Model)
	if err != nil {
		return err
	}
	prompt, err := g.lexicon.ids(ctx, m, want.Prompt)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(g.Dir, "golden-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if r.Problems = append(r.Problems, want.strange(old, m, prompt)...); len(r.Problems) == 0 {
		if err := g.repeat(ctx, want, old, m, dir, r); err != nil {
			return err
		}
	}
	if g.Update && (len(r.Problems) > 0 || len(r.Notes) > 0) {
		return g.renew(ctx, want, m, prompt, r)
	}
	return nil
}

// open opens the golden's trace; nil when there is none yet.
func (want Golden) open() (*trace.Reader, error) {
	old, err := trace.Open(want.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return old, err
}

// strange says why a golden cannot be held against the reference.
func (want Golden) strange(old *trace.Reader, m *opened, prompt []int32) []Problem {
	text := ""
	switch {
	case old == nil:
		text = want.Path + " is not there"
	case old.Meta().ModelSHA256 != m.id.SHA256:
		text = want.Path + " was recorded from another model file"
	case old.Meta().Hparams.KVType != want.KV || !slices.Equal(taps(old), slices.Sorted(slices.Values(want.Taps))):
		text = want.Path + " holds other taps or another type of cache than the matrix asks for"
	case !slices.Equal(old.Meta().Tokens[:old.Meta().Steps[0]], prompt):
		text = fmt.Sprintf("the prompt has other tokens than in %s: the prompt or llama.cpp's tokenizer changed", want.Path)
	default:
		return nil
	}
	return []Problem{{Kind: Moved, Layers: []int{}, Steps: []int{}, Text: text + "; run `attndiff gate --update` to record it"}}
}

// taps lists what a trace holds.
func taps(r *trace.Reader) []tap.Tap {
	var all []tap.Tap
	for _, k := range r.Keys() {
		all = append(all, k.Tap)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// repeat runs the reference on a golden's tokens and compares.
func (g *Gate) repeat(ctx context.Context, want Golden, old *trace.Reader, m *opened, dir string, r *Result) error {
	meta := old.Meta()
	path := filepath.Join(dir, "now.safetensors")
	job := session.Job{
		Spec:  session.Spec{Engine: engines.LlamaCPU, Model: m.Path, KV: want.KV, Threads: g.threads(), Context: len(meta.Tokens)},
		Model: m.id, Tokens: meta.Tokens,
		Passes: []session.Pass{{Name: "record", Steps: meta.Steps, Trace: path, Select: session.Selection{Taps: want.Taps}}},
	}
	res, err := g.Runner.Do(ctx, job)
	var died *session.Failure
	if errors.As(err, &died) {
		r.Problems = []Problem{{Kind: Died, Layers: []int{}, Steps: []int{}, Text: died.Error()}}
		return nil
	}
	if err != nil {
		return err
	}
	now, err := trace.Open(path)
	if err != nil {
		return err
	}
	defer now.Close()
	if r.Problems, err = moved(old, now); err != nil {
		return fmt.Errorf("%s: %w", want.Path, err)
	}
	if was := meta.EngineVersion; was != res.Info.Version {
		r.Notes = append(r.Notes, fmt.Sprintf("the golden was recorded with %s, this is %s", was, res.Info.Version))
	}
	return nil
}

// moved lists the taps in which two recordings of the reference differ by more
// than rounding explains.
func moved(old, now *trace.Reader) ([]Problem, error) {
	explained := map[string]float64{}
	if err := json.Unmarshal([]byte(old.Meta().Notes[roundingNote]), &explained); err != nil {
		return nil, fmt.Errorf("metadata note.%s: %w; record it again with `attndiff gate --update`", roundingNote, err)
	}
	list := []Problem{}
	at := map[tap.Tap]int{}
	largest := map[tap.Tap]float64{}
	for _, k := range old.Keys() {
		e, why, err := apart(old, now, k)
		if err != nil {
			return nil, err
		}
		if allowed := explained[k.String()]; why == "" && e <= allowed {
			continue
		} else if why == "" {
			why = fmt.Sprintf("NMSE to the recording of %s is %.2g, rounding explains %.2g", old.Meta().EngineVersion, e, allowed)
		}
		i, again := at[k.Tap]
		if !again {
			i = len(list)
			at[k.Tap] = i
			list = append(list, Problem{Kind: Moved, Tap: k.Tap.String(), Layers: []int{}, Steps: []int{}})
			largest[k.Tap] = -1
		}
		p := &list[i]
		if k.Layer >= 0 {
			p.Layers = insert(p.Layers, k.Layer)
		}
		p.Steps = insert(p.Steps, k.Step)
		if !(e <= largest[k.Tap]) {
			largest[k.Tap], p.Text = e, "the reference moved: "+why
		}
	}
	return list, nil
}

// apart is the NMSE between two recordings of one key, or why there is none.
func apart(old, now *trace.Reader, k tap.Key) (float64, string, error) {
	was, _ := old.Info(k)
	is, ok := now.Info(k)
	if !ok {
		return 0, "is no longer recorded", nil
	}
	if !slices.Equal(was.Shape, is.Shape) {
		return 0, fmt.Sprintf("its shape is %v and was %v", is.Shape, was.Shape), nil
	}
	a, err := now.Float32(k, nil)
	if err != nil {
		return 0, "", err
	}
	b, err := old.Float32(k, nil)
	if err != nil {
		return 0, "", err
	}
	return verdict.Measure(a, b, was.Shape).NMSE, "", nil
}

// renew records a golden anew, with what rounding explains. Where ours is
// wrong it does not know that, and the golden stays as it is.
func (g *Gate) renew(ctx context.Context, want Golden, m *opened, prompt []int32, r *Result) error {
	work, err := session.NewWorkspace(filepath.Join(g.Dir, "renewed-"+want.Name))
	if err != nil {
		return err
	}
	defer work.Close()
	plan := &session.Plan{
		Reference: session.Side{Engine: engines.LlamaCPU}, Ours: session.Side{Engine: engines.OursEmu},
		Spec:  session.Spec{Model: m.Path, KV: want.KV, Threads: g.threads()},
		Model: m.id, ContextLimit: m.ContextLength, Tokens: prompt, Decode: want.Steps, Repeat: 1, Dir: work.Dir(),
	}
	run := comparison.Comparison{Plan: plan, Runner: g.Runner, Model: m.File, Began: time.Now(), Input: report.Input{Command: r.Rerun}}
	d, err := run.Run(ctx)
	if err != nil {
		return err
	}
	if d.Report.Verdict != verdict.Parity {
		r.Problems = append(r.Problems, Problem{Kind: Diverges, Layers: []int{}, Steps: []int{},
			Text: "ours is not at parity here, so that what rounding explains is not known; mend ours, then run `attndiff gate --update`"})
		return nil
	}
	r.golden = filepath.Join(g.Dir, "golden-"+want.Name+".safetensors")
	r.Problems = []Problem{}
	return want.write(r.golden, d.Input.Run.Reference.File, d.Input.Result)
}

// write writes the golden's taps of a recording, with what rounding explains.
func (want Golden) write(path, from string, result *verdict.Result) error {
	all, err := trace.Open(from)
	if err != nil {
		return err
	}
	defer all.Close()
	w, err := trace.Create(path, len(result.Taps))
	if err != nil {
		return err
	}
	defer w.Abort()
	explained := map[string]json.Number{}
	for _, t := range result.Taps {
		info, ok := all.Info(t.Key)
		if !ok || !slices.Contains(want.Taps, t.Key.Tap) {
			continue
		}
		raw, err := all.Raw(t.Key, nil)
		if err != nil {
			return err
		}
		if err := w.Put(t.Key, info.DType, info.Shape, raw); err != nil {
			return err
		}
		explained[t.Key.String()] = json.Number(figure(max(growthFactor*t.Drift.NMSE, t.Allowance)))
	}
	note, err := json.Marshal(explained)
	if err != nil {
		return err
	}
	meta := all.Meta()
	meta.Notes = map[string]string{roundingNote: string(note)}
	return w.Close(meta)
}
