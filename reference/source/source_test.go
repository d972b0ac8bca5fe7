package source

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"attndiff/traces/tap"
)

// Every tap has its place, and the line that is named says what it should.
func TestEveryTap(t *testing.T) {
	tree, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range tap.All() {
		p, err := Find(of)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, s := range []Site{p.Site, p.Arithmetic} {
			text, err := os.ReadFile(filepath.Join(string(tree), s.File))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(text), "\n")
			if !strings.Contains(lines[s.Line-1], s.Symbol) {
				t.Errorf("%s: %s:%d has no %s: %s", of, s.File, s.Line, s.Symbol, lines[s.Line-1])
			}
			if len(s.Snippet) == 0 || len(s.Snippet) > longestStatement || strings.TrimSpace(s.Snippet[0]) == "" {
				t.Errorf("%s: snippet %q", of, s.Snippet)
			}
			if strings.HasPrefix(strings.TrimSpace(lines[s.Line-1]), "//") {
				t.Errorf("%s: %s:%d is a comment", of, s.File, s.Line)
			}
		}
	}
}

// Places that are easily mistaken for others.
func TestPlaces(t *testing.T) {
	for of, want := range map[tap.Tap]string{
		tap.QRope:     "Qcur = ggml_rope_ext( ctx0, Qcur, inp_pos, nullptr,",
		tap.KRope:     "Kcur = ggml_rope_ext( ctx0, Kcur, inp_pos, nullptr,",
		tap.KBias:     "Kcur = ggml_add(ctx0, Kcur, model.layers[il].bk);",
		tap.KQ:        "ggml_tensor * kq = ggml_mul_mat(ctx0, k, q);",
		tap.KQV:       "ggml_tensor * kqv = ggml_mul_mat(ctx0, v, kq);",
		tap.KCache:    "return ggml_set_rows(ctx, k, k_cur, k_idxs);",
		tap.FFNNorm:   "cur = build_norm(ffn_inp, model.layers[il].ffn_norm, NULL,",
		tap.LOut:      "cur = ggml_add(ctx0, cur, ffn_inp);",
		tap.AttnOut:   "cur = build_lora_mm(wo, cur);",
		tap.KQSoftMax: "kq = ggml_soft_max_ext(ctx0, kq, kq_mask, kq_scale, hparams.f_max_alibi_bias);",
	} {
		p, err := Find(of)
		if err != nil {
			t.Fatal(err)
		}
		if got := squeeze(strings.Join(p.Snippet, " ")); !strings.HasPrefix(got, want) {
			t.Errorf("%s shows %q, want %q", of, got, want)
		}
	}
}

// tree writes one file of llama.cpp's name.
func tree(t *testing.T, file, text string) Tree {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Tree(dir)
}

// A line that moved is found where it went; one that was reworded, or that
// stands in another function, is an error that names it.
func TestOtherVersions(t *testing.T) {
	find := trail{file: "a.c", function: []string{"void f("}, line: "x = mul(", symbol: "mul"}
	for _, c := range []struct{ name, text, want, bad string }{
		{"moved", "\n\n\nvoid f(int a) {\n  int y;\n  x  =  mul(1,\n      2);\n}\n", "x  =  mul(1,|    2);", ""},
		{"earlier function", "void e() {\n x = mul(0);\n}\nvoid f(int a) {\n x = mul(1);\n}\n", "x = mul(1);", ""},
		{"reworded", "void f(int a) {\n  x = times(1);\n}\n", "", `"x = mul("`},
		{"in the next function", "void f(int a) {\n}\nvoid g() {\n x = mul(1);\n}\n", "", `"x = mul("`},
		{"no function", "void g(int a) {\n x = mul(1);\n}\n", "", `"void f("`},
		{"empty", "", "", `"void f("`},
	} {
		s, err := tree(t, "a.c", c.text).site(find)
		switch {
		case c.bad == "" && (err != nil || strings.Join(s.Snippet, "|") != c.want):
			t.Errorf("%s: %q, %v", c.name, s.Snippet, err)
		case c.bad != "" && (err == nil || !strings.Contains(err.Error(), "a.c") || !strings.Contains(err.Error(), c.bad)):
			t.Errorf("%s: error %v, want it to name %s", c.name, err, c.bad)
		}
	}
	if _, err := Tree(t.TempDir()).Find(tap.QRope); err == nil {
		t.Error("no error for a folder without llama.cpp")
	}
}

func TestVersion(t *testing.T) {
	deps := func(m ...*debug.Module) *debug.BuildInfo { return &debug.BuildInfo{Deps: m} }
	own := &debug.Module{Path: module, Version: "v1.2.3"}
	moved := &debug.Module{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "/src/ollama"}}
	for _, c := range []struct {
		info *debug.BuildInfo
		ok   bool
		want string
	}{
		{nil, false, ""}, {deps(), true, ""}, {deps(&debug.Module{Path: "other", Version: "v9"}, own), true, "v1.2.3"},
		{deps(moved), true, "/src/ollama"},
	} {
		if got := version(c.info, c.ok); got != c.want {
			t.Errorf("version is %q, want %q", got, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ modcache, gopath, home, want string }{
		{"/cache", "/a:/b", "/home/x", "/cache"},
		{"", "/a:/b", "/home/x", "/a/pkg/mod"},
		{"", "", "/home/x", "/home/x/go/pkg/mod"},
	} {
		t.Setenv("GOMODCACHE", c.modcache)
		t.Setenv("GOPATH", c.gopath)
		t.Setenv("HOME", c.home)
		if got := environment(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestOutdent(t *testing.T) {
	if got := outdent([]string{"    a", "", "      b  ", "    c"}); !slices.Equal(got, []string{"a", "", "  b", "c"}) {
		t.Errorf("outdent: %q", got)
	}
}
