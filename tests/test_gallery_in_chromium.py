"""The gallery's page in a browser: what a click and the keys do, and that its policy allows it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import chromium
import pytest
from PIL import Image

import thanosql

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium is not installed")
pytest.importorskip("tornado")

SHOWN = "document.querySelector('.picture img')"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A gallery of three pictures, the last of which is missing."""
    Image.new("RGB", (1600, 900), "red").save(tmp_path / "red.jpg")
    Image.new("RGB", (1600, 900), "blue").save(tmp_path / "blue #2.jpg")
    connection = thanosql.connect(tmp_path / "t.db")
    connection.execute("CREATE TABLE t (image_path, similarity, note)")
    rows = [
        ("red.jpg", 0.5, "<img src=x onerror=alert(1)>"),
        ("blue #2.jpg", 0.25, "b"),
        ("no.jpg", None, "c"),
    ]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    path = thanosql.gallery(connection, "SELECT * FROM t", file=tmp_path / "gallery.html")
    connection.close()
    return path


def test_a_click_shows_a_picture_large_and_keys_turn_the_pages(page: Path, tmp_path: Path) -> None:
    asyncio.run(_look(page, tmp_path))


async def _look(page: Path, tmp_path: Path) -> None:
    async with chromium.tab(tmp_path / "profile") as tab:
        await tab.open(page.as_uri())
        await tab.value("document.querySelector('.open').click()")
        assert await tab.value("document.querySelector('dialog').open")
        assert await tab.value("document.querySelector('.place').textContent") == "1 of 3"
        # The file itself takes the place of the embedded picture.
        await tab.until(f"{SHOWN}.naturalWidth === 1600")
        note = await tab.value("document.querySelector('.row').textContent")
        assert "<img src=x onerror=alert(1)>" in note
        await tab.press("ArrowRight")
        await tab.until(f"{SHOWN}.src.endsWith('/blue%20%232.jpg')")
        await tab.press("ArrowRight")
        assert "does not exist" in await tab.value("document.querySelector('.picture').textContent")
        assert await tab.value("document.querySelector('.file').hidden")
        await tab.press("ArrowRight")  # the first again
        assert await tab.value("document.querySelector('.place').textContent") == "1 of 3"
        await tab.press("ArrowLeft")
        await tab.press("Escape")
        assert not await tab.value("document.querySelector('dialog').open")
        await tab.until("document.activeElement === document.querySelectorAll('.open')[2]")
        assert tab.complaints == []
        # Elsewhere the embedded picture stays.
        (tmp_path / "red.jpg").unlink()
        await tab.open(page.as_uri(), size=(390, 800))
        await tab.value("document.querySelector('.open').click()")
        await tab.value(
            "new Promise(done => { const gone = new Image(); gone.onerror = () => done();"
            " gone.src = document.querySelector('.open').dataset.original; })"
        )
        assert await tab.value(f"{SHOWN}.naturalWidth") == 800
        width = await tab.value("document.documentElement.scrollWidth")
        assert width == 390
        assert await tab.value(f"{SHOWN}.getBoundingClientRect().right") <= 390
