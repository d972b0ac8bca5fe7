package session

import (
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameFloat equates hyperparameters that one engine keeps as float32 and the
// other as float64: they differ by less than a float32 rounding, 2^-24.
var sameFloat = cmpopts.EquateApprox(1.0/(1<<23), 0)

// Match says why two recordings cannot be compared: another model, other
// tokens or other steps. The KV cache's type may differ; that is a difference
// between engines, not between inputs. The error is an [InputError] that
// names the difference.
func Match(ref, ours *Recording) error {
	a, b := ref.Meta, ours.Meta
	if a.ModelSHA256 != "" && b.ModelSHA256 != "" && a.ModelSHA256 != b.ModelSHA256 {
		return mismatch(ref, ours, "models", "model_sha256 "+short(a.ModelSHA256)+" and "+short(b.ModelSHA256))
	}
	a.Hparams.KVType, b.Hparams.KVType = "", ""
	if d := cmp.Diff(a.Hparams, b.Hparams, sameFloat); d != "" {
		return mismatch(ref, ours, "models", "hparams "+oneLine(d))
	}
	if i, ok := firstDifference(a.Tokens, b.Tokens); ok {
		return mismatch(ref, ours, "tokens", fmt.Sprintf("first at position %d of %d and %d: %s",
			i, len(a.Tokens), len(b.Tokens), oneLine(cmp.Diff(window(a.Tokens, i), window(b.Tokens, i)))))
	}
	if i, ok := firstDifference(a.Steps, b.Steps); ok {
		return mismatch(ref, ours, "steps", fmt.Sprintf("tokens per step, first at step %d of %d and %d: %s",
			i, len(a.Steps), len(b.Steps), oneLine(cmp.Diff(window(a.Steps, i), window(b.Steps, i)))))
	}
	return nil
}

// accepts says why a leader's trace cannot be followed with this plan's model.
func (p *Plan) accepts(leader *Recording) error {
	m := leader.Meta
	if m.ModelSHA256 != "" && m.ModelSHA256 != p.Model.SHA256 {
		return &InputError{fmt.Errorf("%s: recorded from another model: its model_sha256 is %s, that of %s is %s; give the same model with --model",
			leader.Side, short(m.ModelSHA256), p.Spec.Model, short(p.Model.SHA256))}
	}
	if p.ContextLimit > 0 && len(m.Tokens) > p.ContextLimit {
		return &InputError{fmt.Errorf("%s: %d tokens do not fit the model's context of %d; record fewer", leader.Side, len(m.Tokens), p.ContextLimit)}
	}
	return nil
}

func mismatch(ref, ours *Recording, what, detail string) error {
	return &InputError{fmt.Errorf("reference %s and ours %s: not comparable, different %s: %s; record both from the same model and tokens",
		ref.Side, ours.Side, what, detail)}
}

// firstDifference returns the first index at which two lists differ; a list
// that ends early differs there.
func firstDifference[T comparable](a, b []T) (int, bool) {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i, true
		}
	}
	return 0, false
}

// window cuts a list to a few elements from index i on, so that a difference
// prints in one line.
func window[T any](list []T, i int) []T {
	i = min(i, len(list))
	return list[i:min(len(list), i+3)]
}

// oneLine squeezes a go-cmp difference into its changed lines: "- 5 + 7".
func oneLine(diff string) string {
	var changed []string
	for line := range strings.Lines(diff) {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			changed = append(changed, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(changed, " ")
}

// short abbreviates a checksum for a message.
func short(sum string) string {
	const enough = 12
	if len(sum) <= enough {
		return sum
	}
	return sum[:enough] + "..."
}
