"""Statements that change files, run in children of a warm process, and what must hold after.

A workspace with two tiny CLIP models is made once, and copied for each try. The parent has torch
imported but never embeds, so that its children may.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
CHILD_LIMIT_S = 120
OVERWRITE = "OPTIONS (overwrite=True)"
IN_PLACE = (
    "CONVERT USING {} OPTIONS (table_name='photos', result_col='v', batch_size=2) AS"
    " SELECT * FROM photos"
)
APPEND = "COPY photos OPTIONS (if_exists='append') FROM 'more.csv'"
INTO = (
    "CONVERT USING m OPTIONS (table_name='embedded', batch_size=2{}) AS"
    " SELECT photo_id, image_path FROM photos"
)


@dataclass(frozen=True)
class Scenario:
    """Statements, and what was done before them.

    Attributes:
        name: Its name.
        script: The statements under test.
        before: Statements of the template.
        step_by_step: Whether vectors may be stored batch by batch.
        wal: Whether the database is in WAL mode.
    """

    name: str
    script: tuple[str, ...]
    before: tuple[str, ...] = ()
    step_by_step: bool = False
    wal: bool = False


_M = "UPLOAD MODEL m FROM 'tiny_clip'"
_NEW_M = f"UPLOAD MODEL m {OVERWRITE} FROM 'other_clip'"
_PICTURES = f"GET THANOSQL DATASET pictures {OVERWRITE}"
_COPY = "COPY photos FROM 'photos.csv'"

SCENARIOS = [
    Scenario("UPLOAD", (_M,)),
    Scenario("UPLOAD overwrite", (_NEW_M,), (_M,)),
    Scenario("UPLOAD overwrite same", (f"UPLOAD MODEL m {OVERWRITE} FROM 'tiny_clip'",), (_M,)),
    Scenario("UPLOAD overwrite, WAL", (_NEW_M,), (_M,), wal=True),
    Scenario("GET MODEL", ("GET THANOSQL MODEL zipped",)),
    Scenario("GET MODEL overwrite", (f"GET THANOSQL MODEL zipped {OVERWRITE} AS m",), (_M,)),
    Scenario("DELETE", ("DELETE MODEL m",), (_M,)),
    Scenario("GET DATASET", ("GET THANOSQL DATASET pictures",)),
    Scenario("GET DATASET overwrite", (_PICTURES,), ("GET THANOSQL DATASET pictures",)),
    Scenario("COPY", (_COPY,)),
    Scenario("COPY overwrite", (f"COPY photos {OVERWRITE} FROM 'more.csv'",), (_COPY,)),
    Scenario("COPY append", (APPEND,), (_COPY,)),
    Scenario("CONVERT in place", (IN_PLACE.format("m"),), (_COPY, _M), step_by_step=True),
    Scenario("CONVERT in place, WAL", (IN_PLACE.format("m"),), (_COPY, _M), True, wal=True),
    Scenario("CONVERT into", (INTO.format(""),), (_COPY, _M)),
    Scenario(
        "CONVERT into, replace",
        (INTO.format(", if_exists='replace'"),),
        (_COPY, _M, "CREATE TABLE embedded AS SELECT * FROM photos"),
    ),
    Scenario(
        "CONVERT another model's vectors",
        (IN_PLACE.format("n"),),
        (_COPY, _M, "UPLOAD MODEL n FROM 'other_clip'", IN_PLACE.format("m")),
    ),
    Scenario("DELETE, ROLLBACK", ("BEGIN", "DELETE MODEL m", "ROLLBACK"), (_M,)),
    Scenario("UPLOAD, ROLLBACK", ("BEGIN", _M, "ROLLBACK")),
    Scenario("UPLOAD overwrite, ROLLBACK", ("BEGIN", _NEW_M, "ROLLBACK"), (_M,)),
    Scenario("UPLOAD overwrite, COMMIT", ("BEGIN", _NEW_M, "COMMIT"), (_M,)),
    Scenario(
        "DELETE, UPLOAD, COMMIT",
        ("BEGIN", "DELETE MODEL m", "UPLOAD MODEL m FROM 'other_clip'", "COMMIT"),
        (_M,),
    ),
    Scenario("COPY, CONVERT, COMMIT", ("BEGIN", _COPY, IN_PLACE.format("m"), "COMMIT"), (_M,)),
]
# These cannot be said twice: the second time they raise, which is what shows that they were done.
ONCE = ("UPLOAD", "GET MODEL", "GET DATASET", "DELETE", "COPY", "CONVERT into")
ONCE_SAYS = ("in this database", "exists", "no model")


def make_template(folder: Path) -> None:
    """Make the files, in a process of its own."""
    folders = [str(HERE.parent), str(HERE.parents[1])]  # the second has what conftest imports
    code = f"import sys; sys.path[:0] = {folders!r}; import crashing, pathlib;"
    code += f"crashing.write_template(pathlib.Path({str(folder)!r}))"
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment)


def write_template(folder: Path) -> None:
    import importlib.util

    from PIL import Image

    spec = importlib.util.spec_from_file_location("conftest", HERE.parents[1] / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    sys.modules["conftest"] = conftest
    spec.loader.exec_module(conftest)

    class Factory:
        def mktemp(self, name: str) -> Path:
            made = folder / "made"
            made.mkdir(parents=True)
            return made

    made = conftest.clip_folder.__wrapped__(Factory())
    workspace = folder / "workspace"
    (workspace / "images").mkdir(parents=True)
    shutil.copytree(made, workspace / "tiny_clip")
    shutil.copytree(made, workspace / "other_clip")
    _other_weights(workspace / "other_clip")
    shelf = workspace / "shelf"
    shelf.mkdir()
    shutil.make_archive(str(shelf / "zipped"), "zip", workspace / "other_clip")
    lines = ["photo_id,image_path"]
    for number in range(12):
        name = f"images/{number}.png"
        Image.new("RGB", (40, 40), (number * 20, 90, 200 - number * 9)).save(workspace / name)
        lines.append(f"{number},{name}")
    (workspace / "photos.csv").write_text("\n".join(lines) + "\n")
    (workspace / "more.csv").write_text("\n".join(lines[:3]) + "\n")
    shutil.make_archive(str(shelf / "pictures"), "zip", workspace, "images")
    entries = {
        "models": {"zipped": {"source": "zipped.zip", "base": "clipen"}},
        "datasets": {"pictures": {"source": "pictures.zip"}},
    }
    (shelf / "catalog.json").write_text(json.dumps(entries))


def _other_weights(folder: Path) -> None:
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder)
    torch.nn.init.normal_(model.text_projection.weight)
    torch.nn.init.normal_(model.visual_projection.weight)
    model.save_pretrained(folder)


def warm() -> None:
    """Import what the children need; nothing is embedded here."""
    import torch
    import transformers
    from PIL import Image

    import thanosql_dbapi.embedding.executors.local
    import thanosql_dbapi.models.encoder
    import thanosql_dbapi.models.preprocessing
    import thanosql_dbapi.sources.fetch  # noqa: F401
    from thanosql_dbapi.statements import ACTIONS, grouping, load
    from thanosql_dbapi.statements.resolve import HANDLERS

    for place in (*HANDLERS.values(), *ACTIONS.values()):
        if isinstance(place, str):
            load(place)
    grouping.SECONDS = 0.0  # a kill is to come between any two batches
    torch.set_num_threads(1)
    for name in ("CLIPModel", "CLIPTextModelWithProjection", "CLIPVisionModelWithProjection"):
        getattr(transformers, name)
    Image.init()
    gc.freeze()


def connect(workspace: Path, **options: Any) -> Any:
    import thanosql_dbapi

    return thanosql_dbapi.connect(
        workspace / "photos.db",
        catalog=workspace / "shelf" / "catalog.json",
        progress=options.pop("progress", False),
        offline=True,
        isolation_level=None,
        **options,
    )


def run(workspace: Path, script: tuple[str, ...], **options: Any) -> None:
    connection = connect(workspace, **options)
    try:
        for sql in script:
            connection.execute(sql).fetchall()
    finally:
        connection.close()


def child(work: Callable[[], Any], *, kill_after_s: float | None = None) -> tuple[int, Any]:
    """Run a function in a child, and return the signal that ended it and what it returned.

    An exception comes back as an object of :class:`Failed`.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        signal.alarm(CHILD_LIMIT_S)
        warnings.simplefilter("ignore")
        try:
            result: Any = work()
        except BaseException as error:
            result = Failed(type(error), str(error), traceback.format_exc())
        with os.fdopen(writer, "wb") as file:
            file.write(pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(process, signal.SIGKILL)
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    _, status = os.waitpid(process, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return number, pickle.loads(content) if content else None


@dataclass(frozen=True)
class Failed:
    """An exception in a child."""

    kind: type[BaseException]
    message: str
    trace: str

    @property
    def is_ours(self) -> bool:
        return issubclass(self.kind, (sqlite3.Error, KeyboardInterrupt, MemoryError))


@dataclass
class State:
    """What can be seen of a workspace.

    Attributes:
        tables: Table to its columns and rows.
        models: Registered models to the fingerprint of the files that the driver would use.
        datasets: Path to digest of a data set's file.
    """

    tables: dict[str, tuple[list[str], list[Any]]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)


def state_of(workspace: Path) -> State:
    """Look at a workspace, and raise where it is not sound."""
    state = State()
    file = workspace / "photos.db"
    for folder in sorted((workspace / "thanosql-dataset").glob("[!.]*")):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(workspace))
                state.datasets[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if not file.exists():
        return state
    plain = sqlite3.connect(file)
    assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for (name,) in plain.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if not name.startswith(("sqlite_", "thanosql_")):
            rows = plain.execute(f'SELECT * FROM "{name}" ORDER BY rowid')
            state.tables[name] = ([each[0] for each in rows.description], rows.fetchall())
    has_vectors = plain.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'thanosql_vectors'"
    ).fetchall()
    if has_vectors:
        rows = plain.execute(
            "SELECT table_name, column_name, model, fingerprint FROM thanosql_vectors ORDER BY 1, 2"
        )
        state.tables["thanosql_vectors"] = (["registered"], rows.fetchall())
    plain.close()
    from thanosql_dbapi.models.folder import fingerprint

    connection = connect(workspace)
    context = connection._context()
    for model in context.registry.models():
        found = fingerprint(context.model_folder(model))
        assert found == model.fingerprint, f"model {model.name} has other files"
        state.models[model.name] = found
    connection.close()
    return state


def leftovers(workspace: Path) -> list[str]:
    """Return what no statement should leave."""
    found = [
        str(path.relative_to(workspace))
        for path in workspace.rglob("*")
        if path.name.startswith(".") and not path.name.startswith((".queries.db", ".vectors.db"))
    ]
    if (workspace / "photos.db").exists():
        plain = sqlite3.connect(workspace / "photos.db")
        found += [
            name
            for (name,) in plain.execute("SELECT name FROM sqlite_master")
            if name == "thanosql_unfinished" or "thanosql_rows" in name
        ]
        registered = {"tiny_clip"}
        if plain.execute("SELECT 1 FROM sqlite_master WHERE name = 'thanosql_models'").fetchall():
            registered = {name for (name,) in plain.execute("SELECT name FROM thanosql_models")}
        found += [
            f"unregistered {path.name}"
            for path in (workspace / "thanosql-model").glob("[!.]*")
            if path.name not in registered
        ]
        plain.close()
    return found


def same(one: State, other: State, *, partly: bool = False) -> bool:
    """Return whether two states are the same; ``partly``: the first may lack vectors yet."""
    if one.models != other.models or one.datasets != other.datasets:
        return False
    if partly and "v" not in one.tables.get("photos", ([],))[0]:
        return False
    tables = set(one.tables) == set(other.tables)
    return tables and all(
        one.tables[name][0] == other.tables[name][0]
        and len(one.tables[name][1]) == len(other.tables[name][1])
        and all(
            _same_cell(a, b, partly)
            for first, second in zip(one.tables[name][1], other.tables[name][1], strict=True)
            for a, b in zip(first, second, strict=True)
        )
        for name in one.tables
    )


def _same_cell(one: Any, other: Any, partly: bool) -> bool:
    import numpy as np

    if isinstance(one, bytes) and isinstance(other, bytes) and len(one) == len(other):
        return bool(np.allclose(np.frombuffer(one, "<f4"), np.frombuffer(other, "<f4"), atol=1e-4))
    return one == other or (partly and one is None)


class Bench:
    """A scenario with its template and its states before and after."""

    def __init__(self, scenario: Scenario, folder: Path, template: Path) -> None:
        self.scenario = scenario
        self.folder = folder
        self.ready = folder / "ready"
        shutil.copytree(template, self.ready)
        mode = ("PRAGMA journal_mode = wal",) if scenario.wal else ()
        ended = child(lambda: run(self.ready, (*mode, *scenario.before)))
        assert ended == (0, None), f"{scenario.name}: {ended}"
        self.before = state_of(self.ready)
        done = self.copy()
        ended = child(lambda: run(done, scenario.script))
        assert ended == (0, None), f"{scenario.name}: {ended}"
        self.after = state_of(done)
        assert not leftovers(done), f"{scenario.name}: {leftovers(done)}"

    def copy(self) -> Path:
        """Return a new copy of the workspace; the last one is removed."""
        place = self.folder / "try"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.ready, place)
        return place

    def check(self, place: Path) -> str:
        """Return what is wrong after a crash, and after the same statements again; else ``""``."""
        scenario = self.scenario
        try:
            now = state_of(place)
        except Exception as error:
            return f"not sound: {error!r}"
        is_after = same(now, self.after)
        is_partly = scenario.step_by_step and same(now, self.after, partly=True)
        if not (is_after or is_partly or same(now, self.before)):
            return f"neither before nor after: {now.models} {now.datasets} {list(now.tables)}"
        number, failed = child(lambda: run(place, scenario.script))
        if number:
            return f"again: ended by signal {number}"
        may_refuse = is_after and any(scenario.name.startswith(name) for name in ONCE)
        if failed and not (may_refuse and any(says in failed.message for says in ONCE_SAYS)):
            return f"again: {failed.trace}"
        try:
            again = state_of(place)
        except Exception as error:
            return f"again, not sound: {error!r}"
        if not same(again, self.after) and not (not failed and self._grows(again)):
            return f"again, not after: {again.models} {list(again.datasets)} {list(again.tables)}"
        left = leftovers(place)
        return f"left: {left}" if left else ""

    def _grows(self, again: State) -> bool:
        """Return whether appending once more is what makes the difference."""
        return "append" in self.scenario.name and len(again.tables["photos"][1]) == 16


def benches(folder: Path, only: str) -> list[Bench]:
    """Make the scenarios whose names contain a text ready, in a folder, and warm the process."""
    make_template(folder / "template")
    warm()
    template = folder / "template" / "workspace"
    return [
        Bench(scenario, folder / str(number), template)
        for number, scenario in enumerate(SCENARIOS)
        if only in scenario.name
    ]
