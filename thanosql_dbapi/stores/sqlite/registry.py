"""What a database knows of models and vector columns: two small tables in the user's own file.

``thanosql_models`` names the models that statements may use. ``thanosql_vectors`` says which
columns hold vectors, of which model. Both are made at the first need, so that a database without
either stays as it is; both are plain tables that any SQLite client may read.
"""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import MISSING, astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...errors import ModelError, clip
from ...language.names import same_name
from .database import Database
from .sources import forgetting
from .topk.change_log import unwatching, watched_columns

PREFIX = "thanosql_"
COMMITTED_TIMEOUT_S = 1.0
"""How long :func:`committed_fingerprint` waits for a lock."""

_MODELS = """
CREATE TABLE IF NOT EXISTS main.thanosql_models (
    name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL,
    base TEXT NOT NULL,
    source TEXT NOT NULL,
    folder TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    rests_on TEXT NOT NULL DEFAULT ''
)"""
_VECTORS = """
CREATE TABLE IF NOT EXISTS main.thanosql_vectors (
    schema_name TEXT NOT NULL COLLATE NOCASE,
    table_name TEXT NOT NULL COLLATE NOCASE,
    column_name TEXT NOT NULL COLLATE NOCASE,
    model TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    source_column TEXT NOT NULL,
    source_type TEXT NOT NULL,
    id INTEGER PRIMARY KEY,
    UNIQUE (schema_name, table_name, column_name)
)"""


@dataclass(frozen=True)
class Model:
    """A registered model.

    Attributes:
        name: The name statements use.
        base: Base algorithm, e.g. ``clipen``; with the name it names the vector column.
        source: Where it came from, e.g. ``hf:openai/clip-vit-base-patch32@…``.
        folder: Its transformers folder, relative to the workspace. It is data, as any path in a
            table: ``Workspace.locate`` says which folder it means.
        fingerprint: sha256 over weights, configuration and tokenizer, hexadecimal.
        dimension: Length of its vectors; of a classifier, of those that it reads.
        rests_on: Of a classifier, the fingerprint of the model whose vectors it reads; empty for a
            model that makes vectors.
    """

    name: str
    base: str
    source: str
    folder: str
    fingerprint: str
    dimension: int
    rests_on: str = ""

    @property
    def kind(self) -> str:
        """What it does: ``"embedding"`` makes vectors, ``"classifier"`` labels them."""
        return "classifier" if self.rests_on else "embedding"

    @property
    def column(self) -> str:
        """Default name of its vector column."""
        return f"{self.name}_{self.base}"


@dataclass(frozen=True)
class VectorColumn:
    """A column that CONVERT filled.

    Attributes:
        schema_name: ``main`` or the name under which its database was attached.
        table_name: Its table, or ``""`` for a column that a CREATE TABLE … AS or INSERT copied.
        column_name: The column.
        model: Name of the model at the time.
        fingerprint: That model's fingerprint; vectors of different fingerprints do not compare.
        dimension: Length of the vectors.
        source_column: Column with the images or texts.
        source_type: ``"image"``, ``"text"`` or ``"video"``.
    """

    schema_name: str
    table_name: str
    column_name: str
    model: str
    fingerprint: str
    dimension: int
    source_column: str
    source_type: str


@dataclass(frozen=True)
class _Followed:
    """The vector columns after renames.

    Attributes:
        columns: The columns by id, under today's names.
        moved: The ids of those that the table has under older names.
        stale: The ids of those whose name another one has taken: their own table is gone.
    """

    columns: dict[int, VectorColumn]
    moved: set[int]
    stale: set[int]


class Registry:
    """The registered models and vector columns of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def models(self) -> list[Model]:
        """Return the registered models by name."""
        return [Model(*row) for row in self._read("thanosql_models", Model, "name")]

    def embedding_models(self) -> list[Model]:
        """Return the registered models that make vectors, by name."""
        return [model for model in self.models() if model.kind == "embedding"]

    def resting_on(self, model: Model) -> list[Model]:
        """Return the classifiers that read the vectors of a model, and of no other one there is."""
        known = self.models()
        others = {each.fingerprint for each in known if not same_name(each.name, model.name)}
        if model.fingerprint in others:
            return []
        return [each for each in known if each.rests_on == model.fingerprint]

    def find_model(self, name: str) -> Model | None:
        """Return the model of this name, or None."""
        return next((model for model in self.models() if same_name(model.name, name)), None)

    def model(self, name: str) -> Model:
        """Return the model of this name, which makes vectors.

        Raises:
            ModelError: No such model; the message names the nearest one and the statement that
                gets a model. Or it is a classifier.
        """
        model = self.any_model(name)
        if model.kind == "classifier":
            raise ModelError(
                f"model {clip(model.name)} is a classifier, which labels vectors and makes none;"
                f" PREDICT USING {model.name} and EVALUATE USING {model.name} use it, and the"
                f" vectors it reads are those of {model.source.removeprefix('model:')}"
            )
        return model

    def any_model(self, name: str) -> Model:
        """Return the model or classifier of this name.

        Raises:
            ModelError: As :meth:`model`.
        """
        known = self.models()
        for model in known:
            if same_name(model.name, name):
                return model
        raise ModelError(
            f"no model {clip(name)} in this database{_nearest(name, [m.name for m in known])};"
            f" GET THANOSQL MODEL {name} gets one of the catalog"
            " (LIST THANOSQL MODEL shows which), UPLOAD MODEL registers a folder of yours"
        )

    def add_model(self, model: Model) -> None:
        """Register a model, in place of one of the same name."""
        self.database.execute(_MODELS)
        names = [field.name for field in fields(Model)]
        known = {name for name, _ in self.database.table_columns("main", "thanosql_models")}
        if "rests_on" not in known:  # a file of a version without classifiers
            self.database.execute(
                "ALTER TABLE main.thanosql_models ADD COLUMN rests_on TEXT NOT NULL DEFAULT ''"
            )
        self.database.execute(
            f"INSERT OR REPLACE INTO main.thanosql_models ({', '.join(names)})"
            f" VALUES ({', '.join('?' * len(names))})",
            astuple(model),
        )

    def remove_model(self, name: str) -> None:
        """Forget a model; the vectors it made stay."""
        self.database.execute("DELETE FROM main.thanosql_models WHERE name = ?", (name,))

    def vector_columns(self) -> list[VectorColumn]:
        """Return all registered vector columns."""
        return list(self._followed().columns.values())

    def find_vector_column(self, schema: str, table: str, column: str) -> VectorColumn | None:
        """Return one vector column, or None when it is not registered."""
        wanted = (schema.lower(), table.lower(), column.lower())
        for known in self.vector_columns():
            names = (known.schema_name, known.table_name, known.column_name)
            if tuple(name.lower() for name in names) == wanted:
                return known
        return None

    def add_vector_column(self, column: VectorColumn) -> int:
        """Register a vector column, or change what is said of it, and return its lasting id."""
        self.database.execute(_VECTORS)
        self.follow_renames()
        names = [field.name for field in fields(VectorColumn)]
        self.database.execute(
            f"INSERT INTO main.thanosql_vectors ({', '.join(names)})"
            f" VALUES ({', '.join('?' * len(names))})"
            " ON CONFLICT (schema_name, table_name, column_name) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in names[3:]),
            astuple(column),
        )
        row = self.database.row(
            "SELECT id FROM main.thanosql_vectors"
            " WHERE schema_name = ? AND table_name = ? AND column_name = ?",
            astuple(column)[:3],
        )
        assert row is not None
        return int(row[0])

    def follow_renames(self) -> None:
        """Write down what renamed tables and columns are called today; the caller commits."""
        followed = self._followed()
        for number in followed.moved | followed.stale:
            self.database.execute("DELETE FROM main.thanosql_vectors WHERE id = ?", (number,))
        names = [field.name for field in fields(VectorColumn)]
        self.database.execute_many(
            f"INSERT INTO main.thanosql_vectors (id, {', '.join(names)})"
            f" VALUES (?, {', '.join('?' * len(names))})",
            [(number, *astuple(followed.columns[number])) for number in followed.moved],
        )

    def rename(self, schema: str, table: str, column: str | None, new_name: str) -> None:
        """Follow a rename of a table, or of a column of it, that no trigger tells of.

        Args:
            schema: The table's schema.
            table: Its name before.
            column: The column's name before; None where the table is renamed.
            new_name: The name now. The caller commits.
        """
        named = "table_name" if column is None else "column_name"
        where, names = "schema_name = ? AND table_name = ?", [schema, table]
        if column is not None:
            where, names = f"{where} AND column_name = ?", [schema, table, column]
        self.database.execute(
            f"UPDATE OR REPLACE main.thanosql_vectors SET {named} = ? WHERE {where}",
            (new_name, *names),
        )

    def removal(self, schema: str, table: str, column: str) -> list[str]:
        """Return the statements that forget a vector column, with what its vectors came from."""
        wanted = tuple(name.lower() for name in (schema, table, column))
        statements: list[str] = []
        for number, known in self._followed().columns.items():
            names = (known.schema_name, known.table_name, known.column_name)
            if tuple(name.lower() for name in names) == wanted:
                statements += unwatching(self.database, number)
                statements += forgetting(self.database, number)
                statements.append(f"DELETE FROM main.thanosql_vectors WHERE id = {number}")
        return statements

    def _followed(self) -> _Followed:
        """Return the vector columns by the names that their triggers say they have today."""
        rows = self._read("thanosql_vectors", VectorColumn, "table_name, column_name", "id")
        columns = {row[0]: VectorColumn(*row[1:]) for row in rows}
        own = {n: each for n, each in columns.items() if each.schema_name.lower() == "main"}
        watched = watched_columns(self.database) if own else {}
        today = {number: names for number, names in watched.items() if number in own}
        # Two watches of one column: the one with its name keeps it, or else the newest gets it.
        taken = {
            _key(*names)
            for number, names in today.items()
            if _key(*names) == _key(own[number].table_name, own[number].column_name)
        }
        moved: dict[int, VectorColumn] = {}
        for number, (table, name) in sorted(today.items(), reverse=True):
            if _key(table, name) not in taken:
                taken.add(_key(table, name))
                moved[number] = replace(own[number], table_name=table, column_name=name)
        new = {_key(each.table_name, each.column_name) for each in moved.values()}
        stale = {
            number
            for number, each in own.items()
            if number not in moved and _key(each.table_name, each.column_name) in new
        }
        columns |= moved
        for number in stale:
            del columns[number]
        return _Followed(columns, set(moved), stale)

    def vector_names(self) -> dict[str, int]:
        """Return the names a result's vector column may have, lower case, and their lengths."""
        names = {model.column.lower(): model.dimension for model in self.embedding_models()}
        names |= {each.column_name.lower(): each.dimension for each in self.vector_columns()}
        return names

    def _read(self, table: str, kind: type, order: str, *more: str) -> Iterable[tuple[Any, ...]]:
        known = self.database.row(
            "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?", (table,)
        )
        if not known:
            return []
        there = {name for name, _ in self.database.table_columns("main", table)}
        own = (
            # Files of older versions lack what has a default.
            field.name if field.default is MISSING or field.name in there else repr(field.default)
            for field in fields(kind)
        )
        names = ", ".join((*more, *own))
        return self.database.rows(f"SELECT {names} FROM main.{table} ORDER BY {order}")


def committed_fingerprint(file: Path, name: str) -> str | None:
    """Return the fingerprint that a database file has committed for a model, or None.

    By a connection of its own: what another one has not committed does not count, and a read that
    it has not finished is not of now.

    Raises:
        sqlite3.Error: The file is locked, or is no database.
    """
    if not file.is_file():
        return None
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=COMMITTED_TIMEOUT_S)) as connection:
        model = Registry(Database(connection)).find_model(name)
    return None if model is None else model.fingerprint


def _key(table: str, column: str) -> tuple[str, str]:
    return table.lower(), column.lower()


def _nearest(name: str, known: list[str]) -> str:
    if not known:
        return ", which has none yet"
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f" (it has {', '.join(known)})"
