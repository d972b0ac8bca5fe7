package engines

import (
	"attndiff/ours/kernels"
	"attndiff/traces/execution"
)

// Notes tell our launches, with the names that the kernels give their
// parameters, and the kernels' text as it was compiled.
func (o *ours) Notes() (map[string]string, error) {
	list, err := o.kernels.Kernels()
	if err != nil {
		return nil, err
	}
	notes := execution.Notes{}
	for _, l := range o.Model.Launches() {
		for i := range l.List {
			if launch := l.List[i].Launch; launch != nil {
				name(launch, list)
			}
		}
		if err := notes.PutLaunches(l); err != nil {
			return nil, err
		}
	}
	text := execution.Sources{}
	for _, f := range o.kernels.Files() {
		text[f.Name] = f.Text
	}
	return notes, notes.PutSources(text)
}

// name adds to a launch what its kernel's declaration says.
func name(l *execution.Launch, list []kernels.Kernel) {
	for _, k := range list {
		if k.Name != l.Kernel {
			continue
		}
		l.File, l.Line = k.File, k.Line
		for i := range min(len(l.Args), len(k.Params)) {
			l.Args[i].Name = k.Params[i].Name
		}
	}
}
