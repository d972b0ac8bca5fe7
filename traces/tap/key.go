package tap

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// NoLayer is the Layer of a key whose tap exists once per step.
const NoLayer = -1

// Key names one recording: step 0 is the prefill, step n the n-th decode of
// one token. Layer is [NoLayer] for taps that exist once per step.
type Key struct {
	Step  int
	Layer int
	Tap   Tap
}

// At returns the key of tap t at a step and layer; the layer is ignored for
// taps that exist once per step.
func At(step, layer int, t Tap) Key {
	if !t.PerLayer() {
		layer = NoLayer
	}
	return Key{Step: step, Layer: layer, Tap: t}
}

// String spells the key as trace files do: s0000.l03.q_rope, s0000.inp_embd.
func (k Key) String() string {
	if k.Layer < 0 {
		return fmt.Sprintf("s%04d.%s", k.Step, k.Tap)
	}
	return fmt.Sprintf("s%04d.l%02d.%s", k.Step, k.Layer, k.Tap)
}

// Compare orders keys by execution: step, then inp_embd, then layer by layer
// and tap by tap, then result_norm and result_output.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Step, o.Step), cmp.Compare(k.stage(), o.stage()),
		cmp.Compare(k.Layer, o.Layer), cmp.Compare(k.Tap, o.Tap))
}

// stage places a key before, inside or after the layers of its step.
func (k Key) stage() int {
	switch {
	case k.Tap.PerLayer():
		return 1
	case k.Tap == InpEmbd:
		return 0
	default:
		return 2
	}
}

// ParseKey reads the spelling that String writes. It is strict: the step has
// exactly four digits, the layer two or more without a needless leading zero,
// and a layer is present exactly when the tap has one.
func ParseKey(s string) (Key, error) {
	bad := func(why string) (Key, error) {
		return Key{}, fmt.Errorf("tensor name %q: %s; want s<step:4 digits>.l<layer:2+ digits>.<tap>", s, why)
	}
	parts := strings.Split(s, ".")
	if len(parts) != 2 && len(parts) != 3 {
		return bad("not two or three parts")
	}
	step, ok := number(parts[0], 's', 4)
	if !ok || len(parts[0]) != 5 {
		return bad("bad step")
	}
	t, err := Parse(parts[len(parts)-1])
	if err != nil {
		return bad("unknown tap")
	}
	if t.PerLayer() != (len(parts) == 3) {
		return bad("tap and layer do not fit")
	}
	layer := NoLayer
	if len(parts) == 3 {
		if layer, ok = number(parts[1], 'l', 2); !ok {
			return bad("bad layer")
		}
	}
	return Key{Step: step, Layer: layer, Tap: t}, nil
}

// number parses a prefix letter and at least width digits; wider numbers have
// no leading zero, so that a key has one spelling.
func number(s string, prefix byte, width int) (int, bool) {
	if len(s) < 1+width || s[0] != prefix {
		return 0, false
	}
	digits := s[1:]
	if len(digits) > width && digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), err == nil
}
