// What the bridge's C++ files share. Go never sees this.
#pragma once

#include "bridge.h"

#include "ggml-backend.h"
#include "llama.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

// A place says which layer and rule a name in the graph may stand for: layer*n_rules + rule.
using place = size_t;

// recorded is one tensor the present graph keeps.
struct recorded {
    ggml_tensor * tensor     = nullptr;
    bool          transposed = false; // a V cache of [channel][position], as llama.cpp has it without flash attention
};

// staged is a host copy of the part of one device buffer that recorded tensors lie in. It serves every step.
struct staged {
    ggml_backend_buffer_t buffer = nullptr;
    const uint8_t *       first  = nullptr; // device addresses [first, last); none in a step that needs none
    const uint8_t *       last   = nullptr;
    ggml_backend_buffer_t host   = nullptr;
};

struct ref_engine {
    llama_model *            model = nullptr;
    llama_context *          ctx   = nullptr;
    const llama_vocab *      vocab = nullptr;
    struct ggml_threadpool * pool  = nullptr;

    std::string device;
    bool        on_gpu  = false;
    ggml_backend_buffer_type_t pinned = nullptr; // host memory that the GPU copies to directly, several times as fast
    int32_t     context = 0; // positions this engine accepts
    int32_t     past    = 0; // tokens in the cache

    const ref_rule *                            rules   = nullptr;
    int32_t                                     n_rules = 0;
    int32_t                                     n_layer = 0;
    std::unordered_multimap<std::string, place> places; // by tensor name

    // Recording. want is what this step asks for and kept what the present graph was built to keep; these and
    // found are indexed by place. kept is empty for a graph without capture.
    bool                  capture = false;
    std::vector<uint8_t>  want;
    std::vector<uint8_t>  kept;
    std::vector<recorded> found;
    ggml_tensor *         cells   = nullptr; // I64 input: the cache rows this step's tokens are written to
    ggml_context *        extra   = nullptr; // holds the nodes that force a new memory plan
    uint32_t              n_plans = 0;
    std::vector<staged>   stages;
    std::vector<uint8_t>  scratch;

    // The graph as data. describe is what the next steps are asked for, described what the present graph was built with.
    bool                       describe  = false;
    bool                       described = false;
    std::vector<ref_node>      nodes;
    std::vector<ggml_tensor *> inputs; // by node; nullptr for what is no input
};

// set_error formats one line into err and returns -1.
int set_error(ref_error * err, const char * format, ...) __attribute__((format(printf, 2, 3)));

// log_begin points llama.cpp's and ggml's log at the bridge and forgets the last error.
void log_begin();
// log_take is the sink itself, for a copy of ggml that has a log of its own.
void log_take(ggml_log_level level, const char * text, void * unused);
// log_reason returns the first error line since log_begin.
std::string log_reason();

// load_gpu loads libggml-cuda.so from a folder and returns the first GPU, or nullptr with the reason in err.
ggml_backend_dev_t load_gpu(const char * folder, ref_error * err);

// record_open fills e->places from the rules; it needs the number of layers.
void record_open(ref_engine * e);
// record_fetch runs after a step of n tokens with capture: it checks where the cache was written and brings what lies in device memory to the host.
int record_fetch(ref_engine * e, int32_t n, ref_error * err);

// host_data returns where t's elements can be read, once fetched.
const uint8_t * host_data(const ref_engine * e, const ggml_tensor * t);
// graph_describe copies a graph that is about to run to e->nodes and has its inputs survive the step.
void graph_describe(ref_engine * e, ggml_cgraph * graph);

// recording marks e as the engine whose step is running on this thread, while it lives.
struct recording {
    explicit recording(ref_engine * e);
    ~recording();
    recording(const recording &) = delete;
    recording & operator=(const recording &) = delete;
};
