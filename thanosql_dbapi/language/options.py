"""The OPTIONS clause, by the option specs of a statement; and the values in it."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import StatementError, clip
from .grammar import StatementSpec
from .lexer import Kind
from .names import unquote
from .reader import Reader, nearest
from .tree import Option, Parameter, Scalar, Value

_CONSTANTS: Mapping[str, Scalar] = {"TRUE": True, "FALSE": False, "NULL": None, "NONE": None}


def read_options(reader: Reader, spec: StatementSpec) -> tuple[Option, ...]:
    """Read ``(name = value, …)``, the part of the clause after the word OPTIONS.

    Args:
        reader: Stands after OPTIONS.
        spec: The statement.

    Raises:
        StatementError: The clause does not parse, or an option is unknown or repeated.
    """
    label = spec.label
    opening = reader.peek()
    if not reader.take_symbol("("):
        raise reader.expected(label, "'(' after OPTIONS")
    options: dict[str, Option] = {}
    while not reader.take_symbol(")"):
        option, written = _read_option(reader, spec)
        if option.name in options:
            hint = None
            if written != option.name:
                hint = f"{written} is an older spelling of {option.name}"
            message = f"{label}: option {option.name!r} is given twice"
            raise reader.error(message, option.offset, hint)
        options[option.name] = option
        if not reader.take_symbol(",") and reader.peek().text != ")":
            if reader.peek().kind is Kind.END:
                raise reader.error(f"{label}: the '(' of OPTIONS is never closed", opening)
            raise reader.expected(label, f"',' or ')' after the value of {written}")
    return tuple(options.values())


def _read_option(reader: Reader, spec: StatementSpec) -> tuple[Option, str]:
    """Read ``name = value``; return the option under today's name, and the name as written."""
    token, label = reader.take(), spec.label
    if token.kind not in {Kind.NAME, Kind.QUOTED, Kind.STRING}:
        raise reader.expected(label, "the name of an option or ')'", token)
    written = unquote(token.text).lower()
    name = written
    if spec.options is not None:
        known = spec.option(written)
        if known is None:
            message = f"{label}: unknown option {clip(unquote(token.text))}"
            raise reader.error(message, token, _known_options(spec, written))
        name = known.name
    if not reader.take_symbol("="):
        raise reader.expected(label, f"'=' after the option {clip(written)}")
    return Option(name, read_value(reader, label, written), token.start), written


def _known_options(spec: StatementSpec, name: str) -> str:
    options = spec.options or ()
    if not options:
        return f"{spec.label} takes no options"
    names = [each.name for each in options]
    near = nearest(name, (*names, *(old for each in options for old in each.older)))
    suggestion = f"did you mean {near!r}? " if near else ""
    return f"{suggestion}{spec.label} takes {', '.join(names)}"


def read_value(reader: Reader, label: str, name: str) -> Value:
    """Read the value of ``name``: a scalar, a parameter, or a list of those.

    Raises:
        StatementError: Something else is next.
    """
    token = reader.peek()
    if token.text[:1] != "[":
        return _read_scalar(reader, label, f"a value for {name}")
    reader.split(1)
    values: list[Value] = []
    while not reader.take_symbol("]"):
        if reader.peek().kind is Kind.END:
            raise reader.error(f"{label}: the list of {name} is never closed", token)
        values.append(_read_scalar(reader, label, f"a value in the list of {name}"))
        if not reader.take_symbol(",") and reader.peek().text not in {"]", ""}:
            raise reader.expected(label, f"',' or ']' in the list of {name}")
    return tuple(values)


def _read_scalar(reader: Reader, label: str, what: str) -> Scalar | Parameter:
    token = reader.peek()
    text = token.text
    if token.kind is Kind.PARAMETER:
        return reader.parameter(reader.take())
    if token.kind is Kind.STRING or (token.kind is Kind.QUOTED and text[0] == '"'):
        reader.take()
        return unquote(text)
    if token.word in _CONSTANTS:
        reader.take()
        return _CONSTANTS[token.word]
    if token.kind is Kind.NUMBER:
        return _read_number(reader, label)
    if text in {"-", "+"} and reader.peek(1).kind is Kind.NUMBER:
        reader.take()
        number = _read_number(reader, label)
        return -number if text == "-" else number
    raise _not_a_scalar(reader, label, what)


def _not_a_scalar(reader: Reader, label: str, what: str) -> StatementError:
    token = reader.peek()
    hint = None
    if token.text[:1] and token.text[0] in "‘’“”´„«":
        hint = "write straight quotes: '…'"
    elif token.kind in {Kind.NAME, Kind.QUOTED} and token.text[0] != "[":
        hint = f"put text in quotes: '{clip(unquote(token.text))[1:-1]}'"
    elif token.text[:1] == "[":
        hint = "a list cannot hold a list"
    elif token.kind is Kind.BLOB:
        hint = "bind the bytes to a parameter instead: ?"
    return reader.expected(label, what, hint=hint)


def _read_number(reader: Reader, label: str) -> int | float:
    token = reader.take()
    digits = token.text.replace("_", "").lower()
    number: int | float
    try:
        if digits.startswith("0x"):
            number = int(digits, 16)
        elif digits.isdecimal():
            number = int(digits)
        else:
            number = float(digits)
    except ValueError:  # more digits than Python converts
        number = float("inf")
    if number == float("inf"):
        raise reader.error(f"{label}: the number is too large: {clip(token.text)}", token)
    return number
