package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriterRoundTrip(t *testing.T) {
	long := map[string]string{"tokens": strings.Repeat("[1,2,3]", 10_000)}
	for _, c := range []struct {
		name     string
		hint     int
		tensors  int
		metadata map[string]string
	}{
		{"nothing", 0, 0, nil},
		{"hint right", 20, 20, map[string]string{"a": "1", "b": "<&>\u2028\x00\""}},
		{"hint too high", 1000, 3, nil},
		{"hint negative", -5, 3, nil},
		{"more tensors than room", 0, 500, nil},
		{"more metadata than room", 1, 1, long},
		{"hint careless", math.MaxInt, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.safetensors")
			w, err := Create(path, c.hint)
			if err != nil {
				t.Fatal(err)
			}
			raw := make([]byte, 0, 7*c.tensors)
			for i := range c.tensors {
				raw = append(raw[:0], bytes.Repeat([]byte{byte(i)}, 7*(i%9))...)
				if err := w.Add(fmt.Sprintf("tensor %d \"é", i), "U8", []int{7, i % 9}, raw); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the file is there before Close")
			}
			if err := w.Close(c.metadata); err != nil {
				t.Fatal(err)
			}
			if err := w.Abort(); err != nil {
				t.Errorf("Abort after Close: %v", err)
			}
			only(t, path)
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if diff := cmp.Diff(c.metadata, f.Metadata()); diff != "" {
				t.Errorf("metadata (-written +read):\n%s", diff)
			}
			if f.start%dataAlign != 0 {
				t.Errorf("data start at byte %d, not a multiple of %d", f.start, dataAlign)
			}
			if len(f.Tensors()) != c.tensors {
				t.Fatalf("%d tensors, wrote %d", len(f.Tensors()), c.tensors)
			}
			for i, tensor := range f.Tensors() {
				want := Tensor{Name: fmt.Sprintf("tensor %d \"é", i), DType: "U8", Shape: []int{7, i % 9}}
				if tensor.Name != want.Name || tensor.DType != want.DType || !cmp.Equal(tensor.Shape, want.Shape) {
					t.Errorf("tensor %d is %v, want %v", i, tensor, want)
				}
				if got := data(t, f, tensor); !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 7*(i%9))) {
					t.Errorf("tensor %d holds %v", i, got)
				}
			}
		})
	}
}

func TestWriterIsDeterministic(t *testing.T) {
	var files [2][]byte
	for i := range files {
		path := filepath.Join(t.TempDir(), "x")
		w, err := Create(path, 2)
		if err != nil {
			t.Fatal(err)
		}
		w.Add("b", "F32", nil, []byte("abcd"))
		w.Add("a", "F16", []int{1}, []byte("ef"))
		if err := w.Close(map[string]string{"z": "1", "y": "2", "x": "3"}); err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same content made different files")
	}
	header := strings.TrimRight(string(files[0][8:8+binary.LittleEndian.Uint64(files[0])]), " ")
	const want = `{"__metadata__":{"x":"3","y":"2","z":"1"},` +
		`"b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}}`
	if header != want {
		t.Errorf("header is\n%s\nwant\n%s", header, want)
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		add      func(w *Writer) error
		metadata map[string]string
		want     string
	}{
		{"too few bytes", func(w *Writer) error { return w.Add("t", "F32", []int{2}, make([]byte, 7)) }, nil, "takes 8"},
		{"too many bytes", func(w *Writer) error { return w.Add("t", "F32", []int{2}, make([]byte, 9)) }, nil, "takes 8"},
		{"unknown dtype", func(w *Writer) error { return w.Add("t", "F33", []int{1}, make([]byte, 4)) }, nil, `unknown dtype "F33"`},
		{"negative size", func(w *Writer) error { return w.Add("t", "F32", []int{-1, -1}, make([]byte, 4)) }, nil, "negative"},
		{"product overflows", func(w *Writer) error { return w.Add("t", "F32", []int{1 << 62, 4}, nil) }, nil, "overflows"},
		{"name twice", func(w *Writer) error { return w.Add("first", "F32", nil, make([]byte, 4)) }, nil, `"first": written twice`},
		{"name not UTF-8", func(w *Writer) error { return w.Add("\xff", "F32", nil, make([]byte, 4)) }, nil, "not valid UTF-8"},
		{"name of the metadata", func(w *Writer) error { return w.Add("__metadata__", "F32", nil, make([]byte, 4)) }, nil, "keeps this name"},
		{"metadata value not UTF-8", nil, map[string]string{"k": "\xff"}, "not valid UTF-8"},
		{"metadata key not UTF-8", nil, map[string]string{"\xff": "v"}, "not valid UTF-8"},
		{"metadata over the limit", nil, map[string]string{"k": strings.Repeat("x", MaxHeader+1)}, "past the limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, []byte("older"))
			w, err := Create(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Add("first", "F32", []int{1}, []byte("abcd")); err != nil {
				t.Fatal(err)
			}
			if c.add != nil {
				err = c.add(w)
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path) {
					t.Errorf("error %v; want the path and %q", err, c.want)
				}
				if again := w.Add("next", "F32", nil, []byte("abcd")); again != err {
					t.Errorf("the next Add returned %v, not the first error", again)
				}
			}
			if err := w.Close(c.metadata); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Close: %v; want %q", err, c.want)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "older" {
				t.Errorf("the older file is now %q, %v", got, err)
			}
			only(t, path)
		})
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add("t", "F32", nil, []byte("abcd")); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := w.Add("u", "F32", nil, []byte("abcd")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Add after Abort: %v", err)
	}
	if err := w.Close(nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Close after Abort: %v", err)
	}
}

func TestCreateRefusesPlaces(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent", "x"), filepath.Join(write(t, nil), "x"), os.DevNull} {
		if w, err := Create(path, 1); err == nil {
			w.Abort()
			t.Errorf("created %s", path)
		} else if !strings.HasPrefix(err.Error(), path) {
			t.Errorf("error %q does not start with %s", err, path)
		}
	}
}

// only checks that nothing but path is in its folder.
func only(t *testing.T, path string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(path) {
		t.Errorf("folder holds %v, %v; want %s alone", left, err, filepath.Base(path))
	}
}

func BenchmarkWrite(b *testing.B) {
	const tensors, size = 64, 1 << 20
	raw := make([]byte, size)
	path := filepath.Join(b.TempDir(), "x")
	b.SetBytes(tensors * size)
	for b.Loop() {
		w, err := Create(path, tensors)
		if err != nil {
			b.Fatal(err)
		}
		for i := range tensors {
			if err := w.Add(fmt.Sprint(i), "F32", []int{size / 4}, raw); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen reads the header of a trace of 24 layers, 9 steps and every
// tap; the rate is in bytes of header.
func BenchmarkOpen(b *testing.B) {
	const tensors = 9 * (24*22 + 3)
	path := filepath.Join(b.TempDir(), "x")
	w, err := Create(path, tensors)
	if err != nil {
		b.Fatal(err)
	}
	for i := range tensors {
		if err := w.Add(fmt.Sprintf("s%04d.l%02d.kq_soft_max", i/24, i%24), "F32", []int{1, 1, 1}, []byte("abcd")); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(w.room)
	if err := w.Close(nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
