"""``thanosql serve``: Datasette with our page, on this machine alone."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sqlite3
import threading
import webbrowser
from collections.abc import Iterable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from ...connection import Connection
from ...errors import NotSupportedError, OperationalError
from ...stores.sqlite.location import require_database
from ...workspace import StrPath
from ..album import DATABASE


def serve(
    directory_or_database: StrPath,
    *,
    database: StrPath | None = None,
    host: str = "127.0.0.1",
    port: int = 8001,
    open_browser: bool = False,
    names: Iterable[str] = (),
    **options: Any,
) -> None:
    """Show a page to search pictures in, until Ctrl-C.

    Nothing is written. The address is printed, and the log of requests is not.

    Args:
        directory_or_database: A folder with ``photos.db`` in it, or a database file.
        database: The database of the folder's pictures, where it is another file.
        host: The address to listen at. Whoever reaches it sees the pictures.
        port: The port, 0 for any that is free.
        open_browser: Whether to show the page in the browser.
        names: Further names by which the server may be asked, such as ``"photos.lan"``; requests
            by other names than these, ``localhost`` and plain addresses are refused.
        **options: Options of ``connect``: ``workspace``, ``allowed_directories``, ``device`` …

    Raises:
        NotSupportedError: Datasette is not installed.
        OperationalError: There is no such database, or the port is in use.

    Example:
        >>> serve("/no/such/folder")
        Traceback (most recent call last):
        sqlite3.OperationalError: there is no file or folder '/no/such/folder'; nothing was started
    """
    file, options = _database_of(Path(directory_or_database), database, options)
    if find_spec("datasette") is None or find_spec("uvicorn") is None:
        raise NotSupportedError(
            "the page needs Datasette, which is not installed; pip install 'thanosql-dbapi[web]'"
        )
    # Whatever is wrong with the file or an option is said here, and not by a page.
    require_database(file)
    with closing(Connection(file, mode="ro", progress=False, **options)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    application = make_application(file, names=names, **options)
    with closing(_listening(host, port)) as listener:
        address = _address(host, listener.getsockname()[1])
        click.echo(f"Search your pictures at {address}/-/pictures  (Ctrl-C ends)")
        if not _is_loopback(host):
            click.echo("Whoever can reach this machine can see the pictures.", err=True)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [f"{address}/-/pictures"]).start()
        _run(application.app(), listener)


def make_application(file: Path, *, names: Iterable[str] = (), **options: Any) -> Any:
    """Return the Datasette that :func:`serve` runs.

    Args:
        file: The database.
        names: As for :func:`serve`.
        **options: Options of ``connect``.
    """
    from datasette.app import Datasette
    from datasette.plugins import pm

    from . import plugin

    # Datasette has Python print a traceback for each error of an SQL function. Ours arrive as
    # errors of the statement, and their tracebacks have paths in them.
    sqlite3.enable_callback_tracebacks(False)
    # Where the package was not installed, but put on the path, nobody has registered it.
    if not pm.is_registered(plugin):
        pm.register(plugin, plugin.NAME)
    return Datasette(
        [str(file)],
        metadata={
            "title": file.stem,
            "plugins": {plugin.NAME: {**_as_json(options), "hosts": list(names)}},
        },
        settings={"allow_download": False},
    )


def _database_of(
    place: Path, database: StrPath | None, options: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """Return the database file, and the options with the workspace that it belongs to."""
    place = place.expanduser().absolute()
    if not place.exists():
        raise OperationalError(f"there is no file or folder {str(place)!r}; nothing was started")
    if not place.is_dir():
        return place, options
    file = place / DATABASE if database is None else Path(database).expanduser().absolute()
    if not file.is_file():
        raise OperationalError(
            f"there is no database {str(file)!r}; `thanosql index {place}` makes it from the"
            " pictures in the folder; nothing was started"
        )
    return file, {"workspace": place, **options}


def _as_json(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as Datasette's metadata can have them."""
    plain: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, (list, tuple, set, frozenset)):
            plain[name] = [str(each) for each in value]
        elif value is not None:
            plain[name] = str(value) if isinstance(value, Path) else value
    return plain


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:  # some systems take the rest of a division
        raise OperationalError(f"a port is 0 to 65535, got {port}; nothing was started")
    try:
        kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(kind, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        reason = getattr(error, "strerror", None) or error
        raise OperationalError(
            f"cannot listen at {host} port {port}: {reason}; take another port, or 0 for any that"
            " is free; nothing was started"
        ) from error
    return listener


def _run(application: Any, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=3,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _address(host: str, port: int) -> str:
    try:
        is_any = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        is_any = False
    name = "127.0.0.1" if is_any else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
