"""A SEARCH for many texts: a row is compared with all at once, and no number depends on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

import thanosql_dbapi as thanosql
from thanosql_dbapi.stores.sqlite import arithmetic

Connection = thanosql.Connection

TEXTS = [f"a {letter * 3} cat" for letter in "abcdefghijklmnopqrst"]
SEARCH = "SEARCH IMAGE texts=? USING m AS SELECT photo_id, m_clipen FROM photos"
SIZE = 24


@pytest.fixture
def photos(converted: Connection) -> Connection:
    """The converted photos, and rows with vectors of all kinds."""
    generator = np.random.default_rng(3)
    odd: list[object] = [
        None,
        "text",
        np.zeros(SIZE, "f4"),
        np.full(SIZE, math.nan, "f4"),
        np.full(SIZE, 1e25, "f4"),
        np.full(SIZE, 1e-25, "f4"),
        np.ones(SIZE - 1, "f4"),
        *generator.standard_normal((40, SIZE)).astype("f4"),
    ]
    converted.executemany(
        "INSERT INTO photos (photo_id, m_clipen) VALUES (?, ?)",
        [(f"odd {number:02}", value) for number, value in enumerate(odd)],
    )
    converted.commit()
    return converted


def similarities(connection: Connection, texts: Sequence[str]) -> list[tuple[object, ...]]:
    rows = connection.execute(SEARCH, [list(texts)]).fetchall()
    return [(row[0], *row[2:]) for row in rows]


def one_by_one(connection: Connection) -> list[tuple[object, ...]]:
    columns = [similarities(connection, [text]) for text in TEXTS]
    return [
        (row[0], *(column[place][1] for column in columns)) for place, row in enumerate(columns[0])
    ]


@pytest.mark.parametrize("is_exact", [True, False])
def test_each_similarity_is_that_of_a_search_for_the_text_alone(
    photos: Connection, monkeypatch: pytest.MonkeyPatch, is_exact: bool
) -> None:
    if not is_exact:  # a processor on which numpy does not add as sqlite-vec does
        monkeypatch.setattr(arithmetic, "is_exact", lambda database: False)
    found = similarities(photos, TEXTS)
    assert found == one_by_one(photos)
    assert [row[0] for row in found if row[1] is None] == [
        f"odd {number:02}" for number in (0, 1, 2, 3, 6)
    ]


def test_rows_that_are_nearly_the_text_have_the_same_bits(photos: Connection) -> None:
    # 1 less a number of almost 1: the last bit of a row's length is seen. Few lengths have another
    # one as a power of 0.5 than as a square root.
    (vector,) = photos.execute("SELECT embed_text('m', ?)", TEXTS[:1]).fetchone()
    scales = np.random.default_rng(5).uniform(0.01, 100, 100_000).astype("f4")
    rows = np.frombuffer(vector, "f4") * scales[:, None]
    squares = np.add.accumulate(rows * rows, axis=1)[:, -1].tolist()
    told = [place for place, square in enumerate(squares) if square**0.5 != math.sqrt(square)]
    photos.executemany(
        "INSERT INTO photos (photo_id, m_clipen) VALUES (?, ?)",
        [(f"like {place}", rows[place]) for place in [*told[:200], *range(9)]],
    )
    assert similarities(photos, TEXTS) == one_by_one(photos)


def test_a_row_is_compared_once(photos: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = similarities(photos, TEXTS)
    assert len(set(rows[-1][1:])) > 15
    calls = []
    distances = arithmetic.Wanted.distances

    def counted(self: arithmetic.Wanted, vector: bytes) -> bytes | None:
        calls.append(vector)
        return distances(self, vector)

    monkeypatch.setattr(arithmetic.Wanted, "distances", counted)
    rows = similarities(photos, TEXTS)
    assert 40 < len(calls) <= len(rows)
    calls.clear()
    photos.execute(
        f"SELECT * FROM ({SEARCH}) ORDER BY m_clipen_similarity3 DESC", [TEXTS]
    ).fetchall()
    assert 40 < len(calls) <= len(rows)
    calls.clear()
    similarities(photos, TEXTS[:3])
    assert calls == []


def test_filter_order_and_value_agree(photos: Connection) -> None:
    alone = {row[0]: row[1] for row in similarities(photos, TEXTS[:1]) if row[1] is not None}
    threshold = sorted(alone.values())[len(alone) // 2]
    options = f"OPTIONS (threshold={threshold!r}) AS"
    kept = photos.execute(SEARCH.replace(" AS", f" {options}"), [TEXTS]).fetchall()
    assert {row[0]: row[2] for row in kept} == {
        name: value for name, value in alone.items() if value >= threshold
    }
    best = photos.execute(SEARCH.replace(" AS", " OPTIONS (top_k=5) AS"), [TEXTS]).fetchall()
    ranked = sorted(alone, key=lambda name: -alone[name])[:5]
    assert [(row[0], row[2]) for row in best] == [(name, alone[name]) for name in ranked]


def test_a_view_and_a_condition_have_the_same_numbers(photos: Connection) -> None:
    expected = similarities(photos, TEXTS)
    listed = ", ".join(f"'{text}'" for text in TEXTS)
    photos.execute(f"CREATE VIEW seen AS {SEARCH.replace('?', f'[{listed}]')}")
    assert [(row[0], *row[2:]) for row in photos.execute("SELECT * FROM seen")] == expected
    found = photos.execute(
        f"SELECT * FROM ({SEARCH}) WHERE photo_id = 'odd 09'", [TEXTS]
    ).fetchone()
    assert (found[0], *found[2:]) in expected


def test_a_function_of_the_program_is_asked(photos: Connection) -> None:
    photos.create_function("vec_distance_cosine", 2, lambda one, other: 0.25, deterministic=True)
    found = {row[0]: row[1:] for row in similarities(photos, TEXTS)}
    assert set(found["odd 09"]) == {0.75}
