package diagnose

import (
	"math"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
)

// embeddingMistakes are the mistakes people make in looking tokens up.
func embeddingMistakes(m Model) []Hypothesis {
	taps := []tap.Tap{tap.InpEmbd}
	width := float64(m.Dims.E)
	token := func(id, title, fix string, f func(past, t, n int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "token", Taps: taps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.Token = f })}
	}
	lookup := func(id, title, fix string, f func(id, e, vocab, width int) int) Hypothesis {
		return Hypothesis{ID: id, Aspect: "table", Taps: taps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.Lookup = f })}
	}
	factor := func(id, title, fix string, by float64) Hypothesis {
		return Hypothesis{ID: id, Aspect: "scale", Taps: taps, Title: title, Fix: fix,
			Variant: semantic(func(s *oracle.Semantics) { s.EmbdScale = by })}
	}
	return []Hypothesis{
		factor("embedding-times-sqrt-width", "embedding rows are multiplied by sqrt(n_embd)",
			"Qwen2 takes the rows as they are; the factor is Gemma's and the Transformer paper's.", math.Sqrt(width)),
		factor("embedding-over-sqrt-width", "embedding rows are divided by sqrt(n_embd)",
			"Qwen2 takes the rows as they are.", 1/math.Sqrt(width)),
		token("token-of-the-step-before", "the token before the one that is meant is looked up",
			"Token t of a step is token past+t of the sequence; look for an index one behind.",
			func(past, t, _ int) int { return past + t - 1 }),
		token("token-one-ahead", "the token after the one that is meant is looked up",
			"Token t of a step is token past+t of the sequence; look for an index one ahead.",
			func(past, t, _ int) int { return past + t + 1 }),
		token("token-index-restarts", "every step looks its tokens up from the start of the sequence",
			"Pass the step's own tokens, or add the number of cached tokens to the index.",
			func(_, t, _ int) int { return t }),
		token("token-first-for-all", "all rows of a step hold its first token",
			"Index the ids by the row: tokens[t].", func(past, _, _ int) int { return past }),
		token("token-last-for-all", "all rows of a step hold its last token",
			"Index the ids by the row: tokens[t].", func(past, _, n int) int { return past + n - 1 }),
		token("tokens-reversed", "the tokens of a step are looked up last one first",
			"Row t is token t of the step.", func(past, t, n int) int { return past + n - 1 - t }),
		lookup("token-id-plus-one", "row id+1 of the table is read",
			"GGUF counts ids from 0, and so do the table's rows.",
			func(id, e, _, w int) int { return (id+1)*w + e }),
		lookup("token-id-minus-one", "row id-1 of the table is read",
			"GGUF counts ids from 0, and so do the table's rows.",
			func(id, e, _, w int) int { return (id-1)*w + e }),
		lookup("token-id-in-8-bits", "ids are cut to 8 bits", "Keep ids in 32 bits.",
			func(id, e, _, w int) int { return id%256*w + e }),
		lookup("token-id-in-16-bits", "ids are cut to 16 bits", "Keep ids in 32 bits: the vocabulary has more than 65536.",
			func(id, e, _, w int) int { return id%65536*w + e }),
		lookup("embedding-rows-one-element-ahead", "rows are read from their second element on", "Row id begins at id*n_embd.",
			func(id, e, _, w int) int { return id*w + e + 1 }),
		lookup("embedding-table-transposed", "the table's bytes are read as [n_embd, vocab]",
			"GGUF stores the table [vocab, n_embd] row-major: element e of token id lies at id*n_embd + e.",
			func(id, e, vocab, _ int) int { return e*vocab + id }),
		{ID: "embedding-of-output-table", Aspect: "table", Taps: taps,
			Title: "rows come from output.weight",
			Fix:   "Look tokens up in token_embd.weight; output.weight is for the logits.",
			Variant: oracle.Variant{Tensor: func(_ tap.Key, name string) string {
				return "output.weight"
			}}},
		{ID: "embedding-columns-swapped-halves", Aspect: "table", Taps: taps,
			Title: "the halves of each row have changed places",
			Fix:   "Read the row's elements in order.",
			Variant: semantic(func(s *oracle.Semantics) {
				s.Lookup = func(id, e, _, w int) int { return id*w + (e+w/2)%w }
			})},
	}
}
