"""What was probably meant by a text that SQLite refuses: a slip in a statement of ours."""

from __future__ import annotations

from . import grammar
from .lexer import tokens
from .names import unquote
from .reader import nearest
from .screening import QUERY_FIRST_WORDS

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
    first = next((token for token in tokens(sql) if token.text != ";"), None)
    if first is None or not first.text:
        return None
    word = unquote(first.text).upper()
    known = QUERY_FIRST_WORDS | _OTHER_WORDS
    if word not in known:
        near = nearest(word, sorted(grammar.first_words() | known))
        return f"did you mean {near}?" if near in grammar.first_words() else None
    before = first
    for number, token in enumerate(tokens(sql)):
        if number > _MOST_TOKENS:
            break
        if before.word in {"FROM", "JOIN"} and token.word in grammar.query_words():
            return f"put {token.word} … in parentheses: {before.word} ({token.word} …)"
        before = token
    return None
