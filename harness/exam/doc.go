// Package exam measures the harness against runs whose right answer is known:
// runs with planted faults, alone and several at a time, and runs with none.
//
// A case is a run of ours in a worker, judged and diagnosed as `attndiff diff`
// does it. Which ops are wrong in it is found by another road than the
// verdict's: the run is replayed op by op on its own recorded inputs with the
// fault left out, and where that gives other bits the fault is at work (see
// [Truth]). What the mistake is called comes from the catalogue
// ([faults.Fault.Causes]).
//
// The package knows cases, recordings and marks. It must not know how an op is
// judged or a cause is found.
package exam
