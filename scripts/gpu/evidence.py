"""Collects what must be shown on a GPU, stage by stage, and writes what came of
each as it goes. scripts/gpu-run.sh calls it and says what it needs.

    evidence.py OUT [--budget SECONDS] [--only STAGE,...] [--without STAGE,...] [--keep-backend]
    evidence.py OUT --only faults-emu      # without a GPU: the emulator's column of OUT/evidence.json

Stages do not depend on one another's success: one that fails is noted and the
next one runs. When the budget is spent, what is left is noted as not run. Without
the stage "machine", what is found goes into the evidence of the same kernels that
OUT has already. OUT/evidence.json tells what was found, OUT/details.tar.gz has the reports.
"""

import argparse
import json
import os
import sys
import tarfile
import tempfile
import time

import process
from diffs import EMULATOR
from outcome import problems, save
from planted import fault_table, find_faults
from stages import STAGES, UNASKED, Run, machine


def today():
    return time.strftime("%Y-%m-%d", time.gmtime())


def continued(out):
    """The evidence that OUT has already, which must be of these kernels."""
    with open(os.path.join(out, "evidence.json")) as f:
        evidence = json.load(f)
    there, here = evidence["machine"]["attndiff"]["kernel_digest"], machine(None)["attndiff"]["kernel_digest"]
    if there != here:
        sys.exit(f"evidence: {out}/evidence.json is of kernels {there[:16]}, this program of {here[:16]}; name another folder")
    return evidence


def emulate_faults(out):
    """Fills in the emulator's column of OUT/evidence.json, which needs no GPU: on
    a machine with the same kernels."""
    evidence = continued(out)
    with tempfile.TemporaryDirectory() as work:
        evidence["faults"] = fault_table(evidence["faults"], {}, find_faults(work, EMULATOR))
    evidence["bad"] = problems(evidence)
    save(evidence, out)


def pack(r):
    """For whoever wants to know more: reports of what did not come out as it
    must, the kernels in order and what they were recorded beside."""
    with tarfile.open(os.path.join(r.out, "details.tar.gz"), "w:gz") as tar:
        for name in sorted(os.listdir(r.work)):
            path = os.path.join(r.work, name)
            report = os.path.join(path, "report.json")
            if os.path.isfile(report) and not name.startswith("fault-"):
                with open(report) as f:
                    if json.load(f)["verdict"] == "parity":
                        continue
                tar.add(report, f"reports/{name}.json")
            elif name.startswith("kernels-"):
                tar.add(path, name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--budget", type=int, default=0, help="seconds that all of it may take")
    parser.add_argument("--only", type=lambda s: s.split(","), default=list(STAGES))
    parser.add_argument("--without", type=lambda s: s.split(","), default=[])
    parser.add_argument("--keep-backend", action="store_true", help="write ggml's CUDA backend to OUT for the next run, instead of details")
    options = parser.parse_args()
    process.clock = process.Clock(options.budget)
    if options.only == ["faults-emu"]:
        return emulate_faults(options.out)
    os.makedirs(options.out, exist_ok=True)
    if "machine" in options.only or not os.path.exists(os.path.join(options.out, "evidence.json")):
        evidence = {"command": "scripts/gpu-run.sh OUT", "date": today()}
    else:
        evidence = continued(options.out)
        evidence.setdefault("added", []).append({"date": today(), "stages": options.only, **machine(None)})
    with tempfile.TemporaryDirectory() as work:
        r = Run(options.out, work, options.keep_backend)
        for name, stage in STAGES.items():
            if name not in options.only and name not in UNASKED or name in options.without:
                continue
            if process.clock.left() < 5:
                evidence[name] = {"error": "not run: the budget was spent"}
                continue
            began = time.monotonic()
            try:
                found = stage(r)
            except Exception as e:  # whatever it is, the next stage is worth running
                found = {"error": f"{type(e).__name__}: {e}"}
            if found is not None:
                evidence[name] = found
            print(f"{name}: {time.monotonic() - began:.1f} s {'' if found is None else problems({name: found}) or 'ok'}", flush=True)
            if r.backend.done():
                evidence["reference_build"] = r.backend.result()
            save(evidence, options.out)
        evidence["bad"] = problems(evidence)
        save(evidence, options.out)
        if not options.keep_backend:
            pack(r)
        r.pool.shutdown(wait=False, cancel_futures=True)
    for line in evidence["bad"]:
        print("BAD", line)
    print(f"{len(evidence['bad'])} things came out wrong; {options.out}/evidence.json", flush=True)
    process.stop()
    os._exit(1 if evidence["bad"] else 0)  # without waiting for what runs beside


if __name__ == "__main__":
    main()
