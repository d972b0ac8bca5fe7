package trace

import (
	"math"
	"slices"
	"testing"
)

func TestGreedy(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		logits []float32
		want   int32
	}{
		{[]float32{1, 3, 2}, 1},
		{[]float32{-5, -3, -3}, 1},
		{[]float32{nan, -1, nan}, 1},
		{[]float32{nan, nan}, 0},
		{[]float32{-inf, -inf}, 0},
		{[]float32{0, inf, inf}, 1},
		{nil, 0},
	} {
		if got := Greedy(c.logits); got != c.want {
			t.Errorf("Greedy(%v) = %d, want %d", c.logits, got, c.want)
		}
	}
}

func TestChoices(t *testing.T) {
	for _, c := range []struct {
		note string
		want []int32
		ok   bool
	}{
		{"[4,5]", []int32{4, 5}, true},
		{"[4]", nil, false},
		{"4", nil, false},
		{"[4,5.5]", nil, false},
		{"", nil, false},
	} {
		m := Meta{Steps: []int{3, 1}, Notes: map[string]string{NoteChoices: c.note}}
		got, err := m.Choices()
		if (err == nil) != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, %v", c.note, got, err)
		}
	}
	if got, err := (Meta{Steps: []int{1}}).Choices(); got != nil || err != nil {
		t.Errorf("without the note: %v, %v", got, err)
	}
	if got := EncodeChoices([]int32{1, 22}); got != "[1,22]" {
		t.Errorf("encoded as %s", got)
	}
}
