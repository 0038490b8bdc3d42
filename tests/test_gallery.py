"""The gallery: one HTML file of a query's pictures, through ``thanosql_dbapi.gallery``."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image, ImageCms

import thanosql
import thanosql_dbapi
from thanosql_dbapi.errors import OperationalError, ProgrammingError
from thanosql_dbapi.ui.contact_sheet import contact_sheet, write_contact_sheet
from thanosql_dbapi.ui.gallery import gallery_section, write_gallery
from thanosql_dbapi.ui.session import run

VOID = {"img", "meta", "link", "br", "input", "source"}


@dataclass
class Tag:
    """An element: its name, attributes, and the text in it."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Tag] = field(default_factory=list)

    def all(self, name: str, **wanted: str) -> list[Tag]:
        """Return the elements of a name within, by attributes (``class_`` is ``class``)."""
        wanted = {key.rstrip("_"): value for key, value in wanted.items()}
        return [
            each
            for each in self._descendants()
            if each.name == name and wanted.items() <= each.attributes.items()
        ]

    def _descendants(self) -> list[Tag]:
        return [found for each in self.inside for found in (each, *each._descendants())]


class Page(HTMLParser):
    """A page as a tree of tags."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.root = Tag("", {})
        self._open = [self.root]
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert len(self._open) == 1, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Tag(tag, dict(attrs))
        self._open[-1].inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    @property
    def cards(self) -> list[Tag]:
        return [each for cards in self.root.all("ol", class_="cards") for each in cards.inside]


def values_of(card: Tag) -> dict[str, str]:
    """Return a card's row, as the large view shows it."""
    (values,) = card.all("dl")
    return {pair.all("dt")[0].text: pair.all("dd")[0].text for pair in values.inside}


def picture_of(card: Tag) -> Image.Image:
    source = card.all("img")[0].attributes["src"] or ""
    assert source.startswith("data:image/jpeg;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    image.load()
    return image


def test_a_search_becomes_one_file_with_everything_in_it(converted, tmp_path: Path) -> None:
    sql = "SEARCH IMAGE text=? USING m OPTIONS (top_k=3) AS SELECT * FROM photos"
    path = thanosql.gallery(converted, sql, ("a <red> cat",), file=tmp_path / "g.html")
    assert path == tmp_path / "g.html"
    page = Page(path)
    assert [each.text for each in page.root.all("title")] == ["a <red> cat"]
    rows = converted.execute(sql, ("a <red> cat",)).fetchall()
    assert len(rows) == 3
    for card, row in zip(page.cards, rows, strict=True):
        name, caption, similarity = row[1], row[2], row[-1]
        assert picture_of(card).size == (48, 40)
        assert card.all("img")[0].attributes["alt"] == caption
        assert f"similarity {similarity:.3f}" in card.text
        assert card.all("p", class_="name")[0].text == name
        assert values_of(card)["m_clipen_similarity1"] == f"{similarity:.6f}"
    loaded = [
        value or ""
        for tag in (*page.root.all("img"), *page.root.all("script"), *page.root.all("link"))
        for key, value in tag.attributes.items()
        if key in ("src", "href")
    ]
    assert len(loaded) == 3
    assert all(each.startswith("data:") for each in loaded)
    assert not re.findall(r"https?://", page.source)


def test_the_pages_policy_lets_its_own_script_run_and_no_other(conn, tmp_path: Path) -> None:
    page = Page(thanosql_dbapi.gallery(conn, "SELECT * FROM t", file=tmp_path / "g.html"))
    (script,) = page.root.all("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    (policy,) = [
        each.attributes["content"] or ""
        for each in page.root.all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy


def test_what_values_say_is_text(conn, tmp_path: Path) -> None:
    evil = "</dd><script>alert(1)</script>"
    rtl = "\u202egpj.exe"
    page = Page(
        thanosql_dbapi.gallery(
            conn,
            "SELECT 'red.png' AS image_path, ? AS caption, ? AS \"<i>\", ? AS 한국어, ? AS حيوان",
            (evil, rtl, "검은 고양이", "قطة سوداء"),
            file=tmp_path / "g.html",
            title="<b>“제목”</b>\x1b",
        )
    )
    (card,) = page.cards
    assert values_of(card) == {
        "image_path": "red.png",
        "caption": evil,
        "<i>": "\\u202egpj.exe",
        "한국어": "검은 고양이",
        "حيوان": "قطة سوداء",
    }
    assert card.all("img")[0].attributes["alt"] == evil
    assert page.root.all("title")[0].text == "<b>“제목”</b>\\x1b"
    assert len(page.root.all("script")) == 1


def test_pictures_that_cannot_be_shown_say_why(conn, tmp_path: Path) -> None:
    page = Page(thanosql_dbapi.gallery(conn, "SELECT * FROM t", file=tmp_path / "g.html"))
    reasons = [card.all("span")[0].text for card in page.cards[2:]]
    assert all("cannot be shown" in reason for reason in reasons)
    assert "no image of a known format" in reasons[0]
    assert "'missing.jpg' does not exist" in reasons[1]
    assert "the row has no image" in reasons[2]
    assert "outside the workspace" in reasons[3]
    assert "network=True" in reasons[4]
    assert "no similarity" in page.cards[2].text
    assert [card.all("button")[0].attributes["data-original"] for card in page.cards[:3]] == [
        "./red.png",
        "./blue.jpg",
        "",
    ]


def test_the_original_is_a_path_relative_to_the_page(conn, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    odd = "javascript:x?#%41 é.png"
    Image.new("RGB", (8, 8)).save(tmp_path / odd)
    Image.new("RGB", (8, 8)).save(tmp_path / "scan.tiff")
    path = thanosql_dbapi.gallery(
        conn,
        "SELECT ? AS image_path UNION ALL SELECT 'scan.tiff'",
        (odd,),
        file=tmp_path / "pages" / "g.html",
    )
    first, second = [card.all("button")[0].attributes["data-original"] for card in Page(path).cards]
    assert first == "./../javascript%3Ax%3F%23%2541%20%C3%A9.png"
    assert second == ""  # no browser shows TIFF


def test_a_picture_in_a_blob_and_one_that_is_there_in_part(conn, tmp_path: Path) -> None:
    file = io.BytesIO()
    noise = Image.effect_noise((300, 300), 60).convert("RGB")
    noise.save(file, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) * 9 // 10])
    page = Page(
        thanosql_dbapi.gallery(
            conn,
            "SELECT ? AS photo UNION ALL SELECT 'cut.jpg'",
            (file.getvalue(),),
            image_col="photo",
            file=tmp_path / "g.html",
        )
    )
    whole, cut = page.cards
    assert picture_of(whole).size == (300, 300)
    assert whole.all("p", class_="name")[0].text == f"<{len(file.getvalue()):,} bytes>"
    assert picture_of(cut).size == (300, 300)
    assert "of the picture is missing" in cut.all("p", class_="remark")[0].text


def test_a_picture_is_upright_and_large_ones_are_made_small(conn, tmp_path: Path) -> None:
    image = Image.new("RGB", (1600, 800), "white")
    image.paste("black", (0, 0, 800, 800))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    exif.get_ifd(0x8825)[1] = "N"  # GPS: whoever gets the page is not told where it was taken
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "turned.jpg", exif=exif, icc_profile=profile)
    page = Page(
        thanosql_dbapi.gallery(conn, "SELECT 'turned.jpg' AS image_path", file=tmp_path / "g.html")
    )
    shown = picture_of(page.cards[0])
    assert shown.size == (400, 800)
    assert shown.getpixel((200, 100))[0] < 20
    assert shown.getpixel((200, 700))[0] > 235
    assert not shown.getexif()
    assert "icc_profile" not in shown.info


@pytest.mark.parametrize(
    ("sql", "limit", "want", "told"),
    [
        ("SELECT * FROM t WHERE 0", 100, 0, "no pictures"),
        ("SELECT * FROM t", None, 7, "7 pictures"),
        ("SELECT * FROM t", 2, 2, "the first 2 of 7 pictures"),
        ("SELECT * FROM t LIMIT 1", 100, 1, "1 picture"),
        ("PRINT IMAGE OPTIONS (limit=3) AS SELECT * FROM t", 100, 3, "the first 3 of 7 pictures"),
        ("PRINT IMAGE OPTIONS (image_col='p') AS SELECT 'red.png' AS p", 9, 1, "1 picture"),
    ],
)
def test_how_many_pictures_there_are(
    conn, tmp_path: Path, sql: str, limit: int | None, want: int, told: str
) -> None:
    page = Page(thanosql_dbapi.gallery(conn, sql, file=tmp_path / "g.html", limit=limit))
    assert len(page.cards) == want
    assert [each.text for each in page.root.all("p", class_="found")] == [told]


def test_a_gallery_of_a_korean_question_speaks_korean(conn, tmp_path: Path) -> None:
    sql = "SELECT *, 0.5 AS similarity FROM t"
    file = tmp_path / "g.html"
    page = Page(thanosql_dbapi.gallery(conn, sql, file=file, title="검은 고양이", limit=2))
    assert [each.text for each in page.root.all("p", class_="found")] == ["이미지 7장 중 처음 2장"]
    assert page.cards[0].text.strip().startswith("유사도")
    (html,) = page.root.all("html")
    assert html.attributes["lang"] == "ko"


def test_many_pictures_are_embedded_smaller(conn, tmp_path: Path) -> None:
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101)"
        " SELECT 'red.png' AS image_path FROM n"
    )
    page = Page(thanosql_dbapi.gallery(conn, sql, file=tmp_path / "g.html", limit=None))
    assert len(page.cards) == 101
    assert picture_of(page.cards[-1]).size == (360, 216)


@pytest.mark.parametrize(
    ("columns", "want"),
    [
        ("score, 0.25 AS other", "0.500"),  # by the plan of the SEARCH
        ("0.25 AS similarity, score", "0.250"),  # the user's own, by name
        ("0.75 AS my_similarity", "0.750"),
        ("NULL AS similarity", "no similarity"),
        ("0.75 AS rank", None),
    ],
)
def test_the_similarity_is_found_by_the_plan_or_by_name(
    converted, tmp_path: Path, columns: str, want: str | None
) -> None:
    columns = re.sub(r"\bscore\b", "score", columns)
    sql = (
        f"SELECT image_path, {columns} FROM (SEARCH IMAGE text='a cat' USING m"
        " OPTIONS (result_col='score') AS SELECT * FROM photos) LIMIT 1"
    )
    page = Page(thanosql_dbapi.gallery(converted, sql, file=tmp_path / "g.html"))
    found = page.cards[0].all("p", class_="similarity")
    if want == "0.500":
        (score,) = converted.execute(f"SELECT score FROM ({sql})").fetchone()
        want = f"{score:.3f}"
    assert [want in each.text for each in found] == ([] if want is None else [True])


def test_a_search_by_picture_shows_the_picture(converted, tmp_path: Path) -> None:
    sql = "SEARCH IMAGE image='images/red.png' USING m OPTIONS (top_k=2) AS SELECT * FROM photos"
    page = Page(thanosql_dbapi.gallery(converted, sql, file=tmp_path / "g.html"))
    (asked,) = page.root.all("img", class_="asked")
    assert asked.attributes["alt"] == "The picture that was looked for"
    assert page.root.all("h1")[0].text == "like red.png"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT similarity, caption FROM t", "'image_path', and the query's columns are 'simila"),
        ("CREATE TABLE x (y)", "this statement returns no rows: 'CREATE TABLE x"),
    ],
)
def test_a_gallery_wants_rows_with_pictures(conn, tmp_path: Path, sql: str, message: str) -> None:
    with pytest.raises(ProgrammingError, match=message):
        thanosql_dbapi.gallery(conn, sql, file=tmp_path / "g.html")
    assert not (tmp_path / "g.html").exists()


@pytest.mark.parametrize("limit", [-1, True, "ten", 1.5])
def test_a_limit_is_a_number_of_pictures(conn, tmp_path: Path, limit: object) -> None:
    with pytest.raises(ProgrammingError, match=f"0 or more, or None for all; got {limit!r}"):
        thanosql_dbapi.gallery(conn, "DELETE FROM t", file=tmp_path / "g.html", limit=limit)
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (7,)


def test_the_title_of_a_long_search_is_short(converted, tmp_path: Path) -> None:
    sql = "SEARCH IMAGE texts=? USING m AS SELECT * FROM photos"
    texts = ["cat " * 30, "dog", "horse", "bird", "fish"]
    path = thanosql.gallery(converted, sql, (texts,), file=tmp_path / "g.html")
    assert Page(path).root.all("h1")[0].text == f"{'cat ' * 20}…, dog, horse, 2 more"


def test_a_file_that_cannot_be_written_leaves_the_old_one(conn, tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match=r"cannot write the gallery '.*nowhere/g.html'"):
        thanosql_dbapi.gallery(conn, "SELECT * FROM t", file=tmp_path / "nowhere" / "g.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OperationalError, match="no file was changed"):
        thanosql_dbapi.gallery(conn, "SELECT * FROM t", file=tmp_path / "folder")
    with pytest.raises(OperationalError, match="null"):
        thanosql_dbapi.gallery(conn, "SELECT * FROM t", file=f"{tmp_path}/a\0b")
    assert not list(tmp_path.glob(".*partial"))


def test_a_page_of_several_searches_has_a_list_of_them(conn, tmp_path: Path) -> None:
    outcome = run(conn, "PRINT IMAGE AS SELECT * FROM t")
    sections = [gallery_section(conn, outcome, heading) for heading in ("red & <blue>", "two")]
    path = write_gallery(tmp_path / "g.html", sections, title="My <title>", lead="Lead")
    page = Page(path)
    links = {each.attributes["href"]: each.text for each in page.root.all("a", dir="auto")}
    assert links == {"#q1": "red & <blue>", "#q2": "two"}
    assert [each.text for each in page.root.all("h2")] == ["red & <blue>", "two"]
    assert [each.text for each in page.root.all("p", class_="lead")] == ["Lead"]
    assert '<span class="k">PRINT</span>' in page.source


def test_the_contact_sheet_has_a_row_for_each_query(conn, tmp_path: Path) -> None:
    section = gallery_section(conn, run(conn, "PRINT IMAGE AS SELECT * FROM t"), "all")
    path = write_contact_sheet(tmp_path / "s.png", [section, section], columns=3)
    with Image.open(path) as image:
        one = contact_sheet([section], columns=3)
        assert image.format == "PNG"
        assert image.width == one.width
        assert image.height > 1.7 * one.height
        red, green, _ = image.getpixel((28 + 120, 14 + 52 + 90))
        assert red > 240
        assert green < 20
