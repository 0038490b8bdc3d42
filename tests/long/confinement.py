"""Many forms of paths and URLs through every statement that takes one: nothing outside is touched.

    python tests/long/confinement.py --seconds 60 [--seed N] [--folder DIR]

A workspace lies beside a folder that is not to be read or written: it has a picture of one colour,
a table, a model and a database, each with a token in it. Forms of paths that lead there, or seem
to, are made by chance and go through each statement and function. After each, the folder is as it
was; the token is in no row, no message and no file of the workspace; the picture's vector is in no
answer; a server on this machine has been asked for nothing; and every error is one of PEP 249's.
A second part exchanges files for links while statements read them.
"""

from __future__ import annotations

import argparse
import getpass
import itertools
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import thanosql_dbapi as thanosql

TOKEN = "canary-5f1d8e"
MODEL = "m"


class EscapeError(AssertionError):
    """Something outside was read or written, or an error was none of PEP 249's."""


@dataclass
class Counts:
    """What a run has done.

    Attributes:
        statements: Statements run, by kind.
        outcomes: What came of them, by the name of the error, or ``"answered"``.
        exchanges: Files exchanged for links while they were read.
    """

    statements: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    exchanges: int = 0


class Yard:
    """A workspace, and beside it what is not to be touched.

    Args:
        folder: An empty folder.
        port: Where a server of this machine listens.
    """

    def __init__(self, folder: Path, port: int) -> None:
        from PIL import Image

        self.port = port
        self.inside, self.outside = folder / "workspace", folder / "outside"
        (self.inside / "images").mkdir(parents=True)
        self.outside.mkdir()
        Image.new("RGB", (64, 64), "magenta").save(self.outside / "cat.png")
        (self.outside / "secret.csv").write_text(f"a\n{TOKEN}\n")
        (self.outside / "secret.json").write_text(f'[{{"a": "{TOKEN}"}}]')
        with zipfile.ZipFile(self.outside / "photos.zip", "w") as archive:
            for each in ("cat.png", "secret.csv", "secret.json"):
                archive.write(self.outside / each, each)
        with closing(sqlite3.connect(self.outside / "secret.db")) as database:
            database.execute(f'CREATE TABLE "{TOKEN}" (a)')
        Image.new("RGB", (64, 64), "green").save(self.inside / "images" / "green.png")
        (self.inside / "photos.csv").write_text("image_path\nimages/green.png\n")
        for name, target in {
            "link.png": self.outside / "cat.png",
            "link.csv": self.outside / "secret.csv",
            "link.db": self.outside / "secret.db",
            "link": self.outside,
            "up": "..",
            "root": "/",
            "loop": "loop",
            "chain": "link",
            "images/hop": "../link",
        }.items():
            (self.inside / name).symlink_to(target)
        self.connection = thanosql.connect(
            self.inside / "a.db",
            progress=False,
            network=True,
            confine_attach=True,
            isolation_level=None,
            device="cpu",
        )
        self.connection.execute(f"GET THANOSQL MODEL storybook_clip AS {MODEL}")
        model = self.inside / "thanosql-model" / MODEL
        shutil.copytree(model, self.outside / "model")
        (self.outside / "model" / "notes.txt").write_text(TOKEN)
        (self.inside / "link_model").symlink_to(self.outside / "model")
        # A model's folder of one's own, with one file that is a link.
        shutil.copytree(model, self.inside / "half_model")
        (self.inside / "half_model" / "notes.txt").symlink_to(self.outside / "model" / "notes.txt")
        self.own_folder = self.connection.execute("SELECT folder FROM thanosql_models").fetchone()
        content = (self.outside / "cat.png").read_bytes()
        (self.secret_vector,) = self.connection.execute(
            "SELECT embed_image(?, ?)", (MODEL, content)
        ).fetchone()
        self.before = self.state()

    def state(self) -> tuple[Any, ...]:
        """Return what is outside: names, sizes, times of change, numbers of links."""
        found = []
        for parent, folders, names in os.walk(self.outside):
            for name in sorted(folders + names):
                status = os.lstat(os.path.join(parent, name))  # noqa: PTH118
                found.append((parent, name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        return tuple(found)


def forms(yard: Yard, chance: random.Random) -> Iterator[str]:
    """Yield forms of paths and URLs, for ever; most lead outside, some nowhere, a few inside."""
    targets = ["cat.png", "secret.csv", "secret.json", "secret.db", "model", "", "new", "model/new"]
    out = str(yard.outside)
    bases: list[Callable[[str], str]] = [
        lambda name: f"{out}/{name}",
        lambda name: f"../outside/{name}",
        lambda name: f"link/{name}",
        lambda name: f"chain/{name}",
        lambda name: f"images/hop/{name}",
        lambda name: f"up/outside/{name}",
        lambda name: f"root{out}/{name}",
        lambda name: f"images/../../outside/{name}",
        lambda name: f"images/green.png/../../../outside/{name}",
        lambda name: f"none/../../outside/{name}",
        lambda name: f"thanosql-model/{MODEL}/../../../outside/{name}",
        lambda name: f"/proc/self/root{out}/{name}",
        lambda name: f"/proc/{os.getpid()}/root{out}/{name}",
        lambda name: f"/proc/self/cwd/{os.path.relpath(yard.outside)}/{name}",
        lambda name: f"/proc/thread-self/root{out}/{name}",
        lambda name: f"~/{os.path.relpath(yard.outside, Path.home())}/{name}",
        lambda name: f"~{getpass.getuser()}/{name}",
        lambda name: f"~/{name}",
        lambda name: f"file://{out}/{name}",
        lambda name: f"file:{out}/{name}",
        lambda name: f"file:../outside/{name}",
        lambda name: f"file:link/{name}",
        lambda name: f"FILE://LOCALHOST{out}/{name}",
        lambda name: f"file://{quote(out, safe='')}%2F{name}",
        lambda name: f"file://{out}/{name}?mode=rwc",
        lambda name: f"file:{out}/{name}?mode=memory&mode=rw",
        lambda name: f"file://elsewhere{out}/{name}",
        lambda name: f"zip://{name}::{out}/photos.zip",
        lambda name: f"zip://{name}::../outside/photos.zip",
        lambda name: f"zip://{name}::link/photos.zip",
        lambda name: f"zip://{out}/{name}::photos.csv",
        lambda name: f"tar://../../{name}::/proc/self/root{out}/photos.zip",
        lambda name: f"ZIP://{name}::file://{out}/photos.zip",
        lambda name: f"zip://{name}::zip://photos.zip::{out}/photos.zip",
        lambda name: f"{out}/photos.zip",
        lambda name: f"s3://{out}/{name}",
        lambda name: "link.png",
        lambda name: "link.csv",
        lambda name: "link.db",
        lambda name: "link_model",
        lambda name: "half_model",
        lambda name: "loop",
        lambda name: f"loop/{name}",
        lambda name: "images/green.png",
        lambda name: "photos.csv",
        *(
            lambda name, host=host: f"http://{host}:{yard.port}/{name}"  # type: ignore[misc]
            for host in (
                *("127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.1", "0"),
                *("[::ffff:127.0.0.1]", "0.0.0.0", "a@127.0.0.1", "127.0.0.1.", "[bad"),
                *("①②⑦.0.0.1", "127。0。0。1", "x" * 300, "\ud800"),
            )
        ),
    ]
    changes: list[Callable[[str], str]] = [
        lambda path: path,
        lambda path: path.replace("/", "//"),
        lambda path: path.replace("/", "/./"),
        lambda path: path.replace("/", "/x/../", 1),
        lambda path: path.replace("/", "\\"),
        lambda path: path.replace("..", "%2e%2e"),
        lambda path: path.replace("..", "%252e%252e"),
        lambda path: path.replace("..", "．．").replace("/", "／"),
        lambda path: path.replace("..", "․․"),
        lambda path: path.replace("..", "..;"),
        lambda path: path.replace("/", "∕"),
        lambda path: path.replace("../", "....//"),
        lambda path: path.upper(),
        lambda path: f"{path}/",
        lambda path: f"{path}.",
        lambda path: f"{path} ",
        lambda path: f" {path}",
        lambda path: f"{path}/.",
        lambda path: f"{path}\0",
        lambda path: f"images/green.png\0{path}",
        lambda path: f"{path}%00.png",
        lambda path: f"{path}\n",
        lambda path: f"{path}::$DATA",
        lambda path: f"{path}#a",
        lambda path: f"{path}?a",
        lambda path: f"/{path}",
        lambda path: f"./{path}",
        lambda path: "./" * 700 + path,
        lambda path: "images/../" * chance.randrange(40) + path,
        lambda path: f"/dev/fd/../..{path}",
        lambda path: f"{path}\ud800",
        lambda path: f"{'x' * 300}/../{path}",
        lambda path: f"'{path}'",
        lambda path: quote(path, errors="surrogatepass"),
        lambda path: f"\ufeff{path}",
        lambda path: f"\u202e{path}",
    ]
    while True:
        path = chance.choice(bases)(chance.choice(targets))
        for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
            path = chance.choice(changes)(path)
        yield path


def text(path: str) -> str:
    """Return a path as a literal of SQL."""
    return "'" + path.replace("'", "''") + "'"


def _copy(yard: Yard, path: str) -> object:
    yard.connection.execute(f"COPY found OPTIONS (overwrite=True) FROM {text(path)}")
    return yard.connection.execute("SELECT * FROM found").fetchall()


def _copy_bound(yard: Yard, path: str) -> object:
    yard.connection.execute("COPY found OPTIONS (overwrite=True) FROM ?", (path,))
    return yard.connection.execute("SELECT * FROM found").fetchall()


def _upload(yard: Yard, path: str) -> object:
    yard.connection.execute(f"UPLOAD MODEL u OPTIONS (overwrite=True) FROM {text(path)}")
    return [file.name for file in (yard.inside / "thanosql-model" / "u").iterdir()]


def _embed(yard: Yard, path: str) -> object:
    return yard.connection.execute("SELECT embed_image(?, ?)", (MODEL, path)).fetchall()


def _search(yard: Yard, path: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first image that is no drawing
        return yard.connection.execute(
            f"SELECT * FROM (SEARCH IMAGE image={text(path)} USING {MODEL} AS SELECT"
            f" embed_image('{MODEL}', 'images/green.png') AS {MODEL}_clipen)"
        ).fetchall()


def _convert(yard: Yard, path: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # images that cannot be read, and vectors not stored
        return yard.connection.execute(
            f"CONVERT USING {MODEL} AS SELECT ? AS image_path", (path,)
        ).fetchall()


def _convert_in_place(yard: Yard, path: str) -> object:
    yard.connection.execute("CREATE TABLE IF NOT EXISTS rows (image_path)")
    yard.connection.execute("DELETE FROM rows")
    yard.connection.execute("INSERT INTO rows VALUES (?)", (path,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yard.connection.execute(
            f"CONVERT USING {MODEL} OPTIONS (table_name='rows') AS SELECT * FROM rows"
        )
    return yard.connection.execute("SELECT * FROM rows").fetchall()


def _print(yard: Yard, path: str) -> object:
    rows = yard.connection.execute("PRINT IMAGE AS SELECT ? AS image_path", (path,)).fetchall()
    from thanosql_dbapi.embedding.images import open_image

    picture = open_image(rows[0][0], locate=yard.connection.settings.workspace.locate)
    if picture.getpixel((0, 0)) == (255, 0, 255):
        raise EscapeError(f"the picture outside was decoded: {path!r}")
    return rows


def _model_folder(yard: Yard, path: str) -> object:
    yard.connection.execute("UPDATE thanosql_models SET folder = ?", (path,))
    try:
        return yard.connection.execute(
            f"SELECT length(embed_text('{MODEL}', ?))", (f"a text {path[-20:]!r}",)
        ).fetchall()
    finally:
        yard.connection.execute("UPDATE thanosql_models SET folder = ?", yard.own_folder)


def _delete_model(yard: Yard, path: str) -> object:
    yard.connection.execute("DELETE FROM thanosql_models WHERE name = 'd'")
    yard.connection.execute(
        "INSERT INTO thanosql_models SELECT 'd', base, source, ?, fingerprint, dimension"
        " FROM thanosql_models",
        (path,),
    )
    yard.connection.execute("DELETE MODEL d")
    own = yard.inside / "thanosql-model" / MODEL / "config.json"
    if not own.is_file() or not (yard.inside / "photos.csv").is_file():
        raise EscapeError(f"DELETE MODEL has removed another folder than its own: {path!r}")
    return None


def _name(yard: Yard, path: str) -> object:
    for statement in (
        'GET THANOSQL MODEL storybook_clip AS "{}"',
        "UPLOAD MODEL \"{}\" FROM 'half_model'",
        'DELETE MODEL "{}"',
        'GET THANOSQL DATASET "{}"',
    ):
        with suppress(thanosql.Error):  # one that is a good name is taken, and deleted
            yard.connection.execute(statement.format(path.replace('"', '""')))
    return None


def _attach(yard: Yard, path: str) -> object:
    yard.connection.execute(f"ATTACH {text(path)} AS other")
    try:
        return yard.connection.execute("SELECT * FROM other.sqlite_master").fetchall()
    finally:
        yard.connection.execute("DETACH other")


def _vacuum(yard: Yard, path: str) -> object:
    yard.connection.execute(f"VACUUM INTO {text(path)}")
    return None


STATEMENTS: dict[str, Callable[[Yard, str], object]] = {
    "COPY": _copy,
    "COPY ?": _copy_bound,
    "UPLOAD MODEL": _upload,
    "embed_image": _embed,
    "SEARCH IMAGE": _search,
    "CONVERT": _convert,
    "CONVERT in place": _convert_in_place,
    "PRINT IMAGE": _print,
    "thanosql_models.folder": _model_folder,
    "DELETE MODEL": _delete_model,
    "names": _name,
    "ATTACH": _attach,
    "VACUUM INTO": _vacuum,
}


def check(yard: Yard, asked: list[str], kind: str, path: str, counts: Counts) -> None:
    """Run one statement with one form of a path.

    Raises:
        EscapeError: Something outside was touched, or the error is none of PEP 249's.
    """
    what = f"{kind} with {path!r}"
    counts.statements[kind] += 1
    answer: object = None
    try:
        answer = STATEMENTS[kind](yard, path)
        outcome = "answered"
    except thanosql.Error as error:
        outcome = type(error).__name__
        answer = str(error)
    # sqlite3's own words for a text that it cannot take.
    except (UnicodeEncodeError, ValueError) as error:
        if not ("\ud800" in path or "\0" in path):
            raise EscapeError(f"{what}: {error!r}") from error
        outcome = type(error).__name__
    except EscapeError:
        raise
    except Exception as error:
        raise EscapeError(f"{what}: {error!r}") from error
    counts.outcomes[outcome] += 1
    if TOKEN in repr(answer).replace(repr(path), ""):
        raise EscapeError(f"{what} has shown what is outside: {answer!r}")
    if isinstance(answer, list) and any(
        bytes(value) == yard.secret_vector
        for row in answer
        if isinstance(row, tuple)
        for value in row
        if isinstance(value, bytes) or hasattr(value, "tobytes")
    ):
        raise EscapeError(f"{what} has embedded the picture outside")
    if asked:
        raise EscapeError(f"{what} has asked this machine for {asked}")
    if yard.state() != yard.before:
        raise EscapeError(f"{what} has changed what is outside")


def check_workspace(yard: Yard) -> None:
    """Look for what was outside in every file of the workspace.

    Raises:
        EscapeError: It is there.
    """
    for parent, folders, names in os.walk(yard.inside):
        folders[:] = [name for name in folders if not Path(parent, name).is_symlink()]
        for name in names:
            file = Path(parent, name)
            if not file.is_symlink() and TOKEN.encode() in file.read_bytes():
                raise EscapeError(f"{file} has what was outside")


def exchange(yard: Yard, seconds: float, most: int | None, counts: Counts) -> None:
    """Read files while another process puts links to outside in their place, and takes them away.

    Args:
        yard: The workspace.
        seconds: About how long.
        most: Most rounds, or None.
        counts: Counts them.

    Raises:
        EscapeError: What is outside was read.
    """
    (yard.inside / "racing").mkdir()
    (yard.inside / "racing" / "secret.csv").write_bytes(b"a\ninside\n")
    other = subprocess.Popen(
        [sys.executable, __file__, "--exchange", str(yard.inside), str(yard.outside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    other.stdout.readline()  # it has begun
    end = time.monotonic() + seconds
    try:
        for number in itertools.count():
            if time.monotonic() > end or number == most:
                break
            for _ in range(10):
                check(yard, [], "COPY", "racing.csv", counts)
                check(yard, [], "COPY", "racing/secret.csv", counts)
                check(yard, [], "embed_image", "racing.png", counts)
    finally:
        found, _ = other.communicate()
        counts.exchanges += int(found)


def exchange_for_ever(inside: Path, outside: Path) -> None:
    """Exchange files and a folder for links until the standard input ends; print how often."""
    pairs = {
        inside / "racing.csv": (b"a\ninside\n", outside / "secret.csv"),
        inside / "racing.png": (
            (inside / "images" / "green.png").read_bytes(),
            outside / "cat.png",
        ),
    }
    folder, away, spare = inside / "racing", inside / "racing.away", inside / ".spare"
    done, number = threading.Event(), 0
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    print("begun", flush=True)
    while not done.is_set():
        for file, (content, target) in pairs.items():
            spare.write_bytes(content)
            spare.replace(file)
            spare.symlink_to(target)
            spare.replace(file)
        folder.rename(away)
        folder.symlink_to(outside)
        folder.unlink()
        away.rename(folder)
        number += 3
    print(number)


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """Run a server on this machine; gives its port and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(folder: Path, *, seconds: float, seed: int, most: int | None = None) -> Counts:
    """Try forms of paths for some time.

    Args:
        folder: An empty folder.
        seconds: About how long.
        seed: Makes the same forms again.
        most: Most forms to try, each through every statement, and most rounds of the second part;
            or None.

    Raises:
        EscapeError: Something outside was touched; the message has the statement and the form.
    """
    counts, chance = Counts(), random.Random(seed)
    with listening() as (port, asked):
        yard = Yard(folder, port)
        try:
            end = time.monotonic() + seconds * 0.8
            for number, path in enumerate(forms(yard, chance)):
                if time.monotonic() > end or number == most:
                    break
                for kind in STATEMENTS:
                    check(yard, asked, kind, path, counts)
                if number % 50 == 0:
                    check_workspace(yard)
            exchange(yard, seconds * 0.2, most, counts)
            check_workspace(yard)
        finally:
            yard.connection.close()
    return counts


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, help="an empty folder; default: a temporary one")
    parser.add_argument("--exchange", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.exchange:
        exchange_for_ever(*given.exchange)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        print(f"seed {given.seed}", flush=True)
        counts = run(given.folder or Path(temporary), seconds=given.seconds, seed=given.seed)
    print(f"{counts.statements.total():,} statements, nothing outside read or written")
    for name, number in sorted(counts.statements.items()):
        print(f"  {name}: {number:,}")
    print("outcomes:", ", ".join(f"{name} {n:,}" for name, n in counts.outcomes.most_common()))
    print(f"files exchanged for links while they were read: {counts.exchanges:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
