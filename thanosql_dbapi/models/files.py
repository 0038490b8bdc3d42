"""The files of a model's folder: their names, and how they are opened. Knows no kind of model.

A folder is given by its resolved path, and its files are no links: what GET and UPLOAD put there
has none, and one that came later would bring in a file from anywhere.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from ..errors import ModelError, WorkspaceError, clip
from ..openfile import OpenFile

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PREPROCESSOR = "preprocessor_config.json"
PROCESSOR = "processor_config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
PICKLE_SUFFIXES = (".bin", ".pth", ".pt", ".ckpt")
# Pickles that trainers leave next to a model and that are no weights.
NOT_WEIGHTS = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt")


def open_file(folder: Path, name: str) -> OpenFile:
    """Open a file of a model's folder.

    Args:
        folder: The folder, its path resolved.
        name: The file.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        WorkspaceError: It is a link.
    """
    opened = OpenFile(folder / name)
    if not opened.is_file:
        opened.close()
        raise FileNotFoundError(errno.ENOENT, "is no regular file", str(folder / name))
    return opened


def refuse_links(folder: Path) -> None:
    """Check that nothing in a model's folder is a link, before a library opens files by name.

    Raises:
        WorkspaceError: Something is.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise WorkspaceError(
                    f"{entry.path!r} is a link, and a model's folder has none; get the model again"
                )


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder, none if it has none.

    Raises:
        ModelError: The index of a sharded model is damaged or names a file that is missing.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        return []
    weight_map = read_json(folder, WEIGHTS_INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{str(folder / WEIGHTS_INDEX)!r} has no weight_map; get the model again")
    paths = []
    for name in sorted({str(name) for name in weight_map.values()}):
        if Path(name).name != name or not (folder / name).is_file():
            raise ModelError(
                f"model folder {str(folder)!r} lacks {clip(name)}, which {WEIGHTS_INDEX} names;"
                " get the model again"
            )
        paths.append(folder / name)
    return paths


def pickle_files(folder: Path) -> list[Path]:
    """Return the files that may hold weights as a pickled state dict, the likeliest first."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICKLE_SUFFIXES
        and path.name not in NOT_WEIGHTS
        and path.is_file()
    ]
    return sorted(found, key=lambda path: (path.name != "pytorch_model.bin", path.name))


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` of a model folder.

    Raises:
        ModelError: The folder or the file is missing, or is not JSON.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ModelError(
            f"model folder {str(folder)!r} {what}; get the model again, or give the folder that"
            " save_pretrained wrote"
        )
    return read_json(folder, CONFIG)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return what a JSON file of a folder says.

    Raises:
        ModelError: It is missing, damaged, or not an object.
    """
    path = folder / name
    try:
        with open_file(folder, name) as opened:
            content = json.loads(opened.read().decode("utf-8"))
    except FileNotFoundError as exc:
        raise ModelError(
            f"model folder {str(folder)!r} has no {name}; give the folder that save_pretrained"
            " wrote, or get the model again"
        ) from exc
    except OSError as exc:
        raise ModelError(f"{str(path)!r} cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise ModelError(
            f"{str(path)!r} cannot be read as JSON: {clip(str(exc))}{looks_like(path)}; get the"
            " model again"
        ) from exc
    if not isinstance(content, dict):
        raise ModelError(f"{str(path)!r} must hold a JSON object, got {clip(content)}")
    return content


def looks_like(path: Path) -> str:
    """Return what a damaged file of a model seems to be, to be put behind a message, or ``""``."""
    try:
        with open_file(path.parent, path.name) as opened, opened.reader() as file:
            head, size = file.read(64), opened.size
            length = int.from_bytes(head[:8], "little")
            is_header = path.suffix == ".safetensors" and head[8:9] == b"{" and length < 1 << 27
            header = head[8:] + file.read(length) if is_header else b""
    except (OSError, WorkspaceError):
        return ""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not size:
        return "; it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "; it is a Git LFS pointer, not the file itself: `git lfs pull` gets that"
    if start.startswith((b"<!doctype html", b"<html")):
        return "; it is an HTML page, such as a site gives instead of the file"
    if is_header:
        wanted = 8 + length + _data_bytes(header[:length])
        if size < wanted:
            return f"; it is cut short: it has {size:,} of {wanted:,} bytes"
    return ""


def _data_bytes(header: bytes) -> int:
    """Return the length of what follows the header of a safetensors file, 0 if it is not known."""
    try:
        each = json.loads(header).values()
        return max(int(tensor["data_offsets"][1]) for tensor in each if "data_offsets" in tensor)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError):
        return 0
