package safetensors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// createBeside opens a new file in the folder of path, so that a rename to
// path stays within one file system. Unlike os.CreateTemp, whose files are
// private, it leaves the permissions to the user's umask: the file is going to
// be a result.
func createBeside(path string) (*os.File, error) {
	const attempts = 100 // names collide once in 2^32; a hundred times is another fault
	dir, base := filepath.Split(path)
	for range attempts {
		name := fmt.Sprintf("%s.%s.%08x.tmp", dir, base, rand.Uint32())
		file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: cannot be written: %w", path, errors.Unwrap(err))
		}
		return file, nil
	}
	return nil, fmt.Errorf("%s: no unused name for a temporary file beside it", path)
}

// discard closes and removes a temporary file. That closing may fail, because
// it has been closed or the disk is full, does not matter to a file that goes.
func discard(file *os.File) error {
	file.Close()
	return os.Remove(file.Name())
}
