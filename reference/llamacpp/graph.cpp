// The graph of a step as data: what llama.cpp is about to compute, in execution order, for the trace's notes. It is
// copied before ggml splits the graph over backends, which replaces operands by copies, and before the step runs.
#include "engine.hpp"

#include "ggml-backend.h"

#include <cstring>
#include <unordered_map>

namespace {

// lister copies tensors and numbers them, operands first: each comes before what reads it.
struct lister {
    ref_engine *                               e;
    std::unordered_map<ggml_tensor *, int32_t> numbers;

    int32_t number(ggml_tensor * t) {
        auto known = numbers.find(t);
        return known != numbers.end() ? known->second : add(t);
    }

    int32_t add(ggml_tensor * t) {
        ref_node node = {};
        snprintf(node.name, sizeof node.name, "%s", t->name);
        node.op   = t->op == GGML_OP_NONE ? nullptr : ggml_op_desc(t);
        node.type = ggml_type_name(t->type);
        for (int i = 0; i < 4; i++) {
            node.ne[i] = t->ne[i];
            node.nb[i] = t->nb[i];
        }
        memcpy(node.params, t->op_params, sizeof node.params);
        node.n_src = 0;
        for (int i = 0; i < GGML_MAX_SRC && t->src[i] != nullptr; i++) {
            if (t->src[i] != t) { // ggml_cast has its result as an operand
                node.src[node.n_src++] = number(t->src[i]);
            }
        }
        node.view_of     = t->view_src != nullptr ? number(t->view_src) : -1;
        node.view_offset = t->view_offs;
        if (t->op == GGML_OP_NONE && t->buffer != nullptr) {
            node.buffer        = ggml_backend_buffer_name(t->buffer);
            node.buffer_bytes  = ggml_backend_buffer_get_size(t->buffer);
            node.buffer_offset = static_cast<const uint8_t *>(t->data) - static_cast<const uint8_t *>(ggml_backend_buffer_get_base(t->buffer));
        }
        node.input = t->op == GGML_OP_NONE && (t->flags & GGML_TENSOR_FLAG_INPUT) != 0;
        const int32_t n = int32_t(e->nodes.size());
        numbers[t] = n;
        e->nodes.push_back(node);
        e->inputs.push_back(node.input ? t : nullptr);
        if (node.input) {
            ggml_set_output(t); // or its memory serves again once it was read
        }
        return n;
    }
};

} // namespace

void graph_describe(ref_engine * e, ggml_cgraph * graph) {
    e->nodes.clear();
    e->inputs.clear();
    lister list{ e, {} };
    for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
        list.number(ggml_graph_node(graph, i));
    }
    e->described = true;
}

void ref_describe(ref_engine * e, int32_t on) { e->describe = on != 0; }

int32_t ref_graph(const ref_engine * e, const ref_node ** out) {
    *out = e->nodes.data();
    return e->described ? int32_t(e->nodes.size()) : 0;
}

int ref_graph_input(ref_engine * e, int32_t node, ref_tensor * out, ref_error * err) {
    *out = {};
    const ggml_tensor * t = e->inputs[node];
    if (t == nullptr || t->data == nullptr) {
        return 0; // an input that this graph does not read is not allocated
    }
    if (!ggml_is_contiguous(t)) {
        return set_error(err, "input %s is not contiguous", t->name);
    }
    out->data  = host_data(e, t);
    out->bytes = ggml_nbytes(t);
    out->type  = t->type;
    return 0;
}
