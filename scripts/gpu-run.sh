#!/usr/bin/env bash
# Everything that needs a GPU, in one go: parity of ours:cuda with llama.cpp on
# the GPU and on the CPU, planted faults, NVIDIA's checkers, repeatability, kernels
# per op, speed. Results go to a folder, evidence.json first; the exit status is 0
# when all of it came out as it must.
#
#     make gpu-pack               # on any machine with Go: writes bin/gpu.tar.gz
#     scripts/gpu-run.sh OUT      # on the machine with the GPU, in a copy of this tree
#
# Needs on the GPU machine: an NVIDIA driver, NVRTC, cuBLAS, a C++ compiler,
# python3, and for llama.cpp:cuda nvcc and CMake. compute-sanitizer and CUPTI are
# used if they are there. No Go, no network. scripts/gpu/README.md says more.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 1 ]; then
    echo "usage: scripts/gpu-run.sh OUT [--budget SECONDS] [--only STAGE,...] [--without STAGE,...]" >&2
    exit 2
fi
if [ bin/gpu.tar.gz -nt bin/attndiff ]; then
    tar -xmf bin/gpu.tar.gz
fi
if [ ! -x bin/attndiff ]; then
    echo "gpu-run: no bin/attndiff; run make gpu-pack on a machine with Go and bring bin/gpu.tar.gz along" >&2
    exit 2
fi
export PATH=$PATH:/usr/local/cuda/bin
exec python3 -u scripts/gpu/evidence.py "$@"
