package llamacpp_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/reference/llamacpp"
	"attndiff/traces/synth/synthtest"
)

// apiVersion is ggml-backend-impl.h's GGML_BACKEND_API_VERSION.
const apiVersion = "2"

// TestBackendRefusals: whatever is wrong with ggml's CUDA backend, opening says
// in one line what, where, and what mends it. Each stand-in has a folder of its
// own, since a library that is loaded stays.
func TestBackendRefusals(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags []string // of the stand-in's build; nil for a file that is no library
		want  []string
	}{
		{"no library", nil, []string{"cannot load ggml's CUDA backend: ", "libggml-cuda.so: ", "; run make reference-cuda"}},
		{"needs another", []string{"-DAPI_VERSION=" + apiVersion, "-Wl,--no-as-needed", "-lneeded"},
			[]string{"cannot load ggml's CUDA backend: libneeded.so: ", "LD_LIBRARY_PATH"}},
		{"no backend", []string{"-DNO_INIT"}, []string{"is not a backend of this llama.cpp: ", "failed to find ggml_backend_init", "; run make reference-cuda again"}},
		{"other version", []string{"-DAPI_VERSION=1"}, []string{"is not a backend of this llama.cpp: ", "; run make reference-cuda again"}},
		{"no GPU", []string{"-DAPI_VERSION=" + apiVersion},
			[]string{"finds no GPU: ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected", "; check nvidia-smi"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := standIn(t, test.flags)
			_, err := llamacpp.Open(llamacpp.Config{Model: synthtest.Tiny(t, "F16"), Context: 64, CUDA: true, Backends: dir})
			expectLine(t, err, test.want...)
		})
	}
}

// TestBackendSearch: the library is looked for in the cache folder and found
// there; its absence is said with what builds it.
func TestBackendSearch(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	_, err := llamacpp.Open(llamacpp.Config{Model: synthtest.Tiny(t, "F16"), CUDA: true})
	expectLine(t, err, "no libggml-cuda.so in "+cache, "; run make reference-cuda")
	if _, err := llamacpp.ProbeBackend(); err == nil {
		t.Error("nothing was found")
	}

	folder, err := llamacpp.BackendFolder()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(standIn(t, []string{"-DAPI_VERSION=" + apiVersion}), folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "built.txt"), []byte("sm_90, nvcc 13.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := llamacpp.ProbeBackend()
	if want := filepath.Join(folder, "libggml-cuda.so") + ", sm_90, nvcc 13.0"; err != nil || found != want {
		t.Errorf("found %q, %v; want %q", found, err, want)
	}
}

// TestBackendScript: the script that builds the library puts it where the
// engine looks for it.
func TestBackendScript(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	out, err := exec.Command("../../scripts/reference-cuda.sh", "--folder").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := llamacpp.BackendFolder()
	if got := strings.TrimSpace(string(out)); err != nil || got != want {
		t.Errorf("the script builds into %s, the engine looks in %s, %v", got, want, err)
	}
}

// standIn builds testdata/backend.c as libggml-cuda.so into a new folder and
// returns the folder.
func standIn(t *testing.T, flags []string) string {
	t.Helper()
	dir := t.TempDir()
	library := filepath.Join(dir, "libggml-cuda.so")
	if flags == nil {
		if err := os.WriteFile(library, []byte("no library"), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	needed := t.TempDir() // gone where the loader looks, as a CUDA library on another machine
	compile(t, "-o", filepath.Join(needed, "libneeded.so"), "-DNO_INIT", "testdata/backend.c")
	compile(t, append([]string{"-o", library, "testdata/backend.c", "-L" + needed}, flags...)...)
	return dir
}

func compile(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("cc", append([]string{"-shared", "-fPIC", "-w"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
