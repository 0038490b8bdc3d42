"""``thanosql doctor --online``: the tutorial's first photographs, and what was published of them.

It proves an installation from end to end: the hub, Unsplash's servers, decoding, the model and the
search. The figures are those that the tutorial prints.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Error
from ..opening import open_database
from .doctor import Finding
from .session import run

MODEL = "clip"
DATASET = "unsplash_data"
TEXT = "a black cat"
TOLERANCE = 0.02
"""A number of a vector, or a similarity, may be that far off.

The pictures come from Unsplash at a width of today, and JPEG decoders differ. The numbers of two
unrelated vectors of 512 are some 0.06 apart.
"""


@dataclass(frozen=True)
class Published:
    """What the tutorial prints of one photograph.

    Attributes:
        photo_id: Its id.
        numbers: The first numbers of its vector.
        similarity: To the text "a black cat".
    """

    photo_id: str
    numbers: tuple[float, ...]
    similarity: float


PUBLISHED = (
    Published("XMyPniM9LF0", (-0.0148640582, 0.0549194068, 0.0118315415), 0.185725),
    Published("rDLBArZUl1c", (-0.0345519036, 0.0314463899, -0.0065574604), 0.148399),
    Published("cNDGZ2sQ3Bo", (-0.0316631570, 0.0538793579, 0.013499), 0.187703),
    Published("iuZ_D1eoq9k", (0.0018179789, 0.0099720405), 0.177512),
    Published("BeD3vjQ8SI0", (-0.0223454703, 0.0129929734, -0.0019434979), 0.218824),
)
"""The first five rows of the data set."""


def examine_online(**options: Any) -> Iterator[Finding]:
    """Get the model and the photographs, and yield how they compare with what was published.

    Args:
        **options: Options of ``connect``.
    """
    with tempfile.TemporaryDirectory(prefix="thanosql-doctor-") as folder:
        database = str(Path(folder) / "doctor.db")
        with closing(open_database(database, workspace=folder, **options)) as connection:

            def do(sql: str) -> list[tuple[Any, ...]]:
                return run(connection, sql).rows

            yield from _compared(do, PUBLISHED)


def _compared(
    do: Callable[[str], list[tuple[Any, ...]]], published: tuple[Published, ...]
) -> Iterator[Finding]:
    for what, statement in (
        (f"model {MODEL}", f"GET THANOSQL MODEL {MODEL}"),
        ("photographs", f"GET THANOSQL DATASET {DATASET} OPTIONS (rows={len(published)})"),
    ):
        started = time.perf_counter()
        try:
            do(statement)
        except Error as error:
            yield Finding(what, str(error), is_problem=True)
            return
        yield Finding(what, f"got in {time.perf_counter() - started:.1f} s")
    do(f"COPY photos FROM 'thanosql-dataset/{DATASET}/unsplash.csv'")
    do(f"CONVERT USING {MODEL} OPTIONS (table_name='photos') AS SELECT * FROM photos")
    found = {
        photo_id: (vector, similarity)
        for photo_id, vector, similarity in do(
            f"SELECT photo_id, {MODEL}_clipen, s FROM (SEARCH IMAGE text='{TEXT}' USING {MODEL}"
            f" OPTIONS (result_col='s') AS SELECT * FROM photos) WHERE s IS NOT NULL"
        )
    }
    compared = [each for each in published if each.photo_id in found]
    for each in compared:
        yield _finding(each, *found[each.photo_id])
    if missing := [each.photo_id for each in published if each.photo_id not in found]:
        yield Finding(
            "not compared",
            f"{', '.join(missing)}: not among the first photographs that Unsplash has today",
            is_problem=not compared,
        )


def _finding(published: Published, vector: Any, similarity: float) -> Finding:
    numbers = [float(number) for number in vector[: len(published.numbers)]]
    pairs = [*zip(numbers, published.numbers, strict=True), (similarity, published.similarity)]
    furthest = max(abs(ours - theirs) for ours, theirs in pairs)
    verdict = (
        f"{furthest:.4f} apart at most"
        if furthest <= TOLERANCE
        else f"{furthest:.4f} apart, expected {TOLERANCE} or less: the model, the decoder or the"
        " device computes something else"
    )
    return Finding(
        f"photograph {published.photo_id}",
        f"its vector begins {_shown(numbers)}, published {_shown(published.numbers)}; similarity"
        f" to {TEXT!r} {similarity:.4f}, published {published.similarity:.4f}; {verdict}",
        is_problem=furthest > TOLERANCE,
    )


def _shown(numbers: Any) -> str:
    return ", ".join(f"{number:.4f}" for number in numbers)
