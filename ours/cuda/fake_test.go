package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"attndiff/ours/device"
	"attndiff/ours/kernels"
)

// fake is the folder of the stand-in libraries, "" where the tests run on a
// real GPU or no C compiler is there to build them.
var fake string

// TestMain lets the tests run on a stand-in (testdata/fake.c) where there is
// no GPU.
func TestMain(m *testing.M) {
	if _, err := openDriver(folders()); err == nil {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "fake-cuda-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := buildFake(dir); err != nil {
		fmt.Fprintln(os.Stderr, "no stand-in for CUDA:", err)
	} else {
		fake = dir
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// buildFake compiles the stand-in under each of the three names.
func buildFake(dir string, flags ...string) error {
	for _, name := range []string{"libcuda.so.1", "libnvrtc.so.13", "libcublas.so.13"} {
		args := append([]string{"-shared", "-fPIC", "-O1", "-w", "-o", filepath.Join(dir, name), "testdata/fake.c"}, flags...)
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// useFake puts the stand-in where the libraries are looked for.
func useFake(t *testing.T, dir string) {
	t.Helper()
	if fake == "" {
		t.Skip("there is a GPU, or no C compiler")
	}
	home := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(home, "lib64")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CUDA_HOME", home)
}

// TestFailures: whatever a library refuses, the error says what failed, where,
// and what mends it where something does.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		plan string // FAKE_CUDA
		want string
	}{
		{"cuInit:100", "no GPU: fake failure (CUDA_ERROR_FAKE)"},
		{"cuDeviceGetName:1", "GPU 0: fake failure"},
		{"cuDevicePrimaryCtxRetain:46", "open Fake GPU: fake failure"},
		{"cuModuleLoadData:222", "load checks.cu, compiled by NVRTC 13.0, with a driver for CUDA 13.0: fake failure"},
		{"cuModuleGetFunction:500", "kernel attndiff_check_zones is missing"},
		{"nvrtcCompileProgram:6", "compile checks.cu for sm_90 with NVRTC 13.0: test.cu(3): error: this cannot be"},
		{"nvrtcGetSupportedArchs:5", "does not say what it compiles for"},
		{"cublasCreate_v2:1", "libcublas.so.13: cuBLAS: not initialised (status 1)"},
		{"cublasSetMathMode:77", "cuBLAS status 77"},
		{"cuMemAlloc_v2:2", `allocate "findings": out of GPU memory`},
	} {
		t.Run(test.plan, func(t *testing.T) {
			useFake(t, fake)
			t.Setenv("FAKE_CUDA", test.plan)
			d, err := Open(kernels.New(), Options{Checks: true, CacheDir: t.TempDir()})
			if err == nil {
				d.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q; want one line with %q", err, test.want)
			}
		})
	}
}

// TestMissing: each library that is absent is named with what installs it, and
// so is one that is too old; Probe looks for the others all the same.
func TestMissing(t *testing.T) {
	for _, missing := range []string{"libcuda.so.1", "libnvrtc.so.13", "libcublas.so.13"} {
		t.Run(missing, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"libcuda.so.1", "libnvrtc.so.13", "libcublas.so.13"} {
				if name == missing {
					continue
				}
				if err := os.Symlink(filepath.Join(fake, name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			useFake(t, dir)
			failed := 0
			for _, p := range Probe() {
				switch {
				case p.Err == nil && p.Found == "":
					t.Errorf("%s: neither found nor missing", p.Name)
				case p.Err != nil:
					failed++
					if !strings.Contains(p.Err.Error(), missing) || !strings.Contains(p.Err.Error(), "; install") {
						t.Errorf("%s: %v; want %s and what to install", p.Name, p.Err, missing)
					}
				}
			}
			if failed != 1 {
				t.Errorf("%d parts missing, want 1: %+v", failed, Probe())
			}
		})
	}
}

func TestTooOld(t *testing.T) {
	if fake == "" {
		t.Skip("there is a GPU, or no C compiler")
	}
	dir := t.TempDir()
	if err := buildFake(dir, "-DWITHOUT_PTX"); err != nil {
		t.Fatal(err)
	}
	useFake(t, dir)
	if err := Available(); err == nil || !strings.Contains(err.Error(), "libnvrtc.so.13 has no nvrtcGetPTXSize: too old") {
		t.Errorf("error %v", err)
	}
}

func TestNoGPU(t *testing.T) {
	useFake(t, fake)
	t.Setenv("FAKE_CUDA_NONE", "1")
	if err := Available(); err == nil || !strings.Contains(err.Error(), "check nvidia-smi and CUDA_VISIBLE_DEVICES") {
		t.Errorf("error %v", err)
	}
}

// TestNotNewer: NVRTC and cuBLAS of a later major version than the driver's
// are not taken.
func TestNotNewer(t *testing.T) {
	for _, test := range []struct {
		major int
		want  string
	}{
		{0, "libnvrtc.so.13 libnvrtc.so.12 libnvrtc.so.11.2"},
		{13, "libnvrtc.so.13 libnvrtc.so.12 libnvrtc.so.11.2"},
		{12, "libnvrtc.so.12 libnvrtc.so.11.2"},
		{11, "libnvrtc.so.11.2"},
	} {
		if got := strings.Join(nvrtcLibrary.notNewer(test.major).names, " "); got != test.want {
			t.Errorf("driver for CUDA %d: %s, want %s", test.major, got, test.want)
		}
	}
}

// TestRunFailures: failures after opening name the buffer, the kernel or the
// product.
func TestRunFailures(t *testing.T) {
	for _, test := range []struct {
		plan string
		do   func(d *Device, y device.Buffer) error
		want string
	}{
		{"cuMemAlloc_v2:2", func(d *Device, _ device.Buffer) error { _, err := d.Alloc(1<<20, "kq"); return err },
			`allocate "kq": out of GPU memory (1048576 bytes)`},
		{"cuMemcpyHtoDAsync_v2:1", func(d *Device, y device.Buffer) error { return d.Upload(y, 0, make([]byte, 4)) },
			`upload to "y": fake failure`},
		{"cuMemcpyDtoHAsync_v2:1", func(d *Device, y device.Buffer) error { return d.Download(make([]byte, 4), y, 0) },
			`download of "y": fake failure`},
		{"cuLaunchKernel:701", func(d *Device, y device.Buffer) error { return d.Launch(shifted(y, 100, 0)) },
			"kernel write_shifted (tap s0000.l01.q_rope): fake failure"},
		{"cublasGemmEx:13", func(d *Device, y device.Buffer) error {
			m := device.Matrix{Pointer: device.Pointer{Buffer: y}, Ld: 1}
			return d.Gemm(device.Gemm{M: 1, N: 1, K: 1, A: m, B: m, C: m, At: at})
		}, "GEMM (tap s0000.l01.q_rope): cuBLAS: execution failed (status 13)"},
	} {
		t.Run(test.plan, func(t *testing.T) {
			useFake(t, fake)
			d := gpu(t, Options{}, misuse)
			y := alloc(t, d, 400, "y")
			t.Setenv("FAKE_CUDA", test.plan)
			if err := test.do(d, y); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; want %q", err, test.want)
			}
			t.Setenv("FAKE_CUDA", "")
		})
	}
}

// TestCache: a second device finds its kernels compiled; a damaged file is
// compiled again; a cache that nobody can write to is done without.
func TestCache(t *testing.T) {
	useFake(t, fake)
	dir := t.TempDir()
	open := func() error {
		d, err := Open(kernels.New(), Options{CacheDir: dir})
		if err != nil {
			return err
		}
		return d.Close()
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAKE_CUDA", "nvrtcCompileProgram:6")
	if err := open(); err != nil {
		t.Errorf("second time: %v", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) != 2 {
		t.Fatalf("the cache holds %v, %v; want one file each of checks.cu and widen.cu", found, err)
	}
	if err := os.WriteFile(found[0], []byte("fake image and more than the thirty-two bytes of a digest"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil {
		t.Error("a damaged image was used")
	}
	t.Setenv("FAKE_CUDA", "")
	dir = filepath.Join(found[0], "no folder")
	if err := open(); err != nil {
		t.Errorf("without a cache: %v", err)
	}
}
