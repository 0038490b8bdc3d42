"""Searches against numpy's float64 cosines: the bounds of each row, and whole answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import thanosql_dbapi
from thanosql_dbapi import Connection
from thanosql_dbapi.statements import context
from thanosql_dbapi.stores.sqlite.topk import blocks
from thanosql_dbapi.stores.sqlite.topk.gpu import DeviceVectors
from thanosql_dbapi.stores.sqlite.topk.quantized import quantize

DIMENSION = 24  # the tiny model's
ROWS = 5_200
COLUMN = "m_clipen"
SEARCH = (
    "(SEARCH IMAGE text='a cat' USING m OPTIONS (emb_col='m_clipen', result_col='s')"
    " AS SELECT * FROM photos)"
)
FUNCTION = "cosine_similarity(m_clipen, embed_text('m', 'a cat'))"

Floats = NDArray[np.float32]


def cosines(vectors: Floats, query: Floats) -> NDArray[np.float64]:
    """Return float64 cosines; NaN for a vector without a direction."""
    rows, one = vectors.astype(np.float64), query.astype(np.float64)
    with np.errstate(all="ignore"):
        rows = rows / np.abs(rows).max(axis=1, keepdims=True)
        result: NDArray[np.float64] = (
            rows @ one / np.linalg.norm(rows, axis=1) / np.linalg.norm(one)
        )
    return result


def cloud(kind: str, dimension: int, seed: int) -> Floats:
    """Return 600 vectors of a kind."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((600, dimension))
    if kind == "clustered":
        vectors = rng.standard_normal(dimension) + 0.01 * vectors
    elif kind == "spiky":
        vectors = vectors**9
    scale = {"tiny": 1e-11, "huge": 1e10}.get(kind, 1.0)
    return (vectors * scale).astype(np.float32)


@pytest.mark.parametrize("dimension", [24, 512, 1152])
@pytest.mark.parametrize("kind", ["even", "clustered", "spiky", "tiny", "huge"])
def test_bounds_enclose_the_cosine(kind: str, dimension: int) -> None:
    vectors = cloud(kind, dimension, 1)
    quantized = quantize(vectors)
    rng = np.random.default_rng(2)
    for query in (*vectors[:5], *rng.standard_normal((5, dimension)).astype(np.float32)):
        exact = cosines(vectors, query)
        rounded, every = quantized.rounded(query), slice(0, len(vectors))
        products = quantized.products(rounded, every)
        for lower, upper in (
            quantized.bounds(rounded, every, products),
            quantized.narrow_bounds(rounded, np.arange(len(vectors))),
        ):
            assert (lower <= exact).all()
            assert (exact <= upper).all()


def odd_vectors() -> Floats:
    """Return outliers: tiny and huge ones, and those without a direction."""
    rng = np.random.default_rng(3)
    many = rng.standard_normal((12, DIMENSION)).astype(np.float32)
    many[:3] *= np.float32(1e-25)
    many[3:6] *= np.float32(1e25)
    many[6], many[7], many[8] = 0, np.inf, np.nan
    return many


class Album:
    """A table of photos, and the same vectors in numpy."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.query = np.frombuffer(
            connection.execute("SELECT embed_text('m', 'a cat')").fetchone()[0], np.float32
        )
        self.vectors: dict[int, Floats] = {}

    def put(self, vectors: dict[int, Floats]) -> None:
        """Insert or replace vectors by row id."""
        self.vectors.update(vectors)
        self.connection.executemany(
            "INSERT INTO photos (id, album, m_clipen) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET m_clipen = excluded.m_clipen",
            [(row, row % 5, vector.tobytes()) for row, vector in vectors.items()],
        )
        self.connection.commit()

    def best(self, count: int, where: Any = lambda row: True) -> list[int]:
        """Return the right answer by numpy; equal rows in the order of their ids."""
        rows = [row for row in sorted(self.vectors) if where(row)]
        values = np.round(cosines(np.array([self.vectors[row] for row in rows]), self.query), 9)
        order = [
            place for place in np.argsort(-values, kind="stable") if values[place] == values[place]
        ]
        return [rows[place] for place in order[:count]]

    def found(self, sql: str, *, by_matrix: bool = True) -> list[int]:
        """Return the ids of a search, and check what answers it."""
        assert self.connection.explain(sql).uses_matrix is by_matrix
        return [row[0] for row in self.connection.execute(sql)]


@pytest.fixture
def album(tmp_path: Path, clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Album]:
    """5,200 rows and 12 outliers, searched in many blocks by three threads."""
    from PIL import Image

    monkeypatch.setattr(blocks, "FEWEST_ROWS", 300)
    monkeypatch.setattr(blocks, "MOST_ROWS", 300)
    monkeypatch.setattr(blocks, "THREAD_BYTES", 1)
    monkeypatch.setattr(blocks, "usable_cores", lambda: 3)
    shutil.copytree(clip_folder, tmp_path / "tiny_clip")
    Image.new("RGB", (48, 40), "red").save(tmp_path / "red.png")
    with closing(thanosql_dbapi.connect(tmp_path / "p.db", progress=False)) as connection:
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
        connection.execute(
            "CREATE TABLE photos (id INTEGER PRIMARY KEY, album INTEGER, image_path TEXT)"
        )
        connection.execute("INSERT INTO photos VALUES (1, 1, 'red.png')")
        connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
        album = Album(connection)
        rng = np.random.default_rng(4)
        normal = rng.standard_normal((ROWS, DIMENSION)).astype(np.float32)
        album.put(dict(enumerate(np.concatenate([normal, odd_vectors()]), start=1)))
        yield album


@pytest.mark.parametrize("count", [1, 10, 50])
def test_the_best_rows(album: Album, count: int) -> None:
    for where, keep in (("1", lambda row: True), ("album < 2", lambda row: row % 5 < 2)):
        want = album.best(count, keep)
        tail = f"WHERE {where} ORDER BY"
        assert album.found(f"SELECT id FROM {SEARCH} {tail} s DESC LIMIT {count}") == want
        assert album.found(f"SELECT id FROM photos {tail} {FUNCTION} DESC LIMIT {count}") == want


def test_a_where_that_drops_the_best(album: Album) -> None:
    dropped = set(album.best(30))
    sql = f"SELECT id FROM {SEARCH} WHERE id NOT IN {tuple(dropped)} ORDER BY s DESC LIMIT 5"
    assert album.found(sql) == album.best(5, lambda row: row not in dropped)


def test_changed_rows(album: Album) -> None:
    sql = f"SELECT id FROM {SEARCH} ORDER BY s DESC LIMIT 5"
    for step in range(6):
        assert album.found(sql) == album.best(5)
        first, *_, last = album.best(5)
        album.put({first: -album.query, 100 + step: album.query + album.vectors[last] * 0.01})
    rng = np.random.default_rng(5)
    fresh = rng.standard_normal((1500, DIMENSION)).astype(np.float32)
    album.put(dict(enumerate(fresh, start=2000)))
    assert album.found(sql) == album.best(5)


def test_a_device_gives_the_same_answers(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    # torch on the processor stands in for a GPU.
    pytest.importorskip("torch")
    made: list[DeviceVectors] = []

    def on_device(device: object, vectors: Any) -> DeviceVectors:
        made.append(DeviceVectors(vectors, "cpu"))
        return made[-1]

    monkeypatch.setattr(context, "_on_device", on_device)
    monkeypatch.setattr("thanosql_dbapi.stores.sqlite.topk.matrix.possible_rows", None)
    test_the_best_rows(album, 10)
    test_a_where_that_drops_the_best(album)
    test_changed_rows(album)
    assert len(made) == 2  # once as the column was read, once as many of its rows had changed


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e25])
def test_an_outlier_can_be_the_best(album: Album, scale: float) -> None:
    # Read with the whole column, not as a changed row.
    vector = (album.query.astype(np.float64) * scale).astype(np.float32)
    album.put({3000: vector})
    for sql in (
        f"SELECT id FROM {SEARCH} ORDER BY s DESC LIMIT 1",
        f"SELECT id FROM photos ORDER BY {FUNCTION} DESC LIMIT 1",
    ):
        assert album.found(sql) == [3000]


def test_equal_rows_come_in_the_order_in_which_sqlite_reads_them(album: Album) -> None:
    album.put(dict.fromkeys((4000, 400, 40), album.query))
    sql = f"SELECT id FROM {SEARCH} ORDER BY s DESC LIMIT 2"
    assert album.found(sql) == [40, 400]
    album.connection.execute("UPDATE photos SET album = -id")
    album.connection.execute("CREATE INDEX by_album ON photos (album)")
    album.connection.commit()
    sql = f"SELECT id FROM {SEARCH} WHERE album < 0 ORDER BY s DESC LIMIT 2"
    scanned = sql.replace("FROM photos", "FROM (SELECT * FROM photos)")
    assert album.found(sql, by_matrix=False) == album.found(scanned, by_matrix=False)


def test_groups_are_left_to_the_scan(album: Album) -> None:
    # One row a group: that of the least id, which is hardly ever a candidate.
    album.connection.execute("UPDATE photos SET album = id % 500")
    album.connection.commit()
    sql = f"SELECT id, {FUNCTION} AS s FROM photos GROUP BY album ORDER BY s DESC LIMIT 3"
    scanned = sql.replace("FROM photos", "FROM (SELECT * FROM photos)")
    assert album.found(sql, by_matrix=False) == album.found(scanned, by_matrix=False)
