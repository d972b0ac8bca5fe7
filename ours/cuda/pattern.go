package cuda

// Patterns are 16-bit words that are quiet NaNs as f16 and as bf16, and twice
// in a row as f32: exponent bits all set, top mantissa bits set. So whatever
// type a kernel reads them as, it reads NaN, and NaN spreads to the result.
// The payloads differ so that their origin can be told.
const (
	poisonPattern = 0x7fd5 // memory that nothing was written to yet
	// ordinaryPattern is a finite number instead: 1 as f16, 0.0078 as bf16 and f32.
	ordinaryPattern = 0x3c00
)

// freshPattern is what the n-th launch's outputs are filled with. It changes
// from launch to launch: a NaN that an earlier launch left behind keeps its
// payload when it is copied, and must not make this launch's output look
// unwritten. 0x7fff is left out: it is what the GPU's arithmetic gives.
func freshPattern(n uint32) uint16 {
	const first, count = 0x7fc1, 61 // 0x7fc1 to 0x7ffe without the one above
	p := uint16(first + n%count)
	if p >= poisonPattern {
		p++
	}
	return p
}

// unused is what memory holds that nothing was written to yet.
func (o Options) unused() uint16 {
	if o.Ordinary {
		return ordinaryPattern
	}
	return poisonPattern
}

// guard is what the guard zones of the n-th buffer hold. It differs from buffer
// to buffer: what strays past the ends of several reads one's zone, and what it
// makes of that - NaN keeps the payload of the operand it came from - must not
// be what another's zone holds anyway.
func (o Options) guard(n int) uint16 {
	const first, count = 0xffc1, 60 // quiet NaNs with the sign bit, unlike all other patterns
	step := uint16(n % count)
	if o.Ordinary {
		return ordinaryPattern + 1 + step
	}
	return first + step
}
