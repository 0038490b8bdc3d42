"""Progress of long work: a bar in a terminal or notebook, the user's callable, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, Union

if TYPE_CHECKING:
    from tqdm import tqdm

ProgressCallback = Callable[[int, Union[int, None], str], None]
ProgressSetting = Union[bool, None, ProgressCallback]


class Advance(Protocol):
    """Moves a piece of work on."""

    def __call__(self, n: int, /, note: str = "") -> None:
        """Say that n more units are done, and what else there is to know, in a few words."""


# What is done sooner shows no bar: one that appears and vanishes is a flicker.
_DELAY_S = 0.4


class Progress:
    """How a connection shows progress.

    Args:
        setting: None shows bars where standard error is a terminal or the code runs in a
            notebook; True and False force it; a callable gets ``(done, total, what)`` after each
            step, where ``total`` is None when it is not known.

    Raises:
        TypeError: ``setting`` is none of these.
    """

    def __init__(self, setting: ProgressSetting = None) -> None:
        if not (setting is None or isinstance(setting, bool) or callable(setting)):
            raise TypeError(f"progress must be None, True, False or a callable, got {setting!r}")
        self.setting = setting

    @contextmanager
    def track(self, what: str, total: int | None, unit: str = "it") -> Iterator[Advance]:
        """Show one piece of work, and give the function that moves it on.

        Args:
            what: What is being done, e.g. ``"CONVERT photos"``.
            total: Number of units in all, or None when not known.
            unit: ``"B"`` for bytes (scaled), else a word such as ``"image"`` or ``"row"``.

        Yields:
            ``advance(n, note)``: n more units are done. The note, if any, stands at the end of the
            bar; a callable gets it in parentheses behind ``what``.

        Example:
            >>> steps = []
            >>> progress = Progress(lambda done, total, what: steps.append((done, total, what)))
            >>> with progress.track("COPY photos", 2, "row") as advance:
            ...     advance(2)
            >>> steps
            [(2, 2, 'COPY photos')]
        """
        if callable(self.setting):
            callback, done = self.setting, 0

            def advance(n: int, /, note: str = "") -> None:
                nonlocal done
                done += n
                callback(done, total, f"{what} ({note})" if note else what)

            yield advance
        elif self.setting or (self.setting is None and _is_watched()):
            with _bar(what, total, unit, delay_s=0.0 if self.setting else _DELAY_S) as bar:
                yield partial(_move, bar)
        else:
            yield silent


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython else None
    return shell is not None and bool(shell.has_trait("kernel"))


def _move(bar: tqdm[Any], n: int, /, note: str = "") -> None:
    if note:
        bar.set_postfix_str(note, refresh=False)
    bar.update(n)


def silent(n: int, /, note: str = "") -> None:
    """Move on a piece of work that nobody watches; an ``Advance``."""


def _is_watched() -> bool:
    # Without a console (pythonw) there is no standard error at all.
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal or in_notebook()


def _bar(what: str, total: int | None, unit: str, *, delay_s: float) -> tqdm[Any]:
    if in_notebook() and find_spec("ipywidgets"):
        from tqdm.notebook import tqdm_notebook as make
    else:  # a notebook without widgets shows the bar as text
        from tqdm.std import tqdm as make  # type: ignore[assignment]

    return make(
        total=total,
        desc=what,
        unit=unit if unit in ("B", "it") else f" {unit}",
        unit_scale=unit == "B",
        unit_divisor=1024 if unit == "B" else 1000,
        leave=False,
        delay=delay_s,
        dynamic_ncols=True,
    )
