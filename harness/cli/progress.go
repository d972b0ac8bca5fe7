package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"attndiff/harness/session"
)

// isTerminal reports whether w is a terminal that knows more than text.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
}

// colourful reports whether w wants colour: a terminal, unless NO_COLOR is set
// (no-color.org).
func colourful(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && isTerminal(w) }

// progress tells a person where a run is: a bar on a terminal; elsewhere a
// line per engine and pass of a run that takes long, so that a log of a short
// one holds its result and nothing else.
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
	pass, _, _ := strings.Cut(at.Stage, " ")
	if p.tty {
		p.show(at.Engine+": "+at.Stage, at.Share)
	} else {
		p.say(at.Engine + ": " + pass)
	}
}

// tally follows cases that run for long: a bar on a terminal, elsewhere a line
// every few seconds, with the time left at the pace so far.
func (p *progress) tally(done, all int, last string) {
	if p.w == nil {
		return
	}
	left := time.Since(p.began) * time.Duration(all-done) / time.Duration(done)
	text := fmt.Sprintf("%d of %d cases, about %v to go; last %s", done, all, left.Round(time.Second), last)
	switch {
	case p.tty:
		p.show(text, float64(done)/float64(all))
	case time.Since(p.when) >= patience && time.Since(p.began) >= patience:
		p.when = time.Now()
		fmt.Fprintln(p.w, text)
	}
}

// share reports how much is judged.
func (p *progress) share(done float64) { p.show("comparing", done) }

// say reports a stage whose length is not known.
func (p *progress) say(text string) { p.show(text, unknown) }

// unknown is the share done of a stage that cannot tell.
const unknown = -1

// show reports a stage and the share of it that is done.
func (p *progress) show(text string, done float64) {
	switch {
	case p.w == nil:
	case p.tty:
		if done == unknown || time.Since(p.when) >= redraw {
			p.last, p.when = text, time.Now()
			fmt.Fprintf(p.w, "\r\x1b[K%s", barLine(text, done, time.Since(p.began), width(p.w)))
		}
	case text != p.last && time.Since(p.began) >= patience:
		p.last = text
		fmt.Fprintln(p.w, text)
	}
}

// done removes the terminal's line.
func (p *progress) done() {
	if p.w != nil && p.tty && p.last != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.last = ""
	}
}

// barCells is how long a bar is.
const barCells = 24

// barLine is a terminal's line: a bar, the share, the time and what is done,
// in less than so many columns, or the terminal would begin another line.
func barLine(text string, done float64, spent time.Duration, columns int) string {
	full, percent := 0, ""
	if done != unknown {
		done = min(max(done, 0), 1)
		full, percent = int(done*barCells), fmt.Sprintf("%.0f %%", 100*done)
	}
	bar := strings.Repeat("█", full) + strings.Repeat("░", barCells-full)
	line := []rune(fmt.Sprintf("%s %5s %4.0f s  %s", bar, percent, spent.Seconds(), text))
	return string(line[:min(len(line), max(columns-1, 0))])
}

// width is how many columns a terminal has, 80 when it does not say.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return 80
}
