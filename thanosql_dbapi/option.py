"""One option of ``connect``: its names, its default, and how its text is read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ProgrammingError, SourceError, clip
from .places import STORES, parse, scheme_of
from .workspace import with_home

_TRUE = ("true", "yes", "on", "y", "t", "1")
_FALSE = ("false", "no", "off", "n", "f", "0")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")

EXECUTORS = ("threads", "processes", "ray")
EXECUTOR_NAMES = f"{', '.join(EXECUTORS)} or ray://host:10001"
_CLUSTER = re.compile(r"ray://([^\s/@:?#\[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})/?")

STORE_OPTIONS: Mapping[str, Mapping[str, type]] = {
    "s3": {
        **dict.fromkeys(("endpoint_url", "region", "profile", "key", "secret", "token"), str),
        "requester_pays": bool,
    },
    "gs": {**dict.fromkeys(("endpoint_url", "project", "token"), str), "requester_pays": bool},
}
"""What ``storage_options`` takes of each kind of store, with the types."""


class OptionError(ProgrammingError, ValueError):
    """An option of ``connect`` with a value that it does not take."""


@dataclass(frozen=True)
class Option:
    """One option of ``connect``, wherever it is given.

    ``connect``, SQLAlchemy's and ``%thanosql``'s URLs, the command line and the environment
    variables all read this.

    Attributes:
        name: Name in Python and in URLs.
        expected: What it takes, for messages: ``"true or false"``.
        read: Makes a value of a text; raises ValueError, whose message replaces ``expected`` if
            it has one.
        check: Whether a value given in Python has the right type, apart from None.
        default: The value when it is given nowhere.
        help: What it does, for the command line and the documentation.
        environment: Environment variable that is read when the option is not given, or None.
        flag: Name on the command line.
        metavar: Placeholder of the value on the command line; None for true and false.
        is_repeatable: Whether it may be given several times, for a list.
        is_secret: Whether messages do not show its value.
        python_type: What it takes in Python, for messages; default: ``expected``.
    """

    name: str
    expected: str
    read: Callable[[str], Any]
    check: Callable[[Any], bool]
    default: Any
    help: str
    flag: str
    environment: str | None = None
    metavar: str | None = None
    is_repeatable: bool = False
    is_secret: bool = False
    python_type: str = ""

    def read_text(self, text: str, what: str | None = None) -> Any:
        """Return the value that a text means.

        Args:
            text: From a URL, the command line or the environment.
            what: What has that value, for the message; default: the option.

        Raises:
            OptionError: It does not take the text.
        """
        what = what or f"option {self.name!r}"
        try:
            return self.read(text)
        except ValueError as error:
            got = f"{len(text):,} characters" if self.is_secret else clip(text)
            raise OptionError(f"{what} takes {str(error) or self.expected}; got {got}") from None

    def value(self, given: Any) -> Any:
        """Return the value of an option given in Python: checked, or the default for None.

        Raises:
            TypeError: The value has another type.
            OptionError: The option does not take the value, or its environment variable is wrong.
        """
        if given is None:
            text = os.environ.get(self.environment or "")
            return self.read_text(text, self.environment) if text else self.default
        if self.is_repeatable:
            # Relative folders start at the workspace: Settings.of checks what the lists hold.
            return given
        if not self.check(given):
            expected = self.python_type or self.expected
            got = type(given).__name__ if self.is_secret else clip(given)
            raise TypeError(f"{self.name} must be {expected}, got {got}")
        if isinstance(given, (str, os.PathLike)):
            self.read_text(os.fspath(given))
        elif type(given) is int:
            self.read_text(str(given))
        return given


def read_boolean(text: str) -> bool:
    """Return the truth value that a word means, in any case.

    Raises:
        ValueError: It is not one of the words.
    """
    word = text.strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError
    return word in _TRUE


def read_count(least: int, unit: str) -> Callable[[str], int]:
    """Return what reads a whole number, and refuses one below the least."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError from None  # without int's own message
        if number < least:
            raise ValueError(f"{least} or more {unit}")
        return number

    return read


def read_folder(text: str) -> str:
    """Return a folder's path.

    Raises:
        ValueError: There is no such folder.
    """
    folder = Path(with_home(text))
    # os.path knows no exceptions: a name of 300 letters, or NUL in it, is no folder's.
    if not os.path.isdir(folder):  # noqa: PTH112
        why = "is a file" if os.path.exists(folder) else "does not exist"  # noqa: PTH110
        raise ValueError(f"a folder, and {str(folder.absolute())!r} {why}")
    return str(folder)


def read_further_folder(text: str) -> str:
    """Return a folder or a bucket; relative folders start at the workspace, not known here.

    Raises:
        ValueError: There is no such folder, or the bucket is spelled wrongly.
    """
    if scheme_of(text) in STORES:
        try:
            parse(text)
        except SourceError as error:
            raise ValueError(f"a folder or a bucket: {error}") from None
        return text
    return read_folder(text) if Path(with_home(text)).is_absolute() else text


def read_catalog(text: str) -> str:
    """Return the path or URL of a catalog.

    Raises:
        ValueError: It is neither a URL nor a file.
    """
    if not re.match(r"https?://", text) and not os.path.isfile(with_home(text)):  # noqa: PTH113
        raise ValueError
    return text


def read_device(text: str) -> str:
    """Return the name of a device.

    Raises:
        ValueError: No device has it.
    """
    if not _DEVICE.fullmatch(text):
        raise ValueError
    return text


def read_executor(text: str) -> str:
    """Return the name of an executor, or the address of a Ray cluster.

    Raises:
        ValueError: There is none of that name.
    """
    address = _CLUSTER.fullmatch(text)
    if text not in EXECUTORS and not (address and int(address[2]) < 1 << 16):
        raise ValueError
    return text


def read_host(text: str) -> str:
    """Return a host, in lower case and without the dot of the root.

    Raises:
        ValueError: No host is written so.
    """
    host = text.strip().lower().removesuffix(".")
    if not host or re.search(r"[\s/@?#\\*,]", host):
        raise ValueError
    return host


def read_mode(text: str) -> str:
    """Return a mode of SQLite's URIs.

    Raises:
        ValueError: It is none.
    """
    if text not in ("ro", "rw", "rwc"):
        raise ValueError
    return text


def read_storage(text: str) -> dict[str, dict[str, Any]]:
    """Return the options of object stores that a JSON text has.

    Raises:
        ValueError: It is no JSON, or has other options.
    """
    try:
        given = json.loads(text)
    except ValueError:
        raise ValueError from None  # json's message quotes the text
    return checked_storage(given)


def checked_storage(given: Any) -> dict[str, dict[str, Any]]:
    """Return options of object stores whose names and types are right.

    Raises:
        ValueError: They are not; the message has no value of them.
    """
    if not isinstance(given, Mapping) or not set(given) <= set(STORES):
        raise ValueError
    for store, options in given.items():
        known = STORE_OPTIONS[store]
        if not isinstance(options, Mapping):
            raise ValueError
        for name, value in options.items():
            if name not in known or type(value) is not known[name]:
                kinds = ", ".join(f"{each} ({kind.__name__})" for each, kind in known.items())
                raise ValueError(f"for {store} any of {kinds}, not {clip(name)} with that value")
    return {store: dict(options) for store, options in given.items()}


def is_path(value: Any) -> bool:
    """Return whether a value of Python can be a path."""
    return isinstance(value, (str, os.PathLike))


def is_boolean(value: Any) -> bool:
    """Return whether a value of Python is True or False."""
    return isinstance(value, bool)
