"""Which texts, and which places in a text, are ThanoSQL: the verbs are no reserved words.

A statement of ours begins at the beginning of a text or where SQL takes a subquery. At the
beginning its first word decides, since no statement of SQLite begins so (``DELETE MODEL`` takes
two). Elsewhere one of our verbs counts only where SQLite could not read the words as names. The
one exception is ``FROM (LIST MODEL)``, which SQLite could read as a table ``list`` under the alias
``model``: that is written ``FROM list model`` or ``FROM (list AS model)``.
"""

from __future__ import annotations

from .lexer import Kind, Token
from .reader import Reader, nearest
from .screening import FIRST_WORDS

MEDIA = ("IMAGE", "TEXT", "AUDIO", "VIDEO", "KEYWORD")

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
    if word not in FIRST_WORDS and word != "DELETE":
        return False
    if word == "SEARCH":
        return _is_search(reader, is_certain=is_certain)
    if word == "LIST":
        return _is_list(reader, is_certain=is_certain)
    if word == "FUNCTION":
        return reader.peek(2).text == "." and reader.peek(1).kind is Kind.NAME
    if word == "PRINT":
        is_medium = reader.peek(1).word in {"IMAGE", "AUDIO", "VIDEO"}
        return is_medium and (reader.peek(2).word == "AS" or _is_clause(reader, 2))
    if word == "GET":
        return reader.peek(1).word == "THANOSQL" and reader.peek(2).word in {"MODEL", "DATASET"}
    if word == "COPY":
        is_from = reader.peek(2).word == "FROM"
        return _is_name(reader.peek(1)) and (is_from or _is_clause(reader, 2))
    if word in {"UPLOAD", "BUILD", "FIT", "DELETE"}:
        is_model = reader.peek(1).word == "MODEL" and _is_name(reader.peek(2))
        is_clause = _is_clause(reader, 3) or reader.peek(3).word == "FROM"
        return is_model and (is_clause or word == "DELETE")
    is_clause = reader.peek(1).word in {"USING", "OPTIONS"}
    return is_clause if is_certain else _is_clause(reader, 1)


def _is_name(token: Token) -> bool:
    return token.kind in {Kind.NAME, Kind.QUOTED, Kind.STRING}


def _is_clause(reader: Reader, distance: int) -> bool:
    """Tell whether USING and a name, or OPTIONS and a parenthesis, stand at this distance.

    ``USING (column)`` is SQL's own.
    """
    word = reader.peek(distance).word
    after = reader.peek(distance + 1)
    return (word == "USING" and _is_name(after)) or (word == "OPTIONS" and after.text == "(")


def _is_search(reader: Reader, *, is_certain: bool) -> bool:
    medium = reader.peek(1)
    if _is_clause(reader, 1):
        return True
    value = reader.peek(2)
    is_value = value.kind is Kind.NAME and reader.peek(3).text == "="
    if medium.word in MEDIA:
        is_value = (
            is_value
            or is_certain
            or value.word == "AS"
            or value.kind in {Kind.STRING, Kind.PARAMETER}
        )
    elif not medium.word or nearest(medium.word, MEDIA) is None or medium.word == "MATCH":
        return False
    return is_value or _is_clause(reader, 2)


def _is_list(reader: Reader, *, is_certain: bool) -> bool:
    what, after = reader.peek(1), reader.peek(2)
    if what.word == "THANOSQL" and after.word in {"MODEL", "DATASET"}:
        return True
    is_listed = what.word in {"MODEL", "TABLE", "THANOSQL_MODEL", "THANOSQL_DATASET"}
    is_over = after.text in {")", ";", ""} or after.word in _COMPOUND
    return is_listed and (is_certain or is_over)
