package session

import (
	"encoding/json"
	"io"
)

// frame is one line of JSON on the pipe from worker to harness. Frames are
// written unbuffered, one write each, so that those before a crash arrive.
type frame struct {
	Stage string  `json:"stage,omitempty"` // what begins: "open", "record s0003"
	Step  bool    `json:"step,omitempty"`  // with Stage: it is one step of a pass
	Error string  `json:"error,omitempty"` // the job failed; the worker ends
	Input bool    `json:"input,omitempty"` // with Error: the input is to blame
	Done  *Result `json:"done,omitempty"`  // the job is done; the worker ends
}

// frames writes frames.
type frames struct {
	w    io.Writer
	mark *mark // tells of each recording; frames would cost too much
}

// send writes one frame. A harness that is gone cannot be told anything, so
// the error is dropped: the worker dies with its parent anyway.
func (f *frames) send(fr frame) {
	line, err := json.Marshal(fr)
	if err != nil {
		line, _ = json.Marshal(frame{Error: "worker result: " + err.Error()})
	}
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
