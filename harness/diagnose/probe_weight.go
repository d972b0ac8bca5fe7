package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"attndiff/harness/oracle"
	"attndiff/traces/gguf"
	"attndiff/traces/tap"
)

// tensorOf names the model's tensor that an op reads; %d takes the layer.
var tensorOf = map[tap.Tap]string{
	tap.AttnNorm: "blk.%d.attn_norm.weight", tap.FFNNorm: "blk.%d.ffn_norm.weight", tap.ResultNorm: "output_norm.weight",
	tap.QProj: "blk.%d.attn_q.weight", tap.KProj: "blk.%d.attn_k.weight", tap.VProj: "blk.%d.attn_v.weight",
	tap.QBias: "blk.%d.attn_q.bias", tap.KBias: "blk.%d.attn_k.bias", tap.VBias: "blk.%d.attn_v.bias",
	tap.AttnOut: "blk.%d.attn_output.weight", tap.FFNGate: "blk.%d.ffn_gate.weight", tap.FFNUp: "blk.%d.ffn_up.weight",
	tap.FFNOut: "blk.%d.ffn_down.weight",
}

// weights recomputes the op with other tensors of the model in place of its
// own: another layer's, or another one of the same shape.
func weights(p *probe) []Clue {
	own, ok := tensorOf[p.tap]
	if !ok || len(p.exhibits) == 0 {
		return nil
	}
	tries := budget / p.cost()
	for _, s := range p.otherTensors(own) {
		if tries--; tries < 0 {
			return nil
		}
		v := oracle.Variant{Tensor: func(of tap.Key, name string) string {
			if name != layerName(own, of.Layer) {
				return name
			}
			return s.name(of.Layer)
		}}
		residual, ok := p.holds(func(x *exhibit) *claim {
			if to := s.name(x.key.Layer); !slices.Contains(p.alike(layerName(own, x.key.Layer)), to) {
				return nil
			}
			return p.recompute(v, x)
		})
		if ok {
			return []Clue{{Kind: "wrong-weight", Grade: Whole, Residual: residual, Names: true,
				Text:  fmt.Sprintf("ours is what %s gives with %s", p.tap, s.text),
				Title: fmt.Sprintf("%s uses %s", p.tap, s.text),
				Fix:   fmt.Sprintf("Pass the layer's own tensor, %s.", layerName(own, p.exhibits[0].key.Layer))}}
		}
	}
	return p.layerMap(own, tries)
}

// layerMap looks in each layer for another layer whose tensor gives what ours
// has there: two layers that have changed places, a list in another order.
func (p *probe) layerMap(own string, tries int) []Clue {
	layers := p.exhibitLayers()
	if !p.tap.PerLayer() || len(layers) < 2 {
		return nil // one layer is told by its distance
	}
	from := map[int]int{}
	read := oracle.Variant{Tensor: func(of tap.Key, name string) string {
		if l, ok := from[of.Layer]; ok && name == layerName(own, of.Layer) {
			return layerName(own, l)
		}
		return name
	}}
	var each []string
	for _, layer := range layers {
		here := &probe{tap: p.tap}
		for _, x := range p.exhibits {
			if x.key.Layer == layer {
				here.exhibits = append(here.exhibits, x)
			}
		}
		found := false
		for d := 1; d < min(p.layers, maxLayers) && !found; d++ {
			for _, l := range []int{layer - d, layer + d} {
				if l < 0 || l >= p.layers || found {
					continue
				}
				if tries--; tries < 0 {
					return nil
				}
				from[layer] = l
				_, found = here.holds(func(x *exhibit) *claim { return p.recompute(read, x) })
			}
		}
		if !found {
			return nil
		}
		each = append(each, fmt.Sprintf("layer %d uses the weight of layer %d", layer, from[layer]))
	}
	residual, ok := p.holds(func(x *exhibit) *claim { return p.recompute(read, x) })
	if !ok {
		return nil
	}
	text := strings.Join(each, ", ")
	return []Clue{{Kind: "wrong-weight", Grade: Whole, Residual: residual, Names: true,
		Text: "in ours " + text, Title: fmt.Sprintf("%s: %s", p.tap, text),
		Fix: "Load each layer's tensors by their own number: blk.N is layer N."}}
}

// otherTensor is what may be read in place of a layer's own tensor.
type otherTensor struct {
	text string
	name func(layer int) string
}

// otherTensors lists them: the same tensor of other layers, nearest first, then
// others of the same layer.
func (p *probe) otherTensors(own string) []otherTensor {
	var out []otherTensor
	if p.tap.PerLayer() {
		for _, r := range p.otherLayers(p.tap) {
			out = append(out, otherTensor{"the weight" + r.where(), func(layer int) string {
				k, ok := r.of(tap.At(0, layer, p.tap), p.layers)
				if !ok {
					return ""
				}
				return layerName(own, k.Layer)
			}})
		}
	}
	for _, t := range tap.All() {
		if other := tensorOf[t]; other != "" && t != p.tap && t.PerLayer() {
			out = append(out, otherTensor{"the weight of " + t.String(), func(layer int) string {
				if layer == tap.NoLayer {
					layer = p.layers - 1
				}
				return layerName(other, layer)
			}})
		}
	}
	return out
}

// alike lists the model's tensors that have the shape of a given one.
func alike(model *gguf.File, name string) []string {
	own, ok := model.Tensor(name)
	if !ok {
		return nil
	}
	var out []string
	for _, format := range tensorOf {
		for l := range model.Hparams.NLayer {
			to := layerName(format, l)
			if t, ok := model.Tensor(to); ok && to != name && slices.Equal(t.Shape, own.Shape) {
				out = append(out, to)
			}
		}
	}
	return out
}
