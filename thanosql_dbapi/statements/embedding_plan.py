"""What a CONVERT embeds, and what became of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ..stores.sqlite.registry import Model


@dataclass(frozen=True)
class EmbeddingPlan:
    """What a CONVERT embeds, with which model, and the column that gets the vectors.

    Attributes:
        model: The model that embeds.
        kind: ``"image"``, ``"text"`` or ``"video"``.
        source: Column with the images, texts or videos.
        column: Column that gets the vectors.
        batch_size: Images a forward pass, or None for what suits the device.
        stops_on_error: Whether one unreadable image stops it all.
        base_dir: Folder put before relative paths, or None.
        verifies: Whether every file is read, also one of the same name, size and time.
        interval_s: Of videos, the seconds from one frame that is embedded to the next.
    """

    model: Model
    kind: str
    source: str
    column: str
    batch_size: int | None
    stops_on_error: bool
    base_dir: str | None = None
    verifies: bool = False
    interval_s: float = 1.0

    @property
    def names_files(self) -> bool:
        """Whether a source that is a text is a path or URL."""
        return self.kind != "text"

    @property
    def way(self) -> str:
        """What tells how a source becomes a vector, the model aside."""
        return f"{self.kind} {self.interval_s!r}" if self.kind == "video" else self.kind

    def facts(self) -> tuple[str, str, int, str, str]:
        """Return what the registry keeps of the column, in its order."""
        model = self.model
        return model.name, model.fingerprint, model.dimension, self.source, self.kind

    def place(self, source: Any) -> Any:
        """Return where a source is: a path with its folder before it, any other as it is."""
        is_path = self.names_files and isinstance(source, str)
        if not self.base_dir or not is_path or "://" in source[:8] or source[:5] == "file:":
            return source
        return str(PurePath(self.base_dir) / source)


@dataclass(frozen=True)
class Failed:
    """A row that could not be read.

    Attributes:
        row_id: The row in the staging table.
        source: Its source, as a message shows it.
        reason: Why.
        is_missing: Whether its file is not there.
        stays: Whether the row keeps the vector that it has.
    """

    row_id: int
    source: str
    reason: str
    is_missing: bool = False
    stays: bool = False


@dataclass
class Tally:
    """What became of the rows of a CONVERT.

    Attributes:
        embedded: Rows whose vector the model has made.
        reused: Rows whose vector was known by their content.
        unchanged: Rows that had their vector already.
        empty: Rows without a source.
        failures: Rows that could not be read.
        total: Rows that were to be embedded.
        too_long: The part that the model reads of the first text that it does not read whole, and
            an entry for each other such text.
        remarks: What is to be said of images that are there in part.
        no_drawings: Images that a model of drawings was not trained for.
        device: What computed.
        dtype: The numbers it computed with.
    """

    embedded: int = 0
    reused: int = 0
    unchanged: int = 0
    empty: int = 0
    failures: list[Failed] = field(default_factory=list)
    total: int = 0
    too_long: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    no_drawings: list[object] = field(default_factory=list)
    device: str = ""
    dtype: str = ""
