// Opening a model, running a step, and text. Recording is in record.cpp.
#include "engine.hpp"

#include "ggml-cpu.h"
#include "llama-model.h" // hyperparameters with llama.cpp's own defaults filled in; the public API lacks half of them

#include <algorithm>
#include <cstring>

namespace build_info {
#include "build-info.cpp" // the module's record of llama.cpp's commit
}

namespace {

std::string describe_cpu() {
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    return cpu ? ggml_backend_dev_description(cpu) : "CPU";
}

llama_context * make_context(llama_model * model, const ref_config * config, int32_t context) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx           = context;
    params.n_batch         = context; // one graph per step, however long the prompt
    params.n_ubatch        = context;
    params.n_seq_max       = 1;
    params.n_threads       = config->threads;
    params.n_threads_batch = config->threads;
    params.flash_attn_type = config->flash_attn ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.type_k          = config->kv_f32 ? GGML_TYPE_F32 : GGML_TYPE_F16;
    params.type_v          = params.type_k;
    params.no_perf         = true;
    return llama_init_from_model(model, params);
}

int open_model(ref_engine * e, const ref_config * config, ref_error * err) {
    // The devices to offload to, up to a null pointer: the GPU, or none at all even when a backend is loaded.
    ggml_backend_dev_t devices[2] = { nullptr, nullptr };
    if (config->backends != nullptr && (devices[0] = load_gpu(config->backends, err)) == nullptr) {
        return -1;
    }
    e->on_gpu = devices[0] != nullptr;

    llama_model_params params = llama_model_default_params();
    params.devices      = devices;
    params.n_gpu_layers = e->on_gpu ? 999 : 0;
    e->model = llama_model_load_from_file(config->model, params);
    if (e->model == nullptr) {
        return set_error(err, "llama.cpp cannot load %s: %s", config->model, log_reason().c_str());
    }
    if (e->model->arch != LLM_ARCH_QWEN2) {
        return set_error(err, "%s is of architecture %s; only qwen2 is understood", config->model, llm_arch_name(e->model->arch));
    }
    e->vocab   = llama_model_get_vocab(e->model);
    e->n_layer = llama_model_n_layer(e->model);
    e->pinned  = e->on_gpu ? ggml_backend_dev_host_buffer_type(devices[0]) : nullptr;
    e->device  = e->on_gpu ? ggml_backend_dev_description(devices[0]) : describe_cpu();
    return 0;
}

// attach_pool gives the context threads that live as long as it does; without, ggml starts and joins a set of
// threads for every graph. poll = 0 lets them sleep between graphs instead of spinning for work: see threads.go.
int attach_pool(ref_engine * e, int32_t threads, ref_error * err) {
    ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    params.poll = 0;
    e->pool = ggml_threadpool_new(&params);
    if (e->pool == nullptr) {
        return set_error(err, "cannot start %d threads", threads);
    }
    llama_attach_threadpool(e->ctx, e->pool, e->pool);
    return 0;
}

int open(ref_engine * e, const ref_config * config, ref_error * err) {
    if (open_model(e, config, err) != 0) {
        return -1;
    }
    e->context = config->context;
    const int32_t trained = llama_model_n_ctx_train(e->model);
    if (e->context == 0) {
        e->context = std::min(trained, config->max_context);
    } else if (e->context > trained) {
        return set_error(err, "a context of %d positions is more than the %d that %s was trained on", e->context, trained, config->model);
    }
    e->ctx = make_context(e->model, config, e->context);
    if (e->ctx == nullptr) {
        return set_error(err, "llama.cpp cannot make a context of %d positions: %s", e->context, log_reason().c_str());
    }
    record_open(e);
    return attach_pool(e, config->threads, err);
}

} // namespace

ref_engine * ref_open(const ref_config * config, const ref_rule * rules, int32_t n_rules, ref_error * err) {
    log_begin();
    llama_backend_init();
    auto e = std::make_unique<ref_engine>();
    e->rules   = rules;
    e->n_rules = n_rules;
    try {
        if (open(e.get(), config, err) == 0) {
            return e.release();
        }
    } catch (const std::exception & ex) {
        set_error(err, "llama.cpp: %s", ex.what());
    }
    ref_close(e.release());
    return nullptr;
}

void ref_close(ref_engine * e) {
    // Freeing a context after a CUDA run crashes inside the backend; a child process that is about to exit lets it be.
    if (!e->on_gpu) {
        if (e->ctx != nullptr) {
            llama_free(e->ctx);
        }
        if (e->pool != nullptr) {
            ggml_threadpool_free(e->pool);
        }
        if (e->model != nullptr) {
            llama_model_free(e->model);
        }
        if (e->extra != nullptr) {
            ggml_free(e->extra);
        }
    }
    delete e;
}

void ref_get_hparams(const ref_engine * e, ref_hparams * out) {
    const llama_hparams & h = e->model->hparams;
    out->n_layer        = h.n_layer;
    out->n_embd         = h.n_embd;
    out->n_head         = h.n_head(0);
    out->n_head_kv      = h.n_head_kv(0);
    out->head_dim       = h.n_embd_head_k;
    out->n_ff           = h.n_ff(0);
    out->n_vocab        = llama_vocab_n_tokens(e->vocab);
    out->rope_type      = llama_model_rope_type(e->model);
    out->rope_freq_base = h.rope_freq_base_train;
    out->rms_eps        = h.f_norm_rms_eps;
}

int32_t ref_context(const ref_engine * e) { return e->context; }

const char * ref_device(const ref_engine * e) { return e->device.c_str(); }

const char * ref_commit(void) { return build_info::LLAMA_COMMIT; }

int32_t ref_tokenize(const ref_engine * e, const char * text, int32_t n_text, int32_t * out, int32_t n_out) {
    // add_special means "as the model says": qwen2 models add neither a first nor a last token.
    return llama_tokenize(e->vocab, text, n_text, out, n_out, /*add_special=*/true, /*parse_special=*/true);
}

int32_t ref_detokenize(const ref_engine * e, const int32_t * tokens, int32_t n, char * out, int32_t n_out) {
    return llama_detokenize(e->vocab, tokens, n, out, n_out, /*remove_special=*/false, /*unparse_special=*/true);
}

int32_t ref_is_eog(const ref_engine * e, int32_t token) { return llama_vocab_is_eog(e->vocab, token); }

int ref_step(ref_engine * e, const int32_t * tokens, int32_t n, int32_t threads, const uint8_t * want, ref_error * err) {
    log_begin();
    e->capture = want != nullptr;
    if (e->capture) {
        e->want.assign(want, want + size_t(e->n_layer) * e->n_rules);
    }
    llama_set_n_threads(e->ctx, threads, threads);
    llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int32_t i = 0; i < n; i++) {
        batch.token[i]     = tokens[i];
        batch.pos[i]       = e->past + i;
        batch.n_seq_id[i]  = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i]    = 1; // every row, or the last layer is pruned to the rows that are asked for
    }
    int status = -1;
    try {
        recording now(e);
        status = llama_decode(e->ctx, batch);
        llama_synchronize(e->ctx);
    } catch (const std::exception & ex) {
        llama_batch_free(batch);
        return set_error(err, "llama.cpp: %s", ex.what());
    }
    llama_batch_free(batch);
    if (status != 0) {
        return set_error(err, "llama_decode of %d tokens at position %d returned %d: %s", n, e->past, status, log_reason().c_str());
    }
    if (e->capture && record_fetch(e, n, err) != 0) {
        return -1;
    }
    e->past += n;
    return 0;
}

const float * ref_logits(ref_engine * e) { return llama_get_logits_ith(e->ctx, -1); }

void ref_reset(ref_engine * e) {
    llama_memory_clear(llama_get_memory(e->ctx), /*data=*/true);
    e->past = 0;
}

// type_named finds a tensor type by ggml's name for it; GGML_TYPE_COUNT for none.
static ggml_type type_named(const char * name) {
    for (int i = 0; i < GGML_TYPE_COUNT; i++) {
        const char * own = ggml_get_type_traits(ggml_type(i))->type_name;
        if (own != nullptr && strcasecmp(own, name) == 0) {
            return ggml_type(i);
        }
    }
    return GGML_TYPE_COUNT;
}

// sized checks that so many bytes hold so many elements.
static bool sized(ggml_type t, int64_t n, size_t raw_bytes) {
    return n % ggml_blck_size(t) == 0 && ggml_row_size(t, n) == raw_bytes;
}

int ref_dequantize(const char * type, const void * raw, size_t raw_bytes, float * dst, int64_t n, ref_error * err) {
    const ggml_type t = type_named(type);
    if (t == GGML_TYPE_COUNT) {
        return set_error(err, "ggml knows no tensor type %s", type);
    }
    const auto to_float = ggml_get_type_traits(t)->to_float;
    if (to_float == nullptr) {
        return set_error(err, "ggml has no conversion of %s to float", type);
    }
    if (!sized(t, n, raw_bytes)) {
        return set_error(err, "%zu bytes of %s are not %lld elements", raw_bytes, type, (long long) n);
    }
    to_float(raw, dst, n);
    return 0;
}

int ref_quantize(const char * type, const float * src, int64_t n, void * raw, size_t raw_bytes, ref_error * err) {
    const ggml_type t = type_named(type);
    if (t == GGML_TYPE_COUNT) {
        return set_error(err, "ggml knows no tensor type %s", type);
    }
    if (!ggml_is_quantized(t) || ggml_get_type_traits(t)->from_float_ref == nullptr || ggml_quantize_requires_imatrix(t)) {
        return set_error(err, "ggml does not quantise to %s from values alone", type);
    }
    if (!sized(t, n, raw_bytes)) {
        return set_error(err, "%zu bytes of %s are not %lld elements", raw_bytes, type, (long long) n);
    }
    ggml_quantize_chunk(t, src, raw, 0, 1, n, nullptr);
    return 0;
}
