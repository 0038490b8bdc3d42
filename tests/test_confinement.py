"""Nothing outside is read or written: links, registered folders, hosts, read-only, ATTACH."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import os
import shutil
import socket
import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import thanosql_dbapi as thanosql
from thanosql_dbapi.models.query_cache import queries
from thanosql_dbapi.sources import network
from thanosql_dbapi.sources.addresses import Reach, kind_of
from thanosql_dbapi.sources.network import fetch_bytes
from thanosql_dbapi.stores.sqlite.location import locate, read_uri
from thanosql_dbapi.workspace import Workspace

PUBLIC = "93.184.215.14"


@pytest.fixture(autouse=True)
def forgetful() -> None:
    queries.clear()


@pytest.fixture
def outside(tmp_path: Path, clip_folder: Path) -> Path:
    """A folder beside the workspace, with a picture, a table, a model and a database."""
    folder = tmp_path / "outside"
    folder.mkdir()
    Image.new("RGB", (40, 40), "purple").save(folder / "cat.png")
    (folder / "secret.csv").write_text("a\nsecret\n")
    shutil.copytree(clip_folder, folder / "model")
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Return each file below a folder with the digest of what is in it."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        )
        for path in folder.rglob("*")
    }


# -- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "notes.txt"])
def test_upload_copies_no_file_from_outside(
    connection: thanosql.Connection, workspace: Path, outside: Path, name: str
) -> None:
    linked = workspace / "tiny_clip" / name
    linked.unlink(missing_ok=True)
    (outside / "model" / "notes.txt").write_text("secret")
    linked.symlink_to(outside / "model" / name)
    before = snapshot(workspace / "thanosql-model")
    with pytest.raises(thanosql.WorkspaceError, match=r"lies outside .*allowed_directories=\["):
        connection.execute("UPLOAD MODEL other FROM 'tiny_clip'")
    assert snapshot(workspace / "thanosql-model") == before
    assert connection.execute("SELECT name FROM thanosql_models").fetchall() == [("m",)]


def test_upload_follows_links_to_what_may_be_read(workspace: Path, outside: Path) -> None:
    config = workspace / "tiny_clip" / "config.json"
    config.rename(workspace / "kept.json")
    config.symlink_to(workspace / "kept.json")
    weights = workspace / "tiny_clip" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(outside / "model" / "model.safetensors")
    database = workspace / "a.db"
    with thanosql.connect(database, allowed_directories=[outside], progress=False) as connection:
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    connection.close()
    assert not any(path.is_symlink() for path in (workspace / "thanosql-model" / "m").iterdir())


@pytest.mark.filterwarnings("ignore:the text is longer")
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_link_that_came_into_a_models_folder_is_not_followed(
    connection: thanosql.Connection, workspace: Path, outside: Path, name: str
) -> None:
    file = workspace / "thanosql-model" / "m" / name
    file.unlink()
    file.symlink_to(outside / "model" / name)
    for text in ("a cat", "a cat " * 100):
        with pytest.raises(thanosql.WorkspaceError, match="is a link"):
            connection.execute("SELECT embed_text('m', ?)", (text,))


def test_a_folder_of_models_that_leads_outside_is_not_written_to(
    workspace: Path, outside: Path
) -> None:
    (workspace / "thanosql-model").symlink_to(outside)
    (workspace / "thanosql-dataset").symlink_to(outside)
    before = snapshot(outside)
    connection = thanosql.connect(workspace / "a.db", progress=False)
    for statement in (
        "UPLOAD MODEL m FROM 'tiny_clip'",
        "GET THANOSQL MODEL storybook_clip",
        "GET THANOSQL DATASET storybook OPTIONS (rows=2)",
    ):
        with pytest.raises(thanosql.WorkspaceError, match="lies outside the workspace"):
            connection.execute(statement)
    connection.close()
    assert snapshot(outside) == before


def test_models_may_be_shared_by_a_link_and_are_not_written(
    connection: thanosql.Connection, workspace: Path, tmp_path: Path
) -> None:
    """The folder of models of one workspace is a link in another, made before it is opened."""
    connection.execute("GET THANOSQL MODEL storybook_clip")
    connection.close()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thanosql-model").symlink_to(workspace / "thanosql-model")
    before = snapshot(workspace)
    linked = thanosql.connect(other / "photos.db", progress=False)
    linked.execute("GET THANOSQL MODEL storybook_clip")
    sql = "SELECT embed_text('storybook_clip', 'a black cat') IS NOT NULL"
    assert linked.execute(sql).fetchone() == (1,)
    for statement in (
        "GET THANOSQL MODEL storybook_clip OPTIONS (overwrite=True)",
        "GET THANOSQL MODEL storybook_clip AS n",
    ):
        with pytest.raises(thanosql.WorkspaceError, match="lies outside the workspace"):
            linked.execute(statement)
    linked.execute("DELETE MODEL storybook_clip")
    linked.close()
    assert snapshot(workspace) == before


def test_what_others_seem_to_have_left_leads_nowhere(
    connection: thanosql.Connection, workspace: Path, outside: Path
) -> None:
    """Journals of killed processes are files of the workspace, and so are links of such names."""
    with sqlite3.connect(outside / "wal.db") as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE thanosql_models (a)")
    other.close()
    models = workspace / "thanosql-model"
    inode = (models / "m").stat().st_ino
    journal = json.dumps(["../../outside/wal.db", "gone", inode])
    (models / ".m.0123abcd.journal").write_text(journal)
    (models / ".n.0123abcd.journal").symlink_to(outside / "made.txt")
    (models / ".o.0123abcd.partial").symlink_to(outside / "model")
    (outside / ".p.0123abcd.partial").mkdir()
    before = snapshot(outside)
    connection.execute("GET THANOSQL MODEL storybook_clip")
    connection.close()
    assert snapshot(outside) == before
    assert (models / "m" / "config.json").is_file()
    models.rename(workspace / "away")
    models.symlink_to(outside)
    again = thanosql.connect(workspace / "photos.db", progress=False)
    with pytest.raises(thanosql.WorkspaceError, match="lies outside the workspace"):
        again.execute("GET THANOSQL MODEL storybook_clip AS other")
    again.close()
    assert snapshot(outside) == before


def test_query_vectors_are_not_kept_behind_a_link(
    connection: thanosql.Connection, workspace: Path, outside: Path
) -> None:
    with sqlite3.connect(outside / "own.db") as own:
        own.execute("CREATE TABLE mine (a)")
    own.close()
    (workspace / "thanosql-model" / ".queries.db").symlink_to(outside / "own.db")
    before = snapshot(outside)
    assert connection.execute("SELECT embed_text('m', 'a cat') IS NULL").fetchone() == (0,)
    assert snapshot(outside) == before


STATEMENTS = {
    "image.png": "SELECT embed_image('m', 'image.png')",
    "table.csv": "COPY found FROM 'table.csv'",
    "inner/image.png": "SELECT embed_image('m', 'inner/image.png')",
    "tiny_clip/config.json": "UPLOAD MODEL other FROM 'tiny_clip'",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_file_exchanged_after_the_check_is_not_read(
    connection: thanosql.Connection,
    workspace: Path,
    outside: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The path is checked; before it is opened, a link takes the file's or its folder's place."""
    (workspace / "inner").mkdir()
    shutil.copyfile(workspace / "images" / "red.png", workspace / "image.png")
    shutil.copyfile(workspace / "images" / "red.png", workspace / "inner" / "image.png")
    (workspace / "table.csv").write_text("a\nours\n")
    file = workspace / name
    (outside / "image.png").write_bytes((outside / "cat.png").read_bytes())
    (outside / "table.csv").write_bytes((outside / "secret.csv").read_bytes())
    shutil.copyfile(outside / "model" / "config.json", outside / "config.json")
    before = Workspace.locate

    def exchanging(self: Workspace, path: Any) -> Path:
        found = before(self, path)
        if found == file and not file.is_symlink() and not file.parent.is_symlink():
            if name.startswith("inner"):
                file.parent.rename(workspace / "away")
                file.parent.symlink_to(outside)
            else:
                file.unlink()
                file.symlink_to(outside / file.name)
        return found

    monkeypatch.setattr(Workspace, "locate", exchanging)
    with pytest.raises(thanosql.WorkspaceError, match="is a link, or was exchanged while it was"):
        connection.execute(STATEMENTS[name])
    monkeypatch.undo()
    assert connection.execute("SELECT name FROM thanosql_models").fetchall() == [("m",)]


def test_copy_reads_one_file_however_often_it_reads_it(
    connection: thanosql.Connection, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = importlib.import_module("thanosql_dbapi.statements.copy")
    (workspace / "a.csv").write_text("a\n1\n")
    store = copy._store

    def exchanging(*arguments: Any) -> None:
        (workspace / "a.csv").unlink()
        (workspace / "a.csv").write_text("a\nanother\n")
        store(*arguments)

    monkeypatch.setattr(copy, "_store", exchanging)
    connection.execute("COPY t FROM 'a.csv'")
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_the_archive_that_is_unpacked_is_the_one_whose_checksum_was_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile

    from thanosql_dbapi.sources import fetch

    for name in ("good", "other"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as file:
            file.writestr("a.csv", f"a\n{name}\n")
    digest = hashlib.sha256((tmp_path / "good.zip").read_bytes()).hexdigest()
    (tmp_path / "c.json").write_text(
        json.dumps({"datasets": {"d": {"source": "good.zip", "sha256": digest}}})
    )
    compare = fetch.check_sha256

    def exchanging(*arguments: Any) -> None:
        compare(*arguments)
        (tmp_path / "other.zip").replace(tmp_path / "good.zip")

    monkeypatch.setattr(fetch, "check_sha256", exchanging)
    connection = thanosql.connect(tmp_path / "a.db", catalog=tmp_path / "c.json", progress=False)
    connection.execute("GET THANOSQL DATASET d")
    assert (tmp_path / "thanosql-dataset" / "d" / "a.csv").read_text() == "a\ngood\n"
    connection.close()


def test_a_pipe_is_not_waited_for(connection: thanosql.Connection, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe.png")
    os.mkfifo(workspace / "pipe.csv")
    with pytest.raises(thanosql.MediaError, match="is not a regular file"):
        connection.execute("SELECT embed_image('m', 'pipe.png')")
    with pytest.raises(thanosql.OperationalError, match="got a device or pipe"):
        connection.execute("COPY t FROM 'pipe.csv'")


def test_a_data_set_with_links_that_lead_in_a_circle(tmp_path: Path, http_server: Any) -> None:
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "b").mkdir()
    (source / "a" / "to_b").symlink_to(source / "b")
    (source / "b" / "to_a").symlink_to(source / "a")
    (tmp_path / "c.json").write_text('{"datasets": {"d": {"source": "source"}}}')
    connection = thanosql.connect(
        tmp_path / "a.db", catalog=tmp_path / "c.json", workspace=tmp_path, progress=False
    )
    with pytest.raises(thanosql.SourceError, match="link to a folder that it lies in"):
        connection.execute("GET THANOSQL DATASET d")
    connection.close()


# -- a model's folder is data -----------------------------------------------------------------


def test_a_models_folder_outside_is_not_read_and_nothing_is_put_beside_it(
    converted: thanosql.Connection, workspace: Path, outside: Path
) -> None:
    connection = converted
    before = snapshot(outside)
    for folder in (str(outside / "model"), "../outside/model"):
        connection.execute("UPDATE thanosql_models SET folder = ?", (folder,))
        for statement in (
            "SELECT embed_text('m', 'a cat')",
            "SELECT * FROM (SEARCH IMAGE text='a cat' USING m AS SELECT * FROM photos)",
            "CONVERT USING m AS SELECT * FROM photos",
        ):
            with pytest.raises(thanosql.Error, match="lies outside the workspace"):
                connection.execute(statement).fetchall()
    assert snapshot(outside) == before


def test_nothing_is_put_beside_a_model_in_an_allowed_directory(
    workspace: Path, outside: Path
) -> None:
    connection = thanosql.connect(
        workspace / "a.db", allowed_directories=[outside], progress=False, isolation_level=None
    )
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    before = snapshot(outside)
    connection.execute("UPDATE thanosql_models SET folder = ?", (str(outside / "model"),))
    assert connection.execute("SELECT embed_text('m', 'a cat') IS NULL").fetchone() == (0,)
    connection.close()
    assert snapshot(outside) == before


@pytest.mark.parametrize(
    "folder",
    [".", "", "thanosql-model", "thanosql-model/", "thanosql-model/.", "thanosql-model/other",
     "thanosql-model/m/..", "thanosql-model/../images", "images", "../outside", "{}/outside",
     "thanosql-model/m/", "./thanosql-model/m", "thanosql-model//m"],
)  # fmt: skip
def test_delete_model_removes_a_models_own_folder_only(
    connection: thanosql.Connection, workspace: Path, outside: Path, folder: str
) -> None:
    shutil.copytree(workspace / "thanosql-model" / "m", workspace / "thanosql-model" / "other")
    shutil.copytree(workspace / "thanosql-model" / "m", outside / "m")
    connection.execute("UPDATE thanosql_models SET folder = ?", (folder.format(outside.parent),))
    connection.commit()
    before = snapshot(outside.parent)
    connection.execute("DELETE MODEL m")
    after = snapshot(outside.parent)
    assert {name for name in before if name not in after} == set()
    assert connection.execute("SELECT count(*) FROM thanosql_models").fetchone() == (0,)


def test_delete_model_leaves_what_a_link_leads_to(
    connection: thanosql.Connection, workspace: Path, outside: Path
) -> None:
    shutil.rmtree(workspace / "thanosql-model" / "m")
    (workspace / "thanosql-model" / "m").symlink_to(outside / "model")
    before = snapshot(outside)
    connection.execute("DELETE MODEL m")
    assert snapshot(outside) == before


def test_delete_model_removes_its_folder(connection: thanosql.Connection, workspace: Path) -> None:
    connection.execute("DELETE MODEL m")
    assert not (workspace / "thanosql-model" / "m").exists()


# -- the network ------------------------------------------------------------------------------


def png(color: str = "red") -> bytes:
    import io

    file = io.BytesIO()
    Image.new("RGB", (40, 40), color).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def open_online(workspace: Path) -> Iterator[Callable[..., thanosql.Connection]]:
    """Open a connection that may use the network, with a model m."""
    opened = []

    def open_(**options: Any) -> thanosql.Connection:
        options = {"network": True, "progress": False, **options}
        opened.append(thanosql.connect(workspace / "online.db", **options))
        if not opened[1:]:
            opened[0].execute("UPLOAD MODEL m FROM 'tiny_clip'")
        return opened[-1]

    yield open_
    for connection in opened:
        connection.close()


def embed(connection: thanosql.Connection, url: str) -> bytes:
    (vector,) = connection.execute("SELECT embed_image('m', ?)", (url,)).fetchone()
    return bytes(vector)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "localhost.", "LOCALHOST", "127.1", "2130706433", "0x7f000001",
     "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "0", "0.0.0.0",
     "127.0.0.1.", "①②⑦.0.0.1", "user:pass@127.0.0.1"],
)  # fmt: skip
def test_this_machine_is_not_asked(open_online: Any, http_server: Any, host: str) -> None:
    http_server.routes["/a.png"] = png()
    port = http_server.url.rpartition(":")[2]
    with pytest.raises(thanosql.MediaError, match="image 'http"):
        embed(open_online(), f"http://{host}:{port}/a.png")
    assert http_server.asked == []


def test_a_host_that_the_user_names_is_asked(open_online: Any, http_server: Any) -> None:
    http_server.routes["/a.png"] = png()
    url = f"{http_server.url}/a.png"
    with pytest.raises(thanosql.MediaError, match=r"loopback .*allowed_hosts=\['127\.0\.0\.1'\]"):
        embed(open_online(), url)
    host = http_server.url.removeprefix("http://")
    for named in ("127.0.0.1", host):
        queries.clear()
        assert embed(open_online(allowed_hosts=[named]), url)
    with pytest.raises(thanosql.MediaError, match="loopback"):
        embed(open_online(allowed_hosts=["127.0.0.1:1", "example.com"]), url)


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.2:{}/a.png", "http://169.254.169.254/a",
     "//[::1]:{}/a.png", "http://10.0.0.1/a"],
)  # fmt: skip
def test_each_redirect_is_checked(open_online: Any, http_server: Any, target: str) -> None:
    port = http_server.url.rpartition(":")[2]
    http_server.routes["/a.png"] = png()
    http_server.routes["/away"] = http_server.reply(
        status=302, headers={"Location": target.format(port)}
    )
    with pytest.raises(thanosql.MediaError, match="a row may name public hosts only"):
        embed(open_online(allowed_hosts=["127.0.0.1"]), f"{http_server.url}/away")
    assert http_server.asked == ["/away"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/a", "gopher://a/"])
def test_redirects_to_other_protocols(open_online: Any, http_server: Any, target: str) -> None:
    http_server.routes["/away"] = http_server.reply(status=302, headers={"Location": target})
    with pytest.raises(thanosql.MediaError, match=r"not http\(s\)"):
        embed(open_online(allowed_hosts=["127.0.0.1"]), f"{http_server.url}/away")


def test_redirects_end(open_online: Any, http_server: Any) -> None:
    http_server.routes["/loop"] = http_server.reply(status=302, headers={"Location": "/loop"})
    with pytest.raises(thanosql.MediaError, match="redirects"):
        embed(open_online(allowed_hosts=["127.0.0.1"]), f"{http_server.url}/loop")
    assert len(http_server.asked) == network.REDIRECTS + 1


def answering(answers: list[str], asked: list[str]) -> Callable[..., Any]:
    """Return a getaddrinfo that gives another address each time a name is asked for."""

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name.endswith(".test"):
            asked.append(name)
            name = answers[min(len(asked), len(answers)) - 1]
        return original(name, port, *arguments, **options)

    original = socket.getaddrinfo
    return getaddrinfo


def test_a_name_that_leads_to_this_machine(
    open_online: Any, http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(["127.0.0.1"], []))
    port = http_server.url.rpartition(":")[2]
    with pytest.raises(thanosql.MediaError, match=r"'a\.test' has the address 127\.0\.0\.1"):
        embed(open_online(), f"http://a.test:{port}/a.png")
    assert http_server.asked == []


def test_a_second_answer_of_the_dns_does_not_count(
    open_online: Any, http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is resolved once, and the address that was checked is connected to."""
    asked: list[str] = []
    http_server.routes["/a.png"] = png()
    monkeypatch.setattr(socket, "getaddrinfo", answering(["127.0.0.1", "127.0.0.2"], asked))
    connected: list[Any] = []
    create_connection = socket.create_connection

    def watched(address: Any, *arguments: Any, **options: Any) -> Any:
        connected.append(address[0])
        return create_connection(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", watched)
    port = http_server.url.rpartition(":")[2]
    assert embed(open_online(allowed_hosts=["127.0.0.1"]), f"http://a.test:{port}/a.png")
    assert (asked, connected) == (["a.test"], ["127.0.0.1"])


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "shared"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "private"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fec0::1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("2001:db8::1", "private"),
        (PUBLIC, ""),
        ("2606:4700::1111", ""),
        (f"::ffff:{PUBLIC}", ""),
    ],
)
def test_kinds_of_addresses(address: str, kind: str) -> None:
    assert kind_of(address) == kind


def test_hosts_are_compared_in_one_spelling() -> None:
    for named, host in [
        ("[::1]:80", "::1"), ("::1", "0:0:0:0:0:0:0:1"), ("LOCALHOST", "localhost"),
        ("127.0.0.1", "localhost"),
    ]:  # fmt: skip
        assert Reach([named]).addresses(host, 80)
    with pytest.raises(thanosql.SourceError, match="loopback"):
        Reach(["[::1]:80"]).addresses("::1", 81)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_compressed_transfer_counts_as_it_unpacks(http_server: Any, times: int) -> None:
    body = bytes(50 << 20)
    for _ in range(times):
        body = gzip.compress(body, 9)
    encoding = ", ".join(["gzip"] * times)
    http_server.routes["/a"] = http_server.reply(body, headers={"Content-Encoding": encoding})
    tracemalloc.start()
    with pytest.raises(thanosql.SourceError, match=r"sends more than|is sent in the encoding"):
        fetch_bytes(f"{http_server.url}/a", limit_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_compressed_transfer_is_read(http_server: Any) -> None:
    body = b"a picture" * 100_000
    http_server.routes["/a"] = http_server.reply(
        gzip.compress(body), headers={"Content-Encoding": "gzip"}
    )
    http_server.routes["/cut"] = http_server.reply(
        gzip.compress(body)[:-20], headers={"Content-Encoding": "gzip"}
    )
    http_server.routes["/bad"] = http_server.reply(body, headers={"Content-Encoding": "gzip"})
    assert fetch_bytes(f"{http_server.url}/a") == body
    for path, message in (("cut", "end early"), ("bad", "damaged gzip data")):
        with pytest.raises(thanosql.SourceError, match=message):
            fetch_bytes(f"{http_server.url}/{path}")


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_sends_a_byte_at_a_time_is_left(part: str) -> None:
    """Each byte comes long before the server counts as silent; all of them take for ever."""
    done = threading.Event()

    def serve() -> None:
        asking, _ = listener.accept()
        with asking:
            if part == "body":
                asking.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not done.wait(0.02):
                try:
                    asking.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
        with pytest.raises(thanosql.SourceError, match=r"longer than the limit of 0\.3 seconds"):
            fetch_bytes(url, total_s=0.3)
        done.set()
        thread.join()
    assert time.monotonic() - began < 20


def test_a_proxy_that_the_environment_names_is_used(
    http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", http_server.url)
    http_server.routes["http://pictures.invalid/a"] = b"by proxy"
    assert fetch_bytes("http://pictures.invalid/a", reach=Reach()) == b"by proxy"
    with pytest.raises(thanosql.SourceError, match="link-local"):
        fetch_bytes("http://169.254.169.254/latest", reach=Reach())
    assert http_server.asked == ["http://pictures.invalid/a"]


def test_what_the_catalog_names_is_the_users_word(
    tmp_path: Path, http_server: Any, workspace: Path
) -> None:
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.csv", "a\n1\n")
    http_server.routes["/a.zip"] = archive.getvalue()
    http_server.routes["/moved.zip"] = http_server.reply(
        status=302, headers={"Location": "http://169.254.169.254/a.zip"}
    )
    http_server.routes["/c.json"] = (
        b'{"datasets": {"d": {"source": "a.zip"}, "moved": {"source": "moved.zip"}}}'
    )
    connection = thanosql.connect(
        workspace / "a.db", catalog=f"{http_server.url}/c.json", progress=False
    )
    connection.execute("GET THANOSQL DATASET d")
    with pytest.raises(thanosql.SourceError, match="link-local"):
        connection.execute("GET THANOSQL DATASET moved")
    connection.close()


# -- read-only --------------------------------------------------------------------------------

WRITING = [
    "GET THANOSQL DATASET storybook OPTIONS (rows=2)",
    "GET THANOSQL MODEL storybook_clip",
    "GET THANOSQL MODEL storybook_clip AS m OPTIONS (overwrite=True)",
    "UPLOAD MODEL other FROM 'tiny_clip'",
    "UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'",
    "DELETE MODEL m",
    "COPY other FROM 'photos.csv'",
    "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos",
    "CONVERT USING m OPTIONS (table_name='new') AS SELECT * FROM photos",
]
READING = [
    "SELECT embed_text('m', 'asked for the first time') IS NULL",
    "SELECT * FROM (SEARCH IMAGE text='cat' USING m AS SELECT * FROM photos) ORDER BY 4 LIMIT 2",
    "SELECT * FROM (SEARCH IMAGE text='cat' USING m OPTIONS (top_k=2) AS SELECT * FROM photos)",
    "LIST TABLE",
    "SELECT * FROM (LIST THANOSQL MODEL)",
]


@pytest.mark.parametrize("way", ["mode", "URI", "thanosql URL", "immutable"])
def test_read_only_writes_nothing_anywhere(
    converted: thanosql.Connection,
    workspace: Path,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from thanosql_dbapi.opening import open_database
    from thanosql_dbapi.stores.sqlite.topk import matrices

    monkeypatch.setattr(matrices, "FEWEST_FILED", 1)
    file = workspace / "photos.db"
    before = snapshot(workspace)
    if way == "mode":
        connection = thanosql.connect(file, mode="ro", progress=False)
    elif way == "thanosql URL":
        connection = open_database(f"thanosql:///{file}?mode=ro&progress=no")
    else:
        query = "mode=ro" if way == "URI" else "immutable=1"
        connection = thanosql.connect(f"{file.as_uri()}?{query}", uri=True, progress=False)
    for statement in WRITING:
        with pytest.raises(thanosql.OperationalError, match="readonly database"):
            connection.execute(statement)
        connection.rollback()
    for statement in READING:
        assert connection.execute(statement).fetchall()
    assert connection.settings.is_read_only
    connection.close()
    assert snapshot(workspace) == before


def test_query_only_writes_no_files(connection: thanosql.Connection, workspace: Path) -> None:
    connection.execute("PRAGMA query_only = ON")
    before = snapshot(workspace)
    for statement in WRITING[:6]:
        with pytest.raises(thanosql.OperationalError, match="readonly database"):
            connection.execute(statement)
    assert snapshot(workspace) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_file_without_permission_to_write(
    converted: thanosql.Connection, workspace: Path
) -> None:
    converted.close()
    (workspace / "photos.db").chmod(0o444)
    before = snapshot(workspace)
    connection = thanosql.connect(workspace / "photos.db", progress=False)
    for statement in WRITING:
        with pytest.raises(thanosql.OperationalError, match="readonly database"):
            connection.execute(statement)
        connection.rollback()
    connection.close()
    assert snapshot(workspace) == before


@pytest.mark.parametrize(
    ("uri", "is_read_only"),
    [
        ("file:/a.db?mode=ro", True),
        ("file:/a.db?mode=%72o", True),
        ("file:/a.db?%6dode=ro", True),
        ("file:/a.db?cache=shared&mode=ro#mode=rw", True),
        ("file:/a.db?mode=ro&mode=rw", False),
        ("file:/a.db?mode=rw&mode=ro", True),
        ("file:/a.db?immutable=1", True),
        ("file:/a.db?immutable=yes", True),
        ("file:/a.db?immutable=0", False),
        ("file:/a.db?immutable=off", False),
        ("file:/a.db?mode=rox", False),
        ("file:/a.db?xmode=ro", False),
        ("file:/a.db#?mode=ro", False),
        ("file:/a.db", False),
    ],
)
def test_a_uri_is_read_as_sqlite_reads_it(uri: str, is_read_only: bool) -> None:
    location = locate(uri, is_uri=True)
    assert (location.is_read_only, location.file) == (is_read_only, Path("/a.db"))


def test_the_paths_of_uris() -> None:
    for uri, path in [
        ("file:a.db", "a.db"),
        ("file:///b/a.db", "/b/a.db"),
        ("file://localhost/b/a.db", "/b/a.db"),
        ("file:/b/%61.db%00/c", "/b/a.db"),
        ("file:", ""),
    ]:
        assert read_uri(uri) == (path, [])


def test_mode_with_names_that_have_one_or_are_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a b%20?.db"
    thanosql.connect(file).close()
    thanosql.connect(file, mode="rw").close()
    thanosql.connect(f"{file.as_uri()}?mode=ro", uri=True, mode="ro").close()
    with pytest.raises(thanosql.ProgrammingError, match="asks for mode='rw'"):
        thanosql.connect(f"{file.as_uri()}?mode=rw", uri=True, mode="ro")
    with pytest.raises(thanosql.ProgrammingError, match="is for a file"):
        thanosql.connect(":memory:", mode="ro")
    with pytest.raises(thanosql.OperationalError, match="unable to open"):
        thanosql.connect(tmp_path / "none.db", mode="rw")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


# -- ATTACH and VACUUM INTO -------------------------------------------------------------------


@pytest.fixture
def confined(
    workspace: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[thanosql.Connection]:
    monkeypatch.chdir(workspace)
    (workspace / "link").symlink_to(outside)
    connection = thanosql.connect(
        workspace / "a.db", confine_attach=True, isolation_level=None, progress=False
    )
    connection.execute("CREATE TABLE t (a)")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "name",
    ["{}/b.db", "../outside/b.db", "link/b.db", "images/../../outside/b.db", "file:{}/b.db",
     "file:../outside/b.db", "file:link/b.db", "file://localhost{}/b.db",
     "file:%2e%2e/outside/b.db",
     "file:{}/b.db?mode=memory&mode=rwc", "file:{}/b.db?mode=ro", "file:{}/b.db%00x",
     "/proc/self/root{}/b.db", "//{}/b.db"],
)  # fmt: skip
def test_files_outside_are_not_attached(
    confined: thanosql.Connection, outside: Path, name: str
) -> None:
    name = name.format(outside)
    before = snapshot(outside)
    for statement in (f"ATTACH '{name}' AS b", f'ATTACH "{name}" AS b', f"VACUUM INTO '{name}'"):
        with pytest.raises(thanosql.WorkspaceError, match="refused by confine_attach=True"):
            confined.execute(statement)
        with pytest.raises(thanosql.WorkspaceError, match="refused by confine_attach=True"):
            confined.executescript(statement)
    with pytest.raises(thanosql.WorkspaceError, match="refused by confine_attach=True"):
        confined.execute("VACUUM INTO ?", (name,))
    for statement in ("ATTACH ? AS b", "ATTACH '' || ? AS b"):
        with pytest.raises(thanosql.WorkspaceError, match="must be a text in the statement"):
            confined.execute(statement, (name,))
    assert snapshot(outside) == before


@pytest.mark.parametrize(
    "name",
    ["b.db", "{}/b.db", ":memory:", "", "file:b.db?mode=rwc", "file:{}/b.db", "file::memory:",
     "file:b?mode=memory"],
)  # fmt: skip
def test_files_inside_are_attached(
    confined: thanosql.Connection, workspace: Path, name: str
) -> None:
    confined.execute(f"ATTACH '{name.format(workspace)}' AS b")
    confined.execute("CREATE TABLE b.u (a)")
    confined.execute("DETACH b")
    confined.execute("VACUUM")
    confined.execute("VACUUM INTO 'copy.db'")
    assert (workspace / "copy.db").is_file()


def test_temporary_files_stay_where_they_are(confined: thanosql.Connection) -> None:
    for pragma in ("temp_store_directory", "TEMP_STORE_DIRECTORY"):
        with pytest.raises(thanosql.WorkspaceError, match="refused by confine_attach=True"):
            confined.execute(f"PRAGMA {pragma} = '/tmp'")


def test_an_authorizer_of_the_programs_own_works_beside_it(
    confined: thanosql.Connection, outside: Path
) -> None:
    asked = []

    def authorizer(action: int, *arguments: Any) -> int:
        asked.append(action)
        return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_INSERT else sqlite3.SQLITE_OK

    confined.set_authorizer(authorizer)
    with pytest.raises(thanosql.DatabaseError, match="not authorized"):
        confined.execute("INSERT INTO t VALUES (1)")
    assert sqlite3.SQLITE_INSERT in asked
    with pytest.raises(thanosql.WorkspaceError, match="refused by confine_attach=True"):
        confined.execute(f"ATTACH '{outside}/b.db' AS b")
    confined.set_authorizer(None)
    confined.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(thanosql.WorkspaceError, match="refused by confine_attach=True"):
        confined.execute(f"ATTACH '{outside}/b.db' AS b")


def test_without_the_option_all_is_as_in_sqlite3(workspace: Path, outside: Path) -> None:
    connection = thanosql.connect(workspace / "a.db", isolation_level=None)
    connection.execute("ATTACH ? AS b", (str(outside / "b.db"),))
    connection.set_authorizer(lambda *arguments: sqlite3.SQLITE_DENY)
    with pytest.raises(thanosql.DatabaseError, match="not authorized"):
        connection.execute("SELECT 1")
    connection.close()


# -- many forms of paths ----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* knows drawings only")
def test_forms_of_paths_through_all_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short form of ``python tests/long/confinement.py --seconds N``."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "long")
    confinement = importlib.import_module("confinement")
    counts = confinement.run(tmp_path, seconds=3600, seed=1, most=25)
    assert set(counts.statements) == set(confinement.STATEMENTS)
    assert counts.outcomes["WorkspaceError"] > 50
    assert counts.exchanges > 0
