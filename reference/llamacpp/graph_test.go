package llamacpp_test

import (
	"slices"
	"strings"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/execution"
)

// TestGraph checks what a recording tells of its graph: the order of
// operations, the op's parameters and what the inputs held.
func TestGraph(t *testing.T) {
	for _, cfg := range variants {
		t.Run(name(cfg), func(t *testing.T) {
			e := open(t, "F16", cfg)
			generate(t, e, prompt(e, 12), 2, always(newMemory()))
			h := e.Hparams()
			notes, err := e.Notes()
			if err != nil {
				t.Fatal(err)
			}
			for step := range execution.Phases {
				g, err := notes.Graph(step)
				if err != nil || g == nil {
					t.Fatalf("step %d: graph %v, %v", step, g, err)
				}
				tokens, past := 12, 0
				if step == 1 {
					tokens, past = 1, 12
				}
				if g.Tokens != tokens || g.Past != past || !slices.Equal(g.Layers, []int{0, h.NLayer - 1}) {
					t.Errorf("step %d: %d tokens after %d, layers %v", step, g.Tokens, g.Past, g.Layers)
				}
				if len(g.Cache) != 2*h.NLayer {
					t.Errorf("step %d: %d cache tensors of %d layers", step, len(g.Cache), h.NLayer)
				}
				checkGraph(t, g, cfg, h.HeadDim)
			}
		})
	}
}

// checkGraph looks at one layer: rotation before the cache's write before the
// scores, and the numbers that go with them.
func checkGraph(t *testing.T, g *execution.Graph, cfg llamacpp.Config, headDim int) {
	t.Helper()
	at := map[string]int{}
	for i, n := range g.Tensors {
		if n.Layer == 0 && n.Op != "" {
			at[n.Op+" "+n.Name] = i
		}
	}
	rope, ok := at["ROPE Kcur-0"]
	if !ok {
		t.Fatalf("no ROPE of Kcur-0 among %v", at)
	}
	r := g.Tensors[rope]
	if p := r.Params; p["n_dims"] != float64(headDim) || p["mode"] != 2 || p["freq_base"] < 1 || p["freq_scale"] != 1 {
		t.Errorf("ROPE parameters %v", p)
	}
	positions := g.Source(&r, 1)
	if want := float64(g.Past); len(positions.Values) == 0 || positions.Values[0] != want || int(positions.NE[0]) != g.Tokens {
		t.Errorf("positions %v of %d tokens, want them from %v", positions.Values, positions.NE[0], want)
	}
	written := -1
	for i := range g.Tensors {
		if n := &g.Tensors[i]; n.Op == "SET_ROWS" && g.Root(n).Name == "cache_k_l0" {
			written = i
		}
	}
	scores, op := "kq-0", "MUL_MAT"
	if cfg.FlashAttn {
		scores, op = "__fattn__-0", "FLASH_ATTN_EXT"
	}
	read, ok := at[op+" "+scores]
	if !ok || rope > written || written > read {
		t.Errorf("rotated at %d, written to the cache at %d, read at %d (%v)", rope, written, read, at)
	}
	if !cfg.FlashAttn {
		soft := g.Tensors[at["SOFT_MAX kq_soft_max-0"]]
		mask := g.Source(&soft, 1)
		last := mask.Rows[len(mask.Rows)-1]
		if last.Open != g.Past+g.Tokens || last.Open+last.Closed != int(mask.NE[0]) {
			t.Errorf("the mask's last row %+v of %d columns, want %d open", last, mask.NE[0], g.Past+g.Tokens)
		}
		if g.Tensors[read].Params["prec"] != 10 {
			t.Errorf("kq has precision %v, want 10 (GGML_PREC_F32)", g.Tensors[read].Params)
		}
	}
	for _, n := range g.Tensors {
		if n.Op != "" && n.Layer < 0 && strings.Contains(n.Name, "-") {
			t.Errorf("%s %s belongs to no layer", n.Op, n.Name)
		}
	}
}
