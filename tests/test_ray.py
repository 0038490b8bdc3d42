"""CONVERT on the machines of a Ray cluster: one on 127.0.0.1, with two CPUs, for the whole module.

It is started by the first connection, as a user's is, and ends with the last.
"""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deadly import Deadly
from PIL import Image

import thanosql_dbapi as thanosql
from thanosql_dbapi import MediaWarning
from thanosql_dbapi.embedding.executors.local import Local
from thanosql_dbapi.embedding.executors.on_ray import pool
from thanosql_dbapi.embedding.executors.on_ray.cluster import join, leave
from thanosql_dbapi.embedding.executors.on_ray.executor import OnRay
from thanosql_dbapi.embedding.executors.protocol import Executor
from thanosql_dbapi.embedding.executors.task import Task
from thanosql_dbapi.embedding.known import KNOWS_NOTHING
from thanosql_dbapi.models.folder import fingerprint
from thanosql_dbapi.workspace import Workspace

ray = pytest.importorskip("ray")
pytest.importorskip("grpc")
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

Connect = Callable[..., thanosql.Connection]

PICTURES = 100
CONVERT = "CONVERT USING m OPTIONS (table_name='photos'{}) AS SELECT * FROM photos"


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    """A workspace with a model and a table of pictures, some of which cannot be read."""
    folder = tmp_path_factory.mktemp("ray") / "album"
    (folder / "images").mkdir(parents=True)
    shutil.copytree(clip_folder, folder / "tiny_clip")
    random = np.random.default_rng(0)
    lines = ["photo_id,image_path,caption"]
    for number in range(PICTURES):
        pixels = random.integers(0, 255, (48, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        lines.append(f"{number},images/{number}.png,picture {number}")
    Image.linear_gradient("L").convert("RGB").save(folder / "a.jpg")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "images" / "cut.jpg").write_bytes(whole[: 9 * len(whole) // 10])
    (folder / "images" / "bad.png").write_bytes((folder / "images" / "0.png").read_bytes()[:20])
    lines += ["900,,", "901,images/none.png,", "902,images/bad.png,x", "903,images/cut.jpg,x"]
    (folder / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with closing(thanosql.connect(folder / "empty.db")) as connection:
        connection.execute("COPY photos FROM 'photos.csv'")
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    return folder


@pytest.fixture(scope="module")
def cluster(album: Path) -> Iterator[str]:
    """The address of a cluster that is started as the first connection does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "a token of these tests")
        patch.setenv("RAY_TMPDIR", tempfile.mkdtemp(prefix="ray"))  # sockets have short names
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        patch.setenv("PYTHONPATH", path)
        patch.setenv("RAY_ADDRESS", "local")  # whatever else runs on the machine
        join("ray")  # as a connection does, and keeps it as long as it is open
        yield ray.get_runtime_context().gcs_address
        leave()
        assert not ray.is_initialized()
        assert not processes(os.environ["RAY_TMPDIR"])
        shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)


@pytest.fixture
def connect(album: Path, tmp_path: Path) -> Iterator[Connect]:
    """Opens a database of the test's own; what was embedded before is forgotten."""
    opened: list[thanosql.Connection] = []

    def connect(name: str = "photos", **options: Any) -> thanosql.Connection:
        path = album / f"{tmp_path.name}-{name}.db"
        if not path.exists():
            shutil.copy(album / "empty.db", path)
        (album / "thanosql-model" / ".vectors.db").unlink(missing_ok=True)
        opened.append(thanosql.connect(path, **{"progress": False, **options}))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def processes(text: str) -> list[int]:
    """Return the running processes of this user that have a text in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            is_own = folder.stat().st_uid == os.getuid() and int(folder.name) != os.getpid()
            if is_own and text in (folder / "cmdline").read_text():
                found.append(int(folder.name))  # a zombie's is empty
    return found


def workers() -> list[int]:
    return processes("ray::ThanosqlWorker")


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def vectors(connection: thanosql.Connection, column: str = "m_clipen") -> dict[int, Any]:
    rows = connection.execute(f"SELECT photo_id, {column} FROM photos").fetchall()
    assert len(rows) == len(dict(rows))
    return dict(rows)


def require_same(found: dict[int, Any], expected: dict[int, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, vector in expected.items():
        if vector is None:
            assert found[key] is None
        else:
            np.testing.assert_allclose(found[key], vector, rtol=0, atol=1e-5)


def test_an_address_that_does_not_answer(connect: Connect) -> None:
    connection = connect(executor="ray://127.0.0.1:1")
    with pytest.raises(thanosql.OperationalError, match="nobody answers") as raised:
        connection.execute(CONVERT.format(""))
    assert str(raised.value) == (
        "executor 'ray://127.0.0.1:1': nobody answers there: Connection refused; expected the"
        " client port of a cluster's head, which `ray start --head` opens on 10001; nothing was"
        " changed"
    )


def test_without_the_package_the_error_says_what_to_install(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    connection = connect(executor="ray")
    with pytest.raises(thanosql.NotSupportedError, match=r"pip install 'thanosql-dbapi\[ray\]'"):
        connection.execute(CONVERT.format(""))


def test_the_vectors_failures_and_warnings_are_those_of_this_machine(
    cluster: str, connect: Connect
) -> None:
    answers = []
    for executor in ("threads", "ray"):
        connection = connect(executor, executor=executor, workers=2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            connection.execute(CONVERT.format(""))
        told = [str(each.message) for each in caught]
        failures = connection.execute("SELECT column_name, source, reason FROM thanosql_failures")
        answers.append((vectors(connection), told, connection.report, failures.fetchall()))
    here, there = answers
    require_same(there[0], here[0])
    assert there[1:] == here[1:]
    assert [there[0][901] is None, there[0][903] is None] == [True, False]
    wait_for(lambda: not workers(), 10)


def test_what_a_killed_worker_had_is_done_by_another_and_nothing_twice(
    cluster: str, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    here = connect("here")
    with pytest.warns(MediaWarning):
        here.execute(CONVERT.format(", batch_size=4"))
    done: list[int] = []
    killed: list[int] = []

    def advance(number: int, total: int | None, what: str) -> None:
        done.append(number)
        if not killed:
            killed.extend(workers())
            for each in killed:
                os.kill(each, signal.SIGKILL)

    there = connect("there", executor="ray", workers=1, progress=advance)
    with pytest.warns(MediaWarning) as told:
        there.execute(CONVERT.format(", batch_size=4"))
    assert str(told[0].message).startswith("CONVERT USING m: 2 of 104 images could not be read")
    assert len(killed) == 1
    assert done[-1] == PICTURES + 4
    assert done == sorted(done)
    assert there.report == here.report
    require_same(vectors(there), vectors(here))
    assert capfd.readouterr() == ("", "")


def task_of(connection: thanosql.Connection, kind: str = "image") -> Task:
    """Return what a CONVERT of a connection gives to its executor."""
    from thanosql_dbapi.statements.embedding_plan import EmbeddingPlan

    context = connection._context()
    model = context.registry.model("m")
    return context.task(EmbeddingPlan(model, kind, "", "v", 4, stops_on_error=False))


def embedded(
    task: Task, rows: list[tuple[int, object]], executor: Executor | None = None
) -> dict[int, Any]:
    """Return the vector or the error of each row, of which each has one."""
    found: dict[int, Any] = {}
    with closing(executor or OnRay("ray", 1)) as executor:
        for batch in executor.embed(task, rows, KNOWS_NOTHING, total=len(rows)):
            told = [*zip(batch.keys, batch.vectors, strict=True)]
            told += [(each.key, each.error) for each in batch.failures]
            assert not found.keys() & dict(told).keys()
            found |= told
    return found


def test_a_picture_that_ends_its_process_is_a_failure_and_the_others_are_not(
    cluster: str, connect: Connect
) -> None:
    task = task_of(connect())
    task = replace(task, pictures=Deadly(task.pictures._reader, 10**6))
    found = embedded(task, [(number, f"images/{number}.png") for number in (5, 7)])
    assert str(found.pop(7)).startswith("image 'images/7.png' cannot be read: the process that")
    assert found.keys() == {5}


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_workers(cluster: str, connect: Connect, ctrl_c: None) -> None:
    def advance(number: int, total: int | None, what: str) -> None:
        interrupter.start()

    connection = connect(executor="ray", workers=1, progress=advance)
    interrupter = threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        connection.execute(CONVERT.format(", batch_size=1"))
    wait_for(lambda: not workers(), 2)
    some = connection.execute("SELECT count(m_clipen) FROM photos").fetchone()
    assert some != (0,)


def test_ctrl_c_while_the_workers_start(cluster: str, connect: Connect, ctrl_c: None) -> None:
    connection = connect(executor="ray", workers=1)

    def interrupt() -> None:
        wait_for(workers)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        connection.execute(CONVERT.format(""))
    wait_for(lambda: not workers(), 2)


class Elsewhere(Workspace):
    """A workspace that is another folder for other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspace, (self.root / "images",)


class Away(type(Path())):  # type: ignore[misc]
    """A folder that is another one for other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path, ("/none/there",)


def test_what_a_machine_lacks_is_sent_or_named(
    cluster: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(connect())
    model, reader = task.model, task.pictures._reader
    elsewhere = Elsewhere(task.digests.workspace.root)
    reader.policy = replace(reader.policy, workspace=elsewhere)
    task = replace(task, model=replace(model, folder=Away(model.folder)))
    task = replace(task, digests=replace(task.digests, workspace=elsewhere))
    rows = [(1, "images/none.png"), (2, "images/2.png")]
    kept = Path(tempfile.gettempdir()) / f"thanosql-models-{getpass.getuser()}" / model.fingerprint
    monkeypatch.setattr(pool, "MODEL_BYTES", 1000)
    with pytest.raises(thanosql.ModelError, match=r"it is too large to be sent .*nothing was ch"):
        embedded(task, rows)
    monkeypatch.setattr(pool, "MODEL_BYTES", 10**9)
    monkeypatch.setattr(pool, "_BLOCK_BYTES", 100_000)
    try:
        with pytest.raises(thanosql.OperationalError, match="does not see") as raised:
            embedded(task, rows)
        assert fingerprint(kept) == model.fingerprint
    finally:
        shutil.rmtree(kept, ignore_errors=True)
    text = str(raised.value)
    assert text.startswith(f"executor 'ray': machine {platform.node()!r} (process ")
    assert "does not see image 'images/2.png', which this one does: image" in text
    assert text.endswith("COPY them from there, s3://…; nothing was changed")


def test_a_worker_of_other_versions_is_refused(
    cluster: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"pillow": "99.1.0", "rawpy": "0.1", "torch": "1.2"}
    installed = pool._installed
    monkeypatch.setattr(pool, "_installed", lambda name: versions.get(name) or installed(name))
    connection = connect(executor="ray", workers=1)
    with pytest.raises(thanosql.OperationalError, match="has other packages") as raised:
        connection.execute(CONVERT.format(""))
    text = str(raised.value)
    assert text.startswith(f"executor 'ray': machine {platform.node()!r} (process ")
    assert f"pillow {installed('pillow')}, expected 99.1.0" in text
    assert text.endswith("before the connection is used; nothing was changed")
    assert connection.execute("SELECT * FROM photos LIMIT 1").description[-1][0] == "caption"


def test_pictures_in_buckets_are_read_by_the_workers(cluster: str, connect: Connect) -> None:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    boto3 = pytest.importorskip("boto3")
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    user = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "hush"}
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **user)
    client.create_bucket(Bucket="ray-album")
    connection = connect(
        executor="ray",
        workers=1,
        network=True,
        allowed_directories=["s3://ray-album"],
        storage_options={"s3": {"endpoint_url": url, "key": "AKIATEST", "secret": "hush"}},
    )
    images = connection.execute("SELECT image_path FROM photos LIMIT 3").fetchall()
    try:
        for number, (path,) in enumerate(images):
            content = (connection.workspace / path).read_bytes()
            client.put_object(Bucket="ray-album", Key=f"{number}.png", Body=content)
        connection.execute("COPY far FROM 's3://ray-album'")
        connection.execute("CONVERT USING m OPTIONS (table_name='far') AS SELECT * FROM far")
    finally:
        client.close()
        server.stop()
    far = [vector for _, vector in connection.execute("SELECT image_path, m_clipen FROM far")]
    rows = [(number, path) for number, (path,) in enumerate(images)]
    near = embedded(task_of(connection), rows, Local())
    require_same(dict(enumerate(far)), near)


CLIENT = """
import sys, thanosql_dbapi
connection = thanosql_dbapi.connect(sys.argv[1], executor=sys.argv[2], workers=1)
connection.execute("CONVERT USING m OPTIONS (table_name='photos', convert_type='text',"
                   " text_col='caption') AS SELECT * FROM photos")
assert "torch" not in sys.modules
connection.close()
import ray
assert not ray.is_initialized()
"""


def test_a_program_elsewhere_joins_by_the_clusters_address(
    cluster: str, connect: Connect, free_port: int
) -> None:
    path = connect("client").execute("PRAGMA database_list").fetchone()[2]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.environ["RAY_AUTH_TOKEN"]}
    environment = {**os.environ, **token}
    server = subprocess.Popen(
        [
            sys.executable,
            *("-m", "ray.util.client.server", f"--address={cluster}"),
            *("--host=127.0.0.1", f"--port={free_port}"),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: is_open(free_port))
        program = [sys.executable, "-W", "error", "-c", CLIENT, path]
        done = subprocess.run(
            [*program, f"ray://127.0.0.1:{free_port}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        server.terminate()
        server.wait()
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "")
    connection = connect("client")
    found = vectors(connection)
    captions = connection.execute("SELECT photo_id, caption FROM photos WHERE caption <> ''")
    expected = embedded(task_of(connection, "text"), captions.fetchall(), Local())
    require_same({key: found[key] for key in expected}, expected)
    assert len(expected) == PICTURES + 2


def test_another_address_than_the_one_in_use_is_refused(cluster: str, connect: Connect) -> None:
    other = connect(executor="ray://127.0.0.1:1")
    with pytest.raises(thanosql.OperationalError, match="connected to Ray already by executor 'r"):
        other.execute(CONVERT.format(""))
    assert signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, signal.default_int_handler)


PROGRAM = """
import sys, ray, thanosql_dbapi
from thanosql_dbapi.embedding.executors.on_ray import pool
ray.init("auto", log_to_driver=False, logging_level="ERROR")
pool._installed = lambda name: "0.0"
for executor in ("ray", "ray://127.0.0.1:1"):
    connection = thanosql_dbapi.connect(sys.argv[1], executor=executor)
    try:
        connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    except thanosql_dbapi.OperationalError as error:
        print(str(error).partition(":")[0], "connected to Ray already" in str(error))
    connection.close()
assert ray.is_initialized()
"""


def test_a_connection_to_ray_that_the_program_has_is_used_and_left(
    cluster: str, connect: Connect
) -> None:
    path = connect("own").execute("PRAGMA database_list").fetchone()[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path],
        env={**os.environ, "RAY_ADDRESS": cluster, "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "executor 'ray' False\nexecutor 'ray True\n", done.stderr
