package cuda

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keepImages is how many compiled files the cache keeps, about 20 kB each.
const keepImages = 512

// cache is the folder of compiled kernels, "" for none. Files are renamed into
// it whole and never change, so processes share it without locks. It is a
// convenience: whatever goes wrong with it, kernels are compiled again.
type cache struct{ dir string }

// openCache opens the folder, by default the user's cache folder.
func openCache(dir string) cache {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return cache{}
		}
		dir = filepath.Join(base, "attndiff", "cuda")
	}
	if os.MkdirAll(dir, 0o700) != nil {
		return cache{}
	}
	// Code is loaded from here, so nobody else may write to it.
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return cache{}
	}
	return cache{dir}
}

// key identifies an image by all that goes into it.
func (c *compiler) key(f file, t target) string {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(h, "%d %s ", len(p), p)
		}
	}
	add("nvrtc", c.version(), strings.Join(c.options(t), " "), f.name, f.text)
	for _, header := range f.headers {
		add(header.Name, header.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c cache) path(key string) string { return filepath.Join(c.dir, key[:32]+".bin") }

// get returns an image, nil if it is not there, and marks it as used.
func (c cache) get(key string) []byte {
	if c.dir == "" {
		return nil
	}
	image, err := os.ReadFile(c.path(key))
	if err != nil || len(image) < sha256.Size {
		return nil
	}
	body, sum := image[:len(image)-sha256.Size], image[len(image)-sha256.Size:]
	// A damaged image could do anything on the GPU.
	if want := sha256.Sum256(body); !slices.Equal(want[:], sum) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(c.path(key), now, now)
	return body
}

// put keeps an image, followed by its SHA-256.
func (c cache) put(key string, image []byte) {
	if c.dir == "" {
		return
	}
	f, err := os.CreateTemp(c.dir, "new-")
	if err != nil {
		return
	}
	sum := sha256.Sum256(image)
	_, err = f.Write(slices.Concat(image, sum[:]))
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), c.path(key))
	}
	if err != nil {
		os.Remove(f.Name())
		return
	}
	c.prune()
}

// prune deletes all but the most recently used files.
func (c cache) prune() {
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries) <= keepImages {
		return
	}
	used := func(e os.DirEntry) time.Time {
		info, err := e.Info()
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return used(b).Compare(used(a)) })
	for _, e := range entries[keepImages:] {
		os.Remove(filepath.Join(c.dir, e.Name()))
	}
}
