package trace

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/traces/safetensors"
)

// container writes a safetensors file that need not be a trace.
func container(t testing.TB, metadata map[string]string, name string, dt safetensors.DType) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.safetensors")
	w, err := safetensors.Create(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if name != "" {
		if err := w.Add(name, dt, []int{2, 0}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(metadata); err != nil {
		t.Fatal(err)
	}
	return path
}

// hparams edits the text of the sample's hyperparameters.
func hparams(old, new string) map[string]string {
	text := `{"n_layer":2,"n_embd":8,"n_head":2,"n_head_kv":1,"head_dim":4,"n_ff":6,"n_vocab":10,` +
		`"rope_freq_base":1e6,"rope_type":"neox","rms_eps":1e-6,"kv_type":"f16"}`
	return map[string]string{"hparams": strings.Replace(text, old, new, 1)}
}

const absentKey = "\x00" // as a value in the table below: leave the key out

var badMetadata = []struct {
	name string
	edit map[string]string
	want string
}{
	{"no schema", map[string]string{"attndiff.schema": absentKey}, "attndiff.schema is missing; this is not a trace"},
	{"another schema", map[string]string{"attndiff.schema": "2"}, `attndiff.schema is "2"; this program reads "1"`},
	{"one key missing", map[string]string{"device": absentKey}, "metadata device is missing"},
	{"keys missing", map[string]string{"steps": absentKey, "engine": absentKey, "tokens": absentKey}, "metadata engine, steps, tokens are missing"},
	{"engine empty", map[string]string{"engine": ""}, "engine is empty"},

	{"hparams empty", map[string]string{"hparams": ""}, "hparams: not a JSON object"},
	{"hparams an array", map[string]string{"hparams": "[]"}, "hparams: not a JSON object"},
	{"hparams null", map[string]string{"hparams": "null"}, "are missing"},
	{"hparams field missing", hparams(`"n_ff":6,`, ""), "hparams: n_ff is missing"},
	{"hparams field in capitals", hparams(`n_ff`, "N_FF"), "hparams: n_ff is missing"},
	{"hparams field null", hparams(`"n_ff":6`, `"n_ff":null`), "n_ff is 0"},
	{"hparams field a string", hparams(`"n_ff":6`, `"n_ff":"6"`), "hparams: n_ff: json: cannot unmarshal string"},
	{"hparams field a fraction", hparams(`"n_ff":6`, `"n_ff":6.5`), "hparams: n_ff: json: cannot unmarshal number"},
	{"no layers", hparams(`"n_layer":2`, `"n_layer":0`), "n_layer is 0"},
	{"negative width", hparams(`"n_embd":8`, `"n_embd":-8`), "n_embd is -8"},
	{"width beyond 31 bits", hparams(`"n_embd":8`, `"n_embd":2147483648`), "n_embd is 2147483648"},
	{"NaN", hparams(`1e-6`, `NaN`), "hparams: not a JSON object"},
	{"heads not a multiple", hparams(`"n_head":2,"n_head_kv":1`, `"n_head":14,"n_head_kv":4`), "n_head 14 is not a multiple of n_head_kv 4"},
	{"rope base 0", hparams(`1e6`, `0`), "rope_freq_base is 0"},
	{"eps negative", hparams(`1e-6`, `-1`), "rms_eps is -1"},
	{"rope type empty", hparams(`"neox"`, `""`), "rope_type is empty"},
	{"kv type unknown", hparams(`"f16"`, `"F16"`), `kv_type is "F16"; it must be "f16" or "f32"`},

	{"tokens not an array", map[string]string{"tokens": `"x"`}, "tokens: not a JSON array"},
	{"tokens null", map[string]string{"tokens": "null"}, "tokens are empty"},
	{"no tokens", map[string]string{"tokens": "[]", "steps": "[]"}, "tokens are empty"},
	{"token negative", map[string]string{"tokens": "[1,-1,2,3]"}, "token -1 at 1 is outside the vocabulary of 10"},
	{"token outside the vocabulary", map[string]string{"tokens": "[1,2,3,10]"}, "token 10 at 3 is outside the vocabulary of 10"},
	{"token beyond 32 bits", map[string]string{"tokens": "[1,2,3,4294967296]"}, "tokens: not a JSON array"},
	{"NaN token", map[string]string{"tokens": "[1,2,3,NaN]"}, "tokens: not a JSON array"},
	{"steps not an array", map[string]string{"steps": "4"}, "steps: not a JSON array"},
	{"steps too few", map[string]string{"steps": "[3]"}, "steps sum to 3, but there are 4 tokens"},
	{"steps too many", map[string]string{"steps": "[3,1,1]"}, "steps up to 2 have more tokens than the 4 there are"},
	{"step of 0", map[string]string{"steps": "[3,0,1]"}, "step 1 has 0 tokens"},
	{"step negative", map[string]string{"steps": "[3,-1,2]"}, "step 1 has -1 tokens"},
	{"steps that would overflow", map[string]string{"steps": "[9223372036854775807,9223372036854775807,6]"}, "more tokens than the 4"},
	{"more steps than names", map[string]string{
		"tokens": "[1" + strings.Repeat(",1", 10_000) + "]", "steps": "[1" + strings.Repeat(",1", 10_000) + "]",
	}, "10001 steps, more than the 10000"},
}

func TestOpenRefusesMetadata(t *testing.T) {
	good, err := sampleMeta().encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range badMetadata {
		t.Run(c.name, func(t *testing.T) {
			metadata := maps.Clone(good)
			maps.Copy(metadata, c.edit)
			maps.DeleteFunc(metadata, func(_, v string) bool { return v == absentKey })
			refuses(t, container(t, metadata, "s0000.l00.kq", "F32"), c.want)
		})
	}
}

func TestOpenRefusesTensors(t *testing.T) {
	good, err := sampleMeta().encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, tensor string
		dt           safetensors.DType
		want         string
	}{
		{"integers", "s0000.l00.kq", "I64", `tensor "s0000.l00.kq": dtype I64 is not one a trace may hold`},
		{"eight bits", "s0000.l00.kq", "F8_E4M3", "dtype F8_E4M3 is not one a trace may hold"},
		{"name of another kind", "model.layers.0.weight", "F32", `tensor name "model.layers.0.weight"`},
		{"unknown tap", "s0000.l00.qk", "F32", "unknown tap"},
		{"step not in the metadata", "s0002.l00.kq", "F32", "step 2 of a trace of 2 steps"},
		{"layer not in the model", "s0000.l02.kq", "F32", "layer 2 of a model of 2 layers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refuses(t, container(t, good, c.tensor, c.dt), c.want)
		})
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	refuses(t, container(t, nil, "s0000.l00.kq", "F32"), "attndiff.schema is missing")
	path := filepath.Join(t.TempDir(), "x")
	refuses(t, path, "no such file")
	if err := os.WriteFile(path, []byte("GGUF\x03\x00\x00\x00 and so on"), 0o666); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, "is this another kind of file?")
}

// TestOpenTakesMore covers what other recorders write that we do not.
func TestOpenTakesMore(t *testing.T) {
	metadata, err := sampleMeta().encode()
	if err != nil {
		t.Fatal(err)
	}
	metadata["format"] = "pt"
	maps.Copy(metadata, hparams(`{`, `{"n_ctx_train":32768,`))
	r := open(t, container(t, metadata, "s0001.result_output", "F64"))
	if got := r.Meta().Hparams; got != sampleMeta().Hparams {
		t.Errorf("hparams %+v", got)
	}
}

// refuses checks the one line that Open answers a bad file with.
func refuses(t *testing.T, path, want string) {
	t.Helper()
	r, err := Open(path)
	if err == nil {
		r.Close()
		t.Fatalf("accepted; want an error with %q", want)
	}
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q; want one line with the path and %q", err, want)
	}
}
