package document

import (
	"fmt"
	"strings"

	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// classes colour statuses so that they differ in lightness too; the text of a
// node says its status in words.
var classes = []struct {
	status verdict.Status
	name   string
	word   string
	colour string
}{
	{verdict.OK, "ok", "ok", "fill:#d7ebff,stroke:#1f6fb2,color:#000"},
	{verdict.Inherited, "inherited", "inherits", "fill:#ffe3a8,stroke:#a06a00,color:#000"},
	{verdict.Introduced, "introduced", "WRONG", "fill:#c9372c,stroke:#6b120c,color:#fff"},
	{verdict.Missing, "missing", "not recorded", "fill:#eeeeee,stroke:#777777,color:#000,stroke-dasharray:4"},
	{verdict.NoOracle, "unjudged", "not judged", "fill:#e6dcf5,stroke:#5b3a8c,color:#000"},
}

// diagram draws the ops of a layer and what flows between them, each coloured
// by its gravest status over all layers and steps.
func (m *material) diagram(p *page) {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	used := map[string]bool{}
	draw := func(t tap.Tap) {
		name, word, detail := "missing", "not recorded", ""
		if worst, status := m.worst(t); worst != nil {
			for _, c := range classes {
				if c.status == status {
					name, word = c.name, c.word
				}
			}
			if status != verdict.Missing {
				detail = " " + amount(worst)
			}
		}
		used[name] = true
		fmt.Fprintf(&b, "  %s[\"%s<br/>%s<br/>%s%s\"]:::%s\n", t, t, t.Meaning(), word, detail, name)
	}
	draw(tap.InpEmbd)
	b.WriteString("  subgraph layer [\"each layer\"]\n")
	for _, t := range tap.All() {
		if t.PerLayer() {
			draw(t)
		}
	}
	b.WriteString("  end\n")
	draw(tap.ResultNorm)
	draw(tap.ResultOutput)
	fmt.Fprintf(&b, "  %s --> %s\n  %s --> %s\n", tap.InpEmbd, tap.AttnNorm, tap.InpEmbd, tap.FFNInp)
	fmt.Fprintf(&b, "  %s --> %s\n", tap.AttnOut, tap.FFNInp)
	for _, t := range tap.All() {
		for _, from := range operands[t] {
			fmt.Fprintf(&b, "  %s --> %s\n", from, t)
		}
	}
	for _, c := range classes {
		if used[c.name] {
			fmt.Fprintf(&b, "  classDef %s %s\n", c.name, c.colour)
		}
	}
	p.fence("mermaid", b.String())
	what := "what the op got wrong by itself (NMSE against the op recomputed in float64 from the same side's inputs)"
	if !m.Oracle {
		what = "how far ours is from llama.cpp (NMSE)"
	}
	p.para("Each box is one op of ours with its gravest status over all layers and steps; the figure is %s. The caches live from step to step.", what)
}
