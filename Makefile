# attndiff: run llama.cpp and our CUDA kernels on the same tokens and name
# every op that differs. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

# What to diff; each passes through to the flag of the same name.
PROMPT ?= haiku
MODEL ?=
FAULT ?=
OURS ?=
REFERENCE ?=
STEPS ?=
KV ?=
OUT ?=

# What to add to the gate's command line.
GATE ?=

# How many mutants to try, and how many fault cases of each kind; all without it.
SAMPLE ?=

# ggml-cpu picks its vector code at compile time and cgo's default is plain
# SSE2, 22 times slower at prefill. Go reads these flags from the environment
# alone; one set of them is one build of llama.cpp, so all targets share it.
ARCH := $(shell uname -m)
ifeq ($(ARCH),x86_64)
  ifeq ($(shell grep -qw avx2 /proc/cpuinfo && grep -qw f16c /proc/cpuinfo && grep -qw fma /proc/cpuinfo && echo yes),yes)
    NATIVE := -march=x86-64-v3
  endif
else ifeq ($(ARCH),aarch64)
  NATIVE := -mcpu=native
endif
export CGO_ENABLED := 1
export CGO_CFLAGS ?= -O3 $(NATIVE)
export CGO_CXXFLAGS ?= -O3 $(NATIVE)

FLAGS_FILE := reference/llamacpp/cgo_flags.go
BIN := bin/attndiff

arg = $(if $($(1)),--$(2) "$($(1))")
DIFF_ARGS = $(call arg,MODEL,model) $(call arg,FAULT,fault) $(call arg,OURS,ours) \
  $(call arg,REFERENCE,reference) $(call arg,STEPS,steps) $(call arg,KV,kv) $(call arg,OUT,out)

# A trace brings its own prompt, so none may be named beside it.
ifeq ($(findstring trace:,$(OURS)$(REFERENCE)),)
  DIFF_ARGS += --prompt "$(PROMPT)"
endif

# Packages whose tests do not link llama.cpp: the race detector needs a second build
# of everything it watches, and llama.cpp's takes minutes.
PURE = $(shell go list -test -f '{{.ImportPath}}|{{join .Deps " "}}' ./... | grep '\.test|' | grep -v attndiff/reference/llamacpp | sed 's/\.test|.*//')

.PHONY: help build diff gate test race lint bench faults mutants doctor clean reference-cuda gpu-pack gpu-check FORCE

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo
	@echo "variables of diff: PROMPT MODEL FAULT OURS REFERENCE STEPS KV OUT, e.g. make diff PROMPT=code KV=f32"

build: $(BIN) ## build bin/attndiff (the first time compiles llama.cpp: a few minutes)

# go decides what is stale; the first build says why it takes a while.
$(BIN): $(FLAGS_FILE) FORCE
	@test -x $@ || echo "building llama.cpp and attndiff; the first build takes a few minutes" >&2
	@go build -o $@ ./harness/cmd/attndiff

$(FLAGS_FILE): go.mod scripts/cgoflags/main.go
	@go run ./scripts/cgoflags -o $@

diff: $(BIN) ## run both engines on PROMPT and compare them
	@$(BIN) diff $(DIFF_ARGS)

gate: $(BIN) ## run the cases of traces/gate.yaml against their baseline; GATE="--update" and other flags
	@$(BIN) gate $(GATE)

test: $(FLAGS_FILE) ## run all tests
	go vet ./...
	go test -timeout 15m ./...
	@go run ./scripts/gpucheck 2>&1 | grep -v "^exit status" || true

race: $(FLAGS_FILE) ## run the tests of what does not link llama.cpp under the race detector
	go test -race -timeout 15m $(PURE)

lint: $(FLAGS_FILE) ## gofmt, go vet, staticcheck, import direction
	@test -z "$$(gofmt -l harness ours reference traces scripts)" || { gofmt -l harness ours reference traces scripts; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test ./harness

bench: $(BIN) ## measure the pipeline: ratios within one run
	go test -run '^$$' -bench . -benchtime 3x -timeout 30m ./traces/... ./ours/... ./reference/... ./harness/...

faults: $(BIN) ## plant every fault, alone and together, and see what the harness finds: traces/faults.md (SAMPLE=24: some)
	@nice $(BIN) faults run $(if $(SAMPLE),--sample $(SAMPLE) --out .plan/faults)

mutants: $(FLAGS_FILE) ## change the kernels in every small way and see what the harness notices (SAMPLE=50: some of it)
	@mkdir -p bin
	@go build -o bin/mutate ./scripts/mutate
	@bin/mutate $(if $(SAMPLE),-n $(SAMPLE),-out traces)

reference-cuda: $(FLAGS_FILE) ## build llama.cpp's CUDA backend for the GPU of this machine, for llama.cpp:cuda
	@scripts/reference-cuda.sh

# Stripped, for the way to the GPU machine.
gpu-pack: $(FLAGS_FILE) ## write bin/gpu.tar.gz, what scripts/gpu-run.sh needs on a machine without Go
	@mkdir -p bin
	go build -ldflags='-s -w' -o $(BIN) ./harness/cmd/attndiff
	go test -c -ldflags='-s -w' -o bin/cuda.test ./ours/cuda
	go test -c -ldflags='-s -w' -o bin/llamacpp.test ./reference/llamacpp
	scripts/reference-cuda.sh --pack bin/llama-cuda-sources.tar.gz
	tar -czf bin/gpu.tar.gz bin/attndiff bin/cuda.test bin/llamacpp.test bin/llama-cuda-sources.tar.gz

gpu-check: ## fail unless the GPU evidence in traces/gpu is of the present kernels
	@go build -o bin/gpucheck ./scripts/gpucheck && bin/gpucheck

doctor: $(BIN) ## what this machine can run, and what is missing
	@$(BIN) doctor

clean: ## remove what was built and written here (the Go build cache stays)
	rm -rf bin .plan $(FLAGS_FILE)
