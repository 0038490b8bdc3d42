"""Downloads that break off, change in between, or are something else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Loopback, Reply, Request, ranged

from thanosql_dbapi.errors import SourceError
from thanosql_dbapi.progress import Progress
from thanosql_dbapi.sources import network
from thanosql_dbapi.sources.catalog import DATASET, Entry
from thanosql_dbapi.sources.fetch import fetch_dataset

NOISE = bytes(range(256)) * 2000


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("noise", content)
    return out.getvalue()


class Files:
    """Gives one file, with the connection cut after so many bytes, each time."""

    def __init__(self, body: bytes, cut: int, headers: dict[str, str]) -> None:
        self.body, self.cut, self.headers = body, cut, headers
        self.server = Loopback(self.answer)

    def answer(self, request: Request) -> Reply:
        reply = ranged(request, self.body, self.headers)
        reply.cut = self.cut
        return reply

    @property
    def starts(self) -> list[int]:
        ranges = (each.headers.get("range", "bytes=0-") for each in self.server.asked)
        return [int(each.removeprefix("bytes=").rstrip("-")) for each in ranges]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setattr(network, "RETRY_S", 0.01)
    body = zipped(NOISE)
    files = Files(body, len(body) // 4 + 1, {"etag": '"1"'})
    yield files
    files.server.close()


def fetch(files: Files, folder: Path) -> bytes:
    entry = Entry("noise", f"{files.server.url}/a.zip", kind=DATASET)
    fetch_dataset(entry, folder / "noise", progress=Progress(False))
    return (folder / "noise" / "noise").read_bytes()


def test_a_download_goes_on_where_it_broke_off(files: Files, tmp_path: Path) -> None:
    assert fetch(files, tmp_path) == NOISE
    assert files.starts == [0, files.cut, 2 * files.cut, 3 * files.cut]
    assert {each.headers["if-range"] for each in files.server.asked[1:]} == {'"1"'}


def test_a_file_that_is_another_meanwhile(files: Files, tmp_path: Path) -> None:
    answer = files.server.handler

    def change(request: Request) -> Reply:
        if len(files.server.asked) == 2:
            files.body, files.headers, files.cut = zipped(NOISE[::-1]), {"etag": '"2"'}, 1 << 30
        return answer(request)

    files.server.handler = change
    assert fetch(files, tmp_path) == NOISE[::-1]
    assert files.starts == [0, files.starts[1]]


@pytest.mark.parametrize("headers", [{}, {"etag": 'W/"1"'}])
def test_a_file_that_may_be_another(files: Files, tmp_path: Path, headers: dict[str, str]) -> None:
    files.headers = headers
    with pytest.raises(SourceError, match=r"cannot be downloaded: .*; nothing was changed"):
        fetch(files, tmp_path)
    assert files.starts == [0] * network.ATTEMPTS


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply(b"<html>hello</html>", headers={"content-type": "text/html; charset=utf-8"}),
            r"gives a web page \(text/html\) instead of a file: .* login page",
        ),
        (Reply(status=401), "answers 401 .*name:password@"),
        (Reply(status=403), "answers 403 .*acceptance of terms"),
        (Reply(status=407), "answers 407 .*HTTPS_PROXY"),
        (Reply(status=511), "answers 511 .*wants a login"),
    ],
)
def test_what_is_no_file(files: Files, tmp_path: Path, reply: Reply, message: str) -> None:
    files.server.handler = lambda request: reply
    with pytest.raises(SourceError, match=message):
        fetch(files, tmp_path)
    assert len(files.server.asked) == 1
    assert list(tmp_path.iterdir()) == []
