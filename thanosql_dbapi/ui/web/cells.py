"""Cells of Datasette's own tables: pictures instead of paths and bytes, vectors as short text."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from datasette.utils import tilde_encode
from markupsafe import Markup, escape

from ...embedding.formats import is_ours, kind_of
from ...language.names import same_name
from ...sources.folder.suffixes import OTHER_PICTURES, RAW
from ...vectors import to_vector
from ..display import cell
from .asking import row_path
from .database import SearchableDatabase
from .pages import picture_address

_HEIGHT_PX = 96
_LONGEST_PATH = 1000


async def render(datasette: Any, database: str, table: str | None, row: Any, cell_: Any) -> Any:
    """Return a cell's HTML, or None for Datasette's own.

    Args:
        datasette: The application.
        database: The database's name.
        table: The table's name; None for the rows of a query.
        row: The row.
        cell_: The column's name, and the value.
    """
    column, value = cell_
    place = datasette.databases.get(database)
    if not isinstance(place, SearchableDatabase) or not isinstance(value, (str, bytes)):
        return None
    if isinstance(value, str):
        return await _path(datasette, place, table, row, column, value)
    if len(value) % 4 == 0:
        contents = await place.contents()
        if contents.vectors.get(column.lower()) == len(value) // 4:
            return Markup("<code>{}</code>").format(cell(to_vector(value)))
    if table is not None and is_ours(kind_of(value[:64])):
        return await _picture(datasette, place, table, row, column, f"{len(value):,} bytes")
    return None


async def _path(
    datasette: Any, place: SearchableDatabase, table: str | None, row: Any, column: str, value: str
) -> Any:
    suffix = value[value.rfind(".") :].lower()
    if suffix not in OTHER_PICTURES | RAW or len(value) > _LONGEST_PATH or "\n" in value:
        return None
    if "://" in value[:12]:  # a link, as Datasette makes one
        return None
    if table is not None:
        return await _picture(datasette, place, table, row, column, value)
    contents = await place.contents()
    if not any(same_name(each.source, column) for each in contents.searchables):
        return None
    database = datasette.urls.database(place.name)
    address = f"{database}/-/picture/{tilde_encode(column)}?{urlencode({'value': value})}"
    return _image(address, value)


async def _picture(
    datasette: Any, place: SearchableDatabase, table: str, row: Any, column: str, name: str
) -> Any:
    keys = await place.primary_keys(table) or ["rowid"]
    if not set(keys) <= set(row.keys()):  # a view has none
        return None
    path = row_path([row[key] for key in keys])
    return _image(picture_address(datasette, place.name, table, column, path), name)


def _image(address: str, name: str) -> Markup:
    return Markup(
        f'<a href="{escape(address)}"><img src="{escape(address)}" alt="" loading="lazy"'
        f' height="{_HEIGHT_PX}" style="display: block; max-width: 16em; object-fit: contain"></a>'
        f"<small>{escape(name)}</small>"
    )
