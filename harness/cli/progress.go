package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"attndiff/harness/session"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// colourful reports whether w wants colour: a terminal, unless NO_COLOR is set
// (no-color.org).
func colourful(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && isTerminal(w) }

// progress tells a person where a run is: one line that changes on a
// terminal; elsewhere a line per engine and pass of a run that takes long, so
// that a log of a short one holds its result and nothing else.
type progress struct {
	w     io.Writer // nil says nothing
	tty   bool
	began time.Time
	last  string    // what was said last
	when  time.Time // and when
}

// newProgress reports on w, or not at all when quiet.
func newProgress(w io.Writer, quiet bool) *progress {
	if quiet {
		return &progress{}
	}
	return &progress{w: w, tty: isTerminal(w), began: time.Now()}
}

// patience is how long a log stays silent.
const patience = 5 * time.Second

// redraw bounds how often a terminal's line changes.
const redraw = 50 * time.Millisecond

// engine follows a worker.
func (p *progress) engine(at session.Progress) {
	if p.w == nil {
		return
	}
	if p.tty {
		if time.Since(p.when) >= redraw {
			p.draw(at.Engine + ": " + at.Stage)
		}
		return
	}
	pass, _, _ := strings.Cut(at.Stage, " ")
	p.say(at.Engine + ": " + pass)
}

// share reports how much is judged.
func (p *progress) share(done float64) {
	if p.tty && time.Since(p.when) >= redraw {
		p.draw(fmt.Sprintf("comparing: %.0f %%", 100*done))
	} else if !p.tty {
		p.say("comparing")
	}
}

// say reports a stage of the harness itself.
func (p *progress) say(text string) {
	switch {
	case p.w == nil || text == p.last:
	case p.tty:
		p.draw(text)
	case time.Since(p.began) >= patience:
		p.last = text
		fmt.Fprintln(p.w, text)
	}
}

// draw replaces the terminal's line.
func (p *progress) draw(text string) {
	p.last, p.when = text, time.Now()
	fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}

// done removes the terminal's line.
func (p *progress) done() {
	if p.w != nil && p.tty && p.last != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.last = ""
	}
}
