// Package prompts holds the texts the engines are compared on.
//
// A prompt is a file, used byte for byte: a newline at its end is part of it.
// Chat prompts are written out in Qwen's format and end where the answer
// begins. Each is here for what it reaches:
//
//	haiku         the common case: a request for a haiku, 14 tokens
//	short         a title, 6 tokens
//	single        one token: the smallest prefill
//	long          251 tokens: 8 decoded ones cross llama.cpp's padding at 256
//	multilingual  four languages and an emoji: tokens of part of a character
//	code          Go source, with tabs to come
//
// The counts are those of the shipped model's tokenizer; scripts/shipped tests
// them. The package knows texts. It must not know tokens, models or engines.
package prompts
