"""How good predictions are, as the manuals name the measures; and how sure that is.

Every measure takes a weight for each row, so that a bootstrap is the same measure of other weights.
The values are those of scikit-learn's functions with ``zero_division=0``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .linear import Codes, Floats

Numbers = NDArray[np.float64]

RESAMPLES = 1000
"""Bootstrap samples of an interval."""
_CELLS = 1 << 24  # similarities held at once


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval.

    Attributes:
        share: The share of resamples within, 0 to 1.
        seed: Decides the resamples.
    """

    share: float
    seed: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """Labels of rows, and what was predicted for them.

    Attributes:
        true: int64 array (n,).
        predicted: int64 array (n,).
        count: Number of labels.
        scores: With two labels, float64 array (n,): the probability of the second.
    """

    true: Codes
    predicted: Codes
    count: int
    scores: Numbers | None = None


def classification(found: Predictions, interval: Interval | None = None) -> list[tuple[str, ...]]:
    """Return (metric, score) or (metric, score, low, high) of predictions.

    With two labels: Accuracy, ROCAUC, Recall, Precision, F1-Score, Kappa, MCC, of the second label.
    With more: Accuracy, and macro-Recall, macro-Precision, macro-f1-score over the labels that are
    true or predicted somewhere. A measure that is not defined is NaN.
    """
    is_binary = found.count == 2
    cells = found.true * found.count + found.predicted
    area = _area(found) if is_binary else None
    names = (
        ("Accuracy", "ROCAUC", "Recall", "Precision", "F1-Score", "Kappa", "MCC")
        if is_binary
        else ("Accuracy", "macro-Recall", "macro-Precision", "macro-f1-score")
    )

    def measure(weights: Numbers) -> Numbers:
        flat: Numbers = np.bincount(cells, weights, minlength=found.count**2).astype(np.float64)
        table = flat.reshape(found.count, found.count)
        return _binary(table, area, weights) if is_binary else _macro(table)

    return _rows(names, measure, len(cells), interval)


def by_label(found: Predictions) -> list[tuple[int, float, float, float]]:
    """Return (rows, recall, precision, F1) of each label."""
    flat = np.bincount(found.true * found.count + found.predicted, minlength=found.count**2)
    table = flat.reshape(found.count, found.count).astype(np.float64)
    recall, precision, f1 = _each(table)
    support = table.sum(axis=1).astype(int).tolist()
    return list(zip(support, recall.tolist(), precision.tolist(), f1.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures and texts, and which belong together.

    Attributes:
        images: float32 array (m, dimension), unit length: the different pictures.
        texts: float32 array (n, dimension), unit length: the different texts.
        rows: int64 array (r, 2): picture and text of each row.
    """

    images: Floats
    texts: Floats
    rows: NDArray[np.int64]


def retrieval(
    found: Pairs, ks: Sequence[int], interval: Interval | None = None
) -> list[tuple[str, ...]]:
    """Return (metric, score) of a search for the picture of a text, and for the text of a picture.

    The rank of a question is that of the first answer that belongs to it. What is as similar and
    does not belong to it comes before.
    """
    ranks = {
        "text to image": _ranks(found.texts, found.images, found.rows[:, ::-1]),
        "image to text": _ranks(found.images, found.texts, found.rows),
    }
    result = []
    for way, each in ranks.items():
        names = [f"{way} Recall@{k}" for k in ks] + [f"{way} median rank"]

        def measure(weights: Numbers, each: NDArray[np.int64] = each) -> Numbers:
            total = weights.sum()
            recalls = [weights[each <= k].sum() / total for k in ks]
            return np.array([*recalls, _median(each, weights)])

        result += _rows(names, measure, len(each), interval)
    return result


def _rows(
    names: Sequence[str],
    measure: Callable[[Numbers], Numbers],
    count: int,
    interval: Interval | None,
) -> list[tuple[str, ...]]:
    scores = measure(np.ones(count))
    columns: list[Numbers] = [scores]
    if interval is not None:
        generator = np.random.default_rng(interval.seed)
        samples = np.stack(
            [
                measure(
                    np.bincount(generator.integers(count, size=count), minlength=count).astype(
                        float
                    )
                )
                for _ in range(RESAMPLES)
            ]
        )
        tail = (1 - interval.share) / 2
        columns += [_quantiles(samples, share) for share in (tail, 1 - tail)]
    return list(zip(names, *(each.tolist() for each in columns), strict=True))


def _quantiles(samples: Numbers, share: float) -> Numbers:
    """Return a quantile of each column's samples that are defined, NaN where none is."""
    found = np.full(samples.shape[1], np.nan)
    is_defined = ~np.isnan(samples).all(axis=0)
    found[is_defined] = np.nanquantile(samples[:, is_defined], share, axis=0)
    return found


def _each(table: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return recall, precision and F1 of each label, 0 where there is nothing to divide by."""
    hits, true, predicted = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    return _share(hits, true), _share(hits, predicted), _share(2 * hits, true + predicted)


def _share(part: Numbers, whole: Numbers) -> Numbers:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _macro(table: Numbers) -> Numbers:
    there = (table.sum(axis=0) + table.sum(axis=1)) > 0
    means = [each[there].mean() for each in _each(table)]
    return np.array([table.trace() / table.sum(), *means])


def _binary(table: Numbers, area: Callable[[Numbers], float] | None, weights: Numbers) -> Numbers:
    total = table.sum()
    recall, precision, f1 = (each[1] for each in _each(table))
    true, predicted = table.sum(axis=1) / total, table.sum(axis=0) / total
    accuracy, chance = table.trace() / total, float(true @ predicted)
    kappa = (accuracy - chance) / (1 - chance) if chance < 1 else np.nan
    spread = np.sqrt(true.prod() * predicted.prod())
    covariance = table[1, 1] / total - true[1] * predicted[1]
    mcc = covariance / spread if spread > 0 else 0.0
    auc = area(weights) if area is not None else np.nan
    return np.array([accuracy, auc, recall, precision, f1, kappa, mcc])


def _area(found: Predictions) -> Callable[[Numbers], float] | None:
    """Return what gives the area under the ROC curve for weights; the rows are sorted once."""
    if found.scores is None:
        return None
    _, group = np.unique(found.scores, return_inverse=True)
    groups = int(group.max()) + 1 if len(group) else 0
    is_positive = found.true == 1

    def area(weights: Numbers) -> float:
        positive = np.bincount(group[is_positive], weights[is_positive], minlength=groups)
        negative = np.bincount(group[~is_positive], weights[~is_positive], minlength=groups)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative / 2  # half of those that are equal
        return float(positive @ below / pairs) if pairs > 0 else float("nan")

    return area


def _ranks(questions: Floats, answers: Floats, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of the first answer that belongs to each question, 1 the best."""
    order = np.argsort(pairs[:, 0], kind="stable")
    owner, own = pairs[order, 0], pairs[order, 1]
    ranks = np.empty(len(questions), np.int64)
    step = max(1, _CELLS // max(1, len(answers)))
    for first in range(0, len(questions), step):
        similar = questions[first : first + step] @ answers.T
        begin, end = np.searchsorted(owner, [first, first + len(similar)])
        places = owner[begin:end] - first, own[begin:end]
        best = np.full(len(similar), -np.inf, np.float32)
        np.maximum.at(best, places[0], similar[places])
        similar[places] = -np.inf  # all that belong to it come after the best of them
        ranks[first : first + step] = 1 + (similar >= best[:, None]).sum(axis=1)
    return ranks


def _median(ranks: NDArray[np.int64], weights: Numbers) -> float:
    values, counts = np.unique(ranks, return_inverse=True)
    below = np.cumsum(np.bincount(counts, weights))
    half = below[-1] / 2
    low = values[np.searchsorted(below, half, side="left")]
    high = values[min(np.searchsorted(below, half, side="right"), len(values) - 1)]
    return float(low + high) / 2
