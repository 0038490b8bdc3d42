"""Tokens with look-ahead, the numbers of bound parameters, and the wording of errors."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence

from ..errors import StatementError, clip
from .lexer import Kind, Token, tokens
from .names import unquote
from .tree import Parameter

# SQLite's default SQLITE_MAX_VARIABLE_NUMBER.
LARGEST_PARAMETER = 32766

_APOSTROPHE = re.compile(r"\w'\w")
_UNTERMINATED = {"'": "string", '"': "quoted text", "`": "quoted name", "[": "bracket"}


class Reader:
    """The tokens of one text, read from left to right.

    Attributes:
        sql: The whole text.
        end: The offset just after the last token taken.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.end = 0
        self._source = tokens(sql)
        self._ahead: deque[Token] = deque()
        self._numbers: dict[str, int] = {}
        self._largest = 0

    def peek(self, distance: int = 0) -> Token:
        """Return the next token, or the one ``distance`` after it; past the end, the END token."""
        ahead = self._ahead
        while len(ahead) <= distance:
            if ahead and ahead[-1].kind is Kind.END:
                return ahead[-1]
            ahead.append(next(self._source))
        return ahead[distance]

    def take(self) -> Token:
        """Return the next token and go past it; the END token stays."""
        token = self.peek()
        if token.kind is not Kind.END:
            self._ahead.popleft()
            self.end = token.end
        return token

    def take_symbol(self, symbol: str) -> Token | None:
        """Take the next token if it is this symbol."""
        return self.take() if self.peek().text == symbol else None

    def split(self, length: int) -> None:
        """Take the first characters of the next token alone; the rest is read again.

        A list of values opens with a bracket, and SQL's ``[name]`` with the same: which of them a
        bracket means is known by its place.
        """
        self.end = self.peek().start + length
        self._ahead.clear()
        self._source = tokens(self.sql, self.end)

    def parameter(self, token: Token) -> Parameter:
        """Return what a parameter token means; call it once for each, in source order.

        Raises:
            StatementError: The number is not one that SQLite takes.
        """
        text = token.text
        name = None
        if text == "?":
            number = self._largest + 1
        elif text[0] == "?":
            digits = text[1:].lstrip("0")
            number = int(digits) if 0 < len(digits) <= len(str(LARGEST_PARAMETER)) else 0
        else:
            name = text[1:]
            number = self._numbers.setdefault(text, self._largest + 1)
        if not 1 <= number <= LARGEST_PARAMETER:
            raise self.error(
                f"expected a parameter number from 1 to {LARGEST_PARAMETER}, found {clip(text)}",
                token,
            )
        self._largest = max(self._largest, number)
        return Parameter(number, name, token.start, text)

    def error(self, message: str, place: Token | int, hint: str | None = None) -> StatementError:
        """Return the error of this text at a token or offset."""
        offset = place if isinstance(place, int) else place.start
        return StatementError(message, statement=self.sql, offset=offset, hint=hint)

    def expected(
        self,
        label: str,
        what: str,
        token: Token | None = None,
        *,
        hint: str | None = None,
        words: Iterable[str] = (),
    ) -> StatementError:
        """Return the error that something else was found where ``what`` was expected.

        Args:
            label: The statement, as in ``"SEARCH IMAGE"``; empty for none.
            what: What was expected.
            token: What was found; the next token when None.
            hint: What to write instead.
            words: Words that could stand here: the one nearest to the token becomes the hint.
        """
        token = token or self.peek()
        if token.kind is Kind.UNTERMINATED:
            return self.unterminated(label, token)
        found = clip(token.text) if token.text else "end of statement"
        if hint is None and token.kind is Kind.NAME:
            near = nearest(token.text.upper(), tuple(words))
            hint = f"did you mean {near}?" if near else None
        if token.start and self.sql[token.start - 1] == "'" and token.kind is Kind.NAME:
            hint = "an apostrophe inside single quotes is written twice: 'it''s'"
        prefix = f"{label}: " if label else ""
        return self.error(f"{prefix}expected {what}, found {found}", token, hint)

    def unterminated(self, label: str, token: Token) -> StatementError:
        """Return the error that a quotation is never closed."""
        what = _UNTERMINATED.get(token.text[:1], "text")
        prefix = f"{label}: " if label else ""
        message = f"{prefix}{what} is never closed: {clip(token.text, 40)}"
        hint = None
        if token.text[:1] == "'" and _APOSTROPHE.search(self.sql, 0, token.start + 2):
            hint = "an apostrophe inside single quotes is written twice: 'it''s'"
        return self.error(message, token, hint)

    def name(self, label: str, what: str) -> str:
        """Take a name: bare or quoted any way, a string in single quotes included.

        Raises:
            StatementError: Something else is next, or a word that begins a clause.
        """
        token = self.peek()
        is_clause = token.word in {"USING", "AS", "FROM", "SELECT"} or (
            token.word == "OPTIONS" and self.peek(1).text == "("
        )
        if is_clause or token.kind not in {Kind.NAME, Kind.QUOTED, Kind.STRING}:
            hint = None
            if token.kind is Kind.PARAMETER:
                hint = "a name cannot be bound, write it out"
            raise self.expected(label, what, hint=hint)
        self.take()
        after = self.peek()
        if after.text in {"-", "/"} and after.start == token.end and token.kind is Kind.NAME:
            hint = "put a name with other characters than letters, digits and _ in double quotes"
            raise self.expected(label, f"the end of the name {clip(token.text)}", after, hint=hint)
        name = unquote(token.text)
        if not name:
            raise self.error(f"{label}: expected {what}, found an empty name", token)
        return name


def nearest(word: str, words: Sequence[str]) -> str | None:
    """Return the one of ``words`` that ``word`` most likely is a slip of, or None."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:80], words, n=1, cutoff=0.6)), None)


def one_of(words: Sequence[str]) -> str:
    """Return the words as prose: ``"A, B or C"``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
