// Package models finds the model that ships with the repository.
//
// haiku.gguf beside this file is a Qwen2 of 11.5 million parameters with
// Qwen2.5-0.5B's attention geometry, trained to answer "Write a haiku about
// TOPIC"; README.md says how. The package knows where the file lies. It must
// not know what is in it.
package models
