"""The vectors of a query's rows: those that the rows have, and others, which are made once.

A row's vector is that of the model's column in the query. Where the column or its value is missing
and the query has a column of images, the image is embedded; ``models.vector_store`` keeps what
comes out by content, so that no image is embedded twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import OperationalError, clip
from ..language import grammar, training_options
from ..language.names import quote_name, same_name
from ..language.tree import Part, Query, Statement
from ..planning.arguments import Arguments
from ..stores.sqlite.database import Database
from ..stores.sqlite.registry import Model
from .contents import Contents, open_store
from .embedding_plan import EmbeddingPlan
from .filling import fill, warn_of
from .grouping import Batch
from .resolve import Resolver, does_work
from .staging import KEY, Staging
from .tables import require_tables
from .vector_columns import check_model, check_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..stores.sqlite.compile import Compiled

HIDDEN = "thanosql_vector"
"""The column of a staging table that holds vectors which the query has not."""
_IMAGE_COLUMNS = ("image_path", "image")
_READ_BYTES = 8 << 20  # smaller blocks would have the threads of BLAS wait for one another
_SHORTEST = 1e-12


@dataclass(frozen=True, eq=False)
class RowVectors:
    """Where the vectors of a query's rows come from.

    Attributes:
        query: The query.
        model: The model that makes the vectors.
        names: The query's columns.
        column: The column with vectors, or None.
        embedding: How rows without a vector are embedded, or None.
        label: The statement, for messages.
    """

    query: Query
    model: Model
    names: tuple[str, ...]
    column: str | None
    embedding: EmbeddingPlan | None
    label: str


class Block(NamedTuple):
    """Some rows that were read.

    Attributes:
        rows: The key, the vector's BLOB and the columns asked for, of each row.
        places: int64 array (m,): which of them have a vector.
        vectors: float32 array (m, dimension), unit length.
    """

    rows: list[tuple[Any, ...]]
    places: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OpenRows:
    """Rows that are there to be read, with a key and a vector.

    Attributes:
        database: The database.
        parts: The SQL that gives the key, named :data:`KEY` and ``0``, and the other columns.
        compiled: The same, compiled.
        column: The column with the vectors.
        dimension: Their length.
        is_copy: Whether they are in a staging table, with all vectors that can be had.
    """

    database: Database
    parts: tuple[Part, ...]
    compiled: Compiled
    column: str
    dimension: int
    is_copy: bool = False

    def blocks(self, *columns: str) -> Iterator[Block]:
        """Yield the rows, some hundred at a time."""
        names = ", ".join(quote_name(name) for name in (f"{KEY}0", self.column, *columns))
        sql = f"SELECT {names} FROM ({self.compiled.sql}\n)"
        count = max(64, _READ_BYTES // (4 * self.dimension))
        for rows in self.database.chunks(sql, self.compiled.parameters, count):
            yield _block(rows, self.dimension)


def find_vectors(
    resolver: Resolver, statement: Statement, query: Query, model: Model, label: str
) -> RowVectors:
    """Return where the vectors of a query's rows come from.

    Args:
        resolver: The text around the query.
        statement: The statement, for its options.
        query: Its query.
        model: The model that makes the vectors.
        label: The statement, for messages.

    Raises:
        OperationalError: The query has neither vectors of the model nor images; or it names a
            column that is not there, or one with the vectors of another model.
    """
    context, arguments = resolver.context, resolver.arguments
    compiled = resolver.compile_query(query)
    try:
        names = context.database.columns(*compiled)
    except OperationalError:
        require_tables(context.database, query)
        raise
    column = arguments.option(statement, training_options.PREPARED_COL)
    if column is None:
        column = _vector_column(resolver, names, model)
    else:
        require_column(names, column, label, "the vectors", "emb_col")
    if column is not None:
        check_model(context, query, column, model, label)
        if not does_work(query):
            check_sample(context, compiled, column, model, label)
    image = image_column(arguments, statement, names)
    if image is not None and column is None:
        require_column(names, image, label, "the images", "image_col")
    if column is None and image is None:
        raise OperationalError(
            f"{label}: the query has neither vectors of model {clip(model.name)} nor a column"
            f" 'image_path' (it has {', '.join(names)}); name the column with the images with"
            " OPTIONS (image_col='…'); nothing was changed"
        )
    is_there = image is not None and any(same_name(image, name) for name in names)
    embedding = EmbeddingPlan(
        model=model,
        kind="image",
        source=image or "",
        column=HIDDEN,
        batch_size=arguments.option(statement, grammar.BATCH_SIZE),
        stops_on_error=False,
        base_dir=arguments.option(statement, grammar.BASE_DIR),
        said=label,
    )
    return RowVectors(query, model, tuple(names), column, embedding if is_there else None, label)


def image_column(arguments: Arguments, statement: Statement, names: Sequence[str]) -> str | None:
    """Return the column of images that a statement names, or else the query's own.

    Returns:
        None where none is named, and the query has neither ``image_path`` nor ``image``.
    """
    image = arguments.option(statement, training_options.TRAINED_IMAGE_COL)
    if image is not None:
        return image
    there = {name.lower() for name in names}
    return next((name for name in _IMAGE_COLUMNS if name in there), None)


def require_column(
    names: Sequence[str],
    column: str,
    label: str,
    content: str,
    option: str,
    *,
    place: str = "query",
) -> None:
    """Check that a query, or a table, has a column.

    Raises:
        OperationalError: It has not.
    """
    if not any(same_name(name, column) for name in names):
        raise OperationalError(
            f"{label}: the {place} has no column {clip(column)} (it has {', '.join(names)});"
            f" name the column with {content} with OPTIONS ({option}='…'); nothing was changed"
        )


def stage(resolver: Resolver, source: RowVectors) -> OpenRows:
    """Run a query once, keep its rows, embed those without a vector, and return them."""
    context = resolver.context
    staging = Staging.of_query(context, resolver.compile_query(source.query), HIDDEN)
    column = source.column
    if source.embedding is not None and _is_incomplete(staging, source):
        _embed_missing(resolver, source, staging)
        column = HIDDEN
    assert column is not None or source.embedding is not None
    columns = [*source.names, *([HIDDEN] if column == HIDDEN else [])]
    selected = ", ".join(quote_name(name) for name in columns)
    sql = f"SELECT {staging.row_id} AS {KEY}0, {selected} FROM {staging.table}"
    rows = opened(resolver, (sql,), column or HIDDEN, source.model.dimension)
    return replace(rows, is_copy=True)


def opened(resolver: Resolver, parts: tuple[Part, ...], column: str, dimension: int) -> OpenRows:
    """Return rows that SQL gives with their key."""
    compiled = resolver.compile(parts)
    return OpenRows(resolver.context.database, parts, compiled, column, dimension)


def read_vectors(
    resolver: Resolver, source: RowVectors, *columns: str
) -> tuple[list[tuple[Any, ...]], NDArray[np.float32], int]:
    """Return what the rows with a vector hold.

    Args:
        resolver: The text around the query.
        source: Where the vectors come from.
        columns: More columns of the query.

    Returns:
        The values of the columns of each row with a vector; float32 array (n, dimension), unit
        length; and the number of rows without a vector.
    """
    if source.column is not None:
        # The rows are read once, as they are: their order and their names do not matter here.
        parts = (f"SELECT 0 AS {KEY}0, q.* FROM (", *source.query.parts, "\n) AS q")
        rows = opened(resolver, parts, source.column, source.model.dimension)
        found = _collected(rows, columns)
        if source.embedding is None or not found[2]:
            return found
    return _collected(stage(resolver, source), columns)


def _collected(
    rows: OpenRows, columns: Sequence[str]
) -> tuple[list[tuple[Any, ...]], NDArray[np.float32], int]:
    values: list[tuple[Any, ...]] = []
    vectors = [np.empty((0, rows.dimension), np.float32)]
    count = 0
    for block in rows.blocks(*columns):
        values += [block.rows[place][2:] for place in block.places.tolist()]
        vectors.append(block.vectors)
        count += len(block.rows)
    return values, np.concatenate(vectors), count - len(values)


def _vector_column(resolver: Resolver, names: list[str], model: Model) -> str | None:
    """Return the column of a query that holds a model's vectors, by its name in the registry."""
    known = [model.column] + [
        each.column_name
        for each in resolver.context.registry.vector_columns()
        if each.fingerprint == model.fingerprint and each.source_type == "image"
    ]
    return next((name for each in known for name in names if same_name(name, each)), None)


def _is_incomplete(staging: Staging, source: RowVectors) -> bool:
    if source.column is None:
        return True
    assert source.embedding is not None
    column, image = quote_name(source.column), quote_name(source.embedding.source)
    found = staging.database.row(
        f"SELECT 1 FROM {staging.table} WHERE {column} IS NULL AND {image} IS NOT NULL LIMIT 1"
    )
    return found is not None


def _embed_missing(resolver: Resolver, source: RowVectors, staging: Staging) -> None:
    context, plan = resolver.context, source.embedding
    assert plan is not None
    staging.add_vector_column(source.model.dimension)
    if source.column is not None:
        with context.database.atomic():
            context.database.execute(
                f"UPDATE {staging.table} SET {HIDDEN} = {quote_name(source.column)}"
            )
    (total,) = context.database.row(
        f"SELECT count(*) FROM {staging.table} WHERE {HIDDEN} IS NULL"
    ) or (0,)

    def write(batch: Batch, unchanged: list[int]) -> None:
        context.database.execute_many(
            f"UPDATE {staging.table} SET {HIDDEN} = ? WHERE {staging.row_id} = ?", batch
        )

    plan = replace(plan, column=source.column or "vector")
    with open_store(context) as store:
        rows = staging.sources(plan.source, f"{HIDDEN} IS NULL")
        tally = fill(context, plan, rows, total, write, Contents(context, plan, store))
    warn_of(context, plan, tally)


def _block(rows: list[tuple[Any, ...]], dimension: int) -> Block:
    size, blobs = 4 * dimension, [row[1] for row in rows]
    found = np.arange(len(rows))
    if set(map(type, blobs)) != {bytes} or set(map(len, blobs)) != {size}:
        places = [
            place for place, blob in enumerate(blobs) if type(blob) is bytes and len(blob) == size
        ]
        found, blobs = np.array(places, np.int64), [blobs[place] for place in places]
    vectors = np.frombuffer(b"".join(blobs), "<f4").reshape(-1, dimension)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    fits = np.isfinite(lengths) & (lengths > _SHORTEST)
    if not fits.all():
        found, vectors, lengths = found[fits], vectors[fits], lengths[fits]
    if len(lengths) and np.abs(lengths - 1).max() > 1e-4:
        vectors = vectors / lengths[:, None]
    return Block(rows, found, vectors)
