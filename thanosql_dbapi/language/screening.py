"""The first look at a text: plain SQL, or a candidate for the parser? Nothing is lexed.

This is all of the language that plain SQL needs, so it imports the grammar alone: the parser comes
with the first text that may be ThanoSQL.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..sqlite3_compat import ASIDE, LETTER, NAMED
from . import grammar

QUERY_FIRST_WORDS = frozenset(
    {"CREATE", "DELETE", "EXPLAIN", "INSERT", "REPLACE", "SELECT", "UPDATE", "VALUES", "WITH"}
)
"""The words that begin SQL in which a subquery, and so a statement of ours, can stand."""

_BLANK = re.compile(r"[ \t\n\v\f\r\ufeff;]+|--[^\n]*|/\*[\s\S]*?(?:\*/|\Z)")
_WORD = re.compile(rf"{LETTER}{NAMED}*")

_CREATE_USING = re.compile(
    r"create\s+(?:temp(?:orary)?\s+)?table\s[^()']{1,300}?\busing\b", re.IGNORECASE | re.ASCII
)


class _Words(NamedTuple):
    """What is derived of the grammar.

    Attributes:
        first: Words that begin a statement of ours; DELETE (MODEL) is looked at by itself.
        subquery: Found in every text that holds a subquery of ours.
        statement: Found in every script that holds a statement of ours.
    """

    first: frozenset[str]
    subquery: re.Pattern[str]
    statement: re.Pattern[str]


@lru_cache(maxsize=1)
def _words() -> _Words:
    flags = re.IGNORECASE | re.ASCII
    first = grammar.first_words()
    statement = rf"\b(?:{'|'.join(sorted(first))}|delete\b[^;]{{1,80}}?\bmodel|using)\b"
    return _Words(
        first, re.compile(grammar.subquery_pattern(), flags), re.compile(statement, flags)
    )


grammar.when_changed(_words.cache_clear)


def may_be_thanosql(script: str) -> bool:
    """Tell whether a script needs splitting: False only if no statement in it can be ThanoSQL."""
    return _words().statement.search(script) is not None


def names_are_in_text(sql: str) -> bool:
    """Tell whether a text alone decides what the columns of its result are called.

    A ``*`` means the columns that a table has at the time, and what is in double quotes may be a
    column or, if there is none of that name, a string.
    """
    return '"' not in sql and ("*" not in sql or "*" not in sql.replace("(*)", ""))


def sqlite_may_accept(sql: str) -> bool:
    """Tell whether SQLite may accept a text that is ours; it refuses any other text of ours.

    No statement of SQLite begins with our words, and elsewhere a word of ours counts only where
    SQLite could not read a name. So a text that SQLite accepts is plain SQL, with two exceptions:
    ``FROM (LIST MODEL)``, and a SELECT that orders by ``cosine_similarity``. Other texts can be
    given to SQLite first, and parsed if it refuses them. To parse a plain text first takes as
    long as SQLite takes to compile it.

    Example:
        >>> sqlite_may_accept("SELECT * FROM (SEARCH IMAGE text='a cat' USING clip AS photos)")
        False
        >>> sqlite_may_accept("SELECT * FROM (LIST MODEL)")
        True
    """
    text = sql.lower()
    if "list" in text and ("model" in text or "table" in text or "thanosql" in text):
        return True
    return "cosine_similarity" in text


def first_words(sql: str) -> tuple[str, bool, bool]:
    """Look at how a text begins, without lexing it.

    Returns:
        The first word after blanks, comments, stray semicolons and a byte order mark, in upper
        case; whether it opens a statement of ours; whether a subquery of ours may be in the text.
    """
    word, begin, end = _next_word(sql, 0)
    if word in _words().first or (word == "DELETE" and _next_word(sql, end)[0] == "MODEL"):
        return word, True, True
    if word == "CREATE" and _CREATE_USING.match(sql, begin):
        return word, False, True
    return word, False, word in QUERY_FIRST_WORDS and _has_subquery(sql)


def _has_subquery(sql: str) -> bool:
    """Tell whether words of ours stand in a text outside quotations and comments.

    Data that is written out in a long INSERT often has such words ("a copy of"), and to lex it all
    takes a hundred times longer than this.
    """
    if _words().subquery.search(sql) is None:
        return False
    # A list of values (['a]', …) can be cut short by it, but only a statement of ours has one, and
    # its verb comes before.
    bare = ASIDE.sub(lambda found: " " if found.group()[0] in "-/" else '"x"', sql)
    return _words().subquery.search(bare) is not None


def _next_word(sql: str, position: int) -> tuple[str, int, int]:
    """Return the bare word after blanks in upper case, empty for anything else; and its place."""
    while match := _BLANK.match(sql, position):
        position = match.end()
    found = _WORD.match(sql, position)
    if found is None or not found.group().isascii():
        return "", position, position
    return found.group().upper(), position, found.end()
