"""Writes the storybook data set: pictures and `storybook.csv` in the tutorial's five columns."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from ..cores import usable_cores
from .captions import describe, title
from .drawing import Painter
from .workers import run_shares
from .world import lot, photo_id, sample_scene

COLUMNS = ("photo_id", "image_path", "photo_image_url", "photo_description", "ai_description")
_WORTH_A_WORKER = 1_000  # rows; below, starting a process and drawing its backgrounds costs more
_QUALITY = 88


def write_dataset(
    folder: Path,
    *,
    rows: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw scenes and describe them.

    The same seed gives the same bytes (with one version of Pillow), and a row is the same however
    many rows there are. Large sets are drawn on all cores, in child processes that never run the
    caller's script.

    Args:
        folder: receives `storybook.csv` and one `<photo_id>.jpg` a row; made where it is missing.
        rows: how many, >= 0.
        seed: any integer.
        progress: called with (rows drawn, rows in all), from one thread at a time.

    Raises:
        ValueError: rows is negative.
        RuntimeError: a child process failed; its message is included.
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_dataset(Path(name), rows=2)
        ...     len(list(Path(name).glob("*.jpg")))
        2
    """
    if rows < 0:
        raise ValueError(f"rows must be 0 or more, got {rows}")
    folder.mkdir(parents=True, exist_ok=True)
    n = max(1, min(usable_cores(), rows // _WORTH_A_WORKER))
    shares = [
        {"folder": str(folder), "start": rows * i // n, "stop": rows * (i + 1) // n, "seed": seed}
        for i in range(n)
    ]
    drawn = 0

    def count(pieces: int) -> None:
        nonlocal drawn
        drawn += pieces
        if progress is not None:
            progress(drawn, rows)

    run_shares(draw_share, shares, count)
    _write_table(folder / "storybook.csv", rows, seed)


def draw_share(
    folder: str, start: int, stop: int, seed: int, progress: Callable[[int], None]
) -> None:
    """Draw the pictures of rows start … stop - 1."""
    painter = Painter()
    waiting = 0
    for index in range(start, stop):
        picture = painter.paint(sample_scene(seed, index), seed=seed, index=index)
        path = Path(folder, f"{photo_id(seed, index)}.jpg")
        picture.save(path, "JPEG", quality=_QUALITY)
        waiting += 1
        if waiting == 20 or index == stop - 1:
            progress(waiting)
            waiting = 0


def _write_table(path: Path, rows: int, seed: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for index in range(rows):
            scene, name = sample_scene(seed, index), photo_id(seed, index)
            rng = lot(seed, index, "words")
            table.writerow(
                (
                    name,
                    f"thanosql-dataset/storybook/{name}.jpg",
                    f"storybook:{seed}/{index}",
                    title(scene, rng),
                    describe(scene, rng),
                )
            )
