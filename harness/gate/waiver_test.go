package gate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseWaivers(t *testing.T) {
	list, err := ParseWaivers("w.yaml", []byte(`
- {tap: kq, layers: "0-1,3", reason: "known: see PR 7", expires: 2027-03-31, cases: [haiku/*/f16/*/*]}
- tap: result_output
  layers: all
  reason: r
  expires: "2027-01-01"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Waiver{
		{Tap: "kq", Layers: []int{0, 1, 3}, Cases: []string{"haiku/*/f16/*/*"}, Reason: "known: see PR 7", Expires: "2027-03-31", File: "w.yaml", Line: 2},
		{Tap: "result_output", Reason: "r", Expires: "2027-01-01", File: "w.yaml", Line: 3},
	}
	if d := cmp.Diff(want, list); d != "" {
		t.Error(d)
	}
	for _, empty := range []string{"", "# none\n", "[]\n"} {
		if list, err := ParseWaivers("w.yaml", []byte(empty)); err != nil || len(list) > 0 {
			t.Errorf("%q: %v, %v", empty, list, err)
		}
	}
}

func TestParseWaiversRefuses(t *testing.T) {
	const good = "- {tap: kq, layers: 0, reason: r, expires: 2027-03-31}\n"
	for _, c := range []struct{ from, to, want string }{
		{"- {", "{", "w.yaml:1: the waiver file is a mapping"},
		{"tap: kq", "tap: q", `w.yaml:1: tap is "q", which is none`},
		{"tap: kq, ", "", "w.yaml:1: a waiver without tap"},
		{"layers: 0", "layers: 2-1", `w.yaml:1: layers: "2-1" is no list of layers`},
		{"layers: 0", "layers: [0]", "w.yaml:1: layers is a list, want a single value"},
		{"layers: 0, ", "", "w.yaml:1: a waiver without layers"},
		{"reason: r, ", "", "w.yaml:1: a waiver without reason"},
		{"reason: r", `reason: ""`, "w.yaml:1: reason is empty"},
		{", expires: 2027-03-31", "", "w.yaml:1: a waiver without expires"},
		{"2027-03-31", "31.3.2027", `w.yaml:1: expires is "31.3.2027"; write a date as`},
		{"2027-03-31", "2027-02-30", `w.yaml:1: expires is "2027-02-30"`},
		{"reason: r", "reason: r, until: x", `w.yaml:1: a waiver has no key "until"`},
		{"reason: r", `reason: r, cases: "["`, "w.yaml:1: cases: \"[\" is no pattern"},
	} {
		_, err := ParseWaivers("w.yaml", []byte(strings.Replace(good, c.from, c.to, 1)))
		var input *InputError
		if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s for %s gives %v, want %s", c.to, c.from, err, c.want)
		}
	}
}

// The last day counts; the day after, the waiver is expired.
func TestExpire(t *testing.T) {
	for day, want := range map[string]bool{"2027-03-30": false, "2027-03-31": false, "2027-04-01": true, "2028-01-01": true} {
		now, err := time.Parse(dateForm, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := expire([]Waiver{{Expires: "2027-03-31"}}, now)[0].Expired; got != want {
			t.Errorf("on %s: expired %v, want %v", day, got, want)
		}
	}
}

// A problem is waived in the layers that waivers name and stays in the others.
func TestWaive(t *testing.T) {
	say := func(layers []int) string { return fmt.Sprint("in ", layers) }
	problems := []Problem{
		{Kind: Introduced, Tap: "kq", Layers: []int{0, 1, 2}, say: say, Text: say([]int{0, 1, 2})},
		{Kind: Introduced, Tap: "result_output", Layers: []int{}},
		{Kind: Died, Text: "gone"},
	}
	for _, c := range []struct {
		name    string
		waivers []Waiver
		want    []string // what is left, and what is waived by whom
	}{
		{"none", nil, []string{"kq [0 1 2] in [0 1 2]", "result_output []", " [] gone"}},
		{"some layers", []Waiver{{Tap: "kq", Layers: []int{1, 7}}},
			[]string{"0: kq [1] in [1]", "kq [0 2] in [0 2]", "result_output []", " [] gone"}},
		{"two waivers", []Waiver{{Tap: "kq", Layers: []int{0}}, {Tap: "kq", Layers: []int{1, 2}}},
			[]string{"0: kq [0] in [0]", "1: kq [1 2] in [1 2]", "result_output []", " [] gone"}},
		{"all layers", []Waiver{{Tap: "kq"}, {Tap: "result_output"}}, []string{"0: kq [0 1 2] in [0 1 2]", "1: result_output []", " [] gone"}},
		{"named layers of a tap without", []Waiver{{Tap: "result_output", Layers: []int{0}}},
			[]string{"kq [0 1 2] in [0 1 2]", "result_output []", " [] gone"}},
		{"expired", []Waiver{{Tap: "kq", Expired: true}}, []string{"kq [0 1 2] in [0 1 2]", "result_output []", " [] gone"}},
		{"another case", []Waiver{{Tap: "kq", Cases: []string{"tiny/*"}}}, []string{"kq [0 1 2] in [0 1 2]", "result_output []", " [] gone"}},
		{"this case", []Waiver{{Tap: "kq", Cases: []string{"tiny/*", "haiku/*/f16"}}},
			[]string{"0: kq [0 1 2] in [0 1 2]", "result_output []", " [] gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range waive("haiku/short/f16", problems, c.waivers) {
				s := strings.TrimRight(fmt.Sprintf("%s %v %s", p.Tap, p.Layers, p.Text), " ")
				if p.Waiver != nil {
					s = fmt.Sprintf("%d: %s", *p.Waiver, s)
				}
				got = append(got, s)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzParseWaivers(f *testing.F) {
	f.Add([]byte("- {tap: kq, layers: \"0-2,5\", reason: r, expires: 2027-03-31, cases: a/*}\n"))
	f.Add([]byte("- - -"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseWaivers("w.yaml", text)
		var input *InputError
		if err != nil && !errors.As(err, &input) {
			t.Errorf("%v: no file and line", err)
		}
		for _, w := range list {
			if w.Tap == "" || w.Reason == "" || w.Expires == "" {
				t.Errorf("incomplete waiver %+v", w)
			}
		}
	})
}
