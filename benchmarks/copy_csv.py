"""COPY of a CSV file, beside pandas and the sqlite3 shell: ``python -m benchmarks.copy_csv``.

Each candidate reads the same file into a new database file with SQLite's own settings. The shell
is told the column types that COPY finds; it stores empty fields as empty texts, so its table is
not quite the same.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import thanosql_dbapi

from .measure import compare, machine
from .memory import peak_bytes

_PHRASES = (
    *("a cat on a chair", "검은 고양이", "the river, at night", "a gloomy street, rain"),
    *('the "old" bridge', "light", "바다와 하늘", "portrait of a dog", "window"),
)
_TYPES = {
    "mixed": (
        "photo_id INTEGER, image_path TEXT, description TEXT, latitude REAL, longitude REAL,"
        " likes INTEGER"
    ),
    "texts": "photo_id TEXT, image_path TEXT, description TEXT, author TEXT, license TEXT",
}


def write_csv(path: Path, kind: str, rows: int) -> None:
    """Write a file of ``rows`` photographs, about 150 bytes each.

    Args:
        path: The file.
        kind: ``"mixed"`` for numbers and texts with commas, quotes, Korean and empty fields,
            ``"texts"`` for texts only.
        rows: Number of rows after the header.
    """
    make = _mixed if kind == "mixed" else _texts
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([each.split()[0] for each in _TYPES[kind].split(",")])
        writer.writerows(make(rows, random.Random(0)))


def _mixed(rows: int, source: random.Random) -> Iterator[list[object]]:
    for number in range(1, rows + 1):
        located = source.random() < 0.9
        yield [
            number,
            f"images/{number % 100:02d}/{source.randrange(16**12):012x}.jpg",
            " ".join(source.choices(_PHRASES, k=5)) if source.random() < 0.95 else "",
            source.uniform(-90, 90) if located else "",
            round(source.uniform(-180, 180), 6) if located else "",
            source.randrange(100_000) if source.random() < 0.97 else "",
        ]


def _texts(rows: int, source: random.Random) -> Iterator[list[object]]:
    for number in range(1, rows + 1):
        yield [
            f"p{number:08d}",
            f"images/{number % 100:02d}/{source.randrange(16**12):012x}.jpg",
            " ".join(source.choices(_PHRASES, k=5)),
            f"author {source.randrange(5_000)}",
            source.choice(("CC BY 4.0", "CC0 1.0", "")),
        ]


def copy(file: Path, database: Path) -> None:
    """Read the file by COPY."""
    with closing(
        thanosql_dbapi.connect(database, allowed_directories=[file.parent], progress=False)
    ) as own:
        own.execute("COPY photos FROM ?", (file,))


def pandas(file: Path, database: Path, chunk_rows: int | None = None) -> None:
    """Read the file by pandas, whole or in chunks."""
    import pandas

    with closing(sqlite3.connect(database)) as connection:
        if chunk_rows is None:
            pandas.read_csv(file).to_sql("photos", connection, index=False)
        else:
            with pandas.read_csv(file, chunksize=chunk_rows) as frames:
                for frame in frames:
                    frame.to_sql("photos", connection, index=False, if_exists="append")
        connection.commit()


def shell(file: Path, database: Path) -> None:
    """Read the file by the sqlite3 shell's ``.import --csv``."""
    kind = file.stem.partition("-")[0]
    subprocess.run(
        ["sqlite3", database],
        input=f"CREATE TABLE photos ({_TYPES[kind]});\n.import --csv --skip 1 {file} photos\n",
        text=True,
        check=True,
    )


_WAYS: dict[str, Callable[[Path, Path], None]] = {
    "thanosql COPY": copy,
    "pandas read_csv + to_sql": pandas,
    "the same, 10,000 rows at a time": lambda file, database: pandas(file, database, 10_000),
    "sqlite3 shell .import --csv": shell,
}


def _times(file: Path, folder: Path, runs: int) -> None:
    def candidate(way: Callable[[Path, Path], None]) -> Callable[[], None]:
        def work() -> None:
            database = folder / "photos.db"
            database.unlink(missing_ok=True)
            way(file, database)

        return work

    ways = {name: way for name, way in _WAYS.items() if way is not shell or shutil.which("sqlite3")}
    title = f"{file.name}, {file.stat().st_size / 1e6:.0f} MB"
    compare(title, {name: candidate(way) for name, way in ways.items()}, runs=runs)


def _memory(files: dict[int, Path], folder: Path) -> None:
    print("\n### Peak memory of a fresh process\n")
    print("| |" + "|".join(f" {rows:,} rows " for rows in files) + "|")
    print("|---|" + "---:|" * len(files))
    for name in list(_WAYS)[:3]:
        peaks = []
        for file in files.values():
            command = [sys.executable, "-m", "benchmarks.copy_csv", "--once", name, str(file)]
            (folder / "photos.db").unlink(missing_ok=True)
            peaks.append(peak_bytes([*command, "--folder", str(folder)]))
        print(f"| {name} |" + "|".join(f" {peak / 1e6:.0f} MB " for peak in peaks) + "|")


def main() -> None:
    """Write the files, time the candidates and take their memory."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files go; default: a temporary one")
    parser.add_argument("--once", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        _WAYS[given.once[0]](Path(given.once[1]), given.folder / "photos.db")
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        print(machine("pandas"))
        files = {}
        for kind, rows in (
            ("mixed", given.rows // 10),
            ("mixed", given.rows),
            ("texts", given.rows),
        ):
            files[kind, rows] = folder / f"{kind}-{rows}.csv"
            write_csv(files[kind, rows], kind, rows)
        # First, while this process is small: Linux counts its size at the fork as the child's.
        _memory({rows: file for (kind, rows), file in files.items() if kind == "mixed"}, folder)
        _times(files["mixed", given.rows], folder, given.runs)
        _times(files["texts", given.rows], folder, given.runs)


if __name__ == "__main__":
    main()
