"""What a CONVERT did, for programs."""

from __future__ import annotations

from dataclasses import dataclass

from .report import Report


@dataclass(frozen=True)
class ConvertReport(Report):
    """What the last CONVERT of a connection did; the numbers are rows.

    Each row of the query is counted once, in ``converted``, ``reused``, ``unchanged``, ``failed``
    or ``empty``.

    Attributes:
        statement: ``"CONVERT"``.
        table: The table that has the vectors; ``""`` where they were only returned.
        converted: Rows whose vector the model has made.
        reused: Rows whose vector was known by their content, from another row, table or database.
        unchanged: Rows that had their vector already.
        failed: Rows that could not be read; ``thanosql_failures`` says why.
        empty: Rows without an image or text.
        column: The column of the vectors.
        model: The model's name.
        device: What computed, such as ``"cpu"`` or ``"cuda:0"``.
        dtype: The numbers it computed with, ``"float32"`` or ``"float16"``.

    Example:
        >>> ConvertReport("CONVERT", "photos", converted=3, unchanged=120).converted
        3
    """

    converted: int = 0
    reused: int = 0
    failed: int = 0
    empty: int = 0
    column: str = ""
    model: str = ""
    device: str = ""
    dtype: str = ""
