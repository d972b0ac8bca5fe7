package trace

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"attndiff/traces/tap"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzOpen feeds arbitrary bytes to the reader. What it accepts must be
// consistent, readable in full and as long as its shapes say.
func FuzzOpen(f *testing.F) {
	good, err := sampleMeta().encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{
		record(f, sampleMeta(), F32),
		record(f, sampleMeta(), BF16, tap.At(0, 1, tap.KQ), tap.At(1, 0, tap.ResultOutput)),
		record(f, sampleMeta(), F64, tap.At(1, 1, tap.VCache)),
		container(f, nil, "", ""),
		container(f, good, "s0000.l00.kq", "I64"),
	} {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(unpadded(raw))
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			return
		}
		defer r.Close()
		m := r.Meta()
		if last := r.Dims(len(m.Steps) - 1); last.C() != len(m.Tokens) {
			t.Errorf("the last step ends at token %d of %d", last.C(), len(m.Tokens))
		}
		for _, k := range r.Keys() {
			info, ok := r.Info(k)
			if !ok || k.Step >= len(m.Steps) || k.Layer >= m.Hparams.NLayer {
				t.Errorf("key %s does not belong", k)
			}
			values, err := r.Float32(k, nil)
			if err != nil || len(values) != tap.Elements(info.Shape) {
				t.Errorf("%s: %d values of shape %v, %v", k, len(values), info.Shape, err)
			}
			raw, err := r.Raw(k, nil)
			if err != nil || len(raw) != len(values)*info.DType.Size() {
				t.Errorf("%s: %d bytes of %d values, %v", k, len(raw), len(values), err)
			}
		}
	})
}

// unpadded takes the padding out of a file's header: short inputs fuzz faster.
func unpadded(file []byte) []byte {
	n := binary.LittleEndian.Uint64(file)
	header := bytes.TrimRight(file[8:8+n], " ")
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), file[8+n:]...)
}

// FuzzMeta feeds arbitrary text to the three metadata keys that hold JSON.
// What is accepted must come back the same when written and read again.
func FuzzMeta(f *testing.F) {
	good, err := sampleMeta().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[keyHparams], good[keyTokens], good[keySteps])
	for _, c := range badMetadata {
		text := func(key string) string {
			if edited, ok := c.edit[key]; ok {
				return edited
			}
			return good[key]
		}
		f.Add(text(keyHparams), text(keyTokens), text(keySteps))
	}
	f.Fuzz(func(t *testing.T, hparams, tokens, steps string) {
		in := map[string]string{keySchema: Schema, keyHparams: hparams, keyTokens: tokens, keySteps: steps}
		m := Meta{Engine: "x"}
		for key, value := range m.strings() {
			in[key] = *value
		}
		m, err := decodeMeta(in)
		if err != nil {
			return
		}
		out, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeMeta(out)
		if diff := cmp.Diff(m, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%v; metadata (-read +read again):\n%s", err, diff)
		}
	})
}
