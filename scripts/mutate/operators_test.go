package main

import (
	"slices"
	"strings"
	"testing"

	"attndiff/ours/kernels"
)

func TestOperators(t *testing.T) {
	for _, tt := range []struct {
		name         string
		op           func(kernels.File, function, add)
		params, body string
		want         []string
	}{
		{"product and sum", exchange, "", "y = a * b + c;", []string{"operator: y = a + b + c;", "operator: y = a / b + c;", "operator: y = a * b - c;"}},
		{"a pointer and a sign", exchange, "", "const float *p = -q;", []string{"sign: const float *p = q;"}},
		{"a bound", exchange, "", "i < n;", []string{"compare: i + 1 < n;", "compare: i <= n;", "compare: i >= n;"}},
		{"a shuffle", exchange, "", "v += __shfl_xor_sync(m, v, o);", []string{"assignment: v -= __shfl_xor_sync(m, v, o);",
			"assignment: v = __shfl_xor_sync(m, v, o);", "function: v += __shfl_down_sync(m, v, o);", "function: v += __shfl_up_sync(m, v, o);"}},
		{"nothing in comments and strings", exchange, "", `f("a + b"); // c + d`, nil},
		{"numbers", literals, "", "x = 32 + 0.5f;", []string{"constant: x = 16 + 0.5f;", "constant: x = 31 + 0.5f;", "constant: x = 32 + 0.25f;",
			"constant: x = 32 + 1.0f;", "constant: x = 33 + 0.5f;"}},
		{"an index", indices, "", "y[i * n] = x;", []string{"index: y[i * n + 1] = x;", "index: y[i * n - 1] = x;"}},
		{"an index that numbers move", indices, "", "y[0] = x[i + 1] + z[2 * i];", []string{"index: y[0] = x[i + 1] + z[2 * i + 1];", "index: y[0] = x[i + 1] + z[2 * i - 1];"}},
		{"a declared size is no index", indices, "", "__shared__ float s[32];", nil},
		{"a size for the next", strides, "float *y, int T, int C, int H", "y[t * C];", []string{"stride: y[t * H];"}},
		{"the only size", strides, "float *y, int n", "y[n];", nil},
		{"axes", axes, "", "i = threadIdx.x;", []string{"axis: i = blockIdx.x;", "axis: i = threadIdx.y;"}},
		{"arguments", arguments, "", "f(a, g(b, c), d);", []string{"arguments: f(a, d, g(b, c));", "arguments: f(a, g(c, b), d);", "arguments: f(g(b, c), a, d);"}},
		{"arguments in any order", arguments, "", "x = min(a, b);", nil},
		{"a condition", branches, "", "if (a < b) {}", []string{"condition: if (!(a < b)) {}", "condition: if (false) {}", "condition: if (true) {}"}},
		{"a choice", branches, "", "x = a ? f(b, 1) : c[2];", []string{"branch: x = a ? c[2] : c[2];", "branch: x = a ? c[2] : f(b, 1);", "branch: x = a ? f(b, 1) : f(b, 1);"}},
		{"half a choice", branches, "", "a ? b;", nil},
		{"statements", statements, "", "int i = 0;\ny[i] = x;\n__syncthreads();\nf(x);\nreturn;", []string{
			"barrier: int i = 0;\ny[i] = x;\n\nf(x);\nreturn;",
			"statement: int i = 0;\n\n__syncthreads();\nf(x);\nreturn;",
			"statement: int i = 0;\ny[i] = x;\n__syncthreads();\n\nreturn;",
			"statement: int i = 0;\ny[i] = x;\n__syncthreads();\nf(x);\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slices.Sort(tt.want)
			if got := kinds(tt.op, tt.params, tt.body); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestMutants: named constants move, no two mutants make the same file, and
// they come in the order of their places.
func TestMutants(t *testing.T) {
	src := kernels.New(kernels.File{Name: "f.cu", Text: "constexpr int TILE = 8; // of rows\nvoid f(int *y, int n) {\n    y[n + 1] = TILE; // one\n}\n"})
	var got []string
	made := map[string]bool{}
	for _, m := range mutants(src) {
		got = append(got, m.To)
		if d := m.apply(src).Digest(); made[d] {
			t.Errorf("%s makes a file that another mutant makes", m)
		} else {
			made[d] = true
		}
		if m.Line == 3 && (m.From != "y[n + 1] = TILE;" || m.Next != "}") {
			t.Errorf("line 3 is %q, then %q", m.From, m.Next)
		}
	}
	want := []string{"constexpr int TILE = 9;", "constexpr int TILE = 7;", "constexpr int TILE = 16;", "constexpr int TILE = 4;",
		"", "y[n - 1] = TILE;", "y[n + 2] = TILE;", "y[n + 0] = TILE;"}
	if !slices.Equal(got, want) {
		t.Errorf("mutants\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
