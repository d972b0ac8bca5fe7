// Package verdict judges every recorded tensor of our side: three voices per
// tap - ours, the reference (llama.cpp) and the float64 oracle - and one
// status each.
//
//	drift   = NMSE(ours, ref)                            what the user sees
//	op_ours = NMSE(ours, oracle(inputs ours recorded))   what this op alone got wrong
//	op_ref  = NMSE(ref,  oracle(inputs ref recorded))    the reference's own rounding
//
// NMSE(a, b) = sum (a-b)^2 / sum b^2. An op is wrong when op_ours exceeds the
// allowance, max(4*op_ref, floor), on the whole tensor, on its worst row or on
// its largest channel; the floor is the rounding noise that package oracle
// derives for the op. Each op is judged alone, so one run finds all wrong ones.
// NaN and infinities are wrong where the op's own inputs make numbers, and
// numbers are wrong where they make NaN or infinities.
//
// The package knows numbers and statuses. It must not know how engines run,
// why an op is wrong, or how a verdict is printed.
package verdict
