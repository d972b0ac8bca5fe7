package harness

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
}

// rules forbid imports from one floor into others.
var rules = []struct {
	from string
	not  []string
	why  string
}{
	{"attndiff/traces/", []string{"attndiff/ours/", "attndiff/reference/", "attndiff/harness"}, "traces is the ground and sees nobody"},
	{"attndiff/ours/", []string{"attndiff/reference/", "attndiff/harness"}, "ours sees traces alone"},
	{"attndiff/reference/", []string{"attndiff/ours/", "attndiff/harness"}, "the reference sees traces alone"},
	{"attndiff/harness/oracle", []string{"attndiff/ours/", "attndiff/reference/"}, "the oracle is a third voice"},
	{"attndiff/harness/verdict", []string{"attndiff/ours/", "attndiff/reference/"}, "a verdict must not know what was planted"},
	{"attndiff/harness/diagnose", []string{"attndiff/ours/faults"}, "a diagnosis must not know what was planted"},
}

// TestImportDirection lists each package's imports and fails on an arrow that
// points the wrong way.
func TestImportDirection(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	for _, p := range packages {
		if strings.HasPrefix(p.ImportPath, "attndiff/traces/") && len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo (%s): traces is plain Go", p.ImportPath, strings.Join(p.CgoFiles, ", "))
		}
		for _, r := range rules {
			if !strings.HasPrefix(p.ImportPath+"/", strings.TrimSuffix(r.from, "/")+"/") {
				continue
			}
			for _, imported := range p.Imports {
				for _, bad := range r.not {
					if strings.HasPrefix(imported+"/", strings.TrimSuffix(bad, "/")+"/") {
						t.Errorf("%s imports %s: %s", p.ImportPath, imported, r.why)
					}
				}
			}
		}
	}
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,CgoFiles", "attndiff/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
