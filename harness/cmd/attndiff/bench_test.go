package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"attndiff/harness/cli"
	"attndiff/harness/engines"
	"attndiff/harness/verdict"
	"attndiff/traces/models"
	"attndiff/traces/trace"
)

// app is the program with this test binary as its worker (see TestMain, which
// goes by the name it is called by).
func app(b *testing.B) *cli.App {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	worker := filepath.Join(b.TempDir(), "attndiff")
	if err := os.Symlink(self, worker); err != nil {
		b.Fatal(err)
	}
	a := cli.New(engines.Open)
	a.Stdout, a.Stderr, a.Worker = io.Discard, os.Stderr, []string{worker, "worker"}
	return a
}

// BenchmarkDiff is `make diff PROMPT=haiku` without the build: three model
// loads, two recordings, the oracle and the report. record/plain is what
// recording costs the reference, judge/engines what judging costs beside both
// engines' runs.
func BenchmarkDiff(b *testing.B) {
	if _, err := models.Path(); err != nil {
		b.Skip(err)
	}
	a, out := app(b), b.TempDir()
	var record, plain, compare, engines float64
	for b.Loop() {
		if status := a.Run(context.Background(), []string{"diff", "--out", out}); status != cli.Parity {
			b.Fatalf("exit status %d", status)
		}
		text, err := os.ReadFile(filepath.Join(out, "report.json"))
		if err != nil {
			b.Fatal(err)
		}
		var r struct{ Timing map[string]float64 }
		if err := json.Unmarshal(text, &r); err != nil {
			b.Fatal(err)
		}
		record, plain = record+r.Timing["reference.record"], plain+r.Timing["reference.plain"]
		compare, engines = compare+r.Timing["compare"], engines+r.Timing["reference"]+r.Timing["ours"]
	}
	b.ReportMetric(record/plain, "record/plain")
	b.ReportMetric(compare/engines, "judge/engines")
}

// BenchmarkCompare reads, pairs and measures two traces, drift alone, on one
// core.
func BenchmarkCompare(b *testing.B) {
	model, err := models.Path()
	if err != nil {
		b.Skip(err)
	}
	file := filepath.Join(b.TempDir(), "trace.safetensors")
	args := []string{"record", "--model", model, "--prompt", "long", "--steps", "2", "--out", file}
	if status := app(b).Run(context.Background(), args); status != cli.Parity {
		b.Fatalf("exit status %d", status)
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	ref, err := trace.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer ref.Close()
	ours, err := trace.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer ours.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.SetBytes(2 * info.Size())
	for b.Loop() {
		if _, err := verdict.Judge(ref, ours, nil, verdict.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
