package execution

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// model is a graph of three layers of two nodes each and a head.
func model() *Graph {
	return &Graph{Step: 1, Tokens: 1, Past: 4, Nodes: 7, Tensors: []Tensor{
		{Name: "x", Type: "f32", Layer: -1},
		{Name: "w0", Type: "f16", Layer: 0},
		{Name: "a-0", Op: "MUL_MAT", Layer: 0, Src: []int{1, 0}, Params: map[string]float64{"prec": 10}},
		{Name: "b-0", Op: "VIEW", Layer: 0, Src: []int{2}, View: &View{2, 8}},
		{Name: "w1", Type: "f16", Layer: 1},
		{Name: "a-1", Op: "MUL_MAT", Layer: 1, Src: []int{4, 3}},
		{Name: "b-1", Op: "VIEW", Layer: 1, Src: []int{5}, View: &View{5, 0}},
		{Name: "w2", Type: "f16", Layer: 2},
		{Name: "a-2", Op: "MUL_MAT", Layer: 2, Src: []int{7, 6}},
		{Name: "result", Op: "ADD", Layer: -1, Src: []int{8, 0}},
	}}
}

// What is kept is closed: every operand is there, and only that.
func TestKeep(t *testing.T) {
	g := model().Keep([]int{0, 2})
	var names []string
	for _, n := range g.Tensors {
		names = append(names, n.Name)
	}
	if want := []string{"x", "w0", "a-0", "b-0", "b-1", "w2", "a-2", "result"}; !slices.Equal(names, want) {
		t.Fatalf("kept %v, want %v", names, want)
	}
	if err := g.check(); err != nil {
		t.Error(err)
	}
	last := &g.Tensors[6]
	if got := g.Source(last, 1).Name; got != "b-1" {
		t.Errorf("a-2 reads %s", got)
	}
	if got := g.Source(last, 2); got != nil {
		t.Errorf("a third operand: %v", got)
	}
	if view := &g.Tensors[3]; g.Root(view).Name != "a-0" || view.View.Offset != 8 {
		t.Errorf("b-0 is a view of %s at %d", g.Root(view).Name, view.View.Offset)
	}
	if seam := g.Tensors[4]; seam.Src != nil || seam.View != nil {
		t.Errorf("b-1, of a layer left out, still has operands: %+v", seam)
	}
}

// What is put comes back; what was never put is nil; what is broken is an
// error that names the note.
func TestNotes(t *testing.T) {
	n := Notes{}
	g, l := model(), &Launches{Step: 0, Tokens: 4, List: []Op{{Tap: "kq", Launch: &Launch{Kernel: "k", Args: []Arg{{Name: "T", Number: 4}}}}}}
	s := Sources{"a.cu": "// text\n"}
	for _, err := range []error{n.PutGraph(g), n.PutLaunches(l), n.PutSources(s)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := n.Graph(1)
	if diff := cmp.Diff(g, got); err != nil || diff != "" {
		t.Errorf("graph: %v\n%s", err, diff)
	}
	launches, err := n.Launches(0)
	if diff := cmp.Diff(l, launches); err != nil || diff != "" {
		t.Errorf("launches: %v\n%s", err, diff)
	}
	sources, err := n.Sources()
	if diff := cmp.Diff(s, sources); err != nil || diff != "" {
		t.Errorf("sources: %v\n%s", err, diff)
	}
	if arg := launches.Find("kq", 0).Launch.Arg("T"); arg == nil || arg.Number != 4 {
		t.Errorf("argument T: %v", arg)
	}
	if op := launches.Find("kq", 1); op != nil {
		t.Errorf("an op of layer 1: %v", op)
	}
	if g, err := n.Graph(0); g != nil || err != nil {
		t.Errorf("graph of step 0: %v, %v", g, err)
	}
	for _, broken := range []string{`{"tensors":[{"src":[1]}]}`, `{"tensors":[{"view":{"of":0}}]}`, `[`, `{"tensors":[{"src":[-1]}]}`} {
		if g, err := (Notes{"graph.prefill": broken}).Graph(0); err == nil || g != nil || !strings.Contains(err.Error(), "graph.prefill") {
			t.Errorf("%s: %v, %v", broken, g, err)
		}
	}
}
