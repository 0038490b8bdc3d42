"""What a database URL may say: our options, pysqlite's, and SQLite's own for ``uri=true``.

Every option is checked here, so that a slip in a URL is told at ``create_engine`` and not found
in a search that read the wrong folder. This module knows URLs, and nothing of dialects.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Union

from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from thanosql_dbapi.errors import clip

VALID_FORMS = (
    "Valid URL forms are:\n"
    " thanosql://  (or thanosql:///:memory:)\n"
    " thanosql:///relative/path/to/photos.db\n"
    " thanosql:////absolute/path/to/photos.db\n"
    " thanosql:///photos.db?workspace=/folder&device=cpu\n"
    " thanosql:///file:photos.db?mode=ro&uri=true\n"
    " and each of them as sqlite+thanosql://"
)

_Value = Union[str, tuple[str, ...]]

_TRUE = ("true", "yes", "on", "y", "t", "1")
_FALSE = ("false", "no", "off", "n", "f", "0")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


def _text(value: str) -> str:
    return value


def _boolean(value: str) -> bool:
    lowered = value.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ArgumentError("true or false")


def _number(kind: Callable[[str], Any], called: str) -> Callable[[str], Any]:
    def read(value: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise ArgumentError(called) from None

    return read


def _begin(value: str) -> str:
    if value.upper() not in ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"):
        raise ArgumentError(
            "DEFERRED, IMMEDIATE or EXCLUSIVE, the kind of BEGIN (AUTOCOMMIT and SERIALIZABLE are"
            " values of create_engine(isolation_level=…))"
        )
    return value.upper()


def _folder(value: str) -> str:
    folder = Path(value).expanduser()
    if not folder.is_dir():
        there = "which is a file" if folder.exists() else "which does not exist"
        raise ArgumentError(f"a folder, {there} ({str(folder.absolute())!r})")
    return str(folder)


def _catalog(value: str) -> str:
    if not re.match(r"https?://", value) and not Path(value).expanduser().is_file():
        raise ArgumentError("the path of a JSON file that exists, or an http(s) URL")
    return value


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise ArgumentError("cpu, cuda, cuda:1 or mps")
    return value


THANOSQL_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "workspace": _folder,
    "allowed_directories": _folder,
    "catalog": _catalog,
    "device": _device,
    "offline": _boolean,
    "network": _boolean,
    "progress": _boolean,
    "cache_bytes": _number(int, "a number of bytes"),
}
"""Options of ``thanosql_dbapi.connect`` that a URL may have, and what reads each."""

SQLITE3_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "uri": _boolean,
    "timeout": _number(float, "a number of seconds"),
    "isolation_level": _begin,
    "detect_types": _number(int, "an integer"),
    "check_same_thread": _boolean,
    "cached_statements": _number(int, "an integer"),
}
"""Options of ``sqlite3.connect`` that a URL may have, as in SQLAlchemy's own sqlite dialect."""

SQLITE_URI_OPTIONS = ("cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs")
"""What SQLite itself reads of a URI: https://www.sqlite.org/uri.html."""

_REPEATABLE = "allowed_directories"


def read_options(url: URL) -> dict[str, Any]:
    """Return the options of a URL as keyword arguments of ``thanosql_dbapi.connect``.

    Those that SQLite itself reads, of a URL with ``uri=true``, are checked and left out.

    Args:
        url: A ``thanosql://`` or ``sqlite+thanosql://`` URL.

    Raises:
        ArgumentError: An option that is not known, given twice, or of another type; a folder or
            file that does not exist.
    """
    query = url.query
    is_uri = "uri" in query and _read(url, "uri", _one(url, "uri", query["uri"]))
    options: dict[str, Any] = {}
    for name, value in query.items():
        if name == _REPEATABLE:
            folders = (value,) if isinstance(value, str) else value
            options[name] = tuple(_read(url, name, folder) for folder in folders)
        elif name in THANOSQL_OPTIONS or name in SQLITE3_OPTIONS:
            options[name] = _read(url, name, _one(url, name, value))
        elif not is_uri:
            _refuse(url, name)
        elif name not in SQLITE_URI_OPTIONS and "vfs" not in query:
            # A VFS of the user's own may take options of its own.
            _refuse(url, name)
    return options


def require_no_host(url: URL) -> None:
    """Raise ArgumentError for a URL with a host, which is most often one slash too few."""
    if not (url.username or url.password or url.host or url.port):
        return
    hint = ""
    if url.host and not (url.username or url.password or url.port):
        path = f"{url.host}/{url.database}" if url.database else url.host
        hint = f"; for the file {path!r} write three slashes: {url.drivername}:///{path}"
    raise ArgumentError(
        f"URL {_shown(url)} names a host, and a database is a file{hint}\n{VALID_FORMS}"
    )


def _one(url: URL, name: str, value: _Value) -> str:
    if isinstance(value, str):
        return value
    raise ArgumentError(
        f"URL {_shown(url)}: option {name!r} is given {len(value)} times; only"
        f" {_REPEATABLE!r} may be\n{VALID_FORMS}"
    )


def _read(url: URL, name: str, value: str) -> Any:
    reader = THANOSQL_OPTIONS.get(name) or SQLITE3_OPTIONS[name]
    try:
        return reader(value)
    except ArgumentError as expected:
        raise ArgumentError(
            f"URL {_shown(url)}: option {name!r} takes {expected}; got {clip(value)}\n{VALID_FORMS}"
        ) from None


def _refuse(url: URL, name: str) -> NoReturn:
    known = (*THANOSQL_OPTIONS, *SQLITE3_OPTIONS)
    if name in SQLITE_URI_OPTIONS:
        hint = "; it is an option of SQLite's URI, which needs 'uri=true' in the URL too"
    else:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(
        f"URL {_shown(url)}: unknown option {clip(name)}{hint}"
        f"\nOptions are: {', '.join(known)}\n{VALID_FORMS}"
    )


def _shown(url: URL) -> str:
    return repr(url.render_as_string(hide_password=True))
