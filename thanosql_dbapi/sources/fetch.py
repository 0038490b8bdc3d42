"""GET: a data set or model from its source into its folder, whole or not at all.

The work is done in a hidden folder beside the destination, which takes the destination's place by
renaming at the very end; a failure before leaves everything as it was.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import Error, ModelError, SourceError, clip
from ..models.folder import PICKLE_SUFFIXES, ModelFacts, inspect_folder
from ..progress import Progress
from .archive import check_sha256, file_sha256, unpack
from .catalog import DATASET, Entry
from .hub import fetch_snapshot
from .network import download, is_url, refuse_offline

STORYBOOK_OPTIONS = ("rows", "seed")
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
) -> None:
    """Put a data set's files into a folder.

    Args:
        entry: The data set.
        destination: Its folder.
        overwrite: Replace the folder if it exists.
        offline: The network may not be used.
        options: ``rows`` and ``seed`` for storybook; other data sets take none.
        progress: Shows what is done.

    Raises:
        SourceError: The folder exists and ``overwrite`` is false, an option is unknown or wrong,
            or the source is missing, damaged or cannot be reached. Nothing was changed then.
    """
    given = {key: value for key, value in (options or {}).items() if value is not None}
    is_storybook = entry.source == "builtin:storybook"
    settings = _storybook_settings(entry, given) if is_storybook else _no_settings(entry, given)
    with _replacing(entry, destination, overwrite) as folder:
        if is_storybook:
            _draw_storybook(entry, folder, settings, progress)
        else:
            _bring(entry, folder, offline, progress)


def fetch_model(
    entry: Entry,
    destination: Path,
    *,
    overwrite: bool = False,
    offline: bool = False,
    progress: Progress,
) -> ModelFacts:
    """Put a model's files into a folder, its weights as safetensors, and check them.

    Args:
        entry: The model.
        destination: Its folder.
        overwrite: Replace the folder if it exists.
        offline: The network may not be used; the hub's cache may.
        progress: Shows what is done.

    Returns:
        What the model's folder says of itself.

    Raises:
        SourceError: The folder exists and ``overwrite`` is false, or the source is missing,
            damaged or cannot be reached. Nothing was changed then.
        ModelError: The source holds no CLIP model, or weights that want to run code. Nothing was
            changed then.
    """
    with _replacing(entry, destination, overwrite) as folder:
        if entry.source == "builtin:storybook_clip":
            _copy_model(_storybook_clip(), folder, entry)
        elif entry.source.startswith("hf:"):
            fetch_snapshot(entry.source, folder, offline=offline, progress=progress)
        else:
            _bring(entry, folder, offline, progress)
        _adopt(folder)
    return inspect_folder(destination)


def _adopt(folder: Path) -> None:
    from ..models.checking import check_config, check_content
    from ..models.weights import adopt_weights

    check_config(folder)
    if not (folder / "model.safetensors").is_file():
        adopt_weights(folder)
    inspect_folder(folder)
    check_content(folder)


@contextmanager
def _replacing(entry: Entry, destination: Path, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder beside the destination that takes its place at the end.

    Raises:
        SourceError: The destination exists and may not be replaced, or the disk says no.
    """
    what = f"{entry.kind} {entry.name!r}"
    if _exists(destination) and not overwrite:
        raise SourceError(
            f"{what}: {str(destination)!r} exists already; to replace it, say"
            " OPTIONS (overwrite=True)"
        )
    mark = f"{destination.name}.{uuid.uuid4().hex[:8]}"
    work, old = (destination.with_name(f".{mark}.{end}") for end in ("partial", "old"))
    try:
        work.mkdir(parents=True)
        try:
            yield work
        except Error as exc:  # add to the message, keep the class
            is_folder = entry.kind != DATASET and Path(entry.source).is_dir()
            shown = entry.source if is_folder else str(destination)
            message = str(exc).replace(str(work), shown)
            raise type(exc)(f"{what}: {message}; nothing was changed") from exc
        if _exists(destination):
            destination.rename(old)
        try:
            work.rename(destination)
        except OSError:
            if _exists(old):
                old.rename(destination)
            raise
    except OSError as exc:
        raise SourceError(
            f"{what}: {str(destination)!r} cannot be written: {exc.strerror or exc}; nothing was"
            " changed"
        ) from exc
    finally:
        _remove(work)
        _remove(old)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _bring(entry: Entry, folder: Path, offline: bool, progress: Progress) -> None:
    """Fill the folder from an archive or a folder, by URL or path."""
    what = f"archive {entry.source!r}"
    if is_url(entry.source):
        refuse_offline(offline, what)
        archive = folder.with_name(f"{folder.name}.download")
        try:
            found = download(
                entry.source, archive, what=f"download {entry.name}", progress=progress
            )
            check_sha256(found, entry.sha256, what)
            unpack(archive, folder, what=what, progress=progress)
        finally:
            archive.unlink(missing_ok=True)
        _unwrap(entry, folder)
        return
    path = Path(entry.source)
    if path.is_dir():
        if entry.kind == DATASET:
            _copy_tree(path, folder)
        else:
            _copy_model(path, folder, entry)
    elif path.is_file():
        check_sha256(file_sha256(path) if entry.sha256 else "", entry.sha256, what)
        unpack(path, folder, what=what, progress=progress)
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


def _copy_tree(source: Path, folder: Path) -> None:
    """Copy a data set's folder; a link may not bring in a file from elsewhere."""
    root = source.resolve()
    for path in source.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise SourceError(
                f"{str(path)!r} is a link to {str(path.resolve())!r}, outside the data set's"
                " folder; put the file itself there"
            )
    shutil.copytree(source, folder, dirs_exist_ok=True)


def _copy_model(source: Path, folder: Path, entry: Entry) -> None:
    """Copy the files of a model's folder; the hub's own folders hold links, which are followed."""
    if not source.is_dir():
        raise ModelError(f"model folder {str(source)!r} of {entry.name!r} does not exist")
    for path in source.iterdir():
        if path.is_file() and path.suffix.lower() in _MODEL_SUFFIXES:
            shutil.copyfile(path, folder / path.name)


def _storybook_clip() -> Path:
    from ..storybook import MODEL_FOLDER

    return MODEL_FOLDER


def _storybook_settings(entry: Entry, options: dict[str, Any]) -> dict[str, int]:
    for name in options:
        if name not in STORYBOOK_OPTIONS:
            raise SourceError(
                f"{entry.kind} {entry.name!r} has no option {clip(name)}; it has rows and seed"
            )
    for name, least in (("rows", 1), ("seed", 0)):
        value = options.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SourceError(
                f"{entry.kind} {entry.name!r}: {name} must be a whole number, {least} or more,"
                f" got {clip(value)}"
            )
    return options


def _no_settings(entry: Entry, options: dict[str, Any]) -> dict[str, int]:
    if options:
        raise SourceError(
            f"{entry.kind} {entry.name!r} has no option {clip(min(options))}; rows and seed are"
            " storybook's"
        )
    return {}


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
