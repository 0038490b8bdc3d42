"""PREDICT: the label of each row of a query, by a classifier or by the texts of labels.

The vectors of the rows are read in blocks, and their product with all labels is one matrix. What
comes out is a BLOB of one number a row, out of which SQL cuts that of a row by its key. So a table
of a million rows is neither copied nor joined, and the result composes as any SELECT.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import OperationalError, clip
from ..language import training_options
from ..language.names import quote_name, quote_text, same_name
from ..language.narrowing import narrowing
from ..language.tree import Part, Predict
from ..stores.sqlite.compile import Compiler, literal
from ..training.classifier import Label
from .context import Context
from .labelling import (
    Labeller,
    LabelSource,
    different,
    find_labels,
    labeller,
    labels_of_table,
)
from .resolve import Handler, Resolver, does_work
from .row_vectors import Block, OpenRows, RowVectors, find_vectors, opened, stage
from .staging import KEY, new_table, with_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MISSING = 2**32 - 1
_CODE_BYTES, _SCORE_BYTES = 4, 8
_FEW_LABELS = 32  # up to which a CASE is quicker than an index
_SPARSE, _SLACK = 4, 1000
"""Row ids may span so many times the rows, and so many more."""


@dataclass(frozen=True, eq=False)
class PredictPlan:
    """A PREDICT, checked.

    Attributes:
        node: The statement.
        source: Where the vectors come from.
        labels: Where the labels come from.
        name: The column of the label.
        score: The column of its probability, or None.
        best: How many labels a row gets.
    """

    node: Predict
    source: RowVectors
    labels: LabelSource
    name: str
    score: str | None
    best: int


@dataclass(frozen=True, eq=False)
class PredictedRows:
    """What a PREDICT found: its rows, and the labels by their keys.

    Attributes:
        plan: The statement.
        parts: The SQL of the rows with their keys.
        first: The least key.
        ranks: How many labels a row has.
        codes: Four bytes for each key and rank: the number of the label, all ones for none.
        scores: Eight bytes for each, or None.
        labels: The labels.
        table: The temporary table of the labels by number, quoted; None for a few.
    """

    plan: PredictPlan
    parts: tuple[Part, ...]
    first: int
    ranks: int
    codes: bytes
    scores: bytes | None
    labels: tuple[Label, ...]
    table: str | None


def resolve_predict(resolver: Resolver, statement: Predict) -> PredictPlan:
    """Return what a PREDICT will do.

    Raises:
        ModelError: No such model, or that of a classifier is missing.
        OperationalError: The rows have neither vectors nor images, or a column of the result's
            name.
        StatementError: An option has a value of another kind, or the labels are missing.
    """
    arguments = resolver.arguments
    resolver.require_own_tables(statement)
    labels = find_labels(resolver, statement)
    label = f"PREDICT USING {labels.model.name}"
    source = find_vectors(resolver, statement, statement.query, labels.base, label)
    plan = PredictPlan(
        statement,
        source,
        labels,
        arguments.option(statement, training_options.PREDICTED_COL),
        arguments.option(statement, training_options.SCORE_COL),
        arguments.option(statement, training_options.BEST_LABELS, 1),
    )
    added = [plan.name, *([plan.score] if plan.score is not None else [])]
    for number, name in enumerate(added):
        taken = any(same_name(name, each) for each in (*source.names, *added[:number]))
        if taken:
            option = "score_col" if number else "result_col"
            raise OperationalError(
                f"{label}: the rows have a column {clip(name)} already; name the new one with"
                f" OPTIONS ({option}='…'), or leave that column out of the query after AS"
            )
    if resolver.plan.is_stored:
        _check_stored(resolver, statement, plan)
    return plan


def perform_predict(resolver: Resolver, statement: Predict, plan: PredictPlan) -> PredictedRows:
    """Label the rows of a PREDICT.

    Raises:
        ModelError: The model cannot be loaded.
        OperationalError: A column has fewer than two labels.
    """
    with_scores = plan.score is not None
    found = labeller(
        resolver.context,
        plan.labels,
        _column_labels(resolver, plan),
        with_scores=with_scores or plan.best > 1,
    )
    predicted = None
    rows = _table_rows(resolver, plan)
    if rows is not None:
        predicted = _labelled(resolver.context, plan, rows, found)
    if predicted is None:
        predicted = _labelled(resolver.context, plan, stage(resolver, plan.source), found)
    assert predicted is not None
    return predicted


def _check_stored(resolver: Resolver, statement: Predict, plan: PredictPlan) -> None:
    problem = ""
    if plan.best > 1:
        problem = "cannot give several labels a row (top_k)"
    elif not plan.labels.is_trained and plan.labels.texts is None:
        problem = "needs its labels written, OPTIONS (labels=['…', '…'])"
    if problem:
        raise resolver.arguments.error(f"PREDICT inside {resolver.verb} {problem}", statement)


def _column_labels(resolver: Resolver, plan: PredictPlan) -> list[Any]:
    """Return the labels of a zero-shot PREDICT whose labels are a column's."""
    labels = plan.labels
    if labels.is_trained or labels.texts is not None or labels.column is None:
        return []
    if labels.table is not None:
        return labels_of_table(resolver.context, labels)
    if not any(same_name(labels.column, name) for name in plan.source.names):
        raise OperationalError(
            f"{plan.source.label}: the query has no column {clip(labels.column)} (it has"
            f" {', '.join(plan.source.names)}); name the column with the labels with"
            " OPTIONS (label_col='…'), and its table with label_table='…'"
        )
    compiled = resolver.compile_query(plan.node.query)
    sql = f"SELECT DISTINCT {quote_name(labels.column)} FROM ({compiled.sql}\n)"
    return different(resolver.context.database.rows(sql, compiled.parameters), labels.column)


def _table_rows(resolver: Resolver, plan: PredictPlan) -> OpenRows | None:
    """Return the rows of a query of one table where they are, None where they must be copied.

    A statement that writes is run for rows that were copied, unless a transaction keeps others from
    writing meanwhile. One that only reads is run again if somebody has.
    """
    context, column = resolver.context, plan.source.column
    is_steady = resolver.verb == "SELECT" or context.database.connection.in_transaction
    if column is None or not is_steady or does_work(plan.node.query):
        return None
    found = narrowing(plan.node.query, column)
    if found is None:
        return None
    table = context.database.find_table(found.table.table.schema, found.table.table.name)
    if table is None or table[2] != "table":
        return None
    row_id = context.database.row_id(table[0], table[1])
    parts = row_id and with_keys(plan.node.query, [f"{found.table.reference}.{row_id}"])
    return opened(resolver, parts, column, plan.source.model.dimension) if parts else None


def _labelled(
    context: Context, plan: PredictPlan, rows: OpenRows, found: Labeller
) -> PredictedRows | None:
    """Return the labels of rows; None where they must be copied, and embedded first."""
    ranks = min(plan.best, len(found.labels))
    embedding = None if rows.is_copy else plan.source.embedding
    images = [] if embedding is None else [embedding.source]
    pieces = []
    for block in rows.blocks(*images):
        if images and _lack_vectors(block):
            return None
        pieces.append(_piece(block, found, ranks, with_scores=plan.score is not None))
    keys = np.concatenate([piece.keys for piece in pieces] or [np.empty(0, np.int64)])
    first = int(keys.min()) if len(keys) else 0
    span = int(keys.max()) - first + 1 if len(keys) else 0
    if not rows.is_copy and span > _SPARSE * len(keys) + _SLACK:
        return None
    places = keys - first
    codes = np.full((span, ranks), _MISSING, ">u4")
    codes[places] = np.concatenate([piece.codes for piece in pieces] or [codes])
    scores = None
    if plan.score is not None:
        scores = np.full((span, ranks), np.nan, "<f8")
        scores[places] = np.concatenate([piece.scores for piece in pieces] or [scores])
    return PredictedRows(
        plan,
        rows.parts,
        first,
        ranks,
        codes.tobytes(),
        None if scores is None else scores.tobytes(),
        found.labels,
        _label_table(context, found) if len(found.labels) > _FEW_LABELS else None,
    )


class _Piece(NamedTuple):
    """The labels of a block, best first: keys (n,), codes and scores (n, ranks)."""

    keys: NDArray[np.int64]
    codes: NDArray[Any]
    scores: NDArray[np.float64]


def _piece(block: Block, found: Labeller, ranks: int, *, with_scores: bool) -> _Piece:
    count = len(block.rows)
    codes = np.full((count, ranks), _MISSING, ">u4")
    scores = np.full((count, ranks), np.nan)
    logits = found.linear.logits(block.vectors)
    if ranks == 1:
        best = logits.argmax(axis=1)[:, None]
    else:
        best = np.argsort(-logits, axis=1, kind="stable")[:, :ranks]
    codes[block.places] = best
    if with_scores:
        probabilities = found.linear.probabilities(logits)
        scores[block.places] = np.take_along_axis(probabilities, best, axis=1)
    keys = np.fromiter((row[0] for row in block.rows), np.int64, count)
    return _Piece(keys, codes, scores)


def _lack_vectors(block: Block) -> bool:
    """Return whether a row has no vector and an image, the third value of each row."""
    return len(block.places) < len(block.rows) and any(
        row[1] is None and row[2] is not None for row in block.rows
    )


def _label_table(context: Context, found: Labeller) -> str:
    """Return a temporary table of the labels by their codes.

    It is made by DDL alone: before an INSERT sqlite3 would begin a transaction, and leave it open.
    """
    name = new_table(context)
    rows = ", ".join(
        f"({_code(code)}, {literal(label)})" for code, label in enumerate(found.labels)
    )
    context.database.execute(
        f"CREATE TEMP TABLE {quote_name(name)} AS"
        f" SELECT column1 AS code, column2 AS label FROM (VALUES {rows})"
    )
    index = quote_name("temp", f"{name}_code")
    context.database.execute(f"CREATE UNIQUE INDEX {index} ON {quote_name(name)} (code)")
    return quote_name("temp", name)


def _code(number: int) -> str:
    return f"x'{number.to_bytes(_CODE_BYTES, 'big').hex()}'"


def _predicted(compiler: Compiler, found: PredictedRows) -> str:
    plan, codes = found.plan, compiler.bind(found.codes)
    names = ", ".join(f"q.{quote_name(name)}" for name in plan.source.names)
    place = f"(q.{KEY}0 - {compiler.bind(found.first)})"
    if found.ranks > 1:
        place = f"({place} * {found.ranks} + r.value)"
    code = f"substr({codes}, {place} * {_CODE_BYTES} + 1, {_CODE_BYTES})"
    if found.table is None:
        cases = " ".join(
            f"WHEN {_code(number)} THEN {compiler.bind(label)}"
            for number, label in enumerate(found.labels)
        )
        label = f"CASE {code} {cases} END"
    else:
        label = f"(SELECT l.label FROM {found.table} AS l WHERE l.code = {code})"
    added = f"{label} AS {quote_name(plan.name)}"
    if found.scores is not None and plan.score is not None:
        scores = compiler.bind(found.scores)
        cut = f"substr({scores}, {place} * {_SCORE_BYTES} + 1, {_SCORE_BYTES})"
        added += f", thanosql_real({cut}) AS {quote_name(plan.score)}"
    sql = f"SELECT {names}, {added} FROM ({compiler.parts(found.parts)}\n) AS q"
    if found.ranks > 1:
        ranks = quote_text(json.dumps(list(range(found.ranks))))
        # A CROSS JOIN keeps the order: the rows as they come, each with its best label first.
        sql += f" CROSS JOIN json_each({ranks}) AS r"
        sql += f" WHERE r.value = 0 OR {code} <> {_code(_MISSING)}"
    return sql


def _function_form(compiler: Compiler, plan: PredictPlan) -> str:
    """Return the SELECT for a view or trigger: it labels whenever it runs, row by row."""
    column, embedding = plan.source.column, plan.source.embedding
    vector = "" if column is None else f"q.{quote_name(column)}"
    if embedding is not None:
        made = embedding.call("q")
        vector = f"coalesce({vector}, {made})" if vector else made
    spec = quote_text(plan.labels.spec())
    added = f"predict_label({spec}, {vector}) AS {quote_name(plan.name)}"
    if plan.score is not None:
        added += f", predict_score({spec}, {vector}) AS {quote_name(plan.score)}"
    return f"SELECT q.*, {added} FROM ({compiler.parts(plan.node.query.parts)}\n) AS q"


HANDLER = Handler(
    resolve_predict,
    perform_predict,
    is_repeatable=True,
    selects={PredictPlan: _function_form, PredictedRows: _predicted},
)
