"""Text to tokens, by SQLite's rules, on sqlparse's lexer engine.

The engine runs as an instance of its own with SQLite's rules alone: sqlparse's shared instance,
which the rest of a program may use, is left as it is. sqlparse is imported at first use, for a
plain statement never.

Source of the rules: https://www.sqlite.org/syntax.html and SQLite's ``tokenize.c``.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from ..sqlite3_compat import LETTER


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    QUOTED = "quoted name"
    STRING = "string"
    BLOB = "blob"
    NUMBER = "number"
    PARAMETER = "parameter"
    SYMBOL = "symbol"
    UNTERMINATED = "unterminated"
    UNKNOWN = "unknown"
    END = "end"


class Token(NamedTuple):
    """A token and its place: ``sql[start:end] == text``.

    ``word`` is the text of a bare ASCII name in upper case, for comparing with keywords, and empty
    for every other token.
    """

    kind: Kind
    text: str
    start: int
    word: str

    @property
    def end(self) -> int:
        """The offset just after the token."""
        return self.start + len(self.text)


# sqlparse (0.6) reads $tag$…$tag$ as one literal before any rule of the instance is asked; to
# SQLite the dollar sign begins a parameter or is part of a name. So the lexer sees this control
# character, which no SQL holds outside quotes and comments, wherever the text has a dollar. The
# tokens' texts are cut from the text itself.
_DOLLAR = "\x1a"

_NAMED = r"[^\x00-\x19\x1b-/:-@\[-^`{-\x7f]"  # sqlite3_compat.NAMED, with _DOLLAR for "$"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"


def _quoted(quote: str) -> str:
    """Return the rule for a quotation in which the doubled quote means itself."""
    return f"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*{quote}(?!{quote})"


# Tried in this order, so the commonest come first.
_RULES: tuple[tuple[str, Kind | None], ...] = (
    ("[ \t\n\v\f\r\ufeff]+", None),
    (rf"(?!x'){LETTER}{_NAMED}*", Kind.NAME),
    (r"[,();*]|==?|\.(?![0-9])", Kind.SYMBOL),
    (_quoted("'"), Kind.STRING),
    (r"0x[0-9a-f]+(?:_[0-9a-f]+)*", Kind.NUMBER),
    (rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?", Kind.NUMBER),
    (_quoted('"'), Kind.QUOTED),
    (r"\?[0-9]*", Kind.PARAMETER),
    (
        rf"(?:[@:{_DOLLAR}]|\#(?![0-9]))(?:::)*{_NAMED}(?:{_NAMED}|::)*(?:\([^\s)]*\))?",
        Kind.PARAMETER,
    ),
    (r"--[^\n]*", None),
    # To the end of the text when never closed, as SQLite has it.
    (r"/\*(?:[^*]|\*(?!/))*(?:\*/)?", None),
    (r"->>|->|\|\||<<|>>|<=|>=|<>|!=|[-+/%&|<>~\]]", Kind.SYMBOL),
    (r"x'[^']*'", Kind.BLOB),
    (_quoted("`"), Kind.QUOTED),
    (r"\[[^\]]*\]", Kind.QUOTED),
    (r"['\"`\[][\s\S]*", Kind.UNTERMINATED),
)


@lru_cache(maxsize=1)
def _lexer() -> tuple[Any, dict[Any, Kind | None]]:
    """Return the lexer, and what each of its token types means here."""
    from sqlparse.lexer import Lexer
    from sqlparse.tokens import Comment, Token

    lexer: Any = Lexer()
    lexer.clear()
    rules = []
    meaning: dict[Any, Kind | None] = {}
    for number, (pattern, kind) in enumerate(_RULES):
        token_type = getattr(Token.ThanoSQL, f"Rule{number}")
        rules.append((pattern, token_type))
        meaning[token_type] = kind
    lexer.set_SQL_REGEX(rules)
    meaning[Comment.Multiline] = None
    meaning[Comment.Multiline.Hint] = None
    return lexer, meaning


def tokens(sql: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of ``sql`` from the offset on, blanks and comments left out.

    The last one is of kind END and comes just after the last other token. What SQLite calls an
    unrecognized token is of kind UNKNOWN, an open quotation UNTERMINATED: lexing never fails.

    Args:
        sql: The text.
        start: Where to begin; must be the beginning of a token.

    Example:
        >>> [token.text for token in tokens("SELECT 'a''b' /* … */ >= :x")]
        ['SELECT', "'a''b'", '>=', ':x', '']
    """
    lexer, meaning = _lexer()
    seen = sql[start:] if start else sql
    position = end = start
    for token_type, value in lexer.get_tokens(seen.replace("$", _DOLLAR)):
        begin, position = position, position + len(value)
        kind = meaning.get(token_type, Kind.UNKNOWN)
        if kind is None:
            continue
        end = position
        text = sql[begin:position]
        word = text.upper() if kind is Kind.NAME and text.isascii() else ""
        yield Token(kind, text, begin, word)
    yield Token(Kind.END, "", end, "")
