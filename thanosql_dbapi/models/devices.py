"""The devices that models compute on: which there are, how precise, and whether to trust one.

ROCm's GPUs are torch's ``cuda``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import ModelError, clip
from .protocol import Vectors
from .weights import needs_torch

# Apple's: with some versions of torch and transformers, vectors of CLIP are wrong there and nothing
# says so.
UNPROVEN = ("mps",)
# Lowest cosine between a device's vector and the CPU's. Half precision keeps more than 0.9999.
LEAST_COSINE = 0.999


def dtype_of(device: str) -> str:
    """Return the precision that models compute in on a device, as torch names it.

    Half precision is many times slower than float32 on a CPU without it, and halves the time on a
    GPU.
    """
    return "float16" if device.startswith("cuda") else "float32"


def needs_proof(device: str) -> bool:
    """Return whether a device's vectors are compared with the CPU's before they are believed."""
    return device.startswith(UNPROVEN)


def require_same(compute: Callable[[str], Vectors], device: str, model: str) -> None:
    """Check that a device gives the vectors that the CPU gives, over one batch.

    Args:
        compute: Gives the unit vectors of the batch on a device.
        device: The device.
        model: The model, for the message.

    Raises:
        ModelError: It gives others, or none.
    """
    expected, found = compute("cpu"), compute(device)
    least = float(np.min(np.sum(expected * found, axis=1)))
    if not least >= LEAST_COSINE:
        raise ModelError(
            f"model {model!r}: the vectors that {device} gives are not those of the CPU: their"
            f" cosine is {least:.3f}, expected {LEAST_COSINE} or more. Some versions of torch and"
            " transformers compute wrongly there: connect with device='cpu', or install others;"
            " nothing was changed"
        )


def resolve_device(device: str | None) -> str:
    """Return the device to compute on, checked.

    Args:
        device: What the user asked for; None is the GPU if torch has CUDA, else the CPU.

    Raises:
        ModelError: torch does not know the device, or this machine has none of it.
    """
    with needs_torch():
        import torch
    have = ["cpu"]
    have += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    have += ["mps"] if torch.backends.mps.is_available() else []
    if device is None:
        return "cuda:0" if len(have) > 1 and torch.cuda.is_available() else "cpu"
    wanted = str(device).strip().lower()
    wanted = {"cuda": "cuda:0", "gpu": "cuda:0", "cpu:0": "cpu", "mps:0": "mps"}.get(wanted, wanted)
    if wanted not in have:
        raise ModelError(
            f"device {clip(device)} is not available; this machine has {', '.join(have)}"
            f" (torch {torch.__version__})"
        )
    return wanted
