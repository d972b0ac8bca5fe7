"""Writes what the GPU evidence says into traces/gpu/README.md, between its two
marks: python3 scripts/gpu/summary.py traces/gpu."""

import json
import os
import re
import sys

BEGIN, END = "<!-- summary.py writes from here -->", "<!-- to here -->"


def load(folder, name):
    try:
        with open(os.path.join(folder, name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def parities(evidence):
    """Diffs by stage: how many came out at parity."""
    for stage, what in (("ours_cpu", "ours:cuda against llama.cpp:cpu, haiku and long, f16 and f32"),
                        ("llama_cuda", "ours:cuda against llama.cpp:cuda, the same, flash attention off and on"),
                        ("synthetic", "both at Qwen2.5-0.5B's shape, F16"), ("fused", "fused attention against flash attention"),
                        ("fused_cpu", "fused attention against llama.cpp:cpu"), ("repeat", "ten runs bit for bit alike")):
        runs = evidence.get(stage)
        if isinstance(runs, list):
            right = sum(d.get("verdict") == "parity" and not d.get("unstable") for d in runs)
            yield what, f"{right} of {len(runs)} at parity"


def rows(evidence):
    yield from parities(evidence)
    faults = evidence.get("faults")
    if isinstance(faults, list):
        yield "planted faults, GPU beside emulator", f"{sum(row['same'] for row in faults)} of {len(faults)} found alike"
    checks = evidence.get("sanitizer")
    if isinstance(checks, list):
        clean = [c["clean"] for c in checks if "clean" in c]
        yield "compute-sanitizer, four tools, both attention paths", f"{sum(clean)} of {len(clean)} clean"
        sees = [c["sees"] for c in checks if "sees" in c]
        yield "compute-sanitizer with a fault planted for it", f"{sum(sees)} of {len(sees)} seen"
    tests = evidence.get("device_tests", {})
    if "passed" in tests:
        yield "device tests", f"{tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped"
    for row in evidence.get("capture", {}).get("rows", []):
        prompt, decodes = re.search(r"prompt=(\d+)/decodes=(\d+)", row["run"]).groups()
        yield (f"recording over not recording, llama.cpp:cuda, 0.5B, prompt of {prompt}, {decodes} decoded (bar 1.5)",
               f"{row['capture/plain']} times of {row['plain-ms']} ms")
    verdict = evidence.get("to_verdict", {})
    if "seconds" in verdict:
        yield "0.5B, haiku, 16 steps, to the verdict (bar 15 s)", f"{verdict['seconds']:.1f} s"


def speed(attention):
    """Tables of the fused kernels at Qwen2.5-0.5B's shape, keys and values from memory."""
    decode = [entry for entry in attention["decode"] if entry["shape"] == "qwen2.5-0.5b"]
    yield "| KV length | ours plain | ours early | llama.cpp | early: times llama.cpp | early: GB/s | early: share of copy | plain: times llama.cpp | plain: share of copy | reading alone |"
    yield "|" + "---|" * 10
    for entry in decode:
        cold = entry["cold"]
        plain, early, llama, read = (cold[key]["median"] for key in ("ours_us", "ours_early_us", "llama_us", "read_us"))
        gb_s = cold["ours_gb_s"] * plain / early
        yield (f"| {entry['context']} | {plain:.2f} | {early:.2f} | {llama:.2f} | {llama / early:.2f} | {gb_s:.0f} | {100 * cold['early_share_of_copy']:.0f} % "
               f"| {llama / plain:.2f} | {100 * cold['share_of_copy']:.0f} % | {read:.2f} |")
    yield ""
    yield "| prompt | ours | llama.cpp | times llama.cpp | TFLOP/s | NMSE ours | NMSE llama.cpp |"
    yield "|" + "---|" * 7
    for entry in attention["prefill"]:
        if entry["shape"] == "qwen2.5-0.5b":
            cold = entry["cold"]
            ours, llama = cold["ours_us"]["median"], cold["llama_us"]["median"]
            yield (f"| {entry['tokens']} | {ours:.1f} | {llama:.1f} | {llama / ours:.2f} | {cold['ours_tflops']:.0f} "
                   f"| {cold['ours_nmse']:.1e} | {cold['llama_nmse']:.1e} |")


def summary(folder):
    evidence, attention = load(folder, "evidence.json"), load(folder, "attention.json")
    machine = evidence["machine"]
    libraries = [re.sub(r"^ok +", "", line) for line in evidence.get("doctor", []) if line.startswith("ok") and " lib" in line]
    lines = [f"{machine.get('gpu')}, driver {machine.get('driver')}, {machine['cpu_cores']} cores, {evidence['date']}, "
             f"kernels {machine['attndiff']['kernel_digest'][:16]}, llama.cpp {machine['attndiff']['llama_cpp_commit']}: `{evidence['command']}`.", ""]
    lines += [f"- {line}" for line in libraries] + ["", "| what | found |", "|---|---|"]
    lines += [f"| {what} | {found} |" for what, found in rows(evidence)]
    lines += [""] + [f"- {note}" for note in evidence.get("notes", [])] if evidence.get("notes") else []
    bad = evidence.get("bad", [])
    lines += ["", "Everything came out as it must." if not bad else f"What did not come out as it must ({len(bad)}):", ""]
    lines += [f"- {line[:300]}" for line in bad]
    if attention:
        lines += ["", f"Microseconds a launch (attention.json); copy {attention['kernel_copy_gb_s']:.0f} GB/s by a kernel, {attention['driver_copy_gb_s']:.0f} by the driver:", "", *speed(attention)]
    return "\n".join(lines).rstrip()


def main(folder):
    path = os.path.join(folder, "README.md")
    with open(path) as f:
        text = f.read()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    text = f"{text[:begin]}\n\n{summary(folder)}\n\n{text[end:]}"
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1])
