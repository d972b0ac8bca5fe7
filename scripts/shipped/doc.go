// Package shipped holds the tests of what the shipped model promises, as
// llama.cpp runs it: a right haiku for every topic, the lengths of the prompts,
// the geometry of Qwen2.5-0.5B's attention. It has no code of its own; the
// model lies in traces/models and comes from scripts/train.
package shipped
