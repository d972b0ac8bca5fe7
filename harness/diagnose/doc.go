// Package diagnose says why an op is wrong, by experiment: it recomputes the op
// under each mistake that could have been made ([Hypothesis]), from ours' own
// recorded inputs, and takes the one that reproduces what ours recorded to
// rounding. Probes look at the difference itself and need no hypothesis; what
// they see is evidence beside the cause. Where ours ran several times, runs that
// differ are an experiment of their own: they prove a race.
//
// The package reads traces, a model and a verdict. It must not know the
// catalogue of planted faults (a test of imports sees to that): what it cannot
// reproduce it calls unexplained.
package diagnose
