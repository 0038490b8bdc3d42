"""What a connection was told, and what it remembers between statements.

Apart from the statements, so that a connection can be opened, and plain SQL run, without loading
what they need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .progress import Progress
from .workspace import StrPath, Workspace

if TYPE_CHECKING:
    from .stores.sqlite.topk.matrices import Matrices

DEFAULT_CACHE_BYTES = 4 * 2**30
"""For some 8 million vectors of 512 numbers."""


@dataclass(frozen=True)
class Settings:
    """What ``connect`` was told, for the life of the connection.

    Attributes:
        workspace: Where files live and which may be read.
        catalog: Path or URL of a catalog to lay over the built-in one, or None.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or None for the best available.
        progress: How progress is shown.
        offline: Whether the network is never used, not even for catalog entries.
        network: Whether rows and queries may name images by http(s) URL.
        cache_bytes: Most bytes of memory for the vectors of one column.
        is_read_only: Whether nothing may be written beside the database.
    """

    workspace: Workspace
    catalog: StrPath | None = None
    device: str | None = None
    progress: Progress = field(default_factory=Progress)
    offline: bool = False
    network: bool = False
    cache_bytes: int = DEFAULT_CACHE_BYTES
    is_read_only: bool = False


@dataclass
class Habit:
    """What has been learnt of one statement's text.

    Attributes:
        first: How many of the best rows it took last time: its WHERE drops the others.
        scans: How many times more the matrix is not tried.
        by_index: Whether a scan would take its rows from an index.
        trusted: How many times more an index is trusted to find many rows.
    """

    first: int = 0
    scans: int = 0
    by_index: bool | None = None
    trusted: int = 0


@dataclass
class State:
    """What a connection remembers between statements.

    Attributes:
        vector_names: Lower-case names of vector columns and their lengths, as last read.
        seen_names: Lower-case names of result columns met since; a new one asks the database again.
        temporary: Temporary tables that held a CONVERT's rows, to be dropped.
        temporary_count: Number of such tables made so far.
        function_error: Why one of our SQL functions failed: SQLite itself forgets the message.
        matrices: The vector columns in memory; made at the first search.
        habits: What was learnt of searches, by their text and number in it.
        read_version: SQLite's data_version before candidates were looked for, or None.
        notes: What answers each search of the last statement, and why.
        file_identity: Device and inode of the file that was opened, or None where unknown.
        is_blind: Whether the connection can change vectors without running triggers.
    """

    vector_names: dict[str, int] = field(default_factory=dict)
    seen_names: set[str] = field(default_factory=set)
    temporary: list[str] = field(default_factory=list)
    temporary_count: int = 0
    function_error: BaseException | None = None
    matrices: Matrices | None = None
    habits: dict[tuple[str, int], Habit] = field(default_factory=dict)
    read_version: int | None = None
    notes: list[str] = field(default_factory=list)
    file_identity: tuple[int, int] | None = None
    is_blind: bool = False
