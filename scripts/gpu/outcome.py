"""What came of a run: what of it did not come out as it must, and the file of it all."""

import json
import os
import re


def problems(evidence):
    """What did not come out as it must."""
    bad = []
    for name, found in evidence.items():
        if name == "bad":
            continue
        if isinstance(found, dict) and (found.get("error") or found.get("exit") or found.get("errors")):
            bad.append(f"{name}: {found.get('error') or found.get('errors') or 'exit ' + str(found['exit'])}")
        runs = found.get("runs", []) if isinstance(found, dict) else found if isinstance(found, list) else []
        for d in runs:
            if not isinstance(d, dict):
                continue
            if "command" in d and d.get("verdict") != "parity":
                bad.append(f"{d['name']}: {d.get('verdict')} {d.get('findings') or d.get('error') or ''}")
            odd = {tap: w["statuses"] for tap, w in d.get("worst", {}).items() if w.get("statuses")}
            if odd:
                bad.append(f"{d['name']}: {odd}")
            if d.get("unstable"):
                bad.append(f"{d['name']}: differs between runs: {d['unstable'][:3]}")
            if d.get("clean") is False:
                bad.append(f"{d['tool']}: {d['summaries'] or d['first'][-3:]}")
            if d.get("sees") is False:
                bad.append(f"{d['tool']}: planted, and not seen: {d['summaries']}")
            if d.get("same") is False:
                cuda, emu = ([d[c].get("verdict"), d[c].get("findings")] for c in ("cuda", "emu"))
                bad.append(f"fault {d['fault']}: {cuda} on the GPU, {emu} in the emulator")
    for row in evidence.get("capture", {}).get("rows", []):
        if row["capture/plain"] > 1.5:
            bad.append(f"capture: {row['run']}: {row['capture/plain']} times, bar 1.5")
    if evidence.get("to_verdict", {}).get("seconds", 0) > 15:
        bad.append(f"to_verdict: {evidence['to_verdict']['seconds']} s, bar 15 s")
    return bad


def save(evidence, out):
    """Writes evidence.json: a line for each number's group rather than for each number."""
    text = json.dumps(evidence, indent=1)
    text = re.sub(r"\{[^{}\[\]]*\}|\[[^{}\[\]]*\]", lambda m: re.sub(r"\s*\n\s*", " ", m[0]), text)
    path = os.path.join(out, "evidence.json")
    with open(path + ".new", "w") as f:
        f.write(text + "\n")
    os.replace(path + ".new", path)
