package gate

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
	"attndiff/traces/trace/tracetest"
)

// recording is a made-up recording of the reference: tap attn_norm of two
// layers in two steps, row 0 of layer 1 in step 1 being last. The note is left
// out when it is "".
func recording(t *testing.T, note string, width int, last float32) *trace.Reader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.safetensors")
	w, err := trace.Create(path, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	meta := trace.Meta{Engine: "llama.cpp:cpu", EngineVersion: "llama.cpp aaaa", Device: "cpu", ModelName: "m",
		ModelSHA256: strings.Repeat("ab", 32), Tokens: []int32{1, 2}, Steps: []int{1, 1},
		Hparams: trace.Hparams{NLayer: 2, NEmbd: 4, NHead: 2, NHeadKV: 1, HeadDim: 2, NFF: 4, NVocab: 8, RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: "f16"}}
	if note != "" {
		meta.Notes = map[string]string{roundingNote: note}
	}
	for step := range 2 {
		for layer := range 2 {
			raw := make([]byte, 0, 4*width)
			for i := range width {
				v := float32(i + 1)
				if step == 1 && layer == 1 && i == 0 {
					v = last
				}
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			if err := w.Put(tap.At(step, layer, tap.AttnNorm), trace.F32, []int{1, width}, raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	return tracetest.Finish(t, w, path, meta)
}

// A reference that differs by what rounding explains is the same; past that,
// or in another shape, it moved, and where and by how much is said.
func TestMoved(t *testing.T) {
	// NMSE of (1+d, 2, 3, 4) to (1, 2, 3, 4) is d^2/30.
	const note = `{"s0000.l00.attn_norm":0,"s0000.l01.attn_norm":0,"s0001.l00.attn_norm":0,"s0001.l01.attn_norm":3.4e-6}`
	old := recording(t, note, 4, 1)
	for _, c := range []struct {
		name  string
		now   *trace.Reader
		moved string // "" when it did not
	}{
		{"the same", recording(t, "", 4, 1), ""},
		{"within rounding", recording(t, "", 4, 1.01), ""},
		{"past rounding", recording(t, "", 4, 1.0102), "the reference moved: NMSE to the recording of llama.cpp aaaa is 3.5e-06, rounding explains 3.4e-06"},
		{"not finite", recording(t, "", 4, float32(math.NaN())), "is NaN, rounding explains 3.4e-06"},
		{"another shape", recording(t, "", 3, 1), "its shape is [1 3] and was [1 4]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := moved(old, c.now)
			if err != nil {
				t.Fatal(err)
			}
			if c.moved == "" {
				if len(got) > 0 {
					t.Errorf("moved: %+v", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0].Text, c.moved) || got[0].Kind != Moved || got[0].Tap != "attn_norm" {
				t.Fatalf("%+v, want %s", got, c.moved)
			}
			if c.name == "past rounding" {
				if d := cmp.Diff([][]int{{1}, {1}}, [][]int{got[0].Layers, got[0].Steps}); d != "" {
					t.Error(d)
				}
			}
		})
	}
	if _, err := moved(recording(t, "", 4, 1), old); err == nil || !strings.Contains(err.Error(), "record it again") {
		t.Errorf("a golden without its note: %v", err)
	}
}

// A golden keeps the taps asked for, and of rounding what it then was.
func TestGoldenWrite(t *testing.T) {
	from := recording(t, "", 4, 1)
	path := filepath.Join(t.TempDir(), "golden.safetensors")
	result := &verdict.Result{}
	for _, k := range from.Keys() {
		result.Taps = append(result.Taps, verdict.Tap{Key: k, HasDrift: true, Drift: verdict.Metrics{NMSE: 1e-7 * float64(k.Layer)}, Allowance: 1e-8})
	}
	result.Taps = append(result.Taps, verdict.Tap{Key: tap.At(0, 0, tap.QProj)}) // of ours alone
	source := filepath.Join(t.TempDir(), "from.safetensors")
	copyTrace(t, from, source)
	if err := (Golden{Taps: []tap.Tap{tap.AttnNorm}}).write(path, source, result); err != nil {
		t.Fatal(err)
	}
	got, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want := `{"s0000.l00.attn_norm":1.0e-08,"s0000.l01.attn_norm":4.0e-07,"s0001.l00.attn_norm":1.0e-08,"s0001.l01.attn_norm":4.0e-07}`
	if d := cmp.Diff(want, got.Meta().Notes[roundingNote]); d != "" {
		t.Error(d)
	}
	if again, err := moved(got, from); err != nil || len(again) > 0 {
		t.Errorf("a golden moved from what it was made of: %+v, %v", again, err)
	}
}

// copyTrace writes what a trace holds to another file.
func copyTrace(t *testing.T, from *trace.Reader, path string) {
	t.Helper()
	w, err := trace.Create(path, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, k := range from.Keys() {
		raw, err := from.Raw(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := from.Info(k)
		if err := w.Put(k, info.DType, info.Shape, raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(from.Meta()); err != nil {
		t.Fatal(err)
	}
}

// Written outputs take the place of earlier ones: reports of cases that fail no
// more go.
func TestWriteReplaces(t *testing.T) {
	out := t.TempDir()
	write := func(cases ...string) {
		t.Helper()
		work, err := session.NewWorkspace(out)
		if err != nil {
			t.Fatal(err)
		}
		defer work.Close()
		for _, c := range cases {
			dir := filepath.Join(work.Dir(), casesFolder, c)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "report.json"), []byte("{}"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := sample().Write(work, out); err != nil {
			t.Fatal(err)
		}
	}
	for _, cases := range [][]string{{"a", "b"}, {"b"}, nil, {"c"}} {
		write(cases...)
		var got []string
		list, _ := filepath.Glob(filepath.Join(out, "*", "*", "*"))
		for _, p := range list {
			got = append(got, filepath.Base(filepath.Dir(p)))
		}
		if d := cmp.Diff(cases, got); d != "" {
			t.Errorf("reports: %s", d)
		}
		files, _ := filepath.Glob(filepath.Join(out, "*.*"))
		if len(files) != 4 {
			t.Errorf("files: %v", files)
		}
	}
}
