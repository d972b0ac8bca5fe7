package prompts

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

const extension = ".txt"

//go:embed *.txt
var files embed.FS

// Names lists the prompts in alphabetical order.
func Names() []string {
	found, err := fs.Glob(files, "*"+extension)
	if err != nil || len(found) == 0 {
		// The pattern is a constant and an empty folder does not compile.
		return nil
	}
	for i, name := range found {
		found[i] = strings.TrimSuffix(name, extension)
	}
	return found
}

// Load returns the text of a prompt, byte for byte. The error for an unknown
// name lists those there are.
func Load(name string) (string, error) {
	text, err := files.ReadFile(name + extension)
	if err != nil {
		return "", fmt.Errorf("unknown prompt %q: want one of %s", name, strings.Join(Names(), ", "))
	}
	return string(text), nil
}
