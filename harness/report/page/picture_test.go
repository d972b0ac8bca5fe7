package page

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Each level of each scale has a colour of its own, lighter ones for smaller
// values, so that values can be read back and the scale reads in grey.
func TestPalettes(t *testing.T) {
	for kind, palette := range palettes() {
		seen := map[[3]uint32]int{}
		var light []float64
		for i, c := range palette {
			r, g, b, a := c.RGBA()
			if at, ok := seen[[3]uint32{r, g, b}]; ok && a > 0 && at != indexAbsent {
				t.Errorf("%s: levels %d and %d have one colour", kind, at, i)
			}
			seen[[3]uint32{r, g, b}] = i
			if i >= indexLevel0 {
				light = append(light, 0.2126*float64(r)+0.7152*float64(g)+0.0722*float64(b))
			}
		}
		if kind == "signed" { // both arms run from the middle
			half := slices.Clone(light[:levels/2])
			slices.Reverse(half)
			falling(t, kind, half)
			light = light[levels/2:]
		}
		falling(t, kind, light)
	}
}

func falling(t *testing.T, kind string, light []float64) {
	for i := 1; i < len(light); i++ {
		if light[i] >= light[i-1] {
			t.Errorf("%s: level %d is not darker than the one before", kind, i)
		}
	}
}

func TestScale(t *testing.T) {
	for _, s := range []scale{relative, signed(0.5, 70), amounts(3, 4)} {
		last := -1
		for _, v := range []float64{-1e9, -70, -3, -0.5, 0, 1e-9, 1e-6, 1e-3, 0.5, 3, 70, 1e9} {
			i := int(s.index(v))
			if i < indexLevel0 || i >= indexLevel0+levels || i < last {
				t.Errorf("%+v: %g is at %d, after %d", s, v, i, last)
			}
			last = i
		}
		for v, want := range map[float64]uint8{math.NaN(): indexNaN, math.Inf(1): indexInf, math.Inf(-1): indexInf} {
			if got := s.index(v); got != want {
				t.Errorf("%+v: %g is at %d", s, v, got)
			}
		}
		for _, tick := range s.ticks() {
			if !(tick.At >= 0 && tick.At <= 100) || tick.Label == "" {
				t.Errorf("%+v: tick %+v", s, tick)
			}
		}
	}
	if s := signed(0.5, 70); s.share(0) != 0.5 || s.share(70) != 1 || s.share(-70) != 0 {
		t.Errorf("a signed scale is not centred: %g %g %g", s.share(-70), s.share(0), s.share(70))
	}
	for _, s := range []scale{signed(0, 0), signed(math.NaN(), math.NaN()), amounts(0, 3), amounts(math.NaN(), 3)} {
		if x := s.share(0); !(x >= 0 && x <= 1) {
			t.Errorf("%+v has no place for 0", s)
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 5: "5", 1e-8: "1e-8", 1.25e-8: "1.2e-8", 0.001: "1e-3", 0.01: "0.01", 0.25: "0.25", 14: "14", 1234: "1234",
		-1234: "-1234", 3e38: "3e38", 1e10: "1e10", 100: "100", 10: "10",
	} {
		if got := short(v); got != want {
			t.Errorf("%g is %q, want %q", v, got, want)
		}
	}
}

// A smaller picture keeps the largest value of each cell, and what is not
// finite before it.
func TestGridKeepsExtremes(t *testing.T) {
	g := newGrid(1000, 999, 10, 7)
	row := make([]float32, 999)
	for r := range 1000 {
		for c := range row {
			row[c] = float32(r%7) / 100
		}
		switch r {
		case 123:
			row[456] = -50
		case 321:
			row[998], row[997] = inf, 3e38
		case 777:
			row[0], row[1] = inf, nan
		case 778:
			row[0] = 1e9
		}
		g.put(r, 0, row)
	}
	for _, c := range []struct {
		row, col int
		want     float32
	}{{1, 3, -50}, {3, 6, inf}, {7, 0, nan}, {0, 0, 0.06}, {9, 6, 0.06}} {
		got := g.cell[c.row*g.wide+c.col]
		if math.Float32bits(got) != math.Float32bits(c.want) && !(got != got && c.want != c.want) {
			t.Errorf("cell %d, %d is %g, want %g", c.row, c.col, got, c.want)
		}
	}
	if isAbsent(nan) || !isAbsent(newGrid(2, 2, 2, 2).cell[3]) {
		t.Error("NaN and nothing are not told apart")
	}
	small := newGrid(3, 2, 80, 448)
	small.put(1, 1, []float32{5})
	if small.height != 3 || small.wide != 2 || small.cell[3] != 5 || !isAbsent(small.cell[2]) {
		t.Errorf("a small matrix has cells of its own: %+v", small)
	}
}

// A picture decodes to its levels and is never larger than the plan assumes.
func TestPicture(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{1, 1}, {1, 400}, {22, 448}, {80, 220}, {72, 72}} {
		g := newGrid(size[0], size[1], size[0], size[1])
		for r := range size[0] {
			row := make([]float32, size[1])
			for i := range row {
				row[i] = float32(random.Float64()*2 - 1)
			}
			g.put(r, 0, row)
		}
		g.cell[0] = nan
		if size[1] > 1 {
			g.cell[1] = absentCell
		}
		s := signed(1, 1)
		src := string(g.draw(s, palettes()[s.Kind]))
		if most := pictureBytes(size[0] * size[1]); len(src) > most {
			t.Errorf("%v: %d bytes, at most %d expected", size, len(src), most)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(src, "data:image/png;base64,"))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range g.cell {
			want := palettes()[s.Kind][indexAbsent]
			if !isAbsent(v) {
				want = palettes()[s.Kind][s.index(float64(v))]
			}
			r, gr, b, a := img.At(i%g.wide, i/g.wide).RGBA()
			r2, g2, b2, a2 := want.RGBA()
			if r != r2 || gr != g2 || b != b2 || a != a2 {
				t.Fatalf("%v: cell %d (%g) has another colour", size, i, v)
			}
		}
	}
}
