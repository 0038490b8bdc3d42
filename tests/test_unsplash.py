"""GET THANOSQL DATASET unsplash_data with the built-in catalog, from loopback servers."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import IMAGES, Reply, Request, Unsplash, made_release, made_rows
from PIL import Image

import thanosql
from thanosql_dbapi.sources import photo_files

NUMBER = 30
STATEMENT = "GET THANOSQL DATASET unsplash_data"
COLUMNS = ["photo_id", "image_path", "photo_image_url", "photo_description", "ai_description"]

pytestmark = pytest.mark.filterwarnings("ignore::thanosql.LicenseWarning")


def picture(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 12), (number % 256, 99, 7)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def unsplash(monkeypatch: pytest.MonkeyPatch) -> Iterator[Unsplash]:
    server = Unsplash(NUMBER, picture)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("THANOSQL_CATALOG", raising=False)
    monkeypatch.setattr(photo_files, "BACK_OFF_S", 0.01)
    yield server
    server.close()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[thanosql.Connection]:
    connection = thanosql.connect(tmp_path / "t.db", progress=False)
    yield connection
    connection.close()


def folder_of(connection: thanosql.Connection) -> Path:
    (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
    return Path(file).parent / "thanosql-dataset"


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "unsplash_data" / "unsplash.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_and_the_photos(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    connection.execute(STATEMENT)
    folder = folder_of(connection)
    rows = rows_of(folder)
    assert list(rows[0]) == COLUMNS
    assert rows == [
        {
            "photo_id": row["photo_id"],
            "image_path": f"thanosql-dataset/unsplash_data/{row['photo_id']}.jpg",
            "photo_image_url": row["photo_image_url"],
            "photo_description": row["photo_description"],
            "ai_description": row["ai_description"],
        }
        for row in made_rows(NUMBER)
    ]
    for number, row in enumerate(rows):
        assert (folder.parent / row["image_path"]).read_bytes() == picture(number)
    assert [path.name for path in folder.iterdir()] == ["unsplash_data"]
    names = {path.name for path in (folder / "unsplash_data").iterdir()}
    assert names == {f"{row['photo_id']}.jpg" for row in rows} | {"unsplash.csv", "unsplash.json"}
    record = json.loads((folder / "unsplash_data" / "unsplash.json").read_text())
    assert (record["width"], record["photos"], record["gone"]) == (640, NUMBER, [])
    queries = {each.query for each in unsplash.images.asked}
    assert queries == {"w=640&fit=max&fm=jpg&q=80"}


def test_of_the_zip_only_the_table_is_read(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    connection.execute(STATEMENT)
    spans = [each.headers["range"].removeprefix("bytes=") for each in unsplash.storage.asked]
    read = sum(int(end) - int(start) + 1 for start, end in (span.split("-") for span in spans))
    assert read < len(unsplash.release) / 4
    assert len(unsplash.site.asked) == 1  # the redirect is followed once


@pytest.mark.parametrize("name", ["photos.csv000", "lite/photos.tsv000"])
def test_other_names_of_the_table(
    unsplash: Unsplash, connection: thanosql.Connection, name: str
) -> None:
    unsplash.release = made_release(unsplash.rows, name)
    connection.execute(f"{STATEMENT} OPTIONS (rows=3)")
    assert len(rows_of(folder_of(connection))) == 3
    assert len(unsplash.images.asked) == 3


def test_a_server_without_ranges(unsplash: Unsplash, tmp_path: Path) -> None:
    unsplash.has_ranges = False
    shown = []
    connection = thanosql.connect(tmp_path / "t.db", progress=lambda *step: shown.append(step))
    connection.execute(STATEMENT)
    assert len(rows_of(folder_of(connection))) == NUMBER
    size = len(unsplash.release)
    assert (size, size, "download unsplash_data's table") in shown
    assert shown[-1] == (NUMBER, NUMBER, "download unsplash_data")
    connection.close()


def test_the_terms_are_named_before_the_download(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    asked = []

    def answer(request: Request) -> Reply:
        asked.append(len(caught))
        return Reply(status=404)

    unsplash.site.handler = answer
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(thanosql.SourceError, match="answers 404"):
            connection.execute(STATEMENT)
    assert asked == [1]
    assert caught[0].category is thanosql.LicenseWarning
    assert "https://unsplash.com/data-terms" in str(caught[0].message)
    (terms,) = connection.execute(
        "SELECT license FROM (LIST THANOSQL DATASET) WHERE dataset_name = 'unsplash_data'"
    ).fetchone()
    assert "https://unsplash.com/data-terms" in terms


def test_the_width_and_the_workers(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    unsplash.images.latency_s = 0.03
    connection.execute(f"{STATEMENT} OPTIONS (width=320, workers=3)")
    assert {each.query.split("&")[0] for each in unsplash.images.asked} == {"w=320"}
    assert 1 < unsplash.images.most_at_once <= 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("width=4", "at least 16"),
        ("width=10000", "width must be a whole number, 16 to 8192, got 10000"),
        ("workers=65", "workers must be a whole number, 1 to 64, got 65"),
        ("workers=0", "at least 1"),
        ("seed=3", "has no option 'seed'; it has rows and width and workers"),
    ],
)
def test_options_out_of_range(
    unsplash: Unsplash, connection: thanosql.Connection, option: str, message: str
) -> None:
    with pytest.raises(thanosql.Error, match=message):
        connection.execute(f"{STATEMENT} OPTIONS ({option})")
    assert unsplash.site.asked == []


def test_photos_that_are_gone_are_listed(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    unsplash.gone = {3, 17}
    with pytest.warns(thanosql.MediaWarning, match=r"2 of 30 photos are no longer there .* lists"):
        connection.execute(STATEMENT)
    folder = folder_of(connection)
    ids = [row["photo_id"] for row in made_rows(NUMBER)]
    assert [row["photo_id"] for row in rows_of(folder)] == [
        each for number, each in enumerate(ids) if number not in unsplash.gone
    ]
    record = json.loads((folder / "unsplash_data" / "unsplash.json").read_text())
    assert record["gone"] == [
        {"photo_id": ids[each], "photo_image_url": f"{IMAGES}/photo-{each:05}", "status": 404}
        for each in (3, 17)
    ]


def test_a_last_try_finds_only_those_that_are_gone(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    unsplash.gone = {28, 29}
    unsplash.answers["/photo-00027"] = [Reply(status=400)]
    with pytest.raises(thanosql.SourceError, match="answers 400"):
        connection.execute(f"{STATEMENT} OPTIONS (workers=1)")
    unsplash.gone = {27, 28, 29}
    with pytest.warns(thanosql.MediaWarning, match="3 of 30 photos are no longer there"):
        connection.execute(f"{STATEMENT} OPTIONS (workers=1)")
    assert len(rows_of(folder_of(connection))) == NUMBER - 3


def test_a_server_that_begins_to_refuse(
    unsplash: Unsplash, connection: thanosql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_files, "_GONE_TRIED", 5)
    for number in range(20, 30):
        unsplash.answers[f"/photo-{number:05}"] = [Reply(b"slow down", 403)]
    with pytest.raises(thanosql.SourceError, match="5 of 25 pictures are not there"):
        connection.execute(f"{STATEMENT} OPTIONS (workers=1)")
    for number in range(20, 30):
        unsplash.answers[f"/photo-{number:05}"].clear()
    connection.execute(STATEMENT)
    assert len(rows_of(folder_of(connection))) == NUMBER


def test_a_server_that_refuses_all(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    unsplash.images.handler = lambda request: Reply(b"no", 403)
    with pytest.raises(thanosql.SourceError, match=r"pictures are not there: .* answers 403"):
        connection.execute(STATEMENT)
    assert not (folder_of(connection) / "unsplash_data").exists()


def test_the_same_statement_goes_on(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    """What is there is not fetched again: neither the table nor a picture."""
    login = Reply(b"<html>log in</html>", headers={"content-type": "text/html"})
    unsplash.answers["/photo-00020"] = [login]
    with pytest.raises(
        thanosql.SourceError,
        match=r"photo-00020.*gives text/html .* instead of a picture; .*login page.*"
        r"what was fetched is kept, and the same statement goes on with it",
    ):
        connection.execute(f"{STATEMENT} OPTIONS (workers=1)")
    folder = folder_of(connection)
    assert not (folder / "unsplash_data").exists()
    assert connection.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (0,)
    connection.execute(STATEMENT)
    assert len(rows_of(folder)) == NUMBER
    assert len(unsplash.images.asked) == NUMBER + 1
    assert unsplash.storage.paths().count("/lite.zip") < 8
    assert [path.name for path in folder.iterdir()] == ["unsplash_data"]


def test_another_width_begins_again(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    unsplash.answers["/photo-00020"] = [Reply(status=400)]
    with pytest.raises(thanosql.SourceError, match="answers 400"):
        connection.execute(f"{STATEMENT} OPTIONS (workers=1)")
    asked = len(unsplash.images.asked)
    connection.execute(f"{STATEMENT} OPTIONS (width=320)")
    assert len(unsplash.images.asked) == asked + NUMBER


def test_overwrite_takes_the_pictures_over(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    connection.execute(STATEMENT)
    with pytest.raises(thanosql.SourceError, match=r"exists already; .*overwrite=True"):
        connection.execute(STATEMENT)
    (folder_of(connection) / "unsplash_data" / "_photo00000.jpg").unlink()
    unsplash.images.asked.clear()
    connection.execute(f"{STATEMENT} OPTIONS (overwrite=True)")
    assert unsplash.images.paths() == ["/photo-00000"]
    connection.execute(f"{STATEMENT} OPTIONS (overwrite=True, width=320, rows=4)")
    assert len(unsplash.images.asked) == 1 + 4
    assert len(rows_of(folder_of(connection))) == 4


PROGRAM = """
import sys, warnings, thanosql
warnings.simplefilter("ignore")
connection = thanosql.connect(sys.argv[1], progress=lambda *step: print(*step, flush=True))
connection.execute("GET THANOSQL DATASET unsplash_data OPTIONS (workers=2, overwrite=True)")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_killed_anywhere(unsplash: Unsplash, tmp_path: Path) -> None:
    """Each try is stopped a little later, by Ctrl-C and by force, until one comes through."""
    environment = {**os.environ, **unsplash.variables}
    finished: set[str] = set()
    for steps, number in ((3, signal.SIGINT), (20, signal.SIGKILL), (None, 0)):
        # Slow enough for the signal to come before the end.
        unsplash.images.latency_s = 0.02 if steps is None else 0.2
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "t.db")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                done = int(line.split()[0]) if line.strip().endswith("unsplash_data") else 0
                # The rest is read: a program whose output is closed ends by that.
                if steps is not None and done >= steps and process.poll() is None:
                    process.send_signal(number)
        assert process.returncode == -number
        there = {path.name for path in tmp_path.rglob("[!.]*.jpg")}
        assert finished <= there  # nothing is lost
        finished = there
    assert len(rows_of(tmp_path / "thanosql-dataset")) == NUMBER
    paths = unsplash.images.paths()
    # A picture on its way when the process was killed is asked for again, and no other.
    assert NUMBER <= len(paths) <= NUMBER + 2 * 2
    assert [path.name for path in (tmp_path / "thanosql-dataset").iterdir()] == ["unsplash_data"]


def test_nothing_is_written_through_links(
    unsplash: Unsplash, connection: thanosql.Connection, tmp_path: Path
) -> None:
    """Who may write to the workspace may have put links where a try left off."""
    unsplash.answers["/photo-00020"] = [Reply(status=400)]
    with pytest.raises(thanosql.SourceError, match="answers 400"):
        connection.execute(f"{STATEMENT} OPTIONS (workers=1)")
    (partial,) = folder_of(connection).glob(".*.partial")
    precious = tmp_path / "precious"
    precious.write_text("precious")
    names = ("unsplash.csv", "unsplash.json", ".photos.tsv", "_photo00000.jpg", "-photo00025.jpg")
    for name in names:
        for path in (partial / name, partial / f".{name}.part"):
            path.unlink(missing_ok=True)
            path.symlink_to(precious)
    connection.execute(STATEMENT)
    assert precious.read_text() == "precious"
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert len(rows_of(folder_of(connection))) == NUMBER


def test_a_linked_folder_is_not_gone_on_with(
    unsplash: Unsplash, connection: thanosql.Connection, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in (".unfinished", "precious"):
        (elsewhere / name).write_text("precious")
    folder_of(connection).mkdir()
    (folder_of(connection) / ".unsplash_data.01234567.partial").symlink_to(elsewhere)
    (folder_of(connection) / ".unsplash_data.01234567.journal").touch()
    connection.execute(STATEMENT)
    assert len(rows_of(folder_of(connection))) == NUMBER
    assert (elsewhere / "precious").read_text() == "precious"


def test_a_second_process_is_sent_away(
    unsplash: Unsplash, connection: thanosql.Connection, tmp_path: Path
) -> None:
    unsplash.images.latency_s = 0.8
    with contextlib.closing(connection_of(tmp_path)) as other:
        first = threading.Thread(target=other.execute, args=(STATEMENT,))
        first.start()
        while not unsplash.images.asked and first.is_alive():
            time.sleep(0.01)
        with pytest.raises(thanosql.SourceError, match="another process is getting it"):
            connection.execute(STATEMENT)
        first.join()
    assert len(rows_of(folder_of(connection))) == NUMBER


def connection_of(folder: Path) -> thanosql.Connection:
    return thanosql.connect(folder / "t.db", progress=False, check_same_thread=False)


def test_too_many_requests(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    unsplash.answers["/photo-00003"] = [
        Reply(status=429, headers={"retry-after": "1"}),
        Reply(status=500),
        Reply(picture(3)[:50], headers={"content-type": "image/jpeg"}, cut=50, length=600),
    ]
    started = time.monotonic()
    connection.execute(STATEMENT)
    assert time.monotonic() - started >= 1  # the pause that the server asks for
    assert unsplash.images.paths().count("/photo-00003") == 4
    assert (folder_of(connection) / "unsplash_data" / "Zphoto00003.jpg").read_bytes() == picture(3)


def test_a_pause_that_is_too_long(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    unsplash.answers["/photo-00003"] = [Reply(status=503, headers={"retry-after": "4000"})]
    with pytest.raises(thanosql.SourceError, match="asks for a pause of 4,000 seconds"):
        connection.execute(STATEMENT)


def test_a_server_that_fails_again_and_again(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    unsplash.answers["/photo-00003"] = [Reply(status=500)] * photo_files.ATTEMPTS
    with pytest.raises(thanosql.SourceError, match=r"answers 500 .* 6 times in a row; try again"):
        connection.execute(STATEMENT)


@pytest.mark.parametrize(
    ("release", "message"),
    [
        (b"<html>no zip</html>", "is no zip archive, or damaged"),
        (b"", "is no zip archive, or damaged"),
        (made_release(made_rows(2), "pictures.tsv000"), "has no table of photos .*keywords.tsv000"),
        (made_release([]), "the table of photos has no rows"),
        (
            made_release([{"photo_id": "../../evil", "photo_image_url": f"{IMAGES}/1"}]),
            r"line 2 has the photo_id '\.\./\.\./evil'",
        ),
        (
            made_release([{"photo_id": "a", "photo_image_url": "http://169.254.169.254/"}]),
            "is a link-local address",
        ),
        (
            made_release([{"photo_id": "a", "photo_image_url": "file:///etc/passwd"}]),
            "cannot be downloaded: .*protocol",
        ),
    ],
)
def test_damaged_releases(
    unsplash: Unsplash, connection: thanosql.Connection, release: bytes, message: str
) -> None:
    unsplash.release = release
    unsplash.has_ranges = len(release) > 0
    with pytest.raises(thanosql.SourceError, match=message) as caught:
        connection.execute(STATEMENT)
    assert str(caught.value).startswith("data set 'unsplash_data': ")
    assert not (folder_of(connection) / "unsplash_data").exists()


def test_a_table_without_a_column(unsplash: Unsplash, connection: thanosql.Connection) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("photos.tsv000", "photo_id\tphoto_url\nx\ty\n")
    unsplash.release = out.getvalue()
    with pytest.raises(thanosql.SourceError, match="no column 'photo_image_url'; it has photo_id"):
        connection.execute(STATEMENT)


def test_a_login_page_instead_of_the_zip(
    unsplash: Unsplash, connection: thanosql.Connection
) -> None:
    page = Reply(b"<html>", headers={"content-type": "text/html"})
    unsplash.answers["/lite.zip"] = [page]
    with pytest.raises(thanosql.SourceError, match=r"web page \(text/html\) from '127.*login page"):
        connection.execute(STATEMENT)
    assert list(folder_of(connection).iterdir()) == []  # nothing was fetched, nothing is kept


def test_no_network_and_offline(
    unsplash: Unsplash,
    connection: thanosql.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THANOSQL_UNSPLASH_URL", "http://me:pw@127.0.0.1:9/data")
    with pytest.raises(
        thanosql.SourceError, match=r"'http://\*\*\*@127.0.0.1:9/data/lite/latest' cannot be down"
    ) as caught:
        connection.execute(STATEMENT)
    assert str(caught.value).endswith("nothing was changed")
    offline = thanosql.connect(tmp_path / "t.db", offline=True)
    with pytest.raises(thanosql.SourceError, match=r"'unsplash_data' needs the network.*offline"):
        offline.execute(STATEMENT)
    offline.close()
    with pytest.raises(thanosql.SourceError, match="did you mean 'unsplash_data'"):
        connection.execute("GET THANOSQL DATASET unsplash")


@pytest.fixture
def h2_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[H2Server]:
    """Images over TLS and HTTP/2, by a certificate that is trusted for the test."""
    pytest.importorskip("h2", reason="without it downloads use HTTP/1.1")
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [
            *(*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport = importlib.import_module("thanosql_dbapi.sources.transport")
    transport.ssl_context.cache_clear()
    server = H2Server(key, certificate)
    yield server
    server.close()
    transport.ssl_context.cache_clear()


def test_http2(
    unsplash: Unsplash,
    connection: thanosql.Connection,
    h2_server: H2Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many requests at a time, over one connection."""
    monkeypatch.setenv("THANOSQL_UNSPLASH_IMAGES_URL", h2_server.url)
    connection.execute(STATEMENT)
    for number, row in enumerate(rows_of(folder_of(connection))):
        assert (folder_of(connection).parent / row["image_path"]).read_bytes() == picture(number)
    assert len(h2_server.asked) == NUMBER
    assert h2_server.connections == 1


class H2Server:
    """Answers each request of an HTTP/2 connection with a picture."""

    def __init__(self, key: Path, certificate: Path) -> None:
        self.asked: list[str] = []
        self.connections = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import RequestReceived

        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(accepted, server_side=True) as link,
        ):
            protocol = H2Connection(H2Configuration(client_side=False))
            protocol.initiate_connection()
            link.sendall(protocol.data_to_send())
            while data := link.recv(65536):
                for event in protocol.receive_data(data):
                    if isinstance(event, RequestReceived):
                        path = dict(event.headers)[b":path"].decode().partition("?")[0]
                        self.asked.append(path)
                        body = picture(int(path[-5:]))
                        headers = [(":status", "200"), ("content-type", "image/jpeg")]
                        protocol.send_headers(event.stream_id, headers)
                        protocol.send_data(event.stream_id, body, end_stream=True)
                link.sendall(protocol.data_to_send())
