package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"attndiff/harness/diagnose"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

var update = flag.Bool("update", false, "write the golden files anew")

var nan = math.NaN()

// judged is a recording with an op error of err where 1e-14 is allowed.
func judged(k tap.Key, status verdict.Status, drift, err float64) verdict.Tap {
	return verdict.Tap{
		Key: k, Shape: []int{2, 3}, Status: status, HasDrift: true,
		Drift:  verdict.Metrics{NMSE: drift, MaxAbs: 0.5, At: []int{0, 1}, A: 1, B: 1.5, Cos: 0.99, WorstRow: []int{0}},
		OpOurs: err, OpRef: 1e-15, Allowance: 1e-14,
		Peak: verdict.Peak{Index: []int{1, 2}, Ours: 1.25, Reference: 2.5, Oracle: 2.5000001},
	}
}

// input is a run of a model with so many layers in which q_rope is wrong from
// layer 1 on and everything after it inherits.
func input(layers int) Input {
	var taps []verdict.Tap
	for step := range 2 {
		wrong := false
		add := func(k tap.Key) {
			switch {
			case k.Tap == tap.QRope && k.Layer >= 1:
				t := judged(k, verdict.Introduced, 0.9, 0.25*float64(step+1))
				t.Why = "NMSE against the oracle is 0.5, allowed 1e-14"
				taps, wrong = append(taps, t), true
			case wrong:
				taps = append(taps, judged(k, verdict.Inherited, 0.1, 1e-15))
			default:
				taps = append(taps, judged(k, verdict.OK, 1e-9, 1e-15))
			}
		}
		add(tap.At(step, 0, tap.InpEmbd))
		for l := range layers {
			for _, t := range []tap.Tap{tap.AttnNorm, tap.QRope, tap.KCache, tap.KQSoftMax} {
				add(tap.At(step, l, t))
			}
		}
		add(tap.At(step, 0, tap.ResultOutput))
	}
	result := &verdict.Result{Outcome: verdict.Divergence, Taps: taps, Oracle: true}
	for i := range taps {
		if taps[i].Status == verdict.Introduced {
			result.First = &taps[i]
			break
		}
	}
	meta := trace.Meta{
		Engine: "llama.cpp:cpu", EngineVersion: "llama.cpp ec98e2002", Device: "CPU", ModelName: "golden", ModelSHA256: "abcd",
		Hparams: trace.Hparams{NLayer: layers, NEmbd: 4, NHead: 2, NHeadKV: 1, HeadDim: 2, KVType: "f16"},
		Tokens:  []int32{1, 2, 3}, Steps: []int{2, 1},
	}
	mine := meta
	mine.Engine = "ours:emu"
	file, line, function := "ours/kernels/rope.cu", 19, "rope_neox"
	return Input{
		Run: &session.Run{
			Reference: &session.Recording{Meta: meta, Own: []int32{3}},
			Ours:      &session.Recording{Meta: mine, Own: []int32{4}},
			Prompt:    []int32{1, 2}, Notes: []string{"ours:emu: kernel rope_neox wrote past the end"},
		},
		Result: result, Name: "haiku", Text: "<|im_start|>", Faults: []string{"rope-interleaved"},
		Decode: func(ids []int32) string { return strings.Repeat("word\n", len(ids)) },
		Locate: func(tap.Tap, int) Place { return Place{&file, &line, &function} },
		Match: func(tap.Tap, []tap.Tap) Symbol {
			graph, kernel, gpu, symbol, line := "models/qwen2.cpp", "ops.cpp", "ggml-cuda/rope.cu", "ggml_rope_ext", 58
			return Symbol{File: &graph, Line: &line, Symbol: &symbol, Snippet: []string{"Qcur = ggml_rope_ext("},
				Arithmetic: &Symbol{File: &kernel, Line: &line, Symbol: &symbol},
				CUDA:       &Symbol{File: &gpu, Line: &line, Symbol: &symbol, Note: "x0 and x1 are n_dims/2 apart"}}
		},
		Limits: []diagnose.Limit{
			{What: strings.Repeat("RoPE of Q and RoPE of K: pairing, frequency; ", 9), Why: "one token was fed", Show: "--prompt haiku",
				Mistakes: []string{"rope-backwards"}},
			{What: "softmax: mask", Why: strings.Repeat("each step fed one token ", 12), Show: "--prompt haiku"},
			{What: "a third", Why: "that the terminal leaves out", Show: "--steps 8"},
		},
		Cleared: []diagnose.Suspicion{
			{What: "a bias of -34, 170 times the median bias", Key: tap.At(1, 0, tap.KBias), Index: []int{0, 1, 61}, Ours: -34, Reference: -33.5, Why: "learnt so"},
			{What: "a residual stream that has grown", Key: tap.At(0, 2, tap.LOut), Ours: 19, Reference: 19, Why: "so has llama.cpp's"},
		},
		Timing:  Timing{"total": 1.5, "reference": 0.5, "ours": 0.75, "compare": 0.25},
		Command: "bin/attndiff diff --fault rope-interleaved",
	}
}

// golden compares text with a file, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s differs (-want +got); look, then run go test ./harness/report -update\n%s", path, d)
	}
}

func printed(t *testing.T, r *Report) string {
	t.Helper()
	var out strings.Builder
	if err := r.Print(&out, ".plan/report.json", false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	r := Build(input(3))
	golden(t, "divergence.txt", printed(t, r))
	var out bytes.Buffer
	if err := r.Encode(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "divergence.json", out.String())
}

// Everything but the command to copy fits 100 columns: with many layers, wide
// characters, long causes and places far into large tensors.
func TestWidth(t *testing.T) {
	for _, layers := range []int{1, 3, 24, 36, 128} {
		in := input(layers)
		in.Text = strings.Repeat("海の🎋", 50)
		in.Decode = func([]int32) string { return strings.Repeat("秋風 autumn wind 🎋", 30) }
		in.Command = "bin/attndiff"
		in.Run.Notes = []string{strings.Repeat("海", 300)}
		in.Run.Unstable = []session.Unstable{{Key: tap.At(9999, layers-1, tap.KQSoftMax), Runs: 2}}
		if in.Result.First != nil {
			first := *in.Result.First
			first.Why = strings.Repeat("a long reason ", 20)
			in.Result.First = &first
		}
		var every []verdict.Tap
		for _, r := range in.Result.Taps { // every second layer: no range shortens their list
			if r.Key.Tap != tap.QRope || r.Key.Layer%2 == 0 {
				every = append(every, r)
			}
			every[len(every)-1].Peak.Index = []int{127, 131071, 131071}
			every[len(every)-1].Composed = tap.All()
		}
		in.Result.Taps = every
		in.Diagnoses = []diagnose.Diagnosis{{Tap: tap.QRope, Evidence: []string{strings.Repeat("海", 200)}, Fix: strings.Repeat("mend it ", 40),
			Cause: diagnose.Cause{ID: "x", Title: strings.Repeat("a long cause ", 20), Status: diagnose.Proven, RunnerUp: strings.Repeat("next", 20)}}}
		for _, r := range []*Report{Build(in), Failed(&session.Failure{Engine: strings.Repeat("engine", 9), Reason: strings.Repeat("why ", 30)}, in)} {
			for i, line := range strings.Split(printed(t, r), "\n") {
				if n := runewidth.StringWidth(line); n > 100 {
					t.Errorf("%d layers: line %d has %d columns: %s", layers, i, n, line)
				}
			}
		}
	}
}

func TestColourOnlyWhenAsked(t *testing.T) {
	r := Build(input(2))
	var out strings.Builder
	if err := r.Print(&out, "r.json", true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\x1b[31m") || strings.Contains(printed(t, r), "\x1b") {
		t.Error("colour is not what was asked for")
	}
}

// What is not finite is null, and reads back.
func TestNotFinite(t *testing.T) {
	in := input(2)
	in.Result.First.OpOurs = nan
	in.Result.First.Peak = verdict.Peak{Index: []int{0, 0}, Ours: math.Inf(1), Reference: nan, Oracle: nan}
	in.Result.First.Drift.NMSE = nan
	r := Build(in)
	if s := r.Findings[0].Severity; s != Critical {
		t.Errorf("severity of NaN is %s, want critical", s)
	}
	var out bytes.Buffer
	if err := r.Encode(&out); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(float64(back.First.Ours)) || !math.IsNaN(float64(back.Findings[0].Evidence.OpOurs)) {
		t.Errorf("not null: %+v", back.First)
	}
}

func TestFinding(t *testing.T) {
	r := Build(input(3))
	if len(r.Findings) != 1 {
		t.Fatalf("%d findings, want one for one wrong op", len(r.Findings))
	}
	f := r.Findings[0]
	if f.Tap != "q_rope" || len(f.Layers) != 2 || len(f.Steps) != 2 || f.Evidence.Recordings != 4 || f.Evidence.Of != 6 {
		t.Errorf("finding %+v", f)
	}
	if f.Evidence.Step != 1 || f.Evidence.OpOurs != 0.5 {
		t.Errorf("evidence is not the worst recording: %+v", f.Evidence)
	}
}

func TestSeverity(t *testing.T) {
	for _, c := range []struct {
		nmse   float64
		differ bool
		want   Severity
	}{
		{nan, false, Critical}, {math.Inf(1), false, Critical}, {0.5, false, Critical}, {1e-2, false, Critical},
		{5e-3, true, Critical}, {5e-3, false, High}, {1e-4, false, High}, {5e-5, true, Medium}, {0, false, Medium},
	} {
		if got := severity(c.nmse, c.differ); got != c.want {
			t.Errorf("severity(%g, %v) is %s, want %s", c.nmse, c.differ, got, c.want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Build(input(1)).Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !json.Valid(text) {
		t.Errorf("not a report: %v %q", err, text)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left beside the report: %v", entries)
	}
	if err := Build(input(1)).Write(filepath.Join(dir, "none", "report.json")); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

// Breaking lines changes no value, whatever the strings hold.
func TestIndent(t *testing.T) {
	const compact = `{"a":"x,{[\"]\\","b":[],"c":{},"d":[[1,2],{"e":[3]}],"f":{"g":[4,5]}}`
	got := indent([]byte(compact), 2)
	var back bytes.Buffer
	if err := json.Compact(&back, got); err != nil || back.String() != compact {
		t.Errorf("%v: %s became %s", err, compact, got)
	}
	const want = "{\n  \"a\":\"x,{[\\\"]\\\\\",\n  \"b\":[],\n  \"c\":{},\n  \"d\":[\n    [1,2],\n    {\"e\":[3]}\n  ],\n  \"f\":{\n    \"g\":[4,5]\n  }\n}"
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestFailed(t *testing.T) {
	f := &session.Failure{Engine: "ours:emu", Reason: "killed", Stage: "record s0001", At: "s0001.l00.kq", Stderr: []string{"why"}}
	golden(t, "failed.txt", printed(t, Failed(f, input(2))))
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Ranges("layer", nil), ""},
		{Ranges("layer", []int{3}), "layer 3"},
		{Ranges("layer", []int{0, 1, 2, 5, 7, 8}), "layers 0-2,5,7-8"},
		{Coordinates("kq", []int{1, 2, 3}), "head 1, token 2, position 3"},
		{Coordinates("kq", []int{1}), "[1]"},
		{header(3, 1), "012"},
		{header(24, 1), "0    5    10   15   20"},
		{header(36, 2), "0    10   20   30"},
		{strings.Join(Wrap("aa bb cc", 5), "|"), "aa bb|cc"},
		{strings.Join(Wrap("aaaaaaaa", 5), "|"), "aaaaa|aaa"},
		{strings.Join(Wrap("秋風の音", 5), "|"), "秋風|の音"},
		{strings.Join(Wrap("秋", 1), "|"), "秋"},
		{strings.Join(Wrap("", 5), "|"), ""},
		{clip("秋風の音", 5), "秋風…"},
		{clip("autumn", 6), "autumn"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestStatistics(t *testing.T) {
	s := Describe([]float64{3, nan, 1, 0, math.Inf(-1), 2}, []int{2, 3})
	if s.Elements != 6 || s.NaN != 1 || s.Inf != 1 || s.Zero != 1 || s.Min != 0 || s.Max != 3 || s.Mean != 1.5 {
		t.Errorf("statistics %+v", s)
	}
	if len(s.FirstRow) != 3 || s.FirstRow[0] != 3 || !math.IsNaN(float64(s.FirstRow[1])) {
		t.Errorf("first row %v", s.FirstRow)
	}
	if s := Describe(nil, []int{0}); !math.IsNaN(float64(s.Min)) || len(s.FirstRow) != 0 {
		t.Errorf("statistics of nothing: %+v", s)
	}
}
