"""What COPY reads, through the public functions of thanosql_dbapi.sources.tables."""

from __future__ import annotations

import csv
import datetime
import decimal
import gc
import gzip
import json
import math
import re
import sqlite3
import string
import struct
import sys
import threading
import uuid
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thanosql_dbapi import errors
from thanosql_dbapi.sources.tables import (
    Table,
    frame_table,
    open_table,
    records_table,
)

PHOTOS = Path(__file__).parents[2] / "shared" / "photos"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def table_of(path: Path, content: str | bytes) -> Table:
    return open_table(write(path, content))


def stored(table: Table) -> list[tuple]:
    """The rows as SQLite gives them back out of a table of the declared types."""
    conn = sqlite3.connect(":memory:")
    try:
        columns = ", ".join(
            f'"{name.replace(chr(34), chr(34) * 2)}" {declared}'
            for name, declared in zip(table.columns, table.types, strict=True)
        )
        conn.execute(f"CREATE TABLE t ({columns})")
        marks = ", ".join("?" * len(table.columns))
        conn.executemany(f"INSERT INTO t VALUES ({marks})", table.rows())
        return conn.execute("SELECT * FROM t").fetchall()
    finally:
        conn.close()


def rows_of(table: Table) -> list[tuple]:
    """The rows, after a check of what holds for every table."""
    rows = [tuple(row) for row in table.rows()]
    assert rows == [tuple(row) for row in table.rows()]
    assert table.total in (len(rows), None)
    assert len(table.types) == len(table.columns)
    assert {type(value) for row in rows for value in row} <= {type(None), int, float, str, bytes}
    assert [list(map(type, row)) for row in stored(table)] == [list(map(type, row)) for row in rows]
    assert stored(table) == rows
    return rows


def fails(error: type[Exception], *words: str):
    return pytest.raises(error, match=".*".join(map(re.escape, words)))


# CSV


def test_csv_has_names_types_and_rows(tmp_path):
    table = table_of(
        tmp_path / "a.csv",
        'id,이름,점수,메모\r\n1,고양이,0.5,\r\n2,"개, 큰",-3,"두\r\n줄 ""인용"""\r\n',
    )
    assert table.columns == ("id", "이름", "점수", "메모")
    assert table.types == ("INTEGER", "TEXT", "REAL", "TEXT")
    assert table.total == 2
    assert rows_of(table) == [
        (1, "고양이", 0.5, None),
        (2, "개, 큰", -3.0, '두\r\n줄 "인용"'),
    ]


@pytest.mark.parametrize(
    ("texts", "declared"),
    [
        (["1", "-2", "0"], "INTEGER"),
        (["9223372036854775807", "-9223372036854775808"], "INTEGER"),
        (["", "7", ""], "INTEGER"),
        (["1.5", "2", "", "-0.25"], "REAL"),
        (["1e-05", "1e+20", "1.5E-7", "2.0E10", "-0"], "REAL"),
        (["0.1234567890123456", "1.7976931348623157e+308", "5e-324"], "REAL"),
        (["1.000000000000000056e-01", "5.960464477539063e-08"], "REAL"),
        (["5.960464477539063E-8", "1.10", "1e-05"], "REAL"),
        (["9007199254740993"], "INTEGER"),
        (["9007199254740993", "0.5"], "TEXT"),
        (["0.5", "9007199254740993"], "TEXT"),
        (["9007199254740992", "0.5"], "REAL"),
        (["9223372036854775808"], "TEXT"),
        (["18446744073709551616", "1.5"], "TEXT"),
        (["000000000285", "1"], "TEXT"),
        (["1", "007.5"], "TEXT"),
        (["+5"], "TEXT"),
        (["-007"], "TEXT"),
        ([" 5"], "TEXT"),
        (["1_000"], "TEXT"),
        (["５"], "TEXT"),
        (["nan", "1"], "TEXT"),
        (["inf"], "TEXT"),
        (["12e45"], "TEXT"),
        (["1.0e999"], "TEXT"),
        (["1.0e-999"], "TEXT"),
        (["0.12345678901234567890"], "TEXT"),
        (["0.1000000000000000055511151231257827021181583404541015625"], "TEXT"),
        (["1." + "0" * 50 + "1"], "TEXT"),
        (["9" * 5000], "TEXT"),
        (["1,5"], "TEXT"),
        (["1.", ".5"], "TEXT"),
        (["0x10"], "TEXT"),
        (["", ""], "TEXT"),
        ([], "TEXT"),
    ],
)
def test_csv_type_loses_nothing(tmp_path, texts, declared):
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["x", "n"], *([t, "k"] for t in texts)])
    table = open_table(path)
    assert table.types == (declared, "TEXT")
    kind = {"INTEGER": int, "REAL": float, "TEXT": str}[declared]
    assert rows_of(table) == [(kind(text) if text else None, "k") for text in texts]


def test_csv_type_is_found_in_all_rows(tmp_path):
    lines = ["a,b,c", *("1,1,1" for _ in range(5000)), "x,1.5,"]
    table = table_of(tmp_path / "a.csv", "\n".join(lines))
    assert table.types == ("TEXT", "REAL", "INTEGER")
    rows = rows_of(table)
    assert rows[0] == ("1", 1.0, 1)
    assert rows[-1] == ("x", 1.5, None)
    assert table.total == 5001


def test_csv_precision_is_watched_across_chunks(tmp_path):
    lines = ["a", "9007199254740993", *("1" for _ in range(3000)), "0.5"]
    table = table_of(tmp_path / "a.csv", "\n".join(lines))
    assert table.types == ("TEXT",)
    assert rows_of(table)[0] == ("9007199254740993",)


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
fields = texts | st.text(string.digits + "+-.e ", max_size=8) | st.sampled_from(["한글", "", '"'])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(fields, fields | numbers.map(str), st.just("end")), max_size=12),
    suffix=st.sampled_from([".csv", ".tsv"]),
    mark=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_csv_round_trip_of_texts(tmp_path, rows, suffix, mark):
    path = tmp_path / f"round{suffix}"
    with path.open("w", encoding=mark, newline="") as file:
        writer = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",")
        writer.writerows([["하나", "둘", "끝"], *rows])
    table = open_table(path)
    assert table.columns == ("하나", "둘", "끝")
    got = rows_of(table)
    assert len(got) == len(rows)
    for declared, have, want in zip(
        table.types, zip(*got, strict=True), zip(*rows, strict=True), strict=False
    ):
        if declared == "TEXT":
            assert [value or "" for value in have] == list(want)
        else:
            kind = int if declared == "INTEGER" else float
            assert list(have) == [kind(text) if text else None for text in want]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    integers=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=12),
    floats=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12),
)
def test_csv_round_trip_of_numbers(tmp_path, integers, floats):
    rows = list(zip(integers, floats, strict=False))
    path = tmp_path / "numbers.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["i", "f"], *rows])
    table = open_table(path)
    assert table.types == ("INTEGER", "REAL")
    assert rows_of(table) == rows


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b\n1;2\n", ("a", "b")),
        ("a;b\n", ("a", "b")),
        ('a;b\n"1;2";3,5\n', ("a", "b")),
        ("a;b,c\n1;2,3\n", ("a;b", "c")),
        ("note; more\nplain\n", ("note; more",)),
        ("a;b\tc\n1;2\t3\n", ("a;b\tc",)),
        ("a\n1;2\n", ("a",)),
    ],
)
def test_csv_semicolons_only_when_unambiguous(tmp_path, text, columns):
    assert table_of(tmp_path / "a.csv", text).columns == columns


@pytest.fixture
def field_limit():
    before = csv.field_size_limit(1000)
    yield 1000
    csv.field_size_limit(before)


def test_csv_huge_field_and_the_limit_afterwards(tmp_path, field_limit):
    big = "가" * 300_000
    table = table_of(tmp_path / "a.csv", f'a,b\n"{big}",1\n')
    assert csv.field_size_limit() == field_limit
    rows = table.rows()
    assert next(rows) == (big, 1)
    assert csv.field_size_limit() == field_limit  # also while the iteration is under way
    assert list(rows) == []
    with fails(errors.SourceError, "expected 2 fields"):
        table_of(tmp_path / "b.csv", "a,b\n1\n")
    assert csv.field_size_limit() == field_limit


def test_csv_readers_in_threads_share_the_limit(tmp_path, field_limit):
    path = write(tmp_path / "a.csv", "a\n" + f"{'x' * 200_000}\n" * 30)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(len(rows_of(open_table(path)))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [30] * 4
    assert csv.field_size_limit() == field_limit


def test_csv_byte_order_mark_is_no_part_of_a_name(tmp_path):
    table = table_of(tmp_path / "a.csv", "\ufeffid;이름\r\n1;가\r\n")
    assert table.columns == ("id", "이름")
    assert rows_of(table) == [(1, "가")]


def test_csv_blank_lines_are_no_rows(tmp_path):
    assert rows_of(table_of(tmp_path / "a.csv", "\n\na,b\n\n1,2\n\n,\n")) == [(1, 2), (None, None)]


def test_csv_header_alone_is_an_empty_table(tmp_path):
    table = table_of(tmp_path / "a.csv", "a,b\n")
    assert (table.total, rows_of(table), table.types) == (0, [], ("TEXT", "TEXT"))


@pytest.mark.parametrize("suffix", [".csv.gz", ".CSV.GZ"])
def test_csv_compressed(tmp_path, suffix):
    table = table_of(tmp_path / f"a{suffix}", gzip.compress("이름\n고양이\n".encode()))
    assert rows_of(table) == [("고양이",)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["a.csv' is empty"]),
        ("\n \n".replace(" ", ""), ["a.csv' is empty; expected a line with the column names"]),
        (
            "a,b\n1,2\n1,2,3\n",
            ["line 3: expected 2 fields", "','", "got 3: ['1', '2', '3']; quote"],
        ),
        ('a,b\n"x\ny",2\n1\n', ["line 4: expected 2 fields", "got 1: ['1']"]),
        ('a,b\n1,2\n"x,2\n3,4\n', ["starting on line 3", "got unexpected end of data; close"]),
        ('a,b\n"x"y,2\n', ["starting on line 2", "expected after", "double a quote"]),
        ("a,,c\n1,2,3\n", ["line 1: column 2 of 3 has no name; give it one"]),
        (",a\n0,1\n", ["column 1 of 2 has no name", "index=False"]),
        ("a,b,a\n1,2,3\n", ["columns 1 and 3 have the same name to SQLite, 'a' and 'a'; rename"]),
        ("Id,b,iD\n1,2,3\n", ["columns 1 and 3 have the same name", "'Id' and 'iD'"]),
        ("a\n1\n고양이\n".encode("cp949"), ["line 3: expected UTF-8 text, got byte 0xb0", "save"]),
        ("a,b\n1,2\n".encode("utf-16"), ["line 1: expected UTF-8", "0xff (it looks like UTF-16)"]),
    ],
)
def test_csv_errors_say_where(tmp_path, content, words):
    with fails(errors.SourceError, *words) as caught:
        table_of(tmp_path / "a.csv", content)
    assert str(caught.value).startswith(f"file {str(tmp_path / 'a.csv')!r}")


def test_csv_not_utf8_far_into_the_file(tmp_path):
    content = b"a\n" + b"plain text\n" * 20_000 + b"\xff\n"
    with fails(errors.SourceError, "line 20002: expected UTF-8 text, got byte 0xff; save"):
        table_of(tmp_path / "a.csv", content)


@pytest.mark.parametrize("content", ["a\nx\n", "a,b\n1,2\n", ""])
def test_csv_changed_between_the_passes(tmp_path, content):
    table = table_of(tmp_path / "a.csv", "a\n1\n")
    write(tmp_path / "a.csv", content)
    if content:
        with fails(errors.SourceError, "a.csv' changed while it was read"):
            list(table.rows())
    else:
        assert list(table.rows()) == []


def test_csv_damaged_gzip(tmp_path):
    whole = gzip.compress(b"a\n" + b"1\n" * 1000)
    for content in (b"no gzip at all", whole[:-12]):
        with fails(errors.SourceError, "a.csv.gz': expected gzip data, got a damaged"):
            table_of(tmp_path / "a.csv.gz", content)


def test_abandoned_iterations_close_their_files(tmp_path):
    pd.DataFrame({"a": range(5000)}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"a": range(5000)}).to_excel(tmp_path / "a.xlsx", index=False)
    write(tmp_path / "a.csv", "a\n" + "1\n" * 5000)
    write(tmp_path / "a.jsonl", '{"a": 1}\n' * 5000)
    descriptors = Path("/proc/self/fd")
    for name in ("a.csv", "a.jsonl", "a.parquet", "a.xlsx"):
        path = tmp_path / name
        table = open_table(path)

        def times_open(path: Path = path) -> int:
            gc.collect()
            links = [each for each in descriptors.iterdir() if each.is_symlink()]
            return sum(path == link.readlink() for link in links if link.exists())

        for _ in range(2):
            rows = table.rows()
            next(rows)
            if descriptors.is_dir():
                assert times_open() == 1, "a file is opened once"
            rows.close()
        rows = table.rows()
        next(rows)
        del rows
        assert len(list(table.rows())) == 5000
        del table
        if descriptors.is_dir():
            assert times_open() == 0


def test_tables_do_not_hold_the_file(tmp_path):
    path = write(tmp_path / "a.csv", "a\n" + "12345678\n" * 300_000)
    import tracemalloc

    open_table(path)
    tracemalloc.start()
    try:
        assert sum(1 for _ in open_table(path).rows()) == 300_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


# JSON


def test_records_union_of_keys(tmp_path):
    text = json.dumps(
        [
            {"id": 1, "태그": ["고양이", 1], "ok": True, "w": 1},
            {"w": 0.5, "id": 2**63, "more": {"a": None}, "ok": None},
            {"id": None, "ok": False, "w": math.nan, "more": "plain"},
        ]
    )
    want = [
        ("1", '["고양이", 1]', 1, 1.0, None),
        (str(2**63), None, None, 0.5, '{"a": null}'),
        (None, None, 0, None, "plain"),
    ]
    for table in (records_table(text), table_of(tmp_path / "a.json", "\ufeff" + text)):
        assert table.columns == ("id", "태그", "ok", "w", "more")
        assert table.types == ("TEXT", "TEXT", "INTEGER", "REAL", "TEXT")
        assert rows_of(table) == want


def test_one_object_is_one_row():
    assert rows_of(records_table('{"a": 1, "b": "x"}')) == [(1, "x")]


@pytest.mark.parametrize(
    ("values", "declared", "want"),
    [
        ([1, 2], "INTEGER", [1, 2]),
        ([2**63 - 1, -(2**63)], "INTEGER", [2**63 - 1, -(2**63)]),
        ([1, 1.0], "REAL", [1.0, 1.0]),
        ([2**53 + 1, 0.5], "TEXT", [str(2**53 + 1), "0.5"]),
        ([1, "007"], "TEXT", ["1", "007"]),
        (["007", "1"], "TEXT", ["007", "1"]),
        ([0.1, "x"], "TEXT", ["0.1", "x"]),
        ([[0.5, 0.25]], "TEXT", ["[0.5, 0.25]"]),
        ([[math.nan]], "TEXT", ["[null]"]),
        ([None], "TEXT", [None]),
        ([math.nan], "TEXT", [None]),
        ([math.inf, 1], "REAL", [math.inf, 1.0]),
        (["a\ud83d"], "TEXT", ["a\ufffd"]),
        (["\U0001f408"], "TEXT", ["\U0001f408"]),
    ],
)
def test_records_types(values, declared, want):
    table = records_table(json.dumps([{"x": value} for value in values]))
    assert table.types == (declared,)
    assert rows_of(table) == [(value,) for value in want]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{'id': 1}]", ["JSON records: not JSON at line 1, column 3: expecting property name"]),
        ('[\n{"id": 1},\n{"id": }]', ["line 3, column 8: expecting value, got '}]'"]),
        ('[{"id": 1}', ["column 11", "got the end"]),
        ("5", ['expected a list of objects, as in [{"id": 1}], got 5']),
        ('[{"a": 1}, 7]', ["item 2: expected an object", "got a number: 7"]),
        ("[null]", ["item 1: expected an object", "got null: None"]),
        ("[]", ["expected at least one object with a key, got none"]),
        ("[{}]", ["expected at least one object with a key, got none"]),
        ('[{"": 1}]', ["column 1 of 1 has no name"]),
        ('[{"a": 1}, {"A": 2}]', ["columns 1 and 2 have the same name", "'a' and 'A'"]),
        ('[{"a\\u0000": 1}]', ["column 1 is named 'a\\x00', which SQLite cannot store"]),
        ('[{"a\\ud800": 1}]', ["column 1 is named 'a\\ud800', which SQLite cannot store"]),
        ("[" * 200_000, ["JSON that cannot be read: "]),
    ],
)
def test_records_errors_say_where(text, words):
    with fails(errors.SourceError, *words):
        records_table(text)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz"])
def test_json_lines(tmp_path, name):
    text = '{"id": "007", "n": 1}\n\n{"n": 2, "글": "가\u2028나"}\r\n'
    content = text.encode()
    table = table_of(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    assert table.columns == ("id", "n", "글")
    assert rows_of(table) == [("007", 1, None), (None, 2, "가\u2028나")]


def test_json_lines_types_and_keys_come_from_all_lines(tmp_path):
    lines = [*({"a": 1, "b": 2} for _ in range(3000)), {"a": "x", "c": 1.5}]
    table = table_of(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert (table.columns, table.types) == (("a", "b", "c"), ("TEXT", "INTEGER", "REAL"))
    assert rows_of(table)[-1] == ("x", None, 1.5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}\n{"a": }\n', ["a.jsonl': not JSON at line 2, column 7"]),
        ('{"a": 1}\n[1]\n', ["a.jsonl', line 2: expected an object", "got a list: [1]"]),
        ("\n", ["a.jsonl': expected at least one object with a key, got none"]),
        (b'{"a": 1}\n{"a": "\xb0"}\n', ["a.jsonl', line 2: expected UTF-8 text, got byte 0xb0"]),
    ],
)
def test_json_lines_errors_say_where(tmp_path, content, words):
    with fails(errors.SourceError, *words):
        table_of(tmp_path / "a.jsonl", content)


# Parquet, Excel


def test_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    stamps = [datetime.datetime(2024, 1, 2, 3, 4, 5), None]
    fields = {
        "id": pa.array(["007", "8"]),
        "i": pa.array([1, None], pa.int32()),
        "u": pa.array([2**64 - 1, 1], pa.uint64()),
        "f": pa.array([0.5, math.nan]),
        "d": pa.array([decimal.Decimal("1.50"), decimal.Decimal("3.00")]),
        "flag": pa.array([True, None]),
        "b": pa.array([b"\0\xff", None]),
        "t": pa.array(stamps, pa.timestamp("us")),
        "ns": pa.array([1, None], pa.timestamp("ns", tz="Asia/Seoul")),
        "day": pa.array([datetime.date(2024, 1, 2), None]),
        "word": pa.array(["가", None]).dictionary_encode(),
        "v": pa.array([[0.5, 0.25], None], pa.list_(pa.float32())),
        "l": pa.array([["x"], []]),
        "image": pa.array([{"bytes": b"JPEG", "path": "a.jpg"}, None], image),
        "none": pa.nulls(2),
        "__index_level_0__": pa.array([5, 6]),
    }
    pq.write_table(pa.table(fields), tmp_path / "a.parquet")
    table = open_table(tmp_path / "a.parquet")
    assert table.columns == tuple(fields)[:-1]
    assert dict(zip(table.columns, table.types, strict=True)) == {
        "id": "TEXT", "i": "INTEGER", "u": "TEXT", "f": "REAL", "d": "REAL", "flag": "INTEGER",
        "b": "BLOB", "t": "TEXT", "ns": "TEXT", "day": "TEXT", "word": "TEXT", "v": "VECTOR(2)",
        "l": "TEXT", "image": "BLOB", "none": "TEXT",
    }  # fmt: skip
    first, second = rows_of(table)
    assert first == (
        "007", 1, str(2**64 - 1), 0.5, 1.5, 1, b"\0\xff", "2024-01-02 03:04:05",
        "1970-01-01 09:00:00.000000001+09:00", "2024-01-02", "가", struct.pack("<2f", 0.5, 0.25),
        '["x"]', b"JPEG", None,
    )  # fmt: skip
    assert second == ("8", None, "1", None, 3.0, *[None] * 7, "[]", None, None)
    assert rows_of(frame_table(pa.table(fields))) == [first, second]


def test_parquet_of_several_row_groups(tmp_path):
    frame = pd.DataFrame({"n": range(5000), "s": [f"{n:05d}" for n in range(5000)]})
    frame.to_parquet(tmp_path / "a.pqt", row_group_size=700)
    rows = rows_of(open_table(tmp_path / "a.pqt"))
    assert rows == [(n, f"{n:05d}") for n in range(5000)]


def test_excel(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["id", "이름", "값", "때", "맞음", "오류"])
    sheet.append(["007", "고양이", 1, datetime.datetime(2024, 1, 2, 3, 4, 5), True, "#N/A"])
    sheet.append([])
    sheet.append(["8", None, 0.5, datetime.date(2024, 1, 2)])
    book.create_sheet("other").append(["ignored"])
    book.save(tmp_path / "a.xlsx")
    table = open_table(tmp_path / "a.xlsx")
    assert table.columns == ("id", "이름", "값", "때", "맞음", "오류")
    assert table.types == ("TEXT", "TEXT", "REAL", "TEXT", "INTEGER", "TEXT")
    assert rows_of(table) == [
        ("007", "고양이", 1.0, "2024-01-02 03:04:05", 1, None),
        ("8", None, 0.5, "2024-01-02 00:00:00", None, None),
    ]


def test_excel_with_wrong_dimensions(tmp_path):
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_excel(tmp_path / "right.xlsx", index=False)
    with (
        zipfile.ZipFile(tmp_path / "right.xlsx") as right,
        zipfile.ZipFile(tmp_path / "wrong.xlsx", "w") as wrong,
    ):
        for name in right.namelist():
            content = right.read(name)
            wrong.writestr(name, content.replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1"'))
    assert rows_of(open_table(tmp_path / "wrong.xlsx")) == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ["expected column names in the first row, got no row"]),
        ([["a", None, "c"]], ["row 1: column 2 of 3 has no name"]),
        ([["a", "A"]], ["row 1: columns 1 and 2 have the same name"]),
        ([["a"], [1], [1, "x"]], ["row 3: expected 1 values as in the header, got 2: 'x' is in"]),
    ],
)
def test_excel_errors_say_where(tmp_path, lines, words):
    import openpyxl

    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    book.save(tmp_path / "a.xlsx")
    with fails(errors.SourceError, "a.xlsx'", *words):
        open_table(tmp_path / "a.xlsx")


@pytest.mark.parametrize("content", [b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_excel_damaged(tmp_path, content):
    with fails(errors.SourceError, "a.xlsx': expected an Excel workbook, got a damaged"):
        table_of(tmp_path / "a.xlsx", content)


def test_parquet_damaged(tmp_path):
    with fails(
        errors.SourceError, "a.parquet': expected a Parquet file", "fetch or write it again"
    ):
        table_of(tmp_path / "a.parquet", b"PAR1 and no more of it")


@pytest.mark.parametrize(
    ("name", "package"),
    [("a.parquet", "pyarrow"), ("a.pqt", "pyarrow"), ("a.xlsx", "openpyxl")],
)
def test_missing_package(tmp_path, monkeypatch, name, package):
    for module in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    with fails(
        errors.NotSupportedError,
        f"{name}' needs the package {package}",
        'install it with: pip install "thanosql-dbapi[files]"',
    ) as caught:
        table_of(tmp_path / name, b"anything")
    assert isinstance(caught.value.__cause__, ImportError)


# Which file


def test_pickle_is_refused_unopened(tmp_path):
    for name in ("a.pkl", "a.pickle", "a.pkl.gz", "a.PKL"):
        with fails(errors.NotSupportedError, "is a pickle, which can run any code", "to_parquet"):
            open_table(tmp_path / name)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.csv.zip", "a.parquet.gz"])
def test_unknown_suffix(tmp_path, name):
    got = name[1:] or "no suffix"
    with fails(errors.SourceError, f"{name}': expected one of .csv .tsv", ".xlsm", f"got {got}"):
        table_of(tmp_path / name, "a\n1\n")


def test_upper_case_suffix(tmp_path):
    assert rows_of(table_of(tmp_path / "A.CSV", "a\n1\n")) == [(1,)]


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path / "photos.csv", "a\n")
    with fails(errors.SourceError, "photo.csv' does not exist; did you mean 'photos.csv'?"):
        open_table(tmp_path / "photo.csv")
    with fails(errors.SourceError, "a.csv' does not exist") as caught:
        open_table(tmp_path / "no" / "a.csv")
    assert "did you mean" not in str(caught.value)


def test_folder_for_a_file(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with fails(errors.SourceError, "a.csv': expected a file, got a folder"):
        open_table(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.parquet", "a.xlsx"])
def test_empty_file(tmp_path, name):
    with fails(errors.SourceError, f"{name}' is empty"):
        table_of(tmp_path / name, b"")


# Data frames


def column(values, declared: str, want: list) -> None:
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    table = frame_table(series.to_frame("x"))
    assert table.types == (declared,)
    assert rows_of(table) == [(value,) for value in want]


stamp = pd.Timestamp("2024-01-02 03:04:05.000006")


@pytest.mark.parametrize(
    ("series", "declared", "want"),
    [
        (pd.Series([1, 2]), "INTEGER", [1, 2]),
        (pd.Series([1, None]), "REAL", [1.0, None]),
        (pd.Series([1, None], dtype="Int64"), "INTEGER", [1, None]),
        (pd.Series([1, 2**64 - 1], dtype="uint64"), "TEXT", ["1", str(2**64 - 1)]),
        (pd.Series([0.5, math.inf], dtype="float32"), "REAL", [0.5, math.inf]),
        (pd.Series([True, False]), "INTEGER", [1, 0]),
        (pd.Series([True, None], dtype="boolean"), "INTEGER", [1, None]),
        (pd.Series(["007", None]), "TEXT", ["007", None]),
        (pd.Series(["가", pd.NA], dtype="string"), "TEXT", ["가", None]),
        (pd.Series(["a", "b", None], dtype="category"), "TEXT", ["a", "b", None]),
        (pd.Series([3, 4], dtype="category"), "INTEGER", [3, 4]),
        (pd.Series([stamp, pd.NaT]), "TEXT", ["2024-01-02 03:04:05.000006", None]),
        (
            pd.Series([stamp.tz_localize("Asia/Seoul")]),
            "TEXT",
            ["2024-01-02 03:04:05.000006+09:00"],
        ),
        (pd.Series([pd.Timestamp(1)]), "TEXT", ["1970-01-01 00:00:00.000000001"]),
        (pd.Series([pd.Timedelta("1 day"), pd.NaT]), "TEXT", ["1 days 00:00:00", None]),
        (pd.Series([pd.Period("2024-01"), pd.NaT]), "TEXT", ["2024-01", None]),
        (pd.Series([pd.Interval(0, 1)]), "TEXT", ["(0, 1]"]),
        (pd.Series(pd.arrays.SparseArray([0, 0, 1])), "INTEGER", [0, 0, 1]),
    ],
)
def test_frame_dtypes(series, declared, want):
    column(series, declared, want)


@pytest.mark.parametrize(
    ("values", "declared", "want"),
    [
        ([b"\0", bytearray(b"a"), memoryview(b"b"), None], "BLOB", [b"\0", b"a", b"b", None]),
        ([b"\0", "a", 1], "BLOB", [b"\0", "a", 1]),
        ([np.int8(1), np.uint64(2**64 - 1)], "TEXT", ["1", str(2**64 - 1)]),
        ([np.float32(0.5), 1, math.nan, None], "REAL", [0.5, 1.0, None, None]),
        ([np.float32(math.nan), np.float64(1)], "REAL", [None, 1.0]),
        ([np.bool_(True), False, pd.NA], "INTEGER", [1, 0, None]),
        ([np.str_("가")], "TEXT", ["가"]),
        ([np.datetime64("2024-01-02T03:04:05"), np.datetime64("NaT", "s")], "TEXT",
         ["2024-01-02 03:04:05", None]),
        ([datetime.date(2024, 1, 2), datetime.time(3, 4)], "TEXT", ["2024-01-02", "03:04:00"]),
        ([datetime.timedelta(1)], "TEXT", ["1 day, 0:00:00"]),
        ([decimal.Decimal("1.10"), decimal.Decimal("NaN")], "REAL", [1.1, None]),
        ([decimal.Decimal(5)], "INTEGER", [5]),
        ([decimal.Decimal("3.00")], "REAL", [3.0]),
        ([decimal.Decimal("0.12345678901234567890")], "TEXT", ["0.12345678901234567890"]),
        ([uuid.UUID(int=1)], "TEXT", ["00000000-0000-0000-0000-000000000001"]),
        ([Path("a") / "b.jpg"], "TEXT", [str(Path("a") / "b.jpg")]),
        ([{"가": np.int64(1), "t": stamp, "n": math.nan, "b": b"\xff"}], "TEXT",
         ['{"가": 1, "t": "2024-01-02 03:04:05.000006", "n": null, "b": "ff"}']),
        ([("a", True), {"b"}], "TEXT", ['["a", true]', '["b"]']),
        ([np.array([[1, 2]])], "TEXT", ["[[1, 2]]"]),
        ([np.array(["a"]), np.array(["2024-01-02"], "M8[D]")], "TEXT", ['["a"]', '["2024-01-02"]']),
        (["a\ud800"], "TEXT", ["a\ufffd"]),
    ],
)  # fmt: skip
def test_frame_objects(values, declared, want):
    column(pd.Series(values, dtype=object), declared, want)


def vectors(*rows: list[float]) -> list[bytes]:
    return [struct.pack(f"<{len(row)}f", *row) for row in rows]


@pytest.mark.parametrize(
    "values",
    [
        [np.array([0.5, 1.0]), None, np.array([2.0, 3.0], "float32")],
        [[0.5, 1.0], math.nan, [2.0, 3.0]],
        [(0.5, 1.0), pd.NA, np.array([2, 3])],
    ],
)
def test_frame_vectors(values):
    first, second = vectors([0.5, 1], [2, 3])
    column(pd.Series(values, dtype=object), "VECTOR(2)", [first, None, second])


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([[0.5, 1.0], [2.0]], ["[0.5, 1.0]", "[2.0]"]),
        ([np.array([0.5]), "x"], ["[0.5]", "x"]),
        ([[1, 2]], ["[1, 2]"]),
        ([np.array([], float)], ["[]"]),
        ([np.array([True])], ["[true]"]),
        ([[1e300]], ["[1e+300]"]),
    ],
)
def test_frame_arrays_that_are_no_vectors(values, want):
    column(pd.Series(values, dtype=object), "TEXT", want)


def test_frame_vectors_that_end_late():
    values = [*(np.array([0.5, 1.0]) for _ in range(3072)), np.array([0.5])]
    column(pd.Series(values, dtype=object), "TEXT", ["[0.5, 1.0]"] * 3072 + ["[0.5]"])
    values[-1] = 7
    column(pd.Series(values, dtype=object), "TEXT", ["[0.5, 1.0]"] * 3072 + ["7"])
    values[-1] = None
    column(pd.Series(values, dtype=object), "VECTOR(2)", vectors([0.5, 1]) * 3072 + [None])


def test_frame_index_only_when_named():
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    assert frame_table(frame).columns == ("a",)
    frame.index.name = "번호"
    assert frame_table(frame).columns == ("번호", "a")
    assert rows_of(frame_table(frame)) == [(7, 1), (8, 2)]
    levels = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", None])
    assert rows_of(frame_table(frame.set_index(levels))) == [("x", 1), ("y", 2)]


def test_frame_column_names_are_texts():
    table = frame_table(pd.DataFrame({0: [1], 1: [2]}))
    assert table.columns == ("0", "1")
    assert rows_of(frame_table(pd.DataFrame({"a": []}))) == []
    with fails(errors.SourceError, "DataFrame: columns 1 and 2 have the same name"):
        frame_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with fails(errors.SourceError, "DataFrame: expected at least one column, got none"):
        frame_table(pd.DataFrame())


def test_frame_long_and_subclassed():
    class Frame(pd.DataFrame):
        pass

    frame = Frame({"n": range(3000), "s": [None if n % 2 else str(n) for n in range(3000)]})
    assert rows_of(frame_table(frame)) == [(n, None if n % 2 else str(n)) for n in range(3000)]


def test_frame_times_are_what_to_sql_writes():
    times = ["2024-01-02 03:04:05", "2024-01-02 00:00:00.5", None]
    frame = pd.DataFrame({"t": pd.to_datetime(times, format="ISO8601")})
    conn = sqlite3.connect(":memory:")
    try:
        frame.to_sql("t", conn, index=False)
        want = conn.execute("SELECT * FROM t").fetchall()
    finally:
        conn.close()
    assert rows_of(frame_table(frame)) == want


def test_frame_errors():
    with fails(errors.DataError, "column 'x': cannot store 1j, of type complex; turn it into"):
        frame_table(pd.DataFrame({"x": [1j]}))
    with fails(errors.DataError, "column 'x': cannot store <object", "of type object"):
        frame_table(pd.DataFrame({"x": ["a", object()]}))
    with fails(errors.ProgrammingError, "expected a pandas DataFrame", "got list: [1]"):
        frame_table([1])


# Real files


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no ../shared/photos beside the repository")
def test_real_photos():
    table = open_table(PHOTOS / "photos.csv")
    assert set(table.types) == {"TEXT"}
    rows = rows_of(table)
    with (PHOTOS / "photos.csv").open(encoding="utf-8", newline="") as file:
        want = list(csv.reader(file))
    assert [[value or "" for value in row] for row in rows] == want[1:]
    assert rows[0][0] == "000000000285"
    assert all((PHOTOS / row[1]).is_file() for row in rows)
