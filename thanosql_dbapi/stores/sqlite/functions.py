"""The SQL functions of every connection: embed_text, embed_image, cosine_similarity.

SEARCH becomes them; tools with their own SQL parser write them directly::

    SELECT *, cosine_similarity(clip_clipen, embed_text('clip', 'a black cat')) AS similarity
    FROM photos ORDER BY similarity DESC LIMIT 5

They are deterministic, so SQLite calls ``embed_text`` once a statement, not once a row
(https://www.sqlite.org/deterministic.html).
"""

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Callable
from typing import Any, Union

from ...errors import Error, InternalError, ProgrammingError, clip
from . import aggregates, nearest
from .similarity import cosine_similarity

Embed = Callable[[str, str, Any, Union[str, None]], Any]
Predict = Callable[[str, Any, bool], Any]
Distances = Callable[[bytes, str], Union[bytes, None]]
Failed = Callable[[BaseException], None]


def register(
    connection: sqlite3.Connection,
    embed: Embed,
    predict: Predict,
    distances: Distances,
    failed: Failed,
) -> None:
    """Give a connection the functions.

    Args:
        connection: The connection.
        embed: ``embed(kind, model, value, fingerprint)`` returns the vector's BLOB; kind is text or
            image, fingerprint that of the model which is expected, or None.
        predict: ``predict(spec, vector, wants_score)`` returns the label of a vector, or its
            probability; spec is what a view over a PREDICT keeps.
        distances: ``distances(vector, key)`` returns the distances of a row to many vectors, which
            are known by the key; None where ``similarity`` is to be asked one by one.
        failed: Gets the exception of a function that fails: SQLite keeps no message.
    """

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except (Error, Warning, MemoryError) as error:
                failed(error)
                raise
            except Exception as error:
                # Overlooked where it arose; a program still catches sqlite3.Error.
                unexpected = InternalError(
                    f"{function.__name__}: unexpected {type(error).__name__}:"
                    f" {clip(str(error), 300)}; this is a fault of the driver, please report it"
                )
                unexpected.__cause__ = error
                failed(unexpected)
                raise unexpected from error
            except BaseException as error:  # Ctrl-C
                failed(error)
                raise

        return call

    # A view over a SEARCH gives the fingerprint of the model that it was made with.
    def embed_text(model: Any, text: Any, fingerprint: Any = None) -> Any:
        return embed("text", named("embed_text", model), text, fingerprint)

    def embed_image(model: Any, image: Any, fingerprint: Any = None) -> Any:
        return embed("image", named("embed_image", model), image, fingerprint)

    def embed_combined(model: Any, parts: Any, fingerprint: Any = None) -> Any:
        return embed("combined", named("embed_combined", model), parts, fingerprint)

    def predict_label(spec: Any, vector: Any) -> Any:
        return predict(named("predict_label", spec), vector, False)

    def predict_score(spec: Any, vector: Any) -> Any:
        return predict(named("predict_score", spec), vector, True)

    def thanosql_distances(vector: Any, key: str) -> bytes | None:
        return distances(vector, key) if isinstance(vector, bytes) else None

    def named(function: str, model: Any) -> str:
        if not isinstance(model, str):
            raise ProgrammingError(f"{function}: expected a model's name, got {clip(model)}")
        return model

    for function, arity in (
        (embed_text, 2),
        (embed_text, 3),
        (embed_image, 2),
        (embed_image, 3),
        (embed_combined, 3),
        (predict_label, 2),
        (predict_score, 2),
        (thanosql_distances, 2),
        (thanosql_real, 1),
        (thanosql_integer, 1),
        (thanosql_probability, -1),
        (cosine_similarity, 2),
    ):
        connection.create_function(function.__name__, arity, guarded(function), deterministic=True)
    aggregates.register(connection, failed)
    nearest.register(connection, failed)


def thanosql_real(blob: Any) -> float | None:
    """Return the float64 number in a BLOB of 8 bytes, little-endian; None where there is none.

    PREDICT's probabilities are one BLOB, of which SQL cuts out that of a row.
    """
    if not isinstance(blob, bytes) or len(blob) != 8:
        return None
    (number,) = struct.unpack("<d", blob)
    return None if math.isnan(number) else float(number)


def thanosql_integer(blob: Any) -> int | None:
    """Return the whole number in a BLOB of 8 bytes, little-endian; None where there is none."""
    return int.from_bytes(blob, "little", signed=True) if isinstance(blob, bytes) else None


def thanosql_probability(scale: float, bias: float, cosine: Any, *others: Any) -> float | None:
    """Return the probability of a text by the cosines of a row, None where there is none.

    Args:
        scale: What cosines are multiplied with.
        bias: What is added.
        cosine: The row's cosine to the text.
        others: Those to what it could be instead, for a softmax; none for a sigmoid.
    """
    if cosine is None:
        return None
    own = scale * cosine + bias
    differences = [scale * other + bias - own for other in others] or [-own]
    largest = max(0.0, *differences)
    # Both sides divided by the largest term, so that exp cannot overflow.
    total = math.exp(-largest) + sum(math.exp(each - largest) for each in differences)
    return math.exp(-largest) / total
