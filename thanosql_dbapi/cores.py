"""How many processor cores this process may use, and work that is shared among them."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()


def usable_cores() -> int:
    """Return the number of cores that the process may use, at least 1.

    That is what ``taskset`` has left it, and of that no more than the CPU time that its container
    is given (``docker run --cpus=2``), rounded up.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, _quota()))


@lru_cache(maxsize=1)
def _quota() -> int:
    """Return the cores that the container is given; a large number where there is no limit.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files. A container
    sees its own group as the root of the hierarchy.
    """
    with suppress(OSError, ValueError):
        most, period = _QUOTA.read_text().split()
        if most != "max":
            return math.ceil(int(most) / int(period))
    return 2**16


def share(work: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """Call a function once for each item, in several threads; return when all is done.

    The calling thread takes part, so that the work is done even where no other thread is free or
    can be started. The other threads are started once and kept.

    Args:
        work: The function; it gains by threads where it lets Python's lock go.
        items: What it is called for; the threads take one after another.
        threads: Threads that work at the same time, at most.

    Raises:
        Exception: What a call raised; items not begun by then are dropped.
    """
    left = deque(items)

    def take() -> None:
        while True:
            try:
                item = left.popleft()
            except IndexError:
                return
            try:
                work(item)
            except BaseException:
                left.clear()
                raise

    helpers: list[Future[None]] = []
    # No thread can be started, or the interpreter is about to end.
    with suppress(RuntimeError):
        helpers.extend(_threads().submit(take) for _ in range(min(threads, len(left)) - 1))
    try:
        take()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, usable_cores() - 1), "thanosql-core")
        return _pool


def _forget() -> None:
    # A child of fork has none of its parent's threads, and perhaps a lock that nobody releases.
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
