"""The texts of rows through an encoder, batch after batch."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, TypeVar

import numpy as np

from ..errors import MediaError, clip
from ..models.protocol import AnyEncoder
from ..models.tokens import text_problem
from .batches import Batch, Failure, checked_size, cut
from .digests import Digests
from .known import KNOWS_NOTHING, Known

K = TypeVar("K")

TEXT_BATCH = 64


def embed_texts_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    *,
    batch_size: int | None = None,
    digests: Digests | None = None,
    known: Known = KNOWS_NOTHING,
) -> Generator[Batch[K]]:
    """Embed the texts of rows, batch after batch, in the rows' order.

    Args:
        encoder: Turns texts into vectors.
        rows: Pairs of a key and a text; a number stands for its digits, None for no text.
        batch_size: Rows a batch, 1 or more; None picks.
        digests: Tells texts by their content; None does not.
        known: What is known of texts by their content; what it knows is not embedded.

    Yields:
        A batch for each ``batch_size`` rows; a BLOB is one of its failures.

    Raises:
        ProgrammingError: ``batch_size`` is not a whole number, 1 or more.
        ModelError: The model is damaged.
    """
    size = checked_size(batch_size, max(TEXT_BATCH, encoder.default_batch_size()))
    return _embed_texts_rows(encoder, iter(rows), size, digests, known)


def _embed_texts_rows(
    encoder: AnyEncoder,
    rows: Iterable[tuple[K, object]],
    size: int,
    digests: Digests | None,
    known: Known,
) -> Generator[Batch[K]]:
    for part in cut(rows, size):
        batch: Batch[K] = Batch.of(encoder)
        texts: dict[str, bytes | None] = {}  # those to embed, and their contents
        vectors: dict[str, Any] = {}
        picked: list[str] = []
        for key, value in part:
            if value is None:
                batch.empty.append(key)
                continue
            text = str(value)
            is_text = isinstance(value, (str, int, float))
            problem = text_problem(text) if is_text else f"expected a text, got {clip(value)}"
            if problem:
                batch.failures.append(Failure(key, value, MediaError(problem)))
                continue
            told = None if digests is None else digests.of_text(text)
            content = None if told is None else told.key
            if content is not None:
                batch.contents[key] = content
                if known.has(key, content):
                    batch.unchanged.append(key)
                    continue
            batch.keys.append(key)
            picked.append(text)
            if text not in texts and text not in vectors:
                vector = None if content is None else known.vector(content)
                if vector is not None and len(vector) == 4 * encoder.dimension:
                    vectors[text] = np.frombuffer(vector, "<f4")
                else:
                    texts[text] = content
            batch.reused += text in vectors
        if texts:
            for text, vector in zip(texts, encoder.embed_texts(list(texts)), strict=True):
                vectors[text] = vector
                content = texts[text]
                if content is not None:
                    batch.made.append((content, vector.tobytes()))
        if picked:
            batch.vectors = np.stack([vectors[text] for text in picked])
        yield batch
