"""Progress of long work: a tqdm bar in a terminal or notebook, the user's callable, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Union

ProgressCallback = Callable[[int, Union[int, None], str], None]
ProgressSetting = Union[bool, None, ProgressCallback]
Advance = Callable[[int], None]


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
            ``advance(n)``: n more units are done.

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

            def advance(n: int) -> None:
                nonlocal done
                done += n
                callback(done, total, what)

            yield advance
        elif self.setting or (self.setting is None and (sys.stderr.isatty() or in_notebook())):
            if in_notebook():
                from tqdm.auto import tqdm
            else:
                from tqdm.std import tqdm

            is_bytes = unit == "B"
            with tqdm(total=total, desc=what, unit=unit, unit_scale=is_bytes, leave=False) as bar:
                yield bar.update
        else:
            yield lambda n: None


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython else None
    return shell is not None and shell.has_trait("kernel")
