package tap

// Dims are the sizes that tap shapes are made of; see the package comment for
// the letters.
type Dims struct {
	T, P             int // tokens of this step, tokens cached before it
	E, H, G, D, F, V int // model widths
}

// C returns the cache length after this step's write, P+T.
func (d Dims) C() int { return d.P + d.T }

// Shape returns the row-major shape this model calls for at tap t.
func (t Tap) Shape(d Dims) []int {
	switch t {
	case QProj, QBias, QRope, KQV:
		return []int{d.T, d.H, d.D}
	case KProj, KBias, KRope, VProj, VBias:
		return []int{d.T, d.G, d.D}
	case KCache, VCache:
		return []int{d.C(), d.G, d.D}
	case KQ, KQSoftMax:
		return []int{d.H, d.T, d.C()}
	case FFNGate, FFNUp, FFNSwiglu:
		return []int{d.T, d.F}
	case ResultOutput:
		return []int{d.T, d.V}
	default:
		return []int{d.T, d.E}
	}
}

// Axes names the axes of the tap's shape, for messages: "token", "head",
// "dim", "position", "channel".
func (t Tap) Axes() []string {
	switch t {
	case QProj, QBias, QRope, KQV, KProj, KBias, KRope, VProj, VBias:
		return []string{"token", "head", "dim"}
	case KCache, VCache:
		return []string{"position", "head", "dim"}
	case KQ, KQSoftMax:
		return []string{"head", "token", "position"}
	default:
		return []string{"token", "channel"}
	}
}

// Elements returns the product of a shape's sizes.
func Elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
