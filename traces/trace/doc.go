// Package trace is what both engines share on disk: one safetensors file per
// recording, tensors named by [tap.Key], and metadata that say which model,
// which tokens and which engine it came from.
//
// # The file
//
// Tensors are named as [tap.Key] spells keys and hold [F32], [F16], [BF16] or
// [F64]. A trace may hold any subset of taps, layers and steps. The metadata
// are strings:
//
//	attndiff.schema   "1"
//	engine, engine_version, device, model_sha256, model_name
//	hparams           JSON object, the fields of [Hparams]
//	tokens            JSON array: every token fed, prompt then decoded
//	steps             JSON array: tokens per step; they sum to the tokens
//	note.*            anything else a recorder wants to say
//
// One note has a meaning: note.arithmetic, "f32", "tf32", "f16" or "bf16", is
// what the engine computes in (README, "Your own model, prompt or engine").
//
// Other keys are left to other tools and not read.
//
// # What is bad input and what is a finding
//
// [Open] refuses a file that contradicts itself or the contract: a key that is
// missing, steps that do not sum to the tokens, a tensor of a step or layer
// that the metadata do not have. A tensor whose shape is not the one the model
// calls for is no such contradiction: the engine recorded it, and it is the
// harness's to judge. Readers therefore take shapes from [Reader.Info], never
// from the tap.
//
// An engine writes through a [Sink], usually a [Writer]; the harness reads
// through a [Reader]. The package knows the file's contract. It must not know
// how tensors are computed or compared.
package trace
