// Package document writes a finished diff as three documents for a person who
// has attention to mend:
//
//	LLAMACPP_VS_OURS_COMPARISON.md   how each side computes attention, what differs, and an answer to
//	                                 every question that one asks of such a comparison ([Question])
//	ATTENTION_BUGS_FOUND.md          one section per wrong op: where, since when, evidence, cause
//	ATTENTION_FIX_PLAN.md            what to change, by priority, and how to see that it worked
//
// Nothing in them is known beforehand. What llama.cpp does is read from the
// graph that it built and from what its tensors hold; what ours does from the
// launches that ran ([attndiff/traces/execution]); what the code says is quoted
// from llama.cpp's pinned sources and from the kernels that were compiled; and
// a claim about a formula is an experiment: the formula and its rivals are
// recomputed in float64 and held against the recordings of both sides ([trial]).
// What a trace does not tell is said to be untold.
//
// The package knows Markdown, the report and both traces. It must not know how
// an engine runs or what was planted in it, and it judges nothing: statuses and
// causes come from the report.
package document
