package models

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// file is where the shipped model lies, from the repository's root.
var file = filepath.Join("traces", "models", "haiku.gguf")

// Path returns the shipped model's absolute path. It looks from the working
// directory upwards, so that tests of any package find it, then beside the
// folder of the executable, so that bin/attndiff finds it from anywhere.
func Path() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the shipped model: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		exe = ""
	} else if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	return find(dir, exe)
}

// find is Path with its surroundings given: a working directory and the path
// of the executable, empty if unknown.
func find(dir, exe string) (string, error) {
	for up := dir; ; up = filepath.Dir(up) {
		ok, err := regular(filepath.Join(up, file))
		if err != nil {
			return "", err
		}
		if ok {
			return filepath.Join(up, file), nil
		}
		if up == filepath.Dir(up) {
			break
		}
	}
	if exe != "" {
		path := filepath.Join(filepath.Dir(exe), "..", file)
		if ok, err := regular(path); err != nil || ok {
			return path, err
		}
	}
	return "", fmt.Errorf("no shipped model: %s is neither above %s nor beside the executable's folder; name a model with --model FILE", file, dir)
}

// regular reports whether path is a file that can be used as one.
func regular(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("find the shipped model: %w", err)
	}
	return info.Mode().IsRegular(), nil
}
