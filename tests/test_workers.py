"""Pictures decoded in processes: the same as in threads, and what ends, ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from test_bad_pictures import BAD, GOOD, JPEG

import thanosql_dbapi
from thanosql_dbapi.embedding.executors import local, pool

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")

CONVERT = "CONVERT USING m OPTIONS (table_name='p') AS SELECT * FROM p"
# What Python runs as it starts: it makes pictures of the workers' slow, or deadly.
SITE = """
import os, signal, time
from PIL import PngImagePlugin

load = PngImagePlugin.PngImageFile.load

def of_a_test(self):
    what = self.info.get("what")
    if what == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "slow":
        with open(os.environ["BEGUN"], "a") as file:
            file.write("begun")
        time.sleep(60)
    return load(self)

PngImagePlugin.PngImageFile.load = of_a_test
"""


def children(of: int | None = None) -> set[int]:
    """Return the processes that a process has started and not yet waited for, zombies too."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = each.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == (os.getpid() if of is None else of):
            found.add(int(each.parent.name))
    return found


@pytest.fixture
def opened(workspace: Path, connection: thanosql_dbapi.Connection) -> Callable[..., Any]:
    """Give a function that opens the workspace's database with other options."""
    connection.close()
    file = workspace / "photos.db"

    def open_one(**options: Any) -> thanosql_dbapi.Connection:
        return thanosql_dbapi.connect(file, progress=False, device="cpu", **options)

    return open_one


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    return folder


def marked(path: Path, what: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("what", what)
    Image.new("RGB", (40, 40), "red").save(path, pnginfo=info)


def fill(connection: thanosql_dbapi.Connection, rows: list[tuple[str, object]]) -> None:
    connection.execute("DROP TABLE IF EXISTS p")
    connection.execute("CREATE TABLE p (name TEXT PRIMARY KEY, image_path)")
    connection.executemany("INSERT INTO p VALUES (?, ?)", sorted(rows))
    connection.commit()


def answer(connection: thanosql_dbapi.Connection) -> tuple[Any, ...]:
    """Convert the table, and return all that is told of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection.execute(CONVERT)
    vectors = [
        (name, None if vector is None else vector.tolist())
        for name, vector in connection.execute("SELECT name, m_clipen FROM p ORDER BY name")
    ]
    failures = connection.execute(
        "SELECT source, reason FROM thanosql_failures ORDER BY source, reason"
    )
    said = [(each.category, str(each.message), each.filename) for each in caught]
    return vectors, failures.fetchall(), said


def test_processes_and_threads_say_the_same_of_every_picture(
    opened: Callable[..., Any], workspace: Path
) -> None:
    os.mkfifo(workspace / "pipe")
    (workspace / "loop").symlink_to("loop")
    rows = [*GOOD.items(), *BAD.items(), ("cut at its end", JPEG[: len(JPEG) * 95 // 100])]
    rows += [(path.name, f"images/{path.name}") for path in (workspace / "images").iterdir()]
    found = []
    for executor in ("threads", "processes"):
        (workspace / "thanosql-model" / ".vectors.db").unlink(missing_ok=True)
        connection = opened(executor=executor, workers=2)
        fill(connection, rows)
        found.append(answer(connection))
        assert connection.report.converted > len(GOOD)
        connection.close()
    assert "there in part" in str(found[0][2])
    assert found[0] == found[1]


@pytest.mark.parametrize("bad", ["cut PNG", "a device", "a text that is no path"])
def test_the_error_that_stops_a_convert_is_the_same(opened: Callable[..., Any], bad: str) -> None:
    errors = []
    for executor in ("threads", "processes"):
        connection = opened(executor=executor, workers=1)
        fill(connection, [("bad", BAD[bad]), ("good", GOOD["PNG"])])
        with pytest.raises(thanosql_dbapi.Error, match=r"image|path") as caught:
            connection.execute(CONVERT.replace("table_name", "on_error='fail', table_name"))
        cause = caught.value.__cause__
        errors.append((type(caught.value), str(caught.value), type(cause), str(cause)))
        connection.close()
    assert errors[0] == errors[1]


def test_what_is_known_by_its_content_is_not_decoded_again(
    opened: Callable[..., Any], workspace: Path
) -> None:
    rows = [(path.name, f"images/{path.name}") for path in (workspace / "images").iterdir()]
    connection = opened(executor="processes", workers=1)
    fill(connection, rows)
    connection.execute(CONVERT)
    vectors = connection.execute("SELECT name, m_clipen FROM p ORDER BY name").fetchall()
    fill(connection, [*rows, ("zoo", GOOD["JPEG"])])
    connection.execute(CONVERT)
    again = connection.execute("SELECT name, m_clipen FROM p ORDER BY name").fetchall()
    assert str(again[:-1]) == str(vectors)
    assert (connection.report.reused, connection.report.converted) == (len(rows), 1)
    connection.close()


def test_few_pictures_start_no_process_and_many_do(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = children()
    connection = opened(workers=2)
    fill(connection, [(str(number), GOOD["PNG"] + bytes([number])) for number in range(200)])
    connection.execute(CONVERT)
    assert children() == before
    monkeypatch.setattr(local, "PAYS_S", 0.0)
    monkeypatch.setattr(local, "SAMPLE", 1)
    fill(connection, [(str(number), GOOD["GIF"] + bytes([number])) for number in range(200)])
    connection.execute(CONVERT)
    assert connection.report.converted == 200
    assert len(children() - before) == 2  # kept for the next statement
    connection.close()
    assert children() == before


def test_a_connection_that_is_dropped_ends_its_workers(opened: Callable[..., Any]) -> None:
    before = children()
    connection = opened(executor="processes", workers=1)
    fill(connection, [("good", GOOD["PNG"])])
    connection.execute(CONVERT)
    assert len(children() - before) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sqlite3 warns of connections that are not closed
        del connection
        gc.collect()
    assert children() == before


def test_without_shared_memory_pixels_come_through_pipes_and_a_warning_says_so(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pool, "SharedMemory", full)
    connection = opened(executor="processes", workers=1)
    fill(connection, list(GOOD.items()))
    with pytest.warns(RuntimeWarning, match=r"not enough shared memory.*No space left"):
        connection.execute(CONVERT)
    (count,) = connection.execute("SELECT count(m_clipen) FROM p").fetchone()
    assert count == len(GOOD)
    fill(connection, [("another", GOOD["PNG"] + b"another")])
    connection.execute(CONVERT)  # without a second warning
    connection.close()


def test_what_shared_memory_does_not_hold_comes_through_pipes(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reserve(memory: object, start: int, end: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pool.SharedMemory, "reserve", reserve)
    connection = opened(executor="processes", workers=1)
    fill(connection, list(GOOD.items()))
    with pytest.warns(RuntimeWarning, match=r"not enough shared memory.*No space left"):
        connection.execute(CONVERT.replace("table_name", "batch_size=1, table_name"))
    (count,) = connection.execute("SELECT count(m_clipen) FROM p").fetchone()
    assert count == len(GOOD)
    connection.close()


def test_without_processes_threads_decode_and_a_warning_says_so(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "worker_program", lambda: "raise SystemExit(3)")
    connection = opened(executor="processes", workers=1)
    fill(connection, list(GOOD.items()))
    with pytest.warns(RuntimeWarning, match=r"no process .*exit status 3.*threads"):
        connection.execute(CONVERT)
    (count,) = connection.execute("SELECT count(m_clipen) FROM p").fetchone()
    assert count == len(GOOD)
    connection.close()


def test_a_picture_that_ends_the_worker_is_named_and_the_others_are_embedded(
    opened: Callable[..., Any], workspace: Path, site: Path
) -> None:
    marked(workspace / "images" / "deadly.png", "deadly")
    connection = opened(executor="processes", workers=2)
    fill(connection, [("deadly", "images/deadly.png"), *GOOD.items()])
    with pytest.warns(
        thanosql_dbapi.MediaWarning,
        match=r"(?s)1 of \d+ images could not be read.*deadly\.png.*ended twice.*SIGKILL",
    ):
        connection.execute(CONVERT)
    missing = connection.execute("SELECT name FROM p WHERE m_clipen IS NULL").fetchall()
    assert missing == [("deadly",)]
    connection.close()


def test_a_worker_imports_neither_torch_nor_the_driver() -> None:
    program = pool.worker_program().replace("main()", "").replace("import main", "import _prepare")
    program += "_prepare()\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert {"PIL.Image", "numpy", "thanosql_dbapi.embedding.decoding"} <= modules
    ours = {name.split(".")[1] for name in modules if name.startswith("thanosql_dbapi.")}
    assert not ours & {"statements", "stores", "language", "connection", "cursor"}
    assert not modules & {"torch", "transformers", "httpx", "multiprocessing"}


def test_a_worker_whose_parent_is_gone_before_it_has_started_says_nothing() -> None:
    nobody, answers = os.pipe()
    os.close(nobody)
    command = [sys.executable, "-c", pool.worker_program()]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=answers, stderr=subprocess.PIPE, check=False
    )
    os.close(answers)
    assert (done.returncode, done.stderr) == (0, b"")


PROGRAM = """
import os, signal, sys, threading, time
import thanosql_dbapi
from pathlib import Path

connection = thanosql_dbapi.connect(
    sys.argv[1], progress=False, device="cpu", executor="processes", workers=2
)
begun = Path(os.environ["BEGUN"])

def end():
    while not begun.exists():
        time.sleep(0.01)
    print("begun", flush=True)
    {end}

threading.Thread(target=end, daemon=True).start()
try:
    connection.execute({convert!r})
except KeyboardInterrupt:
    print("interrupted", flush=True)
import time
time.sleep(0.1)
input()
"""


def run_slowly(
    opened: Callable[..., Any], workspace: Path, end: str
) -> tuple[subprocess.Popen[str], set[int]]:
    """Start a program that decodes slow pictures, and return it with its children."""
    marked(workspace / "images" / "slow.png", "slow")
    connection = opened()
    fill(connection, [("slow", "images/slow.png"), ("good", GOOD["PNG"])])
    connection.close()
    root = str(Path(thanosql_dbapi.__file__).parents[1])
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(end=end, convert=CONVERT), workspace / "photos.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{root}"},
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    return program, children(program.pid)


def wait_for(processes: set[int]) -> None:
    """Wait until none of the processes is there; fails by the test's time limit."""
    for _ in range(1000):
        if not any(Path(f"/proc/{each}").exists() for each in processes):
            return
        signal.sigtimedwait([], 0.01)
    raise AssertionError(f"{processes} are still there")


def shared_memory() -> set[str]:
    """Return the names of what programs share, as Python and this driver would give them."""
    names = {each.name for each in Path("/dev/shm").iterdir()}
    return {name for name in names if name.startswith(("psm_", "thanosql"))}


def test_ctrl_c_ends_the_workers_and_leaves_nothing(
    opened: Callable[..., Any], workspace: Path, site: Path
) -> None:
    shared = shared_memory()
    program, _ = run_slowly(opened, workspace, "os.killpg(0, signal.SIGINT)")
    assert program.stdout is not None
    assert program.stdout.readline() == "interrupted\n"
    assert children(program.pid) == set()
    said = program.communicate("\n", timeout=60)[1]
    assert (program.returncode, said) == (0, "")
    assert shared_memory() == shared


def test_workers_end_when_their_parent_is_killed(
    opened: Callable[..., Any], workspace: Path, site: Path
) -> None:
    program, workers = run_slowly(opened, workspace, "time.sleep(60)")
    assert len(workers) == 2
    program.kill()
    program.communicate()
    wait_for(workers)


def test_a_child_of_fork_leaves_the_workers_to_its_parent(opened: Callable[..., Any]) -> None:
    connection = opened(executor="processes", workers=1)
    fill(connection, [("good", GOOD["PNG"])])
    connection.execute(CONVERT)
    workers = children()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of threads and forks
        pid = os.fork()
    if pid == 0:
        for each in list(pool._pools):
            each.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert children() == workers
    fill(connection, [("another", GOOD["GIF"])])
    connection.execute(CONVERT)
    assert children() == workers
    connection.close()


def test_workers_killed_while_nobody_asked_them_cost_no_picture(opened: Callable[..., Any]) -> None:
    connection = opened(executor="processes", workers=4)
    fill(connection, [("good", GOOD["PNG"])])
    before = children()
    connection.execute(CONVERT)
    workers = children() - before
    assert len(workers) == 4
    for each in workers:
        os.kill(each, signal.SIGKILL)
        os.waitid(os.P_PID, each, os.WEXITED | os.WNOWAIT)
    fill(connection, [(str(number), GOOD["GIF"] + bytes([number])) for number in range(3)])
    connection.execute(CONVERT)
    assert connection.report.converted == 3
    connection.close()


def test_a_worker_without_room_for_the_shared_memory_sends_pixels_through_its_pipe(
    opened: Callable[..., Any], site: Path
) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))\n"
    (site / "sitecustomize.py").write_text(limit)
    connection = opened(executor="processes", workers=1)
    fill(connection, list(GOOD.items()))
    with pytest.warns(RuntimeWarning, match=r"not enough shared memory.*pipes"):
        connection.execute(CONVERT)
    assert connection.report.converted == len(GOOD)
    connection.close()


@pytest.mark.parametrize("executable", [None, "", "/bin/cat"])
def test_a_program_that_cannot_name_its_python_gets_threads(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    connection = opened(executor="processes", workers=1)
    fill(connection, [("good", GOOD["PNG"])])
    with pytest.warns(RuntimeWarning, match=r"sys\.executable is .*, which is no Python.*threads"):
        connection.execute(CONVERT)
    assert connection.report.converted == 1
    connection.close()


def test_workers_start_with_whatever_the_import_path_holds(
    opened: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("types", "random", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the standard library')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path, tmp_path])  # as a notebook has it; and a Path
    before = children()
    connection = opened(executor="processes", workers=1)
    fill(connection, [("good", GOOD["PNG"])])
    connection.execute(CONVERT)
    assert len(children() - before) == 1
    assert connection.report.converted == 1
    connection.close()
