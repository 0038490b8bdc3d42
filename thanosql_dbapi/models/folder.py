"""What lies in a CLIP folder, read without torch or transformers, and its fingerprint.

A model folder is what ``CLIPModel.save_pretrained`` and ``CLIPProcessor.save_pretrained`` write:
``config.json``, the weights as safetensors, the tokenizer's and the image processor's files.
Weights of older makes are turned into safetensors by ``weights``.

A folder is given by its resolved path, and its files are no links: what GET and UPLOAD put there
has none, and one that came later would bring in a file from anywhere.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, WorkspaceError, clip
from ..openfile import OpenFile

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PREPROCESSOR = "preprocessor_config.json"
PROCESSOR = "processor_config.json"
TOKENIZER_SETS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
PICKLE_SUFFIXES = (".bin", ".pth", ".pt", ".ckpt")
# Pickles that trainers leave next to a model and that are no weights.
NOT_WEIGHTS = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt")


@dataclass(frozen=True)
class ModelFacts:
    """What a model folder says of itself.

    Attributes:
        folder: The folder.
        fingerprint: SHA-256 (hex) over weights, config, tokenizer and image processor files: two
            folders with the same fingerprint give the same vectors.
        dimension: Length of the vectors.
        image_size_px: Width and height the image tower sees.
        max_tokens: Tokens of a text that the text tower sees; the rest is cut off.
        size_bytes: Size of the weights.
    """

    folder: Path
    fingerprint: str
    dimension: int
    image_size_px: int
    max_tokens: int
    size_bytes: int


def inspect_folder(folder: Path) -> ModelFacts:
    """Check that a folder holds a CLIP model, and return what it says of itself.

    Neither torch nor transformers is imported, and no code of the folder runs.

    Args:
        folder: A folder as ``CLIPModel.save_pretrained`` writes it.

    Raises:
        ModelError: The folder is missing, is no CLIP model, or lacks a file.
    """
    config = read_config(folder)
    weights = weight_files(folder)
    if not weights:
        found = [path.name for path in pickle_files(folder)]
        but = (
            f" ({found[0]} is there, but has not been turned into safetensors)"
            if found
            else " and no .bin, .pth or .pt state dict"
        )
        raise ModelError(
            f"model folder {str(folder)!r} has no weights: expected {WEIGHTS}{but};"
            " get the model again, or copy its weights there"
        )
    require_tokenizer(folder)
    read_processor(folder)
    dimension = _positive(config, "projection_dim", folder, default=512)
    text, vision = _part(config, "text_config", folder), _part(config, "vision_config", folder)
    return ModelFacts(
        folder=folder,
        fingerprint=fingerprint(folder),
        dimension=dimension,
        image_size_px=_positive(vision, "image_size", folder, default=224),
        max_tokens=_positive(text, "max_position_embeddings", folder, default=77),
        size_bytes=sum(path.stat().st_size for path in weights),
    )


def clip_folder(folder: Path) -> Path:
    """Return the folder with the CLIP model: the one given, or the only one in it that has one.

    sentence-transformers writes the model to ``0_CLIPModel``, beside its own ``modules.json``.
    """
    if not folder.is_dir() or (folder / CONFIG).exists():
        return folder
    found = [each for each in folder.iterdir() if not each.is_symlink() and _is_clip(each)]
    return found[0] if len(found) == 1 else folder


def raise_clip_folder(folder: Path) -> None:
    """Make a folder that has its CLIP model in an inner folder that model's own folder."""
    inner = clip_folder(folder)
    if inner == folder:
        return
    waiting = folder / f".{inner.name}.inner"
    inner.rename(waiting)
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink() and each != waiting:
            shutil.rmtree(each)
        elif each != waiting:
            each.unlink()
    for each in waiting.iterdir():
        each.rename(folder / each.name)
    waiting.rmdir()


def _is_clip(folder: Path) -> bool:
    if not (folder / CONFIG).is_file():
        return False
    try:
        read_config(folder)
    except (ModelError, WorkspaceError):
        return False
    return True


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` of a CLIP folder.

    Raises:
        ModelError: The folder or the file is missing, is not JSON, or describes another kind of
            model.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ModelError(
            f"model folder {str(folder)!r} {what}; get the model again, or give the folder that"
            " save_pretrained wrote"
        )
    config = read_json(folder, CONFIG)
    kind = config.get("model_type")
    if kind != "clip":
        raise ModelError(
            f"model folder {str(folder)!r} is not a CLIP model: expected"
            f' "model_type": "clip" in {CONFIG}, got {clip(kind)}'
        )
    return config


def read_processor(folder: Path) -> dict[str, Any]:
    """Return the settings of the folder's image processor.

    transformers 5 writes them into ``processor_config.json``, and prefers them there.

    Raises:
        ModelError: There are none, they are damaged, or they are of another make than CLIP's.
    """
    settings: Any = None
    if (folder / PROCESSOR).is_file():
        settings = read_json(folder, PROCESSOR).get("image_processor")
    if settings is None and (folder / PREPROCESSOR).is_file():
        settings = read_json(folder, PREPROCESSOR)
    if not isinstance(settings, dict):
        raise ModelError(
            f"model folder {str(folder)!r} has no image processor: expected {PREPROCESSOR}; save it"
            " there with processor.save_pretrained(folder)"
        )
    kind = settings.get("image_processor_type") or settings.get("feature_extractor_type") or "CLIP"
    if not str(kind).startswith("CLIP"):
        raise ModelError(
            f"model folder {str(folder)!r} wants the image processor {clip(kind)}; only CLIP's"
            " own (CLIPImageProcessor) is supported"
        )
    return settings


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


def image_work(folder: Path) -> int:
    """Return about how many multiplications the image tower does for one image.

    Raises:
        ModelError: The folder is no CLIP model, or its numbers make no sense.
    """
    vision = _part(read_config(folder), "vision_config", folder)

    def number(name: str, default: int) -> int:
        return _positive(vision, name, folder, default=default)

    width = number("hidden_size", 768)
    patches = (number("image_size", 224) // number("patch_size", 32)) ** 2
    layer = 4 * width**2 + 2 * width * number("intermediate_size", 3072)
    return number("num_hidden_layers", 12) * layer * (patches + 1)


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


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 (hex) of everything in the folder that decides the vectors."""
    names = (CONFIG, PREPROCESSOR, PROCESSOR, *TOKENIZER_FILES)
    paths = [folder / name for name in names if (folder / name).is_file()]
    total = hashlib.sha256()
    for path in sorted([*paths, *weight_files(folder)], key=lambda path: path.name):
        digest = hashlib.sha256()
        with open_file(folder, path.name) as opened, opened.reader() as file:
            while block := file.read(1 << 20):
                digest.update(block)
        total.update(f"{path.name}\0{digest.hexdigest()}\n".encode())
    return total.hexdigest()


def require_tokenizer(folder: Path) -> None:
    """Check that a folder has the files of a tokenizer.

    Raises:
        ModelError: It has not.
    """
    if any(all((folder / name).is_file() for name in names) for names in TOKENIZER_SETS):
        return
    raise ModelError(
        f"model folder {str(folder)!r} has no tokenizer: expected tokenizer.json, or vocab.json"
        " with merges.txt; save it there with tokenizer.save_pretrained(folder)"
    )


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


def _part(config: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    part = config.get(name) or {}
    if not isinstance(part, dict):
        raise ModelError(
            f"{str(folder / CONFIG)!r}: {name} must be a JSON object, got {clip(part)}"
        )
    return part


def _positive(config: dict[str, Any], name: str, folder: Path, *, default: int) -> int:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(
            f"{str(folder / CONFIG)!r}: {name} must be a whole number, 1 or more, got {clip(value)}"
        )
    return value
