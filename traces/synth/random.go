package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// random is a stream of numbers that can be entered anywhere: the i-th is
// SplitMix64's output for state seed + (i+1)*gamma (Steele, Lea, Flood: Fast
// Splittable Pseudorandom Number Generators, OOPSLA 2014).
type random uint64

// newRandom derives a tensor's stream, so that a tensor does not depend on
// what else is written, nor in which order.
func newRandom(seed uint64, tensor string) random {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	sum := sha256.Sum256(append(b[:], tensor...))
	return random(binary.LittleEndian.Uint64(sum[:]))
}

// bits returns the i-th number.
func (r random) bits(i int) uint64 {
	z := uint64(r) + (uint64(i)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// bell returns the i-th number as a sum of four uniform 16-bit integers less
// its mean: bell-shaped, within 3.5 standard deviations, and exact. A normal
// distribution would need logarithms, whose last bits machines differ in.
func (r random) bell(i int) int32 {
	b := r.bits(i)
	return int32(b&0xffff+b>>16&0xffff+b>>32&0xffff+b>>48) - 2*0xffff
}

// bellDev is the standard deviation of bell: four times the variance
// (2^32-1)/12 of a uniform 16-bit integer, under the root.
var bellDev = math.Sqrt((1<<32 - 1) / 3.0)

// unit returns the factor that gives bell a standard deviation of dev.
// Division and square root are correctly rounded on every machine.
func unit(dev float64) float32 { return float32(dev / bellDev) }
