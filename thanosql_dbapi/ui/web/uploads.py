"""A form with a picture in it, read in memory, and no further than allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from .asking import RefusedError

_FORM_BYTES = 64 * 2**10
"""Most bytes of a form without a picture: a vector of 4,096 numbers in base64, and filters."""


async def read_form(
    headers: dict[str, str], receive: Callable[[], Awaitable[Any]], most_bytes: int
) -> tuple[list[tuple[str, str]], bytes | None]:
    """Return a form's fields, and the picture in it.

    Args:
        headers: The request's headers, names in lower case.
        receive: ASGI's.
        most_bytes: Most bytes of the picture.

    Raises:
        RefusedError: 413 for too large a form, 415 for another kind, 400 for a damaged one.
    """
    kind = headers.get("content-type", "")
    is_multipart = kind.partition(";")[0].strip().lower() == "multipart/form-data"
    if not is_multipart and kind.partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise RefusedError(415, "bad_form")
    limit = _FORM_BYTES + (most_bytes if is_multipart else 0)
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise RefusedError(413, "too_large", most=most_bytes // 2**20)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the visitor has gone
            raise RefusedError(400, "bad_form")
        body += message.get("body", b"")
        if len(body) > limit:
            raise RefusedError(413, "too_large", most=most_bytes // 2**20)
        if not message.get("more_body"):
            break
    if not is_multipart:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True), None
    return _multipart(kind, bytes(body))


def _multipart(kind: str, body: bytes) -> tuple[list[tuple[str, str]], bytes | None]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(kind)[1].get(b"boundary")
    if not boundary:
        raise RefusedError(400, "bad_form")
    fields: list[tuple[str, str]] = []
    pictures: list[bytes] = []
    head: dict[str, bytearray] = {}
    part: dict[str, Any] = {}

    def begin() -> None:
        part.update(disposition=b"", content=bytearray())
        head.update(name=bytearray(), value=bytearray())

    def header_name(data: bytes, start: int, end: int) -> None:
        head["name"] += data[start:end]

    def header_value(data: bytes, start: int, end: int) -> None:
        head["value"] += data[start:end]

    def header_end() -> None:
        if head["name"].lower() == b"content-disposition":
            part["disposition"] = bytes(head["value"])
        head.update(name=bytearray(), value=bytearray())

    def content(data: bytes, start: int, end: int) -> None:
        part["content"] += data[start:end]

    def finish() -> None:
        options = parse_options_header(part["disposition"])[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            fields.append((name, part["content"].decode("utf-8", "replace")))
        elif part["content"]:
            pictures.append(bytes(part["content"]))

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": header_name,
            "on_header_value": header_value,
            "on_header_end": header_end,
            "on_part_data": content,
            "on_part_end": finish,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(400, "bad_form") from error
    return fields, pictures[0] if pictures else None
