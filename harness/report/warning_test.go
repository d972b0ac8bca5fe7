package report

import (
	"bytes"
	"strings"
	"testing"

	"attndiff/harness/session"
)

// What ours' device noticed is a finding of its tap, unless the tap has one.
func TestWarnings(t *testing.T) {
	in := input(2)
	in.Run.Warnings = []session.Warning{
		{Kernel: "rope_neox", At: "s0000.l01.q_rope", Tap: "q_rope", What: "left 3 elements unwritten", Times: 2},
		{Kernel: "kv_write", At: "s0001.l00.k_cache", Tap: "k_cache", What: "wrote 4 bytes past the end", Times: 7},
		{Kernel: "rms_norm", At: "s0000.result_norm", Tap: "result_norm", What: "read past the end", Times: 1},
	}
	r := Build(in)
	if len(r.Findings) != 3 || r.Findings[0].Cause.ID == "memory" {
		t.Fatalf("findings %+v", r.Findings)
	}
	for i, want := range []struct {
		id     string
		layers int
	}{{"k_cache_memory", 1}, {"result_norm_memory", 0}} {
		f := r.Findings[i+1]
		if f.ID != want.id || len(f.Layers) != want.layers || f.Cause.Status != "proven" || f.Where.File == nil || f.Severity != High {
			t.Errorf("%+v", f)
		}
	}
	var out bytes.Buffer
	if err := r.Print(&out, "r.json", false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "kernel kv_write wrote 4 bytes past the end") {
		t.Errorf("the terminal does not say it:\n%s", out.String())
	}
}
