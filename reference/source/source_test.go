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

// longestSnippet bounds the lines that are quoted of a place.
const longestSnippet = 12

// checkSite holds a site against the file it names.
func checkSite(t *testing.T, tree Tree, name string, s Site) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(string(tree), s.File))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if !strings.Contains(lines[s.Line-1], s.Symbol) {
		t.Errorf("%s: %s:%d has no %s: %s", name, s.File, s.Line, s.Symbol, lines[s.Line-1])
	}
	if strings.HasPrefix(strings.TrimSpace(lines[s.Line-1]), "//") {
		t.Errorf("%s: %s:%d is a comment", name, s.File, s.Line)
	}
	if len(s.Snippet) == 0 || len(s.Snippet) > longestSnippet || strings.TrimSpace(s.Snippet[0]) == "" {
		t.Errorf("%s: snippet %q", name, s.Snippet)
	}
	// What is quoted stands in the symbol's function, in this order.
	rest := lines[s.Line-1:]
	for _, l := range s.Snippet {
		if strings.TrimSpace(l) == omission {
			continue
		}
		n := slices.IndexFunc(rest, func(r string) bool { return strings.TrimSpace(r) == strings.TrimSpace(l) })
		if n < 0 || slices.ContainsFunc(rest[:n], func(r string) bool { return strings.HasPrefix(r, "}") }) {
			t.Errorf("%s: %q does not follow %s:%d", name, l, s.File, s.Line)
			continue
		}
		rest = rest[n+1:]
	}
}

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
		for _, s := range []Site{p.Site, p.Arithmetic, p.CUDA} {
			checkSite(t, tree, of.String(), s)
		}
		if !strings.HasPrefix(p.CUDA.File, cuda) || p.CUDA.Note == "" || strings.HasSuffix(p.CUDA.Note, ".") {
			t.Errorf("%s: %s is not of the CUDA backend, or is not explained in a sentence without its period: %q", of, p.CUDA.File, p.CUDA.Note)
		}
	}
	s, err := Fused()
	if err != nil {
		t.Fatal(err)
	}
	checkSite(t, tree, "fused attention", s)
}

// What the lines of a CUDA kernel must show: what decides an op's meaning.
func TestKernels(t *testing.T) {
	for of, want := range map[tap.Tap]struct {
		file, symbol string
		shows        []string
	}{
		tap.InpEmbd:   {"getrows.cu", "k_get_rows_float", []string{"i01 = src1[i10*s10", "dst_row[i00] = ggml_cuda_cast<dst_t>(src0_row[i00]);"}},
		tap.FFNNorm:   {"norm.cu", "rms_norm_f32", []string{"tmp += xi * xi;", "mean = tmp / ncols;", "rsqrtf(mean + eps);", "scale * x[col] * mul[mul_col];"}},
		tap.QProj:     {"ggml-cuda.cu", "cublasSgemm", []string{"CUBLAS_OP_T, CUBLAS_OP_N,", "row_diff, src1_ncols, ne10,", "src0_ddf_i, ne00,", "src1_ddf1_i, ne10,", "dst_dd_i, ldc"}},
		tap.KBias:     {"binbcast.cu", "k_bin_bcast", []string{"i10 = fastmodulo(i0, ne10);", "bin_op(result, (float)src1s[i_src1 + i10])"}},
		tap.KRope:     {"rope.cu", "rope_neox", []string{"pos[channel_x]*powf(theta_scale, i0/2.0f);", "x1 = x[ix + n_dims/2];", "dst[idst + n_dims / 2] = ggml_cuda_cast<D>(x0 * sin_theta + x1 * cos_theta);"}},
		tap.VCache:    {"set-rows.cu", "k_set_rows", []string{"dst_row = *(src1 + i10*s10", "dst + dst_row*s1", "dst_row_ptr[i00] = ggml_cuda_cast<dst_t>(src0_row[i00]);"}},
		tap.KQ:        {"mmvf.cu", "mul_mat_vec_f", []string{"fastdiv((uint32_t) channel_dst, channel_ratio)", "channel_x *stride_channel_x + row*stride_row;", "col2 < ncols2;", "ggml_cuda_mad(sumf[j], tmpx.y, tmpy.y);"}},
		tap.KQSoftMax: {"softmax.cu", "soft_max_f32", []string{"x[col]*p.scale + (mask ? slope*t2f32(mask[col])", "expf(vals[col] - max_val);", "vals[col] * inv_sum;"}},
		tap.KQV:       {"mmvf.cu", "mul_mat_vec_f", []string{"fastdiv((uint32_t) channel_dst, channel_ratio)", "sumh2[j] += tmpx * make_half2(tmpy.x, tmpy.y);"}},
		tap.FFNSwiglu: {"unary.cu", "unary_gated_op_kernel", []string{"op((float)x[j0]) * (float)g[j1]"}},
	} {
		p, err := Find(of)
		if err != nil {
			t.Fatal(err)
		}
		got := squeeze(strings.Join(p.CUDA.Snippet, " "))
		for _, s := range want.shows {
			if p.CUDA.File != cuda+want.file || p.CUDA.Symbol != want.symbol || !strings.Contains(got, s) {
				t.Errorf("%s: %s, %s shows %q, want %s of %s with %q", of, p.CUDA.File, p.CUDA.Symbol, got, want.symbol, want.file, s)
			}
		}
	}
	if s, err := Fused(); err != nil || s.Symbol != "flash_attn_ext_vec" || !strings.Contains(strings.Join(s.Snippet, " "), "nb12*(head / gqa_ratio)") {
		t.Errorf("fused attention: %+v, %v", s, err)
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

// Lines further down follow behind dots, which lines that adjoin do not need.
func TestPieces(t *testing.T) {
	text := "void f() {\n  a();\n  b();\n  c();\n    d();\n}\nvoid g() {\n  e();\n}\n"
	for _, c := range []struct {
		then []piece
		want string
		bad  string
	}{
		{nil, "a();", ""},
		{[]piece{{"b()", 1}}, "a();|b();", ""},
		{[]piece{{"c()", 1}}, "a();|...|c();", ""},
		{[]piece{{"b()", 1}, {"d()", 1}}, "a();|b();|  ...|  d();", ""},
		{[]piece{{"d()", 9}}, "  a();|    ...|    d();|}", ""},
		{[]piece{{"c()", 1}, {"b()", 1}}, "", `"b()"`},
		{[]piece{{"e()", 1}}, "", `"e()"`},
	} {
		s, err := tree(t, "a.c", text).site(trail{file: "a.c", function: []string{"void f("}, symbol: "void f", shows: "a()", rows: 1, then: c.then})
		switch got := strings.Join(s.Snippet, "|"); {
		case c.bad == "" && (err != nil || got != c.want):
			t.Errorf("%v: %q, %v, want %q", c.then, got, err, c.want)
		case c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)):
			t.Errorf("%v: error %v, want it to name %s", c.then, err, c.bad)
		}
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
