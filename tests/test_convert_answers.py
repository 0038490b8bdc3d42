"""CONVERT beside other programs, renames, keys of any kind: no vector is lost or given away."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import thanosql

IN_PLACE = "CONVERT USING m OPTIONS (table_name='photos', batch_size=2) AS SELECT * FROM photos"
VECTORS = "SELECT image_path, CAST(m_clipen AS BLOB) FROM photos WHERE m_clipen IS NOT NULL"


@pytest.fixture
def right(connection: thanosql.Connection) -> dict[str, bytes]:
    """The vector of each picture."""
    connection.execute("CREATE TABLE once AS SELECT * FROM photos")
    connection.execute("CONVERT USING m OPTIONS (table_name='once') AS SELECT * FROM once")
    rows = connection.execute("SELECT image_path, CAST(m_clipen AS BLOB) FROM once").fetchall()
    connection.execute("DROP TABLE once")
    return dict(rows)


def near(one: object, other: object) -> bool:
    """Whether two vectors are the same but for the rounding that the size of a batch makes."""
    arrays = [np.frombuffer(each, "<f4") for each in (one, other)]  # type: ignore[call-overload]
    return np.allclose(*arrays, atol=1e-5)


def other_model(workspace: Path, name: str = "other") -> Path:
    """A folder with a model of the same dimension that makes other vectors."""
    from safetensors.numpy import load_file, save_file

    folder = workspace / name
    shutil.copytree(workspace / "tiny_clip", folder)
    weights = load_file(folder / "model.safetensors")
    for layer in ("visual_projection.weight", "text_projection.weight"):
        weights[layer] = np.ascontiguousarray(weights[layer][::-1])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def embedded_images(connection: thanosql.Connection, sql: str) -> int:
    """Run a CONVERT and count the images that it embeds, as its progress says."""
    done: list[int] = []
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    connection.commit()
    with closing(
        thanosql.connect(path, progress=lambda count, total, what: done.append(count))
    ) as other:
        other.execute(sql)
    return done[-1] if done else 0


def meanwhile(workspace: Path, change: str, sql: str) -> list[tuple[object, ...]]:
    """Run a CONVERT, and a change of another program after its first batch; return its rows."""
    changed: list[str] = []

    def program(done: int, total: int | None, what: str) -> None:
        if not changed:
            changed.append(what)
            with closing(sqlite3.connect(workspace / "photos.db", timeout=0.1)) as plain:
                plain.executescript(change)

    with closing(thanosql.connect(workspace / "photos.db", progress=program)) as writer:
        rows: list[tuple[object, ...]] = writer.execute(sql).fetchall()
    assert changed
    return rows


MOVES = {
    "vacuum": "VACUUM",
    "row id used again": "DELETE FROM photos WHERE photo_id = '005';"
    " INSERT INTO photos (photo_id, image_path) VALUES ('new', 'images/blue.png')",
    "replaced": "UPDATE photos SET image_path = 'images/blue.png' WHERE photo_id = '005'",
    "swapped": "UPDATE photos SET rowid = -rowid; UPDATE photos SET rowid = rowid + 8",
    "deleted": "DELETE FROM photos WHERE photo_id = '005'",
}
SOURCES = {
    "column": "SELECT * FROM photos",
    "expression": "SELECT photo_id, 'images/' || substr(image_path, 8) AS image_path FROM photos",
    "alias": "SELECT photo_id, image_path AS picture FROM photos",
    "join": "SELECT p.photo_id, path AS picture FROM photos AS p JOIN files USING (photo_id)",
}


@pytest.mark.usefixtures("writes_each_batch")
@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("source", SOURCES)
def test_no_picture_gets_the_vector_of_another(
    connection: thanosql.Connection,
    workspace: Path,
    right: dict[str, bytes],
    move: str,
    source: str,
) -> None:
    connection.execute("CREATE TABLE files AS SELECT photo_id, image_path AS path FROM photos")
    connection.execute("DELETE FROM photos WHERE photo_id = '000'")
    connection.commit()
    column = "picture" if "picture" in SOURCES[source] else "image_path"
    with pytest.warns(thanosql.ConvertWarning, match="of table 'photos' were changed"):
        rows = meanwhile(
            workspace,
            MOVES[move],
            f"CONVERT USING m OPTIONS (table_name='photos', image_col='{column}', batch_size=2)"
            f" AS {SOURCES[source]}",
        )
    vectors = dict(connection.execute(VECTORS).fetchall())
    assert 2 <= len(vectors) < 6
    assert all(near(right[path], vector) for path, vector in vectors.items())
    # The rows returned are those that were read, and have no vector of another row either.
    paths = dict(connection.execute("SELECT photo_id, path FROM files").fetchall())
    for photo_id, *_, vector in rows:
        assert vector is None or near(vector, right[paths[photo_id]])


def test_the_rows_left_are_embedded_the_next_time(
    connection: thanosql.Connection, workspace: Path, right: dict[str, bytes]
) -> None:
    with pytest.warns(
        thanosql.ConvertWarning, match=r"1 rows .* got no vector: 'images/orange\.png'"
    ):
        meanwhile(workspace, MOVES["replaced"], IN_PLACE)
    assert embedded_images(connection, IN_PLACE) == 1
    path, vector = connection.execute(VECTORS).fetchall()[-1]
    assert path == "images/blue.png"
    assert near(vector, right[path])


def test_changes_of_other_columns_are_no_hindrance(
    connection: thanosql.Connection, workspace: Path
) -> None:
    meanwhile(workspace, "UPDATE photos SET caption = 'changed'", IN_PLACE)
    assert connection.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)


def test_a_trigger_that_dates_each_change_is_no_hindrance(connection: thanosql.Connection) -> None:
    connection.executescript(
        "ALTER TABLE photos ADD COLUMN changed;"
        "CREATE TRIGGER dated AFTER UPDATE ON photos WHEN NEW.changed IS OLD.changed"
        " BEGIN UPDATE photos SET changed = random() WHERE rowid = NEW.rowid; END"
    )
    rows = connection.execute(
        "CONVERT USING m OPTIONS (table_name='photos', batch_size=2) AS"
        " SELECT lower(image_path) AS image_path FROM photos"
    ).fetchall()
    assert all(isinstance(row[-1], np.ndarray) for row in rows)
    assert connection.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)


@pytest.mark.parametrize(
    ("target", "read"),
    [
        ("aux.album", "album"),
        ("album", "aux.album"),
        ("ALBUM", "AUX.Album"),
        ("temp.pick", "pick"),
        ("pick", "temp.pick"),
        ("main.photos", "photos"),
        ("photos", "main.photos AS p"),
        ("photos", '"PHOTOS"'),
    ],
)
def test_a_table_is_what_its_name_stands_for(
    connection: thanosql.Connection, tmp_path: Path, target: str, read: str
) -> None:
    connection.execute("ATTACH ? AS aux", [str(tmp_path / "aux.db")])
    connection.execute("CREATE TABLE aux.album AS SELECT * FROM photos")
    connection.execute("CREATE TEMP TABLE pick AS SELECT * FROM photos")
    connection.execute(
        f"CONVERT USING m OPTIONS (table_name='{target}', overwrite=True)"
        f" AS SELECT image_path FROM {read}"
    )
    kept = f"SELECT count(caption), count(m_clipen) FROM {target}"
    assert connection.execute(kept).fetchone() == (6, 6)
    assert not connection.in_transaction


@pytest.mark.parametrize(
    "query",
    [
        "SELECT image_path FROM seen",
        "SELECT image_path FROM twice",
        "SELECT image_path FROM hidden",
        "SELECT image_path FROM (SELECT image_path FROM photos)",
        "SELECT path AS image_path FROM files WHERE path IN one",
        "SELECT image_path FROM (WITH photos AS (SELECT 1) SELECT * FROM photos), photos",
        "WITH photos AS (SELECT * FROM main.photos) SELECT image_path FROM photos",
    ],
)
def test_the_table_that_the_query_reads_is_never_dropped(
    connection: thanosql.Connection, query: str
) -> None:
    connection.executescript(
        "CREATE VIEW seen AS SELECT image_path FROM photos;"
        "CREATE VIEW twice AS SELECT * FROM seen;"
        "CREATE TEMP VIEW hidden AS SELECT image_path FROM main.photos;"
        "CREATE TABLE files AS SELECT image_path AS path FROM photos;"
        "CREATE TABLE one AS SELECT image_path FROM photos"
    )
    target = "one" if " IN one" in query else "photos"
    with pytest.raises(thanosql.NotSupportedError, match=r"which of its rows.*nothing was changed"):
        connection.execute(
            f"CONVERT USING m OPTIONS (table_name='{target}', overwrite=True) AS {query}"
        )
    assert connection.execute("SELECT count(caption) FROM photos").fetchone() == (6,)
    assert connection.execute("SELECT count(image_path) FROM one").fetchone() == (6,)


def test_a_with_of_the_name_of_another_table_is_no_hindrance(
    connection: thanosql.Connection,
) -> None:
    connection.execute("CREATE TABLE other (image_path)")
    connection.execute(
        "CONVERT USING m OPTIONS (table_name='other', overwrite=True)"
        " AS WITH other AS (SELECT image_path FROM photos) SELECT * FROM other"
    )
    assert connection.execute("SELECT count(m_clipen) FROM other").fetchone() == (6,)


@pytest.mark.parametrize(
    ("options", "query", "message"),
    [
        ("table_name='phtoos'", "SELECT * FROM phtoos", "no such table: phtoos; did you mean 'ph"),
        ("table_name='photos'", "SELECT * FROM photo", "no such table: photo; did you mean 'photo"),
        ("table_name='photos', overwrite=True", "SELECT * FROM main.photo", "no such table: main"),
        (
            "table_name='x'",
            "SELECT * FROM seen JOIN nothing_alike",
            "no such table: nothing_alike$",
        ),
    ],
)
def test_a_misspelt_table(
    connection: thanosql.Connection, options: str, query: str, message: str
) -> None:
    connection.execute("CREATE VIEW seen AS SELECT image_path FROM photos")
    with pytest.raises(thanosql.OperationalError, match=message) as caught:
        connection.execute(f"CONVERT USING m OPTIONS ({options}) AS {query}")
    assert "replace" not in str(caught.value)


def test_a_virtual_table_is_a_table(connection: thanosql.Connection) -> None:
    connection.execute(
        "CONVERT USING m OPTIONS (table_name='x', convert_type='text', text_col='name')"
        " AS SELECT name FROM pragma_database_list"
    )
    assert connection.execute("SELECT name FROM x").fetchone() == ("main",)


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT came with SQLite 3.37")
@pytest.mark.parametrize("suffix", ["STRICT", "STRICT, WITHOUT ROWID"])
def test_a_strict_table(connection: thanosql.Connection, suffix: str) -> None:
    connection.execute(f"CREATE TABLE s (id INTEGER PRIMARY KEY, image_path TEXT) {suffix}")
    connection.execute("INSERT INTO s SELECT rowid, image_path FROM photos")
    connection.execute("CONVERT USING m OPTIONS (table_name='s') AS SELECT * FROM s")
    assert all(row[2].shape == (24,) for row in connection.execute("SELECT * FROM s"))
    found = "SEARCH IMAGE text='a black cat' USING m OPTIONS (top_k=2) AS SELECT * FROM s"
    assert len(connection.execute(found).fetchall()) == 2


KEYS = {
    "one blob": ("k BLOB PRIMARY KEY", ["x'00'", "x'0000'", "x''", "'00'", "x'3030'", "NULL"]),
    "one number": ("k PRIMARY KEY", ["1", "1.5", "-9e99", "'1'", "x'31'", "0.1 + 0.2"]),
    "blob and number": (
        "k BLOB, n INTEGER, PRIMARY KEY (k, n)",
        ["x'00', 1", "x'00', 2", "'x00', 1", "x'', 1", "'', 1", "x'2C31', 1"],
    ),
    "close numbers": (
        "k, n, PRIMARY KEY (n, k)",
        ["0.1 + 0.2, 1", "0.3, 1", "3, 1", "'0.3', 1", "1e300, 1", "0.1 + 0.2, 1.5"],
    ),
    "texts": (
        "k TEXT, n TEXT, PRIMARY KEY (k, n)",
        ["'a,b', 'c'", "'a', 'b,c'", "'[', ']'", "'''', '\"'", "'', ''", "'a' || char(0), 'b'"],
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_any_storage_class(
    connection: thanosql.Connection, right: dict[str, bytes], kind: str
) -> None:
    columns, keys = KEYS[kind]
    paths = list(right)
    connection.execute(f"CREATE TABLE w (image_path TEXT, {columns}) WITHOUT ROWID")
    filled = [(key, path) for key, path in zip(keys, paths, strict=True) if key != "NULL"]
    for key, path in filled:
        connection.execute(f"INSERT INTO w VALUES (?, {key})", [path])
    sql = "CONVERT USING m OPTIONS (table_name='w') AS SELECT * FROM w"
    connection.execute(sql)
    vectors = connection.execute("SELECT image_path, CAST(m_clipen AS BLOB) FROM w").fetchall()
    assert all(near(right[path], vector) for path, vector in vectors)
    assert embedded_images(connection, sql) == 0
    states = connection.execute("SELECT count(*) FROM thanosql_sources").fetchone()[0]
    assert states == len(filled) + 6  # those of the fixture


def test_keys_of_older_files_are_still_known(connection: thanosql.Connection) -> None:
    connection.execute(
        "CREATE TABLE w (a TEXT, b INT, image_path, PRIMARY KEY (a, b)) WITHOUT ROWID"
    )
    connection.execute("INSERT INTO w SELECT photo_id, 1, image_path FROM photos")
    connection.execute("CONVERT USING m OPTIONS (table_name='w') AS SELECT * FROM w")
    keys = connection.execute("SELECT row_key FROM thanosql_sources").fetchall()
    assert sorted(keys) == [(f'["00{number}",1]',) for number in range(6)]


ROWS = "SELECT * FROM (CONVERT USING m OPTIONS (convert_type='text') AS {})"
FORMS = {
    "in place": "CONVERT USING m OPTIONS (table_name='big', convert_type='text') AS {}",
    "into": "CONVERT USING m OPTIONS (table_name='new', convert_type='text') AS {}",
    "create": f"CREATE TABLE new AS {ROWS}",
    "rows": ROWS,
}


@pytest.mark.parametrize("form", FORMS)
def test_no_transaction_is_left_open(
    connection: thanosql.Connection, workspace: Path, form: str
) -> None:
    connection.execute("CREATE TABLE big (text)")
    connection.executemany("INSERT INTO big VALUES (?)", [(f"a {n % 7} cat",) for n in range(2500)])
    connection.commit()
    connection.execute(FORMS[form].format("SELECT * FROM big")).fetchall()
    assert not connection.in_transaction
    with closing(sqlite3.connect(workspace / "photos.db", timeout=0)) as plain:
        plain.execute("INSERT INTO big (text) VALUES ('not locked')")
        plain.commit()


@pytest.mark.parametrize("number", ["first", "later"])
def test_an_adapter_of_the_program_stays(tmp_path: Path, number: str) -> None:
    program = """
import sqlite3, numpy, thanosql
{}
sqlite3.register_adapter(numpy.ndarray, lambda array: b'own')
own = thanosql.connect(':memory:')
print(*(each.execute('SELECT ?', [numpy.zeros((2, 3))]).fetchone()[0]
        for each in (own, sqlite3.connect(':memory:'))))
own.close()
"""
    earlier = "thanosql.connect(':memory:').close()" if number == "later" else ""
    done = subprocess.run(
        [sys.executable, "-c", program.format(earlier)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "b'own' b'own'"


def test_another_model_that_cannot_be_loaded_costs_nothing(
    converted: thanosql.Connection, workspace: Path
) -> None:
    before = converted.execute(VECTORS).fetchall()
    other_model(workspace)
    converted.execute("UPLOAD MODEL other FROM 'other'")
    shutil.rmtree(workspace / "thanosql-model" / "other")
    with pytest.raises(thanosql.ModelError, match="other"):
        converted.execute(
            "CONVERT USING other OPTIONS (table_name='photos', result_col='m_clipen')"
            " AS SELECT * FROM photos"
        )
    assert converted.execute(VECTORS).fetchall() == before
    assert len(before) == 6


OTHER = (
    "CONVERT USING other OPTIONS (table_name='photos', result_col='m_clipen', batch_size=2)"
    " AS SELECT * FROM photos"
)


@pytest.fixture
def before(converted: thanosql.Connection, workspace: Path) -> list[tuple[str, bytes]]:
    """The vectors of model ``m``; the model ``other`` is there as well."""
    vectors = converted.execute(VECTORS).fetchall()
    other_model(workspace)
    converted.execute("UPLOAD MODEL other FROM 'other'")
    return vectors


@pytest.mark.parametrize("trouble", ["interrupted", "no pictures"])
def test_vectors_stay_until_those_of_another_model_are_there(
    converted: thanosql.Connection, before: list[tuple[str, bytes]], workspace: Path, trouble: str
) -> None:
    def stop(done: int, total: int | None, what: str) -> None:
        if trouble == "interrupted" and done == 4:
            raise KeyboardInterrupt("enough")

    with closing(thanosql.connect(workspace / "photos.db", progress=stop)) as writer:
        if trouble == "interrupted":
            with pytest.raises(KeyboardInterrupt, match="enough"):
                writer.execute(OTHER)
        else:
            (workspace / "images").rename(workspace / "away")
            with (
                pytest.warns(thanosql.MediaWarning),
                pytest.raises(thanosql.OperationalError, match=r"none of the 6 images.*which stay"),
            ):
                writer.execute(OTHER)
    assert converted.execute(VECTORS).fetchall() == before
    question = "SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos"
    assert len(converted.execute(question).fetchall()) == 6


def test_another_model_takes_the_place_of_one(
    converted: thanosql.Connection, before: list[tuple[str, bytes]]
) -> None:
    rows = converted.execute(OTHER).fetchall()
    after = dict(converted.execute(VECTORS).fetchall())
    assert {path: vector.tobytes() for _, path, _, vector in rows} == after
    assert len(after) == 6
    assert all(after[path] != vector for path, vector in before)
    assert embedded_images(converted, OTHER) == 0


@pytest.mark.parametrize("which", ["LIMIT 1", "WHERE 0"])
def test_trying_another_model_on_some_rows_costs_no_vectors(
    converted: thanosql.Connection, before: list[tuple[str, bytes]], which: str
) -> None:
    with pytest.raises(thanosql.OperationalError, match=r"result_col.*nothing was changed"):
        converted.execute(f"{OTHER} {which}")
    assert converted.execute(VECTORS).fetchall() == before
    # As the message says:
    converted.execute('UPDATE "main"."photos" SET "m_clipen" = NULL')
    converted.execute(f"{OTHER} LIMIT 1")
    assert converted.execute("SELECT count(m_clipen) FROM photos").fetchone() == (1,)
    assert embedded_images(converted, OTHER) == 5


def test_vectors_of_another_model_are_not_appended(
    converted: thanosql.Connection, workspace: Path
) -> None:
    other_model(workspace)
    converted.execute("UPLOAD MODEL other FROM 'other'")
    converted.execute("CREATE TABLE files AS SELECT photo_id, image_path FROM photos")
    append = (
        "CONVERT USING {} OPTIONS (table_name='photos', result_col='m_clipen', if_exists='append')"
        " AS SELECT * FROM files"
    )
    with pytest.raises(thanosql.OperationalError, match=r"vectors of model 'm'.*nothing was ch"):
        converted.execute(append.format("other"))
    assert converted.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)
    converted.execute(append.format("m"))
    assert converted.execute("SELECT count(m_clipen) FROM photos").fetchone() == (12,)
    converted.execute("UPDATE photos SET m_clipen = NULL")
    converted.execute(append.format("other"))
    assert converted.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)


RENAMES = [
    "ALTER TABLE photos RENAME TO pictures",
    "ALTER TABLE pictures RENAME COLUMN m_clipen TO vec",
    'alter table main.pictures rename vec to [the "vec"]',
]
RENAMED = '[the "vec"]'


def check_renamed(connection: thanosql.Connection) -> None:
    """What was known of the photos' vectors is known of the renamed ones."""
    (vector,) = connection.execute(f"SELECT {RENAMED} FROM pictures").fetchone()
    assert isinstance(vector, np.ndarray)
    found = connection.execute(
        "SEARCH IMAGE text='a cat' USING m OPTIONS (emb_col='the \"vec\"', top_k=2)"
        " AS SELECT * FROM pictures"
    )
    assert len(found.fetchall()) == 2
    again = (
        "CONVERT USING m OPTIONS (table_name='pictures', result_col='the \"vec\"')"
        " AS SELECT * FROM pictures"
    )
    assert embedded_images(connection, again) == 0
    columns = connection.execute("SELECT table_name, column_name FROM thanosql_vectors").fetchall()
    assert columns == [("pictures", 'the "vec"')]


@pytest.mark.parametrize("by", ["the driver", "a script", "another program"])
def test_renames_are_followed(converted: thanosql.Connection, workspace: Path, by: str) -> None:
    if by == "the driver":
        for sql in RENAMES:
            converted.execute(sql)
    elif by == "a script":
        converted.executescript(";".join(RENAMES))
    else:
        with closing(sqlite3.connect(workspace / "photos.db")) as plain:
            plain.executescript(";".join(RENAMES))
    check_renamed(converted)


def test_renames_of_a_table_without_row_ids(connection: thanosql.Connection) -> None:
    connection.execute("CREATE TABLE w (photo_id PRIMARY KEY, image_path) WITHOUT ROWID")
    connection.execute("INSERT INTO w SELECT photo_id, image_path FROM photos")
    connection.execute("CONVERT USING m OPTIONS (table_name='w') AS SELECT * FROM w")
    for sql in RENAMES:
        connection.execute(sql.replace("photos", "w"))
    check_renamed(connection)


def test_tables_that_swap_their_names(connection: thanosql.Connection) -> None:
    connection.execute("CREATE TABLE other AS SELECT * FROM photos LIMIT 3")
    for table in ("photos", "other"):
        connection.execute(
            f"CONVERT USING m OPTIONS (table_name='{table}') AS SELECT * FROM {table}"
        )
    ids = "SELECT table_name, id FROM thanosql_vectors ORDER BY id"
    assert connection.execute(ids).fetchall() == [("photos", 1), ("other", 2)]
    connection.executescript(
        "ALTER TABLE photos RENAME TO t; ALTER TABLE other RENAME TO photos;"
        "ALTER TABLE t RENAME TO other"
    )
    assert embedded_images(connection, IN_PLACE.replace("photos", "other")) == 0
    assert embedded_images(connection, IN_PLACE) == 0
    assert connection.execute(ids).fetchall() == [("other", 1), ("photos", 2)]


def test_a_table_renamed_to_the_name_of_one_dropped(converted: thanosql.Connection) -> None:
    converted.execute("CREATE TABLE other AS SELECT photo_id, image_path FROM photos")
    converted.execute("CONVERT USING m OPTIONS (table_name='other') AS SELECT * FROM other")
    converted.execute("DROP TABLE photos")
    converted.execute("ALTER TABLE other RENAME TO photos")
    assert embedded_images(converted, IN_PLACE) == 0
    names = converted.execute("SELECT table_name, id FROM thanosql_vectors").fetchall()
    assert names == [("photos", 2)]


def test_a_rename_that_is_rolled_back(converted: thanosql.Connection) -> None:
    converted.execute("BEGIN")
    for sql in RENAMES:
        converted.execute(sql)
    converted.rollback()
    assert embedded_images(converted, IN_PLACE) == 0
    assert isinstance(converted.execute("SELECT m_clipen FROM photos").fetchone()[0], np.ndarray)


DROPS = [
    "ALTER TABLE photos DROP COLUMN m_clipen",
    "-- away with it\n alter table [main].'photos' drop \"M_CLIPEN\"; ",
    "/* or so */;ALTER/**/TABLE Photos DROP m_clipen",
]


def run(connection: thanosql.Connection, sql: str) -> object:
    return connection.execute(sql)


def script(connection: thanosql.Connection, sql: str) -> object:
    return connection.executescript(f"CREATE TABLE before_it (a); {sql}; CREATE TABLE after_it (a)")


Execute = Callable[[thanosql.Connection, str], object]


@pytest.mark.parametrize("sql", DROPS)
@pytest.mark.parametrize("execute", [run, script])
def test_a_column_of_vectors_can_be_dropped(
    converted: thanosql.Connection, sql: str, execute: Execute
) -> None:
    execute(converted, sql)
    assert not converted.in_transaction
    columns = [row[1] for row in converted.execute("PRAGMA table_info(photos)")]
    assert columns == ["photo_id", "image_path", "caption"]
    for table in ("thanosql_vectors", "thanosql_sources", "thanosql_changes"):
        assert converted.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    # Again, and again: the text is never taken for one that SQLite runs by itself.
    converted.execute(IN_PLACE)
    assert converted.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)
    converted.execute(sql)


@pytest.mark.parametrize("execute", [run, script])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_column_that_cannot_be_dropped_keeps_all(
    converted: thanosql.Connection, execute: Execute, is_open: bool
) -> None:
    converted.execute("CREATE INDEX by_vector ON photos (m_clipen)")
    state = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    before = converted.execute(state).fetchall()
    assert len(before) == 4
    if is_open and execute is run:
        converted.execute("BEGIN")
    sql = "BEGIN;" * (is_open and execute is script) + DROPS[0]
    with pytest.raises(sqlite3.OperationalError, match="m_clipen"):
        execute(converted, sql)
    assert converted.in_transaction == is_open
    assert converted.execute(state).fetchall() == before
    converted.commit()
    assert embedded_images(converted, IN_PLACE) == 0


def test_a_script_with_a_transaction_is_rolled_back(converted: thanosql.Connection) -> None:
    converted.executescript(f"BEGIN; {DROPS[0]}; ROLLBACK")
    assert embedded_images(converted, IN_PLACE) == 0


def test_dropping_one_of_two_columns_of_vectors(converted: thanosql.Connection) -> None:
    second = IN_PLACE.replace("table_name", "result_col='second', table_name")
    converted.execute(second)
    converted.execute("ALTER TABLE photos DROP COLUMN m_clipen")
    assert embedded_images(converted, second) == 0
    assert isinstance(converted.execute("SELECT second FROM photos").fetchone()[0], np.ndarray)
    converted.execute("ALTER TABLE photos DROP COLUMN caption")
    converted.execute("ALTER TABLE photos ADD COLUMN caption")
    converted.execute("DROP TABLE photos")
    with pytest.raises(sqlite3.OperationalError, match="no such table: photos"):
        converted.execute(DROPS[0])


def test_a_dropped_column_is_forgotten_in_other_schemas(
    connection: thanosql.Connection, tmp_path: Path
) -> None:
    connection.execute("ATTACH ? AS aux", [str(tmp_path / "aux.db")])
    connection.execute("CREATE TABLE aux.album AS SELECT * FROM photos")
    connection.execute("CONVERT USING m OPTIONS (table_name='album') AS SELECT * FROM album")
    connection.execute("ALTER TABLE album DROP COLUMN m_clipen")
    assert connection.execute("SELECT count(*) FROM thanosql_vectors").fetchone() == (0,)


def test_a_trace_shows_what_the_program_executes(connection: thanosql.Connection) -> None:
    traced: list[str] = []
    connection.set_trace_callback(traced.append)
    connection.execute("ALTER TABLE photos RENAME COLUMN caption TO words")
    assert traced == ["ALTER TABLE photos RENAME COLUMN caption TO words"]
