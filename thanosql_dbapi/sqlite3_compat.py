"""What lets the module stand in sqlite3's place to the letter.

Python names the place of a warning by the frame that runs. Between a caller and sqlite3 the driver
has frames of its own, so what sqlite3 warns of is said again here, at the caller's line. And a
class that a program has derived from sqlite3's own gets the driver's abilities beside it.

Sources: https://docs.python.org/3/library/sqlite3.html, "Default adapters and converters" and
"Deprecated since version 3.13".
"""

from __future__ import annotations

import datetime
import functools
import re
import sqlite3
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import warn_user

_T = TypeVar("_T")

# A sequence for named placeholders: an error from 3.14 on.
NAMES_ARE_WARNED_OF = (3, 12) <= sys.version_info < (3, 14)

ASIDE = re.compile(
    r"""'[^']*(?:'|\Z) | "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[^\]]*(?:\]|\Z)
      | --[^\n]* | /\*[\s\S]*?(?:\*/|\Z)""",
    re.VERBOSE,
)
"""Quotations and comments."""

# To SQLite every character above ASCII is a letter. These classes say which characters of ASCII
# are none: `re` needs 2 ms to compile one that goes up to U+10FFFF, and 6 if case does not count.
LETTER = r"[^\x00-@\[-^`{-\x7f]"
"""What a name begins with, as a regular expression."""
NAMED = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
"""What a name goes on with."""

_PARAMETER = re.compile(rf"[:@$](?:{NAMED}|:)")

POSITIONAL = (
    "timeout",
    "detect_types",
    "isolation_level",
    "check_same_thread",
    "factory",
    "cached_statements",
    "uri",
)
"""What ``sqlite3.connect`` takes by position after the database."""


def options_of(arguments: tuple[Any, ...], options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return sqlite3's arguments by name.

    Args:
        arguments: Those given by position, after the database.
        options: Those given by name.
        what: What was called, for messages.

    Raises:
        TypeError: There are too many, or one is given twice.
    """
    if len(arguments) > len(POSITIONAL):
        raise TypeError(
            f"{what} takes at most {len(POSITIONAL) + 1} positional arguments"
            f" ({len(arguments) + 1} given)"
        )
    named = dict(zip(POSITIONAL, arguments, strict=False))
    if twice := sorted(named.keys() & options.keys()):
        raise TypeError(f"{what} got multiple values for argument {twice[0]!r}")
    if arguments and sys.version_info >= (3, 13):
        *names, last = (repr(name) for name in POSITIONAL)
        warn_user(
            f"Passing more than 1 positional argument to {what} is deprecated. Parameters"
            f" {', '.join(names)} and {last} will become keyword-only parameters in Python 3.15.",
            DeprecationWarning,
        )
    return {**named, **options}


def relay(call: Callable[..., _T], /, *arguments: Any, **options: Any) -> _T:
    """Call a function of sqlite3; what it says is deprecated is said at the caller's line.

    Where the program makes an error of it, the function has done nothing. For calls that are
    deprecated in themselves, since ``catch_warnings`` is not made for several threads at once.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return call(*arguments, **options)
    except DeprecationWarning as found:
        warning = found
    warn_user(str(warning), DeprecationWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return call(*arguments, **options)


@functools.lru_cache(maxsize=512)
def has_named_parameters(sql: str) -> bool:
    """Tell whether a text has placeholders with a name: ``:name``, ``@name``, ``$name``."""
    if ":" not in sql and "@" not in sql and "$" not in sql:
        return False
    return _PARAMETER.search(sql) is not None and _PARAMETER.search(ASIDE.sub(" ", sql)) is not None


def may_warn(sql: str) -> bool:
    """Return whether sqlite3 warns where a text's placeholders are bound to a sequence."""
    return NAMES_ARE_WARNED_OF and has_named_parameters(sql)


def warns_of_names(sql: object, parameters: object) -> bool:
    """Return whether sqlite3 warns that these named placeholders got a sequence."""
    if not NAMES_ARE_WARNED_OF or not parameters or isinstance(parameters, Mapping):
        return False
    return isinstance(sql, str) and has_named_parameters(sql)


@functools.cache
def with_abilities_of(base: type, derived: type) -> type:
    """Return a class that is both: the user's, with what it inherits from sqlite3 from ours.

    Args:
        base: The driver's ``Connection`` or ``Cursor``.
        derived: The user's subclass of sqlite3's class of that name.
    """
    if derived in base.__mro__:
        return base
    namespace = {"__module__": derived.__module__, "__doc__": derived.__doc__}
    return type(derived.__name__, (derived, base), namespace)


def is_foreign(factory: object, base: type, own: type) -> bool:
    """Return whether a factory is a class of sqlite3's kind that is not one of ours."""
    return isinstance(factory, type) and issubclass(factory, own) and not issubclass(factory, base)


@functools.cache
def adapt_default_types() -> None:
    """Let sqlite3's adapters of date and datetime, deprecated since 3.12, warn at the caller.

    The adapters belong to the process: they find the caller wherever the value was bound. One that
    the program has registered stays.
    """
    if sys.version_info < (3, 12):
        return
    for kind, name, text in (
        (datetime.date, "date", datetime.date.isoformat),
        (datetime.datetime, "datetime", functools.partial(datetime.datetime.isoformat, sep=" ")),
    ):
        known = sqlite3.adapters.get((kind, sqlite3.PrepareProtocol))
        if getattr(known, "__module__", None) == "sqlite3.dbapi2":
            sqlite3.register_adapter(kind, _adapter(name, text))


def _adapter(name: str, text: Callable[[Any], str]) -> Callable[[Any], str]:
    message = (
        f"The default {name} adapter is deprecated as of Python 3.12; see the sqlite3 documentation"
        " for suggested replacement recipes"
    )

    def adapt(value: Any) -> str:
        warn_user(message, DeprecationWarning)
        return text(value)

    return adapt
