package gate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"attndiff/harness/comparison"
	"attndiff/harness/engines"
	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// casesFolder holds the full reports of what failed.
const casesFolder = "cases"

// compare runs one case and says what is wrong in it. The error is of what the
// user gave, or the context's.
func (g *Gate) compare(ctx context.Context, c Case, r *Result) error {
	for _, engine := range []string{c.Reference, c.Ours} {
		if r.Reason = unavailable(engine); r.Reason != "" {
			r.Verdict = Skipped
			return nil
		}
		if strings.HasSuffix(engine, ":cuda") {
			g.gpu.Lock()
			defer g.gpu.Unlock()
		}
	}
	m, err := g.shelf.get(c.Model)
	if err != nil {
		return err
	}
	prompt, err := g.lexicon.ids(ctx, m, c.Prompt)
	if err != nil {
		return err
	}
	now := &Record{Model: m.id.SHA256[:16], Prompt: promptDigest(prompt)}
	base := g.Baseline.Cases[c.Name()]
	switch {
	case g.Update:
		base = nil
	case base == nil && c.Ours == engines.OursCUDA:
		// Cards sum in different orders, and where baselines are taken there is
		// none: what is wrong shows without one, growth does not.
		r.Notes = append(r.Notes, "the baseline does not have this case; its ops were judged, their growth was not")
	default:
		if r.Problems = append(r.Problems, now.strange(base)...); len(r.Problems) > 0 {
			base = nil
		}
	}
	work, err := session.NewWorkspace(filepath.Join(g.Dir, casesFolder, folder(c.Name())))
	if err != nil {
		return err
	}
	defer work.Close()
	d, err := g.diff(ctx, c, m, prompt, base, work.Dir())
	var died *session.Failure
	if errors.As(err, &died) {
		r.Problems = []Problem{{Kind: Died, Layers: []int{}, Steps: []int{}, Text: died.Error()}}
	} else if err != nil {
		return err
	} else {
		g.judge(c, d, now, base, r)
	}
	if r.settle(); r.Verdict == Pass {
		return nil
	}
	r.Files = filepath.Join(casesFolder, folder(c.Name()))
	_, err = d.Publish(work)
	return err
}

// diff makes the case's comparison. Tokens that the baseline holds are fed
// again; without it the reference chooses.
func (g *Gate) diff(ctx context.Context, c Case, m *opened, prompt []int32, base *Record, dir string) (*comparison.Diff, error) {
	plan := &session.Plan{
		Reference: session.Side{Engine: c.Reference}, Ours: session.Side{Engine: c.Ours},
		Spec:  session.Spec{Model: m.Path, KV: c.KV, FlashAttn: c.Flash, Path: c.Path, Threads: g.threads()},
		Model: m.id, ContextLimit: m.ContextLength, Tokens: prompt, Decode: c.Steps,
		Faults: g.Faults, Repeat: c.Repeat, Dir: dir,
	}
	if base != nil {
		plan.Tokens, plan.Decode = slices.Concat(prompt, base.Decoded), 0
		plan.Steps = append([]int{len(prompt)}, slices.Repeat([]int{1}, len(base.Decoded))...)
	}
	in := report.Input{Name: c.Prompt, Text: g.Matrix.prompts[c.Prompt].Text, Faults: g.Faults, Command: g.Rerun(c.Name()),
		Sides: report.Pair[session.Side]{Reference: plan.Reference, Ours: plan.Ours},
		Model: report.Model{Hparams: m.Hparams, Name: m.id.Name, SHA256: m.id.SHA256}}
	in.Model.KVType = c.KV
	run := comparison.Comparison{Plan: plan, Runner: g.Runner, Model: m.File, Began: time.Now(), Input: in}
	return run.Run(ctx)
}

// threads bounds llama.cpp's: cases that run side by side have a core each.
// The number changes no bit of the results.
func (g *Gate) threads() int {
	if g.Jobs > 1 {
		return 1
	}
	return 0
}

// judge lists what is wrong in a case that ran.
func (g *Gate) judge(c Case, d *comparison.Diff, now, base *Record, r *Result) {
	measured := ops(d.Input.Result)
	now.Ops = figures(measured)
	meta := d.Input.Run.Reference.Meta
	now.Decoded = meta.Tokens[meta.Steps[0]:]
	var why map[string]Problem
	now.Unclean, why = unclean(d)

	found := problems(d)
	if base == nil && !g.Update {
		base = &Record{} // a clean case, of which nothing more is known
	}
	if base != nil {
		for _, u := range now.Unclean {
			if !slices.Contains(base.Unclean, u) && !(len(found) > 0 && follows(u)) {
				found = append(found, why[u])
			}
		}
		for _, p := range grown(measured, base) {
			if !slices.ContainsFunc(found, func(q Problem) bool { return q.Tap == p.Tap }) {
				found = append(found, p)
			}
		}
		if t, times := closest(measured, base); times > 0 {
			r.Growth = Growth{t.String(), report.Number(times)}
		}
	}
	locate(found, d.Input.Locate)
	r.Problems = append(r.Problems, waive(c.Name(), found, expire(g.Waivers, g.Today))...)
	r.Nearest, r.Notes = nearest(d.Report), append(r.Notes, d.Report.Notes...)
	if len(r.failing()) == 0 {
		r.record = now
	}
}

// locate says where ours computes the ops that problems are about.
func locate(problems []Problem, where func(t tap.Tap, tokens int) report.Place) {
	for i := range problems {
		p := &problems[i]
		if t, err := tap.Parse(p.Tap); err == nil && where != nil && p.Where == nil {
			place := where(t, 1)
			p.Where = &place
		}
	}
}

// follows reports whether an unclean entry is what a wrong op leaves behind,
// and no finding of its own.
func follows(entry string) bool {
	word, _, _ := strings.Cut(entry, " ")
	return word == string(verdict.Inherited) || word == notJudgedWord
}

// strange says why a case cannot be held against a record.
func (r *Record) strange(base *Record) []Problem {
	text := ""
	switch {
	case base == nil:
		text = "the baseline does not have this case: run `attndiff gate --update`"
	case base.Model != r.Model:
		text = fmt.Sprintf("the baseline is of another model file, sha256 %s and not %s: run `attndiff gate --update`", base.Model, r.Model)
	case base.Prompt != r.Prompt:
		text = fmt.Sprintf("the baseline is of another prompt or tokenizer, %s and not %s: run `attndiff gate --update`", base.Prompt, r.Prompt)
	default:
		return nil
	}
	return []Problem{{Kind: Unknown, Layers: []int{}, Steps: []int{}, Text: text}}
}

// promptDigest is the number of tokens and a digest of their ids.
func promptDigest(ids []int32) string {
	h := sha256.New()
	for _, id := range ids {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
	}
	return fmt.Sprintf("%d %s", len(ids), hex.EncodeToString(h.Sum(nil)[:8]))
}

// nearest is the recording that is nearest to its allowance or furthest beyond.
func nearest(r *report.Report) Nearest {
	n := Nearest{OpOurs: report.Number(math.NaN()), Allowance: report.Number(math.NaN())}
	var at *report.Tap
	for i := range r.Taps {
		t := &r.Taps[i]
		if t.Status != verdict.Missing && (at == nil || t.Excess() > at.Excess()) {
			at = t
		}
	}
	if at != nil {
		n = Nearest{at.Tap, at.OpOurs, at.Allowance}
	}
	return n
}
