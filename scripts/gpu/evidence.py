"""Collects the GPU evidence: runs bin/attndiff on the GPU and writes what came
of it as JSON. Called by scripts/gpu-run.sh, which says what it needs.

Every stage is independent: one that fails is noted and the next one runs.
"""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ATTNDIFF = "bin/attndiff"
DEVICE_TESTS = "bin/cuda.test"
GPU, EMULATOR, REFERENCE = "ours:cuda", "ours:emu", "llama.cpp:cpu"

# The golden recording: taps that are small, of one prompt.
GOLDEN_TAPS = "attn_norm,q_rope,k_rope,v_bias,k_cache,v_cache,kqv,attn_out,ffn_out,l_out,result_norm"
GOLDEN_STEPS = 4


def run(args, timeout=300, **env):
    """Runs a command; returns its exit status, output and seconds."""
    began = time.monotonic()
    try:
        done = subprocess.run(args, capture_output=True, text=True, timeout=timeout, env={**os.environ, **env})
        status, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as e:
        status, out, err = None, str(e.stdout or ""), f"no end after {timeout} s"
    except OSError as e:
        status, out, err = None, "", str(e)
    return status, out, err, round(time.monotonic() - began, 3)


def machine():
    """The machine class: names and versions, nothing that tells which one it is."""
    facts = {"cpu_cores": os.cpu_count()}
    status, out, _, _ = run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    if status == 0:
        facts["gpu"], facts["memory"], facts["driver"] = [part.strip() for part in out.splitlines()[0].split(",")]
    _, out, _, _ = run([ATTNDIFF, "doctor"])
    # Of a library's path its name is enough.
    facts["doctor"] = [re.sub(r"(?:/[^\s,:]+)+/", "", line) for line in out.splitlines()]
    _, out, _, _ = run([ATTNDIFF, "version", "--json"])
    facts["attndiff"] = json.loads(out)
    return facts


def findings(report):
    """What a report accuses, without numbers: (tap, cause, how sure) per finding."""
    return sorted([f["tap"], (f["cause"] or {}).get("id") or "", (f["cause"] or {}).get("status") or ""]
                  for f in report["findings"])


def diff(work, name, *flags, ours=GPU, reference=REFERENCE, timeout=300, **env):
    """Runs a diff; returns a summary of its report, which stays in work/name."""
    command = [ATTNDIFF, "diff", "--reference", reference, "--ours", ours, *flags]
    out = os.path.join(work, name)
    status, _, err, seconds = run([*command, "--out", out], timeout, **env)
    shown = [part.replace(work + "/", "") for part in command]
    summary = {"command": " ".join(shown), "exit": status, "seconds": seconds}
    try:
        with open(os.path.join(out, "report.json")) as f:
            report = json.load(f)
    except OSError:
        return {**summary, "error": err.strip().splitlines()[-1:]}
    shutil.rmtree(os.path.join(out, "traces"), ignore_errors=True)
    summary.update(
        verdict=report["verdict"], findings=findings(report), device=(report["ours"] or {}).get("device"),
        same_text=report["text"]["ours"] == report["text"]["reference"], notes=report.get("notes", []),
        unstable=report.get("unstable", []), timing=report["timing"])
    if report["verdict"] == "engine-failed":
        summary["error"] = err.strip().splitlines()[-1:]
    per_tap = {}
    for t in report["taps"]:
        worst = per_tap.setdefault(t["tap"], {"drift": 0.0, "op_ours": 0.0, "op_ref": 0.0})
        for key in worst:
            if t.get(key) is not None and not t[key] <= worst[key]:
                worst[key] = t[key]
    summary["worst"] = per_tap
    return summary


def parity(work):
    """Both KV types, a short and a long prompt, and what it costs to watch."""
    list_ = []
    for prompt in ("haiku", "long"):
        for kv in ("f16", "f32"):
            list_.append(diff(work, f"parity-{prompt}-{kv}", "--prompt", prompt, "--kv", kv))
    list_.append(diff(work, "parity-unchecked", "--prompt", "haiku", ATTNDIFF_CUDA_CHECKS="off"))
    return list_


def repeat(work):
    return diff(work, "repeat", "--prompt", "haiku", "--repeat", "10", timeout=400)


def faults(work):
    """Every planted fault, alone, on the GPU and under the emulator."""
    _, out, _, _ = run([ATTNDIFF, "faults", "--json"])
    names = [f["name"] for f in json.loads(out)]
    reference = os.path.join(work, "reference.safetensors")
    status, _, err, _ = run([ATTNDIFF, "record", "--engine", REFERENCE, "--prompt", "haiku", "--out", reference])
    if status != 0:
        return {"error": err}

    def one(job):
        name, engine = job
        return diff(work, f"fault-{name}-{engine[5:]}", "--fault", name, ours=engine, reference="trace:" + reference)

    jobs = [(name, engine) for name in names for engine in (GPU, EMULATOR)]
    with concurrent.futures.ThreadPoolExecutor(max(1, min(8, (os.cpu_count() or 2) // 2))) as pool:
        results = dict(zip(jobs, pool.map(one, jobs)))
    table = []
    for name in names:
        row = {"fault": name}
        for column, engine in (("cuda", GPU), ("emu", EMULATOR)):
            r = results[name, engine]
            row[column] = {"verdict": r.get("verdict"), "findings": r.get("findings"), "notes": r.get("notes")}
            if "error" in r:
                row[column]["error"] = r["error"]
        row["same"] = all(row["cuda"][k] == row["emu"][k] for k in ("verdict", "findings"))
        table.append(row)
    return table


def sanitizer(work):
    """NVIDIA's checkers over a recording. The device's own checks are off: they
    fill memory, and initcheck is to see what nobody wrote."""
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    list_ = []
    for check in ("memcheck", "racecheck", "initcheck", "synccheck"):
        command = [tool, "--tool", check, "--target-processes", "all", ATTNDIFF, "record", "--engine", GPU,
                   "--prompt", "haiku", "--steps", "2", "--timeout", "4m"]
        status, out, err, seconds = run([*command, "--out", os.path.join(work, check + ".safetensors")],
                                        ATTNDIFF_CUDA_CHECKS="off")
        text = out + err
        summaries = [line.strip("= ") for line in text.splitlines() if "SUMMARY" in line]
        list_.append({"tool": check, "exit": status, "seconds": seconds, "summaries": summaries,
                      "clean": bool(summaries) and all(re.search(r"SUMMARY: 0 ", s) for s in summaries),
                      "first": [line for line in text.splitlines() if line.startswith("=========")][:12]})
    return list_


def device_tests(work):
    """The tests of ours/cuda that need a GPU, from a prebuilt test program."""
    if not os.path.exists(DEVICE_TESTS):
        return {"skipped": f"no {DEVICE_TESTS}; make gpu-tests builds it"}
    status, out, err, seconds = run([os.path.abspath(DEVICE_TESTS), "-test.v", "-test.timeout", "4m"])
    count = lambda word: len(re.findall(rf"^--- {word}: ", out, re.M))
    result = {"exit": status, "seconds": seconds, "passed": count("PASS"), "failed": count("FAIL"), "skipped": count("SKIP")}
    if status != 0:
        result["output"] = (out + err)[-4000:]
    return result


def golden(work, out):
    """A small recording that a test on a machine without a GPU compares with
    the emulator's."""
    path = os.path.join(out, "ours-cuda.safetensors")
    status, _, err, _ = run([ATTNDIFF, "record", "--engine", GPU, "--prompt", "haiku", "--steps", str(GOLDEN_STEPS),
                             "--taps", GOLDEN_TAPS, "--out", path])
    return {"exit": status, "file": os.path.basename(path), "error": err.strip() if status else None}


def verdict(evidence):
    """What did not come out as it must."""
    bad = [f"parity: {d['command']}: {d.get('verdict')}" for d in evidence["parity"] if d.get("verdict") != "parity"]
    if evidence["repeat"].get("verdict") != "parity" or evidence["repeat"].get("unstable"):
        bad.append("repeat: " + str(evidence["repeat"].get("unstable") or evidence["repeat"].get("verdict")))
    bad += [f"fault {row['fault']}: {row['cuda']['findings']} on the GPU, {row['emu']['findings']} in the emulator"
            for row in evidence["faults"] if not row["same"]]
    bad += [f"{s['tool']}: {s['summaries']}" for s in evidence["sanitizer"] if not s["clean"]]
    if evidence["device_tests"].get("failed") or evidence["device_tests"].get("exit"):
        bad.append("device tests failed")
    if evidence["golden"]["exit"] != 0:
        bad.append("golden recording failed")
    return bad


def main(out):
    os.makedirs(out, exist_ok=True)
    evidence = {"command": "scripts/gpu-run.sh OUT", "date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine()}
    with tempfile.TemporaryDirectory() as work:
        for name, stage in (("parity", parity), ("device_tests", device_tests), ("golden", lambda w: golden(w, out)),
                            ("repeat", repeat), ("sanitizer", sanitizer), ("faults", faults)):
            began = time.monotonic()
            evidence[name] = stage(work)
            print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
            save(evidence, out)
    evidence["bad"] = verdict(evidence)
    save(evidence, out)
    for line in evidence["bad"]:
        print("BAD", line)
    print(f"{len(evidence['bad'])} things came out wrong; {out}/evidence.json")
    return 1 if evidence["bad"] else 0


def save(evidence, out):
    path = os.path.join(out, "evidence.json")
    with open(path + ".new", "w") as f:
        json.dump(evidence, f, indent=1)
        f.write("\n")
    os.replace(path + ".new", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
