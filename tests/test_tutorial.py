"""The tutorial "search images by text", statement by statement as it is printed.

``tutorial/search_image_by_text.txt`` holds its code cells; catalog and files come from a
loopback server.
"""

from __future__ import annotations

import csv
import io
import json
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thanosql

CELLS = (
    (Path(__file__).parent / "tutorial" / "search_image_by_text.txt")
    .read_text(encoding="utf-8")
    .split("\n\n")
)
STATEMENTS = [cell.partition("\n")[2] for cell in CELLS if cell.startswith("%%thanosql")]
ROWS = 40
COLUMNS = ["photo_id", "image_path", "photo_image_url", "photo_description", "ai_description"]
VECTOR = "tutorial_search_clip_clipen"


@pytest.fixture
def catalog_url(http_server, clip_folder: Path) -> str:
    """A catalog on the loopback server: a small unsplash_data, and a model that knows nothing."""
    random.seed(3)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(ROWS):
            name = f"photo{number:06}"
            picture = io.BytesIO()
            color = tuple(random.randrange(256) for _ in range(3))
            Image.new("RGB", (64, 48), color).save(picture, "JPEG")
            archive.writestr(f"{name}.jpg", picture.getvalue())
            described = "" if number % 3 else f"A picture of {color}"
            path = f"thanosql-dataset/unsplash_data/{name}.jpg"
            writer.writerow([name, path, f"https://images.example/{name}", described, "a colour"])
        archive.writestr("unsplash.csv", table.getvalue())
    model = io.BytesIO()
    with tarfile.open(fileobj=model, mode="w:gz") as archive:
        archive.add(clip_folder, "clip")
    http_server.routes |= {
        "/unsplash.zip": data.getvalue(),
        "/clip.tar.gz": model.getvalue(),
        "/catalog.json": json.dumps(
            {
                "datasets": {"unsplash_data": {"source": f"{http_server.url}/unsplash.zip"}},
                "models": {
                    "tutorial_search_clip": {
                        "source": f"{http_server.url}/clip.tar.gz",
                        "base": "clipen",
                    }
                },
            }
        ).encode(),
    }
    return f"{http_server.url}/catalog.json"


def test_there_are_thirteen_statements() -> None:
    assert len(STATEMENTS) == 13


def test_in_a_cursor(tmp_path: Path, catalog_url: str) -> None:
    connection = thanosql.connect(tmp_path / "t.db", catalog=catalog_url, progress=False)
    cursor = connection.cursor()
    answers = []
    for statement in STATEMENTS:
        cursor.execute(statement)
        names = None if cursor.description is None else [each[0] for each in cursor.description]
        answers.append((names, cursor.fetchall()))
    assert answers[:3] == [(None, [])] * 3
    select, paths, convert, look, search, top, *pictures = answers[3:]
    assert select[0] == COLUMNS
    assert len(select[1]) == 5
    assert select[1][1][3] is None
    assert paths == (["image_path"], [(row[1],) for row in select[1]])
    assert convert[0] == [*COLUMNS, VECTOR]
    assert len(convert[1]) == ROWS
    assert isinstance(convert[1][0][-1], np.ndarray)
    assert look[0] == convert[0]
    assert len(look[1]) == 5
    assert search[0] == [*COLUMNS, VECTOR, f"{VECTOR}_similarity1"]
    assert [row[0] for row in search[1]] == [f"photo{number:06}" for number in range(ROWS)]
    assert top[0] == ["image_path", f"{VECTOR}_similarity1"]
    best = sorted(((row[1], row[-1]) for row in search[1]), key=lambda row: -row[1])[:5]
    assert [row[0] for row in top[1]] == [row[0] for row in best]
    assert pictures[0] == top
    assert [len(rows) for _, rows in pictures] == [5] * 4
    connection.close()


def test_in_ipython(
    tmp_path: Path, catalog_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Every cell as it is printed; what the tutorial shows under each is looked for."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THANOSQL_CATALOG", catalog_url)
    for name in ("THANOSQL_WORKSPACE", "THANOSQL_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shown = []
    try:
        for cell in CELLS:
            with capture_output() as captured:
                result = shell.run_cell(cell)
            result.raise_error()
            shown.append((captured.stdout, result.result, captured.outputs))
    finally:
        shell.magics_manager.registry["ThanosqlMagics"].close()
        InteractiveShell.clear_instance()
    assert "needs no API token" in shown[0][0]
    assert "발급받은" not in shown[0][0]
    assert [text for text, _, _ in shown[1:4]] == ["Success\n"] * 3
    select, paths, convert, look, search, top, *pictures = shown[4:]
    assert list(select[1].columns) == COLUMNS
    assert len(select[1]) == 5
    assert len(paths[0].split()) == 5
    assert _displayed_widths(paths) == [240] * 5
    assert convert[1].shape == (ROWS, 6)
    assert look[1].shape == (5, 6)
    assert search[0].startswith("Searching...\n")
    assert search[1].shape == (ROWS, 7)
    assert list(top[1].columns) == ["image_path", f"{VECTOR}_similarity1"]
    best = [str(tmp_path / path) for path in top[1]["image_path"]]
    assert pictures[0][0].split() == ["Searching...", *best]
    for picture in pictures:
        assert picture[0].startswith("Searching...\n")
        assert _displayed_widths(picture) == [240] * 5
        assert picture[1] is None


def _displayed_widths(shown: tuple[str, object, list]) -> list[int | None]:
    """Return the width in pixels of every image that a cell displayed."""
    return [
        output.metadata["image/jpeg"]["width"] for output in shown[2] if "image/jpeg" in output.data
    ]
