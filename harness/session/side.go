package session

import (
	"errors"
	"strings"

	"attndiff/traces/trace"
)

// Side is where one side's tensors come from: an engine to run or a trace
// that somebody recorded earlier.
type Side struct {
	Engine string // "llama.cpp:cpu", "ours:emu", ...; "" for a trace
	Trace  string // path of the trace file; "" for an engine
}

// tracePrefix marks an engine name that is a file.
const tracePrefix = "trace:"

// ParseSide reads an engine name as --ours and --reference take it. Whether
// the engine exists is for its [Opener] to say.
func ParseSide(name string) (Side, error) {
	if path, ok := strings.CutPrefix(name, tracePrefix); ok {
		if path == "" {
			return Side{}, errors.New("engine trace: no file; write trace:FILE")
		}
		return Side{Trace: path}, nil
	}
	return Side{Engine: name}, nil
}

// String spells the side as ParseSide reads it.
func (s Side) String() string {
	if s.Trace != "" {
		return tracePrefix + s.Trace
	}
	return s.Engine
}

// Recording is one side's trace and what is known besides.
type Recording struct {
	Side Side
	File string     // the trace file
	Meta trace.Meta // as recorded there

	// Own are the tokens this side says after step 0 when it runs on its own
	// choices: free-running greedy decoding for an engine, what it was fed for
	// a trace. Ended is set when they were cut by an end-of-generation token.
	Own   []int32
	Ended bool

	Seconds map[string]float64 // by stage: "open", each pass by name, "write" of the recording
}

// load fills in a recording that lies in a file already.
func load(side Side) (*Recording, error) {
	r, err := trace.Open(side.Trace)
	if err != nil {
		return nil, &InputError{err}
	}
	defer r.Close()
	m := r.Meta() // an open trace has a step at least
	return &Recording{Side: side, File: side.Trace, Meta: m, Own: m.Tokens[m.Steps[0]:]}, nil
}

// recorded describes what a worker recorded to file in its first pass; its
// own tokens come from pass own.
func recorded(side Side, file string, job Job, res *Result, own *PassResult) *Recording {
	rec := &Recording{
		Side: side, File: file, Meta: job.meta(res.Info, &res.Passes[0]),
		Own: own.Decoded(), Ended: own.Ended,
		Seconds: map[string]float64{"open": res.Seconds},
	}
	for _, p := range res.Passes {
		rec.Seconds[p.Name] = p.Seconds
	}
	rec.Seconds["write"] = res.Passes[0].Write
	return rec
}
