"""How the rows of a top-k similarity query were found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Way(Enum):
    """Who found the rows."""

    MATRIX = "the matrix"
    """The rounded vectors in memory named candidates, and SQLite compared those."""
    SCAN = "a scan"
    """SQLite compared every row."""


@dataclass(frozen=True)
class Answer:
    """How one top-k similarity query was answered.

    Attributes:
        way: Who found the rows.
        rows: Rows in the matrix; 0 for a scan.
        compared: Candidate rows that SQLite compared; 0 for a scan.
        reason: Why the rows were scanned; empty where they were not.
    """

    way: Way
    rows: int = 0
    compared: int = 0
    reason: str = ""

    def __str__(self) -> str:
        if self.way is Way.MATRIX:
            return f"the matrix, of {self.rows:,} rows; {self.compared:,} are compared"
        return f"a scan: {self.reason}"
