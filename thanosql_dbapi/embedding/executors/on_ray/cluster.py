"""This program's connection to a Ray cluster: Ray allows one a process, so connections share it.

Ray is at home in programs that are Ray's own: joining a cluster replaces the handler of SIGTERM and
the debugger, and prints what happens in the cluster. Here it is a library of a library, so all of
that is put back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from ....errors import NotSupportedError, OperationalError, clip

RAY = "ray"
"""The executor that joins the cluster of this machine, or starts one."""

_LOCAL = "local"

# The server of Ray's clients answers at once or not at all; reaching it may take a VPN a while.
_REACH_S = 5.0
# Ray's own waits add up to half a minute before it says that nobody answers.
_PATIENCE = {
    "RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "3",
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "5",
}
# Paths and BLOBs of the parts on their way; Ray itself would take a third of the memory.
_STORE_BYTES = 512 << 20

_lock = threading.Lock()
_address: str | None = None  # that we have joined; None where the program has, or nobody
_users = 0
_process = 0


def load_ray() -> Any:
    """Return the module ``ray``.

    Raises:
        NotSupportedError: It is not installed, or without its client.
    """
    hook = sys.excepthook
    try:
        import ray

        import_module("grpc")  # its client needs it, and says so late
    except ImportError as error:
        raise NotSupportedError(
            "executor 'ray' needs the package ray, with its client, which is not installed here:"
            f" pip install 'thanosql-dbapi[ray]' ({error}); nothing was changed"
        ) from error
    finally:
        sys.excepthook = hook
    return ray


def join(address: str) -> Any:
    """Connect this program to a cluster, unless it is, and return the module ``ray``.

    Call :func:`leave` for each call that has returned.

    Args:
        address: ``"ray://host:10001"``; or ``"ray"``: the cluster that this program is connected
            to already, else that of ``RAY_ADDRESS`` or this machine, else a new one on it.

    Raises:
        NotSupportedError: Ray is not installed.
        OperationalError: The cluster does not answer, or is of another version; or this program is
            connected to another one.
    """
    global _address, _users, _process
    ray = load_ray()
    with _lock:
        if _users and _process != os.getpid():
            raise OperationalError(
                f"executor {address!r}: this process was forked from one that uses Ray, which"
                " cannot be used in it; start it with multiprocessing's method 'spawn'; nothing was"
                " changed"
            )
        if ray.is_initialized():
            if _users and _address is not None:
                is_other = address not in (RAY, _address)
            else:
                is_other = address != RAY
            if is_other:
                raise OperationalError(
                    f"executor {address!r}: this program is connected to Ray already"
                    f"{f' by executor {_address!r}' if _address else ''}, and Ray allows one"
                    " connection a process; open the connection with executor='ray' to use that"
                    " one, or end it before; nothing was changed"
                )
        else:
            _users = 0
            _connect(ray, address)
            _address = address
        _process = os.getpid()
        _users += 1
    return ray


def leave() -> None:
    """Say that a call of :func:`join` is over; after the last one, what it began is ended."""
    global _address, _users
    with _lock:
        if not _users or _process != os.getpid():
            return
        _users -= 1
        if _users or _address is None:
            return
        _address = None
        ray = load_ray()
        with _unnoticed():
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        with _unnoticed():
            if address != RAY:
                _reach(address)
                ray.init(address, **quiet)
                return
            quiet["configure_logging"] = False
            wanted = os.environ.get("RAY_ADDRESS")
            if wanted != _LOCAL:
                try:
                    ray.init("auto", **quiet)
                except ConnectionError:
                    if wanted:
                        raise
            if not ray.is_initialized():
                own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
                ray.init(_LOCAL, **own, **quiet)
            _silence(ray)
    except OperationalError:
        raise
    except BaseException as error:
        with contextlib.suppress(Exception):
            ray.shutdown()
        if not isinstance(error, Exception):
            raise
        raise OperationalError(_refusal(address, error)) from error


def _reach(address: str) -> None:
    """Check that somebody listens at an address."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port or 0), _REACH_S).close()
    except OSError as error:
        raise OperationalError(
            f"executor {address!r}: nobody answers there: {error.strerror or error}; expected the"
            " client port of a cluster's head, which `ray start --head` opens on 10001; nothing was"
            " changed"
        ) from error


def _refusal(address: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if "ersion mismatch" in said:
        return (
            f"executor {address!r}: the cluster has other versions than this program, expected the"
            f" same Ray and Python: {clip(said, 400)}; nothing was changed"
        )
    where = os.environ.get("RAY_ADDRESS")
    named = f" (RAY_ADDRESS is {where!r})" if where and address == RAY else ""
    hint = ""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        hint = (
            ". Where the cluster asks for a token, as it does since Ray 2.60 unless told otherwise,"
            " set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        )
    return (
        f"executor {address!r}{named}: Ray cannot be joined: {type(error).__name__}:"
        f" {clip(said, 300)}{hint}; nothing was changed"
    )


@contextlib.contextmanager
def _unnoticed() -> Iterator[None]:
    """Let Ray do its work without a word, and put back what it sets in this process."""
    logger = logging.getLogger("ray")
    level, environment = logger.level, dict(os.environ)
    is_main = threading.current_thread() is threading.main_thread()
    on_term = signal.getsignal(signal.SIGTERM) if is_main else None
    logger.setLevel(logging.CRITICAL)
    if "ray.util.client.worker" not in sys.modules:
        for name, seconds in _PATIENCE.items():
            os.environ.setdefault(name, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if on_term is not None:
            signal.signal(signal.SIGTERM, on_term)
        for name in set(os.environ) | set(environment):
            if os.environ.get(name) != environment.get(name):
                if name in environment:
                    os.environ[name] = environment[name]
                else:
                    del os.environ[name]


def _silence(ray: Any) -> None:
    """End the thread that prints to standard output what has gone wrong in the cluster.

    Ray has no switch for it. What concerns a statement is told by its errors.
    """
    with contextlib.suppress(AttributeError):
        worker = ray._private.worker.global_worker
        worker.threads_stopped.set()
        worker.gcs_error_subscriber.close()
