package page

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"sync"
)

// grid is a matrix reduced to a picture of at most so many cells. Each cell
// keeps the most extreme value of what it covers: NaN before infinity before
// the largest magnitude. Cells that nothing was put in stay absent.
type grid struct {
	rows, cols   int       // of the matrix
	height, wide int       // of the picture
	cell         []float32 // absentCell where nothing was recorded
	column       []int32   // picture column of each matrix column
}

// absentCell is a NaN that no computation gives, so that it can be told from a
// recorded one.
var absentCell = math.Float32frombits(0x7fcabcde)

func isAbsent(v float32) bool { return math.Float32bits(v) == 0x7fcabcde }

func newGrid(rows, cols, height, wide int) *grid {
	g := &grid{rows: rows, cols: cols, height: min(rows, height), wide: min(cols, wide)}
	g.cell = make([]float32, g.height*g.wide)
	for i := range g.cell {
		g.cell[i] = absentCell
	}
	g.column = make([]int32, cols)
	for c := range g.column {
		g.column[c] = int32(c * g.wide / cols)
	}
	return g
}

// row is the picture's row for row r of the matrix.
func (g *grid) row(r int) []float32 {
	at := r * g.height / g.rows * g.wide
	return g.cell[at : at+g.wide]
}

// put offers values to row r of the matrix from column c on.
func (g *grid) put(r, c int, values []float32) {
	row := g.row(r)
	for i, v := range values {
		at := g.column[c+i]
		if beats(v, row[at]) {
			row[at] = v
		}
	}
}

// beats reports whether v rather than kept stands for a cell.
func beats(v, kept float32) bool {
	if kept != kept { // absent, or a NaN that stays
		return isAbsent(kept)
	}
	return !(magnitude(v) <= magnitude(kept))
}

func magnitude(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// size returns the largest finite magnitude, 0 when there is none, and the
// mean of the finite ones.
func (g *grid) size() (largest, typical float64) {
	var sum float64
	n := 0
	for _, v := range g.cell {
		if m := float64(magnitude(v)); m <= math.MaxFloat32 {
			largest, sum, n = max(largest, m), sum+m, n+1
		}
	}
	return largest, sum / float64(max(n, 1))
}

// draw encodes the grid as a PNG that a page can hold. Its palette has the
// colours in use and no others: most pictures are small.
func (g *grid) draw(s scale, palette color.Palette) template.URL {
	img := image.NewPaletted(image.Rect(0, 0, g.wide, g.height), nil)
	var place [256]uint8
	var used [256]bool
	for i, v := range g.cell {
		at := uint8(indexAbsent)
		if !isAbsent(v) {
			at = s.index(float64(v))
		}
		if !used[at] {
			used[at], place[at] = true, uint8(len(img.Palette))
			img.Palette = append(img.Palette, palette[at])
		}
		img.Pix[i] = place[at]
	}
	var out bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestCompression, BufferPool: &buffers}
	if err := enc.Encode(&out, img); err != nil {
		panic(err) // a buffer takes everything, and a picture has a cell at least
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes()))
}

// buffers are what encoders work in, a megabyte each.
var buffers encoderBuffers

type encoderBuffers struct{ sync.Pool }

func (p *encoderBuffers) Get() *png.EncoderBuffer {
	b, _ := p.Pool.Get().(*png.EncoderBuffer)
	return b
}

func (p *encoderBuffers) Put(b *png.EncoderBuffer) { p.Pool.Put(b) }

// pictureBytes is the most that a picture of so many cells takes in the page: a level
// is below 7 bits, base64 makes 4 characters of 3 bytes, and a PNG has headers
// and a palette beside its cells.
func pictureBytes(cells int) int { return cells*7/8*4/3 + 700 }
