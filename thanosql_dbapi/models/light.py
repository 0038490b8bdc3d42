"""The vectors of texts without torch: for programs that ask a question and end.

A tower that torch runs takes three seconds of imports before its first sum. Here the tokens come
from the tokenizers library and the weights from the folder's safetensors, of which only what the
text needs is read. A folder that is out of the ordinary, or damaged, is left to torch, which says
what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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


def text_vectors(
    folder: Path, fingerprint: str, texts: Sequence[str], device: str | None
) -> Vectors | None:
    """Return the unit vectors of texts; None where torch is to compute them.

    Where torch is imported already, it computes: the tower may be loaded, and a GPU at hand.

    Args:
        folder: The model's folder.
        fingerprint: The model's fingerprint; the tokenizer is kept by it.
        texts: Any texts, one or more.
        device: What the user asked for.

    Returns:
        float32 array (n, dimension), to 1e-5 that of ``Encoder.embed_texts``.
    """
    if "torch" in sys.modules or device not in _CPU:
        return None
    from safetensors import SafetensorError

    try:
        family = read_family(folder)
        config, numbers = read_config(folder), check_config(folder)
        if not family.computes_text(config):
            return None
        tokens = [each for text in texts if (each := tokens_of(folder, fingerprint, text))]
        if len(tokens) < len(texts):
            return None
        with ExitStack() as stack:
            read = _reader(folder, stack)
            found = None if read is None else family.text_vectors(config, numbers, read, tokens)
    except (Error, SafetensorError, OSError, ValueError, TypeError, KeyError, IndexError):
        return None
    if found is None:
        return None
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not ((lengths > 0) & np.isfinite(lengths)).all():
        return None
    vectors: NDArray[np.float32] = np.asarray(found / lengths, dtype=np.float32)
    return vectors


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
