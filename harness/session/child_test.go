package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

func TestRecord(t *testing.T) {
	job := fakeJob(t)
	job.Model = Model{Name: "m", SHA256: strings.Repeat("ab", 32)}
	res, err := do(t, newRunner(plentyOfIt), job)
	if err != nil {
		t.Fatal(err)
	}
	p := res.Passes[0]
	if want := []int32{0, 1, 2, 3}; !reflect.DeepEqual(p.Tokens, want) {
		t.Errorf("tokens fed: %v, want %v", p.Tokens, want)
	}
	if want := []int{2, 1, 1}; !reflect.DeepEqual(p.Steps, want) {
		t.Errorf("steps: %v, want %v", p.Steps, want)
	}
	if want := []int32{2, 3}; !reflect.DeepEqual(p.Decoded(), want) {
		t.Errorf("decoded: %v, want %v", p.Decoded(), want)
	}
	tr, err := trace.Open(job.Passes[0].Trace)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if n := len(tr.Keys()); n != 3*fakeLayers*2 {
		t.Errorf("%d recordings, want %d", n, 3*fakeLayers*2)
	}
	if m := tr.Meta(); m.ModelSHA256 != job.Model.SHA256 || m.Engine != "fake" || m.Hparams.KVType != "f16" {
		t.Errorf("metadata: %+v", m)
	}
}

// A generation that ends early gives fewer steps, and the token that ended it
// is not fed.
func TestRecordStopsAtEnd(t *testing.T) {
	job := fakeJob(t)
	job.Tokens, job.Passes[0].Decode = []int32{4}, 5
	res, err := do(t, newRunner(plentyOfIt), job)
	if err != nil {
		t.Fatal(err)
	}
	if p := res.Passes[0]; !p.Ended || !reflect.DeepEqual(p.Decoded(), []int32{5}) {
		t.Errorf("ended %v, decoded %v; want true, [5]", p.Ended, p.Decoded())
	}
}

// However a worker ends, the error says how and names the last tap recorded,
// and no trace is left.
func TestFailures(t *testing.T) {
	const at = "@s0001.l00.q_rope"
	for _, c := range []struct {
		fault, reason string
	}{
		{"abort", "crashed with SIGABRT"},
		{"kill", "killed by SIGKILL, not by attndiff"},
		{"exit", "ended with exit status 7"},
		{"panic", "ended with exit status 2"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			job := fakeJob(t, c.fault+at)
			_, err := do(t, newRunner(plentyOfIt), job)
			var f *Failure
			if !errors.As(err, &f) {
				t.Fatalf("error %v, want a Failure", err)
			}
			if !strings.Contains(f.Reason, c.reason) {
				t.Errorf("reason %q, want %q", f.Reason, c.reason)
			}
			if f.Stage != "record s0001" || f.At != "s0001.l00.attn_norm" {
				t.Errorf("stage %q at %q, want record s0001 at s0001.l00.attn_norm", f.Stage, f.At)
			}
			said := strings.Join(f.Stderr, "\n")
			if c.fault == "abort" && !strings.Contains(said, "GGML_ASSERT(n > 0)") || c.fault == "panic" && !strings.Contains(said, "index out of range") {
				t.Errorf("standard error lost: %q", said)
			}
			if _, err := os.Stat(job.Passes[0].Trace); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a partial trace is left: %v", err)
			}
		})
	}
}

func TestFailureBeforeAnyTap(t *testing.T) {
	_, err := do(t, newRunner(plentyOfIt), fakeJob(t, "abort@open"))
	if err == nil || !strings.Contains(err.Error(), "during open; no tap recorded yet") {
		t.Errorf("error %v", err)
	}
}

func TestEngineErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*Job)
		input bool
		want  string
	}{
		{"input", func(j *Job) { j.Spec.Engine = "refuse" }, true, "model: no good"},
		{"open", func(j *Job) { j.Spec.Engine = "broken" }, false, "gave up: device: no memory"},
		{"step", func(j *Job) { j.Spec.Faults = []string{"error"} }, false, "gave up: step refused"},
		{"disk", func(j *Job) { j.Spec.Faults = []string{"full"} }, true, "write t.safetensors: no space left on device; make room there, or choose another --out"},
		{"empty", func(j *Job) { j.Tokens = nil }, true, "prompt: no tokens"},
		{"vocabulary", func(j *Job) { j.Tokens = []int32{0, fakeVocab} }, true, "token 7 at position 1 is outside the vocabulary"},
		{"context", func(j *Job) { j.Spec.Context = 3 }, true, "2 tokens and 2 decoded ones do not fit the context of 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := fakeJob(t)
			c.set(&job)
			_, err := do(t, newRunner(plentyOfIt), job)
			var input *InputError
			if err == nil || errors.As(err, &input) != c.input || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v (input %v), want %q (input %v)", err, errors.As(err, &input), c.want, c.input)
			}
		})
	}
}

// A worker that hangs is killed with all it started.
func TestTimeout(t *testing.T) {
	_, err := do(t, newRunner(time.Second), fakeJob(t, "family@s0000.l01.q_rope"))
	var f *Failure
	if !errors.As(err, &f) || !strings.Contains(f.Reason, "no end after 1s") {
		t.Fatalf("error %v, want a timeout", err)
	}
	if f.At != "s0000.l01.attn_norm" {
		t.Errorf("last tap %q, want s0000.l01.attn_norm", f.At)
	}
	var pid int
	if _, err := fmt.Sscanf(strings.Join(f.Stderr, " "), "grandchild %d", &pid); err != nil {
		t.Fatalf("standard error %q: %v", f.Stderr, err)
	}
	if !gone(pid) {
		t.Errorf("grandchild %d lives on", pid)
	}
}

// A caller that gives up leaves no process and gets its own error back.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), plentyOfIt)
	defer cancel()
	r := newRunner(plentyOfIt)
	r.Progress = func(p Progress) {
		if p.Stage == "record s0000" {
			cancel()
		}
	}
	_, err := r.Do(ctx, fakeJob(t, "hang@s0000.l00.q_rope"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if kids := children(t); len(kids) > 0 {
		t.Errorf("children left: %v", kids)
	}
}

func TestMissingWorker(t *testing.T) {
	r := &Runner{Worker: []string{filepath.Join(t.TempDir(), "nothing")}, Timeout: plentyOfIt}
	_, err := do(t, r, fakeJob(t))
	if err == nil || !strings.Contains(err.Error(), "could not run") {
		t.Errorf("error %v", err)
	}
}

func TestMark(t *testing.T) {
	m, file, err := newMark()
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	defer file.Close()
	other, err := openMark(file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	for _, k := range []tap.Key{
		tap.At(0, 0, tap.InpEmbd), tap.At(0, 0, tap.AttnNorm), tap.At(9999, 511, tap.LOut), tap.At(3, 0, tap.ResultOutput),
	} {
		m.set(k)
		if got := other.String(); got != k.String() {
			t.Errorf("set %s, the other side reads %q", k, got)
		}
	}
	m.clear()
	if got := other.String(); got != "" {
		t.Errorf("cleared, and reads %q", got)
	}
}

func TestTail(t *testing.T) {
	var said tail
	for i := range 20 {
		fmt.Fprintf(&said, "line %d\nhalf ", i)
	}
	said.Write([]byte(strings.Repeat("x", 10*longestLine)))
	lines := said.Lines()
	if len(lines) != tailLines || lines[0] != "half line 13" || len(lines[tailLines-1]) > longestLine {
		t.Errorf("%d lines, first %q, last %d long", len(lines), lines[0], len(lines[len(lines)-1]))
	}
}

// gone reports whether a process has ended, giving the kernel a moment.
func gone(pid int) bool {
	for range 100 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// zombie reports whether a process is dead and not yet reaped by its parent.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// children lists the processes whose parent is this one.
func children(t *testing.T) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var kids []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, _, _ := strings.Cut(string(text), " ")
			n, _ := strconv.Atoi(pid)
			kids = append(kids, n)
		}
	}
	return kids
}
