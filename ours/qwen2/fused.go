package qwen2

import (
	"fmt"

	"attndiff/ours/device"
	"attndiff/traces/tap"
)

// The sizes that the fused kernels are compiled with; they stand at the end of
// their .cu files.
const (
	decodeWarps  = 8   // of a block, WARPS
	decodeHeads  = 8   // query heads of a unit, DECODE_HEADS
	decodeSplits = 160 // of a unit at most, SPLITS
	prefillWarps = 4
	prefillRows  = 16 // of a warp
)

// decodeTile is TILE of fused_decode.cu, the positions a warp takes at a time;
// prefillTile that of fused_prefill.cu.
func decodeTile(headDim int) int  { return map[int]int{64: 64, 128: 16}[headDim] }
func prefillTile(headDim int) int { return map[int]int{64: 64, 128: 32}[headDim] }

// fused is the whole of layer l's attention in one launch.
func (p *pass) fused(l int) Op {
	if p.dims.T == 1 {
		return p.fusedDecode(l)
	}
	return p.fusedPrefill(l)
}

// fusedDecode attends from one token (fused_decode.cu).
func (p *pass) fusedDecode(l int) Op {
	d := p.dims
	splits := p.splits()
	op := p.launch(l, tap.KQV, fmt.Sprintf("fused_decode_%d", d.D),
		device.Dim3{X: splits, Y: d.G, Z: ceilDiv(d.H/d.G, decodeHeads)}, device.Dim3{X: decodeWarps * warp},
		p.of(tap.QRope), p.cache.layer(p.cache.k, l), p.cache.layer(p.cache.v, l), p.of(tap.KQV),
		start(p.buffers.partial), start(p.buffers.extremes), start(p.buffers.tickets),
		device.Int(d.C()), device.Int(d.H), device.Int(d.G), device.Float(p.scoreScale()))
	op.Launch.Early = true
	op.Launch.SharedBytes = decodeWarps * decodeHeads * (d.D + 2) * device.F32.Size()
	if splits > 1 {
		n := splits * d.H * device.F32.Size()
		op.Launch.Writes = append(op.Launch.Writes,
			device.Region{Buffer: p.buffers.partial, Length: n * d.D, Fresh: true},
			device.Region{Buffer: p.buffers.extremes, Length: n * 2, Fresh: true})
	}
	return op
}

// fusedPrefill attends from several tokens (fused_prefill.cu).
func (p *pass) fusedPrefill(l int) Op {
	d := p.dims
	rows := d.T * d.H / d.G
	op := p.launch(l, tap.KQV, fmt.Sprintf("fused_prefill_%d", d.D),
		device.Dim3{X: ceilDiv(rows, prefillWarps*prefillRows), Y: d.G}, device.Dim3{X: prefillWarps * warp},
		p.of(tap.QRope), p.cache.layer(p.cache.k, l), p.cache.layer(p.cache.v, l), p.of(tap.KQV),
		device.Int(d.T), device.Int(d.C()), device.Int(d.H), device.Int(d.G), device.Float(p.scoreScale()))
	op.Launch.SharedBytes = 2 * 2 * prefillTile(d.D) * d.D * device.F16.Size()
	return op
}

// decodeUnits is how many blocks each split of a decode has: one for each KV
// head and up to decodeHeads of its query heads.
func decodeUnits(d tap.Dims) int { return d.G * ceilDiv(d.H/d.G, decodeHeads) }

// fewSplits is how many splits even a short cache has, of two tiles at the
// least: a multiprocessor takes longer to bring in all tiles that its warps
// could work on at a time than blocks take to add up few splits.
const fewSplits = 16

// splits is how many blocks share the cache of a unit: enough to give each
// multiprocessor one, unless that leaves warps without a tile.
func (p *pass) splits() int {
	tiles := ceilDiv(p.dims.C(), decodeTile(p.dims.D))
	useful := max(ceilDiv(tiles, decodeWarps), min(tiles/2, fewSplits))
	return max(1, min(p.dev.Multiprocessors()/decodeUnits(p.dims), useful, decodeSplits))
}

// fitFused makes room for what the splits of a decode leave to each other, at
// most one split for each multiprocessor.
func (b *buffers) fitFused(dev device.Device, d tap.Dims) error {
	n := dev.Multiprocessors() * d.H * device.F32.Size()
	if err := grow(dev, &b.partial, n*d.D, "attention of each split"); err != nil {
		return err
	}
	if err := grow(dev, &b.extremes, n*2, "softmax of each split"); err != nil {
		return err
	}
	if b.tickets != nil {
		return nil
	}
	tickets := make([]byte, decodeUnits(d)*device.I32.Size())
	if err := grow(dev, &b.tickets, len(tickets), "tickets of the splits"); err != nil {
		return err
	}
	return dev.Upload(b.tickets, 0, tickets)
}
