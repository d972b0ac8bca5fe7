// The C face of the bridge: everything Go sees of llama.cpp.
//
// Calls return 0, or -1 with one line in ref_error; tensors are handed over as
// pointers to whole row-major arrays, never element by element.
#ifndef ATTNDIFF_BRIDGE_H
#define ATTNDIFF_BRIDGE_H

#if !__has_include("llama.h")
#error "llama.cpp's headers are not on the include path: run `make` (or `go run ./scripts/cgoflags`) once in the repository's root"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ref_engine ref_engine;

typedef struct {
    char text[1024];
} ref_error;

typedef struct {
    const char * model;    // path of a GGUF file
    const char * backends; // folder of libggml-cuda.so, or NULL for the CPU alone
    int32_t      kv_f32;   // KV cache of F32 instead of F16
    int32_t      flash_attn;
    int32_t      threads;
    int32_t      context;  // positions; 0 for the model's own
    int32_t      max_context; // limit on the model's own
} ref_config;

typedef struct {
    int32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab;
    int32_t rope_type; // enum llama_rope_type
    double  rope_freq_base, rms_eps;
} ref_hparams;

// How a tap is found in llama.cpp's graph.
enum ref_match {
    REF_BY_NAME,   // a node called `name`, of operation `op`
    REF_BY_WEIGHT, // a node of operation `op` whose first operand is the weight `name`
    REF_BY_CACHE,  // the cache tensor called `name`
};

// How the node's memory becomes the tap's row-major shape.
enum ref_layout {
    REF_WHOLE,   // as it is
    REF_CROPPED, // rows are padded: keep the first P+T columns
    REF_ROWS,    // keep the first P+T rows
};

typedef struct {
    int32_t      match;     // enum ref_match
    const char * name;      // printf pattern of one %d (the layer) when per_layer
    const char * op;        // ggml_op_name; empty for any
    int32_t      per_layer;
    int32_t      layout;    // enum ref_layout
} ref_rule;

typedef struct {
    const void * data;  // row-major; valid until the next call; NULL when this model has no such tensor
    size_t       bytes;
    int32_t      type;  // enum ggml_type
} ref_tensor;

// One tensor of a graph, as struct ggml_tensor has it.
typedef struct {
    char         name[64];
    const char * op;   // ggml_op_desc; NULL for a leaf
    const char * type; // ggml_type_name
    int64_t      ne[4], nb[4];
    int32_t      params[16];
    int32_t      n_src, src[10]; // numbers of its operands
    int32_t      view_of;        // number of the tensor whose memory it is, or -1
    int64_t      view_offset;
    int32_t      input;          // set by llama.cpp before the graph runs: positions, masks, rows
    const char * buffer;         // of a leaf with memory of its own: where it lies
    int64_t      buffer_offset, buffer_bytes;
} ref_node;

// Opening. Rules are indexed by the number Go gives a tap and must outlive the engine.
ref_engine * ref_open(const ref_config * config, const ref_rule * rules, int32_t n_rules, ref_error * err);
void         ref_close(ref_engine * e);
// ref_try_backend loads libggml-cuda.so of a folder and lets it go again, without a look at the GPU.
int          ref_try_backend(const char * folder, ref_error * err);

void         ref_get_hparams(const ref_engine * e, ref_hparams * out);
int32_t      ref_context(const ref_engine * e);
const char * ref_device(const ref_engine * e);
const char * ref_commit(void); // llama.cpp's commit as the module records it

// Text. Counts are exact: a negative answer is minus the room that is needed.
int32_t ref_tokenize(const ref_engine * e, const char * text, int32_t n_text, int32_t * out, int32_t n_out);
int32_t ref_detokenize(const ref_engine * e, const int32_t * tokens, int32_t n, char * out, int32_t n_out);
int32_t ref_is_eog(const ref_engine * e, int32_t token);

// Feeds n tokens at the current position, computing with at most the threads of ref_config. want is NULL for a run without capture, otherwise
// want[layer*n_rules + rule] says what to keep; taps that exist once per step are under layer 0.
int ref_step(ref_engine * e, const int32_t * tokens, int32_t n, int32_t threads, const uint8_t * want, ref_error * err);
// The last row of logits of the last step, n_vocab values.
const float * ref_logits(ref_engine * e);
// One tensor of the last step.
int ref_read(ref_engine * e, int32_t layer, int32_t rule, ref_tensor * out, ref_error * err);
void ref_reset(ref_engine * e);

// The graph. While described, steps with capture keep a copy of their graph and the contents of its inputs: ref_graph
// gives the copy, 0 nodes when the last step has none, ref_graph_input an input's contents.
void    ref_describe(ref_engine * e, int32_t on);
int32_t ref_graph(const ref_engine * e, const ref_node ** out);
int     ref_graph_input(ref_engine * e, int32_t node, ref_tensor * out, ref_error * err);

// ggml's own decoding of a block format, by ggml's name for it ("q4_K"). raw_bytes must be n elements' worth.
int ref_dequantize(const char * type, const void * raw, size_t raw_bytes, float * dst, int64_t n, ref_error * err);

// ggml's own encoding, without an importance matrix. raw_bytes must be n elements' worth.
int ref_quantize(const char * type, const float * src, int64_t n, void * raw, size_t raw_bytes, ref_error * err);

#ifdef __cplusplus
}
#endif

#endif
