"""Pictures and tables in buckets and on web servers: moto for S3, our own servers for the rest."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from loopback import Loopback, Reply, Request, ranged
from PIL import Image
from test_docs import examples, printed, shape
from test_members import GOOD, jpeg, tarred, zipped

import thanosql_dbapi as thanosql
from thanosql_dbapi import ConvertReport, Report
from thanosql_dbapi.ui.pictures import pictures
from thanosql_dbapi.ui.session import run

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

SECRET = "hush/hush/secret"
COLORS = ("red", "green", "blue", "black")
ANYBODY = "public-read"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a store on 127.0.0.1, with the buckets ``album``, ``others`` and ``public``."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="AKIATEST",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    for name in ("album", "others", "public"):
        client.create_bucket(Bucket=name)
    client.put_object(Bucket="others", Key="a.jpg", Body=jpeg("red"))
    client.put_object(Bucket="others", Key="a.csv", Body=b"id\n7\n")
    client.put_object(Bucket="public", Key="red.jpg", Body=jpeg("red"), ACL=ANYBODY)
    yield client
    client.close()
    server.stop()


@pytest.fixture
def environment(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variables that name the store and a user of it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("buckets")
    shutil.copytree(clip_folder, folder / "tiny_clip")
    with closing(thanosql.connect(folder / "model.db")) as connection:
        connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    return folder


@pytest.fixture
def connect(root: Path) -> Iterator[Callable[..., thanosql.Connection]]:
    """Opens the test's database, by default with the network and the bucket ``album``."""
    path = root / "test.db"
    shutil.copy(root / "model.db", path)
    (root / "thanosql-model" / ".vectors.db").unlink(missing_ok=True)
    opened: list[thanosql.Connection] = []

    def connect(**options: Any) -> thanosql.Connection:
        given = {"network": True, "allowed_directories": ["s3://album"], **options}
        opened.append(thanosql.connect(path, **given))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()
    path.unlink()


@pytest.fixture
def db(environment: None, connect: Callable[..., thanosql.Connection]) -> thanosql.Connection:
    return connect()


@pytest.fixture
def prefix(s3: Any, request: pytest.FixtureRequest) -> str:
    """A prefix in ``album`` of the test's own, with four pictures and two other objects."""
    name = request.node.name.partition("[")[0]
    for color in COLORS:
        s3.put_object(Bucket="album", Key=f"{name}/2024/{color}.jpg", Body=jpeg(color))
    s3.put_object(Bucket="album", Key=f"{name}/", Body=b"")  # as consoles make folders
    s3.put_object(Bucket="album", Key=f"{name}/notes.txt", Body=b"notes")
    s3.put_object(Bucket="album", Key=f"{name}/@eaDir/thumb.jpg", Body=jpeg("red"))
    return f"s3://album/{name}"


def paths(db: thanosql.Connection) -> list[str]:
    return [path for (path,) in db.execute("SELECT image_path FROM t").fetchall()]


def copied(db: thanosql.Connection, source: str, options: str = "recursive=True") -> Report:
    db.execute(f"COPY t OPTIONS ({options}) FROM '{source}'")
    report = db.report
    assert isinstance(report, Report)
    return report


def converted(db: thanosql.Connection, options: str = "") -> ConvertReport:
    db.execute(f"CONVERT USING m OPTIONS (table_name='t'{options}) AS SELECT * FROM t")
    report = db.report
    assert isinstance(report, ConvertReport)
    return report


def reasons(db: thanosql.Connection, *sources: str) -> list[str]:
    """Return why the images of a table of these sources cannot be read; empty where they can."""
    db.execute("DROP TABLE IF EXISTS t")
    db.execute("CREATE TABLE t (image_path TEXT)")
    db.executemany("INSERT INTO t VALUES (?)", [(each,) for each in sources])
    db.commit()
    with pytest.warns(thanosql.MediaWarning, match="could not be read"):
        converted(db)
    found = dict(db.execute("SELECT row_key, reason FROM thanosql_failures").fetchall())
    return [found.get(number, "") for number, _ in enumerate(sources, 1)]


def test_a_prefix_becomes_a_table_that_can_be_searched(
    db: thanosql.Connection, prefix: str
) -> None:
    report = copied(db, f"{prefix}/", "exif=True")
    assert paths(db) == [f"{prefix}/2024/{color}.jpg" for color in sorted(COLORS)]
    assert {(each.reason, each.suffix) for each in report.skipped} == {
        ("no picture, audio or video", ".txt"),
        ("kept by a system or a program for itself", "@eaDir/"),
    }
    assert db.execute("SELECT DISTINCT width, height, file_size > 0 FROM t").fetchall() == [
        (48, 40, 1)
    ]
    report = converted(db)
    assert (report.converted, report.failed) == (4, 0)
    (best,) = db.execute(
        f"SELECT image_path FROM (SEARCH IMAGE image='{prefix}/2024/blue.jpg' USING m"
        " OPTIONS (result_col='s') AS SELECT * FROM t) ORDER BY s DESC LIMIT 1"
    ).fetchone()
    assert best == f"{prefix}/2024/blue.jpg"
    shown = list(pictures(db, run(db, "PRINT IMAGE AS SELECT * FROM t LIMIT 2")))
    assert [each.reason for each in shown] == ["", ""]


def test_a_table_follows_its_bucket(db: thanosql.Connection, s3: Any, prefix: str) -> None:
    key = prefix.removeprefix("s3://album/")
    copied(db, prefix)
    db.execute("ALTER TABLE t ADD COLUMN note TEXT")
    db.execute("UPDATE t SET note = 'mine' WHERE image_path LIKE '%blue%'")
    db.commit()
    converted(db)
    s3.copy_object(Bucket="album", Key=f"{key}/b.jpg", CopySource=f"album/{key}/2024/blue.jpg")
    s3.delete_object(Bucket="album", Key=f"{key}/2024/blue.jpg")
    s3.delete_object(Bucket="album", Key=f"{key}/2024/green.jpg")
    s3.put_object(Bucket="album", Key=f"{key}/2024/red.jpg", Body=jpeg("orange"))
    s3.put_object(Bucket="album", Key=f"{key}/2024/black.jpg", Body=jpeg("black"))  # as it was
    s3.put_object(Bucket="album", Key=f"{key}/new.jpg", Body=jpeg("white"))
    assert converted(db).unchanged == 4  # the bucket is not asked for each row
    report = copied(db, prefix, "if_exists='append'")
    assert (report.added, report.updated, report.unchanged) == (2, 1, 1)
    report = copied(db, prefix, "if_exists='sync'")
    assert (report.added, report.moved, report.removed, report.unchanged) == (0, 0, 2, 4)
    report = converted(db)
    assert (report.converted, report.reused, report.unchanged) == (2, 1, 1)
    s3.copy_object(Bucket="album", Key=f"{key}/a/b.jpg", CopySource=f"album/{key}/b.jpg")
    s3.delete_object(Bucket="album", Key=f"{key}/b.jpg")
    db.execute("UPDATE t SET note = 'mine' WHERE image_path LIKE '%/b.jpg'")
    db.commit()
    report = copied(db, prefix, "if_exists='sync'")
    assert (report.added, report.moved, report.removed) == (0, 1, 0)
    found = db.execute("SELECT note FROM t WHERE image_path LIKE '%/a/b.jpg'").fetchall()
    assert found == [("mine",)]
    report = converted(db)
    assert (report.converted, report.reused, report.unchanged) == (0, 0, 4)
    assert converted(db, ", verify=True").unchanged == 4


def test_patterns_tables_and_archives_in_a_bucket(
    db: thanosql.Connection, s3: Any, prefix: str
) -> None:
    key = prefix.removeprefix("s3://album/")
    copied(db, f"{prefix}/2024/b*.jpg")
    assert paths(db) == [f"{prefix}/2024/{color}.jpg" for color in ("black", "blue")]
    s3.put_object(Bucket="album", Key=f"{key}/a.csv", Body=b"id,path\n007,2024/red.jpg\n")
    db.execute(f"COPY a FROM '{prefix}/a.csv'")
    assert db.execute("SELECT * FROM a").fetchall() == [("007", "2024/red.jpg")]
    db.execute(
        "CONVERT USING m OPTIONS (table_name='a', image_col='path', on_error='fail',"
        f" base_dir='{prefix}') AS SELECT * FROM a"
    )
    many = {f"in/{number}.jpg": jpeg("red") for number in range(30)}
    s3.put_object(Bucket="album", Key=f"{key}/a.zip", Body=zipped(many))
    s3.put_object(Bucket="album", Key=f"{key}/a.tar.gz", Body=tarred(GOOD, "w:gz"))
    copied(db, f"{prefix}/a.zip", "if_exists='replace'")
    assert len(paths(db)) == 30
    assert paths(db)[0] == f"zip://in/0.jpg::{prefix}/a.zip"
    assert converted(db, ", on_error='fail'").failed == 0
    copied(db, f"tar://*.jpg::{prefix}/a.tar.gz", "if_exists='replace'")
    assert paths(db) == [f"tar://good.jpg::{prefix}/a.tar.gz"]
    assert converted(db, ", on_error='fail'").reused == 1
    assert converted(db).unchanged == 1


def test_what_may_not_or_cannot_be_read_is_said_row_by_row(
    db: thanosql.Connection, s3: Any, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = prefix.removeprefix("s3://album/")
    s3.put_object(Bucket="album", Key=f"{key}/empty.jpg", Body=b"")
    s3.put_object(Bucket="album", Key=f"{key}/large.jpg", Body=bytes((64 << 20) + 1))
    caplog.set_level(logging.INFO)
    found = reasons(
        db,
        f"{prefix}/2024/red.jpg",
        "s3://public/red.jpg",  # as anybody may
        "s3://others/a.jpg",
        f"{prefix}/none.jpg",
        "s3://no-such-bucket/a.jpg",
        f"{prefix}/empty.jpg",
        f"{prefix}/large.jpg",
        f"{prefix}/../x.jpg",
        f"{prefix}/notes.txt",
        f"zip://a.jpg::{prefix}/none.zip",
        f"zip://a.jpg::{prefix}/notes.txt",
    )
    wanted = [
        "",
        "",
        "read it with your credentials, open the connection with allowed_directories=['s3://oth",
        "none.jpg' does not exist",
        "there is no bucket 'no-such-bucket'",
        "is empty (0 bytes)",
        "more than the limit of 67,108,864 bytes",
        "expected a key without '.' and '..' in it",
        "is no image of a known format",
        "none.zip' does not exist",
        "is neither a zip nor a tar archive",
    ]
    assert [part in reason for part, reason in zip(wanted, found, strict=True)] == [True] * 11
    assert [bool(part) for part in wanted] == [bool(reason) for reason in found]
    assert SECRET not in caplog.text
    assert not any(SECRET.encode() in path.read_bytes() for path in [Path(_file(db))])


def _file(db: thanosql.Connection) -> str:
    return str(db.execute("PRAGMA database_list").fetchone()[2])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://no-such-bucket/", "'s3://no-such-bucket/' does not exist: there is no bucket"),
        ("s3://album/no-such-prefix/", "expected pictures, .* got none; it is empty"),
        ("s3://album/none.csv", r"'s3://album/none\.csv' does not exist"),
        ("s3://album/none.zip", r"'s3://album/none\.zip' does not exist"),
        ("s3://others/a.csv", "not everybody may read this, or it does not exist"),
    ],
)
def test_copy_says_what_is_missing_and_changes_nothing(
    db: thanosql.Connection, source: str, message: str
) -> None:
    with pytest.raises(thanosql.SourceError, match=message):
        copied(db, source)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 't'").fetchone() == (0,)


def test_nothing_is_fetched_without_network(
    environment: None, connect: Callable[..., thanosql.Connection], prefix: str
) -> None:
    off = connect(network=False)
    for source in (f"{prefix}/", f"{prefix}/a.csv", f"zip://::{prefix}/a.zip"):
        with pytest.raises(thanosql.SourceError, match=r"network, which is off; .* network=True"):
            copied(off, source)
    assert "network=True" in reasons(off, f"{prefix}/2024/red.jpg")[0]
    offline = connect(offline=True)
    offline.execute("DROP TABLE t")
    offline.commit()
    with pytest.raises(thanosql.SourceError, match="offline=False and network=True"):
        copied(offline, prefix)


def test_a_bucket_is_read_with_credentials_below_the_prefix_that_was_named(
    environment: None, connect: Callable[..., thanosql.Connection], s3: Any, prefix: str
) -> None:
    db = connect(allowed_directories=[f"{prefix}/2024"])
    found = reasons(db, f"{prefix}/2024/red.jpg", f"{prefix}/@eaDir/thumb.jpg", f"{prefix}/2024b/x")
    assert [bool(each) for each in found] == [False, True, True]


def test_there_are_no_credentials(
    environment: None,
    connect: Callable[..., thanosql.Connection],
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(thanosql.SourceError, match=r"no credentials for it were found .*AWS_ACC"):
        copied(connect(), prefix)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(thanosql.SourceError, match=r"profile .nobody. could not"):
        copied(connect(), prefix)


def test_storage_options_name_another_store(
    environment: None,
    connect: Callable[..., thanosql.Connection],
    s3: Any,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    given = {"endpoint_url": s3.meta.endpoint_url, "key": "AKIATEST", "secret": SECRET}
    db = connect(storage_options={"s3": {**given, "region": "us-east-1"}})
    assert copied(db, prefix).added == 4
    assert SECRET not in repr(db.settings)
    for wrong in ({"s3": {"password": "hush"}}, {"az": {}}, {"s3": {"key": 7}}):
        with pytest.raises(thanosql.ProgrammingError, match="storage_options") as caught:
            connect(storage_options=wrong)
        assert "hush" not in str(caught.value)


def answering(code: str, status: int, headers: dict[str, str] | None = None) -> Loopback:
    body = f"<Error><Code>{code}</Code><Message>key {SECRET}</Message></Error>"
    return Loopback(lambda request: Reply(body.encode(), status, headers or {}))


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("InvalidAccessKeyId", 403, "does not accept your credentials .InvalidAccessKeyId.; check"),
        ("ExpiredToken", 400, "does not accept your credentials .ExpiredToken."),
        ("AccessDenied", 403, "your credentials do not allow to read this, or it does not exist"),
        (
            "InvalidObjectState",
            403,
            "lies in an archive of the store .InvalidObject",
        ),
        ("PermanentRedirect", 301, "cannot be read"),
    ],
)
def test_what_a_store_answers(
    environment: None,
    connect: Callable[..., thanosql.Connection],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    status: int,
    message: str,
) -> None:
    with closing(answering(code, status)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        with pytest.raises(thanosql.SourceError, match=message) as caught:
            copied(connect(), "s3://album/a.csv")
        assert SECRET not in str(caught.value)


def test_the_network_is_away(
    environment: None,
    connect: Callable[..., thanosql.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    with pytest.raises(thanosql.SourceError, match=r"/a\.csv' cannot be read: Could not"):
        copied(connect(), "s3://album/a.csv")


def test_a_store_leads_to_no_address_that_was_not_named() -> None:
    from thanosql_dbapi.sources.guard import Guard

    async def addresses(guard: Guard, host: str) -> list[str]:
        return [each["host"] for each in await guard.resolve(host, 80)]

    guard = Guard(["127.0.0.9"])
    with pytest.raises(thanosql.SourceError, match=r"'localhost' has the address .* loopback"):
        asyncio.run(addresses(guard, "localhost"))
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("169.254.169.254", 80))
    with pytest.raises(thanosql.SourceError, match=r"'169\.254\.169\.254' is a link-local"):
        guard.socket(info)
    guard.socket((*info[:4], ("127.0.0.9", 80))).close()
    guard.trust("http://localhost:9000")
    assert asyncio.run(addresses(guard, "localhost"))
    with pytest.raises(OSError, match="cannot be found"):
        asyncio.run(addresses(guard, "album.invalid"))


def test_the_package_is_missing(
    db: thanosql.Connection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setenv("AWS_PROFILE", "")  # another environment: no store that is open
    with pytest.raises(thanosql.NotSupportedError, match=r'pip install "thanosql-dbapi\[remote\]"'):
        copied(db, prefix)
    assert "thanosql-dbapi[remote]" in reasons(db, f"{prefix}/2024/red.jpg")[0]


def test_many_are_fetched_at_a_time(connect: Callable[..., thanosql.Connection]) -> None:
    def handler(request: Request) -> Reply:
        return Reply(jpeg(COLORS[len(request.path) % 4]))

    with closing(Loopback(handler, latency_s=0.1)) as server:
        db = connect(allowed_hosts=["127.0.0.1"])
        db.execute("CREATE TABLE t (image_path TEXT)")
        db.executemany("INSERT INTO t VALUES (?)", [(f"{server.url}/{n}",) for n in range(40)])
        assert converted(db, ", batch_size=16, on_error='fail'").failed == 0
        assert server.most_at_once > 16  # no machine of ours has so many cores for the tests
        assert len(server.asked) == 40


def test_tables_and_archives_on_a_web_server(connect: Callable[..., thanosql.Connection]) -> None:
    files = {"/a.csv": b"id\n007\n", "/a.zip": zipped(GOOD), "/a.tar": tarred(GOOD)}

    def handler(request: Request) -> Reply:
        if request.path not in files:
            return Reply(b"not here", 404)
        has_ranges = request.path.endswith(".zip") and "plain" not in request.query
        body = files[request.path]
        return ranged(request, body, {"etag": '"1"'}) if has_ranges else Reply(body)

    with closing(Loopback(handler)) as server:
        db = connect(allowed_hosts=["127.0.0.1"])
        db.execute(f"COPY a FROM '{server.url}/a.csv'")
        assert db.execute("SELECT * FROM a").fetchall() == [("007",)]
        for name in ("a.zip", "a.zip?plain&token=hush", "a.tar"):
            copied(db, f"{server.url}/{name}", "if_exists='replace'")
            assert paths(db) == [f"{name[2:5]}://good.jpg::{server.url}/{name}"]
            assert converted(db, ", on_error='fail'").failed == 0
        with pytest.raises(thanosql.SourceError, match=r"none\.csv\?token=\*\*\*' answers 404"):
            db.execute(f"COPY b FROM '{server.url}/none.csv?token=hush'")
        strict = connect()
        with pytest.raises(thanosql.SourceError, match="is a loopback address"):
            strict.execute(f"COPY b FROM '{server.url}/a.csv'")
        assert "is a loopback address" in reasons(strict, f"zip://good.jpg::{server.url}/a.zip")[0]


class Google:
    """The JSON API of Google Cloud Storage, as far as reading needs it.

    Source: https://cloud.google.com/storage/docs/json_api/v1/objects
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.token = "Bearer good"
        self.location = ""
        self.server = Loopback(self._answer)

    def close(self) -> None:
        self.server.close()

    def account(self) -> str:
        """Return a service account's file, whose tokens come from this server."""
        rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
        kinds = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(kinds.Encoding.PEM, kinds.PrivateFormat.PKCS8, kinds.NoEncryption())
        account = {
            "type": "service_account",
            "project_id": "p",
            "client_email": "me@example.org",
            "private_key": pem.decode(),
            "token_uri": f"{self.server.url}/token",
        }
        return json.dumps(account)

    def _answer(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._json({"access_token": "good", "expires_in": 3600})
        path = request.path.removeprefix("/download").removeprefix("/storage/v1/b/")
        bucket, _, name = path.partition("/o")
        if self.location:
            return Reply(status=302, headers={"location": self.location})
        if request.headers.get("authorization", "") != self.token and bucket != "public":
            return self._json({"error": {"code": 401, "message": "Anonymous caller"}}, 401)
        if bucket not in ("album", "public"):
            return self._json({"error": {"code": 404, "message": "no bucket"}}, 404)
        if not name:
            start = parse_qs(request.query).get("prefix", [""])[0]
            names = [each for each in self.objects if each.startswith(start)]
            return self._json({"items": [self._facts(each) for each in names]})
        name = name.removeprefix("/")
        if name not in self.objects:
            return self._json({"error": {"code": 404, "message": "no object"}}, 404)
        if "alt=media" in request.query:
            return ranged(request, self.objects[name], {})
        return self._json(self._facts(name))

    def _facts(self, name: str) -> dict[str, str]:
        content = self.objects[name]
        return {
            "name": name,
            "bucket": "album",
            "size": str(len(content)),
            "md5Hash": str(hash(content)),
            "updated": "2026-01-02T03:04:05.678Z",
        }

    @staticmethod
    def _json(content: object, status: int = 200) -> Reply:
        return Reply(json.dumps(content).encode(), status, {"content-type": "application/json"})


def test_google_cloud_storage(
    connect: Callable[..., thanosql.Connection], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("gcsfs")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with closing(Google()) as google:
        google.objects = {f"p/{color}.jpg": jpeg(color) for color in COLORS}
        google.objects["p/a.zip"] = zipped(GOOD)
        (tmp_path / "account.json").write_text(google.account())
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        options = {"endpoint_url": google.server.url}
        db = connect(allowed_directories=["gs://album"], storage_options={"gs": options})
        assert copied(db, "gs://album/p/", "exif=True").added == 4
        assert paths(db)[0] == "gs://album/p/black.jpg"
        (when,) = db.execute("SELECT modified_at FROM t LIMIT 1").fetchone()
        assert when == "2026-01-02T03:04:05.678+00:00"
        assert converted(db).converted == 4
        google.objects["p/red.jpg"] = jpeg("orange")
        assert copied(db, "gs://album/p/", "if_exists='sync'").updated == 1
        assert converted(db).unchanged == 3
        copied(db, "gs://album/p/a.zip", "if_exists='replace'")
        assert paths(db) == ["zip://good.jpg::gs://album/p/a.zip"]
        found = reasons(
            db,
            *("gs://album/p/blue.jpg", "gs://public/p/blue.jpg", "gs://album/p/no.jpg"),
            *("gs://none/a.jpg", "gs://none/../a.jpg"),
        )
        assert found[:2] == ["", ""]
        assert "does not exist" in found[2]
        assert "allowed_directories=['gs://none']" in found[3]
        db.commit()
        strict = connect(storage_options={"gs": options})
        (reason,) = reasons(strict, "gs://album/p/blue.jpg")
        assert "not everybody may read this" in reason
        google.location = "http://169.254.169.254/computeMetadata"
        (reason,) = reasons(db, "gs://album/p/blue.jpg")
        assert "'169.254.169.254' is a link-local address" in reason


def test_the_page(db: thanosql.Connection, s3: Any, root: Path) -> None:
    """Every statement of docs/remote.md runs, and prints what the page says."""
    colors = ("blue", "green", "orange", "red")
    album = {f"2024/{color}.jpg": jpeg(color) for color in colors}
    (root / "photos.zip").write_bytes(zipped({**album, "captions.csv": b"id,text\n1,a cat\n"}))
    for name, content in album.items():
        s3.put_object(Bucket="album", Key=name, Body=content)
    s3.put_object(Bucket="album", Key="prices.csv", Body=b"id,price\n1,9\n")
    text = (Path(__file__).parents[1] / "docs" / "remote.md").read_text(encoding="utf-8")
    found = examples(text)
    assert len(found) == 3
    for sql, result in found:
        now = printed(db, sql)
        assert "Error" not in now, now
        if result:
            assert shape(now.partition("\n")[2]) == shape(result[2])


def test_a_store_is_opened_anew_in_another_process(
    environment: None, connect: Callable[..., thanosql.Connection], prefix: str
) -> None:
    reader = connect()._context().reader
    sent = pickle.loads(pickle.dumps(reader))
    assert Image.open(io.BytesIO(sent.read(f"{prefix}/2024/red.jpg"))).size == (48, 40)
