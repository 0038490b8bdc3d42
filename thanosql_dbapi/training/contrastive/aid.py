"""What an image tower learns beside the contrast: to name the words of a picture's captions.

A contrast over a batch says little to an untrained tower. Which words a picture's captions have,
independent of one another, teaches it what to look for. In training only.

Source: Joulin et al. 2016, "Learning Visual Features from Large Weakly Supervised Data".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

MOST_WORDS = 2000
_SHARE = 4.0  # of its loss beside the contrast's, where an untrained tower has about 1


def word_table(pictures: Sequence[frozenset[str]], words: Sequence[str]) -> list[NDArray[np.int32]]:
    """Return the places of each picture's words."""
    places = {word: place for place, word in enumerate(words)}
    return [
        np.array(sorted(places[word] for word in own if word in places), np.int32)
        for own in pictures
    ]


def make_naming(width: int, shares: NDArray[np.float32]) -> Any:
    """Return a module that has the image tower name words; an ``Aid``.

    It takes a uint8 tensor (n, words), 1 where a picture has a word.

    Args:
        width: Width of what the image tower sees.
        shares: float32 array (words,), the share of pictures that have each word.
    """
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits

    class Naming(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(width, len(shares))
            rates = torch.from_numpy(shares).clamp(1e-4, 0.5)
            # It begins with the words' own shares; rare ones count as much as common ones.
            with torch.no_grad():
                self.head.weight.mul_(0.1)
                self.head.bias.copy_(rates.logit())
            entropy = -(rates * rates.log() + (1 - rates) * (1 - rates).log())
            self.counts: torch.Tensor
            self.register_buffer("counts", 1 / entropy, persistent=False)

        def forward(self, seen: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
            logits = self.head(seen)
            loss = binary_cross_entropy_with_logits(logits, told.to(logits.dtype), reduction="none")
            return _SHARE * (loss * self.counts).mean(1)

    return Naming()
