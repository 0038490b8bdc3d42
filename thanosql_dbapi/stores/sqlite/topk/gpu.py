"""Which rows can be among the best, found on a GPU: only their numbers come back from it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .blocks import possible_rows

if TYPE_CHECKING:
    from .blocks import Places, PossibleRows
    from .quantized import Quantized, RoundedQuery

_COLUMNS = 8  # cuBLAS multiplies int8 matrices of so many columns or a multiple
_STEP = 65_536  # rows at a time, where they are made float32 on the device
_TRIED = 64


class DeviceVectors:
    """Rounded vectors, kept on a device, and searched there.

    Args:
        vectors: The vectors; 520 MB of the device's memory for a million rows of 512.
        device: What torch calls it, e.g. ``"cuda:0"``.

    Raises:
        RuntimeError: The device has too little memory.
    """

    def __init__(self, vectors: Quantized, device: str) -> None:
        import torch

        self._vectors = vectors
        # A copy: torch warns of an array that cannot be written, as that of a mapped file.
        self._codes, self._scale, self._error, self._length = (
            torch.from_numpy(np.array(array)).to(device)
            for array in (vectors.codes, vectors.scale, vectors.error, vectors.length)
        )
        self.multiplies_bytes = self._can_multiply_bytes()
        """Whether the device multiplies int8 numbers, or is given float32."""

    def __call__(self, query: RoundedQuery, wanted: int, without: Places) -> tuple[Places, float]:
        """Return the rows that can be among the best, as :func:`possible_rows` does.

        Where the device fails, because its memory is full, say, the processor does it.
        """
        import torch

        try:
            with torch.inference_mode():
                return self._possible_rows(torch, query, wanted, without)
        except RuntimeError:
            return possible_rows(self._vectors, query, wanted, without)

    def _possible_rows(
        self, torch: Any, query: RoundedQuery, wanted: int, without: Places
    ) -> tuple[Places, float]:
        middle = self._products(query.codes) * self._scale
        middle = middle.mul_(float(query.step)).add_(float(query.of_mean))
        slack = (self._length * float(query.lost)).add_(self._error).add_(float(query.summing))
        if len(without):
            middle[torch.from_numpy(without).to(middle.device)] = -torch.inf
        floor = torch.topk(middle - slack, wanted).values[-1]
        upper = middle.add_(slack)
        rows = torch.nonzero((upper >= floor) & (upper > -torch.inf))[:, 0]
        found: Places = rows.cpu().numpy()
        return found, float(floor)

    def _products(self, codes: Any) -> Any:
        """Return the products of the rows with the codes of a query, on the device.

        The sums are whole numbers, and below 2 ** 24 for up to 1,040 dimensions: so float32 holds
        them exactly. Beyond, what they are rounded by is far less than bounds allow for.
        """
        import torch

        if self.multiplies_bytes:
            columns = np.zeros((_COLUMNS, len(codes)), np.int8)
            columns[0] = codes
            # Transposed on the device: the layout that cuBLAS has a kernel for.
            wide = torch.from_numpy(columns).to(self._codes.device).t()
            return torch._int_mm(self._codes, wide)[:, 0]
        wanted = torch.from_numpy(codes).to(self._codes.device, torch.float32)
        products = torch.empty(len(self._codes), device=self._codes.device)
        for begin in range(0, len(products), _STEP):
            rows = slice(begin, begin + _STEP)
            torch.mv(self._codes[rows].float(), wanted, out=products[rows])
        return products

    def _can_multiply_bytes(self) -> bool:
        """Return whether a product of int8 matrices is to be had, and right."""
        import torch

        self.multiplies_bytes = True
        try:
            with torch.inference_mode():
                query = self._vectors.codes[0]
                found = self._products(query)[:_TRIED].cpu().numpy()
        except (RuntimeError, AttributeError, IndexError):
            return False  # not for this device, this dimension or so few rows, or not in this torch
        right = self._vectors.codes[:_TRIED].astype(np.int64) @ query.astype(np.int64)
        return bool(np.array_equal(found, right))


def gpu_search(vectors: Quantized, device: str | None) -> PossibleRows | None:
    """Return what searches vectors on the GPU, or None where there is none, or it has no room.

    A search does not load torch for it: until something else has, the processor does the work.

    Args:
        vectors: The vectors.
        device: The device that the connection was told to use, or None for the best.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or (device or "cuda").partition(":")[0] not in ("cuda", "gpu"):
        return None
    try:
        from ....models.devices import resolve_device

        found = resolve_device(device)
        return DeviceVectors(vectors, found) if found.startswith("cuda") else None
    except Exception:  # no CUDA, no memory, a driver that fails: the processor can do it too
        return None
