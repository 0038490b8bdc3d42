"""The vector of one text without torch: for programs that ask a question and end.

A tower that torch runs takes three seconds of imports before its first sum. Here the tokens come
from the tokenizers library and the weights from the folder's safetensors, of which only what the
text needs is read. A folder that is out of the ordinary, or damaged, is left to torch, which says
what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import Error
from .families.clip_text import Floats, Rows
from .families.registry import read_family
from .files import open_file, read_config, weight_files
from .numbers import check_config
from .protocol import Vectors
from .tokens import tokens_of

_CPU = (None, "cpu")
_STORED = ("F32", "F16")


def text_vector(folder: Path, fingerprint: str, text: str, device: str | None) -> Vectors | None:
    """Return a text's unit vector; None where torch is to compute it.

    Where torch is imported already, it computes: the tower may be loaded, and a GPU at hand.

    Args:
        folder: The model's folder.
        fingerprint: The model's fingerprint; the tokenizer is kept by it.
        text: Any text.
        device: What the user asked for.

    Returns:
        float32 array (dimension,), to 1e-5 that of ``Encoder.embed_texts``.
    """
    if "torch" in sys.modules or device not in _CPU:
        return None
    from safetensors import SafetensorError

    try:
        family = read_family(folder)
        config, numbers = read_config(folder), check_config(folder)
        if not family.computes_text(config):
            return None
        tokens = tokens_of(folder, fingerprint, text)
        if tokens is None:
            return None
        with ExitStack() as stack:
            read = _reader(folder, stack)
            found = None if read is None else family.text_vector(config, numbers, read, tokens)
    except (Error, SafetensorError, OSError, ValueError, TypeError, KeyError, IndexError):
        return None
    length = 0.0 if found is None else float(np.linalg.norm(found))
    if found is None or not 0 < length < float("inf"):
        return None
    vector: NDArray[np.float32] = np.asarray(found / length, dtype=np.float32)
    return vector


def _reader(folder: Path, stack: ExitStack) -> Callable[[str, Rows], Floats] | None:
    """Return what reads the folder's tensors; None where one has numbers that numpy has not."""
    from safetensors import safe_open

    where = {}
    for path in weight_files(folder):
        opened = stack.enter_context(open_file(folder, path.name))
        file = stack.enter_context(safe_open(opened.name(), framework="np"))
        where.update(dict.fromkeys(file.keys(), file))

    def read(name: str, rows: Rows) -> Floats:
        part = where[name].get_slice(name)
        if part.get_dtype() not in _STORED:
            raise TypeError(f"{name} is {part.get_dtype()}")
        if rows is None:
            return np.asarray(part[:], dtype=np.float32)
        return np.stack([np.asarray(part[row : row + 1][0], np.float32) for row in rows])

    return read if where else None
