"""The command line of a worker: another Python that sees the same packages as this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

# The package without its face, which would bring the driver.
_PROGRAM = """\
import sys
sys.path[:] = {path!r}
package = type(sys)({name!r})
package.__path__ = [{folder!r}]
sys.modules[{name!r}] = package
from {name}.embedding.executors.worker import main
main()
"""


def worker_program() -> str:
    """Return the program that a worker runs."""
    name, folder = __package__.partition(".")[0], str(Path(__file__).parents[2])
    entries = cast("list[object]", sys.path)
    path = [each for each in entries if isinstance(each, str)]  # as Python itself does
    # A notebook has the current folder first, and the standard library in memory already. Here a
    # random.py of the user's would take the place of Python's.
    path.sort(key=lambda each: not each)
    return _PROGRAM.format(path=path, name=name, folder=folder)


def can_start_python() -> bool:
    """Return whether another Python can be started: not from a program that holds one inside."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)


def flags() -> list[str]:
    """Return the options of this Python that another one needs to see the same files."""
    return [
        *(["-I"] if sys.flags.isolated else []),
        *(["-X", "utf8"] if sys.flags.utf8_mode else []),
    ]
