package safetensors

import (
	"bytes"
	"slices"
	"testing"

	peer "github.com/nlpodyssey/safetensors"
)

// FuzzOpen feeds arbitrary bytes to the reader. What it accepts must be
// readable in full, cover the data, come back the same from our own writer,
// and be accepted by the peer, which is the laxer of the two.
func FuzzOpen(f *testing.F) {
	for _, c := range malformed {
		f.Add(c.file)
	}
	for _, c := range accepted {
		f.Add(c.file)
	}
	path := f.TempDir() + "/copy"
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := read("fuzz", bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		w, err := Create(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		known, covered := true, int64(0)
		for _, tensor := range in.Tensors() {
			p := data(t, in, tensor)
			covered += tensor.Bytes()
			if err := w.Add(tensor.Name, tensor.DType, tensor.Shape, p); err != nil {
				t.Fatal(err)
			}
			_, err := peer.ParseDType(string(tensor.DType))
			known = known && err == nil
		}
		if covered != int64(len(raw))-in.start {
			t.Errorf("tensors cover %d bytes of %d", covered, int64(len(raw))-in.start)
		}
		if err := w.Close(in.Metadata()); err != nil {
			t.Fatal(err)
		}
		out, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if len(out.Metadata()) != len(in.Metadata()) || len(out.Tensors()) != len(in.Tensors()) {
			t.Error("the copy has another number of entries")
		}
		for i, tensor := range out.Tensors() {
			was := in.Tensors()[i]
			if tensor.Name != was.Name || tensor.DType != was.DType || !slices.Equal(tensor.Shape, was.Shape) ||
				!bytes.Equal(data(t, out, tensor), data(t, in, was)) {
				t.Errorf("tensor %q differs in the copy", was.Name)
			}
		}
		if _, err := peer.Deserialize(raw); err != nil && known {
			t.Errorf("the peer refuses what we accept: %v", err)
		}
	})
}
