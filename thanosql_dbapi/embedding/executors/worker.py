"""A process that decodes pictures for another, until that one closes the pipe between them.

It imports Pillow, numpy and what opens pictures: no torch, no database. ``processes`` starts it,
and writes to its standard input; see there for the messages.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import warnings
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO

import numpy as np

from ..batches import Read
from .shared import attached
from .task import PictureReader, knows_all, knows_nothing

READY = b"thanosql worker is ready\n"
"""What it writes first; what a program of the user's site has written before does not count."""

Stored = tuple[int, tuple[int, ...]]
"""Where in its slot the pixels of a picture begin, and their shape."""


def main() -> None:
    """Decode what is asked for, and answer, until there is no more to come."""
    # Ctrl-C is for the process that asks, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _keep_output_out()
    _prepare()
    questions: SimpleQueue[Any] = SimpleQueue()
    with suppress(BrokenPipeError):
        answers.write(READY)
        answers.flush()
        threading.Thread(target=_listen, args=(asked, questions), daemon=True).start()
        _serve(questions, answers)
    os._exit(0)  # without a last try to write, and a word about it


def _listen(asked: BinaryIO, questions: SimpleQueue[Any]) -> None:
    """Take questions; where the process that asks has ended, end at once, whatever is decoded."""
    try:
        while True:
            questions.put(pickle.load(asked))
    finally:
        os._exit(0)


def _keep_output_out() -> None:
    """Have what anything prints here go to the errors, and not between the answers."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # a program without a terminal may have no place for errors
        os.dup2(nothing, 1)


def _prepare() -> None:
    from PIL import Image

    from .. import decoding, formats, images  # noqa: F401 - imported before they are needed

    Image.init()
    warnings.simplefilter("ignore")  # what Pillow has to say of odd headers
    formats.are_warnings_off = True


def _serve(questions: SimpleQueue[Any], answers: BinaryIO) -> None:
    memory = memoryview(b"")
    reader: PictureReader | None = None
    while True:
        kind, value = questions.get()
        if kind == "memory":
            memory, problem = memoryview(b""), None
            try:
                memory = attached(value)
            except OSError as error:  # e.g. ulimit -v: pixels go along with the answers
                problem = error
            pickle.dump(problem, answers, protocol=5)
            answers.flush()
        elif kind == "reader":
            reader = pickle.loads(value)
        else:
            assert reader is not None
            try:
                answer: Any = _read_all(reader, memory, *value)
            except Exception as error:  # e.g. too many open files: no fault of a picture
                answer = error
            pickle.dump(answer, answers, protocol=5)
            answers.flush()


def _read_all(
    reader: PictureReader,
    memory: memoryview,
    sources: list[object],
    slot: tuple[int, int],
    decodes: bool,
) -> list[tuple[Read, Stored | None]]:
    """Read sources; their pixels go to a slot of the memory while it has room, else along."""
    found: list[tuple[Read, Stored | None]] = []
    at, end = slot[0], min(slot[1], len(memory))
    for source in sources:
        read = reader.read(source, knows_nothing if decodes else knows_all)
        stored: Stored | None = None
        if read.pixels is not None and at + read.pixels.nbytes <= end:
            pixels = read.pixels
            np.frombuffer(memory, np.uint8, pixels.nbytes, at)[:] = pixels.reshape(-1)
            stored, read.pixels = (at, pixels.shape), None
            at += pixels.nbytes
        found.append((read, stored))
    return found
