package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"attndiff/ours/kernels"
)

// TestMain lets the test's own binary be the worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		if err := work(os.Args[2:], os.Stdin); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// prepared is a lab with these trials.
func prepared(t *testing.T, list []*trial) *lab {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLab(t.Context(), t.TempDir(), self, kernels.Default(), list)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// TestExamine runs one mutant of each fate from compiler to verdict.
func TestExamine(t *testing.T) {
	l := prepared(t, slices.DeleteFunc(trials(), func(t *trial) bool { return t.name != "slim F16" && t.name != "equal logits F32" }))
	for _, tt := range []struct {
		file, old, new string
		fate           Fate
		what           string // part of what is said
	}{
		{"residual.cu", "branch[i] + skip[i]", "branch[i] - skip[i]", Divergence, "s0000.l00.ffn_inp: "},
		{"rms_norm.cu", "__syncthreads();", "", Divergence, "s0000.l00.attn_norm: not finite"},
		{"argmax.cu", "other > *value ||", "other >= *value ||", Divergence, "result_output: the greedy choice"},
		{"swiglu.cu", "const float x = gate[i];", "const float x = gate[i] + (gate[i + 1] == 1234.5f ? 1.0f : 0.0f);", Reported, "kernel swiglu (tap s0000.l00.ffn_swiglu) crashed"},
		{"softmax.cu", "const int t = blockIdx.x;", "const int t = blockIdx.x; if (pos0 == 0) { probs_seen(p); }", Invalid, "softmax.cu:"},
		{"rope.cu", "const int t = blockIdx.x;", "const int t = blockIdx.x; while (pos0 + t == 33) { ((volatile float *)y)[0] = 0; }", Hung, "last tap recorded: s0002.l00.q_bias"},
		{"bias.cu", "x[i] + b[j]", "b[j] + x[i]", SameCode, ""},
		{"fused_decode.cu", "next_kernel_may_begin();", "", Survived, "no code for the emulator"},
		{"weighted_sum.cu", "WEIGHTED_SUM_TILE = 256", "WEIGHTED_SUM_TILE = 128", Survived, ""},
	} {
		text := text(l.src, tt.file)
		at := strings.LastIndex(text, tt.old)
		if at < 0 {
			t.Fatalf("%s holds no %q", tt.file, tt.old)
		}
		f, err := l.examine(t.Context(), mutant{File: tt.file, At: at, Old: tt.old, New: tt.new, From: tt.old, To: tt.new})
		if err != nil {
			t.Fatal(err)
		}
		if f.Fate != tt.fate || !strings.Contains(f.What, tt.what) || f.Located != tt.fate.killed() {
			t.Errorf("%s: %q came out as %s, located %v: %s; want %s: %s", tt.file, tt.new, f.Fate, f.Located, f.What, tt.fate, tt.what)
		}
	}
}

// TestTrials: all trials together launch every kernel, one alone does not.
func TestTrials(t *testing.T) {
	l := prepared(t, trials())
	if err := l.complete(); err != nil {
		t.Error(err)
	}
	alone := *l
	alone.trials = l.trials[:1]
	if err := alone.complete(); err == nil || !strings.Contains(err.Error(), "dequant.cu: no trial launches kernel dequant_q8_0") {
		t.Errorf("error %v", err)
	}
}
