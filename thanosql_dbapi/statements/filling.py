"""Many rows through a model: progress, unreadable images, and what is written of each batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING

from ..errors import MediaWarning, ModelWarning, clip, warn_user
from ..language.names import same_name
from ..sources.network import without_secrets
from ..stores.sqlite.registry import VectorColumn
from ..stores.sqlite.topk.change_log import draw_version, find_watch, watch
from . import drawings
from .contents import Contents
from .context import Context
from .embedding_plan import EmbeddingPlan, Failed, Tally
from .grouping import Batch, Grouping, Write

if TYPE_CHECKING:
    from ..embedding.batches import Failure

SHOWN_FAILURES = 5


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
    contents: Contents,
) -> Tally:
    """Embed rows batch by batch and have them written, see :mod:`.grouping`.

    Args:
        context: The connection.
        plan: What to embed with.
        rows: (row id, source), read as they are needed.
        total: Number of rows, for the progress.
        write: Gets (vector BLOB or None, row id) for each row of some batches. None is for a row
            whose source is NULL or cannot be read.
        contents: What is known of the rows; vectors that are made are kept there by content.

    Raises:
        MediaError: An image cannot be read and the plan stops on errors.
    """
    rows = iter(rows)
    first = list(islice(rows, 1))
    if not first:
        return Tally(total=total)  # the model is not needed, which may take seconds to load
    rows = chain(first, rows)
    tally = Tally(total=total)
    if plan.kind == "text":
        rows = _measured(context, plan, rows, tally.too_long)
    elif plan.kind == "image" and drawings.is_of_concern(context, plan.model):
        rows = drawings.looked_at(context, plan, rows, tally.no_drawings)
    batches = context.executor.embed(context.task(plan), rows, contents, total=total)
    with (
        context.settings.progress.track(plan.label, total, plan.kind) as advance,
        Grouping(context, write, contents) as group,
        closing(batches),
    ):
        for batch in batches:
            if batch.failures and plan.stops_on_error:
                raise batch.failures[0].error
            failed = [_failed(each, contents) for each in batch.failures]
            tally.device, tally.dtype = batch.device, batch.dtype
            tally.remarks += batch.remarks
            tally.failures += failed
            tally.embedded += len(batch.keys) - batch.reused
            tally.reused += batch.reused
            tally.unchanged += len(batch.unchanged)
            tally.empty += len(batch.empty)
            contents.keys.update(batch.contents)
            blobs: Batch = [
                (vector.tobytes(), key)
                for key, vector in zip(batch.keys, batch.vectors, strict=True)
            ]
            blobs += [(None, each.row_id) for each in failed if not each.stays]
            blobs += [(None, key) for key in batch.empty]
            group.add(blobs, batch.unchanged, batch.made, batch.files)
            advance(len(batch))
    return tally


def _remarks(plan: EmbeddingPlan, remarks: list[str], total: int) -> str:
    shown = "".join(f"\n  {remark}" for remark in sorted(remarks)[:SHOWN_FAILURES])
    more = len(remarks) - SHOWN_FAILURES
    return (
        f"{plan.label}: {len(remarks):,} of {total:,} {plan.kind}s are there in part,"
        f" and have the vector of that part:{shown}"
        + (f"\n  and {more:,} more" if more > 0 else "")
    )


def _measured(
    context: Context,
    plan: EmbeddingPlan,
    rows: Iterable[tuple[int, object]],
    too_long: list[str],
) -> Iterator[tuple[int, object]]:
    """Yield the rows, and note the texts that are longer than the model reads."""
    from ..models.tokens import text_problem, text_read

    folder = context.model_folder(plan.model)
    for row_id, source in rows:
        text = str(source)
        if isinstance(source, str) and not text_problem(text):
            read = text_read(folder, plan.model.fingerprint, text)
            if read is not None:
                # The first is shown, the others are counted.
                too_long.append("" if too_long else read)
        yield row_id, source


def _failed(failure: Failure[int], contents: Contents) -> Failed:
    is_missing = isinstance(failure.error.__cause__, (FileNotFoundError, NotADirectoryError))
    stays = failure.key in contents.away
    source = failure.source
    shown = without_secrets(source) if isinstance(source, str) else source
    return Failed(failure.key, clip(shown), str(failure.error), is_missing, stays)


def warn_of(context: Context, plan: EmbeddingPlan, tally: Tally) -> None:
    """Say what a user has to know of a CONVERT; the last thing, as a warning may be an error."""
    what = plan.label
    cleared = [each for each in tally.failures if not each.stays]
    gone = [each for each in tally.failures if each.stays and each.is_missing]
    unread = [each for each in tally.failures if each.stays and not each.is_missing]
    column, of_all = clip(plan.column), f"of {tally.total:,} {plan.kind}s"
    if cleared:
        warn_user(
            f"{what}: {len(cleared):,} {of_all} could not be read, their {column} is NULL:"
            f"{_shown(cleared)}{_where(plan, cleared, tally.total)}",
            MediaWarning,
        )
    if unread:
        warn_user(
            f"{what}: {len(unread):,} {of_all} cannot be read any more, their {column} of before"
            f" stays:{_shown(unread)}",
            MediaWarning,
        )
    if gone:
        first = ", ".join(each.source for each in gone[:SHOWN_FAILURES])
        more = " …" if len(gone) > SHOWN_FAILURES else ""
        warn_user(
            f"{what}: {len(gone):,} {plan.kind}s are not there any more; their {column} of before"
            f" stays: {first}{more}",
            MediaWarning,
        )
    if tally.too_long:
        warn_user(
            f"{what}: {len(tally.too_long):,} {of_all} are longer than the model reads and were"
            f" cut, the first after {clip(tally.too_long[0][-40:])}; put long texts into several"
            " rows",
            ModelWarning,
        )
    if tally.remarks:
        warn_user(_remarks(plan, tally.remarks, tally.total), MediaWarning)
    if tally.no_drawings:
        drawings.tell(context, what, tally.no_drawings[0])


def _shown(failures: list[Failed]) -> str:
    shown = "".join(f"\n  {each.source}: {each.reason}" for each in failures[:SHOWN_FAILURES])
    more = len(failures) - SHOWN_FAILURES
    return shown + (f"\n  and {more:,} more" if more > 0 else "")


def _where(plan: EmbeddingPlan, cleared: list[Failed], total: int) -> str:
    """Return what to do where not one file is there."""
    if len(cleared) < total or not all(each.is_missing for each in cleared):
        return ""
    if plan.base_dir:
        return f"\n  none of them is there; is base_dir={plan.base_dir!r} the folder they lie in?"
    return (
        "\n  none of them is there; paths start at the workspace: where they start at another"
        " folder, such as that of their CSV file, say OPTIONS (base_dir='…')"
    )
