package emu

import (
	"slices"
	"testing"

	"attndiff/ours/device"
)

// Options.Bounds stops an index outside of an array whose size is known, and
// says where.
func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		kernel string
		index  int
		want   string
	}{
		{"shared_index", 7, ""},
		{"shared_index", 8, "kernel shared_index (tap s0003.l07.q_rope) stopped at block (0,0,0) thread (0,0,0): index 8 is outside of its array, 'int [8]', at locals.cu:8"},
		{"shared_index", -1, "index -1 is outside of its array, 'int [8]', at locals.cu:8"},
		{"local_index", 3, ""},
		{"local_index", 4, "index 4 is outside of its array, 'int [4]', at locals.cu:14"},
		{"local_pointer", 0, "write of 'int' outside of the variable that it was to be in, at locals.cu:18"},
		{"local_index", -4, "index -4 is outside of its array, 'int [4]', at locals.cu:14"},
	} {
		b := open(t, Options{Checks: true, Strict: true, Bounds: true}, "locals.cu")
		err := b.run(tt.kernel, 1, 1, at(b.alloc(4, "y")), device.Int(tt.index))
		if tt.want == "" && err != nil {
			t.Errorf("%s at %d: %v", tt.kernel, tt.index, err)
		}
		if tt.want != "" {
			wantError(t, err, tt.want)
		}
	}
}

// The two ways to compile do not take each other's library from the cache.
func TestBoundsAreAsked(t *testing.T) {
	for _, bounds := range []bool{false, true, false} {
		b := open(t, Options{Checks: true, Bounds: bounds}, "locals.cu")
		b.must("local_index", 1, 1, at(b.alloc(4, "y")), device.Int(-4))
		if got := len(b.Violations()) > 0; got != bounds {
			t.Errorf("bounds %v: %v", bounds, b.Violations())
		}
	}
}

// A local variable that nobody assigned holds no number that could be right.
func TestUnsetLocal(t *testing.T) {
	tools, err := findToolchain()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(tools.flags, patternFlag) {
		t.Skip("this compiler cannot fill local variables")
	}
	b := open(t, strict, "locals.cu")
	y := b.alloc(16, "y")
	b.must("unset_local", 1, 1, at(y), device.Int(2))
	got := get[float32](b, y)
	if !slices.Equal(got[:2], []float32{1, 1}) {
		t.Errorf("what was assigned is %v", got[:2])
	}
	for _, v := range got[2:] {
		if !(abs(float64(v)) > 1e20 || v != v) {
			t.Errorf("what was not is %v", v)
		}
	}
}
