"""The best rows of which no two say the same: maximal marginal relevance.

Source: Carbonell and Goldstein, https://doi.org/10.1145/290941.291025
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .linear import Floats


def most_varied(vectors: Floats, query: Floats, count: int, diversity: float) -> list[int]:
    """Return the rows to show, best first.

    Each is the row with the most of ``(1 - diversity) * similarity to the query`` less
    ``diversity * similarity to the nearest row before it``.

    Args:
        vectors: float32 array (n, dimension), none of them zero.
        query: float32 array (dimension,).
        count: Rows wanted.
        diversity: 0 to 1; 0 gives the most similar rows.

    Returns:
        Their places in ``vectors``, ``min(n, count)``.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.float32(1e-12))
    gain = (1 - diversity) * (unit @ (query / np.linalg.norm(query)))
    nearest = np.full(len(unit), -np.inf)
    chosen: list[int] = []
    left = np.ones(len(unit), bool)
    while len(chosen) < min(count, len(unit)):
        worth = gain if not chosen else gain - diversity * nearest
        best = int(np.where(left, worth, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, unit @ unit[best])
    return chosen
