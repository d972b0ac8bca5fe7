package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"attndiff/traces/half"
	"attndiff/traces/safetensors"
	"attndiff/traces/tap"
)

// retrace IN OUT EDITS... copies a trace as another engine might have recorded
// it, or as a broken one would:
//
//	keep=q_rope,kqv        only these taps; drop=... all others
//	layers=1               only this layer
//	dtype=BF16             all tensors in this type
//	shape.kqv=3x2          every kqv in this shape, cut or padded with zeros
//	fill.kqv=nan           every element of kqv
//	meta.engine=torch      a metadata value
//	hparams.n_head=2       a number among the hyperparameters
func retrace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: retrace IN OUT EDITS...")
	}
	in, err := safetensors.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer in.Close()
	edits := map[string]string{}
	meta := map[string]string{}
	for k, v := range in.Metadata() {
		meta[k] = v
	}
	for _, a := range args[2:] {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			ts.Fatalf("%q is no edit", a)
		}
		if key, ok := strings.CutPrefix(name, "meta."); ok {
			meta[key] = value
		} else if key, ok := strings.CutPrefix(name, "hparams."); ok {
			var hp map[string]any
			ts.Check(json.Unmarshal([]byte(meta["hparams"]), &hp))
			hp[key], err = strconv.ParseFloat(value, 64)
			ts.Check(err)
			text, err := json.Marshal(hp)
			ts.Check(err)
			meta["hparams"] = string(text)
		} else {
			edits[name] = value
		}
	}
	out, err := safetensors.Create(ts.MkAbs(args[1]), len(in.Tensors()))
	ts.Check(err)
	defer out.Abort()
	for _, t := range in.Tensors() {
		k, err := tap.ParseKey(t.Name)
		ts.Check(err)
		listed := func(edit string) bool { return slices.Contains(strings.Split(edits[edit], ","), k.Tap.String()) }
		if edits["keep"] != "" && !listed("keep") || listed("drop") || edits["layers"] != "" && edits["layers"] != strconv.Itoa(k.Layer) {
			continue
		}
		raw := make([]byte, t.Bytes())
		ts.Check(in.ReadAt(t, raw, 0))
		dtype, shape := t.DType, t.Shape
		if to := safetensors.DType(edits["dtype"]); to != "" {
			raw, dtype = narrow(widened(raw, string(dtype)), string(to)), to
		}
		if text := edits["shape."+k.Tap.String()]; text != "" {
			size := len(raw) / max(tap.Elements(shape), 1)
			shape = nil
			for _, n := range strings.Split(text, "x") {
				i, err := strconv.Atoi(n)
				ts.Check(err)
				shape = append(shape, i)
			}
			raw = append(raw, make([]byte, tap.Elements(shape)*size)...)[:tap.Elements(shape)*size]
		}
		if text := edits["fill."+k.Tap.String()]; text != "" {
			value, err := strconv.ParseFloat(text, 32)
			ts.Check(err)
			raw = narrow(slices.Repeat([]float32{float32(value)}, tap.Elements(shape)), string(dtype))
		}
		ts.Check(out.Add(t.Name, dtype, shape, raw))
	}
	ts.Check(out.Close(meta))
}

// widened are little-endian values of a type as float32.
func widened(raw []byte, dtype string) []float32 {
	if dtype == "F32" {
		v := make([]float32, len(raw)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return v
	}
	v := make([]float32, len(raw)/2)
	half.WidenF16(v, raw)
	return v
}

// narrow is the reverse, into any type that a trace may hold.
func narrow(v []float32, dtype string) []byte {
	var raw []byte
	for _, x := range v {
		switch dtype {
		case "F64":
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(float64(x)))
		case "F32":
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		case "F16":
			raw = binary.LittleEndian.AppendUint16(raw, half.ToF16(x))
		case "BF16":
			raw = binary.LittleEndian.AppendUint16(raw, half.ToBF16(x))
		}
	}
	return raw
}
