#!/usr/bin/env bash
# Builds the attention benchmark for the GPU of this machine and runs it:
#
#     scripts/gpu/attention-bench.sh OUT.json [--sweep]
#
# Nothing else may use the GPU meanwhile. Needs nvcc. Where libggml-cuda.so is built (scripts/reference-cuda.sh) and the
# sources it was built from are at hand (bin/llama-cuda-sources.tar.gz, or Go's
# module cache) llama.cpp's flash attention is measured beside ours; else, and
# when that part does not build, ours and copy bandwidth alone, and a line says so.
set -euo pipefail
if [ $# -lt 1 ] || [ $# -gt 2 ] || { [ $# -eq 2 ] && [ "$2" != --sweep ]; }; then
    echo "usage: scripts/gpu/attention-bench.sh OUT.json [--sweep]" >&2
    exit 2
fi
out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/local/cuda/bin
command -v nvcc >/dev/null || {
    echo "attention-bench: no nvcc; install the CUDA toolkit, or put its bin folder on PATH" >&2
    exit 2
}
arch=${CUDA_ARCH:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() { nvcc -O3 -std=c++17 -arch="sm_$arch" -cudart shared "$@"; }

# ggml finds the folder of ggml's sources, or fails.
ggml() {
    local archive=bin/llama-cuda-sources.tar.gz
    if [ -f "$archive" ]; then
        tar -xf "$archive" -C "$work" ml/backend/ggml/ggml
        echo "$work/ml/backend/ggml/ggml"
    else
        echo "$(go list -m -f '{{.Dir}}' github.com/ollama/ollama)/ml/backend/ggml/ggml"
    fi
}

# llama builds llama.cpp's half and links both; it needs the library's folder.
llama() {
    local sources
    sources=$(ggml) && build -c -o "$work/llama.o" -I"$sources/include" -I"$sources/src" -I"$sources/src/ggml-cuda" scripts/gpu/attention_llama.cu &&
        build -DWITH_LLAMA -c -o "$work/bench.o" scripts/gpu/attention_bench.cu &&
        build -o "$work/attention_bench" "$work/bench.o" "$work/llama.o" "$1/libggml-cuda.so" "$1/libggml-base.so" -Xlinker -rpath -Xlinker "$1"
}

libraries=$(find "${XDG_CACHE_HOME:-$HOME/.cache}/attndiff/llama.cpp-cuda" -name libggml-cuda.so -printf '%h\n' 2>/dev/null | sort | head -n 1)
if [ -z "$libraries" ]; then
    echo "attention-bench: no libggml-cuda.so, so llama.cpp is not measured; build it with scripts/reference-cuda.sh" >&2
elif ! llama "$libraries" >"$work/log" 2>&1; then
    tail -n 12 "$work/log" >&2
    echo "attention-bench: llama.cpp's half does not build, so llama.cpp is not measured" >&2
fi
run() { "$work/attention_bench" "$@" --out "$work/attention.json"; }

# A llama.cpp that aborts must not take our figures along.
if [ ! -x "$work/attention_bench" ] || ! run "$@"; then
    [ ! -x "$work/attention_bench" ] || echo "attention-bench: failed; once more without llama.cpp" >&2
    build -o "$work/attention_bench" scripts/gpu/attention_bench.cu
    run "$@"
fi
mv "$work/attention.json" "$out"
