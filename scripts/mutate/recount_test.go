package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/ours/kernels"
)

func TestRecount(t *testing.T) {
	src := kernels.Default()
	all := mutants(src)
	findings := []*Finding{
		{mutant: all[0], Fate: Survived, Reason: "a reason that was withdrawn"},
		{mutant: all[1], Fate: Divergence, Located: true, What: "what was said"},
	}
	r := collect(findings, nil)
	r.Kernels, r.Only = digest(src, "a*"), "a*"
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "mutants.json")
	back, only, err := recount([]string{file}, src)
	if err != nil {
		t.Fatal(err)
	}
	if len(back) != 2 || only != "a*" || back[0].mutant != all[0] || back[0].Reason != "" ||
		!back[1].Located || back[1].What != "what was said" {
		t.Errorf("read back %+v of %s", back, only)
	}

	if list, only, err := unexplained([]string{file}, src, nil); err != nil || only != "a*" || len(list) != 1 || list[0] != all[0] {
		t.Errorf("survived: %v of %s, error %v", list, only, err)
	}
	known := []equivalence{{file: all[0].File, from: all[0].From, to: []string{all[0].To}, reason: "why", used: []bool{false}}}
	if list, _, _ := unexplained([]string{file}, src, known); len(list) > 0 {
		t.Errorf("survived unexplained: %v", list)
	}

	other, err := src.Replace("argmax.cu", "best[0] = index", "best[1] = index")
	if err == nil {
		_, _, err = recount([]string{file}, other)
	}
	if err == nil || !strings.Contains(err.Error(), "other kernels") {
		t.Errorf("error %v", err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"kind":"` + all[1].Kind, `"kind":"other`, "there is no mutant argmax.cu:"},
		{"{", "", "mutants.json: invalid character"},
		{`{"file"`, `null,{"file"`, "a mutant is null"},
	} {
		if err := os.WriteFile(file, []byte(strings.Replace(string(raw), tt.old, tt.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := recount([]string{file}, src); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q for %q: error %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
}

// Shards of a run, read back together, are the run.
func TestShards(t *testing.T) {
	src := kernels.Default()
	all := mutants(src)
	var files []string
	want := 0
	for _, part := range []options{{only: "r*,a*", shard: "1/3"}, {only: "r*,a*", shard: "2/3"}, {only: "r*,a*", shard: "3/3"}, {only: "[^ra]*", shard: "1/1"}} {
		list, err := part.choose(all)
		if err != nil {
			t.Fatal(err)
		}
		want += len(list)
		var findings []*Finding
		for _, m := range list {
			findings = append(findings, &Finding{mutant: m, Fate: Divergence, Located: true})
		}
		r := collect(findings, nil)
		r.Kernels, r.Only = digest(src, part.only), part.only
		dir := t.TempDir()
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(dir, "mutants.json"))
	}
	if want != len(all) {
		t.Fatalf("the shards have %d mutants of %d", want, len(all))
	}
	for n, only := range map[int]string{3: "a*,r*", 4: "*"} {
		back, got, err := recount(files[:n], src)
		if err != nil || got != only {
			t.Fatalf("%d files are about %q, error %v", n, got, err)
		}
		if o := (options{only: got}); len(back) != len(o.matching(all)) {
			t.Errorf("%d files have %d mutants, want %d", n, len(back), len(o.matching(all)))
		}
	}
	for _, shard := range []string{"0/3", "4/3", "1", "a/b", ""} {
		o := options{only: "*", shard: shard}
		if _, err := o.choose(all); err == nil {
			t.Errorf("shard %q is taken", shard)
		}
	}
}
