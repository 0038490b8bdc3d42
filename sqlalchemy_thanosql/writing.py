"""ThanoSQL from tree to text: the way back of ``thanosql_dbapi.language.parse``.

For tools that read a statement, change the query in it and write it again. This module knows no
SQL parser and no database.
"""

from __future__ import annotations

from collections.abc import Iterable

from thanosql_dbapi.language import grammar
from thanosql_dbapi.language.names import quote_name, quote_text
from thanosql_dbapi.language.tree import Option, Parameter, Search, Statement, TableName, Value


def write_statement(statement: Statement, query: str = "") -> str:
    """Return the text of a statement; ``parse`` reads it as an equal one.

    Args:
        statement: Any statement that the driver runs.
        query: SQL of the query after AS, for the statements that have one.

    Raises:
        TypeError: A statement that the driver does not run.

    Example:
        >>> from thanosql_dbapi.language import parse
        >>> cats = parse('search image text="a cat" using clip as select * from photos').parts[0]
        >>> print(write_statement(cats, "SELECT * FROM photos"))
        SEARCH IMAGE text='a cat' USING "clip" AS (SELECT * FROM photos)
    """
    spec = grammar.spec_for(statement)
    if spec is None or not spec.is_supported:
        raise TypeError(f"expected a statement that the driver runs, got {statement!r}")
    options = _pairs(statement.options)
    if isinstance(statement, Search):
        head, options = _search(statement, options)
    else:
        head = spec.label
        if getattr(statement, "is_optional", False):
            head += " IF NOT EXISTS"
        for clause, word in (("SUBJECT", ""), ("USING", "USING ")):
            if clause in spec.fields:
                head += f" {word}{_name(getattr(statement, spec.fields[clause]))}"
    if options:
        head += f" OPTIONS ({', '.join(f'{name}={_value(value)}' for name, value in options)})"
    if "AS" in spec.fields and getattr(statement, spec.fields["AS"]) is not None:
        # In parentheses, what follows the statement is never taken for a part of the query.
        return f"{head} AS ({query})"
    if "FROM" in spec.fields:
        return f"{head} FROM {_value(getattr(statement, spec.fields['FROM']))}"
    alias = getattr(statement, spec.fields["ALIAS"]) if "ALIAS" in spec.fields else None
    return head if alias is None else f"{head} AS {quote_name(alias)}"


def _name(name: str | TableName) -> str:
    if isinstance(name, TableName):
        return quote_name(name.schema, name.name)
    return quote_name(name)


def _search(
    statement: Search, options: list[tuple[str, Value]]
) -> tuple[str, list[tuple[str, Value]]]:
    head = f"SEARCH {statement.medium.upper()}"
    sought = {"text": statement.texts, "image": statement.images}
    for kind, values in sought.items():
        if values and statement.ranked:
            options = [("search_by", kind), ("search_input", values), *options]
        elif values:
            head += f" {kind}={_value(values[0] if len(values) == 1 else values)}"
    return f"{head} USING {quote_name(statement.model)}", options


def _pairs(options: Iterable[Option]) -> list[tuple[str, Value]]:
    return [(option.name, option.value) for option in options]


def _value(value: Value) -> str:
    if isinstance(value, Parameter):
        return value.text
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    return repr(value)
