package kernels

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"attndiff/traces/tap"
)

// Kind is what a kernel parameter takes: the three kinds of device.Arg.
type Kind uint8

// The kinds of parameters.
const (
	Pointer Kind = iota
	Int          // 32-bit, signed or unsigned
	Float        // 32-bit
)

// String names the kind as errors do.
func (k Kind) String() string { return [...]string{"pointer", "int", "float"}[k] }

// Param is one kernel parameter.
type Param struct {
	Name  string
	Type  string // as declared, without name and qualifiers: "float *", "int"
	Kind  Kind
	Const bool // a pointer the kernel only reads through
}

// Kernel is one kernel as its source declares it.
type Kernel struct {
	Name   string
	File   string // base name
	Line   int    // 1-based line of the declaration
	Params []Param
	Taps   []tap.Tap // the taps it writes, in execution order; may be empty
}

// Writes reports whether the kernel says it writes tap t.
func (k Kernel) Writes(t tap.Tap) bool { return slices.Contains(k.Taps, t) }

var (
	global = regexp.MustCompile(`\b__global__\b`)
	// declaration matches from extern "C" to the opening parenthesis. Strings
	// are blanked in the text it sees, hence the spaces for the C.
	declaration = regexp.MustCompile(`\bextern\s+"\s"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^()]*\)\s*)?([A-Za-z_]\w*)\s*\(`)
	tapLine     = regexp.MustCompile(`^//\s*taps?:\s*(.*)$`)
	parameter   = regexp.MustCompile(`^(.*?[\s*])([A-Za-z_]\w*)$`)
)

// Kernels returns the kernels of all files, in order of file and line. An
// error names the file and line that breaks the package's conventions.
func (s Source) Kernels() ([]Kernel, error) {
	var all []Kernel
	for _, f := range s.files {
		found, err := parseFile(f)
		if err != nil {
			return nil, err
		}
		for _, k := range found {
			if i := slices.IndexFunc(all, func(o Kernel) bool { return o.Name == k.Name }); i >= 0 {
				return nil, fmt.Errorf("%s:%d: kernel %s is already declared at %s:%d; rename one", k.File, k.Line, k.Name, all[i].File, all[i].Line)
			}
			all = append(all, k)
		}
	}
	return all, nil
}

// ForTap returns the kernels that say they write tap t.
func (s Source) ForTap(t tap.Tap) ([]Kernel, error) {
	all, err := s.Kernels()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(k Kernel) bool { return !k.Writes(t) }), nil
}

// ForTap returns the kernels of this repository that write tap t.
func ForTap(t tap.Tap) ([]Kernel, error) { return Default().ForTap(t) }

// parseFile finds the kernels of one file.
func parseFile(f File) ([]Kernel, error) {
	code := Blank(f.Text)
	lines := strings.Split(f.Text, "\n")
	starts := map[int][]int{} // offset of "__global__" -> the declaration's match
	for _, m := range declaration.FindAllStringSubmatchIndex(code, -1) {
		starts[m[0]+strings.Index(code[m[0]:m[1]], "__global__")] = m
	}
	var found []Kernel
	for _, g := range global.FindAllStringIndex(code, -1) {
		line := 1 + strings.Count(code[:g[0]], "\n")
		m, ok := starts[g[0]]
		if !ok {
			return nil, fmt.Errorf(`%s:%d: a kernel is declared extern "C" __global__ void NAME(PARAMETERS); write it so`, f.Name, line)
		}
		line = 1 + strings.Count(code[:m[0]], "\n")
		k := Kernel{Name: code[m[2]:m[3]], File: f.Name, Line: line}
		list, ok := closing(code[m[1]:])
		if !ok {
			return nil, fmt.Errorf("%s:%d: the parameter list of kernel %s is not closed", f.Name, line, k.Name)
		}
		var err error
		if k.Params, err = parseParams(list); err != nil {
			return nil, fmt.Errorf("%s:%d: kernel %s: %w", f.Name, line, k.Name, err)
		}
		if k.Taps, err = parseTaps(lines[:line-1]); err != nil {
			return nil, fmt.Errorf("%s:%d: comment above kernel %s: %w", f.Name, line, k.Name, err)
		}
		found = append(found, k)
	}
	return found, nil
}

// closing returns the text up to the parenthesis that closes the one just
// before s.
func closing(s string) (string, bool) {
	depth := 1
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[:i], true
			}
		}
	}
	return "", false
}

// parseParams reads a parameter list, comments already blanked.
func parseParams(list string) ([]Param, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var params []Param
	for i, text := range strings.Split(list, ",") {
		p, err := parseParam(strings.Join(strings.Fields(text), " "))
		if err != nil {
			return nil, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		params = append(params, p)
	}
	return params, nil
}

// parseParam reads one parameter, white space already squeezed.
func parseParam(text string) (Param, error) {
	m := parameter.FindStringSubmatch(text)
	if m == nil {
		return Param{}, fmt.Errorf("%q is not a type and a name", text)
	}
	p := Param{Name: m[2]}
	var words []string
	for _, w := range strings.Fields(strings.ReplaceAll(m[1], "*", " * ")) {
		switch w {
		case "const":
			// Only a const before the star makes the memory read-only.
			p.Const = p.Const || !slices.Contains(words, "*")
		case "__restrict__", "__restrict", "volatile":
		default:
			words = append(words, w)
		}
	}
	p.Type = strings.Join(words, " ")
	switch {
	case strings.HasSuffix(p.Type, "* *"):
		return Param{}, fmt.Errorf("%s is a pointer to a pointer, which no device.Arg carries", p.Name)
	case strings.HasSuffix(p.Type, "*"):
		p.Kind = Pointer
	case p.Type == "float":
		p.Kind, p.Const = Float, false
	case slices.Contains([]string{"int", "unsigned", "unsigned int", "int32_t", "uint32_t"}, p.Type):
		p.Kind, p.Const = Int, false
	default:
		return Param{}, fmt.Errorf("%s has type %q; device.Arg carries pointers, 32-bit integers and floats", p.Name, p.Type)
	}
	return p, nil
}

// parseTaps reads the taps from the comment block that ends the lines.
func parseTaps(lines []string) ([]tap.Tap, error) {
	var taps []tap.Tap
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(lines[i])
		if !strings.HasPrefix(line, "//") {
			break
		}
		m := tapLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, name := range strings.Split(m[1], ",") {
			t, err := tap.Parse(strings.TrimSpace(name))
			if err != nil {
				return nil, err
			}
			taps = append(taps, t)
		}
	}
	slices.Sort(taps)
	return slices.Compact(taps), nil
}
