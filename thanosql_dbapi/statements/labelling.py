"""Which labels PREDICT and EVALUATE give, and by which linear map of a row's vector.

A classifier has its labels and weights. Any other model labels without training: the weights of a
label are the vector of its text, at the temperature that the model was trained at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, ModelError, OperationalError, clip
from ..language import training_options
from ..language.names import quote_name, same_name
from ..language.tree import Evaluate, Predict, TableName
from ..models.temperature import Temperature, read_temperature
from ..stores.sqlite.registry import Model
from ..training.classifier import Classifier, Label, load_classifier, ordered
from ..training.linear import Linear
from ..vectors import to_vector
from .context import Context
from .resolve import Resolver

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LABELS = 100_000
"""Labels of a column, beyond which it is none of labels."""


@dataclass(frozen=True, eq=False)
class Labeller:
    """Labels vectors.

    Attributes:
        labels: The labels.
        linear: Their logits.
    """

    labels: tuple[Label, ...]
    linear: Linear


@dataclass(frozen=True, eq=False)
class LabelSource:
    """Where the labels come from.

    Attributes:
        model: The classifier, or the model that labels without training.
        base: The model whose vectors are labelled; ``model`` itself without training.
        texts: The labels that are written or bound; None where a column has them, or a classifier.
        column: The column with the labels, or None.
        table: The column's table; None for the query itself.
        templates: What a label is put into before it is embedded, at ``{}``.
    """

    model: Model
    base: Model
    texts: tuple[str, ...] | None = None
    column: str | None = None
    table: TableName | None = None
    templates: tuple[str, ...] = ("{}",)

    @property
    def is_trained(self) -> bool:
        """Whether it is a classifier."""
        return self.model.kind == "classifier"

    def spec(self) -> str:
        """Return as JSON what a view keeps of it."""
        texts = list(self.texts) if self.texts is not None else None
        spec = [self.model.name, self.model.fingerprint, texts, list(self.templates)]
        return json.dumps(spec, ensure_ascii=False)


def find_labels(resolver: Resolver, statement: Predict | Evaluate) -> LabelSource:
    """Return where the labels of a statement come from.

    Raises:
        ModelError: No such model; or it is a classifier whose own model is missing.
        StatementError: A classifier is given labels, or another model is given none.
    """
    arguments, context = resolver.arguments, resolver.context
    verb = type(statement).__name__.upper()
    model = context.registry.any_model(statement.model)
    labels = statement.option(training_options.LABELS.name)
    templates = statement.option(training_options.TEMPLATES.name)
    # For EVALUATE, label_col is what labels are compared with.
    sources = (training_options.LABELS_OF, training_options.LABEL_TABLE)
    of_columns = (
        [statement.option(spec.name) for spec in sources] if isinstance(statement, Predict) else []
    )
    if model.kind == "classifier":
        for given in (labels, templates, *of_columns):
            if given is not None:
                raise arguments.error(
                    f"{verb} USING {model.name}: a classifier has labels of its own; leave option"
                    f" {given.name!r} out, or use a model such as"
                    f" {base_model(context, model).name}, which labels without training",
                    given,
                )
        return LabelSource(model, base_model(context, model))
    column = arguments.option(statement, training_options.LABELS_OF)
    table = None
    if isinstance(statement, Predict):
        name = arguments.option(statement, training_options.LABEL_TABLE)
        table = None if name is None else find_table(context, name, "label_table")
    texts = None
    if labels is not None:
        for given in of_columns:
            if given is not None:
                raise arguments.error(
                    f"{verb} USING {model.name}: the labels are those of option 'labels'; leave"
                    f" option {given.name!r} or 'labels' out",
                    given,
                )
        texts = tuple(_texts(resolver, statement, labels.name))
        if len(texts) < 2:
            raise arguments.error(
                f"{verb}: option 'labels' must have two labels or more, to choose from; got"
                f" {len(texts)}",
                labels,
            )
    elif column is None:
        raise arguments.error(
            f"{verb} USING {model.name}: {clip(model.name)} is no classifier, so it must be told"
            " the labels",
            statement,
            "write OPTIONS (labels=['…', '…']), or label_col='…' for those of a column; BUILD"
            " MODEL … makes a classifier",
        )
    shapes = _texts(resolver, statement, training_options.TEMPLATES.name) if templates else ("{}",)
    for shape in shapes or ("",):
        if shape.count("{}") != 1:
            assert templates is not None
            raise arguments.error(
                f"{verb}: a template must have '{{}}' once, in the label's place; got"
                f" {clip(shape) if shapes else '[]'}",
                templates,
            )
    return LabelSource(model, model, texts, column, table, tuple(shapes))


def base_model(context: Context, classifier: Model) -> Model:
    """Return the registered model whose vectors a classifier reads.

    Raises:
        ModelError: It is not registered, or has changed.
    """
    known = context.registry.embedding_models()
    fitting = [each for each in known if each.fingerprint == classifier.rests_on]
    name = classifier.source.removeprefix("model:")
    if not fitting:
        is_there = any(same_name(each.name, name) for each in known)
        what = "has other weights now" if is_there else "is not in this database"
        raise ModelError(
            f"classifier {clip(classifier.name)} reads the vectors of model {clip(name)}, which"
            f" {what}; get that model back, or BUILD MODEL {classifier.name} again with"
            " OPTIONS (overwrite=True)"
        )
    return next((each for each in fitting if same_name(each.name, name)), fitting[0])


def classifier_of(context: Context, model: Model) -> Classifier:
    """Return a registered classifier.

    Raises:
        ModelError: Its files are missing or damaged.
    """
    return load_classifier(context.model_folder(model), model.fingerprint)


def labeller(
    context: Context,
    source: LabelSource,
    column_labels: Sequence[Any] = (),
    *,
    with_scores: bool = True,
) -> Labeller:
    """Return what labels vectors.

    Args:
        context: The connection.
        source: Where the labels come from.
        column_labels: The labels of the column, where they come from one.
        with_scores: Whether probabilities are wanted, for which the temperature is read.

    Raises:
        ModelError: The model cannot be loaded.
        OperationalError: There are fewer than two labels.
    """
    if source.is_trained:
        classifier = classifier_of(context, source.model)
        return Labeller(classifier.labels, classifier.linear)
    labels = source.texts if source.texts is not None else ordered(column_labels)
    if len(labels) < 2:
        raise OperationalError(
            f"column {clip(source.column)} has {len(labels)} different labels; to choose from"
            " some, there must be two or more; write them with OPTIONS (labels=['…', '…'])"
        )
    model = source.base
    folder = context.model_folder(model)
    temperature = read_temperature(folder, model.fingerprint) if with_scores else Temperature(1.0)
    vectors = np.stack([_mean(context, model, str(each), source.templates) for each in labels])
    weights = (vectors * temperature.scale).astype(np.float32)
    bias = np.full(len(labels), temperature.bias, np.float32)
    return Labeller(tuple(labels), Linear(weights, bias, temperature.is_sigmoid))


def labels_of_table(context: Context, source: LabelSource) -> list[Any]:
    """Return the labels of the column of a table, each once.

    Raises:
        OperationalError: There is no such table or column, or there are too many labels.
    """
    assert source.table is not None
    assert source.column is not None
    # SQLite reads a quoted name that is no column as a text.
    there = context.database.table_columns(source.table.schema, source.table.name)
    if not any(same_name(source.column, name) for name, _ in there):
        raise OperationalError(
            f"table {clip(source.table.name)} has no column {clip(source.column)} (it has"
            f" {', '.join(name for name, _ in there)}); name the column with the labels with"
            " OPTIONS (label_col='…')"
        )
    return different(
        context.database.rows(
            f"SELECT DISTINCT {quote_name(source.column)}"
            f" FROM {quote_name(source.table.schema, source.table.name)} LIMIT {MOST_LABELS + 1}"
        ),
        source.column,
    )


def different(rows: Sequence[tuple[Any, ...]], column: str) -> list[Any]:
    """Return the labels of some rows' first column, but for NULL.

    Raises:
        OperationalError: There are too many.
    """
    found = list(dict.fromkeys(row[0] for row in rows if row[0] is not None))
    if len(found) > MOST_LABELS:
        raise OperationalError(
            f"column {clip(column)} has more than {MOST_LABELS:,} different values, so it is none"
            " of labels; name another with OPTIONS (label_col='…')"
        )
    return found


def label_in_sql(context: Context, spec: str, vector: Any, *, wants_score: bool) -> Any:
    """Return the label of a vector, or its probability, for an SQL function in a view.

    Args:
        context: The connection.
        spec: :meth:`LabelSource.spec`.
        vector: float32 BLOB, or None, which has no label.
        wants_score: Whether the probability is wanted.

    Raises:
        ModelError: The model was replaced since the view was made.
        DataError: The vector is of another length.
    """
    if vector is None:
        return None
    # A view's rows are many; only a change of the database can have replaced the model.
    moment = (
        context.database.row("PRAGMA main.data_version"),
        context.database.connection.total_changes,
    )
    kept, known = context.state.labellers.get(spec, (None, None))
    if known is None or kept != moment:
        name, fingerprint, texts, templates = json.loads(spec)
        model = context.registry.any_model(name)
        if model.fingerprint != fingerprint:
            raise ModelError(
                f"model {clip(model.name)} was replaced since the view over its PREDICT was made;"
                " make the view again, or get the old model back"
            )
        base = base_model(context, model) if model.kind == "classifier" else model
        texts = None if texts is None else tuple(texts)
        source = LabelSource(model, base, texts, templates=tuple(templates))
        known = labeller(context, source)
        context.state.labellers[spec] = moment, known
    found = known.linear
    if not isinstance(vector, bytes) or len(vector) != 4 * found.weights.shape[1]:
        raise DataError(
            f"predict_label: expected a vector of {found.weights.shape[1]} dimensions, got"
            f" {clip(vector)}"
        )
    array = to_vector(vector)
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(array))
    if not np.isfinite(length) or length == 0:
        return None
    logits = found.logits((array / length)[None, :].astype(np.float32))
    best = int(logits[0].argmax())
    return float(found.probabilities(logits)[0, best]) if wants_score else known.labels[best]


def _mean(
    context: Context, model: Model, label: str, templates: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return the direction of a label's texts: the mean of their vectors, of unit length."""
    texts = [template.replace("{}", label) for template in templates]
    vectors = map(to_vector, context.embed_queries("text", model.name, texts))
    mean = np.mean(list(vectors), axis=0)
    unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return unit


def _texts(resolver: Resolver, statement: Predict | Evaluate, name: str) -> list[str]:
    option = statement.option(name)
    assert option is not None
    values = resolver.arguments.several(option.value)
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise resolver.arguments.error(
                f"option {name!r} must be a list of texts, got {clip(value)} in it", option
            )
    return list(dict.fromkeys(values))


def find_table(context: Context, name: str, option: str, content: str = "labels") -> TableName:
    """Return the table that an option names, ``table`` or ``schema.table``.

    Raises:
        OperationalError: There is none.
    """
    found = context.database.find_table(None, name)
    schema, dot, rest = name.partition(".")
    if found is None and dot:
        found = context.database.find_table(schema, rest)
    if found is None:
        raise OperationalError(f"no such table: {name}; option {option} names one with {content}")
    return TableName(found[1], found[0])
