"""A new process up to the answer of its first plain query, beside sqlite3 and numpy alone.

    python -m benchmarks.start_up

Whole processes are timed, from start to exit, in turns; the table has what each adds to an empty
one too. The driver needs numpy, since its vectors are arrays; it imports nothing else that is heavy
before a statement asks for it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from .measure import compare, machine, report

QUERY = "connection.execute('SELECT count(*) FROM sqlite_master').fetchone()"
PROGRAMS = {
    "sqlite3, numpy": f"import sqlite3, numpy; connection = sqlite3.connect('t.db'); {QUERY}",
    "thanosql": f"import thanosql; connection = thanosql.connect('t.db'); {QUERY}",
    "sqlite3": f"import sqlite3; connection = sqlite3.connect('t.db'); {QUERY}",
    "nothing": "pass",
}


def main() -> None:
    """Print the tables."""
    print(machine("numpy"))
    with tempfile.TemporaryDirectory() as folder:

        def work(program: str) -> object:
            command = [sys.executable, "-c", program]
            return subprocess.run(command, cwd=folder, check=True)

        medians = compare(
            "a new process's first plain query",
            {name: lambda program=program: work(program) for name, program in PROGRAMS.items()},  # type: ignore[misc]
            runs=25,
        )
    nothing = medians.pop("nothing")
    report("the same, less an empty process", {n: s - nothing for n, s in medians.items()}, {})


if __name__ == "__main__":
    main()
