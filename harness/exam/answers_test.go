package exam

import (
	"slices"
	"testing"

	"attndiff/harness/diagnose"
	"attndiff/harness/oracle"
	"attndiff/ours/faults"
	"attndiff/traces/gguf"
	"attndiff/traces/models"
	"attndiff/traces/tap"
)

// Every fault has an answer at the tap it names, and every answer is the id of
// a hypothesis that the diagnosis can come to at that tap of the shipped model.
func TestAnswersExist(t *testing.T) {
	path, err := models.Path()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := diagnose.Model{Dims: f.Hparams.Dims(), Layers: f.Hparams.NLayer, KVType: "f16", Right: oracle.Default(f.Hparams), Steps: []int{14, 1, 1},
		Vector: func(string) []float64 { return nil }}
	for _, fault := range faults.Catalogue() {
		if len(fault.Causes(fault.Tap)) == 0 {
			t.Errorf("%s: no cause is right at %s, where it is first wrong", fault.Name, fault.Tap)
		}
		for _, at := range tap.All() {
			for _, id := range fault.Causes(at) {
				if !slices.ContainsFunc(diagnose.Catalogue(at, m), func(h diagnose.Hypothesis) bool { return h.ID == id }) {
					t.Errorf("%s: %s is no hypothesis at %s", fault.Name, id, at)
				}
			}
		}
	}
}
