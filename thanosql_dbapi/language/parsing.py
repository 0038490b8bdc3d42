"""``parse``, which decides between plain SQL and ThanoSQL, and reads the latter.

The parser is imported with the first text that may be ThanoSQL.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import StatementError
from . import grammar
from .screening import first_words

if TYPE_CHECKING:
    from .tree import Tree

NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
"""What SQLite takes in no text: NUL, and half of a surrogate pair."""

_SIMILARITY = re.compile("cosine_similarity", re.IGNORECASE | re.ASCII)

# Texts longer than this are read each time: they are bulk data more often than statements.
_LONGEST_CACHED = 20_000


def parse(sql: str) -> Tree | None:
    """Read a text that may be ThanoSQL.

    Args:
        sql: One statement; comments, white space and semicolons may surround it.

    Returns:
        What it says; None when it is plain SQLite, well-formed or not.

    Raises:
        StatementError: The text opens with a verb of ours, or has one where SQL takes a subquery,
            and does not parse.

    Example:
        >>> parse("DELETE MODEL clip")
        DeleteModel(options=(), name='clip')
        >>> parse("DELETE FROM model") is None
        True
    """
    return _parse(sql) if len(sql) > _LONGEST_CACHED else _parse_cached(sql)


def _parse(sql: str) -> Tree | None:
    word, is_statement, is_candidate = first_words(sql)
    if not is_candidate:
        return _read_ranked(sql) if word in {"SELECT", "EXPLAIN"} else None
    from .parser import read

    tree = read(sql, is_statement=is_statement, is_creation=word == "CREATE")
    if tree is not None and (bad := NO_CHARACTER.search(sql)):
        raise StatementError(
            f"the statement has {bad.group()!r}, which is no character",
            statement=sql,
            offset=bad.start(),
            hint="a file's name with it can be bound as a parameter",
        )
    return tree


def _read_ranked(sql: str) -> Tree | None:
    if _SIMILARITY.search(sql) is None:
        return None
    from .topk import read_ranked

    return read_ranked(sql)


_parse_cached = lru_cache(maxsize=512)(_parse)
grammar.when_changed(_parse_cached.cache_clear)
