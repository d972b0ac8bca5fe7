package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"attndiff/harness/session"
)

// Exit statuses.
const (
	Parity      = 0
	Divergence  = 1
	BadInput    = 2
	EngineDied  = 3
	Interrupted = 130 // 128 + SIGINT, as shells say it
)

// App is the program's surroundings.
type App struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Open           session.Opener // opens engines, in a worker
	Worker         []string       // the command line of a worker, path first

	args []string // the command line that runs, the command's name first
}

// launcherVariable holds the start of a command line, words split at spaces,
// that workers are started under: a checker or debugger that must see the
// engine's own process ("compute-sanitizer --tool memcheck"). What it says on
// standard output is lost, and it has to leave descriptors 3 and 4 open.
const launcherVariable = "ATTNDIFF_LAUNCHER"

// New returns the surroundings of a real process.
func New(open session.Opener) *App {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return &App{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Open: open,
		Worker: append(strings.Fields(os.Getenv(launcherVariable)), self, "worker")}
}

// command is one word after attndiff.
type command struct {
	name   string
	args   string // what follows the flags, for the usage line
	short  string // one line for the list of commands
	hidden bool
	// setup declares the flags and returns what runs once they are parsed.
	setup func(*App, *flag.FlagSet) func(ctx context.Context, args []string) (int, error)
}

func commands() []command {
	return []command{
		{"diff", "", "run reference and ours on one prompt, compare, write report.json", false, diffCommand},
		{"record", "", "run one engine and write its trace", false, recordCommand},
		{"compare", "REF OURS", "compare two traces", false, compareCommand},
		{"faults", "", "list the faults that --fault plants", false, faultsCommand},
		{"faults run", "", "measure the harness against the planted faults", false, faultsRunCommand},
		{"gate", "", "run the matrix of cases and hold it to its baseline", false, gateCommand},
		{"gate merge", "PART...", "join the gate.json of several shards", false, gateMergeCommand},
		{"inspect", "TRACE", "show what a trace holds, or one tensor's statistics", false, inspectCommand},
		{"synth", "", "write a synthetic GGUF of a given shape from a seed", false, synthCommand},
		{"doctor", "", "show what this machine can run and what is missing", false, doctorCommand},
		{"version", "", "show module version, llama.cpp commit and kernel digest", false, versionCommand},
		{"worker", "", "run one engine for a parent process", true, workerCommand},
	}
}

// subcommands are second words of commands.
var subcommands = map[string]string{"faults": "run", "gate": "merge"}

// Run runs one command line and returns its exit status.
func (a *App) Run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		a.usage(a.Stderr)
		return BadInput
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 0 {
			a.usage(a.Stdout)
			return Parity
		}
		name, args = args[0], []string{"-h"}
	case "-version", "--version":
		name = "version"
	}
	if second := subcommands[name]; second != "" && len(args) > 0 && args[0] == second {
		name, args = name+" "+second, args[1:]
	}
	a.args = append(strings.Fields(name), args...)
	for _, c := range commands() {
		if c.name == name {
			return a.run(ctx, c, args)
		}
	}
	return a.fail(fmt.Errorf("unknown command %q; `attndiff help` lists the commands", name))
}

func (a *App) run(ctx context.Context, c command, args []string) int {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are printed here, in one line
	run := c.setup(a, fs)
	rest, err := parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		c.usage(a.Stdout, fs)
		return Parity
	}
	if err != nil {
		return a.fail(fmt.Errorf("%s: %w; `attndiff %s -h` lists the flags", c.name, err, c.name))
	}
	if want := len(strings.Fields(c.args)); len(rest) < want || len(rest) > want && !strings.HasSuffix(c.args, "...") {
		return a.fail(fmt.Errorf("%s: %d arguments given, want %d: attndiff %s [flags] %s", c.name, len(rest), want, c.name, c.args))
	}
	status, err := run(ctx, rest)
	if err != nil {
		return a.fail(err)
	}
	return status
}

// parse reads flags wherever they stand among the arguments, which it returns.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// fail prints an error in one line and returns the exit status it stands for.
func (a *App) fail(err error) int {
	fmt.Fprintf(a.Stderr, "attndiff: %s\n", strings.Join(strings.Fields(err.Error()), " "))
	var died *session.Failure
	switch {
	case errors.As(err, &died):
		return EngineDied
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return BadInput
}

// usage lists the commands.
func (a *App) usage(w io.Writer) {
	fmt.Fprintln(w, "attndiff runs llama.cpp and our CUDA kernels on the same tokens and names every op that differs.")
	fmt.Fprintln(w, "\nusage: attndiff COMMAND [flags]")
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(w, "  %-10s %s\n", c.name, c.short)
		}
	}
	fmt.Fprintln(w, "\n`attndiff COMMAND -h` lists a command's flags. Exit status: 0 parity, 1 divergence,")
	fmt.Fprintln(w, "2 bad usage or input, 3 an engine crashed, hung or ran out of memory.")
}

// usage lists a command's flags.
func (c *command) usage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "usage: attndiff %s\n%s\n", strings.TrimSpace(c.name+" [flags] "+c.args), c.short)
	fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		line := "  --" + f.Name
		if value != "" {
			line += " " + value
		}
		fmt.Fprintf(w, "%-24s %s", line, text)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
