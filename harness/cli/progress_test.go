package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"attndiff/harness/session"
)

func TestBarLine(t *testing.T) {
	for _, c := range []struct {
		text    string
		done    float64
		columns int
		want    string
	}{
		{"ours:emu: record s0003", 0.5, 80, "████████████░░░░░░░░░░░░  50 %    7 s  ours:emu: record s0003"},
		{"comparing", 1, 80, "████████████████████████ 100 %    7 s  comparing"},
		{"comparing", 2, 80, "████████████████████████ 100 %    7 s  comparing"},
		{"writing the report", unknown, 80, "░░░░░░░░░░░░░░░░░░░░░░░░          7 s  writing the report"},
		{"comparing", 0, 40, "░░░░░░░░░░░░░░░░░░░░░░░░   0 %    7 s  "},
		{"comparing", 0, 0, ""},
	} {
		got := barLine(c.text, c.done, 7*time.Second, c.columns)
		if got != c.want || c.columns > 0 && utf8.RuneCountInString(got) >= c.columns {
			t.Errorf("%s at %g in %d columns:\n got %q\nwant %q", c.text, c.done, c.columns, got, c.want)
		}
	}
}

// A log stays silent while a run is short, then has a line per engine and
// pass; nothing is ever drawn into it.
func TestProgressInALog(t *testing.T) {
	var log bytes.Buffer
	p := newProgress(&log, false)
	p.engine(session.Progress{Engine: "ours:emu", Stage: "record s0000"})
	if log.Len() > 0 {
		t.Errorf("a short run says %q", log.String())
	}
	p.began = p.began.Add(-2 * patience)
	for _, stage := range []string{"open", "record s0000", "record s0001", "plain s0000"} {
		p.engine(session.Progress{Engine: "llama.cpp:cpu", Stage: stage})
	}
	p.share(0.1)
	p.share(0.2)
	p.say("writing the report")
	p.done()
	const want = "llama.cpp:cpu: open\nllama.cpp:cpu: record\nllama.cpp:cpu: plain\ncomparing\nwriting the report\n"
	if log.String() != want {
		t.Errorf("a log has %q, want %q", log.String(), want)
	}
}

func TestProgressQuiet(t *testing.T) {
	p := newProgress(&bytes.Buffer{}, true)
	p.began = time.Time{}
	p.engine(session.Progress{Engine: "e", Stage: "record s0000"})
	p.share(0.5)
	p.cases(1, 2, nil)
	p.done()
}

func TestColourNeedsATerminal(t *testing.T) {
	if colourful(&strings.Builder{}) || isTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is taken for a terminal")
	}
}
