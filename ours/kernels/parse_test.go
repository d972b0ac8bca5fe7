package kernels

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attndiff/traces/tap"
)

// Every kernel of this repository follows the conventions, and every tap that
// is not a matrix product has a kernel.
func TestOwnKernels(t *testing.T) {
	if _, err := Default().Kernels(); err != nil {
		t.Fatal(err)
	}
	products := map[tap.Tap]bool{tap.QProj: true, tap.KProj: true, tap.VProj: true, tap.AttnOut: true,
		tap.FFNGate: true, tap.FFNUp: true, tap.FFNOut: true, tap.ResultOutput: true}
	for _, want := range tap.All() {
		list, err := ForTap(want)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 && !products[want] {
			t.Errorf("no kernel says that it writes %s", want)
		}
	}
}

func TestKernels(t *testing.T) {
	src := New(File{"a.cu", `// extern "C" __global__ void commented(int x) {}
// tap: kq
static const char *text = "__global__ void quoted()";

// Two kernels.
// tap: result_norm, attn_norm
// taps: attn_norm
extern "C" __global__ void norm(const float *x, float const *__restrict__ w, float* y, // the rows
                                unsigned int E, float eps) { }
extern "C"
__global__ void __launch_bounds__(256, 2)
bare() {}
`}, File{"b.cu", "/* tap: kq */\n" + `extern "C" __global__ void half_cache(__half *const cache, const int G, /* a , b */ const unsigned char *blocks) {}`},
		File{"c.cuh", "static __device__ void helper() {}"})
	got, err := src.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	want := []Kernel{
		{Name: "norm", File: "a.cu", Line: 8, Taps: []tap.Tap{tap.AttnNorm, tap.ResultNorm}, Params: []Param{
			{"x", "float *", Pointer, true}, {"w", "float *", Pointer, true}, {"y", "float *", Pointer, false},
			{"E", "unsigned int", Int, false}, {"eps", "float", Float, false}}},
		{Name: "bare", File: "a.cu", Line: 10},
		{Name: "half_cache", File: "b.cu", Line: 2, Params: []Param{
			{"cache", "__half *", Pointer, false}, {"G", "int", Int, false}, {"blocks", "unsigned char *", Pointer, true}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernels (-want +got):\n%s", diff)
	}
	if list, err := src.ForTap(tap.ResultNorm); err != nil || len(list) != 1 || list[0].Name != "norm" {
		t.Errorf("ForTap(result_norm) = %v, %v", list, err)
	}
}

func TestBadKernels(t *testing.T) {
	const good = `extern "C" __global__ void k(int n) {}`
	for _, tt := range []struct{ name, text, want string }{
		{"C++ linkage", "\n__global__ void k() {}", `a.cu:2: a kernel is declared extern "C" __global__ void NAME(PARAMETERS)`},
		{"template", "template <typename T> __global__ void k(T x) {}", "a.cu:1: a kernel is declared"},
		{"unknown tap", "// tap: kq, qk\n" + good, `a.cu:2: comment above kernel k: unknown tap "qk"; the taps are inp_embd, `},
		{"empty tap", "// tap:\n" + good, `unknown tap ""`},
		{"double", `extern "C" __global__ void k(float *y, double x) {}`, `a.cu:1: kernel k: parameter 2: x has type "double"; device.Arg carries`},
		{"struct", `extern "C" __global__ void k(float4 v) {}`, `v has type "float4"`},
		{"pointer to pointer", `extern "C" __global__ void k(float **y) {}`, "y is a pointer to a pointer"},
		{"unnamed", `extern "C" __global__ void k(int) {}`, `parameter 1: "int" is not a type and a name`},
		{"unclosed", `extern "C" __global__ void k(int n`, "the parameter list of kernel k is not closed"},
		{"twice", good + "\n" + good, "a.cu:2: kernel k is already declared at a.cu:1; rename one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(File{"a.cu", tt.text}).Kernels()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestBlank(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a // b\nc", "a     \nc"},
		{"a /* b\nc */ d", "a     \n     d"},
		{`x = "a\"/*" + '"'; // "`, `x = "     " + ' ';     `},
		{"n = 1'000'000; // x", "n = 1'000'000;     "},
		{"/* open", "       "},
		{`"open`, `"    `},
		{`"\`, `" `},
	} {
		if got := Blank(tt.in); got != tt.want {
			t.Errorf("Blank(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// No text makes the parser panic, lose a line, or find a kernel where there is
// no such line.
func FuzzKernels(f *testing.F) {
	for _, file := range Default().Files() {
		f.Add(file.Text)
	}
	f.Add("extern \"C\" __global__ void k(int a, /*")
	f.Add("'\\")
	f.Fuzz(func(t *testing.T, text string) {
		blank := Blank(text)
		if len(blank) != len(text) || strings.Count(blank, "\n") != strings.Count(text, "\n") {
			t.Fatalf("Blank changes the length or the lines of %q", text)
		}
		list, err := New(File{"fuzz.cu", text}).Kernels()
		if err != nil {
			return
		}
		for _, k := range list {
			lines := strings.Split(text, "\n")
			if k.Name == "" || k.Line < 1 || k.Line > len(lines) || !strings.Contains(lines[k.Line-1], "extern") {
				t.Fatalf("kernel %+v is not in %q", k, text)
			}
		}
	})
}
