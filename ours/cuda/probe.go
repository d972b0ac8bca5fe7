package cuda

import "fmt"

// Part is one thing that a GPU run needs.
type Part struct {
	Name  string // "libcuda", "libnvrtc", "libcublas"
	Found string // what is there
	Err   error  // why it is not, and what mends it
}

// Probe looks for the GPU and the libraries, without making a context on it.
// Each is looked for whatever came of the others.
func Probe() []Part {
	where := folders()
	gpu, major := probeGPU(where)
	nvrtc := Part{Name: "libnvrtc"}
	if c, err := openCompiler(where, major); err != nil {
		nvrtc.Err = err
	} else {
		nvrtc.Found = fmt.Sprintf("NVRTC %s, %s, compiles for sm_%d to sm_%d", c.version(), c.path, c.archs[0], c.archs[len(c.archs)-1])
	}
	cublas := Part{Name: "libcublas"}
	if b, err := openBlas(where, major); err != nil {
		cublas.Err = err
	} else {
		cublas.Found = b.path
	}
	return []Part{gpu, nvrtc, cublas}
}

// probeGPU describes the GPU that Open would take, and says which major
// version of CUDA its driver serves, 0 without one.
func probeGPU(where []string) (Part, int) {
	p := Part{Name: "libcuda"}
	d, err := openDriver(where)
	if err != nil {
		p.Err = err
		return p, 0
	}
	gpu, err := d.describe(0)
	if err != nil {
		p.Err = err
		return p, d.version / 1000
	}
	const gib = 1 << 30
	p.Found = fmt.Sprintf("%s, sm_%d, %.0f GiB, driver for CUDA %s", gpu.name, gpu.arch, float64(gpu.bytes)/gib, release(d.version))
	return p, d.version / 1000
}

// Available says why no device can be opened, nil when all parts are there.
func Available() error {
	for _, p := range Probe() {
		if p.Err != nil {
			return p.Err
		}
	}
	return nil
}
