#!/usr/bin/env bash
# Builds the attention benchmark with nvcc for the GPU present.
#
#     scripts/gpu/build-attention-bench.sh OUT [GGML LIBS]
#
# GGML is ggml's folder in the pinned module (ml/backend/ggml/ggml), LIBS the
# folder with libggml-cuda.so and libggml-base.so built from it. Without them the
# benchmark measures our kernels and copy bandwidth alone.
set -euo pipefail
if [ $# -ne 1 ] && [ $# -ne 3 ]; then
    echo "usage: scripts/gpu/build-attention-bench.sh OUT [GGML LIBS]" >&2
    exit 2
fi
out=$1 ggml=${2:-} libs=${3:-}
here=$(dirname "$0")
flags=(-O3 -std=c++17 -arch="${CUDA_ARCH:-native}" -cudart shared)
if [ -z "$ggml" ]; then
    exec nvcc "${flags[@]}" -o "$out" "$here/attention_bench.cu"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nvcc "${flags[@]}" -c -o "$work/llama.o" -I"$ggml/include" -I"$ggml/src" -I"$ggml/src/ggml-cuda" "$here/attention_llama.cu" &
nvcc "${flags[@]}" -DWITH_LLAMA -c -o "$work/bench.o" "$here/attention_bench.cu"
wait $!
nvcc "${flags[@]}" -o "$out" "$work/bench.o" "$work/llama.o" "$libs/libggml-cuda.so" "$libs/libggml-base.so" \
    -Xlinker -rpath -Xlinker "$(realpath "$libs")"
