package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"attndiff/harness/evidence"
	"attndiff/harness/gate"
	"attndiff/harness/session"
	"attndiff/ours/faults"
	"attndiff/ours/kernels"
	"attndiff/reference/llamacpp"
)

// Where the gate reads and writes when nothing is said.
const (
	defaultMatrix  = "traces/gate.yaml"
	defaultGateOut = ".plan/gate"
)

// gateRun is one run of the gate command.
type gateRun struct {
	*App
	fs                        *flag.FlagSet
	matrix, out, shard        string
	only, faultNames          string
	jobs                      int
	timeout                   time.Duration
	update, list, json        bool
	baselineFile, waiversFile string
}

func gateCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	g := &gateRun{App: a, fs: fs}
	fs.StringVar(&g.matrix, "matrix", defaultMatrix, "`FILE` that lists the cases")
	fs.StringVar(&g.baselineFile, "baseline", "", "`FILE` with what the cases did before (default: the matrix's name with .baseline)")
	fs.StringVar(&g.waiversFile, "waivers", "", "`FILE` with deviations that are known (default: the matrix's name with .waivers.yaml)")
	fs.StringVar(&g.only, "only", "", "run only the cases named `PATTERNS`, separated by commas: haiku/*/f16/*/*")
	fs.StringVar(&g.shard, "shard", "1/1", "run only the `I/N`-th share of the cases; `attndiff gate merge` joins the shares")
	fs.IntVar(&g.jobs, "jobs", runtime.GOMAXPROCS(0), "run `N` cases at a time")
	fs.BoolVar(&g.update, "update", false, "write baseline and goldens anew, and show what changes first")
	fs.BoolVar(&g.list, "list", false, "list the cases and run none")
	fs.StringVar(&g.faultNames, "fault", "", "plant the faults `NAMES` in ours, to see the gate fail")
	fs.StringVar(&g.out, "out", defaultGateOut, "`DIR` for gate.json, junit.xml, gate.sarif, summary.md and the reports of what fails")
	fs.DurationVar(&g.timeout, "timeout", 5*time.Minute, "longest `TIME` one run of an engine may take")
	fs.BoolVar(&g.json, "json", false, "print JSON on standard output and nothing else there")
	return func(ctx context.Context, _ []string) (int, error) { return g.run(ctx) }
}

func (g *gateRun) run(ctx context.Context) (int, error) {
	job, err := g.gate()
	if err != nil {
		return 0, err
	}
	if g.list {
		for _, name := range job.Names() {
			fmt.Fprintln(g.Stdout, name)
		}
		return Parity, nil
	}
	work, err := session.NewWorkspace(g.out)
	if err != nil {
		return 0, err
	}
	defer work.Close()
	job.Dir = work.Dir()
	progress := newProgress(g.Stderr, g.json)
	job.Progress = func(done, all int, r *gate.Result) { progress.tally(done, all, r.Name) }
	part, err := job.Run(ctx)
	progress.done()
	if err != nil {
		return 0, err
	}
	if g.update {
		return g.renew(job, part)
	}
	if err := part.Write(work, g.out); err != nil {
		return 0, err
	}
	g.noteGPU()
	return g.concludeGate(part, g.out, g.json)
}

// noteGPU says when what a GPU showed is not of these kernels: a gate that runs
// without one cannot tell.
func (g *gateRun) noteGPU() {
	if _, err := os.Stat(evidence.Folder); err != nil {
		return // not in the repository's root
	}
	if err := evidence.Check(evidence.Folder); err != nil {
		fmt.Fprintln(g.Stderr, "attndiff: gate:", err)
	}
}

// gate checks the flags and reads the files.
func (g *gateRun) gate() (*gate.Gate, error) {
	if g.jobs < 1 || g.timeout <= 0 {
		return nil, fmt.Errorf("gate: --jobs %d, --timeout %v: give one job or more and some time", g.jobs, g.timeout)
	}
	shard, err := gate.ParseShard(g.shard)
	if err != nil {
		return nil, fmt.Errorf("--shard: %w", err)
	}
	if g.update && (shard.Of > 1 || g.faultNames != "") {
		return nil, fmt.Errorf("--update: a baseline is taken of the whole matrix and of ours as it is; leave --shard and --fault out")
	}
	planted, err := faults.Select(g.faultNames)
	if err != nil {
		return nil, fmt.Errorf("--fault: %w", err)
	}
	job := &gate.Gate{Jobs: g.jobs, Shard: shard, Update: g.update, Today: time.Now().UTC(), Program: program(), Rerun: g.rerun,
		Runner: &session.Runner{Worker: g.Worker, Timeout: g.timeout}}
	for _, f := range planted {
		job.Faults = append(job.Faults, f.Name)
	}
	if g.only != "" {
		job.Only = strings.Split(g.only, ",")
	}
	if job.Matrix, err = gate.ReadMatrix(g.matrix); err != nil {
		return nil, err
	}
	for to, from := range map[*string]string{&job.Matrix.Baseline: g.baselineFile, &job.Matrix.Waivers: g.waiversFile} {
		if from == "" {
			continue
		}
		if _, err := os.Stat(from); err != nil && !(g.update && to == &job.Matrix.Baseline) {
			return nil, fmt.Errorf("%w; check the path", err)
		}
		*to = from
	}
	if job.Baseline, err = gate.ReadBaseline(job.Matrix.Baseline); err != nil {
		return nil, err
	}
	job.Waivers, err = gate.ReadWaivers(job.Matrix.Waivers)
	return job, err
}

// rerun is the command that runs one case again.
func (g *gateRun) rerun(name string) string {
	args := []string{"gate"}
	for _, name := range []string{"matrix", "baseline", "waivers", "fault", "timeout"} {
		g.fs.Visit(func(f *flag.Flag) {
			if f.Name == name {
				args = append(args, "--"+name, f.Value.String())
			}
		})
	}
	return commandLine(append(args, "--only", name))
}

// renew shows what an update changes, then changes it.
func (g *gateRun) renew(job *gate.Gate, part *gate.Part) (int, error) {
	r := job.Renew(part)
	for _, c := range r.Changes {
		fmt.Fprintln(g.Stdout, c)
	}
	if len(r.Changes) == 0 {
		fmt.Fprintf(g.Stdout, "%s is as it would be written\n", r.Baseline.File)
	}
	if err := r.Write(); err != nil {
		return 0, err
	}
	return gateStatus(part), nil
}

// concludeGate prints the part, hands its summary to GitHub where that asks for it,
// and returns the exit status.
func (a *App) concludeGate(part *gate.Part, out string, asJSON bool) (int, error) {
	if path := os.Getenv("GITHUB_STEP_SUMMARY"); path != "" {
		if err := part.AppendSummary(path); err != nil {
			return 0, fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
		}
	}
	if asJSON {
		return gateStatus(part), part.Encode(a.Stdout)
	}
	return gateStatus(part), part.Print(a.Stdout, out)
}

// gateStatus is the exit status a part stands for.
func gateStatus(p *gate.Part) int {
	switch p.Verdict {
	case gate.Pass:
		return Parity
	case gate.Crashed:
		return EngineDied
	}
	return Divergence
}

// gateMergeCommand joins the parts that shards wrote.
func gateMergeCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	out := fs.String("out", defaultGateOut, "`DIR` for gate.json, junit.xml, gate.sarif and summary.md")
	asJSON := fs.Bool("json", false, "print JSON on standard output and nothing else there")
	return func(_ context.Context, files []string) (int, error) {
		var parts []*gate.Part
		for _, f := range files {
			p, err := gate.ReadPart(f)
			if err != nil {
				return 0, err
			}
			parts = append(parts, p)
		}
		whole, err := gate.Merge(parts, files)
		if err != nil {
			return 0, err
		}
		work, err := session.NewWorkspace(*out)
		if err != nil {
			return 0, err
		}
		defer work.Close()
		if err := whole.Collect(parts, files, work.Dir()); err != nil {
			return 0, err
		}
		if err := whole.Write(work, *out); err != nil {
			return 0, err
		}
		return a.concludeGate(whole, *out, *asJSON)
	}
}

// program says what runs: which commit of the repository, which llama.cpp,
// which kernels.
func program() gate.Program {
	return gate.Program{Commit: commit(), Llama: llamacpp.Commit(), Kernels: kernels.Default().Digest()}
}

// commit is the one go build stamped the program with, else the one CI works
// on, else the one the working directory is at.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	if sha := os.Getenv("GITHUB_SHA"); sha != "" {
		return sha
	}
	if sha, err := exec.Command("git", "rev-parse", "HEAD").Output(); err == nil {
		return strings.TrimSpace(string(sha))
	}
	return "unknown"
}
