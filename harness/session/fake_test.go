package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// TestMain is also the worker: the test binary started again with the word
// worker runs the fake engine below.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		if err := Work(os.Stdin, openFake); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newRunner starts fakes; no test waits longer than it says.
func newRunner(timeout time.Duration) *Runner {
	return &Runner{Worker: []string{"/proc/self/exe", "worker"}, Timeout: timeout}
}

const (
	fakeVocab   = 7
	fakeEOG     = 6
	fakeLayers  = 2
	plentyOfIt  = 30 * time.Second
	fakeContext = 64
)

// fake is an engine of two taps whose greedy choice after token t is t+1. What
// goes wrong with it is named by its spec's faults: "abort@s0001.l00.q_rope"
// aborts as that recording is due.
type fake struct {
	spec Spec
	past int
}

func openFake(s Spec) (Engine, error) {
	switch s.Engine {
	case "refuse":
		return nil, &InputError{errors.New("model: no good")}
	case "broken":
		return nil, errors.New("device: no memory")
	}
	if slices.Contains(s.Faults, "abort@open") {
		abort()
	}
	f := &fake{spec: s}
	if f.has("chooser") {
		return chooser{f}, nil
	}
	return f, nil
}

// chooser is a fake that makes greedy choices itself, always the same.
type chooser struct{ *fake }

func (chooser) Choose() (int32, error) { return 5, nil }

func (f *fake) Info() Info {
	return Info{Engine: f.spec.Engine, Version: "1", Device: "none", Hparams: trace.Hparams{
		NLayer: fakeLayers, NEmbd: 4, NHead: 2, NHeadKV: 1, HeadDim: 2, NFF: 4, NVocab: fakeVocab,
		RopeFreqBase: 1e6, RopeType: "neox", RMSEps: 1e-6, KVType: f.spec.KV,
	}}
}

func (f *fake) Tokenize(text string) ([]int32, error) {
	var ids []int32
	for _, c := range text {
		ids = append(ids, int32(c-'0'))
	}
	return ids, nil
}

func (f *fake) IsEOG(id int32) bool { return id == fakeEOG }
func (f *fake) Close() error        { return nil }

func (f *fake) Warnings() []Warning {
	if f.has("warn") || f.has("bounds") && f.spec.Bounds {
		return slices.Repeat([]Warning{{Kernel: "k", At: "s0000.l00.q_rope", Tap: "q_rope", What: "wrote past the end"}}, 7)
	}
	return nil
}

func (f *fake) Reset() error {
	f.past = 0
	return nil
}

func (f *fake) has(fault string) bool { return slices.Contains(f.spec.Faults, fault) }

func (f *fake) Step(step int, tokens []int32, sink trace.Sink) ([]float32, error) {
	for l := range fakeLayers {
		for _, t := range []tap.Tap{tap.AttnNorm, tap.QRope} {
			k := tap.At(step, l, t)
			f.misbehave(k.String())
			if sink == nil || !sink.Wants(k) {
				continue
			}
			value := float32(f.past)
			if f.has("race") && k.String() == "s0001.l01.q_rope" {
				value += float32(f.spec.Seed)
			}
			raw := binary.LittleEndian.AppendUint32(nil, math.Float32bits(value))
			if err := sink.Put(k, trace.F32, []int{1}, raw); err != nil {
				return nil, err
			}
		}
	}
	f.past += len(tokens)
	if f.has("full") {
		return nil, fmt.Errorf("recording: %w", &fs.PathError{Op: "write", Path: "t.safetensors", Err: syscall.ENOSPC})
	}
	if f.has("error") {
		return nil, errors.New("step refused")
	}
	logits := make([]float32, fakeVocab)
	logits[(tokens[len(tokens)-1]+1)%fakeVocab] = 1
	if f.has("capture") && sink != nil && step == 1 {
		logits[0] += 1e-6
	}
	return logits, nil
}

// misbehave does what a fault says at recording key.
func (f *fake) misbehave(key string) {
	for _, fault := range f.spec.Faults {
		what, at, _ := strings.Cut(fault, "@")
		if at != key {
			continue
		}
		switch what {
		case "abort":
			fmt.Fprintln(os.Stderr, "GGML_ASSERT(n > 0) failed")
			abort()
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(plentyOfIt)
		case "exit":
			os.Exit(7)
		case "panic":
			panic("index out of range")
		case "hang":
			time.Sleep(plentyOfIt)
		case "family": // a grandchild that holds standard error open, then hang
			cmd := exec.Command("sleep", "31")
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			fmt.Fprintf(os.Stderr, "grandchild %d\n", cmd.Process.Pid)
			time.Sleep(plentyOfIt)
		}
	}
}

func abort() {
	syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(plentyOfIt)
}

// fakeJob records two decode steps after prompt 0, 1.
func fakeJob(t *testing.T, faults ...string) Job {
	return Job{
		Spec:   Spec{Engine: "fake", KV: "f16", Faults: faults, Context: fakeContext},
		Tokens: []int32{0, 1},
		Passes: []Pass{{Name: "record", Decode: 2, Trace: t.TempDir() + "/t.safetensors"}},
	}
}

func do(t *testing.T, r *Runner, job Job) (*Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), plentyOfIt)
	defer cancel()
	return r.Do(ctx, job)
}
