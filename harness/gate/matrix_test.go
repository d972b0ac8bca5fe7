package gate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const smallMatrix = `
models:
  haiku: shipped
  wide: {recode: F32}
  tiny: {synth: tiny, type: Q8_0, seed: 3, layers: 4}
prompts:
  hello: {text: "Hello,\n"}
  ids: {tokens: [1, 2]}
cases:
  - models: [haiku, tiny]
    prompts: [short, hello]
    kv: [f16, f32]
    steps: [2, 0]
  - {models: wide, prompts: ids, flash-attn: [false, true], path: fused, repeat: 2}
goldens:
  short: {model: haiku, prompt: short, steps: 1, taps: [k_rope]}
baseline: elsewhere/base.txt
`

func TestParseMatrix(t *testing.T) {
	m, err := ParseMatrix("traces/gate.yaml", []byte(smallMatrix))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range m.Cases {
		names = append(names, c.Name())
	}
	want := []string{
		"haiku/short/f16/2/ours:emu", "haiku/short/f16/0/ours:emu", "haiku/short/f32/2/ours:emu", "haiku/short/f32/0/ours:emu",
		"haiku/hello/f16/2/ours:emu", "haiku/hello/f16/0/ours:emu", "haiku/hello/f32/2/ours:emu", "haiku/hello/f32/0/ours:emu",
		"tiny/short/f16/2/ours:emu", "tiny/short/f16/0/ours:emu", "tiny/short/f32/2/ours:emu", "tiny/short/f32/0/ours:emu",
		"tiny/hello/f16/2/ours:emu", "tiny/hello/f16/0/ours:emu", "tiny/hello/f32/2/ours:emu", "tiny/hello/f32/0/ours:emu",
		"wide/ids/f16/8/ours:emu/fused/repeat-2", "wide/ids/f16/8/ours:emu/flash-attn/fused/repeat-2",
	}
	if strings.Join(names, "\n") != strings.Join(want, "\n") {
		t.Errorf("cases:\n%s\nwant:\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
	if s := m.models["tiny"].Synth; s == nil || s.Layers != 4 || s.Type != "Q8_0" || s.Seed != 3 {
		t.Errorf("synthetic model %+v", s)
	}
	if m.Baseline != "traces/elsewhere/base.txt" || m.Waivers != "traces/gate.waivers.yaml" {
		t.Errorf("baseline %s, waivers %s", m.Baseline, m.Waivers)
	}
	if g := m.Goldens[0]; g.Path != "traces/golden/short.safetensors" || g.Steps != 1 || g.Line != 16 {
		t.Errorf("golden %+v", g)
	}
}

// Each mistake is named with its line.
func TestParseMatrixRefuses(t *testing.T) {
	const good = "models: {haiku: shipped}\ncases:\n  - {models: haiku, prompts: short}\n"
	for _, c := range []struct{ text, want string }{
		{"", "m.yaml:1: empty"},
		{"# nothing\n", "m.yaml:1: empty"},
		{"- a\n", "m.yaml:1: the matrix is a list, want a mapping"},
		{"models: {haiku: shipped}\n", "m.yaml:1: no cases"},
		{"models:\n\t- a\n", "m.yaml:2: not YAML: found character that cannot start any token"},
		{good + "---\n" + good, "m.yaml:4: a second document begins"},
		{good + "case: 1\n", `m.yaml:4: the matrix has no key "case"; its keys are baseline, cases, goldens, models, prompts, waivers`},
		{good + "models: {}\n", `m.yaml:4: the matrix has "models" twice, first in line 1`},
		{strings.Replace(good, "short}", "short, stesp: 1}", 1), `m.yaml:3: a group of cases has no key "stesp"`},
		{strings.Replace(good, "haiku,", "[haiku, tiny],", 1), `m.yaml:3: unknown model "tiny"; want one of haiku`},
		{strings.Replace(good, "short}", "sonnet}", 1), `m.yaml:3: unknown prompt "sonnet"; want one of code, haiku`},
		{strings.Replace(good, "short}", "short, kv: f8}", 1), `m.yaml:3: kv is "f8", want f16 or f32`},
		{strings.Replace(good, "short}", "short, steps: -1}", 1), `m.yaml:3: steps is "-1", want a whole number from 0 to 9999`},
		{strings.Replace(good, "short}", "short, steps: [1, two]}", 1), `m.yaml:3: steps is "two"`},
		{strings.Replace(good, "short}", "short, steps: []}", 1), "m.yaml:3: steps is an empty list"},
		{strings.Replace(good, "short}", "short, flash-attn: yes please}", 1), `m.yaml:3: flash-attn is "yes please", want true or false`},
		{strings.Replace(good, "short}", "short, path: flash}", 1), `m.yaml:3: path is "flash", want unfused or fused`},
		{strings.Replace(good, "short}", "short, ours: auto}", 1), "m.yaml:3: ours: auto is another engine on another machine"},
		{strings.Replace(good, "short}", "short, ours: \"trace:x\"}", 1), "m.yaml:3: ours: a trace brings its own tokens"},
		{strings.Replace(good, "short}", "short, ours: mine}", 1), `m.yaml:3: ours: unknown engine "mine"`},
		{strings.Replace(good, "prompts: short", "kv: f16", 1), "m.yaml:3: a group of cases needs models and prompts"},
		{good + "  - {models: haiku, prompts: short}\n", "m.yaml:4: case haiku/short/f16/8/ours:emu is there already, from line 3"},
		{strings.Replace(good, "shipped", "mine.gguf", 1), `m.yaml:1: model haiku is "mine.gguf"; want shipped`},
		{strings.Replace(good, "shipped", "{recode: Q9}", 1), `m.yaml:1: recode is "Q9", want F32 or`},
		{strings.Replace(good, "shipped", "{recode: F32, file: x}", 1), "m.yaml:1: model haiku: give one of recode, synth and file"},
		{strings.Replace(good, "shipped", "{file: x, seed: 2}", 1), "m.yaml:1: model haiku: type, seed and sizes belong to a synthetic model"},
		{strings.Replace(good, "shipped", "{synth: tiny, heads: 3}", 1), "m.yaml:1: model haiku: synthetic model: 3 heads are not a multiple"},
		{strings.Replace(good, "haiku: shipped", "a/b: shipped", 1), `m.yaml:1: model "a/b": a name is made of letters`},
		{strings.Replace(good, "shipped", "*x", 1), "m.yaml:1: not YAML: unknown anchor"},
		{"prompts: {short: {text: a}}\n" + good, `m.yaml:1: prompt "short" is one of traces/prompts`},
		{"prompts: {own: {text: a, tokens: [1]}}\n" + good, "m.yaml:1: prompt own: give one of text, file and tokens"},
		{"prompts: {own: {file: nowhere.txt}}\n" + good, "m.yaml:1: prompt own: nowhere.txt cannot be read"},
		{"prompts: {own: {tokens: [1, -2]}}\n" + good, `m.yaml:1: a token is "-2"`},
		{good + "goldens: {g: {model: haiku, prompt: short}}\n", "m.yaml:4: golden g: needs model, prompt and taps"},
		{good + "goldens: {g: {model: haiku, prompt: short, taps: [q]}}\n", `m.yaml:4: taps: "q" is not a tap`},
	} {
		_, err := ParseMatrix("m.yaml", []byte(c.text))
		var input *InputError
		if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q\n  gives %v\n  want %s", c.text, err, c.want)
		}
	}
}

func TestMatrixIsBounded(t *testing.T) {
	steps := strings.Repeat("1, ", 400) + "1"
	text := "models: {haiku: shipped}\ncases:\n  - {models: haiku, prompts: short, steps: [" + steps + "], ours: [" + strings.Repeat("\"ours:emu\", ", 300) + "\"ours:emu\"]}\n"
	if _, err := ParseMatrix("m.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "more than 100000 cases") {
		t.Errorf("got %v", err)
	}
}

// The committed matrices, their baselines and their waivers can be read.
func TestCommitted(t *testing.T) {
	files, err := filepath.Glob("../../traces/gate*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, ".waivers.yaml") {
			continue
		}
		m, err := ReadMatrix(f)
		if err != nil {
			t.Error(err)
			continue
		}
		base, err := ReadBaseline(m.Baseline)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := ReadWaivers(m.Waivers); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(m.Baseline); err == nil && string(text) != string(base.Text()) {
			t.Errorf("%s is not as it is written", m.Baseline)
		}
	}
}

func FuzzParseMatrix(f *testing.F) {
	f.Add([]byte(smallMatrix))
	f.Add([]byte("models: &a {x: *a}"))
	f.Add([]byte("cases: [{}]"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMatrix("m.yaml", text)
		var input *InputError
		switch {
		case err == nil && len(m.Cases) == 0:
			t.Error("a matrix without cases is taken")
		case err != nil && !errors.As(err, &input):
			t.Errorf("%v: no file and line", err)
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("%q is more than a line", err)
		}
	})
}
