"""The last layers of a model's towers alone: what they read is computed once, the rest never again.

A frozen tower gives the same for a picture each time, so a training of the last layers, which are
linear maps, takes one pass over the pictures and then next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...models.families.protocol import IMAGE, TEXT, Family
from ...models.temperature import BIAS, SCALE
from .batches import Sampler
from .pairs import Places
from .trained import TunedTowers

if TYPE_CHECKING:
    import torch

_AT_ONCE = 64  # pictures
_MOST_KEPT = 50_000  # texts whose numbers are kept


class HeadTowers(TunedTowers):
    """The last layers of both towers, taken off them; see ``learner.Towers``.

    What stands for pixels is what the image tower's last layer reads, a tensor (n, width), and for
    tokens ``{"read": …}``, the same of texts. A tower without such a layer gives its vectors, which
    stay as they are.

    Args:
        model: See ``trained.load_model``; its towers are without their last layers until
            :meth:`put_back`.
        family: Its family.
    """

    def __init__(self, model: Any, family: Family) -> None:
        """See the class."""
        from torch import nn

        super().__init__(model, family)
        self._places = {
            kind: place for kind in (TEXT, IMAGE) if (place := head_of(model, family, kind))
        }
        self._heads = nn.ModuleDict({kind: getattr(*place) for kind, place in self._places.items()})
        for parent, name in self._places.values():
            setattr(parent, name, nn.Identity())
        self.learning = nn.ModuleDict(dict(self._heads.items()))
        for name in (SCALE, BIAS):
            if hasattr(model, name):
                self.learning.register_parameter(name, getattr(model, name))

    def put_back(self) -> None:
        """Give the towers their last layers again, as they are now."""
        for kind, (parent, name) in self._places.items():
            setattr(parent, name, self._heads[kind])

    def images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed pictures; see ``learner.Towers``."""
        vectors = self._headed(IMAGE, pixels)
        return vectors, vectors

    def texts(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Embed texts; see ``learner.Towers``."""
        return self._headed(TEXT, tokens["read"])

    def before_head(self, kind: str, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return what the last layer of a tower reads, a tensor (n, width).

        Args:
            kind: ``TEXT`` or ``IMAGE``.
            inputs: What the tower reads.
        """
        import torch

        with torch.no_grad():
            found: torch.Tensor = self.family.vectors(self.model[kind], kind, inputs)
        return found

    def _headed(self, kind: str, read: torch.Tensor) -> torch.Tensor:
        if kind not in self._places:
            return read
        vectors: torch.Tensor = self._heads[kind](read)
        return vectors


def head_of(model: Any, family: Family, kind: str) -> tuple[Any, str] | None:
    """Return the module that has a tower's last layer, and the layer's name in it, or None."""
    head = family.heads.get(kind)
    modules = dict(model[kind].named_modules())
    if head is None or head not in modules:
        return None
    parent, _, name = head.rpartition(".")
    return modules[parent], name


class HeadSampler(Sampler):
    """Draws batches of what the last layers read.

    Args:
        towers: The last layers.
        advance: Called with the number of pictures that have gone through the tower.
        *args: As for ``Sampler``.
        **options: As for ``Sampler``; pictures are not mirrored.
    """

    def __init__(
        self,
        towers: HeadTowers,
        *args: Any,
        advance: Callable[[int], None] = lambda count: None,
        **options: Any,
    ) -> None:
        """See the class."""
        import numpy as np
        import torch

        super().__init__(*args, **{**options, "mirrors": False})
        self._towers = towers
        self._texts: dict[str, torch.Tensor] = {}
        parts = []
        for places in np.split(
            np.arange(len(self.pairs.pixels)), range(_AT_ONCE, len(self.pairs.pixels), _AT_ONCE)
        ):
            pixels = super().pictures(places)
            parts.append(towers.before_head(IMAGE, {"pixel_values": pixels}))
            advance(len(places))
        self._pictures = torch.cat(parts)

    def pictures(self, pictures: Places, mirrored: Sequence[bool] = ()) -> torch.Tensor:
        """Return what the image tower's last layer reads of pictures; see ``Sampler``."""
        import torch

        return self._pictures[torch.from_numpy(pictures).to(self._pictures.device)]

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return what the text tower's last layer reads of texts; see ``Sampler``."""
        import torch

        found = {text: self._texts[text] for text in texts if text in self._texts}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            read = self._towers.before_head(TEXT, super().tokens(missing))
            found.update(zip(missing, read, strict=True))
            if len(self._texts) + len(missing) <= _MOST_KEPT:
                self._texts.update(zip(missing, read, strict=True))
        return {"read": torch.stack([found[text] for text in texts])}
