package engines

import (
	"attndiff/harness/session"
	"attndiff/reference/llamacpp"
)

// llama is llama.cpp as a session runs it.
type llama struct {
	*llamacpp.Engine
	name string
}

// openLlama opens llama.cpp on the CPU or on the first GPU.
func openLlama(spec session.Spec) (session.Engine, error) {
	// llama.cpp aborts on some broken files; ours says what is wrong with them.
	f, err := OpenModel(spec.Model)
	if err != nil {
		return nil, err
	}
	f.Close()
	e, err := llamacpp.Open(llamacpp.Config{
		Model: spec.Model, KV: spec.KV, FlashAttn: spec.FlashAttn, Threads: spec.Threads, Context: spec.Context,
		CUDA: spec.Engine == LlamaCUDA,
	})
	if err != nil {
		return nil, err
	}
	return llama{e, spec.Engine}, nil
}

func (l llama) Info() session.Info {
	return session.Info{Engine: l.name, Version: llamacpp.Version(), Device: l.Device(), Hparams: l.Hparams()}
}

// Notes tell llama.cpp's graph.
func (l llama) Notes() (map[string]string, error) { return l.Engine.Notes() }

// Warnings is empty: what llama.cpp has to say goes to its log.
func (l llama) Warnings() []session.Warning { return nil }

func (l llama) Reset() error {
	l.Engine.Reset()
	return nil
}

func (l llama) Close() error {
	l.Engine.Close()
	return nil
}
