"""The most memory a command ever holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence


def peak_bytes(command: Sequence[str]) -> int:
    """Run a command, and return the largest resident set size it reached.

    Args:
        command: A program and its arguments; it must succeed. What it prints is dropped.

    Raises:
        CalledProcessError: It failed.
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
