"""A table of photographs with their vectors, as CONVERT would leave it, in any size.

No image is read: the vectors are made up, of two kinds. ``uniform`` ones point anywhere.
``clip`` ones lie as CLIP's do: they share a large mean, few directions hold most of what tells
them apart, and their cosines with :data:`TEXT` are those of the photographs of the tutorial, five
of 0.309 to 0.317 above most others at 0.15 to 0.22.

Made once and kept in a folder of its own, a collection is the same for every benchmark::

    python -m benchmarks.collection --rows 25000 --kind clip
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import thanosql_dbapi as thanosql
from thanosql_dbapi.stores.sqlite.database import Database
from thanosql_dbapi.stores.sqlite.registry import Registry, VectorColumn
from thanosql_dbapi.stores.sqlite.topk.change_log import draw_version, watch

from .measure import machine
from .tiny_clip import DIMENSION, make_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT = "a black cat"
"""The text that ``clip`` vectors are laid around."""
COLUMN = "m_clipen"
"""The vector column of table ``photos``, of model ``m``."""
FILTERS = {"50 %": "album{} < 50", "1 %": "album{} = 7", "0.01 %": "scene{} = 7"}
"""Share of the rows to the condition that keeps them; ``{}`` is ``""`` or ``"_indexed"``."""

KINDS = ("clip", "uniform")
_VERSION = 4
_CHUNK_ROWS = 10_000
_BEST = (0.316560, 0.311931, 0.310819, 0.310214, 0.309158)
TABLE = f"""
CREATE TABLE photos (
    photo_id INTEGER PRIMARY KEY,
    image_path TEXT,
    description TEXT,
    album INTEGER,
    album_indexed INTEGER,
    scene INTEGER,
    scene_indexed INTEGER,
    {COLUMN} VECTOR({DIMENSION})
)"""
_INDEXES = (
    "CREATE INDEX photos_album ON photos (album_indexed)",
    "CREATE INDEX photos_scene ON photos (scene_indexed)",
)


@dataclass(frozen=True)
class Collection:
    """A database file with the table ``photos`` and the model ``m``, and its vectors as an array.

    Attributes:
        folder: Its workspace.
        rows: Number of photographs; their ``photo_id`` counts from 1.
        kind: ``"clip"`` or ``"uniform"``.
    """

    folder: Path
    rows: int
    kind: str

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / "photos.db"

    def connect(self, **options: Any) -> thanosql.Connection:
        """Return a new connection to it."""
        return thanosql.connect(self.database, progress=False, **options)

    def matrix(self) -> NDArray[np.float32]:
        """Return the vectors in memory: float32 array (rows, 512), row i is photograph i + 1."""
        matrix: NDArray[np.float32] = np.load(self.folder / "vectors.npy")
        return matrix

    def query(self, text: str = TEXT) -> NDArray[np.float32]:
        """Return the vector of a text: float32 array (512,)."""
        with closing(self.connect()) as connection:
            return _embedded(connection, text)


def collection(
    rows: int,
    kind: str = "clip",
    *,
    folder: Path | None = None,
    page_size: int | None = None,
    fresh: bool = False,
) -> Collection:
    """Return a collection, making it when it is not there.

    Args:
        rows: Number of photographs.
        kind: ``"clip"`` or ``"uniform"``.
        folder: Where collections are kept; None is ``thanosql-benchmarks`` among the temporary
            files. 25,000 rows take 150 MB, a million 6 GB.
        page_size: SQLite's page size in bytes, None for its default.
        fresh: Whether to make it anew though it is there, for a benchmark that writes.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    home = folder or Path(tempfile.gettempdir()) / "thanosql-benchmarks"
    suffix = f"-{page_size}" if page_size else ""
    made = Collection(home / f"{kind}-{rows}{suffix}-v{_VERSION}", rows, kind)
    if fresh:
        shutil.rmtree(made.folder, ignore_errors=True)
    if not made.folder.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as name:
            unfinished = Path(name) / "collection"
            _make(Collection(unfinished, rows, kind), page_size)
            unfinished.rename(made.folder)
    return made


def _make(made: Collection, page_size: int | None) -> None:
    make_model(made.folder / "tiny_clip")
    connection = made.connect(isolation_level=None)
    if page_size is not None:
        connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    shutil.rmtree(made.folder / "tiny_clip")
    query = _embedded(connection, TEXT)
    matrix = np.lib.format.open_memmap(
        made.folder / "vectors.npy", mode="w+", dtype=np.float32, shape=(made.rows, DIMENSION)
    )
    begin = 0
    for vectors in _vectors(made.rows, made.kind, query):
        matrix[begin : begin + len(vectors)] = vectors
        begin += len(vectors)
    connection.execute("BEGIN")
    connection.execute(TABLE)
    insert(connection, made.rows, matrix)
    for sql in _INDEXES:
        connection.execute(sql)
    register(connection)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()


def insert(connection: sqlite3.Connection, rows: int, matrix: NDArray[np.float32]) -> None:
    """Insert photographs 1 to ``rows`` with the vectors of a matrix, by executemany."""
    scattered = np.random.default_rng(2).permutation(rows)
    albums, scenes = (scattered % 100).tolist(), (scattered % 10_000).tolist()
    connection.executemany(
        "INSERT INTO photos VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                i + 1,
                f"images/{i % 100:02d}/{i + 1:09d}.jpg",
                f"photograph {i + 1} of album {albums[i]}, scene {scenes[i]}, by nobody",
                albums[i],
                albums[i],
                scenes[i],
                scenes[i],
                matrix[i].tobytes(),
            )
            for i in range(rows)
        ),
    )


def register(connection: sqlite3.Connection) -> None:
    """Say of the table's vector column what CONVERT would have said, and log its changes."""
    database = Database(connection)
    registry = Registry(database)
    model = registry.model("m")
    column_id = registry.add_vector_column(
        VectorColumn(
            "main",
            "photos",
            COLUMN,
            model.name,
            model.fingerprint,
            model.dimension,
            "image_path",
            "image",
        )
    )
    watch(database, column_id, "photos", COLUMN)
    draw_version(database)


def _embedded(connection: sqlite3.Connection, text: str) -> NDArray[np.float32]:
    (blob,) = connection.execute("SELECT embed_text('m', ?)", (text,)).fetchone()
    return thanosql.to_vector(blob)


def _vectors(rows: int, kind: str, query: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield unit vectors, some rows at a time: float32 arrays (n, 512)."""
    random = np.random.default_rng(1)
    basis, scale = _clip_space(query, random)
    best = random.choice(rows, min(len(_BEST), rows), replace=False)
    for begin in range(0, rows, _CHUNK_ROWS):
        count = min(_CHUNK_ROWS, rows - begin)
        vectors = random.standard_normal((count, DIMENSION), dtype=np.float32)
        if kind == "clip":
            cosines = _cosines(count, random)
            for cosine, row in zip(_BEST, best - begin, strict=False):
                if 0 <= row < count:
                    cosines[row] = cosine
            vectors = _clip_vectors(vectors, cosines, basis, scale)
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _clip_space(
    query: NDArray[np.float32], random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return an orthonormal basis, first the query, second the mean, and the others' scales.

    The variances fall so that their entropy is that of about 100 equal ones.
    """
    columns = random.standard_normal((DIMENSION, DIMENSION))
    columns[:, 0] = query
    basis, _ = np.linalg.qr(columns)
    basis[:, 0] = query
    scale = (np.arange(DIMENSION - 2) + 8.0) ** -0.75
    return basis.T.astype(np.float32), (scale / np.linalg.norm(scale)).astype(np.float32)


def _cosines(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    cosines = random.normal(0.185, 0.018, count)
    near = random.random(count) < 0.001  # the tail: other pictures of cats, of black things
    cosines[near] = 0.22 + random.exponential(0.02, near.sum())
    # Below the best five, and no two the same: those beyond come back as if from a mirror.
    return np.where(cosines > 0.305, 0.305 - (cosines - 0.305) % 0.12, cosines)


def _clip_vectors(
    normal: NDArray[np.float32],
    cosines: NDArray[np.float64],
    basis: NDArray[np.float32],
    scale: NDArray[np.float32],
) -> NDArray[np.float32]:
    own = normal[:, 2:] * scale
    own *= 0.7 / np.linalg.norm(own, axis=1, keepdims=True)
    rest = np.sqrt(1 - cosines**2) / np.sqrt(0.7**2 + 0.7**2)
    coordinates = np.empty_like(normal)
    coordinates[:, 0] = cosines
    coordinates[:, 1] = 0.7 * rest
    coordinates[:, 2:] = own * rest[:, None]
    return coordinates @ basis


def run(times: Callable[[Collection, int], None], *, runs: int = 7) -> None:
    """Read the command line of a benchmark over a collection, and time what it times.

    Args:
        times: Prints the times of a collection for a number of runs; its text is the help.
        runs: Runs when the command line does not say.
    """
    parser = argparse.ArgumentParser(description=times.__doc__)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--kind", choices=KINDS, default="clip")
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--folder", type=Path, help="where collections are kept")
    given = parser.parse_args()
    print(machine("numpy", "sqlite-vec"))
    times(collection(given.rows, given.kind, folder=given.folder), given.runs)


def main() -> None:
    """Make a collection and say where it is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--kind", choices=KINDS, default="clip")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--page-size", type=int)
    given = parser.parse_args()
    made = collection(given.rows, given.kind, folder=given.folder, page_size=given.page_size)
    print(made.database)


if __name__ == "__main__":
    main()
