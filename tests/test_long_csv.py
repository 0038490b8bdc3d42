"""Long CSV files are read once, by pyarrow where it is sure: the outcome is a short file's."""

from __future__ import annotations

import csv
import io
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import thanosql
from thanosql_dbapi.openfile import OpenFile
from thanosql_dbapi.sources.tables import blocks, delimited

Outcome = tuple[Any, ...]

WAYS = ["csv", "pyarrow"]


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Take every file for a long one, and read it the way that the test names."""
    monkeypatch.setattr(delimited, "_SHORT_BYTES", 0)
    monkeypatch.setattr(delimited, "_SAMPLE_ROWS", 2)
    monkeypatch.setattr(delimited, "_CHUNK_ROWS", 2)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8)
    if request.param == "csv":
        monkeypatch.setattr(blocks, "is_available", lambda: False)


def outcome(path: Path) -> Outcome:
    """Return the table that COPY makes of a file, or the error's class and text."""
    with thanosql.connect(":memory:", workspace=path.parent, progress=False) as connection:
        try:
            connection.execute(f"COPY t FROM '{path.name}'")
        except thanosql.Error as error:
            found: Outcome = (type(error), str(error))
        else:
            (sql,) = connection.execute("SELECT sql FROM sqlite_master").fetchone()
            rows = connection.execute("SELECT * FROM t").fetchall()
            found = (sql, [[(type(value), repr(value)) for value in row] for row in rows])
    connection.close()
    return found


def outcomes(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, Outcome, Outcome]:
    """Return what comes of a file when it is short, long, and long with pyarrow."""
    short = outcome(path)
    with monkeypatch.context() as patch:
        patch.setattr(delimited, "_SHORT_BYTES", 0)
        patch.setattr(delimited, "_SAMPLE_ROWS", 2)
        patch.setattr(delimited, "_CHUNK_ROWS", 2)
        patch.setattr(blocks, "_BLOCK_BYTES", 8)
        by_pyarrow = outcome(path)
        patch.setattr(blocks, "is_available", lambda: False)
        by_csv = outcome(path)
    return short, by_csv, by_pyarrow


relaxed = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


HEAD_ROWS = 5
"""More than the long files' types are guessed from."""


@relaxed
@given(
    head=st.sampled_from(["1,x", "0.5,", 'x,"1,\n"', '"",""']),
    tail=st.text(st.sampled_from('aa1,,""\n\n1.e-\r 한;\0'), max_size=30)
    | st.lists(
        st.sampled_from(
            ["1,2", "", '"x"y,1', 'x"y,"z', '"a"",",b', '"\r\n",1', "1,2,3", "1", "é,\r1"]
        )
    ).map("\n".join),
)
@example("1,x", '"x"y,1')
@example("1,x", '1,"x"\n1,2"3"\n1,2,3\n')
@example("1,x", "1,2\r1,2\r")
def test_any_text_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, tail: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("a,b\n" + f"{head}\n" * HEAD_ROWS + tail).encode())
    short, by_csv, by_pyarrow = outcomes(path, monkeypatch)
    assert by_csv == short
    assert by_pyarrow == short


heads = st.sampled_from(["1", "0.5", "9007199254740993", "1.50", "x", ""])
fields = st.one_of(
    st.integers(-9, 9).map(str),
    st.integers(-(2**64), 2**64).map(str),
    st.floats().map(repr),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.2f}"),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.17g}"),
    st.text(string.digits + "+-.eE ", max_size=6),
    st.sampled_from(["9007199254740992", "9007199254740994", "-0", "1e20", "1e+20", "5e-324"]),
    st.sampled_from(["007", "+5", " 5", "inf", "nan", "1e5", "1.", "０"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    st.just(""),
)


@relaxed
@given(
    head=st.tuples(heads, heads),
    tail=st.lists(st.tuples(st.just("1"), fields) | st.tuples(fields, fields), max_size=8),
    line_end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
@example(("1", "0.5"), [("007", "1")], "\n", "")
@example(("0.5", "0.5"), [("9007199254740994", "1.50")], "\n", "")
def test_any_rows_give_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    head: tuple[str, str],
    tail: list[tuple[str, str]],
    line_end: str,
    mark: str,
) -> None:
    written = io.StringIO(newline="")
    rows = [("하나", "둘"), *[head] * HEAD_ROWS, *tail]
    csv.writer(written, lineterminator=line_end).writerows(rows)
    path = tmp_path / "a.csv"
    path.write_bytes((mark + written.getvalue()).encode())
    short, by_csv, by_pyarrow = outcomes(path, monkeypatch)
    assert by_csv == short
    assert by_pyarrow == short


@pytest.mark.parametrize("long", WAYS, indirect=True)
@pytest.mark.usefixtures("long")
def test_a_late_row_changes_the_types_of_all(tmp_path: Path) -> None:
    lines = ["a,b,c,d", *["1,1,,1"] * 9, "007,1.5,2,1"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    steps: list[tuple[int, int | None, str]] = []
    connection = thanosql.connect(
        tmp_path / "a.db", isolation_level=None, progress=lambda *step: steps.append(step)
    )
    connection.execute("CREATE TABLE t (old)")
    connection.execute("COPY t OPTIONS (overwrite=True) FROM 'a.csv'")
    found = connection.execute("SELECT * FROM t").fetchall()
    assert found == [("1", 1.0, None, 1)] * 9 + [("007", 1.5, 2, 1)]
    assert steps[-1] == (10, 10, "COPY t")
    connection.close()


@pytest.mark.parametrize("long", WAYS, indirect=True)
@pytest.mark.usefixtures("long")
def test_a_fault_far_into_the_file_changes_nothing(tmp_path: Path) -> None:
    connection = thanosql.connect(tmp_path / "a.db", isolation_level=None, progress=False)
    connection.execute("CREATE TABLE t (old)")
    for fault, message in [
        (b"1,2,3", r"a\.csv', line 12: expected 2 fields"),
        (b'"x"y,2', r"a\.csv', row starting on line 12: expected fields as RFC 4180"),
        (b"1,\xff", r"a\.csv', line 12: expected UTF-8 text, got byte 0xff"),
    ]:
        (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"1,2\n" * 10 + fault + b"\n")
        with pytest.raises(thanosql.SourceError, match=message):
            connection.execute("COPY t OPTIONS (overwrite=True) FROM 'a.csv'")
        assert connection.execute("SELECT * FROM t").description[0][0] == "old"
    connection.close()


@pytest.mark.parametrize("long", WAYS, indirect=True)
@pytest.mark.usefixtures("long")
def test_an_abandoned_reading_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    import threading

    (tmp_path / "a.csv").write_text("a\n" + "1\n" * 1000)
    before = threading.active_count()
    rows = delimited.delimited_table(OpenFile(tmp_path / "a.csv"), None).rows()
    assert next(rows) == (1,)
    rows.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    (tmp_path / "a.csv").unlink()


def test_a_real_long_file_in_flat_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.csv"
    line = 'images/가/{:07d}.jpg,"a ""black"" cat, 고양이",{},{!r}\n'
    with path.open("w", encoding="utf-8") as file:
        file.write("path,text,n,x\n")
        file.writelines(line.format(i, i, i / 7) for i in range(100_000))
    table = delimited.delimited_table(OpenFile(path), None)
    assert table.types == ("TEXT", "TEXT", "INTEGER", "REAL")
    tracemalloc.start()
    try:
        count = 0
        for count, row in enumerate(table.rows(), 1):
            if count == 70_001:
                want = ("images/가/0070000.jpg", 'a "black" cat, 고양이', 70_000, 10_000.0)
                assert row == want
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 20 << 20
