package emu

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"attndiff/ours/kernels"
)

//go:embed runtime
var runtimeFiles embed.FS

// builder turns kernels into a library, object by object, and keeps both in
// the cache: a fault or a mutant changes one file, so one file is compiled.
type builder struct {
	tools   toolchain
	cache   cache
	runtime map[string]string // the runtime's files by name
	dir     string            // where the sources lie for the compiler, once needed
}

// Build compiles the kernels as a device with these options does, or finds them
// compiled in the cache, and returns the file of their library. Kernels of other
// text that the compiler makes the same code of give the same bytes, unless
// Options.Bounds has the code hold its own place in the text.
func Build(src kernels.Source, options Options) (path string, err error) {
	list, err := src.Kernels()
	if err != nil {
		return "", err
	}
	return build(src, list, options)
}

// build returns the path of the library of these kernels, which has an entry
// for each one listed.
func build(src kernels.Source, list []kernels.Kernel, options Options) (path string, err error) {
	b := builder{runtime: map[string]string{}}
	if b.tools, err = findToolchain(); err != nil {
		return "", err
	}
	if b.cache, err = openCache(options.CacheDir); err != nil {
		return "", err
	}
	entries, err := fs.ReadDir(runtimeFiles, "runtime")
	if err != nil {
		return "", fmt.Errorf("read the embedded runtime: %w", err)
	}
	for _, e := range entries {
		text, err := runtimeFiles.ReadFile("runtime/" + e.Name())
		if err != nil {
			return "", fmt.Errorf("read the embedded runtime: %w", err)
		}
		b.runtime[e.Name()] = string(text)
	}
	units := []unit{b.runtimeUnit()}
	for _, f := range src.Files() {
		if filepath.Ext(f.Name) != ".cu" {
			continue
		}
		u, err := translate(src, f, list)
		if err != nil {
			return "", err
		}
		if options.Bounds {
			u.flags = boundsFlags
		}
		units = append(units, u)
	}
	units = append(units, unit{name: sharedEnd, text: b.runtime[sharedEnd]})
	return b.library(units)
}

// sharedEnd is the part of the runtime that must be linked last.
const sharedEnd = "shared_end.cc"

// runtimeUnit is the rest of the runtime as one translation unit, which
// compiles in a fraction of the time that its files take one by one.
func (b *builder) runtimeUnit() unit {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(b.runtime)) {
		if filepath.Ext(name) == ".cc" && name != sharedEnd {
			fmt.Fprintf(&text, "#include %q\n", name)
		}
	}
	return unit{name: "emu_runtime.cc", text: text.String()}
}

// library returns the library of these units from the cache, or builds it.
func (b *builder) library(units []unit) (string, error) {
	var keys []string
	for _, u := range units {
		keys = append(keys, b.key(u))
	}
	path := b.cache.path("lib-", digest(keys...), ".so")
	if b.cache.has(path) {
		return path, nil
	}
	defer func() {
		if b.dir != "" {
			os.RemoveAll(b.dir)
		}
	}()
	objects := make([]string, len(units))
	for i := range units {
		objects[i] = b.cache.path("obj-", keys[i], ".o")
	}
	if err := b.compileAll(units, objects); err != nil {
		return "", err
	}
	if err := b.prepare(nil); err != nil {
		return "", err
	}
	made := filepath.Join(b.dir, "library.so")
	if err := b.tools.link(b.dir, objects, made); err != nil {
		return "", err
	}
	if err := os.Rename(made, path); err != nil {
		return "", fmt.Errorf("keep the kernel library: %w", err)
	}
	b.cache.prune()
	return path, nil
}

// compileAll compiles the units whose objects are not cached, as many at a
// time as there are processors. Of several errors the first unit's is returned.
func (b *builder) compileAll(units []unit, objects []string) error {
	if err := b.prepare(units); err != nil {
		return err
	}
	errs := make([]error, len(units))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, u := range units {
		if b.cache.has(objects[i]) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			made := u.name + ".o"
			if errs[i] = b.tools.compile(b.dir, u.name, made, u.flags); errs[i] == nil {
				errs[i] = os.Rename(filepath.Join(b.dir, made), objects[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare writes the runtime and the units into a fresh folder inside the
// cache, so that renaming results into place stays on one file system.
func (b *builder) prepare(units []unit) error {
	files := map[string]string{}
	if b.dir == "" {
		dir, err := os.MkdirTemp(b.cache.dir, buildPrefix)
		if err != nil {
			return fmt.Errorf("make a folder to compile kernels in: %w", err)
		}
		b.dir = dir
		maps.Copy(files, b.runtime)
	}
	for _, u := range units {
		files[u.name] = u.text
		maps.Copy(files, u.with)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write kernel source to compile: %w", err)
		}
	}
	return nil
}

// key identifies an object by everything that goes into it.
func (b *builder) key(u unit) string {
	parts := []string{b.tools.version, strings.Join(b.tools.command, " "), strings.Join(b.tools.flags, " "), strings.Join(u.flags, " "), u.name, u.text}
	for _, files := range []map[string]string{u.with, b.runtime} {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			parts = append(parts, name, files[name])
		}
	}
	return digest(parts...)
}

// digest hashes a list of strings, each preceded by its length.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s ", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
