package evidence_test

import (
	"fmt"
	"os"
	"path/filepath"
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
