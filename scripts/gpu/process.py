"""Runs commands with a bound on their time, and no longer than the whole run may take."""

import os
import subprocess
import time

ATTNDIFF = "bin/attndiff"


class Clock:
    """What is left of a budget of seconds; without one, no end."""

    def __init__(self, budget):
        self.end = time.monotonic() + budget if budget else None

    def left(self):
        return self.end - time.monotonic() if self.end else 1e9


clock = Clock(None)
running = set()


def stop():
    """Ends what still runs."""
    for child in list(running):
        os.killpg(child.pid, 9)


def run(args, timeout=300, **env):
    """Runs a command; its exit status (None when it did not end), output, errors and seconds."""
    began = time.monotonic()
    timeout = max(1, min(timeout, clock.left()))
    status, out, err = None, "", ""
    try:
        child = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                 env={**os.environ, **env}, start_new_session=True)
    except OSError as e:
        return None, "", str(e), 0.0
    running.add(child)
    try:
        out, err = child.communicate(timeout=timeout)
        status = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        out, err = child.communicate()
        err += f"\nno end after {timeout:.0f} s"
    running.discard(child)
    return status, out, err, round(time.monotonic() - began, 3)


def last(text, lines=1):
    """The last lines of a text."""
    return text.strip().splitlines()[-lines:]
