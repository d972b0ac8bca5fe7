package llamacpp_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"attndiff/reference/llamacpp"
	"attndiff/traces/models"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// discard wants everything and keeps nothing: capture without a file.
type discard struct{}

func (discard) Wants(tap.Key) bool                            { return true }
func (discard) Put(tap.Key, trace.DType, []int, []byte) error { return nil }

// BenchmarkRecording times runs of the shipped model without capture, with
// capture, and with a trace written to disk, in turn in one loop so that what
// else the machine does meets all three. It reports the best time of each way,
// and the cost of the latter two as multiples of the first. The sizes are a
// chat prompt with its answer, a long answer and a long prompt.
func BenchmarkRecording(b *testing.B) {
	for _, size := range []struct{ prompt, decodes int }{{30, 20}, {1, 100}, {250, 0}} {
		b.Run(fmt.Sprintf("prompt=%d/decodes=%d", size.prompt, size.decodes), func(b *testing.B) {
			e := openShipped(b, 0)
			ids := prompt(e, size.prompt)
			path := filepath.Join(b.TempDir(), "trace.safetensors")
			best := [3]time.Duration{math.MaxInt64, math.MaxInt64, math.MaxInt64}
			run := func(sink trace.Sink) {
				e.Reset()
				generate(b, e, ids, size.decodes, func(int) trace.Sink { return sink })
			}
			for b.Loop() {
				// ext4 flushes a file that replaces another, which a trace of its own does not pay for
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					b.Fatal(err)
				}
				for way, timed := range []func(){
					func() { run(nil) },
					func() { run(discard{}) },
					func() { writeTrace(b, path, e.Hparams(), size.prompt, size.decodes, run) },
				} {
					start := time.Now()
					timed()
					best[way] = min(best[way], time.Since(start))
				}
			}
			plain := best[0].Seconds()
			b.ReportMetric(plain*1e3, "plain-ms")
			b.ReportMetric(best[1].Seconds()/plain, "capture/plain")
			b.ReportMetric(best[2].Seconds()/plain, "trace/plain")
		})
	}
}

// BenchmarkThreads times a prompt of 30 tokens and 20 decodes without capture
// on numbers of threads, 0 being the engine's own choice.
func BenchmarkThreads(b *testing.B) {
	for _, threads := range []int{0, 1, 2, 4, 8, 16} {
		if threads > runtime.NumCPU() {
			break
		}
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			e := openShipped(b, threads)
			ids := prompt(e, 30)
			for b.Loop() {
				e.Reset()
				generate(b, e, ids, 20, never)
			}
		})
	}
}

func openShipped(b *testing.B, threads int) *llamacpp.Engine {
	model, err := models.Path()
	if err != nil {
		b.Fatal(err)
	}
	e, err := llamacpp.Open(llamacpp.Config{Model: model, Context: 512, Threads: threads})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	return e
}

// writeTrace makes a run into a trace file.
func writeTrace(b *testing.B, path string, h trace.Hparams, promptLen, decodes int, run func(trace.Sink)) {
	meta := trace.Meta{
		Engine: "llama.cpp:cpu", ModelSHA256: strings.Repeat("0", 64), Hparams: h,
		Tokens: make([]int32, promptLen+decodes), Steps: []int{promptLen},
	}
	for range decodes {
		meta.Steps = append(meta.Steps, 1)
	}
	w, err := trace.Create(path, len(meta.Steps)*h.NLayer*int(tap.Count))
	if err != nil {
		b.Fatal(err)
	}
	run(w)
	if err := w.Close(meta); err != nil {
		b.Fatal(err)
	}
}
