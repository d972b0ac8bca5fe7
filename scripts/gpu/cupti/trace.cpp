// Records every kernel that a program runs on the GPU, by CUPTI's activity API.
//
// The CUDA driver loads this library into the program when CUDA_INJECTION64_PATH
// names it. Kernels are written, in the order they began, to the file that
// ATTNDIFF_KERNELS names with the process's number after it, one JSON object a
// line:
//
//     {"start": ns, "us": microseconds, "grid": [x,y,z], "block": [x,y,z],
//      "shared": bytes, "kernel": "name"}
//
// Build: g++ -shared -fPIC -DKERNEL=CUpti_ActivityKernel9 -o trace.so trace.cpp -lcupti
// with the newest record that the header has (kernels.py does).
#include <cupti.h>

#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

constexpr size_t BUFFER_BYTES = 256 * 1024;

FILE *    out;
std::mutex writing;

// plain returns a kernel's name with its template arguments and without its parameters, quoted for JSON.
std::string plain(const char * mangled) {
    int status = 0;
    char * text = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
    std::string name = status == 0 ? text : mangled;
    free(text);
    int depth = 0;
    const size_t first = name.find("(anonymous namespace)::") == std::string::npos ? 0 : name.find("(anonymous namespace)::") + 23;
    for (size_t i = first; i < name.size(); i++) {
        depth += (name[i] == '<') - (name[i] == '>');
        if (name[i] == '(' && depth == 0) {
            name.resize(i);
        }
    }
    if (name.rfind("void ", 0) == 0) {
        name.erase(0, 5);
    }
    std::string quoted;
    for (char c : name) {
        if (c < ' ' || c > '~') { // of a kernel whose code was unloaded before its record was read
            c = '?';
        }
        if (c == '"' || c == '\\') {
            quoted += '\\';
        }
        quoted += c;
    }
    return quoted;
}

void CUPTIAPI requested(uint8_t ** buffer, size_t * size, size_t * records) {
    *size    = BUFFER_BYTES;
    *buffer  = static_cast<uint8_t *>(aligned_alloc(8, BUFFER_BYTES));
    *records = 0;
}

void CUPTIAPI completed(CUcontext, uint32_t, uint8_t * buffer, size_t, size_t valid) {
    std::lock_guard<std::mutex> lock(writing);
    CUpti_Activity * record = nullptr;
    while (valid > 0 && cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
        if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL && record->kind != CUPTI_ACTIVITY_KIND_KERNEL) {
            continue;
        }
        const auto * k = reinterpret_cast<const KERNEL *>(record);
        fprintf(out, "{\"start\":%llu,\"us\":%.3f,\"grid\":[%d,%d,%d],\"block\":[%d,%d,%d],\"shared\":%d,\"kernel\":\"%s\"}\n",
                (unsigned long long) k->start, double(k->end - k->start) / 1e3, k->gridX, k->gridY, k->gridZ, k->blockX, k->blockY, k->blockZ,
                k->staticSharedMemory + k->dynamicSharedMemory, plain(k->name).c_str());
    }
    fflush(out);
    free(buffer);
}

// A program may leave without running what is to run at its end, so what is complete is written all the time.
void keep_writing() {
    for (;;) {
        usleep(5000);
        cuptiActivityFlushAll(0);
    }
}

void must(CUptiResult status, const char * what) {
    if (status != CUPTI_SUCCESS) {
        const char * text = nullptr;
        cuptiGetResultString(status, &text);
        fprintf(stderr, "trace: %s: %s\n", what, text != nullptr ? text : "unknown");
    }
}

} // namespace

// InitializeInjection is what the driver calls in a library it was told to inject.
extern "C" int InitializeInjection(void) {
    const char * path = getenv("ATTNDIFF_KERNELS");
    if (path == nullptr) {
        return 1;
    }
    out = fopen((std::string(path) + "." + std::to_string(getpid())).c_str(), "w");
    if (out == nullptr) {
        perror("trace: ATTNDIFF_KERNELS");
        return 1;
    }
    must(cuptiActivityRegisterCallbacks(requested, completed), "register");
    must(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "enable");
    std::thread(keep_writing).detach();
    atexit([] { cuptiActivityFlushAll(1); });
    return 1;
}
