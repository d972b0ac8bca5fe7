package diagnose

import (
	"sync"

	"attndiff/harness/oracle"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// Hypotheses read the same weights and the same inputs over and over; these
// keep what was read, up to a bound.

// heldFloats bounds what each keeps, in elements.
const heldFloats = 32 << 20

// heldWeights keeps the weights that were read. It is safe for concurrent use.
type heldWeights struct {
	oracle.Weights
	mu   sync.Mutex
	held map[rows][]float32
	size int
}

// rows names a part of a tensor.
type rows struct {
	name   string
	lo, hi int
}

func holdWeights(w oracle.Weights) *heldWeights {
	return &heldWeights{Weights: w, held: map[rows][]float32{}}
}

// Rows implements [oracle.Weights]; the result must not be changed.
func (h *heldWeights) Rows(name string, lo, hi int) ([]float32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	part := rows{name, lo, hi}
	if v, ok := h.held[part]; ok {
		return v, nil
	}
	v, err := h.Weights.Rows(name, lo, hi)
	if err == nil && h.size+len(v) <= heldFloats {
		h.held[part] = v
		h.size += len(v)
	}
	return v, err
}

// heldRecordings keeps the recordings that were read. It is safe for
// concurrent use.
type heldRecordings struct {
	*trace.Reader
	mu   sync.Mutex
	held map[tap.Key][]float64
	size int
}

func holdRecordings(r *trace.Reader) *heldRecordings {
	return &heldRecordings{Reader: r, held: map[tap.Key][]float64{}}
}

// Float64 implements [oracle.Source]; the result must not be changed.
func (h *heldRecordings) Float64(k tap.Key, _ []float64) ([]float64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.held[k]; ok {
		return v, nil
	}
	v, err := h.Reader.Float64(k, nil)
	if err == nil && h.size+len(v) <= heldFloats {
		h.held[k] = v
		h.size += len(v)
	}
	return v, err
}
