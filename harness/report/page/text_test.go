package page

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"attndiff/harness/report"
)

// Tokens are bytes here, so that a character may take several.
func bytesOf(ids []int32) string {
	var out []byte
	for _, id := range ids {
		out = append(out, byte(id))
	}
	return string(out)
}

func idsOf(s string) []int32 {
	var out []int32
	for _, b := range []byte(s) {
		out = append(out, int32(b))
	}
	return out
}

func TestTexts(t *testing.T) {
	for _, c := range []struct{ ref, ours, want string }{
		{"abc", "abc", "abc|abc"},
		{"abc", "axc", "a[b]c|a[x]c"},
		{"abc", "ab", "ab[c]|ab"},
		{"", "a", "|[a]"},
		{"aé海🎋z", "aé海🎋y", "aé海🎋[z]|aé海🎋[y]"},
		{"海", "浀", "[海]|[浀]"},
		{"\xff\xe6", "\xfe\xe6", "[\xff]\xe6|[\xfe]\xe6"},
		{"�", "�", "\xef\xbf\xbd|\xef\xbf\xbd"},
	} {
		r := &report.Report{Tokens: report.Pair[[]int32]{Reference: idsOf(c.ref), Ours: idsOf(c.ours)}}
		var sides []string
		for _, side := range texts(r, bytesOf) {
			var out strings.Builder
			for _, w := range side.Words {
				if w.Differ {
					fmt.Fprintf(&out, "[%s]", w.Text)
				} else {
					out.WriteString(w.Text)
				}
			}
			sides = append(sides, out.String())
		}
		if got := strings.Join(sides, "|"); got != c.want {
			t.Errorf("%q and %q are %q, want %q", c.ref, c.ours, got, c.want)
		}
	}
}

// Of long texts what surrounds the first difference is shown.
func TestLongTexts(t *testing.T) {
	ref := slices.Repeat([]int32{7}, 2000)
	ours := slices.Clone(ref)
	ours[1500] = 8
	for _, side := range texts(&report.Report{Tokens: report.Pair[[]int32]{Reference: ref, Ours: ours}}, nil) {
		at := slices.IndexFunc(side.Words, func(w word) bool { return w.Differ })
		if at != tokensLead || side.Words[at].At != 1500 || side.Before != 1400 || side.Before+len(side.Words)+side.After != 2000 {
			t.Errorf("%s: differs at %d, %d before, %d shown, %d after", side.Side, at, side.Before, len(side.Words), side.After)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	h.count([]float32{0, 0, 1, 1.5, 0.5, 1e-30, 1e30, nan, inf})
	if h.equal != 2 || h.notFinite != 2 || h.bin[-lowestBin] != 2 || h.bin[-1-lowestBin] != 1 || h.bin[0] != 1 || h.bin[bins-1] != 1 || h.total() != 9 {
		t.Errorf("counted %+v", h)
	}
	v := h.view("x")
	if len(v.Bars) != 4 || !strings.Contains(v.Equal, "22.2 % of 9 elements are equal, 2 are not finite") {
		t.Errorf("drawn %+v", v)
	}
	if (&histogram{}).view("x") != nil {
		t.Error("nothing is drawn of nothing")
	}
	for _, c := range []struct {
		part, whole int
		want        string
	}{{0, 9, "none"}, {9, 9, "all"}, {1, 100_000, "less than 0.1 %"}, {99_999, 100_000, "more than 99.9 %"}, {1, 3, "33.3 %"}} {
		if got := percent(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d is %s, want %s", c.part, c.whole, got, c.want)
		}
	}
}
