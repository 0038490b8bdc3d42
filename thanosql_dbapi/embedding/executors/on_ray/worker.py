"""What runs on the machines of a cluster: rows in, batches out, by the executor of one machine.

The class that Ray is given, :func:`worker_class`, is sent by value and needs Python alone, so that
a machine without this package can say so. All else is looked up there.
"""

from __future__ import annotations

import getpass
import os
import shutil
import stat
import tempfile
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ....errors import Error, ModelError
from ....models.folder import fingerprint
from ...batches import Batch
from ...known import KNOWS_NOTHING
from ..local import Local
from ..task import ModelPlace, Task

Rows = list[tuple[Any, object]]
PROCESSES_LEAST = 4
"""Cores from which on processes decode: threads of a Python with a global lock use some two."""


def worker_class() -> type:
    """Return the class of Ray's actors; it is made anew, so that Ray sends it by value."""

    class ThanosqlWorker:
        def look(self, names: Sequence[str]) -> tuple[str, Any]:
            """Return where this is, and the installed versions of packages, None where missing."""
            import os
            import platform
            from importlib.metadata import PackageNotFoundError, version

            versions: dict[str, Any] = {}
            for name in names:
                try:
                    if name == "thanosql-dbapi":
                        from thanosql_dbapi import _version

                        versions[name] = _version.__version__
                    else:
                        versions[name] = version(name)
                except (ImportError, PackageNotFoundError):
                    versions[name] = None
            here = {"node": platform.node(), "process": os.getpid(), "versions": versions}
            return "done", here

        def call(self, what: str, *args: Any) -> tuple[str, Any]:
            """Have this package's :class:`Worker` do something."""
            from thanosql_dbapi.embedding.executors.on_ray.worker import perform

            return perform(self.__dict__, what, args)

    return ThanosqlWorker


def perform(kept: MutableMapping[str, Any], what: str, args: tuple[Any, ...]) -> tuple[str, Any]:
    """Call a method of a process's worker.

    Args:
        kept: Holds the worker.
        what: The method.
        args: Its arguments.

    Returns:
        ``("done", its result)``, or ``("failed", an error of this package)``: Ray would wrap it.
    """
    try:
        worker = kept.setdefault("worker", Worker())
        return "done", getattr(worker, what)(*args)
    except Error as error:
        return "failed", error


@dataclass(frozen=True)
class Facts:
    """What a worker is like.

    Attributes:
        dimension: Length of the vectors.
        device: What computes, e.g. ``"cpu"`` or ``"cuda:0"``.
        dtype: The numbers it computes with.
        batch_size: Rows of one pass through the model.
    """

    dimension: int
    device: str
    dtype: str
    batch_size: int


class Worker:
    """Embeds parts of rows; one is decoded while another is embedded."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._executors: SimpleQueue[Local] = SimpleQueue()
        self._taken: Path | None = None

    def open(self, task: Task, cores: int, slots: int) -> Facts | None:
        """Load the model.

        Args:
            task: What is to be embedded.
            cores: How many cores decode.
            slots: How many parts are embedded at a time.

        Returns:
            What the worker is like; None if the model is not on this machine.

        Raises:
            ModelError: The model cannot be loaded.
        """
        model = task.model
        places = (model.folder, _kept() / model.fingerprint)
        folder = next((each for each in places if _holds(each, model.fingerprint)), None)
        if folder is None:
            return None
        from ....models.encoder import load_encoder

        encoder = load_encoder(folder, device=model.device, fingerprint=model.fingerprint)
        self._task = replace(task, model=replace(model, folder=folder))
        # Of the rows of one part, an executor could not tell that processes pay.
        decodes_in = "processes" if cores >= PROCESSES_LEAST else None
        for _ in range(slots):
            self._executors.put(Local(decodes_in, cores))
        size = task.batch_size or encoder.default_batch_size()
        return Facts(encoder.dimension, encoder.device, encoder.dtype, size)

    def embed(self, rows: Rows) -> list[Batch[Any]]:
        """Embed rows, in their order.

        Raises:
            Error: As for ``Executor.embed``.
        """
        assert self._task is not None
        executor = self._executors.get()
        try:
            return list(executor.embed(self._task, rows, KNOWS_NOTHING, total=len(rows)))
        finally:
            self._executors.put(executor)

    def receive(self, name: str, block: bytes) -> None:
        """Take the next part of a file of the model."""
        if self._taken is None:
            self._taken = Path(tempfile.mkdtemp(prefix=".", dir=_kept()))
        with (self._taken / Path(name).name).open("ab") as file:
            file.write(block)

    def received(self, model: ModelPlace) -> None:
        """Put the model that was received where workers of this machine find it.

        Raises:
            ModelError: It is not the one that was sent.
        """
        taken, self._taken = self._taken, None
        if taken is None or not _holds(taken, model.fingerprint):
            raise ModelError(
                f"model {str(model.folder)!r} did not arrive whole in {str(_kept())!r}; is the disk"
                " full there?"
            )
        with suppress(OSError):  # another worker was first
            taken.rename(_kept() / model.fingerprint)
        shutil.rmtree(taken, ignore_errors=True)


def _holds(folder: Path, wanted: str) -> bool:
    """Return whether a folder has the files of a model, to the byte."""
    try:
        return fingerprint(folder) == wanted
    except (OSError, Error):
        return False


def _kept() -> Path:
    """Return the folder in which this machine keeps the models that were sent to it.

    Raises:
        ModelError: Somebody else can write there.
    """
    folder = Path(tempfile.gettempdir()) / f"thanosql-models-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    if not stat.S_ISDIR(status.st_mode) or not is_own or status.st_mode & 0o022:
        raise ModelError(
            f"folder {str(folder)!r}, for models that are sent to this machine, can be written by"
            " others; remove it"
        )
    return folder
