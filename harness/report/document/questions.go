package document

// Question is one thing that the comparison is asked.
type Question struct {
	Text string
	// Answer adds the answer to a page and returns its evidence: taps, values
	// and lines that a reader can look up.
	answer func(m *material, p *page) []string
}

// Topic is a group of questions: the primary ones, then what to document,
// numbered.
type Topic struct {
	Title    string
	Primary  []Question
	Document []Question
}

// Topics are the six topics of research, in order. Titles and texts are the
// assignment's.
func Topics() []Topic {
	return []Topic{
		{"GQA Attention Implementation", []Question{
			{"How does llama.cpp implement GQA attention for Qwen2.5?", answerGQA},
			{"What is the exact formula and order of operations?", answerFormula},
			{"How do they handle the head grouping (14 Q heads → 2 KV heads)?", answerGrouping},
		}, []Question{
			{"Exact sequence of operations in attention", answerSequence},
			{"How Q, K, V are projected and reshaped", answerProjections},
			{"How attention scores are computed and scaled", answerScores},
			{"How GQA head grouping is implemented", answerGroupingCode},
			{"Memory layout of Q, K, V tensors (shape, strides)", answerLayoutQKV},
		}},
		{"KV Cache Management", []Question{
			{"How is the KV cache structured in llama.cpp?", answerCacheStructure},
			{"How do they index into the cache for different layers?", answerCacheLayers},
			{"How is the cache updated during generation?", answerCacheUpdate},
		}, []Question{
			{"KV cache data structure (shape, layout)", answerCacheLayout},
			{"How cache is allocated (per layer? per head?)", answerCacheAllocation},
			{"How cache position is tracked", answerCachePosition},
			{"How cache is indexed during decode", answerCacheDecode},
			{"Any special handling for GQA vs MHA", answerCacheGQA},
		}},
		{"RoPE (Rotary Position Embeddings)", []Question{
			{"How does llama.cpp implement RoPE for Qwen2.5?", answerRope},
			{"What are the frequency base and scaling parameters?", answerRopeParameters},
			{"Is RoPE applied before or after KV caching?", answerRopeOrder},
		}, []Question{
			{"RoPE formula and implementation", answerRopeFormula},
			{"Frequency base for Qwen2.5 (we use 1000000.0)", answerRopeBase},
			{"When RoPE is applied (before/after cache write)", answerRopeWhen},
			{"How RoPE handles different head dimensions", answerRopeDims},
			{"Any special scaling or normalization", answerRopeScaling},
		}},
		{"Qwen2.5-Specific Details", []Question{
			{"Are there any Qwen2.5-specific quirks or modifications?", answerQuirks},
			{"How do they handle the QKV biases?", answerBiases},
			{"Any differences from standard Llama architecture?", answerLlama},
		}, []Question{
			{"Qwen2.5 architecture differences from Llama", answerArchitecture},
			{"How biases are handled (if at all)", answerBiasCode},
			{"Any special attention patterns or masks", answerMasks},
			{"Configuration parameters specific to Qwen2.5", answerConfiguration},
		}},
		{"Tensor Layouts and GEMM Operations", []Question{
			{"What are the exact tensor shapes at each step?", answerShapes},
			{"How are matrix multiplications configured (transpose flags)?", answerGemms},
			{"What is the memory layout (row-major vs column-major)?", answerMajor},
		}, []Question{
			{"Input tensor shapes for each operation", answerInputShapes},
			{"GEMM transpose flags (CUBLAS_OP_T vs CUBLAS_OP_N)", answerFlags},
			{"Leading dimensions (lda, ldb, ldc)", answerLeading},
			{"Memory layout assumptions", answerAssumptions},
		}},
		{"Numerical Stability and Precision", []Question{
			{"Do they use FP16 or FP32 for attention computation?", answerPrecision},
			{"How do they handle numerical stability in softmax?", answerStability},
			{"Any special scaling or normalization?", answerNormalization},
		}, []Question{
			{"Data types used for intermediate computations", answerTypes},
			{"Softmax numerical stability techniques", answerSoftmaxCode},
			{"Attention score scaling factors", answerScaling},
			{"Any gradient clipping or normalization", answerClipping},
		}},
	}
}

// Closing are the seven questions that are to be answered at the end.
func Closing() []Question {
	return []Question{
		{"What is the exact order of operations in llama.cpp's attention?", closeOrder},
		{"How do they compute attention scores for GQA?", closeScores},
		{"How is the KV cache structured and indexed?", closeCache},
		{"When and how is RoPE applied?", closeRope},
		{"What are the tensor shapes at each step?", closeShapes},
		{"What is different between their implementation and ours?", closeDifferent},
		{"Which differences are likely causing our garbage output?", closeGarbage},
	}
}
