"""UPLOAD MODEL and DELETE MODEL, and how a model's files and its registration go together."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..errors import ModelError, SourceError, WorkspaceError, clip
from ..language.tree import DeleteModel, Statement, UploadModel
from ..models.folder import inspect_folder
from ..models.provenance import Receipt, read_receipt, write_receipt
from ..planning.arguments import Arguments
from ..sources.catalog import Entry
from ..sources.fetch import fetch_model
from ..stores.sqlite.registry import Model
from ..workspace import Workspace, is_folder
from .context import Context

UPLOAD_BASE = "clipen"


def upload_model(context: Context, arguments: Arguments, statement: UploadModel) -> None:
    """Register a user's own transformers CLIP folder; the folder is copied, not changed.

    Raises:
        ModelError: The name is taken, or the folder is no CLIP model.
        SourceError: There is no such folder.
        WorkspaceError: It lies outside the workspace and the allowed directories.
    """
    arguments.choice(statement, "framework", ("pytorch",), "pytorch")
    overwrite = arguments.flag(statement, "overwrite")
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
    entry = Entry(name=statement.name, source=str(folder), base=UPLOAD_BASE)
    install(context, statement.name, entry, overwrite=overwrite, within=context.workspace)


def delete_model(context: Context, arguments: Arguments, statement: DeleteModel) -> None:
    """Unregister a model and remove its files; the vectors it made stay in their tables.

    Raises:
        ModelError: No such model.
    """
    model = context.registry.model(statement.name)
    folder = _own_folder(context, model)
    with context.database.atomic():
        context.registry.remove_model(model.name)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _own_folder(context: Context, model: Model) -> Path | None:
    """Return a model's folder if it is just where GET and UPLOAD put one of its name, or None.

    What the database says of it may have been written by anybody, and any folder else is not ours
    to remove.
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

    Args:
        context: The connection.
        name: The model's name.
        entry: Where its files are.
        overwrite: Whether a folder that is there is replaced.
        within: What the source's links may lead to, where the source is a folder; None is that
            folder alone.
    """
    own = context.workspace.models / name
    folder = context.workspace.place(own)
    present = None if overwrite else read_receipt(folder)
    if present is not None and present.source == entry.source and not Path(entry.source).is_dir():
        # Another database of this workspace has fetched the very same.
        facts = inspect_folder(folder)
    else:
        facts = fetch_model(
            entry,
            folder,
            overwrite=overwrite,
            offline=context.settings.offline,
            progress=context.settings.progress,
            within=within,
            allowed_hosts=context.settings.allowed_hosts,
        )
        write_receipt(folder, Receipt(entry.source, facts.fingerprint))
    with context.database.atomic():
        context.registry.add_model(
            Model(
                name=name,
                base=entry.base,
                source=entry.source,
                folder=_relative(own, context.workspace.root),
                fingerprint=facts.fingerprint,
                dimension=facts.dimension,
            )
        )


def check_name(arguments: Arguments, statement: Statement, name: str) -> None:
    """Check that a model's name can be a folder's name and a part of a column's.

    Raises:
        StatementError: It cannot.
    """
    if not is_name(name):
        raise arguments.error(
            f"a model's name has letters, digits, '_', '-' and '.' only, got {clip(name)}",
            statement,
        )


def is_name(name: str) -> bool:
    """Return whether a model can have a name."""
    return re.fullmatch(r"\w[\w.-]*", name) is not None and not name.endswith(".")


def _relative(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()
