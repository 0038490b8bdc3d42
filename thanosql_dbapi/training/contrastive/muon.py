"""The Muon optimiser in float32 (torch's own runs in bfloat16, which most CPUs emulate slowly)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


class Muon:
    """Momentum whose every update is made orthogonal, for the weight matrices inside the towers.

    Args:
        weights: matrices; those of one shape are updated in one go.
        momentum: share of the old direction kept.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(self, weights: Sequence[torch.Tensor], momentum: float = 0.95) -> None:
        """See the class."""
        import torch

        self.momentum = momentum
        shapes: dict[tuple[int, ...], list[torch.Tensor]] = {}
        for weight in weights:
            shapes.setdefault(tuple(weight.shape), []).append(weight)
        self.groups = list(shapes.values())
        self.moving = [torch.zeros_like(torch.stack(list(group))) for group in self.groups]

    def step(self, rate: float) -> None:
        """Move every weight against its gradient.

        Args:
            rate: length of the step; about 0.02 for small towers.
        """
        import torch

        with torch.no_grad():
            for group, moving in zip(self.groups, self.moving, strict=True):
                slope = torch.stack([w.grad for w in group if w.grad is not None])
                moving.lerp_(slope, 1 - self.momentum)
                update = _orthogonal(slope.lerp(moving, self.momentum))
                update *= max(1.0, update.shape[1] / update.shape[2]) ** 0.5
                for weight, change in zip(group, update, strict=True):
                    weight.sub_(change, alpha=rate)

    def state_dict(self) -> list[Any]:
        """Give what must be kept to go on later."""
        return self.moving

    def load_state_dict(self, state: list[Any]) -> None:
        """Take over what `state_dict` gave."""
        for moving, kept in zip(self.moving, state, strict=True):
            moving.copy_(kept)


def _orthogonal(stack: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz: all singular values of each matrix of the stack go to about one."""
    x: torch.Tensor = stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)
    is_tall = x.shape[1] > x.shape[2]
    if is_tall:
        x = x.mT
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if is_tall else x
