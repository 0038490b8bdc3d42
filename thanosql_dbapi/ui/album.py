"""A folder of pictures and its database: brought in step, and searched.

What ``thanosql search`` and ``thanosql index`` do, as statements of the language.
"""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from ..errors import ModelError, OperationalError, ProgrammingError, SourceError
from ..language.names import quote_name
from ..opening import open_database
from . import seen
from .session import Outcome, run, sentence

DATABASE = "photos.db"
TABLE = "photos"
MODEL = "clip"
"""The model of a folder that has none yet."""

DRAWINGS_MODEL = "storybook_clip"

LONGEST_WAIT_S = 600.0
"""How long a search waits for another program that writes to the database."""


@dataclass(frozen=True)
class Question:
    """What to look for, and among which pictures.

    Attributes:
        texts: Texts that the pictures are to be like.
        images: Pictures that they are to be like, each an absolute path or a URL.
        unlike: Texts that they are to be unlike.
        since: The least time, as much of ISO 8601 as is meant; ``""`` for all.
        where: A condition in SQL on the table's columns; ``""`` for none.
        count: Most pictures to return, >= 1.
    """

    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    since: str = ""
    where: str = ""
    count: int = 10


class Album:
    """A folder and its database, opened.

    Args:
        folder: The folder.
        database: The database's file; None: ``photos.db`` in the folder.
        exclude: Patterns of what is left out of the folder, as in COPY.
        say: Called with a sentence about what was done.
        options: Options of ``connect``; one that is None is not given.

    Raises:
        OperationalError: The folder does not exist, or the database cannot be opened.
        DatabaseError: The file is no database.
        SourceError: There is no database yet, and the folder has no picture: none is made.

    Attributes:
        folder: The folder, absolute, its links resolved.
        database: The database's file.
        connection: The database; statements may read the folder.
    """

    def __init__(
        self,
        folder: Path,
        database: Path | None = None,
        *,
        exclude: tuple[str, ...] = (),
        say: Callable[[str], None] = lambda sentence: None,
        **options: Any,
    ) -> None:
        self.folder = folder.expanduser().resolve()
        if not self.folder.is_dir():
            raise OperationalError(f"there is no folder {str(self.folder)!r}")
        self.database = (database or self.folder / DATABASE).expanduser().absolute()
        self._exclude, self._say = exclude, say
        self._before = seen.database_state(self.database)
        allowed = [*(options.pop("allowed_directories", None) or ()), str(self.folder)]
        is_new = not self.database.exists() and self.database.parent.is_dir()
        if is_new and options.get("mode") != "ro":
            self._require_pictures(options.get("workspace"), allowed)
        try:
            self.connection = open_database(
                str(self.database), allowed_directories=allowed, **options
            )
        except OperationalError as error:
            if self.database.exists() or os.access(self.database.parent, os.W_OK):
                raise
            raise OperationalError(
                f"{error}; its folder may not be written: name a file elsewhere with --db"
            ) from error
        self._listing: bytes | None = None
        self._in_step: tuple[bytes, str] | None = None

    def close(self) -> None:
        """Close the database, and note that the folder is in step with it if it was brought so."""
        self.connection.close()
        if self._in_step is not None:
            seen.remember(self.database, *self._in_step)

    @property
    def is_read_only(self) -> bool:
        """Whether the database is searched as it is."""
        return self.connection.settings.is_read_only

    def model(self, wanted: str | None = None) -> str:
        """Return the model to search with: the one wanted, that of the file, or ``clip``.

        Of several models whose vectors the table has, it is the one that came last.

        Raises:
            SourceError: No model of that name is in the database or in the catalog.
        """
        known: list[str] = [row[0] for row in self._rows("SELECT model_name FROM (LIST MODEL)")]
        ours = {name.lower(): name for name in known}
        if wanted is not None:
            if wanted.lower() in ours:
                return ours[wanted.lower()]
            return self.connection._context().catalog().model(wanted).name
        for model, _ in self._vector_columns():
            if model.lower() in ours:
                return ours[model.lower()]
        return next(iter(ours.values())) if len(ours) == 1 else MODEL

    def is_in_step(self, model: str) -> bool:
        """Return whether a search has left the folder and the database as they are now."""
        workspace = self.connection.settings.workspace
        self._listing = seen.listing_digest(self.folder, workspace, self._exclude)
        return self._listing is not None and seen.is_seen(
            self.database, self._before, self._listing, model
        )

    def bring_in_step(self, model: str) -> None:
        """Bring the table in step with the folder, and embed what is new.

        Args:
            model: From :meth:`model`; it is got if the database has it not.

        Raises:
            SourceError: The folder has no picture, or the model cannot be got.
            sqlite3.Error: A statement failed. What was embedded until then is kept.
        """
        if self._listing is None and self.is_in_step(model):
            return
        self._run(
            f"COPY {TABLE} OPTIONS (if_exists='sync', exif=True, exclude=:exclude) FROM :folder",
            {"exclude": list(self._exclude), "folder": str(self.folder)},
        )
        self._get(model)
        condition, values = self._inside()
        self._run(
            f"CONVERT USING {quote_name(model)} OPTIONS (table_name='{TABLE}')"
            f" AS SELECT image_path FROM {TABLE} WHERE {condition}",
            values,
        )
        if self._listing is not None:
            self._in_step = self._listing, model

    def find(self, question: Question, model: str) -> Outcome:
        """Return the pictures that answer best: their ``image_path`` and ``similarity``.

        Several texts and pictures are one question, the sum of their vectors; those that the
        answer is to be unlike are subtracted.

        Raises:
            OperationalError: The table has no vectors of the model, or ``where`` is no condition.
            ModelError: The model cannot be loaded.
            MediaError: A picture to search for cannot be read.
        """
        column = self._vector_column(model)
        condition, values = self._inside()
        conditions = [condition, f"{quote_name(column)} IS NOT NULL"]
        if question.since:
            conditions.append("coalesce(taken_at, modified_at) >= :since")
            values["since"] = question.since
        if question.where:
            self._check_condition(question.where)
            conditions.append(f"({question.where}\n)")
        texts = [*question.texts, *(f"-{text}" for text in question.unlike)]
        asked = {"texts": texts, "images": list(question.images)}
        given = {name: each for name, each in asked.items() if each}
        is_sum = len(texts) + len(question.images) > 1 or question.unlike
        one = "combine=True, " if is_sum else ""
        return run(
            self.connection,
            "SELECT image_path, similarity FROM (SEARCH IMAGE"
            f" {' '.join(f'{name}=:{name}' for name in given)} USING {quote_name(model)}"
            f" OPTIONS ({one}emb_col=:column, result_col='similarity')"
            f" AS SELECT * FROM {TABLE} WHERE {' AND '.join(conditions)})"
            " ORDER BY similarity DESC LIMIT :count",
            {**values, **given, "column": column, "count": question.count},
        )

    def count(self, model: str) -> str:
        """Return how many pictures of the folder there are, and how many have a vector."""
        condition, values = self._inside()
        column = quote_name(self._vector_column(model))
        ((pictures, vectors),) = run(
            self.connection,
            f"SELECT count(*), count({column}) FROM {TABLE} WHERE {condition}",
            values,
        ).rows
        return f"{pictures:,} pictures, {vectors:,} with a vector of {model}"

    def path(self, image_path: str) -> Path:
        """Return where the picture of a row is, absolute."""
        return self.connection.workspace / image_path

    def _get(self, model: str) -> None:
        context = self.connection._context()
        if context.registry.find_model(model) is not None:
            return
        try:
            self._run(f"GET THANOSQL MODEL {quote_name(model)}")
        except (SourceError, ModelError) as error:
            if model == DRAWINGS_MODEL:
                raise
            raise SourceError(
                f"{error}\nthe pictures are listed in {str(self.database)!r} and have no vectors"
                f" yet: they need the model {model!r}, and once it is on this machine, no network."
                " Run the same command where the model's source can be reached; or name a model"
                " that is here with --model, after UPLOAD MODEL name FROM 'folder'. The package's"
                f" own, --model {DRAWINGS_MODEL}, needs no network and knows drawings only: it says"
                " little about photographs"
            ) from error

    def _require_pictures(self, workspace: str | None, allowed: list[str]) -> None:
        """Refuse a folder without pictures before a database is made: by a COPY into memory.

        Raises:
            SourceError: It has none.
        """
        options = {
            "workspace": workspace or str(self.database.parent),
            "allowed_directories": allowed,
            "progress": False,
        }
        with (
            closing(open_database(":memory:", **options)) as trial,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # the COPY into the database warns
            trial.execute(
                f"COPY {TABLE} OPTIONS (exclude=:exclude) FROM :folder",
                {"exclude": list(self._exclude), "folder": str(self.folder)},
            )

    def _run(self, sql: str, values: dict[str, Any] | None = None) -> None:
        """Execute a statement that works, and say what it did.

        While another search of the folder writes, this one waits: it finds the work done.
        """
        before = self.connection.report
        ends_s = time.monotonic() + LONGEST_WAIT_S
        has_told = False
        while True:
            try:
                self.connection.execute(sql, values or {}).close()
                break
            except sqlite3.OperationalError as error:
                if str(error) != "database is locked" or time.monotonic() >= ends_s:
                    raise
            if not has_told:
                self._say(f"another program writes to {str(self.database)!r}: waiting for it")
                has_told = True
        report = self.connection.report
        if report is None or report is before:
            return
        changed = (report.added, report.updated, report.moved, report.removed)
        worked = [getattr(report, name, 0) for name in ("converted", "reused", "failed")]
        if any((*changed, *worked)):
            self._say(sentence(report))

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return run(self.connection, sql).rows

    def _inside(self) -> tuple[str, dict[str, Any]]:
        """Return a condition that holds for the pictures in the folder, and its values."""
        root = self.connection.workspace
        if self.folder == root:
            return "substr(image_path, 1, 1) <> '/'", {}
        path = self.folder.relative_to(root) if self.folder.is_relative_to(root) else self.folder
        start = f"{path.as_posix().rstrip('/')}/"
        return "substr(image_path, 1, length(:start)) = :start", {"start": start}

    def _vector_columns(self) -> list[tuple[str, str]]:
        """Return the models whose vectors the table has, with their columns; the newest first."""
        there = "SELECT 1 FROM sqlite_master WHERE name = 'thanosql_vectors'"
        if not self._rows(there):
            return []
        return self._rows(
            "SELECT v.model, v.column_name FROM thanosql_vectors AS v"
            f" JOIN pragma_table_info('{TABLE}') AS c ON c.name = v.column_name COLLATE NOCASE"
            " JOIN thanosql_models AS m ON m.name = v.model AND m.fingerprint = v.fingerprint"
            f" WHERE v.schema_name = 'main' AND v.table_name = '{TABLE}'"
            " AND v.source_type = 'image' ORDER BY v.id DESC"
        )

    def _vector_column(self, model: str) -> str:
        for known, column in self._vector_columns():
            if known.lower() == model.lower():
                return column
        raise OperationalError(
            f"{str(self.database)!r} has no vectors of model {model!r} in a table {TABLE!r};"
            f" thanosql index {quote(str(self.folder))} --model {model} makes them"
        )

    def _check_condition(self, where: str) -> None:
        """Check that a text is one condition: without brackets as within them.

        ``1) OR (1`` is one within them alone, and would reach the rows of other folders.

        Raises:
            OperationalError: It is not.
        """
        try:
            for condition in (f"({where}\n)", f"{where}\n"):
                run(self.connection, f"SELECT 1 FROM {TABLE} WHERE {condition} LIMIT 0")
        except ProgrammingError as error:  # a placeholder, for which there is no value
            raise OperationalError(
                f"--where {where!r} has a placeholder, such as ? or :name; write the value itself"
            ) from error
        except OperationalError as error:
            raise OperationalError(
                f"--where {where!r} is no condition on the columns of {TABLE}: {error}"
            ) from error
