package gate

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's XML as CI systems read it (the Ant task's format): a
// suite per model, a testcase per case.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`

		seconds float64
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Error   *junitFailure `xml:"error"`
		Skipped *junitSkipped `xml:"skipped"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit writes the part as JUnit XML.
func (p *Part) JUnit(w io.Writer) error {
	all := junitSuites{Name: "attndiff gate"}
	at := map[string]int{}
	add := func(suite string, c junitCase, seconds float64) {
		i, ok := at[suite]
		if !ok {
			i = len(all.Suites)
			at[suite] = i
			all.Suites = append(all.Suites, junitSuite{Name: suite})
		}
		s := &all.Suites[i]
		c.Class, c.Time = "attndiff.gate."+suite, clock(seconds)
		s.Cases = append(s.Cases, c)
		s.seconds += seconds
		for _, count := range []struct {
			one, all *int
			yes      bool
		}{{&s.Tests, &all.Tests, true}, {&s.Failures, &all.Failures, c.Failure != nil},
			{&s.Errors, &all.Errors, c.Error != nil}, {&s.Skipped, &all.Skipped, c.Skipped != nil}} {
			if count.yes {
				*count.one, *count.all = *count.one+1, *count.all+1
			}
		}
	}
	for _, r := range p.all() {
		suite, _, _ := strings.Cut(r.Name, "/")
		add(suite, r.junit(), r.Seconds)
	}
	for i, problem := range p.General {
		add("records", junitCase{Name: fmt.Sprintf("%s %d", problem.Kind, i+1),
			Failure: &junitFailure{Message: problem.Text, Type: string(problem.Kind)}}, 0)
	}
	total := 0.0
	for i := range all.Suites {
		all.Suites[i].Time = clock(all.Suites[i].seconds)
		total += all.Suites[i].seconds
	}
	all.Time = clock(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junit is the result as a testcase.
func (r *Result) junit() junitCase {
	c := junitCase{Name: r.Name}
	if r.Verdict == Skipped {
		c.Skipped = &junitSkipped{r.Reason}
		return c
	}
	failing := r.failing()
	if len(failing) == 0 {
		return c
	}
	f := &junitFailure{Message: failing[0].String(), Type: string(failing[0].Kind)}
	if more := len(failing) - 1; more > 0 {
		f.Message += fmt.Sprintf(" (and %d more)", more)
	}
	var text strings.Builder
	for _, p := range failing {
		fmt.Fprintf(&text, "%s: %s\n", p.Kind, p.String())
		if p.Cause != "" {
			fmt.Fprintf(&text, "  cause: %s\n", p.Cause)
		}
		if p.Where != nil && p.Where.File != nil {
			fmt.Fprintf(&text, "  where: %s\n", p.Where)
		}
	}
	fmt.Fprintf(&text, "reproduce: %s\n", r.Rerun)
	if f.Text = text.String(); r.Verdict == Crashed {
		c.Error = f
	} else {
		c.Failure = f
	}
	return c
}

// clock spells seconds as JUnit does.
func clock(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }
