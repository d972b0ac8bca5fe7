package exam

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"attndiff/harness/engines"
	"attndiff/harness/session"
	"attndiff/traces/gguf/writer"
	"attndiff/traces/prompts"
	"attndiff/traces/synth"
)

// prepare writes the model's file where there is none yet, and reads what runs
// must know of it. The prompts come as ids.
func (m *Model) prepare(ids map[string][]int32) error {
	if m.write != nil {
		if err := m.write(m.Path); err != nil {
			return err
		}
	}
	f, err := engines.OpenModel(m.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := f.SHA256()
	if err != nil {
		return err
	}
	m.Context, m.Prompts = f.ContextLength, map[string][]int32{}
	m.ID = session.Model{Name: f.Name, SHA256: sum, Weights: f.WeightTypes()}
	for p, list := range ids {
		list = slices.Clone(list)
		for i := range list {
			list[i] %= int32(f.Hparams.NVocab) // a smaller vocabulary takes them folded
		}
		m.Prompts[p] = list
	}
	return nil
}

// tokenize turns the prompts into ids with a model's own vocabulary.
func tokenize(ctx context.Context, r *session.Runner, path string, names []string) (map[string][]int32, error) {
	ids := map[string][]int32{}
	for _, name := range names {
		text, err := prompts.Load(name)
		if err != nil {
			return nil, err
		}
		res, err := r.Do(ctx, session.Job{Text: text,
			Spec: session.Spec{Engine: engines.LlamaCPU, Model: path, KV: "f16", Context: len(text) + 1}})
		if err != nil {
			return nil, fmt.Errorf("prompt %s: %w", name, err)
		}
		ids[name] = res.Prompt
	}
	return ids, nil
}

// variants lists the models of clean runs: the shipped one, it again with
// matrices of every type, and the synthetic shape "tiny" in every type that is
// not a block format of llama.cpp's alone. None is written yet.
func variants(shipped *Model, dir string) ([]*Model, error) {
	list := []*Model{shipped}
	add := func(name string, write func(path string) error) {
		file := strings.ReplaceAll(strings.ToLower(name), " ", "-") + ".gguf"
		list = append(list, &Model{Name: name, Path: filepath.Join(dir, file), write: write})
	}
	for _, typ := range writer.Types() {
		spec, err := synth.Named("tiny")
		if err != nil {
			return nil, err
		}
		spec.Type, spec.Seed = typ, 1
		add("tiny "+typ, func(path string) error { return synth.Write(path, spec) })
	}
	for _, typ := range slices.Concat(writer.Types(), writer.QuantizedTypes()) {
		if typ != "F16" { // the shipped file itself
			add("haiku "+typ, func(path string) error { return engines.Recode(shipped.Path, path, typ) })
		}
	}
	return list, nil
}
