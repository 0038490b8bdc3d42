"""What a SEARCH looks for: the tutorial's spelling and the later one, brought to one form."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import StatementError, clip
from .grammar import SEARCH_BY
from .reader import Reader, nearest
from .tree import Option, Parameter, Value

VALUE_NAMES = ("text", "texts", "image", "images")
"""The names before ``=`` in ``SEARCH IMAGE text="a black cat"``."""

LATER_KINDS = ("audio", "video", "keyword")
"""What ``search_by`` may say for kinds of models that the driver does not run."""


@dataclass(frozen=True)
class Sought:
    """The query values of a SEARCH, and the options that are left."""

    texts: tuple[Value, ...]
    images: tuple[Value, ...]
    ranked: bool
    options: tuple[Option, ...]


def sought(
    reader: Reader, label: str, values: tuple[Option, ...], options: tuple[Option, ...]
) -> Sought:
    """Bring ``text=…`` and ``search_by=…, search_input=…`` to one form.

    Args:
        reader: For the wording and the place of errors.
        label: The statement, ``"SEARCH IMAGE"`` or ``"SEARCH TEXT"``.
        values: The values before the clauses.
        options: The options.

    Raises:
        StatementError: Nothing is sought, or in both spellings, or a value is of another type.
    """
    given = {option.name: option for option in options}
    kind, searched = given.get("search_by"), given.get("search_input")
    later = kind or searched
    if values and later is not None:
        raise reader.error(
            f"{label}: expected either {values[0].name}= or search_by and search_input, found both",
            later.offset,
        )
    if values:
        return Sought(
            _of_kind(reader, label, values, "text"),
            _of_kind(reader, label, values, "image"),
            False,
            options,
        )
    if kind is None or searched is None:
        raise _nothing_sought(reader, label, kind, searched)
    if isinstance(kind.value, Parameter):
        return Sought((), (), True, options)
    by = kind.value.lower() if isinstance(kind.value, str) else ""
    if by not in SEARCH_BY.choices:
        near = nearest(by, SEARCH_BY.choices)
        message = f"{label}: expected {SEARCH_BY.expected} for search_by, found {clip(kind.value)}"
        raise reader.error(message, kind.offset, f"did you mean {near!r}?" if near else None)
    found = _spread(reader, label, searched)
    rest = tuple(option for option in options if option not in (kind, searched))
    return Sought(found if by == "text" else (), found if by == "image" else (), True, rest)


def _nothing_sought(
    reader: Reader, label: str, kind: Option | None, searched: Option | None
) -> StatementError:
    if kind is not None:
        message = f"{label}: expected search_input with search_by"
        return reader.error(message, kind.offset, "add search_input='…' to OPTIONS")
    if searched is not None:
        message = f"{label}: expected search_by with search_input"
        return reader.error(message, searched.offset, "add search_by='text' or 'image' to OPTIONS")
    return reader.expected(
        label,
        "what to search for",
        hint=f"write {label} text='…', or image='…' with a path",
    )


def _of_kind(
    reader: Reader, label: str, values: tuple[Option, ...], kind: str
) -> tuple[Value, ...]:
    """Return the query values of one kind; ``text`` and ``texts`` are the same and come once."""
    found = [option for option in values if option.name in (kind, f"{kind}s")]
    if len(found) > 1:
        message = f"{label}: {found[1].name}= is given twice"
        hint = f"put the values in one list: {kind}s=['…', '…']"
        raise reader.error(message, found[1].offset, hint)
    return _spread(reader, label, found[0]) if found else ()


def _spread(reader: Reader, label: str, option: Option) -> tuple[Value, ...]:
    values = option.value if isinstance(option.value, tuple) else (option.value,)
    if not values:
        message = f"{label}: expected one value or more for {option.name}, found an empty list"
        raise reader.error(message, option.offset)
    for value in values:
        if not isinstance(value, (str, Parameter)):
            message = f"{label}: expected a string for {option.name}, found {clip(value)}"
            raise reader.error(message, option.offset)
    return values
