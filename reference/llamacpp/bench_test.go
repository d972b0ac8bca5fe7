package llamacpp_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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

// BenchmarkRecording times runs without capture, with capture, and with a trace
// written to disk, in turn in one loop so that what else the machine does meets
// all three. It reports the median time of the first, and the medians of the
// other two as multiples of it. The sizes are a chat prompt with its answer, a
// long answer and a long prompt; the model is the shipped one, or the one that
// ATTNDIFF_BENCH_MODEL names. The GPU is skipped where there is none.
func BenchmarkRecording(b *testing.B) {
	for _, engine := range []string{"llama.cpp:cpu", "llama.cpp:cuda"} {
		for _, size := range []struct{ prompt, decodes int }{{30, 20}, {1, 100}, {250, 0}} {
			b.Run(fmt.Sprintf("%s/prompt=%d/decodes=%d", engine, size.prompt, size.decodes), func(b *testing.B) {
				e := openBench(b, llamacpp.Config{CUDA: engine == "llama.cpp:cuda", Context: size.prompt + size.decodes})
				ids := prompt(e, size.prompt)
				path := filepath.Join(b.TempDir(), "trace.safetensors")
				var times [3][]float64
				run := func(sink trace.Sink) {
					e.Reset()
					generate(b, e, ids, size.decodes, func(int) trace.Sink { return sink })
				}
				run(nil) // what is loaded, compiled and allocated once
				run(discard{})
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
						times[way] = append(times[way], time.Since(start).Seconds())
					}
				}
				plain := median(times[0])
				b.ReportMetric(plain*1e3, "plain-ms")
				b.ReportMetric(median(times[1])/plain, "capture/plain")
				b.ReportMetric(median(times[2])/plain, "trace/plain")
			})
		}
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkThreads times a prompt of 30 tokens and 20 decodes without capture
// on numbers of threads, 0 being the engine's own choice.
func BenchmarkThreads(b *testing.B) {
	for _, threads := range []int{0, 1, 2, 4, 8, 16} {
		if threads > runtime.NumCPU() {
			break
		}
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			e := openBench(b, llamacpp.Config{Threads: threads, Context: 50})
			ids := prompt(e, 30)
			for b.Loop() {
				e.Reset()
				generate(b, e, ids, 20, never)
			}
		})
	}
}

// openBench opens the model that is timed.
func openBench(b *testing.B, cfg llamacpp.Config) *llamacpp.Engine {
	if cfg.CUDA {
		if _, err := llamacpp.FindBackend(); err != nil {
			b.Skip(err)
		}
	}
	cfg.Model = os.Getenv("ATTNDIFF_BENCH_MODEL")
	if cfg.Model == "" {
		var err error
		if cfg.Model, err = models.Path(); err != nil {
			b.Fatal(err)
		}
	}
	e, err := llamacpp.Open(cfg)
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
