"""Models in a child of ``fork``.

Two things of the parent would make a child wait for ever. The threads of OpenMP, with which torch
computes on the CPU, are not there any more, but the thread that forked waits for them at its next
computation; any other thread starts its own. And a lock that another thread held at that moment is
never released. So a fork waits until no model computes, and the thread that came out of it lets
threads of its own compute. What a GPU was doing cannot be carried over at all.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ModelError

T = TypeVar("T")

_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_held: list[Lock] = []
_forked: int | None = None  # the thread that came out of the last fork
_had_device = False


class Lock:
    """A lock that is free when a process forks; the same thread may take it again."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def in_sound_thread(function: Callable[[], T]) -> T:
    """Return what a function of torch's gives, called in a thread where torch can compute.

    That is the calling one, but for the one that came out of a fork.
    """
    if threading.get_ident() != _forked:
        return function()
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="thanosql-forked", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def check_device(device: str) -> None:
    """Refuse a GPU that was in use when the process was forked.

    Raises:
        ModelError: It was.
    """
    if device != "cpu" and _had_device:
        raise ModelError(
            f"device {device!r} was in use when this process was forked (it is process"
            f" {os.getpid()}), and cannot be used in it; start the process with multiprocessing's"
            " method 'spawn', or open the connection with device='cpu'"
        )


def _before() -> None:
    global _had_device
    for lock in list(_locks):
        lock.__enter__()
        _held.append(lock)
    torch: Any = sys.modules.get("torch")
    _had_device = _had_device or (torch is not None and _computes_on_device(torch))


def _computes_on_device(torch: Any) -> bool:
    try:
        return bool(torch.cuda.is_initialized())
    except AttributeError:  # torch is being imported
        return False


def _after() -> None:
    while _held:
        _held.pop().__exit__()


def _after_in_child() -> None:
    global _forked
    _after()
    if "torch" in sys.modules:
        _forked = threading.get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
