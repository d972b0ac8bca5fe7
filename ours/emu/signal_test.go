package emu

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"attndiff/ours/device"
)

// Go's own use of crash signals survives ours: a nil dereference in Go is
// still a panic that can be recovered, before and after a kernel crashed.
func TestGoKeepsItsSignals(t *testing.T) {
	dereference := func() (recovered any) {
		defer func() { recovered = recover() }()
		var p *[4]int
		return p[len(os.Args)%4]
	}
	b := open(t, lenient, "memory.cu")
	y := b.alloc(4, "y")
	for range 3 {
		if r := dereference(); r == nil || !strings.Contains(r.(error).Error(), "nil pointer") {
			t.Fatalf("recovered %v", r)
		}
		b.must("trap_at", 1, 1, at(y), device.Int(0))
	}
}

// Where a crash cannot be turned into an error, the process still says which
// kernel it died in. Runs itself as a child, with portable contexts.
func TestCrashNamesKernelOnStderr(t *testing.T) {
	if os.Getenv("EMU_TEST_CRASH") != "" {
		b := open(t, strict, "memory.cu")
		b.must("trap_at", 2, 32, at(b.alloc(4*32, "y")), device.Int(9))
		t.Fatal("survived")
	}
	child := exec.Command(os.Args[0], "-test.run=^TestCrashNamesKernelOnStderr$")
	child.Env = append(os.Environ(), "EMU_TEST_CRASH=1", "CXX=g++ -DEMU_UCONTEXT")
	out, err := child.CombinedOutput()
	if err == nil {
		t.Fatalf("the child survived: %s", out)
	}
	if want := regexp.MustCompile(`(?m)^kernel trap_at \(tap s0003\.l07\.q_rope\) crashed with signal \d+ at block \(0,0,0\) thread \(9,0,0\)$`); !want.Match(out) {
		t.Errorf("the child's output lacks %s:\n%s", want, out)
	}
}
