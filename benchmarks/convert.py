"""CONVERT beside its parts, and beside a loop with sentence-transformers.

    python -m benchmarks.convert [--photos FOLDER] [--only model|decode|large|content|gpu]
        [--runs N]

Every candidate of a table does the same files in turn, run after run. Without ``--photos``,
pictures are drawn. ``sentence-transformers`` is a candidate where it is installed.
"""

from __future__ import annotations

import argparse
import io
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import thanosql_dbapi
from thanosql_dbapi.cores import usable_cores
from thanosql_dbapi.embedding.digests import Digests
from thanosql_dbapi.embedding.images import open_image
from thanosql_dbapi.models.encoder import Encoder
from thanosql_dbapi.storybook import MODEL_FOLDER

from .measure import compare, machine
from .models import vit_b32

LARGE = (4000, 3000)
PEER_BATCH = 128
GPU_PHOTOS = 25_000

Candidates = dict[str, Callable[[], object]]


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--photos", type=Path, help="folder of JPEGs of about 640x480")
    parser.add_argument("--only", choices=["model", "decode", "large", "content", "gpu"])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    print(machine("torch", "transformers", "pillow"))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        small = _photos(options.photos, place / "small")
        if options.only in (None, "model"):
            model_bound(place, small[:80], options.runs)
        if options.only in (None, "decode"):
            decode_bound("640×480 JPEGs", place, _copies(small, 4, place), options.runs)
        if options.only in (None, "large"):
            large = _enlarged(small[:40], place / "large")
            decode_bound("12-megapixel JPEGs", place, large, options.runs)
        if options.only in (None, "content"):
            content_known("640×480 JPEGs", place, _copies(small, 4, place), options.runs)
            large = _enlarged(small[:40], place / "enlarged")
            content_known("12-megapixel JPEGs", place, large, options.runs)
        if options.only in (None, "gpu"):
            gpu(place, small, options.runs)


def model_bound(place: Path, files: Sequence[Path], runs: int) -> None:
    """A model of ViT-B/32's size on the CPU: CONVERT beside forward passes on ready tensors."""
    folder = vit_b32(place / "vit_b32")
    with _table(place, folder, files, "cpu") as convert:
        encoder = Encoder(folder.resolve(), device="cpu")
        candidates = {"forward passes alone": _forward(encoder, files), "CONVERT": convert}
        medians = compare(f"Model-bound: {len(files)} photographs, CPU", candidates, runs=runs)
    _verdict(medians, len(files), {"forward passes alone": 0.95})


def decode_bound(what: str, place: Path, files: Sequence[Path], runs: int) -> None:
    """storybook_clip: CONVERT beside pools that decode and resize, and a peer's loop."""
    encoder = Encoder(MODEL_FOLDER.resolve(), device="cpu")
    candidates: Candidates = {
        "decoding pool": partial(_decode_all, encoder, files),
        "decoding pool, transformers' processor": partial(_peer_decode_all, files, _processor()),
    }
    bars = dict.fromkeys(candidates, 0.9)
    if find_spec("sentence_transformers"):
        name = "sentence-transformers loop"
        candidates[name] = partial(_peer_loop, _peer(MODEL_FOLDER), files)
        bars[name] = 4.0 if "12" in what else 1.8
    else:
        print("\nsentence-transformers is not installed, so it is not compared")
    with _table(place, MODEL_FOLDER, files, "cpu") as convert:
        title = f"Decode-bound: {len(files)} {what}, storybook_clip, CPU"
        medians = compare(title, {"CONVERT": convert, **candidates}, runs=runs)
    _verdict(medians, len(files), bars)


def content_known(what: str, place: Path, files: Sequence[Path], runs: int) -> None:
    """What digests of the content cost, and what they save where no content is new."""
    with _table(place, MODEL_FOLDER, files, "cpu") as convert, _again(place, files) as again:
        candidates: Candidates = {
            "CONVERT": convert,
            "CONVERT without digests": partial(_without_digests, convert),
            "CONVERT of a table made again": partial(again, "made again"),
            "CONVERT of touched files": partial(again, "touched"),
            "CONVERT of nothing new": partial(again, ""),
        }
        title = f"Known by content: {len(files)} {what}, storybook_clip, CPU"
        medians = compare(title, candidates, runs=runs)
    _verdict(medians, len(files), {"CONVERT without digests": 0.93})
    for name in candidates:
        print(f"- {name}: {len(files) / medians[name]:,.0f} images/s")


@contextmanager
def _again(place: Path, files: Sequence[Path]) -> Iterator[Callable[[str], object]]:
    """Give a function that converts a converted table again, after a change."""
    with tempfile.TemporaryDirectory(dir=place) as name:
        connection = opened(Path(name), MODEL_FOLDER, files, "cpu")
        sql = "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos"
        connection.execute("CREATE TABLE photos AS SELECT * FROM files")
        connection.execute(sql)
        touches = 0

        def again(change: str) -> None:
            nonlocal touches
            if change == "made again":
                connection.execute("DROP TABLE photos")
                connection.execute("CREATE TABLE photos AS SELECT * FROM files")
            elif change == "touched":
                touches += 1
                for path in files:
                    os.utime(path, (1_700_000_000 + touches,) * 2)
            connection.execute(sql)
            report = connection.report
            assert isinstance(report, thanosql_dbapi.ConvertReport)
            assert report.converted == 0

        yield again
        connection.close()


def _without_digests(convert: Callable[[], object]) -> None:
    told = Digests.content
    Digests.content = lambda self, source: None  # type: ignore[method-assign]
    try:
        convert()
    finally:
        Digests.content = told  # type: ignore[method-assign]


def gpu(place: Path, files: Sequence[Path], runs: int) -> None:
    """A model of ViT-B/32's size on a GPU: CONVERT beside its two parts, each alone."""
    import torch

    if not torch.cuda.is_available():
        print("\nNo GPU here: CONVERT on a GPU was not measured")
        return
    folder = place / "vit_b32"
    folder = folder if folder.is_dir() else vit_b32(folder)
    many = _copies(files, -(-GPU_PHOTOS // len(files)), place)[:GPU_PHOTOS]
    encoder = Encoder(folder.resolve(), device="cuda")
    with _table(place, folder, many, "cuda") as convert:
        candidates: Candidates = {
            "forward passes alone": _forward(encoder, many[:2048], repeat=len(many) // 2048),
            "decoding pool": partial(_decode_all, encoder, many),
            "CONVERT": convert,
        }
        name = torch.cuda.get_device_name()
        medians = compare(f"{len(many):,} photographs on {name}", candidates, runs=min(runs, 3))
    medians["the slower part"] = max(medians["forward passes alone"], medians["decoding pool"])
    _verdict(medians, len(many), {"the slower part": 0.9})


@contextmanager
def _table(
    place: Path, model: Path, files: Sequence[Path], device: str
) -> Iterator[Callable[[], object]]:
    """Give a function that converts a table of the files' paths, all of it every time."""
    with tempfile.TemporaryDirectory(dir=place) as name:
        connection = opened(Path(name), model, files, device)

        def convert() -> None:
            # What was embedded once would be known by its content.
            (connection.workspace / "thanosql-model" / ".vectors.db").unlink(missing_ok=True)
            connection.execute("DROP TABLE IF EXISTS photos")
            connection.execute("CREATE TABLE photos AS SELECT * FROM files")
            connection.execute(
                "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos"
            )
            (count,) = connection.execute("SELECT count(m_clipen) FROM photos").fetchone()
            assert count == len(files)

        yield convert
        connection.close()


def opened(
    folder: Path, model: Path, files: Sequence[Path], device: str, **options: Any
) -> thanosql_dbapi.Connection:
    """Open a database with a model and a table of the files' paths; options are ``connect``'s."""
    connection = thanosql_dbapi.connect(
        folder / "photos.db",
        allowed_directories=[model, *{path.parent for path in files}],
        device=device,
        progress=False,
        **options,
    )
    connection.execute("UPLOAD MODEL m FROM ?", (str(model),))
    connection.execute("CREATE TABLE files (image_path TEXT)")
    connection.executemany("INSERT INTO files VALUES (?)", [(str(path),) for path in files])
    connection.commit()
    return connection


def _open(path: Path, encoder: Encoder) -> Image.Image:
    least = encoder.preparation.least_side_px
    return open_image(str(path), locate=Path, least_side_px=least)


def _decode_all(encoder: Encoder, files: Sequence[Path]) -> None:
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(lambda path: encoder.prepare(_open(path, encoder)), files):
            pass


def _processor() -> Any:
    import transformers

    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    return kind.from_pretrained(MODEL_FOLDER)


def _peer_decode_all(files: Sequence[Path], processor: Any) -> None:
    def prepare(path: Path) -> Any:
        return processor(images=Image.open(path).convert("RGB"), return_tensors="np")

    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(prepare, files):
            pass


def _forward(encoder: Encoder, files: Sequence[Path], repeat: int = 1) -> Callable[[], object]:
    """Give a function that runs the image tower over tensors that are ready on its device."""
    import torch

    size = encoder.default_batch_size()
    pixels = [encoder.prepare(_open(path, encoder)) for path in files]
    tower = encoder._image()
    batches = [
        encoder._values(pixels[at : at + size], tower.dtype) for at in range(0, len(pixels), size)
    ]

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(repeat):
                for batch in batches:
                    tower(pixel_values=batch).image_embeds.float().cpu()

    return forward


def _peer(model: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import CLIPModel

        return SentenceTransformer(modules=[CLIPModel(str(model))], device="cpu")


def _peer_loop(peer: Any, files: Sequence[Path]) -> None:
    """Embed as its documentation shows, and store the vectors as sqlite3 does it best."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE photos (image_path TEXT, vector BLOB)")
    for at in range(0, len(files), PEER_BATCH):
        part = files[at : at + PEER_BATCH]
        vectors = peer.encode(
            [Image.open(path) for path in part],
            batch_size=PEER_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        database.executemany(
            "INSERT INTO photos VALUES (?, ?)",
            [(str(path), vector.tobytes()) for path, vector in zip(part, vectors, strict=True)],
        )
    database.close()


def _photos(folder: Path | None, place: Path) -> list[Path]:
    """Return the photographs, or as many that are drawn: shapes with edges and grain."""
    if folder is not None:
        return sorted(folder.resolve().glob("*.jpg"))
    place.mkdir()
    for number in range(112):
        random = np.random.default_rng(number)
        shapes = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        pixels = np.asarray(shapes.resize((640, 480), Image.Resampling.BICUBIC))
        grain = random.integers(-12, 13, (480, 640, 1))
        image = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
        image.save(place / f"{number:03}.jpg", quality=85)
    return sorted(place.iterdir())


def _copies(files: Sequence[Path], count: int, place: Path) -> list[Path]:
    """Return copies that differ in a byte after the picture: equal ones would be embedded once."""
    folder = place / f"copies{count}"
    if not folder.is_dir():
        folder.mkdir()
        for path in files:
            content = path.read_bytes()
            for number in range(count):
                copy = folder / f"{path.stem}_{number}.jpg"
                copy.write_bytes(content + number.to_bytes(4, "big"))
    return sorted(folder.iterdir())


def _enlarged(files: Sequence[Path], place: Path) -> list[Path]:
    place.mkdir()
    for path in files:
        out = io.BytesIO()
        with Image.open(path) as image:
            large = image.convert("RGB").resize(LARGE, Image.Resampling.LANCZOS)
        large.save(out, "JPEG", quality=90)
        (place / path.name).write_bytes(out.getvalue())
    return sorted(place.iterdir())


def _verdict(medians: dict[str, float], count: int, bars: dict[str, float]) -> None:
    """Print CONVERT's images a second, as a multiple of each other's."""
    own = medians["CONVERT"]
    print(f"\nCONVERT: {count / own:,.1f} images/s")
    for name, bar in bars.items():
        print(
            f"- {medians[name] / own:.2f}x of {name} ({count / medians[name]:,.1f}/s); bar {bar}x"
        )


if __name__ == "__main__":
    main()
