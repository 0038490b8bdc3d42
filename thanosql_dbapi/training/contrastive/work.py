"""The hidden folder that a training works in: its pictures, its checkpoint, and its lock.

It holds what takes long to make, so that the same training goes on after a stop. Anybody who can
write to the workspace can put something there. So nothing is written through a link, what is read
is data and never code, and what does not fit is as if it were not there.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import WorkspaceError
from ...openfile import OpenFile
from .pairs import Places

_PIXELS, _STATE = "pixels.u8", "state.pt"
_FACTS = "pictures.json"


class Work:
    """The folder of one training.

    Args:
        folder: Its folder, links resolved; made where it is missing.
        digest: Names the training, its data included. What another one has left is removed.

    Raises:
        OSError: The disk says no.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self._digest = folder, digest
        if folder.is_symlink():
            folder.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        if self._facts("training.json").get("digest") != digest:
            for each in (_PIXELS, _STATE, _FACTS):
                (folder / each).unlink(missing_ok=True)
            self._write("training.json", lambda file: file.write(_json({"digest": digest})))

    def pictures(
        self,
        shape: tuple[int, int, int],
        prepared: Callable[[], Iterable[NDArray[np.uint8] | None]],
    ) -> tuple[NDArray[np.uint8], Places]:
        """Return the pictures of a training, made once, and never all in memory.

        Args:
            shape: (height, width, 3).
            prepared: Yields the pixels of each source, or None for one that cannot be read.

        Returns:
            uint8 array (pictures, height, width, 3), a map of a file; pictures with the very same
            pixels are one. And an int64 array (sources,): the picture of each, or -1.
        """
        known = self._known(shape)
        if known is not None:
            return known
        places: list[int] = []
        found: dict[bytes, int] = {}

        def write(file: BinaryIO) -> None:
            for pixels in prepared():
                if pixels is None:
                    places.append(-1)
                    continue
                content = pixels.tobytes()
                key = hashlib.blake2b(content, digest_size=16).digest()
                if key not in found:
                    file.write(content)
                places.append(found.setdefault(key, len(found)))

        self._write(_PIXELS, write)
        facts = {"shape": list(shape), "count": len(found), "places": places}
        self._write(_FACTS, lambda file: file.write(_json(facts)))
        known = self._known(shape)
        assert known is not None
        return known

    def load(self, device: str) -> dict[str, Any] | None:
        """Return the state that was kept last, or None where there is none that can be read."""
        import torch

        try:
            with OpenFile((self.folder / _STATE).absolute()) as opened:
                content = io.BytesIO(opened.read())
            state: dict[str, Any] = torch.load(content, map_location=device, weights_only=True)
            return state
        except FileNotFoundError:
            return None
        except Exception:
            with suppress(OSError):
                (self.folder / _STATE).unlink()
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state; killed in the middle, it leaves the one before.

        Raises:
            OSError: The disk says no.
        """
        import torch

        self._write(_STATE, lambda file: torch.save(state, file))

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _known(self, shape: tuple[int, int, int]) -> tuple[NDArray[np.uint8], Places] | None:
        facts = self._facts(_FACTS)
        try:
            if facts["shape"] != list(shape):
                return None
            places = np.array(facts["places"], np.int64)
            count = int(facts["count"])
            whole = (count, *shape)
            if not count:
                return np.zeros(whole, np.uint8), places
            with (self.folder / _PIXELS).open("rb") as file:
                pixels: NDArray[np.uint8] = np.memmap(file, np.uint8, "r", shape=whole)
        except (KeyError, TypeError, ValueError, OSError):
            return None
        is_sound = len(places) == 0 or (places.min() >= -1 and places.max() < count)
        return (pixels, places) if is_sound else None

    def _facts(self, name: str) -> dict[str, Any]:
        try:
            with OpenFile((self.folder / name).absolute()) as opened:
                found = json.loads(opened.read())
        except (OSError, ValueError, WorkspaceError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Write a file whole or not at all."""
        part = self.folder / f"{name}.part"
        part.unlink(missing_ok=True)
        with part.open("xb") as file:  # never through a link
            write(file)
        part.replace(self.folder / name)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
