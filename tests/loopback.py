"""Servers on 127.0.0.1 that speak what the real ones speak: Unsplash's, and the hub's HTTP API.

They are asyncio's, in a thread of their own. ``python tests/loopback.py PHOTOS LATENCY_MS BYTES``
serves a made Unsplash release, for the benchmark.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass
class Reply:
    """What is answered; ``cut`` closes the connection after so many bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    length: int | None = None


class Loopback:
    """A server that answers by ``handler``; ``asked`` has every request."""

    def __init__(self, handler: Callable[[Request], Reply], latency_s: float = 0.0) -> None:
        self.handler = handler
        self.latency_s = latency_s
        self.asked: list[Request] = []
        self.at_once = 0
        self.most_at_once = 0
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        async def start() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(start())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        started.wait()
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        async def finish() -> None:
            self._server.close()
            tasks = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(finish(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def paths(self, method: str = "GET") -> list[str]:
        return [each.path for each in self.asked if each.method == method]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                pairs = [line.partition(":") for line in head[1:] if line]
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                parts = urlsplit(target)
                request = Request(method, unquote(parts.path), parts.query, headers)
                self.asked.append(request)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                reply = self.handler(request)
                self.at_once -= 1
                length = len(reply.body) if reply.length is None else reply.length
                lines = [f"HTTP/1.1 {reply.status} Status", f"content-length: {length}"]
                lines += [f"{name}: {value}" for name, value in reply.headers.items()]
                body = b"" if method == "HEAD" else reply.body[: reply.cut]
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                await writer.drain()
                if reply.cut is not None:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def ranged(request: Request, body: bytes, headers: Mapping[str, str]) -> Reply:
    """A file, or the part of it that is asked for (RFC 9110, 14)."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    valid = request.headers.get("if-range", headers.get("etag")) == headers.get("etag")
    if found is None or not valid:
        return Reply(body, headers={"accept-ranges": "bytes", **headers})
    start, end = int(found[1]), min(int(found[2] or len(body)) + 1, len(body))
    if start >= len(body):
        return Reply(status=416, headers={"content-range": f"bytes */{len(body)}"})
    span = f"bytes {start}-{end - 1}/{len(body)}"
    return Reply(body[start:end], 206, {"content-range": span, **headers})


# ---- Unsplash --------------------------------------------------------------------------------

TABLE_COLUMNS = (
    *("photo_id", "photo_url", "photo_image_url", "photo_submitted_at", "photo_featured"),
    *("photo_description", "stats_views", "ai_description"),
)
IMAGES = "https://images.unsplash.com"


def made_release(rows: list[dict[str, str]], name: str = "photos.tsv000") -> bytes:
    """A release's zip: the table of photos among others, before which there is much noise."""
    table = io.StringIO()
    writer = csv.DictWriter(table, TABLE_COLUMNS, delimiter="\t", lineterminator="\n", restval="0")
    writer.writeheader()
    writer.writerows(rows)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("TERMS.md", "terms")
        noise = hashlib.shake_256(b"keywords").digest(12 << 20)
        archive.writestr(zipfile.ZipInfo("keywords.tsv000"), noise)
        archive.writestr(name, table.getvalue())
        archive.writestr("collections.tsv000", "photo_id\n")
    return out.getvalue()


def made_rows(number: int) -> list[dict[str, str]]:
    return [
        {
            "photo_id": f"{'_-aZ'[each % 4]}photo{each:05}",
            "photo_image_url": f"{IMAGES}/photo-{each:05}",
            "photo_description": "" if each % 3 else f'A "picture",\nnumber\t{each}',
            "ai_description": f"picture {each}",
        }
        for each in range(number)
    ]


class Unsplash:
    """The site that redirects, the storage of the zip, and the servers of images."""

    def __init__(self, number: int, picture: Callable[[int], bytes], latency_s: float = 0) -> None:
        self.rows = made_rows(number)
        self.release = made_release(self.rows)
        self.picture = picture
        self.gone: set[int] = set()
        self.has_ranges = True
        self.answers: dict[str, list[Reply]] = {}
        """What a path answers before it answers as usual."""
        self.storage = Loopback(self._storage)
        self.site = Loopback(self._site)
        self.images = Loopback(self._images, latency_s)
        self.variables = {
            "THANOSQL_UNSPLASH_URL": f"{self.site.url}/data",
            "THANOSQL_UNSPLASH_IMAGES_URL": self.images.url,
        }

    def close(self) -> None:
        for each in (self.storage, self.site, self.images):
            each.close()

    def _site(self, request: Request) -> Reply:
        if request.path != "/data/lite/latest":
            return Reply(b"not here", 404)
        return Reply(status=302, headers={"location": f"{self.storage.url}/lite.zip"})

    def _storage(self, request: Request) -> Reply:
        if self.answers.get(request.path):
            return self.answers[request.path].pop(0)
        if not self.has_ranges:
            return Reply(self.release, headers={"etag": '"1"'})
        return ranged(request, self.release, {"etag": '"1"'})

    def _images(self, request: Request) -> Reply:
        if self.answers.get(request.path):
            return self.answers[request.path].pop(0)
        number = int(request.path[-5:])
        if number in self.gone:
            return Reply(b"gone", 404, {"content-type": "text/plain"})
        return Reply(self.picture(number), headers={"content-type": "image/jpeg"})


# ---- the hub ---------------------------------------------------------------------------------


class Hub:
    """The hub's HTTP API for models, as far as a download needs it.

    Source: https://huggingface.co/docs/hub/api
    """

    def __init__(self) -> None:
        self.models: dict[str, tuple[str, dict[str, bytes]]] = {}
        """Commit and files by name; the branch ``main`` is at the commit."""
        self.token = ""
        """Where it is set, models are gated: their files need it."""
        self.cut: dict[str, int] = {}
        """After how many bytes of a file the storage closes the connection, by name."""
        self.damaged: set[str] = set()
        self.page = b""
        """What is answered to everything, as a proxy does that wants a login."""
        self.site = Loopback(self._site)
        self.storage = Loopback(self._storage)

    @property
    def url(self) -> str:
        return self.site.url

    def close(self) -> None:
        self.site.close()
        self.storage.close()

    def add(self, repo: str, commit: str, files: Mapping[str, bytes]) -> None:
        self.models[repo] = (commit, dict(files))

    def _site(self, request: Request) -> Reply:
        if self.page:
            return Reply(self.page, headers={"content-type": "text/html; charset=utf-8"})
        cached = re.fullmatch(r"/api/resolve-cache/models/(.+?/.+?)/(\w+)/(.+)", request.path)
        if cached:
            body = self.models[cached[1]][1][cached[3]]
            return ranged(request, body, self._headers(cached[1], body))
        found = re.fullmatch(
            r"(?:/api/models/(.+?/.+?)/(revision|tree)|/(.+?/.+?)/resolve)/([^/]+)(?:/(.+))?",
            request.path,
        )
        if found is None:
            return Reply(b"not here", 404)
        repo, kind, revision = found[1] or found[3], found[2] or "resolve", found[4]
        if repo not in self.models:
            return self._error("RepoNotFound", 401)
        commit, files = self.models[repo]
        if revision not in ("main", commit):
            return self._error("RevisionNotFound", 404)
        if kind == "revision":
            return self._json(
                {"id": repo, "modelId": repo, "sha": commit, "private": False, "gated": False}
                | {"siblings": [self._sibling(name, body) for name, body in files.items()]}
            )
        if kind == "tree":
            return self._json([self._leaf(name, body) for name, body in files.items()])
        return self._resolve(request, repo, commit, found[5])

    def _resolve(self, request: Request, repo: str, commit: str, name: str) -> Reply:
        given = request.headers.get("authorization", "")
        if self.token and given != f"Bearer {self.token}":
            return self._error("GatedRepo", 403 if given else 401)
        files = self.models[repo][1]
        if name not in files:
            return self._error("EntryNotFound", 404)
        headers = self._headers(repo, files[name])
        if self._is_large(name):
            where = f"{self.storage.url}/{repo}/{hashlib.sha256(files[name]).hexdigest()}?sig=abc"
            return Reply(status=302, headers={**headers, "location": where})
        where = f"/api/resolve-cache/models/{repo}/{commit}/{name}"
        return Reply(status=307, headers={**headers, "location": where})

    def _storage(self, request: Request) -> Reply:
        assert "authorization" not in request.headers  # a token is for the hub alone
        repo, _, checksum = request.path[1:].rpartition("/")
        for name, body in self.models[repo][1].items():
            if hashlib.sha256(body).hexdigest() == checksum:
                damage = b"x" if name in self.damaged else body[:1]
                reply = ranged(request, damage + body[1:], {"etag": f'"{checksum}"'})
                if name in self.cut:
                    reply.cut = self.cut[name]
                return reply
        return Reply(b"not here", 404)

    @staticmethod
    def _is_large(name: str) -> bool:
        return name.endswith((".safetensors", ".bin", ".h5"))

    def _headers(self, repo: str, body: bytes) -> dict[str, str]:
        commit, files = self.models[repo]
        name = next(name for name, each in files.items() if each == body)
        headers = {"x-repo-commit": commit, "etag": f'"{_git_oid(body)}"'}
        if self._is_large(name):
            checksum = hashlib.sha256(body).hexdigest()
            headers |= {"x-linked-etag": f'"{checksum}"', "x-linked-size": str(len(body))}
        return headers

    def _sibling(self, name: str, body: bytes) -> dict[str, object]:
        facts = {"rfilename": name, "size": len(body), "blobId": _git_oid(body)}
        if self._is_large(name):
            checksum = hashlib.sha256(body).hexdigest()
            facts["lfs"] = {"sha256": checksum, "size": len(body), "pointerSize": 134}
        return facts

    def _leaf(self, name: str, body: bytes) -> dict[str, object]:
        facts = {"type": "file", "path": name, "size": len(body), "oid": _git_oid(body)}
        if self._is_large(name):
            checksum = hashlib.sha256(body).hexdigest()
            facts["lfs"] = {"oid": checksum, "size": len(body), "pointerSize": 134}
        return facts

    @staticmethod
    def _json(content: object) -> Reply:
        return Reply(json.dumps(content).encode(), headers={"content-type": "application/json"})

    @staticmethod
    def _error(code: str, status: int) -> Reply:
        return Reply(b"{}", status, {"x-error-code": code, "x-error-message": code})


def _git_oid(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


if __name__ == "__main__":
    photos, latency_ms, size = (int(each) for each in sys.argv[1:])
    body = b"\xff\xd8\xff" + bytes(size - 3)
    server = Unsplash(photos, lambda number: body, latency_ms / 1000)
    print(json.dumps(server.variables), flush=True)
    sys.stdin.read()
    server.close()
