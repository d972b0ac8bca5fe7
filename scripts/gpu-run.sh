#!/usr/bin/env bash
# Everything that needs a GPU, in one go: parity, planted faults, NVIDIA's
# checkers, repeatability, the device's own tests. Results go to a folder,
# evidence.json first; the exit status is 0 when all of it came out as it must.
#
#     make build gpu-tests        # on any machine with Go
#     scripts/gpu-run.sh OUT      # on the machine with the GPU
#
# Needs on the GPU machine: this tree with bin/attndiff (and bin/cuda.test for
# the device's tests), an NVIDIA driver, NVRTC, cuBLAS, a C++ compiler for the
# emulator and python3. compute-sanitizer is used if it is there. No Go, no
# network.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -ne 1 ]; then
    echo "usage: scripts/gpu-run.sh OUT" >&2
    exit 2
fi
if [ ! -x bin/attndiff ]; then
    echo "gpu-run: no bin/attndiff; run make build on a machine with Go and bring bin/ along" >&2
    exit 2
fi
exec python3 scripts/gpu/evidence.py "$1"
