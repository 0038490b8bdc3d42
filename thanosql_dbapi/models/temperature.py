"""The temperature a model was trained at: what turns its cosines into probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .files import looks_like, weight_files

SCALE, BIAS = "logit_scale", "logit_bias"


@dataclass(frozen=True)
class Temperature:
    """What a model's cosines are multiplied with, and what is added.

    Attributes:
        scale: The factor, e.g. 100 for OpenAI's CLIP.
        bias: What is added; 0 for a softmax.
        is_sigmoid: Whether the model was trained with one probability for each pair (SigLIP), and
            not with one over all texts (CLIP).
    """

    scale: float
    bias: float = 0.0
    is_sigmoid: bool = False


@lru_cache(maxsize=16)
def read_temperature(folder: Path, fingerprint: str) -> Temperature:
    """Return a model's temperature, read from its weights without torch's models.

    Args:
        folder: Its folder, the path resolved.
        fingerprint: Its fingerprint, by which it is remembered.

    Raises:
        ModelError: The weights have none, or are damaged.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, float] = {}
    for path in weight_files(folder):
        try:
            with safe_open(str(path), framework="pt") as file:
                for name in (SCALE, BIAS):
                    if name in file.keys():  # noqa: SIM118 - it is no mapping
                        found[name] = float(file.get_tensor(name).float().reshape(()))
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"weights {str(path)!r} are damaged: {error}{looks_like(path)}; get the model again"
            ) from error
    if not np.isfinite(found.get(SCALE, np.nan)):
        raise ModelError(
            f"model folder {str(folder)!r} has no {SCALE} in its weights, so its similarities"
            " cannot be made probabilities; get the model again from where it was trained"
        )
    scale = float(np.exp(found[SCALE]))
    return Temperature(scale, found.get(BIAS, 0.0), BIAS in found)
