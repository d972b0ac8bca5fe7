package llamacpp

/*
#cgo CXXFLAGS: -std=c++17
#cgo LDFLAGS: -Wl,--wrap=ggml_backend_sched_alloc_graph
#cgo LDFLAGS: -Wl,--wrap=_ZN16llm_graph_result9can_reuseERK16llm_graph_params
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	_ "github.com/ollama/ollama/llama/llama.cpp/src" // llama.cpp and ggml themselves

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// maxContext limits the context an engine takes from the model when none is
// asked for: Qwen2.5 was trained on 32768 positions, whose KV cache and
// worst-case graph are gigabytes that a prompt under test does not need.
const maxContext = 4096

// mostThreads is ggml's GGML_MAX_N_THREADS.
const mostThreads = 512

// Config says which model to run and how.
type Config struct {
	Model     string // path of a qwen2 GGUF
	KV        string // element type of the KV cache: "f16" (also when empty) or "f32"
	FlashAttn bool   // fused attention; there is no kq and no kq_soft_max then
	Threads   int    // 0 for as many as have a free core, at most DefaultThreads
	Context   int    // most positions; 0 for the model's own, at most 4096
	CUDA      bool   // run on the first GPU
	Backends  string // with CUDA: the folder of libggml-cuda.so; "" for BackendFolder
}

// An Engine is one model with one sequence in its KV cache. It is not safe for
// concurrent use.
type Engine struct {
	c       *C.ref_engine
	rules   []C.ref_rule // C memory
	threads int
	chooser *chooser // of the number of threads before each step; nil when it was given
	cuda    bool
	h       trace.Hparams
	past    int    // tokens in the cache
	want    []byte // scratch for Step
	graphs  []graph
}

// Open loads a model. The error says what llama.cpp's log gave as the reason.
func Open(cfg Config) (*Engine, error) {
	if cfg.KV == "" {
		cfg.KV = "f16"
	}
	if cfg.KV != "f16" && cfg.KV != "f32" {
		return nil, fmt.Errorf("unknown KV cache type %q: want f16 or f32", cfg.KV)
	}
	if cfg.Context < 0 || cfg.Context > math.MaxInt32 {
		return nil, fmt.Errorf("context of %d positions: choose 1 or more, or 0 for the model's own", cfg.Context)
	}
	if cfg.Threads < 0 || cfg.Threads > mostThreads {
		return nil, fmt.Errorf("%d threads: choose 1 to %d, or 0 for as many as have a free core", cfg.Threads, mostThreads)
	}
	if cfg.CUDA && cfg.Backends == "" {
		dir, err := FindBackend()
		if err != nil {
			return nil, err
		}
		cfg.Backends = dir
	}
	if err := checkVersion(); err != nil {
		return nil, err
	}
	var c *chooser
	if cfg.Threads == 0 {
		c, cfg.Threads = new(chooser), DefaultThreads()
	}
	e := &Engine{chooser: c, threads: cfg.Threads, cuda: cfg.CUDA, rules: cRules()}
	if err := e.open(cfg); err != nil {
		freeRules(e.rules)
		return nil, err
	}
	return e, nil
}

// open fills e.c and e.h.
func (e *Engine) open(cfg Config) error {
	c := C.ref_config{
		model:       C.CString(cfg.Model),
		kv_f32:      cBool(cfg.KV == "f32"),
		flash_attn:  cBool(cfg.FlashAttn),
		threads:     C.int32_t(cfg.Threads),
		context:     C.int32_t(cfg.Context),
		max_context: maxContext,
	}
	defer C.free(unsafe.Pointer(c.model))
	if cfg.CUDA {
		c.backends = C.CString(cfg.Backends)
		defer C.free(unsafe.Pointer(c.backends))
	}
	var why C.ref_error
	e.c = C.ref_open(&c, unsafe.SliceData(e.rules), C.int32_t(len(e.rules)), &why)
	if e.c == nil {
		return errors.New(C.GoString(&why.text[0]))
	}
	var h C.ref_hparams
	C.ref_get_hparams(e.c, &h)
	e.h = hparams(h, cfg.KV)
	e.want = make([]byte, e.h.NLayer*int(tap.Count))
	return nil
}

// Close frees the model. After a run on CUDA it leaves llama.cpp's memory
// alone, because freeing the context crashes inside the backend; run CUDA in a
// process that ends.
func (e *Engine) Close() {
	if e.c == nil {
		return
	}
	C.ref_close(e.c)
	e.c = nil
	freeRules(e.rules)
}

// Reset forgets the sequence: the next step starts at position 0.
func (e *Engine) Reset() {
	C.ref_reset(e.c)
	e.past = 0
}

// Step appends tokens to the sequence, as one graph, and returns the logits of
// the last token, V values that the caller owns. step numbers the recordings.
// Every tap the sink wants is put to it once, in execution order; with a nil
// sink nothing is recorded. After an error other than a refusal of the tokens
// only Reset and Close are of use.
func (e *Engine) Step(step int, tokens []int32, sink trace.Sink) ([]float32, error) {
	if err := e.check(tokens); err != nil {
		return nil, err
	}
	var want *C.uint8_t
	if sink != nil {
		e.ask(step, sink)
		want = (*C.uint8_t)(unsafe.SliceData(e.want))
	}
	threads := e.threads
	if e.chooser != nil {
		threads = e.chooser.threads(threads)
	}
	described := e.describeNext(step, sink != nil)
	var why C.ref_error
	if C.ref_step(e.c, (*C.int32_t)(unsafe.SliceData(tokens)), C.int32_t(len(tokens)), C.int32_t(threads), want, &why) != 0 {
		return nil, fmt.Errorf("step %d: %s", step, C.GoString(&why.text[0]))
	}
	dims := e.dims(len(tokens))
	if described {
		if err := e.describe(step, len(tokens), e.past); err != nil {
			return nil, err
		}
	}
	e.past += len(tokens)
	if sink != nil {
		if err := e.record(step, dims, sink); err != nil {
			return nil, err
		}
	}
	row := unsafe.Slice((*float32)(C.ref_logits(e.c)), e.h.NVocab)
	return append([]float32(nil), row...), nil
}

// check refuses what llama.cpp would answer with a log line and a number.
func (e *Engine) check(tokens []int32) error {
	if len(tokens) == 0 {
		return errors.New("no tokens to run: the prompt is empty")
	}
	if limit := e.Context(); e.past+len(tokens) > limit {
		return fmt.Errorf("%d tokens after %d are more than the context of %d: shorten the prompt or raise the context",
			len(tokens), e.past, limit)
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= e.h.NVocab {
			return fmt.Errorf("token %d is %d, outside the vocabulary of %d", i, id, e.h.NVocab)
		}
	}
	return nil
}

// dims are the sizes of a step of n tokens from here.
func (e *Engine) dims(n int) tap.Dims {
	return tap.Dims{T: n, P: e.past, E: e.h.NEmbd, H: e.h.NHead, G: e.h.NHeadKV, D: e.h.HeadDim, F: e.h.NFF, V: e.h.NVocab}
}

// Context returns how many positions the engine has room for.
func (e *Engine) Context() int { return int(C.ref_context(e.c)) }

// Hparams returns the model's hyperparameters as llama.cpp holds them, its
// defaults filled in.
func (e *Engine) Hparams() trace.Hparams { return e.h }

// Device says what computes: "AMD EPYC, up to 2 threads", "NVIDIA H200".
func (e *Engine) Device() string {
	name := C.GoString(C.ref_device(e.c))
	if e.cuda {
		return name
	}
	if e.chooser != nil {
		return fmt.Sprintf("%s, up to %d threads", name, e.threads)
	}
	return fmt.Sprintf("%s, %d threads", name, e.threads)
}

// hparams converts what the bridge read.
func hparams(h C.ref_hparams, kv string) trace.Hparams {
	rope := "norm" // LLAMA_ROPE_TYPE_NORM, adjacent pairs
	if h.rope_type == 2 {
		rope = "neox" // LLAMA_ROPE_TYPE_NEOX, pairs (i, i+D/2)
	}
	return trace.Hparams{
		NLayer: int(h.n_layer), NEmbd: int(h.n_embd), NHead: int(h.n_head), NHeadKV: int(h.n_head_kv),
		HeadDim: int(h.head_dim), NFF: int(h.n_ff), NVocab: int(h.n_vocab),
		RopeFreqBase: float64(h.rope_freq_base), RopeType: rope, RMSEps: float64(h.rms_eps), KVType: kv,
	}
}

func cBool(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}
