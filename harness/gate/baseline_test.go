package gate

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

func record(q ...float64) *Record {
	return &Record{Model: "0123456789abcdef", Prompt: "2 fedcba9876543210", Decoded: []int32{7, 0},
		Unclean: []string{"missing kqv"}, Ops: map[tap.Tap][]float64{tap.QProj: q, tap.ResultOutput: {0}}}
}

// What is written reads back, in an order that does not depend on maps.
func TestBaselineText(t *testing.T) {
	b := &Baseline{File: "b", Cases: map[string]*Record{"z/short": record(1.26e-14, math.NaN()), "a/short": record(0, 5e-324)}}
	b.Cases["a/short"].Decoded, b.Cases["a/short"].Unclean = nil, nil
	text := b.Text()
	want := header + `
case a/short
model 0123456789abcdef
prompt 2 fedcba9876543210
op q_proj 0 4.9e-324
op result_output 0

case z/short
model 0123456789abcdef
prompt 2 fedcba9876543210
decoded 7 0
unclean missing kqv
op q_proj 1.3e-14 -
op result_output 0
`
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Fatal(d)
	}
	again, err := ParseBaseline("b", text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(again.Text())); d != "" {
		t.Error(d)
	}
	b.Cases["z/short"].Ops[tap.QProj][0] = 1.3e-14
	if d := cmp.Diff(b, again, cmpopts.EquateNaNs(), cmpopts.IgnoreFields(Record{}, "Line"), cmpopts.EquateApprox(0.1, 0)); d != "" {
		t.Error(d)
	}
}

func TestParseBaselineRefuses(t *testing.T) {
	good := string((&Baseline{Cases: map[string]*Record{"a": record(1e-14)}}).Text())
	for _, c := range []struct{ from, to, want string }{
		{"case a", "", `b:6: "model" before the first case`},
		{"case a", "case ", `b:5: case "" has no name`},
		{"case a", "case a\ncase a", `b:6: case "a" has no name or is there twice`},
		{"model 0123456789abcdef", "model 01", `b:6: model "01": want one line`},
		{"model 0123456789abcdef\n", "", "b:5: case a: lacks its model"},
		{"prompt 2 fedcba9876543210", "prompt 2", `b:7: prompt "2": want one line`},
		{"decoded 7 0", "decoded 7 -1", `b:8: decoded: "-1" is not a token id`},
		{"op q_proj 1.0e-14", "op q 1", `b:10: op "q": no tap`},
		{"op q_proj 1.0e-14", "op q_proj", `b:10: op "q_proj": want a tap and a figure`},
		{"op q_proj 1.0e-14", "op q_proj x", `b:10: op q_proj: "x" is no figure`},
		{"op q_proj 1.0e-14", "op q_proj -1", `b:10: op q_proj: "-1" is no figure`},
		{"op q_proj 1.0e-14", "op q_proj Inf", `b:10: op q_proj: "Inf" is no figure`},
		{"op q_proj 1.0e-14", "op q_proj NaN", `b:10: op q_proj: "NaN" is no figure`},
		{"op q_proj", "op result_output", `b:11: op "result_output": no tap, or there twice`},
		{"unclean", "<<<<<<< HEAD", `b:9: unknown word "<<<<<<<"`},
	} {
		if !strings.Contains(good, c.from) {
			t.Fatalf("%q is not in the text", c.from)
		}
		_, err := ParseBaseline("b", []byte(strings.Replace(good, c.from, c.to, 1)))
		var input *InputError
		if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q for %q gives %v, want %s", c.to, c.from, err, c.want)
		}
	}
}

func FuzzParseBaseline(f *testing.F) {
	f.Add((&Baseline{Cases: map[string]*Record{"a": record(1e-14, math.NaN())}}).Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ParseBaseline("b", text)
		var input *InputError
		if err != nil {
			if !errors.As(err, &input) {
				t.Errorf("%v: no file and line", err)
			}
			return
		}
		again, err := ParseBaseline("b", b.Text())
		if err != nil {
			t.Fatalf("what is written cannot be read: %v", err)
		}
		if string(again.Text()) != string(b.Text()) {
			t.Error("a baseline changes by being read and written")
		}
	})
}

// An op fails past 4 times its baseline, from a floor on that rounding
// explains; below the floor nothing grows.
func TestGrown(t *testing.T) {
	const noise = 5e-14 // derived for the op
	for _, c := range []struct {
		name        string
		tap         tap.Tap
		before, now float64
		grown       bool
	}{
		{"as before", tap.QProj, 1e-14, 1e-14, false},
		{"four times", tap.QProj, 1e-14, 4e-14, false},
		{"more", tap.QProj, 1e-14, 4.1e-14, true},
		{"less", tap.QProj, 1e-14, 1e-16, false},
		{"below one rounding", tap.QBias, 1e-16, 3e-15, false},
		{"above one rounding", tap.QBias, 1e-16, 4e-15, true},
		{"was exact, rounds once", tap.LOut, 0, 3.5e-15, false},
		{"was exact, rounds more", tap.LOut, 0, 3.6e-15, true},
		{"a norm's lucky draw", tap.AttnNorm, 1e-16, 1.9e-13, false},
		{"a norm beyond its noise", tap.AttnNorm, 1e-16, 2.1e-13, true},
		{"a norm grown", tap.FFNNorm, 6e-14, 2.5e-13, true},
		{"a softmax that rounds its scores", tap.KQSoftMax, 1e-15, 1.9e-13, false},
		{"a softmax grown", tap.KQSoftMax, 1e-15, 2.1e-13, true},
		{"was not judged", tap.QProj, math.NaN(), 1, false},
		{"is not judged", tap.QProj, 1e-14, math.NaN(), false}, // that is unclean
		{"rounded to f16", tap.KQV, 3e-15, 4e-8, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := tap.At(0, 1, c.tap)
			judged := func(k tap.Key, e float64) verdict.Tap {
				return verdict.Tap{Key: k, OpOurs: e, Noise: noise, Allowance: 1e-7}
			}
			// Another layer that does not change, and a step where less is wrong.
			r := &verdict.Result{Taps: []verdict.Tap{
				judged(tap.At(0, 0, c.tap), 1e-15), judged(key, c.now), judged(tap.At(1, 1, c.tap), c.now/2)}}
			got := grown(ops(r), &Record{Ops: map[tap.Tap][]float64{c.tap: {1e-15, c.before}}})
			if (len(got) > 0) != c.grown {
				t.Fatalf("grown %v, want %v", got, c.grown)
			}
			if c.grown {
				if d := cmp.Diff([]int{1}, got[0].Layers); d != "" || got[0].Tap != c.tap.String() || got[0].Kind != Grown {
					t.Errorf("%+v", got[0])
				}
				if !strings.Contains(got[0].Text, figure(c.now)) || !strings.Contains(got[0].Text, "1.0e-07 is allowed") {
					t.Error(got[0].Text)
				}
			}
		})
	}
}

// Two runs are compared as a run and a baseline are.
func TestRegressions(t *testing.T) {
	run := func(kqv, out float64) *verdict.Result {
		return &verdict.Result{Taps: []verdict.Tap{
			{Key: tap.At(0, 0, tap.KQV), OpOurs: kqv, Allowance: 1},
			{Key: tap.At(3, 1, tap.KQV), OpOurs: 2 * kqv, Allowance: 1},
			{Key: tap.At(3, 1, tap.AttnOut), OpOurs: out, Allowance: 1},
		}}
	}
	before := run(1e-12, 1e-12)
	if got := Regressions(run(3e-12, 1e-13), before); len(got) > 0 {
		t.Errorf("within 4 times: %+v", got)
	}
	got := Regressions(run(5e-12, 1e-12), before)
	if len(got) != 1 || got[0].Tap != "kqv" || cmp.Diff([]int{0, 1}, got[0].Layers) != "" || cmp.Diff([]int{0, 3}, got[0].Steps) != "" {
		t.Errorf("5 times as much: %+v", got)
	}
}
