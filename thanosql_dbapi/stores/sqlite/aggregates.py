"""The SQL aggregates over vectors that FUNCTION compute.… becomes, in views too.

``thanosql_duplicates`` and ``thanosql_outliers`` give JSON, a list of the number of a row and what
was found of it, which ``json_each`` makes a table of.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from ...errors import DataError, clip


class _Vectors:
    """The vectors of some rows, and their numbers; values that are no vector are left out."""

    def __init__(self) -> None:
        self.numbers: list[Any] = []
        self.blobs: list[bytes] = []
        self.option: Any = None

    def step(self, number: Any, vector: Any, option: Any = None) -> None:
        self.option = option
        if vector is None:
            return
        if not isinstance(vector, bytes) or not vector or len(vector) % 4:
            raise DataError(f"expected vectors as BLOBs, got {clip(vector)}")
        if self.blobs and len(vector) != len(self.blobs[0]):
            raise DataError(
                f"vectors of {len(self.blobs[0]) // 4} and {len(vector) // 4} dimensions; they"
                " come from different models"
            )
        self.numbers.append(number)
        self.blobs.append(vector)

    def array(self) -> Any:
        """Return the vectors, float32 (n, dimension), unit length; zero ones stay zero.

        Those without a length, as of NaN, are left out, and so are their numbers.
        """
        import numpy as np

        found = self.matrix()
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(found, axis=1)
        is_sound = np.isfinite(lengths)
        self.numbers = [self.numbers[row] for row in np.flatnonzero(is_sound)]
        return found[is_sound] / np.maximum(lengths[is_sound, None], np.float32(1e-12))

    def matrix(self) -> Any:
        """Return the vectors as they are, float32 (n, dimension)."""
        import numpy as np

        width = len(self.blobs[0]) // 4 if self.blobs else 1
        return np.frombuffer(b"".join(self.blobs), "<f4").reshape(-1, width)


class VectorMean(_Vectors):
    """``vector_mean(vector)``: the mean of vectors, a float32 BLOB; NULL for none."""

    def step(self, vector: Any) -> None:  # type: ignore[override]
        """Take a row's vector."""
        super().step(None, vector)

    def finalize(self) -> bytes | None:
        """Return the mean."""
        import numpy as np

        found = self.matrix()
        found = found[np.isfinite(found).all(axis=1)]
        if not len(found):
            return None
        mean: bytes = found.mean(axis=0, dtype=np.float64).astype("<f4").tobytes()
        return mean


class Duplicates(_Vectors):
    """``thanosql_duplicates(number, vector, threshold)``: [number, group] of rows with copies."""

    def finalize(self) -> str:
        """Return what was found, as JSON."""
        from ...training.neighbours import duplicate_groups

        groups = duplicate_groups(self.array(), float(self.option or 0))
        return json.dumps(
            [[self.numbers[row], count] for count, rows in enumerate(groups, 1) for row in rows]
        )


class Outliers(_Vectors):
    """``thanosql_outliers(number, vector, neighbours)``: [number, score], the most unlike first."""

    def finalize(self) -> str:
        """Return what was found, as JSON."""
        from ...training.neighbours import outlier_scores

        vectors = self.array()
        if len(vectors) < 2:
            return json.dumps([[number, None] for number in self.numbers])
        scores = outlier_scores(vectors, int(self.option))
        order = (-scores).argsort(kind="stable").tolist()
        return json.dumps([[self.numbers[row], float(scores[row])] for row in order])


def register(connection: sqlite3.Connection, failed: Callable[[BaseException], None]) -> None:
    """Give a connection the aggregates.

    Args:
        connection: The connection.
        failed: Gets the exception of one that fails: SQLite keeps no message.
    """
    for name, count, kind in (
        ("vector_mean", 1, VectorMean),
        ("thanosql_duplicates", 3, Duplicates),
        ("thanosql_outliers", 3, Outliers),
    ):
        connection.create_aggregate(name, count, guarded(kind, failed))


def guarded(kind: type[Any], failed: Callable[[BaseException], None]) -> type[Any]:
    """Return an aggregate that reports why it fails."""

    class Guarded(kind):  # type: ignore[misc]
        has_failed = False

        def step(self, *arguments: Any) -> None:
            try:
                super().step(*arguments)
            except BaseException as error:
                self.has_failed = True
                failed(error)
                raise

        def finalize(self) -> Any:
            if self.has_failed:  # sqlite3 asks all the same; after Ctrl-C nothing is to be computed
                return None
            try:
                return super().finalize()
            except BaseException as error:
                failed(error)
                raise

    return Guarded
