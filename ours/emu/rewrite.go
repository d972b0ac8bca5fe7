package emu

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"attndiff/ours/kernels"
)

// cudaHeaders are the headers a kernel file may include in angle brackets;
// runtime/ has a file for each.
var cudaHeaders = []string{"cuda_bf16.h", "cuda_fp16.h", "cuda_runtime.h"}

var (
	include = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]*(.*?)[ \t]*$`)
	// dynamicShared matches a dynamic shared array; groups: type and name.
	dynamicShared = regexp.MustCompile(`\bextern\s+__shared__\s+(?:__align__\s*\([^)]*\)\s*)?([\w:][\w:\s]*?)\s+([A-Za-z_]\w*)\s*\[\s*\]\s*;`)
)

// unit is one translation unit, ready for the compiler.
type unit struct {
	name string            // "rope.cu.cc"
	text string            // its text
	with map[string]string // the rewritten .cuh files it includes, by name

	flags []string // that it alone is compiled with
}

// translate turns a kernel file into C++. The kernels go into an unnamed
// namespace, as NVRTC compiles every file by itself: two files may have helper
// functions of the same name. Line numbers stay those of the .cu file.
func translate(src kernels.Source, file kernels.File, list []kernels.Kernel) (unit, error) {
	u := unit{name: file.Name + ".cc", with: map[string]string{}}
	headers := map[string]bool{}
	if err := u.collect(src, file, headers); err != nil {
		return unit{}, err
	}
	var b strings.Builder
	b.WriteString("#include \"emu.h\"\n")
	for _, h := range cudaHeaders {
		if headers[h] {
			fmt.Fprintf(&b, "#include \"%s\"\n", h)
		}
	}
	fmt.Fprintf(&b, "namespace {\n#line 1 %q\n%s\n}\n#line 1 \"kernel table\"\n#include \"table.h\"\n", file.Name, rewrite(file.Text))
	for _, k := range list {
		if k.File == file.Name {
			b.WriteString(tableEntry(k))
		}
	}
	u.text = b.String()
	return u, nil
}

// tableEntry is the C++ text that gives a kernel its entry in the library: a
// function that unpacks the arguments, and the exported emu_kernel.
func tableEntry(k kernels.Kernel) string {
	slots := make([]string, len(k.Params))
	for i := range slots {
		slots[i] = fmt.Sprintf("emu::Slot{emu_slots[%d]}", i)
	}
	return fmt.Sprintf("EMU_KERNEL(%s, (%s))\n", k.Name, strings.Join(slots, ", "))
}

// collect notes the headers that a file includes, directly or through .cuh
// files, and adds those .cuh files to the unit. System headers must be
// included outside the namespace, hence first.
func (u *unit) collect(src kernels.Source, file kernels.File, headers map[string]bool) error {
	files := src.Files()
	code := kernels.Blank(file.Text)
	for _, m := range include.FindAllStringSubmatchIndex(code, -1) {
		// Blank erased what stands between quotes; the original has it.
		target := file.Text[m[2]:m[3]]
		line := 1 + strings.Count(file.Text[:m[0]], "\n")
		name := strings.Trim(target, `"<>`)
		if strings.HasPrefix(target, "<") || slices.Contains(cudaHeaders, name) {
			if !slices.Contains(cudaHeaders, name) {
				return fmt.Errorf("%s:%d: #include %s: kernels may include %s and .cuh files, as NVRTC has no host headers",
					file.Name, line, target, strings.Join(cudaHeaders, ", "))
			}
			headers[name] = true
			continue
		}
		i := slices.IndexFunc(files, func(f kernels.File) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("%s:%d: #include %s: there is no such kernel file", file.Name, line, target)
		}
		if _, seen := u.with[name]; seen {
			continue
		}
		u.with[name] = rewrite(files[i].Text)
		if err := u.collect(src, files[i], headers); err != nil {
			return err
		}
	}
	return nil
}

// rewrite turns what no macro can express into C++: a dynamic shared array
// becomes a pointer to the block's dynamic shared memory. Lines stay lines.
func rewrite(text string) string {
	code := kernels.Blank(text)
	var b strings.Builder
	end := 0
	for _, m := range dynamicShared.FindAllStringSubmatchIndex(code, -1) {
		typ, name := code[m[2]:m[3]], code[m[4]:m[5]]
		b.WriteString(text[end:m[0]])
		fmt.Fprintf(&b, "static %s *const %s = (%s *)emu_dynamic_shared;", typ, name, typ)
		lost := strings.Count(text[m[0]:m[1]], "\n") - 2*strings.Count(typ, "\n")
		b.WriteString(strings.Repeat("\n", max(0, lost)))
		end = m[1]
	}
	b.WriteString(text[end:])
	return b.String()
}
