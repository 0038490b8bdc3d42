"""UPLOAD MODEL and DELETE MODEL, and how a model's files and its registration go together."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ..errors import ModelError, SourceError, clip
from ..language.tree import DeleteModel, Statement, UploadModel
from ..models.folder import inspect_folder
from ..models.provenance import Receipt, read_receipt, write_receipt
from ..planning.arguments import Arguments
from ..sources.catalog import NAME_LIMIT_BYTES, Entry
from ..sources.fetch import fetch_model
from ..stores.sqlite.registry import Model
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
    check_name(arguments, statement, statement.name)
    source = arguments.value(statement.source)
    if not isinstance(source, str):
        raise arguments.error(
            f"UPLOAD MODEL: expected a folder's path after FROM, got {clip(source)}", statement
        )
    folder = context.workspace.locate(source)
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a long name before 3.12
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
    install(context, statement.name, entry, overwrite=overwrite)


def delete_model(context: Context, arguments: Arguments, statement: DeleteModel) -> None:
    """Unregister a model and remove its files; the vectors it made stay in their tables.

    Raises:
        ModelError: No such model.
    """
    model = context.registry.model(statement.name)
    folder = model.path(context.workspace.root)
    with context.database.atomic():
        context.registry.remove_model(model.name)
    # Only what GET and UPLOAD put there themselves is removed.
    if folder.resolve().is_relative_to(context.workspace.models):
        shutil.rmtree(folder, ignore_errors=True)


def install(context: Context, name: str, entry: Entry, *, overwrite: bool) -> None:
    """Put a model's files in the workspace and register it under a name."""
    folder = context.workspace.models / name
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
        )
        write_receipt(folder, Receipt(entry.source, facts.fingerprint))
    with context.database.atomic():
        context.registry.add_model(
            Model(
                name=name,
                base=entry.base,
                source=entry.source,
                folder=_relative(folder, context.workspace.root),
                fingerprint=facts.fingerprint,
                dimension=facts.dimension,
            )
        )


def check_name(arguments: Arguments, statement: Statement, name: str) -> None:
    """Check that a model's name can be a folder's name and a part of a column's.

    Raises:
        StatementError: It cannot.
    """
    problem = ""
    if not re.fullmatch(r"\w[\w.-]*", name) or name.endswith("."):
        problem = "letters, digits, '_', '-' and '.' only"
    elif len(name.encode()) > NAME_LIMIT_BYTES:
        problem = f"{NAME_LIMIT_BYTES} bytes at most"
    if problem:
        raise arguments.error(f"a model's name has {problem}, got {clip(name)}", statement)


def _relative(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()
