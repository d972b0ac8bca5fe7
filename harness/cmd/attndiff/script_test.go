package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"attndiff/harness/cli"
	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/models"
	"attndiff/traces/synth"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// TestMain makes the real main a command of the scripts, and beside it
// sabotaged, the same program with engines that misbehave on request.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"attndiff": main, "sabotaged": sabotaged})
}

// TestScripts runs one script per promise of the command line. They find the
// synthetic model "tiny" as $TINY, the shipped one as $SHIPPED.
func TestScripts(t *testing.T) {
	shared := t.TempDir()
	tiny := filepath.Join(shared, "tiny.gguf")
	spec, err := synth.Named("tiny")
	if err != nil {
		t.Fatal(err)
	}
	spec.Seed = 1
	if err := synth.Write(tiny, spec); err != nil {
		t.Fatal(err)
	}
	shipped, err := models.Path()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir() // of compiled kernels, shared with other runs
	if err != nil {
		cache = filepath.Join(shared, "cache")
	}
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(3 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("TINY", tiny)
			env.Setenv("SHIPPED", shipped)
			env.Setenv("XDG_CACHE_HOME", cache)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "refuses": refuses, "json": jsonValue, "working": working, "alone": alone, "retrace": retrace,
		},
		RequireExplicitExec: true,
	})
}

// exits N COMMAND ARGS... runs a command that must end with status N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := run(ts, args[1:]); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// refuses PATTERN COMMAND ARGS... runs a command that must end with status 2,
// print nothing, and say why in one line on standard error.
func refuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refuses PATTERN COMMAND ARGS...")
	}
	if got := run(ts, args[1:]); got != cli.BadInput {
		ts.Fatalf("exit status %d, want %d", got, cli.BadInput)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("standard output is not empty: %q", out)
	}
	said := strings.TrimSuffix(ts.ReadFile("stderr"), "\n")
	if strings.Contains(said, "\n") || !strings.HasPrefix(said, "attndiff: ") {
		ts.Fatalf("not one line that begins with attndiff: %q", said)
	}
	if !regexp.MustCompile(args[0]).MatchString(said) {
		ts.Fatalf("%q does not match %q", said, args[0])
	}
}

// working waits until an engine of the script's background job runs.
func working(ts *testscript.TestScript, neg bool, args []string) {
	for range 3000 {
		for _, command := range processes(ts) {
			if strings.Contains(command, "\x00worker\x00") {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("no engine runs")
}

// alone fails when a process that the script started is left, at any depth.
func alone(ts *testscript.TestScript, neg bool, args []string) {
	for pid, command := range processes(ts) {
		ts.Fatalf("process %s is left: %q", pid, command)
	}
}

// processes lists the command lines of what the script started: their
// environment names its folder.
func processes(ts *testscript.TestScript) map[string]string {
	list, err := filepath.Glob("/proc/[0-9]*")
	ts.Check(err)
	found := map[string]string{}
	for _, p := range list {
		environ, err := os.ReadFile(filepath.Join(p, "environ"))
		if err != nil || !strings.Contains("\x00"+string(environ), "\x00WORK="+ts.Getenv("WORK")+"\x00") {
			continue // another's, or gone
		}
		if command, err := os.ReadFile(filepath.Join(p, "cmdline")); err == nil {
			found[filepath.Base(p)] = string(command)
		}
	}
	return found
}

// run runs a command and returns its exit status.
func run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// json FILE PATH WANT compares one value of a JSON file, WANT being JSON too;
// a PATH is made of keys and indices: findings.0.tap. Without WANT the value
// must be there and not null. FILE may be stdout, which then must hold one
// JSON value and nothing else.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: json FILE PATH [WANT]")
	}
	var at any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &at); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	for _, step := range strings.Split(args[1], ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				ts.Fatalf("%s: no element %s of %d", args[1], step, len(v))
			}
			at = v[i]
		default:
			ts.Fatalf("%s: %s is neither in an object nor a list", args[1], step)
		}
	}
	same := at != nil
	if len(args) == 3 {
		var want any
		ts.Check(json.Unmarshal([]byte(args[2]), &want))
		same = reflect.DeepEqual(at, want)
	}
	if same == neg {
		ts.Fatalf("%s is %v", args[1], at)
	}
}

// sabotaged is main with engines that misbehave as the variable SABOTAGE says:
// "ours:emu kill s0001.l00.kq" kills the worker of that engine when it has
// recorded that tensor.
func sabotaged() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(cli.New(func(spec session.Spec) (session.Engine, error) {
		e, err := engines.Open(spec)
		plan := strings.Fields(os.Getenv("SABOTAGE"))
		if err != nil || len(plan) != 3 || plan[0] != spec.Engine {
			return e, err
		}
		return saboteur{e, plan[1], plan[2]}, nil
	}).Run(ctx, os.Args[1:]))
}

type saboteur struct {
	session.Engine
	act, at string
}

func (s saboteur) Step(step int, tokens []int32, sink trace.Sink) ([]float32, error) {
	if sink != nil {
		sink = trap{sink, s}
	}
	return s.Engine.Step(step, tokens, sink)
}

type trap struct {
	trace.Sink
	saboteur
}

func (t trap) Put(k tap.Key, dt trace.DType, shape []int, raw []byte) error {
	err := t.Sink.Put(k, dt, shape, raw)
	if k.String() != t.at {
		return err
	}
	switch t.act {
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "abort":
		fmt.Fprintln(os.Stderr, "ggml.c:1: GGML_ASSERT(false) failed")
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
	}
	time.Sleep(time.Minute) // "hang", and until a signal arrives
	return err
}
