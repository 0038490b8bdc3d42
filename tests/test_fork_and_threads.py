"""After a fork, and on a connection that threads share: an answer or an error, never a wait.

Each case is a program of its own, which is ended when it does not end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import thanosql_dbapi

WAIT_S = 120

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

HEAD = """
import faulthandler, os, sqlite3, sys, threading, time
faulthandler.dump_traceback_later(100, exit=True)
import thanosql_dbapi

def opened(**options):
    return thanosql_dbapi.connect(sys.argv[1], progress=False, device="cpu", **options)

def search(connection, text):
    return connection.execute(
        "SEARCH TEXT text=? USING m AS SELECT * FROM photos", (text,)
    ).fetchall()

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    print("hangs", flush=True)
"""


def ran(connection: thanosql_dbapi.Connection, program: str) -> str:
    """Return what a program prints that works on the connection's database, which is closed."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    connection.close()
    root = str(Path(thanosql_dbapi.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HEAD + program, path],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env={**os.environ, "PYTHONPATH": root, "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_fork
def test_a_child_embeds_what_is_new_after_its_parent_has(
    converted: thanosql_dbapi.Connection,
) -> None:
    said = ran(
        converted,
        """
search(opened(), "of the parent")

def work():
    connection = opened()
    print(len(search(connection, "of the child")))
    converted = "CONVERT USING m AS SELECT * FROM photos"
    print(sum(row[-1] is not None for row in connection.execute(converted).fetchall()))

in_child(work)
in_child(lambda: in_child(work))
search(opened(), "of the parent, later")
""",
    )
    assert said == "6\n6\n" * 2


@needs_fork
def test_a_fork_waits_for_a_model_that_another_thread_uses(
    converted: thanosql_dbapi.Connection,
) -> None:
    # The model alone: SQLite's own mutexes may be held at a fork, whoever uses it.
    said = ran(
        converted,
        """
from pathlib import Path
from thanosql_dbapi.models.encoder import load_encoder

encoder = load_encoder(Path(sys.argv[1]).parent / "thanosql-model" / "m", device="cpu")
encoder.embed_texts(["first"])
is_over = threading.Event()

def embed():
    while not is_over.is_set():
        encoder.embed_texts(["a text"] * 50)

thread = threading.Thread(target=embed)
thread.start()
for number in range(8):
    in_child(lambda: print(encoder.embed_texts(["of the child"]).shape))
is_over.set()
thread.join()
""",
    )
    assert said == "(1, 24)\n" * 8


@needs_fork
def test_a_connection_carried_over_a_fork_says_so(converted: thanosql_dbapi.Connection) -> None:
    said = ran(
        converted,
        """
connection, shared = opened(), opened(check_same_thread=False)
cursor = connection.cursor()
connection.execute("INSERT INTO photos (photo_id) VALUES ('99')")  # a transaction is open

def attempts(connection, cursor):
    yield lambda: connection.execute("SELECT 1")
    yield lambda: cursor.execute("SELECT 1")
    yield lambda: cursor.executemany("INSERT INTO photos (photo_id) VALUES (?)", [("1",)])
    yield lambda: cursor.executescript("DELETE FROM photos")
    yield lambda: search(connection, "x")
    yield connection.commit
    yield connection.rollback
    yield connection.cursor
    yield lambda: connection.__exit__(None, None, None)

def work():
    for connection_, cursor_ in ((connection, cursor), (shared, cursor)):
        for attempt in attempts(connection_, cursor_):
            try:
                attempt()
                print("did it")
            except sqlite3.ProgrammingError as error:
                assert "carried by fork" in str(error) and str(os.getppid()) in str(error), error
        connection_.close()
    print(len(search(opened(), "the child's own")))

in_child(work)
connection.commit()
print(connection.execute("SELECT count(*) FROM photos").fetchone()[0])
""",
    )
    assert said == "6\n7\n"


def test_threads_share_a_connection_whose_functions_embed(
    converted: thanosql_dbapi.Connection,
) -> None:
    said = ran(
        converted,
        """
connection = opened(check_same_thread=False)
wrong = []

def embed(number):
    for count in range(40):
        text = f"{number} {count}"
        row = connection.execute("SELECT embed_text('m', ?)", (text,)).fetchone()
        if len(row[0]) != 96:
            wrong.append(row)
        search(connection, text)

def read(number):
    for count in range(1500):
        cursor = connection.cursor()
        rows = list(cursor.execute("SELECT ?, photo_id FROM photos", (count,)))
        if [row[0] for row in rows] != [count] * 6:
            wrong.append(rows)

threads = [threading.Thread(target=work, args=(n,)) for work in (embed, read) for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(80)
print(wrong, sum(thread.is_alive() for thread in threads))
""",
    )
    assert said == "[] 0\n"


def test_a_shared_connection_is_still_of_its_class(tmp_path: Path) -> None:
    class Mine(thanosql_dbapi.Connection):
        pass

    class MyCursor(thanosql_dbapi.Cursor):
        pass

    connection = Mine(tmp_path / "a.db", check_same_thread=False)
    assert isinstance(connection, Mine)
    assert type(connection).__name__ == "Mine"
    assert isinstance(connection.cursor(MyCursor), MyCursor)
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    assert list(connection.cursor().execute("SELECT x FROM t")) == [(1,)]
    connection.close()
