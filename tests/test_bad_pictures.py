"""One bad picture or text never stops a CONVERT: its row gets NULL, and the warning its reason."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

import thanosql_dbapi
from thanosql_dbapi.stores.sqlite.topk import quantized

BASE = Image.effect_noise((60, 48), 90).convert("RGB")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header says a size and whose data is of another."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def with_exif(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return saved(BASE, "JPEG", exif=exif.tobytes())


PNG, JPEG, GIF = saved(BASE, "PNG"), saved(BASE, "JPEG"), saved(BASE, "GIF")
GOOD: dict[str, bytes] = {
    "PNG": PNG,
    "JPEG": JPEG,
    "GIF": GIF,
    "CMYK JPEG": saved(BASE.convert("CMYK"), "JPEG"),
    "CMYK TIFF": saved(BASE.convert("CMYK"), "TIFF"),
    "16 bit": saved(BASE.convert("I;16"), "PNG"),
    "float TIFF": saved(BASE.convert("F"), "TIFF"),
    "one bit": saved(BASE.convert("1"), "PNG"),
    "grey with alpha": saved(BASE.convert("LA"), "PNG"),
    "palette with transparency": saved(BASE.quantize(16), "PNG", transparency=0),
    "palette with alpha bytes": saved(BASE.quantize(4), "PNG", transparency=b"\0\x80\xff\x10"),
    "animated GIF": saved(BASE, "GIF", save_all=True, append_images=[BASE.rotate(90)]),
    "animated PNG": saved(BASE, "PNG", save_all=True, append_images=[BASE.rotate(90)]),
    "absurd orientation": with_exif(60_000),
    "upside down": with_exif(3),
    "damaged EXIF": JPEG[:2] + b"\xff\xe1\x00\x20Exif\0\0" + b"\xff" * 24 + JPEG[2:],
    "one pixel": saved(Image.new("RGB", (1, 1)), "PNG"),
    "a strip": saved(Image.new("RGB", (1, 3000)), "PNG"),
}
BAD: dict[str, object] = {
    "empty": b"",
    "a byte": b"\x89",
    "no picture": b"hello" * 50,
    "a page": b"<!doctype html><p>no",
    "a header alone": PNG[:33],
    "cut PNG": PNG[: len(PNG) // 2],
    "cut JPEG": JPEG[: len(JPEG) // 3],
    "cut GIF": GIF[:40],
    "a bomb": png_of(60_000, 60_000),
    "the largest PNG": png_of(2**31 - 1, 2**31 - 1),
    "no width": png_of(0, 10),
    "less data than the header says": png_of(500, 500),
    "flipped": bytes(PNG[:50]) + bytes(255 - each for each in PNG[50:]),
    "another number": 5,
    "a float": 1.5,
    "a text that is no path": "no such file",
    "a folder": "images",
    "a pipe": "pipe",
    "a device": "/dev/zero",
    "a long name": "x" * 400,
    "a NUL": "a\0b",
    "a home of nobody": "~nobody_of_this_name/x.png",
    "a loop": "loop",
    "a URL": "http://[bad",
    "a file URL": "file://[bad",
    "nothing": "",
}


def test_one_bad_picture_never_stops_a_convert(
    connection: thanosql_dbapi.Connection, workspace: Path
) -> None:
    os.mkfifo(workspace / "pipe")
    (workspace / "loop").symlink_to("loop")
    rows = [(name, value) for kinds in (GOOD, BAD) for name, value in kinds.items()]
    connection.execute("CREATE TABLE p (name TEXT PRIMARY KEY, image_path)")
    connection.executemany("INSERT INTO p VALUES (?, ?)", sorted(rows))
    connection.commit()
    with pytest.warns(thanosql_dbapi.MediaWarning, match=f"{len(BAD)} of {len(rows)} images"):
        connection.execute("CONVERT USING m OPTIONS (table_name='p') AS SELECT * FROM p")
    found = dict(connection.execute("SELECT name, m_clipen IS NOT NULL FROM p").fetchall())
    assert found == {name: name in GOOD for name, _ in rows}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_refused_by_name_of_its_fault(
    connection: thanosql_dbapi.Connection, workspace: Path, name: str
) -> None:
    os.mkfifo(workspace / "pipe")
    (workspace / "loop").symlink_to("loop")
    value = BAD[name]
    with pytest.raises(thanosql_dbapi.Error) as caught:  # noqa: PT011 - the message is below
        connection.execute("SELECT embed_image('m', ?)", (value,))
    assert not isinstance(caught.value, thanosql_dbapi.InternalError)
    shown = f"{len(value)} bytes" if isinstance(value, bytes) else repr(value).strip("'")[:20]
    assert shown in str(caught.value)


def test_a_good_picture_without_memory_is_not_called_damaged(
    connection: thanosql_dbapi.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(thanosql_dbapi.MediaError, match="not enough memory") as caught:
        connection.execute("SELECT embed_image('m', 'images/red.png')")
    assert "damaged" not in str(caught.value)
    assert "images/red.png" in str(caught.value)


def test_whatever_reading_a_row_raises_the_others_are_embedded(
    connection: thanosql_dbapi.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thanosql_dbapi.embedding import images

    sound = images._decode

    def broken(file: Any, name: str, *arguments: Any) -> Image.Image:
        if "red" in name:
            raise RuntimeError("from the depths")
        return sound(file, name, *arguments)

    monkeypatch.setattr(images, "_decode", broken)
    with pytest.warns(thanosql_dbapi.MediaWarning, match="RuntimeError: 'from the depths'"):
        connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    (count,) = connection.execute("SELECT count(m_clipen) FROM photos").fetchone()
    assert count == 5


def test_a_text_that_is_no_unicode_gets_null_and_the_others_vectors(
    connection: thanosql_dbapi.Connection,
) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    connection.execute("INSERT INTO t VALUES (1, 'a cat'), (2, CAST(x'ff41' AS TEXT)), (3, 'dog')")
    connection.commit()
    for _ in range(2):  # the second time, the sources of the first are read as well
        with pytest.warns(thanosql_dbapi.MediaWarning, match="1 of . texts"):
            connection.execute(
                "CONVERT USING m OPTIONS (convert_type='text', table_name='t') AS SELECT * FROM t"
            )
        found = connection.execute("SELECT id, m_clipen IS NULL FROM t ORDER BY id").fetchall()
        assert found == [(1, 0), (2, 1), (3, 0)]


def test_a_search_scans_where_numkong_cannot_be_loaded(
    converted: thanosql_dbapi.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((300, 24)).astype("<f4")
    converted.executemany(
        "INSERT INTO photos (photo_id, m_clipen) VALUES (?, ?)",
        [(str(number), vector) for number, vector in enumerate(vectors)],
    )
    converted.commit()
    search = (
        "SELECT photo_id FROM (SEARCH IMAGE text='a cat' USING m OPTIONS (result_col='s')"
        " AS SELECT * FROM photos) ORDER BY s DESC LIMIT 5"
    )
    wanted = converted.execute(search).fetchall()
    quantized.products_problem.cache_clear()
    monkeypatch.setitem(sys.modules, "numkong", None)
    try:
        assert converted.execute(search).fetchall() == wanted
        assert "numkong" in str(converted.explain(search))
    finally:
        quantized.products_problem.cache_clear()
