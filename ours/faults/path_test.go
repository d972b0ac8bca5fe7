package faults_test

import (
	"strings"
	"testing"

	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/ours/qwen2"
	"attndiff/traces/synth"
	"attndiff/traces/tap"
)

// TestFaultsOnTheFusedPath plants what Check lets through on the fused path, as
// far as it has to do with attention: it must show there, first at the tap it
// names.
func TestFaultsOnTheFusedPath(t *testing.T) {
	f := model(t, func(s *synth.Spec) { s.Embd, s.Heads, s.HeadsKV = 384, 6, 2 })
	clean := runOn(t, f, qwen2.Fused)
	planted := 0
	for _, fault := range faults.Catalogue() {
		if fault.Tap < tap.QRope || fault.Tap > tap.AttnOut || faults.Check([]faults.Fault{fault}, qwen2.Fused) != nil {
			continue
		}
		planted++
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			k, differs := firstDifference(clean, runOn(t, f, qwen2.Fused, fault))
			switch {
			case !differs:
				t.Error("changes nothing")
			case k.Tap != fault.Tap:
				t.Errorf("first differs at %s, names %s", k, fault.Tap)
			}
		})
	}
	if planted < 15 {
		t.Errorf("%d faults of attention can be planted on the fused path, want at least 15", planted)
	}
}

// TestFaultsRefusedByPath: a fault is refused where the path has no place for
// what it changes, and the error names the place.
func TestFaultsRefusedByPath(t *testing.T) {
	tests := []struct {
		name string
		path qwen2.Path
		want string // "" is accepted
	}{
		{"gqa-modulo", qwen2.Fused, "fault gqa-modulo changes ours/kernels/scores.cu, which the fused attention path does not run"},
		{"no-scale", qwen2.Fused, "fault no-scale changes the op of kq_soft_max, which the fused attention path does not have"},
		{"cache-length-for-capacity", qwen2.Fused, "changes the op of kq,"}, // K is read elsewhere than it is written
		{"k-cache-written-after-scores", qwen2.Fused, "changes the op of kq,"},
		{"kv-swapped-on-read", qwen2.Fused, "changes the op of kq,"},
		{"v-cache-wrong-layer", qwen2.Fused, ""},
		{"cache-row-off-by-one", qwen2.Fused, ""},
		{"no-scale", qwen2.Unfused, ""},
		{"gqa-modulo", qwen2.Unfused, ""},
	}
	for _, tt := range tests {
		list, err := faults.Select(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		err = faults.Check(list, tt.path)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s on the %s path: %v, want %q", tt.name, tt.path, err, tt.want)
		}
	}
}

// TestEveryFaultHasAPath: Check knows where each fault acts. A file that a fault
// patches exists, a rewrite names the taps it needs, and the unfused path, which
// has every op, takes them all.
func TestEveryFaultHasAPath(t *testing.T) {
	if err := faults.Check(faults.Catalogue(), qwen2.Unfused); err != nil {
		t.Error(err)
	}
	for _, fault := range faults.Catalogue() {
		for _, r := range fault.Rewrites {
			if len(r.Taps) == 0 {
				t.Errorf("%s: the rewrite of %s names no tap", fault.Name, r.Slot)
			}
		}
	}
	for _, f := range kernels.Default().Files() {
		if !qwen2.Unfused.Runs(f.Name) && !qwen2.Fused.Runs(f.Name) {
			t.Errorf("no path runs %s", f.Name)
		}
	}
}
