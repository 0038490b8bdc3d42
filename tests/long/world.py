"""The actors of the state machine, and how a search is compared with a scan."""

from __future__ import annotations

import collections
import itertools
import json
import shutil
import sqlite3
import tempfile
import warnings
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from album import MODEL, TEXT, connect, convert, copy_database, vector

import thanosql_dbapi
from thanosql_dbapi.planning.answer import Way
from thanosql_dbapi.statements import topk
from thanosql_dbapi.stores.sqlite.topk import best, blocks, matrices

warnings.simplefilter("ignore")
_numbers = itertools.count()
_LOCKED = "database is locked"
Error = (sqlite3.Error, OverflowError)


def lower_thresholds() -> None:
    """Let tables of fifty rows take every path."""
    best.MOST_CHANGES = 12
    matrices.MOST_CHANGES, matrices.LONGEST_LOG, matrices.FEWEST_FILED = 12, 60, 30
    topk.FEWEST_ROWS = 16
    blocks.FEWEST_ROWS, blocks.MOST_ROWS, blocks.THREAD_BYTES = 8, 16, 256


class Difference(Exception):  # noqa: N818 - what the harness looks for
    """A search whose answer is not that of the scan."""

    place = 0


SHAPES = (
    "SELECT rowid AS r, code, cosine_similarity({c}, :q) AS s FROM {t} ORDER BY s DESC LIMIT {n}",
    "SELECT code FROM {t} WHERE album < 5 ORDER BY cosine_similarity({c}, :q) DESC LIMIT {n}",
    (
        "SELECT rowid AS r, cosine_similarity({c}, :q) AS s FROM {t} WHERE {c} IS NOT NULL"
        " ORDER BY s DESC LIMIT {n} OFFSET 1"
    ),
    (
        "SELECT count(*), sum(r) FROM (SELECT rowid AS r FROM {t}"
        " ORDER BY cosine_similarity({c}, :q) DESC LIMIT {n})"
    ),
)
SEARCHES = (
    (
        "SELECT r, s FROM (SEARCH IMAGE text='%s' USING %s OPTIONS (emb_col='{c}', result_col='s')"
        " AS SELECT rowid AS r, * FROM {t}) ORDER BY s DESC LIMIT {n}"
    ),
    (
        "SELECT * FROM (SEARCH IMAGE text='%s' USING %s OPTIONS (emb_col='{c}', result_col='s',"
        " top_k={n}) AS SELECT rowid AS r, code, {c} FROM {t})"
    ),
    (
        "SELECT * FROM (SEARCH IMAGE text='%s' USING %s OPTIONS (emb_col='{c}', result_col='s')"
        " AS SELECT * FROM {t} WHERE album < 5) ORDER BY s DESC LIMIT {n}"
    ),
)


def compare(connection: thanosql_dbapi.Connection, search: list[Any]) -> str:
    """Compare one search with a scan of the same connection.

    Returns:
        What answered: ``"matrix"``, ``"scan"`` or ``"error"``.

    Raises:
        Difference: They differ.
    """
    shape, table, column, seed, count = search
    table, column = _there(connection, table, column)
    values = {"q": vector(seed)}
    if shape < 5:
        sql = SHAPES[shape % len(SHAPES)].format(c=column, t=table, n=count)
        found = _outcome(connection.execute, sql, values)
        way = _way(connection)
        # A new text each time: a prepared statement goes on reading aux.photos where main.photos
        # has come since.
        scan = f"{sql} /* {next(_numbers)} */"
        wanted = _outcome(sqlite3.Cursor(connection).execute, scan, values)
    else:
        template = SEARCHES[shape - 5] % (TEXT, MODEL)
        found = _outcome(connection.execute, template.format(c=column, t=table, n=count))
        way = _way(connection)
        # Rows of a subquery are scanned.
        rows = f"(SELECT rowid, * FROM {table})"
        scan = template.replace("SELECT * FROM {t} WHERE", "SELECT {rest} FROM {t} WHERE")
        names = ", ".join(_columns(connection, table))
        scan = f"{scan.format(c=column, t=rows, n=count, rest=names)} /* {next(_numbers)} */"
        wanted = _outcome(connection.execute, scan)
        if isinstance(wanted, list) and _way(connection) == "matrix":
            raise AssertionError(f"the scan was not one: {scan}")
    if _LOCKED in (found, wanted) or (isinstance(found, str) and isinstance(wanted, str)):
        return "error"
    if found != wanted:
        raise Difference(f"{way} for {search}\n  found  {found}\n  wanted {wanted}")
    return "error" if isinstance(found, str) else way


def _way(connection: thanosql_dbapi.Connection) -> str:
    notes = connection._state.answers
    return "matrix" if notes and notes[-1].way is Way.MATRIX else "scan"


def _there(connection: thanosql_dbapi.Connection, table: str, column: str) -> tuple[str, str]:
    """Return the table and column, or others where they are not there."""
    for name in (table, "photos", "pictures"):
        columns = _columns(connection, name)
        for each in (column, "v", "u", "x"):
            if each in columns and "album" in columns:
                return name, each
    return table, column


def _columns(connection: thanosql_dbapi.Connection, table: str) -> list[str]:
    schema, _, name = table.rpartition(".")
    with suppress(sqlite3.Error):
        pragma = f"PRAGMA {schema}.table_info({name})" if schema else f"PRAGMA table_info({name})"
        return [row[1] for row in sqlite3.Cursor(connection).execute(pragma)]
    return []


def _outcome(execute: Any, sql: str, values: Any = ()) -> Any:
    try:
        return [tuple(map(_plain, row)) for row in execute(sql, values)]
    except sqlite3.Error as error:
        return str(error)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tobytes()
    return value.hex()[:12] if isinstance(value, bytes) else value


def _impatient(status: int, remaining: int, total: int) -> None:
    """End a backup that sqlite3 would try for ever."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("database is locked")


class Actor:
    """One connection; what it does may fail, as SQLite says."""

    def __init__(self, file: Path, *, is_driver: bool) -> None:
        self.file, self.is_driver = file, is_driver
        self.triggers: list[str] = []
        self.open()

    def open(self) -> None:
        """Open the file."""
        if self.is_driver:
            self.connection: Any = connect(self.file, timeout=0)
        else:
            self.connection = sqlite3.connect(self.file, isolation_level=None, timeout=0)
        self.connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug

    def perform(self, what: list[Any]) -> bool:
        """Do one thing, and return whether SQLite let it be done."""
        kind, *arguments = what
        try:
            getattr(self, f"do_{kind}")(*arguments)
        except Error:
            return False
        return True

    def do_sql(self, sql: str) -> None:
        self.connection.execute(sql).fetchall()

    def do_replace(self, first: int, seeds: list[int]) -> None:
        rows = [(f"c{first + n}", n % 7, vector(seed)) for n, seed in enumerate(seeds)]
        self._many("INSERT OR REPLACE INTO photos (code, album, v) VALUES (?, ?, ?)", rows)

    def do_upsert(self, first: int, seeds: list[int]) -> None:
        rows = [(f"c{first + n}", vector(seed)) for n, seed in enumerate(seeds)]
        self._many(
            "INSERT INTO photos (code, v) VALUES (?, ?)"
            " ON CONFLICT (code) DO UPDATE SET v = excluded.v",
            rows,
        )

    def do_insert(self, seeds: list[int]) -> None:
        rows = [(n % 7, f"a dog {n}", vector(seed)) for n, seed in enumerate(seeds)]
        self._many("INSERT INTO photos (album, text, v) VALUES (?, ?, ?)", rows)

    def do_update(self, first: int, seeds: list[int]) -> None:
        rows = [(vector(seed), first + n) for n, seed in enumerate(seeds)]
        self._many("UPDATE photos SET v = ? WHERE rowid = ?", rows)

    def do_move(self, old: int, new: int) -> None:
        sql = "UPDATE OR REPLACE photos SET rowid = ? WHERE rowid = ?"
        self.connection.execute(sql, (new, old))

    def do_delete(self, first: int, count: int) -> None:
        self.connection.execute(
            "DELETE FROM photos WHERE rowid BETWEEN ? AND ?", (first, first + count - 1)
        )

    def do_untrigger(self, number: int) -> None:
        found = self.connection.execute(
            "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' ORDER BY name"
        ).fetchall()
        if found:
            name, sql = found[number % len(found)]
            self.connection.execute(f"DROP TRIGGER main.{name}")
            self.triggers.append(sql)

    def do_retrigger(self) -> None:
        for sql in self.triggers:
            with suppress(sqlite3.Error):
                self.connection.execute(sql)

    def do_attach(self) -> None:
        other = self.file.with_name("aux.db")
        self.connection.execute("ATTACH ? AS aux", (str(other),))

    def do_convert(self, column: str, album: int) -> None:
        if self.is_driver:
            self.connection.execute(convert("photos", column, f"album = {album}")).fetchall()

    def do_reopen(self) -> None:
        self.connection.close()
        self.open()

    def do_save(self) -> None:
        with closing(sqlite3.connect(self.file.with_name("saved.db"))) as saved:
            self.connection.backup(saved, progress=_impatient)

    def do_backup(self) -> None:
        saved = self.file.with_name("saved.db")
        if not self.connection.in_transaction and saved.exists():
            with closing(sqlite3.connect(saved)) as source:
                source.backup(self.connection, progress=_impatient)

    def do_catch_up(self) -> None:
        """Move the schema's version to that of the side file, as other DDL could have done."""
        for side in self.file.parent.glob(f"{self.file.name}-thanosql?"):
            header = json.loads(side.read_bytes()[:4096].partition(b"\n")[0].partition(b" ")[2])
            (version,) = self.connection.execute("PRAGMA schema_version").fetchone()
            if header["cookie"] - version > 60:
                continue
            for _ in range((header["cookie"] - version) // 2):
                self.connection.execute("CREATE TABLE passing (a)")
                self.connection.execute("DROP TABLE passing")
            (version,) = self.connection.execute("PRAGMA schema_version").fetchone()
            if version + 1 == header["cookie"]:
                self.connection.execute("CREATE TABLE IF NOT EXISTS passed (a)")

    def _many(self, sql: str, rows: list[Any]) -> None:
        own = not self.connection.in_transaction
        if own:
            self.connection.execute("BEGIN")
        try:
            self.connection.executemany(sql, rows)
            if own:
                self.connection.execute("COMMIT")
        finally:
            if own and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")


class Far:
    """The actor in the second process."""

    def __init__(self, pipe: Any, file: Path) -> None:
        self._pipe = pipe
        self._ask("new", file)

    def perform(self, what: list[Any]) -> bool:
        """Do one thing there."""
        return bool(self._ask("perform", what))

    def compare(self, search: list[Any]) -> str:
        """Compare there."""
        return str(self._ask("compare", search))

    def open(self) -> None:
        """Open the file there."""
        self._ask("open", None)

    def close(self) -> None:
        """Close it there."""
        self._ask("close", None)

    def _ask(self, what: str, argument: Any) -> Any:
        self._pipe.send((what, argument))
        kind, answer = self._pipe.recv()
        if kind == "difference":
            raise Difference(answer)
        if kind == "error":
            raise RuntimeError(answer)
        return answer


def serve(pipe: Any) -> None:
    """Do what the first process asks for, until it sends None."""
    lower_thresholds()
    actor: Any = None
    while (asked := pipe.recv()) is not None:
        what, argument = asked
        try:
            answer: Any = None
            if what == "new":
                actor = Actor(argument, is_driver=True)
            elif what == "perform":
                answer = actor.perform(argument)
            elif what == "compare":
                answer = compare(actor.connection, argument)
            elif what == "open":
                actor.open()
            else:
                actor.connection.close()
            pipe.send(("done", answer))
        except Difference as difference:
            pipe.send(("difference", str(difference)))
        except BaseException as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))


class World:
    """A copy of the workspace's database, and everybody who uses it.

    Args:
        workspace: The folder with the model and the databases to copy.
        process: The pipe to the second process.
        number: Which of the two databases.
        journal: Its journal mode.
    """

    def __init__(self, workspace: Path, process: Any, number: int, journal: str) -> None:
        lower_thresholds()
        self.counts = collections.Counter[str]()
        self._folder = Path(tempfile.mkdtemp(dir=workspace))
        (self._folder / "thanosql-model").symlink_to(workspace / "thanosql-model")
        self.file = self._folder / "photos.db"
        for name in ("photos.db", "aux.db"):
            shutil.copyfile(workspace / f"photos{number}.db", self._folder / name)
        with closing(sqlite3.connect(self.file)) as plain:
            plain.execute(f"PRAGMA journal_mode = {journal}")
        self.near = {
            "a": Actor(self.file, is_driver=True),
            "b": Actor(self.file, is_driver=True),
            "p": Actor(self.file, is_driver=False),
        }
        self.far = Far(process, self.file)

    def perform(self, what: list[Any]) -> None:
        """Do one thing."""
        kind, actor, *arguments = what
        if kind in ("overwrite", "exchange"):
            done = getattr(self, f"_{kind}")(*arguments)
        else:
            doer: Any = self.far if actor == "w" else self.near[actor]
            done = doer.perform([kind, *arguments])
        self.counts["operations" if done else "refused operations"] += 1

    def compare(self, searches: list[list[Any]]) -> None:
        """Compare searches with scans.

        Raises:
            Difference: They differ.
        """
        for actor, *search in searches:
            if actor == "w":
                way = self.far.compare(search)
            else:
                way = compare(self.near[actor].connection, search)
            self.counts[f"searches by {way}" if way != "error" else "searches refused"] += 1

    def close(self) -> None:
        """Close everything."""
        self._close_all()
        shutil.rmtree(self._folder)

    def _close_all(self) -> None:
        for actor in self.near.values():
            actor.connection.close()
        self.far.close()

    def _open_all(self) -> None:
        for actor in self.near.values():
            actor.open()
        self.far.open()

    def _overwrite(self, source: str) -> bool:
        """Write another database over the file, which keeps its inode, while nobody has it open."""
        self._close_all()
        try:
            other = self._other(source)
            if other is not None:
                copy_database(other, self.file)
        finally:
            self._open_all()
        return other is not None

    def _exchange(self, source: str) -> bool:
        """Put another database in the file's place, which may get the same inode."""
        self._close_all()
        try:
            other = self._other(source)
            if other is not None:
                self.file.unlink()
                copy_database(other, self.file)
        finally:
            self._open_all()
        return other is not None

    def _other(self, source: str) -> Path | None:
        saved = self._folder / "saved.db"
        if source == "saved":
            return saved if saved.exists() else None
        dumped = self._folder / "dumped.db"
        dumped.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.file)) as old, closing(sqlite3.connect(dumped)) as new:
            try:
                new.executescript("\n".join(old.iterdump()))
            except sqlite3.Error:
                return None
        return dumped
