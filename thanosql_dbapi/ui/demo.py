"""``thanosql demo``: the tutorial on the built-in drawn pictures, in a new folder, offline.

The statements are the tutorial's own. What is printed is what they returned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..connection import Connection
from ..errors import OperationalError
from ..opening import open_database
from .session import Outcome, brief_warnings, run

if TYPE_CHECKING:
    from .sections import Section
    from .terminal import Terminal

FOLDER = "thanosql-demo"
DATABASE = "photos.db"
GALLERY = "gallery.html"
_ROWS_SHOWN = 5


@dataclass(frozen=True)
class Step:
    """One statement of the demo.

    Attributes:
        title: What it does, for the reader.
        sql: The statement; ``{rows}`` is the number of pictures.
        heading: Its title in the gallery; None keeps it out.
        is_by_image: Whether ``:picture`` in it is bound to the first picture of the last result.
    """

    title: str
    sql: str
    heading: str | None = None
    is_by_image: bool = False


def _search(text: str) -> Step:
    """Return the tutorial's own search."""
    return Step(
        f"Search: {text}",
        f"""\
PRINT IMAGE
AS (
    SELECT image_path, storybook_clip_clipen_similarity1
    FROM (
        SEARCH IMAGE text="{text}"
        USING storybook_clip
        AS
        SELECT *
        FROM storybook
        )
    ORDER BY storybook_clip_clipen_similarity1 DESC
    LIMIT 5
    )""",
        heading=text,
    )


STEPS = (
    Step(
        "Get the pictures: illustrated scenes, drawn now from a seed",
        "GET THANOSQL DATASET storybook\nOPTIONS (overwrite=True, rows={rows})",
    ),
    Step(
        "Make them a table",
        "COPY storybook\nOPTIONS (overwrite=True)\nFROM 'thanosql-dataset/storybook/storybook.csv'",
    ),
    Step(
        "Get the model: a small CLIP that comes with the package",
        "GET THANOSQL MODEL storybook_clip\nOPTIONS (overwrite=True)\nAS storybook_clip",
    ),
    Step("Look at the table", "SELECT *\nFROM storybook\nLIMIT 5"),
    Step("Look at the pictures", "PRINT IMAGE\nAS\nSELECT image_path\nFROM storybook\nLIMIT 5"),
    Step(
        "Turn every picture into a vector, in a new column",
        'CONVERT USING storybook_clip\nOPTIONS (\n    image_col="image_path",\n'
        '    table_name="storybook",\n    batch_size=128\n    )\nAS\nSELECT *\nFROM storybook',
    ),
    Step(
        "How like a text is every picture?",
        'SEARCH IMAGE text="a black cat"\nUSING storybook_clip\nAS\nSELECT *\nFROM storybook',
    ),
    Step(
        "The five most alike",
        """\
SELECT image_path, storybook_clip_clipen_similarity1
FROM (
    SEARCH IMAGE text="a black cat"
    USING storybook_clip
    AS
    SELECT *
    FROM storybook
    )
ORDER BY storybook_clip_clipen_similarity1 DESC
LIMIT 5""",
    ),
    _search("a black cat"),
    _search("a dog on a chair"),
    _search("gloomy photos"),
    _search("three yellow flowers"),
    _search("a red car in the snow"),
    _search("a boat at sunset"),
    _search("검은 고양이 두 마리"),
    _search("비 오는 날의 자동차"),
    Step(
        "It is SQL: what the pictures' captions say decides too",
        """\
PRINT IMAGE
AS
SELECT image_path, ai_description, similarity
FROM (
    SEARCH IMAGE text="a horse"
    USING storybook_clip
    OPTIONS (result_col='similarity')
    AS
    SELECT * FROM storybook
    )
WHERE ai_description LIKE '%beach%'
ORDER BY similarity DESC
LIMIT 5""",
        heading="a horse, where the caption says beach",
    ),
    Step(
        "Two questions at once: what answers both",
        """\
PRINT IMAGE
AS
SELECT image_path, min(wanted1, wanted2) AS similarity
FROM (
    SEARCH IMAGE texts=['a house', 'snow at night']
    USING storybook_clip
    OPTIONS (result_col='wanted')
    AS
    SELECT * FROM storybook
    )
ORDER BY similarity DESC
LIMIT 5""",
        heading="a house, and snow at night",
    ),
    _search("two white birds"),
    Step(
        "Search by a picture: more like the first one found",
        """\
PRINT IMAGE
AS
SELECT image_path, similarity
FROM (
    SEARCH IMAGE image=:picture
    USING storybook_clip
    OPTIONS (result_col='similarity', top_k=6)
    AS
    SELECT * FROM storybook
    )
WHERE image_path <> :picture""",
        heading="more like this picture",
        is_by_image=True,
    ),
)


def run_demo(
    terminal: Terminal, folder: str | None = None, *, rows: int = 2000, device: str | None = None
) -> Path:
    """Run the demo, and write its gallery.

    Args:
        terminal: Where it is shown.
        folder: A folder to make; None: ``thanosql-demo``, or with a number where that exists.
        rows: Number of pictures, >= 1.
        device: As in ``connect``.

    Returns:
        The gallery's path.

    Raises:
        OperationalError: The folder exists and is not empty, or cannot be made.
        sqlite3.Error: A statement failed.
    """
    from . import gallery

    place = _new_folder(folder)
    started = time.perf_counter()
    terminal.limit = _ROWS_SHOWN
    # The demo ignores the environment, so that it is the same everywhere.
    connection = open_database(str(place / DATABASE), workspace=place, device=device, offline=True)
    with closing(connection), brief_warnings(terminal.warn):
        sections = _run_steps(terminal, connection, rows)
    page = gallery.write_gallery(
        place / GALLERY,
        sections,
        title="Pictures, asked in SQL",
        lead=f"{rows:,} drawn scenes, embedded by a small CLIP and searched by text: the searches"
        " of thanosql demo, each with the statement that made it.",
    )
    seconds = time.perf_counter() - started
    _say_goodbye(terminal, place, page, seconds)
    return page


def _run_steps(terminal: Terminal, connection: Connection, rows: int) -> list[Section]:
    from . import gallery

    sections: list[Section] = []
    last: Outcome | None = None
    for number, step in enumerate(STEPS, 1):
        terminal.say(f"\n{number}. {step.title}", "bold cyan")
        sql = step.sql.replace("{rows}", str(rows))
        terminal.say_code(sql)
        bound = _picture_of(last) if step.is_by_image else {}
        for name, value in bound.items():
            terminal.say(f":{name} = {value!r}", "dim")
        started = time.perf_counter()
        outcome = run(connection, sql, bound)
        seconds = time.perf_counter() - started
        terminal.show(connection, outcome)
        terminal.say(f"{seconds:.2f} s", "dim")
        if step.heading:
            sections.append(gallery.gallery_section(connection, outcome, step.heading))
            last = outcome
    return sections


def _picture_of(outcome: Outcome | None) -> Mapping[str, object]:
    """Return the first picture of a result, to be bound."""
    if outcome is None or not outcome.rows or not outcome.names:
        raise OperationalError("the last search found no picture to look for others like it")
    return {"picture": outcome.rows[0][outcome.names.index("image_path")]}


def _new_folder(name: str | None) -> Path:
    """Make the demo's folder."""
    place = Path(name or FOLDER).expanduser().absolute()
    number = 2
    while name is None and place.exists():
        place = place.with_name(f"{FOLDER}-{number}")
        number += 1
    if place.is_dir() and any(place.iterdir()):
        raise OperationalError(
            f"the folder {str(place)!r} is not empty, and the demo wants one of its own; name"
            " another, or none"
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperationalError(
            f"cannot make the folder {str(place)!r}: {error.strerror or error}"
        ) from error
    return place


def _say_goodbye(terminal: Terminal, place: Path, page: Path, seconds: float) -> None:
    from pygments.lexers.python import PythonLexer

    database = _shortest(place / DATABASE)
    terminal.say(f"\nDone in {seconds:.0f} s. Now:", "bold green")
    terminal.say("\nLook at what was found; open in a browser")
    terminal.say(f"    {page.as_uri()}", "cyan")
    terminal.say("\nAsk something else")
    terminal.say(f"    thanosql {_quoted(database)}", "cyan")
    terminal.say("\nFrom Python")
    terminal.say_code(
        f"import thanosql\n"
        f"connection = thanosql.connect({database!r})\n"
        'sql = "SEARCH IMAGE text=? USING storybook_clip OPTIONS (top_k=5) AS'
        ' SELECT * FROM storybook"\n'
        'for row in connection.execute(sql, ("a cat in the rain",)):\n'
        "    print(row[1], row[-1])",
        PythonLexer(),
    )


def _shortest(path: Path) -> str:
    """Return a path as a user in the current folder would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
