"""The values of a statement: bound parameters put in their places, options checked for type."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from ..errors import ProgrammingError, StatementError, clip
from ..language.parsing import NO_CHARACTER
from ..language.tree import Option, Parameter, Statement, Tree, Value
from ..language.walk import parameters_of

if TYPE_CHECKING:
    from sqlite3 import _Parameters as Parameters  # the standard library's stub has it alone

LARGEST_INTEGER = 2**63 - 1


class Arguments:
    """What the caller bound, and where in the text it stands.

    Args:
        sql: The whole text, for the place in messages.
        tree: Its tree.
        supplied: The second argument of ``execute``: a sequence or a mapping.

    Raises:
        ProgrammingError: Too few or too many values, or a name without a value; the texts are
            sqlite3's own.
    """

    def __init__(self, sql: str, tree: Tree, supplied: Parameters) -> None:
        self.sql = sql
        self.supplied = supplied
        known = parameters_of(tree)
        if isinstance(supplied, Mapping):
            for parameter in known:
                self._from_mapping(supplied, parameter)
        else:
            wanted = max((parameter.number for parameter in known), default=0)
            if not hasattr(supplied, "__len__") or not hasattr(supplied, "__getitem__"):
                raise ProgrammingError(
                    f"parameters are of unsupported type: expected a sequence or a mapping, got"
                    f" {clip(supplied)}"
                )
            if len(supplied) != wanted:
                raise ProgrammingError(
                    "Incorrect number of bindings supplied. The current statement uses"
                    f" {wanted}, and there are {len(supplied)} supplied."
                )

    def value(self, value: Value) -> Any:
        """Return a value with every parameter in it replaced by what was bound to it."""
        if isinstance(value, Parameter):
            if isinstance(self.supplied, Mapping):
                return self._from_mapping(self.supplied, value)
            return self.supplied[value.number - 1]
        if isinstance(value, tuple):
            return [self.value(each) for each in value]
        return value

    def error(
        self, message: str, statement: Statement | Option, hint: str | None = None
    ) -> StatementError:
        """Return the error that points at a statement or an option of it."""
        return StatementError(message, statement=self.sql, offset=statement.offset, hint=hint)

    @overload
    def text(self, statement: Statement, name: str) -> str | None: ...
    @overload
    def text(self, statement: Statement, name: str, default: str) -> str: ...
    def text(self, statement: Statement, name: str, default: str | None = None) -> str | None:
        """Return a text option; NULL is the same as not given.

        It becomes a part of SQL, which cannot have NUL or half of a surrogate pair.
        """
        value: str | None = self._option(
            statement, name, "a text", lambda value: isinstance(value, str), default
        )
        if value is not None and (bad := NO_CHARACTER.search(value)):
            option = statement.option(name) or statement
            raise self.error(
                f"option {name!r} has {clip(bad.group())}, which is no character, in {clip(value)}",
                option,
            )
        return value

    def flag(self, statement: Statement, name: str) -> bool:
        """Return an option that is True or False; not given is False."""
        value = self._option(statement, name, "True or False", _is_flag, False)
        return bool(value)

    def choice(self, statement: Statement, name: str, choices: Sequence[str], default: str) -> str:
        """Return an option that is one of a few words, in lower case."""
        expected = " or ".join(repr(choice) for choice in choices)
        value = self._option(
            statement,
            name,
            expected,
            lambda value: isinstance(value, str) and value.lower() in choices,
            default,
        )
        return str(value).lower()

    @overload
    def integer(self, statement: Statement, name: str, minimum: int) -> int | None: ...
    @overload
    def integer(self, statement: Statement, name: str, minimum: int, default: int) -> int: ...
    def integer(
        self, statement: Statement, name: str, minimum: int, default: int | None = None
    ) -> int | None:
        """Return an option that is a whole number of at least ``minimum``."""
        value: int | None = self._option(
            statement,
            name,
            f"a whole number of at least {minimum}",
            lambda value: _is_integer(value) and value >= minimum,
            default,
        )
        # SQLite's integers end here, and so does every number of rows.
        return None if value is None else min(int(value), LARGEST_INTEGER)

    def number(self, statement: Statement, name: str) -> float | None:
        """Return an option that is a number."""
        value = self._option(
            statement,
            name,
            "a number",
            lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
            None,
        )
        try:
            return None if value is None else float(value)
        except OverflowError:  # a whole number beyond what a float holds
            return math.inf if value > 0 else -math.inf

    def several(self, value: Value) -> list[Any]:
        """Return a value as a list: a bound list, tuple or one-dimensional array is its items."""
        bound = self.value(value)
        if getattr(bound, "ndim", None) == 1 and not isinstance(bound, memoryview):
            bound = bound.tolist()
        return list(bound) if isinstance(bound, (list, tuple)) else [bound]

    def _option(
        self,
        statement: Statement,
        name: str,
        expected: str,
        fits: Callable[[Any], bool],
        default: Any,
    ) -> Any:
        option = statement.option(name)
        value = None if option is None else self.value(option.value)
        if option is None or value is None:
            return default
        if not fits(value):
            raise self.error(f"option {name!r} must be {expected}, got {clip(value)}", option)
        return value

    def _from_mapping(self, supplied: Mapping[str, Any], parameter: Parameter) -> Any:
        if parameter.name is None:
            raise ProgrammingError(
                f"Binding {parameter.number} has no name, but you supplied a dictionary"
                " (which has only names)."
            )
        try:
            return supplied[parameter.name]
        except KeyError:
            raise ProgrammingError(
                f"You did not supply a value for binding parameter :{parameter.name}."
            ) from None


def _is_integer(value: Any) -> bool:
    """Return whether a value is a whole number, numpy's included; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, numbers.Integral, float)) and value in (True, False)
