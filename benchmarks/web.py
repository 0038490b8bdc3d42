"""A search on the page, from the request to the last byte of HTML: ``python -m benchmarks.web``.

The server is the one that ``thanosql serve`` runs, in a process of its own, asked over loopback.
The first search of each kind is printed alone. Of the others there are the medians, and what the
server computes for one, which other programs on the machine hardly change.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path

import httpx
from PIL import Image

from .collection import TEXT, Collection, run
from .measure import compare, shown

_CALLS = 40
_PROGRAM = "from thanosql_dbapi.ui.web import serve; serve({!r}, port=0)"


def times(made: Collection, runs: int) -> None:
    """Print what the page takes for each kind of question."""
    command = [sys.executable, "-c", _PROGRAM.format(str(made.database))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://[\d.:]+", server.stdout.readline())
            assert found
            with httpx.Client(base_url=found[0], trust_env=False, timeout=120) as client:
                _ask(client, made.rows, runs, server.pid)
        finally:
            server.send_signal(signal.SIGINT)


def _ask(client: httpx.Client, rows: int, runs: int, server: int) -> None:
    page = "/photos/photos/-/pictures"
    numbers = itertools.count()

    def get(query: str = "") -> str:
        answer = client.get(f"{page}{query}")
        answer.raise_for_status()
        return answer.text

    def send(picture: bytes) -> None:
        fields = {"csrftoken": unescape(token[1]), "q": ""}
        client.post(page, data=fields, files={"picture": picture}).raise_for_status()

    token = re.search(r'name="csrftoken" value="([^"]*)"', get())
    assert token
    file = io.BytesIO()
    Image.effect_mandelbrot((1600, 1200), (-2, -1.5, 1, 1.5), 50).save(file, "JPEG")
    candidates: dict[str, Callable[[], object]] = {
        "no question, the newest": get,
        "a text asked before": lambda: get(f"?q={TEXT}"),
        "a new text": lambda: get(f"?q={TEXT} {next(numbers)}"),
        "page 10 of a text": lambda: get(f"?q={TEXT}&page=10"),
        "more like a row": lambda: get("?like=7"),
        "a text, a filter that keeps 50 %": lambda: get(f"?q={TEXT}&album__lt=50"),
        "a text, a filter that keeps 1 %": lambda: get(f"?q={TEXT}&album__exact=7"),
        "like a row, a filter that keeps 50 %": lambda: get("?like=7&album__lt=50"),
        "a picture of 1600 x 1200": lambda: send(file.getvalue()),
    }
    for name, ask in candidates.items():
        begin = time.perf_counter()
        ask()
        print(f"first: {name}: {shown(time.perf_counter() - begin)}")
    compare(f"The page over {rows:,} pictures", candidates, runs=runs)
    print("\n| | CPU time of the server |\n|---|---:|")
    for name, ask in candidates.items():
        begin = _cpu_s(server)
        for _ in range(_CALLS):
            ask()
        print(f"| {name} | {shown((_cpu_s(server) - begin) / _CALLS)} |")


def _cpu_s(process: int) -> float:
    """Return what a process has computed so far, in seconds, its system calls included."""
    values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    run(times)
