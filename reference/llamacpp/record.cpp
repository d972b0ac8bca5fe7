// Which tensors survive a step. Nodes that are wanted are marked as graph
// outputs before ggml plans the graph's memory, so that their contents are
// still there when the step is done; readout.cpp then reads them where they
// lie. llama.cpp's cb_eval callback would do as well, but it computes the graph
// in as many pieces as there are taps with a synchronisation after each, which
// on a GPU costs eight times the computation.
//
// A marked node is computed by itself: ggml-cuda fuses none into the next. That
// changes what it computes in one place, decoding: its fused product of gate and
// up (ggml_cuda_mul_mat_vec_f with a gate) sums in f32, since it takes SWIGLU's
// number for a precision, and the two products by themselves sum in f16. Logits of
// recorded and plain steps on a GPU differ by that rounding, and a note says so.
//
// Two functions are intercepted with the linker's --wrap (see engine.go):
//
//   ggml_backend_sched_alloc_graph   called by llama_context::process_ubatch
//       between building a graph and computing it. The nodes are marked here.
//   llm_graph_result::can_reuse      says whether the last graph serves again. It
//       does not when this step records other tensors than that graph keeps.
#include "engine.hpp"

#include "ggml-backend.h"

#include <cstdio>
#include <cstring>

namespace {

thread_local ref_engine * current = nullptr;

ggml_tensor * root(ggml_tensor * t) { return t->view_src != nullptr ? t->view_src : t; }

// label returns the name a rule of that kind goes by at this node, or nullptr when it cannot apply.
const char * label(const ref_rule & rule, ggml_tensor * node) {
    if (rule.match == REF_BY_CACHE) {
        // ggml_set_rows(cache, values, cells) is the write; its result is a view of the cache tensor
        return node->op == GGML_OP_SET_ROWS ? root(node)->name : nullptr;
    }
    if (rule.op[0] != 0 && strcmp(ggml_op_name(node->op), rule.op) != 0) {
        return nullptr;
    }
    return rule.match == REF_BY_WEIGHT ? node->src[0]->name : node->name;
}

// keep makes a tensor survive the step.
void keep(ref_engine * e, place at, ggml_tensor * node) {
    if (e->rules[at % e->n_rules].match != REF_BY_CACHE) {
        ggml_set_output(root(node));
        e->found[at] = { node, false };
        return;
    }
    // A cache has a buffer of its own and needs no mark. Without flash attention V is written element by element, into
    // [channel][position]. The input that says which rows were written must survive too.
    const bool transposed = node->src[2]->ne[0] == 1 && root(node)->ne[0] != 1;
    e->found[at] = { root(node), transposed };
    e->cells = node->src[1];
    ggml_set_output(root(e->cells));
}

// keep_matching keeps node for every wanted tap that goes by the name.
void keep_matching(ref_engine * e, ggml_tensor * node, const char * name) {
    auto range = e->places.equal_range(name);
    for (auto it = range.first; it != range.second; ++it) {
        const char * by = label(e->rules[it->second % e->n_rules], node);
        if (e->want[it->second] && by != nullptr && strcmp(by, name) == 0) {
            keep(e, it->second, node);
        }
    }
}

// force_plan appends nodes without effect. ggml keeps its memory plan as long as the number of nodes and their
// sizes stay, whatever their flags, and llama.cpp makes a plan for a graph without marks when it opens a context:
// without these the marked tensors would be overwritten while the graph runs. Alternating between one and two of
// them makes every marked graph differ from the one before.
void force_plan(ref_engine * e, ggml_cgraph * graph) {
    if (e->extra != nullptr) {
        ggml_free(e->extra);
    }
    e->extra = ggml_init({ /*mem_size=*/4 * ggml_tensor_overhead(), /*mem_buffer=*/nullptr, /*no_alloc=*/true });
    ggml_tensor * last = ggml_graph_node(graph, -1);
    for (uint32_t i = 0; i < 1 + e->n_plans % 2; i++) {
        ggml_build_forward_expand(graph, ggml_view_1d(e->extra, last, 1, 0));
    }
    e->n_plans++;
}

// prepare marks a newly built graph for what the running step wants.
void prepare(ref_engine * e, ggml_cgraph * graph) {
    e->found.assign(size_t(e->n_layer) * e->n_rules, {});
    e->cells = nullptr;
    e->kept.clear();
    e->described = false;
    if (!e->capture) {
        return;
    }
    if (e->describe) {
        graph_describe(e, graph);
    }
    e->kept = e->want;
    for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
        ggml_tensor * node = ggml_graph_node(graph, i);
        keep_matching(e, node, node->name);
        if (node->op == GGML_OP_SET_ROWS) {
            keep_matching(e, node, root(node)->name);
        } else if (node->src[0] != nullptr) {
            keep_matching(e, node, node->src[0]->name);
        }
    }
    force_plan(e, graph);
}

} // namespace

void record_open(ref_engine * e) {
    for (int32_t rule = 0; rule < e->n_rules; rule++) {
        const int32_t layers = e->rules[rule].per_layer ? e->n_layer : 1;
        for (int32_t layer = 0; layer < layers; layer++) {
            char name[GGML_MAX_NAME];
            snprintf(name, sizeof name, e->rules[rule].name, layer);
            e->places.emplace(name, place(layer) * e->n_rules + rule);
        }
    }
}

recording::recording(ref_engine * e) { current = e; }
recording::~recording() { current = nullptr; }

extern "C" {

bool __real_ggml_backend_sched_alloc_graph(ggml_backend_sched_t sched, ggml_cgraph * graph);

bool __wrap_ggml_backend_sched_alloc_graph(ggml_backend_sched_t sched, ggml_cgraph * graph) {
    if (current != nullptr) {
        prepare(current, graph);
    }
    return __real_ggml_backend_sched_alloc_graph(sched, graph);
}

// bool llm_graph_result::can_reuse(const llm_graph_params &), spelled as the C++ ABI passes it
bool __real__ZN16llm_graph_result9can_reuseERK16llm_graph_params(void * self, const void * params);

bool __wrap__ZN16llm_graph_result9can_reuseERK16llm_graph_params(void * self, const void * params) {
    if (current != nullptr) {
        const bool same = current->capture ? current->kept == current->want : current->kept.empty();
        if (!same || current->describe && !current->described) {
            return false;
        }
    }
    return __real__ZN16llm_graph_result9can_reuseERK16llm_graph_params(self, params);
}

} // extern "C"
