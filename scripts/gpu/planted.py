"""Every planted fault, alone, on the GPU and under the emulator."""

import concurrent.futures
import json
import os
import shutil

from diffs import LLAMA_CPU, diff
from process import ATTNDIFF, last, run


def reference_trace(work):
    """llama.cpp's recording, which all runs of the table follow."""
    reference = os.path.join(work, "reference.safetensors")
    if not os.path.exists(reference):
        status, _, err, _ = run([ATTNDIFF, "record", "--engine", LLAMA_CPU, "--prompt", "haiku", "--out", reference], 60)
        if status != 0:
            raise RuntimeError(last(err, 3))
    return "trace:" + reference


def find_faults(work, engine):
    """What is found of each fault in one engine, by the fault's name."""
    _, out, _, _ = run([ATTNDIFF, "faults", "--json"], 30)
    names = [f["name"] for f in json.loads(out)]
    reference = reference_trace(work)

    def one(name):
        out = f"fault-{name}-{engine[5:]}"
        d = diff(work, out, "--fault", name, ours=engine, reference=reference, timeout=120)
        shutil.rmtree(os.path.join(work, out), ignore_errors=True)  # megabytes each
        return {key: d[key] for key in ("verdict", "findings", "notes", "error") if d.get(key) is not None}

    with concurrent.futures.ThreadPoolExecutor(max(1, (os.cpu_count() or 2) * 3 // 4)) as pool:
        return dict(zip(names, pool.map(one, names)))


def repeat_faults(work, table):
    """The faults that are not found alike, run ten times on the GPU: what is found
    then, and the first tap that differs between runs, as that of a race may."""
    for row in table:
        if not row["same"]:
            d = diff(work, "repeated-" + row["fault"], "--fault", row["fault"], "--repeat", "10", reference=reference_trace(work))
            row["cuda"]["repeated"] = {"findings": d.get("findings"), "differs": next((u["tap"] for u in d.get("unstable", [])), None)}
    return table


def fault_table(table, cuda, emu):
    """One row for each fault; what a column does not tell stays as it is in the table given."""
    rows = {row["fault"]: row for row in table}
    for column, found in (("cuda", cuda), ("emu", emu)):
        for name, what in found.items():
            rows.setdefault(name, {"fault": name, "cuda": {}, "emu": {}})[column] = what
    for row in rows.values():
        row["same"] = all(row["cuda"].get(k) == row["emu"].get(k) for k in ("verdict", "findings"))
    return list(rows.values())
