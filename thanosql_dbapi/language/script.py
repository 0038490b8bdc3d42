"""A script's statements, told apart as ``sqlite3.complete_statement`` does.

Kept apart from the lexer because a script is mostly plain SQL, and may be large: one compiled
expression and SQLite's own small state machine (``complete.c``) pass over it once.
"""

from __future__ import annotations

import re

from ..sqlite3_compat import NAMED

# What matters for finding the end of a statement. An open quotation or comment runs to the end of
# the text; SQLite then calls the statement incomplete, and so it is the last piece. A list of
# values is ThanoSQL's alone: to SQLite a bracket quotes a name, which ends at the next one.
_PIECE = re.compile(
    r"""
    (?P<blank>   [ \t\r\n\f]+ | --[^\n]*(?:\n|\Z) | /\*[\s\S]*?(?:\*/|\Z) )
  | (?P<list>    \[ \s* VALUE (?: \s*,\s* VALUE )* \s* ,? \s* \] )
  | (?P<quoted>  '[^']*(?:'|\Z) | "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[^\]]*(?:\]|\Z) )
  | (?P<word>    NAMED+ )
  | (?P<semicolon> ; )
  | (?P<other>   [\s\S] )
    """.replace("VALUE", r"""(?: '(?:[^']|'')*' | "(?:[^"]|"")*" | [^\s'",;\[\]]+ )""").replace(
        "NAMED", NAMED
    ),
    re.VERBOSE,
)

_SEMICOLON, _OTHER, _EXPLAIN, _CREATE, _TEMP, _TRIGGER, _END = range(7)
_WORDS = {
    "EXPLAIN": _EXPLAIN,
    "CREATE": _CREATE,
    "TEMP": _TEMP,
    "TEMPORARY": _TEMP,
    "TRIGGER": _TRIGGER,
    "END": _END,
}

# States: 0 between statements, 1 in one, 2 after EXPLAIN, 3 after CREATE, 4 in a trigger,
# 5 after a semicolon in a trigger, 6 after "; END" in a trigger. Columns as the numbers above.
_NEXT = (
    (0, 1, 2, 3, 1, 1, 1),
    (0, 1, 1, 1, 1, 1, 1),
    (0, 2, 1, 3, 1, 1, 1),
    (0, 1, 1, 1, 3, 4, 1),
    (5, 4, 4, 4, 4, 4, 4),
    (5, 4, 4, 4, 4, 4, 6),
    (0, 4, 4, 4, 4, 4, 4),
)


def split_script(sql: str) -> list[str]:
    r"""Return the statements of a script; joined they are the script again.

    A statement ends with its semicolon, which a trigger's body keeps inside. Comments, white space
    and stray semicolons between two statements belong to the one after, those at the very end to
    the last one.

    Args:
        sql: Any text; one that is incomplete is returned as the last statement.

    Example:
        >>> split_script("SELECT 1; -- one\nLIST MODEL;\n")
        ['SELECT 1;', ' -- one\nLIST MODEL;\n']
    """
    statements: list[str] = []
    begin = state = 0
    is_blank = True
    for match in _PIECE.finditer(sql):
        if match.lastgroup == "blank":
            continue
        symbol = _OTHER
        if match.lastgroup == "semicolon":
            symbol = _SEMICOLON
        else:
            is_blank = False
            if match.lastgroup == "word":
                word = match.group()
                symbol = _WORDS.get(word.upper(), _OTHER) if word.isascii() else _OTHER
        state = _NEXT[state][symbol]
        if symbol == _SEMICOLON and state == 0 and not is_blank:
            statements.append(sql[begin : match.end()])
            begin, is_blank = match.end(), True
    rest = sql[begin:]
    if rest and is_blank and statements:
        statements[-1] += rest
    elif rest:
        statements.append(rest)
    return statements
