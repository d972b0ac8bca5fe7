package document

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// render is what GitHub makes of Markdown.
func render(t *testing.T, source string) string {
	t.Helper()
	var b strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(source), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// FuzzText gives text and code anything: both show it and are no markup.
func FuzzText(f *testing.F) {
	for _, s := range []string{"a", "", "`", "``a`", "# x", "<b>", "a|b", "- [ ] x", "![i](j)", "a_b_c *d*", "\x00\n\t", "&amp;", "1. x", "~~a~~", "https://x.y", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, source := range []string{"x " + text(s) + " y", "x " + code(s) + " y"} {
			p := &page{}
			p.para("%s", source)
			p.table([]string{"a", "b"}, [][]string{{source, "end"}})
			html := render(t, p.b.String())
			for _, not := range []string{"<img", "<script", "<b>", "<em>", "<strong>", "<del>", "<h1", "<li"} {
				if strings.Contains(html, not) {
					t.Errorf("%q became %s", s, html)
				}
			}
			if strings.Count(html, "<td>") != 2 || !strings.Contains(html, "<td>end</td>") {
				t.Errorf("%q broke its table: %s", s, html)
			}
		}
	})
}

// A fence is longer than any run of backticks in its code.
func TestFence(t *testing.T) {
	if html := render(t, fenced("sh", "a ``` b\n````\nc")); !strings.Contains(html, "a ``` b\n````\nc\n</code></pre>") {
		t.Errorf("the fence ends early: %s", html)
	}
}

// Functions of a kernel file are found with what they call, whatever stands in
// comments, strings and templates.
func TestKernelCode(t *testing.T) {
	const file = `// a comment with void not_this() { }
#include <x>
constexpr int N = 4; // { unbalanced
struct S { int a; };
static __device__ float twice(float v) { return 2 * v; }
template <typename T>
static __device__ void body(const T *x, float *y) {
    if (x) { y[0] = twice(x[0]); }
}
static __device__ void other() {}
extern "C" __global__ void __launch_bounds__(256) kernel(const float *x, float *y) {
    body(x, y);
}
`
	var got []string
	for _, f := range kernelCode(map[string]string{"a.cu": file}, "a.cu", "kernel") {
		got = append(got, f.String()+" "+f.name)
		if lines := strings.Split(file, "\n"); !strings.HasPrefix(f.text, lines[f.line-1]) {
			t.Errorf("%s does not begin at its line: %q", f.name, f.text)
		}
	}
	if want := "ours/kernels/a.cu:5 twice|ours/kernels/a.cu:6 body|ours/kernels/a.cu:11 kernel"; strings.Join(got, "|") != want {
		t.Errorf("found %q, want %q", got, want)
	}
	if f := kernelCode(map[string]string{"a.cu": file}, "b.cu", "kernel"); f != nil {
		t.Errorf("of a file that is not there: %v", f)
	}
}

// A place in our code is a link where the documents lie in the repository and
// the file is there, else its name.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module attndiff\n\ngo 1\n", "ours/kernels/a.cu": "x"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in, out := newLinker(filepath.Join(root, "deep", ".plan")), newLinker(t.TempDir())
	for _, c := range []struct {
		l          *linker
		file, want string
		line       int
	}{
		{in, "ours/kernels/a.cu", "[`ours/kernels/a.cu:7`](../../ours/kernels/a.cu#L7)", 7},
		{in, "ours/kernels/a.cu", "[`ours/kernels/a.cu`](../../ours/kernels/a.cu)", 0},
		{in, "ours/kernels/none.cu", "`ours/kernels/none.cu:7`", 7},
		{out, "ours/kernels/a.cu", "`ours/kernels/a.cu:7`", 7},
	} {
		if got := c.l.code(c.file, c.line); got != c.want {
			t.Errorf("%s: %s, want %s", c.file, got, c.want)
		}
	}
}
