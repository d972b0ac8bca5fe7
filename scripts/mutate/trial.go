package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/ours/qwen2"
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
	path  qwen2.Path // of ours
	steps []int      // tokens per step
	upper int        // how many of the first tokens are of the vocabulary's upper half; all others are of the lower one, if not 0
	seeds []uint64   // of its runs

	about           string // the kernel that it is about, without the head size; "" for all that it launches
	multiprocessors int    // of the GPU, 0 for the emulator's own number
	splits          int    // of a fused decode, 0 for what the host chooses

	model     string // its file, once written
	id        session.Model
	tokens    []int32
	reference *trace.Reader        // llama.cpp's recording
	clean     string               // file of that of the kernels as they are
	keys      []tap.Key            // what it holds
	judged    *verdict.Result      // what is said of that one
	taps      map[string][]tap.Tap // what each kernel launched computes
}

// The shapes: E = heads * head_dim. eps is large enough to be seen.
var (
	// Heads and rows of less than a block.
	slim = synth.Spec{Layers: 2, Embd: 96, Heads: 8, HeadsKV: 2, FF: 64, Vocab: 300, RMSEps: 1e-2}
	// Heads of more than one block of dims in scores.cu, rows of more than one
	// block of threads.
	wide = synth.Spec{Layers: 1, Embd: 480, Heads: 6, HeadsKV: 2, FF: 352, Vocab: 331, RMSEps: 1e-2}
	// Small in all but the length of its text, which crosses two tiles of 256
	// positions.
	deep = synth.Spec{Layers: 1, Embd: 32, Heads: 2, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	// More than one block of pairs in rope.cu and of a position's elements in
	// kv_cache.cu.
	broad = synth.Spec{Layers: 1, Embd: 576, Heads: 3, HeadsKV: 3, FF: 32, Vocab: 290, RMSEps: 1e-2}

	// The head sizes of the fused kernels, fewer query heads to a KV head than a
	// block of fused_decode.cu takes and more.
	few64   = synth.Spec{Layers: 1, Embd: 4 * 64, Heads: 4, HeadsKV: 2, FF: 32, Vocab: 290, RMSEps: 1e-2}
	many64  = synth.Spec{Layers: 1, Embd: 9 * 64, Heads: 9, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	lone64  = synth.Spec{Layers: 1, Embd: 64, Heads: 1, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	lone128 = synth.Spec{Layers: 1, Embd: 128, Heads: 1, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	units64 = synth.Spec{Layers: 1, Embd: 18 * 64, Heads: 18, HeadsKV: 2, FF: 32, Vocab: 290, RMSEps: 1e-2}
	equal64 = synth.Spec{Layers: 1, Embd: 2 * 64, Heads: 2, HeadsKV: 2, FF: 32, Vocab: 290, RMSEps: 1e-2}
	odd64   = synth.Spec{Layers: 1, Embd: 3 * 64, Heads: 3, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	crowd   = synth.Spec{Layers: 1, Embd: 17 * 128, Heads: 17, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	deep64  = synth.Spec{Layers: 1, Embd: 2 * 64, Heads: 2, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	deep128 = synth.Spec{Layers: 1, Embd: 2 * 128, Heads: 2, HeadsKV: 1, FF: 32, Vocab: 290, RMSEps: 1e-2}
	few128  = synth.Spec{Layers: 1, Embd: 4 * 128, Heads: 4, HeadsKV: 2, FF: 32, Vocab: 290, RMSEps: 1e-2}
)

// trials lists the runs, those first that show most for their time.
func trials() []*trial {
	// Positions up to and one past the tiles of 8, 32 and 256.
	short, long := []int{32, 1, 9, 8, 1}, []int{256, 1, 3, 250, 1}
	// Decodes of the last position of a fused decode's tile, of the first of the
	// next, and of one in between.
	edges, edges128 := []int{63, 1, 1, 9, 1}, []int{31, 1, 1, 9, 1}
	each := []int{3, 1, 1, 1, 1, 1}
	// Long runs are made in fewer orders: what the others look for, small ones
	// show too.
	all, two, one := []uint64{0, 1, 2}, []uint64{0, 1}, []uint64{0}
	return []*trial{
		{name: "slim F16", spec: typed(slim, "F16"), kv: "f16", steps: short, seeds: all},
		{name: "fused few 64", spec: typed(few64, "F16"), kv: "f16", path: qwen2.Fused, steps: edges, seeds: all},
		{name: "wide Q8_0", spec: typed(wide, "Q8_0"), kv: "f32", steps: short, seeds: two},
		{name: "loud F32", spec: typed(slim, "F32"), twist: loud, kv: "f32", steps: []int{80, 1, 9, 1}, seeds: one},
		{name: "equal logits F32", spec: typed(slim, "F32"), twist: equal, kv: "f32", steps: each, seeds: two},
		{name: "last logit F32", spec: untied(slim, "F32"), twist: lone, kv: "f32", steps: each, seeds: one},
		{name: "NaN logits F32", spec: typed(slim, "F32"), twist: overflow, kv: "f32", steps: []int{3, 1}, seeds: all},
		{name: "fused few 128", spec: typed(few128, "F16"), kv: "f16", path: qwen2.Fused, steps: edges128, seeds: two},
		{name: "fused many 64", spec: typed(many64, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{1, 1, 17, 1}, seeds: two},
		// A prefill whose last row alone sees the first position of a tile.
		{name: "fused equal 64", spec: typed(equal64, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{1, 64, 1}, seeds: one, about: "fused_prefill"},
		// One whose warps begin with the last position but one of a tile, which is
		// where more than 8 rows are a token's.
		{name: "fused crossed 64", spec: typed(many64, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{64, 1}, seeds: one, about: "fused_prefill"},
		{name: "fused loud 64", spec: typed(few64, "F16"), twist: loud, kv: "f16", path: qwen2.Fused, steps: []int{32, 1}, seeds: one},
		{name: "fused loud 128", spec: typed(few128, "F16"), twist: loud, kv: "f16", path: qwen2.Fused, steps: []int{40, 1, 1, 1}, seeds: one},
		{name: "fused tilted 64", spec: typed(few64, "F32"), twist: tilted, kv: "f16", path: qwen2.Fused, steps: []int{32, 1}, seeds: one},
		{name: "fused spiky 64", spec: typed(few64, "F16"), twist: spiky(0, 19, 37, 62), kv: "f16", path: qwen2.Fused, steps: []int{32, 1}, seeds: one},
		// The two rows of a lane are of different heads.
		{name: "fused peak 64", spec: typed(odd64, "F16"), twist: spiky(none, 30, none), kv: "f16", path: qwen2.Fused, steps: []int{32, 1}, seeds: one, about: "fused_prefill"},
		{name: "fused faint 64", spec: typed(odd64, "F32"), twist: faint, kv: "f16", path: qwen2.Fused, steps: []int{32, 1}, seeds: one},
		{name: "fused endless 64", spec: unturned(few64, "F32"), twist: endless, kv: "f16", path: qwen2.Fused, upper: 70, steps: []int{80, 1, 1}, seeds: one},
		{name: "deep F16", spec: typed(deep, "F16"), kv: "f16", steps: long, seeds: two},
		{name: "fused deep 64", spec: typed(deep64, "F16"), kv: "f16", path: qwen2.Fused, steps: long, seeds: two},
		// One block walks the whole cache, its warps more than one tile each; or
		// each block has a tile and there are as many as fit their buffers, more
		// than a lane or a batch takes; or more blocks than tiles.
		{name: "fused lone 128", spec: typed(deep128, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{280, 1, 1}, seeds: one, about: "fused_decode", multiprocessors: 1},
		{name: "fused splits 64", spec: typed(deep64, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{190, 1}, seeds: two, about: "fused_decode", multiprocessors: 150, splits: 150},
		{name: "fused splits 128", spec: typed(deep128, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{600, 1}, seeds: one, about: "fused_decode", multiprocessors: 38, splits: 38},
		// More than one unit of a KV head, each of splits.
		{name: "fused units 64", spec: typed(units64, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{129, 1}, seeds: two, about: "fused_decode", multiprocessors: 3, splits: 3},
		// Two lanes' splits and more; a second batch where two threads share a column.
		{name: "fused long 128", spec: typed(lone128, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{1100, 1}, seeds: one, about: "fused_decode", multiprocessors: 68, splits: 68},
		{name: "fused long 64", spec: typed(lone64, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{1535, 1}, seeds: one, about: "fused_decode", multiprocessors: 24, splits: 24},
		// More heads than a tile has positions.
		{name: "fused crowd 128", spec: typed(crowd, "F16"), kv: "f16", path: qwen2.Fused, steps: []int{3, 1}, seeds: one, about: "fused_decode"},
		{name: "broad BF16", spec: typed(broad, "BF16"), kv: "f32", steps: []int{1, 260, 1}, seeds: one},
	}
}

func typed(s synth.Spec, typ string) synth.Spec {
	s.Name, s.Type, s.Context, s.RopeBase, s.Seed = "mutants", typ, 2048, 1e4, 1
	return s
}

// shows reports whether the trial can show what becomes of one of the kernels.
func (t *trial) shows(kernels []string) bool {
	return slices.ContainsFunc(kernels, func(k string) bool { return t.taps[k] != nil && strings.HasPrefix(k, t.about) })
}

// variation are the worker's flags for what sets a run apart.
func (t *trial) variation() []string {
	return []string{"-multiprocessors", strconv.Itoa(t.multiprocessors), "-splits", strconv.Itoa(t.splits)}
}

// unturned is a model whose RoPE turns nothing but its first few pairs.
func unturned(s synth.Spec, typ string) synth.Spec {
	s = typed(s, typ)
	s.RopeBase = 1e30
	return s
}

func untied(s synth.Spec, typ string) synth.Spec {
	s = typed(s, typ)
	s.Untied = true
	return s
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
	t.id = session.Model{Name: f.Name, Weights: f.WeightTypes()}
	if t.id.SHA256, err = f.SHA256(); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range t.steps {
		for range n {
			t.tokens = append(t.tokens, t.token(random))
		}
	}
	path := filepath.Join(dir, file+"-reference.safetensors")
	if _, err := run.Do(ctx, t.job(engines.LlamaCPU, 0, path)); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	t.reference, err = trace.Open(path)
	return err
}

// token draws the trial's next token.
func (t *trial) token(random *rand.Rand) int32 {
	n := int32(t.spec.Vocab)
	switch {
	case t.upper == 0:
		return random.Int32N(n)
	case len(t.tokens) < t.upper:
		return n/2 + random.Int32N(n-n/2)
	}
	return random.Int32N(n / 2)
}

// take notes the recording of the kernels as they are.
func (t *trial) take(file string) error {
	r, err := trace.Open(file)
	if err != nil {
		return err
	}
	t.clean, t.keys = file, r.Keys()
	return r.Close()
}

// job records an engine's run of the trial to a file.
func (t *trial) job(engine string, seed uint64, path string) session.Job {
	return session.Job{
		Spec:   session.Spec{Engine: engine, Model: t.model, KV: t.kv, Path: string(t.path), Threads: 1, Context: len(t.tokens), Seed: seed, Bounds: true},
		Model:  t.id,
		Tokens: t.tokens,
		Passes: []session.Pass{{Name: "record", Steps: t.steps, Trace: path}},
	}
}

// close closes the reference.
func (t *trial) close() {
	if t.reference != nil {
		t.reference.Close()
	}
}
