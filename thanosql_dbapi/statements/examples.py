"""The rows that a classifier learns from or is judged by: their labels and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelWarning, clip, warn_user
from ..training.classifier import Label
from .resolve import Resolver
from .row_vectors import RowVectors, read_vectors, require_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN_LABELS = 10


def shown(labels: Sequence[Label]) -> str:
    """Return the first labels for a message."""
    first = ", ".join(clip(label) for label in labels[:SHOWN_LABELS])
    more = len(labels) - SHOWN_LABELS
    return f"{first} and {more:,} more" if more > 0 else first


def labelled_rows(
    resolver: Resolver, source: RowVectors, label_col: str
) -> tuple[list[Any], NDArray[np.float32]]:
    """Return the labels and vectors of a query's rows, those without either left out.

    A warning says how many were left out, and why.
    """
    require_column(source.names, label_col, source.label, "the labels", "label_col")
    values, vectors, without = read_vectors(resolver, source, label_col)
    labels = [label for (label,) in values]
    known = np.fromiter((label is not None for label in labels), bool, len(labels))
    missing = len(labels) - int(known.sum())
    left_out = [
        f"{count:,} rows have {what}"
        for count, what in ((missing, f"NULL as {clip(label_col)}"), (without, "no vector"))
        if count
    ]
    if left_out:
        warn_user(f"{source.label}: {' and '.join(left_out)}, and are left out", ModelWarning)
    if missing:
        labels, vectors = [label for label in labels if label is not None], vectors[known]
    return labels, vectors
