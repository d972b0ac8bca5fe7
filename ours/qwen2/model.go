package qwen2

import (
	"fmt"

	"attndiff/ours/device"
	"attndiff/traces/execution"
	"attndiff/traces/gguf"
	"attndiff/traces/trace"
)

// Options say how a model is set up.
type Options struct {
	KV       string // element type of the KV cache, "f16" or "f32"
	Capacity int    // positions the cache holds, fixed for the model's life
	Path     Path   // how attention is computed; "" is [Unfused]

	// Edit, if set, may rewrite the ops of a step before they run. It is how
	// host-side mistakes are planted and how a what-if is tried.
	Edit func(ops []Op) []Op
}

// Model is a Qwen2 model on a device. It is not safe for concurrent use.
type Model struct {
	dev     device.Device
	hparams trace.Hparams
	weights *weights
	cache   *cache
	buffers buffers
	path    Path
	edit    func([]Op) []Op
	rows    int    // rows of the last step, 0 before the first
	scratch []byte // a recording on its way to the sink

	launches []*execution.Launches // of the steps recorded last, 0 and 1
}

// Load uploads the weights of f and allocates the KV cache. The file may be
// closed afterwards. It fails on an unknown cache type, on a path that cannot
// run the model, on a tensor of a type the file cannot decode and when the
// device is out of memory.
func Load(dev device.Device, f *gguf.File, opt Options) (*Model, error) {
	hp := f.Hparams
	if hp.HeadDim > maxHeadDim {
		return nil, fmt.Errorf("model %s: head_dim %d; the kernels take at most %d", f.Path, hp.HeadDim, maxHeadDim)
	}
	hp.KVType = opt.KV
	path, err := ParsePath(string(opt.Path))
	if err != nil {
		return nil, err
	}
	if err := path.Check(hp); err != nil {
		return nil, fmt.Errorf("model %s: %w", f.Path, err)
	}
	c, err := newCache(dev, hp, opt.Capacity)
	if err != nil {
		return nil, err
	}
	w, err := loadWeights(dev, f)
	if err != nil {
		return nil, err
	}
	return &Model{dev: dev, hparams: hp, weights: w, cache: c, path: path, edit: opt.Edit}, nil
}

// maxHeadDim is the widest head weighted_sum.cu takes: a thread per dim.
const maxHeadDim = 1024

// Hparams returns the model's hyperparameters, the cache type included.
func (m *Model) Hparams() trace.Hparams { return m.hparams }

// Launches describe the steps recorded last: the ops of step 0 and step 1.
func (m *Model) Launches() []*execution.Launches { return m.launches }

// Close closes the device, and with it frees everything the model holds.
func (m *Model) Close() error { return m.dev.Close() }
