"""What looks at ours on a GPU from outside: NVIDIA's checkers and the device tests."""

import glob
import os
import re
import shutil

from diffs import GPU
from process import ATTNDIFF, last, run

# What each checker must see, so that its silence means something: a write past a
# buffer's end, a missing barrier, a read of what nobody wrote.
CONTROLS = {"memcheck": "cache-row-off-by-one", "racecheck": "norm-barrier-missing", "initcheck": "embedding-first-block-only"}
OPTIONS = {"memcheck": "--padding 4096"}
TOKENS = [str(11 * t % 400 + 100) for t in range(200)]  # enough for several splits of the fused decode


def check(work, tool, path="", fault=""):
    """One of NVIDIA's checkers over a recording, which must be clean, or not if a
    fault is planted. The device's own checks are off: they fill memory, and
    initcheck is to see what nobody wrote. The checker starts the engine's process
    itself: it does not follow Go's way of starting one. Tokens are given by number,
    so that the cache is as long as they and a row too far is past its end, where
    memcheck's padding keeps the next buffer away."""
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    tokens = ",".join(TOKENS[:40] if fault else TOKENS)  # thousands of errors are slow to list
    name = os.path.join(work, f"{tool}-{path}{fault}")
    command = [ATTNDIFF, "record", "--engine", GPU, "--tokens", tokens, "--steps", "2", "--timeout", "4m", "--out", name + ".safetensors",
               *(["--path", path] if path else []), *(["--fault", fault] if fault else [])]
    status, out, err, seconds = run(["nice", *command], 240, ATTNDIFF_CUDA_CHECKS="off",
                                    ATTNDIFF_LAUNCHER=f"{program} --tool {tool} {OPTIONS.get(tool, '')} --log-file {name}-%p.log")
    text = "".join(open(log).read() for log in sorted(glob.glob(name + "-*.log")))  # one of each process that was started
    summaries = [line.strip("= ") for line in text.splitlines() if "SUMMARY" in line]
    clean = status == 0 and bool(summaries) and all(re.search(r"SUMMARY: 0 ", s) for s in summaries)
    result = {"tool": f"{tool} {path or fault}".strip(), "exit": status, "seconds": seconds, "summaries": summaries}
    if fault:
        return {**result, "sees": bool(summaries) and not clean}
    return {**result, "clean": clean, "first": [line for line in text.splitlines() if line.startswith("=========")][:20] or last(out + err, 5)}


def device_tests():
    """The tests of ours/cuda that need a GPU or NVRTC, from a prebuilt test program."""
    if not os.path.exists("bin/cuda.test"):
        return {"skipped": "no bin/cuda.test; make gpu-pack builds it"}
    status, out, err, seconds = run(["nice", os.path.abspath("bin/cuda.test"), "-test.v", "-test.timeout", "200s"], 210)
    count = lambda word: len(re.findall(rf"^--- {word}: ", out, re.M))
    result = {"exit": status, "seconds": seconds, "passed": count("PASS"), "failed": count("FAIL"), "skipped": count("SKIP"),
              "skips": re.findall(r"^--- SKIP: (\S+)", out, re.M)}
    if status != 0:
        result["error"] = [line for line in out.splitlines() if re.match(r"\s*(--- FAIL|\w+_test\.go|panic)", line)][:30] or last(out + err, 10)
    return result
