"""Plans: what a statement will do, decided once, before any SQL is written.

``Plan`` is that of one text. It keeps the tree, and for each statement of ours in it a node plan by
the statement's offset in the text, so that two equal statements have two. Nothing changes a plan;
a store compiles it as often as it likes, with or without a restriction to candidate rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from ..language.narrowing import Narrowing
from ..language.topk import FunctionTopK, SearchTopK
from ..language.tree import Query, Search


class QueryValue(NamedTuple):
    """One value that a SEARCH looks for; see :class:`QueryVector`."""

    kind: str
    value: Any
    is_written: bool


@dataclass(frozen=True, eq=False)
class QueryVector:
    """One value that a SEARCH looks for, embedded.

    Attributes:
        kind: ``"text"``, ``"image"``, or ``"combined"`` for several in one.
        value: The value as written or bound; of several, JSON of weight, kind and value of each.
        is_written: Whether it is written in the text, so that a view can keep it.
        vector: float32 BLOB of the model's dimension, unit length.
    """

    kind: str
    value: Any
    is_written: bool
    vector: bytes


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """A SEARCH, checked, its query values embedded.

    Attributes:
        node: The statement.
        model: Name of the model.
        fingerprint: The model's fingerprint.
        dimension: Length of its vectors.
        column: The embedding column.
        vectors: The query values, in order, one or more.
        names: The name of each similarity column.
        threshold: Least first similarity, or None. NaN lets no row through.
        limit: Most rows, or None.
        is_ranked: Whether the rows come best first.
        narrowing: Where its rows can be narrowed; None where they are not those of one table.
        columns: The columns of its rows; None where its query makes no sense by itself, so that
            they are not known.
        score: What the similarity is given as: ``"cosine"``, ``"percentile"``, ``"probability"``.
        scale: Of a probability, what cosines are multiplied with.
        bias: Of a probability, what is added.
        background: Of a probability, what each picture could show instead; None where each text
            has a probability of its own.
        diversity: How much rows that are like better ones lose, 0 to 1; None where they do not.
        many: What the vectors are known by, where all of them are compared with a row at once.
    """

    node: Search
    model: str
    fingerprint: str
    dimension: int
    column: str
    vectors: tuple[QueryVector, ...]
    names: tuple[str, ...]
    threshold: float | None
    limit: int | None
    is_ranked: bool
    narrowing: Narrowing | None
    columns: tuple[str, ...] | None = None
    score: str = "cosine"
    scale: float = 1.0
    bias: float = 0.0
    background: QueryVector | None = None
    diversity: float | None = None
    many: str | None = None


@dataclass(frozen=True, eq=False)
class NamedPlan:
    """A SEARCH that is to be prepared only, to learn whether its rows have a column of a name.

    Attributes:
        search: The SEARCH.
        name: The name.
    """

    search: SearchPlan
    name: str


@dataclass(frozen=True, eq=False)
class MadeRows:
    """What a statement that was performed left: a SELECT of its rows.

    Attributes:
        sql: The SELECT, without parameters.
    """

    sql: str


@dataclass(frozen=True, eq=False)
class RowsPlan:
    """Rows that are known before any SQL runs, as those of LIST MODEL.

    Attributes:
        columns: Names.
        rows: Values that JSON can say.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, eq=False)
class TablesPlan:
    """The tables and views of the database, as they are when the SQL runs."""


NodePlan = Union[SearchPlan, NamedPlan, RowsPlan, TablesPlan, Any]
"""What is known of one statement; a new statement brings a class of its own."""


@dataclass(frozen=True, eq=False)
class TopK:
    """One top-k similarity query of a text.

    Attributes:
        shape: How it is written: a SELECT around a SEARCH, a SELECT that calls the function, or
            None for a SEARCH that keeps the best rows itself (``top_k``).
        search: The SEARCH whose rows can be narrowed; None for the function.
        narrowing: Where its rows can be narrowed.
        column: The vector column.
        vector: float32 BLOB that rows are compared with.
        wanted: Rows that it asks for, those passed over included, >= 1.
        is_strict: Whether a value of another length is an error instead of NULL.
    """

    shape: SearchTopK | FunctionTopK | None
    search: SearchPlan | None
    narrowing: Narrowing
    column: str
    vector: bytes
    wanted: int
    is_strict: bool = False

    @property
    def key(self) -> int:
        """What a restriction calls it: the offset of its SEARCH, -1 for the function form."""
        return -1 if self.search is None else self.search.node.offset

    @property
    def is_inner(self) -> bool:
        """Whether names in it may be columns of a SELECT around it."""
        return self.shape is not None and self.shape.is_inner


@dataclass(frozen=True, eq=False)
class Plan:
    """One text.

    Attributes:
        query: Its tree.
        nodes: For each statement of ours in it, by its offset in the text, what it will do.
    """

    query: Query
    nodes: Mapping[int, NodePlan] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_stored(self) -> bool:
        """Whether the SQL is kept and runs later: then nothing of this moment may be in it."""
        return self.query.verb in ("CREATE VIEW", "CREATE TRIGGER")

    @property
    def is_explained(self) -> bool:
        """Whether the SQL is shown and not run: then nothing is done for it."""
        return self.query.verb == "EXPLAIN"

    def with_node(self, offset: int, node: NodePlan) -> Plan:
        """Return the plan with what is known of one more statement, or known better."""
        return Plan(self.query, MappingProxyType({**self.nodes, offset: node}))


Restriction = Mapping[int, str]
"""For a top-k query's key, SQL that is true for its candidate rows."""

UNRESTRICTED: Restriction = MappingProxyType({})
