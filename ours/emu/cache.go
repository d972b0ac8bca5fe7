package emu

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	keepLibraries = 64  // about 100 kB each
	keepObjects   = 512 // about 10 kB each
	buildPrefix   = "build-"
	buildMaxAge   = time.Hour // older build folders are left from a crash
)

// cache is the folder of compiled kernels. Files are renamed into it whole and
// never change, so processes share it without locks; a file that another
// process has loaded may be deleted under it without harm.
type cache struct {
	dir string
}

// openCache opens the folder, by default the user's cache folder, or one in
// the temporary folder where there is none to write to.
func openCache(dir string) (cache, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return cache{}, fmt.Errorf("kernel cache: %w", err)
		}
		return cache{dir: absolute(dir)}, nil
	}
	if base, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(base, "attndiff", "emu")
		if writable(dir) {
			return cache{dir: dir}, nil
		}
	}
	dir = filepath.Join(os.TempDir(), fmt.Sprintf("attndiff-emu-%d", os.Getuid()))
	if !writable(dir) {
		return cache{}, fmt.Errorf("kernel cache: cannot write to %s; set XDG_CACHE_HOME or TMPDIR to a folder of your own", dir)
	}
	return cache{dir: dir}, nil
}

// writable makes the folder, ours alone, and tries it: libraries are loaded
// from it, so nobody else may write there.
func writable(dir string) bool {
	if os.MkdirAll(dir, 0o700) != nil {
		return false
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	f, err := os.CreateTemp(dir, buildPrefix)
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

// absolute makes a path that dlopen and a compiler run elsewhere understand.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// path names a cached file.
func (c cache) path(prefix, key, suffix string) string {
	return filepath.Join(c.dir, prefix+key[:32]+suffix)
}

// has reports whether a file is cached, and marks it as used.
func (c cache) has(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// prune deletes all but the most recently used files. What it cannot delete it
// leaves: the cache is a convenience.
func (c cache) prune() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	type file struct {
		path string
		used time.Time
	}
	kinds := map[string][]file{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		f := file{filepath.Join(c.dir, e.Name()), info.ModTime()}
		if strings.HasPrefix(e.Name(), buildPrefix) {
			if time.Since(f.used) > buildMaxAge {
				os.RemoveAll(f.path)
			}
			continue
		}
		kind := filepath.Ext(e.Name())
		kinds[kind] = append(kinds[kind], f)
	}
	for kind, keep := range map[string]int{".so": keepLibraries, ".o": keepObjects} {
		list := kinds[kind]
		slices.SortFunc(list, func(a, b file) int { return cmp.Compare(b.used.UnixNano(), a.used.UnixNano()) })
		for _, f := range list[min(keep, len(list)):] {
			os.Remove(f.path)
		}
	}
}
