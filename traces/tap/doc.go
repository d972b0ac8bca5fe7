// Package tap is the vocabulary both engines record in: the name, the place in
// execution order and the logical shape of every intermediate tensor of a
// Qwen2 forward pass.
//
// A tap is one kind of intermediate ("q_rope"); a [Key] is one recording of it
// (step 3, layer 7, q_rope). Names follow llama.cpp where it has one; where
// llama.cpp gives one name to several tensors (Qcur-0 names the projection,
// the biased and the rotated query) ours are distinct.
//
// Shapes are row-major and use these letters throughout the project:
//
//	T  tokens of this step            P  tokens already in the KV cache
//	C  P+T, the cache length          E  embedding width
//	H  query heads                    G  key/value heads (H is a multiple of G)
//	D  head_dim                       F  feed-forward width
//	V  vocabulary size
//
// The package knows names, shapes and order. It must not know files, engines
// or tolerances.
package tap
