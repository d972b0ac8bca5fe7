#!/usr/bin/env bash
# Builds ggml's CUDA backend, what llama.cpp:cuda runs on, for the GPU of this
# machine: libggml-cuda.so and libggml-base.so from the CMakeLists.txt of the
# module that the program is built from. They go to the folder where the program
# looks for them (reference/llamacpp/backend.go). Takes 2 to 3 minutes on 16 cores.
#
#     scripts/reference-cuda.sh               # sources from Go's module cache
#     scripts/reference-cuda.sh SOURCES       # from an archive, where there is no Go
#     scripts/reference-cuda.sh --pack FILE   # write that archive
#     scripts/reference-cuda.sh --folder      # print the folder and stop
#
# Needs nvcc, CMake 3.21 and a C++ compiler. CUDA_ARCH=90 builds for another GPU
# than the one that nvidia-smi names, as on a machine without one.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/ollama/ollama
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

fail() {
    echo "reference-cuda: $*" >&2
    exit 1
}

folder() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/attndiff/llama.cpp-cuda/$1"; }

# pack writes what the two targets are built from, and its version.
pack() {
    local from
    from=$(go list -m -f '{{.Dir}}' $module)
    go list -m -f '{{.Version}}' $module >"$here/VERSION"
    tar -czf "$1" --sort=name --owner=0 --group=0 --mtime=@0 --mode=u+w \
        --exclude='*/ggml-metal' --exclude='*/ggml-vulkan' --exclude='*/ggml-hip' --exclude='*/ggml-blas' --exclude='*.go' \
        -C "$here" VERSION -C "$from" LICENSE CMakeLists.txt ml/backend/ggml/ggml
}

case ${1-} in
--pack)
    [ $# -eq 2 ] || fail "--pack takes the FILE to write"
    pack "$2"
    exit
    ;;
--folder)
    folder "$(go list -m -f '{{.Version}}' $module)"
    exit
    ;;
"")
    sources=$(go list -m -f '{{.Dir}}' $module)
    version=$(go list -m -f '{{.Version}}' $module)
    ;;
*)
    [ -f "$1" ] || fail "no archive $1; write it with scripts/reference-cuda.sh --pack FILE where Go is"
    sources=$here/sources
    mkdir "$sources"
    tar -xf "$1" -C "$sources"
    version=$(cat "$sources/VERSION")
    ;;
esac

PATH=$PATH:/usr/local/cuda/bin
command -v nvcc >/dev/null || fail "no nvcc; install the CUDA toolkit, or put its bin folder on PATH"
command -v cmake >/dev/null || fail "no cmake; run apt-get install cmake"
arch=${CUDA_ARCH:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d . || true)}
[[ $arch =~ ^[0-9]+$ ]] || fail "nvidia-smi names no GPU to build for; set CUDA_ARCH, such as 90"

log=$here/log
generator=()
! command -v ninja >/dev/null || generator=(-G Ninja)
cmake -S "$sources" -B "$here/build" "${generator[@]}" \
    -DCMAKE_CUDA_COMPILER="$(command -v nvcc)" -DCMAKE_CUDA_ARCHITECTURES="$arch-real" \
    -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON \
    -DCMAKE_DISABLE_FIND_PACKAGE_Vulkan=ON \
    -DCMAKE_HIP_COMPILER=NOTFOUND >"$log" 2>&1 ||
    { grep -A 4 'CMake Error' "$log" >&2 || tail -n 10 "$log" >&2; fail "cmake cannot configure $module $version"; }
cmake --build "$here/build" --target ggml-cuda --target ggml-base --parallel "${JOBS:-$(nproc)}" >"$log" 2>&1 ||
    { grep -E 'error|FAILED' "$log" | head -n 30 >&2; fail "the build of ggml-cuda for sm_$arch failed"; }

# The program finds both files or none.
to=$(folder "$version")
mkdir -p "$(dirname "$to")"
new=$(mktemp -d "$to.new-XXXX")
cp -a "$here"/build/lib/ollama/libggml-base.so* "$here"/build/lib/ollama/libggml-cuda.so* "$new"
echo "sm_$arch, nvcc $(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')" >"$new/built.txt"
chmod 755 "$new"
rm -rf "$to"
mv "$new" "$to"
echo "$to/libggml-cuda.so"
