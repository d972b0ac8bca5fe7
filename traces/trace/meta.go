package trace

// Schema is the version of the trace contract, attndiff.schema in the file.
const Schema = "1"

// Hparams are the model's hyperparameters as far as the taps depend on them.
type Hparams struct {
	NLayer       int     `json:"n_layer"`
	NEmbd        int     `json:"n_embd"`
	NHead        int     `json:"n_head"`
	NHeadKV      int     `json:"n_head_kv"`
	HeadDim      int     `json:"head_dim"`
	NFF          int     `json:"n_ff"`
	NVocab       int     `json:"n_vocab"`
	RopeFreqBase float64 `json:"rope_freq_base"`
	RopeType     string  `json:"rope_type"` // "neox"
	RMSEps       float64 `json:"rms_eps"`
	KVType       string  `json:"kv_type"` // "f16" or "f32"
}

// Meta is a trace's metadata.
type Meta struct {
	Engine        string // "llama.cpp:cpu", "ours:emu", ...
	EngineVersion string
	Device        string
	ModelSHA256   string
	ModelName     string
	Hparams       Hparams
	Tokens        []int32 // every token fed, prompt then decoded
	Steps         []int   // tokens per step; sums to len(Tokens)
	Notes         map[string]string
}
