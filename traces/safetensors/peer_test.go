package safetensors

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	peer "github.com/nlpodyssey/safetensors"
)

// sample is content that both implementations can hold. The peer reads scalars
// but has no way to make one, so there is none.
type sample struct {
	metadata map[string]string
	tensors  map[string]peer.TensorView
}

func newSample(t *testing.T) sample {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	s := sample{
		metadata: map[string]string{"engine": "x", "note.text": "quote \" and é"},
		tensors:  make(map[string]peer.TensorView),
	}
	for name, c := range map[string]struct {
		dtype peer.DType
		shape []uint64
	}{
		"f64": {peer.F64, []uint64{2, 3}}, "f32": {peer.F32, []uint64{5, 7, 11}}, "f16": {peer.F16, []uint64{3}},
		"bf16": {peer.BF16, []uint64{1, 1, 1, 1}}, "u8": {peer.U8, []uint64{1000}},
		"none": {peer.F32, []uint64{4, 0}},
	} {
		n := c.dtype.Size()
		for _, size := range c.shape {
			n *= size
		}
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		view, err := peer.NewTensorView(c.dtype, c.shape, data)
		if err != nil {
			t.Fatal(err)
		}
		s.tensors[name] = view
	}
	return s
}

func TestPeerReadsOurs(t *testing.T) {
	s := newSample(t)
	for _, hint := range []int{0, len(s.tensors), 100} {
		path := filepath.Join(t.TempDir(), "x")
		w, err := Create(path, hint)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range s.tensors {
			if err := w.Add(name, DType(v.DType().String()), ints(v.Shape()), v.Data()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(s.metadata); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		st, err := peer.Deserialize(raw)
		if err != nil {
			t.Fatal(err)
		}
		if st.Len() != len(s.tensors) {
			t.Errorf("peer found %d tensors of %d", st.Len(), len(s.tensors))
		}
		for name, want := range s.tensors {
			got, ok := st.Tensor(name)
			if !ok || got.DType() != want.DType() || !cmp.Equal(got.Shape(), want.Shape()) || !bytes.Equal(got.Data(), want.Data()) {
				t.Errorf("peer read another tensor %q than was written", name)
			}
		}
	}
}

func TestOursReadsPeer(t *testing.T) {
	s := newSample(t)
	raw, err := peer.Serialize(s.tensors, s.metadata)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(write(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if diff := cmp.Diff(s.metadata, f.Metadata()); diff != "" {
		t.Errorf("metadata (-written +read):\n%s", diff)
	}
	if len(f.Tensors()) != len(s.tensors) {
		t.Errorf("found %d tensors of %d", len(f.Tensors()), len(s.tensors))
	}
	for _, got := range f.Tensors() {
		want := s.tensors[got.Name]
		if string(got.DType) != want.DType().String() || !cmp.Equal(got.Shape, ints(want.Shape())) || !bytes.Equal(data(t, f, got), want.Data()) {
			t.Errorf("read another tensor %q than the peer wrote", got.Name)
		}
	}
}

// ints converts a peer's shape to ours.
func ints(shape []uint64) []int {
	out := make([]int, len(shape))
	for i, size := range shape {
		out[i] = int(size)
	}
	return out
}
