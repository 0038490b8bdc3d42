"""GET: a data set or model from its source into its folder, whole or not at all.

The work is done in a hidden folder beside the destination, which takes the destination's place at
the very end; a failure before leaves everything as it was. ``installation`` has the details.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ModelError, SourceError, clip
from ..models.files import PICKLE_SUFFIXES
from ..models.folder import ModelFacts, inner_folder, inspect_folder
from ..models.provenance import Receipt, write_receipt
from ..openfile import OpenFile
from ..progress import Progress
from ..workspace import Workspace, is_folder
from .archive import check_sha256, file_sha256, unpack
from .catalog import BUILT_IN_MODEL, DATASET, Entry
from .hub import fetch_snapshot
from .installation import Installation, flush_folder
from .network import download, is_url, refuse_offline
from .publishing import continuing, publishing, refuse_existing, working
from .unsplash import SCHEME as UNSPLASH
from .unsplash import fetch_unsplash

T = TypeVar("T")

_ANY = sys.maxsize
# What the data sets of a source take besides overwrite, with the least and the greatest value.
OPTIONS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "builtin:storybook": {"rows": (1, _ANY), "seed": (0, _ANY)},
    UNSPLASH: {"rows": (1, _ANY), "width": (16, 8192), "workers": (1, 64)},
}
_MODEL_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".md", *PICKLE_SUFFIXES)
_NOT_CONTENT = ("__MACOSX", ".DS_Store", "Thumbs.db")


def fetch_dataset(
    entry: Entry,
    destination: Path,
    *,
    overwrite: bool = False,
    offline: bool = False,
    options: Mapping[str, Any] | None = None,
    progress: Progress,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Put a data set's files into a folder.

    Args:
        entry: The data set.
        destination: Its folder.
        overwrite: Replace the folder if it exists.
        offline: The network may not be used.
        options: ``rows`` and ``seed`` for storybook; ``rows``, ``width`` and ``workers`` for
            Unsplash's; other data sets take none.
        progress: Shows what is done.
        allowed_hosts: Hosts that redirects may lead to although their addresses are not public.

    Raises:
        SourceError: The folder exists and ``overwrite`` is false, an option is unknown or wrong,
            or the source is missing, damaged or cannot be reached. Nothing was changed then.
    """
    given = {key: value for key, value in (options or {}).items() if value is not None}
    settings = _settings_of(entry, given)
    if entry.source.startswith(UNSPLASH):
        refuse_offline(offline, f"data set {entry.name!r}")
        with continuing(entry, destination, overwrite) as folder:
            fetch_unsplash(
                entry,
                folder,
                destination,
                progress=progress,
                allowed_hosts=allowed_hosts,
                **settings,
            )
        return
    is_storybook = entry.source == "builtin:storybook"
    with publishing(entry, destination, overwrite) as folder:
        if is_storybook:
            _draw_storybook(entry, folder, settings, progress)
        else:
            _bring(entry, folder, offline, progress, allowed_hosts=allowed_hosts)


def fetch_model(
    entry: Entry,
    destination: Path,
    *,
    overwrite: bool = False,
    offline: bool = False,
    progress: Progress,
    within: Workspace | None = None,
    allowed_hosts: Sequence[str] = (),
) -> ModelFacts:
    """Put a model's files into a folder, its weights as safetensors, and check them.

    Args:
        entry: The model.
        destination: Its folder.
        overwrite: Replace the folder if it exists.
        offline: The network may not be used; the hub's cache may.
        progress: Shows what is done.
        within: What the links in a source that is a folder may lead to; None is that folder, and
            the repository around it where it is one of the hub's cache.
        allowed_hosts: As for :func:`fetch_dataset`.

    Returns:
        What the model's folder says of itself.

    Raises:
        SourceError: The folder exists and ``overwrite`` is false, or the source is missing,
            damaged or cannot be reached. Nothing was changed then.
        ModelError: The source holds no model of a known family, or weights that want to run code.
            Nothing was changed then.
        WorkspaceError: A link in the source leads outside. Nothing was changed then.
    """
    with publishing(entry, destination, overwrite) as folder:
        return _make_model(entry, folder, destination, offline, progress, within, allowed_hosts)


def prepare_model(
    entry: Entry,
    destination: Path,
    *,
    name: str,
    database: str,
    overwrite: bool = False,
    offline: bool = False,
    progress: Progress,
    within: Workspace | None = None,
    allowed_hosts: Sequence[str] = (),
) -> tuple[Installation, ModelFacts]:
    """Do what :func:`fetch_model` does, but leave the destination to the database's commit.

    Args:
        entry: The model.
        destination: Its folder.
        name: The name it will be registered by.
        database: The file of the database that registers it; ``""`` if it is in memory.
        overwrite: As for :func:`fetch_model`.
        offline: As for :func:`fetch_model`.
        progress: Shows what is done.
        within: As for :func:`fetch_model`.
        allowed_hosts: As for :func:`fetch_dataset`.

    Returns:
        The installation, to be settled by what the database has committed, and what the model's
        folder says of itself.

    Raises:
        SourceError: As for :func:`fetch_model`.
        ModelError: As for :func:`fetch_model`.
        WorkspaceError: As for :func:`fetch_model`.
    """

    def make(folder: Path) -> tuple[str, ModelFacts]:
        facts = _make_model(entry, folder, destination, offline, progress, within, allowed_hosts)
        return facts.fingerprint, facts

    return prepare_made(entry, destination, make, name=name, database=database, overwrite=overwrite)


def prepare_made(
    entry: Entry,
    destination: Path,
    make: Callable[[Path], tuple[str, T]],
    *,
    name: str,
    database: str,
    overwrite: bool = False,
) -> tuple[Installation, T]:
    """Have a model's folder made, and leave the destination to the database's commit.

    Args:
        entry: The model.
        destination: Its folder.
        make: Fills an empty folder, and returns the model's fingerprint and what else is wanted.
        name: The name it will be registered by.
        database: The file of the database that registers it; ``""`` if it is in memory.
        overwrite: As for :func:`fetch_model`.

    Returns:
        The installation, to be settled by what the database has committed, and what ``make`` gave.

    Raises:
        SourceError: The folder exists and ``overwrite`` is false, or the disk says no.
    """
    refuse_existing(entry, destination, overwrite)
    with working(entry, destination, model=name, database=database) as work:
        try:
            fingerprint, made = make(work.partial)
            write_receipt(work.partial, Receipt(entry.shown_source, fingerprint))
            flush_folder(work.partial)
            work.finish()
            return work, made
        except BaseException:
            work.clear()
            raise


def _make_model(
    entry: Entry,
    folder: Path,
    destination: Path,
    offline: bool,
    progress: Progress,
    within: Workspace | None,
    allowed_hosts: Sequence[str],
) -> ModelFacts:
    if entry.source == BUILT_IN_MODEL:
        source = _storybook_clip().resolve()
        _copy_model(source, folder, entry, Workspace(source))
    elif entry.source.startswith("hf:"):
        fetch_snapshot(
            entry.source, folder, offline=offline, progress=progress, allowed_hosts=allowed_hosts
        )
    else:
        _bring(entry, folder, offline, progress, within, allowed_hosts)
    _adopt(folder)
    return replace(inspect_folder(folder), folder=destination)


def _adopt(folder: Path) -> None:
    from ..models.checking import check_content
    from ..models.folder import raise_inner_folder
    from ..models.numbers import check_config
    from ..models.weights import adopt_weights

    raise_inner_folder(folder)
    check_config(folder)
    if not (folder / "model.safetensors").is_file():
        adopt_weights(folder)
    check_content(folder)


def _bring(
    entry: Entry,
    folder: Path,
    offline: bool,
    progress: Progress,
    within: Workspace | None = None,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Fill the folder from an archive or a folder, by URL or path."""
    what = f"archive {entry.shown_source!r}"
    if is_url(entry.source):
        refuse_offline(offline, what)
        archive = folder.with_name(f"{folder.name}.download")
        try:
            found = download(
                entry.source,
                archive,
                what=f"download {entry.name}",
                progress=progress,
                allowed_hosts=allowed_hosts,
            )
            check_sha256(found, entry.sha256, what)
            with OpenFile(archive) as opened:
                unpack(opened, folder, what=what, progress=progress)
        finally:
            archive.unlink(missing_ok=True)
        _unwrap(entry, folder)
        return
    path = Path(entry.source)
    if is_folder(path):
        source = path.resolve()
        if entry.kind == DATASET:
            _copy_tree(source, folder, Workspace(source))
        else:
            within = within or Workspace(_repository(source))
            _copy_model(inner_folder(source), folder, entry, within)
    elif path.is_file():
        with OpenFile(path.resolve()) as opened:
            check_sha256(file_sha256(opened) if entry.sha256 else "", entry.sha256, what)
            unpack(opened, folder, what=what, progress=progress)
        _unwrap(entry, folder)
    else:
        named = f"; the entry is in catalog {entry.catalog!r}" if entry.catalog else ""
        raise SourceError(f"the source {entry.source!r} does not exist{named}")


def _unwrap(entry: Entry, folder: Path) -> None:
    """Take the content out of a single folder that wraps it all."""
    tops = [path for path in folder.iterdir() if path.name not in _NOT_CONTENT]
    if len(tops) != 1 or not tops[0].is_dir():
        return
    is_model = entry.kind != DATASET and (tops[0] / "config.json").is_file()
    if tops[0].name != entry.name and not is_model:
        return
    inner = tops[0].rename(folder / f".{uuid.uuid4().hex}")
    for path in list(inner.iterdir()):
        path.rename(folder / path.name)
    inner.rmdir()


def _copy_tree(source: Path, folder: Path, within: Workspace, above: tuple[Path, ...] = ()) -> None:
    """Copy a data set's folder; a link may not bring in a file from elsewhere."""
    folder.mkdir(exist_ok=True)
    above = (*above, source)
    for path in source.iterdir():
        if path.is_symlink() and not within.holds(path.resolve()):
            raise SourceError(
                f"{str(path)!r} is a link to {str(path.resolve())!r}, outside the data set's"
                " folder; put the file itself there"
            )
        if not is_folder(path):
            _copy_file(path, folder / path.name, within)
        elif path.resolve() in above:
            raise SourceError(f"{str(path)!r} is a link to a folder that it lies in; remove it")
        else:
            _copy_tree(path.resolve(), folder / path.name, within, above)


def _copy_model(source: Path, folder: Path, entry: Entry, within: Workspace) -> None:
    """Copy the files of a model's folder; links, which the hub's own folders hold, are followed."""
    if not is_folder(source):
        raise ModelError(f"model folder {str(source)!r} of {entry.name!r} does not exist")
    for path in source.iterdir():
        if path.suffix.lower() in _MODEL_SUFFIXES:
            _copy_file(path, folder / path.name, within)


def _copy_file(path: Path, target: Path, within: Workspace) -> None:
    """Copy a regular file; anything else is left out."""
    try:
        opened = within.open(path)
    except OSError as exc:
        raise SourceError(f"{str(path)!r} cannot be read: {exc.strerror or exc}") from exc
    with opened:
        if opened.is_file:
            with opened.reader() as file, target.open("xb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)


def _repository(folder: Path) -> Path:
    """Return the folder of a repository in the hub's cache, whose snapshots are links, or itself.

    Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    repository = folder.parent.parent
    is_snapshot = folder.parent.name == "snapshots" and repository.name.startswith("models--")
    return repository if is_snapshot else folder


def _storybook_clip() -> Path:
    from ..storybook import MODEL_FOLDER

    return MODEL_FOLDER


def _settings_of(entry: Entry, options: dict[str, Any]) -> dict[str, int]:
    """Return the options of a data set, checked."""
    scheme = entry.source.partition(":")[0] + ":"
    takes = OPTIONS.get(entry.source, OPTIONS.get(scheme, {}))
    for name, value in options.items():
        if name not in takes:
            other = " and ".join(takes) or "none"
            raise SourceError(
                f"{entry.kind} {entry.name!r} has no option {clip(name)}; it has {other}"
            )
        least, most = takes[name]
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            span = f"{least} or more" if most == _ANY else f"{least} to {most}"
            raise SourceError(
                f"{entry.kind} {entry.name!r}: {name} must be a whole number, {span}, got"
                f" {clip(value)}"
            )
    return options


def _draw_storybook(
    entry: Entry, folder: Path, settings: dict[str, int], progress: Progress
) -> None:
    from ..storybook.dataset import write_dataset

    rows = settings.get("rows")
    with progress.track(f"draw {entry.name}", rows or 2000, "image") as advance:
        write_dataset(folder, **settings, progress=_steps(advance))


def _steps(advance: Callable[[int], None]) -> Callable[[int, int], None]:
    """Turn "so many are done" into "so many more are done"."""
    before = 0

    def step(done: int, total: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    return step
