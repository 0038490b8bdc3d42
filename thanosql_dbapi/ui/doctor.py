"""``thanosql doctor``: what is installed here, and what is in its way."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path

from .._version import __version__
from ..errors import Error

PACKAGES = (
    *("sqlite-vec", "transformers", "tokenizers", "safetensors", "huggingface-hub"),
    *("httpx", "pillow", "numpy", "pandas", "numkong", "SQLAlchemy", "click", "rich"),
)
# Each extra of the package, with a module that it brings and what that is for.
EXTRAS = (
    ("notebook", "IPython", "%thanosql in notebooks"),
    ("files", "pyarrow", "COPY of Parquet, Arrow and Excel files"),
    ("web", "datasette", "thanosql serve, a page to search in"),
    ("remote", "s3fs", "pictures and tables in buckets"),
    ("heif", "pillow_heif", "HEIC pictures"),
    ("raw", "rawpy", "RAW pictures"),
    ("jxl", "pillow_jxl", "JPEG XL pictures"),
    ("video", "av", "films"),
    ("async", "aiosqlite", "SQLAlchemy's async engines"),
    ("sqlglot", "sqlglot", "sqlglot's dialect"),
    ("ray", "ray", "CONVERT on the machines of a Ray cluster"),
)
HOSTED = "thanosql"
"""The hosted product's client on PyPI, which is imported by our name."""

OLDEST = (3, 10)
_SECRETS = ("HF_TOKEN",)
_VARIABLES = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", *_SECRETS)


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
    """Yield what there is to say about this Python, its packages, devices, extras and models."""
    yield Finding("thanosql-dbapi", f"{__version__} ({Path(__file__).parents[1]})")
    yield _python()
    yield Finding("SQLite", sqlite3.sqlite_version)
    yield _extension()
    yield _torch()
    yield _devices()
    for name in PACKAGES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, f"is missing; pip install {name}", is_problem=True)
    is_there = find_spec("h2") is not None
    yield Finding(
        "HTTP/2", f"h2 {version('h2')}" if is_there else "without h2 downloads use HTTP/1.1"
    )
    for extra, module, purpose in EXTRAS:
        if find_spec(module):
            yield Finding(f"extra {extra}", f"is here: {purpose}")
        else:
            install = f'pip install "thanosql-dbapi[{extra}]"'
            yield Finding(f"extra {extra}", f"is not installed: {purpose}; {install}")
    yield from _models()
    yield from _folders()
    yield from _variables()
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


def _python() -> Finding:
    is_old = sys.version_info[:2] < OLDEST
    oldest = ".".join(map(str, OLDEST))
    kind = "in a virtual environment" if sys.prefix != sys.base_prefix else "the system's own"
    return Finding(
        "Python",
        f"{platform.python_version()} ({sys.executable}, {kind})"
        + (f"; {oldest} or newer is needed" if is_old else ""),
        is_problem=is_old,
    )


def _extension() -> Finding:
    from ..opening import open_database

    try:
        with_vectors = open_database(":memory:")
        (found,) = with_vectors.execute("SELECT vec_version()").fetchone()
        with_vectors.close()
    except sqlite3.Error as error:
        return Finding("vectors in SQLite", str(error), is_problem=True)
    can_load = hasattr(sqlite3.Connection, "enable_load_extension")
    way = (
        "by load_extension"
        if can_load
        else "by sqlite3_auto_extension, as this Python's sqlite3 loads no extensions itself"
    )
    return Finding("vectors in SQLite", f"sqlite-vec {found} loads, {way}")


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("torch", f"cannot be imported: {error}; pip install torch", is_problem=True)
    build = "CPU build"
    if torch.version.cuda:
        build = f"for CUDA {torch.version.cuda}"
    elif getattr(torch.version, "hip", None):
        build = f"for ROCm {torch.version.hip}"
    return Finding("torch", f"{torch.__version__} ({build}, {torch.get_num_threads()} threads)")


def _devices() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("devices", "are not known without torch")
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [
            f"cuda:{number} ({torch.cuda.get_device_name(number)})"
            for number in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        names.append("mps")
    return Finding("devices", ", ".join(names))


def _models() -> Iterator[Finding]:
    """Say which models of the catalog are on this machine."""
    from ..sources.catalog import load_catalog
    from ..sources.hub_cache import is_cached

    try:
        models = load_catalog(os.environ.get("THANOSQL_CATALOG") or None, offline=True).models
    except Error as error:
        yield Finding("catalog", str(error), is_problem=True)
        return
    here = [
        name
        for name, entry in models.items()
        if entry.source.startswith("builtin:")
        or (entry.source.startswith("hf:") and is_cached(entry.source))
    ]
    others = [name for name in models if name not in here]
    yield Finding("models on this machine", ", ".join(here))
    if others:
        yield Finding(
            "models to get", f"{', '.join(others)}; GET THANOSQL MODEL name, LIST THANOSQL MODEL"
        )


def _folders() -> Iterator[Finding]:
    """Say where things are kept, and whether that can be written."""
    from ..sources.hub_cache import cache_folder
    from .shell import state_folder

    for what, folder in (
        ("the hub's cache", cache_folder()),
        ("the shell's history", state_folder()),
        ("current folder", Path.cwd()),
    ):
        there = folder
        while not there.exists():
            there = there.parent
        if os.access(there, os.W_OK):
            yield Finding(what, f"{folder}{'' if folder.exists() else ', to be made'}")
        else:
            yield Finding(
                what, f"{folder} may not be written", is_problem=what == "the hub's cache"
            )


def _variables() -> Iterator[Finding]:
    """Name the environment variables that change what the driver does; of a secret no value."""
    from ..settings import OPTIONS

    ours = [option.environment for option in OPTIONS.values() if option.environment]
    names = (*ours, "THANOSQL_DATABASE", *_VARIABLES)
    found = [
        name if name in _SECRETS else f"{name}={os.environ[name]}"
        for name in names
        if os.environ.get(name)
    ]
    yield Finding("environment", ", ".join(found) or "sets nothing")
