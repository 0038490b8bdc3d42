"""Decoding in other processes: the sources of a part go to them in chunks."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ...errors import MediaError, WorkspaceError
from ..batches import Part, Read, require_files
from ..known import Known, Lookup
from .pool import SLOT_BYTES, Pool
from .task import PictureReader
from .threads import FAR_WORKERS, Found

K = TypeVar("K")

# A message costs this process a quarter of a millisecond, so it is about some pictures, but not so
# many that the last worker is waited for.
CHUNK_S = 0.05
CHUNK_LIMIT = 32


class ChunkDecoders:
    """Has the workers of a pool read sources; stands in the place of ``threads.Decoders``.

    Args:
        reader: Reads sources.
        pool: The workers.
        known: What is known of sources by their content.
        dimension: Length of the model's vectors.
        seconds: About how long decoding a picture takes.
        pixel_bytes: About how many bytes its pixels have.
        has_known: Whether the vectors of sources are likely to be known.
    """

    def __init__(
        self,
        reader: PictureReader,
        pool: Pool,
        known: Known,
        dimension: int,
        *,
        seconds: float,
        pixel_bytes: int,
        has_known: bool,
    ) -> None:
        self._reader, self._pool, self._known = reader, pool, known
        self._dimension, self._has_known = dimension, has_known
        most = min(CHUNK_LIMIT, SLOT_BYTES // max(1, pixel_bytes))
        self.chunk = max(1, min(most, round(CHUNK_S / max(seconds, 1e-6))))
        pool.begin(reader)
        self._near = ThreadPoolExecutor(pool.size, thread_name_prefix="thanosql-decode")
        self._far = ThreadPoolExecutor(FAR_WORKERS, thread_name_prefix="thanosql-fetch")

    def submit(self, part: Part[K]) -> list[Future[Found]]:
        """Start the reading of a part's sources."""
        near: dict[int, object] = {}
        far: dict[int, object] = {}
        for position, source in part.sources.items():
            (far if self._reader.is_far(source) else near)[position] = source
        lookups = {at: part.lookup(at, self._known, self._dimension) for at in part.sources}
        rows, size = list(near.items()), self.chunk
        return [
            *(
                self._near.submit(self._read, dict(rows[start : start + size]), lookups)
                for start in range(0, len(rows), size)
            ),
            *(self._far.submit(self._read_far, at, far[at], lookups) for at in far),
        ]

    def close(self) -> None:
        """Cancel what waits, and end the threads."""
        for pool in (self._near, self._far):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._pool.is_busy:
            self._pool.close()
        for pool in (self._near, self._far):
            pool.shutdown(wait=True)
        self._pool.end()

    def _read_far(self, position: int, source: object, lookups: dict[int, Lookup]) -> Found:
        try:
            fetched = self._reader.fetch(source)
        except (MediaError, WorkspaceError) as error:
            require_files(error)
            return Found({position: Read(error=error)})
        return self._near.submit(self._read, {position: fetched}, lookups).result()

    def _read(self, sources: dict[int, object], lookups: dict[int, Lookup]) -> Found:
        """Have sources read.

        One pass reads, hashes and decodes a file. Where the last ones were known, hashes come
        first, and only what is not known is decoded in a second pass.
        """
        found: dict[int, Read] = {}
        if self._has_known:
            reads, _ = self._pool.read(list(sources.values()), decodes=False)
            found = {
                at: read
                for at, read in zip(sources, reads, strict=True)
                if read.content is not None and self._is_known(read, lookups[at])
            }
            sources = {at: source for at, source in sources.items() if at not in found}
        has_known = bool(found)
        if not sources:
            return Found(found)
        reads, release = self._pool.read(list(sources.values()))
        for at, read in zip(sources, reads, strict=True):
            found[at] = read
            if read.content is not None and self._is_known(read, lookups[at]):
                read.pixels, has_known = None, True
        self._has_known = has_known
        return Found(found, release)

    def _is_known(self, read: Read, lookup: Lookup) -> bool:
        assert read.content is not None
        if not lookup(read.content.key):
            return False
        read.vector = lookup.vector
        return True
