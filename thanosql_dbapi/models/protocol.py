"""What the other rooms know of an encoder: its shape, without torch.

Tests and other makes of models provide their own; ``encoder.Encoder`` is the real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class AnyEncoder(Protocol):
    """Turns texts and images into vectors of one space.

    Attributes:
        dimension: Length of the vectors.
        device: Where it computes, e.g. ``"cpu"`` or ``"cuda:0"``.
        dtype: The precision it computes in, e.g. ``"float32"`` or ``"float16"``.
        fingerprint: Names the model's content; equal fingerprints give equal vectors.
    """

    @property
    def dimension(self) -> int: ...  # noqa: D102 - the class has it

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def dtype(self) -> str: ...  # noqa: D102

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Return a float32 array (n, dimension), unit length, row i is ``texts[i]``."""
        ...

    def prepare(self, image: Image) -> Pixels:
        """Return the uint8 array (height, width, 3) that the model sees of an RGB image."""
        ...

    def embed_pixels(self, batch: Sequence[Pixels]) -> Vectors:
        """Return a float32 array (n, dimension), unit length, row i is ``batch[i]``."""
        ...

    def embed_images(self, images: Sequence[Image]) -> Vectors:
        """Return a float32 array (n, dimension), unit length, row i is ``images[i]``."""
        ...

    def default_batch_size(self) -> int:
        """Return how many images to give ``embed_pixels`` at once."""
        ...

    def claim_thread(self) -> None:
        """Make the calling thread the model's, for as long as it lives."""
        ...
