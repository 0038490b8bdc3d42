"""A folder of media: what is in it, what has changed since, and what the pictures' headers say.

No SQL and no connection here. Which paths may be read, and which formats of pictures there are,
the caller says. Pillow is imported only where suffixes are looked up and headers are read.
"""

from __future__ import annotations

from .changes import Changes, Known, Rows, additions, all_changes
from .exclusion import Exclusion
from .headers import COLUMNS as HEADER_COLUMNS
from .headers import file_facts, read_headers
from .suffixes import COLUMNS, VIDEO, column_of
from .walk import File, Listing, Reason, Rules, file_of, sort_naturally, suffix_of, walk

__all__ = [
    "COLUMNS",
    "HEADER_COLUMNS",
    "VIDEO",
    "Changes",
    "Exclusion",
    "File",
    "Known",
    "Listing",
    "Reason",
    "Rows",
    "Rules",
    "additions",
    "all_changes",
    "column_of",
    "file_facts",
    "file_of",
    "read_headers",
    "sort_naturally",
    "suffix_of",
    "walk",
]
