package evidence_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/evidence"
	"attndiff/ours/kernels"
)

// TestCheck: present, stale, missing and damaged evidence, each in one line.
func TestCheck(t *testing.T) {
	const old = "0123456789abcdef0123456789abcdef"
	of := func(digest string) string {
		return fmt.Sprintf(`{"machine": {"attndiff": {"kernel_digest": %q}}}`, digest)
	}
	for _, test := range []struct {
		name, text, want string
	}{
		{"present", of(kernels.Default().Digest()), ""},
		{"stale", of(old), "kernels changed since the last GPU run (0123456789abcdef, now " + kernels.Default().Digest()[:16] + "): run scripts/gpu-run.sh"},
		{"missing", "", "no GPU run yet"},
		{"no digest", "{}", "does not say which kernels it is of: run scripts/gpu-run.sh"},
		{"damaged", "{", "evidence.json: unexpected end of JSON input: run scripts/gpu-run.sh"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.text != "" {
				if err := os.WriteFile(filepath.Join(dir, "evidence.json"), []byte(test.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := evidence.Check(dir)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

// TestKernels: rows as kernels.py writes them, none, and a damaged file.
func TestKernels(t *testing.T) {
	dir := t.TempDir()
	if list, err := evidence.Kernels(dir); list != nil || err != nil {
		t.Errorf("without a file: %v, %v", list, err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "kernels.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`[{"tap": "kqv", "engine": "llama.cpp:cuda", "phase": "decode", "variant": "flash attention", "kernel": "flash_attn_ext_vec<64>",
		"grid": [1, 3, 14], "block": [32, 4, 1], "shared_bytes": 2304, "microseconds": 5.25, "launches": 3}]`)
	want := []evidence.Kernel{{Tap: "kqv", Engine: "llama.cpp:cuda", Phase: "decode", Variant: "flash attention", Kernel: "flash_attn_ext_vec<64>",
		Grid: [3]int{1, 3, 14}, Block: [3]int{32, 4, 1}, SharedBytes: 2304, Microseconds: 5.25, Launches: 3}}
	if list, err := evidence.Kernels(dir); err != nil || !slices.Equal(list, want) {
		t.Errorf("%+v, %v; want %+v", list, err, want)
	}
	write(`[{"tap": 3}]`)
	if _, err := evidence.Kernels(dir); err == nil || !strings.Contains(err.Error(), "kernels.json: ") {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestFind: from a package's folder the repository's evidence is found, from
// elsewhere none.
func TestFind(t *testing.T) {
	if dir, want := evidence.Find(), filepath.Join("traces", "gpu"); !strings.HasSuffix(dir, want) {
		t.Errorf("found %q, want one that ends in %s", dir, want)
	}
	t.Chdir(t.TempDir())
	if dir := evidence.Find(); dir != "" {
		t.Errorf("found %q from an empty folder", dir)
	}
}
