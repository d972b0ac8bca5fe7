package document

import (
	"fmt"

	"attndiff/reference/source"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

func answerQuirks(m *material, p *page) []string {
	var items []string
	if m.biased() {
		items = append(items, "Q, K and V have biases, the output projection has none.")
	}
	if _, n := m.rope(); n != nil {
		items = append(items, fmt.Sprintf("RoPE in mode %.0f (%s) with base %.0f, where Llama has mode 0 and 10000 by default.", n.Params["mode"], code(ropeModes[n.Params["mode"]]), n.Params["freq_base"]))
	} else {
		items = append(items, fmt.Sprintf("RoPE of type %s with base %.0f.", code(m.hp.RopeType), m.hp.RopeFreqBase))
	}
	items = append(items, fmt.Sprintf("RMSNorm with eps = %.3g.", m.hp.RMSEps))
	if out := m.any().node(tap.ResultOutput, tap.NoLayer); out != nil {
		head := m.any().Source(out, 0)
		if head.Name == "token_embd.weight" {
			items = append(items, "The head multiplies by `token_embd.weight`: embeddings are tied.")
		} else {
			items = append(items, "The head multiplies by "+code(head.Name)+": embeddings are not tied.")
		}
	}
	for _, c := range m.Cleared {
		if c.Where.Tap == tap.KBias.String() || c.Where.Tap == tap.QBias.String() {
			items = append(items, fmt.Sprintf("Its biases are large: %s (%s); both sides have it.", text(c.What), code(c.Where.Tap)))
			break
		}
	}
	p.bullets(items...)
	p.para("All of it is `llm_build_qwen2`; no op of the graph is special to the model.")
	return []string{m.at(source.Biases), m.at(source.NeoxArchitecture), m.at(source.RMSEps)}
}

// biased reports whether the reference added biases, by its graph or its
// recordings.
func (m *material) biased() bool {
	if g := m.any(); g != nil {
		return g.node(tap.KBias, 0) != nil
	}
	return recorded(m.ref, tap.At(0, 0, tap.KBias))
}

func answerBiases(m *material, p *page) []string {
	if !m.biased() {
		p.para("This model has no biases: the projections go to RoPE as they are.")
		return []string{m.at(source.Biases)}
	}
	p.para("An `ADD` right after each of the three projections, before the reshape and before RoPE, in f32. K is cached with its bias, rotated; V is cached with its bias.")
	for _, name := range []string{"q bias", "k bias", "v bias"} {
		if t := m.trials.made[name]; t != nil {
			m.both(p, name, "On "+t.place())
		}
	}
	g := m.any()
	return []string{g.nodeFactOf(g.node(tap.KBias, 0)), m.judged(tap.QBias), m.judged(tap.KBias), m.judged(tap.VBias)}
}

func answerLlama(m *material, p *page) []string {
	p.para("The two differ in parameters, not in the shape of the computation: `llm_build_llama` has the same sequence of projections, optional biases, RoPE, `build_attn` and feed-forward block. What differs is which pairs RoPE turns, which tensors exist and which defaults apply; the table under 4.1 has them one by one.")
	return []string{m.at(source.NeoxArchitecture), m.at(source.NormArchitecture)}
}

func answerArchitecture(m *material, p *page) []string {
	yes := func(b bool) string {
		if b {
			return "present in this graph"
		}
		return "absent in this graph"
	}
	factors := "no third operand of `ROPE`"
	if _, n := m.rope(); n == nil {
		factors = "untold"
	} else if len(n.Src) > 2 {
		factors = "third operand of `ROPE`"
	}
	biases := "untold"
	if m.any() != nil {
		biases = yes(m.biased())
	}
	p.table([]string{"what", "Qwen2 (measured in this run)", "Llama (llama.cpp's sources)"}, [][]string{
		{"RoPE pairs", "dims i and i + head_dim/2, " + code(m.hp.RopeType), "neighbouring dims, " + code("LLAMA_ROPE_TYPE_NORM")},
		{"RoPE base", fmt.Sprintf("%.0f", m.hp.RopeFreqBase), "10000 unless the GGUF says otherwise"},
		{"frequency factors", factors, "Llama 3 has them (" + code("rope_factors") + ")"},
		{"biases of Q, K, V", biases, "optional, usually absent"},
		{"score factor", fmt.Sprintf("1/sqrt(%d), always", m.hp.HeadDim), "the same unless " + code("f_attention_scale") + " is set"},
		{"norm", fmt.Sprintf("RMSNorm, eps %.3g", m.hp.RMSEps), "RMSNorm, eps of the GGUF"},
		{"feed-forward", "SwiGLU, gate and up in parallel", "the same"},
	})
	p.block(m.quote(source.NeoxArchitecture))
	p.block(m.quote(source.NormArchitecture))
	p.block(m.quote(source.LlamaFactors))
	return []string{m.at(source.NeoxArchitecture), m.at(source.NormArchitecture), m.at(source.LlamaFactors), m.trials.evidence("pairs")}
}

func answerBiasCode(m *material, p *page) []string {
	p.para("They are tensors of one row, loaded if the file has them and added if they were loaded; `ggml_add` broadcasts the row over tokens.")
	p.block(m.quote(source.Biases))
	var rows [][]string
	if g := m.any(); g != nil {
		for _, t := range []tap.Tap{tap.QBias, tap.KBias, tap.VBias} {
			if n := g.node(t, 0); n != nil {
				b := g.Source(n, 1)
				rows = append(rows, []string{code(t.String()), g.label(b), b.Type, shape(b.NE), shape(n.NE)})
			}
		}
	}
	p.table([]string{"tap", "bias", "type", "`ne`", "added to"}, rows)
	m.ourPlaces(p, tap.KBias)
	return []string{m.at(source.Biases), m.trials.evidence("k bias")}
}

func answerMasks(m *material, p *page) []string {
	p.para("%s The mask is an input tensor of 0 and -inf that `SOFT_MAX` (or the fused attention) adds after scaling; the host fills it from the cells' positions.", m.maskText())
	var rows [][]string
	for phase, g := range m.phases {
		for i := range g.Tensors {
			for _, r := range g.Tensors[i].Rows {
				rows = append(rows, []string{phase, fmt.Sprint(r.Index), fmt.Sprint(g.Past + r.Index), fmt.Sprint(r.Open), fmt.Sprint(r.Closed)})
			}
		}
	}
	p.table([]string{"step", "row (token of the step)", "its position", "columns open", "columns closed"}, rows)
	m.both(p, "mask", "What a token sees")
	p.block(m.quote(source.CausalMask))
	return []string{m.at(source.CausalMask), m.judged(tap.KQSoftMax), m.any().nodeFactOf(m.scaled())}
}

// maskText says what masks the graph has, by its inputs and parameters.
func (m *material) maskText() string {
	g := m.any()
	if g == nil {
		return "A causal mask, by llama.cpp's sources."
	}
	causal, seen := true, false
	for _, g := range m.phases {
		for i := range g.Tensors {
			for _, r := range g.Tensors[i].Rows {
				seen = true
				causal = causal && r.Open == g.Past+r.Index+1
			}
		}
	}
	s := "The mask's rows are not those of a plain causal mask, see the table."
	if seen && causal {
		s = "A causal mask and nothing else: each row looked at is open for exactly the positions up to its own, so there is no sliding window."
	}
	if n := m.scaled(); n != nil && n.Params["max_bias"] == 0 {
		s += " No ALiBi (max_bias = 0)."
	}
	if n := g.node(tap.KQSoftMax, 0); n != nil && len(n.Src) == 2 {
		s += " No attention sinks (`SOFT_MAX` has two operands)."
	}
	return s
}

// single rounds hyperparameters to f32, in which one engine keeps them and
// another does not.
func single(h trace.Hparams) trace.Hparams {
	h.RMSEps, h.RopeFreqBase = float64(float32(h.RMSEps)), float64(float32(h.RopeFreqBase))
	return h
}

func answerConfiguration(m *material, p *page) []string {
	h := m.hp
	var rows [][]string
	add := func(key, value string) { rows = append(rows, []string{code(key), value}) }
	add("qwen2.block_count", fmt.Sprint(h.NLayer))
	add("qwen2.embedding_length", fmt.Sprint(h.NEmbd))
	add("qwen2.attention.head_count", fmt.Sprint(h.NHead))
	add("qwen2.attention.head_count_kv", fmt.Sprint(h.NHeadKV))
	add("qwen2.feed_forward_length", fmt.Sprint(h.NFF))
	add("qwen2.rope.freq_base", fmt.Sprintf("%.7g", h.RopeFreqBase))
	add("qwen2.attention.layer_norm_rms_epsilon", fmt.Sprintf("%.3g", h.RMSEps))
	p.table([]string{"GGUF key", "value llama.cpp holds"}, rows)
	p.para("head_dim is not a key of its own here: %d / %d = %d. The vocabulary has %d tokens.", h.NHead*h.HeadDim, h.NHead, h.HeadDim, h.NVocab)
	if o := m.ours.Meta().Hparams; single(o) != single(h) {
		p.para("Ours reports other hyperparameters: %s.", code(fmt.Sprintf("%+v", o)))
	} else {
		p.para("Ours reports the same hyperparameters in its trace.")
	}
	return []string{m.at(source.RMSEps), m.at(source.FreqBase), "`hparams` in the metadata of both traces"}
}
