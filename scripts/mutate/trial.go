package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/gguf"
	"attndiff/traces/gguf/writer"
	"attndiff/traces/synth"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// trial is a run that mutants are tried on: a small model and the tokens it is
// fed. Sizes that kernels tell apart differ from one another, and none is a
// multiple of a block, so that a stride or a bound taken for another shows.
type trial struct {
	name  string
	spec  synth.Spec
	twist twist
	kv    string
	steps []int // tokens per step

	model     string // its file, once written
	id        session.Model
	tokens    []int32
	reference *trace.Reader        // llama.cpp's recording
	clean     *trace.Reader        // that of the kernels as they are
	taps      map[string][]tap.Tap // what each kernel launched computes
}

// twist changes values of a synthetic model on their way to the file.
type twist func(m writer.Model, p gguf.Part, first int, dst []float32) error

// The shapes: E = heads * head_dim. Slim has heads and rows of less than a
// block, wide has heads of more than one block of dims in scores.cu and rows of
// more than one block of threads. Deep is run until its text crosses two tiles
// of 256 positions and is small in all else. eps is large enough to be seen.
var (
	slim = synth.Spec{Layers: 2, Embd: 96, Heads: 8, HeadsKV: 2, FF: 64, Vocab: 300, RMSEps: 1e-2}
	wide = synth.Spec{Layers: 1, Embd: 480, Heads: 6, HeadsKV: 2, FF: 352, Vocab: 331, RMSEps: 1e-2}
	deep = synth.Spec{Layers: 1, Embd: 32, Heads: 2, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
)

// trials lists the runs, those first that show most for their time.
func trials() []*trial {
	// Positions up to and one past the tiles of 8, 32 and 256.
	short, long := []int{32, 1, 9, 8, 1}, []int{256, 1, 3, 250, 1}
	return []*trial{
		{name: "slim F16", spec: typed(slim, "F16"), kv: "f16", steps: short},
		{name: "wide Q8_0", spec: typed(wide, "Q8_0"), kv: "f32", steps: short},
		{name: "deep F16", spec: typed(deep, "F16"), kv: "f16", steps: long},
		{name: "from one token BF16", spec: typed(slim, "BF16"), kv: "f32", steps: []int{1, 1, 6, 1}},
		{name: "loud scores F32", spec: typed(slim, "F32"), twist: loud, kv: "f32", steps: short},
		{name: "equal logits F32", spec: typed(slim, "F32"), twist: equal, kv: "f32", steps: []int{3, 1, 1}},
		{name: "NaN logits F32", spec: typed(slim, "F32"), twist: overflow, kv: "f32", steps: []int{3, 1}},
	}
}

func typed(s synth.Spec, typ string) synth.Spec {
	s.Name, s.Type, s.Context, s.RopeBase, s.Seed = "mutants", typ, 1024, 1e4, 1
	return s
}

// loud makes raw scores so large, of either sign, that exp is 0 or Inf in f32
// where the largest score of a row is not subtracted first.
func loud(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := m.Fill(p, first, dst)
	if strings.HasSuffix(p.Name, "attn_k.bias") || strings.HasSuffix(p.Name, "attn_q.bias") {
		for i := range dst {
			dst[i] *= 20
		}
	}
	return err
}

// equal repeats the first rows of the embedding, so that each logit is there
// many times and the lowest index is to be chosen.
func equal(m writer.Model, p gguf.Part, first int, dst []float32) error {
	const period = 7
	if p.Name != gguf.TokenEmbd {
		return m.Fill(p, first, dst)
	}
	width := p.Shape[1]
	for done := 0; done < len(dst); {
		row, col := (first+done)/width, (first+done)%width
		n := min(width-col, len(dst)-done)
		if err := m.Fill(p, row%period*width+col, dst[done:done+n]); err != nil {
			return err
		}
		done += n
	}
	return nil
}

// overflow makes the last norm's rows Inf and the logits NaN, so that there is
// none to choose.
func overflow(m writer.Model, p gguf.Part, first int, dst []float32) error {
	err := m.Fill(p, first, dst)
	if p.Name == gguf.OutputNorm {
		for i := range dst {
			dst[i] = math.MaxFloat32
		}
	}
	return err
}

// prepare writes the model and has llama.cpp record the run. run is how a
// worker is started.
func (t *trial) prepare(ctx context.Context, dir string, run *session.Runner) error {
	m := t.spec.Model()
	if t.twist != nil {
		plain := m
		m.Fill = func(p gguf.Part, first int, dst []float32) error { return t.twist(plain, p, first, dst) }
	}
	file := strings.ReplaceAll(t.name, " ", "-")
	t.model = filepath.Join(dir, file+".gguf")
	if err := writer.WriteFile(t.model, m); err != nil {
		return err
	}
	f, err := gguf.Open(t.model)
	if err != nil {
		return err
	}
	defer f.Close()
	if t.id.SHA256, err = f.SHA256(); err != nil {
		return err
	}
	t.id.Name = f.Name
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range t.steps {
		for range n {
			t.tokens = append(t.tokens, random.Int32N(int32(t.spec.Vocab)))
		}
	}
	path := filepath.Join(dir, file+"-reference.safetensors")
	if _, err := run.Do(ctx, t.job(engines.LlamaCPU, 0, path)); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	t.reference, err = trace.Open(path)
	return err
}

// job records an engine's run of the trial to a file.
func (t *trial) job(engine string, seed uint64, path string) session.Job {
	return session.Job{
		Spec:   session.Spec{Engine: engine, Model: t.model, KV: t.kv, Threads: 1, Context: len(t.tokens), Seed: seed},
		Model:  t.id,
		Tokens: t.tokens,
		Passes: []session.Pass{{Name: "record", Steps: t.steps, Trace: path}},
	}
}

// close closes the recordings.
func (t *trial) close() {
	for _, r := range []*trace.Reader{t.reference, t.clean} {
		if r != nil {
			r.Close()
		}
	}
}
