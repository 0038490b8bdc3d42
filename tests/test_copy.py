"""COPY: what becomes a table, what happens to one that exists, all or nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import thanosql

ROWS = [("007", 1, 2.5, "가나다"), ("010", 2, 3.0, None)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frame = pd.DataFrame(ROWS, columns=["id", "n", "x", "name"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_json(tmp_path / "t.json", orient="records", force_ascii=False)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True, force_ascii=False)
    return tmp_path


@pytest.fixture
def database(folder: Path):
    connection = thanosql.connect(folder / "t.db", progress=False)
    yield connection
    connection.close()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "xlsx", "json", "jsonl"])
def test_every_format_gives_the_same_table(database: thanosql.Connection, suffix: str) -> None:
    cursor = database.execute(f"COPY t FROM 't.{suffix}'")
    assert cursor.description is None
    assert database.execute("SELECT * FROM t").fetchall() == ROWS
    assert not database.in_transaction


def test_records_a_bound_path_and_a_bound_frame(
    database: thanosql.Connection, folder: Path
) -> None:
    database.execute('COPY a FROM \'[{"n": 1}, {"n": 2, "m": "x"}]\'')
    assert database.execute("SELECT * FROM a").fetchall() == [(1, None), (2, "x")]
    database.execute("COPY b FROM ?", ("t.csv",))
    database.execute("COPY c FROM :path", {"path": folder / "t.csv"})
    frame = pd.DataFrame({"n": [1, 2], "v": [np.float32([1, 0]), np.float32([0, 1])]})
    database.execute("COPY d FROM ?", (frame,))
    for table, count in [("b", 2), ("c", 2), ("d", 2)]:
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)
    assert database.execute("SELECT length(v) FROM d").fetchone() == (8,)


def test_a_folder_of_images_gives_a_row_each(workspace: Path) -> None:
    connection = thanosql.connect(workspace / "x.db", progress=False)
    connection.execute("COPY pictures FROM 'images/'")
    rows = connection.execute("SELECT image_path FROM pictures").fetchall()
    assert rows[0] == ("images/black.png",)
    assert len(rows) == 6
    connection.close()


def test_a_table_that_exists(database: thanosql.Connection) -> None:
    database.execute("COPY t FROM 't.csv'")
    with pytest.raises(
        sqlite3.OperationalError, match=r"table 't' exists.*overwrite=True.*nothing was changed"
    ):
        database.execute("COPY t FROM 't.csv'")
    database.execute("COPY T OPTIONS (if_exists='append') FROM 't.csv'")
    assert database.execute("SELECT count(*) FROM t").fetchone() == (4,)
    database.execute("COPY t OPTIONS (overwrite=True) FROM 't.csv'")
    assert database.execute("SELECT count(*) FROM t").fetchone() == (2,)
    with pytest.raises(sqlite3.OperationalError, match="table 't' has no column 'other'"):
        database.execute("COPY t OPTIONS (if_exists='append') FROM '[{\"other\": 1}]'")
    with pytest.raises(thanosql.StatementError, match="'fail', 'replace', 'append' or 'sync'"):
        database.execute("COPY t OPTIONS (if_exists='merge') FROM 't.csv'")


def test_appended_ids_do_not_turn_into_numbers(database: thanosql.Connection) -> None:
    database.execute("CREATE TABLE t (id INTEGER, n TEXT)")
    database.execute('COPY t OPTIONS (if_exists=\'append\') FROM \'[{"id": 1, "n": "007"}]\'')
    with pytest.raises(sqlite3.OperationalError, match="row 2 has the text '007' for column 'id'"):
        database.execute(
            'COPY t OPTIONS (if_exists=\'append\') FROM \'[{"id": "x"}, {"id": "007"}]\''
        )
    assert database.execute("SELECT * FROM t").fetchall() == [(1, "007")]


def test_it_is_all_or_nothing(database: thanosql.Connection, folder: Path) -> None:
    database.execute("COPY t FROM 't.csv'")
    (folder / "bad.csv").write_text("id,n,x,name\n1,2,3,4\n1,2\n", encoding="utf-8")
    with pytest.raises(thanosql.SourceError, match=r"bad\.csv"):
        database.execute("COPY t OPTIONS (overwrite=True) FROM 'bad.csv'")
    assert database.execute("SELECT * FROM t").fetchall() == ROWS
    database.execute("BEGIN")
    database.execute("COPY u FROM 't.csv'")
    database.rollback()
    assert database.execute("LIST TABLE").fetchall() == [("t", "table")]


def test_names_are_quoted_and_schemas_found(database: thanosql.Connection) -> None:
    database.execute("ATTACH ':memory:' AS album")
    database.execute('COPY album."my ""table""" FROM \'t.csv\'')
    found = database.execute('SELECT count(*) FROM album."my ""table"""').fetchone()
    assert found == (2,)
    database.execute('COPY [select] FROM \'[{"from": 1, "a b": 2}]\'')
    assert database.execute("SELECT [from], [a b] FROM [select]").fetchall() == [(1, 2)]


def test_progress_is_told_to_a_callable(folder: Path) -> None:
    steps: list[tuple[int, int | None, str]] = []
    connection = thanosql.connect(folder / "p.db", progress=lambda *step: steps.append(step))
    records = json.dumps([{"n": number} for number in range(2500)])
    connection.execute("COPY t FROM ?", (records,))
    assert [step[0] for step in steps] == [1000, 2000, 2500]
    assert {step[2] for step in steps} == {"COPY t"}
    connection.close()


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("'none.csv'", thanosql.SourceError, r"none\.csv"),
        ("'../t.csv'", thanosql.WorkspaceError, "lies outside the workspace"),
        ("'/etc/passwd'", thanosql.WorkspaceError, r"allowed_directories=\['/etc'\]"),
        ("'t.txt'", thanosql.SourceError, r"\.csv"),
        ("'bad.pkl'", thanosql.NotSupportedError, "code"),
        ("'[{\"a\": 1,}]'", thanosql.SourceError, "JSON"),
        ("7", thanosql.StatementError, "after FROM"),
        ("NULL", thanosql.StatementError, "FROM"),
    ],
)
def test_bad_sources(
    database: thanosql.Connection, folder: Path, source: str, kind: type[Exception], message: str
) -> None:
    (folder / "t.txt").write_text("a,b", encoding="utf-8")
    (folder / "bad.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(kind, match=message):
        database.execute(f"COPY t FROM {source}")
    assert database.execute("LIST TABLE").fetchall() == []
