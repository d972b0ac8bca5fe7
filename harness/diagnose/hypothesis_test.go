package diagnose

import (
	"slices"
	"strings"
	"testing"

	"attndiff/harness/oracle"
	"attndiff/harness/oracle/oracletest"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
)

// A run with a mistake of the catalogue is diagnosed by that name, by that of
// the same computation, or has it among its equals. The whole catalogue takes
// minutes: every so manyth mistake is tried.
func TestCatalogueIsRecognised(t *testing.T) {
	const every = 41
	model := threeLayers(t)
	ref := oracletest.Run{Model: model}.Forward(t).Write(t, nil)
	m := (&Bench{Reference: ref, Ours: ref, weights: holdWeights(oracle.GGUF(model))}).model()
	n, shown := 0, 0
	for _, at := range tap.All() {
		for _, h := range Catalogue(at, m) {
			if n++; n%every != 0 {
				continue
			}
			ours := oracletest.Run{Model: model, Variant: h.Variant}.Forward(t).Write(t, nil)
			result, err := verdict.Judge(ref, ours, model, verdict.Options{})
			if err != nil {
				t.Fatalf("%s at %s: %v", h.ID, at, err)
			}
			list, err := Run(Bench{Reference: ref, Ours: ours, Model: model, Result: result})
			if err != nil {
				t.Fatalf("%s at %s: %v", h.ID, at, err)
			}
			for _, d := range list {
				shown++
				same := slices.ContainsFunc(d.Evidence, func(e string) bool { return strings.HasPrefix(e, "for this model that is the same computation") })
				if d.Tap != at || d.Cause.ID != h.ID && !same && !slices.Contains(d.Equal, h.ID) {
					t.Errorf("%s at %s is named %s at %s, %s: %q", h.ID, at, d.Cause.ID, d.Tap, d.Cause.Status, d.Evidence)
				}
			}
		}
	}
	if shown < n/every/2 {
		t.Errorf("%d of %d mistakes show in this run, want half", shown, n/every)
	}
}
