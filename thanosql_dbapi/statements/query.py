"""A query with ThanoSQL subqueries becomes plain SQL, part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import NotSupportedError
from ..language.tree import Parameter, Part, Query, Search
from .arguments import Arguments, Bindings

if TYPE_CHECKING:
    from .context import Context
    from .plan import SearchPlan


@dataclass
class Lowering:
    """One statement on its way to plain SQL.

    Attributes:
        context: The connection.
        arguments: What the caller bound.
        bindings: The parameters of the SQL that comes out; handlers add theirs.
        verb: What the whole statement does, e.g. ``"CREATE VIEW"``.
        is_whole: Whether a statement of ours is all there is, with no SQL around it.
        rules: For each query-shaped statement the function that gives its SELECT.
        common: Names that a WITH around the statements of ours defines, in lower case.
        searches: What is known of each SEARCH that was lowered.
        may_narrow: Whether a search may be narrowed to candidates.
        narrowed: The query to lower in place of a SEARCH's own: the same over fewer rows.
    """

    context: Context
    arguments: Arguments
    bindings: Bindings
    verb: str
    is_whole: bool
    rules: Mapping[type, Callable[[Lowering, Any], str]]
    common: frozenset[str] = frozenset()
    searches: dict[Search, SearchPlan] = field(default_factory=dict)
    may_narrow: bool = True
    narrowed: dict[Search, Query] = field(default_factory=dict)

    @property
    def is_stored(self) -> bool:
        """Whether the SQL is kept and runs later: then nothing of this moment may be in it."""
        return self.verb in ("CREATE VIEW", "CREATE TRIGGER")

    @property
    def is_explained(self) -> bool:
        """Whether the SQL is shown and not run: then nothing is to be done for it."""
        return self.verb == "EXPLAIN"


def lower(lowering: Lowering, query: Query) -> str:
    """Return the plain SQL of a query; what its statements need is done on the way."""
    return "".join(_lower_part(lowering, part) for part in query.parts)


def _lower_part(lowering: Lowering, part: Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Parameter):
        # A keyword may follow `?1` without a space, but would be read as part of a name.
        return lowering.bindings.place(part) + " "
    if rule := lowering.rules.get(type(part)):
        return rule(lowering, part)
    raise NotSupportedError(
        f"{type(part).__name__.upper()} is not supported yet; of ThanoSQL's query statements this"
        f" driver runs {', '.join(kind.__name__.upper() for kind in lowering.rules)}"
    )
