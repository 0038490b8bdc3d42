"""Kills, faults and interruptions: before or after a statement, never between.

Short forms of the programs in tests/long.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import thanosql

resource = pytest.importorskip("resource", reason="needs POSIX")

# What an audit hook sees of changes to files; SQLite's own are for tests/long.
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "shutil.copyfile")


def child(work: Callable[[], Any]) -> Any:
    """Return what a function returns or raises in a forked process; None if that is killed."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks beside threads, which hold no lock here
        process = os.fork()
    if process == 0:
        try:
            result = work()
        except BaseException as error:
            result = error
        os.write(writer, pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    os.waitpid(process, 0)
    return pickle.loads(content) if content else None


def killed_at(number: int, database: Path, *script: str) -> bool:
    """Kill statements at their n-th change of a file; return whether there was such a change."""

    def work() -> str:
        connection = thanosql.connect(database, progress=False)
        connection.isolation_level = None
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            writes = event == "open" and arguments[1] and set(str(arguments[1])) & set("wax+")
            if event in CHANGES or writes:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        for sql in script:
            connection.execute(sql)
        connection.close()
        return "done"

    return child(work) is None


@pytest.fixture
def other(workspace: Path) -> Path:
    """A second model folder of the workspace, whose fingerprint is another."""
    folder = Path(shutil.copytree(workspace / "tiny_clip", workspace / "other_clip"))
    settings = folder / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace("0.48145466", "0.5"))
    return folder


def fingerprints(database: Path) -> dict[str, str]:
    """Return the registered models, each searched with once."""
    with sqlite3.connect(database) as plain:
        found = dict(plain.execute("SELECT name, fingerprint FROM thanosql_models").fetchall())
    plain.close()
    connection = thanosql.connect(database, progress=False)
    for name in found:
        connection.execute("SELECT embed_text(?, 'a cat')", (name,)).fetchone()
    connection.close()
    return found


def hidden(workspace: Path) -> list[str]:
    folders = (workspace / "thanosql-model", workspace / "thanosql-dataset")
    names = [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return [name for name in names if name.startswith(".") and not name.startswith(".queries")]


REPLACE = "UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'other_clip'"


@pytest.mark.parametrize(
    "script",
    [
        (REPLACE,),
        ("DELETE MODEL m",),
        ("BEGIN", REPLACE, "COMMIT"),
        ("BEGIN", REPLACE, "ROLLBACK"),
        ("BEGIN", "DELETE MODEL m", "ROLLBACK"),
    ],
    ids=" ".join,
)
def test_a_killed_change_of_a_model(
    connection: thanosql.Connection, workspace: Path, other: Path, script: tuple[str, ...]
) -> None:
    connection.close()
    ready = Path(shutil.copytree(workspace, workspace.parent / "ready"))
    assert not killed_at(0, workspace / "photos.db", *script)
    after, before = fingerprints(workspace / "photos.db"), fingerprints(ready / "photos.db")
    assert hidden(workspace) == []
    for number in range(1, 200, 4):  # all of them: tests/long/crash_points.py
        shutil.rmtree(workspace)
        shutil.copytree(ready, workspace)
        if not killed_at(number, workspace / "photos.db", *script):
            break
        now = fingerprints(workspace / "photos.db")
        assert now in (before, after)
        again = child(lambda: _run(workspace / "photos.db", script))
        assert again is None or (now == after == {} and isinstance(again, thanosql.ModelError))
        assert fingerprints(workspace / "photos.db") == after
        assert hidden(workspace) == []
    assert number > 1


def _run(database: Path, script: tuple[str, ...]) -> None:
    connection = thanosql.connect(database, progress=False)
    connection.isolation_level = None
    for sql in script:
        connection.execute(sql)
    connection.close()


def test_a_rolled_back_change_of_a_model(
    connection: thanosql.Connection, workspace: Path, other: Path
) -> None:
    connection.isolation_level = None
    before = connection.execute("SELECT embed_text('m', 'a dog')").fetchone()
    for sql in (REPLACE, "DELETE MODEL m", "UPLOAD MODEL n FROM 'other_clip'"):
        connection.execute("BEGIN")
        connection.execute(sql)
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT model_name FROM (LIST MODEL)").fetchall() == [("m",)]
        assert connection.execute("SELECT embed_text('m', 'a dog')").fetchone() == before
    connection.close()
    assert hidden(workspace) == []
    assert not (workspace / "thanosql-model" / "n").exists()


def test_a_model_is_replaced_with_its_transaction(
    connection: thanosql.Connection, workspace: Path, other: Path
) -> None:
    connection.isolation_level = None
    connection.execute("BEGIN")
    connection.execute("DELETE MODEL m")
    connection.execute("UPLOAD MODEL m FROM 'other_clip'")
    connection.execute("SELECT embed_text('m', 'a dog')").fetchone()
    # Until the commit, others have the old one.
    reader = thanosql.connect(workspace / "photos.db", progress=False)
    reader.execute("SELECT embed_text('m', 'a dog')").fetchone()
    reader.execute("GET THANOSQL DATASET storybook OPTIONS (rows=2)")
    reader.close()
    connection.execute("COMMIT")
    connection.execute("SELECT embed_text('m', 'a dog')").fetchone()
    connection.close()
    assert hidden(workspace) == []
    settings = (workspace / "thanosql-model" / "m" / "preprocessor_config.json").read_text()
    assert settings == (other / "preprocessor_config.json").read_text()


def test_what_a_killed_process_left_is_put_right(
    connection: thanosql.Connection, workspace: Path
) -> None:
    fcntl = pytest.importorskip("fcntl")
    models, datasets = workspace / "thanosql-model", workspace / "thanosql-dataset"
    for name in (".a.0123abcd.partial", ".b.0123abcd.old", ".b.0123abcd.partial"):
        for folder in (models, datasets):
            (folder / name).mkdir(parents=True)
            (folder / name / name).touch()
    (datasets / ".c.0123abcd.partial").mkdir()
    with (datasets / ".c.0123abcd.journal").open("wb") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        connection.execute("COPY again FROM 'photos.csv'")
        assert sorted(hidden(workspace)) == [".c.0123abcd.journal", ".c.0123abcd.partial"]
    assert (datasets / "b" / ".b.0123abcd.old").is_file()
    connection.execute("COPY third FROM 'photos.csv'")
    assert hidden(workspace) == []


# ---- CONVERT ---------------------------------------------------------------------------------

INTO = (
    "CONVERT USING m OPTIONS (table_name='vectors', batch_size=1) AS"
    " SELECT photo_id, image_path FROM photos"
)


class Stops:
    """A progress that calls something at its n-th step, and counts the images."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at, self.act, self.totals, self.steps = at, act, set[int](), 0

    def __call__(self, done: int, total: int | None, what: str) -> None:
        if what.startswith("CONVERT") and total is not None:
            self.totals.add(total)
            self.steps += done > 0
            if self.steps == self.at:
                self.act()


def interrupt() -> None:
    raise KeyboardInterrupt("by the test")


@pytest.mark.usefixtures("writes_each_batch")
def test_a_killed_convert_into_a_table_goes_on(
    connection: thanosql.Connection, workspace: Path
) -> None:
    connection.close()
    copied = workspace.parent / "copied"
    # What a kill would leave: the files as they are after the third batch.
    stops = Stops(3, lambda: copied.exists() or shutil.copytree(workspace, copied))
    with_progress = thanosql.connect(workspace / "photos.db", progress=stops)
    with_progress.execute(INTO).fetchall()
    assert stops.totals == {6}
    going_on = Stops(0, interrupt)
    second = thanosql.connect(copied / "photos.db", progress=going_on)
    assert "vectors" not in [row[0] for row in second.execute("LIST TABLE")]
    second.execute(INTO).fetchall()
    assert going_on.totals == {3}
    rows = "SELECT * FROM vectors ORDER BY photo_id"
    for one, other in zip(with_progress.execute(rows), second.execute(rows), strict=True):
        assert one[:2] == other[:2]
        assert one[2] == pytest.approx(other[2], abs=1e-5)
    unfinished = "SELECT name FROM sqlite_master WHERE name = 'thanosql_unfinished'"
    assert second.execute(unfinished).fetchall() == []
    with_progress.close()
    second.close()


def test_a_changed_image_is_embedded_anew(connection: thanosql.Connection, workspace: Path) -> None:
    connection.close()
    stops, others = Stops(4, interrupt), set(threading.enumerate())
    first = thanosql.connect(workspace / "photos.db", progress=stops)
    with pytest.raises(KeyboardInterrupt, match="by the test"):
        first.execute(INTO)
    assert not first.in_transaction
    first.close()
    assert set(threading.enumerate()) <= others
    shutil.copyfile(workspace / "images" / "white.png", workspace / "images" / "red.png")
    second = thanosql.connect(workspace / "photos.db", progress=False)
    second.execute(INTO).fetchall()
    vectors = "SELECT m_clipen FROM vectors WHERE image_path LIKE ?"
    red, white = (
        second.execute(vectors, (f"%{color}%",)).fetchone()[0] for color in ("red", "white")
    )
    assert red == pytest.approx(white, abs=1e-5)
    second.close()


# ---- faults without a kill -------------------------------------------------------------------


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Limits the size of files, for a child."""

    def limit(size: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_is_no_damaged_archive(
    connection: thanosql.Connection, workspace: Path, small_files: Callable[[int], None]
) -> None:
    connection.close()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("large", os.urandom(200_000))
    (workspace / "large.zip").write_bytes(content.getvalue())
    catalog = workspace / "catalog.json"
    catalog.write_text('{"datasets": {"large": {"source": "large.zip"}}}')

    def work() -> None:
        limited = thanosql.connect(workspace / "photos.db", catalog=catalog, progress=False)
        small_files(100_000)
        limited.execute("GET THANOSQL DATASET large")

    error = child(work)
    assert isinstance(error, thanosql.SourceError)
    assert "cannot be written: File too large" in str(error)
    assert str(error).endswith("nothing was changed")
    assert list((workspace / "thanosql-dataset").iterdir()) == []


def test_too_many_open_files(connection: thanosql.Connection) -> None:
    import transformers

    assert transformers.CLIPVisionModelWithProjection  # imported before files are scarce
    connection.execute("CREATE TABLE t AS SELECT * FROM photos")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", thanosql.MediaWarning)
        for more in range(5):
            used = {int(each.name) for each in Path("/dev/fd").iterdir()}
            free = [number for number in range(1000) if number not in used]
            resource.setrlimit(resource.RLIMIT_NOFILE, (free[more], hard))
            try:
                connection.execute(
                    "CONVERT USING m OPTIONS (table_name='t', batch_size=3) AS SELECT * FROM t"
                )
            except sqlite3.Error as error:
                raised.append(str(error))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert raised
    assert all("Too many open files" in each or "unable to open" in each for each in raised)
    connection.execute("CONVERT USING m OPTIONS (table_name='t') AS SELECT * FROM t")
    assert connection.execute("SELECT count(m_clipen) FROM t").fetchone() == (6,)


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_closed_pipe(workspace: Path, form: list[str]) -> None:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 30000)"
    sql = f"{numbers} SELECT i FROM n"
    command = [sys.executable, "-m", "thanosql_dbapi", str(workspace / "x.db"), sql, *form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 0


def test_a_kill_between_the_commit_and_the_end_of_convert(
    connection: thanosql.Connection,
) -> None:
    connection.execute(INTO).fetchall()
    connection.execute("CREATE TABLE thanosql_unfinished (target, source, vector)")
    with pytest.raises(sqlite3.OperationalError, match="table 'vectors' exists"):
        connection.execute(INTO)
    unfinished = "SELECT name FROM sqlite_master WHERE name = 'thanosql_unfinished'"
    assert connection.execute(unfinished).fetchall() == []


def test_a_database_that_others_lock_meanwhile_costs_no_vector(
    connection: thanosql.Connection, workspace: Path, writes_each_batch: None
) -> None:
    """What the model has made is known by its content when the statement is run again."""
    connection.close()
    file = workspace / "photos.db"
    sql = "CONVERT USING m OPTIONS (batch_size=1, table_name='photos') AS SELECT * FROM photos"
    other = sqlite3.connect(file, isolation_level=None)
    steps: list[int] = []

    def lock(done: int, total: int | None, what: str) -> None:
        if not steps:
            other.execute("BEGIN IMMEDIATE")
        steps.append(done)

    with (
        thanosql.connect(file, progress=lock, device="cpu", timeout=0) as locked,
        pytest.raises(sqlite3.OperationalError, match="database is locked"),
    ):
        locked.execute(sql)
    assert steps == [1]
    other.rollback()
    other.close()
    locked.close()
    with thanosql.connect(file, progress=False, device="cpu") as again:
        again.execute(sql)
        report = again.report
    again.close()
    assert isinstance(report, thanosql.ConvertReport)
    assert (report.unchanged, report.reused) == (1, 1)
