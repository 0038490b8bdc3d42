"""What an option of a statement is: its name, the type of its value, its default.

``grammar`` declares the options of each statement with the functions here. The parser, the
handlers, the error messages and the tables of the manual all read these declarations.

The module is imported by plain SQL too, so it imports nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)
_Text = TypeVar("_Text", str, str | None)
_Integer = TypeVar("_Integer", int, int | None)
_Number = TypeVar("_Number", float, float | None)


class Kind(Enum):
    """The type of an option's value."""

    TEXT = "text"
    FLAG = "flag"
    INTEGER = "whole number"
    NUMBER = "number"
    CHOICE = "one of a few words"
    VALUE = "value"


@dataclass(frozen=True)
class OptionSpec(Generic[T_co]):
    """One option of a statement; its type parameter is the type of its value in Python.

    Attributes:
        name: Its name today.
        kind: The type of its value.
        default: Its value where it is not given or NULL; None where that depends.
        unset: For the manual, what holds without the option if ``default`` is None.
        choices: For ``Kind.CHOICE``, the words, in lower case.
        minimum: For numbers, the least value; a number that has one is finite.
        older: Spellings of older manuals.
    """

    name: str
    kind: Kind
    default: T_co
    unset: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    older: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What its value must be, for messages."""
        if self.kind is Kind.CHOICE:
            *others, last = map(repr, self.choices)
            return f"{', '.join(others)} or {last}" if others else last
        if self.kind is Kind.FLAG:
            return "True or False"
        least = "" if self.minimum is None else f" of at least {self.minimum}"
        return f"a {self.kind.value}{least}"


def text(
    name: str, default: _Text, unset: str = "", *, older: tuple[str, ...] = ()
) -> OptionSpec[_Text]:
    """Declare an option that is a text."""
    return OptionSpec(name, Kind.TEXT, default, unset, older=older)


def flag(name: str, default: bool = False) -> OptionSpec[bool]:
    """Declare an option that is True or False."""
    return OptionSpec(name, Kind.FLAG, default)


def integer(
    name: str,
    default: _Integer,
    unset: str = "",
    *,
    minimum: int | None = None,
    older: tuple[str, ...] = (),
) -> OptionSpec[_Integer]:
    """Declare an option that is a whole number."""
    return OptionSpec(name, Kind.INTEGER, default, unset, minimum=minimum, older=older)


def number(
    name: str, default: _Number, unset: str = "", *, minimum: float | None = None
) -> OptionSpec[_Number]:
    """Declare an option that is a number."""
    return OptionSpec(name, Kind.NUMBER, default, unset, minimum=minimum)


def choice(
    name: str,
    choices: tuple[str, ...],
    default: _Text,
    unset: str = "",
    *,
    older: tuple[str, ...] = (),
) -> OptionSpec[_Text]:
    """Declare an option that is one of a few words."""
    return OptionSpec(name, Kind.CHOICE, default, unset, choices, older=older)


def value(name: str, unset: str = "") -> OptionSpec[Any]:
    """Declare an option that takes a value of any type, or a list."""
    return OptionSpec(name, Kind.VALUE, None, unset)
