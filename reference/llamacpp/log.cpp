// llama.cpp's and ggml's log. Both are chatty at load time and say the reason of
// a failure only there, so the first error line is kept for the caller's error
// and the rest is dropped: a child process's stderr is for what went wrong. The
// first is the one that names the cause; those after it say that, therefore, the
// model was not loaded.
#include "engine.hpp"

#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace {

// The log is global to the process in llama.cpp, and so it is here. Its calls come from worker threads too.
std::mutex  mutex;
std::string first_error;
bool        continues = false; // the next GGML_LOG_LEVEL_CONT belongs to first_error

} // namespace

void log_take(ggml_log_level level, const char * text, void *) {
    std::lock_guard<std::mutex> lock(mutex);
    if (level == GGML_LOG_LEVEL_CONT && continues) {
        first_error += text;
        return;
    }
    continues = level == GGML_LOG_LEVEL_ERROR && first_error.empty();
    if (continues) {
        first_error = text;
    }
}

void log_begin() {
    {
        std::lock_guard<std::mutex> lock(mutex);
        first_error.clear();
        continues = false;
    }
    // ollama's ggml Go package installs a sink of its own when the program starts; this replaces it, in ggml as well.
    llama_log_set(log_take, nullptr);
}

std::string log_reason() {
    std::lock_guard<std::mutex> lock(mutex);
    const size_t end = first_error.find('\n');
    return first_error.empty() ? "its log gave no reason" : first_error.substr(0, end);
}

int set_error(ref_error * err, const char * format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return -1;
}
