package gpu

import (
	"os/exec"
	"testing"
)

// TestKernels: kernels.py gives each kernel its op.
func TestKernels(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(python, "-B", "kernels_test.py").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
