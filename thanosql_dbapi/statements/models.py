"""UPLOAD MODEL and DELETE MODEL, and how a model's files and its registration go together."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import Error, ModelError, OperationalError, SourceError, WorkspaceError, clip
from ..language import grammar
from ..language.tree import DeleteModel, Statement, UploadModel
from ..models.folder import inspect_folder
from ..models.provenance import read_receipt
from ..planning.arguments import Arguments
from ..settings import Settings
from ..sources.catalog import NAME_LIMIT_BYTES, Entry
from ..sources.installation import Installation, exists, settle_all
from ..sources.journal import locked
from ..stores.sqlite.registry import Model, committed_fingerprint
from ..stores.sqlite.state import State
from ..workspace import Workspace, is_folder
from .context import Context


def upload_model(context: Context, arguments: Arguments, statement: UploadModel) -> None:
    """Register a user's own folder of a model of transformers; the folder is copied, not changed.

    Raises:
        ModelError: The name is taken, or the folder holds no model of a known family.
        SourceError: There is no such folder.
        WorkspaceError: It lies outside the workspace and the allowed directories.
    """
    arguments.option(statement, grammar.FRAMEWORK)
    overwrite = arguments.option(statement, grammar.OVERWRITE)
    context.require_writable("UPLOAD MODEL")
    check_name(arguments, statement, statement.name)
    source = arguments.value(statement.source)
    if not isinstance(source, str):
        raise arguments.error(
            f"UPLOAD MODEL: expected a folder's path after FROM, got {clip(source)}", statement
        )
    folder = context.workspace.locate(source)
    if not is_folder(folder):
        raise SourceError(
            f"UPLOAD MODEL: no folder {clip(source)} (looked for {str(folder)!r}); give the folder"
            " that save_pretrained() wrote"
        )
    if context.registry.find_model(statement.name) and not overwrite:
        raise ModelError(
            f"model {clip(statement.name)} is in this database already; say"
            " OPTIONS (overwrite=True) to replace it; nothing was changed"
        )
    entry = Entry(name=statement.name, source=str(folder))
    install(context, statement.name, entry, overwrite=overwrite, within=context.workspace)


def delete_model(context: Context, arguments: Arguments, statement: DeleteModel) -> None:
    """Unregister a model and remove its files; the vectors it made stay in their tables.

    What a training of its name has left is removed, too, also where it has registered no model.

    Raises:
        ModelError: No such model, or classifiers read its vectors.
        OperationalError: Another process trains it.
    """
    context.require_writable("DELETE MODEL")
    settle_own(context)
    try:
        model = context.registry.any_model(statement.name)
    except ModelError:
        if _remove_training(context, statement.name):
            return
        raise
    if resting := context.registry.resting_on(model):
        names = ", ".join(clip(each.name) for each in resting)
        raise ModelError(
            f"DELETE MODEL: model {clip(model.name)} makes the vectors that {len(resting)}"
            f" classifiers read: {names}; DELETE them first; nothing was changed"
        )
    _remove_training(context, model.name)
    folder = _own_folder(context, model)
    if folder is not None and exists(folder):  # it goes when the database has committed
        try:
            work = Installation.begin(
                folder, model=model.name, database=context.database.file(), removes=True
            )
        except OSError as error:
            raise ModelError(
                f"DELETE MODEL: the folder {str(folder)!r} of model {clip(model.name)} cannot be"
                f" removed: {error.strerror or error}; nothing was changed"
            ) from error
        context.state.unsettled.append(work)
    try:
        with context.database.atomic():
            context.registry.remove_model(model.name)
    finally:
        settle_own(context)


def training_folder(context: Context, name: str) -> Path:
    """Return the hidden folder that a training of a model of this name works in.

    Raises:
        WorkspaceError: The folder of the models is a link to outside.
    """
    return context.workspace.place(context.workspace.models / f".{name}.training")


def _remove_training(context: Context, name: str) -> bool:
    """Remove what a training has left, and return whether there was something."""
    if not is_name(name):
        return False
    try:
        folder = training_folder(context, name)
    except WorkspaceError:
        return False
    if not exists(folder):
        return False
    lock = folder.with_name(f"{folder.name}.lock")
    journal = locked(lock)
    if journal is None:
        raise OperationalError(
            f"DELETE MODEL: another process is training {clip(name)} in this workspace; stop it"
            " first; nothing was changed"
        )
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.unlink(missing_ok=True)
        journal.close()
    return True


def _own_folder(context: Context, model: Model) -> Path | None:
    """Return a model's folder if it is just where GET and UPLOAD put one of its name, or None.

    Anybody may have written what the database says of it, and no other folder is ours to remove.
    """
    folder = context.workspace.models / model.name
    if not is_name(model.name) or model.folder != _relative(folder, context.workspace.root):
        return None
    try:
        folder = context.workspace.place(folder)
    except WorkspaceError:
        return None
    return None if folder.is_symlink() else folder


def install(
    context: Context,
    name: str,
    entry: Entry,
    *,
    overwrite: bool,
    within: Workspace | None = None,
) -> None:
    """Put a model's files in the workspace and register it under a name.

    Invariant: the database decides which files are the model's. New ones wait in a hidden folder
    until their fingerprint is committed, and old ones stay until then.

    Args:
        context: The connection.
        name: The model's name.
        entry: Where its files are.
        overwrite: Whether a folder that is there is replaced.
        within: What the source's links may lead to, where the source is a folder; None is that
            folder alone.
    """
    settle_own(context)
    own = context.workspace.models / name
    present = None if overwrite else read_receipt(context.workspace.locate(own))
    if (
        present is not None
        and present.source == entry.shown_source
        and not Path(entry.source).is_dir()
    ):
        # Another database of this workspace has fetched the very same.
        facts = inspect_folder(context.workspace.locate(own))
    else:
        from ..sources.fetch import prepare_model  # it brings asyncio and what downloads

        folder = context.workspace.place(own)
        goes = any(work.removes and work.destination == folder for work in context.state.unsettled)
        work, facts = prepare_model(
            entry,
            folder,
            name=name,
            database=context.database.file(),
            overwrite=overwrite or goes,
            offline=context.settings.offline,
            progress=context.settings.progress,
            within=within,
            allowed_hosts=context.settings.allowed_hosts,
        )
        context.state.unsettled.append(work)
    _register(
        context,
        Model(
            name=name,
            base=entry.base or facts.base,
            source=entry.shown_source,
            folder=_relative(own, context.workspace.root),
            fingerprint=facts.fingerprint,
            dimension=facts.dimension,
        ),
    )


def install_made(
    context: Context, model: Model, write: Callable[[Path], str], *, overwrite: bool
) -> None:
    """Put a model that was made here in the workspace, and register it.

    Args:
        context: The connection.
        model: What the registry is to say of it, but for its folder and fingerprint.
        write: Writes its files into an empty folder, and returns their fingerprint.
        overwrite: Whether a folder that is there is replaced.
    """
    settle_own(context)
    own = context.workspace.models / model.name
    folder = context.workspace.place(own)

    def make(folder: Path) -> tuple[str, str]:
        from safetensors import SafetensorError

        try:
            fingerprint = write(folder)
        except SafetensorError as error:  # what the disk says of weights
            raise OSError(errno.EIO, str(error)) from error
        return fingerprint, fingerprint

    goes = any(work.removes and work.destination == folder for work in context.state.unsettled)
    from ..sources.fetch import prepare_made

    work, fingerprint = prepare_made(
        Entry(name=model.name, source=model.source),
        folder,
        make,
        name=model.name,
        database=context.database.file(),
        overwrite=overwrite or goes,
    )
    context.state.unsettled.append(work)
    relative = _relative(own, context.workspace.root)
    _register(context, replace(model, folder=relative, fingerprint=fingerprint))


def _register(context: Context, model: Model) -> None:
    try:
        with context.database.atomic():
            context.registry.add_model(model)
    finally:
        settle_own(context)


def settle_own(context: Context) -> None:
    """Do with model folders what the connection has committed; wait while it is in a transaction.

    What the disk refuses is left to the next statement: searches find a model's new files where
    they are.
    """
    if context.database.connection.in_transaction:
        return
    waiting = context.state.unsettled
    while waiting:
        work = waiting[-1]
        try:
            model = context.registry.find_model(work.model)
            work.settle(None if model is None else model.fingerprint)
        except (OSError, Error):
            work.close()
        waiting.pop()


def settle_closed(settings: Settings, state: State, file: Path | None) -> None:
    """Do with model folders what a connection had committed that is closed now.

    Args:
        settings: The connection's.
        state: The connection's.
        file: The file of its database, or None for one in memory.
    """
    while state.unsettled:
        state.unsettled.pop().close()
    _settle(settings.workspace, settings.workspace.models, file)


def settle_left(context: Context) -> None:
    """Put right what killed processes have left of models and data sets."""
    settle_own(context)
    file = context.database.file()
    for parent in (context.workspace.models, context.workspace.datasets):
        _settle(context.workspace, parent, Path(file) if file else None)


def _settle(workspace: Workspace, parent: Path, own: Path | None) -> None:
    """Settle what lies in a folder of models or data sets, if that is in the workspace.

    What a journal says is data: another database outside the workspace is not opened on its word.
    Its own connections will settle what it has left.
    """
    try:
        parent = workspace.writable(parent)
    except WorkspaceError:
        return

    def registered(file: Path, name: str) -> str | None:
        full = file.resolve()
        if not workspace.holds(full) and (own is None or full != own.resolve()):
            raise OperationalError(f"{str(full)!r} lies outside the workspace")
        return committed_fingerprint(full, name)

    settle_all(parent, registered)


def check_name(arguments: Arguments, statement: Statement, name: str) -> None:
    """Check that a model's name can be a folder's name and a part of a column's.

    Raises:
        StatementError: It cannot.
    """
    problem = ""
    if not is_name(name):
        problem = "letters, digits, '_', '-' and '.' only"
    elif len(name.encode()) > NAME_LIMIT_BYTES:
        problem = f"{NAME_LIMIT_BYTES} bytes at most"
    if problem:
        raise arguments.error(f"a model's name has {problem}, got {clip(name)}", statement)


def is_name(name: str) -> bool:
    """Return whether a model can have a name."""
    return re.fullmatch(r"\w[\w.-]*", name) is not None and not name.endswith(".")


def _relative(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()
