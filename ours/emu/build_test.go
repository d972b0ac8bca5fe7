package emu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// one is a source of one file with a harmless kernel after the given text.
func one(text string) kernels.Source {
	return kernels.New(kernels.File{Name: "one.cu", Text: text + "\nextern \"C\" __global__ void one(int *y) { *y = 1; }\n"})
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"undeclared name", "\n\nstatic __device__ int f() { return oops; }", "one.cu:3: the kernel does not compile: 'oops' was not declared in this scope"},
		{"wrong argument", "\nstatic __device__ float f(float *p) { return sqrtf(p); }", "one.cu:2: the kernel does not compile: "},
		{"half without its header", "static __device__ __half h;", "one.cu:1: the kernel does not compile: '__half' does not name a type"},
		{"host header", "\n#include <vector>", "one.cu:2: #include <vector>: kernels may include cuda_bf16.h, cuda_fp16.h, cuda_runtime.h and .cuh files"},
		{"missing file", "#include \"none.cuh\"", `one.cu:1: #include "none.cuh": there is no such kernel file`},
		{"no kernel", "__global__ void two() {}", `one.cu:1: a kernel is declared extern "C" __global__ void NAME(PARAMETERS)`},
		{"error after a dynamic array", "static __device__ float f(int i) {\n  extern __shared__\n    float s[];\n  return s[i] + oops;\n}", "one.cu:4: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(one(tt.text), Options{CacheDir: testCache})
			wantError(t, err, tt.want)
		})
	}
}

func TestErrorInHeader(t *testing.T) {
	src := kernels.New(kernels.File{Name: "a.cuh", Text: "#pragma once\nstatic __device__ int f() { return oops; }"},
		kernels.File{Name: "one.cu", Text: "#include \"a.cuh\"\nextern \"C\" __global__ void one(int *y) { *y = f(); }"})
	_, err := Open(src, Options{CacheDir: testCache})
	wantError(t, err, "a.cuh:2: the kernel does not compile: 'oops'")
}

// Two files with helpers of one name do not meet, and share a header.
func TestFilesAreApart(t *testing.T) {
	file := func(name, value string) kernels.File {
		return kernels.File{Name: name + ".cu", Text: "#include \"scale.cuh\"\n__device__ int helper() { return " + value + " * SCALE; }\n" +
			"extern \"C\" __global__ void " + name + "(int *y) { *y = helper(); }"}
	}
	d, err := Open(kernels.New(file("a", "1"), file("b", "2"), kernels.File{Name: "scale.cuh", Text: "#pragma once\nconstexpr int SCALE = 10;\n"}),
		Options{Checks: true, Strict: true, CacheDir: testCache})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := &bench{t, d}
	y := b.alloc(4, "y")
	for i, name := range []string{"a", "b"} {
		b.must(name, 1, 1, at(y))
		if got := get[int32](b, y)[0]; int(got) != 10*(i+1) {
			t.Errorf("kernel %s gives %d", name, got)
		}
	}
}

func TestNoCompiler(t *testing.T) {
	t.Setenv("CXX", "no-such-compiler")
	_, err := Open(one(""), Options{CacheDir: t.TempDir()})
	wantError(t, err, "no-such-compiler, which is not on PATH; install g++")
	t.Setenv("CXX", "false")
	_, err = Open(one(""), Options{CacheDir: t.TempDir()})
	wantError(t, err, "set CXX to a working C++ compiler")
}

func TestUnusableCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(one(""), Options{CacheDir: filepath.Join(file, "cache")})
	wantError(t, err, "kernel cache: ")
}

// A second open finds the library; a changed file compiles alone; nothing but
// libraries and objects stays in the cache.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	list := func() (objects, libraries []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			switch filepath.Ext(e.Name()) {
			case ".o":
				objects = append(objects, e.Name())
			case ".so":
				libraries = append(libraries, e.Name())
			default:
				t.Errorf("%s is left in the cache", e.Name())
			}
		}
		return objects, libraries
	}
	run := func(src kernels.Source, want int32) {
		d, err := Open(src, Options{Checks: true, Strict: true, CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		b := &bench{t, d}
		y := b.alloc(4, "y")
		b.must("one", 1, 1, at(y))
		if got := get[int32](b, y)[0]; got != want {
			t.Errorf("kernel gives %d, want %d", got, want)
		}
	}
	src := kernels.New(append(one("").Files(), kernels.File{Name: "two.cu", Text: `extern "C" __global__ void two() {}`})...)
	for range 2 {
		run(src, 1)
		if o, l := list(); len(o) != 4 || len(l) != 1 { // two files and the runtime's two
			t.Errorf("cache holds %v, %v", o, l)
		}
	}
	patched, err := src.Replace("one.cu", "*y = 1", "*y = 2")
	if err != nil {
		t.Fatal(err)
	}
	run(patched, 2)
	if o, l := list(); len(o) != 5 || len(l) != 2 {
		t.Errorf("cache after a patch holds %v, %v", o, l)
	}
	if _, err := Open(one("oops"), Options{CacheDir: dir}); err == nil {
		t.Error("no error from a kernel that cannot compile")
	}
	list()
}

// Libraries of the same code are the same bytes, wherever they were built.
func TestBuild(t *testing.T) {
	library := func(text string) string {
		t.Helper()
		path, err := Build(one(text), Options{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const text = "static __device__ __noinline__ int f(int i) { return i * 2; }\nextern \"C\" __global__ void two(int *y) { *y = f(*y); }"
	same := strings.Replace(text, "i * 2", "i + i", 1)
	other := strings.Replace(text, "i * 2", "i * 3", 1)
	if library(text) != library(same) {
		t.Error("libraries of the same code differ")
	}
	if library(text) == library(other) {
		t.Error("libraries of other code are the same")
	}
	_, err := Build(one("oops"), Options{CacheDir: t.TempDir()})
	wantError(t, err, "does not compile")
}

func TestPrune(t *testing.T) {
	c := cache{t.TempDir()}
	var names []string
	for i := range keepLibraries + 3 {
		name := filepath.Join(c.dir, "lib-"+strings.Repeat("x", i)+".so")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		used := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(name, used, used); err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Base(name))
	}
	if !c.has(filepath.Join(c.dir, names[0])) { // using it makes it the newest
		t.Fatal("cached file not found")
	}
	old := filepath.Join(c.dir, buildPrefix+"old")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	c.prune()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := append([]string{names[0]}, names[4:]...)
	slices.Sort(want)
	slices.Sort(left)
	if !slices.Equal(left, want) {
		t.Errorf("%d files left, want all but the 3 oldest libraries of %d", len(left), len(names))
	}
}

func TestRewrite(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"extern __shared__ float s[];", "static float *const s = (float *)emu_dynamic_shared;"},
		{"extern __shared__ __align__(16) unsigned char raw[ ] ;x", "static unsigned char *const raw = (unsigned char *)emu_dynamic_shared;x"},
		{"a\nextern\n__shared__ float\ns[];\nb", "a\nstatic float *const s = (float *)emu_dynamic_shared;\n\n\nb"},
		{"// extern __shared__ float s[];", "// extern __shared__ float s[];"},
		{"__shared__ float s[4];", "__shared__ float s[4];"},
	} {
		if got := rewrite(tt.in); got != tt.want {
			t.Errorf("rewrite(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// The portable contexts, for processors that context.cc has no assembly for.
// They cannot turn a crash into an error, everything else is the same.
func TestPortableContexts(t *testing.T) {
	src := source(t, "sync.cu")
	list, err := src.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CXX", "g++ -DEMU_UCONTEXT")
	path, err := build(src, list, Options{CacheDir: testCache})
	if err != nil {
		t.Fatal(err)
	}
	lib, err := openLibrary(path)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(lib, list, strict)
	defer d.Close()
	b := &bench{t, d}
	const n = 77
	x, y := put(b, "x", ramp[int32](n)), b.alloc(4*n, "y")
	b.must("early_exit", 1, 256, at(x), at(y), device.Int(n))
	got := get[int32](b, y)
	slices.Reverse(got)
	if !slices.Equal(got, ramp[int32](n)) {
		t.Errorf("got %v", got)
	}
	wantError(t, b.run("divergent_shuffle", 1, 32, at(y)), "barrier divergence")
}

// Compilers that add checks by themselves, as Ubuntu's does, must not abort
// where the emulator fills shared memory from guard to guard.
func TestHardenedCompiler(t *testing.T) {
	src := source(t, "sync.cu")
	t.Setenv("CXX", "g++ -D_FORTIFY_SOURCE=3 -fstack-protector-all")
	d, err := Open(src, Options{Checks: true, Strict: true, CacheDir: testCache})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := &bench{t, d}
	const n = 77
	x, y := put(b, "x", ramp[int32](n)), b.alloc(4*n, "y")
	b.must("early_exit", 1, 256, at(x), at(y), device.Int(n))
	if got := get[int32](b, y); got[0] != n-1 {
		t.Errorf("got %v", got)
	}
}
