"""One diff on the GPU, and what of its report is evidence."""

import json
import os
import shutil

import process

GPU, EMULATOR = "ours:cuda", "ours:emu"
LLAMA_CPU, LLAMA_CUDA = "llama.cpp:cpu", "llama.cpp:cuda"


def findings(report):
    """What a report accuses, without numbers: [tap, cause, how sure] for each finding."""
    return sorted([f["tap"], (f["cause"] or {}).get("id") or "", (f["cause"] or {}).get("status") or ""]
                  for f in report["findings"])


def worst(report):
    """Each tap's largest drift and op errors, and the statuses that are not ok."""
    taps = {}
    for t in report["taps"]:
        w = taps.setdefault(t["tap"], {"drift": 0.0, "op_ours": 0.0, "op_ref": 0.0})
        for key in ("drift", "op_ours", "op_ref"):
            if t.get(key) is not None and not t[key] <= w[key]:
                w[key] = t[key]
        if t["status"] not in ("ok", "inherited"):
            w.setdefault("statuses", {}).setdefault(t["status"], 0)
            w["statuses"][t["status"]] += 1
    rounded = lambda v: float(f"{v:.3g}") if isinstance(v, float) else v
    return {tap: {key: rounded(v) for key, v in w.items()} for tap, w in taps.items()}


def diff(work, name, *flags, ours=GPU, reference=LLAMA_CPU, timeout=120, keep=False, **env):
    """Runs a diff; a summary of its report, which stays in work/name without its traces."""
    command = [process.ATTNDIFF, "diff", "--reference", reference, "--ours", ours, *flags]
    out = os.path.join(work, name)
    status, _, err, seconds = process.run([*command, "--out", out], timeout, **env)
    shown = " ".join(part.replace(work + "/", "") for part in command)
    summary = {"name": name, "command": shown, "exit": status, "seconds": seconds}
    if not keep:
        shutil.rmtree(os.path.join(out, "traces"), ignore_errors=True)
    try:
        with open(os.path.join(out, "report.json")) as f:
            report = json.load(f)
    except (OSError, ValueError):
        return {**summary, "verdict": None, "error": process.last(err, 3)}
    summary.update(verdict=report["verdict"], findings=findings(report), worst=worst(report), notes=report.get("notes", []),
                   unstable=report.get("unstable", []), timing={k: round(v, 3) for k, v in report["timing"].items()})
    if report.get("text"):
        summary["same_text"] = report["text"]["ours"] == report["text"]["reference"]
    for side in ("reference", "ours"):
        if report.get(side):
            summary[side] = report[side].get("device")
    if report["verdict"] == "engine-failed":
        summary["error"] = process.last(err, 3)
    return summary
