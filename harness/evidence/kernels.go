package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Kernel is what one engine launched on the GPU for one op: a row of
// kernels.json. An op may have several.
type Kernel struct {
	Tap          string  `json:"tap"`
	Engine       string  `json:"engine"`            // "llama.cpp:cuda", "ours:cuda"
	Phase        string  `json:"phase"`             // "prefill", "decode"
	Variant      string  `json:"variant,omitempty"` // "flash attention", "fused"; "" for attention step by step
	Kernel       string  `json:"kernel"`            // with template arguments, without parameters
	Grid         [3]int  `json:"grid"`
	Block        [3]int  `json:"block"`
	SharedBytes  int     `json:"shared_bytes"` // static and dynamic
	Microseconds float64 `json:"microseconds"` // median over layers
	Launches     int     `json:"launches"`     // in the step, over all layers
}

// Kernels reads kernels.json from dir, in order of execution; nil when no GPU
// run has written one.
func Kernels(dir string) ([]Kernel, error) {
	path := filepath.Join(dir, "kernels.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Kernel
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", path, err, cure)
	}
	return list, nil
}
