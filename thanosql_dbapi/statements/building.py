"""BUILD MODEL and FIT MODEL: a classifier on the vectors of a registered model.

(With ``text_col``, they train a CLIP: ``clip_building``, ``clip_fitting``.)

Everything is read and trained before a file is written. The folder is published by the database's
commit, as those of GET and UPLOAD are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import (
    ModelError,
    ModelWarning,
    OperationalError,
    clip,
    warn_user,
)
from ..language import grammar, training_options
from ..language.names import same_name
from ..language.tree import BuildModel, FitModel
from ..models.devices import resolve_device
from ..planning.arguments import Arguments
from ..stores.sqlite.registry import Model
from ..training.classifier import Classifier, Label, ordered, write_classifier
from ..training.linear import Floats, fit, refit
from .context import Context
from .examples import labelled_rows, shown
from .labelling import base_model, classifier_of
from .models import install_made
from .new_model import Training, begin, label
from .resolve import Resolver
from .row_vectors import RowVectors, find_vectors
from .tables import require_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

NETWORKS = ("ConvNeXt_Tiny", "ConvNeXt_Base", "EfficientNetV2S", "EfficientNetV2M")
"""Networks of the manuals, in whose place a classifier on vectors is trained."""
LEAST_ROWS = 2
"""Rows a label, on average, below which a column is not taken for one of labels."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled vectors.

    Attributes:
        labels: The label of each row.
        vectors: float32 array (n, dimension), unit length.
    """

    labels: list[Label]
    vectors: Floats


def build_model(context: Context, arguments: Arguments, statement: BuildModel) -> None:
    """Train a classifier, or with ``text_col`` a CLIP, and register it.

    Raises:
        ModelError: The name is taken, or it is not certain which model makes the vectors.
        OperationalError: The rows have no vectors and no images, or their labels cannot be learnt.
    """
    if arguments.option(statement, training_options.TRAINED_TEXT_COL) is not None:
        from .clip_building import build_clip

        build_clip(context, arguments, statement)
        return
    resolver = begin(context, arguments, statement, "classifier")
    base = _base(resolver, statement)
    source = find_vectors(resolver, statement, statement.query, base, label(statement))
    examples = _examples(resolver, statement, source)
    labels = ordered(examples.labels)
    _check_labels(statement, labels, len(examples.labels))
    seed = arguments.option(statement, training_options.TRAINING_SEED)
    with context.settings.progress.track(label(statement), None, "step") as advance:
        found = fit(
            examples.vectors,
            _codes(examples.labels, labels),
            len(labels),
            seed=seed,
            device=resolve_device(context.settings.device),
            advance=lambda: advance(1),
        )
    rows = len(examples.labels)
    classifier = Classifier(
        labels, found.model, base.name, base.fingerprint, rows, found.penalty, seed
    )
    _install(context, arguments, statement, base, classifier)


def fit_model(context: Context, arguments: Arguments, statement: FitModel) -> None:
    """Go on with a classifier on more rows of its labels, or with ``text_col`` with a CLIP.

    Raises:
        ModelError: The name is taken, or there is no such model.
        OperationalError: The rows have other labels, which are listed, or nothing to learn from.
        StatementError: The model is of the other kind than what it is to learn from.
    """
    old = context.registry.any_model(statement.model)
    _check_kind(arguments, statement, old)
    if old.kind != "classifier":
        from .clip_fitting import fit_clip

        fit_clip(context, arguments, statement, old)
        return
    resolver = begin(context, arguments, statement, "classifier")
    base = base_model(context, old)
    before = classifier_of(context, old)
    source = find_vectors(resolver, statement, statement.query, base, label(statement))
    examples = _examples(resolver, statement, source)
    if not examples.labels:
        raise OperationalError(f"{label(statement)}: no row has a label; nothing was changed")
    others = ordered([label for label in examples.labels if label not in before.labels])
    if others:
        raise OperationalError(
            f"{label(statement)}: the rows have labels that {clip(old.name)} was not trained on:"
            f" {shown(others)}; it has {shown(before.labels)}; leave those rows out, or BUILD MODEL"
            " with all rows; nothing was changed"
        )
    with context.settings.progress.track(label(statement), None, "step") as advance:
        found = refit(
            before.linear,
            before.rows,
            examples.vectors,
            _codes(examples.labels, before.labels),
            device=resolve_device(context.settings.device),
            advance=lambda: advance(1),
        )
    classifier = Classifier(
        before.labels,
        found.model,
        base.name,
        base.fingerprint,
        before.rows + len(examples.labels),
        found.penalty,
        before.seed,
    )
    _install(context, arguments, statement, base, classifier)


def _base(resolver: Resolver, statement: BuildModel) -> Model:
    """Return the model that makes the vectors of a BUILD."""
    registry, arguments = resolver.context.registry, resolver.arguments
    wanted = arguments.option(statement, training_options.BASE_MODEL)
    known = registry.embedding_models()
    network = next((each for each in NETWORKS if same_name(each, statement.base)), None)
    named = registry.find_model(statement.base)
    if named is not None and named.kind == "classifier":
        raise ModelError(
            f"BUILD MODEL: {clip(named.name)} is a classifier; FIT MODEL {statement.name} USING"
            f" {named.name} … goes on with it; nothing was changed"
        )
    bases = [each for each in known if same_name(each.base, statement.base)]
    if named is None and network is None and not bases and not same_name(statement.base, "clipen"):
        expected = ", ".join(("CLIPEn", *NETWORKS, *(each.name for each in known)))
        raise ModelError(
            f"BUILD MODEL: no algorithm {clip(statement.base)}; expected one of {expected}; nothing"
            " was changed"
        )
    if wanted is not None:
        base = registry.model(wanted)
    elif named is not None:
        base = named
    else:
        base = _only(resolver, statement, bases or known)
    if network is not None:
        warn_user(
            f"BUILD MODEL {statement.name}: {network} is not trained; a linear classifier on the"
            f" vectors of model {clip(base.name)} is, which takes seconds and needs fewer pictures",
            ModelWarning,
        )
    return base


def _only(resolver: Resolver, statement: BuildModel, known: list[Model]) -> Model:
    """Return the one model that can be meant."""
    if not known:
        raise ModelError(
            "BUILD MODEL: a classifier is trained on the vectors of a model, and this database has"
            " none; GET THANOSQL MODEL storybook_clip gets one (LIST THANOSQL MODEL shows others);"
            " nothing was changed"
        )
    if len(known) == 1:
        return known[0]
    require_tables(resolver.context.database, statement.query)
    names = resolver.context.database.columns(*resolver.compile_query(statement.query))
    columns = {
        each.column_name.lower(): each.fingerprint
        for each in resolver.context.registry.vector_columns()
    }
    prints = {columns[name.lower()] for name in names if name.lower() in columns}
    fitting = [each for each in known if each.fingerprint in prints] or known
    if len({each.fingerprint for each in fitting}) > 1:
        raise ModelError(
            f"BUILD MODEL: several models make vectors: {', '.join(each.name for each in fitting)};"
            " say which with OPTIONS (base_model='…'); nothing was changed"
        )
    # Two names of one model: that of the vectors' column, if there is one.
    own = {name.lower() for name in names}
    return next((each for each in fitting if each.column.lower() in own), fitting[0])


def _examples(resolver: Resolver, statement: Training, source: RowVectors) -> Examples:
    column = resolver.arguments.option(statement, training_options.LABEL_COL)
    return Examples(*labelled_rows(resolver, source, column))


def _check_labels(statement: Training, labels: Sequence[Label], rows: int) -> None:
    """Check that there is something to tell apart, and enough to learn it from."""
    problem = ""
    if not rows:
        problem = "no row has a label and a vector"
    elif len(labels) < 2:
        problem = f"all {rows:,} rows have the label {shown(labels)}; it takes two to tell apart"
    elif rows < LEAST_ROWS * len(labels):
        problem = (
            f"{rows:,} rows have {len(labels):,} different labels, fewer than {LEAST_ROWS} rows a"
            " label; name the column of labels with OPTIONS (label_col='…'), or add rows"
        )
    if problem:
        raise OperationalError(f"{label(statement)}: {problem}; nothing was changed")


def _codes(labels: Sequence[Label], known: Sequence[Label]) -> NDArray[np.int64]:
    places = {label: place for place, label in enumerate(known)}
    return np.fromiter((places[label] for label in labels), np.int64, len(labels))


def _install(
    context: Context,
    arguments: Arguments,
    statement: Training,
    base: Model,
    classifier: Classifier,
) -> None:
    def write(folder: Path) -> str:
        return write_classifier(folder, classifier)

    model = Model(
        name=statement.name,
        base=base.base,
        source=f"model:{base.name}",
        folder="",
        fingerprint="",
        dimension=base.dimension,
        rests_on=base.fingerprint,
    )
    install_made(context, model, write, overwrite=arguments.option(statement, grammar.OVERWRITE))


def _check_kind(arguments: Arguments, statement: FitModel, old: Model) -> None:
    """Check that a FIT of a classifier has labels, and that of a CLIP captions.

    Raises:
        StatementError: It has not.
    """
    text = statement.option(training_options.TRAINED_TEXT_COL.name)
    for_clips = text or statement.option(training_options.METHOD.name)
    if old.kind == "classifier" and for_clips is not None:
        raise arguments.error(
            f"{label(statement)}: {clip(old.name)} is a classifier, which learns from labels; leave"
            f" {for_clips.name} out, or name a model that makes vectors after USING; nothing was"
            " changed",
            for_clips,
        )
    if old.kind != "classifier" and text is None:
        raise arguments.error(
            f"{label(statement)}: {clip(old.name)} is a model that makes vectors, which learns from"
            " captions: name their column with OPTIONS (text_col='…'); nothing was changed",
            statement,
            f"a classifier on labels is BUILD MODEL {statement.name} USING {old.name} OPTIONS"
            " (label_col='…')",
        )
