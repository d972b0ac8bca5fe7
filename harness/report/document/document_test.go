package document_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"attndiff/harness/report/document"
	"attndiff/harness/verdict"
)

// heading is a heading of a document and what follows it.
type heading struct {
	level int
	text  string
	next  ast.Node
}

// parsed is a document as GitHub reads it.
type parsed struct {
	source   []byte
	root     ast.Node
	headings []heading
	links    []string
	anchors  map[string]bool
	tables   int
	raw      []string // HTML that is not text
}

func parse(source string) *parsed {
	p := &parsed{source: []byte(source), anchors: map[string]bool{}}
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	p.root = md.Parser().Parse(text.NewReader(p.source))
	_ = ast.Walk(p.root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			p.headings = append(p.headings, heading{n.Level, p.plain(n), n.NextSibling()})
			if id, ok := n.AttributeString("id"); ok {
				p.anchors[string(id.([]byte))] = true
			}
		case *ast.Link:
			p.links = append(p.links, string(n.Destination))
		case *ast.Image:
			p.raw = append(p.raw, "image "+string(n.Destination))
		case *ast.RawHTML, *ast.HTMLBlock:
			p.raw = append(p.raw, "HTML in "+p.plain(n.Parent()))
		case *east.Table:
			p.tables++
		}
		return ast.WalkContinue, nil
	})
	return p
}

// plain is the text of a node as a reader sees it.
func (p *parsed) plain(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(util.UnescapePunctuations(t.Segment.Value(p.source)))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// tableRule is the line below a table's header.
var tableRule = regexp.MustCompile(`(?m)^(\| --- )+\|$`)

// Each document of each run parses into what was meant: tables are tables,
// links lead somewhere, no section is empty, and nothing that came from
// outside is markup.
func TestDocuments(t *testing.T) {
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			docs, rep := documents(t, s)
			for file, source := range docs {
				p := parse(source)
				if want := len(tableRule.FindAllString(source, -1)); p.tables != want {
					t.Errorf("%s: %d tables, %d were written", file, p.tables, want)
				}
				if len(p.raw) > 0 {
					t.Errorf("%s: %q", file, p.raw)
				}
				if strings.Contains(source, "%!") {
					t.Errorf("%s: a format went wrong: %s", file, around(source, "%!"))
				}
				if most := 200_000; len(source) > most {
					t.Errorf("%s has %d bytes, a person reads %d at most", file, len(source), most)
				}
				for _, link := range p.links {
					if anchor, ok := strings.CutPrefix(link, "#"); ok && !p.anchors[anchor] || !ok && docs[link] == "" && link != "report.json" {
						t.Errorf("%s: link to %s", file, link)
					}
				}
				for _, h := range p.headings {
					if next, ok := h.next.(*ast.Heading); h.next == nil || ok && next.Level <= h.level {
						t.Errorf("%s: nothing under %q", file, h.text)
					}
				}
			}
			checkQuestions(t, parse(docs[document.Comparison]))
			for _, f := range rep.Findings {
				for _, file := range []string{document.Bugs, document.FixPlan} {
					if !slices.ContainsFunc(parse(docs[file]).headings, func(h heading) bool { return strings.Contains(h.text, f.Tap+": "+f.Cause.Title) }) {
						t.Errorf("%s has no section on %s: %s", file, f.Tap, f.Cause.Title)
					}
				}
				k := f.Reference.CUDA
				for _, want := range []string{"#### llama.cpp's CUDA kernel", "`" + k.String()[:strings.Index(k.String(), ",")] + "`", strings.Join(k.Snippet, "\n")} {
					if !strings.Contains(docs[document.FixPlan], want) {
						t.Errorf("the fix plan does not quote llama.cpp's kernel for %s: no %q", f.Tap, want)
					}
				}
				if !strings.Contains(docs[document.Comparison], "- [ ] **`"+f.Tap+"`**") {
					t.Errorf("%s is no open difference", f.Tap)
				}
			}
			if s.faults == "" && strings.Contains(docs[document.Comparison], "this model calls for") {
				t.Errorf("a clean run's launches are called wrong: %s", around(docs[document.Comparison], "this model calls for"))
			}
			if clean := rep.Verdict == verdict.Parity; clean != strings.Contains(docs[document.Bugs], "No bug was found") ||
				clean != strings.Contains(docs[document.FixPlan], "## Nothing to fix") || clean != (s.faults == "") {
				t.Errorf("verdict %s with %q planted: the documents say otherwise", rep.Verdict, s.faults)
			}
		})
	}
}

func around(s, part string) string {
	i := strings.Index(s, part)
	return s[max(0, i-60):min(len(s), i+60)]
}

// structure is what the comparison is asked to look like.
var structure = []string{
	"# llama.cpp vs Our Implementation", "## Attention Flow Comparison", "### llama.cpp", "### Our Implementation", "### Differences",
	"## Code Snippets", "### llama.cpp Attention (Simplified)", "### llama.cpp's CUDA Kernels", "### Our Attention", "## Identified Issues",
}

// checkQuestions expects the structure in order, and every question as a
// heading with an answer below it.
func checkQuestions(t *testing.T, p *parsed) {
	t.Helper()
	var all []string
	answered := map[string]bool{}
	for _, h := range p.headings {
		all = append(all, strings.Repeat("#", h.level)+" "+h.text)
		_, bare := h.next.(*ast.Heading)
		answered[h.text] = h.next != nil && !bare
	}
	rest := all
	for _, want := range structure {
		i := slices.Index(rest, want)
		if i < 0 {
			t.Fatalf("no heading %q in its place among %q", want, all)
		}
		rest = rest[i+1:]
	}
	count := 0
	expect := func(heading string) {
		count++
		if !answered[heading] {
			t.Errorf("no answer under %q", heading)
		}
	}
	for i, topic := range document.Topics() {
		for _, q := range topic.Primary {
			expect(q.Text)
		}
		for j, q := range topic.Document {
			expect(strings.Join([]string{number(i), number(j), " " + q.Text}, "."))
		}
	}
	for i, q := range document.Closing() {
		expect(number(i) + ". " + q.Text)
	}
	if count != 18+27+7 {
		t.Errorf("%d questions, the assignment has 52", count)
	}
}

func number(i int) string { return string(rune('1' + i)) }

// A clean run's comparison answers from measurement: the numbers are this
// run's.
func TestMeasured(t *testing.T) {
	docs, _ := documents(t, scenario{})
	for _, want := range []string{
		"`SOFT_MAX` multiplies by `scale` = 0.1767767", // 1/sqrt(32), the tiny model's head_dim
		"mode = 2, freq_base = 1000000",
		"positions (0, 1, 2, 3, 4)",
		"**0, bit for bit**",
		"| `k_proj` | T | N | `blk.0.attn_k.weight` f16 | `attn_norm` |",
		"V is stored transposed",
		"rope_neox<<<5, 64>>>(x=q_bias, y=q_rope,",
		"extern \"C\" __global__ void causal_softmax(",
		"kq = ggml_soft_max_ext(ctx0, kq, kq_mask, kq_scale, hparams.f_max_alibi_bias);",
		"both sides compute KV head h / ",
	} {
		if !strings.Contains(docs[document.Comparison], want) {
			t.Errorf("the comparison lacks %q", want)
		}
	}
	if strings.Contains(docs[document.Comparison], "- [ ] **`") || strings.Contains(docs[document.Comparison], "this model calls for") {
		t.Error("a difference on a clean run")
	}
}

// A faulty run's documents quote the code that ran, say what the call passed
// and what it should, and name the command without the planted mistakes.
func TestFaulty(t *testing.T) {
	docs, _ := documents(t, scenario{faults: "gqa-modulo,no-scale,k-proj-transposed"})
	for file, wants := range map[string][]string{
		document.Comparison: {"ours KV head h mod 2", "`scale` is `1`, this model calls for `0.1767767`", "`SOFT_MAX` has `scale = 0.1767767`"},
		document.Bugs:       {"const int g = h % G;", "## Summary: the top 3", "`op(A)` is `CUBLAS_OP_N`, this model calls for `CUBLAS_OP_T`", "next best explanation"},
		document.FixPlan: {"- scale = 1\n+ scale = 0.1767767", "- op(A) = CUBLAS_OP_N\n+ op(A) = CUBLAS_OP_T", "const int g = h / (H / G);", "## Critical",
			"```sh\nbin/attndiff diff --model tiny.gguf --steps 2\n```"},
	} {
		for _, want := range wants {
			if !strings.Contains(docs[file], want) {
				t.Errorf("%s lacks %q", file, want)
			}
		}
	}
}

// The comparison quotes each of llama.cpp's kernels once, mul_mat_vec_f with the
// lines that sum the scores and with those that weigh the values, and fused attention in
// place of the three ops that it does in one.
func TestCUDAKernels(t *testing.T) {
	for flash, want := range map[bool][]string{
		false: {"`rms_norm_f32`", "`cublasSgemm`", "`k_bin_bcast`", "`rope_neox`", "`k_set_rows`", "`mul_mat_vec_f`", "`soft_max_f32`", "`mul_mat_vec_f`"},
		true:  {"`rms_norm_f32`", "`cublasSgemm`", "`k_bin_bcast`", "`rope_neox`", "`k_set_rows`", "`flash_attn_ext_vec`"},
	} {
		docs, _ := documents(t, scenario{flash: flash})
		_, section, _ := strings.Cut(docs[document.Comparison], "### llama.cpp's CUDA Kernels")
		section, _, _ = strings.Cut(section, "### ")
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^\*\*(.+)\*\* for `).FindAllStringSubmatch(section, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("flash attention %v: kernels %q, want %q", flash, got, want)
		}
	}
}

// What a foreign trace does not tell is said to be untold, not made up.
func TestForeign(t *testing.T) {
	docs, _ := documents(t, scenario{notes: func(n map[string]string) { clear(n) }})
	text := docs[document.Comparison]
	for _, want := range []string{"does not tell its graph", "does not tell what it ran", "does not hold the text of its kernels"} {
		if !strings.Contains(text, want) {
			t.Errorf("the comparison does not say %q", want)
		}
	}
	for _, not := range []string{"<<<", "extern \"C\"", "CUBLAS_OP_T, CUBLAS_OP_N, m ="} {
		if strings.Contains(text, not) {
			t.Errorf("the comparison has %q: %s", not, around(text, not))
		}
	}
}

// Nothing is written when a trace cannot be read.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := document.Write(dir, document.Input{Reference: filepath.Join(dir, "none"), Ours: filepath.Join(dir, "none")}); err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}

// Remove takes the documents and nothing else, and does not mind when there
// are none.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "notes.md")
	for _, name := range append(document.Names(), "notes.md") {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := document.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != filepath.Base(other) {
		t.Errorf("left: %v", left)
	}
}

// Two writings of one run are the same bytes.
func TestDeterministic(t *testing.T) {
	a, _ := documents(t, scenario{faults: "no-scale"})
	b, _ := documents(t, scenario{faults: "no-scale"})
	for name := range a {
		if !bytes.Equal([]byte(a[name]), []byte(b[name])) {
			t.Errorf("%s differs between two writings", name)
		}
	}
	if len(a) != 3 {
		t.Errorf("%d documents", len(a))
	}
}
