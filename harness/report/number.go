package report

import (
	"encoding/json"
	"math"
	"strconv"
)

// Number is a float that may be NaN or infinite, which JSON cannot spell:
// such a value is written as null.
type Number float64

// MarshalJSON writes the shortest decimal that reads back as the same float.
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// String prints an error measure in seven columns at most: 0, 4.1e-08, NaN.
func (n Number) String() string {
	switch v := float64(n); {
	case math.IsNaN(v):
		return "NaN"
	case v == 0:
		return "0"
	default:
		return strconv.FormatFloat(v, 'e', 1, 64)
	}
}

// Amount prints a measure that may not be there: "-" when it is not.
func (n Number) Amount() string {
	if math.IsNaN(float64(n)) {
		return "-"
	}
	return n.String()
}

// Value prints one element of a tensor, with all the digits a float32 has.
func (n Number) Value() string {
	if math.IsNaN(float64(n)) {
		return "NaN"
	}
	return strconv.FormatFloat(float64(n), 'g', 9, 64)
}
