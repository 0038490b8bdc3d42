"""What was read of a database, kept for as long as nothing in it has changed.

A search asks the same of the schema and of the registry each time. Four numbers tell for certain
that nothing has changed since, outside of a transaction: the schema cookies of ``main`` and
``temp`` (own DDL, VACUUM), SQLite's ``data_version`` (commits of other connections), and the
connection's ``total_changes`` (its own rows). Inside a transaction nothing is kept: a ROLLBACK
lets numbers come again. Nor while a database is attached: the numbers say nothing of its content,
nor of which file it is.

Source: https://www.sqlite.org/pragma.html#pragma_data_version
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .database import Database

if TYPE_CHECKING:
    from .database import Parameters

T = TypeVar("T")
_MOST_KEPT = 500
_OWN = (0, 1)
"""Numbers of ``main`` and ``temp`` in ``PRAGMA database_list``."""


class Moment(NamedTuple):
    """A committed state of a database, as one connection sees it.

    Attributes:
        cookie: The schema cookie of ``main``.
        temporary_cookie: That of ``temp``.
        data_version: SQLite's number for commits of other connections to ``main``.
        total_changes: Rows that the connection has changed.
        is_alone: Whether no database is attached.
    """

    cookie: int
    temporary_cookie: int
    data_version: int
    total_changes: int
    is_alone: bool


def moment_of(database: Database) -> Moment | None:
    """Return the state that the database is in; None inside a transaction."""
    connection = database.connection
    if connection.in_transaction:
        return None
    (cookie,) = database.row("PRAGMA main.schema_version") or (0,)
    (temporary,) = database.row("PRAGMA temp.schema_version") or (0,)
    (version,) = database.row("PRAGMA main.data_version") or (0,)
    is_alone = all(number in _OWN for number, *_ in database.rows("PRAGMA database_list"))
    return Moment(cookie, temporary, version, connection.total_changes, is_alone)


@dataclass
class Memory:
    """What was read at one moment.

    Attributes:
        moment: The moment.
        found: What was asked, and the answer.
    """

    moment: Moment | None = None
    found: dict[Hashable, Any] = field(default_factory=dict)

    def at(self, moment: Moment | None) -> Memory:
        """Return itself, having forgotten everything if it is of another moment."""
        if moment is None or moment != self.moment or len(self.found) > _MOST_KEPT:
            self.moment = moment
            self.found = {}
        return self


class Remembered(Database):
    """A database whose reads are answered from a memory of the present moment.

    Args:
        database: The database.
        memory: What is known of the moment.
    """

    def __init__(self, database: Database, memory: Memory) -> None:
        super().__init__(database.connection)
        self._memory = memory

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return all rows, as :meth:`Database.rows`."""
        return list(self._recall("rows", sql, parameters, super().rows))

    def row(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """Return the first row, as :meth:`Database.row`."""
        return self._recall("row", sql, parameters, super().row)

    def columns(self, sql: str, parameters: Parameters = ()) -> list[str]:
        """Return the names of a query's columns, as :meth:`Database.columns`."""
        return list(self._recall("columns", sql, parameters, super().columns))

    def _recall(self, what: str, sql: str, parameters: Any, read: Callable[[str, Any], T]) -> T:
        try:
            items = parameters.items() if isinstance(parameters, dict) else parameters
            key = what, sql, tuple(items)
            known = self._memory.found.get(key)
        except (TypeError, ValueError):  # a value that cannot be a key
            return read(sql, parameters)
        if known is None:
            known = self._memory.found[key] = (read(sql, parameters),)
        return known[0]
