"""What a text after FROM or in a row names: a path, a URL, an object in a bucket, a member.

Archives are spelled as fsspec spells them: ``zip://2024/cat.jpg::photos.zip``, where the archive
is a path, a URL or an object itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from .errors import SourceError, clip

WEB = ("http", "https")
STORES = ("s3", "gs")
ARCHIVES = ("zip", "tar")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_ARCHIVE_NAME = re.compile(r"(?i)\.(?:(zip|cbz)|tar(?:\.(?:gz|bz2|xz|zst))?|tgz|tbz2?|txz)$")
_NESTED = tuple(f"::{scheme}://" for scheme in ARCHIVES)
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Place:
    """Where something lies.

    Attributes:
        text: As it was written.
        scheme: Of ``WEB``, ``STORES`` or ``ARCHIVES``, or empty for a path.
        bucket: The bucket, of an object in a store.
        path: The key in the bucket, the member's name in the archive, or the path or URL.
        archive: Where the archive lies, of a member.

    Example:
        >>> parse("zip://2024/cat.jpg::s3://album/photos.zip").archive.bucket
        'album'
    """

    text: str
    scheme: str
    path: str
    bucket: str = ""
    archive: Place | None = None

    @property
    def holder(self) -> Place:
        """What has to be opened first: the archive of a member, else the place itself."""
        return self.archive or self

    @property
    def is_far(self) -> bool:
        """Whether the network is needed."""
        return bool(self.holder.scheme)

    @property
    def suffix(self) -> str:
        """The suffix of its name, with the dot."""
        path = self.path.partition("?")[0] if self.scheme in WEB else self.path
        return PurePosixPath(path).suffix

    @property
    def pattern(self) -> str:
        """The path, if it has wildcards and is no folder's; else empty."""
        is_glob = _GLOB.search(self.path) and not self.path.endswith("/")
        return self.path if is_glob and self.scheme not in ("", *WEB) else ""


def is_elsewhere(text: str) -> bool:
    """Return whether a text names something that is no file of its own: a URL, object or member.

    Example:
        >>> is_elsewhere("s3://album/cat.jpg"), is_elsewhere("file:///home/me/cat.jpg")
        (True, False)
    """
    return scheme_of(text) not in ("", "file")


def scheme_of(text: str) -> str:
    """Return what stands before ``://``, in lower case, or an empty text."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""


def archive_scheme(path: str) -> str:
    """Return ``zip`` or ``tar`` by the suffix of a file's name, or an empty text."""
    found = _ARCHIVE_NAME.search(path)
    return "" if found is None else "zip" if found[1] else "tar"


def parse(text: str) -> Place:
    """Return what a text names.

    Raises:
        SourceError: It is spelled in a way that nothing can have, or its scheme is not known.
    """
    scheme = scheme_of(text)
    rest = text[len(scheme) + 3 :]
    if scheme in ("", "file"):
        return Place(text, "", text)
    if scheme in WEB:
        return Place(text, scheme, text)
    if scheme in STORES:
        return _object(text, scheme, rest)
    if scheme in ARCHIVES:
        return _member(text, scheme, rest)
    raise SourceError(
        f"{clip(text)}: expected a path, or what begins with http://, https://, s3://, gs://,"
        f" zip:// or tar://, got {scheme}://"
    )


def join(folder: str, path: str) -> str:
    """Return where a path in a folder lies; an absolute path or a URL stays as it is.

    Args:
        folder: A path, a URL, a bucket or an archive with a prefix.
        path: The path.

    Example:
        >>> join("s3://album/2024", "cat.jpg"), join("zip://::a.zip", "cat.jpg")
        ('s3://album/2024/cat.jpg', 'zip://cat.jpg::a.zip')
    """
    if is_elsewhere(path) or path[:5].lower() == "file:":
        return path
    if not is_elsewhere(folder):
        return str(PurePath(folder) / path)
    place = parse(folder)
    if place.archive is not None:
        inside = f"{place.path.rstrip('/')}/{path}".lstrip("/")
        return f"{place.scheme}://{inside}::{place.archive.text}"
    return f"{folder.rstrip('/')}/{path.lstrip('/')}"


def within(place: Place, name: str) -> str:
    """Return the text that names an entry of a bucket or an archive.

    Args:
        place: A place in the bucket, or in the archive.
        name: The entry's key or name.

    Example:
        >>> within(parse("zip://2024/*.jpg::a.zip"), "2024/cat.jpg")
        'zip://2024/cat.jpg::a.zip'
    """
    if place.archive is not None:
        return f"{place.scheme}://{name}::{place.archive.text}"
    return f"{place.scheme}://{place.bucket}/{name}"


def _object(text: str, scheme: str, rest: str) -> Place:
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise SourceError(
            f"{clip(text)}: expected {scheme}://BUCKET/KEY, got the bucket {clip(bucket)}"
        )
    # A store takes them as they are; a proxy before it may not, and would leave the prefix.
    if any(part in (".", "..") for part in key.split("/")) or "\0" in key:
        raise SourceError(f"{clip(text)}: expected a key without '.' and '..' in it")
    return Place(text, scheme, key, bucket)


def _member(text: str, scheme: str, rest: str) -> Place:
    member, chain, archive = rest.rpartition("::")
    if not chain or not archive:
        raise SourceError(
            f"{clip(text)} names no archive; expected {scheme}://MEMBER::ARCHIVE, e.g."
            f" {scheme}://2024/cat.jpg::photos.{scheme}, or {scheme}://::photos.{scheme} for all"
            " of it"
        )
    holder = parse(archive)
    if holder.scheme in ARCHIVES or any(mark in f"::{rest}".lower() for mark in _NESTED):
        raise SourceError(
            f"{clip(text)} is in an archive that is in an archive; unpack the outer one first"
        )
    return Place(text, scheme, member.lstrip("/"), archive=holder)
