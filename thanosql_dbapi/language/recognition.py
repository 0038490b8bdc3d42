"""Which places in a text are ThanoSQL: none of the language's words is reserved.

A statement of ours begins at the beginning of a text or where SQL takes a subquery. At the
beginning its first word decides, since no statement of SQLite begins so (``DELETE MODEL`` takes
two). Elsewhere one of our verbs counts only where SQLite could not read the words as names. The
one exception is ``FROM (LIST MODEL)``, which SQLite could read as a table ``list`` under the alias
``model``: that is written ``FROM list model`` or ``FROM (list AS model)``.
"""

from __future__ import annotations

from . import grammar
from .grammar import StatementSpec
from .lexer import Kind, Token
from .reader import Reader, nearest

_COMPOUND = frozenset({"UNION", "INTERSECT", "EXCEPT"})
FOLLOWERS = _COMPOUND | {"ORDER", "LIMIT", "ON", "RETURNING"}
"""The words that can follow a statement of ours inside SQL."""


def begins_statement(reader: Reader, *, is_certain: bool) -> bool:
    """Tell whether the next token begins a statement of ours, in a place for a subquery.

    Args:
        reader: Stands before the token.
        is_certain: True where SQL takes nothing but a query (after UNION, CREATE VIEW … AS), False
            after a parenthesis, which may hold names as well.
    """
    word = reader.peek().word
    if any(_fits(reader, spec, is_certain=is_certain) for spec in grammar.specs_of(word)):
        return True
    return word == "SEARCH" and _is_misspelt_search(reader, is_certain=is_certain)


def _fits(reader: Reader, spec: StatementSpec, *, is_certain: bool) -> bool:
    """Tell whether the next tokens can only be the beginning of this statement."""
    if spec.words[0] == grammar.FUNCTION:  # with whatever name: a misspelt one is ours too
        return reader.peek(1).kind is Kind.NAME and reader.peek(2).text == "."
    at = len(spec.words)
    if any(reader.peek(index).word != word for index, word in enumerate(spec.words)):
        return False
    if spec.subject:
        # COPY, a table and FROM; DELETE MODEL and a name.
        is_from = reader.peek(at + 1).word == "FROM" and "FROM" in spec.fields
        is_clause = is_from or _is_clause(reader, at + 1) or not spec.clauses
        return _is_name(reader.peek(at)) and (is_clause or at == 3)
    if not spec.clauses and spec.is_supported:
        return at > 2 or is_certain or _is_over(reader.peek(at))
    if spec.takes_values or spec.words[0] == "SEARCH":
        return _is_value(reader, at, is_certain=is_certain) or _is_clause(reader, at)
    if at > 1 and reader.peek(at).word == "AS":
        return True
    if is_certain and at == 1:
        return reader.peek(at).word in {"USING", "OPTIONS"}
    return _is_clause(reader, at)


def _is_name(token: Token) -> bool:
    return token.kind in {Kind.NAME, Kind.QUOTED, Kind.STRING}


def _is_over(token: Token) -> bool:
    return token.text in {")", ";", ""} or token.word in _COMPOUND


def _is_clause(reader: Reader, distance: int) -> bool:
    """Tell whether USING and a name, or OPTIONS and a parenthesis, stand at this distance.

    ``USING (column)`` is SQL's own.
    """
    word = reader.peek(distance).word
    after = reader.peek(distance + 1)
    return (word == "USING" and _is_name(after)) or (word == "OPTIONS" and after.text == "(")


def _is_value(reader: Reader, distance: int, *, is_certain: bool) -> bool:
    value = reader.peek(distance)
    is_assigned = value.kind is Kind.NAME and reader.peek(distance + 1).text == "="
    is_literal = value.kind in {Kind.STRING, Kind.PARAMETER}
    return is_assigned or is_certain or value.word == "AS" or is_literal


def _is_misspelt_search(reader: Reader, *, is_certain: bool) -> bool:
    """Tell whether SEARCH is there without its medium, or with a misspelt one."""
    if _is_clause(reader, 1):
        return True
    medium, value = reader.peek(1), reader.peek(2)
    media = tuple(spec.words[1] for spec in grammar.specs_of("SEARCH"))
    if not medium.word or medium.word == "MATCH" or nearest(medium.word, media) is None:
        return False
    is_assigned = value.kind is Kind.NAME and reader.peek(3).text == "="
    return is_assigned or _is_clause(reader, 2)
