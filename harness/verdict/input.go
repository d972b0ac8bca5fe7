package verdict

import (
	"fmt"
	"math"

	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// fits says which hyperparameter of a trace is not the model's: no tap of it
// could be recomputed from these weights.
func fits(r *trace.Reader, model *gguf.File) error {
	h, m := r.Meta().Hparams, model.Hparams
	for _, p := range []struct {
		name        string
		trace, file float64
	}{
		{"n_layer", float64(h.NLayer), float64(m.NLayer)},
		{"n_embd", float64(h.NEmbd), float64(m.NEmbd)},
		{"n_head", float64(h.NHead), float64(m.NHead)},
		{"n_head_kv", float64(h.NHeadKV), float64(m.NHeadKV)},
		{"head_dim", float64(h.HeadDim), float64(m.HeadDim)},
		{"n_ff", float64(h.NFF), float64(m.NFF)},
		{"n_vocab", float64(h.NVocab), float64(m.NVocab)},
		{"rope_freq_base", h.RopeFreqBase, m.RopeFreqBase},
		{"rms_eps", h.RMSEps, m.RMSEps},
	} {
		const float32s = 1.0 / (1 << 23) // some engines keep floats in 32 bits
		if !(math.Abs(p.trace-p.file) <= float32s*math.Abs(p.file)) {
			return fmt.Errorf("the trace of %s says %s is %v, model %s has %v; give the model it was recorded from",
				r.Meta().Engine, p.name, p.trace, model.Path, p.file)
		}
	}
	return nil
}

// judged reports whether anything is known of a recording of ours.
func (t Tap) judged() bool {
	return t.Status == Introduced || t.HasDrift || !math.IsNaN(t.OpOurs) || t.Blind
}

// held says what a trace holds, for messages.
func held(r *trace.Reader) string {
	keys := r.Keys()
	if len(keys) == 0 {
		return "it has no tensors"
	}
	return fmt.Sprintf("it has %d tensors from %s to %s", len(keys), keys[0], keys[len(keys)-1])
}
