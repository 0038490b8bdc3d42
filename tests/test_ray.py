"""CONVERT on the machines of a Ray cluster: one on 127.0.0.1, with two CPUs, for the whole module.

It is started by the first connection, as a user's is, and ends with the last.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi as thanosql

ray = pytest.importorskip("ray")
pytest.importorskip("grpc")
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

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
    whole = (folder / "images" / "0.png").read_bytes()
    (folder / "images" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "images" / "bad.png").write_bytes(whole[:20])
    lines += ["900,,", "901,images/none.png,", "902,images/bad.png,x", "903,images/cut.png,x"]
    (folder / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with closing(thanosql.connect(folder / "empty.db")) as connection:
        connection.execute("COPY photos FROM 'photos.csv'")
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    return folder


@pytest.fixture(scope="module")
def cluster(album: Path) -> Iterator[str]:
    """The address of a cluster, started by a connection that stays open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "a token of these tests")
        patch.setenv("RAY_TMPDIR", tempfile.mkdtemp(prefix="ray"))  # sockets have short names
        patch.delenv("RAY_ADDRESS", raising=False)
        shutil.copy(album / "empty.db", album / "first.db")
        first = thanosql.connect(album / "first.db", executor="ray", workers=1)
        first.execute(CONVERT.format("") + " LIMIT 1")
        yield ray.get_runtime_context().gcs_address
        first.close()
        shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)
    assert not ray.is_initialized()
    assert not processes("raylet") and not processes("gcs_server")


@pytest.fixture
def connect(album: Path, tmp_path: Path) -> Iterator[Callable[..., thanosql.Connection]]:
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


def processes(name: str) -> list[int]:
    """Return the processes of this user that Ray started under a name, and that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if name in (folder / "cmdline").read_text() and folder.stat().st_uid == os.getuid():
                found += (
                    [int(folder.name)] if "zombie" not in (folder / "status").read_text() else []
                )
        except (OSError, ValueError):
            continue
    return [each for each in found if each != os.getpid()]


def workers() -> list[int]:
    return processes("ray::ThanosqlWorker")


def gone_within(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while workers():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def vectors(connection: thanosql.Connection, column: str = "m_clipen") -> dict[str, Any]:
    rows = connection.execute(f"SELECT photo_id, {column} FROM photos").fetchall()
    assert len(rows) == len(dict(rows))
    return dict(rows)


def require_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, vector in expected.items():
        if vector is None:
            assert found[key] is None
        else:
            np.testing.assert_allclose(found[key], vector, rtol=0, atol=1e-5)


def test_the_vectors_failures_and_warnings_are_those_of_this_machine(
    cluster: str, connect: Callable[..., thanosql.Connection]
) -> None:
    answers = []
    for name, options in (("here", {}), ("there", {"executor": "ray", "workers": 2})):
        connection = connect(name, **options)
        told: list[list[str]] = []
        for statement in (
            CONVERT.format(""),
            CONVERT.format(", convert_type='text', text_col='caption', vector_col='c'"),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                connection.execute(statement)
            told.append([str(each.message) for each in caught])
        failures = connection.execute("SELECT * FROM thanosql_failures").fetchall()
        answers.append((vectors(connection), vectors(connection, "c"), told, failures))
    here, there = answers
    require_same(there[0], here[0])
    require_same(there[1], here[1])
    assert there[2:] == here[2:]
    assert there[0]["901"] is None and there[0]["903"] is not None
