"""The stages of the evidence: each takes the run it is part of and returns what it found."""

import concurrent.futures
import json
import os
import re

import kernels
import process
from checkers import CONTROLS, check, device_tests
from diffs import EMULATOR, GPU, LLAMA_CPU, LLAMA_CUDA, diff
from planted import fault_table, find_faults, repeat_faults
from process import ATTNDIFF, last, run

# The golden recording: taps that are small, of one prompt.
GOLDEN_TAPS = "attn_norm,q_rope,k_rope,v_bias,k_cache,v_cache,kqv,attn_out,ffn_out,l_out,result_norm"
GOLDEN_STEPS = "4"

# What make gpu-pack brings along, and where the program looks for the second.
SOURCES, BUILT = "bin/llama-cuda-sources.tar.gz", "bin/llama-cuda-built.tar.gz"
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "attndiff", "llama.cpp-cuda")


class Run:
    """What stages share: where they work and write, and what runs beside them."""

    def __init__(self, out, work, keep):
        self.out, self.work, self.keep = out, work, keep
        self.beside = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(12)
        self.backend = self.pool.submit(self.build_backend)
        self.synthetic = self.pool.submit(self.synthesize)

    def build_backend(self):
        """ggml's CUDA backend: unpacked if it was brought along, else built."""
        if os.path.exists(BUILT):
            os.makedirs(CACHE, exist_ok=True)
            status, out, err, seconds = run(["tar", "-xf", BUILT, "-C", CACHE], 60)
            how = "unpacked"
        else:
            status, out, err, seconds = run(["scripts/reference-cuda.sh", *([SOURCES] if os.path.exists(SOURCES) else [])], 420)
            how = "built"
        if how == "built" and status == 0 and self.keep:
            self.pool.submit(self.keep_backend)
        return {"how": how, "exit": status, "seconds": seconds, "error": last(err, 12) if status else None}

    def keep_backend(self):
        """What took minutes to build, for the next run, in parts that are easily carried."""
        run(["bash", "-c", 'tar -C "$0" -cz . | split -b 16000000 - "$1/llama-cuda-built.tar.gz."', CACHE, self.out], 60)

    def synthesize(self):
        """A model of Qwen2.5-0.5B's shape with random weights, F16."""
        path = os.path.join(self.work, "qwen2.5-0.5b.gguf")
        status, _, err, seconds = run([ATTNDIFF, "synth", "--shape", "qwen2.5-0.5b", "--type", "F16", "--out", path], 120)
        return {"path": path, "exit": status, "seconds": seconds, "error": last(err) if status else None}

    def model(self):
        made = self.synthetic.result(process.clock.left())
        if made["exit"] != 0:
            raise RuntimeError(f"no synthetic model: {made['error']}")
        return made["path"]

    def llama(self):
        made = self.backend.result(process.clock.left())
        if made["exit"] != 0:
            raise RuntimeError(f"no libggml-cuda.so: {made['error']}")


def machine(_):
    """The machine class: names and versions, nothing that tells which one it is."""
    facts = {"cpu_cores": os.cpu_count()}
    status, out, _, _ = run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"], 30)
    if status == 0:
        facts["gpu"], facts["memory"], facts["driver"] = [part.strip() for part in out.splitlines()[0].split(",")]
    _, out, _, _ = run([ATTNDIFF, "version", "--json"], 30)
    facts["attndiff"] = json.loads(out)
    return facts


def doctor(_):
    _, out, _, _ = run([ATTNDIFF, "doctor"], 60)
    return [re.sub(r"(?:/[^\s,:]+)+/", "", line) for line in out.splitlines()]  # of a path its name is enough


def first(r):
    """Whether ours runs at all, against the reference that needs no build."""
    return [diff(r.work, "first", "--prompt", "haiku")]


def ours_cpu(r):
    """Ours against llama.cpp on the CPU; the last one shows what watching costs."""
    list_ = [diff(r.work, f"cpu-{prompt}-{kv}", "--prompt", prompt, "--kv", kv) for prompt in ("haiku", "long") for kv in ("f16", "f32")]
    return list_ + [diff(r.work, "cpu-unchecked", "--prompt", "haiku", ATTNDIFF_CUDA_CHECKS="off")]


def llama_cuda(r):
    """Ours against llama.cpp on the same GPU: the shipped model."""
    r.llama()
    return [diff(r.work, f"cuda-{prompt}-{kv}{flash}", "--prompt", prompt, "--kv", kv, *([flash] if flash else []), reference=LLAMA_CUDA)
            for prompt in ("haiku", "long") for kv in ("f16", "f32") for flash in ("", "--flash-attn")]


def synthetic(r):
    """Ours against llama.cpp on the same GPU and on the CPU, at Qwen2.5-0.5B's shape."""
    r.llama()
    few = ("--layers", "0-2", "--steps", "2")  # of a long prompt all layers are gigabytes
    flash = ("--flash-attn",)
    return [diff(r.work, f"synthetic-{reference[10:]}-{prompt}-{kv}{'-flash' if '--flash-attn' in flags else ''}", "--model", r.model(),
                 "--prompt", prompt, "--kv", kv, *flags, reference=reference)
            for prompt, kv, reference, flags in (
                *((prompt, kv, reference, few if prompt == "long" else ())
                  for prompt in ("haiku", "long") for kv in ("f16", "f32") for reference in (LLAMA_CUDA, LLAMA_CPU)),
                ("haiku", "f16", LLAMA_CUDA, flash))]


def to_verdict(r):
    """Seconds from the command to the verdict: 0.5B shape, haiku, 16 steps, with the model in the page cache."""
    r.llama()
    quiet(r)
    runs = [diff(r.work, f"to-verdict-{i}", "--model", r.model(), "--prompt", "haiku", "--steps", "16", reference=LLAMA_CUDA) for i in range(2)]
    return {"runs": runs, "seconds": max(d["seconds"] for d in runs), "bar": 15}


def has_path():
    _, out, err, _ = run([ATTNDIFF, "diff", "-h"], 30)
    return "--path" in out + err


def fused_cpu(r):
    """The production attention path against llama.cpp on the CPU."""
    if not has_path():
        return {"skipped": "the program has no --path"}
    return [diff(r.work, "fused-cpu", "--prompt", "haiku", "--path", "fused"),
            diff(r.work, "fused-repeat", "--prompt", "haiku", "--path", "fused", "--repeat", "10")]


def fused(r):
    """The production attention path against llama.cpp's flash attention on the same GPU."""
    r.llama()
    return [diff(r.work, "fused-" + name, *flags, "--path", "fused", "--flash-attn", reference=LLAMA_CUDA)
            for name, flags in (("haiku", ["--prompt", "haiku"]), ("long", ["--prompt", "long"]),
                                ("synthetic", ["--prompt", "haiku", "--model", r.model()]))]


def repeat(r):
    return [diff(r.work, "repeat", "--prompt", "haiku", "--repeat", "10")]


def golden(r):
    """A small recording that a test on a machine without a GPU compares with the emulator's."""
    path = os.path.join(r.out, "ours-cuda.safetensors")
    status, _, err, _ = run([ATTNDIFF, "record", "--engine", GPU, "--prompt", "haiku", "--steps", GOLDEN_STEPS,
                             "--taps", GOLDEN_TAPS, "--out", path], 60)
    return {"exit": status, "file": os.path.basename(path), "error": last(err) if status else None}


def start_beside(r):
    """Starts what takes long and can run beside the other stages."""
    if not r.beside:
        r.beside["device_tests"] = r.pool.submit(device_tests)
        paths = ("unfused", "fused") if has_path() else ("",)
        r.beside["sanitizer"] = [r.pool.submit(check, r.work, tool, path) for path in paths
                                 for tool in ("memcheck", "racecheck", "initcheck", "synccheck")]
        r.beside["sanitizer"] += [r.pool.submit(check, r.work, tool, fault=fault) for tool, fault in CONTROLS.items()]


def quiet(r):
    """Waits for what runs beside: the next stage is timed."""
    for f in [r.beside["device_tests"], *r.beside["sanitizer"]] if r.beside else []:
        f.result(process.clock.left())


def device_tests_end(r):
    return r.beside["device_tests"].result(process.clock.left())


def sanitizer(r):
    return [f.result(process.clock.left()) for f in r.beside["sanitizer"]]


def launched(r):
    """The kernels of llama.cpp and of ours for each op, to OUT/kernels.json."""
    library = kernels.build(r.work)
    quiet(r)
    rows, errors = [], []
    runs = [(GPU, "", ["--engine", GPU])]
    if has_path():
        runs.append((GPU, "fused", ["--engine", GPU, "--path", "fused"]))
    try:
        r.llama()
        runs += [(LLAMA_CUDA, "", ["--engine", LLAMA_CUDA]), (LLAMA_CUDA, "flash attention", ["--engine", LLAMA_CUDA, "--flash-attn"])]
    except RuntimeError as e:
        errors.append(str(e))
    for engine, variant, flags in runs:
        name = os.path.join(r.work, "kernels-" + (engine + variant).replace(":", "-").replace(" ", "-"))
        trace = os.path.join(r.work, "trace.safetensors")
        # Without CUDA graphs, so that kernels come in the order of the nodes.
        status, _, err, _ = run([ATTNDIFF, "record", *flags, "--prompt", "haiku", "--steps", "3", "--out", trace], 60,
                                CUDA_INJECTION64_PATH=library, ATTNDIFF_KERNELS=name, ATTNDIFF_CUDA_CHECKS="off", GGML_CUDA_DISABLE_GRAPHS="1")
        try:
            if status != 0:
                raise kernels.Mismatch(str(last(err, 3)))
            meta = kernels.notes(trace)
            with open(name + ".notes.json", "w") as f:
                json.dump(meta, f)
            rows += kernels.table(engine, name, meta, variant)
        except (kernels.Mismatch, OSError, KeyError, ValueError) as e:
            errors.append(f"{engine} {variant}: {e}")
    with open(os.path.join(r.out, "kernels.json"), "w") as f:
        json.dump(rows, f, indent=1)
        f.write("\n")
    return {"rows": len(rows), "errors": errors}


def capture(r):
    """What recording costs llama.cpp on the GPU: runs with capture over runs without, medians."""
    if not os.path.exists("bin/llamacpp.test"):
        return {"skipped": "no bin/llamacpp.test; make gpu-pack builds it"}
    r.llama()
    quiet(r)
    status, out, err, seconds = run([os.path.abspath("bin/llamacpp.test"), "-test.run", "^$", "-test.bench", "Recording/llama.cpp:cuda/prompt=(1|30)$/",
                                     "-test.benchtime", "7x", "-test.timeout", "100s"], 110, ATTNDIFF_BENCH_MODEL=r.model())
    rows = []
    for line in out.splitlines():
        if line.startswith("Benchmark"):
            fields = line.split()
            rows.append({"run": fields[0], **{unit: float(value) for value, unit in zip(fields[2::2], fields[3::2]) if unit != "ns/op"}})
    return {"exit": status, "seconds": seconds, "bar": 1.5, "rows": rows, "error": last(err + out, 6) if status else None}


def attention(r):
    """Fused attention against llama.cpp's flash attention and the copy bandwidth, to OUT/attention.json."""
    r.llama()
    quiet(r)
    status, text, err, seconds = run(["scripts/gpu/attention-bench.sh", os.path.join(r.out, "attention.json"), "--sweep"], 200)
    return {"exit": status, "seconds": seconds, "file": "attention.json", "log": last(text + err, 30)}


def faults(r):
    """Every planted fault, alone, on the GPU and under the emulator; all follow one recording of llama.cpp."""
    return repeat_faults(r.work, fault_table([], find_faults(r.work, GPU), find_faults(r.work, EMULATOR)))


# First what needs no llama.cpp on the GPU, whose library may be building meanwhile; then the rest in order of worth.
STAGES = {
    "machine": machine, "first": first, "golden": golden, "beside": start_beside, "faults": faults, "ours_cpu": ours_cpu,
    "repeat": repeat, "fused_cpu": fused_cpu, "llama_cuda": llama_cuda, "device_tests": device_tests_end, "sanitizer": sanitizer,
    "fused": fused, "kernels": launched, "doctor": doctor, "attention": attention, "capture": capture, "to_verdict": to_verdict,
    "synthetic": synthetic,
}
UNASKED = ("beside",)
