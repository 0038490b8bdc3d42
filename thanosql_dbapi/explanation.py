"""Why a search is quick or slow: what answers it, the vectors in memory or a scan of the table."""

from __future__ import annotations

from dataclasses import dataclass

from .planning.answer import Answer, Way

_SQLITE_ALONE = (
    "SQLite alone: not a top-k similarity query, or one in a form that only a scan answers,"
    " such as a join, DISTINCT, GROUP BY or an aggregate, a view, ASC, or a"
    " LIMIT that is not a number"
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


def indented(rows: list[tuple[int, int, int, str]]) -> tuple[str, ...]:
    """Return the rows of EXPLAIN QUERY PLAN as lines, two blanks a level."""
    depth = {0: 0}
    lines = []
    for number, parent, _, detail in rows:
        depth[number] = depth.get(parent, 0) + 1
        lines.append("  " * (depth[number] - 1) + detail)
    return tuple(lines)
