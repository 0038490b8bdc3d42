"""Which texts are numbers without a loss: those that are printed as the very same text again.

``007`` and ``+5`` are none, nor is a decimal number with more digits than a float64 keeps.
"""

from __future__ import annotations

import math
import re

from .values import LARGEST_EXACT, LARGEST_INTEGER, SMALLEST_INTEGER

_DECIMAL = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?|[eE][+-][0-9]{1,3})?"
)
_SAFE_LENGTH = 15
"""So many characters hold at most 15 digits, which a float64 keeps."""
_LONGEST_NUMBER = 40
"""Texts with more digits than this are no numbers that a program printed."""


class MisfitError(Exception):
    """A text is not a number of the kind asked for."""


def integers(texts: list[str]) -> list[int]:
    """Return texts as 64-bit integers.

    Raises:
        MisfitError: One of them is not what Python prints for such an integer.
    """
    try:
        numbers = list(map(int, texts))
    except ValueError:
        raise MisfitError from None
    if numbers and not SMALLEST_INTEGER <= min(numbers) <= max(numbers) <= LARGEST_INTEGER:
        raise MisfitError
    if list(map(str, numbers)) != texts:
        raise MisfitError
    return numbers


def decimals(texts: list[str]) -> list[float]:
    """Return texts as float64 numbers.

    Raises:
        MisfitError: One of them is not a decimal number that a float64 prints back digit for digit.
    """
    try:
        numbers = list(map(float, texts))
    except ValueError:
        raise MisfitError from None
    shown = list(map(repr, numbers))
    # What Python prints is exact, and the quickest to check; it prints "inf" and "nan" too.
    if shown != texts or not all(map(math.isfinite, numbers)):
        for text, own in zip(texts, shown, strict=True):
            if (text != own or not text[-1].isdigit()) and not _is_decimal(text):
                raise MisfitError
    return numbers


def _is_decimal(text: str) -> bool:
    """Return whether a float64 holds a decimal number so that it prints the same digits again."""
    if _DECIMAL.fullmatch(text) is None:
        return False
    if len(text) <= _SAFE_LENGTH and "e" not in text and "E" not in text:
        return True
    number = abs(float(text))
    if not math.isfinite(number):
        return False
    mantissa, exponent, _ = text.lower().partition("e")
    digits = _digits(mantissa.lstrip("-")).lstrip("0")
    if not digits:
        return True
    if len(digits) > _LONGEST_NUMBER:
        return False
    if "." not in mantissa and not exponent and abs(int(text)) > LARGEST_EXACT:
        return False  # an id too long for a float64 stays text
    # The shortest form of a float64 need not be its nearest one of that length: 2 ** -24.
    return digits == _digits(f"{number:.{len(digits) - 1}e}") or (
        digits.rstrip("0") == _digits(repr(number)).strip("0")
    )


def _digits(number: str) -> str:
    return number.partition("e")[0].replace(".", "")
