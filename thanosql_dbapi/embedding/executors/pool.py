"""Processes that decode pictures: started once, kept by a connection, and gone with it.

A worker is a Python of its own that runs ``worker``, and no child of ``multiprocessing``: that
would import the program's main module once more, so that a script without a guard, a notebook or
``python -c`` would start all over. It is asked over its standard input and answers on its standard
output; one thread asks one worker at a time. Pixels come back in shared memory.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import numpy as np

from ...errors import MediaError, OperationalError, clip
from ..batches import Read
from .program import can_start_python, flags, worker_program
from .shared import SharedMemory
from .task import PictureReader
from .worker import READY

SLOT_BYTES = 2 << 20
"""For the pixels of what a worker is asked for at a time."""
_SLOTS_LIMIT = 512 if sys.platform != "win32" else 64
"""Most slots: one for each chunk that is decoded and not yet used; Windows counts all as used."""

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class _EndedError(Exception):
    """A worker has ended before it answered; the text says how."""


class _Worker:
    """One process, asked by one thread at a time."""

    def __init__(self, memory: SharedMemory | None) -> None:
        apart: dict[str, Any] = {"start_new_session": True}  # Ctrl-C is for this process alone
        if os.name == "nt":
            apart = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        self._process = subprocess.Popen(
            [sys.executable, *flags(), "-c", worker_program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=memory.descriptors if memory and os.name != "nt" else (),
            **apart,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self._memory, self._token = memory, 0

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone, e.g. killed while nobody asked it."""
        return self._process.poll() is not None

    def wait(self) -> Exception | None:
        """Wait until it can be asked, and return why it cannot use the memory, if so.

        Raises:
            _EndedError: It cannot be started.
        """
        try:
            while (line := self._answers.readline()) != READY:
                if not line:
                    raise self._ended()
            if self._memory is None:
                return None
            self._ask("memory", self._memory.handle)
            problem: Exception | None = pickle.load(self._answers)
            return problem
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._ended() from error

    def read(
        self,
        token: int,
        reader: bytes,
        sources: list[Any],
        slot: tuple[int, int] | None,
        *,
        decodes: bool,
    ) -> list[Read]:
        """Have sources read; see :meth:`Pool.read`.

        Raises:
            _EndedError: The process has ended.
            OperationalError: What the worker raises that is no fault of a picture.
        """
        try:
            if self._token != token:
                self._ask("reader", reader)
                self._token = token
            self._ask("read", (sources, slot or (0, 0), decodes))
            answer = pickle.load(self._answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._ended() from error
        if isinstance(answer, Exception):
            raise answer
        reads = []
        for read, stored in answer:
            if stored is not None:
                assert self._memory is not None
                at, shape = stored
                count = int(np.prod(shape))
                view = np.frombuffer(self._memory.buffer, np.uint8, count, at)
                read.pixels = view.reshape(shape)
            reads.append(read)
        return reads

    def _ask(self, kind: str, value: object) -> None:
        pickle.dump((kind, value), self._questions, protocol=5)
        self._questions.flush()

    def _ended(self) -> _EndedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        self.kill()
        if code is None:
            return _EndedError("it closed its pipe")
        if code >= 0:
            return _EndedError(f"exit status {code}")
        try:
            return _EndedError(f"signal {signal.Signals(-code).name}")
        except ValueError:
            return _EndedError(f"signal {-code}")

    def kill(self) -> None:
        """End the process, whatever it does, and leave nothing of it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._questions, self._answers):
            with suppress(OSError):  # what was not yet written
                pipe.close()

    def abandon(self, nothing: int) -> None:
        """In a child of ``fork``: let go of the parent's worker, which is not ours to end."""
        for pipe in (self._questions, self._answers):
            os.dup2(nothing, pipe.fileno())
        self._process.returncode = 0


class Pool:
    """Workers that several threads ask, for one statement at a time.

    Args:
        size: How many.

    Attributes:
        size: How many.
        problem: Why they cannot be asked (any more), or an empty text.
        note: What is to be said of them once, or an empty text.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.problem, self.note = "", ""
        self._misses_memory = False
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._slots: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._reserved = 0
        self._memory: SharedMemory | None = None
        self._ready = threading.Event()
        self._token, self._reader = 0, b""
        # At the latest when the program ends.
        weakref.finalize(self, _end_all, self._workers)
        _pools.add(self)
        threading.Thread(target=self._start, name="thanosql-start", daemon=True).start()

    def wait(self) -> bool:
        """Wait until the workers have started, and return whether they can be asked."""
        self._ready.wait()
        return self.is_ready

    @property
    def is_ready(self) -> bool:
        """Whether the workers can be asked."""
        return self._ready.is_set() and not self.problem

    @property
    def is_busy(self) -> bool:
        """Whether a worker is at work."""
        return self.is_ready and self._idle.qsize() < self.size

    def _start(self) -> None:
        try:
            self._memory = SharedMemory(_SLOTS_LIMIT * SLOT_BYTES)
        except (OSError, OverflowError) as error:
            self._miss_memory(error)
        try:
            if not can_start_python():
                raise _EndedError(f"sys.executable is {sys.executable!r}, which is no Python")
            for worker in [self._started() for _ in range(self.size)]:
                self._wait_for(worker)
                self._idle.put(worker)
        except Exception as error:  # whatever it is, threads can do the work
            if not self.problem:
                self.note = f"no process that decodes can be started ({error}), so threads do"
            self.problem = self.problem or str(error) or type(error).__name__
            self.close()
        finally:
            self._ready.set()

    def _wait_for(self, worker: _Worker) -> None:
        if error := worker.wait():
            self._miss_memory(error)

    def _started(self) -> _Worker:
        worker = _Worker(self._memory)
        with self._lock:
            self._workers.append(worker)
            if not self.problem:
                return worker
        _end_all(self._workers)
        raise CancelledError

    def begin(self, reader: PictureReader) -> None:
        """Begin a statement.

        Args:
            reader: What the workers read with.
        """
        self._token += 1
        self._reader = pickle.dumps(reader, protocol=5)
        self._slots, self._reserved = queue.SimpleQueue(), 0

    def end(self) -> None:
        """End a statement: its slots are given back, the workers stay."""
        if self._memory is not None:
            self._memory.release()

    def _slot(self) -> tuple[int, int] | None:
        """Return a free part of the shared memory, or None where there is none."""
        with suppress(queue.Empty):
            return self._slots.get_nowait()
        with self._lock:
            start = self._reserved * SLOT_BYTES
            if self._memory is None or start >= self._memory.size:
                return None
            try:
                self._memory.reserve(start, start + SLOT_BYTES)
            except OSError as error:
                self._miss_memory(error)
                return None
            self._reserved += 1
            return start, start + SLOT_BYTES

    def _miss_memory(self, error: Exception) -> None:
        if not self._misses_memory:
            self._misses_memory = True
            self.note = (
                f"there is not enough shared memory for pictures ({error}); the processes that"
                " decode them send them through pipes, which takes longer"
            )

    def read(
        self, sources: list[Any], *, decodes: bool = True
    ) -> tuple[list[Read], Callable[[], None]]:
        """Have a worker read sources.

        Args:
            sources: As rows have them, or as ``PictureReader.fetch`` gives them.
            decodes: Whether to decode them; else only their contents are told.

        Returns:
            What reading each of them gave, and what is to be called when the pixels were used.

        Raises:
            CancelledError: The statement has ended.
            OperationalError: Too many files are open, or no worker can be started any more.
        """
        try:
            return self._read(sources, decodes=decodes)
        except _EndedError as error:
            ended = error
        if len(sources) == 1:
            try:
                return self._read(sources, decodes=decodes)
            except _EndedError:
                return [Read(error=_fatal(sources[0], ended))], _nothing
        # One of them has ended the worker; alone, it is found out.
        alone = [self.read([source], decodes=decodes) for source in sources]

        def release() -> None:
            for _, release_one in alone:
                release_one()

        return [reads[0] for reads, _ in alone], release

    def _read(self, sources: list[Any], *, decodes: bool) -> tuple[list[Read], Callable[[], None]]:
        slots = self._slots
        slot = self._slot() if decodes else None  # without one, pixels come through the pipe

        def release() -> None:
            if slot is not None:
                slots.put(slot)

        worker = self._idle.get()
        try:
            if worker.has_ended:  # over no picture: whoever killed it did so between two questions
                worker = self._replaced(worker)
            reads = worker.read(self._token, self._reader, sources, slot, decodes=decodes)
        except BaseException as error:
            release()
            if isinstance(error, _EndedError):
                worker = self._replaced(worker)
            raise
        finally:
            self._idle.put(worker)
        return reads, release

    def _replaced(self, worker: _Worker) -> _Worker:
        """Return a new worker for one that has ended."""
        if self.problem:
            raise CancelledError
        worker.kill()
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
        try:
            new = self._started()
            self._wait_for(new)
        except (OSError, _EndedError) as error:
            raise OperationalError(
                "a process that decodes pictures has ended, and no other can be started:"
                f" {error}; open the connection with executor='threads'; what was embedded until"
                " now is kept"
            ) from error
        return new

    def close(self) -> None:
        """End the workers for good, whatever they do."""
        with self._lock:
            self.problem = self.problem or "they were ended"
        _end_all(self._workers)
        if self._memory is not None:
            self._memory.close()

    def abandon(self) -> None:
        """Let go of the workers in a child of ``fork``, whose they are not."""
        self.problem = "they are the parent's"
        nothing = os.open(os.devnull, os.O_RDWR)
        for worker in self._workers:
            worker.abandon(nothing)
        os.close(nothing)
        self._workers.clear()


def _nothing() -> None: ...


def _end_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().kill()


def _fatal(source: object, error: _EndedError) -> MediaError:
    return MediaError(
        f"image {clip(source)} cannot be read: the process that decodes it ended twice over it"
        f" ({error})"
    )


def _abandon_all() -> None:
    for pool in list(_pools):
        pool.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
