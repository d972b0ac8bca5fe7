package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"attndiff/traces/tap"
)

// Metadata keys with a meaning of their own.
const (
	keySchema  = "attndiff.schema"
	keyHparams = "hparams"
	keyTokens  = "tokens"
	keySteps   = "steps"
	notePrefix = "note."
)

// maxSteps is the number of steps that a key's four digits tell apart.
const maxSteps = 10_000

// strings returns where the plain string keys are kept.
func (m *Meta) strings() map[string]*string {
	return map[string]*string{
		"engine":         &m.Engine,
		"engine_version": &m.EngineVersion,
		"device":         &m.Device,
		"model_sha256":   &m.ModelSHA256,
		"model_name":     &m.ModelName,
	}
}

// fields returns where the fields of the hparams object are kept.
func (h *Hparams) fields() map[string]any {
	return map[string]any{
		"n_layer":        &h.NLayer,
		"n_embd":         &h.NEmbd,
		"n_head":         &h.NHead,
		"n_head_kv":      &h.NHeadKV,
		"head_dim":       &h.HeadDim,
		"n_ff":           &h.NFF,
		"n_vocab":        &h.NVocab,
		"rope_freq_base": &h.RopeFreqBase,
		"rope_type":      &h.RopeType,
		"rms_eps":        &h.RMSEps,
		"kv_type":        &h.KVType,
	}
}

// encode spells m as a trace file does. m has passed check.
func (m Meta) encode() (map[string]string, error) {
	out := map[string]string{keySchema: Schema}
	for key, value := range m.strings() {
		out[key] = *value
	}
	for key, value := range map[string]any{keyHparams: m.Hparams, keyTokens: m.Tokens, keySteps: m.Steps} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("metadata %s: %w", key, err)
		}
		out[key] = string(text)
	}
	for name, note := range m.Notes {
		out[notePrefix+name] = note
	}
	return out, nil
}

// decodeMeta reads what encode writes and checks it.
func decodeMeta(in map[string]string) (Meta, error) {
	var m Meta
	if schema, ok := in[keySchema]; !ok {
		return m, fmt.Errorf("metadata %s is missing; this is not a trace", keySchema)
	} else if schema != Schema {
		return m, fmt.Errorf("metadata %s is %q; this program reads %q", keySchema, schema, Schema)
	}
	texts := m.strings()
	required := append(slices.Collect(maps.Keys(texts)), keyHparams, keyTokens, keySteps)
	if missing := absent(required, in); missing != "" {
		return m, fmt.Errorf("metadata %s missing", missing)
	}
	for key, value := range texts {
		*value = in[key]
	}
	if err := m.Hparams.decode(in[keyHparams]); err != nil {
		return m, fmt.Errorf("metadata %s: %w", keyHparams, err)
	}
	if err := json.Unmarshal([]byte(in[keyTokens]), &m.Tokens); err != nil {
		return m, fmt.Errorf("metadata %s: not a JSON array of token ids: %w", keyTokens, err)
	}
	if err := json.Unmarshal([]byte(in[keySteps]), &m.Steps); err != nil {
		return m, fmt.Errorf("metadata %s: not a JSON array of token counts: %w", keySteps, err)
	}
	m.Notes = make(map[string]string)
	for key, value := range in {
		if name, ok := strings.CutPrefix(key, notePrefix); ok {
			m.Notes[name] = value
		}
	}
	return m, m.check()
}

// decode reads the hparams object. It goes field by field, because
// encoding/json by itself takes a missing field for 0 and N_Layer for n_layer.
func (h *Hparams) decode(text string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	fields := h.fields()
	if missing := absent(slices.Collect(maps.Keys(fields)), object); missing != "" {
		return fmt.Errorf("%s missing", missing)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := json.Unmarshal(object[name], fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// absent lists the keys that a map lacks, for messages.
func absent[V any](keys []string, in map[string]V) string {
	keys = slices.DeleteFunc(keys, func(key string) bool { _, ok := in[key]; return ok })
	slices.Sort(keys)
	if len(keys) > 1 {
		return strings.Join(keys, ", ") + " are"
	} else if len(keys) == 1 {
		return keys[0] + " is"
	}
	return ""
}

// check reports the first contradiction within m.
func (m Meta) check() error {
	if m.Engine == "" {
		return errors.New("metadata engine is empty; it names what recorded the trace")
	}
	if err := m.Hparams.check(); err != nil {
		return fmt.Errorf("metadata %s: %w", keyHparams, err)
	}
	if len(m.Tokens) == 0 {
		return errors.New("metadata tokens are empty; a trace has at least one token fed")
	}
	for i, token := range m.Tokens {
		if token < 0 || int(token) >= m.Hparams.NVocab {
			return fmt.Errorf("metadata tokens: token %d at %d is outside the vocabulary of %d", token, i, m.Hparams.NVocab)
		}
	}
	if len(m.Steps) > maxSteps {
		return fmt.Errorf("metadata steps: %d steps, more than the %d a trace can name", len(m.Steps), maxSteps)
	}
	left := len(m.Tokens)
	for i, n := range m.Steps {
		if n < 1 {
			return fmt.Errorf("metadata steps: step %d has %d tokens; it must have at least 1", i, n)
		}
		if left -= n; left < 0 {
			return fmt.Errorf("metadata steps: steps up to %d have more tokens than the %d there are", i, len(m.Tokens))
		}
	}
	if left != 0 {
		return fmt.Errorf("metadata steps sum to %d, but there are %d tokens", len(m.Tokens)-left, len(m.Tokens))
	}
	return nil
}

// check reports the first value that no model can have.
func (h Hparams) check() error {
	for _, name := range slices.Sorted(maps.Keys(h.fields())) {
		if n, ok := h.fields()[name].(*int); ok && (*n < 1 || *n > math.MaxInt32) {
			return fmt.Errorf("%s is %d; it must be from 1 to %d", name, *n, math.MaxInt32)
		}
	}
	switch {
	case h.NHead%h.NHeadKV != 0:
		return fmt.Errorf("n_head %d is not a multiple of n_head_kv %d", h.NHead, h.NHeadKV)
	case !(h.RopeFreqBase > 0) || math.IsInf(h.RopeFreqBase, 0):
		return fmt.Errorf("rope_freq_base is %v; it must be a positive number", h.RopeFreqBase)
	case !(h.RMSEps >= 0) || math.IsInf(h.RMSEps, 0):
		return fmt.Errorf("rms_eps is %v; it must be a number from 0 up", h.RMSEps)
	case h.RopeType == "":
		return errors.New(`rope_type is empty; "neox" is Qwen2's`)
	case h.KVType != "f16" && h.KVType != "f32":
		return fmt.Errorf(`kv_type is %q; it must be "f16" or "f32"`, h.KVType)
	}
	return nil
}

// checkKey reports a key whose step or layer the trace does not have.
func (m Meta) checkKey(k tap.Key) error {
	switch {
	case k.Step < 0 || k.Step >= len(m.Steps):
		return fmt.Errorf("tensor %q: step %d of a trace of %d steps", k, k.Step, len(m.Steps))
	case k.Tap.PerLayer() && (k.Layer < 0 || k.Layer >= m.Hparams.NLayer):
		return fmt.Errorf("tensor %q: layer %d of a model of %d layers", k, k.Layer, m.Hparams.NLayer)
	}
	return nil
}

// Dims returns the model's sizes, with no tokens fed.
func (h Hparams) Dims() tap.Dims {
	return tap.Dims{E: h.NEmbd, H: h.NHead, G: h.NHeadKV, D: h.HeadDim, F: h.NFF, V: h.NVocab}
}

// dims returns the sizes that shapes are made of, by step.
func (m Meta) dims() []tap.Dims {
	all := make([]tap.Dims, len(m.Steps))
	fed := 0
	for i, n := range m.Steps {
		all[i] = m.Hparams.Dims()
		all[i].T, all[i].P = n, fed
		fed += n
	}
	return all
}
