"""JPEGs to convert, drawn on the spot: as many as are wanted, in any size, no two the same.

Soft shapes with edges and grain: a file of 640×480 takes some 80 kB and one of 12 megapixels 2 MB,
as photographs do, and decoding costs what it costs for them.
"""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path

from thanosql_dbapi.cores import usable_cores

SMALL = (640, 480)
LARGE = (4000, 3000)
"""12 megapixels."""
_DRAWN = (2000, 1500)


def photographs(folder: Path, count: int, size: tuple[int, int] = SMALL) -> list[Path]:
    """Return the first ``count`` drawn files, drawing on all cores those that are not there yet.

    Args:
        folder: Where they are kept; sizes have folders of their own in it.
        count: How many.
        size: Width and height in pixels.

    Returns:
        Their absolute paths. File ``i`` of a size is the same picture every time.
    """
    place = folder.resolve() / f"{size[0]}x{size[1]}"
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"{number:06}.jpg" for number in range(count)]
    missing = [path for path in paths if not path.exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(min(usable_cores(), len(missing))) as pool:
            for _ in pool.imap_unordered(partial(_draw, size), missing, chunksize=4):
                pass
    return paths


def _draw(size: tuple[int, int], path: Path) -> None:
    import numpy as np
    from PIL import Image

    # A large picture is a smaller one enlarged: lenses leave no detail of single pixels.
    drawn = min(size, _DRAWN, key=lambda each: each[0])
    random = np.random.default_rng(int(path.stem))
    shapes = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(shapes.resize(drawn, Image.Resampling.BICUBIC)).astype(np.int16)
    pixels += random.integers(-12, 13, (drawn[1], drawn[0], 1), dtype=np.int16)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize(size)
    unfinished = path.with_suffix(".unfinished")
    image.save(unfinished, "JPEG", quality=85)
    unfinished.rename(path)
