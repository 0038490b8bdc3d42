"""The documentation: its statements run, its results are real, and it names all there is.

In a page that is run, a ```sql block is one statement or more, run in order; a ```text block right
after it is what the command line prints for them. A ```pycon block is a doctest. Every such page
has a Korean twin with the same blocks, but that it searches in Korean; it is run as well.

``python tests/test_docs.py`` runs the pages and writes the results of their SQL anew, the data
frame of the notebook's page and the picture of the README too: after a change of the model, the
drawings or of what is printed.
"""

from __future__ import annotations

import doctest
import gc
import io
import os
import re
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path

import pytest

import thanosql
from thanosql_dbapi.language import grammar
from thanosql_dbapi.opening import open_database
from thanosql_dbapi.ui.contact_sheet import write_contact_sheet
from thanosql_dbapi.ui.demo import STEPS
from thanosql_dbapi.ui.gallery import gallery_section
from thanosql_dbapi.ui.session import brief_warnings, run, statements_of
from thanosql_dbapi.ui.terminal import Terminal

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("tutorial", "language", "python", "fast-search", "labels", "train")
"""The pages that are run, one after another in the same workspace; the Korean ones in another."""
LANGUAGES = ("", ".ko")
"""What a page's name ends with."""
KOREAN = {
    "a black cat": "검은 고양이",
    "a dog on a chair": "의자에 앉은 강아지",
    "gloomy photos": "우울한 사진",
    "a horse at night": "밤에 달리는 말",
    "눈밭에 있는 고양이": "a cat in the snow",
    '["a cat"]': '["고양이"]',
}
"""What the Korean page searches for instead."""
SEARCHING = (*PAGES, "notebook-and-shell", "sqlalchemy")
"""The pages whose Korean twins search in Korean."""
ENGLISH_ONLY = ("benchmarks", "design")
"""For those who work on the driver; every other page has a Korean twin."""
HOME = "/home/me/photos"
"""What the pages print where the workspace's path stands."""
ROWS_SHOWN = 5
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SEARCHES_SHOWN = ("a black cat", "a dog on a chair", "gloomy photos")
"""What the README's picture is the answer to."""
FUNCTIONS = ("embed_text", "embed_image", "cosine_similarity")


HEADING = re.compile(r"^(#+) ", re.MULTILINE)
TABLE = re.compile(r"^\|(?:[-: ]+\|)+$", re.MULTILINE)


def english_pages() -> list[str]:
    """Return the names of the pages, without the suffix."""
    names = {path.name.removesuffix(".md") for path in DOCS.glob("*.md")}
    return sorted(name for name in names if not name.endswith(".ko"))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (language, content) of a page's fenced blocks."""
    return FENCE.findall(text_of(page))


def printed(connection: thanosql.Connection, sql: str) -> str:
    """Run statements and return what the command line prints, errors and warnings included."""
    out = io.StringIO()
    with redirect_stdout(out):
        terminal = Terminal(limit=ROWS_SHOWN)
        for statement in statements_of(sql):
            try:
                with brief_warnings(lambda kind, message: print(f"{kind}: {message}")):
                    terminal.show(connection, run(connection, statement))
            except sqlite3.Error as error:
                print(f"{type(error).__name__}: {error}")
    text = out.getvalue().replace(str(connection.workspace), HOME)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def examples(text: str) -> list[tuple[str, re.Match[str] | None]]:
    """Return each SQL block of a page, with the match of the result right after it, if any."""
    found = list(FENCE.finditer(text))
    pairs = []
    for match, after in zip(found, [*found[1:], None], strict=True):
        if match[1] == "sql":
            is_next = after is not None and not text[match.end() : after.start()].strip()
            pairs.append((match[2], after if is_next and after[1] == "text" else None))
    return pairs


def results(page: str, connection: thanosql.Connection) -> list[tuple[str, str, str | None]]:
    """Run a page; return each SQL block, what it printed, and what the page says it prints."""
    return [
        (sql, printed(connection, sql), result and result[2])
        for sql, result in examples(text_of(page))
    ]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {end: tmp_path_factory.mktemp("photos").resolve() for end in LANGUAGES}


@pytest.fixture(scope="module")
def pages(workspaces: dict[str, Path]) -> dict[str, list[tuple[str, str, str | None]]]:
    """The SQL of all pages, run in order."""
    found = {}
    for end, folder in workspaces.items():
        with closing(open_database(str(folder / "photos.db"), progress=False)) as connection:
            for name in PAGES:
                found[f"{name}{end}"] = results(f"{name}{end}.md", connection)
    return found


@pytest.mark.parametrize("name", [f"{name}{end}" for end in LANGUAGES for name in PAGES])
def test_every_statement_prints_what_the_page_says(name: str, pages) -> None:
    for sql, now, said in pages[name]:
        if said is None:
            assert "Error: " not in now, f"{sql}\n{now}"
        else:
            assert shape(now) == shape(said), sql


def shape(text: str) -> list[str]:
    """Return what must not change in a result.

    Of a table that is the names of its columns: which pictures are found, and how similar they
    are, depends on the versions of torch and Pillow. Of an error or a list of paths it is all.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("──"):
            return [*lines[: number - 1], *lines[number - 1].split()]
    return [re.sub(r"\S+\.jpg", "….jpg", line) for line in lines]


@pytest.mark.parametrize("end", LANGUAGES)
@pytest.mark.parametrize("name", ["python", "fast-search"])
def test_the_python_examples(name: str, end: str, pages, workspaces: dict[str, Path]) -> None:
    page = f"{name}{end}.md"
    text = "\n".join(content for language, content in blocks(page) if language == "pycon")
    with inside(workspaces[end]):
        test = doctest.DocTestParser().get_doctest(text, {}, f"docs/{page}", None, 0)
        report: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    with warnings.catch_warnings():
        # The page closes what matters to a reader; Python 3.13 says what else is open.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert not report, "".join(report)


def check_blocks(name: str) -> None:
    """Check that a Korean page has its English twin's blocks, but that it searches in Korean."""
    texts = KOREAN if name in SEARCHING else {}
    korean, english = blocks(f"{name}.ko.md"), blocks(f"{name}.md")
    assert [kind for kind, _ in korean] == [kind for kind, _ in english]
    is_result = False  # those of the Korean page are its own, and tested where it is run
    for (kind, said), (_, meant) in zip(korean, english, strict=True):
        is_result = bool(texts) and kind == "text" and (is_result or meant.startswith("Searching"))
        if not is_result:
            assert said == in_korean(meant, texts)
        is_result = kind == "sql"


def in_korean(text: str, texts: dict[str, str]) -> str:
    for english, korean in texts.items():
        text = text.replace(english, korean)
    return text


@pytest.mark.parametrize("name", [each for each in english_pages() if each not in ENGLISH_ONLY])
def test_english_and_korean_are_in_step(name: str) -> None:
    check_blocks(name)
    english, korean = (FENCE.sub("", text_of(f"{name}{end}")) for end in (".md", ".ko.md"))
    assert HEADING.findall(korean) == HEADING.findall(english)
    assert len(TABLE.findall(korean)) == len(TABLE.findall(english))
    assert f"]({name}.ko.md)" in english
    assert f"]({name}.md)" in korean


def test_the_sites_navigation_has_every_page_in_one_order() -> None:
    text = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- [^:]+: (\S+)\.md$", text, re.MULTILINE)
    english = [name for name in listed if not name.endswith(".ko")]
    assert sorted(english) == english_pages()
    assert [f"{name}.ko" for name in english if name not in ENGLISH_ONLY] == [
        name for name in listed if name.endswith(".ko")
    ]


@pytest.mark.parametrize("page", ["language.md", "language.ko.md"])
def test_every_statement_and_function_is_documented(page: str) -> None:
    text = text_of(page)
    statements = {spec.label for spec in grammar.SPECS.values() if spec.is_supported}
    statements -= {each for each in statements if each.startswith("LIST")}
    for name in ("LIST", *statements, *(f"`{name}(" for name in FUNCTIONS)):
        assert name in text


@pytest.mark.parametrize("page", ["python.md", "python.ko.md"])
def test_every_exported_name_is_documented(page: str) -> None:
    text = text_of(page)
    for name in thanosql.__all__:
        assert re.search(rf"\b{re.escape(name)}\b", text), name


def frame_shown(text: str) -> re.Match[str]:
    """Return the cell of the notebook's page that searches, and the data frame printed for it."""
    cell = re.compile(
        r"^```text\n%%thanosql\n(SELECT.*?)^```\n\n```text\nSearching\.\.\.\n(.*?)^```$",
        re.DOTALL | re.MULTILINE,
    )
    found = cell.search(text)
    assert found is not None
    return found


def frame_printed(connection: thanosql.Connection, sql: str) -> str:
    import pandas as pd

    cursor = connection.execute(sql)
    return pd.DataFrame(cursor.fetchall(), columns=[d[0] for d in cursor.description]).to_string()


@pytest.mark.parametrize("end", LANGUAGES)
def test_the_notebooks_data_frame(end: str, pages, workspaces: dict[str, Path]) -> None:
    pytest.importorskip("pandas")
    shown = frame_shown(text_of(f"notebook-and-shell{end}.md"))
    database = str(workspaces[end] / "photos.db")
    with closing(open_database(database, progress=False)) as connection:
        now = frame_printed(connection, shown[1])
    assert now.splitlines()[0].split() == shown[2].splitlines()[0].split()
    assert len(now.splitlines()) == len(shown[2].splitlines())


def write_results() -> None:
    """Put the results of this run into the pages."""
    for end in LANGUAGES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder).resolve() / "photos.db"
            with closing(open_database(str(path), progress=False)) as connection:
                for name in PAGES:
                    page = f"{name}{end}.md"
                    text, ran = text_of(page), results(page, connection)
                    pairs = zip(examples(text), ran, strict=True)
                    for (_, result), (_, now, _) in reversed(list(pairs)):
                        if result is not None:
                            text = text[: result.start(2)] + now + text[result.end(2) :]
                    (DOCS / page).write_text(text, encoding="utf-8")
                page = f"notebook-and-shell{end}.md"
                text = text_of(page)
                shown = frame_shown(text)
                now = frame_printed(connection, shown[1]) + "\n"
                text = text[: shown.start(2)] + now + text[shown.end(2) :]
                (DOCS / page).write_text(text, encoding="utf-8")


def write_picture() -> None:
    """Draw the picture of the README: the demo's first searches, among as many pictures."""
    first = [step for step in STEPS if step.heading][: len(SEARCHES_SHOWN)]
    assert [step.heading for step in first] == list(SEARCHES_SHOWN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "photos.db"
        with closing(open_database(str(path), progress=False)) as connection:
            for step in STEPS[: STEPS.index(first[0])]:
                run(connection, step.sql.replace("{rows}", "2000"))
            sections = [
                gallery_section(connection, run(connection, step.sql), step.heading)
                for step in first
            ]
            write_contact_sheet(DOCS / "pictures" / "search.jpg", sections)


if __name__ == "__main__":
    write_results()
    write_picture()
