"""What Datasette loads: its hooks, and what the plugin does in each.

Configured in Datasette's metadata, with the options of ``connect`` and the names of the server::

    {"plugins": {"thanosql": {"device": "cpu", "hosts": ["photos.lan"]}}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from datasette import hookimpl
from datasette.database import Database

from ...connection import Connection
from ...errors import ProgrammingError, clip
from ...settings import OPTIONS
from . import cells, pages
from .database import SearchableDatabase, plain_row
from .guard import Application, Guard

NAME = "thanosql"
"""The plugin's name in Datasette's metadata."""

_TABLE = r"/(?P<database>[^/]+)/(?P<table>[^/]+)/-"
_SEARCH = re.compile(r"(?:/[^/]+)*/[^/]+/[^/]+/-/pictures")
_OWN = ("hosts",)
_REFUSED = ("mode", "progress", "confine_attach")


@hookimpl  # type: ignore[untyped-decorator]
def startup(datasette: Any) -> None:
    """Put our connections in the place of Datasette's, for its files."""
    for name, database in list(datasette.databases.items()):
        if type(database) is not Database or database.is_memory or not database.path:
            continue
        options = _options(datasette, name)
        ours = SearchableDatabase(datasette, database.path, options, is_mutable=database.is_mutable)
        ours.name, ours.route = database.name, database.route
        datasette.databases = {**datasette.databases, name: ours}


@hookimpl  # type: ignore[untyped-decorator]
def prepare_connection(conn: Any) -> None:
    """Give Datasette the rows it expects of our connections."""
    if isinstance(conn, Connection):
        conn.row_factory = plain_row


@hookimpl  # type: ignore[untyped-decorator]
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    """Add our pages."""
    return [
        (r"^/-/pictures$", pages.index),
        (r"^/-/pictures/static/(?P<name>[^/]+)$", pages.static),
        (rf"^{_TABLE}/pictures$", pages.search),
        (r"^/(?P<database>[^/]+)/-/picture/(?P<column>[^/]+)$", pages.named_picture),
        (rf"^{_TABLE}/picture/(?P<column>[^/]+)/(?P<row>[^/]+)$", pages.picture),
    ]


@hookimpl  # type: ignore[untyped-decorator]
def skip_csrf(scope: Any) -> bool:
    """Have our page check its forms itself, with a picture in them and without."""
    # The path as it was sent, by which Datasette finds the page too.
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    return _SEARCH.fullmatch(path) is not None


@hookimpl  # type: ignore[untyped-decorator]
def render_cell(
    row: Any, value: Any, column: str, table: str | None, database: str, datasette: Any
) -> Any:
    """Show pictures and vectors in Datasette's own tables."""
    if not isinstance(value, (str, bytes)) or not value:
        return None
    return lambda: cells.render(datasette, database, table, row, (column, value))


@hookimpl  # type: ignore[untyped-decorator]
def menu_links(datasette: Any) -> list[dict[str, str]]:
    """Lead to the search from Datasette's menu."""
    return [{"href": datasette.urls.path("/-/pictures"), "label": "Search pictures"}]


@hookimpl  # type: ignore[untyped-decorator]
def table_actions(datasette: Any, database: str, table: str) -> Any:
    """Lead to the search from a table that can be searched."""

    async def links() -> list[dict[str, str]]:
        place = datasette.databases.get(database)
        if not isinstance(place, SearchableDatabase):
            return []
        searchable = (await place.contents()).of_table(table)
        if searchable is None:
            return []
        href = pages.address(datasette, place, searchable)
        return [{"href": href, "label": "Search these pictures"}]

    return links


@hookimpl  # type: ignore[untyped-decorator]
def asgi_wrapper(datasette: Any) -> Callable[[Application], Application]:
    """Refuse requests by other names, and say what browsers may do with the answers."""
    names: Iterable[str] | None = (datasette.plugin_config(NAME) or {}).get("hosts")

    def wrap(application: Application) -> Application:
        return Guard(application, names or (), guards_all=names is not None)

    return wrap


def _options(datasette: Any, name: str) -> dict[str, Any]:
    given = datasette.plugin_config(NAME, database=name) or {}
    taken = [option for option in OPTIONS if option not in _REFUSED]
    for option in given:
        if option not in (*taken, *_OWN):
            raise ProgrammingError(
                f"plugins.{NAME} has no option {clip(option)}; it takes {', '.join(taken)} of"
                f" thanosql.connect, and {', '.join(_OWN)}"
            )
    return {option: value for option, value in given.items() if option not in _OWN}
