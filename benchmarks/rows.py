"""The rows of ``python -m benchmarks.machine``: each measures the product, by its statements.

What a row is held against is what a person would write without the driver, in numpy, torch,
transformers, Pillow or pandas, on the same cores and the same data.
"""

from __future__ import annotations

import cProfile
import pstats
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import thanosql_dbapi as thanosql
from thanosql_dbapi.cores import usable_cores

from . import copy_csv as csv
from .collection import Collection, collection
from .convert import opened
from .folder import write_photos
from .machine import Share
from .measure import Figure, compare
from .peers import numpy_product, torch_on_gpu
from .photographs import LARGE, SMALL, photographs
from .search import SQL, best, driver, driver_on_gpu
from .tiny_clip import make_model

FEW_ROWS, MANY_ROWS, FEWER_ROWS = 25_000, 1_000_000, 250_000
_GPU_PHOTOS = 25_000
_MANY_BYTES = 8 * 2**30  # on the disk and in memory, for a million vectors and numpy's copy
_TORCH_LEAST = 64

# The time from a connection to the first answer, in a process that has imported the driver.
_FIRST = """
import sys, time
import thanosql
begin = time.perf_counter()
connection = thanosql.connect(sys.argv[1], progress=False)
assert len(connection.execute(sys.argv[2]).fetchall()) == 5
print(time.perf_counter() - begin)
"""


# -- search


def vectors(share: Share) -> Iterator[Figure]:
    """Make the collections of vectors; the large one as large as time, disk and memory allow."""
    make_model(share.folder / "tiny_clip")  # imports torch, which is not to count below
    begin = time.perf_counter()
    _search_once(collection(FEW_ROWS, folder=share.folder))
    few_seconds = time.perf_counter() - begin
    rows, why = MANY_ROWS, ""
    free = min(shutil.disk_usage(share.folder).free, _free_memory_bytes())
    if few_seconds * MANY_ROWS / FEW_ROWS > share.seconds:
        rows, why = FEWER_ROWS, "a million would take too long here"
    elif free < _MANY_BYTES:
        rows, why = FEWER_ROWS, f"{free / 2**30:.0f} GiB free is too little for a million"
    begin = time.perf_counter()
    made = collection(rows, folder=share.folder)
    what = f"{rows:,} × 512: vectors made up and inserted"
    yield Figure(what, time.perf_counter() - begin, note=why)
    seconds = _search_once(made)
    yield Figure(f"{rows:,} × 512: the very first search, which writes the side file", seconds)


def top5(share: Share) -> Iterator[Figure]:
    """The five nearest, beside numpy with as many threads."""
    for made in _collections(share):
        query = made.query()
        ours, numpy = driver(made), numpy_product(made)
        assert set(ours(query)) == set(numpy(query)), "another answer than numpy's"
        name = f"numpy, {_count(usable_cores(), 'thread')}"
        what = f"top 5 of {made.rows:,} × 512, {_count(usable_cores(), 'core')}"
        finders = {name: partial(numpy, query), "ours": partial(ours, query)}
        runs = _runs(finders.values(), share.seconds / 4, 51)
        medians = compare(what, finders, runs=runs, warm_up=2, pause_s=0.15)
        bar = 0.4 if made.rows > FEW_ROWS else 1.0 if usable_cores() == 2 else None
        yield Figure(what, medians["ours"], "s", name, medians[name], bar)
        if made.rows == FEW_ROWS and usable_cores() == 16:
            yield Figure(what, medians["ours"], "s", bar=0.6e-3)


def first_search(share: Share) -> Iterator[Figure]:
    """The first search of a process, the side file there and the text asked before."""
    for made in _collections(share):
        made.query()
        runs: list[float] = []
        end = time.perf_counter() + share.seconds / 2
        while len(runs) < 5 and (not runs or time.perf_counter() < end):
            command = [sys.executable, "-c", _FIRST, str(made.database), SQL]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(float(done.stdout))
        yield Figure(
            f"connect and the first search of {made.rows:,} in a new process",
            statistics.median(runs),
            bar=0.3 if made.rows > FEW_ROWS else None,
            note="files in the page cache",
        )


def many_texts(share: Share) -> Iterator[Figure]:
    """A hundred texts in one SEARCH, beside one: the best rows, and all rows."""
    made = collection(FEW_ROWS, folder=share.folder)
    search = "SELECT * FROM (SEARCH IMAGE texts=? USING m AS SELECT photo_id, m_clipen FROM photos)"
    best_rows = f"{search} ORDER BY m_clipen_similarity1 DESC LIMIT 5"
    many = [f"a photograph of thing {number}" for number in range(100)]
    with closing(made.connect()) as connection:

        def ask(sql: str, texts: Sequence[str]) -> None:
            connection.execute(sql, (texts,)).fetchall()

        for sql, told in ((best_rows, "the 5 best for the first"), (search, "all rows")):
            what = f"100 texts in one SEARCH of {made.rows:,} rows, {told}"
            ways = {"one text": partial(ask, sql, many[:1]), "100": partial(ask, sql, many)}
            for work in ways.values():
                work()
            runs = _runs(ways.values(), share.seconds / 4, 9, least=1)
            medians = compare(what, ways, runs=runs, warm_up=0)
            yield Figure(what, medians["100"], "s", "one text", medians["one text"], 10)


def join(share: Share) -> Iterator[Figure]:
    """For each row of a table the five most similar of another."""
    made = collection(FEW_ROWS, folder=share.folder)
    sql = (
        "SELECT count(*) FROM (FUNCTION compute.nearest"
        " OPTIONS (src_table='photos', key_col='photo_id', src_key_col='photo_id', top_k=5)"
        " AS SELECT photo_id, m_clipen FROM photos)"
    )
    with closing(made.connect()) as connection:
        begin = time.perf_counter()
        (pairs,) = connection.execute(sql).fetchone()
        seconds = time.perf_counter() - begin
    assert pairs == 5 * made.rows, f"{pairs:,} pairs"
    what = f"the 5 nearest to each, {made.rows:,} × {made.rows:,} rows of 512"
    yield Figure(what, seconds, bar=30 if usable_cores() <= 2 else None)


def top5_gpu(share: Share) -> Iterator[Figure]:
    """The five nearest with the vectors on a GPU, beside torch's product of float16 and topk."""
    if why := _no_gpu():
        yield Figure("top 5 on a GPU", None, note=why)
        return
    theirs_name = "torch, float16 product and topk"
    for made in _collections(share):
        query = made.query()
        ours, theirs = driver_on_gpu(made), torch_on_gpu(made)
        assert set(ours(query)) == set(best(made, query)), "another answer than float64's"
        what = f"top 5 of {made.rows:,} × 512 on a GPU"
        finders = {theirs_name: partial(theirs, query), "ours": partial(ours, query)}
        medians = compare(what, finders, runs=31, warm_up=3)
        is_many = made.rows > FEW_ROWS
        other = medians[theirs_name]
        yield Figure(what, medians["ours"], "s", theirs_name, other, 3 if is_many else None)
        if not is_many:
            yield Figure(what, medians["ours"], bar=0.6e-3)


# -- CONVERT


def decode_bound(share: Share) -> Iterator[Figure]:
    """CONVERT with a small model: the cores decode, and the model takes what it needs of them."""
    from thanosql_dbapi.storybook import MODEL_FOLDER

    side = 96
    for size, what in ((SMALL, "640×480"), (LARGE, "12 MP")):
        few = photographs(share.folder, 6 * usable_cores() if size == LARGE else 64, size)
        decoding = _median_seconds(lambda few=few: _pixels(few, side)) / len(few)
        forward = _one_core_forward(MODEL_FOLDER, few, side) / len(few)
        best_rate = usable_cores() / (decoding + forward)
        most = 4_000 if size == SMALL else 8 * usable_cores()
        count = int(min(max(best_rate * share.seconds / 20, 64), most))
        files = photographs(share.folder, max(count, len(few)), size)
        seconds = _convert(share, MODEL_FOLDER, files, "cpu", runs=3)
        told = f"a core decodes {1 / decoding:,.0f}/s, embeds {1 / forward:,.0f}/s"
        beside = f"{usable_cores()} × one core decoding and embedding by Pillow and transformers"
        yield Figure(
            f"CONVERT, {len(files):,} JPEGs of {what}, storybook_clip, CPU",
            len(files) / seconds,
            "images/s",
            beside,
            best_rate,
            0.9,
            told,
        )


def model_bound(share: Share) -> Iterator[Figure]:
    """CONVERT with a model of ViT-B/32's size, beside its forward passes alone."""
    from .models import vit_b32

    model = share.folder / "vit_b32"
    if not model.is_dir():
        vit_b32(model)
    files = photographs(share.folder, 32 * usable_cores())
    pixels = _pixels(files, 224)
    tower = _tower(model, "cpu")
    forward = _median_seconds(lambda: _forward(tower, pixels, 32))
    seconds = _convert(share, model, files, "cpu", runs=3)
    yield Figure(
        f"CONVERT, {len(files):,} JPEGs of 640×480, a model of ViT-B/32's size, CPU",
        len(files) / seconds,
        "images/s",
        "transformers' forward passes alone, float32",
        len(files) / forward,
        0.95,
    )


def convert_gpu(share: Share) -> Iterator[Figure]:
    """CONVERT on a GPU, beside the slower of its two parts."""
    if why := _no_gpu():
        yield Figure("CONVERT on a GPU", None, note=why)
        return
    from .models import vit_b32

    model = share.folder / "vit_b32"
    if not model.is_dir():
        vit_b32(model)
    few = photographs(share.folder, 512)
    begin = time.perf_counter()
    pixels = _pixels(few, 224)
    decoding = usable_cores() * len(few) / (time.perf_counter() - begin)
    tower = _tower(model, "cuda", half=True)
    forward = len(few) / _median_seconds(lambda: _forward(tower, pixels, 512))
    slower = min(decoding, forward)
    count = _GPU_PHOTOS if slower * share.seconds / 4 > _GPU_PHOTOS else 5_000
    files = photographs(share.folder, count)
    seconds = _convert(share, model, files, "cuda", runs=2)
    what = f"CONVERT, {len(files):,} JPEGs of 640×480, a model of ViT-B/32's size, GPU"
    told = f"{usable_cores()} × one core's decoding {decoding:,.0f}/s, forward {forward:,.0f}/s"
    rate = len(files) / seconds
    yield Figure(what, rate, "images/s", "the slower part alone", slower, 0.85, told)
    if usable_cores() >= 16 and count == _GPU_PHOTOS:
        yield Figure(what, seconds, bar=4.0)


def on_ray(share: Share) -> Iterator[Figure]:
    """CONVERT on a Ray cluster of two workers on this machine, beside CONVERT without Ray."""
    what = "CONVERT on a local Ray cluster of 2 workers"
    if not find_spec("ray"):
        yield Figure(what, None, note="ray is not installed (extra ray)")
        return
    from thanosql_dbapi.storybook import MODEL_FOLDER

    files = photographs(share.folder, 400)
    vectors, seconds = {}, {}
    for name, options in (("here", {}), ("ray", {"executor": "ray", "workers": 2})):
        folder = share.folder / f"convert-{name}"
        with closing(_opened(folder, MODEL_FOLDER, files, "cpu", **options)) as connection:
            seconds[name] = _median_seconds(partial(_convert_once, connection), runs=2)
            rows = connection.execute("SELECT image_path, m_clipen FROM photos")
            vectors[name] = {path: vector.tobytes() for path, vector in rows}
    same = (
        "with the start of its workers; the same vectors"
        if vectors["here"] == vectors["ray"]
        else "OTHER VECTORS"
    )
    what += f", {len(files)} JPEGs of 640×480, storybook_clip"
    rates = {name: len(files) / each for name, each in seconds.items()}
    yield Figure(what, rates["ray"], "images/s", "CONVERT without Ray", rates["here"], note=same)


def writes(share: Share) -> Iterator[Figure]:
    """The share of CONVERT's time that the caller's thread spends in calls of sqlite3."""
    from thanosql_dbapi.storybook import MODEL_FOLDER

    files = photographs(share.folder, 400 * usable_cores())
    with closing(_opened(share.folder / "writes", MODEL_FOLDER, files, "cpu")) as connection:
        _convert_once(connection)
        profile = cProfile.Profile()
        begin = time.perf_counter()
        profile.runcall(_convert_once, connection)
        seconds = time.perf_counter() - begin
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    inside = sum(own for (_, _, name), (_, _, own, _, _) in stats.items() if "sqlite3" in name)
    what = f"sqlite3's share of CONVERT, {len(files):,} JPEGs of 640×480, storybook_clip, CPU"
    yield Figure(what, 100 * inside / seconds, "%", bar=5)


# -- COPY


def copy_csv(share: Share) -> Iterator[Figure]:
    """COPY of a CSV file, beside pandas."""
    rows = int(200_000 * min(share.seconds / 15, 1))
    file = share.folder / f"mixed-{rows}.csv"
    if not file.exists():
        csv.write_csv(file, "mixed", rows)
    database = share.folder / "csv.db"

    def candidate(way: Any) -> Any:
        def work() -> None:
            database.unlink(missing_ok=True)
            way(file, database)

        return work

    ours, theirs = "COPY", "pandas, read_csv and to_sql"
    ways = {theirs: candidate(csv.pandas), ours: candidate(csv.copy)}
    medians = compare(f"CSV of {rows:,} rows", ways, runs=3)
    # 2.35 s beside 3.12 s on the two cores of docs/benchmarks.md.
    yield Figure(
        f"COPY of a CSV of {rows:,} rows", medians[ours], "s", theirs, medians[theirs], 0.8
    )


def copy_folder(share: Share) -> Iterator[Figure]:
    """COPY of a folder, beside a walk of pathlib through it."""
    count = int(20_000 * min(share.seconds / 15, 1))
    photos = share.folder / f"many-{count}"
    if not photos.is_dir():
        write_photos(share.folder / "unfinished", count, 0)
        (share.folder / "unfinished").rename(photos)
    database = share.folder / "folder.db"

    def copy() -> None:
        database.unlink(missing_ok=True)
        with closing(thanosql.connect(database, progress=False)) as connection:
            connection.execute(f"COPY t FROM 'many-{count}/'")

    def walk() -> None:
        for path in photos.rglob("*"):
            path.stat()

    theirs = "Path.rglob and stat"
    medians = compare(f"a folder of {count:,}", {theirs: walk, "COPY": copy}, runs=5)
    yield Figure(
        f"COPY of a folder of {count:,} files", medians["COPY"], "s", theirs, medians[theirs]
    )


# -- what they share


def _collections(share: Share) -> list[Collection]:
    """Return what the row ``vectors`` has left, the smaller first; makes the smaller if need be."""
    few = collection(FEW_ROWS, folder=share.folder)
    made = [rows for rows in (MANY_ROWS, FEWER_ROWS) if [*share.folder.glob(f"clip-{rows}-v*")]]
    return [few, *(collection(rows, folder=share.folder) for rows in made[:1])]


def _search_once(made: Collection) -> float:
    made.query()
    with closing(made.connect()) as connection:
        begin = time.perf_counter()
        connection.execute(SQL).fetchall()
        return time.perf_counter() - begin


def _free_memory_bytes() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")  # macOS, Windows: they swap, and say nothing that is as plain
    (kibibytes,) = [each.split()[1] for each in lines if each.startswith("MemAvailable")]
    return 1024 * int(kibibytes)


def _no_gpu() -> str:
    """Return why there is no GPU to measure on, or ''."""
    import torch

    return "" if torch.cuda.is_available() else "no GPU that torch can use"


def _pixels(files: Sequence[Path], side: int) -> list[Any]:
    """Decode and resize, one after another, as a person would with Pillow and numpy."""
    import numpy as np
    from PIL import Image

    made = []
    for path in files:
        with Image.open(path) as image:
            image.draft("RGB", (max(960, 3 * side),) * 2)
            small = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        made.append(np.asarray(small))
    return made


def _tower(model: Path, device: str, *, half: bool = False) -> Any:
    import torch
    from transformers import CLIPModel

    kind = torch.float16 if half else torch.float32
    return CLIPModel.from_pretrained(model, dtype=kind).to(device).eval()


def _forward(tower: Any, pixels: Sequence[Any], batch: int) -> None:
    """Run the image tower over pixels, batch after batch, the vectors back in memory."""
    import numpy as np
    import torch

    with torch.inference_mode():
        for at in range(0, len(pixels), batch):
            part = torch.from_numpy(np.stack(pixels[at : at + batch])).to(tower.device)
            values = part.permute(0, 3, 1, 2).to(tower.dtype) / 127.5 - 1
            seen = tower.vision_model(pixel_values=values).pooler_output
            tower.visual_projection(seen).float().cpu()


def _one_core_forward(model: Path, files: Sequence[Path], side: int) -> float:
    """Return the seconds of the forward passes with one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pixels, tower = _pixels(files, side), _tower(model, "cpu")
        # Of so few that time is all overhead, more than there are.
        pixels *= max(1, -(-_TORCH_LEAST // len(pixels)))
        seconds = _median_seconds(lambda: _forward(tower, pixels, 32))
        return seconds * len(files) / len(pixels)
    finally:
        torch.set_num_threads(threads)


def _median_seconds(work: Any, runs: int = 3) -> float:
    work()
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _runs(candidates: Iterable[Any], seconds: float, most: int, least: int = 3) -> int:
    """Return how many turns fit into a time."""
    begin = time.perf_counter()
    for work in candidates:
        work()
    return max(least, min(most, int(seconds / (time.perf_counter() - begin))))


def _convert(share: Share, model: Path, files: Sequence[Path], device: str, runs: int) -> float:
    """Return the median seconds of CONVERT of a table of files, after one that is not counted."""
    with closing(_opened(share.folder / "convert", model, files, device)) as connection:
        return _median_seconds(lambda: _convert_once(connection), runs)


def _opened(
    folder: Path, model: Path, files: Sequence[Path], device: str, **options: Any
) -> thanosql.Connection:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return opened(folder, model, files, device, **options)


def _convert_once(connection: thanosql.Connection) -> None:
    # What was embedded once would be known by its content.
    (connection.workspace / "thanosql-model" / ".vectors.db").unlink(missing_ok=True)
    connection.execute("DROP TABLE IF EXISTS photos")
    connection.execute("CREATE TABLE photos AS SELECT * FROM files")
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    wanted, made = connection.execute("SELECT count(*), count(m_clipen) FROM photos").fetchone()
    assert made == wanted, f"{wanted - made} of {wanted} files have no vector"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"
