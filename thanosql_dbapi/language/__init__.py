"""Text to tree: which texts are ThanoSQL, and what they say. Pure: no database, model or file.

``parse`` answers None for plain SQL, which reaches SQLite as it is, and a tree of frozen
dataclasses (``tree``) for the rest. The way of a text: ``screening`` (can it be ours?), ``lexer``,
``recognition`` (is it?), ``parser`` with its table in ``verbs``. ``parsing`` imports the last three
with the first text that may be ours: plain SQL does not need them.
"""

from __future__ import annotations

from .names import quote_name, quote_text
from .parsing import parse
from .screening import may_be_thanosql, names_are_in_text, sqlite_may_accept
from .script import split_script

__all__ = [
    "may_be_thanosql",
    "names_are_in_text",
    "parse",
    "quote_name",
    "quote_text",
    "split_script",
    "sqlite_may_accept",
]
