"""The Unsplash Dataset as Unsplash publishes it: a table out of a zip, and pictures by URL.

Of the zip of some hundred megabytes only the table of photos is read, by HTTP ranges. The pictures
are fetched from Unsplash's servers at a width. Everything is kept between tries, in the folder that
becomes the data set.

The table is CSV with tabs. Sources: https://github.com/unsplash/datasets,
https://docs.imgix.com/apis/rendering
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import LicenseWarning, MediaWarning, SourceError, clip, warn_user
from ..progress import Progress
from .catalog import Entry
from .installation import UNFINISHED
from .network import download, reach_of, shown_url
from .photo_files import PhotoFile, fetch_photos, is_there, write_new
from .ranges import RangeFile

SCHEME = "unsplash:"
DATA_URL = "https://unsplash.com/data"
IMAGES_URL = "https://images.unsplash.com"
TERMS_URL = "https://unsplash.com/data-terms"
DATA_VARIABLE = "THANOSQL_UNSPLASH_URL"
IMAGES_VARIABLE = "THANOSQL_UNSPLASH_IMAGES_URL"

DEFAULT_WIDTH = 640
DEFAULT_WORKERS = 16
COLUMNS = ("photo_id", "image_path", "photo_image_url", "photo_description", "ai_description")
TABLE = "unsplash.csv"
RECORD = "unsplash.json"
"""In the data set's folder: where it came from, the width, and which photos are gone."""
_PHOTOS = ".photos.tsv"
_MEMBER = re.compile(r"(?:.*/)?photos\.[ct]sv\d*")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TABLE_LIMIT_BYTES = 512 << 20
_READ_AHEAD_BYTES = 2 << 20


@dataclass(frozen=True)
class Photo:
    """A row of the table.

    Attributes:
        photo_id: Its name on Unsplash, and of its file.
        url: The picture, of any width.
        description: By the photographer, or empty.
        ai_description: By a machine, or empty.
    """

    photo_id: str
    url: str
    description: str
    ai_description: str


def fetch_unsplash(
    entry: Entry,
    folder: Path,
    destination: Path,
    *,
    rows: int | None = None,
    width: int = DEFAULT_WIDTH,
    workers: int = DEFAULT_WORKERS,
    progress: Progress,
    allowed_hosts: Iterable[str] = (),
) -> None:
    """Fill a folder with the table of a release, and its photos.

    Args:
        entry: The data set; its source is ``unsplash:RELEASE``.
        folder: As an earlier try left it, or empty.
        destination: The folder it will be. Pictures of the same width that are there are taken
            over.
        rows: Only so many photos, from the first on; None is all.
        width: Largest width of the pictures, in pixels.
        workers: Most requests at a time.
        progress: Shows bytes and pictures.
        allowed_hosts: Hosts that may be connected to although their addresses are not public.

    Raises:
        SourceError: The server cannot be reached or gives something else.
        OSError: The disk says no.
    """
    release = entry.source.removeprefix(SCHEME)
    place = os.environ.get(DATA_VARIABLE) or DATA_URL
    url = f"{place.rstrip('/')}/{release}"
    hosts = list(allowed_hosts)
    warn_user(
        f"data set {entry.name!r} is the Unsplash Dataset ({release}); who downloads it agrees to"
        f" Unsplash's Data License Terms: {TERMS_URL}",
        LicenseWarning,
    )
    _begin(folder, {"source": entry.source, "width": width})
    if not (folder / _PHOTOS).exists():
        _fetch_table(url, folder / _PHOTOS, entry.name, progress, hosts)
    photos = read_photos(folder / _PHOTOS, rows)
    _take_over(photos, destination, folder, width)
    images = os.environ.get(IMAGES_VARIABLE) or IMAGES_URL
    files = [
        PhotoFile(sized_url(each.url, width, images), folder / f"{each.photo_id}.jpg")
        for each in photos
    ]
    reach = reach_of(images, place, allowed_hosts=hosts)
    with progress.track(f"download {entry.name}", len(files), "photo") as advance:
        gone = fetch_photos(files, reach=reach, workers=workers, advance=advance)
    _finish(entry, folder, destination, photos, {path.stem: code for path, code in gone.items()})


def sized_url(url: str, width: int, images: str = IMAGES_URL) -> str:
    """Return the URL of a picture that is no wider than so many pixels.

    Args:
        url: The picture, as the table has it.
        width: In pixels; smaller pictures stay as they are.
        images: What stands in the place of Unsplash's server.

    Example:
        >>> sized_url("https://images.unsplash.com/photo-1", 640)
        'https://images.unsplash.com/photo-1?w=640&fit=max&fm=jpg&q=80'
    """
    if url.startswith(f"{IMAGES_URL}/"):
        url = images.rstrip("/") + url.removeprefix(IMAGES_URL)
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}w={width}&fit=max&fm=jpg&q=80"


def read_photos(path: Path, rows: int | None = None) -> list[Photo]:
    """Return the photos of a table, each once.

    Args:
        path: A file of tab-separated values, with a header.
        rows: Only so many, from the first on; None is all.

    Raises:
        SourceError: It is damaged, or lacks a column.
    """
    photos: dict[str, Photo] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for photo in _rows_of(csv.DictReader(file, delimiter="\t")):
                if rows is not None and len(photos) >= rows:
                    break
                photos.setdefault(photo.photo_id, photo)
    except (csv.Error, UnicodeDecodeError) as exc:
        raise SourceError(f"the table of photos is damaged: {exc}") from exc
    if not photos:
        raise SourceError("the table of photos has no rows")
    return list(photos.values())


def _rows_of(reader: csv.DictReader[str]) -> Iterator[Photo]:
    wanted = ("photo_id", "photo_image_url", "photo_description", "ai_description")
    missing = [name for name in wanted if name not in (reader.fieldnames or ())]
    if missing:
        raise SourceError(
            f"the table of photos has no column {missing[0]!r}; it has"
            f" {', '.join(map(str, reader.fieldnames or ['none']))[:200]}"
        )
    for row in reader:
        photo_id, url, *texts = (row[name] or "" for name in wanted)
        if not _ID.fullmatch(photo_id) or not url:
            raise SourceError(
                f"the table of photos is damaged: line {reader.line_num} has the photo_id"
                f" {clip(photo_id)} and the URL {clip(url)}"
            )
        yield Photo(photo_id, url, *texts)


def _begin(folder: Path, state: dict[str, object]) -> None:
    """Empty the folder if what is in it was made for something else, e.g. another width."""
    mark = folder / UNFINISHED
    text = json.dumps(state)
    is_same = not mark.is_symlink() and mark.read_text(encoding="utf-8") == text
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != mark and not (is_same and path.is_file() and not path.is_symlink()):
            path.unlink()
    if not is_same:
        write_new(mark, text.encode())


def _fetch_table(
    url: str, target: Path, name: str, progress: Progress, allowed_hosts: list[str]
) -> None:
    """Put the table of photos into a file, out of the release's zip."""
    what = f"download {name}'s table"
    part = target.with_name(f"{target.name}.part")
    archive = target.with_name(".release.zip")
    archive.unlink(missing_ok=True)
    part.unlink(missing_ok=True)
    remote = RangeFile(url, reach_of(url, allowed_hosts=allowed_hosts))
    try:
        if remote.has_ranges:
            _extract(io.BufferedReader(remote, _READ_AHEAD_BYTES), part, url, what, progress)
        else:
            download(url, archive, what=what, progress=progress, allowed_hosts=allowed_hosts)
            with archive.open("rb") as file:
                _extract(file, part, url, what, Progress(False))
        part.replace(target)
    finally:
        archive.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def _extract(
    file: io.BufferedReader, target: Path, url: str, what: str, progress: Progress
) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [each for each in archive.infolist() if _MEMBER.fullmatch(each.filename)]
            if not members:
                names = ", ".join(archive.namelist()[:10])
                raise SourceError(
                    f"{shown_url(url)!r} has no table of photos (photos.tsv000, photos.csv000);"
                    f" it has {names}"
                )
            size = sum(each.file_size for each in members)
            if size > _TABLE_LIMIT_BYTES:
                raise SourceError(
                    f"{shown_url(url)!r}: its table of photos has {size:,} bytes; expected at most"
                    f" {_TABLE_LIMIT_BYTES:,}"
                )
            with target.open("xb") as out, progress.track(what, size, "B") as advance:
                for number, member in enumerate(sorted(members, key=lambda each: each.filename)):
                    with archive.open(member) as content:
                        if number:  # each part of a large table has the header
                            content.readline()
                        while block := content.read(1 << 18):
                            out.write(block)
                            advance(len(block))
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise SourceError(f"{shown_url(url)!r} is damaged: {exc}") from exc
    except SourceError:
        raise
    # As archive.unpack says: much comes out of damaged archives.
    except Exception as exc:
        raise SourceError(f"{shown_url(url)!r} is no zip archive, or damaged: {exc}") from exc


def _take_over(photos: list[Photo], destination: Path, folder: Path, width: int) -> None:
    """Link the pictures of the data set that is there, if they have the same width."""
    try:
        record = json.loads((destination / RECORD).read_text(encoding="utf-8"))
        if record["width"] != width or destination.is_symlink():
            return
    except (OSError, ValueError, TypeError, KeyError):
        return
    for photo in photos:
        name = f"{photo.photo_id}.jpg"
        if is_there(destination / name) and not is_there(folder / name):
            try:
                os.link(destination / name, folder / name)
            except OSError:  # a file system without hard links
                write_new(folder / name, (destination / name).read_bytes())


def _finish(
    entry: Entry, folder: Path, destination: Path, photos: list[Photo], gone: dict[str, int]
) -> None:
    """Write the table and the record, and say what is gone."""
    where = f"{destination.parent.name}/{destination.name}"
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in photos:
        if each.photo_id not in gone:
            image = f"{where}/{each.photo_id}.jpg"
            writer.writerow([each.photo_id, image, each.url, each.description, each.ai_description])
    write_new(folder / TABLE, table.getvalue().encode())
    state = json.loads((folder / UNFINISHED).read_text(encoding="utf-8"))
    listed = [
        {"photo_id": each.photo_id, "photo_image_url": each.url, "status": gone[each.photo_id]}
        for each in photos
        if each.photo_id in gone
    ]
    record = {**state, "terms": TERMS_URL, "photos": len(photos) - len(gone), "gone": listed}
    write_new(folder / RECORD, f"{json.dumps(record, indent=1)}\n".encode())
    kept = {f"{each.photo_id}.jpg" for each in photos} | {TABLE, RECORD, UNFINISHED}
    for path in folder.iterdir():  # of an earlier try with more rows
        if path.name not in kept:
            path.unlink()
    if gone:
        warn_user(
            f"data set {entry.name!r}: {len(gone):,} of {len(photos):,} photos are no longer there"
            f" and are left out; {where}/{RECORD} lists them",
            MediaWarning,
        )
