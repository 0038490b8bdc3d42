"""Why a search is quick or slow: what answers it, the vectors in memory or a scan of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .planning.answer import Answer, Way

if TYPE_CHECKING:
    from .connection import Connection
    from .stores.sqlite.database import Parameters


_SQLITE_ALONE = (
    "SQLite alone: the text asks for no most similar rows, or in a form that only a scan answers,"
    " such as a join, DISTINCT, GROUP BY or an aggregate beside the similarity, a view, ASC, or a"
    " LIMIT that is no number"
)


@dataclass(frozen=True)
class Explanation:
    """How a statement would be answered; ``print`` shows it.

    Attributes:
        answers: For each SELECT of the most similar rows, in the order of the text: what answers
            it, and for a scan why not the matrix.
        plan: The lines of SQLite's EXPLAIN QUERY PLAN, indented as SQLite's shell does.
    """

    answers: tuple[Answer, ...]
    plan: tuple[str, ...]

    @property
    def uses_matrix(self) -> bool:
        """Whether the matrix answers every search in the statement, and there is one."""
        return bool(self.answers) and all(each.way is Way.MATRIX for each in self.answers)

    def __str__(self) -> str:
        answers = tuple(map(str, self.answers)) or (_SQLITE_ALONE,)
        return "\n".join([*(f"answered by {answer}" for answer in answers), *self.plan])


def explain(
    sql: str, parameters: Parameters = (), *, connection: Connection | None = None
) -> Explanation:
    """Say how a statement would be answered, without returning its rows.

    Args:
        sql: A query, plain SQL or ThanoSQL.
        parameters: Values of its placeholders.
        connection: Where it would run. Default: the database that ``THANOSQL_DATABASE`` names,
            else ``thanosql.db`` in the workspace.

    Returns:
        What answers, and SQLite's plan. A search is tried for it: the text is embedded, and the
        vectors are read into memory, as the statement itself would.

    Raises:
        StatementError: The statement does not parse.
        ProgrammingError: It is ThanoSQL and no query, such as COPY.
        OperationalError: SQLite cannot explain it, since it is no query, or a table is missing.

    Example:
        >>> import thanosql_dbapi
        >>> connection = thanosql_dbapi.connect(":memory:")
        >>> explain("SELECT 1", connection=connection).plan
        ('SCAN CONSTANT ROW',)
        >>> connection.close()

    Source: https://www.sqlite.org/eqp.html
    """
    if connection is not None:
        return connection.explain(sql, parameters)
    from .ui.session import open_database

    opened = open_database()
    try:
        return opened.explain(sql, parameters)
    finally:
        opened.close()


def indented(rows: list[tuple[int, int, int, str]]) -> tuple[str, ...]:
    """Return the rows of EXPLAIN QUERY PLAN as lines, two blanks a level."""
    depth = {0: 0}
    lines = []
    for number, parent, _, detail in rows:
        depth[number] = depth.get(parent, 0) + 1
        lines.append("  " * (depth[number] - 1) + detail)
    return tuple(lines)
