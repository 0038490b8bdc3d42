"""What a database URL may say: our options, pysqlite's, and SQLite's own for ``uri=true``.

Every option is checked here, so that a slip in a URL is told at ``create_engine`` and not found
in a search that read the wrong folder. This module knows URLs, and nothing of dialects.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Union

from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from thanosql_dbapi.errors import clip
from thanosql_dbapi.option import OptionError, read_boolean
from thanosql_dbapi.settings import OPTIONS

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


def _number(kind: Callable[[str], Any], called: str) -> Callable[[str], Any]:
    def read(value: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise ValueError(called) from None

    return read


def _begin(value: str) -> str:
    if value.upper() not in ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"):
        raise ValueError(
            "DEFERRED, IMMEDIATE or EXCLUSIVE, the kind of BEGIN (AUTOCOMMIT and SERIALIZABLE are"
            " values of create_engine(isolation_level=…))"
        )
    return value.upper()


SQLITE3_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "uri": read_boolean,
    "timeout": _number(float, "a number of seconds"),
    "isolation_level": _begin,
    "detect_types": _number(int, "an integer"),
    "check_same_thread": read_boolean,
    "cached_statements": _number(int, "an integer"),
}
"""Options of ``sqlite3.connect`` that a URL may have, as in SQLAlchemy's own sqlite dialect."""

SQLITE_URI_OPTIONS = ("cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs")
"""What SQLite itself reads of a URI: https://www.sqlite.org/uri.html."""


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
    is_uri = _is_uri(url)
    options: dict[str, Any] = {}
    for name, value in query.items():
        if is_uri and name in SQLITE_URI_OPTIONS:
            continue
        if name in OPTIONS and OPTIONS[name].is_repeatable:
            folders = (value,) if isinstance(value, str) else value
            options[name] = tuple(_read(url, name, folder) for folder in folders)
        elif name in OPTIONS or name in SQLITE3_OPTIONS:
            options[name] = _read(url, name, _one(url, name, value))
        elif not is_uri:
            _refuse(url, name)
        elif "vfs" not in query:
            # A VFS of the user's own may take options of its own.
            _refuse(url, name)
    return options


def own_options(url: URL) -> list[str]:
    """Return the options of a URL that pysqlite is not to see: ours, which are no part of a URI."""
    is_uri = _is_uri(url)
    return [name for name in OPTIONS if not (is_uri and name in SQLITE_URI_OPTIONS)]


def _is_uri(url: URL) -> bool:
    return "uri" in url.query and bool(_read(url, "uri", _one(url, "uri", url.query["uri"])))


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
        f" {', '.join(repr(each.name) for each in OPTIONS.values() if each.is_repeatable)}"
        f" may be\n{VALID_FORMS}"
    )


def _read(url: URL, name: str, value: str) -> Any:
    try:
        if name in OPTIONS:
            return OPTIONS[name].read_text(value)
        return SQLITE3_OPTIONS[name](value)
    except OptionError as error:
        raise ArgumentError(f"URL {_shown(url)}: {error}\n{VALID_FORMS}") from None
    except ValueError as error:
        expected = str(error) or "true or false"
        raise ArgumentError(
            f"URL {_shown(url)}: option {name!r} takes {expected}; got {clip(value)}\n{VALID_FORMS}"
        ) from None


def _refuse(url: URL, name: str) -> NoReturn:
    known = (*OPTIONS, *SQLITE3_OPTIONS)
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
