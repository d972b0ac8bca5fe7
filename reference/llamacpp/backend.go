package llamacpp

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

// cudaLibrary is ggml's CUDA backend; libggml-base.so lies beside it.
const cudaLibrary = "libggml-cuda.so"

// cudaCure is what mends its absence.
const cudaCure = "run make reference-cuda on the machine with the GPU (it needs nvcc and CMake)"

// BackendFolder returns the folder that scripts/reference-cuda.sh builds ggml's
// CUDA backend into: one for each version of the module, because the library
// and this program must be of the same sources.
func BackendFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder for %s: %w", cudaLibrary, err)
	}
	return filepath.Join(base, "attndiff", "llama.cpp-cuda", ollamaVersion), nil
}

// FindBackend returns BackendFolder when the library has been built, else an
// error that says what builds it. It does not load the library.
func FindBackend() (string, error) {
	dir, err := BackendFolder()
	if err != nil {
		return "", err
	}
	_, err = os.Stat(filepath.Join(dir, cudaLibrary))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no %s in %s; %s", cudaLibrary, dir, cudaCure)
	}
	return dir, err
}

// ProbeBackend loads the library, which fails where the driver or CUDA's
// libraries are missing, and says what it was built with. It does not look for
// a GPU.
func ProbeBackend() (found string, err error) {
	dir, err := FindBackend()
	if err != nil {
		return "", err
	}
	folder := C.CString(dir)
	defer C.free(unsafe.Pointer(folder))
	var why C.ref_error
	if C.ref_try_backend(folder, &why) != 0 {
		return "", errors.New(C.GoString(&why.text[0]))
	}
	found = filepath.Join(dir, cudaLibrary)
	if built, err := os.ReadFile(filepath.Join(dir, "built.txt")); err == nil {
		found += ", " + strings.TrimSpace(string(built))
	}
	return found, nil
}
