"""Draws training scenes at the model's own resolution, straight to a file of bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..cores import usable_cores
from .drawing import Painter
from .workers import run_shares
from .world import sample_scene


def render(path: Path, *, rows: int, seed: int, side_px: int) -> None:
    """Draw scenes 0 … rows - 1 of a seed as the image processor would hand them to the model.

    Args:
        path: the file; it will hold uint8 values (rows, side_px, side_px, 3), row by row.
        rows: how many scenes.
        seed: the seed.
        side_px: the model's image size in pixels.
    """
    n = usable_cores()
    with path.open("wb") as file:
        file.truncate(rows * side_px * side_px * 3)
    shares = [
        {
            "path": str(path),
            "start": rows * i // n,
            "stop": rows * (i + 1) // n,
            "seed": seed,
            "side_px": side_px,
        }
        for i in range(n)
    ]
    run_shares(draw_share, shares, lambda _: None)


def draw_share(
    path: str, start: int, stop: int, seed: int, side_px: int, progress: Callable[[int], None]
) -> None:
    """Draw one worker's rows."""
    from PIL import Image

    painter = Painter()
    with Path(path).open("r+b") as file:
        file.seek(start * side_px * side_px * 3)
        for index in range(start, stop):
            picture = painter.paint(sample_scene(seed, index), seed=seed, index=index)
            file.write(picture.resize((side_px, side_px), Image.Resampling.BICUBIC).tobytes())
            if (index + 1) % 100 == 0:
                progress(100)
