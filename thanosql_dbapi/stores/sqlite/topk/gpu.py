"""Products of many int8 rows with one, on a GPU: what a search does with the vectors in memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .quantized import Products

_STEP = 65_536  # rows at a time, which are made float32 on the device


class DeviceProducts:
    """Rows of int8 numbers, kept on a device.

    Args:
        codes: int8 array (n, dimension); 512 MB of the device's memory for a million rows of 512.
        device: What torch calls it, e.g. ``"cuda:0"``.

    Raises:
        RuntimeError: The device has too little memory.
    """

    def __init__(self, codes: NDArray[np.int8], device: str) -> None:
        import torch

        # A file that is mapped read-only: torch warns of tensors that could write to it.
        self._codes = torch.from_numpy(np.array(codes)).to(device)

    def __call__(self, query: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return the product of each row with a query.

        The sums are whole numbers below 2 ** 24 for up to 1,040 dimensions, and so exact.

        Args:
            query: int8 array (dimension,).

        Returns:
            float32 array (n,).
        """
        import torch

        codes = self._codes
        with torch.inference_mode():
            wanted = torch.from_numpy(query).to(codes.device, torch.float32)
            products = torch.empty(len(codes), device=codes.device)
            for begin in range(0, len(codes), _STEP):
                rows = slice(begin, begin + _STEP)
                torch.mv(codes[rows].float(), wanted, out=products[rows])
            result: NDArray[np.float32] = products.cpu().numpy()
        return result


def gpu_products(codes: NDArray[np.int8], device: str | None) -> Products | None:
    """Return rows kept on the GPU, or None where there is none, or it has no room.

    A search does not load torch for it: until something else has, the processor does the work.

    Args:
        codes: int8 array (n, dimension).
        device: The device that the connection was told to use, or None for the best.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or (device or "cuda").partition(":")[0] not in ("cuda", "gpu"):
        return None
    try:
        from ....models.devices import resolve_device

        found = resolve_device(device)
        return DeviceProducts(codes, found) if found.startswith("cuda") else None
    except Exception:  # no CUDA, no memory, a driver that fails: the processor can do it too
        return None
