"""Text to tree: which texts are ThanoSQL, and what they say. Pure: no database, model or file.

``parse`` answers None for plain SQL, which reaches SQLite as it is, and a tree of frozen
dataclasses (``tree``) for the rest. The way of a text: ``recognition`` (is it ours?), ``lexer``,
``parser`` with its table in ``verbs``.
"""

from __future__ import annotations

from .names import quote_name, quote_text
from .options import STATEMENT_OPTIONS
from .outline import FromTable, Outline, outline, tables_read
from .parser import parse
from .recognition import may_be_thanosql
from .script import split_script

__all__ = [
    "STATEMENT_OPTIONS",
    "FromTable",
    "Outline",
    "may_be_thanosql",
    "outline",
    "parse",
    "quote_name",
    "quote_text",
    "split_script",
    "tables_read",
]
