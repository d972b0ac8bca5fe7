package execution

// Launches are the ops of one step as ours ran them, in order.
type Launches struct {
	Step   int   `json:"step"`
	Tokens int   `json:"tokens"` // of this step
	Past   int   `json:"past"`   // in the cache before it
	Ops    int   `json:"ops"`    // of the whole step, those left out included
	Layers []int `json:"layers"` // whose ops are here; ops outside layers always are
	List   []Op  `json:"list"`
}

// Op is one launch or one product, whichever is set; with neither, nothing
// ran and the tap records what lay there.
type Op struct {
	Tap    string  `json:"tap"`
	Layer  int     `json:"layer"` // -1 for a tap that exists once per step
	Launch *Launch `json:"launch,omitempty"`
	Gemm   *Gemm   `json:"gemm,omitempty"`
	Out    Output  `json:"out"` // what the tap records
}

// Launch is kernel<<<Grid, Block, Shared>>>(Args...).
type Launch struct {
	Kernel string `json:"kernel"`
	File   string `json:"file,omitempty"` // base name of the .cu file
	Line   int    `json:"line,omitempty"` // of the kernel's declaration
	Grid   [3]int `json:"grid"`
	Block  [3]int `json:"block"`
	Shared int    `json:"shared"` // dynamic shared memory, bytes
	Args   []Arg  `json:"args"`
}

// Arg is one kernel argument: a pointer when Buffer is set, else the number.
type Arg struct {
	Name   string  `json:"name"` // the kernel's parameter
	Buffer string  `json:"buffer,omitempty"`
	Offset int     `json:"offset,omitempty"` // bytes into the buffer
	Number float64 `json:"number,omitempty"`
	Float  bool    `json:"float,omitempty"` // a float and not an int
}

// Gemm is a product in cuBLAS's terms, column-major:
// C[M,N] = Alpha op(A)[M,K] op(B)[K,N] + Beta C.
type Gemm struct {
	TransA bool    `json:"trans_a"`
	TransB bool    `json:"trans_b"`
	M      int     `json:"m"`
	N      int     `json:"n"`
	K      int     `json:"k"`
	Alpha  float64 `json:"alpha"`
	Beta   float64 `json:"beta"`
	A      Matrix  `json:"a"`
	B      Matrix  `json:"b"`
	C      Matrix  `json:"c"`
}

// Matrix is one operand of a product.
type Matrix struct {
	Buffer string `json:"buffer"`
	Offset int    `json:"offset,omitempty"` // bytes
	Type   string `json:"type"`
	Ld     int    `json:"ld"` // column stride in elements
}

// Output is the tensor that an op's tap records: row-major and contiguous.
type Output struct {
	Buffer string `json:"buffer"`
	Offset int    `json:"offset,omitempty"` // bytes
	Type   string `json:"type"`
	Shape  []int  `json:"shape"`
}

// Find returns the op of a tap and layer, nil when there is none.
func (l *Launches) Find(tap string, layer int) *Op {
	for i := range l.List {
		if op := &l.List[i]; op.Tap == tap && op.Layer == layer {
			return op
		}
	}
	return nil
}

// Arg returns the argument of that name, nil when the launch has none.
func (l *Launch) Arg(name string) *Arg {
	for i := range l.Args {
		if l.Args[i].Name == name {
			return &l.Args[i]
		}
	}
	return nil
}

// Phase names the step.
func (l *Launches) Phase() string { return Phases[l.Step] }
