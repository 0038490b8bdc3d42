"""What a connection remembers of its database between statements.

Apart from the statements, so that a connection can be opened, and plain SQL run, without loading
what they need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...planning.answer import Answer
from ...planning.report import Report
from .memory import Memory

if TYPE_CHECKING:
    from ...embedding.executors.protocol import Executor
    from ...models.provenance import KnownFolder
    from ...planning.plans import SearchPlan
    from ...sources.installation import Installation
    from .arithmetic import Wanted
    from .topk.matrices import Matrices

_MOST_WANTED = 16


@dataclass
class SearchStats:
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
        temporary: Temporary tables that held a CONVERT's rows, to be dropped.
        temporary_count: Number of such tables made so far.
        function_error: Why one of our SQL functions failed: SQLite itself forgets the message.
        matrices: The vector columns in memory; made at the first search.
        search_stats: What was learnt of searches, by their text and number in it.
        read_version: SQLite's data_version before candidates were looked for, or None.
        own_functions: Lower-case names of SQL functions that the program has made.
        memory: What was read of the database at the last moment.
        model_folders: The folders of models that were used, by what the registry says of them and
            their fingerprints.
        answers: What answers each search of the last statement, and why.
        searches: The plans of the SEARCHes in the last statement of ours, the innermost first.
        file_identity: Device and inode of the file that was opened, or None where unknown.
        unsettled: Model folders that wait for the end of a transaction.
        warned: What a warning was given of that is given once: a model, and a script it lacks.
        is_blind: Whether the connection can change vectors without running triggers.
        report: What the last COPY or CONVERT did.
        is_told_of_drawings: Whether a warning has said that the model knows drawings only.
        known_drawings: The columns of vectors that were asked for it.
        labellers: What labels the vectors of views, by what a view keeps of it.
        wanted: What rows are compared with by SEARCHes for many texts, by its digest, the latest.
        executor: What embeds the rows of statements; made by the first that has some.
    """

    temporary: list[str] = field(default_factory=list)
    temporary_count: int = 0
    function_error: BaseException | None = None
    matrices: Matrices | None = None
    search_stats: dict[tuple[str, int], SearchStats] = field(default_factory=dict)
    read_version: int | None = None
    own_functions: set[str] = field(default_factory=set)
    memory: Memory = field(default_factory=Memory)
    model_folders: dict[tuple[str, str], KnownFolder] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    searches: tuple[SearchPlan, ...] = ()
    file_identity: tuple[int, int] | None = None
    unsettled: list[Installation] = field(default_factory=list)
    warned: set[tuple[str, str]] = field(default_factory=set)
    is_blind: bool = False
    report: Report | None = None
    is_told_of_drawings: bool = False
    known_drawings: set[tuple[str, str, str]] = field(default_factory=set)
    labellers: dict[str, Any] = field(default_factory=dict)
    executor: Executor | None = None
    wanted: dict[str, Wanted] = field(default_factory=dict)

    def keep_wanted(self, key: str, wanted: Wanted) -> None:
        """Keep what rows are compared with; what was kept longest makes room."""
        while len(self.wanted) >= _MOST_WANTED:
            del self.wanted[next(iter(self.wanted))]
        self.wanted[key] = wanted
