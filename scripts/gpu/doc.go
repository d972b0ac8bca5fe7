// Package gpu tests what scripts/gpu-run.sh runs on a machine with a GPU, as far
// as a machine without one can.
package gpu
