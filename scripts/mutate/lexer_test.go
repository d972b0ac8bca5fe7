package main

import (
	"slices"
	"strings"
	"testing"

	"attndiff/ours/kernels"
)

func TestTokens(t *testing.T) {
	for _, tt := range []struct{ code, want string }{
		{"a+=b->c;", "a += b -> c ;"},
		{"x[i]<<=2", "x [ i ] <<= 2"},
		{"1.0f-.5f+1e-6f+0xffffffffu", "1.0f - .5f + 1e-6f + 0xffffffffu"},
		{"i++ + ++j", "i ++ + ++ j"},
		{"a::b<c>(d)", "a :: b < c > ( d )"},
		{"a<=b&&c||!d", "a <= b && c || ! d"},
		{"", ""},
	} {
		var words []string
		for _, tok := range tokens(tt.code, 7) {
			words = append(words, tok.text)
			if tt.code[tok.at-7:tok.at-7+len(tok.text)] != tok.text {
				t.Errorf("%q: token %q is not at %d", tt.code, tok.text, tok.at)
			}
		}
		if got := strings.Join(words, " "); got != tt.want {
			t.Errorf("tokens of %q are %q, want %q", tt.code, got, tt.want)
		}
	}
}

func TestFunctions(t *testing.T) {
	f := kernels.File{Name: "f.cu", Text: `
// int commented(int a) { return a; }
#define MACRO(x) { x }
static __device__ float helper(float v) { return v; }
template <typename S>
static __device__ void templated(const S *x, int T, int C, float eps) {
    if (T > C) { x[0]; }
}
struct Tile {
    int n;
    __device__ int rows(int row) const { return row * n; }
};
#ifdef ATTNDIFF_EMULATOR
static __device__ int here(int a) { return a; }
#else
static __device__ int there(int a) { return a; }
#endif
#ifndef ATTNDIFF_EMULATOR
#if __CUDA_ARCH__ >= 800
static __device__ int newer(int a) { return a; }
#endif
#else
static __device__ int here_too(int a) { return a; }
#endif
#if __CUDA_ARCH__ >= 800
static __device__ int some(int a) { return a; }
#endif
extern "C" __global__ void __launch_bounds__(256) kernel(float *y, int n) { y[n] = helper("a { brace"[0]); }
`}
	want := []struct {
		name, params string
		body         string
	}{
		{"helper", "", "return v ;"},
		{"templated", "T C", "if ( T > C ) { x [ 0 ] ; }"},
		{"rows", "row", "return row * n ;"},
		{"some", "a", "return a ;"},
		{"kernel", "n", `y [ n ] = helper ( " " [ 0 ] ) ;`},
	}
	got := functions(f)
	if len(got) != len(want) {
		t.Fatalf("%d functions, want %d: %v", len(got), len(want), got)
	}
	for i, fn := range got {
		var words []string
		for _, tok := range fn.body {
			words = append(words, tok.text)
		}
		if fn.name != want[i].name || strings.Join(fn.params, " ") != want[i].params || strings.Join(words, " ") != want[i].body {
			t.Errorf("function %q of parameters %v with body %q, want %v", fn.name, fn.params, words, want[i])
		}
		if text := f.Text[fn.from-1 : fn.to+1]; text[0] != '{' || text[len(text)-1] != '}' {
			t.Errorf("%s: body stands in %q", fn.name, text)
		}
	}
}

// TestReached follows calls into headers and over named constants.
func TestReached(t *testing.T) {
	src := kernels.New(
		kernels.File{Name: "a.cu", Text: `#include "h.cuh"
constexpr int TILE = 4;
constexpr int OTHER = 8;
static __device__ int twice(int i) { return i * 2; }
static __device__ int deep(int i) { return twice(i) + TILE; }
extern "C" __global__ void first(int *y, int n) { y[0] = deep(n); }
extern "C" __global__ void second(int *y, int n) { y[0] = shared(n) + OTHER; }
`},
		kernels.File{Name: "b.cu", Text: `static __device__ int twice(int i) { return i + i; }
extern "C" __global__ void third(int *y, int n) { y[0] = twice(n) + shared(n); }
`},
		kernels.File{Name: "h.cuh", Text: `static __device__ int shared(int i) { return i - 1; }
`},
	)
	g, err := newGraph(src)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // by what the line holds
		"i * 2": "first", "deep(n)": "first", "TILE = 4": "first", "OTHER = 8": "second",
		"i - 1": "second third", "i + i": "third",
	}
	seen := map[string]bool{}
	for _, m := range mutants(src) {
		for part, kernels := range want {
			if !strings.Contains(m.From, part) {
				continue
			}
			seen[part] = true
			if got := strings.Join(g.reached(m), " "); got != kernels {
				t.Errorf("%s reaches %q, want %q", m, got, kernels)
			}
		}
	}
	if len(seen) != len(want) {
		t.Errorf("mutants of %v alone", seen)
	}
}

// FuzzMutants feeds text that is no CUDA: every mutant must still be a change
// of one place that can be taken back.
func FuzzMutants(f *testing.F) {
	for _, file := range kernels.Default().Files() {
		f.Add(file.Text)
	}
	f.Add("void f(int a, int b) { if (a ? b : c) { x[[; g(,); } }")
	f.Add("void f(int n) { a ? ; } constexpr int N = 99999999999999999999;")
	f.Add("#else\n#endif\n#ifdef\nvoid f() {")
	f.Fuzz(func(t *testing.T, text string) {
		src := kernels.New(kernels.File{Name: "x.cu", Text: text})
		for _, m := range mutants(src) {
			changed := m.apply(src)
			if changed.Digest() == src.Digest() {
				t.Fatalf("%s changes nothing", m)
			}
			back := mutant{File: m.File, At: m.At, Old: m.New, New: m.Old}
			if back.apply(changed).Digest() != src.Digest() {
				t.Fatalf("%s cannot be taken back", m)
			}
		}
	})
}

// kinds lists what an operator makes of the body of a function: "kind: body".
func kinds(op func(kernels.File, function, add), params, body string) []string {
	f := kernels.File{Name: "f.cu", Text: "void f(" + params + ") {\n" + body + "\n}\n"}
	var list []string
	for _, fn := range functions(f) {
		op(f, fn, func(kind string, at int, old, new string) {
			text := f.Text[:at] + new + f.Text[at+len(old):]
			lines := strings.Split(text, "\n")
			list = append(list, kind+": "+strings.Join(lines[1:len(lines)-2], "\n"))
		})
	}
	slices.Sort(list)
	return list
}
