"""A SEARCH, read and checked: what its SELECT is written from, over all rows or over candidates."""

from __future__ import annotations

from dataclasses import dataclass

from ..language.names import quote_name
from ..stores.sqlite.registry import Model
from ..stores.sqlite.similarity import search_select, similarity


@dataclass(frozen=True)
class SearchPlan:
    """A SEARCH with its options read and checked.

    Attributes:
        model: The model.
        column: The embedding column.
        vectors: For each query value its vector as SQL, and as float32 bytes.
        names: The name of each similarity column.
        threshold: Least first similarity, or None.
        limit: Most rows, or None.
        is_ranked: Whether the rows come best first.
    """

    model: Model
    column: str
    vectors: tuple[tuple[str, bytes], ...]
    names: tuple[str, ...]
    threshold: float | None
    limit: int | None
    is_ranked: bool

    def similarity(self, number: int) -> str:
        """Return the SQL of a similarity, of rows that are called ``q``."""
        column = "q." + quote_name(self.column)
        return similarity(column, self.model.dimension, self.vectors[number][0])

    def select(self, query: str) -> str:
        """Return the SELECT that the SEARCH stands for, over a query's rows."""
        expressions = [self.similarity(number) for number in range(len(self.vectors))]
        return search_select(
            query,
            list(zip(expressions, self.names, strict=True)),
            threshold=None if self.threshold is None else repr(self.threshold),
            ranked=self.is_ranked,
            limit=None if self.limit is None else str(self.limit),
        )
