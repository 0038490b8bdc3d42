"""The pages: where to search, the search itself, and the pictures in it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette.database import QueryInterrupted
from datasette.utils import tilde_decode, tilde_encode
from datasette.utils.asgi import Forbidden, Request, Response

from ...language.names import quote_name, same_name
from ..templating import data_url, environment_of, source
from ..thumbnails import thumbnail
from .asking import (
    LONGEST_TEXT,
    MOST_PAGES,
    Answer,
    Question,
    RefusedError,
    answer,
    read_filters,
    row_condition,
)
from .contents import Contents, Searchable
from .database import SearchableDatabase
from .pictures import WIDTHS, Pictures
from .uploads import read_form
from .words import LANGUAGES, Words, language_of, words_of

UPLOAD_BYTES = 64 * 2**20
"""Most bytes of a picture that is sent: raw files of cameras have up to 60 MB."""

_QUERY_WIDTH_PX = 240
_LANGUAGE_COOKIE = "thanosql_language"
_STYLE = "pictures.css"
_STATIC = {_STYLE: "text/css", "pictures.js": "text/javascript"}
# Datasette takes a plugin's folder "templates" for pages in place of its own.
_TEMPLATES = environment_of("thanosql_dbapi.ui.web", "html")
_PICTURES = Pictures()

View = Callable[[Any, Request], Awaitable[Response]]


def _page(view: View) -> View:
    """Make a view answer with a sentence where it cannot answer otherwise."""

    @functools.wraps(view)
    async def guarded(datasette: Any, request: Request) -> Response:
        try:
            return await view(datasette, request)
        except RefusedError as error:
            return _message(datasette, request, error)
        except Forbidden:
            return _message(datasette, request, RefusedError(403, "forbidden"))
        except QueryInterrupted as error:
            return _message(datasette, request, RefusedError(503, "refused", reason=str(error.e)))
        except sqlite3.Error as error:
            return _message(datasette, request, RefusedError(400, "refused", reason=str(error)))

    return guarded


@_page
async def index(datasette: Any, request: Request) -> Response:
    """Show the tables that can be searched, or what to do where there is none."""
    places, waiting = [], []
    for database in datasette.databases.values():
        if not isinstance(database, SearchableDatabase):
            continue
        try:
            await datasette.ensure_permissions(
                request.actor, [("view-database", database.name), "view-instance"]
            )
        except Forbidden:
            continue
        contents = await database.contents()
        for each in contents.searchables:
            if await _may_see(datasette, request, database, each.table):
                places.append((each, address(datasette, database, each, contents)))
        for table, column in contents.waiting:
            if await _may_see(datasette, request, database, table):
                waiting.append((database, table, column, contents.models))
    if len(places) == 1:
        query = f"?{request.query_string}" if request.query_string else ""
        return Response.redirect(f"{places[0][1]}{query}")
    return _rendered(datasette, request, "index.html", places=places, waiting=waiting)


@_page
async def search(datasette: Any, request: Request) -> Response:
    """Show the search page of a table, and what was found."""
    if request.method not in ("GET", "HEAD", "POST"):
        raise RefusedError(405, "method")
    database, table = await _place(datasette, request)
    contents = await database.contents()
    pairs = parse_qsl(request.query_string, keep_blank_values=True)
    picture = None
    if request.method == "POST":
        fields, picture = await read_form(request.headers, request.receive, UPLOAD_BYTES)
        token = request.headers.get("x-csrftoken") or dict(fields).get("csrftoken", "")
        if not secrets.compare_digest(token.encode(), request.scope["csrftoken"]().encode()):
            raise RefusedError(403, "bad_token")
        pairs += fields
    given = dict(pairs)
    searchable = contents.of_table(table, given.get("by") or None)
    if searchable is None:
        raise RefusedError(404, "no_table")
    question = _question(given, pairs, searchable, picture)
    found = await database.search(
        lambda connection: answer(connection, contents, searchable, question)
    )
    if picture is not None:
        question = replace(question, picture=None, vector=found.vector)
    return _rendered(
        datasette,
        request,
        "search.html",
        **await _context(datasette, database, contents, searchable, question, found, picture),
    )


@_page
async def picture(datasette: Any, request: Request) -> Response:
    """Send the picture of a row, made small."""
    database, table = await _place(datasette, request)
    column = tilde_decode(request.url_vars["column"])
    if column not in await database.table_columns(table):
        raise RefusedError(404, "no_column")
    keys = await database.primary_keys(table) or ["rowid"]
    where, values = row_condition(keys, request.url_vars["row"])
    return await _sent(request, database, await _value(database, table, column, where, values))


@_page
async def named_picture(datasette: Any, request: Request) -> Response:
    """Send the picture that some row names so, for the rows of a query, which have no address."""
    database = _database(datasette, request)
    column = tilde_decode(request.url_vars["column"])
    named = {"value": request.args.get("value") or ""}
    for each in (await database.contents()).searchables:
        if same_name(each.source, column) and await _may_see(
            datasette, request, database, each.table
        ):
            where = f"{quote_name(each.source)} = :value"
            try:
                value = await _value(database, each.table, each.source, where, named)
            except RefusedError:
                continue
            return await _sent(request, database, value)
    raise RefusedError(404, "no_picture_row")


async def static(datasette: Any, request: Request) -> Response:
    """Send a style sheet or a script of ours."""
    name = request.url_vars["name"]
    kind = _STATIC.get(name)
    if kind is None:
        return Response.text("404 Not Found\n", status=404)
    body = (resources.files(__package__) / "static" / name).read_text(encoding="utf-8")
    if name == _STYLE:
        body = source(environment_of("thanosql_dbapi.ui"), "look.css") + body
    headers = {"cache-control": "no-cache"}
    return Response(body, headers=headers, content_type=f"{kind}; charset=utf-8")


def address(
    datasette: Any, database: Any, searchable: Searchable, contents: Contents | None = None
) -> str:
    """Return the address of a search page."""
    path = f"{datasette.urls.table(database.name, searchable.table)}/-/pictures"
    first = contents and contents.of_table(searchable.table)
    by = {} if first is None or first == searchable else {"by": searchable.column}
    return f"{path}?{urlencode(by)}" if by else path


def picture_address(datasette: Any, database: str, table: str, column: str, row: str) -> str:
    """Return the address of a row's picture; ``row`` is Datasette's path of the row."""
    return f"{datasette.urls.table(database, table)}/-/picture/{tilde_encode(column)}/{row}"


async def _place(datasette: Any, request: Request) -> tuple[SearchableDatabase, str]:
    """Return the database and the table of a request, which its sender may see."""
    database = _database(datasette, request)
    table = tilde_decode(request.url_vars["table"])
    await datasette.ensure_permissions(
        request.actor,
        [("view-table", (database.name, table)), ("view-database", database.name), "view-instance"],
    )
    if not await database.table_exists(table):
        raise RefusedError(404, "no_table")
    return database, table


def _database(datasette: Any, request: Request) -> SearchableDatabase:
    try:
        database = datasette.get_database(route=tilde_decode(request.url_vars["database"]))
    except KeyError:
        database = None
    if not isinstance(database, SearchableDatabase):
        raise RefusedError(404, "no_database")
    return database


async def _may_see(datasette: Any, request: Request, database: Any, table: str) -> bool:
    visible, _ = await datasette.check_visibility(
        request.actor, "view-table", (database.name, table)
    )
    return bool(visible)


def _question(
    given: dict[str, str],
    pairs: Sequence[tuple[str, str]],
    searchable: Searchable,
    picture: bytes | None,
) -> Question:
    text = given.get("q", "").strip()
    if len(text) > LONGEST_TEXT:
        raise RefusedError(400, "too_long", length=len(text), most=LONGEST_TEXT)
    number = given.get("page") or "1"
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= MOST_PAGES):
        raise RefusedError(400, "bad_page", most=MOST_PAGES)
    filters = read_filters(pairs, searchable)
    question = Question(filters=filters, page=int(number))
    # What was asked last wins: a picture that was sent, a text that was typed.
    if picture is not None:
        return replace(question, picture=picture)
    if text:
        return replace(question, text=text)
    if given.get("vector"):
        try:
            vector = base64.b64decode(given["vector"], validate=True)
        except (binascii.Error, ValueError):
            raise RefusedError(400, "bad_vector") from None
        return replace(question, vector=vector)
    return replace(question, like=given.get("like", ""))


async def _value(
    database: SearchableDatabase, table: str, column: str, where: str, values: Any
) -> object:
    """Return the value of the first cell that a condition finds."""
    sql = f"SELECT {quote_name(column)} FROM {quote_name(table)} WHERE {where} LIMIT 1"
    row = (await database.execute(sql, values)).first()
    if row is None:
        raise RefusedError(404, "no_picture_row")
    return row[0]


async def _sent(request: Request, database: SearchableDatabase, value: object) -> Response:
    width = request.args.get("w") or str(WIDTHS[0])
    if width not in map(str, WIDTHS):
        raise RefusedError(400, "bad_width", widths=" / ".join(map(str, WIDTHS)))
    settings = await database.execute_fn(lambda connection: connection.settings)
    sent = await asyncio.get_running_loop().run_in_executor(
        _PICTURES.pool, _PICTURES.small, settings, database.path, value, int(width)
    )
    headers = {"etag": f'"{sent.tag}"', "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(b"", status=304, headers=headers, content_type="image/jpeg")
    return Response(sent.jpeg, headers=headers, content_type="image/jpeg")


async def _context(
    datasette: Any,
    database: SearchableDatabase,
    contents: Contents,
    searchable: Searchable,
    question: Question,
    found: Answer,
    picture: bytes | None,
) -> dict[str, Any]:
    table = searchable.table
    row_address = datasette.urls.row

    def picture_of(row: str, width_px: int = WIDTHS[0]) -> str:
        place = picture_address(datasette, database.name, table, searchable.source, row)
        return f"{place}?w={width_px}"

    def link(**changes: str) -> str:
        """Return this search's address with other arguments; "" takes one away."""
        arguments = {"q": question.text, "like": question.like, "by": by, **changes}
        kept = [(key, value) for key, value in arguments.items() if value]
        return f"{path}?{urlencode([*kept, *filters])}"

    path = address(datasette, database, searchable)
    first = contents.of_table(table)
    by = "" if first == searchable else searchable.column
    filters = [(f"{column}__{lookup}", value) for column, lookup, value in question.filters]
    others = [
        (each, address(datasette, database, each, contents))
        for each in contents.searchables
        if each != searchable
    ]
    sql = f"{datasette.urls.database(database.name)}?{urlencode({'sql': found.sql})}"
    return {
        "searchable": searchable,
        "question": question,
        "answer": found,
        "vector": base64.b64encode(question.vector).decode() if question.vector else "",
        "asked_picture": await _asked(picture),
        "chosen": dict(filters),
        "filters": filters,
        "picture_of": picture_of,
        "large": WIDTHS[-1],
        "row_of": lambda row: row_address(database.name, table, row),
        "link": link,
        "path": path,
        "by": by,
        "others": others,
        "sql_address": sql if found.sql else "",
        "table_address": datasette.urls.table(database.name, table),
        "column_literal": quote_name(searchable.column),
    }


async def _asked(picture: bytes | None) -> str:
    """Return a picture that was sent as an address that holds it."""
    if picture is None:
        return ""
    from ...embedding.images import open_image

    def small() -> bytes:
        image = open_image(
            picture,
            locate=_nowhere,
            least_side_px=_QUERY_WIDTH_PX,
            remark=lambda text: None,
        )
        return thumbnail(image, (_QUERY_WIDTH_PX, _QUERY_WIDTH_PX)).content

    return data_url(await asyncio.get_running_loop().run_in_executor(_PICTURES.pool, small))


def _nowhere(path: str) -> Any:
    raise AssertionError(path)


def _rendered(
    datasette: Any, request: Request, template: str, status: int = 200, **context: Any
) -> Response:
    wanted = request.args.get("lang")
    accepted = request.headers.get("accept-language", "")
    language = language_of(wanted or request.cookies.get(_LANGUAGE_COOKIE), accepted)
    words: Words = words_of(language)
    arguments = [(key, value) for key, value in parse_qsl(request.query_string) if key != "lang"]
    other = LANGUAGES[1 - LANGUAGES.index(language)]
    body = _TEMPLATES.get_template(template).render(
        **context,
        words=words,
        lang=language,
        other=other,
        other_language=f"{request.path}?{urlencode([*arguments, ('lang', other)])}",
        csrftoken=request.scope["csrftoken"],
        static=datasette.urls.path("/-/pictures/static"),
        home=datasette.urls.path("/-/pictures"),
        datasette_home=datasette.urls.instance(),
    )
    headers = {"cache-control": "private, no-store", "vary": "Accept-Language"}
    response = Response.html(body, status=status, headers=headers)
    if wanted in LANGUAGES:
        response.set_cookie(_LANGUAGE_COOKIE, language, httponly=True)
    return response


def _message(datasette: Any, request: Request, error: RefusedError) -> Response:
    return _rendered(datasette, request, "message.html", error.status, error=error)
