package qwen2

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProjectionPlace(t *testing.T) {
	file, line, function := ProjectionPlace()
	text, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if line < 1 || line > len(lines) || !strings.HasPrefix(lines[line-1], "func (p *pass) "+function+"(") {
		t.Errorf("%s:%d is not the head of %s", file, line, function)
	}
}
