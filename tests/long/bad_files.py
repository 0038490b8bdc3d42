"""Damaged pictures, models and tables through CONVERT, UPLOAD and COPY, for as long as wanted.

    python tests/long/bad_files.py --seconds 60 [--seed 1]

Every input is a sound file that was changed: cut, bytes flipped, pieces repeated, numbers
in headers and configurations replaced. Right is: an answer, or one of PEP 249's exceptions, and
never ``InternalError``; a CONVERT embeds the sound pictures among the damaged ones; no input takes
longer than ``LONGEST_S``. Ends with 1 and the seed of each input that was wrong.
"""

from __future__ import annotations

import collections
import io
import json
import random
import shutil
import sqlite3
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import thanosql_dbapi

sys.path.insert(0, str(Path(__file__).parent))

import command_line

LONGEST_S = 60.0
NUMBERS: list[Any] = [
    *(-1, 0, 1, 2, 3, 7, 255, 65_537, 10**6, 10**9, 2**31, 2**63, 10**40, -(2**63), 0.5, 1e300),
    *(float("nan"), float("inf"), None, True, False, "x", "", [], [1, 2], {}, {"a": 1}, "\ud800"),
]
BYTES = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"A" * 100)
ROWS = 12


def pictures() -> list[bytes]:
    """Sound pictures of many kinds."""
    base = Image.effect_noise((40, 32), 80).convert("RGB")
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        *((base, kind, {}) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO")),
        *((base.convert(mode), "PNG", {}) for mode in ("L", "LA", "P", "1", "I;16", "RGBA")),
        *((base.convert(mode), "TIFF", {}) for mode in ("CMYK", "F", "I;16", "L")),
        (base.convert("CMYK"), "JPEG", {}),
        (base.quantize(8), "PNG", {"transparency": 0}),
        (base.quantize(8), "GIF", {"save_all": True, "append_images": [base.quantize(8)] * 2}),
        (base, "PNG", {"save_all": True, "append_images": [base]}),
        (base, "JPEG", {"progressive": True}),
        (base, "TIFF", {"compression": "tiff_lzw"}),
    ]
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds.append((base, "JPEG", {"exif": exif.tobytes()}))
    found = []
    for image, kind, options in kinds:
        file = io.BytesIO()
        image.save(file, kind, **options)
        found.append(file.getvalue())
    return found


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return the content, changed in a few places; most often near its beginning."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        at = rng.randrange(min(len(data), rng.choice((64, 512, len(data)))))
        change = rng.randrange(6)
        if change == 0:
            del data[at:]
        elif change == 1:
            data[at] = rng.randrange(256)
        elif change == 2:
            piece = rng.choice(BYTES)
            data[at : at + len(piece)] = piece
        elif change == 3:
            del data[at : at + rng.randrange(1, 64)]
        elif change == 4:
            data[at:at] = data[at : at + rng.randrange(1, 64)]
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 16))
    return bytes(data)


def damaged_json(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one of its parts replaced or left out."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        if rng.random() < 0.1:
            return {key: each for key, each in value.items() if key != name}
        return {**value, name: damaged_json(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return [*value[:at], damaged_json(value[at], rng), *value[at + 1 :]]
    return rng.choice(NUMBERS)


class Harness:
    """A workspace with a model, and what was tried in it.

    Args:
        folder: An empty folder.
        model: A sound CLIP folder.
    """

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.model = model
        self.pictures = pictures()
        self.connection = thanosql_dbapi.connect(folder / "bad.db", progress=False, device="cpu")
        shutil.copytree(model, folder / "model")
        self.connection.execute("UPLOAD MODEL m FROM 'model'")
        # The libraries are loaded now, and count for no input.
        embed = "SELECT embed_text('m', 'x'), embed_image('m', ?)"
        self.connection.execute(embed, (self.pictures[0],)).fetchone()
        self.connection.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, image_path)")
        self.inputs: collections.Counter[str] = collections.Counter()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []

    def once(self, seed: int) -> None:
        """Try one input of each kind."""
        for name, work in (
            ("pictures", self.convert),
            ("models", self.upload),
            ("tables", self.copy),
        ):
            begin = time.monotonic()
            self.try_one(f"{name}, seed {seed}", work, random.Random(f"{name} {seed}"))
            if time.monotonic() - begin > LONGEST_S:
                self.wrong.append(f"{name}, seed {seed}: took {time.monotonic() - begin:.0f} s")

    def try_one(self, what: str, work: Callable[[random.Random], str], rng: random.Random) -> None:
        """Do one thing, and count what came of it."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                problem = work(rng)
            self.outcomes["answered"] += 1
            if problem:
                self.wrong.append(f"{what}: {problem}")
        except sqlite3.InternalError as error:
            self.outcomes["InternalError"] += 1
            self.wrong.append(f"{what}: InternalError: {error!a:.300}")
        except sqlite3.Error as error:
            self.outcomes[type(error).__name__] += 1
        except Exception as error:
            self.outcomes[type(error).__name__] += 1
            self.wrong.append(f"{what}: {type(error).__name__}: {error!a:.300}")
        if self.connection.in_transaction:
            self.wrong.append(f"{what}: a transaction is open")
            self.connection.rollback()

    def convert(self, rng: random.Random) -> str:
        """Embed damaged pictures, some as files, with sound ones between them."""
        rows: list[bytes | str] = []
        for number in range(ROWS):
            content = rng.choice(self.pictures)
            if number % 4:
                content = damaged(content, rng)
            if number % 3 == 0:
                (self.folder / f"{number}.img").write_bytes(content)
                rows.append(f"{number}.img")
            else:
                rows.append(content)
        self.inputs["pictures"] += ROWS
        self.connection.execute("DELETE FROM pictures")
        self.connection.executemany("INSERT INTO pictures VALUES (?, ?)", enumerate(rows))
        self.connection.commit()
        found = self.connection.execute("CONVERT USING m AS SELECT * FROM pictures").fetchall()
        missing = [row[0] for row in found if row[0] % 4 == 0 and row[-1] is None]
        return f"sound pictures {missing} have no vector" if missing else ""

    def upload(self, rng: random.Random) -> str:
        """Register a damaged model; where it is taken, it must embed."""
        folder = self.folder / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.model, folder)
        name = rng.choice(sorted(path.name for path in folder.iterdir()))
        path = folder / name
        if name.endswith(".json") and rng.random() < 0.8:
            content = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps(damaged_json(content, rng)), encoding="utf-8")
        elif rng.random() < 0.1:
            path.unlink()
        else:
            path.write_bytes(damaged(path.read_bytes(), rng))
        self.inputs["models"] += 1
        execute = self.connection.execute
        execute("UPLOAD MODEL d OPTIONS (overwrite=True) FROM 'damaged'")
        execute("SELECT embed_text('d', ?)", (f"a cat {rng.random()}",)).fetchone()
        execute("SELECT embed_image('d', ?)", (self.pictures[0],)).fetchone()
        return ""

    def copy(self, rng: random.Random) -> str:
        """Read a damaged table."""
        suffix, content = rng.choice(
            (
                (".csv", 'id,name,text\n1,"a, b",x\n2,"say ""no""",y\n3,ü한,\n'.encode() * 3),
                (".tsv", b"a\tb\n1\t2\n3\t4\n"),
                (".json", json.dumps([{"a": 1, "b": [1.5, 2.5]}, {"a": 2, "b": None}]).encode()),
                (".jsonl", b'{"a": 1, "b": "x"}\n{"a": 2.5, "b": null}\n' * 4),
            )
        )
        file = self.folder / f"table{suffix}"
        if suffix == ".json" and rng.random() < 0.5:
            content = json.dumps(damaged_json(json.loads(content), rng)).encode()
        else:
            content = damaged(content, rng)
        file.write_bytes(content)
        self.inputs["tables"] += 1
        self.connection.execute(f"COPY t OPTIONS (overwrite=True) FROM '{file.name}'")
        self.connection.execute("SELECT * FROM t").fetchall()
        return ""


def run(seconds: float, seed: int, folder: Path, model: Path) -> Harness:
    """Try until the time is over; the seeds count on from ``seed``."""
    harness = Harness(folder, model)
    command_line.try_seeds(harness, seconds, seed)
    return harness


if __name__ == "__main__":
    sys.exit(command_line.run_trial(run, __doc__, "inputs"))
