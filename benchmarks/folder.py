"""A folder of many files: COPY, sync and CONVERT of what is new: ``python -m benchmarks.folder``.

The folder has small JPEG files with EXIF, each of another content, a thousand in a folder. Every
step runs in a process of its own; the peak of memory is that of the process, Python included. The
model is a tiny one: what CONVERT costs beside the forward pass is what is asked here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import thanosql_dbapi

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
counts = ("added", "moved", "removed", "unchanged", "converted", "reused", "failed")
said = [f"{name} {getattr(done, name):,}" for name in counts if getattr(done, name, 0)]
print(f"{seconds:8.2f} s ({cpu:6.2f} s of CPU) {before / 1024:5.0f} -> {peak / 1024:4.0f} MiB "
      f" {', '.join(said)}")
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
        stdout=subprocess.PIPE,
        text=True,
    )
    print(f"{name:<36}{done.stdout.rstrip()}", flush=True)


def move_all(folder: Path) -> None:
    """Give every file another name, and every folder too."""
    for place in sorted(folder.iterdir()):
        for path in sorted(place.iterdir()):
            path.rename(path.with_name(f"holiday {path.name}"))
        place.rename(place.with_name(f"album {place.name}"))


def convert_steps(root: Path, database: Path) -> None:
    """Measure CONVERT of ``root/pictures``: of all, of nothing new, of what has moved."""
    # The peak of a process counts for those that it starts, so torch is imported elsewhere.
    made = f"from benchmarks.tiny_clip import make_model; make_model(Path({str(root / 'tiny')!r}))"
    subprocess.run([sys.executable, "-c", f"from pathlib import Path; {made}"], check=True)
    copy = "COPY t OPTIONS (if_exists='{}') FROM 'pictures/'"
    convert = "CONVERT USING tiny OPTIONS (table_name='t'{}) AS SELECT * FROM t"
    with closing(thanosql_dbapi.connect(database, progress=False)) as connection:
        connection.execute("UPLOAD MODEL tiny FROM 'tiny'")
        connection.execute("COPY t FROM 'pictures/'")
    step("CONVERT, all new", database, convert.format(""))
    step("CONVERT, nothing new", database, convert.format(""))
    step("CONVERT, verify, nothing new", database, convert.format(", verify=True"))
    move_all(root / "pictures")
    step("sync, all moved", database, copy.format("sync"))
    step("CONVERT after it", database, convert.format(""))
    move_all(root / "pictures")
    step("COPY anew, all moved", database, copy.format("replace"))
    step("CONVERT after it", database, convert.format(""))


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
        plain, exif, vectors = root / "plain.db", root / "exif.db", root / "vectors.db"
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
        convert_steps(root, vectors)


if __name__ == "__main__":
    main()
