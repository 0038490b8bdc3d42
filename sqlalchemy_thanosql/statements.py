"""SEARCH and CONVERT as selectables, so that nobody pastes SQL together.

A statement holds the SELECT of its rows as SQLAlchemy's own object: its parameters stay
parameters, its types stay types, and the result goes on into ``select()``, ``aliased()``,
``insert().from_select()`` and the ORM::

    cats = search_image("clip", text="a black cat", query=select(Photo), top_k=5)
    found = aliased(Photo, cats.subquery())
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

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
from thanosql_dbapi.language.names import quote_name, quote_text

from .types import Vector

Text = Union[str, ClauseElement]
Image = Union[str, "os.PathLike[str]", bytes, ClauseElement]

SIMILARITY = "similarity"


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


def search_image(
    model: str,
    *,
    query: Any,
    text: Text | Sequence[Text] | None = None,
    image: Image | Sequence[Image] | None = None,
    emb_col: str | None = None,
    result_col: str = SIMILARITY,
    top_k: int | None = None,
    threshold: float | None = None,
) -> TextualSelect:
    """Return ``SEARCH IMAGE …``: the query's rows with their similarity to a text or image.

    Args:
        model: A registered model.
        query: The rows: a ``select()``, a table or a mapped class. It has the embedding column.
        text: What to search for; a list gives one similarity each.
        image: Likewise a path, an http(s) URL or the bytes of an image.
        emb_col: The embedding column. Default: the query's :class:`Vector` column where it has
            exactly one, else ``{model}_{base algorithm}``.
        result_col: Name of the new column; with several values it is numbered from 1.
        top_k: Rows to return, >= 1, best first. Default: all rows, in the query's order.
        threshold: Least similarity, -1 to 1, that a row may have.

    Returns:
        A selectable with the columns of the query and the similarity, cosine, -1 to 1.

    Raises:
        ValueError: Neither text nor image is given, or the query is not one.

    Example:
        >>> from sqlalchemy import column, table
        >>> photos = table("photos", column("path"), column("clip_clipen"))
        >>> statement = search_image("clip", text="a black cat", query=photos, top_k=5)
        >>> [column.name for column in statement.selected_columns]
        ['path', 'clip_clipen', 'similarity']
    """
    return _search(
        "IMAGE", model, query, text, image, _options(emb_col, result_col, top_k, threshold)
    )


def search_text(
    model: str,
    *,
    query: Any,
    text: Text | Sequence[Text] | None = None,
    image: Image | Sequence[Image] | None = None,
    emb_col: str | None = None,
    result_col: str = SIMILARITY,
    top_k: int | None = None,
    threshold: float | None = None,
) -> TextualSelect:
    """Return ``SEARCH TEXT …``: as :func:`search_image`, over the embeddings of texts."""
    return _search(
        "TEXT", model, query, text, image, _options(emb_col, result_col, top_k, threshold)
    )


def convert(
    model: str,
    *,
    query: Any,
    table_name: str | None = None,
    image_col: str | None = None,
    text_col: str | None = None,
    convert_type: str | None = None,
    result_col: str | None = None,
    base: str = "clipen",
    batch_size: int | None = None,
    if_exists: str | None = None,
    on_error: str | None = None,
) -> TextualSelect:
    """Return ``CONVERT …``: the query's rows with the embeddings of their images or texts.

    Args:
        model: A registered model.
        query: The rows: a ``select()``, a table or a mapped class.
        table_name: Table that receives the result; the one the query reads is filled in place.
        image_col: Column with the images. Default: ``image_path``.
        text_col: Column with the texts, for ``convert_type='text'``. Default: ``text``.
        convert_type: ``"image"`` (default) or ``"text"``.
        result_col: Name of the new column. Default: ``{model}_{base}``.
        base: The model's base algorithm, of which the default name is made.
        batch_size: Images a forward pass, >= 1. Default: what suits the device.
        if_exists: ``"fail"`` (default), ``"replace"`` or ``"append"``, where another table than
            the query's has that name.
        on_error: ``"null"`` (default) or ``"fail"``: what an unreadable image does.

    Returns:
        A selectable with the columns of the query and the vector.

    Raises:
        ValueError: The query is no query.
    """
    name = result_col or f"{model}_{base}"
    options = {
        "table_name": table_name,
        "image_col": image_col,
        "text_col": text_col,
        "convert_type": convert_type,
        "result_col": result_col,
        "batch_size": batch_size,
        "if_exists": if_exists,
        "on_error": on_error,
    }
    rows, columns = _rows(query)
    given = [each for each in columns if each.name != name]
    vector = next((each for each in columns if each.name == name), column(name, Vector()))
    return _statement(["CONVERT USING ", quote_name(model)], options, rows, [*given, vector])


def _options(
    emb_col: str | None, result_col: str, top_k: int | None, threshold: float | None
) -> dict[str, Any]:
    return {
        "emb_col": emb_col,
        "result_col": result_col,
        "top_k": top_k,
        "threshold": threshold,
    }


def _search(
    kind: str, model: str, query: Any, text: Any, image: Any, options: dict[str, Any]
) -> TextualSelect:
    rows, columns = _rows(query)
    vectors = [each.name for each in columns if isinstance(each.type, Vector)]
    if options["emb_col"] is None and len(vectors) == 1:
        options["emb_col"] = vectors[0]
    values = {"text": _listed(text), "image": _listed(image)}
    count = sum(len(each) for each in values.values())
    if not count:
        raise ValueError(
            f"search_{kind.lower()}: expected text=… or image=… to search for, got neither"
        )
    head: list[str | ClauseElement] = [f"SEARCH {kind}"]
    for name, each in values.items():
        if each:
            head += [f" {name}=", *_written(each)]
    head += [" USING ", quote_name(model)]
    result = options["result_col"]
    names = [result] if count == 1 else [f"{result}{number + 1}" for number in range(count)]
    added = [column(name, Float()) for name in names]
    return _statement(head, options, rows, [*columns, *added])


def _statement(
    head: list[str | ClauseElement],
    options: Mapping[str, Any],
    rows: SelectBase,
    columns: list[Any],
) -> TextualSelect:
    pieces: list[str | ClauseElement] = []
    for name, value in options.items():
        if value is None:
            continue
        # Names are part of the statement; a number may change without another compilation.
        written = quote_text(value) if isinstance(value, str) else _bound(value)
        pieces += [", " if pieces else " OPTIONS (", f"{name}=", written]
    clause = Statement([*head, *pieces, ") AS " if pieces else " AS ", rows])
    # By name: CONVERT may fill a column that the query has in its midst.
    return TextualSelect(clause, columns, positional=False)  # type: ignore[arg-type]


def _rows(query: Any) -> tuple[SelectBase, list[Any]]:
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


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _written(values: list[Any]) -> list[str | ClauseElement]:
    if len(values) == 1:
        return [_bound(values[0])]
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
