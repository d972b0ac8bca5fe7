package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"

	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// traceJSON is what `inspect --json` prints of a trace.
type traceJSON struct {
	Schema        string            `json:"schema"`
	Engine        string            `json:"engine"`
	EngineVersion string            `json:"engine_version"`
	Device        string            `json:"device"`
	ModelSHA256   string            `json:"model_sha256"`
	ModelName     string            `json:"model_name"`
	Hparams       trace.Hparams     `json:"hparams"`
	Tokens        []int32           `json:"tokens"`
	Steps         []int             `json:"steps"`
	Notes         map[string]string `json:"notes"`
	Tensors       []tensorJSON      `json:"tensors"`
}

type tensorJSON struct {
	Name  string      `json:"name"`
	DType trace.DType `json:"dtype"`
	Shape []int       `json:"shape"`
}

func describeTrace(t *trace.Reader) traceJSON {
	m := t.Meta()
	d := traceJSON{
		Schema: trace.Schema, Engine: m.Engine, EngineVersion: m.EngineVersion, Device: m.Device,
		ModelSHA256: m.ModelSHA256, ModelName: m.ModelName, Hparams: m.Hparams,
		Tokens: m.Tokens, Steps: m.Steps, Notes: m.Notes, Tensors: []tensorJSON{},
	}
	for _, k := range t.Keys() {
		info, _ := t.Info(k)
		d.Tensors = append(d.Tensors, tensorJSON{k.String(), info.DType, info.Shape})
	}
	return d
}

func inspectCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	name := fs.String("tensor", "", "show statistics of the tensor `NAME`, such as s0000.l00.q_rope")
	asJSON := fs.Bool("json", false, "print JSON")
	return func(_ context.Context, args []string) (int, error) {
		t, err := trace.Open(args[0])
		if err != nil {
			return 0, &session.InputError{Err: err}
		}
		defer t.Close()
		if *name != "" {
			return Parity, inspectTensor(a.Stdout, t, args[0], *name, *asJSON)
		}
		if *asJSON {
			return Parity, printJSON(a.Stdout, describeTrace(t))
		}
		printTrace(a.Stdout, t)
		return Parity, nil
	}
}

// longestNote is how much of a note is shown; an engine's account of what it
// ran is tens of kilobytes.
const longestNote = 200

// printTrace shows the metadata and one line per tap: how often it was
// recorded and in what shape first.
func printTrace(w io.Writer, t *trace.Reader) {
	m := t.Meta()
	fmt.Fprintf(w, "engine   %s, %s\ndevice   %s\nmodel    %s, sha256 %s\n", m.Engine, m.EngineVersion, m.Device, m.ModelName, m.ModelSHA256)
	fmt.Fprintf(w, "tokens   %d in %d steps: %v\n", len(m.Tokens), len(m.Steps), m.Steps)
	for _, k := range slices.Sorted(maps.Keys(m.Notes)) {
		v := m.Notes[k]
		if len(v) > longestNote {
			v = fmt.Sprintf("%d bytes, see --json", len(v))
		}
		fmt.Fprintf(w, "note     %s: %s\n", k, v)
	}
	counts := map[tap.Tap]int{}
	first := map[tap.Tap]trace.Info{}
	for _, k := range t.Keys() {
		if counts[k.Tap]++; counts[k.Tap] == 1 {
			first[k.Tap], _ = t.Info(k)
		}
	}
	for _, tp := range tap.All() {
		if n := counts[tp]; n > 0 {
			fmt.Fprintf(w, "  %-13s %5d x %-4s first %v\n", tp, n, first[tp].DType, first[tp].Shape)
		}
	}
	fmt.Fprintln(w, "--tensor NAME shows one tensor's statistics, --json lists all tensors")
}

// inspectTensor shows one tensor's statistics.
func inspectTensor(w io.Writer, t *trace.Reader, path, name string, asJSON bool) error {
	k, err := tap.ParseKey(name)
	if err != nil {
		return &session.InputError{Err: fmt.Errorf("--tensor: %w", err)}
	}
	info, ok := t.Info(k)
	if !ok {
		return &session.InputError{Err: fmt.Errorf("--tensor %s: not in %s; `attndiff inspect %s --json` lists what is", name, path, path)}
	}
	values, err := t.Float64(k, nil)
	if err != nil {
		return err
	}
	s := report.Describe(values, info.Shape)
	if asJSON {
		return printJSON(w, struct {
			tensorJSON
			report.Statistics
		}{tensorJSON{name, info.DType, info.Shape}, s})
	}
	fmt.Fprintf(w, "%s %s %v %v\n", name, info.DType, info.Shape, k.Tap.Axes())
	return s.Print(w)
}
