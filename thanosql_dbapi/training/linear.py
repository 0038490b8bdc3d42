"""A linear classifier on frozen vectors: multinomial logistic regression by torch's L-BFGS.

torch is there wherever vectors are made, so scikit-learn would be one package more for the same
optimum, and torch's runs on a GPU as it is. The vectors are centred and brought to one scale
before, which saves two thirds of the steps; what comes out is for the vectors as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OperationalError
from ..models.forking import in_sound_thread
from ..models.weights import needs_torch

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Strengths of the penalty that are tried, per row, for features of unit variance."""
CHOSEN_ON = 5000
"""Rows that the penalty is chosen on, at most."""
FOLDED = 2000
"""Rows up to which the penalty is chosen by :data:`FOLDS`; beyond, one tenth is held out."""
MOST_STEPS = 200
FOLDS = 3
_SMALL = 1 << 32  # products of a step that one core does in some tenths of a second
_MEMORY = 10  # pairs of gradients that L-BFGS keeps


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear map from vectors to the logits of labels.

    Attributes:
        weights: float32 array (labels, dimension).
        bias: float32 array (labels,).
        is_sigmoid: Whether each label has a probability of its own; else they sum up to 1.
    """

    weights: Floats
    bias: Floats
    is_sigmoid: bool = False

    def logits(self, vectors: Floats) -> Floats:
        """Return the logits of unit vectors.

        Args:
            vectors: float32 array (n, dimension).

        Returns:
            float32 array (n, labels).
        """
        found: Floats = vectors @ self.weights.T
        found += self.bias
        return found

    def probabilities(self, logits: Floats) -> NDArray[np.float64]:
        """Return the probabilities of logits, in float64, of the same shape."""
        values = logits.astype(np.float64)
        if self.is_sigmoid:
            # Of the sign under which exp cannot overflow.
            small = np.exp(-np.abs(values))
            found: NDArray[np.float64] = np.where(values >= 0, 1, small) / (1 + small)
            return found
        values -= values.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(axis=1, keepdims=True)
        return values


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a training gave.

    Attributes:
        model: The classifier.
        penalty: The strength of its penalty.
        steps: Passes over the rows that the last training took.
    """

    model: Linear
    penalty: float
    steps: int


def fit(
    vectors: Floats,
    codes: Codes,
    count: int,
    *,
    seed: int = 0,
    device: str = "cpu",
    advance: Callable[[], None] = lambda: None,
) -> Fitted:
    """Train a classifier; the penalty is the one with the least log loss on rows held out.

    Args:
        vectors: float32 array (n, dimension), unit length.
        codes: int64 array (n,), the label of each row, 0 to count - 1; each is there.
        count: Number of labels, 2 or more.
        seed: Decides which rows are held out.
        device: Where torch computes.
        advance: Called after each step.

    Raises:
        OperationalError: The training gave numbers that are not finite.
    """
    generator = np.random.default_rng(seed)
    problem = _Problem.of(vectors, codes, count, device, advance)
    penalty, start = _chosen(problem, generator)
    weights, bias, steps = problem.minimised(problem.all_rows(), penalty, start)
    return Fitted(problem.unscaled(weights, bias), penalty, steps)


def refit(
    old: Linear,
    old_rows: int,
    vectors: Floats,
    codes: Codes,
    *,
    device: str = "cpu",
    advance: Callable[[], None] = lambda: None,
) -> Fitted:
    """Go on with a classifier on more rows of its labels.

    What it knows of its old rows, which are not there any more, is a penalty on the distance to its
    weights: the second derivative of their log loss where all labels are equally probable, once for
    each of them.

    Args:
        old: The classifier.
        old_rows: The number of rows it was trained on.
        vectors: float32 array (n, dimension), unit length.
        codes: int64 array (n,), the label of each row; some may be missing.
        device: As for :func:`fit`.
        advance: As for :func:`fit`.

    Raises:
        OperationalError: As for :func:`fit`.
    """
    count = len(old.bias)
    problem = _Problem.of(vectors, codes, count, device, advance)
    start = problem.scaled(old)
    penalty = old_rows / len(codes) * (1 / count) * (1 - 1 / count)
    weights, bias, steps = problem.minimised(problem.all_rows(), penalty, start, is_near_start=True)
    return Fitted(problem.unscaled(weights, bias), penalty, steps)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Rows on a device, centred and scaled."""

    features: torch.Tensor
    codes: torch.Tensor
    count: int
    mean: Floats
    scale: float
    advance: Callable[[], None]

    @classmethod
    def of(
        cls, vectors: Floats, codes: Codes, count: int, device: str, advance: Callable[[], None]
    ) -> _Problem:
        with needs_torch():
            import torch
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = vectors - mean
        # One scale for all numbers of a vector: cosines mean the same in every direction.
        scale = float(1 / max(np.sqrt(np.mean(np.square(centred), dtype=np.float64)), 1e-12))
        centred *= np.float32(scale)
        return cls(
            torch.from_numpy(centred).to(device),
            torch.from_numpy(codes).to(device),
            count,
            mean,
            scale,
            advance,
        )

    def all_rows(self) -> torch.Tensor | None:
        return None

    def minimised(
        self,
        rows: torch.Tensor | None,
        penalty: float,
        start: tuple[torch.Tensor, torch.Tensor] | None = None,
        *,
        is_near_start: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return weights, bias and the number of steps that minimise the log loss of some rows."""

        def call() -> tuple[torch.Tensor, torch.Tensor, int]:
            with _threads(self.features, self.count):
                return self._minimised(rows, penalty, start, is_near_start)

        return in_sound_thread(call)

    def _minimised(
        self,
        rows: torch.Tensor | None,
        penalty: float,
        start: tuple[torch.Tensor, torch.Tensor] | None,
        is_near_start: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        import torch
        from torch.nn.functional import cross_entropy

        features = self.features if rows is None else self.features[rows]
        codes = self.codes if rows is None else self.codes[rows]
        first = self._zeros() if start is None else start
        weights, bias = (each.detach().clone().requires_grad_() for each in first)
        solver: Any = torch.optim.LBFGS(
            [weights, bias],
            max_iter=MOST_STEPS,
            tolerance_grad=1e-4,
            tolerance_change=1e-6,
            history_size=_MEMORY,
            line_search_fn="strong_wolfe",
        )
        steps = 0

        def loss() -> Any:
            nonlocal steps
            solver.zero_grad()
            total: Any = cross_entropy(torch.addmm(bias, features, weights.T), codes)
            if is_near_start:
                total = total + penalty / 2 * (weights - first[0]).square().sum()
                total = total + penalty / 2 * (bias - first[1]).square().sum()
            else:
                total = total + penalty / 2 * weights.square().sum()
            total.backward()
            steps += 1
            self.advance()
            return total

        found = solver.step(loss)
        if not bool(torch.isfinite(found)) or not bool(torch.isfinite(weights).all()):
            raise OperationalError(
                "the training gave numbers that are not finite; the vectors may be damaged:"
                " CONVERT the table again"
            )
        return weights.detach(), bias.detach(), steps

    def log_loss(self, rows: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> float:
        import torch
        from torch.nn.functional import cross_entropy

        logits = torch.addmm(bias, self.features[rows], weights.T)
        return float(cross_entropy(logits, self.codes[rows]))

    def unscaled(self, weights: torch.Tensor, bias: torch.Tensor) -> Linear:
        """Return the classifier of vectors as they are."""
        plain = weights.cpu().numpy() * np.float32(self.scale)
        shifted = bias.cpu().numpy() - plain.astype(np.float64) @ self.mean.astype(np.float64)
        return Linear(plain, shifted.astype(np.float32))

    def scaled(self, model: Linear) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        weights = model.weights / np.float32(self.scale)
        bias = (model.bias + model.weights.astype(np.float64) @ self.mean).astype(np.float32)
        device = self.features.device
        return torch.from_numpy(weights).to(device), torch.from_numpy(bias).to(device)

    def _zeros(self) -> tuple[torch.Tensor, torch.Tensor]:
        weights = self.features.new_zeros((self.count, self.features.shape[1]))
        return weights, self.features.new_zeros(self.count)


@contextmanager
def _threads(features: torch.Tensor, count: int) -> Iterator[None]:
    """Compute in one thread where a step is so small that threads would wait for one another."""
    import torch

    before = torch.get_num_threads()
    is_small = features.numel() * count < _SMALL and features.device.type == "cpu"
    torch.set_num_threads(1 if is_small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _chosen(
    problem: _Problem, generator: np.random.Generator
) -> tuple[float, tuple[torch.Tensor, torch.Tensor]]:
    """Return the penalty with the least log loss on rows held out, and the weights it gave."""
    import torch

    codes = problem.codes.cpu().numpy()
    parts = FOLDS if len(codes) <= FOLDED else 10
    part = _parts(codes, parts, generator)
    used = part if len(codes) <= CHOSEN_ON else np.where(_some(part, generator), part, parts)
    losses: dict[float, float] = {}
    found: dict[float, tuple[torch.Tensor, torch.Tensor]] = {}
    starts: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for penalty in PENALTIES:
        sums = []
        for held in range(parts if len(codes) <= FOLDED else 1):
            rows = {
                name: torch.from_numpy(np.flatnonzero(chosen)).to(problem.codes.device)
                for name, chosen in (
                    ("held", used == held),
                    ("trained", (used != held) & (used < parts)),
                )
            }
            if not len(rows["held"]):
                continue
            weights, bias, _ = problem.minimised(rows["trained"], penalty, starts.get(held))
            starts[held] = found[penalty] = weights, bias
            sums.append(problem.log_loss(rows["held"], weights, bias))
        losses[penalty] = float(np.mean(sums)) if sums else penalty
        if losses[penalty] > min(losses.values()):
            break
    best = min(losses, key=lambda penalty: losses[penalty])
    return best, found.get(best, problem._zeros())


def _parts(codes: Codes, parts: int, generator: np.random.Generator) -> Codes:
    """Return a part for each row, each label spread evenly; -1 for one row of each label.

    That row is always trained on, so that no label is missing.
    """
    order = np.lexsort((generator.random(len(codes)), codes))
    first = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    place = np.arange(len(codes)) - np.repeat(first, np.diff(np.r_[first, len(codes)]))
    part = np.empty(len(codes), np.int64)
    part[order] = np.where(place == 0, -1, place % parts)
    return part


def _some(part: Codes, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return which rows the penalty is chosen on: some, and one of each label."""
    share = CHOSEN_ON / len(part)
    chosen: NDArray[np.bool_] = (generator.random(len(part)) < share) | (part < 0)
    return chosen
