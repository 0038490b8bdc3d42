"""The values of a statement: bound parameters put in their places, options checked for type."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..errors import InternalError, ProgrammingError, StatementError, clip
from ..language import grammar
from ..language.option_specs import Kind, OptionSpec
from ..language.parsing import NO_CHARACTER
from ..language.tree import Option, Parameter, Statement, Tree, Value
from ..language.walk import parameters_of

if TYPE_CHECKING:
    from sqlite3 import _Parameters as Parameters  # the standard library's stub has it alone

LARGEST_INTEGER = 2**63 - 1
_CONSTANT = (str, int, float, bytes, bool, type(None))

_T = TypeVar("_T")


class Arguments:
    """What the caller bound, and its places in the text.

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
        known = self._parameters = parameters_of(tree)
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

    def key(self) -> tuple[object, ...] | None:
        """Return what tells these values from others; None where one may change later."""
        values = [self.value(parameter) for parameter in self._parameters]
        if any(type(value) not in _CONSTANT for value in values):
            return None
        # True is 1 is 1.0 to a dict, and not to SQLite.
        return tuple((type(value), value) for value in values)

    def error(
        self, message: str, statement: Statement | Option, hint: str | None = None
    ) -> StatementError:
        """Return the error that points at a statement or an option of it."""
        return StatementError(message, statement=self.sql, offset=statement.offset, hint=hint)

    @overload
    def option(self, statement: Statement, spec: OptionSpec[_T]) -> _T: ...
    @overload
    def option(self, statement: Statement, spec: OptionSpec[_T | None], otherwise: _T) -> _T: ...
    def option(self, statement: Statement, spec: OptionSpec[Any], otherwise: Any = None) -> Any:
        """Return the value of an option, checked; NULL is the same as not given.

        A text becomes a part of SQL, which cannot have NUL or half of a surrogate pair.

        Args:
            statement: The statement.
            spec: The option, one of those in the statement's own spec.
            otherwise: Its value where it is not given and its default depends on something else.

        Raises:
            StatementError: The value has another type.
            InternalError: The statement takes no such option, which is a fault of its handler.
        """
        taken = grammar.spec_for(statement)
        if taken is None or spec not in (taken.options or ()):
            raise InternalError(
                f"{type(statement).__name__} has no option {spec.name!r} in its spec; this is a"
                " fault of its handler"
            )
        option = statement.option(spec.name)
        value = None if option is None else self.value(option.value)
        if option is None or value is None:
            return spec.default if otherwise is None else otherwise
        given = value
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            value = value.item()  # a number or bool of numpy, in Python's type
        fits, read = _READING[spec.kind]
        if not fits(value, spec):
            raise self.error(
                f"option {spec.name!r} must be {spec.expected}, got {clip(given)}", option
            )
        if spec.kind is Kind.TEXT and (bad := NO_CHARACTER.search(value)):
            raise self.error(
                f"option {spec.name!r} has {clip(bad.group())}, which is not a character, in"
                f" {clip(value)}",
                option,
            )
        return read(value)

    def if_exists(self, statement: Statement, spec: OptionSpec[str] = grammar.IF_EXISTS) -> str:
        """Return what becomes of a table that is there, such as ``"replace"``.

        Args:
            statement: The statement.
            spec: The option, with the words that the statement takes.
        """
        overwrites = self.option(statement, grammar.OVERWRITE)
        return self.option(statement, spec, "replace" if overwrites else spec.default)

    def several(self, value: Value) -> list[Any]:
        """Return a value as a list: a bound list, tuple or one-dimensional array is its items."""
        bound = self.value(value)
        if getattr(bound, "ndim", None) == 1 and not isinstance(bound, memoryview):
            bound = bound.tolist()
        return list(bound) if isinstance(bound, (list, tuple)) else [bound]

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


def _is_flag(value: Any, spec: OptionSpec[Any]) -> bool:
    return isinstance(value, (bool, numbers.Integral, float)) and value in (True, False)


def _is_integer(value: Any, spec: OptionSpec[Any]) -> bool:
    """Return whether a value is a whole number, numpy's included; True and False are none."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        return False
    return spec.minimum is None or int(value) >= spec.minimum


def _is_number(value: Any, spec: OptionSpec[Any]) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    return spec.minimum is None or spec.minimum <= _read_number(value) < math.inf


def _read_number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond what a float holds
        return math.inf if value > 0 else -math.inf


_READING: Mapping[Kind, tuple[Callable[[Any, OptionSpec[Any]], bool], Callable[[Any], Any]]] = {
    Kind.TEXT: (lambda value, spec: isinstance(value, str), str),
    Kind.FLAG: (_is_flag, bool),
    # SQLite's integers end there, and so does every number of rows.
    Kind.INTEGER: (_is_integer, lambda value: min(int(value), LARGEST_INTEGER)),
    Kind.NUMBER: (_is_number, _read_number),
    Kind.CHOICE: (
        lambda value, spec: isinstance(value, str) and value.lower() in spec.choices,
        str.lower,
    ),
    Kind.VALUE: (lambda value, spec: True, lambda value: value),
}
"""Of each kind of option, whether a bound value fits, and what it is in Python."""
