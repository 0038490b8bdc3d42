"""Objects in the buckets of S3 and Google Cloud Storage, by s3fs and gcsfs.

The credentials of the environment are used for the buckets that the connection was opened with.
Any other bucket is read as a stranger would read it, so a row cannot name what is private to the
user. Which host a store has is the user's word alone: its own, or that of an ``endpoint_url``.

Sources: https://filesystem-spec.readthedocs.io/en/latest/async.html,
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import logging
import os
import threading
from collections.abc import Coroutine, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..errors import NotSupportedError, SourceError, clip
from ..places import Place
from .network import CONNECT_S, without_secrets
from .policy import SourcePolicy

if TYPE_CHECKING:
    from .guard import Guard

FAR_WORKERS = 32
"""Most objects that are read at a time."""
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
# Another value of one of these is another store, or another user of it.
_VARIABLES = ("AWS_", "BOTO_", "GOOGLE_", "GCSFS_", "STORAGE_EMULATOR_HOST", "CLOUDSDK_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_KEPT_STORES = 16
_LOGIN_CODES = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    *("AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "401"),
)
_MISSING_LOGIN = ("NoCredentials", "PartialCredentials", "CredentialRetrieval", "ProfileNotFound")
_FORBIDDEN_CODES = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "InvalidPayer")

_T = TypeVar("_T")


class Object(NamedTuple):
    """An object in a bucket.

    Attributes:
        key: Its key.
        size: Bytes.
        mtime_ns: When it was stored, in nanoseconds since 1970; 0 where the store does not say.
        tag: A digest of what the store says of its content, 32 bytes: of its ETag on S3, of its
            MD5 or CRC32C on Google Cloud Storage. None where the store says nothing.
    """

    key: str
    size: int
    mtime_ns: int
    tag: bytes | None


class Store:
    """One kind of object store, as one user of it; used by several threads at once.

    Args:
        policy: How it is read.
        scheme: ``s3`` or ``gs``.
        is_own: Whether the user's credentials are used.

    Raises:
        NotSupportedError: The package that reads it is not installed.
        SourceError: Its host may not be connected to, or there are no credentials.
    """

    def __init__(self, policy: SourcePolicy, scheme: str, *, is_own: bool) -> None:
        from .guard import Guard

        self._policy, self._scheme, self._is_own = policy, scheme, is_own
        self._guard = Guard(policy.allowed_hosts)
        make = _s3 if scheme == "s3" else _gs
        self._files = make(policy, self._guard, is_own)

    def read(self, place: Place, *, start: int = 0, limit: int) -> bytes:
        """Return an object's content, or a part of it: ``limit`` bytes at most.

        Raises:
            SourceError: It cannot be read.
        """
        reading = self._files._cat_file(_path(place), start=start, end=start + limit)
        try:
            content: bytes = self._run(place, reading, self._policy.total_s)
        except _PastEndError:
            return b""
        return content[:limit]

    def look(self, place: Place) -> Object:
        """Return what the store says of an object.

        Raises:
            SourceError: It cannot be read.
        """
        try:
            facts = self._run(place, self._files._info(_path(place)), self._policy.total_s)
        except SourceError as error:
            if _code(error.__cause__) in ("400", "403"):
                self.read(place, limit=1)  # an answer without a content does not say why
            raise
        if facts.get("type") == "directory":
            raise _missing(place)
        return _object(facts, place.bucket)

    def list(self, place: Place, prefix: str) -> Iterator[Object]:
        """Yield the objects under a prefix, as it is written; ``""`` is the whole bucket.

        Raises:
            SourceError: The bucket does not exist, or may not be listed.
        """
        path = f"{place.bucket}/{prefix}".rstrip("/")
        found = self._run(place, self._files._find(path, detail=True), self._policy.table_total_s)
        for facts in found.values():
            each = _object(facts, place.bucket)
            if each.key.startswith(prefix):
                yield each

    def _run(self, place: Place, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Do work in fsspec's loop, and say in one way what is wrong."""

        async def timed() -> _T:
            return await asyncio.wait_for(work, seconds)

        future = asyncio.run_coroutine_threadsafe(timed(), self._files.loop)
        try:
            return future.result()
        except Exception as error:
            raise self._explained(place, error, seconds) from error
        finally:
            future.cancel()

    def _explained(self, place: Place, error: Exception, seconds: float) -> Exception:
        """Return the error that says what is wrong with an object or bucket."""
        from .guard import refusal_in

        if refusal := refusal_in(error):
            return SourceError(f"{clip(place.text)}: {refusal}")
        name, code = type(error).__name__, _code(error)
        if code in ("416", "InvalidRange"):
            return _PastEndError()
        if code == "NoSuchBucket":
            return _missing(place, f"there is no bucket {place.bucket!r}")
        if isinstance(error, FileNotFoundError):
            return _missing(place)
        if any(mark in name for mark in _MISSING_LOGIN) or "DefaultCredentials" in name:
            return SourceError(
                f"{clip(place.text)}: no credentials for it were found ({name}); set"
                f" {_variables(place.scheme)}, or leave its bucket out of allowed_directories to"
                " read it as anybody may"
            )
        if code in _FORBIDDEN_CODES or code in _LOGIN_CODES:
            return SourceError(f"{clip(place.text)}: {self._refused(place, code)}")
        if code == "InvalidObjectState":
            return SourceError(
                f"{clip(place.text)} lies in an archive of the store ({code}); restore it there"
                " first"
            )
        # Two classes before Python 3.11.
        if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
            return SourceError(f"{clip(place.text)} takes longer than {seconds:g} seconds")
        why = without_secrets(" ".join(str(error).split()))[:200] or name
        return SourceError(f"{clip(place.text)} cannot be read: {f'{code}, ' if code else ''}{why}")

    def _refused(self, place: Place, code: str) -> str:
        if code in _LOGIN_CODES and self._is_own:
            return (
                f"the store does not accept your credentials ({code}); check"
                f" {_variables(place.scheme)}"
            )
        if self._is_own:
            return f"your credentials do not allow to read this, or it does not exist ({code})"
        bucket = f"{place.scheme}://{place.bucket}"
        return (
            f"not everybody may read this, or it does not exist ({code}); to read it with your"
            f" credentials, open the connection with allowed_directories=[{bucket!r}]"
        )


class _PastEndError(Exception):
    """A part was asked for that begins behind the end."""


def _missing(place: Place, why: str = "") -> SourceError:
    error = SourceError(f"{clip(place.text)} does not exist{f': {why}' if why else ''}")
    error.__cause__ = FileNotFoundError(place.text)
    return error


_stores: dict[object, Store] = {}
_lock = threading.Lock()


def open_store(policy: SourcePolicy, place: Place) -> Store:
    """Return the store in which an object lies; the same one for the same policy and environment.

    Raises:
        NotSupportedError: The package that reads it is not installed.
        SourceError: The network is off, or the store cannot be opened.
    """
    policy.require_network(place)
    is_own = policy.workspace.is_own(place)
    environment = tuple(
        sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.startswith(_VARIABLES) or name.upper() in _PROXIES
        )
    )
    limits = (policy.allowed_hosts, policy.storage, policy.timeout_s, policy.total_s)
    # fsspec's thread does not live on in a process that was forked.
    key = (os.getpid(), place.scheme, is_own, limits, environment)
    with _lock:
        found = _stores.get(key)
        if found is None:
            found = Store(policy, place.scheme, is_own=is_own)
            while len(_stores) >= _KEPT_STORES:
                del _stores[next(iter(_stores))]
            _stores[key] = found
    return found


def _s3(policy: SourcePolicy, guard: Guard, is_own: bool) -> Any:
    s3fs = _required("s3")
    given = policy.options("s3")
    login = {name: given[name] for name in ("key", "secret", "token", "profile") if name in given}
    client = {"region_name": given["region"]} if "region" in given else {}
    files = s3fs.S3FileSystem(
        anon=not is_own,
        endpoint_url=given.get("endpoint_url"),
        requester_pays=is_own and given.get("requester_pays", False),
        client_kwargs=client,
        config_kwargs={
            # An address in numbers is not resolved: it can be that of an endpoint_url alone.
            "connector_args": {"resolver": guard},
            "max_pool_connections": FAR_WORKERS,
            "connect_timeout": CONNECT_S,
            "read_timeout": policy.timeout_s,
            "retries": {"max_attempts": 1},
        },
        use_listings_cache=False,
        skip_instance_cache=True,
        **(login if is_own else {}),
    )
    files.retries = 3
    try:
        files.connect()
        guard.trust(files.s3.meta.endpoint_url)
    except Exception as error:
        raise SourceError(
            f"S3 cannot be reached as its settings say: {without_secrets(str(error))[:200]}; check"
            f" {_variables('s3')} and storage_options"
        ) from error
    return files


def _gs(policy: SourcePolicy, guard: Guard, is_own: bool) -> Any:
    gcsfs = _required("gs")
    # It logs each object that cannot be read; a program that has set up logging still gets that.
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    import aiohttp
    from fsspec.asyn import get_loop

    given = policy.options("gs")

    async def connector() -> Any:
        return aiohttp.TCPConnector(
            resolver=guard, socket_factory=guard.socket, limit=FAR_WORKERS, ttl_dns_cache=0
        )

    made = asyncio.run_coroutine_threadsafe(connector(), get_loop()).result()
    try:
        files = gcsfs.GCSFileSystem(
            token=given.get("token") if is_own else "anon",
            project=given.get("project", ""),
            access="read_only",
            endpoint_url=given.get("endpoint_url"),
            requester_pays=is_own and given.get("requester_pays", False),
            requests_timeout=policy.total_s,
            session_kwargs={"connector": made, "trust_env": True},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        guard.trust(files.base)
    except Exception as error:
        raise SourceError(
            f"Google Cloud Storage cannot be reached as its settings say:"
            f" {without_secrets(str(error))[:200]}; check {_variables('gs')} and storage_options"
        ) from error
    return files


def _required(scheme: str) -> Any:
    package = _PACKAGES[scheme]
    # Not gcsfs itself: it reads some buckets by gRPC, which a guard cannot watch.
    name = "gcsfs.core" if scheme == "gs" else package
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotSupportedError(
            f"reading {scheme}:// needs the package {package}, which cannot be imported ({error});"
            ' install it with: pip install "thanosql-dbapi[remote]"'
        ) from error


def _variables(scheme: str) -> str:
    if scheme == "s3":
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    return "GOOGLE_APPLICATION_CREDENTIALS, or say: gcloud auth application-default login"


def _path(place: Place) -> str:
    return f"{place.bucket}/{place.path}"


def _code(error: BaseException | None) -> str:
    """Return the store's own code of an error, such as ``AccessDenied``, or an empty text."""
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        if type(cause).__name__ == "HttpError":
            return str(getattr(cause, "code", "") or "")
        cause = cause.__cause__
    return "403" if isinstance(error, OSError) and str(error).startswith("Forbidden") else ""


def _object(facts: dict[str, Any], bucket: str) -> Object:
    when = facts.get("LastModified") or facts.get("mtime")
    said = facts.get("ETag") or facts.get("md5Hash") or facts.get("crc32c") or facts.get("etag")
    size = int(facts.get("size") or 0)
    return Object(
        str(facts["name"]).removeprefix(f"{bucket}/"),
        size,
        _nanoseconds(when) if isinstance(when, datetime) else 0,
        hashlib.sha256(f"{said}\0{size}".encode()).digest() if said else None,
    )


def _nanoseconds(when: datetime) -> int:
    return int(when.timestamp()) * 10**9 + when.microsecond * 1000
