package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"attndiff/harness/session"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args []string
		rest []string
		n    int
		err  bool
	}{
		{[]string{"a", "--n", "3", "b"}, []string{"a", "b"}, 3, false},
		{[]string{"--n=3", "a", "b"}, []string{"a", "b"}, 3, false},
		{[]string{"a", "b", "-n", "3"}, []string{"a", "b"}, 3, false},
		{[]string{"a", "--n"}, nil, 0, true},
		{[]string{"--m"}, nil, 0, true},
	} {
		fs := flag.NewFlagSet("t", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		n := fs.Int("n", 0, "")
		rest, err := parse(fs, c.args)
		if (err != nil) != c.err || !c.err && (*n != c.n || !reflect.DeepEqual(rest, c.rest)) {
			t.Errorf("%q: %q, n %d, %v", c.args, rest, *n, err)
		}
	}
}

func TestParseLayers(t *testing.T) {
	for _, c := range []struct {
		text        string
		first, last int
		ok          bool
	}{
		{"0-2", 0, 2, true}, {"3", 3, 3, true}, {" 1 - 2 ", 1, 2, true},
		{"", 0, 0, false}, {"2-1", 0, 0, false}, {"a-b", 0, 0, false}, {"-1", 0, 0, false}, {"1-2-3", 0, 0, false},
	} {
		first, last, err := parseLayers(c.text)
		if (err == nil) != c.ok || c.ok && (first != c.first || last != c.last) {
			t.Errorf("%q: %d-%d, %v", c.text, first, last, err)
		}
	}
}

func TestParseTokens(t *testing.T) {
	if ids, err := parseTokens("1, 2,2147483647"); err != nil || !reflect.DeepEqual(ids, []int32{1, 2, 2147483647}) {
		t.Errorf("%v, %v", ids, err)
	}
	for _, bad := range []string{"", "1,,2", "-1", "2147483648", "1 2", "0x10"} {
		if ids, err := parseTokens(bad); err == nil {
			t.Errorf("%q is read as %v", bad, ids)
		}
	}
}

// A shell reads back the very arguments that were quoted.
func TestCommandLine(t *testing.T) {
	args := []string{"diff", "--prompt-text", "it's <|im_end|>\n$HOME `x` \\ \"y\"", "--model", "a b.gguf", "", "é"}
	line := strings.Replace(commandLine(args), "bin/attndiff", `printf '%s\0'`, 1)
	out, err := exec.Command("sh", "-c", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !reflect.DeepEqual(got, args) {
		t.Errorf("%s gives %q, want %q", line, got, args)
	}
}

// Every kind of error has its status and is one line.
func TestFail(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("two\nlines"), BadInput},
		{&session.InputError{Err: errors.New("x")}, BadInput},
		{fmt.Errorf("wrapped: %w", &session.Failure{Engine: "e", Stderr: []string{"a", "b"}}), EngineDied},
		{context.Canceled, Interrupted},
	} {
		var out bytes.Buffer
		a := &App{Stderr: &out}
		if got := a.fail(c.err); got != c.want || strings.Count(out.String(), "\n") != 1 || !strings.HasPrefix(out.String(), "attndiff: ") {
			t.Errorf("%v: status %d, want %d; said %q", c.err, got, c.want, out.String())
		}
	}
}

// Every command's help names its flags with something to say about each.
func TestUsage(t *testing.T) {
	for _, c := range commands() {
		var out bytes.Buffer
		a := &App{Stdout: &out, Stderr: io.Discard}
		if got := a.Run(t.Context(), []string{c.name, "-h"}); got != Parity {
			t.Errorf("%s -h: status %d", c.name, got)
		}
		for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if strings.HasPrefix(line, "  --") && len(strings.Fields(line)) < 3 {
				t.Errorf("%s -h: %q says nothing", c.name, line)
			}
		}
	}
}
