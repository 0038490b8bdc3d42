"""The vectors in memory against the scan: the same rows, whatever happened to the table."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thanosql_dbapi
from thanosql_dbapi import Connection

DIMENSION = 24

SEARCH = (
    "SEARCH IMAGE text=? USING m OPTIONS (emb_col='m_clipen', result_col='sim') AS SELECT * FROM {}"
)


def vector(seed: int) -> bytes | str | None:
    """A value for the vector column; the first few seeds are those that fit in nowhere."""
    odd: list[bytes | str | None] = [
        None,
        np.zeros(DIMENSION, "<f4").tobytes(),
        np.full(DIMENSION, np.inf, "<f4").tobytes(),
        np.full(DIMENSION, 1e30, "<f4").tobytes(),
        np.full(DIMENSION, np.nan, "<f4").tobytes(),
    ]
    if seed < len(odd):
        return odd[seed]
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(DIMENSION) * 10 ** rng.uniform(-3, 3)).astype("<f4").tobytes()


def make_table(connection: Connection, definition: str = "id INTEGER PRIMARY KEY") -> None:
    """Make the table ``photos`` with one photograph, converted: its changes are then logged."""
    connection.execute(
        f"CREATE TABLE photos ({definition}, code TEXT UNIQUE, album INTEGER, image_path TEXT)"
    )
    connection.execute("CREATE INDEX by_album ON photos (album)")
    connection.execute("INSERT INTO photos (code, album, image_path) VALUES ('-', 0, ?)", (RED,))
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")


RED = "images/red.png"
INSERT = "INSERT INTO photos (code, album, m_clipen) VALUES (?, ?, ?)"


@pytest.fixture(scope="module", params=["id INTEGER PRIMARY KEY", "id INTEGER"])
def template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clip_folder: Path
) -> Path:
    """A folder with a database that has the model and the table, to be copied."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("template")
    shutil.copytree(clip_folder, folder / "tiny_clip")
    (folder / "images").mkdir()
    Image.new("RGB", (48, 40), "red").save(folder / RED)
    with closing(thanosql_dbapi.connect(folder / "photos.db", progress=False)) as connection:
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
        make_table(connection, request.param)
        connection.commit()
    return folder


@pytest.fixture
def photos(template: Path, tmp_path: Path) -> Iterator[Connection]:
    """A connection to a copy of the template."""
    file = tmp_path / "photos.db"
    shutil.copy(template / "photos.db", file)
    with closing(thanosql_dbapi.connect(file, workspace=template, progress=False)) as connection:
        yield connection


def fill(connection: Connection, rows: int, first: int = 10) -> None:
    connection.executemany(
        INSERT, [(f"c{number}", number % 7, vector(first + number)) for number in range(rows)]
    )
    connection.commit()


def outcome(connection: Connection, sql: str, parameters: Any) -> Any:
    try:
        return [tuple(map(plain, row)) for row in connection.execute(sql, parameters)]
    except sqlite3.Error as error:
        return type(error), str(error)


def plain(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def queries(limit: int, offset: int, album: int) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield a search, the same so written that a scan answers it, and the parameters."""
    text = "a black cat"
    function = "cosine_similarity(m_clipen, embed_text('m', ?))"
    bounds = f"LIMIT {limit} OFFSET {offset}"
    for shape, parameters in (
        (f"SELECT * FROM ({SEARCH}) ORDER BY sim DESC {bounds}", (text,)),
        (
            (
                f"SELECT code, s.sim AS x FROM ({SEARCH} WHERE album < ?) AS s"
                f" ORDER BY x DESC, code LIMIT ?"
            ),
            (text, album, limit),
        ),
        (
            (
                f"SELECT code, sim FROM ({SEARCH}) WHERE album = ? AND sim < 0.9"
                f" ORDER BY sim DESC {bounds}"
            ),
            (text, album),
        ),
        (
            (
                f"SELECT count(*), sum(sim) FROM (SELECT * FROM ({SEARCH.format('{}')})"
                f" ORDER BY sim DESC {bounds})"
            ),
            (text,),
        ),
        (
            (
                "SELECT * FROM (SEARCH IMAGE USING m OPTIONS (search_by='text', search_input=?,"
                f" emb_col='m_clipen', top_k={limit}) AS SELECT id, m_clipen FROM {{}})"
            ),
            (text,),
        ),
        (
            (
                "SELECT * FROM (SEARCH IMAGE texts=['a dog', ?] USING m OPTIONS (threshold=-0.1,"
                f" top_k={limit}, result_col='t') AS SELECT id, m_clipen FROM {{}} WHERE album < ?)"
            ),
            (text, album),
        ),
        (
            (
                "SELECT code, t2 FROM (SEARCH IMAGE texts=['a dog', ?] USING m"
                " OPTIONS (result_col='t')"
                f" AS SELECT code, m_clipen FROM {{}}) ORDER BY t2 DESC {bounds}"
            ),
            (text,),
        ),
        (f"SELECT code, {function} AS sim FROM {{}} ORDER BY sim DESC {bounds}", (text,)),
        (
            f"SELECT code FROM {{}} WHERE album <= ? ORDER BY {function} DESC, id {bounds}",
            (album, text),
        ),
    ):
        yield (
            shape.format("photos"),
            shape.format("(SELECT * FROM photos) AS photos"),
            parameters,
        )


def check(connection: Connection, limit: int = 3, offset: int = 0, album: int = 3) -> None:
    for quick, slow, parameters in queries(limit, offset, album):
        assert outcome(connection, quick, parameters) == outcome(connection, slow, parameters)


def note(connection: Connection, sql: str = "", parameters: Any = ("a black cat",)) -> str:
    """What answers a search, by default the plainest."""
    sql = sql or f"SELECT * FROM ({SEARCH.format('photos')}) ORDER BY sim DESC LIMIT 3"
    return " / ".join(connection.explain(sql, parameters).answers)


OPERATION = st.one_of(
    st.tuples(
        st.just("insert"),
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(0, 40)), max_size=30),
    ),
    st.tuples(st.just("vector"), st.integers(1, 40), st.integers(0, 40)),
    st.tuples(st.just("bad"), st.integers(1, 40), st.sampled_from([b"short", "a text", 7])),
    st.tuples(st.just("album"), st.integers(0, 6), st.integers(0, 6)),
    st.tuples(st.just("move"), st.integers(1, 40), st.integers(1, 60)),
    st.tuples(st.just("delete"), st.integers(1, 40)),
    st.tuples(st.just("replace"), st.integers(0, 30), st.integers(0, 40)),
    st.tuples(st.just("elsewhere"), st.integers(0, 30), st.integers(0, 40)),
    st.tuples(
        st.sampled_from(
            [
                *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"),
                *("VACUUM", "DELETE FROM photos", "CREATE TABLE IF NOT EXISTS other (a)"),
                *("ALTER TABLE photos RENAME TO pictures", "ALTER TABLE pictures RENAME TO photos"),
                *("DROP TRIGGER thanosql_watch_1_update", "DELETE FROM thanosql_changes"),
                "CREATE TEMP TABLE photos AS SELECT * FROM main.photos LIMIT 3",
                "DROP TABLE temp.photos",
            ]
        )
    ),
)


def perform(connection: Connection, file: Path, operation: tuple[Any, ...]) -> None:
    match operation:
        case ("insert", rows):
            connection.executemany(
                INSERT.replace("INSERT", "INSERT OR IGNORE"),
                [(f"c{code}", album, vector(seed)) for code, album, seed in rows],
            )
        case ("vector", row, seed):
            connection.execute("UPDATE photos SET m_clipen = ? WHERE id = ?", (vector(seed), row))
            connection.execute(
                "UPDATE photos SET m_clipen = ? WHERE rowid = ?", (vector(seed), row)
            )
        case ("bad", row, value):
            connection.execute("UPDATE photos SET m_clipen = ? WHERE rowid = ?", (value, row))
        case ("album", old, new):
            connection.execute("UPDATE photos SET album = ? WHERE album = ?", (new, old))
        case ("move", old, new):
            connection.execute("UPDATE photos SET rowid = ? WHERE rowid = ?", (new, old))
        case ("delete", row):
            connection.execute("DELETE FROM photos WHERE rowid = ?", (row,))
        case ("replace", code, seed):
            connection.execute(
                INSERT.replace("INSERT", "INSERT OR REPLACE"), (f"c{code}", 1, vector(seed))
            )
        case ("elsewhere", code, seed):
            with closing(sqlite3.connect(file, timeout=0)) as other, other:
                other.execute(
                    INSERT.replace("INSERT", "INSERT OR REPLACE"), (f"c{code}", 2, vector(seed))
                )
        case (sql,):
            connection.execute(sql)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    operations=st.lists(OPERATION, max_size=25),
    limit=st.integers(1, 12),
    offset=st.integers(0, 3),
    album=st.integers(0, 7),
    rows=st.sampled_from([0, 1, 40, 90]),
)
def test_the_matrix_answers_as_the_scan_does(
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    operations: list[tuple[Any, ...]],
    limit: int,
    offset: int,
    album: int,
    rows: int,
) -> None:
    file = tmp_path_factory.mktemp("case") / "photos.db"
    shutil.copy(template / "photos.db", file)
    with closing(
        thanosql_dbapi.connect(file, workspace=template, progress=False, isolation_level=None)
    ) as connection:
        fill(connection, rows)
        check(connection, limit, offset, album)
        for operation in operations:
            try:
                perform(connection, file, operation)
            except sqlite3.Error:
                continue  # no such table any more, a constraint, no transaction …
            check(connection, limit, offset, album)
    shutil.rmtree(file.parent)


def test_every_shape_is_answered_by_the_matrix(photos: Connection) -> None:
    fill(photos, 300)
    photos.execute("DROP INDEX by_album")
    shapes = list(queries(3, 1, 3))
    assert len(shapes) == 9
    for quick, slow, parameters in shapes:
        assert note(photos, quick, parameters).startswith("the matrix, of 301 rows"), quick
        assert "the matrix" not in note(photos, slow, parameters)
    check(photos, 3, 1, 3)
