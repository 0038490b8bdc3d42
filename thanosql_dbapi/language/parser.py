"""ThanoSQL to tree: the whole text, and the clauses that the statements share."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from ..errors import clip
from . import grammar
from .grammar import Shape, StatementSpec
from .lexer import Kind, Token
from .options import read_options, read_value
from .query import QueryParser
from .reader import Reader, nearest, one_of
from .recognition import FOLLOWERS
from .searching import VALUE_NAMES
from .tree import (
    CreateUsing,
    Option,
    Parameter,
    Query,
    QueryShaped,
    Statement,
    TableName,
    Tree,
    Value,
)
from .verbs import Clauses, UnsupportedError, check_opening, node_of, spec_of

# Far more than anyone writes, far less than Python's recursion limit allows.
_DEEPEST = 40

_CLAUSES = {
    "USING": "USING and a model",
    "OPTIONS": "OPTIONS (…)",
    "AS": "AS and a query",
    "FROM": "FROM and a path in quotes",
}
_EITHER = ("AS", "FROM")


def read(sql: str, *, is_statement: bool, is_creation: bool) -> Tree | None:
    """Read a text that ``screening`` could not tell from ThanoSQL; see there."""
    try:
        return Parser(sql).parse(is_statement=is_statement, is_creation=is_creation)
    except UnsupportedError as found:
        return found.statement


class Parser:
    """Reads one text; see :func:`read`.

    Attributes:
        reader: The text's tokens, read from left to right.
    """

    def __init__(self, sql: str) -> None:
        self.reader = Reader(sql)
        self._depth = 0

    def parse(self, *, is_statement: bool, is_creation: bool) -> Tree | None:
        """Read the whole text.

        Args:
            is_statement: The text opens with a verb of ours.
            is_creation: It opens with CREATE.

        Returns:
            What it says; None when it is plain SQLite.
        """
        reader = self.reader
        while reader.take_symbol(";"):
            pass
        tree: Tree | None = self._create_using() if is_creation else None
        if tree is not None:
            pass
        elif is_statement and reader.peek().word not in grammar.query_words():
            tree = cast("Tree", self.statement(is_nested=False))
        else:
            tree = QueryParser(reader, self._subquery, opens_with_ours=is_statement).read()
        if tree is None:
            return None
        while reader.take_symbol(";"):
            pass
        if reader.peek().kind is not Kind.END:
            raise reader.expected("one statement at a time", "the end of the statement")
        return tree

    def statement(self, *, is_nested: bool = True) -> Statement:
        """Read one statement of ours, from its verb on.

        Args:
            is_nested: False where the statement is the whole text.
        """
        reader = self.reader
        begin = reader.peek()
        if self._depth == _DEEPEST:
            raise reader.error(f"expected at most {_DEEPEST} statements inside each other", begin)
        self._depth += 1
        spec = spec_of(reader)
        if is_nested and spec.shape is not Shape.QUERY:
            message = f"{spec.label} is a whole statement; it cannot be part of another one"
            raise reader.error(message, begin, "run it first, by itself")
        check_opening(reader, spec)
        statement = node_of(reader, spec, self.clauses(spec))
        self._depth -= 1
        return replace(statement, offset=begin.start, end=reader.end)

    def _subquery(self) -> QueryShaped:
        return cast("QueryShaped", self.statement())

    def query(self, label: str) -> Query:
        """Read the query after AS, in parentheses or up to the end of those around it.

        Raises:
            StatementError: There is none, or a parenthesis is never closed.
        """
        reader = self.reader
        openings: list[Token] = []
        while opening := reader.take_symbol("("):
            openings.append(opening)
        ours = grammar.query_words()
        if reader.peek().word not in {"SELECT", "VALUES", "WITH"} | ours:
            hint = "write SELECT * FROM and the table" if reader.peek().kind is Kind.NAME else None
            raise reader.expected(label, "a query after AS", hint=hint)
        is_ours = reader.peek().word in ours
        query = QueryParser(reader, self._subquery, is_nested=True, opens_with_ours=is_ours).read()
        for opening in reversed(openings):
            if not reader.take_symbol(")"):
                raise reader.error("this '(' is never closed", opening)
        return cast("Query", query)

    def clauses(self, spec: StatementSpec) -> Clauses:
        """Read what follows a statement's opening words: its subject, and clauses in any order.

        Args:
            spec: The statement: its required clauses, its alias, its options.

        Raises:
            StatementError: A clause is missing, comes twice or does not parse, or something else
                follows.
        """
        reader, label, required = self.reader, spec.label, spec.clauses
        found = Clauses(reader.peek().start)
        if spec.subject:
            is_table = spec.subject == "a table"
            found.subject = self._table(label) if is_table else reader.name(label, spec.subject)
        is_aliased = "ALIAS" in spec.fields
        waiting = [*required, "AS"] if is_aliased else [*required]
        waiting.append("OPTIONS")
        done: list[str] = []
        while True:
            token = reader.peek()
            if token.word in waiting:
                self._check_order(label, () if spec.is_either else required, done, token)
                waiting.remove(token.word)
                done.append(token.word)
                if spec.is_either and token.word in _EITHER:
                    waiting = [word for word in waiting if word not in _EITHER]
                self._clause(spec, token.word, found, is_alias=is_aliased)
            elif token.word in done:
                raise reader.error(f"{label}: {token.word} is given twice", token)
            elif spec.is_either and token.word in _EITHER:
                message = f"{label}: expected either AS and a query or FROM and a path, found both"
                raise reader.error(message, token)
            elif spec.takes_values and self._is_value(token):
                found.values += (self._value(label),)
            else:
                break
        missing = [word for word in waiting if word in required]
        if missing:
            what = one_of([_CLAUSES[word] for word in missing[: 1 + spec.is_either]])
            if spec.takes_values and not found.values and not done:
                what = f"text=…, image=… or {what}"
            raise reader.expected(label, what, words=waiting)
        self.finish(spec, waiting)
        return found

    def finish(self, spec: StatementSpec, words: list[str]) -> None:
        """Check that the statement ends here.

        Args:
            spec: The statement.
            words: What could stand here all the same.
        """
        token = self.reader.peek()
        if token.text in {"", ";"}:
            return
        is_query = spec.shape is Shape.QUERY
        if is_query and (token.text == ")" or token.word in FOLLOWERS):
            return
        raise self.reader.expected(spec.label, "the end of the statement", words=words)

    def _check_order(
        self, label: str, required: tuple[str, ...], done: list[str], token: Token
    ) -> None:
        """Refuse a query without parentheses before a required clause: it would swallow it."""
        is_open_query = token.word == "AS" and self.reader.peek(1).text != "("
        missing = [word for word in required if word not in {*done, "AS"}]
        if is_open_query and missing:
            raise self.reader.expected(label, _CLAUSES[missing[0]], words=())

    def _clause(self, spec: StatementSpec, word: str, found: Clauses, *, is_alias: bool) -> None:
        reader, label = self.reader, spec.label
        reader.take()
        if word == "USING":
            found.using = reader.name(label, "a model after USING")
        elif word == "OPTIONS":
            found.options = read_options(reader, spec)
        elif word == "FROM":
            found.source = self._source(label)
        elif is_alias:
            found.alias = reader.name(label, "a name after AS")
        else:
            found.query = self.query(label)

    def _source(self, label: str) -> Value:
        token = self.reader.peek()
        value = read_value(self.reader, label, "FROM")
        if not isinstance(value, (str, Parameter)):
            message = f"{label}: expected a path or records in quotes after FROM"
            raise self.reader.error(f"{message}, found {clip(token.text)}", token)
        return value

    def _is_value(self, token: Token) -> bool:
        if token.kind not in {Kind.NAME, Kind.QUOTED}:
            return False
        return self.reader.peek(1).text == "=" or token.text.lower() in VALUE_NAMES

    def _value(self, label: str) -> Option:
        """Read ``text = …``; the comma between two of them may be left out."""
        reader = self.reader
        token = reader.take()
        name = token.text.lower()
        if name not in VALUE_NAMES:
            near = nearest(name, VALUE_NAMES)
            message = f"{label}: expected text= or image=, found {clip(token.text)}"
            raise reader.error(message, token, f"did you mean {near!r}?" if near else None)
        if not reader.take_symbol("="):
            raise reader.expected(label, f"'=' after {name}")
        value = read_value(reader, label, name)
        if reader.peek().text == "," and reader.peek(1).text.lower() in VALUE_NAMES:
            reader.take()
        return Option(name, value, token.start)

    def _table(self, label: str) -> TableName:
        """Read ``[schema.]table``."""
        name = self.reader.name(label, "a table")
        if not self.reader.take_symbol("."):
            return TableName(name)
        return TableName(self.reader.name(label, f"a table after '{name}.'"), name)

    def _create_using(self) -> CreateUsing | None:
        """Read ``CREATE TABLE name USING model``; None where the text is SQLite's own CREATE."""
        reader = self.reader
        begin = reader.peek()
        is_temporary = reader.peek(1).word in {"TEMP", "TEMPORARY"}
        at = 2 if is_temporary else 1
        is_table = reader.peek(at).word == "TABLE"
        is_optional = [reader.peek(at + each).word for each in (1, 2, 3)] == ["IF", "NOT", "EXISTS"]
        first = at + (4 if is_optional else 1)
        name_end = first + (3 if reader.peek(first + 1).text == "." else 1)
        if not is_table or reader.peek(name_end).word != "USING":
            return None
        for _ in range(first):
            reader.take()
        spec = grammar.SPECS["CREATE", "TABLE"]
        created = cast("CreateUsing", node_of(reader, spec, self.clauses(spec)))
        table = created.table
        if is_temporary:
            if table.schema is not None and table.schema.lower() != "temp":
                message = f"{spec.label}: a temporary table is in temp, not in {table.schema}"
                raise reader.error(message, begin)
            table = TableName(table.name, "temp")
        return replace(
            created, table=table, is_optional=is_optional, offset=begin.start, end=reader.end
        )
