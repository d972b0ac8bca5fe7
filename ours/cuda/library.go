package cuda

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

// library is one of NVIDIA's, loaded.
type library struct {
	handle unsafe.Pointer
	path   string
}

// wanted is a library to find: its file names, best first, and who installs it.
type wanted struct {
	what  string   // "NVRTC"
	names []string // sonames
	cure  string   // what to install where it is missing
}

// The sonames say the major version; libnvrtc.so.11.2 is that of all 11.2 to 11.8.
var (
	driverLibrary = wanted{"NVIDIA driver", []string{"libcuda.so.1"}, "install the NVIDIA driver (apt-get install nvidia-driver), then run nvidia-smi"}
	nvrtcLibrary  = wanted{"NVRTC", []string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"},
		"install the CUDA toolkit, or run apt-get install libnvrtc11.2 or pip install nvidia-cuda-nvrtc, or name its folder in LD_LIBRARY_PATH"}
	blasLibrary = wanted{"cuBLAS", []string{"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"},
		"install the CUDA toolkit, or run pip install nvidia-cublas, or name its folder in LD_LIBRARY_PATH"}
)

// notNewer drops the names of major versions above the driver's, which may
// produce or hold code that the driver cannot load; no driver (0) drops none.
func (w wanted) notNewer(major int) wanted {
	if major > 0 {
		w.names = slices.DeleteFunc(slices.Clone(w.names), func(name string) bool {
			var n int
			_, version, _ := strings.Cut(name, ".so.")
			_, err := fmt.Sscanf(version, "%d", &n)
			return err == nil && n > major
		})
	}
	return w
}

// find loads the library by the first of its names that the loader, and then
// the first of the folders, has.
func (w wanted) find(folders []string) (*library, error) {
	var broken error
	for _, name := range w.names {
		for _, folder := range append([]string{""}, folders...) {
			path := filepath.Join(folder, name)
			if folder != "" {
				if _, err := os.Stat(path); err != nil {
					continue
				}
			}
			l, err := openLibrary(path)
			if err == nil {
				return l, nil
			}
			// dlopen says the same of a file that is absent and of one whose
			// own needs are; only the second names another file.
			if broken == nil && (folder != "" || !strings.HasPrefix(err.Error(), name+":")) {
				broken = fmt.Errorf("%s: %w; %s", w.what, err, w.cure)
			}
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, fmt.Errorf("no %s (%s); %s", w.what, strings.Join(w.names, ", "), w.cure)
}

func openLibrary(name string) (*library, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	// dlerror's text belongs to the thread that called dlopen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var why *C.char
	handle := C.shim_open(cname, &why)
	if handle == nil {
		return nil, errors.New(C.GoString(why))
	}
	l := &library{handle: handle, path: name}
	if path := C.shim_path(handle); path != nil && *path != 0 {
		l.path = C.GoString(path)
	}
	return l, nil
}

// lacks is the error of a library without one of the functions we call.
func (l *library) lacks(symbol *C.char) error {
	return fmt.Errorf("%s has no %s: too old, or not NVIDIA's", l.path, C.GoString(symbol))
}

// folders lists where the libraries may lie that the loader does not look at,
// best first: the toolkit's folders, then those of Python packages.
func folders() []string {
	var list []string
	add := func(patterns ...string) {
		for _, p := range patterns {
			found, err := filepath.Glob(p)
			if err != nil {
				continue
			}
			slices.SortFunc(found, func(a, b string) int { return strings.Compare(b, a) }) // later versions first
			for _, f := range found {
				if !slices.Contains(list, f) {
					list = append(list, f)
				}
			}
		}
	}
	for _, variable := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if home := os.Getenv(variable); home != "" {
			add(filepath.Join(home, "lib64"), filepath.Join(home, "lib"))
		}
	}
	add("/usr/local/cuda/lib64", "/usr/local/cuda-*/lib64", "/opt/cuda/lib64", "/usr/local/nvidia/lib64",
		"/usr/lib/wsl/lib", "/usr/lib/*-linux-gnu/nvidia/current")
	prefixes := []string{os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX")}
	for _, python := range []string{"python3", "python"} {
		if path, err := exec.LookPath(python); err == nil {
			prefixes = append(prefixes, filepath.Dir(filepath.Dir(path)))
		}
	}
	for _, p := range prefixes {
		if p != "" {
			add(filepath.Join(p, "lib"), filepath.Join(p, "lib/python3*/site-packages/nvidia/*/lib"),
				filepath.Join(p, "lib/python3*/dist-packages/nvidia/*/lib"))
		}
	}
	return list
}
