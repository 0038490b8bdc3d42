"""Connections that several threads use at once, and those that a fork has carried into a child.

SQLite holds a connection's mutex while it calls an SQL function of Python's, which then waits for
the interpreter's lock. sqlite3 holds the interpreter's lock while it binds a value or reads a
column, for which SQLite wants the mutex. So two threads on one connection wait for one another for
ever. Nothing in the function can help: it is not called before the interpreter's lock is free. A
connection with ``check_same_thread=False`` therefore takes a lock of its own before either.

After a fork, SQLite forbids to use a connection of the parent
(https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_). Such a
connection becomes an object that refuses, and is never closed.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from .errors import ProgrammingError

CURSOR = (
    *("execute", "executemany", "executescript"),
    *("fetchone", "fetchmany", "fetchall", "__next__", "close"),
)
"""What of a cursor calls SQLite."""

_FREE = ("interrupt", "cursor", "iterdump")  # iterdump has cursors of its own
CONNECTION = (
    "__exit__",
    *(
        name
        for name, value in vars(sqlite3.Connection).items()
        if callable(value) and not name.startswith("_") and name not in _FREE
    ),
)
"""What of a connection calls SQLite."""


@functools.cache
def guarded(kind: Any, names: Iterable[str], lock: Callable[[Any], threading.RLock]) -> Any:
    """Return a subclass whose methods take a lock.

    Args:
        kind: A class of connections or cursors.
        names: The methods.
        lock: Gives the lock of an object.
    """

    def guard(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, /, *arguments: Any, **options: Any) -> Any:
            with lock(self):
                return method(self, *arguments, **options)

        return call

    return derived(kind, {name: guard(getattr(kind, name)) for name in names})


def derived(kind: Any, methods: dict[str, Any]) -> Any:
    """Return a subclass with other methods, that an object of the class may be made one of."""
    names = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__slots__": ()}
    return type(kind.__name__, (kind,), {**names, **methods})


# -- fork ---------------------------------------------------------------------------------------

_open: weakref.WeakSet[sqlite3.Connection] = weakref.WeakSet()


def belongs_to_process(connection: sqlite3.Connection) -> None:
    """Have a connection refuse to work in a child that this process forks."""
    _open.add(connection)


class _Refusing:
    """A mapping that refuses each look-up."""

    def __init__(self, refuse: Callable[..., NoReturn]) -> None:
        self.get = refuse


@functools.cache
def _carried(kind: Any) -> Any:
    def refuse(self: Any, *arguments: Any, **options: Any) -> NoReturn:
        raise ProgrammingError(
            f"this connection was opened in process {self._process} and carried by fork into"
            f" process {os.getpid()}; SQLite forbids to use it there: open another one in the"
            " child; nothing was changed"
        )

    names = {*CONNECTION, *_FREE, "__enter__", "__call__", "explain", "check_process"} - {"close"}
    methods: dict[str, Any] = dict.fromkeys(names, refuse)
    # To close it would take the parent's locks away.
    return derived(kind, {**methods, "close": lambda self: None})


def _refuse_all() -> None:
    parent = os.getppid()
    for connection in list(_open):
        connection.__dict__["_process"] = parent
        kind: Any = type(connection)
        connection.__class__ = _carried(kind)
        refuse = connection.check_process  # type: ignore[attr-defined]
        connection.__dict__["_settled"] = _Refusing(refuse)
        # Nor may the interpreter close it when it ends.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_refuse_all)
