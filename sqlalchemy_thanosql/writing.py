"""ThanoSQL from tree to text: the way back of ``thanosql_dbapi.language.parse``.

For tools that read a statement, change the query in it and write it again. This module knows no
SQL parser and no database.
"""

from __future__ import annotations

from collections.abc import Iterable

from thanosql_dbapi.language.names import quote_name, quote_text
from thanosql_dbapi.language.tree import (
    Convert,
    Copy,
    DeleteModel,
    GetDataset,
    GetModel,
    List,
    Option,
    Parameter,
    Print,
    Search,
    Statement,
    UploadModel,
    Value,
)


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
    head, tail, options = _clauses(statement)
    if options:
        head += f" OPTIONS ({', '.join(f'{name}={_value(value)}' for name, value in options)})"
    if isinstance(statement, (Search, Convert, Print)):
        # In parentheses, what follows the statement is never taken for a part of the query.
        tail = f" AS ({query})"
    return head + tail


def _clauses(statement: Statement) -> tuple[str, str, list[tuple[str, Value]]]:
    """Return what comes before OPTIONS, what after, and the options."""
    head, tail = "", ""
    options = _pairs(statement.options)
    if isinstance(statement, Search):
        head, options = _search(statement, options)
    elif isinstance(statement, Convert):
        head = f"CONVERT USING {quote_name(statement.model)}"
    elif isinstance(statement, List):
        head = f"LIST {statement.what.upper()}"
    elif isinstance(statement, Print):
        head = f"PRINT {statement.medium.upper()}"
    elif isinstance(statement, GetDataset):
        head = f"GET THANOSQL DATASET {quote_name(statement.name)}"
    elif isinstance(statement, GetModel):
        head = f"GET THANOSQL MODEL {quote_name(statement.name)}"
        tail = "" if statement.alias is None else f" AS {quote_name(statement.alias)}"
    elif isinstance(statement, Copy):
        head = f"COPY {quote_name(statement.table.schema, statement.table.name)}"
        tail = f" FROM {_value(statement.source)}"
    elif isinstance(statement, UploadModel):
        head = f"UPLOAD MODEL {quote_name(statement.name)}"
        tail = f" FROM {_value(statement.source)}"
    elif isinstance(statement, DeleteModel):
        head = f"DELETE MODEL {quote_name(statement.name)}"
    else:
        raise TypeError(f"expected a statement that the driver runs, got {statement!r}")
    return head, tail, options


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
