"""What lies in a model's folder, read without torch or transformers, and its fingerprint.

A model folder is what ``save_pretrained`` of a model and of its processor write: ``config.json``,
the weights as safetensors, the tokenizer's and the image processor's files. Weights of older makes
are turned into safetensors by ``weights``.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, WorkspaceError, clip
from .families.protocol import Family
from .families.registry import read_family
from .files import (
    CONFIG,
    PREPROCESSOR,
    PROCESSOR,
    WEIGHTS,
    open_file,
    pickle_files,
    read_json,
    weight_files,
)
from .numbers import check_config


@dataclass(frozen=True)
class ModelFacts:
    """What a model folder says of itself.

    Attributes:
        folder: The folder.
        base: The base algorithm, the end of a vector column's name where nothing else is said.
        fingerprint: SHA-256 (hex) over weights, config, tokenizer and image processor files: two
            folders with the same fingerprint give the same vectors.
        dimension: Length of the vectors.
        image_size_px: Width and height the image tower sees.
        max_tokens: Tokens of a text that the text tower sees; the rest is cut off.
        size_bytes: Size of the weights.
    """

    folder: Path
    base: str
    fingerprint: str
    dimension: int
    image_size_px: int
    max_tokens: int
    size_bytes: int


def inspect_folder(folder: Path) -> ModelFacts:
    """Check that a folder holds a model of a known family, and return what it says of itself.

    Neither torch nor transformers is imported, and no code of the folder runs.

    Args:
        folder: A folder as ``save_pretrained`` writes it.

    Raises:
        ModelError: The folder is missing, is of no known family, or lacks a file.
    """
    family = read_family(folder)
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
    require_tokenizer(folder, family)
    read_processor(folder, family)
    numbers = check_config(folder)
    return ModelFacts(
        folder=folder,
        base=family.base_of(folder),
        fingerprint=fingerprint(folder),
        dimension=family.dimension(numbers),
        image_size_px=numbers["vision_config.image_size"],
        max_tokens=family.max_tokens(numbers),
        size_bytes=sum(path.stat().st_size for path in weights),
    )


def inner_folder(folder: Path) -> Path:
    """Return the folder with the model: the one given, or that in a sentence-transformers folder.

    sentence-transformers writes the model to ``0_CLIPModel``, beside its own ``modules.json``.
    """
    if not folder.is_dir() or (folder / CONFIG).exists():
        return folder
    has_modules = (folder / "modules.json").is_file()
    found = [
        each
        for each in folder.iterdir()
        if (has_modules or each.name.startswith("0_")) and not each.is_symlink() and _is_model(each)
    ]
    return found[0] if len(found) == 1 else folder


def raise_inner_folder(folder: Path) -> None:
    """Make a folder that has its model in an inner folder that model's own folder."""
    inner = inner_folder(folder)
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


def _is_model(folder: Path) -> bool:
    if not (folder / CONFIG).is_file():
        return False
    try:
        read_family(folder)
    except (ModelError, WorkspaceError):
        return False
    return True


def read_processor(folder: Path, family: Family) -> dict[str, Any]:
    """Return the settings of the folder's image processor.

    transformers 5 writes them into ``processor_config.json``, and prefers them there.

    Raises:
        ModelError: There are none, they are damaged, or they are of another family's make.
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
    make = family.images.makes
    kind = settings.get("image_processor_type") or settings.get("feature_extractor_type") or make
    if kind != make and not str(kind).startswith(
        (f"{make}ImageProcessor", f"{make}FeatureExtractor")
    ):
        raise ModelError(
            f"model folder {str(folder)!r} wants the image processor {clip(kind)}; for"
            f" {family.title}, only {make}ImageProcessor is supported"
        )
    return settings


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 (hex) of everything in the folder that decides the vectors."""
    names = (CONFIG, PREPROCESSOR, PROCESSOR, *read_family(folder).tokenizer_files)
    paths = [folder / name for name in names if (folder / name).is_file()]
    total = hashlib.sha256()
    for path in sorted([*paths, *weight_files(folder)], key=lambda path: path.name):
        digest = hashlib.sha256()
        with open_file(folder, path.name) as opened, opened.reader() as file:
            while block := file.read(1 << 20):
                digest.update(block)
        total.update(f"{path.name}\0{digest.hexdigest()}\n".encode())
    return total.hexdigest()


def require_tokenizer(folder: Path, family: Family) -> None:
    """Check that a folder has the files of its family's tokenizer.

    Raises:
        ModelError: It has not.
    """
    sets = family.tokenizer_sets
    if any(all((folder / name).is_file() for name in names) for names in sets):
        return
    wanted = ", or ".join(" with ".join(names) for names in sets)
    raise ModelError(
        f"model folder {str(folder)!r} has no tokenizer: expected {wanted}; save it there with"
        " tokenizer.save_pretrained(folder)"
    )
