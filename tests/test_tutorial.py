"""The tutorial "search images by text", statement by statement as it is printed.

``tutorial/search_image_by_text.txt`` holds its code cells. The catalog is the built-in one; what it
names comes from loopback servers that speak as Unsplash's and the hub's do.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from loopback import Hub, Unsplash
from PIL import Image

import thanosql
from thanosql_dbapi.sources.catalog import load_catalog
from thanosql_dbapi.sources.hub_cache import parse_source

CELLS = (
    (Path(__file__).parent / "tutorial" / "search_image_by_text.txt")
    .read_text(encoding="utf-8")
    .split("\n\n")
)
STATEMENTS = [cell.partition("\n")[2] for cell in CELLS if cell.startswith("%%thanosql")]
ROWS = 40
COLUMNS = ["photo_id", "image_path", "photo_image_url", "photo_description", "ai_description"]
VECTOR = "tutorial_search_clip_clipen"
GET_WARNS = pytest.mark.filterwarnings(
    "ignore::thanosql.LicenseWarning", "ignore:data set 'unsplash_data'.*:thanosql.MediaWarning"
)


def picture(number: int) -> bytes:
    out = io.BytesIO()
    color = tuple(random.Random(number).randrange(256) for _ in range(3))
    Image.new("RGB", (64, 48), color).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def servers(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Unsplash with a few photos, and a hub whose model knows nothing; the ids of the photos."""
    for name in ("THANOSQL_CATALOG", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    unsplash, hub = Unsplash(ROWS + 1, picture), Hub()
    unsplash.gone = {7}
    source = parse_source(load_catalog().model("tutorial_search_clip").source)
    hub.add(
        source.repo,
        source.revision,
        {path.name: path.read_bytes() for path in clip_folder.iterdir()},
    )
    for name, value in unsplash.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    ids = [row["photo_id"] for row in unsplash.rows]
    yield [each for number, each in enumerate(ids) if number not in unsplash.gone]
    unsplash.close()
    hub.close()


def test_there_are_thirteen_statements() -> None:
    assert len(STATEMENTS) == 13


@GET_WARNS
def test_in_a_cursor(tmp_path: Path, servers: list[str]) -> None:
    connection = thanosql.connect(tmp_path / "t.db", progress=False)
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
    assert select[1][0][3] == 'A "picture",\nnumber\t0'
    assert paths == (["image_path"], [(row[1],) for row in select[1]])
    assert convert[0] == [*COLUMNS, VECTOR]
    assert len(convert[1]) == ROWS
    assert isinstance(convert[1][0][-1], np.ndarray)
    assert look[0] == convert[0]
    assert len(look[1]) == 5
    assert search[0] == [*COLUMNS, VECTOR, f"{VECTOR}_similarity1"]
    assert [row[0] for row in search[1]] == servers
    assert top[0] == ["image_path", f"{VECTOR}_similarity1"]
    best = sorted(((row[1], row[-1]) for row in search[1]), key=lambda row: -row[1])[:5]
    assert [row[0] for row in top[1]] == [row[0] for row in best]
    assert pictures[0] == top
    assert [len(rows) for _, rows in pictures] == [5] * 4
    connection.close()


@GET_WARNS
def test_in_ipython(
    tmp_path: Path,
    servers: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """Every cell as it is printed; what the tutorial shows under each is looked for."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    monkeypatch.chdir(tmp_path)
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
    for picture in pictures:
        text, value, (grid,) = picture
        assert text == "Searching...\n"
        assert grid.data["text/html"].count('width="240"') == 5
        assert value is None
    lines = pictures[0][2][0].data["text/plain"].splitlines()
    assert [line.split()[-1] for line in lines] == best


def _displayed_widths(shown: tuple[str, object, list]) -> list[int | None]:
    """Return the width in pixels of every image that a cell displayed."""
    return [
        output.metadata["image/jpeg"]["width"] for output in shown[2] if "image/jpeg" in output.data
    ]
