package oracle

import (
	"container/list"
	"sync"

	"attndiff/traces/tap"
)

// held are the tensors of one side that were recomputed because they were not
// recorded. It keeps heldBytes of them at most, those used last: one that is
// gone is recomputed, so that memory does not grow with the trace.
type held struct {
	mu    sync.Mutex
	at    map[tap.Key]*list.Element // of *entry
	order list.List                 // used last in front
	bytes int
}

type entry struct {
	key tap.Key
	derived
}

// heldBytes bounds what a side holds: what later layers and steps read of
// 7,000 tokens of one layer at n_embd 896.
const heldBytes = 256 << 20

// size is an entry's memory, values and noise.
func (e *entry) size() int { return 8 * (cap(e.V) + cap(e.Noise)) }

func newHeld() *held { return &held{at: map[tap.Key]*list.Element{}} }

// has reports whether k is held.
func (h *held) has(k tap.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at[k] != nil
}

// get returns a tensor recomputed earlier.
func (h *held) get(k tap.Key) (derived, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.at[k]
	if e == nil {
		return derived{}, false
	}
	h.order.MoveToFront(e)
	return e.Value.(*entry).derived, true
}

// put holds a tensor, and lets go of others if there is no room.
func (h *held) put(k tap.Key, d derived) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at[k] != nil {
		return
	}
	e := &entry{k, d}
	h.at[k] = h.order.PushFront(e)
	h.bytes += e.size()
	for h.bytes > heldBytes && h.order.Len() > 1 {
		h.drop(h.order.Back())
	}
}

func (h *held) drop(e *list.Element) {
	entry := h.order.Remove(e).(*entry)
	delete(h.at, entry.key)
	h.bytes -= entry.size()
}

// passed lets go of what layers before this one alone read: all but their
// outputs and the rows that caches are made of, which later steps read.
func (h *held) passed(layer int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for e := h.order.Front(); e != nil; {
		next := e.Next()
		switch k := e.Value.(*entry).key; k.Tap {
		case tap.LOut, tap.KRope, tap.VBias, tap.VProj:
		default:
			if max(k.Layer, 0) < layer { // layer 0 reads the embeddings
				h.drop(e)
			}
		}
		e = next
	}
}
