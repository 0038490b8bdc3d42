"""docs/video.md: its statements run, and print what the page says.

``python tests/test_video_page.py`` writes the results into the page and its Korean twin.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_docs import DOCS, blocks, examples, printed, text_of

import thanosql_dbapi

pytest.importorskip("av")
from films import write_film

PAGES = ("video.md", "video.ko.md")


@contextmanager
def example(workspace: Path) -> Iterator[thanosql_dbapi.Connection]:
    """Two films of drawings, two seconds each, and the model that knows them."""
    connection = thanosql_dbapi.connect(workspace / "films.db", progress=False)
    try:
        connection.execute("GET THANOSQL DATASET storybook OPTIONS (rows=12)")
        connection.execute("GET THANOSQL MODEL storybook_clip")
        table = workspace / "thanosql-dataset" / "storybook" / "storybook.csv"
        with table.open(encoding="utf-8", newline="") as file:
            paths = [row["image_path"] for row in csv.DictReader(file)]
        drawn = [np.asarray(Image.open(workspace / path)) for path in paths[:7]]
        for day, scenes in (("monday", drawn[:3]), ("tuesday", drawn[3:])):
            frames = [(number / 10, scenes[number // 20]) for number in range(20 * len(scenes))]
            write_film(workspace / "films" / f"{day}.mp4", frames)
        yield connection
    finally:
        connection.close()


def test_every_statement_prints_what_the_page_says(tmp_path: Path) -> None:
    with example(tmp_path.resolve()) as connection:
        for sql, result in examples(text_of("video.md")):
            now = printed(connection, sql)
            if result is None:
                assert "Error: " not in now, f"{sql}\n{now}"
            else:
                assert now == result[2], sql


def test_the_korean_twin_has_the_same_blocks() -> None:
    assert blocks("video.ko.md") == blocks("video.md")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, example(Path(folder).resolve()) as opened:
        ran = [printed(opened, sql) for sql, _ in examples(text_of(PAGES[0]))]
    for page in PAGES:
        text = text_of(page)
        for (_, place), now in reversed(list(zip(examples(text), ran, strict=True))):
            if place is not None:
                text = text[: place.start(2)] + now + text[place.end(2) :]
        (DOCS / page).write_text(text, encoding="utf-8")
