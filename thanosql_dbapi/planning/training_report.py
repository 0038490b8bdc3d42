"""What a BUILD or FIT of a CLIP did, for programs."""

from __future__ import annotations

from dataclasses import dataclass

from .report import Report


@dataclass(frozen=True)
class TrainingReport(Report):
    """What the last training of a CLIP did.

    Attributes:
        statement: ``"BUILD MODEL"`` or ``"FIT MODEL"``.
        table: ``""``.
        model: The new model's name.
        pictures: Pictures it was trained on.
        held_out: Pictures it was judged on.
        epochs: How often each picture was seen.
        steps: Steps that were taken.
        loss: The contrastive loss at the end.
        recall_at_1: Share of the captions held out whose first picture is right, or None.
        recall_at_5: Share of those with a right one among the first five, or None.
        recall_at_1_before: Of a FIT, the first of these figures before the training, or None.
        recall_at_5_before: The second, or None.
        best_step: The step after which these were reached; its weights are the model's.
        seconds: Seconds it took, earlier tries included.
        device: What computed, such as ``"cpu"`` or ``"cuda:0"``.
        stopped: Why it ended: ``"steps"``, ``"time"`` or ``"interrupt"``.

    Example:
        >>> TrainingReport("BUILD MODEL", "", model="mine", steps=900).steps
        900
    """

    model: str = ""
    pictures: int = 0
    held_out: int = 0
    epochs: float = 0.0
    steps: int = 0
    loss: float = 0.0
    recall_at_1: float | None = None
    recall_at_5: float | None = None
    recall_at_1_before: float | None = None
    recall_at_5_before: float | None = None
    best_step: int = 0
    seconds: float = 0.0
    device: str = ""
    stopped: str = ""
