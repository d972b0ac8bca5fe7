package cuda

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unsafe"

	"attndiff/ours/kernels"
)

//go:embed device
var deviceFiles embed.FS

// compiler is NVRTC.
type compiler struct {
	*library
	table        *C.struct_nvrtc
	major, minor int
	archs        []int // it compiles for, rising: 75 for sm_75
}

// openCompiler finds NVRTC, of no later major version than the driver serves
// (0 for any).
func openCompiler(folders []string, driverMajor int) (*compiler, error) {
	lib, err := nvrtcLibrary.notNewer(driverMajor).find(folders)
	if err != nil {
		return nil, err
	}
	c := &compiler{library: lib, table: new(C.struct_nvrtc)}
	if missing := C.shim_nvrtc(c.table, lib.handle); missing != nil {
		return nil, lib.lacks(missing)
	}
	var major, minor C.int
	if status := C.shim_version(c.table, &major, &minor); status != 0 {
		return nil, fmt.Errorf("%s: NVRTC status %d when asked its version", lib.path, status)
	}
	c.major, c.minor = int(major), int(minor)
	var archs [64]C.int
	for _, a := range archs[:C.shim_archs(c.table, &archs[0], C.int(len(archs)))] {
		c.archs = append(c.archs, int(a))
	}
	if len(c.archs) == 0 {
		return nil, fmt.Errorf("%s does not say what it compiles for", lib.path)
	}
	return c, nil
}

func (c *compiler) version() string { return fmt.Sprintf("%d.%d", c.major, c.minor) }

// target is what a file is compiled for.
type target struct {
	arch int
	ptx  bool // PTX, which the driver compiles on, instead of machine code
}

func (t target) String() string {
	if t.ptx {
		return fmt.Sprintf("compute_%d", t.arch)
	}
	return fmt.Sprintf("sm_%d", t.arch)
}

// target chooses for a GPU: its own machine code, or the newest PTX below it
// when NVRTC is older than the GPU.
func (c *compiler) target(arch int) (target, error) {
	best := 0
	for _, a := range c.archs {
		if a == arch {
			return target{arch: arch}, nil
		}
		if a < arch {
			best = max(best, a)
		}
	}
	if best == 0 {
		return target{}, fmt.Errorf("NVRTC %s (%s) compiles for compute capability %.1f and later, this GPU has %.1f; install an older CUDA toolkit",
			c.version(), c.path, float64(c.archs[0])/10, float64(arch)/10)
	}
	return target{best, true}, nil
}

// options are what every file is compiled with: the language of nvcc's default,
// and line numbers, which cost nothing and let compute-sanitizer name lines.
// NVRTC 11.8 overruns its stack when it writes them for a class with a
// conversion operator, such as __half.
func (c *compiler) options(t target) []string {
	list := []string{"--gpu-architecture=" + t.String(), "--std=c++17"}
	if c.major > 11 {
		list = append(list, "--generate-line-info")
	}
	return list
}

// file is one .cu file with all that it may include.
type file struct {
	name, text string
	headers    []kernels.File
}

// own returns the files of device/: the headers that every kernel may include
// and the kernels that the device itself needs.
func own() (headers, sources []kernels.File, err error) {
	err = fs.WalkDir(deviceFiles, "device", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := deviceFiles.ReadFile(path)
		f := kernels.File{Name: filepath.Base(path), Text: string(text)}
		if filepath.Ext(path) == ".cu" {
			sources = append(sources, f)
		} else {
			headers = append(headers, f)
		}
		return err
	})
	return headers, sources, err
}

// units splits a source into the files to compile.
func units(src kernels.Source) ([]file, error) {
	headers, _, err := own()
	if err != nil {
		return nil, err
	}
	var sources []kernels.File
	for _, f := range src.Files() {
		if filepath.Ext(f.Name) == ".cu" {
			sources = append(sources, f)
		} else {
			headers = append(headers, f)
		}
	}
	var list []file
	for _, f := range sources {
		list = append(list, file{f.Name, f.Text, headers})
	}
	return list, nil
}

// compile returns a file's machine code or PTX. An error quotes the first
// error of NVRTC's log, which names file and line.
func (c *compiler) compile(f file, t target) ([]byte, error) {
	var held []unsafe.Pointer
	defer func() {
		for _, p := range held {
			C.free(p)
		}
	}()
	text := func(s string) *C.char {
		p := C.CString(s)
		held = append(held, unsafe.Pointer(p))
		return p
	}
	// An array in C's memory: cgo lets no Go array of C pointers through.
	array := func(n int) []*C.char {
		p := C.calloc(C.size_t(n+1), C.size_t(unsafe.Sizeof((*C.char)(nil))))
		held = append(held, p)
		return unsafe.Slice((**C.char)(p), n+1)
	}
	texts, names := array(len(f.headers)), array(len(f.headers))
	for i, h := range f.headers {
		texts[i], names[i] = text(h.Text), text(h.Name)
	}
	flags := c.options(t)
	options := array(len(flags))
	for i, o := range flags {
		options[i] = text(o)
	}
	ptx := C.int(0)
	if t.ptx {
		ptx = 1
	}
	var image, log *C.char
	var size C.size_t
	status := C.shim_compile(c.table, text(f.text), text(f.name), C.int(len(f.headers)), &texts[0], &names[0],
		C.int(len(flags)), &options[0], ptx, &image, &size, &log)
	defer C.free(unsafe.Pointer(image))
	defer C.free(unsafe.Pointer(log))
	if status != 0 || image == nil {
		why := fmt.Sprintf("status %d", status)
		if log != nil {
			why = firstError(C.GoString(log), why)
		}
		return nil, fmt.Errorf("compile %s for %s with NVRTC %s: %s", f.name, t, c.version(), why)
	}
	return C.GoBytes(unsafe.Pointer(image), C.int(size)), nil
}

// firstError returns the first line of a compiler's log that is an error, or
// the first at all.
func firstError(log, otherwise string) string {
	first := ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "error") {
			return line
		}
		if first == "" {
			first = line
		}
	}
	if first == "" {
		return otherwise
	}
	return first
}
