package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"attndiff/harness/engines"
	"attndiff/harness/gate"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/ours/emu"
	"attndiff/ours/kernels"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// lab is where mutants are examined.
type lab struct {
	dir    string // for files
	self   string // this program
	src    kernels.Source
	graph  *graph
	trials []*trial
	plain  map[bool][]byte // the libraries of the kernels as they are, by emu's Options.Bounds
}

// newLab prepares the trials and makes sure that nothing is found wrong with
// the kernels as they are.
func newLab(ctx context.Context, dir, self string, src kernels.Source, trials []*trial) (*lab, error) {
	l := &lab{dir: dir, self: self, src: src, trials: trials, plain: map[bool][]byte{}}
	var err error
	if l.graph, err = newGraph(src); err != nil {
		return nil, err
	}
	for _, bounds := range []bool{false, true} {
		if l.plain[bounds], err = library(src, bounds); err != nil {
			return nil, err
		}
	}
	for i, t := range l.trials {
		if err := t.prepare(ctx, dir, l.runner()); err != nil {
			return nil, err
		}
		log, clean := filepath.Join(dir, fmt.Sprintf("launches-%d", i)), filepath.Join(dir, fmt.Sprintf("clean-%d", i))
		found := Finding{Fate: Survived}
		if err := l.try(ctx, t, &found, nil, clean, "-launches", log); err != nil {
			return nil, err
		}
		if found.Fate != Survived {
			return nil, fmt.Errorf("trial %s: the kernels as they are come out as %s: %s", t.name, found.Fate, found.What)
		}
		if err := t.take(clean + "-0"); err != nil {
			return nil, err
		}
		if t.taps, err = logged(log); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// complete says which kernel no trial launches.
func (l *lab) complete() error {
	for _, k := range l.graph.kernels {
		if !slices.ContainsFunc(l.trials, func(t *trial) bool { return t.taps[k.Name] != nil }) {
			return fmt.Errorf("%s: no trial launches kernel %s, so nothing can be said of its mutants; add a trial", k.File, k.Name)
		}
	}
	return nil
}

// close closes the trials.
func (l *lab) close() {
	for _, t := range l.trials {
		t.close()
	}
}

// runner starts workers.
func (l *lab) runner(args ...string) *session.Runner {
	return &session.Runner{Worker: append([]string{l.self, "worker"}, args...), Timeout: 5 * time.Minute}
}

// library builds the kernels and returns the bytes of their library.
func library(src kernels.Source, bounds bool) ([]byte, error) {
	path, err := emu.Build(src, emu.Options{Bounds: bounds})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// examine finds out what becomes of a mutant. An error means that this machine
// could not find out.
func (l *lab) examine(ctx context.Context, m mutant) (*Finding, error) {
	f := &Finding{mutant: m, Fate: Survived}
	src := m.apply(l.src)
	code, err := library(src, true)
	if err != nil {
		f.Fate, f.What = Invalid, err.Error()
		return f, nil
	}
	if bytes.Equal(code, l.plain[true]) {
		f.same()
		return f, nil
	}
	dir, err := os.MkdirTemp(l.dir, "mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, m.File)
	if err := os.WriteFile(file, []byte(text(src, m.File)), 0o600); err != nil {
		return nil, err
	}
	reached := l.graph.reached(m)
	for _, t := range l.trials {
		if !t.shows(reached) {
			continue
		}
		if err := l.try(ctx, t, f, reached, filepath.Join(dir, "ours"), "-replace", file); err != nil {
			return nil, fmt.Errorf("%s: trial %s: %w", m, t.name, err)
		}
		if f.Fate != Survived {
			f.Trial = t.name
			return f, nil
		}
	}
	// What looks for wrong indices holds lines and columns.
	if code, err = library(src, false); err != nil {
		return nil, err
	}
	if bytes.Equal(code, l.plain[false]) {
		f.same()
	}
	return f, nil
}

// text returns a kernel file's text.
func text(src kernels.Source, name string) string {
	for _, f := range src.Files() {
		if f.Name == name {
			return f.Text
		}
	}
	return ""
}

// try makes the runs of one trial, until something is noticed: with seed 0 as a
// diff makes it, with others as its repetitions are; see engines.Emulate.
// Recordings go to path-SEED. reached are the kernels that the mutant changes.
func (l *lab) try(ctx context.Context, t *trial, f *Finding, reached []string, path string, args ...string) error {
	run := l.runner(append(args, t.variation()...)...)
	first := path + "-0"
	for _, seed := range t.seeds {
		file := fmt.Sprintf("%s-%d", path, seed)
		res, err := run.Do(ctx, t.job(engines.OursEmu, seed, file))
		var died *session.Failure
		switch {
		case errors.As(err, &died):
			t.failed(f, died, reached)
			return nil
		case err != nil:
			return err
		}
		if seed == 0 {
			err = t.judge(f, file, reached)
		}
		if len(res.Warnings) > 0 {
			f.report(res.Warnings[0].String(), reached)
		}
		if f.Fate == Survived && seed != 0 && err == nil {
			err = t.repeat(f, first, file, reached)
		}
		if err != nil {
			return err
		}
		if f.Fate != Survived {
			return nil
		}
	}
	return nil
}

// judge has a recording judged, and held against the first one judged: that of
// the kernels as they are. The same bits have the same judgement.
func (t *trial) judge(f *Finding, file string, reached []string) error {
	var differ []tap.Key
	if t.judged != nil {
		var err error
		if differ, err = session.Differing(t.clean, file); err != nil || len(differ) == 0 {
			return err
		}
	}
	r, err := t.verdict(file)
	if err != nil {
		return err
	}
	if r.First != nil { // values that the weights themselves make not finite are nobody's mistake
		f.Fate, f.What = Divergence, fmt.Sprintf("%s: %s", r.First.Key, r.First.Why)
		f.Located = t.at(r.First.Key, reached)
		return nil
	}
	if t.judged == nil {
		t.judged = r
		return nil
	}
	if worse := gate.Regressions(r, t.judged); len(worse) > 0 {
		at, err := tap.Parse(worse[0].Tap)
		if err != nil {
			return err
		}
		f.Fate, f.What = Grown, fmt.Sprintf("%s: %s", worse[0].Tap, worse[0].Text)
		f.Located = t.at(tap.Key{Tap: at}, reached)
	} else if f.Changes == "" {
		f.Changes = fmt.Sprintf("%s of trial %s", differ[0], t.name)
	}
	return nil
}

// verdict judges a recording.
func (t *trial) verdict(file string) (*verdict.Result, error) {
	ours, err := trace.Open(file)
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	model, err := gguf.Open(t.model)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	return verdict.Judge(t.reference, ours, model, verdict.Options{})
}

// repeat holds a recording against the first one of the same kernels.
func (t *trial) repeat(f *Finding, first, file string, reached []string) error {
	differ, err := session.Differing(first, file)
	if len(differ) > 0 {
		f.Fate, f.What = Unstable, fmt.Sprintf("%s: comes out differently in a repeated run", differ[0])
		f.Located = t.at(differ[0], reached)
	}
	return err
}

// failed says how a run ended that gave no recording. The op that it ended in
// is the one after the last recorded or, after the logits, the choice from them.
func (t *trial) failed(f *Finding, died *session.Failure, reached []string) {
	f.Fate, f.What = Crashed, died.Error()
	if slices.Contains(died.Stderr, noEnd) || strings.HasPrefix(died.Reason, "no end") {
		f.Fate = Hung
		f.What = fmt.Sprintf("no end during %s, last tap recorded: %s", died.Stage, died.At)
	}
	i := slices.IndexFunc(t.keys, func(k tap.Key) bool { return k.String() == died.At })
	f.Located = i >= 0 && t.keys[i].Tap == tap.ResultOutput && t.at(t.keys[i], reached) ||
		i+1 < len(t.keys) && t.at(t.keys[i+1], reached)
}

// at reports whether one of the kernels computes the tap.
func (t *trial) at(k tap.Key, reached []string) bool {
	return slices.ContainsFunc(reached, func(name string) bool { return slices.Contains(t.taps[name], k.Tap) })
}
