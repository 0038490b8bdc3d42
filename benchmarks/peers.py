"""What else finds the nearest vectors on one machine, each as its own manual does it.

A peer gets a collection, keeps what it makes of it in a folder beside, and hands out a function
from a query vector to the ids of the five nearest photographs, best first. All vectors are of unit
length, so that an inner product, which is what most are quickest at, is the cosine.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

import thanosql_dbapi as thanosql

from .collection import Collection
from .tiny_clip import DIMENSION

Find = Callable[[Any], list[int]]
Peer = Callable[[Collection], Find]

K = 5
_BATCH_ROWS = 10_000
_MOST_CHROMA_ROWS = 100_000


class AbsentError(Exception):
    """Why a peer takes no part."""


def numpy_product(made: Collection) -> Find:
    """All vectors in memory, one matrix product, argpartition."""
    matrix = made.matrix()

    def find(query: Any) -> list[int]:
        similarities = matrix @ query
        best = np.argpartition(similarities, -K)[-K:]
        return [int(i) + 1 for i in best[np.argsort(-similarities[best])]]

    return find


def sqlite_vec(made: Collection) -> Find:
    """A virtual table of sqlite-vec, https://alexgarcia.xyz/sqlite-vec/features/knn.html."""

    def make(path: Path) -> None:
        with closing(thanosql.connect(path, isolation_level=None)) as connection:
            connection.execute(
                "CREATE VIRTUAL TABLE photos USING vec0(photo_id INTEGER PRIMARY KEY,"
                f" vector float[{DIMENSION}] distance_metric=cosine)"
            )
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO photos VALUES (?, ?)",
                ((i, vector.tobytes()) for i, vector in enumerate(made.matrix(), 1)),
            )
            connection.execute("COMMIT")

    connection = thanosql.connect(_kept(made, "vec0.db", make))
    sql = f"SELECT photo_id FROM photos WHERE vector MATCH ? AND k = {K} ORDER BY distance"
    return lambda query: [row[0] for row in connection.execute(sql, (query.tobytes(),))]


def lancedb(made: Collection) -> Find:
    """LanceDB without an index, which is exact."""
    import lancedb
    import pyarrow as pa

    def make(path: Path) -> None:
        lancedb.connect(path).create_table("photos", (_arrow(pa, part) for part in _parts(made)))

    table = lancedb.connect(_kept(made, "lancedb", make)).open_table("photos")

    def find(query: Any) -> list[int]:
        search = table.search(query).distance_type("dot").limit(K).select(["photo_id", "_distance"])
        ids: list[int] = search.to_arrow()["photo_id"].to_pylist()
        return ids

    return find


def duckdb(made: Collection) -> Find:
    """A DuckDB table with an array column."""
    import duckdb
    import pyarrow as pa

    def make(path: Path) -> None:
        with closing(duckdb.connect(str(path))) as connection:
            connection.execute(f"CREATE TABLE photos (photo_id BIGINT, vector FLOAT[{DIMENSION}])")
            for part in _parts(made):
                batch = pa.Table.from_batches([_arrow(pa, part)])
                connection.register("batch", batch)
                connection.execute("INSERT INTO photos SELECT * FROM batch")

    connection = duckdb.connect(str(_kept(made, "duckdb.db", make)), read_only=True)
    sql = (
        "SELECT photo_id FROM photos"
        f" ORDER BY array_cosine_similarity(vector, ?::FLOAT[{DIMENSION}]) DESC LIMIT {K}"
    )
    return lambda query: [row[0] for row in connection.execute(sql, [query]).fetchall()]


def faiss_flat(made: Collection) -> Find:
    """The exact index of inner products of faiss."""
    import faiss

    def make(path: Path) -> None:
        index = faiss.IndexFlatIP(DIMENSION)
        index.add(made.matrix())
        faiss.write_index(index, str(path))

    index = faiss.read_index(str(_kept(made, "faiss.index", make)))
    return lambda query: (index.search(query[None], K)[1][0] + 1).tolist()  # type: ignore[no-any-return]


def chroma(made: Collection) -> Find:
    """Chroma in this process: a graph (HNSW), which is not exact."""
    import chromadb

    if made.rows > _MOST_CHROMA_ROWS:
        raise AbsentError(f"its graph of more than {_MOST_CHROMA_ROWS:,} rows takes too long")
    off = chromadb.Settings(anonymized_telemetry=False)

    def make(path: Path) -> None:
        client = chromadb.PersistentClient(str(path), settings=off)
        photos = client.create_collection("photos", configuration={"hnsw": {"space": "cosine"}})
        for first, vectors in _parts(made, 1000):
            ids = [str(first + i) for i in range(len(vectors))]
            photos.add(ids, embeddings=vectors)

    client = chromadb.PersistentClient(str(_kept(made, "chroma", make)), settings=off)
    photos = client.get_collection("photos")

    def find(query: Any) -> list[int]:
        found = photos.query(query_embeddings=[query], n_results=K, include=["distances"])
        return [int(each) for each in found["ids"][0]]

    return find


def usearch_exact(made: Collection) -> Find:
    """The exact search of usearch over the vectors in memory."""
    from usearch.index import MetricKind, search

    matrix = made.matrix()
    return lambda query: (  # type: ignore[no-any-return]
        search(matrix, query, K, MetricKind.IP, exact=True).keys + 1
    ).tolist()


def usearch_int8(made: Collection) -> Find:
    """The same in one byte a number, which is not exact."""
    from usearch.index import MetricKind, search

    codes = np.concatenate([_int8(vectors) for _, vectors in _parts(made)])
    return lambda query: (  # type: ignore[no-any-return]
        search(codes, _int8(query), K, MetricKind.Cos, exact=True).keys + 1
    ).tolist()


def cuda() -> Any:
    """Return torch.

    Raises:
        AbsentError: It finds no GPU.
    """
    import torch

    if not torch.cuda.is_available():
        raise AbsentError("torch finds no GPU")
    return torch


def torch_on_gpu(made: Collection) -> Find:
    """All vectors on the GPU in half precision, one matrix product, topk."""
    torch = cuda()
    matrix = torch.from_numpy(made.matrix()).to("cuda", torch.float16)

    def find(query: Any) -> list[int]:
        similarities = matrix @ torch.from_numpy(query).to("cuda", torch.float16)
        best = torch.topk(similarities, K).indices.tolist()
        return [i + 1 for i in best]

    return find


PEERS: dict[str, Peer] = {
    "numpy float32, product + argpartition": numpy_product,
    "torch float16 on the GPU, product + topk": torch_on_gpu,
    "sqlite-vec vec0": sqlite_vec,
    "LanceDB, flat": lancedb,
    "DuckDB, array_cosine_similarity": duckdb,
    "faiss IndexFlatIP": faiss_flat,
    "usearch, exact, float32": usearch_exact,
    "usearch, exact, int8": usearch_int8,
    "chroma (HNSW)": chroma,
}


def _kept(made: Collection, name: str, make: Callable[[Path], None]) -> Path:
    """Return the peer's file or folder, made at the first need."""
    path = made.folder / "peers" / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_name(f"unfinished-{name}")
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)
        make(unfinished)
        unfinished.rename(path)
    return path


def _parts(made: Collection, rows: int = _BATCH_ROWS) -> Any:
    """Yield (id of the first, vectors), some rows at a time."""
    matrix = np.load(made.folder / "vectors.npy", mmap_mode="r")
    for begin in range(0, len(matrix), rows):
        yield begin + 1, np.array(matrix[begin : begin + rows])


def _arrow(pa: Any, part: tuple[int, Any]) -> Any:
    first, vectors = part
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.arange(first, first + len(vectors))),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION),
        ],
        ["photo_id", "vector"],
    )


def _int8(vectors: Any) -> Any:
    return np.rint(vectors * (127 / np.abs(vectors).max(axis=-1, keepdims=True))).astype(np.int8)
