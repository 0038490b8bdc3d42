"""``thanosql doctor``, and two packages that are imported as ``thanosql``."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from loopback import Hub, Unsplash
from PIL import Image
from programs import REPOSITORY, Done, Program

import thanosql
from thanosql_dbapi.sources.catalog import load_catalog
from thanosql_dbapi.sources.hub_cache import parse_source
from thanosql_dbapi.ui import doctor_online


def findings(done: Done) -> dict[str, str]:
    return dict(line[2:].split(": ", 1) for line in done.lines)


def test_the_report(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("THANOSQL_OFFLINE", "1")
    done = program("doctor")
    assert done.status == 0
    found = findings(done)
    assert found["thanosql-dbapi"].startswith(thanosql.__version__)
    assert f"({sys.executable}, " in found["Python"]
    way = "load_extension" if hasattr(sqlite3.Connection, "enable_load_extension") else "auto_ext"
    assert found["vectors in SQLite"].startswith("sqlite-vec v")
    assert way in found["vectors in SQLite"]
    assert "build" in found["torch"] or "for " in found["torch"]
    assert found["devices"].startswith("cpu")
    assert found["import thanosql"] == "is this driver"
    assert {"extra files", "extra web", "extra heif"} <= found.keys()
    assert found["models on this machine"] == "storybook_clip"
    assert found["models to get"].startswith("tutorial_search_clip, clip, ")
    assert found["the hub's cache"] == f"{tmp_path}/cache, to be made"
    assert found["environment"] == f"THANOSQL_OFFLINE=1, HF_HUB_CACHE={tmp_path}/cache, HF_TOKEN"
    assert "hf_secret" not in done.out


def test_a_package_that_is_missing_is_a_problem(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thanosql_dbapi.ui.doctor.PACKAGES", ("no-such-package",))
    done = program("doctor")
    assert done.status == 1
    assert "! no-such-package: is missing; pip install no-such-package" in done.lines


# Online


def picture(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (90 * number % 256, 70, 20)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def servers(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Unsplash]:
    """Unsplash with a few photos, and a hub whose clip knows nothing."""
    for name in ("THANOSQL_CATALOG", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    unsplash, hub = Unsplash(8, picture), Hub()
    source = parse_source(load_catalog().model("clip").source)
    files = {path.name: path.read_bytes() for path in clip_folder.iterdir()}
    hub.add(source.repo, source.revision, files)
    for name, value in unsplash.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    yield unsplash
    unsplash.close()
    hub.close()


def computed(folder: Path, count: int) -> tuple[doctor_online.Published, ...]:
    """Return what the driver's own statements give for the first photographs."""
    with closing(thanosql.connect(folder / "t.db", isolation_level=None)) as connection:
        for sql in (
            "GET THANOSQL MODEL clip",
            f"GET THANOSQL DATASET unsplash_data OPTIONS (rows={count})",
            "COPY t FROM 'thanosql-dataset/unsplash_data/unsplash.csv'",
            "CONVERT USING clip OPTIONS (table_name='t') AS SELECT * FROM t",
        ):
            connection.execute(sql)
        rows = connection.execute(
            "SELECT photo_id, clip_clipen, s FROM (SEARCH IMAGE text='a black cat' USING clip"
            " OPTIONS (result_col='s') AS SELECT * FROM t)"
        ).fetchall()
    return tuple(
        doctor_online.Published(each, tuple(vector[:3].tolist()), s) for each, vector, s in rows
    )


@pytest.mark.filterwarnings("ignore::thanosql.LicenseWarning")
def test_the_figures_of_the_tutorial(
    servers: Unsplash, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = program("doctor", "--online")
    assert done.status == 1
    found = findings(done)
    assert found["model clip"].startswith("got in ")
    assert found["photographs"].startswith("got in ")
    assert found["not compared"].startswith("XMyPniM9LF0, rDLBArZUl1c, ")
    assert found["models on this machine"] == "storybook_clip"

    right = computed(tmp_path, 5)
    monkeypatch.setattr(doctor_online, "PUBLISHED", right)
    done = program("doctor", "--online")
    assert done.status == 0, done.out
    found = findings(done)
    assert "clip" in found["models on this machine"].split(", ")
    compared = [found[f"photograph {each.photo_id}"] for each in right]
    assert all(each.endswith("0.0000 apart at most") for each in compared)
    assert f"published {right[0].similarity:.4f}" in compared[0]

    for wrong in (
        doctor_online.Published(right[1].photo_id, right[1].numbers, right[1].similarity + 0.03),
        doctor_online.Published(right[1].photo_id, (0.9, 0.1), right[1].similarity),
    ):
        monkeypatch.setattr(doctor_online, "PUBLISHED", (right[0], wrong))
        done = program("doctor", "--online")
        assert done.status == 1
        (line,) = (each for each in done.lines if each.startswith("! "))
        assert line.startswith(f"! photograph {right[1].photo_id}: its vector begins ")
        assert "expected 0.02 or less" in line


def test_without_a_network(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    done = program("doctor", "--online")
    assert done.status == 1
    assert done.lines[-1].startswith("! model clip: ")
    assert "HF_ENDPOINT" in done.lines[-1]


@pytest.mark.parametrize("hosted_first", [True, False])
def test_the_hosted_products_client(tmp_path: Path, hosted_first: bool) -> None:
    """Its files as pip puts them, before or after ours on the path."""
    (tmp_path / "thanosql").mkdir()
    (tmp_path / "thanosql" / "__init__.py").write_text("class ThanoSQL: ...\n")
    facts = tmp_path / "thanosql-1.0.11.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: thanosql\nVersion: 1.0.11\n")
    (facts / "RECORD").write_text("thanosql/__init__.py,,\n")
    path = [str(tmp_path), str(REPOSITORY)]
    done = subprocess.run(
        [sys.executable, "-m", "thanosql_dbapi", "doctor"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path if hosted_first else path[::-1])},
        cwd=tmp_path / "thanosql",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    (line,) = (each for each in done.stdout.splitlines() if each.startswith("! "))
    assert "the client of the hosted product, thanosql 1.0.11, is installed too" in line
    gives = "this driver's `import thanosql` is hidden, and gives that client"
    if not hosted_first:
        gives = "its `import thanosql` is hidden, and gives this driver"
    assert gives in line
    assert "pip uninstall -y thanosql && pip install --force-reinstall --no-deps" in line
