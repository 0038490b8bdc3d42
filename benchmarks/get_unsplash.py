"""GET of the tutorial's photographs, from loopback: ``python -m benchmarks.get_unsplash``.

The server is another process, waits 50 ms before each answer, and gives every photo the same bytes.
Then the statement is said again with ``overwrite=True``: the pictures are taken over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import thanosql_dbapi

from .measure import machine

SERVER = Path(__file__).resolve().parents[1] / "tests" / "loopback.py"


def main() -> None:
    """Measure once: it takes minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=25_000)
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--bytes", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=16)
    options = parser.parse_args()
    print(machine())
    command = [sys.executable, str(SERVER), str(options.photos), str(options.latency_ms)]
    server = subprocess.Popen(
        [*command, str(options.bytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    warnings.simplefilter("ignore")
    with server, tempfile.TemporaryDirectory() as folder:
        assert server.stdin is not None
        assert server.stdout is not None
        os.environ.update(json.loads(server.stdout.readline()))
        connection = thanosql_dbapi.connect(Path(folder) / "t.db")
        for what in ("fetched", "taken over"):
            cpu, started = time.process_time(), time.perf_counter()
            connection.execute(
                "GET THANOSQL DATASET unsplash_data"
                f" OPTIONS (overwrite=True, workers={options.workers})"
            )
            seconds = time.perf_counter() - started
            print(
                f"{options.photos:,} photos of {options.bytes:,} bytes {what}: {seconds:.1f} s,"
                f" {options.photos / seconds:,.0f} a second,"
                f" {time.process_time() - cpu:.1f} s of CPU"
            )
        connection.close()
        server.stdin.close()


if __name__ == "__main__":
    main()
