"""ThanoSQL for sqlglot: SQLite's dialect, and the driver's statements in it.

For tools that look into a statement before they run it, as Apache Superset does. What is ThanoSQL
is said by the driver's own parser and by no second grammar, so a tool and the driver cannot read
one text in two ways; sqlglot reads the SQL around the statements and the queries in them. A text
goes wrong on the safe side: what cannot be read is refused, what cannot be told harmless counts
as an INSERT, and before generated SQL leaves, the driver's parser must find in it the very
statements of the tree.

Importing the module registers the dialect ``thanosql``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ParseError, SqlglotError, UnsupportedError
from sqlglot.tokens import TokenType

from thanosql_dbapi import language
from thanosql_dbapi.errors import StatementError
from thanosql_dbapi.language import tree
from thanosql_dbapi.language.lexer import Token, tokens
from thanosql_dbapi.language.outline import tables_read

from .sqlglot_nodes import (
    MODELS,
    Action,
    Explain,
    Opaque,
    Reading,
    from_query,
    function,
    has_query,
    headless,
    listing,
    make_reading,
    make_table,
    put,
    select_from,
    targets,
    training,
    written_table,
)
from .sqlglot_tables import hidden_table, show_in_tables
from .writing import write_statement


class ThanosqlParseError(ParseError):
    """A statement that the driver refuses, or that sqlglot cannot be told of.

    Args:
        error: What the driver says, with the place in the whole script.
    """

    def __init__(self, error: StatementError) -> None:
        word = next(tokens(error.statement[error.offset :])).text
        place = {"line": error.line, "col": error.column, "highlight": word}
        super().__init__(str(error), [{"description": error.message, **place}])
        self.error = error


class ThanoSQL(SQLite):
    """sqlglot's dialect for SQLite with ThanoSQL's statements."""

    class Parser(SQLite.Parser):
        """Asks the driver's parser about each statement, and sqlglot's about plain SQL."""

        _begin = 0

        def _parse_statement(self) -> exp.Expression | None:
            if self._curr is None or self._index != 0:
                return super()._parse_statement()  # the rest of a statement, after WITH for one
            if self._curr.token_type is TokenType.SEMICOLON:
                return super()._parse_statement()  # a comment alone
            self._begin = self._tokens[0].start
            expression = self._whole_statement(self.sql[self._begin : self._tokens[-1].end + 1])
            problem = None if expression is None else hidden_table(expression)
            if problem is not None:
                self._fail(problem, 0)
            return expression

        def _whole_statement(self, text: str) -> exp.Expression | None:
            found = self._checked_tree(text)
            cut = _after_explain(text)
            if cut:
                self._advance(len(self._tokens))
                rest = self._read(_blank(self.sql[: self._begin + cut]) + text[cut:])
                for reading in rest.find_all(Reading):
                    # Outside of a SELECT the driver makes a note of the column that CONVERT makes.
                    is_convert = isinstance(reading.args["statement"], tree.Convert)
                    if is_convert and not reading.args.get("writes"):
                        reading.set("writes", exp.Insert(this=make_table(MODELS)))
                return Explain(this=rest, head=text[:cut])
            if found is None:
                return self._plain(text)
            self._advance(len(self._tokens))
            return self._ours(found)

        def _checked_tree(self, text: str) -> tree.Tree | None:
            """Return what the driver reads in a statement, None for plain SQL."""
            try:
                found = _driver_tree(text)
            except StatementError as error:
                if _is_clause(text):
                    return None
                self._fail(error.message, error.offset, error.hint)
            if found is None and not _is_plain_inside(text):
                # Tools put clauses, and the queries of data sets, into a SELECT of their own,
                # where the driver would take this for ThanoSQL.
                self._fail("a ThanoSQL statement cannot stand in parentheses alone", 0)
            return found

        def _plain(self, text: str) -> exp.Expression | None:
            word = next(tokens(text)).word
            if word == "REPLACE" and next(_second(text)).word == "INTO":
                self._advance(len(self._tokens))
                return self._read(f"{_blank(self.sql[: self._begin])}INSERT OR {text}")
            if word in _UNREAD:
                return self._opaque(text)
            if word not in _READ and self._tokens[0].token_type in self.STATEMENT_PARSERS:
                # A statement of other databases; to SQLite the word is a name.
                return self._parse_expression()
            expression: exp.Expression | None = super()._parse_statement()
            if isinstance(expression, exp.Command):
                self._advance(len(self._tokens) - self._index)
                return self._opaque(text)
            if expression is not None:
                show_in_tables(expression)
            return expression

        def _opaque(self, text: str) -> Opaque:
            self._advance(len(self._tokens) - self._index)
            depth = 0
            for token in tokens(text):
                depth += (token.text == "(") - (token.text == ")")
                if depth < 0:
                    self._fail("this ')' closes nothing", token.start)
            if depth:
                self._fail("a '(' is never closed", 0)
            read = tables_read(tree.Query((text,)))
            tables = [make_table(each.name, each.schema) for each in sorted(read, key=repr)]
            return Opaque(text=text, expression=select_from(tables))

        def _ours(self, found: tree.Tree) -> exp.Expression:
            if isinstance(found, tree.Query):
                return self._query(found)
            if isinstance(found, tree.Print):
                return make_reading(found, self._query(found.query))
            if isinstance(found, tree.Unsupported):
                self._fail(f"{found.what} is not supported", found.offset)
            if isinstance(found, (tree.BuildModel, tree.FitModel)):
                return training(found, self._query(found.query))
            written = written_table(found)
            return Action(
                this=written, expression=select_from([written] if written else []), statement=found
            )

        def _query(self, query: tree.Query) -> exp.Expression:
            """Read a query: sqlglot gets names in the place of the statements in it."""
            prefix = "thanosql_statement"
            while prefix in self.sql:
                prefix += "_"
            statements: dict[str, tree.QueryShaped] = {}
            text = _blank(self.sql[: self._begin + query.offset])
            for part in query.parts:
                if isinstance(part, str):
                    text += part
                elif isinstance(part, tree.Parameter):
                    text += part.text
                else:
                    name = f"{prefix}{len(statements)}"
                    statements[name] = part
                    # Lines stay what they are, for sqlglot's messages.
                    text += _blank(self.sql[self._begin + part.offset : self._begin + part.end])
                    text += f" SELECT * FROM {name} "
            expression = self._read(text)
            places = [each for each in expression.find_all(exp.Table) if each.name in statements]
            if isinstance(expression, Opaque) or len(places) != len(statements):
                what = f"a ThanoSQL statement cannot be checked inside a {query.verb}"
                self._fail(what, query.offset)
            for place in places:
                expression = put(expression, place, self._statement(statements[place.name]))
            return expression

        def _statement(self, statement: tree.QueryShaped) -> Reading:
            if isinstance(statement, tree.List):
                return listing(statement)
            if isinstance(statement, tree.Function):
                query = statement.query
                reading = function(statement, None if query is None else self._query(query))
            else:
                reading = make_reading(statement, self._query(statement.query))
            labels = statement.option("label_table") or statement.option("src_table")
            if labels is not None:
                reading.set("reads", select_from(targets(str(labels.value))))
            target = statement.option("table_name")
            if target is not None:
                tables = targets(str(target.value))
                written = exp.Insert(this=tables[0].copy(), expression=select_from(tables))
                reading.set("writes", written)
            return reading

        def _read(self, text: str) -> exp.Expression:
            """Read one statement with a parser of its own."""
            parser = type(self)(error_level=self.error_level, dialect=self.dialect)
            read = parser.parse(self.dialect.tokenize(text), text)
            if len(read) != 1 or read[0] is None:
                self._fail("expected one query", 0)
            return read[0]

        def _fail(self, message: str, offset: int, hint: str | None = None) -> NoReturn:
            """Raise for a spot in the statement."""
            offset += self._begin
            raise ThanosqlParseError(
                StatementError(message, statement=self.sql, offset=offset, hint=hint)
            )

    class Generator(SQLite.Generator):
        """Writes the statements back, and has the driver's parser check what it wrote."""

        TRANSFORMS = {  # noqa: RUF012
            **SQLite.Generator.TRANSFORMS,
            Action: lambda self, e: self.action_sql(e),
            Opaque: lambda self, e: e.args["text"],
            Explain: lambda self, e: f"{e.args['head']}{self.sql(e, 'this')}",
            Reading: lambda self, e: self.reading_sql(e),
        }

        def generate(self, expression: exp.Expression, copy: bool = True) -> str:
            """Return the SQL of a tree.

            Raises:
                UnsupportedError: The driver would read other statements in it than the tree has.
            """
            statements = sorted(
                repr(each.args["statement"]) for each in expression.find_all(Reading, Action)
            )
            sql = super().generate(expression, copy)
            if statements or language.may_be_thanosql(sql):
                _check(sql, statements)
            return sql

        def action_sql(self, expression: Action) -> str:
            """Return ``COPY … FROM …`` and the like; ``BUILD MODEL … AS (query)``."""
            statement = expression.args["statement"]
            has_rows = has_query(statement)
            query = expression.expression.args["from_"].this.this if has_rows else None
            return write_statement(statement, self.sql(query) if query is not None else "")

        def reading_sql(self, expression: Reading) -> str:
            """Return ``SEARCH … AS (query)``; with other clauses, a SELECT around it."""
            statement = expression.args["statement"]
            others = {
                name: value
                for name, value in expression.args.items()
                if value and name not in {"expressions", "from_", "statement", "writes", "reads"}
            }
            is_printed = isinstance(statement, tree.Print)
            query = expression.args["from_"].this.this if has_query(statement) else None
            if is_printed and others:
                query = exp.Select(expressions=[exp.Star()], from_=from_query(query), **others)
            if others and not is_printed:
                bare = Reading(from_=expression.args.get("from_"), statement=statement)
                outer = exp.Select(expressions=[exp.Star()], from_=from_query(bare), **others)
                return self.sql(outer)
            return write_statement(statement, self.sql(query) if query is not None else "")


_READ = frozenset(
    {"ALTER", "BEGIN", "COMMIT", "CREATE", "DELETE", "DROP", "END", "INSERT", "ROLLBACK"}
    | {"SELECT", "UPDATE", "VALUES", "WITH"}
)
"""First words of SQLite's statements whose tables and effect sqlglot reads."""

_UNREAD = frozenset(
    {"ANALYZE", "ATTACH", "DETACH", "PRAGMA", "REINDEX", "RELEASE", "REPLACE", "SAVEPOINT"}
    | {"VACUUM"}
)
"""And of those it does not."""


def _driver_tree(text: str) -> tree.Tree | None:
    """Return what the driver reads in a text, None for plain SQL.

    Raises:
        StatementError: It refuses the text.
    """
    found = language.parse(text)
    # Plain SQL that the driver answers faster is plain SQL.
    return None if isinstance(found, tree.Ranked) else found


def _is_clause(text: str) -> bool:
    """Tell whether a text that begins with a verb of ours is a clause and no statement.

    Tools parse clauses as if they were statements, and a column may be named as a verb.
    """
    try:
        read = SQLite().parse(text)
    except SqlglotError:
        return False
    is_condition = len(read) == 1 and isinstance(read[0], exp.Condition)
    return is_condition and _is_plain_inside(text)


def _is_plain_inside(text: str) -> bool:
    """Tell whether plain SQL is plain in the midst of a SELECT, too."""
    if next(tokens(text)).word in _READ | {"EXPLAIN"}:
        return True
    try:
        return _driver_tree(f"SELECT {text}") is None
    except StatementError:
        return False


def _second(text: str) -> Iterator[Token]:
    found = tokens(text)
    next(found)
    return found


def _blank(text: str) -> str:
    """Return white space of the same lines and length."""
    return re.sub(r"[^\n]", " ", text)


def _after_explain(text: str) -> int:
    """Return the offset after EXPLAIN or EXPLAIN QUERY PLAN, 0 where a text has neither."""
    found = tokens(text)
    first = next(found)
    if first.word != "EXPLAIN":
        return 0
    second, third = next(found), next(found, first)
    is_plan = second.word == "QUERY" and third.word == "PLAN"
    return (next(found) if is_plan else second).start


def _check(sql: str, expected: list[str]) -> None:
    try:
        found = sorted(repr(headless(each)) for each in _statements(_driver_tree(sql)))
    except StatementError as error:
        if not expected:
            return  # The driver will refuse it in the same words.
        raise UnsupportedError(
            f"the driver does not read the SQL that sqlglot wrote: {error}"
        ) from error
    if found != expected:
        raise UnsupportedError(
            "the SQL that sqlglot wrote has other ThanoSQL statements than the one it read:"
            f" expected {expected}, found {found}"
        )


def _statements(node: tree.Tree | tree.Part | None) -> Iterator[tree.Statement]:
    if isinstance(node, tree.Statement):
        yield node
    for part in getattr(node, "parts", ()):
        yield from _statements(part)
    inner = getattr(node, "query", None)
    if inner is not None:
        yield from _statements(inner)
