"""Opening files, and saying in one way what is wrong with them."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from ...errors import NotSupportedError, SourceError
from ...openfile import OpenFile


def describe(opened: OpenFile | Path) -> str:
    """Return how messages name a file."""
    return f"file {str(getattr(opened, 'shown', opened))!r}"


def open_binary(opened: OpenFile) -> BinaryIO:
    """Read a file from its start; one named ``….gz`` is decompressed on the way."""
    if opened.path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(opened.reader(), "rb"))
    return opened.reader()


def open_text(opened: OpenFile) -> TextIO:
    """Read a UTF-8 file, with or without a byte order mark, line ends as they are."""
    return io.TextIOWrapper(open_binary(opened), encoding="utf-8-sig", newline="")


@contextmanager
def reading(opened: OpenFile | Path) -> Iterator[None]:
    """Turn what the operating system and the decoders say into a SourceError with the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        assert isinstance(opened, OpenFile)
        raise SourceError(_not_utf8(opened)) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(
            f"{describe(opened)}: expected gzip data, got a damaged or unfinished file ({error});"
            " fetch or compress it again"
        ) from error
    except OSError as error:
        raise SourceError(
            f"{describe(opened)} cannot be read: {error.strerror or error}"
        ) from error


def require(package: str, purpose: str) -> Any:
    """Import an optional package.

    Raises:
        NotSupportedError: It is not installed; the text says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        root = package.partition(".")[0]
        raise NotSupportedError(
            f"{purpose} needs the package {root}, which cannot be imported ({error});"
            ' install it with: pip install "thanosql-dbapi[files]"'
        ) from error


def _not_utf8(opened: OpenFile) -> str:
    """Name the first line that is not UTF-8; a line end is never part of another character."""
    with open_binary(opened) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = line[error.start]
                is_utf16 = number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff")
                return (
                    f"{describe(opened)}, line {number}: expected UTF-8 text, got byte 0x{byte:02x}"
                    f"{' (it looks like UTF-16)' if is_utf16 else ''};"
                    " save the file as UTF-8 (in Excel: CSV UTF-8)"
                )
    return f"{describe(opened)}: expected UTF-8 text; save the file as UTF-8"
