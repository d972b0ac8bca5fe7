package session

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the last lines written to it: what a worker said on standard
// error before it died.
type tail struct {
	mu    sync.Mutex
	lines []string
	part  []byte // a line not yet ended
	full  bool   // what follows is a dump of registers
}

// tailLines is enough for an assertion message and its context, short enough
// to print whole.
const tailLines = 8

// longestLine bounds what one line may hold, so that a worker that floods
// standard error without newlines costs no memory.
const longestLine = 512

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		if room := longestLine - len(t.part); len(line) > room {
			line = line[:room]
		}
		t.part = append(t.part, line...)
		if !ended {
			return n, nil
		}
		t.keep()
		p = rest
	}
}

func (t *tail) keep() {
	line := strings.TrimRight(string(t.part), " \t\r")
	t.part = t.part[:0]
	if line == "" || t.full {
		return
	}
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-tailLines):]
	t.full = isSignal(line)
}

// Lines returns the last lines, an unfinished one included.
func (t *tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep()
	return t.lines
}

// isSignal recognises "SIGABRT: abort": with such a line Go's runtime begins
// its account of a signal in native code. Registers follow, which would push
// out the message that says why.
func isSignal(line string) bool {
	return strings.HasPrefix(line, "SIG") && strings.Contains(line, ": ")
}
