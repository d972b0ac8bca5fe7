"""Which kernels llama.cpp and ours launch for each op, from a trace of the GPU.

cupti/trace.cpp records the kernels that a recording runs, in order; the recording's
notes (traces/execution) list the ops in the same order: nodes of llama.cpp's
graph, launches and products of ours. Walking both lists together gives each
kernel its op. Nodes and kernels that do not fit each other end it with an
error: a guess would be worse than nothing.
"""

import glob
import json
import os
import re
import statistics
import struct
import subprocess
import sysconfig

# Nodes of ggml that run nothing.
SILENT = {"RESHAPE", "VIEW", "PERMUTE", "TRANSPOSE"}

# The kernels of a node's op (ggml-cuda/*.cu). A product has kernels of any
# other name, as many as come before the next node's.
PATTERNS = {
    "RMS_NORM": r"^rms_norm_f32", "MUL": r"^k_bin_bcast", "ADD": r"^k_bin_bcast", "ROPE": r"^rope_",
    "SET_ROWS": r"^k_set_rows", "SOFT_MAX": r"^soft_max", "CONT": r"^cpy_", "CPY": r"^cpy_", "GET_ROWS": r"^k_get_rows",
    "FLASH_ATTN_EXT": r"^flash_attn_", "SWIGLU": r"^unary_gated_op", "GLU": r"^unary_gated_op", "SCALE": r"^scale_",
}
PRODUCTS = {"MUL_MAT"}
# Ops that may have no kernel of their own: the norm's kernel multiplies by the
# weight too, and what is contiguous already is copied as memory.
OPTIONAL = {"MUL", "CONT", "CPY"}
# Ops with several kernels.
SEVERAL = {"FLASH_ATTN_EXT"}
ELEMENTWISE = re.compile("|".join(sorted(set(PATTERNS.values()))))

# Taps by a node's name (without its layer) and op; reference/llamacpp/taps.go.
TAPS = {
    ("attn_norm", "MUL"): "attn_norm", ("Qcur", "MUL_MAT"): "q_proj", ("Qcur", "ADD"): "q_bias", ("Qcur", "ROPE"): "q_rope",
    ("Kcur", "MUL_MAT"): "k_proj", ("Kcur", "ADD"): "k_bias", ("Kcur", "ROPE"): "k_rope",
    ("Vcur", "MUL_MAT"): "v_proj", ("Vcur", "ADD"): "v_bias", ("kq", "MUL_MAT"): "kq", ("kq_soft_max", "SOFT_MAX"): "kq_soft_max",
    ("kqv", "MUL_MAT"): "kqv", ("kqv_out", "CONT"): "kqv", ("ffn_inp", "ADD"): "ffn_inp", ("ffn_norm", "MUL"): "ffn_norm",
    ("ffn_gate", "MUL_MAT"): "ffn_gate", ("ffn_up", "MUL_MAT"): "ffn_up", ("ffn_out", "MUL_MAT"): "ffn_out",
    ("ffn_swiglu", "SWIGLU"): "ffn_swiglu", ("l_out", "ADD"): "l_out", ("result_norm", "MUL"): "result_norm", ("result_output", "MUL_MAT"): "result_output",
}


class Mismatch(Exception):
    """Ops and kernels do not fit each other."""


def read(prefix):
    """The kernels of a traced run in order: of its processes, the one with most."""
    runs = []
    for path in glob.glob(prefix + ".*"):
        if path.endswith(".json"):
            continue
        with open(path) as f:
            lines = [line for line in f if line.endswith("}\n")]
        runs.append(sorted((json.loads(line) for line in lines), key=lambda k: k["start"]))
    best = max(runs, key=len, default=[])
    for k in best:
        k["kernel"] = name_alone(k["kernel"])
    return best


def name_alone(text):
    """A kernel's name without the type that a template returns before it."""
    depth, start = 0, 0
    for i, c in enumerate(text):
        depth += (c in "<(") - (c in ">)")
        if c == " " and depth == 0:
            start = i + 1
    return text[start:]


def notes(trace):
    """A recording's metadata: a safetensors header's."""
    with open(trace, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        return json.loads(f.read(size))["__metadata__"]


def graph_ops(note, layers):
    """(tap, pattern, how many) of the nodes of one step of llama.cpp that run
    kernels, in order, for all layers; how many is "one", "optional" or
    "several", and a product has None for a pattern."""
    tensors, nodes = note["tensors"], []
    for t in tensors:
        op = t.get("op", "")
        if op == "" or op in SILENT or t["name"] == "inp_embd":
            continue  # embedding rows are looked up on the CPU
        if op not in PATTERNS and op not in PRODUCTS:
            raise Mismatch(f"node {t['name']}: no pattern for the kernels of {op}")
        sources = [tensors[i] for i in t.get("src", [])]
        many = "optional" if op in OPTIONAL else "several" if op in SEVERAL else "one"
        nodes.append((t["layer"], (tap_of(t, op, sources), PATTERNS.get(op), many)))
    ops = all_layers(nodes, note["layers"][-1], layers)
    # A node without a tap works for the next one that has one.
    tap = ""
    for i in reversed(range(len(ops))):
        tap = ops[i][0] or tap
        ops[i] = (tap, *ops[i][1:])
    return ops


def tap_of(t, op, sources):
    """The tap that a node of llama.cpp computes, "" for none."""
    if op == "SET_ROWS":
        return "k_cache" if any("cache_k" in s["name"] for s in [t, *sources]) else "v_cache"
    if op == "FLASH_ATTN_EXT":
        return "kqv"
    if op == "MUL_MAT" and sources and "attn_output.weight" in sources[0]["name"]:
        return "attn_out"
    return TAPS.get((re.sub(r"-\d+$", "", t["name"]), op), "")


def all_layers(nodes, final, layers):
    """What all layers run, from (layer, item) of the first and the final one.
    What stands outside layers among the first one's nodes runs there alone."""
    inside = [i for i, (layer, _) in enumerate(nodes) if layer == 0]
    begin, end = inside[0], inside[-1] + 1
    first = [item for layer, item in nodes[begin:end] if layer <= 0]
    each = [item for layer, item in nodes if layer == 0]
    starts = [i for i, (layer, _) in enumerate(nodes) if layer == final]
    # What the final layer looks up of the one before it counts as that one's, by its name.
    last = [item for layer, item in nodes[starts[0]:] if layer > 0]
    outside = lambda part: [item for layer, item in part if layer < 0]
    return (outside(nodes[:begin]) + first + each * max(layers - 2, 0) + (last if layers > 1 else []) + outside(nodes[end:]))


def launch_ops(note, layers):
    """The same of one step of ours."""
    nodes = []
    for op in note["list"]:
        launch = op.get("launch")
        if launch or "gemm" in op:
            nodes.append((op["layer"], (op["tap"], "^" + re.escape(launch["kernel"]) + "$" if launch else None, "one")))
    return all_layers(nodes, note["layers"][-1], layers)


def assign(ops, kernels, elementwise):
    """Walks ops and kernels together: a list of (tap, kernel), and how many
    kernels were used. Neighbouring products share the kernels before the next
    other op evenly."""
    pairs, at, i = [], 0, 0
    fits = lambda pattern: at < len(kernels) and re.search(pattern, kernels[at]["kernel"])
    while i < len(ops):
        tap, pattern, many = ops[i]
        if pattern is not None:
            if not fits(pattern) and many != "optional":
                found = kernels[at]["kernel"] if at < len(kernels) else "the end"
                raise Mismatch(f"op {i} of {len(ops)} ({tap}) wants {pattern}, kernel {at} is {found}")
            while fits(pattern):
                pairs.append((tap, kernels[at]))
                at += 1
                if many != "several":
                    break
            i += 1
            continue
        start = at
        while at < len(kernels) and not elementwise.search(kernels[at]["kernel"]):
            at += 1
        group, i = [tap], i + 1
        while i < len(ops) and (ops[i][1] is None or ops[i][2] == "optional" and not fits(ops[i][1])):
            if ops[i][1] is None:
                group.append(ops[i][0])
            i += 1
        count = at - start
        if count == 0 or count % len(group):
            raise Mismatch(f"{count} kernels for the products of {group}, before op {i} of {len(ops)}")
        pairs += [(group[j * len(group) // count], kernels[start + j]) for j in range(count)]
    return pairs, at


def table(engine, prefix, meta, variant=""):
    """The rows for both phases of one traced recording, meta being its metadata."""
    layers = json.loads(meta["hparams"])["n_layer"]
    kernels = [k for k in read(prefix) if not k["kernel"].startswith("attndiff_")]
    rows = []
    for phase in ("prefill", "decode"):
        if "note.graph." + phase in meta:
            ops, elementwise = graph_ops(json.loads(meta["note.graph." + phase]), layers), ELEMENTWISE
        else:
            ops = launch_ops(json.loads(meta["note.launches." + phase]), layers)
            elementwise = re.compile("|".join(sorted({p for _, p, _ in ops if p})) + "|^argmax$")
        pairs, used = assign(ops, kernels, elementwise)
        kernels = kernels[used:]
        while kernels and kernels[0]["kernel"] == "argmax":
            kernels = kernels[1:]
        rows += merge(engine, phase, variant, pairs)
    return rows


def merge(engine, phase, variant, pairs):
    """One row for each tap and kernel of a given shape, with the median time
    over layers, in order of first appearance."""
    rows = {}
    for tap, k in pairs:
        key = (tap, k["kernel"], *k["grid"], *k["block"], k["shared"])
        rows.setdefault(key, []).append(k["us"])
    return [{"tap": key[0], "engine": engine, "phase": phase, **({"variant": variant} if variant else {}),
             "kernel": key[1], "grid": list(key[2:5]), "block": list(key[5:8]), "shared_bytes": key[8],
             "microseconds": round(statistics.median(times), 2), "launches": len(times)}
            for key, times in rows.items()]


def build(folder):
    """Compiles cupti/trace.cpp against the CUPTI found; the library's path."""
    site = sysconfig.get_paths()["purelib"]
    roots = [os.environ.get("CUDA_HOME", "/usr/local/cuda"), "/usr/local/cuda", *glob.glob(site + "/nvidia/*")]
    headers = [p for r in roots for p in (r + "/extras/CUPTI/include", r + "/include") if os.path.exists(p + "/cupti.h")]
    libraries = [os.path.dirname(p) for r in roots for pattern in ("/extras/CUPTI/lib64", "/lib64", "/lib", "/targets/*/lib")
                 for p in glob.glob(r + pattern + "/libcupti.so*")]
    if not headers or not libraries:
        raise Mismatch("no CUPTI: neither the toolkit's extras/CUPTI nor pip's nvidia-cuda-cupti")
    out, where = os.path.join(folder, "trace.so"), libraries[0]
    library = sorted(glob.glob(where + "/libcupti.so*"), key=len)[0]
    cuda = [f"-I{p}" for r in roots for p in [r + "/include"] if os.path.exists(p + "/cuda.h")]
    for record in ("11", "10", "9"):  # CUPTI versions the record of a kernel
        done = subprocess.run(["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-o", out, f"-DKERNEL=CUpti_ActivityKernel{record}",
                               os.path.join(os.path.dirname(__file__), "cupti", "trace.cpp"), f"-I{headers[0]}", *cuda, library,
                               f"-Wl,-rpath,{where}", "-lpthread"], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return out
    raise Mismatch("trace.cpp does not compile: " + done.stderr[:600])
