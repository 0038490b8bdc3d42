"""The page to search in, used in a browser as a person would: ``python tests/clients/web_run.py``.

Needs Chromium, as Debian has it (``apt-get install chromium``), and playwright, which drives it
(``pip install playwright``; it need fetch no browser of its own), and no network. In a temporary
folder it converts drawn pictures, and the photographs that lie beside the repository on some
machines, starts ``thanosql serve`` on a free port of this machine alone, types, drops, clicks and
filters, and stops it. Prints what was done; the exit status is 0 when everything was as expected.

    --keep FOLDER    put the screenshots there: wide and phone, light and dark, English and Korean
    --chromium FILE  the browser
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import thanosql_dbapi

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "photos"
WIDE, PHONE = (1360, 900), (390, 844)
SEARCH = "/photos/scenes/-/pictures"

PREPARED = [
    "GET THANOSQL DATASET storybook OPTIONS (rows=400)",
    "GET THANOSQL MODEL storybook_clip",
    "COPY scenes FROM 'thanosql-dataset/storybook/storybook.csv'",
    "CONVERT USING storybook_clip OPTIONS (table_name='scenes') AS SELECT * FROM scenes",
    "ALTER TABLE scenes ADD COLUMN taken_at TEXT",
    "ALTER TABLE scenes ADD COLUMN camera TEXT",
    (
        "UPDATE scenes SET taken_at = date('2024-01-01', '+' || rowid || ' days') || 'T12:00:00',"
        " camera = iif(rowid % 3, 'Lumix G9', 'Fujifilm X100')"
    ),
]
OWN = [
    "COPY album OPTIONS (exif=True) FROM 'photos'",
    "CONVERT USING storybook_clip OPTIONS (table_name='album') AS SELECT * FROM album",
]

DROP = """\
([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
  for (const kind of ["dragenter", "dragover"])
    document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true}));
  window.dropped = () => document.body.dispatchEvent(
    new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--keep", metavar="FOLDER", type=Path)
    arguments.add_argument("--chromium", default=shutil.which("chromium"), metavar="FILE")
    given = arguments.parse_args()
    if given.chromium is None:
        raise SystemExit("no chromium here; apt-get install chromium, or say --chromium FILE")
    from playwright.sync_api import sync_playwright

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "workspace"
        shots = given.keep or folder.parent / "shots"
        shots.mkdir(parents=True, exist_ok=True)
        prepare(folder)
        address = stack.enter_context(served(folder))
        player = stack.enter_context(sync_playwright())
        browser = player.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        stack.callback(browser.close)
        visits = Visits(browser, address, shots)
        for step in (type_a_text, like_and_large, drop, filters, keyboard, korean, without_script):
            title(step.__name__.replace("_", " "))
            step(visits, folder)
        if (folder / "photos").is_dir():
            title("own photographs")
            photographs(visits, folder)
        title("Datasette's own pages")
        datasette(visits, folder)
        if visits.complaints:
            print("\nFAILED: the browser complained:", *visits.complaints, sep="\n  ")
            return 1
    print("\nEverything was as expected.")
    return 0


def prepare(workspace: Path) -> None:
    """Make a database of drawn pictures, and of photographs where there are some."""
    title("A database, made with the driver")
    workspace.mkdir()
    statements = list(PREPARED)
    if PHOTOS.is_dir():
        shutil.copytree(PHOTOS, workspace / "photos")
        statements += OWN
    connection = thanosql_dbapi.connect(
        workspace / "photos.db", progress=False, isolation_level=None
    )
    for statement in statements:
        print(f"> {statement}")
        connection.execute(statement).fetchall()
    connection.close()


@contextlib.contextmanager
def served(workspace: Path) -> Iterator[str]:
    """Run the server for the time of the block; yield its address."""
    program = f"from thanosql_dbapi.ui.web import serve; serve({str(workspace)!r}, port=0)"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://[\d.:]+", server.stdout.readline())
            if not found:
                raise SystemExit("the server did not start")
            yield found[0]
        finally:
            server.send_signal(signal.SIGINT)


class Visits:
    """Visits to the page in windows of several kinds.

    Attributes:
        complaints: What the browser has said that it should not: errors, refused content.
    """

    def __init__(self, browser: Any, address: str, shots: Path) -> None:
        self._browser, self._address, self._shots = browser, address, shots
        self.complaints: list[str] = []

    @contextlib.contextmanager
    def window(self, path: str, size: tuple[int, int] = WIDE, **how: Any) -> Iterator[Any]:
        """Open a window on a path for the time of the block."""
        is_phone = size == PHONE
        context = self._browser.new_context(
            viewport=dict(zip(("width", "height"), size, strict=True)),
            device_scale_factor=2 if is_phone else 1,
            is_mobile=is_phone,
            has_touch=is_phone,
            **{"locale": "en-US", **how},
        )
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._listen(page, said))
        try:
            page.goto(self._address + path)
            page.wait_for_load_state("networkidle")
            yield page
        finally:
            context.close()

    def keep(self, page: Any, name: str) -> None:
        """Take a screenshot."""
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(150)
        page.screenshot(path=self._shots / f"{name}.png")
        width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        expect(f"{name}: nothing is wider than the window", page.url.count("/-/") and width > 0, 0)

    def _listen(self, page: Any, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(f"{page.url}: {said.text}")


def type_a_text(visits: Visits, folder: Path) -> None:
    expected = by_driver(folder, "a horse on the beach")
    for scheme in ("light", "dark"):
        with visits.window(SEARCH, color_scheme=scheme) as page:
            page.keyboard.type("a horse on the beach")  # the field has the focus
            page.keyboard.press("Enter")
            page.wait_for_selector(".similarity", timeout=60_000)
            expect("the pictures", names(page), expected)
            expect("each has a text", page.locator(".cards img:not([alt=''])").count(), 24)
            visits.keep(page, f"wide-{scheme}")
            page.click(".more .button")
            page.wait_for_selector(".cards > li:nth-child(48)")
            expect("more follow", len(set(names(page))), 48)
    with visits.window(f"{SEARCH}?q=a+horse+on+the+beach", PHONE) as page:
        visits.keep(page, "phone-light")


def like_and_large(visits: Visits, folder: Path) -> None:
    with visits.window(f"{SEARCH}?q=a+black+cat") as page:
        second = names(page)[1]
        page.click("figcaption .like >> nth=1")
        page.wait_for_selector(".asked")
        expect("the picture itself is not among them", second in names(page), False)
        visits.keep(page, "like")
        page.click(".picture >> nth=0")
        page.wait_for_selector("dialog[open]")
        visits.keep(page, "large")
        first = page.get_attribute("dialog .stage img", "src")
        page.keyboard.press("ArrowRight")
        expect("another is shown", page.get_attribute("dialog .stage img", "src") == first, False)
        page.keyboard.press("Escape")
        place = "[...document.querySelectorAll('.picture')].indexOf(document.activeElement)"
        expect("the focus is where one was", page.evaluate(place), 1)
    with visits.window(f"{SEARCH}?q=a+black+cat", PHONE, color_scheme="dark") as page:
        page.tap(".picture >> nth=0")
        page.wait_for_selector("dialog[open]")
        visits.keep(page, "large-phone")


def drop(visits: Visits, folder: Path) -> None:
    found = by_driver(folder, "a red boat")[0]
    content = (folder / "thanosql-dataset" / "storybook" / found).read_bytes()
    with visits.window(SEARCH) as page:
        page.evaluate(DROP, [found, base64.b64encode(content).decode()])
        expect("it is said what a drop does", page.locator("#drop").is_visible(), True)
        visits.keep(page, "drop")
        page.evaluate("window.dropped()")
        page.wait_for_selector(".asked img", timeout=60_000)
        expect("the picture itself comes first", names(page)[0], found)
        expect("it is the same", page.inner_text(".similarity b >> nth=0"), "1.000")
        visits.keep(page, "dropped")
        page.click(".more .button")
        page.wait_for_selector(".cards > li:nth-child(48)")
        page.click("summary")
        page.select_option("select[name=camera__exact]", "Fujifilm X100")
        page.click(".actions button")
        page.wait_for_selector("#found:has-text('filters')")
        cameras = page.locator(".facts dd", has_text="Lumix G9")
        expect("the filter holds for the picture too", cameras.count(), 0)
        page.fill("[name=q]", "a red boat")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=a+red+boat**")
        expect("a text takes its place", page.locator(".asked").count(), 0)
    with visits.window(SEARCH) as page:
        page.set_input_files("#file", {"name": "a", "mimeType": "image/png", "buffer": b"nothing"})
        page.wait_for_selector(".empty")
        expect("no picture", "no picture that can be read" in page.inner_text("main"), True)
    # The refused form is no fault.
    visits.complaints[:] = [each for each in visits.complaints if "status of 400" not in each]


def filters(visits: Visits, folder: Path) -> None:
    with visits.window(SEARCH) as page:
        page.click("summary")
        page.fill("[name=taken_at__gte]", "2024-03-01")
        page.fill("[name=taken_at__lte]", "2024-03-02")
        visits.keep(page, "filters")
        page.click(".actions button")
        page.wait_for_url("**taken_at__lte=2024-03-02**")
        expect("two days", len(names(page)), 2)
        expect("the address has what was asked", "camera" in page.url, False)
        page.fill("[name=taken_at__gte]", "2030-01-01")
        page.click(".actions button")
        page.wait_for_selector(".empty")
        visits.keep(page, "nothing-found")
    with visits.window(f"{SEARCH}?camera__exact=Lumix+G9", PHONE) as page:
        expect("the pictures are in sight", page.locator(".cards").bounding_box()["y"] < 500, True)
        page.tap("summary")
        visits.keep(page, "filters-phone")


def keyboard(visits: Visits, folder: Path) -> None:
    with visits.window(f"{SEARCH}?q=a+cat") as page:
        page.keyboard.press("Tab")
        expect("the first stop skips to the pictures", page.evaluate(_FOCUSED), "skip")
        page.keyboard.press("/")
        expect("a slash leads to the text", page.evaluate("document.activeElement.name"), "q")
        for _ in range(2):
            page.keyboard.press("Tab")
        expect("then the file", page.evaluate("document.activeElement.id"), "file")
        visits.keep(page, "keyboard")


def korean(visits: Visits, folder: Path) -> None:
    with visits.window(f"{SEARCH}?q=a+cat", locale="ko-KR") as page:
        expect("Korean is spoken", "사진으로 검색" in page.inner_text("main"), True)
        page.click("summary")
        visits.keep(page, "wide-korean")
    with visits.window(SEARCH, PHONE, locale="ko-KR", color_scheme="dark") as page:
        visits.keep(page, "phone-dark-korean")
        page.click("text=English")
        page.wait_for_selector("text=Search by picture")


def without_script(visits: Visits, folder: Path) -> None:
    with visits.window(f"{SEARCH}?q=a+cat", java_script_enabled=False) as page:
        visits.keep(page, "no-script")
        page.click(".more a")
        expect("the next page", page.url.endswith("page=2"), True)
        picture = folder / "thanosql-dataset" / "storybook" / by_driver(folder, "a cat")[0]
        page.set_input_files("#file", picture)
        page.click("text=Send the picture")
        page.wait_for_selector(".asked")
        expect("the picture itself comes first", names(page)[0], picture.name)
        page.click(".more button")
        page.wait_for_load_state("networkidle")
        expect("and its next page", len(names(page)), 24)


def photographs(visits: Visits, folder: Path) -> None:
    with visits.window("/photos/album/-/pictures") as page:
        expect("all pictures load", page.locator(".missing").count(), 0)
        visits.keep(page, "photographs")
        page.click("figcaption .like >> nth=0")
        page.wait_for_selector(".similarity")
        visits.keep(page, "photographs-like")
        page.click(".picture >> nth=0")
        page.wait_for_selector("dialog[open]")
        visits.keep(page, "photographs-large")
    with visits.window("/-/pictures") as page:
        visits.keep(page, "choose")


def datasette(visits: Visits, folder: Path) -> None:
    with visits.window("/photos/scenes") as page:
        shown = "[...document.images].filter((image) => image.naturalWidth).length > 3"
        expect("pictures in the table", page.evaluate(shown), True)
        visits.keep(page, "datasette-table")
    with visits.window(f"{SEARCH}?q=a+black+cat") as page:
        page.click("text=This search in SQL")
        page.wait_for_selector("table")
        expect("SEARCH in the SQL box", page.locator("tbody tr").count(), 24)
        visits.keep(page, "datasette-sql")


_FOCUSED = "document.activeElement.className"


def names(page: Any) -> list[str]:
    """Return the file names of the pictures on the page, in its order."""
    found: list[str] = page.eval_on_selector_all(".name", "each => each.map(one => one.title)")
    return found


def by_driver(folder: Path, text: str) -> list[str]:
    """Return the file names that the driver itself finds."""
    with contextlib.closing(thanosql_dbapi.connect(folder / "photos.db", mode="ro")) as connection:
        rows = connection.execute(
            "SELECT image_path FROM (SEARCH IMAGE text=? USING storybook_clip"
            " OPTIONS (result_col='s') AS SELECT * FROM scenes) ORDER BY s DESC LIMIT 24",
            (text,),
        )
        return [Path(row[0]).name for row in rows]


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def expect(what: str, got: object, expected: object) -> None:
    """Print what was found; stop where it is not what was expected."""
    if isinstance(expected, int) and not isinstance(expected, bool):
        got = int(got)  # type: ignore[call-overload]
    if got != expected:
        raise SystemExit(f"FAILED: {what}: expected {expected!r}, got {got!r}")
    print(f"  {what}: as expected")


if __name__ == "__main__":
    sys.exit(main())
