// llama.cpp's and ggml's log. Both are chatty at load time and say the reason of
// a failure only there, so error lines are kept for the caller's error and the
// rest is dropped: a child process's stderr is for what went wrong.
#include "engine.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace {

// The log is global to the process in llama.cpp, and so it is here. Its calls come from worker threads too.
std::mutex               mutex;
std::vector<std::string> lines;
bool                     open_line = false; // the last kept line has not seen its newline

constexpr size_t max_lines = 8;

void keep(ggml_log_level level, const char * text, void *) {
    std::lock_guard<std::mutex> lock(mutex);
    const bool more = level == GGML_LOG_LEVEL_CONT && open_line;
    if (level != GGML_LOG_LEVEL_ERROR && !more) {
        open_line = false;
        return;
    }
    if (more) {
        lines.back() += text;
    } else if (lines.size() < max_lines) {
        lines.emplace_back(text);
    } else {
        return;
    }
    open_line = lines.back().empty() || lines.back().back() != '\n';
}

} // namespace

void log_begin() {
    {
        std::lock_guard<std::mutex> lock(mutex);
        lines.clear();
        open_line = false;
    }
    // ollama's ggml Go package installs a sink of its own when the program starts; this replaces it, in ggml as well.
    llama_log_set(keep, nullptr);
}

std::string log_errors() {
    std::lock_guard<std::mutex> lock(mutex);
    std::string all;
    for (std::string line : lines) {
        std::replace(line.begin(), line.end(), '\n', ' ');
        while (!line.empty() && line.back() == ' ') {
            line.pop_back();
        }
        if (line.empty()) {
            continue;
        }
        if (!all.empty()) {
            all += "; ";
        }
        all += line;
    }
    return all.empty() ? "llama.cpp gave no reason" : all;
}

int set_error(ref_error * err, const char * format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return -1;
}
