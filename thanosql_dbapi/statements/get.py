"""GET THANOSQL DATASET and GET THANOSQL MODEL: from the catalog into the workspace."""

from __future__ import annotations

from ..errors import ModelError, ModelWarning, clip, warn_user
from ..language import grammar
from ..language.tree import GetDataset, GetModel
from ..planning.arguments import Arguments
from ..sources.fetch import fetch_dataset
from ..sources.languages import is_non_commercial
from .context import Context
from .models import check_name, install


def get_dataset(context: Context, arguments: Arguments, statement: GetDataset) -> None:
    """Put a data set's files under ``thanosql-dataset/name/`` in the workspace.

    Raises:
        SourceError: No such data set, it is there already, or it cannot be fetched.
    """
    overwrite = arguments.option(statement, grammar.OVERWRITE)
    context.require_writable("GET THANOSQL DATASET")
    options = {
        spec.name: arguments.option(statement, spec)
        for spec in (grammar.ROWS, grammar.SEED, grammar.WIDTH, grammar.WORKERS)
    }
    entry = context.catalog().dataset(statement.name)
    fetch_dataset(
        entry,
        context.workspace.place(context.workspace.datasets / entry.name),
        overwrite=overwrite,
        offline=context.settings.offline,
        options={name: value for name, value in options.items() if value is not None},
        progress=context.settings.progress,
        allowed_hosts=context.settings.allowed_hosts,
    )


def get_model(context: Context, arguments: Arguments, statement: GetModel) -> None:
    """Put a model under ``thanosql-model/`` in the workspace and register it.

    Raises:
        SourceError: The catalog has no such model, or it cannot be fetched.
        ModelError: A model of the name is registered already, or the files are no model of a known
            family.
    """
    overwrite = arguments.option(statement, grammar.OVERWRITE)
    context.require_writable("GET THANOSQL MODEL")
    entry = context.catalog().model(statement.name)
    name = statement.alias or arguments.option(statement, grammar.MODEL_NAME) or entry.name
    check_name(arguments, statement, name)
    if context.registry.find_model(name) and not overwrite:
        raise ModelError(
            f"model {clip(name)} is in this database already; to get it anew say"
            " OPTIONS (overwrite=True), to have it twice give another name with AS;"
            " nothing was changed"
        )
    install(context, name, entry, overwrite=overwrite)
    if is_non_commercial(entry.license):
        page = entry.source.removeprefix("hf:").partition("@")[0]
        warn_user(
            f"the licence of model {clip(entry.name)}, {entry.license}, allows no commercial use;"
            f" read it at https://huggingface.co/{page}"
            if entry.source.startswith("hf:")
            else f"the licence of model {clip(entry.name)}, {entry.license}, allows no commercial"
            " use",
            ModelWarning,
        )
