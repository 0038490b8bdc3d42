"""EVALUATE: how good a classifier, labels without training, or a retrieval is on some rows."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, OperationalError, clip
from ..language import training_options
from ..language.tree import Evaluate, Option
from ..planning.plans import RowsPlan
from ..stores.sqlite.compile import Compiler
from ..training.classifier import Label, ordered
from ..training.metrics import (
    Interval,
    Pairs,
    Predictions,
    by_label,
    classification,
    retrieval,
)
from .examples import labelled_rows, shown
from .labelling import Labeller, LabelSource, find_labels, labeller
from .resolve import Handler, Resolver
from .row_vectors import RowVectors, find_vectors, read_vectors, require_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

KS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class EvaluatePlan:
    """An EVALUATE, checked.

    Attributes:
        node: The statement.
        source: Where the vectors of the rows come from.
        labels: Where the labels come from; None for a retrieval.
        column: The column with the true labels, or with the texts.
        ks: Of a retrieval, how many answers are looked at.
        is_by_label: Whether each label has a row.
        interval: The bootstrap interval, or None.
    """

    node: Evaluate
    source: RowVectors
    labels: LabelSource | None
    column: str
    ks: tuple[int, ...]
    is_by_label: bool
    interval: Interval | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the result's columns."""
        if self.is_by_label:
            return ("label", "rows", "recall", "precision", "f1_score")
        return ("metric", "score", *(("low", "high") if self.interval else ()))


def resolve_evaluate(resolver: Resolver, statement: Evaluate) -> EvaluatePlan:
    """Return what an EVALUATE will do.

    Raises:
        ModelError: No such model, or that of a classifier is missing.
        OperationalError: The rows lack a column.
        StatementError: An option has a value of another kind, or it is not said what is judged.
    """
    arguments = resolver.arguments
    resolver.require_own_tables(statement)
    if resolver.plan.is_stored:
        raise arguments.error(
            f"EVALUATE cannot be part of {resolver.verb}: its figures are those of one moment; keep"
            " them with CREATE TABLE … AS SELECT * FROM (EVALUATE …)",
            statement,
        )
    model = resolver.context.registry.any_model(statement.model)
    label = f"EVALUATE USING {model.name}"
    text = arguments.option(statement, training_options.TRAINED_TEXT_COL)
    column = arguments.option(statement, training_options.LABELS_OF)
    interval = _interval(resolver, statement)
    labels = None
    if text is None:
        is_trained = model.kind == "classifier"
        if column is None and not is_trained and not statement.option(training_options.LABELS.name):
            raise arguments.error(
                f"{label}: {clip(model.name)} is no classifier, so it must be told what to judge",
                statement,
                "write OPTIONS (text_col='…') for how well texts find their images, or"
                " OPTIONS (label_col='…') for labels without training",
            )
        column = column or training_options.LABEL_COL.default
        labels = find_labels(resolver, replace(statement, options=_with_label(statement, column)))
        base = labels.base
    else:
        base, column = resolver.context.registry.model(statement.model), text
    source = find_vectors(resolver, statement, statement.query, base, label)
    content, option = ("the labels", "label_col") if labels else ("the texts", "text_col")
    require_column(source.names, column, label, content, option)
    _refuse_ignored(resolver, statement, label, has_labels=labels is not None)
    ks = _ks(resolver, statement)
    is_by_label = arguments.option(statement, training_options.BY_LABEL)
    if is_by_label and labels is None:
        given = statement.option(training_options.BY_LABEL.name)
        assert given is not None
        raise arguments.error(f"{label}: a retrieval has no labels; leave by_label out", given)
    if is_by_label and interval is not None:
        given = statement.option(training_options.INTERVAL.name)
        assert given is not None
        raise arguments.error(
            f"{label}: the rows of by_label have no interval; leave interval or by_label out", given
        )
    return EvaluatePlan(statement, source, labels, column, ks, is_by_label, interval)


def _refuse_ignored(
    resolver: Resolver, statement: Evaluate, label: str, *, has_labels: bool
) -> None:
    """Refuse the options of the other kind of judgement: what is ignored is rarely meant."""
    of_labels = (training_options.LABELS_OF, training_options.LABELS, training_options.TEMPLATES)
    for spec in (training_options.RECALL_AT,) if has_labels else of_labels:
        given = statement.option(spec.name)
        if given is None:
            continue
        why = (
            "is for how well texts find their images (text_col), and labels are judged here;"
            " leave it out"
            if has_labels
            else "is for labels, and with text_col it is judged how well texts find their images;"
            " leave one of the two out"
        )
        raise resolver.arguments.error(f"{label}: option {spec.name!r} {why}", given)


def perform_evaluate(resolver: Resolver, statement: Evaluate, plan: EvaluatePlan) -> RowsPlan:
    """Judge, and return the rows that say how good it is.

    Raises:
        ModelError: The model cannot be loaded.
        OperationalError: There is nothing to judge, or a label that the classifier has not.
    """
    found = _judged(resolver, plan) if plan.labels is not None else _retrieved(resolver, plan)
    return RowsPlan(plan.columns, tuple(tuple(map(_finite, row)) for row in found))


def _judged(resolver: Resolver, plan: EvaluatePlan) -> Sequence[tuple[Any, ...]]:
    assert plan.labels is not None
    truth, vectors = labelled_rows(resolver, plan.source, plan.column)
    if not truth:
        raise OperationalError(f"{plan.source.label}: no row has a label and a vector to be judged")
    judge = labeller(resolver.context, plan.labels, ordered(truth))
    places: dict[Hashable, int] = {each: place for place, each in enumerate(judge.labels)}
    others = ordered([label for label in truth if label not in places])
    if others:
        raise OperationalError(
            f"{plan.source.label}: the rows have labels that it cannot give: {shown(others)}; it"
            f" has {shown(judge.labels)}; leave those rows out of the query after AS"
        )
    predictions = _predictions(judge, [places[label] for label in truth], vectors)
    if plan.is_by_label:
        there = set(predictions.true.tolist()) | set(predictions.predicted.tolist())
        return [
            (_said(label), *row)
            for place, (label, row) in enumerate(
                zip(judge.labels, by_label(predictions), strict=True)
            )
            if place in there
        ]
    return classification(predictions, plan.interval)


def _predictions(
    judge: Labeller, truth: Sequence[int], vectors: NDArray[np.float32]
) -> Predictions:
    logits = judge.linear.logits(vectors)
    count = len(judge.labels)
    scores = None
    if count == 2:
        # The difference of the logits puts the rows in the order of the second label's probability.
        scores = (logits[:, 1].astype(np.float64) - logits[:, 0]).astype(np.float64)
    true = np.array(truth, np.int64)
    return Predictions(true, logits.argmax(axis=1), count, scores)


def _retrieved(resolver: Resolver, plan: EvaluatePlan) -> Sequence[tuple[Any, ...]]:
    """Judge how well texts find the images of their rows, and images their texts."""
    source, context = plan.source, resolver.context
    # Rows of one image are one answer, as captions of one picture are.
    image = source.embedding.source if source.embedding is not None else source.column
    assert image is not None
    values, vectors, _ = read_vectors(resolver, source, plan.column, image)
    kept = [place for place, (text, _) in enumerate(values) if isinstance(text, str)]
    if len(kept) < 2:
        raise OperationalError(
            f"{source.label}: {len(kept)} rows have a text and an image; a retrieval is judged on"
            " two or more"
        )
    images: dict[Hashable, int] = {}
    texts: dict[str, int] = {}
    first: list[int] = []
    pairs = []
    for place in kept:
        text, picture = values[place]
        if picture not in images:
            images[picture] = len(images)
            first.append(place)
        pairs.append((images[picture], texts.setdefault(text, len(texts))))
    encoder = context.encoder(source.model)
    size = encoder.default_batch_size()
    known = list(texts)
    embedded = [
        encoder.embed_texts(known[start : start + size]) for start in range(0, len(known), size)
    ]
    found = Pairs(vectors[first], np.concatenate(embedded), np.array(pairs, np.int64))
    return retrieval(found, plan.ks, plan.interval)


def _with_label(statement: Evaluate, column: str) -> Any:
    """Return the options with ``label_col``, whose values are the labels where none are given."""
    others = tuple(
        each for each in statement.options if each.name != training_options.LABELS_OF.name
    )
    return (*others, Option(training_options.LABELS_OF.name, column))


def _ks(resolver: Resolver, statement: Evaluate) -> tuple[int, ...]:
    option = statement.option(training_options.RECALL_AT.name)
    if option is None:
        return KS
    values = resolver.arguments.several(option.value)
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise resolver.arguments.error(
                f"option 'k' must be whole numbers of at least 1, got {clip(value)}", option
            )
    return tuple(dict.fromkeys(values))


def _interval(resolver: Resolver, statement: Evaluate) -> Interval | None:
    share = resolver.arguments.option(statement, training_options.INTERVAL)
    if share is None:
        return None
    if not 0 < share < 1:
        option = statement.option(training_options.INTERVAL.name)
        assert option is not None
        raise resolver.arguments.error(
            f"option 'interval' must be between 0 and 1, e.g. 0.95, got {share!r}", option
        )
    return Interval(share, resolver.arguments.option(statement, training_options.TRAINING_SEED))


def _said(label: Label) -> Label:
    if isinstance(label, bytes):
        raise DataError(
            f"EVALUATE: the label {clip(label)} is a BLOB, which by_label cannot show; leave"
            " by_label out"
        )
    return label


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _columns_only(compiler: Compiler, plan: EvaluatePlan) -> str:
    """Return the SELECT for EXPLAIN, which shows no figures: none are computed for it."""
    names = ", ".join(f"NULL AS {name}" for name in plan.columns)
    return f"SELECT {names} FROM ({compiler.parts(plan.node.query.parts)}\n) WHERE 0"


HANDLER = Handler(
    resolve_evaluate,
    perform_evaluate,
    is_repeatable=True,
    selects={EvaluatePlan: _columns_only},
)
