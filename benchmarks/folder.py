"""COPY of a folder of many files, and sync: ``python -m benchmarks.folder``.

The folder has small JPEG files with EXIF, each of another content, a thousand in a folder. Every
step runs in a process of its own; the peak of memory is that of the process, Python included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .measure import machine

_A_FOLDER = 1000

_STEP = """
import resource, sys, time
import thanosql_dbapi
db = thanosql_dbapi.connect(sys.argv[1], progress=False)
cpu = time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
db.execute(sys.argv[2])
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = db.report
print(f"{seconds:8.2f} s ({cpu:6.2f} s of CPU) {before / 1024:5.0f} -> {peak / 1024:3.0f} MiB"
      f"  added {done.added:,}, moved {done.moved:,}, removed {done.removed:,},"
      f" unchanged {done.unchanged:,}")
"""


def write_photos(folder: Path, count: int, size_bytes: int) -> None:
    """Write JPEG files with EXIF that have different contents.

    Args:
        folder: Where; folders of a thousand are made in it.
        count: How many.
        size_bytes: Bytes that are added to each, so that it takes as much room as a photograph.
    """
    import io

    from PIL import Image

    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Canon", "Canon EOS R5", 6
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09", 0x9011: "+09:00", 0xA434: "RF24-105mm F4"}
    exif[0x8825] = {1: "N", 2: (37.0, 33.0, 36.0), 3: "E", 4: (126.0, 58.0, 48.0)}
    out = io.BytesIO()
    Image.effect_noise((160, 120), 40).convert("RGB").save(out, "JPEG", exif=exif.tobytes())
    content = out.getvalue()
    for number in range(count):
        place = folder / f"{number // _A_FOLDER:04d}"
        if number % _A_FOLDER == 0:
            place.mkdir(parents=True)
        more = os.urandom(16) + bytes(size_bytes)
        (place / f"IMG_{number:06d}.jpg").write_bytes(content + more)


def step(name: str, database: Path, sql: str) -> None:
    """Run a statement in a process of its own, and print how long it took."""
    done = subprocess.run(
        [sys.executable, "-c", _STEP, str(database), sql],
        check=True,
        capture_output=True,
        text=True,
    )
    print(f"{name:<36}{done.stdout.rstrip()}", flush=True)


def move_all(folder: Path) -> None:
    """Give every file another name, and every folder too."""
    for place in sorted(folder.iterdir()):
        for path in sorted(place.iterdir()):
            path.rename(path.with_name(f"holiday {path.name}"))
        place.rename(place.with_name(f"album {place.name}"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=0, help="bytes that are added to each file")
    given = parser.parse_args(arguments)
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        start = time.perf_counter()
        write_photos(root / "photos", given.files, given.bytes)
        print(f"{given.files:,} files written in {time.perf_counter() - start:.0f} s", flush=True)
        plain, exif = root / "plain.db", root / "exif.db"
        sync = "COPY t OPTIONS (if_exists='sync') FROM 'photos/'"
        step("COPY", plain, "COPY t FROM 'photos/'")
        step("append, nothing new", plain, "COPY t OPTIONS (if_exists='append') FROM 'photos/'")
        step("sync, nothing new", plain, sync)
        move_all(root / "photos")
        step("sync, all moved", plain, sync)
        (root / "photos").rename(root / "pictures")
        step("sync, the folder renamed", plain, sync.replace("photos", "pictures"))
        step("COPY with EXIF", exif, "COPY t OPTIONS (exif=True) FROM 'pictures/'")
        again = "COPY t OPTIONS (exif=True, if_exists='sync') FROM 'pictures/'"
        step("sync with EXIF, nothing new", exif, again)
        move_all(root / "pictures")
        step("sync with EXIF, all moved", exif, again)


if __name__ == "__main__":
    main()
