package session

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"time"

	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// run makes one pass over the prompt, recording it when the pass says so.
func (j *Job) run(p *Pass, eng Engine, res *Result, out *frames) (*PassResult, error) {
	out.mark.clear()
	began := time.Now()
	if p.Trace == "" {
		done, err := p.drive(res.Prompt, eng, nil, out)
		if err == nil {
			done.Seconds = time.Since(began).Seconds()
		}
		return done, err
	}
	w, err := trace.Create(p.Trace, p.tensors(res.Info.Hparams.NLayer))
	if err != nil {
		return nil, err
	}
	var writing time.Duration
	sink := watched{trace.Filter{Sink: w, Taps: p.Select.Taps, Layers: p.Select.Layers}, out.mark, &writing}
	done, err := p.drive(res.Prompt, eng, sink, out)
	if err != nil {
		w.Abort()
		return nil, err
	}
	done.Seconds = (time.Since(began) - writing).Seconds()
	closing := time.Now()
	meta := j.meta(res.Info, done)
	if a, ok := eng.(Annotator); ok {
		notes, err := a.Notes()
		if err != nil {
			w.Abort()
			return nil, err
		}
		maps.Copy(meta.Notes, notes)
	}
	if err := w.Close(meta); err != nil {
		return nil, err
	}
	done.Write = (writing + time.Since(closing)).Seconds()
	return done, nil
}

// tensors is how many recordings the pass makes at most.
func (p *Pass) tensors(layers int) int { return p.steps() * layers * int(tap.Count) }

// steps is how many steps the pass takes at most.
func (p *Pass) steps() int {
	if n := len(p.Steps); n > 0 {
		return n
	}
	return 1 + p.Decode
}

// drive feeds the prompt, then decodes.
func (p *Pass) drive(prompt []int32, eng Engine, sink trace.Sink, out *frames) (*PassResult, error) {
	done := &PassResult{Name: p.Name}
	if p.Prompt > 0 {
		prompt = prompt[:p.Prompt]
	}
	step := func(tokens []int32) (int32, error) {
		n := len(done.Steps)
		out.send(frame{Stage: fmt.Sprintf("%s s%04d", p.Name, n), Step: true})
		logits, err := eng.Step(n, tokens, sink)
		if err != nil {
			return 0, err
		}
		choice, err := choose(eng, logits)
		if err != nil {
			return 0, err
		}
		done.Tokens = append(done.Tokens, tokens...)
		done.Steps = append(done.Steps, len(tokens))
		done.Choices = append(done.Choices, choice)
		done.Logits = append(done.Logits, digest(logits))
		return choice, nil
	}
	if p.Steps != nil {
		for _, n := range p.Steps {
			if _, err := step(prompt[:n]); err != nil {
				return nil, err
			}
			prompt = prompt[n:]
		}
	} else {
		choice, err := step(prompt)
		for range p.Decode {
			if err != nil {
				return nil, err
			}
			if done.Ended = eng.IsEOG(choice); done.Ended {
				break
			}
			choice, err = step([]int32{choice})
		}
		if err != nil {
			return nil, err
		}
	}
	return done, nil
}

// choose returns the greedy choice after a step: the engine's own where it makes
// one.
func choose(eng Engine, logits []float32) (int32, error) {
	if c, ok := eng.(Chooser); ok {
		return c.Choose()
	}
	return trace.Greedy(logits), nil
}

// seed is shared by all digests of a process; digests of different processes
// do not compare.
var seed = maphash.MakeSeed()

// digest hashes the bits of a logits row, so that two passes can be compared
// bit for bit without keeping steps*vocabulary floats.
func digest(logits []float32) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var buf [4]byte
	for _, v := range logits {
		binary.LittleEndian.PutUint32(buf[:], math.Float32bits(v))
		h.Write(buf[:])
	}
	return h.Sum64()
}

// watched marks each recording after it is made, so that the last one before
// a crash is known, and adds up the time that writing takes.
type watched struct {
	trace.Sink
	mark    *mark
	writing *time.Duration
}

func (w watched) Put(k tap.Key, dt trace.DType, shape []int, raw []byte) error {
	began := time.Now()
	err := w.Sink.Put(k, dt, shape, raw)
	*w.writing += time.Since(began)
	if err == nil {
		w.mark.set(k)
	}
	return err
}
