"""The vectors in memory against the scan: the same rows, whatever happened to the table."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thanosql_dbapi
from thanosql_dbapi import Connection, explain

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
_numbers = itertools.count()
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
        # In a new text nothing has been learnt yet.
        new = f"{quick} /* {next(_numbers)} */"
        assert outcome(connection, new, parameters) == outcome(connection, slow, parameters)


def note(connection: Connection, sql: str = "", parameters: Any = ("a black cat",)) -> str:
    """What answers a search, by default the plainest."""
    sql = sql or f"SELECT * FROM ({SEARCH.format('photos')}) ORDER BY sim DESC LIMIT 3"
    return " / ".join(map(str, connection.explain(sql, parameters).answers))


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


def searched(tail: str, query: str = "SELECT * FROM photos", head: str = "*") -> str:
    return (
        f"SELECT {head} FROM (SEARCH IMAGE text=? USING m OPTIONS (emb_col='m_clipen',"
        f" result_col='sim') AS {query}) {tail}"
    )


BEST = "ORDER BY sim DESC LIMIT 3"


@pytest.mark.parametrize(
    "sql",
    [
        searched(BEST),
        searched(BEST + " OFFSET 2;"),
        searched("AS s ORDER BY s.sim DESC NULLS LAST, code COLLATE NOCASE LIMIT 2, 3 -- done"),
        searched("s WHERE s.album IN (SELECT 1) OR code GLOB 'c*' " + BEST),
        searched(BEST, head='lower(code) AS a, "sim" AS x, /* , */ [album]'),
        searched("ORDER BY similarity DESC LIMIT 3", head="sim AS similarity, max(album, 2)"),
        searched(BEST, query="SELECT p.code, m_clipen FROM main.photos p WHERE length(code) > 2"),
        searched(BEST, query="SELECT *, album + 1 AS next FROM photos\n-- all of them\n"),
        f"SELECT * FROM ({searched(BEST)}) JOIN (SELECT 1) ORDER BY code",
        f"SELECT count(*) FROM ({searched(BEST)})",
        f"WITH s AS ({SEARCH}) SELECT code, sim FROM s WHERE album + 0 < 4 {BEST}".format("photos"),
        f"WITH a AS (SELECT 1), s AS ({SEARCH}) SELECT x.* FROM s AS x ORDER BY x.sim DESC"
        " LIMIT 3".format("photos"),
        f"WITH best AS ({searched(BEST)}) SELECT count(*) FROM best JOIN photos USING (id)",
        searched("ORDER BY code", query="SELECT * FROM photos").replace(
            "result_col='sim'", "result_col='sim', top_k=3"
        ),
    ],
)
def test_what_the_matrix_answers(photos: Connection, sql: str) -> None:
    fill(photos, 100)
    assert note(photos, sql).startswith("the matrix, of 101 rows;")
    slow = sql.replace("FROM photos", "FROM (SELECT * FROM photos) AS photos")
    slow = slow.replace("FROM main.photos", "FROM (SELECT * FROM photos)")
    assert "the matrix" not in note(photos, slow)
    assert outcome(photos, sql, ("a black cat",)) == outcome(photos, slow, ("a black cat",))


@pytest.mark.parametrize(
    "sql",
    [
        searched("ORDER BY sim LIMIT 3"),
        searched("ORDER BY sim DESC"),
        searched("ORDER BY -sim DESC LIMIT 3"),
        searched("ORDER BY sim DESC NULLS FIRST LIMIT 3"),
        searched("ORDER BY album DESC, sim DESC LIMIT 3"),
        searched("ORDER BY sim DESC LIMIT 1 + 2"),
        searched("JOIN (SELECT 1) " + BEST),
        searched(", (SELECT 1) " + BEST),
        searched("GROUP BY album " + BEST),
        searched(BEST, head="DISTINCT album, sim"),
        searched(BEST, head="count(*)"),
        searched(BEST, head="max(sim)"),
        searched(BEST, head="code, row_number() OVER () AS n, sim"),
        searched(BEST, head="-sim AS sim, code"),
        searched(BEST, head="(SELECT sum(sim)), sim"),
        searched(BEST, query="SELECT * FROM photos LIMIT 50"),
        searched(BEST, query="SELECT DISTINCT * FROM photos"),
        searched(BEST, query="SELECT * FROM photos JOIN (SELECT 1)"),
        searched(BEST, query="SELECT * FROM photos UNION ALL SELECT * FROM photos"),
        searched(BEST, query="SELECT * FROM photos GROUP BY album"),
        searched(BEST, query="SELECT code, max(m_clipen) AS m_clipen FROM photos"),
        searched(BEST, query="SELECT code, image_path AS m_clipen, m_clipen AS x FROM photos"),
        searched(BEST, query="WITH photos AS (SELECT * FROM main.photos) SELECT * FROM photos"),
        f"WITH photos AS (SELECT * FROM main.photos LIMIT 9) SELECT * FROM ({searched(BEST)})",
        f"WITH photos AS (SELECT * FROM main.photos LIMIT 9), s AS ({SEARCH})"
        f" SELECT * FROM s {BEST}".format("photos"),
        f"WITH seen AS (SELECT 'c5' AS code), s AS ({SEARCH})"
        f" SELECT * FROM s WHERE code IN (SELECT code FROM seen) {BEST}".format("photos"),
        f"WITH s AS ({SEARCH}) SELECT * FROM s, s AS t ORDER BY s.sim DESC LIMIT 3".format(
            "photos"
        ),
        f"WITH s AS ({SEARCH}) SELECT * FROM s WHERE sim < (SELECT max(sim) FROM s) {BEST}".format(
            "photos"
        ),
        f"WITH s (a, b, c, d, e, sim) AS ({SEARCH}) SELECT * FROM s {BEST}".format("photos"),
        (
            "WITH photos AS (SELECT * FROM main.photos LIMIT 9) SELECT * FROM (SEARCH IMAGE text=?"
            " USING m OPTIONS (top_k=3) AS SELECT * FROM photos)"
        ),
        searched("UNION ALL SELECT *, 1.0 FROM photos " + BEST),
        searched(BEST, query="SELECT * FROM seen"),
    ],
)
def test_what_is_left_to_the_scan(photos: Connection, sql: str) -> None:
    fill(photos, 100)
    photos.execute("CREATE VIEW seen AS SELECT * FROM photos")
    parameters = ("a black cat",)
    try:
        assert "the matrix" not in note(photos, sql, parameters)
    except sqlite3.Error:
        return  # SQLite refuses it, and so it should be
    assert photos.execute(sql, parameters) is not None


def test_the_reason_for_a_scan_is_given(photos: Connection) -> None:
    fill(photos, 100)
    shown = str(photos.explain(searched(BEST, query="SELECT * FROM photos LIMIT 50"), ("a cat",)))
    assert shown.splitlines()[0] == (
        "answered by a scan: the rows searched are not those of one table with a WHERE at most"
    )
    assert "SCAN photos" in shown
    assert explain("SELECT 1", connection=photos).answers == ()
    assert str(photos.explain("SELECT 1")).startswith("answered by SQLite alone: not a top-k")
    assert photos.explain(f"PRINT IMAGE AS ({searched(BEST)})", ("a cat",)).uses_matrix
    matrix = photos.explain(searched(BEST), ("a cat",))
    assert matrix.uses_matrix
    assert any("SEARCH photos USING INTEGER PRIMARY KEY" in line for line in matrix.plan)
    assert any("thanosql_matrix" in line for line in matrix.plan)


def test_a_statement_that_writes_is_narrowed_inside_a_transaction(photos: Connection) -> None:
    fill(photos, 100)
    create = f"CREATE TABLE best AS SELECT * FROM ({searched(BEST)})"
    insert = create.replace("CREATE TABLE best AS", "INSERT INTO best")
    photos.execute(create, ("a black cat",))
    photos.execute("BEGIN") if not photos.in_transaction else None
    photos.execute(insert, ("a black cat",))
    assert photos.execute("SELECT count(*), count(DISTINCT sim) FROM best").fetchone() == (6, 3)


def test_equal_searches_in_one_text_keep_their_own_rows(photos: Connection) -> None:
    fill(photos, 300)
    one, other = (
        searched(f"{where} {BEST}").replace("text=?", "text='a black cat'")
        for where in ("WHERE code LIKE '%7%'", "WHERE 1")
    )
    sql = f"SELECT * FROM ({one}) UNION ALL SELECT * FROM ({other})"
    slow = sql.replace("FROM photos", "FROM (SELECT * FROM photos) AS photos")
    assert outcome(photos, sql, ()) == outcome(photos, slow, ())
    assert len(outcome(photos, sql, ())) == 6


def test_few_rows_by_an_index_are_compared_one_by_one(photos: Connection) -> None:
    fill(photos, 300)
    sql = searched("WHERE album = 3 " + BEST)
    assert note(photos, sql) == "a scan: an index finds its few rows"


def test_the_matrix_can_be_limited_and_turned_off(template: Path, tmp_path: Path) -> None:
    file = tmp_path / "photos.db"
    shutil.copy(template / "photos.db", file)
    for cache_bytes, answer in (
        (0, "a scan: cache_bytes=0 turns the matrix off"),
        (1000, "a scan: the matrix would have more than cache_bytes=1,000"),
        (10_000, "the matrix, of 101 rows;"),
        (None, "the matrix, of 101 rows;"),
    ):
        with closing(
            thanosql_dbapi.connect(
                file, workspace=template, progress=False, cache_bytes=cache_bytes
            )
        ) as connection:
            if cache_bytes == 0:
                fill(connection, 100)
            assert note(connection).startswith(answer)
            check(connection)


def test_the_limit_holds_while_the_table_grows(template: Path, tmp_path: Path) -> None:
    file = tmp_path / "photos.db"
    shutil.copy(template / "photos.db", file)
    limit = 4000 * (DIMENSION + 20)
    with closing(
        thanosql_dbapi.connect(file, workspace=template, progress=False, cache_bytes=limit)
    ) as connection:
        fill(connection, 3500)
        assert note(connection).startswith("the matrix, of 3,501 rows;")
        connection.executemany(INSERT, [(f"n{n}", 1, vector(9000 + n)) for n in range(1200)])
        assert note(connection) == (
            f"a scan: the matrix would have more than cache_bytes={limit:,}"
        )
        check(connection)


def test_a_table_without_triggers_is_searched_twice_before(photos: Connection) -> None:
    fill(photos, 100)
    photos.execute("CREATE TABLE copied AS SELECT * FROM photos")
    photos.commit()
    sql = searched(BEST, query="SELECT * FROM copied")
    assert note(photos, sql) == (
        "a scan: no triggers note what changes in this table; the next search uses the matrix if"
        " nothing has changed by then"
    )
    assert note(photos, sql).startswith("the matrix, of 101 rows;")
    photos.execute("INSERT INTO copied SELECT * FROM copied LIMIT 1")
    assert note(photos, sql) == (
        "a scan: no triggers note what changes in this table, and a transaction is open"
    )
    photos.commit()
    assert note(photos, sql).startswith("a scan: no triggers")
    assert "the matrix, of 102 rows;" in note(photos, sql)


def test_a_write_elsewhere_is_seen(photos: Connection, template: Path) -> None:
    fill(photos, 100)
    file = photos.execute("PRAGMA database_list").fetchone()[2]
    best = photos.execute(searched(BEST), ("a black cat",)).fetchone()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("DELETE FROM photos WHERE id IS ? AND code = ?", (best[0], best[1]))
        assert other.execute("SELECT changes()").fetchone() == (1,)
    assert photos.execute(searched(BEST), ("a black cat",)).fetchone() != best
    assert note(photos).startswith("the matrix, of 101 rows;")


def test_many_changes_are_taken_into_the_matrix(photos: Connection) -> None:
    fill(photos, 2500)
    check(photos)
    # The least similar vector there is: thousands of equal best ones would be left to the scan.
    query = np.frombuffer(
        photos.execute("SELECT embed_text('m', 'a black cat')").fetchone()[0], "<f4"
    )
    photos.execute("UPDATE photos SET m_clipen = ? WHERE id % 2 OR album = 4", (-query,))
    assert "the matrix, of" in note(photos)
    check(photos)
    photos.rollback()
    check(photos)
    photos.execute("DELETE FROM photos WHERE album < 3")
    photos.commit()
    check(photos)


def test_rows_are_those_of_one_moment(photos: Connection) -> None:
    fill(photos, 300)
    file = photos.execute("PRAGMA database_list").fetchone()[2]
    photos.execute("PRAGMA journal_mode = WAL")
    best = [row[0] for row in photos.execute(searched(BEST), ("a black cat",))]
    commits = iter(range(1, 4))

    def interfere(sql: str) -> None:
        # Between the looking for candidates and the answer, another connection commits.
        if "json_each" in sql and (number := next(commits, None)) is not None:
            with closing(sqlite3.connect(file)) as other, other:
                other.execute(
                    "DELETE FROM photos WHERE id = ? OR rowid = ?", (best[number - 1],) * 2
                )
                other.execute(INSERT, (f"new{number}", 1, vector(3000 + number)))

    photos.set_trace_callback(interfere)
    for _ in range(3):
        rows = outcome(photos, searched(BEST), ("a black cat",))
        assert rows == outcome(photos, searched(BEST + " -- again"), ("a black cat",))
    assert next(commits, None) is None


class TestSideFile:
    """The matrix in a file beside the database."""

    @pytest.fixture
    def file(self, photos: Connection) -> Path:
        """A database with so many rows that a search leaves a side file."""
        fill(photos, 2500)
        check(photos)
        return Path(photos.execute("PRAGMA database_list").fetchone()[2])

    @pytest.fixture
    def reopened(self, template: Path) -> Callable[[Path], Any]:
        """Open a database in a process that does not know it yet."""
        from thanosql_dbapi.stores.sqlite.topk import matrices

        def opened(file: Path, **options: Any) -> Any:
            matrices._shared.clear()
            return closing(
                thanosql_dbapi.connect(file, workspace=template, progress=False, **options)
            )

        return opened

    def test_it_lies_beside_the_database(self, file: Path) -> None:
        side = Path(f"{file}-thanosql1")
        assert side.stat().st_size < 2501 * (DIMENSION + 20) + 4096 + 1000
        assert side.stat().st_mode == file.stat().st_mode
        assert sorted(each.name for each in file.parent.glob("photos.db?*")) == [side.name]

    def test_deleting_it_loses_nothing(self, file: Path, reopened: Any) -> None:
        Path(f"{file}-thanosql1").unlink()
        with reopened(file) as connection:
            check(connection)
            assert "the matrix" in note(connection)
        assert Path(f"{file}-thanosql1").exists()

    def test_what_a_killed_process_left_is_removed(self, file: Path, reopened: Any) -> None:
        Path(f"{file}-thanosql1").unlink()
        old, new = Path(f"{file}-thanosql1.old"), Path(f"{file}-thanosql1.new")
        for left in (old, new):
            left.write_bytes(b"half a file")
        os.utime(old, (1, 1))
        with reopened(file) as connection:
            check(connection)
        assert (old.exists(), new.exists()) == (False, True)

    @pytest.mark.parametrize("damage", ["cut", "empty", "header", "other", "folder"])
    def test_a_damaged_one_is_not_believed(self, file: Path, reopened: Any, damage: str) -> None:
        side = Path(f"{file}-thanosql1")
        content = side.read_bytes()
        if damage == "folder":
            side.unlink()
            side.mkdir()
        else:
            side.write_bytes(
                {
                    "cut": content[:-1],
                    "empty": b"",
                    "header": content.replace(b'"rows": 2497', b'"rows": 2490', 1)[:100] + content,
                    "other": b"not of ours" * 1000,
                }[damage]
            )
        with reopened(file) as connection:
            check(connection)
            assert "the matrix" in note(connection)

    def test_an_old_one_is_caught_up_with(self, file: Path, reopened: Any) -> None:
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE photos SET m_clipen = ? WHERE album = 2", (vector(9000),))
        with reopened(file) as connection:
            check(connection)
            assert "the matrix" in note(connection)

    def test_one_of_another_history_is_not_believed(
        self, file: Path, reopened: Any, tmp_path: Path
    ) -> None:
        # The file is put back from a copy, and goes another way from there.
        backup = tmp_path / "backup.db"
        shutil.copy(file, backup)
        for seed, database in ((9001, file), (9002, backup)):
            with closing(sqlite3.connect(database)) as other, other:
                other.execute("UPDATE photos SET m_clipen = ? WHERE album = 2", (vector(seed),))
                other.execute("DELETE FROM thanosql_changes WHERE number < 5")
        with reopened(file) as connection:
            connection.execute("DELETE FROM photos WHERE album = 1")
            connection.commit()
            check(connection)
        shutil.copy(backup, file)
        with reopened(file) as connection:
            check(connection)

    def test_rows_with_new_numbers_are_noticed(self, file: Path, reopened: Any) -> None:
        dump = file.with_name("new.db")
        with closing(sqlite3.connect(file)) as old, old:
            old.execute("DELETE FROM photos WHERE album = 1")
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(dump)) as new:
            new.executescript("\n".join(old.iterdump()))
        dump.replace(file)
        with reopened(file) as connection:
            check(connection)

    def test_a_read_only_database_gets_none(self, file: Path, reopened: Any) -> None:
        side = Path(f"{file}-thanosql1")
        side.unlink()
        with reopened(f"file:{file}?mode=ro", uri=True) as connection:
            check(connection)
            assert "the matrix" in note(connection)
        assert not side.exists()

    def test_a_closed_connection_lets_go_of_it(self, file: Path, reopened: Any) -> None:
        from thanosql_dbapi.stores.sqlite.topk import matrices

        with reopened(file) as connection:
            check(connection)
            assert str(file) in {key[0] for key in matrices._shared}
            connection.close()
            assert str(file) not in {key[0] for key in matrices._shared}

    def test_one_matrix_serves_the_connections_of_a_process(
        self, file: Path, reopened: Any
    ) -> None:
        with (
            reopened(file) as one,
            closing(thanosql_dbapi.connect(file, workspace=one.workspace, progress=False)) as other,
        ):
            check(one)
            Path(f"{file}-thanosql1").unlink()
            assert "the matrix" in note(other)
            check(other)


def test_a_function_that_takes_the_place_of_sqlites_own_is_not_trusted(photos: Connection) -> None:
    fill(photos, 300)
    sql = searched("WHERE lower(code) LIKE 'c%' " + BEST)
    assert "the matrix" in note(photos, sql)
    seen: set[str] = set()
    photos.create_function("lower", 1, lambda code: "x" if code in seen else seen.add(code) or code)
    assert "the matrix" not in note(photos, sql)
    seen.clear()
    assert len(photos.execute(sql, ("a black cat",)).fetchall()) == 3
