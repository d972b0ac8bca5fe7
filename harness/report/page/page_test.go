package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"attndiff/harness/report"
	"attndiff/harness/session"
	"attndiff/harness/verdict"
	"attndiff/traces/tap"
	"attndiff/traces/trace"
)

// attack is what a prompt, a token or an engine's name may hold.
const attack = `<script>alert(1)</script><img src=x onerror=alert(2)>"'--></style>` + "\u2028\x00"

// runs are all kinds of run that a page must show.
func runs() map[string]func(testing.TB) Input {
	kinds := map[string]made{
		"clean":                 {},
		"with words":            {decode: func(ids []int32) string { return strings.Repeat(" word", len(ids)) }},
		"one wrong op":          {damage: changed(tap.QRope, 17, 9)},
		"NaN":                   {damage: changed(tap.KBias, 3, nan)},
		"infinite":              {damage: changed(tap.KQ, 2, inf)},
		"explodes":              {damage: changed(tap.FFNUp, 5, 3e38)},
		"all NaN":               {damage: func(_ tap.Key, shape []int, v []float32) []int { fill(v, nan); return shape }},
		"all zero":              {damage: func(_ tap.Key, shape []int, v []float32) []int { fill(v, 0); return shape }},
		"no scores":             {wants: func(k tap.Key, ours bool) bool { return ours || k.Tap != tap.KQ && k.Tap != tap.KQSoftMax }},
		"no scores at all":      {wants: func(k tap.Key, _ bool) bool { return k.Tap != tap.KQ && k.Tap != tap.KQSoftMax }},
		"ours has little":       {wants: func(k tap.Key, ours bool) bool { return !ours || k.Tap == tap.LOut && k.Layer == 1 }},
		"few taps":              {wants: func(k tap.Key, _ bool) bool { return k.Layer == 1 && (k.Tap == tap.QRope || k.Tap == tap.KQ) }},
		"one step only":         {wants: func(k tap.Key, _ bool) bool { return k.Step == 1 }},
		"no decoding":           {steps: []int{6}},
		"one token":             {steps: []int{1}},
		"token by token":        {steps: []int{1, 1, 1, 1}},
		"many steps":            {steps: append([]int{2}, slices.Repeat([]int{1}, 90)...)},
		"wrong shape":           {damage: reshaped(tap.QRope)},
		"wrong shape of scores": {damage: reshaped(tap.KQ)},
		"wrong shape of cache":  {damage: reshaped(tap.KCache)},
		"odd sizes": {hp: func() (hp trace.Hparams) {
			hp = small
			hp.NEmbd, hp.NHead, hp.NHeadKV, hp.HeadDim, hp.NFF, hp.NVocab = 1, 40, 1, 1, 1, 3
			return hp
		}()},
		"every status": {report: func(r *report.Report) {
			all := []verdict.Status{verdict.OK, verdict.Inherited, verdict.Introduced, verdict.Missing, verdict.NoOracle}
			for i := range r.Taps {
				r.Taps[i].Status = all[i%len(all)]
			}
			r.Oracle = true
		}},
		"unstable, with notes": {report: func(r *report.Report) {
			r.Unstable = []report.Unstable{{Step: 1, Tap: "inp_embd", Runs: 2}}
			r.Notes = []string{"a note"}
			r.NotObservable = []report.Limit{{What: "masks", Why: "one token", Show: "--steps 8"}}
			r.Cleared = []report.Cleared{{What: "a large bias", Why: "learnt so", Where: report.Recording{Tap: "k_bias", Index: []int{0, 1, 2}}}}
		}},
		"nothing judged":               {report: func(r *report.Report) { r.Taps = nil }},
		"divergence without a finding": {report: func(r *report.Report) { r.Verdict = verdict.Divergence }},
		"hostile": {damage: changed(tap.QRope, 1, 5), decode: func([]int32) string { return attack }, report: func(r *report.Report) {
			r.Prompt.Text, r.Prompt.Name, r.Ours.Engine, r.Ours.Device, r.Model.Name, r.Rerun = attack, attack, attack, attack, attack, attack
			r.Findings[0].Cause.Title, r.Findings[0].Fix, r.Findings[0].Evidence.Observed = attack, attack, []string{attack}
			text := attack
			r.Findings[0].Reference.CUDA = &report.Symbol{File: &text, Symbol: &text, Snippet: []string{attack}, Note: attack}
			r.Notes = []string{attack}
			r.First.Why, r.Taps[0].Why = attack, attack
		}},
	}
	all := map[string]func(testing.TB) Input{
		"engine failed": func(testing.TB) Input {
			f := &session.Failure{Engine: "ours:emu", Reason: "killed by SIGKILL", Stage: "record s0001", At: "s0001.l00.kq", Stderr: []string{"why", attack}}
			return Input{Report: report.Failed(f, report.Input{Text: "the prompt", Name: "made", Command: "bin/attndiff diff"})}
		},
	}
	for name, m := range kinds {
		all[name] = m.input
	}
	return all
}

func fill(v []float32, x float32) {
	for i := range v {
		v[i] = x
	}
}

// reshaped records a tap of ours as one flat row.
func reshaped(of tap.Tap) func(tap.Key, []int, []float32) []int {
	return func(k tap.Key, shape []int, v []float32) []int {
		if k.Tap == of {
			return []int{len(v)}
		}
		return shape
	}
}

// Whatever the run, the page is whole: it says the verdict, links lead
// somewhere, pictures are pictures with a name, nothing is fetched, and the
// same run gives the same bytes.
func TestPage(t *testing.T) {
	for name, run := range runs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := run(t)
			text := rendered(t, in)
			if again := rendered(t, in); again != text {
				t.Error("another page from the same run")
			}
			if len(text) > MaxBytes {
				t.Errorf("%d bytes, more than %d", len(text), MaxBytes)
			}
			root, err := html.Parse(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			check(t, root)
			if got := words(element(root, "h1")); !strings.Contains("Parity Divergence Engine failed", got) || got == "" {
				t.Errorf("the verdict is %q", got)
			}
		})
	}
}

// check walks a page's elements.
func check(t *testing.T, root *html.Node) {
	ids := map[string]bool{}
	var links []string
	scripts := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("two elements are called %s", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "href":
				if !strings.HasPrefix(a.Val, "#") {
					t.Errorf("a link leaves the page: %q", a.Val)
				}
				links = append(links, strings.TrimPrefix(a.Val, "#"))
			case a.Key == "src" || a.Key == "srcset" || a.Key == "action":
				checkPicture(t, a.Val)
			}
		}
		switch n.Data {
		case "script":
			scripts++
			if attr(n, "id") == "data" && !json.Valid([]byte(words(n))) {
				t.Error("the script's data are not JSON")
			}
		case "img":
			if attr(n, "alt") == "" {
				t.Error("a picture has no name")
			}
		case "svg":
			if attr(n, "role") != "img" || attr(n, "aria-label") == "" {
				t.Error("a drawing has no name")
			}
		case "table":
			if element(n, "caption") == nil || len(words(element(n, "caption"))) == 0 {
				t.Error("a table has no caption")
			}
		case "details":
			if element(n, "summary") == nil {
				t.Error("details without a summary")
			}
		case "link", "iframe", "object", "base", "form":
			t.Errorf("a page has <%s>", n.Data)
		case "path":
			if d := attr(n, "d"); strings.Contains(d, "NaN") || strings.Contains(d, "Inf") {
				t.Errorf("a path has no place: %s", d)
			}
		}
	}
	if scripts != 2 {
		t.Errorf("%d scripts, want ours and its data", scripts)
	}
	for _, l := range links {
		if !ids[l] {
			t.Errorf("a link leads to %q, which is not there", l)
		}
	}
}

func checkPicture(t *testing.T, src string) {
	data, ok := strings.CutPrefix(src, "data:image/png;base64,")
	raw, err := base64.StdEncoding.DecodeString(data)
	if !ok || err != nil {
		t.Errorf("not a picture in the page: %.40q %v", src, err)
		return
	}
	if _, err := png.Decode(bytes.NewReader(raw)); err != nil {
		t.Errorf("not a picture: %v", err)
	}
}

// A finding shows llama.cpp's CUDA kernel where it is known.
func TestKernel(t *testing.T) {
	m := made{damage: changed(tap.QRope, 17, 9)}
	if text := rendered(t, m.input(t)); strings.Contains(text, "CUDA kernel") {
		t.Error("a kernel that is not known has a heading")
	}
	file, line, symbol := "ggml-cuda/rope.cu", 111, "rope_neox"
	m.report = func(r *report.Report) {
		r.Findings[0].Reference.CUDA = &report.Symbol{File: &file, Line: &line, Symbol: &symbol, Snippet: []string{"x[ix]", "a < b"}, Note: "ix is the pair"}
	}
	text := rendered(t, m.input(t))
	for _, want := range []string{"<h4>llama.cpp's CUDA kernel</h4>", "ggml-cuda/rope.cu:111, rope_neox", "x[ix]\na &lt; b\n", "Here: ix is the pair."} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// What a prompt, a token or an engine's name holds stays text.
func TestEscaping(t *testing.T) {
	text := rendered(t, runs()["hostile"](t))
	if strings.Contains(text, "<script>alert") || strings.Contains(text, "<img src=x") {
		t.Error("a prompt becomes markup")
	}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	const want = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	if n := strings.Count(words(root), want); n < 8 {
		t.Errorf("the text is seen %d times", n)
	}
}

// The first screen says what is wrong, where and why.
func TestFirstScreen(t *testing.T) {
	in := runs()["one wrong op"](t)
	in.Report.Tokens = report.Pair[[]int32]{Reference: []int32{1, 2, 3}, Ours: []int32{1, 9, 3, 4}}
	in.Report.Findings[0].Cause.Title = "the cause of it"
	root, err := html.Parse(strings.NewReader(rendered(t, in)))
	if err != nil {
		t.Fatal(err)
	}
	main := words(element(root, "main"))
	at := 0
	for _, want := range []string{"Divergence", "First divergence", "q_rope, layer 0, step 0 (prefill)", "What both sides say",
		"Wrong ops and their causes", "the cause of it", "Layers and taps", "Growth", "Ops", "Attention", "K and V cache"} {
		i := strings.Index(main[at:], want)
		if i < 0 {
			t.Fatalf("%q does not follow in the page", want)
		}
		at += i
	}
	var marked []string
	for n := range root.Descendants() {
		if n.Data == "mark" && attr(n, "title") != "" {
			marked = append(marked, words(n))
		}
	}
	if want := []string{"2", "9", "4"}; !slices.Equal(marked, want) {
		t.Errorf("marked are %q, want %q", marked, want)
	}
}

// A page appears whole or not at all.
func TestWrite(t *testing.T) {
	in := made{}.input(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.Ours.Close()
	if err := Write(path, in); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a trace that cannot be read gives %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "old" {
		t.Error("the old page is gone")
	}
	in = made{}.input(t)
	if err := Write(path, in); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left beside the page: %v", entries)
	}
}

// element is the first element of a name within n.
func element(n *html.Node, name string) *html.Node {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			return d
		}
	}
	return nil
}

// words is the text within n.
func words(n *html.Node) string {
	if n == nil {
		return ""
	}
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return out.String()
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
