package emu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"
)

// compileTimeout bounds one run of the compiler; a kernel file takes half a
// second.
const compileTimeout = 2 * time.Minute

// toolchain is the C++ compiler and the flags that all files are compiled with.
type toolchain struct {
	command []string // CXX may carry words before and after the compiler's name
	version string   // what --version prints
	flags   []string
}

// findToolchain looks for the compiler that CXX names, g++ without it.
func findToolchain() (toolchain, error) {
	t := toolchain{command: strings.Fields(os.Getenv("CXX")), flags: compileFlags()}
	if len(t.command) == 0 {
		t.command = []string{"g++"}
	}
	if _, err := exec.LookPath(t.command[0]); err != nil {
		return toolchain{}, fmt.Errorf("the CPU emulator compiles kernels with %s, which is not on PATH; install g++ (Debian, Ubuntu: apt-get install g++) or set CXX", t.command[0])
	}
	out, err := t.run(".", "--version")
	if err != nil {
		return toolchain{}, fmt.Errorf("%s --version: %w; set CXX to a working C++ compiler", t.command[0], err)
	}
	t.version = out
	if _, err := t.run(".", patternFlag, "-E", "-x", "c++", os.DevNull); err == nil {
		t.flags = append(t.flags, patternFlag)
	}
	return t, nil
}

// patternFlag fills local variables that a kernel does not initialise with bytes
// of 0xfe, for floats a number of -1.7e38, for f16 NaN, for indices one far off:
// what they hold on a GPU is chance, and often enough what one hopes for. GCC
// knows it from version 12 on, clang from 8.
const patternFlag = "-ftrivial-auto-var-init=pattern"

// boundsFlags compile for Options.Bounds; runtime/bounds.cc has what they call.
// With -O1, which comes later and so counts, the compiler takes two thirds of the
// time and still sees through the calls that a pointer comes by.
var boundsFlags = []string{"-fsanitize=bounds,object-size", "-O1"}

// compileFlags are those whose effect reaches into the results. Products and
// sums contract to fused multiply-adds, as nvcc does by default, where the
// processor has them. Kernels reinterpret memory freely, so strict aliasing is
// off. Large local arrays must touch the guard page below their stack, not jump
// over it. Checks that a distribution's compiler adds by itself (Ubuntu's does)
// are off: they abort where the emulator fills memory from guard to guard, and
// before it can say which kernel and tap wrote too far.
func compileFlags() []string {
	flags := []string{"-std=gnu++17", "-nostdinc++", "-O2", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-strict-aliasing",
		"-fno-math-errno", "-ffp-contract=fast", "-fstack-clash-protection",
		"-U_FORTIFY_SOURCE", "-fno-stack-protector", "-w", "-x", "c++"}
	if runtime.GOARCH == "amd64" && cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		flags = append(flags, "-mavx2", "-mfma", "-mf16c") // AVX2 implies F16C on every processor made
	}
	return flags
}

// run runs the compiler in a folder and returns what it printed.
func (t toolchain) run(dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.command[0], append(t.command[1:len(t.command):len(t.command)], args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C") // messages are parsed
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("did not finish within %v", compileTimeout)
	}
	return out.String(), err
}

// compile makes an object file of a file in the folder dir, with more flags than
// all files are compiled with.
func (t toolchain) compile(dir, source, object string, more []string) error {
	out, err := t.run(dir, slices.Concat(t.flags, more, []string{"-I.", "-c", source, "-o", object})...)
	if err != nil {
		return compileError(source, out, err)
	}
	return nil
}

// link makes a shared library of object files.
func (t toolchain) link(dir string, objects []string, library string) error {
	args := append([]string{"-shared", "-o", library}, objects...)
	out, err := t.run(dir, append(args, "-lm")...)
	if err != nil {
		return fmt.Errorf("link the kernel library: %s: %w", firstLine(out), err)
	}
	return nil
}

// diagnostic is an error line of g++ and clang: file, line, text.
var diagnostic = regexp.MustCompile(`(?m)^([^\s:][^:\n]*):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$`)

// compileError is the first error the compiler printed, at the line of the .cu
// file it stands in.
func compileError(source, out string, err error) error {
	if m := diagnostic.FindStringSubmatch(out); m != nil {
		return fmt.Errorf("%s:%s: the kernel does not compile: %s", filepath.Base(m[1]), m[2], m[3])
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && out != "" {
		return fmt.Errorf("compile %s: %s", source, firstLine(out))
	}
	return fmt.Errorf("compile %s: %w", source, err)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
