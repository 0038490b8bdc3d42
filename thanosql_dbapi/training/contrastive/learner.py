"""One step of a training: loss, gradients, optimisers, and the running mean of the weights.

The gradients are cached ones: a batch that is too large for the memory goes through the towers in
chunks, twice. The first pass gives the vectors, from which the loss and its gradient by each vector
follow. The second gives the weights' gradients, chunk by chunk. They are those of one large pass.

Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ...errors import OperationalError
from .muon import Muon

if TYPE_CHECKING:
    import torch

_LEAST_CHUNK = 4
_MEAN = 0.995  # share of the running mean that a step keeps, after the first hundreds


class Towers(Protocol):
    """A model whose towers are trained. It computes the same each time: it has no dropout."""

    def images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed pictures.

        Args:
            pixels: Float tensor (n, 3, height, width) in the model's range.

        Returns:
            What the image tower saw, a tensor (n, width), and the vectors (n, dimension), of any
            length.
        """

    def texts(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Embed texts that were tokenised, each tensor (n, tokens); vectors (n, dimension)."""

    def loss(self, cosines: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            cosines: Float tensor (captions, pictures).
            fits: Tensor of the same shape, 1 where a caption is true of a picture, else 0.
        """

    def bound(self) -> None:
        """Keep the scale in its range; called after each step."""


class Aid(Protocol):
    """A module that has the image tower learn something beside, in training only."""

    def __call__(self, seen: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Return each picture's loss (n,).

        Args:
            seen: What the image tower saw, a tensor (n, width).
            told: What is known of each picture, a tensor (n, …).
        """

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """Return the weights of its own."""

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept in a checkpoint."""

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Take over what ``state_dict`` gave."""


@dataclass(frozen=True)
class Rates:
    """Peak learning rates.

    Attributes:
        adam: AdamW's, for embeddings, norms and biases; for all weights if ``muon`` is 0.
        muon: Muon's, for the matrices inside the towers' layers; 0 is without Muon.
        decay: Weight decay of AdamW's matrices.
    """

    adam: float = 2e-3
    muon: float = 0.02
    decay: float = 0.05


@dataclass
class Batch:
    """What a step learns from, all on the device.

    Attributes:
        pixels: Float tensor (pictures, 3, height, width) in the model's range.
        tokens: Of each caption, what the tokenizer gave; each tensor is (captions, tokens).
        fits: Float tensor (captions, pictures), 1 where a caption is true of a picture.
        told: What the aid is told of each picture, a tensor (pictures, …), or None.
    """

    pixels: torch.Tensor
    tokens: Mapping[str, torch.Tensor]
    fits: torch.Tensor
    told: torch.Tensor | None = None


class Losses(NamedTuple):
    """The losses of a step.

    Attributes:
        contrast: The contrastive loss.
        aid: The aid's loss, 0 without one.
    """

    contrast: float
    aid: float


class Learner:
    """A model in training.

    Args:
        model: A module; its parameters that need gradients are trained, in place. It stands on
            the device.
        towers: The model's towers.
        rates: Peak learning rates.
        aid: What the image tower learns beside, on the device, or None.
        chunk: Pictures, or captions, that go through a tower at once; None is all of a batch.
            It is halved where the device has no memory for that many.

    Attributes:
        mean: The running mean of each trained weight, by name. This is what comes out.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        towers: Towers,
        rates: Rates,
        *,
        aid: Aid | None = None,
        chunk: int | None = None,
    ) -> None:
        import torch

        self.model, self.towers, self.rates, self.aid, self.chunk = model, towers, rates, aid, chunk
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        inner = {
            name
            for name, p in self.named.items()
            if rates.muon and p.ndim == 2 and ".layers." in name
        }
        self.muon = Muon([p for name, p in self.named.items() if name in inner])
        others = [p for name, p in self.named.items() if name not in inner]
        others += list(aid.parameters()) if aid is not None else []
        self.adam = torch.optim.AdamW(
            [
                {"params": [p for p in others if p.ndim >= 2], "weight_decay": rates.decay},
                {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=rates.adam,
            betas=(0.9, 0.98),
        )
        self.mean = {name: p.detach().clone() for name, p in self.named.items()}
        self.steps = 0

    def step(self, batch: Batch, pace: float) -> Losses:
        """Take one step.

        Args:
            batch: What it learns from.
            pace: The step's share of the peak learning rates, 0 to 1.

        Raises:
            OperationalError: The loss is not finite, or the device has no memory for a few
                pictures. The weights are as before.
        """
        import torch

        losses = self._gradients_that_fit(batch)
        if not math.isfinite(sum(losses)):
            raise not_finite(self.steps)
        for group in self.adam.param_groups:
            group["lr"] = self.rates.adam * pace
        torch.nn.utils.clip_grad_norm_(self.named.values(), 1.0)
        self.adam.step()
        self.muon.step(self.rates.muon * pace)
        with torch.no_grad():
            self.towers.bound()
            keep = min(_MEAN, (self.steps + 1) / (self.steps + 20))
            for name, p in self.named.items():
                self.mean[name].lerp_(p, 1 - keep)
        self.steps += 1
        return losses

    def _gradients_that_fit(self, batch: Batch) -> Losses:
        """Compute the gradients, in smaller chunks where the device has no memory for these."""
        import torch

        while True:
            for weight in self._weights():
                weight.grad = None
            try:
                return self._gradients(batch)
            except torch.OutOfMemoryError as error:
                most = max(len(batch.pixels), len(batch.fits))
                chunk = min(self.chunk or most, most) // 2
                if chunk < _LEAST_CHUNK:
                    raise OperationalError(
                        f"the device has no memory for {2 * chunk} pictures at once; choose a"
                        " smaller size, or another device"
                    ) from error
                self.chunk = chunk
            torch.cuda.empty_cache()

    def _gradients(self, batch: Batch) -> Losses:
        """Set the gradients of all weights, and return the losses."""
        import torch

        chunk = self.chunk or max(len(batch.pixels), len(batch.fits))
        pictures, texts = _slices(len(batch.pixels), chunk), _slices(len(batch.fits), chunk)
        if len(pictures) == len(texts) == 1:
            with self.precision():
                seen, images = self.towers.images(batch.pixels)
                loss = self._contrast(images, self.towers.texts(batch.tokens), batch.fits)
                aided = self._aided(seen, batch.told, len(batch.pixels))
            torch.autograd.backward(loss + aided)
            return Losses(loss.item(), aided.item())
        with torch.no_grad(), self.precision():
            images = torch.cat([self.towers.images(batch.pixels[part])[1] for part in pictures])
            read = torch.cat([self.towers.texts(_part(batch.tokens, part)) for part in texts])
        images, read = images.float().requires_grad_(), read.float().requires_grad_()
        loss = self._contrast(images, read, batch.fits)
        torch.autograd.backward(loss)  # of the temperature, and of the vectors
        to_images, to_texts = images.grad, read.grad
        assert to_images is not None
        assert to_texts is not None
        total = 0.0
        for part in pictures:
            with self.precision():
                seen, vectors = self.towers.images(batch.pixels[part])
                told = None if batch.told is None else batch.told[part]
                aided = self._aided(seen, told, len(batch.pixels))
            torch.autograd.backward((vectors.float() * to_images[part]).sum() + aided)
            total += aided.item()
        for part in texts:
            with self.precision():
                vectors = self.towers.texts(_part(batch.tokens, part))
            torch.autograd.backward((vectors.float() * to_texts[part]).sum())
        return Losses(loss.item(), total)

    def _contrast(
        self, images: torch.Tensor, texts: torch.Tensor, fits: torch.Tensor
    ) -> torch.Tensor:
        from torch.nn.functional import normalize

        a, b = normalize(images.float(), dim=-1), normalize(texts.float(), dim=-1)
        return self.towers.loss(b @ a.T, fits)

    def _aided(self, seen: torch.Tensor, told: torch.Tensor | None, count: int) -> torch.Tensor:
        """Return a chunk's share of the aid's mean loss over a batch of so many pictures."""
        if self.aid is None or told is None:
            return seen.new_zeros((), dtype=seen.dtype)
        return self.aid(seen, told).float().sum() / count

    def _weights(self) -> list[torch.nn.Parameter]:
        own = [] if self.aid is None else list(self.aid.parameters())
        return [*self.named.values(), *own]

    def precision(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass: half precision on a GPU that has bfloat16."""
        import torch

        device = next(iter(self.named.values())).device
        if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.autocast("cuda", torch.bfloat16)
        return nullcontext()

    @contextmanager
    def averaged(self, weights: Mapping[str, torch.Tensor] | None = None) -> Iterator[None]:
        """Put the running mean, or other weights, into the model, and its own back at the end."""
        import torch

        with torch.no_grad():
            own = {name: p.detach().clone() for name, p in self.named.items()}
            try:
                for name, value in (self.mean if weights is None else weights).items():
                    self.named[name].copy_(value)
                yield
            finally:
                for name, value in own.items():
                    self.named[name].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on after a stop."""
        return {
            "steps": self.steps,
            "weights": {name: p.detach() for name, p in self.named.items()},
            "mean": self.mean,
            "aid": {} if self.aid is None else self.aid.state_dict(),
            "adam": self.adam.state_dict(),
            "muon": self.muon.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        import torch

        self.steps = state["steps"]
        with torch.no_grad():
            for name, p in self.named.items():
                p.copy_(state["weights"][name])
                self.mean[name].copy_(state["mean"][name])
        if self.aid is not None:
            self.aid.load_state_dict(state["aid"])
        self.adam.load_state_dict(state["adam"])
        self.muon.load_state_dict(state["muon"])


def not_finite(steps: int) -> OperationalError:
    """Return the error of a model that gives no numbers any more after so many steps."""
    return OperationalError(
        f"the loss is not finite after {steps:,} steps; set a lower learning_rate"
    )


def _slices(count: int, chunk: int) -> list[slice]:
    return [slice(start, start + chunk) for start in range(0, count, chunk)]


def _part(tokens: Mapping[str, torch.Tensor], part: slice) -> dict[str, torch.Tensor]:
    return {name: values[part] for name, values in tokens.items()}
