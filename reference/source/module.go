package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
)

// module is the Go module that carries llama.cpp, up to v0.24.0.
const module = "github.com/ollama/ollama"

// Tree is the folder that holds the module's files.
type Tree string

// Open finds the sources that this binary was built from. It looks once.
func Open() (Tree, error) { return open() }

var open = sync.OnceValues(func() (Tree, error) {
	built := version(debug.ReadBuildInfo())
	if filepath.IsAbs(built) {
		return Tree(built), nil // replaced by a folder of this machine
	}
	if built == "" {
		return ask()
	}
	var looked []string
	for _, cache := range []func() string{environment, configured} {
		dir := filepath.Join(cache(), module+"@"+built)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return Tree(dir), nil
		}
		looked = append(looked, dir)
	}
	return "", fmt.Errorf("llama.cpp's sources are not on this machine (no %s); run go mod download in attndiff's folder",
		strings.Join(looked, ", no "))
})

// version is the module's version that the binary was linked with, or the
// folder that replaces it; "" when the binary does not link it, as in tests.
func version(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		switch {
		case m.Path != module:
		case m.Replace == nil:
			return m.Version
		case m.Replace.Version == "":
			return m.Replace.Path
		}
	}
	return ""
}

// environment is the module cache as the go command finds it without its own
// configuration file: GOMODCACHE, the first folder of GOPATH, then ~/go.
func environment() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	root := ""
	if list := filepath.SplitList(os.Getenv("GOPATH")); len(list) > 0 {
		root = list[0]
	} else if home, err := os.UserHomeDir(); err == nil {
		root = filepath.Join(home, "go")
	}
	return filepath.Join(root, "pkg", "mod")
}

// configured is the module cache that the go command names, for machines where
// go env -w moved it.
func configured() string {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// ask has the go command name the module's folder. It answers for the version
// that the go.mod around the working directory pins.
func ask() (Tree, error) {
	out, err := exec.Command("go", "list", "-m", "-json", module).Output()
	var found struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err == nil && found.Dir == "" {
		err = errors.New("it is not in the module cache; run go mod download")
	}
	if err != nil {
		return "", fmt.Errorf("llama.cpp's sources: go list -m %s: %w", module, err)
	}
	return Tree(found.Dir), nil
}
