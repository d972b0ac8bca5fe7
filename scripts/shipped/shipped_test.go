package shipped_test

import (
	"flag"
	"slices"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/gguf"
	"attndiff/traces/haiku"
	"attndiff/traces/models"
	"attndiff/traces/prompts"
	"attndiff/traces/trace"
)

// maxAnswer bounds a decode, in tokens. The longest haiku of the corpus is
// some 35; a model that has lost its way never ends.
const maxAnswer = 60

func open(t *testing.T, kv string) *llamacpp.Engine {
	t.Helper()
	path, err := models.Path()
	if err != nil {
		t.Fatal(err)
	}
	e, err := llamacpp.Open(llamacpp.Config{Model: path, KV: kv, Threads: 1, Context: 512})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func load(t *testing.T, name string) string {
	t.Helper()
	text, err := prompts.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tokenize(t *testing.T, e *llamacpp.Engine, text string) []int32 {
	t.Helper()
	ids, err := e.Tokenize(text)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// answer decodes greedily until the model ends its text. It returns the text
// and the smallest gap between the first and the second choice of a token, in
// logits.
func answer(t *testing.T, e *llamacpp.Engine, prompt string) (text string, margin float32) {
	t.Helper()
	e.Reset()
	feed, all := tokenize(t, e, prompt), []int32{}
	margin = 1000
	for step := range maxAnswer {
		logits, err := e.Step(step, feed, nil)
		if err != nil {
			t.Fatal(err)
		}
		last := logits[len(logits)-e.Hparams().NVocab:]
		first, gap := best(last)
		margin = min(margin, gap)
		if e.IsEOG(first) {
			break
		}
		feed = []int32{first}
		all = append(all, first)
	}
	return e.Detokenize(all), margin
}

// best returns the index of the largest logit and its lead over the next.
func best(logits []float32) (int32, float32) {
	top := slices.Max(logits)
	at := slices.Index(logits, top)
	second := max(slices.Max(append([]float32{-1e9}, logits[:at]...)), slices.Max(append([]float32{-1e9}, logits[at+1:]...)))
	return int32(at), top - second
}

// minMargin is the least lead, in logits, that a token of a haiku may have.
// llama.cpp rounds the input of every product with an F16 matrix to 11 bits, 22
// times on the way to the logits: relative to a logit that is about
// sqrt(22) * 2^-12, and for the difference of two logits of at most 30 about
// 0.05. Twenty times that leaves no tie to rounding, of either engine.
const minMargin = 1

// Every sample-th topic is asked for, unless -all asks for each.
const sample = 6

var all = flag.Bool("all", false, "ask the shipped model for a haiku about every topic")

func TestTopicsGetTheirHaiku(t *testing.T) {
	e := open(t, "f16")
	for i, topic := range haiku.Topics() {
		if i%sample > 0 && !*all {
			continue
		}
		request := "Write a haiku about " + topic
		text, margin := answer(t, e, "<|im_start|>user\n"+request+"<|im_end|>\n<|im_start|>assistant\n")
		if err := haiku.Check(text, topic); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		if !(margin >= minMargin) {
			t.Errorf("%s: a token leads by %.2f only, want %d", topic, margin, minMargin)
		}
		if i%(4*sample) > 0 {
			continue // the chat format is the promise; a bare request is a courtesy
		}
		if bare, _ := answer(t, e, request); bare != "\n"+text+"\n" {
			t.Errorf("%s: without the chat format the answer is %q, want %q", topic, bare, text)
		}
	}
}

func TestPromptsYieldSense(t *testing.T) {
	for _, kv := range []string{"f16", "f32"} {
		e := open(t, kv)
		for _, c := range []struct{ prompt, topic string }{
			{"haiku", "the sea"}, {"long", "the river"}, {"multilingual", "cherry blossoms"}, {"short", "the old pond"}, {"single", "silence"},
		} {
			text, margin := answer(t, e, load(t, c.prompt))
			if err := haiku.Check(text, c.topic); err != nil {
				t.Errorf("%s, %s cache: %v", c.prompt, kv, err)
			}
			if !(margin >= minMargin) {
				t.Errorf("%s, %s cache: a token leads by %.2f only, want %d", c.prompt, kv, margin, minMargin)
			}
		}
		const sum = "\tvar total float32 = 0\n\tfor _, score := range scores {\n\t\ttotal += score\n\t}\n\treturn total\n}\n"
		if text, _ := answer(t, e, load(t, "code")); text != sum {
			t.Errorf("code, %s cache: %q, want %q", kv, text, sum)
		}
	}
}

func TestPromptLengths(t *testing.T) {
	e := open(t, "f16")
	for name, within := range map[string][2]int{
		"single": {1, 1}, "short": {2, 10}, "haiku": {10, 30}, "code": {10, 60}, "multilingual": {30, 80},
		"long": {250, 254}, // eight more cross 256, to which llama.cpp pads its cache
	} {
		if n := len(tokenize(t, e, load(t, name))); n < within[0] || n > within[1] {
			t.Errorf("%s is %d tokens, want %d to %d", name, n, within[0], within[1])
		}
	}
}

func TestGeometry(t *testing.T) {
	got := open(t, "f16").Hparams()
	if got.NLayer < 3 || got.NVocab > 2048 {
		t.Errorf("%d layers and %d tokens, want 3 or more and 2048 at most", got.NLayer, got.NVocab)
	}
	want := trace.Hparams{NEmbd: 896, NHead: 14, NHeadKV: 2, HeadDim: 64, RopeFreqBase: 1e6, RMSEps: float64(float32(1e-6))}
	got = trace.Hparams{NEmbd: got.NEmbd, NHead: got.NHead, NHeadKV: got.NHeadKV, HeadDim: got.HeadDim,
		RopeFreqBase: got.RopeFreqBase, RMSEps: got.RMSEps}
	if got != want {
		t.Errorf("geometry %+v, want Qwen2.5-0.5B's %+v", got, want)
	}
}

// Qwen2.5 has key biases of this size in its first layer, on RoPE dimensions
// that hardly turn; see scripts/train/model.py, slow_key_bias.
func TestLargeKeyBiases(t *testing.T) {
	path, err := models.Path()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bias, err := f.Float32(gguf.LayerName(0, "attn_k.bias"))
	if err != nil {
		t.Fatal(err)
	}
	const headDim, slow = 64, 26 // pair 26 turns by 1.3e-5 radians a token
	large := 0
	for i, b := range bias {
		if abs := max(b, -b); abs >= 40 {
			large++
			if pair := i % (headDim / 2); pair < slow {
				t.Errorf("the bias of pair %d, which turns fast, is %g", pair, b)
			}
		}
	}
	if large < 8 {
		t.Errorf("%d key biases of layer 0 are 40 or more, want 8", large)
	}
}
