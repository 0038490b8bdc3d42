"""The folder of a training that goes on after a stop: its state, and one process at a time."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

_STATE = "state.pt"


class Checkpoint:
    """What is kept of a training.

    Args:
        folder: A folder of its own; made where it is missing.
        digest: Names the training, its data included. What another one has left is removed.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self._digest = folder, digest
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, device: str) -> dict[str, Any] | None:
        """Return the state that was kept last, or None.

        What cannot be read, or is another training's, is as if nothing had been kept.
        """
        import torch

        try:
            # Never code: anybody may have written this file.
            found = torch.load(self.folder / _STATE, map_location=device, weights_only=True)
            if found["digest"] == self._digest:
                state: dict[str, Any] = found["state"]
                return state
        except FileNotFoundError:
            return None
        except Exception:
            pass
        with suppress(OSError):
            (self.folder / _STATE).unlink()
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state; killed in the middle, it leaves the one before.

        Raises:
            OSError: The disk says no.
        """
        import torch

        part = self.folder / f"{_STATE}.part"
        torch.save({"digest": self._digest, "state": state}, part)
        part.replace(self.folder / _STATE)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
