// The GPU backend. ggml-cuda is no part of this program: it is a library that
// `make reference-cuda` builds from the same module (reference/llamacpp/backend.go
// says where it lies) and that is loaded here, so that the program builds and
// runs where there is neither a GPU nor CUDA.
//
// The library brings its own copy of ggml's base, libggml-base.so, because this
// program exports none of its symbols. Two copies of the same code get along:
// tensors, graphs and buffers are plain structs whose functions travel with them.
// Only the log is a global of each copy.
#include "engine.hpp"

#include "ggml-backend.h"

#include <dlfcn.h>

namespace {

const char * reason() {
    const char * why = dlerror();
    return why != nullptr ? why : "the loader gives no reason";
}

// open_library loads the library and the libraries it needs, and hands out what is called before ggml knows it.
void * open_library(const std::string & path, ref_error * err) {
    void * library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        set_error(err, "cannot load ggml's CUDA backend: %s; run make reference-cuda on this machine, or name the folder of what is missing in LD_LIBRARY_PATH",
                  reason());
    }
    return library;
}

} // namespace

ggml_backend_dev_t load_gpu(const char * folder, ref_error * err) {
    const std::string path = std::string(folder) + "/libggml-cuda.so";
    void * library = open_library(path, err);
    if (library == nullptr) {
        return nullptr;
    }
    // Found in libggml-base.so, which dlsym searches after the library that needs it.
    auto set_log = reinterpret_cast<decltype(&ggml_log_set)>(dlsym(library, "ggml_log_set"));
    if (set_log != nullptr) {
        set_log(log_take, nullptr);
    }
    ggml_backend_reg_t backend = ggml_backend_load(path.c_str()); // opens the same library once more, which stays for good
    dlclose(library);
    if (backend == nullptr) {
        set_error(err, "%s is not a backend of this llama.cpp: %s; run make reference-cuda again", path.c_str(), log_reason().c_str());
        return nullptr;
    }
    if (ggml_backend_reg_dev_count(backend) == 0) {
        set_error(err, "%s finds no GPU: %s; check nvidia-smi and CUDA_VISIBLE_DEVICES", path.c_str(), log_reason().c_str());
        return nullptr;
    }
    return ggml_backend_reg_dev_get(backend, 0); // one GPU: a split model would be another reference
}

int ref_try_backend(const char * folder, ref_error * err) {
    const std::string path = std::string(folder) + "/libggml-cuda.so";
    void * library = open_library(path, err);
    if (library == nullptr) {
        return -1;
    }
    const bool backend = dlsym(library, "ggml_backend_init") != nullptr; // and it stays: CUDA's libraries do not like to leave
    return backend ? 0 : set_error(err, "%s has no ggml_backend_init: it is no backend of ggml; run make reference-cuda again", path.c_str());
}
