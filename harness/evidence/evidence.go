package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"attndiff/ours/kernels"
)

// Folder is where the evidence lies, from the repository's root.
var Folder = filepath.Join("traces", "gpu")

// Find returns the evidence's folder: above the working directory, or beside the
// executable's folder; "" when neither has one.
func Find() string {
	var roots []string
	if dir, err := os.Getwd(); err == nil {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			roots = append(roots, dir)
		}
	}
	if exe, err := os.Executable(); err == nil {
		roots = append(roots, filepath.Dir(filepath.Dir(exe)))
	}
	for _, root := range roots {
		dir := filepath.Join(root, Folder)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}

// Recording is the recording of ours on the GPU, in Folder.
const Recording = "ours-cuda.safetensors"

// cure ends every message.
const cure = "run scripts/gpu-run.sh"

// Check returns nil when the evidence in dir is of the present kernels, else
// one line that says why it is not.
func Check(dir string) error {
	digest, err := of(dir)
	if err != nil {
		return err
	}
	if present := kernels.Default().Digest(); digest != present {
		return fmt.Errorf("kernels changed since the last GPU run (%.16s, now %.16s): %s", digest, present, cure)
	}
	return nil
}

// of returns the digest of the kernels that the evidence is of.
func of(dir string) (string, error) {
	path := filepath.Join(dir, "evidence.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no GPU run yet (%s is missing): %s", path, cure)
	}
	if err != nil {
		return "", err
	}
	var e struct {
		Machine struct {
			Attndiff struct {
				KernelDigest string `json:"kernel_digest"`
			} `json:"attndiff"`
		} `json:"machine"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return "", fmt.Errorf("%s: %w: %s", path, err, cure)
	}
	if e.Machine.Attndiff.KernelDigest == "" {
		return "", fmt.Errorf("%s does not say which kernels it is of: %s", path, cure)
	}
	return e.Machine.Attndiff.KernelDigest, nil
}
