"""What a handler works with: the database, the connection's settings, and its models."""

from __future__ import annotations

import copy
import functools
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from ..embedding.pictures import Pictures
from ..errors import (
    DataError,
    ModelError,
    ModelWarning,
    OperationalError,
    ProgrammingError,
    clip,
    warn_user,
)
from ..language.names import same_name
from ..models.provenance import KnownFolder, read_receipt
from ..models.query_store import NAME, QueryStore
from ..places import Place, parse
from ..settings import Settings
from ..sources.installation import whole_folder
from ..sources.policy import SourcePolicy
from ..sources.reader import Reader
from ..stores.sqlite.database import Database
from ..stores.sqlite.memory import Memory, Moment, Remembered, moment_of
from ..stores.sqlite.registry import Model, Registry
from ..stores.sqlite.state import State
from ..stores.sqlite.topk.matrices import Matrices
from ..workspace import Workspace
from .query_texts import check_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..embedding.executors.protocol import Executor
    from ..embedding.executors.task import Task
    from ..models.encoder import Encoder
    from ..models.protocol import Pixels
    from ..sources.catalog import Catalog
    from ..stores.sqlite.topk.blocks import PossibleRows
    from ..stores.sqlite.topk.quantized import Quantized
    from .embedding_plan import EmbeddingPlan

_TEXTS_AT_ONCE = 64  # 60 MB of numbers for texts as long as a model reads

QueryValue = Union[str, bytes, bytearray, memoryview]


class Context:
    """One connection as the handlers see it, for the time of one statement."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings, state: State) -> None:
        self.database = Database(connection)
        self.registry = Registry(self.database)
        self.settings = settings
        self.state = state
        self.moment: Moment | None = None
        self.memory: Memory | None = None

    @property
    def workspace(self) -> Workspace:
        """The workspace of the connection."""
        return self.settings.workspace

    @property
    def matrices(self) -> Matrices:
        """The vector columns that the connection has in memory."""
        if self.state.matrices is None:
            rows = self.database.rows("PRAGMA database_list")
            file = next((row[2] for row in rows if row[1] == "main"), "")
            self.state.matrices = Matrices(
                file=Path(file) if file else None,
                limit=self.settings.cache_bytes,
                can_write=not self.settings.is_read_only,
                on_device=functools.partial(_on_device, self.settings.device),
                identity=self.state.file_identity,
                is_blind=self.state.is_blind,
            )
        return self.state.matrices

    def begin(self) -> None:
        """Forget what was noted of the last statement, and note what the database is like now."""
        self.state.answers.clear()
        self.moment = moment_of(self.database)
        self.state.read_version = None if self.moment is None else self.moment.data_version

    def remembering(self) -> Context:
        """Return the same connection, whose reads are answered from memory where they can be.

        For statements that only read.
        """
        if self.moment is None or not self.moment.is_alone:
            return self
        context = copy.copy(self)
        context.memory = self.state.memory.at(self.moment)
        context.database = Remembered(self.database, context.memory)
        context.registry = Registry(context.database)
        return context

    def is_outrun(self) -> bool:
        """Return whether another connection has committed since.

        Asked while the statement is being read, the answer is that of the state it reads.
        """
        before = self.state.read_version
        return before is not None and self._version() != before

    def _version(self) -> int:
        (version,) = self.database.row("PRAGMA main.data_version") or (0,)
        return int(version)

    def require_writable(self, what: str) -> None:
        """Check that files may be written, before a statement writes some.

        Args:
            what: The statement's first words.

        Raises:
            OperationalError: The database is opened read-only.
        """
        if self.settings.is_read_only or self.database.row("PRAGMA query_only") == (1,):
            raise OperationalError(
                f"{what}: attempt to write a readonly database: it was opened with mode=ro, or its"
                " file may not be written, so files are not written either; nothing was changed"
            )

    def catalog(self) -> Catalog:
        """Return the catalog of data sets and models."""
        from ..sources.catalog import load_catalog

        return load_catalog(self.settings.catalog, offline=self.settings.offline)

    def model_folder(self, model: Model) -> Path:
        """Return the folder of a model, which is there and holds what was registered.

        Raises:
            ModelError: It is missing, or was replaced.
            WorkspaceError: What the database says of it is a path outside the workspace.
        """
        key = model.folder, model.fingerprint
        known = self.state.model_folders.get(key)
        if known is not None and known.is_there():
            return known.path
        folder = self.workspace.locate(model.folder)
        receipt = read_receipt(folder)
        if receipt is None or receipt.fingerprint != model.fingerprint:
            # Not yet in its place: the transaction that registered it is still open, or the
            # process ended right after.
            folder = whole_folder(folder, model.fingerprint) or folder
        if not folder.is_dir():
            again = (
                f"BUILD MODEL {model.name} again"
                if model.rests_on
                else f"get it again, e.g. GET THANOSQL MODEL {model.name}"
            )
            raise ModelError(
                f"the files of model {clip(model.name)} are gone: no folder {str(folder)!r};"
                f" {again} OPTIONS (overwrite=True)"
            )
        receipt = read_receipt(folder)
        if receipt is not None and receipt.fingerprint != model.fingerprint:
            raise ModelError(
                f"the files of model {clip(model.name)} in {str(folder)!r} were replaced by another"
                " model (a second database of the workspace can do so); get it again with"
                " OPTIONS (overwrite=True), or under another name"
            )
        found = KnownFolder.of(folder)
        if found is not None:
            self.state.model_folders[key] = found
        return folder

    def encoder(self, model: Model) -> Encoder:
        """Return the loaded model.

        Raises:
            ModelError: Its folder is missing or is not what was registered.
        """
        from ..models.encoder import load_encoder

        folder = self.model_folder(model)
        return load_encoder(folder, device=self.settings.device, fingerprint=model.fingerprint)

    @functools.cached_property
    def reader(self) -> Reader:
        """What reads URLs, buckets and archives, for this statement."""
        return Reader(SourcePolicy.of(self.settings))

    @functools.cached_property
    def pictures(self) -> Pictures:
        """What opens the pictures of rows and queries."""
        return Pictures(self.reader, self.settings.max_image_pixels)

    def settled(self, place: Place) -> Place:
        """Return a place in a bucket or an archive as COPY writes it to rows.

        Raises:
            WorkspaceError: The archive lies outside the workspace and the allowed directories.
        """
        if place.archive is None or place.archive.scheme:
            return place
        path, root = self.workspace.locate(place.archive.path), self.workspace.root
        shown = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
        return parse(f"{place.scheme}://{place.path}::{shown}")

    @property
    def executor(self) -> Executor:
        """What embeds the rows of this connection's statements."""
        if self.state.executor is None:
            from ..embedding.executors.opening import open_executor

            self.state.executor = open_executor(self.settings.executor, self.settings.workers)
        return self.state.executor

    def task(self, plan: EmbeddingPlan) -> Task:
        """Return what an executor is given to embed the rows of a statement.

        Raises:
            ModelError: The model's folder is missing or is not what was registered.
        """
        from ..embedding.executors.task import ModelPlace, Task

        model = plan.model
        return Task(
            ModelPlace(self.model_folder(model), model.fingerprint, self.settings.device),
            self.pictures,
            plan.digests(self.workspace),
            plan.batch_size,
            plan.interval_s,
        )

    def embed_in_sql(
        self, kind: str, model_name: str, value: Any, fingerprint: str | None
    ) -> bytes | None:
        """Return what :meth:`embed_query` does, for an SQL function.

        The function cannot see what its vector is compared with. So where the model was replaced
        under its name, and a column holds vectors of the one before, a warning says so.

        Args:
            kind: As for :meth:`embed_query`.
            model_name: As for :meth:`embed_query`.
            value: As for :meth:`embed_query`.
            fingerprint: That of the model which a view was made with, or None.

        Raises:
            ModelError: The model is not the one that the view was made with.
        """
        model = self.registry.model(model_name)
        if fingerprint is not None and fingerprint != model.fingerprint:
            raise ModelError(
                f"model {clip(model.name)} was replaced since the view over its SEARCH was made;"
                " CONVERT the table with it and make the view again, or get the old model back"
            )
        stale = [
            each
            for each in self.registry.vector_columns()
            if same_name(each.model, model.name) and each.fingerprint != model.fingerprint
        ]
        if stale and fingerprint is None:
            column = f"{stale[0].table_name}.{stale[0].column_name}".lstrip(".")
            warn_user(
                f"model {clip(model.name)} was replaced since column {clip(column)} was made, whose"
                " vectors do not compare with it; CONVERT the table again",
                ModelWarning,
            )
        return self.embed_query(kind, model_name, value)

    def embed_query(self, kind: str, model_name: str, value: Any) -> bytes | None:
        """Return the embedding of one query value; it is computed once and remembered.

        What was asked before, in this process or another of the workspace, is answered without
        importing torch.

        Args:
            kind: ``"text"``, ``"image"`` or ``"combined"``.
            model_name: A registered model.
            value: A text; or an image as path, URL or bytes; or several, as JSON of a list of
                weight, kind and value of each. None gives None.

        Returns:
            float32 BLOB of the model's dimension, unit length.

        Raises:
            ModelError: No such model, or it cannot be loaded.
            MediaError: The image cannot be read.
            ProgrammingError: ``value`` is of another type.
        """
        if value is None:
            return None
        if kind == "combined":
            return self._combined(model_name, value)
        (vector,) = self.embed_queries(kind, model_name, [value])
        return vector

    def embed_queries(self, kind: str, model_name: str, values: Sequence[Any]) -> list[bytes]:
        """Return the embeddings of several texts or images; texts are embedded in batches.

        Args:
            kind: ``"text"`` or ``"image"``.
            model_name: As for :meth:`embed_query`.
            values: As for :meth:`embed_query`, without None.

        Returns:
            For each value what :meth:`embed_query` returns.
        """
        model = self.registry.model(model_name)
        accepted = (str,) if kind == "text" else (str, bytes, bytearray, memoryview)
        for value in values:
            if not isinstance(value, accepted):
                expected = "a text" if kind == "text" else "an image as path, URL or bytes"
                raise ProgrammingError(f"expected {expected}, got {clip(value)}")
        from ..models.query_cache import Query, query_vectors

        folder = self.model_folder(model)

        def asked(content: str | Pixels) -> Query:
            return Query(model.fingerprint, model.dimension, self.settings.device, content)

        # A folder elsewhere in the workspace is somebody's own; nothing is put beside it. Where the
        # folder of models is a link, the vectors are kept in the workspace itself.
        is_linked = folder.parent in self.workspace.linked
        place = self.workspace.root if is_linked else folder.parent
        store = (
            QueryStore(place / NAME, can_write=not self.settings.is_read_only)
            if is_linked or folder.parent == self.workspace.models
            else None
        )
        if kind == "text":
            texts = [str(value) for value in values]
            check_texts(model, folder, texts, self.settings, self.state.warned)

            def embed(places: Sequence[int]) -> list[bytes]:
                return self._text_vectors(model, folder, [texts[place] for place in places])

            return query_vectors([asked(text) for text in texts], store, embed)
        from ..models.preprocessing import load_preparation

        preparation = load_preparation(folder)

        def vector_of(value: Any) -> bytes:
            image = self.pictures.open(value, least_side_px=preparation.least_side_px)
            pixels = preparation.pixels(image)
            (vector,) = query_vectors(
                [asked(pixels)],
                store,
                lambda places: [self.encoder(model).embed_pixels([pixels]).tobytes()],
            )
            return vector

        return [vector_of(value) for value in values]

    def _text_vectors(self, model: Model, folder: Path, texts: Sequence[str]) -> list[bytes]:
        """Return the vectors of texts, computed now, by numpy alone where that will do."""
        from ..models.light import text_vectors

        found: list[bytes] = []
        for begin in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[begin : begin + _TEXTS_AT_ONCE]
            vectors = text_vectors(folder, model.fingerprint, some, self.settings.device)
            if vectors is None:
                vectors = self.encoder(model).embed_texts(some)
            found += [vector.tobytes() for vector in vectors]
        return found

    def _combined(self, model_name: str, parts: str) -> bytes:
        """Return the direction of the weighted sum of several query values."""
        import numpy as np

        total: NDArray[np.float64] | float = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for weight, kind, value in json.loads(parts):
                (blob,) = self.embed_queries(kind, model_name, [value])
                total = total + weight * np.frombuffer(blob, "<f4").astype(np.float64)
            length = float(np.linalg.norm(total))
        if not np.isfinite(length):
            raise DataError("the weights of the combined texts are too large to be added up")
        if length < 1e-6:
            raise DataError("the combined texts cancel each other out; nothing is left to search")
        return np.asarray(total / length, "<f4").tobytes()


def _on_device(device: str | None, vectors: Quantized) -> PossibleRows | None:
    from ..stores.sqlite.topk.gpu import gpu_search

    return gpu_search(vectors, device)
