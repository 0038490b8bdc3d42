"""SQL around our statements: told apart token by token, otherwise left as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import StatementError
from . import grammar
from .lexer import Kind, Token
from .reader import Reader
from .recognition import begins_statement
from .tree import STATEMENT, Part, Query, QueryShaped

_MAIN_VERBS = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})


@dataclass
class _Level:
    """What one pair of parentheses holds, or what is outside all of them."""

    opening: Token | None
    is_with: bool = False  # in a WITH clause, before the statement it belongs to
    into: str = ""  # "name" where the table of INTO is due, "columns" after it


class QueryParser:
    """Reads SQL up to the end of the text, or of the parentheses that hold it.

    Args:
        reader: Stands before the first token.
        read_statement: Reads one statement of ours.
        is_nested: True for the query of a statement of ours.
        opens_with_ours: True when the first token is a verb of ours.
    """

    def __init__(
        self,
        reader: Reader,
        read_statement: Callable[[], QueryShaped],
        *,
        is_nested: bool = False,
        opens_with_ours: bool = False,
    ) -> None:
        self._reader = reader
        self._read_statement = read_statement
        self._is_nested = is_nested
        self._opens_with_ours = opens_with_ours
        self._levels = [_Level(None)]
        self._parts: list[Part] = []
        self._tokens: list[tuple[int, Token]] = []  # of the query, with offsets in their part
        self._pending: list[Token] = []  # of the part that is being read
        self._last: Token | None = None
        self._before_last: Token | None = None
        self._header = ""  # "VIEW" or "TABLE" before its AS, "TRIGGER"
        self._verb = ""
        self._problem: StatementError | None = None
        self._found = is_nested

    def read(self) -> Query | None:
        """Return the query, or None when it holds no statement of ours and is not nested.

        Raises:
            StatementError: A statement of ours does not parse, or the SQL around it cannot be told
                apart: a parenthesis or quotation is never closed.
        """
        begin = mark = self._reader.peek().start
        end = begin
        if not self._is_nested and not self._read_header():
            return None
        while not self._is_over():
            if self._is_place():
                self._text(mark, self._reader.peek().start)
                statement = self._statement()
                self._tokens.append((len(self._parts), STATEMENT))
                self._parts.append(statement)
                mark = end = self._reader.end
                continue
            token = self._reader.take()
            if token.kind is Kind.PARAMETER:
                self._text(mark, token.start)
                self._tokens.append((len(self._parts), token._replace(start=0)))
                self._parts.append(self._reader.parameter(token))
                mark = token.end
            else:
                self._pending.append(token)
            self._follow(token)
            end = token.end
        self._text(mark, end)
        self._check()
        if not self._found:
            return None
        lexed = (*self._tokens, (-1, Token(Kind.END, "", 0, "")))
        return Query(tuple(self._parts), self._verb or "SELECT", begin, end, lexed)

    def _text(self, begin: int, end: int) -> None:
        """Make a part of the text between two offsets, and give its tokens their places in it."""
        number = len(self._parts)
        self._tokens += [
            (number, each._replace(start=each.start - begin)) for each in self._pending
        ]
        self._pending.clear()
        if begin < end:
            self._parts.append(self._reader.sql[begin:end])

    def _take(self) -> Token:
        """Take a token of the query."""
        token = self._reader.take()
        self._pending.append(token)
        return token

    def _read_header(self) -> bool:
        """Go past what comes before the query; return False for SQL that holds none.

        CREATE TABLE with columns, CREATE VIRTUAL TABLE and CREATE INDEX have parentheses in which
        other words than a query's stand.
        """
        reader = self._reader
        if reader.peek().word == "EXPLAIN":
            self._verb = "EXPLAIN"
            self._take()
            if reader.peek().word == "QUERY" and reader.peek(1).word == "PLAN":
                self._take()
                self._take()
        if reader.peek().word != "CREATE":
            return True
        self._take()
        if reader.peek().word in {"TEMP", "TEMPORARY"}:
            self._take()
        self._header = self._take().word
        self._verb = self._verb or f"CREATE {self._header}"
        if self._header != "TABLE":
            self._last = reader.peek()
            return self._header in {"VIEW", "TRIGGER"}
        while reader.peek().kind is not Kind.END and reader.peek().word != "AS":
            if self._take().text in {"(", ";"}:
                return False
        return True

    def _is_over(self) -> bool:
        token = self._reader.peek()
        if token.kind is Kind.END:
            return True
        is_outside = len(self._levels) == 1
        if token.text == ")":
            return is_outside and self._is_nested
        if token.text != ";":
            return False
        if self._header != "TRIGGER" or self._is_nested:
            return True
        # A trigger's body keeps its semicolons and ends with "; END".
        if self._reader.peek(1).word == "END" and self._reader.peek(2).text in {";", ""}:
            self._follow(self._take())
            self._header = ""
        return False

    def _is_place(self) -> bool:
        """Tell whether a statement of ours begins here."""
        reader = self._reader
        word = reader.peek().word
        if word not in grammar.first_words() and word != "DELETE":
            return False
        level, last = self._levels[-1], self._last
        if last is None and self._opens_with_ours:
            return True
        if last is None or self._header == "AS":
            return begins_statement(reader, is_certain=True)
        if last.text == "(":
            return begins_statement(reader, is_certain=False)
        before = self._before_last
        is_certain = (
            last.word in {"UNION", "INTERSECT", "EXCEPT"}
            or (last.word == "ALL" and before is not None and before.word == "UNION")
            or (level.is_with and last.text == ")")
            or level.into == "columns"
        )
        return is_certain and begins_statement(reader, is_certain=True)

    def _statement(self) -> QueryShaped:
        self._found = True
        if self._problem is not None:
            raise self._problem
        begin = self._reader.peek()
        level = self._levels[-1]
        level.into, level.is_with = "", False
        if self._header == "AS":
            self._header = ""
        statement = self._read_statement()
        self._before_last, self._last = self._last, begin
        return statement

    def _follow(self, token: Token) -> None:
        """Note what the token just taken says about the ones after it."""
        level = self._levels[-1]
        if token.kind is Kind.UNTERMINATED:
            self._problem = self._problem or self._reader.unterminated("", token)
        if token.text == "(":
            self._levels.append(_Level(token))
        elif token.text == ")":
            self._close(token)
        elif token.word:
            self._follow_word(token.word, level)
        self._follow_into(token, level)
        if self._header == "AS":
            self._header = ""
        if len(self._levels) == 1 and token.word == "AS" and self._header in {"TABLE", "VIEW"}:
            self._header = "AS"
        self._before_last, self._last = self._last, token

    def _close(self, token: Token) -> None:
        if len(self._levels) > 1:
            self._levels.pop()
        else:
            problem = self._reader.error("this ')' closes nothing", token)
            self._problem = self._problem or problem

    def _follow_word(self, word: str, level: _Level) -> None:
        last = self._last
        is_first = (
            last is None
            or last.text in {"(", ";"}
            or last.word == "BEGIN"
            or self._header == "AS"
            or level.into == "columns"
        )
        if word == "WITH" and is_first:
            level.is_with = True
        elif word in _MAIN_VERBS:
            level.is_with = False
            if level.opening is None and not self._verb:
                self._verb = "SELECT" if word == "VALUES" else word

    def _follow_into(self, token: Token, level: _Level) -> None:
        if token.word == "INTO":
            level.into = "name"
        elif level.into == "name":
            level.into = "columns"
        elif level.into and (token.text == "." or token.word == "AS"):
            level.into = "name"
        elif level.into and token.text != "(":
            level.into = ""

    def _check(self) -> None:
        if not self._found:
            return
        if self._problem is not None:
            raise self._problem
        opening = self._levels[-1].opening
        if opening is not None:
            raise self._reader.error("this '(' is never closed", opening)
