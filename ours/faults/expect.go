package faults

import "attndiff/traces/tap"

// Causes returns the causes that describe what the fault makes of the op at a
// tap, by the ids that a diagnosis gives them; any of them is right.
func (f Fault) Causes(t tap.Tap) []string { return causes[f.Name][t] }

// causes are the catalogue's answers, by fault and tap.
var causes = map[string]map[tap.Tap][]string{}
