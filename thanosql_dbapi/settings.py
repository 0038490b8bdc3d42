"""What a connection was told, and what it remembers between statements.

Apart from the statements, so that a connection can be opened, and plain SQL run, without loading
what they need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ProgrammingError, clip
from .progress import Progress
from .workspace import StrPath, Workspace, with_home

DEFAULT_CACHE_BYTES = 4 * 2**30
"""For some 8 million vectors of 512 numbers."""

DEFAULT_IMAGE_PIXELS = 178_956_970
"""Twice Pillow's own mark for a suspicious image: above what most cameras make."""

_TRUE = ("true", "yes", "on", "y", "t", "1")
_FALSE = ("false", "no", "off", "n", "f", "0")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


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
            raise OptionError(
                f"{what} takes {str(error) or self.expected}; got {clip(text)}"
            ) from None

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
            raise TypeError(f"{self.name} must be {expected}, got {clip(given)}")
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


def _read_count(least: int, unit: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError from None  # without int's own message
        if number < least:
            raise ValueError(f"{least} or more {unit}")
        return number

    return read


def _read_folder(text: str) -> str:
    folder = Path(with_home(text))
    # os.path knows no exceptions: a name of 300 letters, or NUL in it, is no folder's.
    if not os.path.isdir(folder):  # noqa: PTH112
        why = "which is a file" if os.path.exists(folder) else "which does not exist"  # noqa: PTH110
        raise ValueError(f"a folder, {why} ({str(folder.absolute())!r})")
    return str(folder)


def _read_further_folder(text: str) -> str:
    """Relative ones start at the workspace, which is not known here."""
    return _read_folder(text) if Path(with_home(text)).is_absolute() else text


def _read_catalog(text: str) -> str:
    if not re.match(r"https?://", text) and not os.path.isfile(with_home(text)):  # noqa: PTH113
        raise ValueError
    return text


def _read_device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise ValueError
    return text


def _read_host(text: str) -> str:
    """Return a host, in lower case and without the dot of the root."""
    host = text.strip().lower().removesuffix(".")
    if not host or re.search(r"[\s/@?#\\*,]", host):
        raise ValueError
    return host


def _read_mode(text: str) -> str:
    if text not in ("ro", "rw", "rwc"):
        raise ValueError
    return text


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            "workspace",
            "a folder",
            _read_folder,
            _is_path,
            None,
            "where relative paths start and where data sets and models are kept; default: the"
            " database's folder",
            "--workspace",
            environment="THANOSQL_WORKSPACE",
            metavar="DIR",
        ),
        Option(
            "allowed_directories",
            "folders",
            _read_further_folder,
            lambda value: True,
            (),
            "a further folder that statements may read files from; may be repeated",
            "--allow",
            metavar="DIR",
            is_repeatable=True,
        ),
        Option(
            "catalog",
            "the path of a JSON file that exists, or an http(s) URL",
            _read_catalog,
            _is_path,
            None,
            "catalog of data sets and models, laid over the built-in one",
            "--catalog",
            environment="THANOSQL_CATALOG",
            metavar="FILE",
        ),
        Option(
            "device",
            "cpu, cuda, cuda:1 or mps",
            _read_device,
            lambda value: isinstance(value, str),
            None,
            "cpu, cuda, cuda:1 or mps; default: the best there is",
            "--device",
            environment="THANOSQL_DEVICE",
            metavar="DEVICE",
        ),
        Option(
            "progress",
            "true or false",
            read_boolean,
            lambda value: isinstance(value, bool) or callable(value),
            None,
            "show progress bars; default: in a terminal or notebook",
            "--progress",
            python_type="None, True, False or a callable",
        ),
        Option(
            "offline",
            "true or false",
            read_boolean,
            _is_boolean,
            False,
            "never use the network",
            "--offline",
            python_type="True or False",
            environment="THANOSQL_OFFLINE",
        ),
        Option(
            "network",
            "true or false",
            read_boolean,
            _is_boolean,
            False,
            "let rows name images by http(s) URL",
            "--network",
            python_type="True or False",
        ),
        Option(
            "allowed_hosts",
            "hosts, each a name or an address such as nas.local, 10.0.0.5 or localhost:8000",
            _read_host,
            lambda value: True,
            (),
            "a host that images may come from although its address is private, loopback or"
            " link-local; may be repeated; only with --network",
            "--allow-host",
            metavar="HOST",
            is_repeatable=True,
        ),
        Option(
            "cache_bytes",
            "a number of bytes",
            _read_count(0, "bytes"),
            lambda value: type(value) is int,
            DEFAULT_CACHE_BYTES,
            "most bytes of memory for the vectors of one column; 0 keeps none; default: 4 GiB",
            "--cache-bytes",
            metavar="N",
        ),
        Option(
            "max_image_pixels",
            "a number of pixels",
            _read_count(1, "pixels"),
            lambda value: type(value) is int,
            DEFAULT_IMAGE_PIXELS,
            "most pixels of an image to decode; a larger JPEG is read at a half, a quarter or an"
            " eighth; default: 178,956,970",
            "--max-image-pixels",
            metavar="N",
        ),
        Option(
            "confine_attach",
            "true or false",
            read_boolean,
            _is_boolean,
            False,
            "refuse ATTACH and VACUUM INTO of files outside the workspace; for servers",
            "--confine-attach",
            python_type="True or False",
        ),
        Option(
            "mode",
            "ro, rw or rwc",
            _read_mode,
            lambda value: isinstance(value, str),
            None,
            "ro: nothing is written, neither the database nor anything beside it; rw: the file must"
            " exist; default: rwc, it is created",
            "--mode",
            metavar="MODE",
        ),
    )
}
"""The options of ``connect`` by name."""


@dataclass(frozen=True)
class Settings:
    """What ``connect`` was told, for the life of the connection.

    Attributes:
        workspace: Where files live and which may be read.
        catalog: Path or URL of a catalog to lay over the built-in one, or None.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or None for the best available.
        progress: How progress is shown.
        offline: Whether the network is never used, not even for catalog entries.
        network: Whether rows and queries may name images by http(s) URL.
        allowed_hosts: Hosts that they may name although their addresses are not public.
        cache_bytes: Most bytes of memory for the vectors of one column.
        max_image_pixels: Most pixels of an image to decode.
        confine_attach: Whether ATTACH and VACUUM INTO are kept inside the workspace.
        mode: How the file is opened, as in SQLite's URIs, or None.
        is_read_only: Whether nothing may be written: not the database, and nothing beside it.
    """

    workspace: Workspace
    catalog: StrPath | None = None
    device: str | None = None
    progress: Progress = field(default_factory=Progress)
    offline: bool = False
    network: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cache_bytes: int = DEFAULT_CACHE_BYTES
    max_image_pixels: int = DEFAULT_IMAGE_PIXELS
    confine_attach: bool = False
    mode: str | None = None
    is_read_only: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any], folder: StrPath, *, is_read_only: bool) -> Settings:
        """Return the settings of a connection.

        Args:
            given: Options of ``connect``; None is the same as not given.
            folder: The workspace if none is given.
            is_read_only: Whether nothing may be written.

        Raises:
            TypeError: A value has another type.
            OptionError: An option does not take its value.
        """
        values = {name: option.value(given.get(name)) for name, option in OPTIONS.items()}
        root, further = values.pop("workspace"), values.pop("allowed_directories")
        workspace = Workspace(folder if root is None else root, further)
        for each in workspace.allowed_directories:
            OPTIONS["allowed_directories"].read_text(str(each))
        values["allowed_hosts"] = _hosts(values["allowed_hosts"])
        progress = Progress(values.pop("progress"))
        return cls(workspace=workspace, progress=progress, is_read_only=is_read_only, **values)


def _hosts(given: Any) -> tuple[str, ...]:
    hosts = [given] if isinstance(given, str) else list(given)
    if bad := [each for each in hosts if not isinstance(each, str)]:
        raise TypeError(f"allowed_hosts must be texts, got {clip(bad[0])}")
    return tuple(OPTIONS["allowed_hosts"].read_text(each) for each in hosts)
