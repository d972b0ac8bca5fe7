package session

import (
	"encoding/json"
	"io"
	"sync"
)

// frame is one line of JSON on the pipe from worker to harness. Frames are
// written unbuffered, one write each, so that those before a crash arrive.
type frame struct {
	Stage string  `json:"stage,omitempty"` // what begins: "open", "record s0003"
	At    string  `json:"at,omitempty"`    // a tap that has just been recorded
	Error string  `json:"error,omitempty"` // the job failed; the worker ends
	Input bool    `json:"input,omitempty"` // with Error: the input is to blame
	Done  *Result `json:"done,omitempty"`  // the job is done; the worker ends
}

// frames writes frames; engines may record from several goroutines.
type frames struct {
	mu sync.Mutex
	w  io.Writer
}

// send writes one frame. A harness that is gone cannot be told anything, so
// the error is dropped: the worker dies with its parent anyway.
func (f *frames) send(fr frame) {
	line, err := json.Marshal(fr)
	if err != nil {
		line, _ = json.Marshal(frame{Error: "worker result: " + err.Error()})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = f.w.Write(append(line, '\n'))
}

// receive reads frames until the pipe closes and hands each to take. A line
// that is not a frame (a worker that died in the middle of one) ends it.
func receive(r io.Reader, take func(frame)) {
	dec := json.NewDecoder(r)
	for {
		var fr frame
		if err := dec.Decode(&fr); err != nil {
			return
		}
		take(fr)
	}
}
