"""``thanosql search`` and ``thanosql index``: a folder of pictures, asked without any SQL."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..opening import is_url
from ..workspace import with_home
from .arguments import OptionalFile, check_device, connect_options
from .display import cell, visible
from .session import brief_warnings

if TYPE_CHECKING:
    from .album import Album, Question
    from .pictures import Picture
    from .session import Outcome
    from .terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])

GALLERY = "gallery.html"
_SINCE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d)?)?)?)?")
_DECIMALS = 4
# SQLite's largest number: whoever asks for more pictures gets all, as with any large number.
_MOST = 2**63 - 1


def _of_folders(command: _Command) -> _Command:
    """Give a command the options of a folder's database."""
    for added in (
        connect_options("device", "workspace", "catalog", "offline", "progress", "mode"),
        click.option(
            "--exclude",
            metavar="PATTERN",
            multiple=True,
            help="what is left out, such as '*.tmp' or 'private/'; may be repeated",
        ),
        click.option(
            "--model",
            metavar="NAME",
            help="the model; default: the one that the database has vectors of, else clip",
        ),
        click.option(
            "--db",
            "database",
            metavar="FILE",
            help="the database; default: photos.db in the folder",
        ),
    ):
        command = added(command)
    return command


@click.command
@click.argument("words", nargs=-1, metavar="[DIR] [TEXT]…")
@click.option(
    "-n", "--count", type=click.IntRange(1), default=10, show_default=True, help="most pictures"
)
@click.option(
    "--image",
    "images",
    metavar="FILE",
    multiple=True,
    help="a picture, or its http(s) URL, to find others like it; may be repeated",
)
@click.option(
    "--not",
    "unlike",
    metavar="TEXT",
    multiple=True,
    help="what the pictures are to be unlike; may be repeated",
)
@click.option(
    "--since",
    metavar="DATE",
    help="only pictures taken since then, such as 2024-05-06 or 2024; those without a date of"
    " their own go by their file's",
)
@click.option(
    "--where", metavar="SQL", help='a condition on the table\'s columns, such as "width > height"'
)
@click.option("--json", "as_json", is_flag=True, help="print the answer as JSON")
@click.option("-0", "as_paths", is_flag=True, help="print the paths alone, each ended by NUL")
@click.option(
    "--gallery",
    cls=OptionalFile,
    suffixes=(".html", ".htm"),
    otherwise=GALLERY,
    metavar="[FILE]",
    help="write the pictures to an HTML file; default: gallery.html in the current folder",
)
@click.option(
    "--open", "opens", is_flag=True, help="open the gallery in a browser; implies --gallery"
)
@click.option(
    "--preview/--no-preview",
    default=None,
    help="show the pictures in the terminal; default: where it can",
)
@connect_options("allowed_hosts")
@_of_folders
def search(
    words: tuple[str, ...],
    count: int,
    images: tuple[str, ...],
    unlike: tuple[str, ...],
    since: str | None,
    where: str | None,
    as_json: bool,
    as_paths: bool,
    gallery: str | None,
    opens: bool,
    preview: bool | None,
    **options: Any,
) -> int:
    r"""Find the pictures in a folder that answer a text best.

    \b
      thanosql search ~/Pictures "a black cat"
      thanosql search ~/Pictures cat --not dog --since 2024 -n 5
      thanosql search ~/Pictures --image ./cat.jpg
      thanosql search . "a black cat" -0 | xargs -0 cp -t /tmp
      thanosql search . "a black cat" -n 100 --open

    DIR is the current folder unless it is given. Its database is made at the first search and
    brought in step with it at each: new pictures are embedded, moved ones keep their vectors.
    Several texts and pictures are added up; then a text may begin with a weight: "2*snow".
    """
    from .album import Question

    if as_json and as_paths:
        raise click.UsageError("--json and -0 are two formats; name one")
    folder, texts = _words(words, has_more=bool(images or unlike))
    question = Question(
        texts=_texts(texts),
        images=tuple(map(_image, images)),
        unlike=_texts(unlike),
        since=_date(since),
        where=(where or "").strip(),
        count=min(count, _MOST),
    )
    # What was typed may be read and fetched.
    options["network"] = any(map(is_url, question.images)) or None
    options["allowed_directories"] = [
        str(Path(image).parent) for image in question.images if not is_url(image)
    ]
    terminal = _terminal()
    with closing(_album(folder, terminal, options)) as album, brief_warnings(terminal.warn):
        outcome = _answer(album, question, options)
        rows = [(_shown_path(folder, album, path), score) for path, score in outcome.rows]
        if as_json:
            _print_json(rows)
        elif as_paths:
            _print_paths([path for path, _ in rows])
        else:
            _print_rows(terminal, album, outcome, rows, preview)
        if gallery or opens:
            heading = " + ".join(question.texts) or None
            _write_gallery(terminal, album, outcome, Path(gallery or GALLERY), heading, opens=opens)
    return 0


@click.command
@click.argument("folder", metavar="[DIR]", default=".")
@_of_folders
def index(folder: str, **options: Any) -> int:
    """Bring a folder's database in step with it, without asking anything.

    DIR is the current folder unless it is given.
    """
    check_device(options["device"])
    terminal = _terminal()
    with (
        closing(_album(_folder(folder), terminal, options)) as album,
        brief_warnings(terminal.warn),
    ):
        model = album.model(options["model"])
        album.bring_in_step(model)
        terminal.note(f"{album.database}: {album.count(model)}")
    return 0


@click.command
@click.argument("place", metavar="[DIR|DATABASE]", default=".")
@click.option("--host", default="127.0.0.1", show_default=True, help="the address to listen at")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8001,
    show_default=True,
    help="the port; 0 takes any that is free",
)
@click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="a further name of this machine that browsers may ask for, such as photos.lan; may be"
    " repeated",
)
@click.option("--open", "opens", is_flag=True, help="open the page in a browser")
@_of_folders
def serve(
    place: str, host: str, port: int, names: tuple[str, ...], opens: bool, **options: Any
) -> int:
    """Show a page to search the pictures in, until Ctrl-C.

    Of a folder, the database is brought in step with it first; --mode ro leaves it as it is. The
    page itself writes nothing, and is for this machine alone unless --host says otherwise.
    """
    from .web import serve as show

    check_device(options["device"])
    file = Path(with_home(place))
    allowed: list[str] = []
    if not file.is_file():
        folder, terminal = _folder(place), _terminal()
        with (
            closing(_album(folder, terminal, options)) as album,
            brief_warnings(terminal.warn),
        ):
            if not album.is_read_only:
                album.bring_in_step(album.model(options["model"]))
            file, allowed = album.database, [str(album.folder)]
    kept = {name: options[name] for name in ("workspace", "catalog", "device", "offline")}
    show(
        file,
        host=host,
        port=port,
        open_browser=opens,
        names=names,
        allowed_directories=allowed or None,
        **{name: value for name, value in kept.items() if value is not None},
    )
    return 0


def _album(folder: Path, terminal: Terminal, options: dict[str, Any]) -> Album:
    from .album import Album

    ours = {name: value for name, value in options.items() if name not in _OWN}
    database = options["database"]
    return Album(folder, Path(database) if database else None, say=terminal.note, **ours)


_OWN = ("database", "model")
"""The options that an album does not take."""


def _answer(album: Album, question: Question, options: dict[str, Any]) -> Outcome:
    model = album.model(options["model"])
    if not album.is_read_only and not album.is_in_step(model):
        check_device(options["device"])
        album.bring_in_step(model)
    return album.find(question, model)


def _words(words: Sequence[str], *, has_more: bool) -> tuple[Path, Sequence[str]]:
    """Return the folder and the texts among the arguments."""
    first = words[0] if words else "."
    is_folder = Path(with_home(first)).is_dir()
    if len(words) > 1 or (words and (is_folder or _is_path(first))):
        folder, texts = _folder(first), words[1:]
    else:
        folder, texts = Path(), words
    if not texts and not has_more:
        raise click.UsageError(
            'what to look for is missing: thanosql search DIR "a black cat", or --image FILE'
        )
    return folder, texts


def _folder(name: str) -> Path:
    folder = Path(with_home(name))
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise click.UsageError(f"the folder {name!r} {what}")
    return folder


def _is_path(word: str) -> bool:
    return word.startswith((".", "~")) or "/" in word


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    if any(not text.strip() for text in texts):
        raise click.UsageError("a text to look for says nothing")
    return tuple(texts)


def _image(name: str) -> str:
    """Return the absolute path of a picture's file; a URL as it is."""
    if is_url(name):
        return name
    path = Path(with_home(name)).resolve()
    try:
        path.open("rb").close()
    except OSError as error:
        raise click.UsageError(
            f"the picture {name!r} cannot be read: {error.strerror or error}"
        ) from error
    return str(path)


def _date(text: str | None) -> str:
    if text is None:
        return ""
    filled = f"{text}{'-01-01'[len(text) - 10 :] if len(text) < 10 else ''}"
    try:
        datetime.fromisoformat(filled)
        is_date = _SINCE.fullmatch(text) is not None
    except ValueError:
        is_date = False
    if not is_date:
        raise click.UsageError(
            f"--since takes a date, such as 2024, 2024-05 or 2024-05-06; got {text!r}"
        )
    return text.replace(" ", "T")


def _shown_path(folder: Path, album: Album, image_path: str) -> str:
    """Return a picture's path as the user named the folder, as ``find`` would print it."""
    path = album.path(image_path)
    inside = path.relative_to(album.folder) if path.is_relative_to(album.folder) else path
    shown = str(folder / inside)
    return f"./{shown}" if shown.startswith("-") else shown


def _print_json(rows: Sequence[tuple[str, float]]) -> None:
    from .formats import write_json

    write_json(sys.stdout, ["path", "similarity"], rows)
    sys.stdout.flush()


def _print_paths(paths: Sequence[str]) -> None:
    is_watched = sys.stdout.isatty()
    sys.stdout.write("".join(f"{visible(path) if is_watched else path}\0" for path in paths))
    sys.stdout.flush()


def _print_rows(
    terminal: Terminal,
    album: Album,
    outcome: Outcome,
    rows: Sequence[tuple[str, float]],
    preview: bool | None,
) -> None:
    shown: Iterator[Picture] = iter(())
    if terminal.protocol if preview is None else preview:
        from .pictures import pictures

        shown = pictures(album.connection, outcome)
    for path, similarity in rows:
        # A line feed in a name would make one row look like two.
        print(f"{similarity:.{_DECIMALS}f}  {cell(path)}", flush=True)
        if (picture := next(shown, None)) is not None:
            terminal.show_picture(picture)
    if not rows:
        terminal.note("no picture is left by the conditions")


def _write_gallery(
    terminal: Terminal,
    album: Album,
    outcome: Outcome,
    file: Path,
    heading: str | None,
    *,
    opens: bool,
) -> None:
    from .gallery import gallery_section, write_gallery

    heading = heading or "pictures like the one given"
    section = gallery_section(album.connection, outcome, heading, limit=None)
    page = write_gallery(file, [section], title=heading)
    terminal.note(f"gallery: {page}")
    if opens:
        import webbrowser

        if not webbrowser.open(page.as_uri()):
            terminal.note(f"no browser was found; open {page.as_uri()}")


def _terminal() -> Terminal:
    from .terminal import Terminal

    return Terminal()
