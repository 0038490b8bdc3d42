"""The workers of one statement on a cluster: started, given parts of rows, lost and replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...._version import __version__
from ....errors import ModelError, OperationalError, clip
from ...batches import Batch
from ..task import Task
from .worker import Facts, Rows, worker_class

SLOTS = 2
"""Parts that a worker has at a time: one is decoded while another is embedded."""

PACKAGES: Mapping[str, int] = {"numpy": 1, "pillow": 2, "torch": 2, "transformers": 2}
"""What makes the vectors, and how many numbers of the version have to be equal."""

EXTRAS = ("av", "gcsfs", "pillow-heif", "pillow-jxl-plugin", "rawpy", "s3fs")
"""What opens further sources: workers need those that are installed here."""

PLACED_S = 300.0
"""A cluster that grows with what is asked of it takes some minutes to start a machine."""

LOSSES_LIMIT = 12
"""Workers that may be lost one after another with nothing embedded in between."""

ROWS_LEAST = 16
"""Rows that are worth another worker, which takes seconds to load the model."""

MODEL_BYTES = 4 << 30
"""Largest model that is sent to a machine without it; it is in the cluster's memory meanwhile."""

_BLOCK_BYTES = 32 << 20
_WAIT_S = 0.5


@dataclass(eq=False)
class Part:
    """Some consecutive rows on their way.

    Attributes:
        rows: Pairs of a key and a source.
        is_alone: Whether a worker gets it only while it has nothing else: it was lost before.
        losses: Workers that were lost while they had it alone.
        result: What became of it; None while it is on its way.
        node: The machine that embedded it.
    """

    rows: Rows
    is_alone: bool = False
    losses: int = 0
    result: list[Batch[Any]] | None = None
    node: str = ""


@dataclass(eq=False)
class Worker:
    """An actor.

    Attributes:
        actor: Ray's handle of it.
        node: The machine it runs on, once it is known.
        facts: What it is like; None until it has loaded the model.
        parts: What it has to do.
    """

    actor: Any
    node: str = ""
    facts: Facts | None = None
    parts: list[Part] = field(default_factory=list)

    def can_take(self, part: Part) -> bool:
        """Return whether it may have another part now."""
        if self.facts is None or any(each.is_alone for each in self.parts):
            return False
        return not self.parts if part.is_alone else len(self.parts) < SLOTS


class Pool:
    """Workers for one statement; close it, and none is left.

    Args:
        ray: The module, connected to a cluster.
        task: What is embedded.
        workers: How many; None is one a GPU where there are some and the task may use them, else
            one a machine; never more than there are rows for.
        total: About how many rows there are.
        said: The executor, for messages.
    """

    def __init__(self, ray: Any, task: Task, workers: int | None, total: int, said: str) -> None:
        self._ray, self._said = ray, said
        most = max(1, total // ROWS_LEAST) if task.kind != "video" else max(1, total)
        self._share = _share(ray.nodes(), workers, most, task.model.device)
        device = task.model.device or ""
        # Of a machine's GPUs, a worker sees its own alone.
        model = replace(task.model, device="cuda") if device.startswith("cuda") else task.model
        self._task = replace(task, model=model)
        self._class = ray.remote(
            num_cpus=self._share.cores,
            num_gpus=self._share.gpus,
            max_restarts=0,
            max_concurrency=SLOTS,
            scheduling_strategy="SPREAD",
        )(worker_class())
        self._waits: dict[Any, tuple[Worker, Callable[[Worker, Any], None]]] = {}
        self._workers: list[Worker] = []
        self._lost: list[Part] = []
        self._losses = 0
        self._blocks: list[tuple[str, Any]] = []
        self._begun = time.monotonic()

    def __enter__(self) -> Pool:
        for _ in range(self._share.workers):
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            self._kill(worker)
        self._workers, self._waits, self._blocks = [], {}, []

    @property
    def size(self) -> int:
        """How many workers there are, those that are being started included."""
        return len(self._workers)

    def facts(self) -> Facts:
        """Wait for the first worker that has loaded the model, and return what it is like.

        Raises:
            OperationalError: There is none, or it cannot work.
            ModelError: The model cannot be loaded.
        """
        while True:
            for worker in self._workers:
                if worker.facts is not None:
                    return worker.facts
            self.wait()

    def give(self, part: Part) -> bool:
        """Give a part to the worker that has least to do, if one may have it now."""
        able = [worker for worker in self._workers if worker.can_take(part)]
        if not able:
            return False
        worker = min(able, key=lambda each: len(each.parts))
        worker.parts.append(part)

        def done(worker: Worker, result: list[Batch[Any]]) -> None:
            part.result, part.node = result, worker.node
            worker.parts.remove(part)
            self._losses = 0

        # As an object: what a client sends as an argument counts against a limit of Ray's.
        self._call(worker, done, "embed", self._ray.put(part.rows))
        return True

    def wait(self) -> list[Part]:
        """Wait until something has happened, half a second at most.

        Returns:
            The parts whose worker was lost.

        Raises:
            OperationalError: The cluster cannot be used.
            Error: What a worker says that stops the statement.
        """
        ray = self._ray
        if not ray.is_initialized():  # it would start a cluster of its own
            raise self.error("this program was disconnected from the cluster")
        try:
            ready, _ = ray.wait(list(self._waits), timeout=_WAIT_S)
            for ref in ready:
                worker, then = self._waits.pop(ref)
                try:
                    state, result = ray.get(ref)
                except ray.exceptions.RayTaskError as error:
                    raise self.error(f"a worker on {worker.node} failed: {_said(error)}") from error
                except ray.exceptions.RuntimeEnvSetupError as error:
                    raise self.error(f"a worker cannot be started: {_said(error)}") from error
                except ray.exceptions.RayError as error:
                    self._replace(worker, error)
                    continue
                if state == "failed":
                    raise type(result)(f"executor {self._said}: machine {worker.node}: {result}")
                then(worker, result)
        except (ConnectionError, ray.exceptions.RayError) as error:
            raise self.error(f"the cluster does not answer any more: {_said(error)}") from error
        if all(not each.node for each in self._workers):
            self._require_place()
        lost, self._lost = self._lost, []
        return lost

    def error(self, text: str) -> OperationalError:
        """Return an error that names the executor."""
        return OperationalError(f"executor {self._said}: {text}")

    def _require_place(self) -> None:
        if time.monotonic() - self._begun < PLACED_S:
            return
        share, free = self._share, self._ray.available_resources()
        raise self.error(
            f"the cluster had no place for a worker in {PLACED_S:.0f} seconds: one takes"
            f" {share.cores} CPUs and {share.gpus:g} GPUs, of which {free.get('CPU', 0):g} and"
            f" {free.get('GPU', 0):g} are free in all; wait for other programs, or take more and"
            " smaller ones, connect(…, workers=…)"
        )

    def _start(self) -> None:
        worker = Worker(self._class.remote())
        self._workers.append(worker)
        names = ["thanosql-dbapi", *PACKAGES, *EXTRAS]
        self._waits[worker.actor.look.remote(names)] = worker, self._looked

    def _call(
        self, worker: Worker, then: Callable[[Worker, Any], None], what: str, *args: Any
    ) -> None:
        self._waits[worker.actor.call.remote(what, *args)] = worker, then

    def _looked(self, worker: Worker, seen: Mapping[str, Any]) -> None:
        worker.node = f"{seen['node']!r} (process {seen['process']})"
        if different := _differences(seen["versions"]):
            raise self.error(
                f"machine {worker.node} has other packages than this program:"
                f" {', '.join(different)}; install the same there, or have Ray do so:"
                " ray.init(…, runtime_env={'pip': […]}) before the connection is used"
            )
        self._open(worker)

    def _open(self, worker: Worker) -> None:
        self._call(worker, self._opened, "open", self._task, self._share.cores, SLOTS)

    def _opened(self, worker: Worker, facts: Facts | None) -> None:
        if facts is None:
            self._send_model(worker)
        else:
            worker.facts = facts

    def _send_model(self, worker: Worker) -> None:
        """Send the model's files to a machine that has not got them, block by block."""
        model = self._task.model
        if not self._blocks:
            files = [each for each in sorted(model.folder.iterdir()) if _is_sent(each)]
            size = sum(each.stat().st_size for each in files)
            if size > MODEL_BYTES:
                raise ModelError(
                    f"executor {self._said}: machine {worker.node} has no model in"
                    f" {str(model.folder)!r}, or another one, and with {size:,} bytes it is too"
                    f" large to be sent there (the limit is {MODEL_BYTES:,}); copy or mount the"
                    " folder there"
                )
            self._blocks = [
                (each.name, self._ray.put(block)) for each in files for block in _blocks(each)
            ]
        left = iter(self._blocks)

        def step(worker: Worker, _: object) -> None:
            if (block := next(left, None)) is not None:
                self._call(worker, step, "receive", *block)
            else:
                self._call(worker, lambda one, _: self._open(one), "received", model)

        step(worker, None)

    def _replace(self, worker: Worker, error: Exception) -> None:
        """Note that a worker is lost with what it had to do, and start another one."""
        self._kill(worker)
        self._workers.remove(worker)
        self._waits = {ref: each for ref, each in self._waits.items() if each[0] is not worker}
        self._lost += worker.parts
        self._losses += 1
        if self._losses > LOSSES_LIMIT:
            raise self.error(
                f"{self._losses} workers were lost one after another, the last on"
                f" {worker.node or 'a machine that is not known'}: {_said(error)}"
            )
        self._start()

    def _kill(self, worker: Worker) -> None:
        with suppress(Exception):  # it is gone, or the cluster is
            if self._ray.is_initialized():
                self._ray.kill(worker.actor)


@dataclass(frozen=True)
class _Share:
    workers: int
    cores: int
    gpus: float


def _share(
    nodes: list[dict[str, Any]], workers: int | None, most: int, device: str | None
) -> _Share:
    """Return how many workers there are to be, and what each gets: as much as leaves all a place.

    Args:
        nodes: The cluster's machines, as Ray lists them.
        workers: How many were asked for.
        most: How many there are rows for.
        device: The task's.
    """
    own = [each["Resources"] for each in nodes if each["Alive"]]
    cores = [int(each.get("CPU", 0)) for each in own]
    may_use_gpu = device is None or device.startswith("cuda")
    gpus = int(sum(each.get("GPU", 0) for each in own)) if may_use_gpu else 0
    count = min(most, workers or gpus or sum(each > 0 for each in cores) or 1)
    fitting = (
        each
        for each in range(max(cores, default=1), 1, -1)
        if sum(n // each for n in cores) >= count
    )
    return _Share(count, next(fitting, 1), min(1.0, int(100 * gpus / count) / 100))


def _differences(there: Mapping[str, str | None]) -> list[str]:
    """Return which packages of a worker are not those of this process."""
    found = []
    for name, numbers in {"thanosql-dbapi": 0, **PACKAGES, **dict.fromkeys(EXTRAS, -1)}.items():
        here, got = _installed(name), there.get(name)
        if here is None or (got is not None and _release(got, numbers) == _release(here, numbers)):
            continue
        found.append(f"{name} {got or 'is missing'}, expected {here}")
    return found


def _release(text: str, numbers: int) -> object:
    """Return the numbers of a version that count: all for 0, none for -1."""
    if numbers < 1:
        return text if numbers == 0 else ""
    return text.partition("+")[0].split(".")[:numbers]


def _installed(name: str) -> str | None:
    if name == "thanosql-dbapi":
        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_sent(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _said(error: Exception) -> str:
    """Return the last line of what Ray says, which tells why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return clip(lines[-1] if lines else type(error).__name__, 300)
