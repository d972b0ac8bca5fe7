package report

import "attndiff/harness/verdict"

// painter colours words, or leaves them alone when false.
type painter bool

// Terminal colours (ECMA-48 SGR).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

func (p painter) in(colour, text string) string {
	if !p || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// status colours text as a status calls for.
func (p painter) status(s verdict.Status, text string) string {
	return p.in(map[verdict.Status]string{verdict.Introduced: red, verdict.Inherited: yellow, verdict.NoOracle: yellow}[s], text)
}

// outcome colours text as a verdict calls for.
func (p painter) outcome(o verdict.Outcome, text string) string {
	if o == verdict.Parity {
		return p.in(green, text)
	}
	return p.in(red, text)
}
