package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Workspace is a run's folder for files that are not whole yet, inside the
// folder they will end up in, so that moving them there is one rename.
type Workspace struct {
	out   string // where results belong
	tmp   string // where they are written
	fresh bool   // out did not exist before
}

// NewWorkspace creates out when it is missing and a hidden folder in it. The
// error is an [InputError]: the user chose the folder.
func NewWorkspace(out string) (*Workspace, error) {
	_, err := os.Stat(out)
	w := &Workspace{out: out, fresh: errors.Is(err, fs.ErrNotExist)}
	if err = os.MkdirAll(out, 0o777); err == nil {
		w.tmp, err = os.MkdirTemp(out, ".run-")
	}
	if err != nil {
		return nil, &InputError{fmt.Errorf("--out %s: cannot write there: %w; choose another folder", out, err)}
	}
	return w, nil
}

// Dir is the folder to write to.
func (w *Workspace) Dir() string { return w.tmp }

// Out is the folder that results end up in.
func (w *Workspace) Out() string { return w.out }

// Keep moves a file from Dir to its place under the output folder, replacing
// an older one, and returns its path.
func (w *Workspace) Keep(file string, place ...string) (string, error) {
	dest := filepath.Join(append([]string{w.out}, place...)...)
	if err := os.MkdirAll(filepath.Dir(dest), 0o777); err != nil {
		return "", fmt.Errorf("%s: %w", dest, err)
	}
	if err := os.Rename(file, dest); err != nil {
		return "", fmt.Errorf("%s: %w", dest, err)
	}
	return dest, nil
}

// Close removes what was not kept, and the output folder when it was created
// here and nothing was kept in it.
func (w *Workspace) Close() error {
	err := os.RemoveAll(w.tmp)
	if w.fresh {
		_ = os.Remove(w.out) // fails, as it should, when it holds results
	}
	return err
}
