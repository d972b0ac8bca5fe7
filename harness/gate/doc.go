// Package gate holds a repository to its own record: a matrix of cases - models,
// prompts, cache types, steps, engines - is run and judged as `attndiff diff`
// does it, and fails on anything that was not so before.
//
// A case fails when an op is wrong in it, when it was clean and no longer is,
// and when the error of an op grew more than 4 times over the committed
// [Baseline], even inside its allowance: a regression before it is a bug.
// Deviations that are known are [Waiver]s, which expire. Reference recordings
// made earlier ([Golden]) tell whether llama.cpp itself moved.
//
// # What differs between machines
//
// The same commit must give the same answer on a laptop and in CI. Ours is
// bit for bit the same where its compiler and the processor's instructions are;
// llama.cpp adds in another order on another processor. So the baseline holds
// of the reference nothing but the tokens it chose: a case feeds them to both
// sides again, and what ours computes does not depend on llama.cpp's last bits.
// Figures of ours that may differ all the same, by fused multiply-adds or the C
// library's exp, are compared from a floor of derived rounding on (growth.go).
// Dates come from a clock that is handed in, and no output depends on the order
// in which cases end.
//
// # Parts
//
// A run makes a [Part], which [Part.Write] puts in a file. All that is printed
// and written for people and machines is made from it, so that a matrix can be
// split over machines and the parts joined ([Merge]) with the outcome of a
// single run.
//
// The package knows cases and what to make of a report. It must not know how
// an engine runs, how an op is judged, or what was planted.
package gate
