"""What an ALTER TABLE does to the names that a database is known by."""

from __future__ import annotations

from dataclasses import dataclass

from .lexer import Kind, Token, tokens
from .names import unquote
from .tree import TableName

_NAMES = frozenset({Kind.NAME, Kind.QUOTED, Kind.STRING})


@dataclass(frozen=True)
class Alteration:
    """An ALTER TABLE that renames a table or a column, or drops a column.

    Attributes:
        table: The table, as the statement names it.
        column: The column; None where the table itself is renamed.
        new_name: The new name of either; None where the column is dropped.
    """

    table: TableName
    column: str | None
    new_name: str | None


def read_alteration(sql: str) -> Alteration | None:
    """Return what a text does; None for every other one, well-formed or not.

    Example:
        >>> read_alteration("ALTER TABLE main.photos DROP COLUMN v")
        Alteration(table=TableName(name='photos', schema='main'), column='v', new_name=None)

    Source: https://www.sqlite.org/lang_altertable.html
    """
    every = [token for token in tokens(sql) if token.text != ";"]
    if [token.word for token in every[:2]] != ["ALTER", "TABLE"]:
        return None
    names = every[2:-1]
    schema = None
    if len(names) > 1 and names[1].text == ".":
        schema, names = unquote(names[0].text), names[2:]
    if len(names) < 3 or names[0].kind not in _NAMES:
        return None
    table, verb, rest = TableName(unquote(names[0].text), schema), names[1].word, names[2:]
    if verb == "RENAME" and len(rest) == 2 and rest[0].word == "TO":
        return Alteration(table, None, unquote(rest[1].text))
    if len(rest) > 1 and rest[0].word == "COLUMN" and rest[1].word != "TO":
        rest = rest[1:]
    if verb == "DROP" and _are_names(rest, 1):
        return Alteration(table, unquote(rest[0].text), None)
    if verb == "RENAME" and _are_names(rest, 3) and rest[1].word == "TO":
        return Alteration(table, unquote(rest[0].text), unquote(rest[2].text))
    return None


def _are_names(found: list[Token], count: int) -> bool:
    return len(found) == count and all(token.kind in _NAMES for token in found)
