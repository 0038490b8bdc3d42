"""How much of a text a model reads, told by its tokenizer alone: no weights, no torch."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ModelError, clip
from .families.protocol import Family
from .families.registry import read_family
from .files import TOKENIZER, open_file
from .numbers import check_config

_DEFAULT_POSITIONS = 77
_SPECIAL = 2  # begin and end of text


def text_read(folder: Path, fingerprint: str, text: str) -> str | None:
    """Return the part of a text that a model reads; None where it reads the whole text.

    Args:
        folder: The model's folder.
        fingerprint: The model's fingerprint; what is loaded is kept by it.
        text: The text.
    """
    positions = _positions(folder, fingerprint)
    # A token stands for one byte or more.
    if len(text.encode("utf-8", "surrogatepass")) <= positions - _SPECIAL:
        return None
    tokenizer = _tokenizer(folder, fingerprint)
    if tokenizer is None:
        return None
    encoding = tokenizer.encode(_family(folder, fingerprint).as_tokenized(text))
    if len(encoding.ids) <= positions:
        return None
    return text[: encoding.offsets[positions - _SPECIAL][1]]


def tokens_of(folder: Path, fingerprint: str, text: str) -> list[int] | None:
    """Return the tokens of a text as a tower reads them, begin and end included; not padded.

    Args:
        folder: The model's folder.
        fingerprint: The model's fingerprint; what is loaded is kept by it.
        text: The text.

    Returns:
        At most as many as the model reads; None where the folder has no fast tokenizer.
    """
    tokenizer = _tokenizer(folder, fingerprint)
    if tokenizer is None:
        return None
    positions = _positions(folder, fingerprint)
    tokens: list[int] = tokenizer.encode(_family(folder, fingerprint).as_tokenized(text)).ids
    # Cut as transformers does, which keeps the end.
    return tokens if len(tokens) <= positions else [*tokens[: positions - 1], tokens[-1]]


def text_problem(text: str) -> str:
    """Return why a text cannot be embedded, or "": half of a surrogate pair is no character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"the text {clip(text)} has {clip(text[error.start])}, which is no character"
    return ""


@lru_cache(maxsize=8)
def _family(folder: Path, fingerprint: str) -> Family:
    return read_family(folder)


@lru_cache(maxsize=8)
def _positions(folder: Path, fingerprint: str) -> int:
    try:
        return read_family(folder).max_tokens(check_config(folder))
    except ModelError:  # loading the model will say why
        return _DEFAULT_POSITIONS


@lru_cache(maxsize=4)
def _tokenizer(folder: Path, fingerprint: str) -> Any:
    """Return the folder's fast tokenizer, None where it has none."""
    if not (folder / TOKENIZER).is_file():
        return None
    from tokenizers import Tokenizer

    with open_file(folder, TOKENIZER) as opened:
        content = opened.read()
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception:  # the library raises Exception itself; loading the model will say why
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
