"""Decoding alone, in processes and in threads, beside a loop with Pillow on one core.

    python -m benchmarks.decoding [--runs N] [--small N] [--large N]

What CONVERT does before the model, from a path to the model's pixels, for JPEGs of 640×480 and of
12 megapixels that are drawn first. Beside the rates stands what a picture costs this process while
others decode: of that, one process can do so many a second, whatever the cores. The candidates take
turns; the model is left out, so its share of the cores is not counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from PIL import Image

from thanosql_dbapi.cores import usable_cores
from thanosql_dbapi.embedding.batches import Part, cut
from thanosql_dbapi.embedding.digests import Digests
from thanosql_dbapi.embedding.executors.chunks import ChunkDecoders
from thanosql_dbapi.embedding.executors.pool import Pool
from thanosql_dbapi.embedding.executors.task import PictureReader
from thanosql_dbapi.embedding.executors.threads import Decoders, Found
from thanosql_dbapi.embedding.known import KNOWS_NOTHING
from thanosql_dbapi.embedding.pictures import Pictures
from thanosql_dbapi.models.preprocessing import Preparation
from thanosql_dbapi.settings import Settings

from .machine import Share
from .measure import Figure, compare, machine
from .photographs import LARGE, SMALL, photographs

# CLIP's: the short side to 224 pixels, and the middle of it, by Pillow's bicubic filter.
PREPARATION = Preparation(224, None, (224, 224), 3, (1.0,) * 3, (0.0,) * 3)
BATCH = 256
BAR = 0.9


def main() -> None:
    """Measure both sizes, and print what the bars make of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--small", type=int, default=400 * usable_cores(), help="of 640×480")
    parser.add_argument("--large", type=int, default=24 * usable_cores(), help="of 12 megapixels")
    given = parser.parse_args()
    print(machine("pillow"))
    with tempfile.TemporaryDirectory() as name:
        figures = [
            *_figures(Path(name), "640×480", SMALL, given.small, given.runs),
            *_figures(Path(name), "12 MP", LARGE, given.large, given.runs),
        ]
    print("\n| | measured | beside it | ratio | bar | |\n|---|---:|---|---:|---:|---|")
    for each in figures:
        beside = f"{each.beside}: {each.shown(each.other)}" if each.beside else ""
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        print(
            f"| {each.what} | {each.shown(each.value)} | {beside} | {ratio} | {each.bar or ''}"
            f" | {each.note} |"
        )


def ready_path(share: Share) -> Iterator[Figure]:
    """Decode in processes, beside the cores times one core's loop with Pillow."""
    counts = ((SMALL, "640×480", 400 * usable_cores()), (LARGE, "12 MP", 16 * usable_cores()))
    for size, what, count in counts:
        yield from _figures(share.folder, what, size, count, runs=3)


def _figures(
    folder: Path, what: str, size: tuple[int, int], count: int, runs: int
) -> Iterator[Figure]:
    files = photographs(folder, count, size)
    few = files[: max(8, len(files) // (2 * usable_cores()))]
    settings = Settings.of({}, files[0].parent, is_read_only=True)
    digests = Digests(settings.workspace, b"a model", "image")
    reader = PictureReader(Pictures.of(settings), digests, PREPARATION)
    pool = Pool(usable_cores())
    begin = time.perf_counter()
    pool.wait()
    start_s = time.perf_counter() - begin
    own: list[float] = []

    def processes() -> None:
        before = time.process_time()
        chunks = ChunkDecoders(
            reader,
            pool,
            KNOWS_NOTHING,
            512,
            seconds=seconds,
            pixel_bytes=3 * 224**2,
            has_known=False,
        )
        _decode_all(chunks, files)
        own.append((time.process_time() - before) / len(files))

    def threads() -> None:
        _decode_all(Decoders(reader, usable_cores(), KNOWS_NOTHING, 512), few)

    def one_core() -> None:
        for path in few:
            with Image.open(path) as image:
                image.draft("RGB", (PREPARATION.least_side_px,) * 2)
                PREPARATION.pixels(image.convert("RGB"))

    begin = time.process_time()
    one_core()
    seconds = (time.process_time() - begin) / len(few)
    candidates = {"one core, Pillow": one_core, "processes": processes, "threads": threads}
    medians = compare(f"decoding alone, JPEGs of {what}", candidates, runs=runs)
    pool.close()
    core = len(few) / medians["one core, Pillow"]
    beside = f"{usable_cores()} × one core's loop with Pillow"
    rate = len(files) / medians["processes"]
    mine = min(own) * 1e6
    note = f"this process: {mine:,.0f} µs a picture; the workers start in {start_s:.2g} s"
    best = usable_cores() * core
    yield Figure(
        f"decoding alone in processes, {len(files):,} JPEGs of {what}",
        rate, "images/s", beside, best, BAR, note,
    )  # fmt: skip
    rate = len(few) / medians["threads"]
    yield Figure(f"the same in threads, {what}", rate, "images/s", beside, best)


def _decode_all(decoders: ChunkDecoders | Decoders, files: Sequence[Path]) -> None:
    ahead: deque[list[Future[Found]]] = deque()

    def finish() -> None:
        for job in ahead.popleft():
            found = job.result()
            assert all(read.pixels is not None for read in found.reads.values())
            found.release()

    try:
        rows: Any = ((path.name, path.name) for path in files)
        for rows_of_part in cut(rows, BATCH):
            ahead.append(decoders.submit(Part(rows_of_part)))
            if len(ahead) > 2:
                finish()
        while ahead:
            finish()
    finally:
        decoders.close()


if __name__ == "__main__":
    sys.exit(main())
