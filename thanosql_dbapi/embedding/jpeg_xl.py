"""The size that a JPEG XL file's header states, read before anything is decoded.

The decoder has no step between opening and decoding, and a file of some bytes can claim a billion
pixels.
"""

from __future__ import annotations

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"

_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def jxl_size(content: bytes) -> tuple[int, int]:
    """Return (width, height) of a JPEG XL file.

    Args:
        content: Its first bytes, or all of it.

    Raises:
        ValueError: There is no header.

    Source: ISO/IEC 18181-1, SizeHeader; 18181-2, boxes.
    """
    start = _codestream(content)
    if content[start : start + 2] != CODESTREAM:
        raise ValueError("no JPEG XL header")
    bits = int.from_bytes(content[start + 2 : start + 14], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    is_small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if is_small else take(_BITS[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    above, below = _RATIOS[ratio]
    return height * above // below, height


def _codestream(content: bytes) -> int:
    """Return where the codestream begins: at once, or in a box of the container."""
    if not content.startswith(CONTAINER):
        return 0
    at = 0
    while at + 8 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if kind == b"jxlc":
            return at + head
        if kind == b"jxlp":
            return at + head + 4
        if size < head:
            break
        at += size
    raise ValueError("no JPEG XL header")
