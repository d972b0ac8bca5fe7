package gate

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"attndiff/harness/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a made-up part with one of everything.
func sample() *Part {
	file, line, function := "ours/kernels/rope.cu", 21, "rope"
	rope := Problem{Kind: Introduced, Tap: "q_rope", Layers: []int{0, 1, 2}, Steps: []int{0, 1}, Severity: report.Critical,
		Text: "NMSE against the oracle is 0.0281, allowed 2.8e-13", Cause: "the two halves of a pair lie side by side",
		Fix: "Rotate elements i and i + D/2.", Where: &report.Place{File: &file, Line: &line, Function: &function}}
	waiver := 0
	waived := Problem{Kind: Grown, Tap: "kqv", Layers: []int{1}, Steps: []int{3}, Text: "its own error is 4.0e-08, 10000000.0 times the baseline's 4.0e-15; 1.8e-07 is allowed", Waiver: &waiver}
	result := func(i int, name string, problems ...Problem) Result {
		r := Result{Index: i, Name: name, Line: 10 + i, Problems: list(problems), Notes: []string{}, Seconds: 1.25,
			Rerun: "bin/attndiff gate --only " + name, Nearest: Nearest{"k_bias", 1.1e-15, 1e-14}, Growth: Growth{"k_proj", 1.04}}
		r.settle()
		if r.Verdict == Fail {
			r.Files = "cases/" + folder(name)
		}
		return r
	}
	skipped := result(4, "haiku/short/f16/8/ours:cuda")
	skipped.Verdict, skipped.Reason = Skipped, "engine ours:cuda: no NVIDIA driver (libcuda.so.1)"
	skipped.Nearest, skipped.Growth = Nearest{}, Growth{}
	died := result(3, "tiny/short/f16/8/ours:emu", Problem{Kind: Died, Layers: []int{}, Steps: []int{},
		Text: "ours:emu: killed by SIGSEGV (segmentation fault) during record s0001; last tap recorded: s0001.l00.kq"})
	golden := result(5, "golden/short", Problem{Kind: Moved, Tap: "kq_soft_max", Layers: []int{0}, Steps: []int{0},
		Text: "the reference moved: NMSE to the recording of llama.cpp aaaa is 0.012, rounding explains 1.3e-06"})
	golden.Notes = []string{"the golden was recorded with llama.cpp aaaa, this is llama.cpp bbbb"}
	golden.Nearest, golden.Growth = Nearest{}, Growth{}
	p := &Part{
		Schema: schema, Matrix: Source{"traces/gate.yaml", strings.Repeat("ab", 32)}, Baseline: Source{"traces/gate.baseline", ""},
		Waivers: Source{"traces/gate.waivers.yaml", ""}, Program: Program{"c0ffee", "ec98e2002", strings.Repeat("16c0", 16)},
		Shard: Shard{1, 1}, Only: []string{}, Faults: []string{}, Total: 6,
		Cases: []Result{result(0, "haiku/short/f16/8/ours:emu", rope), result(1, "haiku/code|x/f16/8/ours:emu", rope),
			result(2, "haiku-f32/short/f16/8/ours:emu", waived), died, skipped},
		Goldens: []Result{golden},
		Known: []Waiver{
			{Tap: "kqv", Reason: "f16 sums until <the next> release", Expires: "2027-03-31", File: "traces/gate.waivers.yaml", Line: 3},
			{Tap: "kq", Reason: "r", Expires: "2026-01-01", Expired: true, File: "traces/gate.waivers.yaml", Line: 9},
			{Tap: "l_out", Cases: []string{"haiku/*/*/*/ours:emu"}, Reason: "r", Expires: "2028-01-01", File: "traces/gate.waivers.yaml", Line: 15},
		},
		Gone: []string{"haiku/long/f16/8/ours:emu"},
	}
	p.conclude()
	return p
}

// outputs are all that is made of a part.
func outputs(t *testing.T, p *Part) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table.txt": func(b *bytes.Buffer) error { return p.Print(b, ".plan/gate") },
		PartFile:    func(b *bytes.Buffer) error { return p.Encode(b) },
		JUnitFile:   func(b *bytes.Buffer) error { return p.JUnit(b) },
		SARIFFile:   func(b *bytes.Buffer) error { return p.SARIF(b) },
		SummaryFile: func(b *bytes.Buffer) error { return p.Summary(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	return all
}

func TestOutputs(t *testing.T) {
	for name, got := range outputs(t, sample()) {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (go test ./harness/gate -update writes it anew):\n%s", name, d)
		}
	}
}

func TestTableFits(t *testing.T) {
	for line := range strings.Lines(string(outputs(t, sample())["table.txt"])) {
		// A command to copy stays in one line.
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 && !strings.Contains(line, "reproduce:") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// SARIF is what its schema says, and shows each finding at its kernel's line.
func TestSARIF(t *testing.T) {
	text := outputs(t, sample())[SARIFFile]
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&sarif.Report{}); err != nil {
		t.Fatal(err)
	}
	log, err := sarif.FromBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	// The library writes what a log leaves out; these are the schema's defaults.
	log.Runs[0].Language, log.Runs[0].Tool.Driver.Language = "en-US", "en-US"
	log.Runs[0].NewlineSequences = []string{"\r\n", "\n"}
	if err := log.Validate(); err != nil {
		t.Error(err)
	}
	var rope *sarif.Result
	suppressed := 0
	for _, r := range log.Runs[0].Results {
		if *log.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID != *r.RuleID {
			t.Errorf("rule %d is not %s", r.RuleIndex, *r.RuleID)
		}
		if len(r.Suppressions) > 0 {
			suppressed++
		}
		if at := r.Locations[0].PhysicalLocation; *at.ArtifactLocation.URI == "ours/kernels/rope.cu" && *at.Region.StartLine == 21 {
			rope = r
		}
	}
	if rope == nil || rope.Level != "error" || !strings.Contains(*rope.Message.Text, "2 of the gate's cases") {
		t.Errorf("rope is not one error at its line: %+v", rope)
	}
	if suppressed != 1 {
		t.Errorf("%d results suppressed, want the waived one", suppressed)
	}
}

// The counts of JUnit's suites are those of their cases.
func TestJUnit(t *testing.T) {
	var all junitSuites
	if err := xml.Unmarshal(outputs(t, sample())[JUnitFile], &all); err != nil {
		t.Fatal(err)
	}
	var tests, failures, errs, skipped int
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			tests++
			switch {
			case c.Failure != nil:
				failures++
				if s.Name != "records" && !strings.Contains(c.Failure.Text, "reproduce: bin/attndiff gate --only "+c.Name) {
					t.Errorf("%s does not say how to see it again", c.Name)
				}
			case c.Error != nil:
				errs++
			case c.Skipped != nil:
				skipped++
			}
		}
	}
	if got, want := fmt.Sprint(all.Tests, all.Failures, all.Errors, all.Skipped), fmt.Sprint(tests, failures, errs, skipped); got != want || want != "9 6 1 1" {
		t.Errorf("counts %s, cases %s", got, want)
	}
}

// Parts read back as they were written.
func TestPartRoundTrip(t *testing.T) {
	text := outputs(t, sample())[PartFile]
	p, err := ParsePart("gate.json", text)
	if err != nil {
		t.Fatal(err)
	}
	again := outputs(t, p)
	for name, want := range outputs(t, sample()) {
		if d := cmp.Diff(string(want), string(again[name])); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// split divides a part as shards of the matrix would have made it.
func split(p *Part, n int) (parts []*Part, files []string) {
	for i := 1; i <= n; i++ {
		q := *p
		q.Shard, q.Cases, q.Goldens = Shard{i, n}, []Result{}, []Result{}
		for _, r := range p.all() {
			if q.Shard.has(r.Index) && strings.HasPrefix(r.Name, "golden/") {
				q.Goldens = append(q.Goldens, *r)
			} else if q.Shard.has(r.Index) {
				q.Cases = append(q.Cases, *r)
			}
		}
		q.conclude()
		parts, files = append(parts, &q), append(files, fmt.Sprintf("%d.json", i))
	}
	return parts, files
}

// However a matrix was split and in whatever order its parts come, they join
// into what a single run writes.
func TestMerge(t *testing.T) {
	want := outputs(t, sample())
	for _, n := range []int{1, 2, 3, 7} {
		parts, files := split(sample(), n)
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j], files[i], files[j] = parts[j], parts[i], files[j], files[i]
		}
		whole, err := Merge(parts, files)
		if err != nil {
			t.Fatal(err)
		}
		got := outputs(t, whole)
		for name := range want {
			if d := cmp.Diff(string(want[name]), string(got[name])); d != "" {
				t.Errorf("%d shards: %s: %s", n, name, d)
			}
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(parts []*Part) []*Part
		want   string
	}{
		{"none", func([]*Part) []*Part { return nil }, "no parts"},
		{"one missing", func(p []*Part) []*Part { return p[:2] }, "shard 3/3 is missing among the 2 given"},
		{"one twice", func(p []*Part) []*Part { return append(p, p[1]) }, "shard 2/3 is there twice, in 2.json and in 4.json"},
		{"matrix", func(p []*Part) []*Part { p[1].Matrix.SHA256 = "x"; return p }, "1.json and 2.json are not of one run: matrix is abababababababab... and x"},
		{"baseline", func(p []*Part) []*Part { p[2].Baseline.SHA256 = "x"; return p }, "baseline is none and x"},
		{"waivers", func(p []*Part) []*Part { p[2].Waivers.SHA256 = "x"; return p }, "waivers is none and x"},
		{"commit", func(p []*Part) []*Part { p[2].Program.Commit = "x"; return p }, "commit is c0ffee and x"},
		{"llama.cpp", func(p []*Part) []*Part { p[2].Program.Llama = "x"; return p }, "llama.cpp is ec98e2002 and x"},
		{"kernels", func(p []*Part) []*Part { p[2].Program.Kernels = "x"; return p }, "kernels is 16c016c016c016c0... and x"},
		{"split", func(p []*Part) []*Part { p[1].Shard.Of = 4; return p }, "number of shards is 3 and 4"},
		{"faults", func(p []*Part) []*Part { p[1].Faults = []string{"f"}; return p }, "faults is [] and [f]"},
		{"total", func(p []*Part) []*Part { p[1].Total = 7; return p }, "number of cases is 6 and 7"},
		{"a case lost", func(p []*Part) []*Part { p[1].Cases = p[1].Cases[1:]; return p }, "hold 5 of the matrix's 6 cases"},
		{"a case twice", func(p []*Part) []*Part { p[1].Cases = append(p[1].Cases, p[0].Cases[0]); return p }, "is in two shards"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, _ := split(sample(), 3)
			parts = c.change(parts)
			files := []string{"1.json", "2.json", "3.json", "4.json"}[:len(parts)]
			if _, err := Merge(parts, files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// A share of a run does not say that a waiver is unused or a case gone.
func TestConcludeShare(t *testing.T) {
	parts, _ := split(sample(), 2)
	for _, p := range parts {
		if len(p.General) != 1 || !strings.Contains(p.General[0].Text, "gate.waivers.yaml:9: the waiver of kq expired on 2026-01-01") {
			t.Errorf("shard %s: %+v", p.Shard, p.General)
		}
	}
	whole := sample()
	var said []string
	for _, g := range whole.General {
		said = append(said, g.Text)
	}
	if len(said) != 3 || !strings.Contains(said[1], ":15: the waiver of l_out covers nothing") || !strings.Contains(said[2], "has case haiku/long") {
		t.Errorf("general problems: %q", said)
	}
	// What was skipped here may need the waiver elsewhere.
	whole.Known[2].Cases = []string{"haiku/short/f16/8/ours:cuda"}
	if whole.conclude(); len(whole.General) != 2 {
		t.Errorf("general problems: %+v", whole.General)
	}
}

func TestParsePartRefuses(t *testing.T) {
	good := string(outputs(t, sample())[PartFile])
	for _, c := range []struct{ from, to, want string }{
		{good, "", "p.json:1: not a part"},
		{`"total": 6`, `"total": six`, "p.json:26: not a part"},
		{`"total": 6`, `"sum": 6`, "not a part: json: unknown field"},
		{`"schema": 1`, `"schema": 2`, "p.json: schema 2, want 1"},
		{`"index": 1,`, `"index": 2,`, "p.json: shard 2/1"},
		{`"waiver": 0`, `"waiver": 3`, "waiver 3 of 3"},
	} {
		_, err := ParsePart("p.json", []byte(strings.Replace(good, c.from, c.to, 1)))
		var input *InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q gives %v, want %s", c.to, err, c.want)
		}
	}
}

func FuzzParsePart(f *testing.F) {
	var b bytes.Buffer
	if err := sample().Encode(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePart("p.json", text)
		if err != nil {
			return
		}
		if whole, err := Merge([]*Part{p}, []string{"p.json"}); err == nil {
			for name, text := range outputs(t, whole) {
				if strings.HasSuffix(name, "json") && !json.Valid(text) {
					t.Errorf("%s is not JSON", name)
				}
			}
		}
	})
}

func TestParseShard(t *testing.T) {
	if s, err := ParseShard("2/8"); err != nil || s != (Shard{2, 8}) {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "1/2x", "01/2", " 1/2"} {
		if s, err := ParseShard(bad); err == nil {
			t.Errorf("%q is read as %v", bad, s)
		}
	}
	// Shares leave nothing out and share nothing.
	for i := range 20 {
		n := 0
		for s := 1; s <= 6; s++ {
			if (Shard{s, 6}).has(i) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("item %d is in %d shares", i, n)
		}
	}
}
