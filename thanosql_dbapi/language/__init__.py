"""Text to tree: which texts are ThanoSQL, and what they say. Pure: no database, model or file.

``parse`` answers None for plain SQL, which reaches SQLite as it is, and a tree of frozen
dataclasses (``tree``) for the rest. The way of a text: ``screening`` (can it be ours?), ``lexer``,
``recognition`` (is it?), ``parser`` with its table in ``verbs``. Plain SQL needs the first alone,
so the others are imported when they are asked for.
"""

from __future__ import annotations

from .names import quote_name, quote_text
from .screening import (
    has_named_parameters,
    may_be_thanosql,
    names_are_in_text,
    parse,
    sqlite_may_accept,
)
from .script import split_script

__all__ = [
    "has_named_parameters",
    "may_be_thanosql",
    "names_are_in_text",
    "parse",
    "quote_name",
    "quote_text",
    "split_script",
    "sqlite_may_accept",
]
