"""A warning where storybook_clip, which was trained on drawings, is used on other pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from ..errors import Error, ModelWarning, clip, warn_user
from ..language.names import quote_name
from ..openfile import OpenFile
from ..stores.sqlite.registry import Model, VectorColumn
from .context import Context

if TYPE_CHECKING:
    from .embedding_plan import EmbeddingPlan

SOURCE = "builtin:storybook_clip"
_DATASETS = "storybook"
_SIZE_PX = (320, 240)
"""Of the drawings, wherever they were copied to."""
_LOOKED_AT = 3


def is_of_concern(context: Context, model: Model) -> bool:
    """Return whether a model knows drawings only, and nothing was said of it yet."""
    return model.source == SOURCE and not context.state.is_told_of_drawings


def looked_at(
    context: Context, plan: EmbeddingPlan, rows: Iterable[tuple[int, object]], others: list[object]
) -> Iterator[tuple[int, object]]:
    """Yield the rows of a CONVERT, and note which of the first are no drawings."""
    for number, (row_id, source) in enumerate(rows):
        if number < _LOOKED_AT and is_no_drawing(context, plan.place(source)):
            others.append(source)
        yield row_id, source


def check_searched(context: Context, model: Model, columns: Iterable[VectorColumn]) -> None:
    """Warn where the rows that a SEARCH compares are no drawings; each column is asked once."""
    for each in columns:
        known = (each.schema_name, each.table_name, each.column_name)
        if each.source_type != "image" or known in context.state.known_drawings:
            continue
        context.state.known_drawings.add(known)
        source, table = quote_name(each.source_column), quote_name(*known[:2])
        try:
            row = context.database.row(
                f"SELECT {source} FROM {table} WHERE {source} IS NOT NULL LIMIT 1"
            )
        except Error:  # the column has another name now
            continue
        if row and is_no_drawing(context, row[0]):
            tell(context, f"SEARCH USING {model.name}", row[0])


def tell(context: Context, what: str, source: object) -> None:
    """Warn, once a connection."""
    if context.state.is_told_of_drawings:
        return
    context.state.is_told_of_drawings = True
    name = f"a BLOB of {len(source):,} bytes" if isinstance(source, bytes) else clip(source)
    warn_user(
        f"{what}: this model knows drawings only, those of the data set storybook, and {name} is"
        " none of them, so its answers say little; for photographs get a model of the catalog, such"
        " as GET THANOSQL MODEL clip",
        ModelWarning,
    )


def is_no_drawing(context: Context, source: object) -> bool:
    """Return whether an image can be read, and is not one that storybook has drawn."""
    try:
        if isinstance(source, bytes):
            return _has_other_size(io.BytesIO(source))
        if not isinstance(source, str):
            return False
        path = context.workspace.locate(source)
        datasets = context.workspace.datasets
        if path.is_relative_to(datasets) and path.relative_to(datasets).parts[0].startswith(
            _DATASETS
        ):
            return False
        with OpenFile(path) as opened:
            return opened.is_file and _has_other_size(opened.reader())
    except (Error, OSError, ValueError, IndexError):
        return False  # a URL, or what cannot be read: it is named elsewhere


def _has_other_size(file: BinaryIO) -> bool:
    # Not Image.open, which warns of large pictures.
    from PIL.JpegImagePlugin import JpegImageFile

    with file:
        try:
            return JpegImageFile(file).size != _SIZE_PX
        except Exception:  # Pillow lets many kinds through; it is no JPEG
            return True
