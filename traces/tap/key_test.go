package tap

import (
	"strings"
	"testing"
)

func TestAtDropsTheLayerWhereThereIsNone(t *testing.T) {
	if got, want := At(2, 5, ResultNorm), (Key{Step: 2, Layer: NoLayer, Tap: ResultNorm}); got != want {
		t.Errorf("At = %+v, want %+v", got, want)
	}
	if got, want := At(2, 5, KQ), (Key{Step: 2, Layer: 5, Tap: KQ}); got != want {
		t.Errorf("At = %+v, want %+v", got, want)
	}
}

func TestKeyRoundTrip(t *testing.T) {
	for _, step := range []int{0, 1, 10, 999, 9999} {
		for _, layer := range []int{0, 1, 9, 10, 99, 100, 12345} {
			for _, tap := range All() {
				want := At(step, layer, tap)
				if got, err := ParseKey(want.String()); err != nil || got != want {
					t.Errorf("ParseKey(%s) = %+v, %v", want, got, err)
				}
			}
		}
	}
	for want, k := range map[string]Key{
		"s0000.l03.q_rope": At(0, 3, QRope), "s0012.l123.kq": At(12, 123, KQ), "s0000.inp_embd": At(0, 0, InpEmbd),
	} {
		if k.String() != want {
			t.Errorf("%+v is spelled %s, want %s", k, k, want)
		}
	}
}

// badKeys differ from a key in one way each.
var badKeys = []struct{ name, why string }{
	{"", "not two or three parts"},
	{"s0000", "not two or three parts"},
	{"s0000.l00.kq.x", "not two or three parts"},
	{"s0000.l00.kq.", "not two or three parts"},
	{"s000.l00.kq", "bad step"},
	{"s00000.l00.kq", "bad step"},
	{"s10000.l00.kq", "bad step"},
	{"S0000.l00.kq", "bad step"},
	{"0000.l00.kq", "bad step"},
	{"s-001.l00.kq", "bad step"},
	{"s+001.l00.kq", "bad step"},
	{"s0_01.l00.kq", "bad step"},
	{"s0x01.l00.kq", "bad step"},
	{" s0000.l00.kq", "bad step"},
	{"s٠٠.l00.kq", "bad step"},
	{"s0000.l0.kq", "bad layer"},
	{"s0000.l000.kq", "bad layer"},
	{"s0000.l010.kq", "bad layer"},
	{"s0000.L00.kq", "bad layer"},
	{"s0000.l-1.kq", "bad layer"},
	{"s0000.l99999999999.kq", "bad layer"},
	{"s0000..kq", "bad layer"},
	{"s0000.l00.", "unknown tap"},
	{"s0000.l00.KQ", "unknown tap"},
	{"s0000.l00.kq ", "unknown tap"},
	{"s0000.l00.tap(25)", "unknown tap"},
	{"s0000.kq", "tap and layer do not fit"},
	{"s0000.l00.inp_embd", "tap and layer do not fit"},
	{"s0000.l00.result_output", "tap and layer do not fit"},
}

func TestParseKeyIsStrict(t *testing.T) {
	for _, c := range badKeys {
		if k, err := ParseKey(c.name); err == nil {
			t.Errorf("ParseKey(%q) = %+v; want an error: %s", c.name, k, c.why)
		} else if !strings.Contains(err.Error(), c.why) {
			t.Errorf("ParseKey(%q): %v; want %s", c.name, err, c.why)
		}
	}
}

// FuzzParseKey checks that a key has exactly one spelling.
func FuzzParseKey(f *testing.F) {
	for _, c := range badKeys {
		f.Add(c.name)
	}
	for _, tap := range All() {
		f.Add(At(7, 11, tap).String())
	}
	f.Fuzz(func(t *testing.T, name string) {
		k, err := ParseKey(name)
		if err != nil {
			return
		}
		if k.String() != name {
			t.Errorf("ParseKey(%q) = %+v, which is spelled %s", name, k, k)
		}
		if k != At(k.Step, k.Layer, k.Tap) || k.Step < 0 || k.Tap >= Count {
			t.Errorf("ParseKey(%q) = %+v, which is no key", name, k)
		}
	})
}
