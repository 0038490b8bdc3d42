"""The pictures and captions of a query's rows, as a contrastive training reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..cores import usable_cores
from ..embedding.batches import Failure
from ..embedding.executors.task import PictureReader
from ..embedding.preparing import prepare_rows
from ..errors import MediaWarning, ModelWarning, OperationalError, clip, warn_user
from ..language import grammar, training_options
from ..language.names import quote_name
from ..models.preprocessing import Preparation
from ..models.tokens import text_problem
from ..sources.network import without_secrets
from ..stores.sqlite.registry import Model
from ..training.contrastive.pairs import Pairs
from ..training.contrastive.work import Work
from .contents import Contents, open_store
from .embedding_plan import EmbeddingPlan
from .filling import SHOWN_FAILURES
from .new_model import Training, label
from .resolve import Resolver
from .row_vectors import image_column, require_column
from .staging import Staging
from .tables import require_tables

LEAST_PICTURES = 8
_HIDDEN = "thanosql_vector"  # a staging table wants a column's name, and gets no column here


class CaptionedRows:
    """The rows of a query that have an image and a caption; the query runs once.

    Args:
        resolver: The text around the query.
        statement: A BUILD or FIT with ``text_col``.

    Attributes:
        digest: Changes with the rows, and with the size and time of the images' files.
        captions: The captions.

    Raises:
        OperationalError: A column is missing, or there are too few rows.
    """

    def __init__(self, resolver: Resolver, statement: Training) -> None:
        self._context, self._label = resolver.context, label(statement)
        arguments = resolver.arguments
        compiled = resolver.compile_query(statement.query)
        try:
            names = self._context.database.columns(*compiled)
        except OperationalError:
            require_tables(self._context.database, statement.query)
            raise
        text = arguments.option(statement, training_options.TRAINED_TEXT_COL) or ""
        require_column(names, text, self._label, "the captions", "text_col")
        image = image_column(arguments, statement, names)
        if image is None:
            raise OperationalError(
                f"{self._label}: the query has no column 'image_path' (it has {', '.join(names)});"
                " name the column with the images with OPTIONS (image_col='…'); nothing was"
                " changed"
            )
        require_column(names, image, self._label, "the images", "image_col")
        self._plan = EmbeddingPlan(
            model=Model(statement.name, "clipen", "", "", "", 0),
            kind="image",
            source=image,
            column=_HIDDEN,
            batch_size=None,
            stops_on_error=False,
            base_dir=arguments.option(statement, grammar.BASE_DIR),
            said=self._label,
        )
        self._staging = Staging.of_query(self._context, compiled, _HIDDEN)
        self.captions: list[str] = []
        self._sources: list[int] = []  # of each caption, the place of its image
        self._firsts: list[int] = []  # of each image, the first row that names it
        self.digest = self._read(text)

    def _read(self, text: str) -> str:
        """Read the captions and what the images are called, and return the digest."""
        database, table = self._context.database, self._staging.table
        said = dict(
            database.rows(f"SELECT {self._staging.row_id}, {quote_name(text)} FROM {table}")
        )
        total, digest = hashlib.blake2b(digest_size=16), hashlib.blake2b
        known: dict[bytes, int] = {}
        without_image = without_caption = 0
        with open_store(self._context) as store:
            contents = Contents(self._context, self._plan, store)
            for row_id, source in self._staging.sources(self._plan.source):
                caption = _caption(said.pop(row_id, None))
                if source is None or caption is None:
                    without_image += source is None
                    without_caption += source is not None
                    continue
                content = source if isinstance(source, bytes) else repr(source).encode()
                key = digest(content, digest_size=16).digest()
                if key not in known:
                    known[key] = len(known)
                    self._firsts.append(row_id)
                    total.update(repr(contents.state(source)).encode())
                total.update(key + caption.encode())
                self._sources.append(known[key])
                self.captions.append(caption)
        left_out = [
            f"{count:,} rows have no {what}"
            for count, what in ((without_image, "image"), (without_caption, "caption"))
            if count
        ]
        if left_out:
            warn_user(f"{self._label}: {' and '.join(left_out)}, and are left out", ModelWarning)
        self._require(len(known))
        return total.hexdigest()

    def pairs(self, preparation: Preparation, work: Work) -> Pairs:
        """Read the pictures, and return them with their captions.

        Args:
            preparation: What the model sees of an image, all in one size.
            work: Keeps the pictures; what it has is not read again.

        Raises:
            OperationalError: Too few can be read.
        """
        failures: list[Failure[int]] = []
        assert preparation.seen_px is not None
        pixels, places = work.pictures(
            (*preparation.seen_px, 3), lambda: self._prepared(preparation, failures)
        )
        self._warn(failures)
        self._require(len(pixels))
        kept = [at for at, source in enumerate(self._sources) if places[source] >= 0]
        return Pairs(
            pixels,
            [self.captions[at] for at in kept],
            np.array([places[self._sources[at]] for at in kept], np.int64),
        )

    def _prepared(self, preparation: Preparation, failures: list[Failure[int]]) -> Iterator[Any]:
        context, plan = self._context, self._plan
        firsts = set(self._firsts)
        rows = (row for row in self._staging.sources(plan.source) if row[0] in firsts)
        reader = PictureReader(context.pictures, plan.digests(context.workspace), preparation)
        prepared = prepare_rows(reader, rows, workers=usable_cores())
        what = f"{self._label}: pictures"
        with context.settings.progress.track(what, len(firsts), "image") as advance:
            for found in prepared:
                if isinstance(found, Failure):
                    failures.append(found)
                    yield None
                else:
                    yield found[1]
                advance(1)

    def _warn(self, failures: list[Failure[int]]) -> None:
        if not failures:
            return
        shown = "".join(f"\n  {_shown(each)}" for each in failures[:SHOWN_FAILURES])
        more = len(failures) - SHOWN_FAILURES
        warn_user(
            f"{self._label}: {len(failures):,} of {len(self._firsts):,} images could not be read,"
            f" and are left out:{shown}" + (f"\n  and {more:,} more" if more > 0 else ""),
            MediaWarning,
        )

    def _require(self, pictures: int) -> None:
        if pictures < LEAST_PICTURES:
            raise OperationalError(
                f"{self._label}: {pictures} different pictures with a caption, expected"
                f" {LEAST_PICTURES} or more (and some thousand for a model that is of use);"
                " nothing was changed"
            )


def _caption(value: object) -> str | None:
    """Return a value as a caption, or None where it is none."""
    if not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    return text if text and not text_problem(text) else None


def _shown(failure: Failure[int]) -> str:
    source = failure.source
    return (
        f"{clip(without_secrets(source) if isinstance(source, str) else source)}: {failure.error}"
    )
