package llamacpp

import (
	"testing"

	"attndiff/traces/tap"
)

// TestNodes expects the table to be in tap order, which is how the bridge
// indexes it.
func TestNodes(t *testing.T) {
	for i, n := range nodes {
		if n.tap != tap.Tap(i) || n.name == "" {
			t.Errorf("entry %d is of tap %v, node %q", i, n.tap, n.name)
		}
	}
}
