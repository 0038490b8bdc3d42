"""Mutated statements through `parse` and `execute`, for as long as wanted.

    python tests/long/fuzz.py --seconds 60 [--seed 1]

Sound statements are cut, joined, nested and strewn with odd tokens, and get odd values bound. Right
is: an answer, or one of PEP 249's exceptions but `InternalError`, with a message that can be
printed; no transaction left open; none takes longer than `LONGEST_S`. A text of plain SQL may raise
what sqlite3 itself raises for it. Ends with 1 and the seed of each statement that was wrong.
"""

from __future__ import annotations

import collections
import random
import shutil
import sqlite3
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image

import thanosql_dbapi
from thanosql_dbapi.language import parse

sys.path.insert(0, str(Path(__file__).parent))

import command_line

LONGEST_S = 60.0
SOUND = (
    "SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos",
    "SEARCH IMAGE text='a cat', 'a dog' USING m OPTIONS (result_col='s', top_k=2) AS photos",
    "SEARCH TEXT text=? USING m OPTIONS (threshold=0.1) AS SELECT * FROM photos WHERE id > ?",
    "SEARCH IMAGE image='red.png' USING m AS SELECT id, m_clipen FROM photos",
    "SELECT id, s FROM (SEARCH IMAGE text='x' USING m OPTIONS (result_col='s') AS photos)",
    "WITH a AS (SEARCH IMAGE text='x' USING m AS SELECT * FROM photos) SELECT count(*) FROM a",
    "CREATE TEMP VIEW v AS SELECT * FROM (SEARCH IMAGE text='x' USING m AS SELECT * FROM photos)",
    "CONVERT USING m OPTIONS (image_col='image_path', batch_size=2) AS SELECT * FROM photos",
    "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos LIMIT 1",
    "CONVERT USING m OPTIONS (convert_type='text', text_col='t') AS SELECT 'x' AS t",
    "INSERT INTO copied SELECT id FROM (SEARCH IMAGE text='x' USING m AS SELECT * FROM photos)",
    "PRINT IMAGE AS SELECT image_path FROM photos",
    "COPY copied OPTIONS (overwrite=True) FROM 'photos.csv'",
    "COPY copied OPTIONS (if_exists='append') FROM '[{\"id\": 1}]'",
    "LIST MODEL",
    "SELECT * FROM (LIST MODEL)",
    "LIST THANOSQL DATASET",
    "GET THANOSQL MODEL nothing OPTIONS (overwrite=True)",
    "UPLOAD MODEL u OPTIONS (framework='pytorch') FROM 'nothing'",
    "DELETE MODEL u",
    "SELECT id FROM photos ORDER BY cosine_similarity(m_clipen, embed_text('m', 'x')) DESC LIMIT 1",
    "SELECT embed_image('m', 'red.png'), embed_text('m', ?)",
    "EXPLAIN SEARCH IMAGE text='x' USING m AS SELECT * FROM photos",
)
TOKENS = (
    *("(", ")", ",", ";", "=", "?", "?2", ":a", "@b", "$c", "'", '"', "`", "[", "]", "--", "/*"),
    *(
        "*/",
        "\0",
        "\ud800",
        "\ufeff",
        "\u2028",
        "é",
        "한",
        "''",
        "'it''s'",
        '"a b"',
        "0x1F",
        "1e999",
    ),
    *("-1", "99999999999999999999", "NULL", "True", "x'00'", "AS", "USING", "OPTIONS", "FROM"),
    *("SEARCH", "IMAGE", "TEXT", "CONVERT", "COPY", "SELECT", "WITH", "UNION", "WHERE", "LIMIT"),
    *("ORDER BY", "GROUP BY", "text", "image", "top_k", "threshold", "photos", "m", "nothing"),
)
VALUES: tuple[Any, ...] = (
    *("x", "", "red.png", "\ud800", "a\0b", b"", b"x", None, True, 0, -1, 2**70, 1.5, float("nan")),
    *([], ["a", 1], ("x",), {}, object(), "y" * 5000),
)


def mutated(rng: random.Random) -> str:
    """Return a statement that is nearly one."""
    text = rng.choice(SOUND)
    for _ in range(rng.choice((0, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.randrange(1, 12))
        change = rng.randrange(8)
        if change == 0:
            text = text[:at] + text[to:]
        elif change == 1:
            text = f"{text[:at]} {rng.choice(TOKENS)} {text[at:]}"
        elif change == 2:
            text = text[:at] + rng.choice(TOKENS) + text[to:]
        elif change == 3:
            text = text[:at]
        elif change == 4:
            words = text.split(" ")
            one, other = rng.randrange(len(words)), rng.randrange(len(words))
            words[one], words[other] = words[other], words[one]
            text = " ".join(words)
        elif change == 5:
            text = f"{text[:at]} ({rng.choice(SOUND)}) {text[at:]}"
        elif change == 6:
            text = text[:at] + text[at:to] * rng.choice((2, 5, 50)) + text[to:]
        else:
            other_text = rng.choice(SOUND)
            text = text[:at] + other_text[rng.randrange(len(other_text)) :]
    return text


def bound(text: str, rng: random.Random) -> Any:
    """Return values for a text, most often as many as it has placeholders."""
    if rng.random() < 0.1:
        return rng.choice(((), {}, 5, None, "ab", {"a": 1, "b": 2, "c": 3}))
    return tuple(rng.choice(VALUES) for _ in range(text.count("?")))


class Harness:
    """A database to try statements on, and what came of them.

    Args:
        folder: An empty folder.
        model: A sound CLIP folder.
    """

    def __init__(self, folder: Path, model: Path) -> None:
        folder = folder.resolve()
        shutil.copytree(model, folder / "model")
        for name in ("red", "blue"):
            Image.new("RGB", (40, 40), name).save(folder / f"{name}.png")
        (folder / "photos.csv").write_text("id,image_path\n1,red.png\n2,blue.png\n")
        self.connection = thanosql_dbapi.connect(folder / "fuzz.db", progress=False, device="cpu")
        execute = self.connection.execute
        execute("COPY photos FROM 'photos.csv'")
        execute("UPLOAD MODEL m FROM 'model'")
        execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
        execute("CREATE TABLE copied (id)")
        self.connection.commit()
        self.statements = 0
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []

    def once(self, seed: int) -> None:
        """Try one statement."""
        rng = random.Random(f"statement {seed}")
        text = mutated(rng)
        values = bound(text, rng)
        begin = time.monotonic()
        self.statements += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.connection.execute(text, values).fetchmany(20)
            outcome, problem = "answered", ""
        except Exception as error:
            outcome, problem = type(error).__name__, self.problem(text, values, error)
        self.outcomes[outcome] += 1
        took = time.monotonic() - begin
        if took > LONGEST_S:
            problem = f"took {took:.0f} s"
        if problem:
            self.wrong.append(f"seed {seed}: {problem}; {text!a:.400}")
        if self.connection.in_transaction:
            self.connection.rollback()

    def problem(self, text: str, values: Any, error: Exception) -> str:
        """Return what is wrong with an error, or ""."""
        shown = f"{type(error).__name__}: {error!a:.300}"
        if isinstance(error, sqlite3.InternalError):
            return shown
        if isinstance(error, sqlite3.Error):
            try:
                str(error).encode()
            except UnicodeEncodeError:
                return f"a message that cannot be printed: {shown}"
            return ""
        if parse(text) is not None:
            return shown
        # An empty database refuses many a text earlier: then the same values in one it does not.
        attempts = [text]
        if isinstance(values, tuple):
            attempts.append("SELECT " + ",".join("?" * len(values)))
        for attempt in attempts:
            # One each: Python's sqlite3 may raise the error of the call before.
            with closing(sqlite3.connect(":memory:")) as plain:
                try:
                    plain.execute(attempt, values)
                except Exception as own:
                    if type(own) is type(error):
                        return ""
        return shown


def run(seconds: float, seed: int, folder: Path, model: Path) -> Harness:
    """Try until the time is over; the seeds count on from ``seed``."""
    harness = Harness(folder, model)
    command_line.try_seeds(harness, seconds, seed)
    return harness


if __name__ == "__main__":
    sys.exit(command_line.run_trial(run, __doc__, "statements"))
