"""From tree to plan: all that can fail or costs is done here, once, before any SQL is written.

A query's statements are resolved from the innermost outwards: options are read, tables, columns and
models found, names checked, query values embedded. Statements that do work (CONVERT) are performed
when everything is resolved, so that nothing is written for a text that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import NotSupportedError, clip
from ..language import grammar
from ..language.outline import tables_read
from ..language.select import common_names
from ..language.tree import Function, Part, Query, Statement
from ..language.walk import is_bare, statements_in
from ..planning.arguments import Arguments
from ..planning.plans import UNRESTRICTED, NodePlan, Plan, Restriction, SearchPlan
from ..stores.sqlite.compile import SELECTS, Compiled, Select, compile_parts
from .context import Context

if TYPE_CHECKING:
    from collections.abc import Iterable


class Handler(NamedTuple):
    """What a query-shaped statement does.

    Attributes:
        resolve: Gives its node plan, or raises.
        perform: Does its work, and gives the node plan of what came out; None where it has none.
        check: Raises for what only the whole text tells, all of it being resolved.
        works: Whether a statement has work at all; None where all of them have that of ``perform``.
        is_repeatable: Whether the work leaves nothing that a second run would find.
        selects: For each class of node plan that is new, what compiles it to a SELECT.
    """

    resolve: Callable[[Resolver, Any], NodePlan]
    perform: Callable[[Resolver, Any, Any], NodePlan] | None = None
    check: Callable[[Resolver, Any, Any], None] | None = None
    works: Callable[[Any], bool] | None = None
    is_repeatable: bool = False
    selects: Mapping[type, Select] = MappingProxyType({})

    def does_work(self, statement: Statement) -> bool:
        """Return whether a statement is to be performed."""
        return self.perform is not None and (self.works is None or self.works(statement))


HANDLERS: dict[type | str, Handler | str] = {}
"""For each class of ``language.tree`` that can be part of a query, what it does; for each FUNCTION,
by its name. A text is the place of a handler that no statement has asked for, see :func:`load`."""


def register(node: type | str, handler: Handler | str) -> None:
    """Add the handler of a query-shaped statement.

    Args:
        node: Its class in ``language.tree``; of a FUNCTION its name, ``"preprocess.video_to_df"``.
        handler: The handler, or its place, ``"predict:HANDLER"``, which is imported when the first
            such statement comes: a program that only searches does not wait for the others.
    """
    HANDLERS[node] = handler
    if isinstance(handler, Handler):
        SELECTS.update(handler.selects)


def handler_of(statement: Statement) -> Handler | None:
    """Return the handler of a query-shaped statement, None where there is none."""
    node = statement.name if isinstance(statement, Function) else type(statement)
    handler = HANDLERS.get(node)
    if isinstance(handler, str):
        handler = load(handler)
        assert isinstance(handler, Handler)
        register(node, handler)
    return handler


def load(place: str) -> Any:
    """Import what a place names: ``"module:name"``, the module being one of this package."""
    module, name = place.split(":")
    return getattr(import_module(f".{module}", __package__), name)


@dataclass
class Resolver:
    """One text on its way to a plan.

    Attributes:
        context: The connection.
        arguments: What the caller bound.
        plan: What is decided so far.
    """

    context: Context
    arguments: Arguments
    plan: Plan

    @property
    def verb(self) -> str:
        """What the whole statement does, e.g. ``"CREATE VIEW"``."""
        return self.plan.query.verb

    @property
    def is_whole(self) -> bool:
        """Whether a statement of ours is all there is, with no SQL around it."""
        return is_bare(self.plan.query)

    @property
    def common(self) -> frozenset[str]:
        """Names that a WITH around the statements of ours defines, in lower case."""
        return common_names(self.plan.query)

    def compile(self, parts: Iterable[Part], restriction: Restriction = UNRESTRICTED) -> Compiled:
        """Return the SQL of a piece of the text, as far as it is resolved."""
        return compile_parts(self.plan, parts, self.arguments, restriction)

    def require_own_tables(self, statement: Any) -> None:
        """Refuse a query that reads what a WITH around it defines: it is run before, by itself.

        Args:
            statement: A statement with a query and a model.

        Raises:
            NotSupportedError: It does.
        """
        verb = type(statement).__name__.upper()
        for table in tables_read(statement.query):
            if table.schema is None and table.name in self.common:
                raise NotSupportedError(
                    f"{verb}: its query reads {clip(table.name)}, which the WITH before it defines;"
                    f" put the WITH inside: {verb} USING {statement.model} AS WITH {table.name} AS"
                    " (…) SELECT …; nothing was changed"
                )

    def compile_query(self, query: Query) -> Compiled:
        """Return the SQL of the query of a statement."""
        return self.compile(query.parts)


def resolve(context: Context, arguments: Arguments, query: Query) -> Plan:
    """Return the plan of a query, performed.

    Raises:
        sqlite3.Error: Whatever is wrong with it; nothing is changed.
    """
    key = _key_of(context, arguments, query)
    known = None if key is None else _known(context, key, query)
    if known is not None:
        return known
    plan = _resolved(context, arguments, query)
    if key is not None and all(isinstance(node, SearchPlan) for node in plan.nodes.values()):
        assert context.memory is not None
        context.memory.found[key] = plan
    return plan


def _resolved(context: Context, arguments: Arguments, query: Query) -> Plan:
    resolver = Resolver(context, arguments, Plan(query))
    for statement in statements_in(query):
        handler = handler_of(statement)
        if handler is None:
            raise _unknown(statement)
        node = handler.resolve(resolver, statement)
        resolver.plan = resolver.plan.with_node(statement.offset, node)
    for statement in statements_in(query):
        handler = handler_of(statement)
        if handler is not None and handler.check is not None:
            handler.check(resolver, statement, resolver.plan.nodes[statement.offset])
    if resolver.plan.is_stored or resolver.plan.is_explained:
        return resolver.plan
    for statement in statements_in(query):
        handler = handler_of(statement)
        if handler is not None and handler.perform is not None and handler.does_work(statement):
            node = handler.perform(resolver, statement, resolver.plan.nodes[statement.offset])
            resolver.plan = resolver.plan.with_node(statement.offset, node)
    return resolver.plan


def _key_of(context: Context, arguments: Arguments, query: Query) -> Hashable:
    """Return what the plan of a text is kept by, None where it is not to be kept."""
    values = arguments.key() if context.memory is not None else None
    return None if values is None else ("plan", id(query), values)


def _known(context: Context, key: Hashable, query: Query) -> Plan | None:
    """Return the plan that was kept of a text, if its models and files still give its vectors."""
    assert context.memory is not None
    plan: Plan | None = context.memory.found.get(key)
    if plan is None or plan.query is not query:
        return None
    for node in plan.nodes.values():
        assert isinstance(node, SearchPlan)
        for kind in {each.kind for each in node.vectors}:
            own = [each for each in node.vectors if each.kind == kind]
            values = [each.value for each in own]
            if kind == "combined":
                found = [context.embed_query(kind, node.model, value) for value in values]
            else:
                found = [*context.embed_queries(kind, node.model, values)]
            if found != [each.vector for each in own]:
                return None
    return plan


def does_work(query: Query) -> bool:
    """Return whether a statement in a query is to be performed: embeds rows, writes, or labels."""
    return any(
        (handler := handler_of(each)) is not None and handler.does_work(each)
        for each in statements_in(query)
    )


def is_repeatable(query: Query) -> bool:
    """Return whether a query only reads, so that it can be run again for rows of one moment."""
    if query.verb not in ("SELECT", "EXPLAIN"):
        return False
    handlers = [(handler_of(each), each) for each in statements_in(query)]
    return all(
        handler is None or handler.is_repeatable or not handler.does_work(each)
        for handler, each in handlers
    )


def _unknown(statement: Statement) -> NotSupportedError:
    known = ", ".join(
        f"{grammar.FUNCTION} {kind}" if isinstance(kind, str) else kind.__name__.upper()
        for kind in HANDLERS
    )
    spec = grammar.spec_for(statement)
    label = spec.label if spec else type(statement).__name__.upper()
    return NotSupportedError(
        f"{label} is not supported yet; of ThanoSQL's query statements this driver runs {known}"
    )
