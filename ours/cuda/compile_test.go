package cuda

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"attndiff/ours/faults"
	"attndiff/ours/kernels"
)

// nvrtc returns NVRTC, or skips the test with the reason.
func nvrtc(t *testing.T) *compiler {
	t.Helper()
	c, err := openCompiler(folders(), 0)
	if err != nil {
		t.Skip(err)
	}
	return c
}

// TestCompile compiles every kernel for the GPUs of three generations, into
// machine code; NVRTC needs no GPU for it.
func TestCompile(t *testing.T) {
	c := nvrtc(t)
	files := allFiles(t, kernels.Default())
	for _, arch := range []int{75, 80, 90} {
		t.Run(fmt.Sprintf("sm_%d", arch), func(t *testing.T) {
			t.Parallel()
			want, err := c.target(arch)
			if err != nil {
				t.Skip(err)
			}
			images, err := c.compileAll(files, want, cache{})
			if err != nil {
				t.Fatal(err)
			}
			for i, image := range images {
				if !bytes.HasPrefix(image, []byte("\x7fELF")) {
					t.Errorf("%s: not machine code but %.16q", files[i].name, image)
				}
			}
		})
	}
}

// TestCompileFaults compiles every planted fault: what the emulator's compiler
// takes, NVRTC must take too.
func TestCompileFaults(t *testing.T) {
	c := nvrtc(t)
	want, err := c.target(c.archs[len(c.archs)-1])
	if err != nil {
		t.Fatal(err)
	}
	store := openCache(t.TempDir()) // files that a fault leaves alone compile once
	for _, f := range faults.Catalogue() {
		src, _, err := faults.Apply([]faults.Fault{f}, kernels.Default())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.compileAll(allFiles(t, src), want, store); err != nil {
			t.Errorf("fault %s: %v", f.Name, err)
		}
	}
}

// TestCompileError: the error names file, line and target.
func TestCompileError(t *testing.T) {
	c := nvrtc(t)
	want, err := c.target(c.archs[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.compile(file{name: "broken.cu", text: "\nextern \"C\" __global__ void f() { undeclared(); }\n"}, want)
	if err == nil {
		t.Fatal("a file with an error compiled")
	}
	for _, part := range []string{"broken.cu(2)", "undeclared", want.String(), c.version()} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error is more than a line: %q", err)
	}
}

// TestCompileHeaders: a header of the source and those of the device are found.
func TestCompileHeaders(t *testing.T) {
	c := nvrtc(t)
	src := kernels.New(
		kernels.File{Name: "twice.cuh", Text: "#include <cuda_fp16.h>\nstatic __device__ float twice(__half x) { return 2 * (float)x; }\n"},
		kernels.File{Name: "use.cu", Text: "#include \"twice.cuh\"\n#include <cuda_bf16.h>\n" +
			"extern \"C\" __global__ void use(float *y) { *y = twice(__float2half(*y)) + (float)__float2bfloat16(*y); }\n"},
	)
	want, err := c.target(c.archs[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.compileAll(allFiles(t, src), want, cache{}); err != nil {
		t.Error(err)
	}
}

// TestTarget: the GPU's own machine code if NVRTC knows it, else the newest
// PTX below it.
func TestTarget(t *testing.T) {
	c := &compiler{library: &library{path: "libnvrtc"}, major: 12, archs: []int{75, 80, 90}}
	for _, test := range []struct {
		arch int
		want string
	}{
		{75, "sm_75"}, {90, "sm_90"}, {86, "compute_80"}, {120, "compute_90"}, {70, ""},
	} {
		got, err := c.target(test.arch)
		switch {
		case test.want == "":
			if err == nil || !strings.Contains(err.Error(), "7.5 and later, this GPU has 7.0") {
				t.Errorf("arch %d: %v, %v", test.arch, got, err)
			}
		case err != nil || got.String() != test.want:
			t.Errorf("arch %d: %v, %v; want %s", test.arch, got, err, test.want)
		}
	}
}

// allFiles lists what a device of this source compiles.
func allFiles(t *testing.T, src kernels.Source) []file {
	t.Helper()
	headers, sources, err := own()
	if err != nil {
		t.Fatal(err)
	}
	list, err := units(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sources {
		list = append(list, file{f.Name, f.Text, headers})
	}
	return list
}
