"""What a statement embeds, and what became of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..embedding.digests import VERSION, Digests, placed
from ..language.names import quote_name, quote_text
from ..places import join
from ..stores.sqlite.registry import Model
from ..workspace import Workspace


@dataclass(frozen=True)
class EmbeddingPlan:
    """What a statement embeds, with which model, and the column that gets the vectors.

    Attributes:
        model: The model that embeds.
        kind: ``"image"``, ``"text"`` or ``"video"``.
        source: Column with the images, texts or videos.
        column: Column that gets the vectors.
        batch_size: Images a forward pass, or None for what suits the device.
        stops_on_error: Whether one unreadable image stops it all.
        base_dir: Folder put before relative paths, or None.
        verifies: Whether every file is read, also one of the same name, size and time.
        said: What messages call the statement; empty for ``CONVERT USING`` and the model.
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
    said: str = ""
    interval_s: float = 1.0

    @property
    def label(self) -> str:
        """The statement, for messages."""
        return self.said or f"CONVERT USING {self.model.name}"

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

    def call(self, rows: str) -> str:
        """Return the SQL expression that embeds the source of a row, for a view or trigger.

        Args:
            rows: What the rows are called.
        """
        source = f"{rows}.{quote_name(self.source)}"
        if self.kind == "image" and self.base_dir:
            # What stands before a path in the folder, and behind it where that is an archive.
            before, _, behind = join(self.base_dir, "\n").partition("\n")
            is_relative = f"typeof({source}) = 'text' AND {source} NOT GLOB '/*'"
            is_path = f"{source} NOT LIKE 'file:%' AND instr(substr({source}, 1, 8), '://') = 0"
            placed = f"{quote_text(before)} || {source} || {quote_text(behind)}"
            source = f"CASE WHEN {is_relative} AND {is_path} THEN {placed} ELSE {source} END"
        return f"embed_{self.kind}({quote_text(self.model.name)}, {source})"

    def place(self, source: Any) -> Any:
        """Return where a source is: a path with its folder before it, any other as it is."""
        return placed(source, self.kind, self.base_dir)

    def digests(self, workspace: Workspace) -> Digests:
        """Return what tells sources by their content.

        Args:
            workspace: Which files may be read.
        """
        head = "\0".join((str(VERSION), self.way, self.model.fingerprint)).encode()
        return Digests(workspace, head, self.kind, self.base_dir)


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
