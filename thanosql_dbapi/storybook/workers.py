"""Runs a share of the drawing on each core, in child processes.

Not `multiprocessing`: where it spawns, it runs the user's main script again, so that a script
without a main guard would start over. A child here runs this package's own code only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

# The child takes over the parent's import path before it imports anything, so that it finds the
# same package whatever folder it starts in, and nothing of that folder.
_BOOTSTRAP = (
    "import json, sys; a = json.loads(sys.stdin.readline()); sys.path[:] = a['path'];"
    " import importlib; m = importlib.import_module(a['module']);"
    " getattr(m, a['function'])(**a['arguments'],"
    " progress=lambda n: print(n, flush=True))"
)


def run_shares(
    function: Callable[..., None],
    shares: list[dict[str, Any]],
    progress: Callable[[int], None],
) -> None:
    """Call a module-level function once a share, each in a process of its own.

    Args:
        function: called as `function(**share, progress=…)`; reports each n pieces done.
        shares: JSON-able keyword arguments; a single one is run in this process.
        progress: called here, from one thread at a time, with the number of pieces just done.

    Raises:
        RuntimeError: a child ended with an error; its last words are in the message.
    """
    if len(shares) == 1 or not sys.executable:
        for share in shares:
            function(**share, progress=progress)
        return
    lock = threading.Lock()
    children = [_start(function, share) for share in shares]
    errors: list[str] = []

    def listen(child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        assert child.stderr is not None
        last_words: list[str] = []
        ears = threading.Thread(target=lambda: last_words.append(_read(child.stderr)))
        ears.start()
        for line in child.stdout:
            with lock:
                progress(int(line))
        ears.join()
        if child.wait() != 0:
            errors.append("".join(last_words)[-2000:])

    threads = [threading.Thread(target=listen, args=(child,)) for child in children]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
    if errors:
        raise RuntimeError(f"drawing the storybook failed in a child process: {errors[0]}")


def _read(stream: Any) -> str:
    return str(stream.read())


def _start(function: Callable[..., None], share: dict[str, Any]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOTSTRAP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    call = {
        "path": sys.path,
        "module": function.__module__,
        "function": function.__name__,
        "arguments": share,
    }
    child.stdin.write(json.dumps(call) + "\n")
    child.stdin.close()
    return child
