"""CREATE TABLE … USING: a folder becomes a table of its files and their vectors, whole or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import OperationalError, SourceError, clip
from ..language import grammar
from ..language.names import quote_name
from ..language.option_specs import OptionSpec
from ..language.tree import Convert, Copy, CreateUsing, Option, Query, TableName
from ..places import archive_scheme, is_elsewhere
from ..planning.arguments import Arguments
from ..planning.convert_report import ConvertReport
from ..planning.report import Report
from ..sources.folder import VIDEO
from ..workspace import is_folder
from .context import Context
from .copy import copy
from .resolve import resolve
from .staging import new_table

_OF_COPY = (grammar.FILE_TYPE, grammar.EXCLUDE, grammar.RECURSIVE)
_OF_CONVERT = (grammar.VECTOR_COL, grammar.BATCH_SIZE, grammar.ON_ERROR)


def create_using(context: Context, arguments: Arguments, statement: CreateUsing) -> None:
    """Make a table of a folder's files and their vectors: COPY, then CONVERT.

    COPY fills a temporary table, and CONVERT makes the table of it in one transaction when every
    vector is there. What is interrupted leaves no table, and the same statement goes on.

    Raises:
        OperationalError: The table exists.
        ModelError: No such model.
        SourceError: There is no such folder, or it has no file of the kind.
    """
    arguments.option(statement, grammar.PATH_TYPE)
    kind = arguments.option(statement, grammar.DATA_TYPE)
    if (option := statement.option(grammar.POOL_S.name)) and kind != "video":
        raise arguments.error(
            "CREATE TABLE: option 'interval' is for data_type='video'; nothing was changed", option
        )
    table, database = statement.table, context.database
    found = database.find_table(table.schema or "main", table.name)
    overwrites = arguments.option(statement, grammar.OVERWRITE)
    if found and statement.is_optional:
        return
    if found and not overwrites:
        raise OperationalError(
            f"CREATE TABLE: {found[2]} {clip(table.name)} exists; say OPTIONS (overwrite=True) to"
            " replace it, or CREATE TABLE IF NOT EXISTS to leave it; nothing was changed"
        )
    context.registry.model(statement.model)
    _require_folder(context, arguments, statement)
    listed = TableName(new_table(context), "temp")
    copy(context, arguments, _copy(statement, listed, kind))
    copied = context.state.report
    resolve(context, arguments, _convert(statement, listed, kind, overwrites=overwrites))
    context.state.report = _report(copied, context.state.report)


def _require_folder(context: Context, arguments: Arguments, statement: CreateUsing) -> None:
    value = arguments.value(statement.source)
    if isinstance(value, str) and is_elsewhere(value):
        return
    path = context.workspace.locate(str(value))
    if not is_folder(path) and not archive_scheme(path.name):
        raise SourceError(
            f"CREATE TABLE: no folder {clip(value)} (looked for {str(path)!r}); nothing was changed"
        )


def _copy(statement: CreateUsing, table: TableName, kind: str) -> Copy:
    options = _given(statement, *_OF_COPY)
    if kind == "video" and statement.option(grammar.FILE_TYPE.name) is None:
        options.append(Option(grammar.FILE_TYPE.name, tuple(sorted(VIDEO))))
    return Copy(table, statement.source, options=tuple(options), offset=statement.offset)


def _convert(statement: CreateUsing, listed: TableName, kind: str, *, overwrites: bool) -> Query:
    table = statement.table
    name = table.name if table.schema is None else f"{table.schema}.{table.name}"
    options = [
        *_given(statement, *_OF_CONVERT, *((grammar.POOL_S,) if kind == "video" else ())),
        Option(grammar.CONVERT_TYPE.name, kind),
        Option(grammar.TABLE_NAME.name, name),
        Option(grammar.OVERWRITE.name, overwrites),
    ]
    rows = f"SELECT * FROM {quote_name('temp', listed.name)}"
    convert = Convert(
        statement.model, Query((rows,)), options=tuple(options), offset=statement.offset
    )
    return Query((convert,))


def _given(statement: CreateUsing, *specs: OptionSpec[Any]) -> list[Option]:
    options = (statement.option(spec.name) for spec in specs)
    return [option for option in options if option is not None]


def _report(copied: Report | None, converted: Report | None) -> Report | None:
    """Return what was done: the files that were added, and how they were converted."""
    if copied is None or not isinstance(converted, ConvertReport):
        return converted
    return replace(converted, statement="CREATE TABLE", added=copied.added, skipped=copied.skipped)
