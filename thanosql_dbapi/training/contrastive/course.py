"""A whole training: steps, looks at pictures held out, stops, and the best weights.

A step is decided by the seed and its number alone, so a training that was stopped and goes on takes
the steps that it would have taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import OperationalError, clip
from .judging import Recall
from .learner import Batch, Learner
from .work import Work

if TYPE_CHECKING:
    import torch

_WARM_UP = 60  # steps
_COOLS = 0.4  # share of the training over which the rates come down to nothing
_LOOKS = 50, 1000  # steps from one look at what was held out to the next, least and most
_SAVE_S = 60.0  # seconds between checkpoints, at least …
_SAVE_TIMES = 20  # … and so many times what the last one took


@dataclass(frozen=True)
class Plan:
    """How long to train.

    Attributes:
        steps: Most steps.
        look: Steps from one look at what was held out to the next.
        max_seconds: Ends the training, the seconds of earlier tries included; None is no end.
        looks_first: Whether there is a look before the first step. What was there then is kept
            unless a later look finds better.
    """

    steps: int
    look: int
    max_seconds: float | None = None
    looks_first: bool = False

    @classmethod
    def of(
        cls,
        epochs: int,
        steps_per_epoch: int,
        max_seconds: float | None = None,
        *,
        looks_first: bool = False,
    ) -> Plan:
        """Return the plan of so many epochs."""
        least, most = _LOOKS
        if looks_first:  # what was trained before may be at its best after few steps
            least = 1
        look = min(most, max(least, steps_per_epoch))
        return cls(epochs * steps_per_epoch, look, max_seconds, looks_first)

    def pace(self, step: int, seconds: float) -> float:
        """Return a step's share of the peak learning rates: warm up, hold, and come down to 0."""
        left = 1 - self.done(step, seconds)
        return min(1.0, (step + 1) / min(_WARM_UP, 1 + self.steps // 10)) * min(1.0, left / _COOLS)

    def done(self, step: int, seconds: float) -> float:
        """Return the share of the training that is done, 0 to 1, by steps or by time."""
        by_time = seconds / self.max_seconds if self.max_seconds else 0.0
        return min(1.0, max(step / self.steps, by_time))


@dataclass(frozen=True)
class Outcome:
    """What a training gave; the best weights are in the model.

    Attributes:
        steps: Steps that were taken.
        loss: The running mean of the contrastive loss at the end.
        recall: The best weights' recall, or None where nothing was held out.
        first_recall: The recall before the first step, where there was a look at it.
        last_recall: The recall at the last look.
        best_step: The step after which they were reached.
        seconds: Seconds it took, earlier tries included.
        stopped: Why it ended: ``"steps"``, ``"time"`` or ``"interrupt"``.
    """

    steps: int
    loss: float
    recall: Recall | None
    first_recall: Recall | None
    last_recall: Recall | None
    best_step: int
    seconds: float
    stopped: str


class Tell(Protocol):
    """Hears of each step."""

    def __call__(self, step: int, seconds: float, loss: float, recall: Recall | None) -> None:
        """Take the steps done, the seconds, the running loss, and the recall at the last look."""


def train(
    learner: Learner,
    batch: Callable[[int], Batch],
    judge: Callable[[Learner], Recall | None],
    plan: Plan,
    *,
    work: Work | None = None,
    device: str = "cpu",
    tell: Tell = lambda step, seconds, loss, recall: None,
    clock: Callable[[], float] = time.monotonic,
    began: float | None = None,
) -> Outcome:
    """Train a model, and leave the best weights in it.

    Invariant: with the same seeds, a training that was stopped and goes on from its checkpoint
    gives the weights of one that was not, unless it is time that ends it.

    Args:
        learner: The model in training, as it begins.
        batch: Returns the batch of a step; called in another thread, one step ahead.
        judge: Returns how good the model is; the best is kept.
        plan: How long.
        work: Keeps the state now and then; what it has is gone on from. None keeps nothing.
        device: Where the model is.
        tell: Hears of each step.
        clock: Seconds that pass.
        began: What the clock said when this try began; None is now.

    Raises:
        OperationalError: The loss or a vector is not finite, or the device has no memory.
        KeyboardInterrupt: It was interrupted before a look found what it has learnt to be of use.
            Later the best weights are kept, and the outcome says so.
    """
    run = _Run(learner, judge, plan, work, device, clock, clock() if began is None else began)
    run.resume()
    stopped = "steps"
    with ThreadPoolExecutor(1, thread_name_prefix="thanosql-batches") as ahead:
        waiting = ahead.submit(batch, learner.steps)
        try:
            if plan.looks_first and run.best is None:
                run.look()
                run.first_recall = run.recall
            while learner.steps < plan.steps:
                now = waiting.result()
                waiting = ahead.submit(batch, learner.steps + 1)
                run.step(now)
                tell(learner.steps, run.seconds(), run.loss, run.recall)
                if run.is_late():
                    stopped = "time"
                    break
                if learner.steps % plan.look == 0 and learner.steps < plan.steps:
                    run.look()
                    run.save_in_time()
            if run.looked_at != learner.steps:
                run.look()
        except KeyboardInterrupt:
            if run.best is None or not run.best_step:
                raise
            stopped = "interrupt"
        finally:
            waiting.cancel()
    return run.outcome(stopped)


class _Run:
    """The state of a training between steps."""

    def __init__(
        self,
        learner: Learner,
        judge: Callable[[Learner], Recall | None],
        plan: Plan,
        work: Work | None,
        device: str,
        clock: Callable[[], float],
        began: float,
    ) -> None:
        self.learner, self.judge, self.plan = learner, judge, plan
        self.work, self.device, self.clock = work, device, clock
        self.before, self.began = 0.0, began  # seconds of earlier tries, and when this one began
        self.loss = 0.0
        self.recall: Recall | None = None
        self.first_recall: Recall | None = None
        self.best: dict[str, torch.Tensor] | None = None
        self.best_recall: Recall | None = None
        self.best_step = self.looked_at = 0
        self.look_s = self.save_s = 0.0
        self.saved = -math.inf  # the first look is kept at once, so that a stop can be gone on from

    def seconds(self) -> float:
        return self.before + self.clock() - self.began

    def is_late(self) -> bool:
        """Whether there is no time for another step, and the look after it."""
        most = self.plan.max_seconds
        return most is not None and self.seconds() + self.look_s >= most

    def step(self, batch: Batch) -> None:
        seconds = self.seconds() + self.look_s
        found = self.learner.step(batch, self.plan.pace(self.learner.steps, seconds)).contrast
        keep = min(0.98, 1 - 1 / self.learner.steps)
        self.loss = keep * self.loss + (1 - keep) * found

    def look(self) -> None:
        """Judge the running mean of the weights, and keep it if it is the best yet."""
        started = self.clock()
        with self.learner.averaged():
            self.recall = self.judge(self.learner)
        self.looked_at = self.learner.steps
        if self._is_best(self.recall):
            self.best = {name: value.clone() for name, value in self.learner.mean.items()}
            self.best_recall, self.best_step = self.recall, self.learner.steps
        self.look_s = self.clock() - started

    def _is_best(self, now: Recall | None) -> bool:
        best = self.best_recall
        return best is None or now is None or now.worth > best.worth

    def save_in_time(self) -> None:
        started = self.clock()
        wait_s = max(_SAVE_S, _SAVE_TIMES * self.save_s)
        if self.work is None or started - self.saved < wait_s:
            return
        self.save()
        self.saved = self.clock()
        self.save_s = self.saved - started

    def save(self) -> None:
        assert self.work is not None
        self.work.save(
            {
                "learner": self.learner.state_dict(),
                "seconds": self.seconds(),
                "loss": self.loss,
                # Plain values: a state is read without running code.
                "recall": None if self.recall is None else tuple(self.recall),
                "first_recall": None if self.first_recall is None else tuple(self.first_recall),
                "best": self.best,
                "best_recall": None if self.best_recall is None else tuple(self.best_recall),
                "best_step": self.best_step,
                "looked_at": self.looked_at,
            }
        )

    def resume(self) -> None:
        state = self.work.load(self.device) if self.work else None
        if not state:
            return
        try:
            self._take(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            assert self.work is not None
            raise OperationalError(
                f"the training in {str(self.work.folder)!r} cannot be gone on with"
                f" ({clip(str(error))}); remove that folder, and run the statement again"
            ) from error

    def _take(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])
        self.before, self.loss = state["seconds"], state["loss"]
        self.recall, self.first_recall, self.best_recall = (
            None if state[name] is None else Recall(*state[name])
            for name in ("recall", "first_recall", "best_recall")
        )
        self.best, self.best_step = state["best"], state["best_step"]
        self.looked_at = state["looked_at"]

    def outcome(self, stopped: str) -> Outcome:
        import torch

        assert self.best is not None
        with torch.no_grad():
            for name, value in self.best.items():
                self.learner.named[name].copy_(value)
        return Outcome(
            self.learner.steps,
            self.loss,
            self.best_recall,
            self.first_recall,
            self.recall,
            self.best_step,
            self.seconds(),
            stopped,
        )
