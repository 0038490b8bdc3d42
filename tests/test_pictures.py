"""Pictures of every kind a camera, a scanner or a program makes look to the model as to people."""

from __future__ import annotations

import io
import struct
import sys
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

import thanosql_dbapi
from thanosql_dbapi.embedding.formats import picture_suffixes
from thanosql_dbapi.ui import cli

Connection = thanosql_dbapi.Connection
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Calls red what is blue.
SWAPPED = SRGB.replace(b"rXYZ", b"#XYZ").replace(b"bXYZ", b"rXYZ").replace(b"#XYZ", b"bXYZ")


def scene(width: int = 160, height: int = 120) -> Image.Image:
    """A picture with large shapes, edges and grain, of all brightnesses."""
    rng = np.random.default_rng(7)
    shapes = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    pixels = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC), dtype=int)
    grain = rng.integers(-9, 10, (height, width, 1))
    return ImageOps.autocontrast(Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)))


SCENE = scene()
GREY = ImageOps.autocontrast(SCENE.convert("L"))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def vector(connection: Connection, source: object) -> np.ndarray:
    (found,) = connection.execute("SELECT embed_image('m', ?)", (source,)).fetchone()
    return np.frombuffer(bytes(found), "<f4")


def distance(connection: Connection, one: object, other: object) -> float:
    return float(np.linalg.norm(vector(connection, one) - vector(connection, other)))


def assert_looks_like(connection: Connection, content: object, wanted: bytes) -> None:
    """Fail where the vector is not much nearer to the wanted picture's than its negative is."""
    negative = saved(ImageOps.invert(Image.open(io.BytesIO(wanted)).convert("RGB")))
    apart = distance(connection, wanted, negative)
    assert apart > 0
    assert distance(connection, content, wanted) < 0.15 * apart


# ---- numbers of more than eight bits -----------------------------------------------------------

Greys = Callable[[np.ndarray], np.ndarray]


def with_spot(value: float, count: int = 3) -> Greys:
    def spotted(grey: np.ndarray) -> np.ndarray:
        grey = grey.copy()
        grey[0, :count] = value
        return grey

    return spotted


DEEP: dict[str, Greys] = {
    "16 bits": lambda g: g.astype(np.uint16) * 257,
    "10 bits": lambda g: g.astype(np.uint16) * 4,
    "12 bits": lambda g: g.astype(np.uint16) * 16,
    "12 bits, hot pixels": lambda g: with_spot(65535)(g.astype(np.uint16) * 16),
    "8 bits in 16": lambda g: g.astype(np.uint16),
    "32 bits": lambda g: g.astype(np.int32) * 4_000_000,
    "32 bits to 255, spots": lambda g: with_spot(300)(g.astype(np.int32)),
    "around 0": lambda g: g.astype(np.int32) * 8 - 1024,
    "on a pedestal": lambda g: g.astype(np.int32) * 2 + 1000,
    "floats to 1": lambda g: g.astype(np.float32) / 255,
    "floats to 1, spots": lambda g: with_spot(1e30)(g.astype(np.float32) / 255),
    "floats to 255": lambda g: g.astype(np.float32),
    "floats to 65535": lambda g: g.astype(np.float32) * 257,
    "tiny floats": lambda g: g.astype(np.float32) * 1e-7,
    "floats from -1": lambda g: g.astype(np.float32) / 127.5 - 1,
    "not a number": lambda g: with_spot(np.nan)(g.astype(np.float32) / 255),
    "infinite": lambda g: with_spot(np.inf)(with_spot(-np.inf, 5)(g.astype(np.float32) / 255)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_greys_are_scaled_by_their_own_range(connection: Connection, kind: str) -> None:
    deep = DEEP[kind](np.asarray(GREY))
    assert_looks_like(connection, saved(Image.fromarray(deep), "TIFF"), saved(GREY))


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, np.nan])
def test_an_even_float_picture_has_a_vector(connection: Connection, value: float) -> None:
    even = Image.fromarray(np.full((40, 40), value, np.float32))
    assert np.isfinite(vector(connection, saved(even, "TIFF"))).all()


def deep_png(pixels: np.ndarray, clear: tuple[int, ...] = ()) -> bytes:
    """A PNG of 16 bits a grey or colour, which Pillow reads and does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, bands = pixels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, bands - 1, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", struct.pack(f">{bands}H", *clear)) if clear else b"")
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("factor", [257, 64, 16])
def test_colours_of_10_to_16_bits(connection: Connection, factor: int) -> None:
    pixels = np.asarray(SCENE).astype(np.uint32) * factor
    assert_looks_like(connection, deep_png(pixels), saved(SCENE))


# ---- files that were cut short -----------------------------------------------------------------

CUT = {
    "JPEG": ("JPEG", {}),
    "grey JPEG": ("JPEG", {}),
    "progressive JPEG": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
    "WebP": ("WEBP", {}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "AVIF": ("AVIF", {}),
    "JPEG 2000": ("JPEG2000", {}),
}


def whole_file(kind: str) -> bytes:
    form, options = CUT[kind]
    return saved(SCENE.convert("L") if "grey" in kind else SCENE, form, **options)


@pytest.mark.parametrize("kind", CUT)
def test_a_file_without_its_last_part_is_shown_with_a_warning(
    connection: Connection, kind: str
) -> None:
    whole = whole_file(kind)
    (connection._context().workspace.root / "cut.jpg").write_bytes(whole[: len(whole) * 93 // 100])
    with pytest.warns(thanosql_dbapi.MediaWarning, match=r"'cut\.jpg' is cut short .* is missing"):
        found = vector(connection, "cut.jpg")
    negative = saved(ImageOps.invert(SCENE))
    apart = distance(connection, whole, negative)
    assert np.linalg.norm(found - vector(connection, whole)) < 0.3 * apart


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "AVIF", "JPEG 2000"])
def test_an_end_of_zeros_was_never_written(connection: Connection, kind: str) -> None:
    form, options = CUT[kind]
    whole = saved(scene(480, 360), form, **options)
    for kept, outcome in ((90, thanosql_dbapi.MediaWarning), (50, thanosql_dbapi.MediaError)):
        length = len(whole) * kept // 100
        content = whole[:length] + bytes(len(whole) - length)
        checks = pytest.warns if kept == 90 else pytest.raises
        with checks(outcome, match="cut short"):  # type: ignore[operator]
            vector(connection, content)


@pytest.mark.parametrize("kind", CUT)
def test_zeros_after_a_whole_picture_say_nothing(connection: Connection, kind: str) -> None:
    whole = whole_file(kind)
    assert (vector(connection, whole + bytes(5000)) == vector(connection, whole)).all()


@pytest.mark.parametrize("kind", CUT)
def test_half_a_file_is_refused(connection: Connection, kind: str) -> None:
    whole = whole_file(kind)
    part = 12 if "progressive" in kind else 50
    with pytest.raises(thanosql_dbapi.MediaError, match="cut short"):
        vector(connection, whole[: len(whole) * part // 100])


def test_convert_names_the_files_that_are_there_in_part(
    connection: Connection, workspace: Path
) -> None:
    whole = saved(SCENE, "JPEG")
    (workspace / "images" / "red.png").write_bytes(whole[:-30])
    with pytest.warns(
        thanosql_dbapi.MediaWarning, match="1 of 6 images are there in part"
    ) as caught:
        connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    assert "images/red.png" in str(caught[0].message)
    (count,) = connection.execute("SELECT count(m_clipen) FROM photos").fetchone()
    assert count == 6


# ---- sizes and other limits --------------------------------------------------------------------


@pytest.fixture
def narrow(workspace: Path, connection: Connection) -> Connection:
    """A connection that decodes 10,000 pixels at most."""
    return thanosql_dbapi.connect(workspace / "photos.db", progress=False, max_image_pixels=10_000)


@pytest.mark.parametrize("options", [{}, {"progressive": False, "quality": 95}])
def test_a_large_jpeg_is_read_at_a_part_of_its_size(
    narrow: Connection, connection: Connection, options: dict[str, Any]
) -> None:
    content = saved(scene(640, 480), "JPEG", **options)
    assert np.dot(vector(narrow, content), vector(connection, content)) > 0.99
    narrow.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (saved(SCENE), "160 × 120 pixels"),
        (saved(SCENE, "JPEG", progressive=True), "160 × 120 pixels"),
        (saved(scene(1600, 1200), "JPEG"), "200 × 150 pixels"),
        (saved(SCENE, "WEBP"), "160 × 120 pixels"),
    ],
    ids=["PNG", "progressive JPEG", "an eighth is too large", "WebP"],
)
def test_a_picture_above_the_limit_is_not_called_damaged(
    narrow: Connection, content: bytes, said: str
) -> None:
    small = thanosql_dbapi.connect(
        narrow._context().workspace.root / "photos.db", progress=False, max_image_pixels=9000
    )
    with pytest.raises(thanosql_dbapi.MediaError, match=r"limit of 9,000 pixels") as caught:
        vector(small, content)
    assert said in str(caught.value)
    assert "max_image_pixels" in str(caught.value)
    assert "damaged" not in str(caught.value)
    small.close()
    narrow.close()


def test_a_jpeg_above_pillows_own_limit(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the process, which other code sets, is not ours."""
    content = saved(SCENE, "JPEG")
    wanted = vector(connection, content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    connection.execute("DELETE FROM photos")
    assert (vector(connection, content) == wanted).all()


def texts(count: int, length: int, **options: Any) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for number in range(count):
        info.add_itxt(f"part {number}", "history " * (length // 8), **options)
    return info


@pytest.mark.parametrize(
    "info", [texts(1, 3 << 20, zip=True), texts(80, 1 << 20, zip=True), texts(1, 3 << 20)]
)
def test_a_png_with_much_text(connection: Connection, info: PngImagePlugin.PngInfo) -> None:
    assert (
        vector(connection, saved(SCENE, pnginfo=info)) == vector(connection, saved(SCENE))
    ).all()


def test_a_png_with_a_large_profile(connection: Connection) -> None:
    large = SWAPPED + bytes(3 << 20)
    large = struct.pack(">I", len(large)) + large[4:]
    red, green, blue = SCENE.split()
    content = saved(Image.merge("RGB", (blue, green, red)), icc_profile=large)
    assert_looks_like(connection, content, saved(SCENE))


# ---- transparency and colour -------------------------------------------------------------------


def glass() -> Image.Image:
    picture = SCENE.copy()
    alpha = Image.new("L", SCENE.size, 0)
    alpha.paste(255, (30, 20, 120, 90))
    picture.putalpha(alpha)
    return picture


def on_white() -> Image.Image:
    paper = Image.new("RGB", SCENE.size, "white")
    paper.paste(SCENE, mask=glass().getchannel("A"))
    return paper


TRANSPARENT = {
    "RGBA PNG": lambda: (saved(glass()), on_white()),
    "LA PNG": lambda: (saved(glass().convert("LA")), on_white().convert("L")),
    "WebP": lambda: (saved(glass(), "WEBP", lossless=True), on_white()),
    "TIFF": lambda: (saved(glass(), "TIFF"), on_white()),
    "AVIF": lambda: (saved(glass(), "AVIF"), on_white()),
    "QOI": lambda: (saved(glass(), "QOI"), on_white()),
    "GIF": lambda: (saved(glass(), "GIF"), on_white()),
    "one colour of grey": lambda: (
        saved(Image.new("L", (40, 40), 7), transparency=7),
        Image.new("L", (40, 40), 255),
    ),
    "one colour": lambda: (
        saved(Image.new("RGB", (40, 40), (1, 2, 3)), transparency=(1, 2, 3)),
        Image.new("RGB", (40, 40), "white"),
    ),
    "one colour of 16 bits": lambda: (
        deep_png(np.full((40, 40, 3), 40_000), (40_000,) * 3),
        Image.new("RGB", (40, 40), "white"),
    ),
    "one grey of 16 bits": lambda: (
        deep_png(np.full((40, 40, 1), 4000), (4000,)),
        Image.new("RGB", (40, 40), "white"),
    ),
    "one of a palette": lambda: (
        saved(SCENE.resize((40, 40)).quantize(8), transparency=bytes(8)),
        Image.new("RGB", (40, 40), "white"),
    ),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_what_is_transparent_lies_on_white(connection: Connection, kind: str) -> None:
    content, wanted = TRANSPARENT[kind]()
    assert_looks_like(connection, content, saved(wanted))


RED, GREEN, BLUE = SCENE.split()
EXCHANGED = Image.merge("RGB", (BLUE, GREEN, RED))
PROFILED = {
    "PNG": lambda: saved(EXCHANGED, icc_profile=SWAPPED),
    "JPEG": lambda: saved(EXCHANGED, "JPEG", quality=95, icc_profile=SWAPPED),
    "TIFF": lambda: saved(EXCHANGED, "TIFF", icc_profile=SWAPPED),
    "WebP": lambda: saved(EXCHANGED, "WEBP", lossless=True, icc_profile=SWAPPED),
    "AVIF": lambda: saved(EXCHANGED, "AVIF", icc_profile=SWAPPED),
    "palette": lambda: saved(EXCHANGED.quantize(256), icc_profile=SWAPPED),
    "LAB": lambda: saved(
        ImageCms.profileToProfile(
            SCENE, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        ),
        "TIFF",
    ),
    "no profile": lambda: saved(SCENE, icc_profile=b"junk" * 40),
    "a profile cut short": lambda: saved(SCENE, icc_profile=SWAPPED[:200]),
    "a profile of another kind": lambda: saved(SCENE.convert("CMYK"), "TIFF", icc_profile=SWAPPED),
}


@pytest.mark.parametrize("kind", PROFILED)
def test_colours_are_what_the_profile_says(connection: Connection, kind: str) -> None:
    assert_looks_like(connection, PROFILED[kind](), saved(SCENE))
    if "profile" not in kind and kind != "LAB":
        plain = distance(connection, saved(EXCHANGED), saved(SCENE))
        assert distance(connection, PROFILED[kind](), saved(SCENE)) < plain / 2


# ---- further formats ---------------------------------------------------------------------------


def dng(jpeg: bytes, width: int, height: int, orientation: int) -> bytes:
    """A camera's RAW file as small as can be: noise, and a preview."""
    side = 64
    noise = np.random.default_rng(0).integers(100, 4000, (side, side)).astype("<u2").tobytes()
    jpeg += bytes(len(jpeg) % 2)

    def folder(at: int, tags: dict[int, tuple[str, list[Any]]]) -> bytes:
        kinds = {"B": 1, "s": 2, "H": 3, "I": 4, "II": 5, "ii": 10}
        body, beyond = b"", b""
        start = at + 2 + 12 * len(tags) + 4
        for tag, (kind, values) in sorted(tags.items()):
            if kind == "s":
                data = b"".join(values)
            else:
                flat = [v if isinstance(v, tuple) else (v,) for v in values]
                data = b"".join(struct.pack(f"<{kind}", *each) for each in flat)
            count = len(data) if kind == "s" else len(values)
            if len(data) > 4:
                data, place = data + bytes(len(data) % 2), start + len(beyond)
                beyond += data
                data = struct.pack("<I", place)
            body += struct.pack("<HHI", tag, kinds[kind], count) + data.ljust(4, b"\0")
        return struct.pack("<H", len(tags)) + body + bytes(4) + beyond

    sensor_at = 8 + len(jpeg)
    inner_at = sensor_at + len(noise)
    inner = folder(
        inner_at,
        {
            **{254: ("I", [0]), 256: ("I", [side]), 257: ("I", [side]), 258: ("H", [16])},
            **{259: ("H", [1]), 262: ("H", [32803]), 273: ("I", [sensor_at]), 277: ("H", [1])},
            **{278: ("I", [side]), 279: ("I", [len(noise)]), 33421: ("H", [2, 2])},
            **{33422: ("B", [0, 1, 1, 2]), 50717: ("I", [4095])},
        },
    )
    inner += bytes(len(inner) % 2)
    identity = [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]
    outer_at = inner_at + len(inner)
    outer = folder(
        outer_at,
        {
            **{254: ("I", [1]), 256: ("I", [width]), 257: ("I", [height]), 258: ("H", [8, 8, 8])},
            **{259: ("H", [7]), 262: ("H", [6]), 271: ("s", [b"Maker\0"]), 272: ("s", [b"One\0"])},
            **{273: ("I", [8]), 274: ("H", [orientation]), 277: ("H", [3]), 278: ("I", [height])},
            **{279: ("I", [len(jpeg)]), 330: ("I", [inner_at]), 50706: ("B", [1, 4, 0, 0])},
            **{50708: ("s", [b"Maker One\0"]), 50721: ("ii", identity)},
            **{50728: ("II", [(1, 1)] * 3), 50778: ("H", [21])},
        },
    )
    return b"II*\0" + struct.pack("<I", outer_at) + jpeg + noise + inner + outer


def heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=90, **options)
    return file.getvalue()


def jxl(image: Image.Image, **options: Any) -> bytes:
    pytest.importorskip("pillow_jxl")
    return saved(image, "JXL", **options)


def raw(orientation: int = 1) -> bytes:
    pytest.importorskip("rawpy")
    picture = scene(320, 240)
    return dng(saved(picture, "JPEG", quality=95), *picture.size, orientation)


def test_heic(connection: Connection, workspace: Path) -> None:
    (workspace / "IMG_1.HEIC").write_bytes(heic(SCENE))
    assert_looks_like(connection, "IMG_1.HEIC", saved(SCENE))
    assert_looks_like(connection, heic(SCENE), saved(SCENE))


def test_jpeg_xl(connection: Connection) -> None:
    assert_looks_like(connection, jxl(SCENE), saved(SCENE))


def test_a_jpeg_xl_that_claims_a_billion_pixels_is_not_decoded(connection: Connection) -> None:
    pytest.importorskip("pillow_jxl")
    # One bit "not small", two bits for the length of the number, 30 bits of height, no ratio …
    size = (1 << 30) - 1
    bits = 0 | (3 << 1) | (size << 3) | (0 << 33) | (3 << 36) | (size << 38)
    bomb = b"\xff\x0a" + bits.to_bytes(12, "little") + bytes(50)
    with pytest.raises(thanosql_dbapi.MediaError, match="larger than the limit"):
        vector(connection, bomb)


def test_raw_is_seen_through_its_preview(connection: Connection, workspace: Path) -> None:
    (workspace / "1.DNG").write_bytes(raw())
    assert_looks_like(connection, "1.DNG", saved(scene(320, 240)))
    turned = scene(320, 240).transpose(Image.Transpose.ROTATE_270)
    assert_looks_like(connection, raw(6), saved(turned))


def test_raw_without_a_good_preview_is_developed(connection: Connection) -> None:
    pytest.importorskip("rawpy")
    thumbnail = SCENE.resize((80, 60))
    assert np.isfinite(vector(connection, dng(saved(thumbnail, "JPEG"), 80, 60, 1))).all()


@pytest.mark.parametrize(
    ("extra", "module", "make"),
    [("heif", "pillow_heif", heic), ("jxl", "pillow_jxl", jxl), ("raw", "rawpy", None)],
)
def test_a_missing_package_is_named(
    connection: Connection,
    extra: str,
    module: str,
    make: Callable[[Image.Image], bytes] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = make(SCENE) if make else raw()
    vector(connection, content)
    before = {suffix for suffix, needed in picture_suffixes().items() if needed is not None}
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(thanosql_dbapi.MediaError) as caught:  # noqa: PT011 - see below
        vector(connection, content)
    assert f'pip install "thanosql-dbapi[{extra}]"' in str(caught.value)
    needed = {suffix: extra.name for suffix, extra in picture_suffixes().items() if extra}
    assert {needed[suffix] for suffix in needed.keys() - before} == {extra}


def test_copy_takes_what_can_be_opened_and_names_the_package_for_the_rest(
    connection: Connection, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pillow_heif")
    (workspace / "p").mkdir()
    for name in ("1.HEIC", "2.nef", "3.jp2", "4.jxl"):
        (workspace / "p" / name).write_bytes(heic(SCENE))
    for module in ("pillow_jxl", "rawpy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.warns(thanosql_dbapi.MediaWarning, match=r"thanosql-dbapi\[jxl,raw\]") as caught:
        connection.execute("COPY t OPTIONS (exif=True) FROM 'p/'")
    assert ".nef" in str(caught[0].message)
    found = connection.execute("SELECT image_path, width FROM t ORDER BY 1").fetchall()
    assert found == [("p/1.HEIC", 160), ("p/3.jp2", 160)]


def test_suffixes_of_pictures() -> None:
    found = picture_suffixes()
    names = ".jpg .jpe .jfif .png .webp .avif .tif .tiff .mpo .jp2 .ppm .bmp .gif .heic .nef .jxl"
    assert set(names.split()) <= found.keys()
    assert not {".pdf", ".eps", ".wmf"} & found.keys()
    assert found[".jpg"] is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n<!DOCTYPE html><p>404", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"/annex/objects/SHA256E-s1--0.jpg\n", "a git-annex pointer"),
        (b'{"error": "no such file"}', "JSON"),
        (b"no picture, only words", "a text"),
        (bytes(4000), "a file of zeros"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "a video"),
        (b"8BPS\0\1" + bytes(40), "a Photoshop document"),
        (b"\0\5\x16\7" + bytes(40), "AppleDouble"),
        (b"bplist00" + bytes(40), "iCloud"),
        (b"PK\3\4" + bytes(40), "a ZIP archive"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
        (b"\xff\xd8\xff\xe0" + b"x" * 40, "JPEG"),
        (b"II*\0\x08\0\0\0\0\0", "TIFF"),
    ],
)
def test_what_is_no_picture_is_named(connection: Connection, content: bytes, said: str) -> None:
    with pytest.raises(thanosql_dbapi.MediaError, match=said):
        vector(connection, content)


# ---- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("name", ["Café.png", "Grüße/Zoë/é.png", "사진/고양이.png"])
def test_a_name_is_found_in_either_spelling(
    connection: Connection, workspace: Path, name: str, written: Any, asked: Any
) -> None:
    file = workspace / unicodedata.normalize(written, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(saved(SCENE))
    wanted = vector(connection, saved(SCENE))
    assert (vector(connection, unicodedata.normalize(asked, name)) == wanted).all()


def test_the_exact_name_comes_before_its_twin(connection: Connection, workspace: Path) -> None:
    one, other = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    (workspace / one).write_bytes(saved(SCENE))
    (workspace / other).write_bytes(saved(EXCHANGED))
    if len(list(workspace.glob("*.png"))) == 1:
        pytest.skip("this file system takes the two names for one")
    assert (vector(connection, one) == vector(connection, saved(SCENE))).all()
    assert (vector(connection, other) == vector(connection, saved(EXCHANGED))).all()


def test_a_twin_outside_the_workspace_is_not_read(connection: Connection, workspace: Path) -> None:
    outside = workspace.parent / "outside.png"
    outside.write_bytes(saved(SCENE))
    (workspace / unicodedata.normalize("NFD", "é.png")).symlink_to(outside)
    with pytest.raises(thanosql_dbapi.WorkspaceError, match="outside the workspace"):
        vector(connection, unicodedata.normalize("NFC", "é.png"))


NASTY = "\x1b]0;owned\x07 \x9b2J \x7f \u202egpj.png \r"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT x FROM t",
        'SELECT 1 AS "{}"',
        "PRINT IMAGE OPTIONS (image_col='x') AS SELECT x FROM t",
        'SELECT "{}" FROM t WHERE nothing = 1',
        "SEARCH IMAGE text='a' USING \"{}\" AS SELECT * FROM t",
        "COPY u FROM '{}'",
    ],
)
def test_a_name_cannot_command_the_terminal(
    sql: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "x.db"
    with thanosql_dbapi.connect(database) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", (NASTY,))
    connection.close()
    cli.main([str(database), sql.format(NASTY)])
    done = capsys.readouterr()
    assert "gpj.png" in done.out + done.err or "nothing" in done.err
    assert not set("\x1b\x07\x9b\x7f\u202e\r") & set(done.out + done.err)


def test_json_holds_the_value_and_no_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    database = tmp_path / "x.db"
    with thanosql_dbapi.connect(database) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", (NASTY,))
    connection.close()
    cli.main([str(database), "SELECT x FROM t", "--json"])
    out = capsys.readouterr().out
    assert json.loads(out) == [{"x": NASTY}]
    assert not set("\x1b\x07\x9b\x7f\u202e\r") & set(out)
