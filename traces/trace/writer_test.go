package trace

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attndiff/traces/tap"
)

var (
	_ Sink = (*Writer)(nil)
	_ Sink = Filter{}
)

func TestPutRefuses(t *testing.T) {
	k := tap.At(0, 0, tap.AttnNorm)
	for _, c := range []struct {
		name  string
		key   tap.Key
		dt    DType
		shape []int
		bytes int
		want  string
	}{
		{"too few bytes", k, F32, []int{3, 8}, 95, "95 bytes of data, but shape [3 8] of dtype F32 takes 96"},
		{"too many bytes", k, F16, []int{3, 8}, 96, "takes 48"},
		{"negative size", k, F32, []int{-3, -8}, 96, "negative"},
		{"no dtype", k, "", []int{1}, 4, "not one a trace may hold"},
		{"integers", k, "I32", []int{1}, 4, "dtype I32 is not one a trace may hold; those are F32, F16, BF16 and F64"},
		{"tensor twice", tap.At(0, 1, tap.KQ), F32, []int{1}, 4, `tensor "s0000.l01.kq": written twice`},
		{"step of five digits", tap.At(10_000, 0, tap.KQ), F32, []int{1}, 4, "steps go up to 9999"},
		{"step below 0", tap.At(-1, 0, tap.KQ), F32, []int{1}, 4, "cannot be named"},
		{"no layer", tap.Key{Layer: tap.NoLayer, Tap: tap.KQ}, F32, []int{1}, 4, "cannot be named"},
		{"layer where none belongs", tap.Key{Layer: 3, Tap: tap.InpEmbd}, F32, []int{1}, 4, "cannot be named"},
		{"no tap", tap.Key{Layer: 3, Tap: tap.Count}, F32, []int{1}, 4, "cannot be named"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			w, err := Create(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if err := w.Put(tap.At(0, 1, tap.KQ), F32, []int{1}, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			err = w.Put(c.key, c.dt, c.shape, make([]byte, c.bytes))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("error %v; want the path and %q", err, c.want)
			}
		})
	}
}

func TestCloseRefusesContradictions(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(m *Meta)
		put  tap.Key
		want string
	}{
		{"step not in the metadata", func(*Meta) {}, tap.At(2, 0, tap.KQ), `tensor "s0002.l00.kq": step 2 of a trace of 2 steps`},
		{"layer not in the model", func(*Meta) {}, tap.At(0, 2, tap.KQ), `layer 2 of a model of 2 layers`},
		{"steps and tokens disagree", func(m *Meta) { m.Steps = []int{3} }, tap.At(0, 0, tap.KQ), "sum to 3, but there are 4 tokens"},
		{"no hyperparameters", func(m *Meta) { m.Hparams = Hparams{} }, tap.At(0, 0, tap.KQ), "hparams"},
		{"text not UTF-8", func(m *Meta) { m.Device = "\xff" }, tap.At(0, 0, tap.KQ), "not valid UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			w, err := Create(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Put(c.put, F32, []int{1}, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			m := sampleMeta()
			c.edit(&m)
			if err := w.Close(m); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("Close: %v; want the path and %q", err, c.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

// list is a Sink that notes what it is given and declines one tap.
type list struct {
	keys  []tap.Key
	never tap.Tap
}

func (l *list) Wants(k tap.Key) bool { return k.Tap != l.never }
func (l *list) Put(k tap.Key, _ DType, _ []int, _ []byte) error {
	l.keys = append(l.keys, k)
	return nil
}

func TestFilter(t *testing.T) {
	all := []tap.Key{
		tap.At(0, 0, tap.InpEmbd), tap.At(0, 0, tap.KQ), tap.At(0, 1, tap.KQ), tap.At(0, 1, tap.LOut), tap.At(0, 2, tap.KQ),
		tap.At(0, 0, tap.ResultOutput),
	}
	for _, c := range []struct {
		name   string
		taps   []tap.Tap
		layers *[2]int
		want   []tap.Key
	}{
		{"everything", nil, nil, slices.Delete(slices.Clone(all), 3, 4)},
		{"no tap", []tap.Tap{}, nil, nil},
		{"one tap", []tap.Tap{tap.KQ}, nil, []tap.Key{all[1], all[2], all[4]}},
		{"a tap the sink declines", []tap.Tap{tap.LOut}, nil, nil},
		{"layers", nil, &[2]int{0, 1}, []tap.Key{all[0], all[1], all[2], all[5]}},
		{"both", []tap.Tap{tap.KQ, tap.InpEmbd}, &[2]int{2, 2}, []tap.Key{all[0], all[4]}},
		{"layers there are not", []tap.Tap{tap.KQ}, &[2]int{5, 9}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			behind := &list{never: tap.LOut}
			f := Filter{Sink: behind, Taps: c.taps, Layers: c.layers}
			for _, k := range all {
				if want := slices.Contains(c.want, k); f.Wants(k) != want {
					t.Errorf("Wants(%s) = %v", k, !want)
				}
				if err := f.Put(k, F32, nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(behind.keys, c.want) {
				t.Errorf("passed on %v, want %v", behind.keys, c.want)
			}
		})
	}
}
