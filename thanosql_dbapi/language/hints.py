"""What was probably meant by a text that SQLite refuses: a slip in a statement of ours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from . import grammar
from .lexer import Token, tokens
from .names import unquote
from .reader import nearest
from .screening import QUERY_FIRST_WORDS
from .searching import VALUE_NAMES

_OTHER_WORDS = frozenset(
    {"ALTER", "ANALYZE", "ATTACH", "BEGIN", "COMMIT", "DETACH", "DROP", "END", "PRAGMA", "REINDEX"}
    | {"RELEASE", "ROLLBACK", "SAVEPOINT", "VACUUM"}
)
_MOST_TOKENS = 2000


def hint_of(sql: str) -> str | None:
    """Return what to write instead, where a text looks like ThanoSQL with a slip; else None.

    Example:
        >>> hint_of("SERCH IMAGE text='a cat' USING clip AS SELECT * FROM photos")
        'did you mean SEARCH?'
        >>> hint_of("SELECT * FROM SEARCH IMAGE text='a cat' USING clip AS SELECT 1")
        'put SEARCH … in parentheses: FROM (SEARCH …)'
        >>> hint_of("SELEC 1") is None
        True
    """
    every = [token for token in islice(tokens(sql), _MOST_TOKENS) if token.text != ";"]
    first = unquote(every[0].text).upper() if every else ""
    known = QUERY_FIRST_WORDS | _OTHER_WORDS
    if first and first not in known:
        near = nearest(first, sorted(grammar.first_words() | known))
        is_ours = near in grammar.first_words() and _goes_on(every[1:3], near or "")
        return f"did you mean {near}?" if is_ours else None
    for at in range(len(every) - 4):
        before, token, *after = every[at : at + 5]
        is_place = before.word in {"FROM", "JOIN"} and token.word in grammar.query_words()
        if is_place and (after[0].word == "USING" or after[1].word == "USING" or _is_value(after)):
            return f"put {token.word} … in parentheses: {before.word} ({token.word} …)"
    return None


def _is_value(after: Sequence[Token]) -> bool:
    """Return whether ``IMAGE text =`` stands there."""
    return after[2].text == "=" and after[1].text.lower() in VALUE_NAMES


def _goes_on(after: Sequence[Token], first: str) -> bool:
    """Return whether a statement of this first word can go on with these words."""
    words = [token.word for token in after] + ["", ""]
    if words[0] in {"USING", "OPTIONS"}:
        return True
    for spec in grammar.specs_of(first):
        if len(spec.words) > 1 and words[0] == spec.words[1]:
            return True
        if len(spec.words) == 1 and spec.subject and words[1] in {"FROM", "OPTIONS"}:
            return True
    return False
