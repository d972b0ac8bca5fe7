package main

import (
	"slices"
	"strings"
)

// Fate is what became of a mutant.
type Fate string

// The fates. The first six are kills.
const (
	Divergence Fate = "divergence" // the verdict says so
	Grown      Fate = "grown"      // parity, but an op errs so much more than before that the gate fails
	Reported   Fate = "reported"   // parity, but the emulator saw a kernel do what it must not
	Unstable   Fate = "unstable"   // parity, but another order of threads gives other bits
	Crashed    Fate = "crashed"    // no recording: the engine did not survive
	Hung       Fate = "hung"       // no recording: the kernel never ended
	Survived   Fate = "survived"   // nothing was noticed
	SameCode   Fate = "same code"  // the compiler makes the same code of it: equivalent
	Invalid    Fate = "invalid"    // does not compile, so it is no mutant
)

// killed reports whether the harness noticed.
func (f Fate) killed() bool {
	return slices.Contains([]Fate{Divergence, Grown, Reported, Unstable, Crashed, Hung}, f)
}

// Finding is what became of one mutant, and how.
type Finding struct {
	mutant
	Fate    Fate   `json:"fate"`
	Located bool   `json:"located,omitempty"` // killed, and what was said names the kernel or a tap it writes
	Trial   string `json:"trial,omitempty"`   // the run that killed it
	What    string `json:"what,omitempty"`    // what was said
	Changes string `json:"changes,omitempty"` // survived, and the first recording with other bits than unchanged kernels give
	Reason  string `json:"reason,omitempty"`  // why it is equivalent
}

// same says what becomes of a mutant that the compiler makes the same code of.
func (f *Finding) same() {
	if f.To == "" { // a fence, say: of use on a GPU alone
		f.What = "the line that is dropped is no code for the emulator"
		return
	}
	f.Fate, f.Reason = SameCode, "the compiler makes the same code of it"
}

// report takes what the emulator said first. A divergence stays one.
func (f *Finding) report(said string, reached []string) {
	names := slices.ContainsFunc(reached, func(k string) bool { return strings.HasPrefix(said, "kernel "+k+" ") })
	f.Located = f.Located || names
	if f.Fate == Survived {
		f.Fate, f.What = Reported, said
	}
}
