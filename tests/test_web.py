"""The page to search in: what it finds and shows, and what it refuses."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image

import thanosql_dbapi as thanosql

# Datasette does not close its connections in memory; ours are <thanosql_dbapi.Connection …>.
LEFT = "unclosed database in <sqlite3.Connection"
pytestmark = pytest.mark.filterwarnings(f"ignore:{LEFT}:ResourceWarning")

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", LEFT, ResourceWarning)
    pytest.importorskip("datasette.app")
    import httpx

    from thanosql_dbapi.ui.web import pages, serve
    from thanosql_dbapi.ui.web.server import make_application

sqlite3.enable_callback_tracebacks(False)  # Datasette's import has turned them on for all tests

COLORS = ("red", "green", "blue", "black", "white", "orange")
SEARCH = "/photos/photos/-/pictures"
PICTURE = "/photos/photos/-/picture/image_path"


class Site:
    """A Datasette, asked as a browser asks, with its cookies."""

    def __init__(self, file: Path, **options: Any) -> None:
        self.datasette = make_application(file, **options)
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.datasette.app())
            base = "http://127.0.0.1:8001"
            async with httpx.AsyncClient(
                transport=transport, base_url=base, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **how)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asked())

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.ask("GET", path, **how)

    def send(
        self, picture: bytes | None, path: str = SEARCH, token: str | None = None, **fields: str
    ) -> httpx.Response:
        """Send a form as the page does, its token first."""
        if token is None:
            token = field(self.get(path).text, "csrftoken")
        fields = {"csrftoken": token, **fields}
        if picture is None:
            return self.ask("POST", path, data=fields)
        return self.ask("POST", path, data=fields, files={"picture": ("a.png", picture)})

    def close(self) -> None:
        for database in self.datasette.databases.values():
            database.close()
        self.datasette.executor.shutdown()


@pytest.fixture(scope="module", autouse=True)
def datasettes_connections() -> Iterator[None]:
    """Collects what Datasette leaves, before another module's test is blamed for it."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", LEFT, ResourceWarning)
        gc.collect()


def field(page: str, name: str) -> str:
    """Return the value of a form's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name} in {page[:2000]}"
    return unescape(found[1])


def names(page: httpx.Response) -> list[str]:
    """Return the file names of the pictures on a page, in its order."""
    assert page.status_code == 200, page.text
    return re.findall(r'<span class="name" title="([^"]*)"', page.text)


def sentence(page: httpx.Response) -> str:
    """Return what a page says that shows nothing else."""
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", page.text.partition("<main>")[2]).split()))


def png(color: str, size: tuple[int, int] = (48, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def snapshot(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def photos_folder(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    """A workspace with six pictures in a converted table, whose database nobody changes."""
    folder = tmp_path_factory.mktemp("web") / "workspace"
    (folder / "images").mkdir(parents=True)
    shutil.copytree(clip_folder, folder / "tiny_clip")
    lines = ["image_path,caption,taken_at,camera,stars"]
    for number, color in enumerate(COLORS):
        (folder / "images" / f"{color}.png").write_bytes(png(color))
        camera = "Leica <M>" if number % 2 else "Pixel"
        taken = f"2024-05-0{number + 1} 12:00:00"
        lines.append(f"images/{color}.png,a {color} picture,{taken},{camera},{number}")
    (folder / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with closing(
        thanosql.connect(folder / "photos.db", progress=False, isolation_level=None)
    ) as connection:
        connection.execute("COPY photos FROM 'photos.csv'")
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
        connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
        connection.execute(
            "CREATE VIEW catlike AS SELECT * FROM"
            " (SEARCH IMAGE text='a cat' USING m OPTIONS (top_k=2) AS SELECT * FROM photos)"
        )
    return folder


@pytest.fixture(scope="module")
def site(photos_folder: Path) -> Iterator[Site]:
    made = Site(photos_folder / "photos.db")
    yield made
    made.close()


@pytest.fixture
def site_of(request: pytest.FixtureRequest) -> Any:
    """Return a function that makes a site of a database, closed at the end."""

    def make(file: Path, **options: Any) -> Site:
        made = Site(file, **options)
        request.addfinalizer(made.close)
        return made

    return make


def copy_of(folder: Path, tmp_path: Path) -> Path:
    """Return a copy of the workspace, whose rows a test may change."""
    shutil.copytree(folder, tmp_path / "workspace")
    return tmp_path / "workspace"


def by_driver(folder: Path, sql: str, *parameters: Any) -> list[str]:
    with closing(thanosql.connect(folder / "photos.db", mode="ro")) as connection:
        return [Path(row[0]).name for row in connection.execute(sql, parameters)]


# -- searching --------------------------------------------------------------------------------


def test_a_text_finds_what_the_driver_finds(site: Site, photos_folder: Path) -> None:
    expected = by_driver(
        photos_folder,
        "SELECT image_path FROM (SEARCH IMAGE text='a black cat' USING m OPTIONS (result_col='s')"
        " AS SELECT * FROM photos) ORDER BY s DESC",
    )
    page = site.get(f"{SEARCH}?q=a+black+cat")
    assert names(page) == expected
    assert 'alt="a black picture"' in page.text
    assert "The best of 6 pictures" in page.text


def test_what_was_asked_before_needs_no_second_embedding(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = names(site.get(f"{SEARCH}?q=asked+before"))
    from thanosql_dbapi.models import encoder

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(encoder, "load_encoder", refuse)
    assert names(site.get(f"{SEARCH}?q=asked+before")) == first


def test_more_like_a_row_leaves_the_row_out(site: Site, photos_folder: Path) -> None:
    expected = by_driver(
        photos_folder,
        "SELECT image_path FROM photos WHERE rowid <> 3 ORDER BY cosine_similarity(m_clipen,"
        " (SELECT m_clipen FROM photos WHERE rowid = 3)) DESC",
    )
    page = site.get(f"{SEARCH}?like=3")
    assert names(page) == expected
    assert len(expected) == 5
    assert "pictures like this one" in page.text


def test_a_row_that_is_not_there_is_404(site: Site) -> None:
    for row in ("77", "1,2", "x"):
        page = site.get(f"{SEARCH}?like={row}")
        assert page.status_code == 404
        assert f"There is no row {row} in this table." in sentence(page)


def test_a_picture_that_is_sent_is_compared_and_not_kept(site: Site, photos_folder: Path) -> None:
    before = snapshot(photos_folder)
    page = site.send(png("blue"))
    assert names(page)[0] == "blue.png"
    assert "1.000" in page.text
    assert snapshot(photos_folder) == before
    # The vector goes with the form, so filters need the picture no more.
    again = site.send(None, vector=field(page.text, "vector"), camera__exact="Pixel")
    assert set(names(again)) == {"red.png", "blue.png", "white.png"}
    assert names(again)[0] == "blue.png"


def test_a_text_that_is_typed_after_a_picture_counts(site: Site) -> None:
    vector = field(site.send(png("blue")).text, "vector")
    page = site.send(None, vector=vector, q="a black cat")
    assert names(page) == names(site.get(f"{SEARCH}?q=a+black+cat"))


@pytest.mark.parametrize(
    ("picture", "status", "said"),
    [
        (b"no picture", 400, "The file is no picture that can be read"),
        (png("red")[:60], 400, "The file is no picture that can be read"),
        (b"x" * 5000, 413, "The picture is larger than"),
    ],
)
def test_a_file_that_is_no_picture_or_too_large_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, picture: bytes, status: int, said: str
) -> None:
    monkeypatch.setattr(pages, "UPLOAD_BYTES", 4000)
    monkeypatch.setattr("thanosql_dbapi.ui.web.uploads._FORM_BYTES", 700)
    page = site.send(picture)
    assert page.status_code == status
    assert said in sentence(page)


def test_a_body_that_says_nothing_of_its_length_is_measured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "UPLOAD_BYTES", 10)
    token = field(site.get(SEARCH).text, "csrftoken")
    sent = 0

    async def long() -> Any:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
        for _ in range(100):
            sent += 1
            yield b"x" * 10_000

    headers = {"x-csrftoken": token, "content-type": "multipart/form-data; boundary=b"}
    page = site.ask("POST", SEARCH, content=long(), headers=headers)
    assert page.status_code == 413
    assert sent < 10


@pytest.mark.parametrize("vector", ["AAAA", "!", "AAAA" * 32, "/" * 128])
def test_a_vector_that_is_none_of_the_tables_is_refused(site: Site, vector: str) -> None:
    page = site.send(None, vector=vector)
    assert page.status_code == 400
    assert "vector is not one of this table's" in sentence(page)


def test_a_form_without_its_token_is_refused(site: Site) -> None:
    site.get(SEARCH)
    for picture in (png("red"), None):
        page = site.send(picture, token="other")
        assert page.status_code == 403
        assert "Reload the search" in sentence(page)
    site.cookies.clear()
    assert site.send(png("red"), token="").status_code == 403


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("camera__exact=Pixel", {"red", "blue", "white"}),
        ("taken_at__gte=2024-05-02&taken_at__lte=2024-05-04", {"green", "blue", "black"}),
        ("stars__gte=4", {"white", "orange"}),
        (f"stars__gte=4&stars__lte={10**30}", {"white", "orange"}),
        ("caption__contains=RED&stars__lte=", {"red"}),
        ("q=a+cat&camera__exact=Leica+<M>", {"green", "black", "orange"}),
        ("like=1&stars__in=1,2", {"green", "blue"}),
    ],
)
def test_filters_keep_the_rows_that_fit(site: Site, query: str, expected: set[str]) -> None:
    page = site.get(f"{SEARCH}?{query}")
    assert {name.removesuffix(".png") for name in names(page)} == expected


def test_the_form_has_a_field_for_each_kind_of_column(site: Site) -> None:
    page = site.get(f"{SEARCH}?camera__exact=Pixel").text
    assert re.search(r'name="taken_at__gte" value="" type="date"', page)
    assert re.search(r'name="stars__lte" value="" type="number"', page)
    assert "<option selected>Pixel</option>" in page
    assert "<option>Leica &lt;M&gt;</option>" in page


@pytest.mark.parametrize(
    "query",
    [
        "nothing__exact=1",
        "m_clipen__exact=1",
        "camera__nonsense=1",
        "camera__in=[",
        "taken_at__lte=2024-99-99",
    ],
)
def test_a_filter_that_makes_no_sense_is_a_sentence(site: Site, query: str) -> None:
    page = site.get(f"{SEARCH}?{query}")
    assert page.status_code == 400
    assert "This cannot be shown" in page.text


@pytest.mark.parametrize("number", ["0", "51", "-1", "x", "٣", "9" * 5000])
def test_a_page_that_there_is_not_is_a_sentence(site: Site, number: str) -> None:
    page = site.get(f"{SEARCH}?{urlencode({'page': number})}")
    assert page.status_code == 400
    assert "Pages are numbered from 1 to 50" in sentence(page)


def test_a_text_that_is_too_long_is_refused(site: Site) -> None:
    page = site.get(f"{SEARCH}?q={'a' * 1001}")
    assert page.status_code == 400
    assert "1001 characters" in sentence(page)


def test_more_pictures_come_page_by_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = names(site.get(f"{SEARCH}?q=a+cat"))
    monkeypatch.setattr("thanosql_dbapi.ui.web.asking.PAGE_SIZE", 4)
    first = site.get(f"{SEARCH}?q=a+cat")
    link = re.search(r'<a class="button" href="([^"]*page=2[^"]*)"', first.text)
    assert link
    second = site.get(unescape(link[1]))
    assert names(first) + names(second) == whole
    assert "Show more" not in second.text
    sent = site.send(png("blue"))
    assert len(names(sent)) == 4
    rest = site.send(None, vector=field(sent.text, "vector"), page="2")
    assert set(names(sent) + names(rest)) == set(whole)
    assert site.get(f"{SEARCH}?q=a+cat&page=3").text.count("There are no more pictures") == 1


def test_without_a_question_the_latest_pictures_are_shown(site: Site) -> None:
    page = site.get(SEARCH)
    assert names(page) == [f"{color}.png" for color in reversed(COLORS)]
    assert "6 pictures, the latest first" in page.text


def test_the_only_table_is_gone_to_at_once(site: Site) -> None:
    page = site.get("/-/pictures?lang=ko")
    assert page.status_code == 302
    assert page.headers["location"] == f"{SEARCH}?lang=ko"


def test_a_model_that_has_changed_is_named(photos_folder: Path, tmp_path: Path, site_of) -> None:
    folder = copy_of(photos_folder, tmp_path)
    with closing(thanosql.connect(folder / "photos.db", isolation_level=None)) as connection:
        connection.execute("UPDATE thanosql_vectors SET fingerprint = 'other'")
    page = site_of(folder / "photos.db").get(f"{SEARCH}?q=a+cat")
    assert page.status_code == 409
    assert "'m' has changed since the table was converted. Run CONVERT" in sentence(page)


# -- languages and looks ----------------------------------------------------------------------


def test_the_page_speaks_korean(site: Site) -> None:
    page = site.get(SEARCH, headers={"accept-language": "ko-KR,ko;q=0.9,en;q=0.8"})
    assert '<html lang="ko">' in page.text
    assert "어떤 사진을 찾으세요?" in page.text
    chosen = site.get(f"{SEARCH}?lang=ko")
    assert "사진으로 검색" in chosen.text
    assert "사진으로 검색" in site.get(SEARCH).text  # the choice is kept
    assert "Search by picture" in site.get(f"{SEARCH}?lang=en").text


def test_every_sentence_is_there_in_both_languages() -> None:
    from thanosql_dbapi.ui.web.words import _TEXTS

    for key, texts in _TEXTS.items():
        english, korean = (set(re.findall(r"{\w*}", text)) for text in texts)
        assert english == korean, key


def test_what_a_row_says_is_text_and_no_html(photos_folder: Path, tmp_path: Path, site_of) -> None:
    folder = copy_of(photos_folder, tmp_path)
    with closing(thanosql.connect(folder / "photos.db", isolation_level=None)) as connection:
        said = '<script>alert(1)</script>" onerror="x \u202egpj'
        connection.execute("UPDATE photos SET caption = ?, camera = ?", (said, said))
    site = site_of(folder / "photos.db")
    for path in (SEARCH, f"{SEARCH}?{urlencode({'q': said})}", "/photos/photos"):
        page = site.get(path).text
        assert "<script>alert" not in page
        assert '" onerror="' not in page
    assert "\u202e" not in site.get(SEARCH).text


def test_our_pages_load_and_run_nothing_of_elsewhere(site: Site) -> None:
    page = site.get(SEARCH)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "private, no-store"
    assert not re.search(r"<script(?! src=)|<style| style=| on\w+=", page.text)
    for name, kind in (("pictures.css", "text/css"), ("pictures.js", "text/javascript")):
        sent = site.get(f"/-/pictures/static/{name}")
        assert sent.headers["content-type"] == f"{kind}; charset=utf-8"
        assert "http" not in sent.text
    assert site.get("/-/pictures/static/..%2fplugin.py").status_code == 404


# -- pictures ---------------------------------------------------------------------------------


def test_a_picture_is_sent_small_and_anew(site: Site) -> None:
    sent = site.get(f"{PICTURE}/2")
    assert sent.headers["content-type"] == "image/jpeg"
    assert sent.headers["x-content-type-options"] == "nosniff"
    assert sent.headers["cross-origin-resource-policy"] == "same-origin"
    with Image.open(io.BytesIO(sent.content)) as image:
        assert (image.format, image.size) == ("JPEG", (48, 40))
        assert image.convert("RGB").getpixel((20, 20))[1] > 100
    same = site.get(f"{PICTURE}/2", headers={"if-none-match": sent.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    large = site.get(f"{PICTURE}/2?w=1600")
    assert large.headers["etag"] != sent.headers["etag"]


def test_a_large_picture_is_made_small_and_loses_its_places(
    photos_folder: Path, tmp_path: Path, site_of
) -> None:
    folder = copy_of(photos_folder, tmp_path)
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    exif[0x010E] = "a secret description"
    image = Image.new("RGB", (2000, 1000), "blue")
    image.save(folder / "images" / "blue.png", "JPEG", exif=exif)
    sent = site_of(folder / "photos.db").get(f"{PICTURE}/3").content
    with Image.open(io.BytesIO(sent)) as small:
        assert small.size == (480, 240)
        assert not small.getexif()
    assert b"secret" not in sent


@pytest.mark.parametrize(
    "path",
    [
        "77",
        "1,1",
        "x",
        "..%2f..%2f..%2fetc%2fpasswd",
        "~2E~2E~2Fphotos~2Edb",
        "..%5c..%5cphotos.db",
        "1?w=99999",
        "1?w=-1",
        "%00",
    ],
)
def test_an_address_that_names_no_row_shows_nothing(site: Site, path: str) -> None:
    page = site.get(f"{PICTURE}/{path}")
    assert page.status_code in (400, 404)
    assert page.headers["content-type"].startswith("text/html")
    assert "This cannot be shown" in page.text


@pytest.mark.parametrize("path", ["photos.db", "/etc/passwd", "images/none.png", "images/red.png "])
def test_a_path_that_no_row_has_shows_nothing(site: Site, path: str) -> None:
    named = "/photos/-/picture/image_path"
    assert site.get(f"{named}?{urlencode({'value': path})}").status_code == 404
    assert site.get(f"{named}?value=images/red.png").headers["content-type"] == "image/jpeg"


@pytest.fixture(scope="module")
def hostile(
    photos_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Path]]:
    """A site whose rows anybody may have written, and the folder around its workspace."""
    around = tmp_path_factory.mktemp("hostile")
    folder = copy_of(photos_folder, around)
    (around / "outside.png").write_bytes(png("purple"))
    (around / "allowed").mkdir()
    (around / "allowed" / "cat.png").write_bytes(png("gray"))
    (folder / "thanosql-model" / "cat.png").write_bytes(png("purple"))
    (folder / "link.png").symlink_to(around / "outside.png")
    (folder / "folder").symlink_to(around)
    (folder / "to_models").symlink_to(folder / "thanosql-model")
    with closing(thanosql.connect(folder / "photos.db", isolation_level=None)) as connection:
        connection.execute("ALTER TABLE photos ADD COLUMN picture BLOB")
    site = Site(folder / "photos.db", allowed_directories=[around / "allowed"])
    yield site, around
    site.close()


def picture_of(place: tuple[Site, Path], value: object) -> httpx.Response:
    """Put a value into a row, and ask for its picture."""
    site, around = place
    file = around / "workspace" / "photos.db"
    with closing(thanosql.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE photos SET image_path = ? WHERE rowid = 1", (value,))
    return site.get(f"{PICTURE}/1")


@pytest.mark.parametrize(
    "path",
    [
        "../outside.png",
        "images/../../outside.png",
        "{around}/outside.png",
        "file://{around}/outside.png",
        "FILE://{around}/outside.png",
        "file:../outside.png",
        "link.png",
        "folder/outside.png",
        "{around}/allowed/../outside.png",
        "thanosql-model/cat.png",
        "./images/../thanosql-model/cat.png",
        "file://{around}/workspace/thanosql-model/cat.png",
        "to_models/cat.png",
        "photos.db",
        "{around}/workspace/photos.db",
        "folder/workspace/photos.db",
        "/proc/self/root{around}/outside.png",
        "/etc/passwd",
        "a\0b.png",
    ],
)
def test_a_row_that_names_a_file_outside_is_refused(hostile: tuple[Site, Path], path: str) -> None:
    answer = picture_of(hostile, path.replace("{around}", str(hostile[1])))
    assert answer.status_code == 403
    assert "outside of the folders that may be shown" in sentence(answer)
    assert str(hostile[1]) not in answer.text


@pytest.mark.parametrize(
    "value",
    [
        "..\\outside.png",
        "%2e%2e/outside.png",
        "C:\\photos\\cat.png",
        "http://127.0.0.1:1/cat.png",
        "https://example.com/cat.png",
        "images",
        "photos.csv",
        "images/none.png",
        "",
        None,
        7,
        b"",
        b"no picture",
        "a" * 5000,
    ],
)
def test_a_row_that_names_no_picture_is_404(hostile: tuple[Site, Path], value: object) -> None:
    answer = picture_of(hostile, value)
    assert answer.status_code == 404
    assert "This cannot be shown" in answer.text
    assert str(hostile[1]) not in answer.text


def test_a_row_may_name_a_picture_in_an_allowed_directory(hostile: tuple[Site, Path]) -> None:
    assert picture_of(hostile, str(hostile[1] / "allowed" / "cat.png")).status_code == 200
    assert picture_of(hostile, png("red")).headers["content-type"] == "image/jpeg"


# -- who may ask ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", SEARCH, f"{PICTURE}/1", "/photos/photos.json"])
def test_a_name_that_is_not_the_servers_is_refused(site: Site, path: str) -> None:
    for name in ("evil.example", "127.0.0.1.evil.example:8001", "localhost.evil", "a@127.0.0.1"):
        page = site.get(path, headers={"host": name})
        assert page.status_code == 403
        assert "which is not its own" in page.text
    for name in ("localhost:8001", "127.0.0.1", "[::1]:8001", "LOCALHOST.", "192.168.0.9:8001"):
        assert site.get(path, headers={"host": name}).status_code == 200


def test_a_name_that_was_given_is_answered(photos_folder: Path, site_of) -> None:
    site = site_of(photos_folder / "photos.db", names=["Photos.lan"])
    assert site.get(SEARCH, headers={"host": "photos.lan:80"}).status_code == 200
    assert site.get(SEARCH, headers={"host": "other.lan"}).status_code == 403


def test_a_datasette_of_somebody_else_keeps_its_own_pages(photos_folder: Path, site_of) -> None:
    from datasette.app import Datasette

    site = site_of(photos_folder / "photos.db")
    site.datasette = Datasette([str(photos_folder / "photos.db")])
    page = site.get("/", headers={"host": "data.example"})
    assert page.status_code == 200
    assert "content-security-policy" not in page.headers
    assert site.get(SEARCH, headers={"host": "data.example"}).status_code == 403
    assert names(site.get(f"{SEARCH}?q=a+cat"))


def test_what_datasette_forbids_is_forbidden_here(photos_folder: Path, site_of) -> None:
    site = site_of(photos_folder / "photos.db")
    site.datasette._metadata_local["databases"] = {
        "photos": {"tables": {"photos": {"allow": False}}}
    }
    assert site.get("/photos/-/picture/image_path?value=images/red.png").status_code == 404
    for path in (SEARCH, f"{PICTURE}/1"):
        page = site.get(path)
        assert page.status_code == 403
        assert "You do not have permission" in sentence(page)
    assert "/photos/photos" not in site.get("/-/pictures").text


def test_an_option_that_there_is_not_is_named(photos_folder: Path, site_of) -> None:
    site = site_of(photos_folder / "photos.db", wrkspace="x")
    with pytest.raises(thanosql.ProgrammingError, match="no option 'wrkspace'; it takes workspace"):
        site.get("/")


# -- Datasette's own pages --------------------------------------------------------------------


def sql_of(site: Site, sql: str, **parameters: str) -> httpx.Response:
    return site.get(f"/photos.json?{urlencode({'sql': sql, '_shape': 'objects', **parameters})}")


def test_search_works_in_the_sql_box(site: Site, photos_folder: Path) -> None:
    sql = (
        "SELECT image_path, s FROM (SEARCH IMAGE text=:text USING m OPTIONS (result_col='s')"
        " AS SELECT * FROM photos) ORDER BY s DESC LIMIT 3"
    )
    answer = sql_of(site, sql, text="a black cat").json()
    assert answer["ok"]
    found = [Path(row["image_path"]).name for row in answer["rows"]]
    assert found == names(site.get(f"{SEARCH}?q=a+black+cat"))[:3]
    assert isinstance(answer["rows"][0]["s"], float)


def test_the_pages_own_search_is_shown_as_sql_that_runs(site: Site) -> None:
    asked = urlencode({"q": "it's :p0", "camera__exact": "Leica <M>"})
    page = site.get(f"{SEARCH}?{asked}")
    link = re.search(r'<a href="([^"]*)">This search in SQL</a>', page.text)
    assert link
    shown = site.get(unescape(link[1]))
    assert shown.status_code == 200
    assert "returning 3 rows" in shown.text
    pictures = set(re.findall(r'<img src="(/photos/-/picture/image_path[^"]*)"', shown.text))
    assert len(pictures) == 3
    for picture in pictures:
        assert site.get(unescape(picture)).headers["content-type"] == "image/jpeg"


def test_views_over_search_and_the_functions_work(site: Site) -> None:
    assert len(sql_of(site, "SELECT * FROM catlike").json()["rows"]) == 2
    assert site.get("/photos/catlike").status_code == 200
    sql = (
        "SELECT caption FROM photos"
        " ORDER BY cosine_similarity(m_clipen, embed_text('m', 'a cat')) DESC LIMIT 2"
    )
    assert len(sql_of(site, sql).json()["rows"]) == 2
    assert sql_of(site, "SELECT * FROM (LIST MODEL)").json()["rows"][0]["model_name"] == "m"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM (SEARCH IMAGE text='a' USING x AS SELECT * FROM photos)", "no model 'x'"),
        ("SELECT * FROM (SEARCH IMAGE txt='a' USING m AS SELECT * FROM photos)", "txt"),
        (
            "SELECT * FROM (SEARCH IMAGE image='../outside.png' USING m AS SELECT * FROM photos)",
            "lies outside the workspace",
        ),
        ("SELECT * FROM (CONVERT USING m AS SELECT * FROM photos)", "not CONVERT"),
        (
            (
                "WITH a AS (SEARCH IMAGE text='a' USING m AS SELECT * FROM photos)"
                " INSERT INTO photos (caption) SELECT caption FROM a"
            ),
            "readonly database",
        ),
        ("WITH a AS (SELECT 1) DELETE FROM photos", "readonly database"),
    ],
)
def test_the_sql_box_says_what_is_wrong_and_writes_nothing(
    site: Site, photos_folder: Path, sql: str, said: str
) -> None:
    before = snapshot(photos_folder)
    answer = sql_of(site, sql)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert snapshot(photos_folder) == before


def test_tables_show_pictures_and_short_vectors(site: Site) -> None:
    page = site.get("/photos/photos").text
    assert page.count(f'<img src="{PICTURE}/') == 6
    assert len(re.findall(r"<code>\[-?\d\.\d+, .* … 24\]</code>", page)) == 6
    row = site.get("/photos/photos.json?_shape=objects").json()["rows"][0]
    assert row["m_clipen"]["$base64"] is True
    home = site.get("/photos").text
    assert "Search pictures" in home
    assert "thanosql_models" not in home.partition("hidden table")[0]


def test_the_database_file_is_not_sent(site: Site) -> None:
    assert site.get("/photos.db").status_code == 403


# -- other tables -----------------------------------------------------------------------------


def test_other_keys_and_odd_names(photos_folder: Path, tmp_path: Path, site_of) -> None:
    folder = copy_of(photos_folder, tmp_path)
    with closing(thanosql.connect(folder / "photos.db", isolation_level=None)) as connection:
        connection.execute('ALTER TABLE photos RENAME TO "사진 a/b.c\'s"')
        connection.execute(
            'CREATE TABLE keyed (a TEXT, "b ""c" INTEGER, "그림/1" BLOB, PRIMARY KEY (a, "b ""c"))'
            " WITHOUT ROWID"
        )
        rows = [(f"x/{color},y", n, png(color)) for n, color in enumerate(COLORS)]
        connection.executemany("INSERT INTO keyed VALUES (?, ?, ?)", rows)
        connection.execute(
            "CONVERT USING m OPTIONS (image_col='그림/1', table_name='keyed', result_col='v')"
            " AS SELECT * FROM keyed"
        )
    site = site_of(folder / "photos.db")
    index = site.get("/-/pictures").text
    links = [unescape(link) for link in re.findall(r'<li><a href="([^"]*)"', index)]
    assert len(links) == 2
    for link in links:
        page = site.get(f"{link}?q=a+cat")
        assert len(names(page)) == 6
        for kind in ("picture", "like"):
            found = re.search(rf'<a class="{kind}" href="([^"]*)"', page.text)
            assert found
            assert site.get(unescape(found[1])).status_code == 200
        row = re.search(r'<a class="row" href="([^"]*)"', page.text)
        assert row
        shown = site.get(unescape(row[1]))
        assert shown.status_code == 200
        assert "/-/picture/" in shown.text


def test_an_empty_database_says_what_to_run(tmp_path: Path, site_of) -> None:
    file = tmp_path / "photos.db"
    with closing(thanosql.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE other (a)")
    assert "thanosql index DIR" in site_of(file).get("/-/pictures").text
    with closing(thanosql.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE photos (image_path TEXT)")
    said = sentence(site_of(file).get("/-/pictures"))
    assert "GET THANOSQL MODEL clip; CONVERT USING clip OPTIONS (table_name='photos')" in said


def test_a_table_that_is_converted_later_is_found(
    photos_folder: Path, tmp_path: Path, site_of
) -> None:
    folder = copy_of(photos_folder, tmp_path)
    file = folder / "photos.db"
    with closing(thanosql.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE more AS SELECT image_path FROM photos")
        site = site_of(file)
        assert site.get("/photos/more/-/pictures").status_code == 404
        connection.execute("CONVERT USING m OPTIONS (table_name='more') AS SELECT * FROM more")
        connection.execute("UPDATE more SET image_path = './' || image_path")
    assert len(names(site.get("/photos/more/-/pictures?q=a+cat"))) == 6
    # A query's row is looked for in both.
    for path in ("./images/red.png", "images/red.png"):
        assert site.get(f"/photos/-/picture/image_path?value={path}").status_code == 200


# -- serve ------------------------------------------------------------------------------------


def test_serve_names_what_is_missing(photos_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(thanosql.OperationalError, match="no file or folder"):
        serve(tmp_path / "none")
    with pytest.raises(thanosql.OperationalError, match=r"no database .*photos\.db'; `thanosql"):
        serve(tmp_path)
    (tmp_path / "no.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(thanosql.DatabaseError, match="not a database"):
        serve(tmp_path / "no.db")
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(thanosql.OperationalError, match=r"cannot listen at 127\.0\.0\.1"):
            serve(photos_folder, port=taken.getsockname()[1])
    with pytest.raises(thanosql.OperationalError, match="a port is 0 to 65535, got 99999"):
        serve(photos_folder, port=99999)


def test_serve_answers_until_ctrl_c_and_writes_nothing(photos_folder: Path) -> None:
    before = snapshot(photos_folder)
    program = f"from thanosql_dbapi.ui.web import serve; serve({str(photos_folder)!r}, port=0)"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/-/pictures", line)
            assert address, server.communicate()[1]
            page = httpx.get(address[0], follow_redirects=True, trust_env=False)
            assert len(names(page)) == 6
            picture = page.url.join(f"{PICTURE}/1")
            assert httpx.get(picture, trust_env=False).headers["content-type"] == "image/jpeg"
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=30)
        finally:
            server.kill()
    assert (server.returncode, errors) == (0, "")
    assert snapshot(photos_folder) == before
