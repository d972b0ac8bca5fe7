package llamacpp

import (
	"runtime"
	"slices"
	"testing"
)

func TestParseCPUs(t *testing.T) {
	for list, want := range map[string][]int{
		"0":       {0},
		"0-3":     {0, 1, 2, 3},
		"0-1,4,6": {0, 1, 4, 6},
		"":        nil, "a": nil, "3-1": nil, "-1": nil, "0-": nil, "0-99999999": nil,
	} {
		got, err := parseCPUs(list)
		if (err != nil) != (want == nil) || !slices.Equal(got, want) && want != nil {
			t.Errorf("parseCPUs(%q) is %v, %v; want %v", list, got, err, want)
		}
	}
}

func TestDefaultThreads(t *testing.T) {
	if n := DefaultThreads(); n < 1 || n > runtime.NumCPU() || n > maxThreads {
		t.Errorf("DefaultThreads() is %d on %d CPUs", n, runtime.NumCPU())
	}
	if n := runnable(); n < 1 {
		t.Errorf("runnable() is %d, and this test is running", n)
	}
	for _, n := range []int{1, 2, 1000} {
		var c chooser
		if got := c.threads(n); got < 1 || got > n || got > runtime.NumCPU() {
			t.Errorf("threads(%d) is %d", n, got)
		}
	}
}
