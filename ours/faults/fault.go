package faults

import (
	"encoding/json"

	"attndiff/ours/qwen2"
	"attndiff/traces/tap"
)

// Fault is one mistake that can be planted. Exactly one of Patches and
// Rewrites is set.
type Fault struct {
	Name  string  // as --fault takes it: "rope-interleaved"
	Class Class   // the part of the computation it is about
	Tap   tap.Tap // where it is first wrong, in the order of execution
	What  string  // what is computed instead
	Why   string  // why people make it
	Needs string  // what a run must have for the fault to show at all; "" if any run shows it

	Patches  []Patch   // the mistake is in a kernel
	Rewrites []Rewrite // the mistake is in the host code
}

// Class groups faults by what they are about.
type Class string

// The classes, in the order the catalogue lists them.
const (
	Cache    Class = "cache"
	Scores   Class = "scores"
	Rope     Class = "rope"
	Gemm     Class = "gemm"
	GQA      Class = "gqa"
	BiasNorm Class = "bias-norm"
	FFN      Class = "ffn-head"
	Numerics Class = "numerics"
)

// Patch replaces the one occurrence of a text in a kernel file.
type Patch struct {
	File, Old, New string
}

// Rewrite changes the ops of a step. Slot names what it changes ("kq_soft_max
// scale"); two rewrites of one slot cannot both be planted. It needs an op of
// each of the taps.
type Rewrite struct {
	Slot  string
	Taps  []tap.Tap
	Apply func(ops []qwen2.Op) []qwen2.Op
}

// MarshalJSON writes what `attndiff faults --json` prints of a fault.
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name  string `json:"name"`
		Class Class  `json:"class"`
		Tap   string `json:"tap"`
		What  string `json:"what"`
		Why   string `json:"why"`
	}{f.Name, f.Class, f.Tap.String(), f.What, f.Why})
}
