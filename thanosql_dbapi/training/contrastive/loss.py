"""Contrastive losses, for batches in which a caption may be true of several pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def contrast(logits: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
    """Return the contrastive loss that takes every fitting pair as right.

    Where each caption fits one picture and each picture one caption, this is CLIP's own loss.

    Args:
        logits: Float tensor (captions, pictures).
        fits: Tensor of the same shape, 1 where the caption is true of the picture, else 0. Every
            row has a 1; a column without one, a picture nobody speaks of, counts as far as it is
            a wrong answer.

    Returns:
        The mean of both directions' cross entropy, a scalar.
    """
    from torch.nn.functional import log_softmax

    by_text = -(fits / fits.sum(1, keepdim=True) * log_softmax(logits, 1)).sum(1).mean()
    spoken_of = fits.sum(0).clamp(min=1)
    by_picture = -(fits / spoken_of * log_softmax(logits, 0)).sum(0).mean()
    return (by_text + by_picture) / 2


def pairwise(logits: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
    """Return SigLIP's loss, which asks of each pair by itself whether it fits.

    Args:
        logits: Float tensor (captions, pictures), the bias added.
        fits: Tensor of the same shape, 1 where the caption is true of the picture, else 0.

    Returns:
        The log loss of all pairs by the number of captions, a scalar.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(logits, fits, reduction="sum") / len(fits)
