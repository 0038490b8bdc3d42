"""The rows of a table that name files: which there are, and how they follow the files.

Paths are compared as the driver writes them. A row may spell its path otherwise (``./a.jpg``, an
absolute path inside the workspace); it is found all the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..language.names import quote_name
from ..places import ARCHIVES, STORES
from ..sources.folder import HEADER_COLUMNS, File
from ..sources.tables import Cell
from ..stores.sqlite.database import Database

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:|data:", re.IGNORECASE)
_LISTED = tuple(f"{scheme}://" for scheme in (*STORES, *ARCHIVES))
_ODD = re.compile(r"^/|^\.|//|/\.|/$|\\|^[A-Za-z]:")
_MOVING = "thanosql:"

Facts = tuple[object, object]


@dataclass
class PathRows:
    """The paths in a column of a table.

    Attributes:
        spelled: For each path, as the driver writes it, the texts in the rows that name it.
        facts: For each path what its rows say of the file's size and time, where the table has
            columns for them; None where two rows differ.
    """

    spelled: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Facts | None] = field(default_factory=dict)


class PathColumn:
    """The column of a table that names files.

    Args:
        database: The database.
        table: The qualified, quoted name of the table.
        column: The column's name.
        root: The workspace, where relative paths start.
    """

    def __init__(self, database: Database, table: str, column: str, root: str) -> None:
        self._database, self._table, self._root = database, table, root
        self._column = quote_name(column)

    def read(self, *, with_facts: bool) -> PathRows:
        """Return the paths, with what the rows say of the files if that is asked for."""
        found = PathRows()
        more = ", file_size, modified_at" if with_facts else ""
        rows = self._database.stream(
            f"SELECT {self._column}{more} FROM {self._table} WHERE typeof({self._column}) = 'text'"
        )
        for text, *facts in rows:
            path = _path_of(text, self._root)
            if path is None:
                continue
            texts = found.spelled.setdefault(path, [])
            if text not in texts:
                texts.append(text)
            if with_facts:
                new = (facts[0], facts[1])
                found.facts[path] = new if found.facts.get(path, new) == new else None
        return found

    def remove(self, texts: Iterable[str]) -> None:
        """Delete the rows that name files."""
        with self._listed(("path",), ((text,) for text in texts)) as listed:
            self._database.execute(f"DELETE FROM {self._table} WHERE {self._is_in(listed)}")

    def move(self, moves: Mapping[str, str]) -> None:
        """Give rows another path, by their texts now; files may have changed names."""
        with self._listed(("path", "new"), moves.items()) as listed:
            new = f"(SELECT new FROM {listed} WHERE path = {self._table}.{self._column})"
            if moves.keys().isdisjoint(moves.values()):
                self._set(new, self._is_in(listed))
                return
            # SQLite checks UNIQUE row by row.
            self._set(f"'{_MOVING}' || {new}", self._is_in(listed))
            there = f"substr({self._column}, 1, {len(_MOVING)}) = '{_MOVING}'"
            self._set(f"substr({self._column}, {len(_MOVING) + 1})", there)

    def set_headers(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        """Write what the headers of pictures say to their rows: each path, and its values."""
        names = [quote_name(name) for name in HEADER_COLUMNS]
        with self._listed(("path", *HEADER_COLUMNS), rows) as listed:
            self._database.execute(
                f"UPDATE {self._table} SET ({', '.join(names)}) = (SELECT {', '.join(names)}"
                f" FROM {listed} WHERE path = {self._table}.{self._column})"
                f" WHERE {self._is_in(listed)}"
            )

    def add_header_columns(self, declared: Iterable[str]) -> None:
        """Add the columns that the table has not yet."""
        there = {name.lower() for name in declared}
        for name, kind in HEADER_COLUMNS.items():
            if name not in there:
                self._database.execute(
                    f"ALTER TABLE {self._table} ADD COLUMN {quote_name(name)} {kind}"
                )

    def _set(self, value: str, where: str) -> None:
        self._database.execute(f"UPDATE {self._table} SET {self._column} = {value} WHERE {where}")

    def _is_in(self, listed: str) -> str:
        return f"{self._column} COLLATE BINARY IN (SELECT path FROM {listed})"

    @contextmanager
    def _listed(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
        """Put rows into a temporary table, so that one statement changes all of the table."""
        name = "temp.thanosql_paths"
        first, *others = (quote_name(each) for each in columns)
        definitions = ", ".join([f"{first} TEXT PRIMARY KEY", *others])
        self._database.execute(f"CREATE TABLE {name} ({definitions}) WITHOUT ROWID")
        marks = ", ".join("?" * len(columns))
        self._database.execute_many(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", rows)
        yield name
        self._database.execute(f"DROP TABLE {name}")


def is_under(start: str, *, is_recursive: bool) -> Callable[[str], bool]:
    """Return what says whether a path names a file in a folder.

    Args:
        start: What the paths of its files begin with; empty for the workspace itself.
        is_recursive: Whether folders in the folder count.
    """

    def test(path: str) -> bool:
        # The files of the workspace itself have relative paths, and all others absolute ones.
        is_inside = path.startswith(start) if start else not os.path.isabs(path)  # noqa: PTH117
        return is_inside and (is_recursive or "/" not in path[len(start) :])

    return test


def is_gone(root: str, new: Iterable[File]) -> Callable[[str], bool]:
    """Return what says whether a path names no file any more.

    What cannot be looked up, in a folder without the right to read, say, is not gone. Where case
    does not tell file names apart, the older spelling of a new file's name still leads to it.

    Args:
        root: The workspace.
        new: The files in the folder.
    """
    spelled: set[tuple[int, str]] | None = None

    def test(path: str) -> bool:
        nonlocal spelled
        try:
            status = os.stat(os.path.join(root, path))  # noqa: PTH116, PTH118 - one a row
        except (FileNotFoundError, NotADirectoryError):
            return True
        except (OSError, ValueError):
            return False
        if spelled is None:
            spelled = {(file.inode, file.path.casefold()) for file in new if file.inode}
        return (status.st_ino, path.casefold()) in spelled

    return test


def _path_of(text: str, root: str) -> str | None:
    """Return a row's path as the driver writes it; None for a URL that COPY does not write."""
    if ":" in text and _URL.match(text):
        return text if text.startswith(_LISTED) else None
    if _ODD.search(text) is None:
        return text
    full = os.path.normpath(os.path.join(root, text))  # noqa: PTH118
    inside = os.path.join(root, "")  # noqa: PTH118
    path = full[len(inside) :] if full.startswith(inside) else full
    return path.replace(os.sep, "/") if os.sep != "/" else path
