// From ggml's memory to row-major arrays, after a step. On the CPU most taps are
// handed over where they lie; what is padded, strided or transposed is packed.
#include "engine.hpp"

#include "ggml-backend.h"

#include <algorithm>
#include <cstring>

namespace {

// stage widens the part of t's buffer that is to be copied to the host so that it covers t.
void stage(ref_engine * e, const ggml_tensor * t) {
    if (t == nullptr || ggml_backend_buffer_is_host(t->buffer)) {
        return;
    }
    const uint8_t * first = static_cast<const uint8_t *>(t->data);
    const uint8_t * last  = first + ggml_nbytes(t);
    auto s = std::find_if(e->stages.begin(), e->stages.end(), [t](const staged & s) { return s.buffer == t->buffer; });
    if (s == e->stages.end()) {
        s = e->stages.insert(s, staged{});
        s->buffer = t->buffer;
    }
    s->first = s->first == nullptr ? first : std::min(s->first, first);
    s->last  = std::max(s->last, last);
}

// fetch copies one staged range in a single transfer, through a tensor that spans it: hundreds of small copies
// out of a GPU take several times as long.
int fetch(const ref_engine * e, staged & s, ref_error * err) {
    const size_t size = s.last - s.first;
    if (size == 0) {
        return 0;
    }
    if (s.host == nullptr || ggml_backend_buffer_get_size(s.host) < size) {
        if (s.host != nullptr) {
            ggml_backend_buffer_free(s.host);
        }
        // Twice what is needed, so that what grows along the text is not allocated anew at every step.
        s.host = ggml_backend_buft_alloc_buffer(e->pinned, 2 * size);
        if (s.host == nullptr) {
            return set_error(err, "no host memory for the %zu bytes that are to be recorded of a step; record fewer --taps or --layers", size);
        }
    }
    ggml_context * ctx  = ggml_init({ 2 * ggml_tensor_overhead(), nullptr, /*no_alloc=*/true });
    ggml_tensor *  span = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, size);
    ggml_backend_tensor_alloc(s.buffer, span, const_cast<uint8_t *>(s.first));
    ggml_backend_tensor_get(span, ggml_backend_buffer_get_base(s.host), 0, size);
    ggml_free(ctx);
    return 0;
}

// pack copies the first n0 elements of the first n1 rows of every matrix of t, wherever its strides put them.
void pack(const uint8_t * data, const ggml_tensor * t, int64_t n0, int64_t n1, std::vector<uint8_t> & out) {
    const size_t size = ggml_type_size(t->type);
    out.resize(size * n0 * n1 * t->ne[2] * t->ne[3]);
    uint8_t * to = out.data();
    for (int64_t i3 = 0; i3 < t->ne[3]; i3++) {
        for (int64_t i2 = 0; i2 < t->ne[2]; i2++) {
            for (int64_t i1 = 0; i1 < n1; i1++) {
                const uint8_t * row = data + i3 * t->nb[3] + i2 * t->nb[2] + i1 * t->nb[1];
                if (t->nb[0] == size) {
                    memcpy(to, row, size * n0);
                    to += size * n0;
                    continue;
                }
                for (int64_t i0 = 0; i0 < n0; i0++, to += size) {
                    memcpy(to, row + i0 * t->nb[0], size);
                }
            }
        }
    }
}

// transpose turns [channels][capacity] into [positions][channels] for the first positions columns. Few channels at a
// time: their rows are a power of two apart, and all of them together would share the same few sets of the cache.
template <typename T>
void transpose(const uint8_t * data, int64_t channels, int64_t capacity, int64_t positions, std::vector<uint8_t> & out) {
    out.resize(sizeof(T) * channels * positions);
    const T * from = reinterpret_cast<const T *>(data);
    T *       to   = reinterpret_cast<T *>(out.data());
    constexpr int64_t block = 16;
    for (int64_t first = 0; first < channels; first += block) {
        const int64_t last = std::min(first + block, channels);
        for (int64_t p = 0; p < positions; p++) {
            for (int64_t c = first; c < last; c++) {
                to[p * channels + c] = from[c * capacity + p];
            }
        }
    }
}

// check_cells verifies that token i of the step went to cache row past+i, which is what makes the first P+T rows of
// the cache the positions in order. V without flash attention is written element by element, and the cell number of
// a token's first channel is the row.
int check_cells(const ref_engine * e, int32_t n, ref_error * err) {
    if (e->cells == nullptr) {
        return 0;
    }
    const int64_t * cells = reinterpret_cast<const int64_t *>(host_data(e, e->cells));
    const int64_t   each  = e->cells->ne[0] / n;
    for (int32_t i = 0; i < n; i++) {
        if (cells[i * each] != e->past + i) {
            return set_error(err, "llama.cpp wrote position %d to cache row %lld; the cache is not in order", e->past + i, (long long) cells[i * each]);
        }
    }
    return 0;
}

} // namespace

const uint8_t * host_data(const ref_engine * e, const ggml_tensor * t) {
    const uint8_t * data = static_cast<const uint8_t *>(t->data);
    for (const staged & s : e->stages) {
        if (s.buffer == t->buffer) {
            return static_cast<const uint8_t *>(ggml_backend_buffer_get_base(s.host)) + (data - s.first);
        }
    }
    return data;
}

int record_fetch(ref_engine * e, int32_t n, ref_error * err) {
    for (staged & s : e->stages) {
        s.first = s.last = nullptr;
    }
    stage(e, e->cells);
    for (const recorded & r : e->found) {
        stage(e, r.tensor);
    }
    for (const ggml_tensor * t : e->inputs) {
        if (e->describe && e->described && t != nullptr && t->buffer != nullptr) {
            stage(e, t);
        }
    }
    for (staged & s : e->stages) {
        if (fetch(e, s, err) != 0) {
            return -1;
        }
    }
    return check_cells(e, n, err);
}

int ref_read(ref_engine * e, int32_t layer, int32_t rule, ref_tensor * out, ref_error * err) {
    *out = {};
    const recorded & r = e->found[place(layer) * e->n_rules + rule];
    if (r.tensor == nullptr) {
        return 0;
    }
    const ggml_tensor * t    = r.tensor;
    const uint8_t *     data = host_data(e, t);
    const int32_t       kind = e->rules[rule].layout;
    const int64_t       n0   = kind == REF_CROPPED ? e->past : t->ne[0]; // past counts this step's tokens by now
    const int64_t       n1   = kind == REF_ROWS ? e->past : t->ne[1];
    if (n0 > t->ne[0] || n1 > t->ne[1]) {
        return set_error(err, "%s holds [%lld,%lld], fewer than the %d positions so far", t->name, (long long) t->ne[1], (long long) t->ne[0], e->past);
    }

    out->type = t->type;
    if (r.transposed) {
        const int64_t channels = t->ne[0], capacity = t->ne[1];
        switch (ggml_type_size(t->type)) {
            case 2: transpose<uint16_t>(data, channels, capacity, n1, e->scratch); break;
            case 4: transpose<uint32_t>(data, channels, capacity, n1, e->scratch); break;
            default: return set_error(err, "%s is of type %s; a cache is f16 or f32", t->name, ggml_type_name(t->type));
        }
    } else if (ggml_is_contiguous(t) && n0 == t->ne[0] && (n1 == t->ne[1] || t->ne[2] * t->ne[3] == 1)) {
        out->data  = data; // already as it should be
        out->bytes = t->nb[1] * n1 * t->ne[2] * t->ne[3];
        return 0;
    } else {
        pack(data, t, n0, n1, e->scratch);
    }
    out->data  = e->scratch.data();
    out->bytes = e->scratch.size();
    return 0;
}
