"""SEARCH, CONVERT, PREDICT and EVALUATE as selectables, so that nobody pastes SQL together.

A statement holds the SELECT of its rows as SQLAlchemy's own object: its parameters stay
parameters, its types stay types, and the result goes on into ``select()``, ``aliased()``,
``insert().from_select()`` and the ORM::

    cats = search_image("clip", text="a black cat", query=select(Photo), top_k=5)
    found = aliased(Photo, cats.subquery())
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Union

from sqlalchemy import Float, Integer, String
from sqlalchemy.sql import column
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.selectable import TextualSelect

from thanosql_dbapi.language.names import quote_name

from .clauses import listed, rows_of, selectable, written
from .types import Vector

Text = Union[str, ClauseElement]
Image = Union[str, "os.PathLike[str]", bytes, ClauseElement]

SIMILARITY = "similarity"
PREDICTED = "predict_result"


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
    rows, columns = rows_of(query)
    given = [each for each in columns if each.name != name]
    vector = next((each for each in columns if each.name == name), column(name, Vector()))
    return selectable(["CONVERT USING ", quote_name(model)], options, rows, [*given, vector])


def predict(
    model: str,
    *,
    query: Any,
    labels: Sequence[Text] | None = None,
    templates: Sequence[Text] | None = None,
    label_col: str | None = None,
    label_table: str | None = None,
    image_col: str | None = None,
    emb_col: str | None = None,
    result_col: str = PREDICTED,
    score_col: str | None = None,
    top_k: int | None = None,
) -> TextualSelect:
    """Return ``PREDICT …``: the query's rows with the label that a model gives each.

    Args:
        model: A classifier, or any other registered model, which labels without training.
        query: The rows: a ``select()``, a table or a mapped class.
        labels: The labels, two or more, for a model that is no classifier.
        templates: Texts in which ``{}`` stands for a label. Default: the label alone.
        label_col: The column whose values are the labels, in place of ``labels``.
        label_table: The table of ``label_col``. Default: the query.
        image_col: Column with the images, for rows without a vector.
        emb_col: Column with the vectors. Default: the query's :class:`Vector` column where it has
            exactly one, else the vectors of the model that the rows have.
        result_col: Name of the new column; its values are of the type that the labels have.
        score_col: Name of a column with the label's probability, 0 to 1.
        top_k: Labels a row, best first, a row each, >= 1.

    Returns:
        A selectable with the columns of the query, the label, and the probability if wanted.

    Raises:
        ValueError: The query is no query.

    Example:
        >>> from sqlalchemy import column, table
        >>> photos = table("photos", column("path"), column("clip_clipen"))
        >>> statement = predict("clip", labels=["cat", "dog"], query=photos, score_col="p")
        >>> [column.name for column in statement.selected_columns]
        ['path', 'clip_clipen', 'predict_result', 'p']
    """
    rows, columns = rows_of(query)
    options: dict[str, Any] = {
        "labels": labels,
        "templates": templates,
        "label_col": label_col,
        "label_table": label_table,
        "image_col": image_col,
        "emb_col": _only_vector(columns, emb_col),
        "result_col": result_col,
        "score_col": score_col,
        "top_k": top_k,
    }
    added = [column(result_col), *([column(score_col, Float())] if score_col else [])]
    return selectable(["PREDICT USING ", quote_name(model)], options, rows, [*columns, *added])


def evaluate(
    model: str,
    *,
    query: Any,
    label_col: str | None = None,
    labels: Sequence[Text] | None = None,
    templates: Sequence[Text] | None = None,
    text_col: str | None = None,
    k: Sequence[int] | None = None,
    image_col: str | None = None,
    emb_col: str | None = None,
    by_label: bool = False,
    interval: float | None = None,
    seed: int | None = None,
) -> TextualSelect:
    """Return ``EVALUATE …``: how good a model is on the query's rows.

    Args:
        model: A classifier, or any other registered model.
        query: The rows: a ``select()``, a table or a mapped class.
        label_col: Column with the true labels.
        labels: The labels to choose from, for a model that is no classifier.
        templates: As for :func:`predict`.
        text_col: Column with texts: how well they find their images, and the images them.
        k: How many answers of a retrieval are looked at.
        image_col: As for :func:`predict`.
        emb_col: As for :func:`predict`.
        by_label: A row for each label.
        interval: Share of the bootstrap samples between ``low`` and ``high``, 0 to 1.
        seed: Decides the samples.

    Returns:
        A selectable of ``metric`` and ``score``, with ``interval`` also ``low`` and ``high``; with
        ``by_label`` of ``label``, ``rows``, ``recall``, ``precision`` and ``f1_score``.

    Raises:
        ValueError: The query is no query.
    """
    rows, columns = rows_of(query)
    options: dict[str, Any] = {
        "label_col": label_col,
        "labels": labels,
        "templates": templates,
        "text_col": text_col,
        "k": k,
        "image_col": image_col,
        "emb_col": _only_vector(columns, emb_col),
        "by_label": by_label or None,
        "interval": interval,
        "seed": seed,
    }
    names = ["score", *(["low", "high"] if interval is not None else [])]
    found = [column("metric", String()), *(column(name, Float()) for name in names)]
    if by_label:
        shares = (column(name, Float()) for name in ("recall", "precision", "f1_score"))
        found = [column("label"), column("rows", Integer()), *shares]
    return selectable(["EVALUATE USING ", quote_name(model)], options, rows, found)


def _only_vector(columns: list[Any], emb_col: str | None) -> str | None:
    """Return the column with the vectors that is named, or the only one that there is."""
    vectors = [each.name for each in columns if isinstance(each.type, Vector)]
    return vectors[0] if emb_col is None and len(vectors) == 1 else emb_col


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
    rows, columns = rows_of(query)
    options["emb_col"] = _only_vector(columns, options["emb_col"])
    values = {"text": listed(text), "image": listed(image)}
    count = sum(len(each) for each in values.values())
    if not count:
        raise ValueError(
            f"search_{kind.lower()}: expected text=… or image=… to search for, got neither"
        )
    head: list[str | ClauseElement] = [f"SEARCH {kind}"]
    for name, each in values.items():
        if each:
            head += [f" {name}=", *written(each)]
    head += [" USING ", quote_name(model)]
    result = options["result_col"]
    names = [result] if count == 1 else [f"{result}{number + 1}" for number in range(count)]
    added = [column(name, Float()) for name in names]
    return selectable(head, options, rows, [*columns, *added])
