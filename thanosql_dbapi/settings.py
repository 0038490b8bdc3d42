"""What a connection was told, and what it remembers between statements.

Apart from the statements, so that a connection can be opened, and plain SQL run, without loading
what they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import clip
from .option import (
    EXECUTOR_NAMES,
    Option,
    OptionError,
    checked_storage,
    is_boolean,
    is_path,
    read_boolean,
    read_catalog,
    read_count,
    read_device,
    read_executor,
    read_folder,
    read_further_folder,
    read_host,
    read_mode,
    read_storage,
)
from .progress import Progress
from .workspace import StrPath, Workspace

DEFAULT_CACHE_BYTES = 4 * 2**30
"""For some 8 million vectors of 512 numbers."""

DEFAULT_IMAGE_PIXELS = 178_956_970
"""Twice Pillow's own mark for a suspicious image: above what most cameras make."""

OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            "workspace",
            "a folder",
            read_folder,
            is_path,
            None,
            "where relative paths start and where data sets and models are kept; default: the"
            " database's folder",
            "--workspace",
            environment="THANOSQL_WORKSPACE",
            metavar="DIR",
        ),
        Option(
            "allowed_directories",
            "folders",
            read_further_folder,
            lambda value: True,
            (),
            "a further folder that statements may read files from, or a bucket, s3://album, that"
            " they may read with your credentials; may be repeated",
            "--allow",
            metavar="DIR",
            is_repeatable=True,
        ),
        Option(
            "catalog",
            "the path of a JSON file that exists, or an http(s) URL",
            read_catalog,
            is_path,
            None,
            "catalog of data sets and models, laid over the built-in one",
            "--catalog",
            environment="THANOSQL_CATALOG",
            metavar="FILE",
        ),
        Option(
            "device",
            "cpu, cuda, cuda:1 or mps",
            read_device,
            lambda value: isinstance(value, str),
            None,
            "cpu, cuda, cuda:1 or mps; default: the best there is",
            "--device",
            environment="THANOSQL_DEVICE",
            metavar="DEVICE",
        ),
        Option(
            "progress",
            "true or false",
            read_boolean,
            lambda value: isinstance(value, bool) or callable(value),
            None,
            "show progress bars; default: in a terminal or notebook",
            "--progress",
            python_type="None, True, False or a callable",
        ),
        Option(
            "offline",
            "true or false",
            read_boolean,
            is_boolean,
            False,
            "never use the network",
            "--offline",
            python_type="True or False",
            environment="THANOSQL_OFFLINE",
        ),
        Option(
            "network",
            "true or false",
            read_boolean,
            is_boolean,
            False,
            "let rows and COPY name images and tables by URL or in buckets",
            "--network",
            python_type="True or False",
        ),
        Option(
            "allowed_hosts",
            "hosts, each a name or an address such as nas.local, 10.0.0.5 or localhost:8000",
            read_host,
            lambda value: True,
            (),
            "a host that images may come from although its address is private, loopback or"
            " link-local; may be repeated; only with --network",
            "--allow-host",
            metavar="HOST",
            is_repeatable=True,
        ),
        Option(
            "storage_options",
            'JSON such as {"s3": {"endpoint_url": "http://nas.local:9000"}}',
            read_storage,
            lambda value: isinstance(value, Mapping),
            None,
            "how buckets are reached, as JSON; default: as their own variables say, AWS_… and"
            " GOOGLE_…",
            "--storage-options",
            environment="THANOSQL_STORAGE_OPTIONS",
            metavar="JSON",
            is_secret=True,
            python_type="a mapping such as {'s3': {'endpoint_url': 'http://nas.local:9000'}}",
        ),
        Option(
            "cache_bytes",
            "a number of bytes",
            read_count(0, "bytes"),
            lambda value: type(value) is int,
            DEFAULT_CACHE_BYTES,
            "most bytes of memory for the vectors of one column; 0 keeps none; default: 4 GiB",
            "--cache-bytes",
            metavar="N",
        ),
        Option(
            "max_image_pixels",
            "a number of pixels",
            read_count(1, "pixels"),
            lambda value: type(value) is int,
            DEFAULT_IMAGE_PIXELS,
            "most pixels of an image to decode; a larger JPEG is read at a half, a quarter or an"
            " eighth; default: 178,956,970",
            "--max-image-pixels",
            metavar="N",
        ),
        Option(
            "executor",
            EXECUTOR_NAMES,
            read_executor,
            lambda value: isinstance(value, str),
            None,
            "what reads and embeds the pictures of many rows: threads, processes, or the machines"
            " of a Ray cluster: ray, that of this machine, or its address, ray://host:10001;"
            " default: threads, and processes where they pay",
            "--executor",
            environment="THANOSQL_EXECUTOR",
            metavar="NAME",
        ),
        Option(
            "workers",
            "a number of workers",
            read_count(1, "workers"),
            lambda value: type(value) is int,
            None,
            "how many threads or processes decode pictures at most, or how many workers a cluster"
            " gets; default: one a core, or one a GPU or machine",
            "--workers",
            metavar="N",
        ),
        Option(
            "confine_attach",
            "true or false",
            read_boolean,
            is_boolean,
            False,
            "refuse ATTACH and VACUUM INTO of files outside the workspace; for servers",
            "--confine-attach",
            python_type="True or False",
        ),
        Option(
            "mode",
            "ro, rw or rwc",
            read_mode,
            lambda value: isinstance(value, str),
            None,
            "ro: nothing is written, neither the database nor anything beside it; rw: the file must"
            " exist; default: rwc, it is created",
            "--mode",
            metavar="MODE",
        ),
    )
}
"""The options of ``connect`` by name."""


@dataclass(frozen=True)
class Settings:
    """What ``connect`` was told, for the life of the connection.

    Attributes:
        workspace: Where files live and which may be read.
        catalog: Path or URL of a catalog to lay over the built-in one, or None.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or None for the best available.
        progress: How progress is shown.
        offline: Whether the network is never used, not even for catalog entries.
        network: Whether rows and statements may name what lies elsewhere, by URL or in buckets.
        allowed_hosts: Hosts that they may name although their addresses are not public.
        storage_options: How buckets are reached, by the kind of store; may hold secrets.
        cache_bytes: Most bytes of memory for the vectors of one column.
        max_image_pixels: Most pixels of an image to decode.
        executor: What embeds the rows of statements, or None for the best there is.
        workers: How many decode pictures at most, or None for one a core.
        confine_attach: Whether ATTACH and VACUUM INTO are kept inside the workspace.
        mode: How the file is opened, as in SQLite's URIs, or None.
        is_read_only: Whether nothing may be written: not the database, and nothing beside it.
    """

    workspace: Workspace
    catalog: StrPath | None = None
    device: str | None = None
    progress: Progress = field(default_factory=Progress)
    offline: bool = False
    network: bool = False
    allowed_hosts: tuple[str, ...] = ()
    storage_options: Mapping[str, Mapping[str, Any]] | None = field(default=None, repr=False)
    cache_bytes: int = DEFAULT_CACHE_BYTES
    max_image_pixels: int = DEFAULT_IMAGE_PIXELS
    executor: str | None = None
    workers: int | None = None
    confine_attach: bool = False
    mode: str | None = None
    is_read_only: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any], folder: StrPath, *, is_read_only: bool) -> Settings:
        """Return the settings of a connection.

        Args:
            given: Options of ``connect``; None is the same as not given.
            folder: The workspace if none is given.
            is_read_only: Whether nothing may be written.

        Raises:
            TypeError: A value has another type.
            OptionError: An option does not take its value.
        """
        values = {name: option.value(given.get(name)) for name, option in OPTIONS.items()}
        root, further = values.pop("workspace"), values.pop("allowed_directories")
        workspace = Workspace(folder if root is None else root, further)
        for each in workspace.allowed_directories:
            OPTIONS["allowed_directories"].read_text(str(each))
        for bucket in workspace.allowed_buckets:
            OPTIONS["allowed_directories"].read_text(bucket)
        values["allowed_hosts"] = _hosts(values["allowed_hosts"])
        try:
            storage = values["storage_options"]
            values["storage_options"] = None if storage is None else checked_storage(storage)
        except ValueError as error:
            option = OPTIONS["storage_options"]
            what = str(error) or option.python_type
            raise OptionError(f"option 'storage_options' takes {what}") from None
        progress = Progress(values.pop("progress"))
        return cls(workspace=workspace, progress=progress, is_read_only=is_read_only, **values)


def _hosts(given: Any) -> tuple[str, ...]:
    hosts = [given] if isinstance(given, str) else list(given)
    if bad := [each for each in hosts if not isinstance(each, str)]:
        raise TypeError(f"allowed_hosts must be texts, got {clip(bad[0])}")
    return tuple(OPTIONS["allowed_hosts"].read_text(each) for each in hosts)
