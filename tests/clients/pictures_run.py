"""The manual's pictures of notebook, gallery and SQL Lab: ``python tests/clients/pictures_run.py``.

Needs Chromium, as Debian has it (``apt-get install chromium``), playwright, which drives it, and
nbconvert, and no network. Runs the statements below for real in a temporary folder, draws what a
person would see, and writes ``docs/pictures/*.jpg`` anew. Look at them before you commit them.

    pictures_run.py [labels] [train] [gallery]      all three without a name
    pictures_run.py superset ADDRESS PASSWORD       of what `superset_run.py --serve` has started
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image

import thanosql_dbapi as thanosql

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MOST_BYTES = 150_000
LANGUAGES = ("", ".ko")
"""What a picture's name ends with, as its page's does."""

PREPARED = (
    "GET THANOSQL DATASET storybook OPTIONS (rows=1000)",
    "GET THANOSQL MODEL storybook_clip",
    "COPY storybook FROM 'thanosql-dataset/storybook/storybook.csv'",
    "CONVERT USING storybook_clip OPTIONS (table_name='storybook') AS SELECT * FROM storybook",
)

ANIMALS = """\
CREATE TABLE animals AS
SELECT *, CASE WHEN ai_description LIKE '% cat%' THEN '{cat}'
               WHEN ai_description LIKE '% dog%' THEN '{dog}'
               WHEN ai_description LIKE '% horse%' THEN '{horse}' END AS label
FROM storybook WHERE label IS NOT NULL"""
LABELS = (
    """\
%%thanosql
PRINT IMAGE AS
SELECT image_path, predict_result || ', ' || round(p, 2) AS caption
FROM (PREDICT USING storybook_clip
      OPTIONS (labels=['{cat}', '{dog}', '{boat}', '{car}'], templates={templates}, score_col='p')
      AS SELECT * FROM storybook)
WHERE p > 0.8 LIMIT 4""",
    """\
%%thanosql
PRINT IMAGE AS
SELECT image_path, '{group} ' || duplicate_group || ': ' || ai_description AS caption
FROM (FUNCTION compute.duplicates OPTIONS (emb_col='storybook_clip_clipen', threshold=0.985)
      AS SELECT * FROM storybook)
LIMIT 4""",
)
TRAIN = (
    """\
%%thanosql
EVALUATE USING storybook_clip
OPTIONS (label_col='label', labels=['{cat}', '{dog}', '{horse}'], templates={one}, by_label=True)
AS SELECT * FROM animals""",
    """\
%%thanosql
PRINT IMAGE AS
SELECT image_path, label || ' → ' || predict_result || ', ' || round(p, 2) AS caption
FROM (PREDICT USING storybook_clip
      OPTIONS (labels=['{cat}', '{dog}', '{horse}'], templates={one}, score_col='p')
      AS SELECT * FROM animals)
WHERE predict_result <> label ORDER BY p DESC LIMIT 4""",
)
WORDS = {
    "": {
        "cat": "cat",
        "dog": "dog",
        "boat": "boat",
        "car": "car",
        "horse": "horse",
        "group": "group",
        "templates": "['a {}', 'two {}s']",
        "one": "['a {}']",
        "sought": "a black cat",
        "asked": "a horse on the beach",
        "tab": "horses",
    },
    ".ko": {
        "cat": "고양이",
        "dog": "강아지",
        "boat": "배",
        "car": "자동차",
        "horse": "말",
        "group": "묶음",
        "templates": "['{}', '{} 두 마리']",
        "one": "['{} 한 마리']",
        "sought": "검은 고양이",
        "asked": "해변에 있는 말",
        "tab": "해변의 말",
    },
}
_BELOW_MENU = {"x": 0, "y": 60, "width": 1280, "height": 530}
SUPERSET = """\
SELECT ai_description,
       round(storybook_clip_clipen_similarity1, 3) AS similarity
FROM (SEARCH IMAGE text="{asked}"
      USING storybook_clip OPTIONS (top_k=5)
      AS SELECT * FROM scenes)"""


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["superset"]:
        superset(*arguments[1:])
        return 0
    wanted = arguments or ["labels", "train", "gallery"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(inside(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        made = thanosql.connect("photos.db", progress=False, isolation_level=None)
        stack.callback(made.close)
        for statement in PREPARED:
            print(f"> {statement}", flush=True)
            made.execute(statement).fetchall()
        for end in LANGUAGES:
            if "gallery" in wanted:
                gallery(made, end)
            if "labels" in wanted:
                notebook(f"labels{end}", filled(LABELS, end))
            if "train" in wanted:
                made.execute("DROP TABLE IF EXISTS animals")
                made.execute(*filled((ANIMALS,), end))
                notebook(f"train{end}", filled(TRAIN, end))
    return 0


def filled(cells: tuple[str, ...], end: str) -> list[str]:
    """Put a language's words into cells."""
    return [re.sub(r"\{(\w+)\}", lambda found: WORDS[end][found[1]], cell) for cell in cells]


def notebook(name: str, cells: Sequence[str]) -> None:
    """Run cells in a kernel, and take a picture of them as JupyterLab shows them."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    opening = "%load_ext thanosql\n%thanosql photos.db"
    sources = [nbformat.v4.new_code_cell(each) for each in (opening, *cells)]
    made = nbformat.v4.new_notebook(cells=sources)
    NotebookClient(made, timeout=600).execute()
    del made.cells[0]
    for number, cell in enumerate(made.cells, 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    html, _ = HTMLExporter(template_name="lab").from_notebook_node(made)
    Path("notebook.html").write_text(html, encoding="utf-8")

    def shoot(page: Any) -> bytes:
        page.goto(Path("notebook.html").absolute().as_uri())
        page.add_style_tag(content="body {padding: 0 !important} .jp-Notebook {padding: 12px}")
        found: bytes = page.locator("main").screenshot()
        return found

    with browser((1180, 900)) as page:
        save(name, shoot(page))


def gallery(connection: thanosql.Connection, end: str) -> None:
    """Take the gallery wide, and beside it one picture large on a phone."""
    sql = "SEARCH IMAGE text=? USING storybook_clip OPTIONS (top_k=12) AS SELECT * FROM storybook"
    file = thanosql.gallery(connection, sql, [WORDS[end]["sought"]], file=f"gallery{end}.html")
    with browser((1280, 760)) as page:
        page.goto(file.as_uri())
        wide = Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize((1024, 608))
    with browser((312, 608)) as page:
        page.goto(file.as_uri())
        page.locator("main button.open").nth(2).click()
        page.wait_for_timeout(1000)
        phone = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    both = Image.new("RGB", (wide.width + 16 + phone.width, wide.height), "#d4d0ca")
    both.paste(wide, (0, 0))
    both.paste(phone, (wide.width + 16, 0))
    save(f"gallery{end}", both)


def superset(address: str, password: str) -> None:
    """Ask in SQL Lab as a person does, and take what is seen below Superset's own menu."""
    with browser((1280, 590)) as page:
        page.goto(f"{address}/login/")
        page.fill("#username", "admin")
        page.fill("#password", password)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("welcome"))
        for end in LANGUAGES:
            (sql,) = filled((SUPERSET,), end)
            asked = {"dbid": 1, "schema": "main", "sql": sql, "name": WORDS[end]["tab"]}
            page.goto(f"{address}/sqllab/?{urlencode({**asked, 'autorun': 'true'})}")
            page.get_by_text("5 rows", exact=True).wait_for()
            page.get_by_text("main", exact=True).last.click()
            page.get_by_text("scenes", exact=True).first.wait_for()
            page.mouse.move(900, 500)
            page.wait_for_timeout(3000)
            save(f"superset{end}", page.screenshot(clip=_BELOW_MENU))


def save(name: str, picture: bytes | Image.Image) -> None:
    """Write a picture as a JPEG that is small enough for a page."""
    image = picture if isinstance(picture, Image.Image) else Image.open(io.BytesIO(picture))
    file = PICTURES / f"{name}.jpg"
    for quality in (88, 80, 70, 60):
        image.convert("RGB").save(file, quality=quality, optimize=True, progressive=True)
        if file.stat().st_size <= MOST_BYTES:
            break
    print(f"{file}: {image.size[0]} × {image.size[1]}, {file.stat().st_size:,} bytes")


@contextmanager
def browser(size: tuple[int, int]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("no chromium here; apt-get install chromium")
    with sync_playwright() as player:
        opened = player.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(180_000)
        yield page
        opened.close()


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
