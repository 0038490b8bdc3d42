"""GET THANOSQL MODEL from a hub on loopback, with huggingface_hub as it is."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from loopback import Hub, Reply

import thanosql
from thanosql_dbapi.sources import hub as hub_module

REPO = "openai/clip-vit-base-patch32"
COMMIT = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"
STATEMENT = "GET THANOSQL MODEL clip"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="session")
def files(clip_folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in clip_folder.iterdir()}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the model that the built-in catalog names, pinned; the cache is empty."""
    server = Hub()
    server.add(REPO, COMMIT, {**files, "tf_model.h5": b"x" * 99, "README.md": b"# CLIP"})
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "THANOSQL_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub_module, "_LARGE_BYTES", 10_000)  # as the tiny model's weights are
    yield server
    server.close()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[thanosql.Connection]:
    (tmp_path / "w").mkdir()
    connection = thanosql.connect(tmp_path / "w" / "t.db", progress=False)
    yield connection
    connection.close()


def model_folder(tmp_path: Path) -> Path:
    return tmp_path / "w" / "thanosql-model" / "clip"


def failure_of(connection: thanosql.Connection) -> str:
    with pytest.raises(thanosql.SourceError, match=r"; nothing was changed$") as caught:
        connection.execute(STATEMENT)
    assert connection.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (0,)
    return str(caught.value)


def test_a_pinned_model(
    hub: Hub, connection: thanosql.Connection, tmp_path: Path, files: dict[str, bytes]
) -> None:
    connection.execute(STATEMENT)
    for name, content in files.items():
        assert (model_folder(tmp_path) / name).read_bytes() == content
    assert not (model_folder(tmp_path) / "tf_model.h5").exists()
    assert {each.path.split("/")[4] for each in hub.site.asked if "/resolve/" in each.path} == {
        COMMIT
    }
    checksum = hashlib.sha256(files[WEIGHTS]).hexdigest()
    assert hub.storage.paths() == [f"/{REPO}/{checksum}"]  # from the other port, once
    (source,) = connection.execute("SELECT source FROM (LIST MODEL)").fetchone()
    assert source == f"hf:{REPO}@{COMMIT}"


def test_huggingface_hub_finds_what_is_in_the_cache(
    hub: Hub, connection: thanosql.Connection, files: dict[str, bytes], tmp_path: Path
) -> None:
    from huggingface_hub import hf_hub_download

    connection.execute(STATEMENT)
    path = hf_hub_download(
        REPO, WEIGHTS, revision=COMMIT, cache_dir=tmp_path / "hf" / "hub", local_files_only=True
    )
    assert Path(path).read_bytes() == files[WEIGHTS]
    (blobs,) = (tmp_path / "hf").rglob("blobs")
    assert not list(blobs.glob("*.thanosql"))


def test_the_cache_offline(hub: Hub, connection: thanosql.Connection, tmp_path: Path) -> None:
    connection.execute(STATEMENT)
    hub.site.asked.clear()
    (tmp_path / "w2").mkdir()
    offline = thanosql.connect(tmp_path / "w2" / "t.db", offline=True)
    offline.execute(STATEMENT)
    offline.close()
    connection.execute(f"{STATEMENT} OPTIONS (overwrite=True) AS again")
    assert hub.site.asked == []  # a pinned commit is not asked for again


PROGRAM = """
import sys, thanosql, thanosql_dbapi.sources.hub as hub
hub._LARGE_BYTES = 10_000
connection = thanosql.connect(sys.argv[1], progress=lambda *step: print(*step, flush=True))
connection.execute("GET THANOSQL MODEL clip")
"""


def run(database: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(database)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_killed_download_goes_on(hub: Hub, tmp_path: Path, files: dict[str, bytes]) -> None:
    """In processes that import huggingface_hub with the variables set."""
    (tmp_path / "w").mkdir()
    size = len(files[WEIGHTS])
    small = sum(len(body) for name, body in files.items() if name != WEIGHTS)
    hub.cut[WEIGHTS] = size // 2
    answer = hub.storage.handler
    hub.storage.handler = lambda request: (  # no second part before the process is killed
        answer(request) if len(hub.storage.asked) == 1 else Reply(status=503)
    )
    with run(tmp_path / "w" / "t.db") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line.split()[0]) >= small + size // 2:
                process.send_signal(signal.SIGKILL)
                break
    hub.storage.handler = answer
    (part,) = (tmp_path / "hf").rglob("*.thanosql")
    kept = part.stat().st_size
    assert 0 < kept <= size // 2
    del hub.cut[WEIGHTS]
    hub.storage.asked.clear()
    with run(tmp_path / "w" / "t.db") as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert [each.headers["range"] for each in hub.storage.asked] == [f"bytes={kept}-"]
    assert (model_folder(tmp_path) / WEIGHTS).read_bytes() == files[WEIGHTS]


def test_a_connection_that_breaks_off_goes_on(
    hub: Hub, connection: thanosql.Connection, tmp_path: Path, files: dict[str, bytes]
) -> None:
    size = len(files[WEIGHTS])
    hub.cut[WEIGHTS] = size // 3 + 1
    connection.execute(STATEMENT)
    starts = [each.headers.get("range") for each in hub.storage.asked]
    assert starts == [None, f"bytes={size // 3 + 1}-", f"bytes={2 * (size // 3 + 1)}-"]
    assert (model_folder(tmp_path) / WEIGHTS).read_bytes() == files[WEIGHTS]


def test_a_wrong_checksum(hub: Hub, connection: thanosql.Connection, tmp_path: Path) -> None:
    hub.damaged.add(WEIGHTS)
    message = failure_of(connection)
    assert "model.safetensors of hf:openai/clip" in message
    assert "has another checksum than the hub says: expected sha256 " in message
    assert not list((tmp_path / "hf").rglob("*.thanosql"))
    hub.damaged.clear()
    connection.execute(STATEMENT)


def test_a_gated_model(
    hub: Hub, connection: thanosql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secretsecret"
    message = failure_of(connection)
    assert f"asks to accept its terms first: do so at {hub.url}/{REPO}" in message
    assert "`hf auth login`, or set HF_TOKEN" in message
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrong")
    message = failure_of(connection)  # 403
    assert f"do so at {hub.url}/{REPO}" in message
    assert "hf_wrongwrong" not in message
    monkeypatch.setenv("HF_TOKEN", hub.token)
    connection.execute(STATEMENT)  # the storage host would fail, had it got the token


def test_names_that_the_hub_lacks(hub: Hub, connection: thanosql.Connection) -> None:
    del hub.models[REPO]
    assert f"has no model '{REPO}', or it is private" in failure_of(connection)
    hub.add(REPO, "0" * 40, {})
    assert f"has no revision '{COMMIT}'" in failure_of(connection)
    with pytest.raises(thanosql.SourceError, match="did you mean 'clip"):
        connection.execute("GET THANOSQL MODEL clipp")


def test_a_login_page(hub: Hub, connection: thanosql.Connection) -> None:
    hub.page = b"<html>Welcome to the airport</html>"
    message = failure_of(connection)
    assert f"{hub.url} does not answer as a hub" in message
    assert "login page" in message


def test_no_network(
    hub: Hub, connection: thanosql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    message = failure_of(connection)
    assert "cannot be downloaded from http://127.0.0.1:9" in message
    assert "check the network (and HF_ENDPOINT)" in message


def test_a_full_disk(
    hub: Hub,
    connection: thanosql.Connection,
    files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage, free = shutil.disk_usage("/"), len(files[WEIGHTS]) - 1
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
        message = failure_of(connection)
        assert f"has {free:,} bytes free, and {free + 1:,} are to be downloaded" in message
        assert "name another folder in HF_HOME" in message
    connection.execute(STATEMENT)


def test_no_credentials_anywhere(
    hub: Hub,
    connection: thanosql.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "httpx")
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("//", "//me:hunter2@") + "/nowhere")
    with pytest.raises(thanosql.SourceError, match=r"\*\*\*@127") as caught:
        connection.execute(STATEMENT)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_no_credentials_of_a_catalog(
    tmp_path: Path, clip_folder: Path, http_server, caplog: pytest.LogCaptureFixture
) -> None:
    """A login and a token in a URL reach the server, and nobody else."""
    caplog.set_level(logging.DEBUG)
    archive = shutil.make_archive(str(tmp_path / "m"), "zip", clip_folder)
    http_server.routes["/m.zip"] = Path(archive).read_bytes()
    source = http_server.url.replace("//", "//me:hunter2@")
    sources = {name: {"source": f"{source}/{name}.zip?token=abcdef"} for name in ("m", "gone")}
    (tmp_path / "catalog.json").write_text(json.dumps({"models": sources}))
    connection = thanosql.connect(tmp_path / "t.db", catalog=tmp_path / "catalog.json")
    connection.execute("GET THANOSQL MODEL m")
    with pytest.raises(thanosql.SourceError, match=r"answers 404") as caught:
        connection.execute("GET THANOSQL MODEL gone")
    listed = connection.execute("SELECT source FROM (LIST MODEL)").fetchall()
    assert listed == [(f"{source.replace('me:hunter2', '***')}/m.zip?token=***",)]
    connection.execute("GET THANOSQL MODEL m OPTIONS (overwrite=True)")
    connection.close()
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file())
    written = written.replace((tmp_path / "catalog.json").read_bytes(), b"")
    for secret in ("hunter2", "abcdef"):
        assert secret not in "".join(str(each) for each in (caught.value, listed))
        assert secret.encode() not in written
    assert "hunter2" not in said
    with closing(sqlite3.connect(tmp_path / "t.db")) as plain:
        assert "hunter2" not in "\n".join(plain.iterdump())
