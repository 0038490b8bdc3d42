"""Models from the Hugging Face hub, through huggingface_hub and its cache.

Weights are downloaded here and put into that cache: continued where a killed process left off, and
compared with their checksum, which huggingface_hub does not do.

``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` count as they
stand when the model is fetched, not as they stood when huggingface_hub was imported.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..progress import Progress
from .hub_cache import (
    CONFIG,
    PLACES,
    HubSource,
    choose_files,
    from_cache,
    named_cache,
    parse_source,
)
from .journal import locked
from .network import download, refuse_offline, shown_url, without_secrets

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGE_BYTES = 1 << 20


def fetch_snapshot(
    source: str,
    folder: Path,
    *,
    offline: bool,
    progress: Progress,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Put a hub model's files for transformers into a folder.

    Large files are hard links into the hub's cache where the file system allows it.

    Args:
        source: ``hf:org/name[@revision]``.
        folder: An empty folder.
        offline: Only the hub's cache may be used.
        progress: Shows the bytes.
        allowed_hosts: Hosts that the hub may keep weights on although their addresses are not
            public.

    Raises:
        SourceError: The hub cannot be reached, or has no such model or revision, or wants a
            token; or the model is not in the cache while offline.
    """
    hub = parse_source(source)
    cached = from_cache(hub)
    if cached is None or not _COMMIT.fullmatch(hub.revision):  # a branch may have moved
        if not _is_offline(offline):
            try:
                cached = _download(hub, progress, allowed_hosts)
            except SourceError:
                if cached is None:
                    raise
        elif cached is None:
            refuse_offline(offline, f"{hub} is not in the hub's cache; getting it")
            raise SourceError(
                f"{hub} is not in the hub's cache, and HF_HUB_OFFLINE forbids to get it; unset it"
            )
    for name, path in cached.items():
        _place(path, folder / name)


def _is_offline(offline: bool) -> bool:
    value = os.environ.get("HF_HUB_OFFLINE", "")
    return offline or value.upper() in ("1", "ON", "YES", "TRUE")


def _download(hub: HubSource, progress: Progress, allowed_hosts: Sequence[str]) -> dict[str, Path]:
    from huggingface_hub import HfApi, hf_hub_download

    endpoint = os.environ.get("HF_ENDPOINT") or None
    with _our_errors(hub, endpoint):
        api = HfApi(endpoint=endpoint, library_name="thanosql-dbapi")
        info = api.model_info(hub.repo, revision=hub.revision, files_metadata=True)
        sizes = {item.rfilename: item.size or 0 for item in info.siblings or []}
        place = next((each for each in PLACES if each + CONFIG in sizes), "")
        names = choose_files([name.removeprefix(place) for name in sizes if name.startswith(place)])
        total = sum(sizes[place + name] for name in names) or None
        commit = info.sha or hub.revision
        where: dict[str, Any] = {
            "endpoint": endpoint,
            "cache_dir": named_cache(),
            "library_name": "thanosql-dbapi",
        }
        paths = {}
        with progress.track(f"download {hub.repo}", total, "B") as advance:
            for name in names:
                meter = _meter(advance)
                if sizes[place + name] >= _LARGE_BYTES:
                    shown = Progress(meter.show)
                    _fetch_blob(hub, place + name, commit, where, shown, allowed_hosts)
                bars = {"tqdm_class": meter} if _takes_tqdm(hf_hub_download) else {}
                path = hf_hub_download(hub.repo, place + name, revision=commit, **where, **bars)
                paths[name] = Path(path)
                advance(max(0, sizes[place + name] - meter.counted))
        if commit != hub.revision:  # has the cache note which commit the branch stands at
            hf_hub_download(hub.repo, place + CONFIG, revision=hub.revision, **where)
    return paths


def _fetch_blob(
    hub: HubSource,
    name: str,
    commit: str,
    where: dict[str, Any],
    progress: Progress,
    allowed_hosts: Sequence[str],
) -> None:
    """Put a large file of known checksum into the hub's cache, where huggingface_hub finds it.

    Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url

    url = hf_hub_url(hub.repo, name, revision=commit, endpoint=where["endpoint"])
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    about = get_hf_file_metadata(url, token=token, library_name=where["library_name"])
    checksum = about.etag or ""
    if not _SHA256.fullmatch(checksum):  # it is no file of the hub's large storage
        return
    cache = Path(where["cache_dir"] or constants.HF_HUB_CACHE)
    blob = cache / f"models--{hub.repo.replace('/', '--')}" / "blobs" / checksum
    if blob.exists():
        return
    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{checksum}.thanosql")
    lock = locked(part)
    if lock is None:
        return  # another process is at it: huggingface_hub gets the file for us alone
    try:
        if about.size is not None and part.stat().st_size > about.size:
            part.write_bytes(b"")
        if part.stat().st_size != about.size or _sha256(part) != checksum:
            _refuse_full_disk(part, about.size)
            found = download(
                url,
                part,
                what=f"download {hub.repo}",
                progress=progress,
                allowed_hosts=allowed_hosts,
                headers={"authorization": f"Bearer {token}"} if token else {},
                continues=True,
            )
            if found != checksum:
                part.unlink()
                raise SourceError(
                    f"{name} of {hub} has another checksum than the hub says: expected sha256"
                    f" {checksum}, got {found}; it was damaged on its way and has been removed: try"
                    " again"
                )
        part.replace(blob)
    finally:
        lock.close()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _refuse_full_disk(part: Path, size: int | None) -> None:
    """Refuse to begin a download that does not fit on the disk."""
    free = shutil.disk_usage(part.parent).free
    left = (size or 0) - part.stat().st_size
    if left > free:
        raise SourceError(
            f"the hub's cache {str(part.parent)!r} has {free:,} bytes free, and {left:,} are to be"
            " downloaded; free some, or name another folder in HF_HOME"
        )


def _takes_tqdm(function: Callable[..., Any]) -> bool:
    import inspect

    return "tqdm_class" in inspect.signature(function).parameters


def _meter(advance: Callable[[int], None]) -> Any:
    """Return a tqdm class that shows nothing and tells ``advance`` of the bytes."""
    from tqdm.std import tqdm

    class Meter(tqdm):  # type: ignore[type-arg]
        counted = 0

        @staticmethod
        def show(done: int, total: int | None, what: str) -> None:
            """Take the progress of a download of ours, which may begin again."""
            advance(max(0, done - Meter.counted))
            Meter.counted = max(done, Meter.counted)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # huggingface_hub's own tqdm has it
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            Meter.counted += int(n or 0)
            advance(int(n or 0))
            return None

    return Meter


@contextmanager
def _our_errors(hub: HubSource, endpoint: str | None) -> Iterator[None]:
    """Turn huggingface_hub's errors into one SourceError that says what to do."""
    from huggingface_hub import errors

    place = shown_url(endpoint or "https://huggingface.co")
    login = "log in with `hf auth login`, or set HF_TOKEN"
    try:
        yield
    except errors.GatedRepoError as exc:
        raise SourceError(
            f"{hub} asks to accept its terms first: do so at {place}/{hub.repo}, then {login} (a"
            " token is made at"
            f" {place}/settings/tokens)"
        ) from _scrubbed(exc)
    except errors.RepositoryNotFoundError as exc:
        raise SourceError(
            f"{place} has no model {hub.repo!r}, or it is private; check the name, or {login}"
        ) from _scrubbed(exc)
    except errors.RevisionNotFoundError as exc:
        raise SourceError(
            f"model {hub.repo!r} has no revision {hub.revision!r} at {place}; leave out"
            f" @{hub.revision} for the newest"
        ) from _scrubbed(exc)
    except errors.HfHubHTTPError as exc:
        code = getattr(exc.response, "status_code", "an error")
        advice = "try again later"
        if code == 401:
            advice = f"the token in HF_TOKEN or of the last login is wrong or has expired: {login}"
        elif code == 403:
            advice = (
                f"the token may not read it: {login}, or accept its terms at {place}/{hub.repo}"
            )
        raise SourceError(f"{place} answers {code} for {hub}; {advice}") from _scrubbed(exc)
    except SourceError:
        raise
    # What a failed connection raises depends on the HTTP library that huggingface_hub uses.
    except Exception as exc:
        why = without_secrets(str(exc))
        if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
            where = named_cache() or "of huggingface_hub"
            raise SourceError(
                f"{hub} cannot be stored in the hub's cache {where}: the disk is full; free some,"
                " or name another folder in HF_HOME"
            ) from exc
        if isinstance(exc, (ValueError, errors.FileMetadataError)):
            raise SourceError(
                f"{place} does not answer as a hub for {hub}: {why}; perhaps the login page of a"
                " network or proxy: open it in a browser (and check HF_ENDPOINT)"
            ) from _scrubbed(exc)
        raise SourceError(
            f"{hub} cannot be downloaded from {place}: {why}; check the network (and HF_ENDPOINT)"
        ) from _scrubbed(exc)


def _scrubbed(exc: Exception) -> Exception | None:
    """Return an error as a cause, or None where its text or that of a cause has secrets."""
    cause: BaseException | None = exc
    while cause is not None:
        if without_secrets(str(cause)) != str(cause):
            return None
        cause = cause.__cause__ or cause.__context__
    return exc


def _place(path: Path, target: Path) -> None:
    """Put a cached file into the folder: large ones by hard link, where that can be."""
    real = path.resolve()
    if target.suffix in (".safetensors", ".bin"):
        try:
            os.link(real, target)
            return
        except OSError:
            pass  # another file system
    shutil.copyfile(real, target)
