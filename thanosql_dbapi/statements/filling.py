"""Many rows through a model: progress, unreadable images, and what is written after each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Union

from ..errors import MediaWarning, clip, warn_user
from ..language.names import same_name
from ..stores.sqlite.registry import Model, VectorColumn
from ..stores.sqlite.topk.change_log import draw_version, find_watch, watch
from .context import Context

if TYPE_CHECKING:
    from ..embedding.batches import Failure

SHOWN_FAILURES = 5

Batch = list[tuple[Union[bytes, None], int]]
"""Vector BLOB or None, and row id in the staging table."""
Write = Callable[[Batch], None]


@dataclass(frozen=True)
class EmbeddingPlan:
    """What a CONVERT embeds, with which model, and the column that gets the vectors.

    Attributes:
        model: The model that embeds.
        kind: ``"image"`` or ``"text"``.
        source: Column with the images or texts.
        column: Column that gets the vectors.
        batch_size: Images a forward pass, or None for what suits the device.
        stops_on_error: Whether one unreadable image stops it all.
    """

    model: Model
    kind: str
    source: str
    column: str
    batch_size: int | None
    stops_on_error: bool

    def facts(self) -> tuple[str, str, int, str, str]:
        """Return what the registry keeps of the column, in its order."""
        model = self.model
        return model.name, model.fingerprint, model.dimension, self.source, self.kind


def add_watched_column(context: Context, plan: EmbeddingPlan, schema: str, table: str) -> int:
    """Register a vector column, have its changes logged, and return its number."""
    column_id = context.registry.add_vector_column(
        VectorColumn(schema, table, plan.column, *plan.facts())
    )
    if same_name(schema, "main"):
        found = find_watch(context.database, table, plan.column)
        if found is None or found.column_id != column_id:
            watch(context.database, column_id, table, plan.column)
        draw_version(context.database)
    return column_id


def fill(
    context: Context,
    plan: EmbeddingPlan,
    rows: Iterable[tuple[int, object]],
    total: int,
    write: Write,
) -> None:
    """Embed rows batch by batch and have each batch written.

    Args:
        context: The connection.
        plan: What to embed with.
        rows: (row id, source), read as they are needed.
        total: Number of rows, for the progress.
        write: Gets (vector BLOB or None, row id) for each row of a batch. None is for a row whose
            source is NULL or cannot be read.

    Raises:
        MediaError: An image cannot be read and the plan stops on errors.
    """
    from ..embedding.batches import embed_rows, embed_texts_rows

    failures: list[Failure[int]] = []
    remarks: list[str] = []  # filled by the threads that decode
    encoder = context.encoder(plan.model)
    if plan.kind == "image":
        least_side_px = encoder.preparation.least_side_px
        read = partial(context.read_image, least_side_px=least_side_px, remark=remarks.append)
        batches = embed_rows(encoder, rows, read=read, batch_size=plan.batch_size)
    else:
        batches = embed_texts_rows(encoder, rows, batch_size=plan.batch_size)
    with context.settings.progress.track(
        f"CONVERT USING {plan.model.name}", total, plan.kind
    ) as advance:
        try:
            for batch in batches:
                if batch.failures and plan.stops_on_error:
                    raise batch.failures[0].error
                failures += batch.failures
                blobs: Batch = [
                    (vector.tobytes(), key)
                    for key, vector in zip(batch.keys, batch.vectors, strict=True)
                ]
                blobs += [(None, failure.key) for failure in batch.failures]
                blobs += [(None, key) for key in batch.empty]
                write(blobs)
                advance(len(blobs))
        finally:
            batches.close()
    if failures:
        warn_user(_summary(plan, failures, total), MediaWarning)
    if remarks:
        warn_user(_remarks(plan, remarks, total), MediaWarning)


def _remarks(plan: EmbeddingPlan, remarks: list[str], total: int) -> str:
    shown = "".join(f"\n  {remark}" for remark in sorted(remarks)[:SHOWN_FAILURES])
    more = len(remarks) - SHOWN_FAILURES
    return (
        f"CONVERT USING {plan.model.name}: {len(remarks):,} of {total:,} images are there in part,"
        f" and have the vector of that part:{shown}"
        + (f"\n  and {more:,} more" if more > 0 else "")
    )


def _summary(plan: EmbeddingPlan, failures: list[Failure[int]], total: int) -> str:
    shown = "".join(
        f"\n  {clip(failure.source)}: {failure.error}" for failure in failures[:SHOWN_FAILURES]
    )
    more = len(failures) - SHOWN_FAILURES
    return (
        f"CONVERT USING {plan.model.name}: {len(failures):,} of {total:,} {plan.kind}s could not"
        f" be read, their {clip(plan.column)} is NULL:{shown}"
        + (f"\n  and {more:,} more" if more > 0 else "")
    )
