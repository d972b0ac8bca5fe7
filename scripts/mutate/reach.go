package main

import (
	"path/filepath"
	"slices"

	"attndiff/ours/kernels"
)

// graph knows which code each kernel runs: its own body and those of the
// functions it calls, in its file or in a header.
type graph struct {
	kernels []kernels.Kernel
	// code lists, for each kernel, the functions it runs.
	code map[string][]function
}

// newGraph reads the kernels' calls. Overloads of a name count as one function.
func newGraph(src kernels.Source) (*graph, error) {
	list, err := src.Kernels()
	if err != nil {
		return nil, err
	}
	g := &graph{kernels: list, code: map[string][]function{}}
	all := map[string][]function{}
	for _, f := range src.Files() {
		all[f.Name] = functions(f)
	}
	for _, k := range list {
		var visible []function
		for file, fns := range all {
			if file == k.File || filepath.Ext(file) != ".cu" {
				visible = append(visible, fns...)
			}
		}
		seen := map[string]bool{k.Name: true}
		for queue := []string{k.Name}; len(queue) > 0; queue = queue[1:] {
			for _, fn := range visible {
				if fn.name != queue[0] {
					continue
				}
				g.code[k.Name] = append(g.code[k.Name], fn)
				for _, t := range fn.body {
					if !seen[t.text] && slices.ContainsFunc(visible, func(o function) bool { return o.name == t.text }) {
						seen[t.text] = true
						queue = append(queue, t.text)
					}
				}
			}
		}
	}
	return g, nil
}

// reached lists the kernels that run what the mutant changes: the function it
// is in or, outside of any, the name it defines.
func (g *graph) reached(m mutant) []string {
	var list []string
	for _, k := range g.kernels {
		if slices.ContainsFunc(g.code[k.Name], func(fn function) bool { return m.in(fn) }) {
			list = append(list, k.Name)
		}
	}
	return list
}

// in reports whether a mutant changes what a function does.
func (m mutant) in(fn function) bool {
	if named := constexpr.FindStringSubmatch(m.From); named != nil {
		return slices.ContainsFunc(fn.body, func(t token) bool { return t.text == named[1] })
	}
	return fn.file == m.File && fn.from <= m.At && m.At < fn.to
}
