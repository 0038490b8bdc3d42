"""``thanosql doctor``: what is installed here, and what is in its way."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path

from .._version import __version__

PACKAGES = (
    *("sqlite-vec", "torch", "transformers", "tokenizers", "safetensors", "huggingface-hub"),
    *("httpx", "pillow", "numpy", "pandas", "numkong", "SQLAlchemy"),
)
# Each extra of the package, with a module that it brings and what that is for.
EXTRAS = (
    ("notebook", "IPython", "%thanosql in notebooks"),
    ("files", "pyarrow", "COPY of Parquet, Arrow and Excel files"),
    ("async", "aiosqlite", "SQLAlchemy's async engines"),
    ("sqlglot", "sqlglot", "sqlglot's dialect"),
)
HOSTED = "thanosql"
"""The hosted product's client on PyPI, which is imported by our name."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        what: What was looked at.
        text: What was found.
        is_problem: Whether something is to be done.
    """

    what: str
    text: str
    is_problem: bool = False


def examine() -> Iterator[Finding]:
    """Yield what there is to say about this Python, its packages, devices and extras."""
    yield Finding("thanosql-dbapi", __version__)
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("SQLite", sqlite3.sqlite_version)
    for name in PACKAGES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, f"is missing; pip install {name}", is_problem=True)
    is_there = find_spec("h2") is not None
    yield Finding(
        "HTTP/2", f"h2 {version('h2')}" if is_there else "without h2 downloads use HTTP/1.1"
    )
    yield _extension()
    yield _devices()
    for extra, module, purpose in EXTRAS:
        if find_spec(module):
            yield Finding(f"extra {extra}", f"is here: {purpose}")
        else:
            install = f'pip install "thanosql-dbapi[{extra}]"'
            yield Finding(f"extra {extra}", f"is not installed: {purpose}; {install}")
    yield import_name()


def import_name() -> Finding:
    """Say whose ``import thanosql`` is: this driver's, or that of the hosted product's client."""
    found = find_spec(HOSTED)
    file = Path(found.origin) if found is not None and found.origin else None
    try:
        is_ours = file is not None and "thanosql_dbapi" in file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        is_ours = False
    try:
        hosted = f"{HOSTED} {distribution(HOSTED).version}"
    except PackageNotFoundError:
        hosted = ""
    repair = "pip install --force-reinstall --no-deps thanosql-dbapi"
    if hosted:
        hidden, other = ("its", "this driver") if is_ours else ("this driver's", "that client")
        return Finding(
            "import thanosql",
            f"the client of the hosted product, {hosted}, is installed too, under the same name:"
            f" {hidden} `import thanosql` is hidden, and gives {other}. Keep one: pip uninstall -y"
            f" {HOSTED} && {repair}; or, to keep that client, pip uninstall thanosql-dbapi && pip"
            f" install --force-reinstall --no-deps {HOSTED}",
            is_problem=True,
        )
    if not is_ours:
        where = "is missing" if file is None else f"is another's: {str(file)!r}"
        return Finding("import thanosql", f"{where}; {repair}", is_problem=True)
    return Finding("import thanosql", "is this driver")


def _extension() -> Finding:
    from ..opening import open_database

    try:
        with_vectors = open_database(":memory:")
        (found,) = with_vectors.execute("SELECT vec_version()").fetchone()
        with_vectors.close()
    except sqlite3.Error as error:
        return Finding("vectors in SQLite", str(error), is_problem=True)
    return Finding("vectors in SQLite", f"sqlite-vec {found} loads")


def _devices() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("devices", f"torch cannot be imported: {error}", is_problem=True)
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [
            f"cuda:{number} ({torch.cuda.get_device_name(number)})"
            for number in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        names.append("mps")
    return Finding("devices", ", ".join(names))
