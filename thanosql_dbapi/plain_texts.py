"""The statements that a connection knows to be plain SQL, and the vector columns it knows.

A point query takes sqlite3 two microseconds, so a statement that runs again must not be examined
again. A statement is *settled* once it has run as plain SQL and its result had no vector column:
the next time it costs one look-up in a dict. ``Connection`` has one ``PlainTexts``, and its
cursors ask it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .language import names_are_in_text
from .sqlite3_compat import NAMES_ARE_WARNED_OF, may_warn

Description = tuple[tuple[Any, ...], ...]


class HasVectors(Protocol):
    """A connection, as far as this module needs one."""

    def _read_vector_names(self) -> dict[str, int] | None:
        """Return the names of the database's vector columns, None if they cannot be read."""


UNSETTLED: Any = object()
"""The value of ``settled.get(sql, UNSETTLED)`` for a statement that is not settled."""

# A program executes few statements often. A long one is data written out.
_LONGEST = 10_000
_MOST = 1_000
_MOST_NAMES = 10_000


class PlainTexts:
    """What a connection remembers of plain SQL statements.

    Attributes:
        settled: Statements that go straight to sqlite3. The value is None where the text alone
            decides the names of the result's columns. Otherwise it is the ``description`` of the
            last result, and the columns are examined again when the next one differs.
    """

    __slots__ = ("_other_names", "_vector_names", "settled")

    def __init__(self) -> None:
        self.settled: dict[str, Description | None] = {}
        self._vector_names: Mapping[str, int] = {}  # lower-case name: numbers in a vector
        self._other_names: set[str] = set()  # names of result columns that hold no vectors

    def forget(self) -> None:
        """Forget everything: the database may have other vector columns now."""
        self.settled.clear()
        self._other_names.clear()

    def vectors_in(
        self, description: Description | None, sql: str | None, database: HasVectors
    ) -> dict[int, int] | None:
        """Return which columns of a result are vectors; settle the statement if none is.

        Args:
            description: The result's columns, or None.
            sql: The statement if it is plain SQL, None if it is ThanoSQL.
            database: Where the statement ran.

        Returns:
            Index of a column to the length of its vectors; None where there are none.
        """
        if description is not None:
            known = self._other_names
            for column in description:
                name = column[0]
                if name not in known and (sql is None or not _is_expression(name, sql)):
                    vectors = self._look_up(description, database)
                    if vectors is None or vectors:
                        return vectors
                    break
        if sql is None or len(sql) > _LONGEST or (NAMES_ARE_WARNED_OF and may_warn(sql)):
            return None
        settled = self.settled
        if len(settled) >= _MOST:
            settled.clear()
        is_certain = description is None or ("*" not in sql and '"' not in sql)
        settled[sql] = None if is_certain or names_are_in_text(sql) else description
        return None

    def _look_up(self, description: Description, database: HasVectors) -> dict[int, int] | None:
        """Return the vectors in a result that has a name not seen before; None if unknown."""
        names = [column[0] for column in description]
        vector_names = self._vector_names
        if not all(n in self._other_names or n.lower() in vector_names for n in names):
            found = database._read_vector_names()
            if found is None:
                return None
            if found != vector_names or len(self._other_names) > _MOST_NAMES:
                self.forget()
            self._vector_names = vector_names = found
        self._other_names.update(name for name in names if name.lower() not in vector_names)
        lengths = [vector_names.get(name.lower()) for name in names]
        return {index: length for index, length in enumerate(lengths) if length is not None}


def _is_expression(name: str, sql: str) -> bool:
    """Return whether a result column is certainly an expression, such as ``count(*)`` or ``1``.

    SQLite names it by its text. The name is not an identifier, so a column or an alias of that name
    would have to be quoted in the statement, or come from ``*``. To read the vector columns from
    the database for each ``SELECT 1``, ``SELECT 2`` … would take longer than the query.
    """
    if name.isidentifier() or not name.isascii() or "$" in name:
        return False
    if "[" in sql or "`" in sql or not names_are_in_text(sql):
        return False
    return "'" not in sql or "'{}'".format(name.replace("'", "''")) not in sql
