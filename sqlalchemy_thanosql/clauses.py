"""A statement's text around SQLAlchemy's expressions: the one way from values to a selectable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Boolean, Float, Integer, LargeBinary, String, literal, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import Column
from sqlalchemy.sql import column
from sqlalchemy.sql.elements import ClauseElement, TextClause
from sqlalchemy.sql.selectable import SelectBase, TextualSelect
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from thanosql_dbapi.errors import clip
from thanosql_dbapi.language.names import quote_text


class Statement(ClauseElement):
    """The text of a statement with SQLAlchemy's expressions in between.

    Attributes:
        texts: The text before, between and after the clauses.
        clauses: Bound parameters, and last the SELECT of the rows.
    """

    __visit_name__ = "thanosql_statement"
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012 - SQLAlchemy's way to say what a cache key holds
        ("texts", InternalTraversal.dp_string_list),
        ("clauses", InternalTraversal.dp_clauseelement_list),
    ]

    def __init__(self, pieces: Iterable[str | ClauseElement]) -> None:
        self.texts: list[str] = [""]
        self.clauses: list[ClauseElement] = []
        for piece in pieces:
            if isinstance(piece, str):
                self.texts[-1] += piece
            else:
                self.clauses.append(piece)
                self.texts.append("")


@compiles(Statement)
def _compile(element: Statement, compiler: Any, **kw: Any) -> str:
    pieces = [element.texts[0]]
    for clause, text in zip(element.clauses, element.texts[1:], strict=True):
        # As in a FROM: such a SELECT sees nothing of the one around it.
        inner = {**kw, "asfrom": True} if isinstance(clause, SelectBase) else kw
        pieces += [compiler.process(clause, **inner), text]
    return "".join(pieces)


def selectable(
    head: list[str | ClauseElement],
    options: Mapping[str, Any],
    rows: SelectBase,
    columns: list[Any],
) -> TextualSelect:
    """Return a statement as a SELECT.

    Args:
        head: How it begins: its words, and values in between.
        options: The values of its options; one that is None is not given.
        rows: Its query.
        columns: The columns that it returns.
    """
    pieces: list[str | ClauseElement] = []
    for name, value in options.items():
        if value is None:
            continue
        # Names are part of the statement; a number may change without another compilation.
        pieces += [", " if pieces else " OPTIONS (", f"{name}="]
        if isinstance(value, str):
            pieces.append(quote_text(value))
        elif isinstance(value, (list, tuple)):
            pieces += _list(value)
        else:
            pieces.append(_bound(value))
    clause = Statement([*head, *pieces, ") AS " if pieces else " AS ", rows])
    # By name: CONVERT may fill a column that the query has in its midst.
    return TextualSelect(clause, columns, positional=False)  # type: ignore[arg-type]


def rows_of(query: Any) -> tuple[SelectBase, list[Any]]:
    """Return the SELECT of the rows and its columns as the statement's result names them."""
    if isinstance(query, TextClause):
        raise ValueError("expected a query with known columns, got text(…); add .columns(…) to it")
    if not isinstance(query, SelectBase):
        try:
            query = select(query)
        except ArgumentError:
            raise ValueError(
                f"expected query=select(…), a table or a mapped class, got {clip(query)}"
            ) from None
    query = query._ensure_disambiguated_names()
    return query, [
        _named(*pair) for pair in zip(query.selected_columns, query.subquery().columns, strict=True)
    ]


def _named(original: Any, exported: Any) -> Any:
    if isinstance(original, Column) and original.name == exported.name:
        return original
    # Stands for the column of the query, without being one of its FROM.
    named: Any = column(exported.name, exported.type)
    named._proxies = [original]
    return named


def listed(value: Any) -> list[Any]:
    """Return one value, several, or none as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def written(values: list[Any]) -> list[str | ClauseElement]:
    """Return how a value, or a list of several, is written."""
    return [_bound(values[0])] if len(values) == 1 else _list(values)


def _list(values: Iterable[Any]) -> list[str | ClauseElement]:
    pieces: list[str | ClauseElement] = ["["]
    for value in values:
        pieces += [", " if len(pieces) > 1 else "", _bound(value)]
    return [*pieces, "]"]


def _bound(value: Any) -> ClauseElement:
    if isinstance(value, ClauseElement):
        return value
    kinds: tuple[tuple[Any, TypeEngine[Any]], ...] = (
        ((bytes, bytearray, memoryview), LargeBinary()),
        (bool, Boolean()),
        (int, Integer()),
        (float, Float()),
    )
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    for classes, kind in kinds:
        if isinstance(value, classes):
            return literal(value, kind)
    return literal(value, String())
