"""Quoting: names and texts as SQLite writes them, and back."""

from __future__ import annotations


def quote_name(*names: str | None) -> str:
    """Return the name of a table, column or alias quoted for SQL.

    Args:
        *names: The name; several make a qualified name, and None among them is left out.

    Example:
        >>> quote_name('na"me'), quote_name("main", "photos")
        ('"na""me"', '"main"."photos"')

    Source: https://www.sqlite.org/lang_keywords.html
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names if name is not None)


def quote_text(text: str) -> str:
    """Return the text as a SQL string literal.

    Example:
        >>> quote_text("te'xt")
        "'te''xt'"
    """
    return "'" + text.replace("'", "''") + "'"


def unquote(text: str) -> str:
    """Return what a quoted token (``'x'``, ``"x"``, `` `x` ``, ``[x]``) says; others as they are.

    Example:
        >>> unquote("'it''s'"), unquote("[a b]"), unquote("plain")
        ("it's", 'a b', 'plain')
    """
    opening = text[:1]
    if opening == "[":
        return text[1:-1]
    if opening and opening in "'\"`":
        return text[1:-1].replace(opening * 2, opening)
    return text


def same_name(one: str, other: str) -> bool:
    """Return whether SQLite takes the two names for the same (ASCII letters in any case)."""
    return one == other or one.lower() == other.lower()
