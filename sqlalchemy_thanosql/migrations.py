"""Alembic over this dialect: batch migrations keep triggers, autogenerate keeps vectors.

Alembic 1.18 and newer loads this module by itself (entry point ``alembic.plugins``); with an older
one, ``import sqlalchemy_thanosql.migrations`` in ``env.py`` gives all but :func:`keep_vectors`.
Nothing here changes migrations through another dialect. Knows SQLite, and no ThanoSQL.

A batch migration copies the table, drops it, and renames the copy. SQLite drops the triggers with
the table, and refuses the renaming where a view or another table's trigger reads it.
https://alembic.sqlalchemy.org/en/latest/batch.html
"""

from __future__ import annotations

import itertools
import re
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from thanosql_dbapi.language.lexer import Kind, tokens
from thanosql_dbapi.language.names import quote_name, unquote
from thanosql_dbapi.stores.sqlite.database import Database
from thanosql_dbapi.stores.sqlite.registry import Registry

from .dialect import HIDDEN_PREFIX, ThanosqlDialect
from .types import Vector

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

_OWN_TRIGGER = re.compile(rf"{HIDDEN_PREFIX}watch_(\d+)_")
_VOID = (
    "DELETE FROM main.thanosql_changes WHERE column_id = ?",
    "INSERT INTO main.thanosql_changes (column_id) VALUES (?)",
)


def setup(plugin: Any) -> None:
    """Register with Alembic, which calls this when it is imported."""
    from alembic.util import DispatchPriority

    plugin.add_autogenerate_comparator(keep_vectors, "autogenerate", priority=DispatchPriority.LAST)


def keep_vectors(autogen_context: Any, upgrade_ops: Any) -> Any:
    """Propose no removal of a column that CONVERT added and the models do not mention."""
    from alembic.util import PriorityDispatchResult

    if isinstance(autogen_context.dialect, ThanosqlDialect):
        vectors = _converted_columns(autogen_context.connection)
        for changes in list(upgrade_ops.ops):
            if not isinstance(changes, ops.ModifyTableOps):
                continue
            changes.ops = [
                each
                for each in changes.ops
                if not isinstance(each, ops.DropColumnOp)
                or (each.table_name.lower(), each.column_name.lower()) not in vectors
            ]
            if not changes.ops:
                upgrade_ops.ops.remove(changes)
    return PriorityDispatchResult.CONTINUE


class ThanosqlImpl(SQLiteImpl):  # type: ignore[misc, unused-ignore]  # Alembic may not be there
    """Alembic's operations on SQLite, which for this dialect keep triggers and views."""

    __dialect__ = "sqlite"  # the dialect's name is SQLite's, so this replaces Alembic's own
    _dependents: _Dependents | None = None

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Remember what depends on a table before Alembic makes its copy."""
        super().prep_table_for_batch(batch_impl, table)
        is_ours = isinstance(self.dialect, ThanosqlDialect) and not self.as_sql
        if is_ours and self.connection is not None and table.schema in (None, "main"):
            self._dependents = _Dependents(self.connection, table.name, batch_impl.temp_table_name)

    def rename_table(
        self, old_table_name: str, new_table_name: str, schema: str | None = None
    ) -> None:
        """Rename a table; at the end of a batch, give it its triggers again.

        Raises:
            CommandError: A view, or another table's trigger, could no longer be used.
        """
        dependents, self._dependents = self._dependents, None
        # A batch that failed may have left what it remembered.
        if dependents is None or old_table_name != dependents.copy:
            super().rename_table(old_table_name, new_table_name, schema=schema)
            return
        with _unchecked_renaming(dependents.connection):
            super().rename_table(old_table_name, new_table_name, schema=schema)
        dependents.restore()

    def render_type(self, type_obj: Any, autogen_context: Any) -> Any:
        """Write a Vector into a migration, with the import that it needs."""
        if isinstance(type_obj, Vector):
            autogen_context.imports.add("import sqlalchemy_thanosql")
            return f"sqlalchemy_thanosql.{type_obj!r}"
        return super().render_type(type_obj, autogen_context)


class _Dependents:
    """The triggers of a table, and the views and other tables' triggers that may read it."""

    def __init__(self, connection: Connection, table: str, copy: str) -> None:
        self.connection = connection
        self.table = table
        self.copy = copy
        self.triggers: dict[str, str] = {}
        self._number = itertools.count()
        uses: dict[str, list[str]] = {}
        for kind, name, owner, sql in connection.exec_driver_sql(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_master"
            " WHERE type IN ('view', 'trigger') ORDER BY rowid"
        ).all():
            if kind == "view":
                uses[f"view {name!r}"] = [f"SELECT * FROM main.{quote_name(name)}"]
            elif owner.lower() == table.lower():
                self.triggers[name] = sql
            else:
                uses[f"a trigger of {owner!r}"] = self._writes(owner)
        # What was broken before is not the migration's concern.
        self.uses = {
            user: sound
            for user, statements in uses.items()
            if (sound := [sql for sql in statements if self._refusal(sql) is None])
        }

    def restore(self) -> None:
        """Create the triggers again, and see that all else can still be used."""
        for user, statements in self.uses.items():
            refusal = self._first_refusal(statements)
            if refusal is not None:
                raise CommandError(
                    f"batch migration of {self.table!r}: {user} would no longer work: {refusal};"
                    " drop it before the batch, and create it again after"
                )
        writes = [sql for sql in self._writes(self.table) if self._refusal(sql) is None]
        columns = self._columns(self.table)
        lost = set()
        for name, sql in self.triggers.items():
            self.connection.exec_driver_sql(sql)
            refusal = _missing_column(sql, columns) or self._first_refusal(writes)
            if refusal is None:
                continue
            lost.add(name)
            self._drop_trigger(name)
            if not name.lower().startswith(HIDDEN_PREFIX):
                warnings.warn(
                    f"batch migration of {self.table!r}: trigger {name!r} is not kept, since it"
                    f" no longer works: {refusal}",
                    stacklevel=2,
                )
        self._watch_anew(lost)

    def _watch_anew(self, lost: set[str]) -> None:
        """Void what readers know of the vectors: the copied rows may have other row ids.

        The triggers and the log are those of ``stores.sqlite.topk.change_log``, which come in
        sets. Written through SQLAlchemy's connection, which may be an async one.
        """
        own: dict[int, list[str]] = {}
        for name in self.triggers:
            if match := _OWN_TRIGGER.match(name):
                own.setdefault(int(match[1]), []).append(name)
        for column_id, names in own.items():
            if lost.isdisjoint(names):
                for sql in _VOID:
                    self.connection.exec_driver_sql(sql, (column_id,))
            else:
                for name in set(names) - lost:
                    self._drop_trigger(name)

    def _drop_trigger(self, name: str) -> None:
        self.connection.exec_driver_sql(f"DROP TRIGGER main.{quote_name(name)}")

    def _columns(self, table: str) -> list[str]:
        rows = self.connection.exec_driver_sql(f"PRAGMA main.table_info({quote_name(table)})")
        return [row[1] for row in rows]

    def _writes(self, table: str) -> list[str]:
        """Return statements that fire each trigger of a table."""
        name = f"main.{quote_name(table)}"
        names = [quote_name(column) for column in self._columns(table)]
        return [
            f"INSERT INTO {name} DEFAULT VALUES",
            f"UPDATE {name} SET {', '.join(f'{each} = {each}' for each in names)}",
            f"DELETE FROM {name}",
        ]

    def _first_refusal(self, statements: list[str]) -> str | None:
        return next(filter(None, map(self._refusal, statements)), None)

    def _refusal(self, sql: str) -> str | None:
        """Return why SQLite cannot compile a statement, or None; nothing of it is run."""
        # Another text each time: an EXPLAIN that sqlite3 has kept compiled knows the old schema.
        try:
            self.connection.exec_driver_sql(f"EXPLAIN /* {next(self._number)} */ {sql}").close()
        except DBAPIError as error:
            return str(error.orig)
        return None


def _missing_column(trigger: str, columns: list[str]) -> str | None:
    """Return what is wrong with a trigger ``UPDATE OF`` columns of which the table has none.

    No statement fires it, so SQLite does not compile it before an ALTER TABLE, which then fails.
    """
    words = list(tokens(trigger))
    for here, after in itertools.pairwise(words):
        if (here.word, after.word) == ("UPDATE", "OF"):
            listed = itertools.takewhile(
                lambda token: token.word != "ON", words[words.index(after) + 1 :]
            )
            named = [unquote(token.text) for token in listed if token.kind is not Kind.SYMBOL]
            known = {column.lower() for column in columns}
            is_dead = known.isdisjoint(name.lower() for name in named)
            return f"no such column: {named[0]}" if is_dead else None
    return None


@contextmanager
def _unchecked_renaming(connection: Connection) -> Iterator[None]:
    """Let a table be renamed though views and triggers name the one that has been dropped.

    https://www.sqlite.org/pragma.html#pragma_legacy_alter_table
    """
    before = connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar()
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA legacy_alter_table = {before}")


def _converted_columns(connection: Connection) -> set[tuple[str, str]]:
    """Return table and column, in lower case, of the vectors that CONVERT made."""
    database = Database(cast(sqlite3.Connection, connection.connection.dbapi_connection))
    return {
        (each.table_name.lower(), each.column_name.lower())
        for each in Registry(database).vector_columns()
        if each.schema_name.lower() == "main"
    }


class _PluginModule(ModuleType):
    """This module, as Alembic 1.18 to 1.20.0 wants a plugin: something to iterate over.

    Newer ones want a module (Alembic #1873).
    """

    def __iter__(self) -> Iterator[ModuleType]:
        yield self


sys.modules[__name__].__class__ = _PluginModule
