"""Models of the Hugging Face hub on this machine: their names, and their files in the hub's cache.

``HF_HOME`` and ``HF_HUB_CACHE`` count as they stand when a model is looked for, not as they stood
when huggingface_hub was imported.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError, clip

CONFIG = "config.json"
SETTINGS = (
    *(CONFIG, "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json"),
    # SigLIP's, Gemma's, XLM-RoBERTa's and BERT's words.
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "vocab.txt"),
)
# Each of these is a whole tokenizer.
WORDS = (
    "tokenizer.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
)
# The first of these that a repository has are its weights; TensorFlow's and others' are not for us.
WEIGHTS = (
    ("model.safetensors", r"model\.safetensors"),
    ("model.safetensors.index.json", r"model(-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)"),
    ("pytorch_model.bin", r"pytorch_model\.bin"),
    ("pytorch_model.bin.index.json", r"pytorch_model-\d+-of-\d+\.bin"),
)
_SOURCE = re.compile(r"hf:(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?")
PLACES = ("", "0_CLIPModel/")
"""Where sentence-transformers puts the model, if it is not at the top."""


@dataclass(frozen=True)
class HubSource:
    """A model on the hub.

    Attributes:
        repo: ``org/name``.
        revision: A commit, tag or branch.
    """

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hf:{self.repo}@{self.revision}"


def parse_source(source: str) -> HubSource:
    """Return what ``hf:org/name[@revision]`` means.

    Raises:
        SourceError: It is not of that form.

    Example:
        >>> parse_source("hf:openai/clip-vit-base-patch32").revision
        'main'
    """
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise SourceError(f"expected hf:org/name[@revision], got {clip(source)}")
    return HubSource(found["repo"], found["revision"] or "main")


def is_cached(source: str) -> bool:
    """Return whether a model is whole in the hub's cache, and needs no network.

    Args:
        source: ``hf:org/name[@revision]``.
    """
    try:
        return from_cache(parse_source(source)) is not None
    except OSError:
        return False


def cache_folder() -> Path:
    """Return where the hub's cache is, which need not exist."""
    from huggingface_hub import constants

    return Path(named_cache() or constants.HF_HUB_CACHE)


def named_cache() -> str | None:
    """Return the hub's cache as the environment says now; None leaves it to huggingface_hub."""
    if folder := os.environ.get("HF_HUB_CACHE"):
        return folder
    if home := os.environ.get("HF_HOME"):
        return str(Path(home).expanduser() / "hub")
    return None


def choose_files(names: list[str]) -> list[str]:
    """Return the files that transformers needs, out of a repository's."""
    chosen = [name for name in SETTINGS if name in names]
    for first, pattern in WEIGHTS:
        if first in names:
            return chosen + [name for name in names if re.fullmatch(pattern, name)]
    return chosen


def from_cache(hub: HubSource) -> dict[str, Path] | None:
    """Return the model's files in the hub's cache; None if it is not whole there."""
    from huggingface_hub import try_to_load_from_cache

    where: dict[str, Any] = {"cache_dir": named_cache(), "revision": hub.revision}
    configs = (try_to_load_from_cache(hub.repo, each + CONFIG, **where) for each in PLACES)
    config = next((each for each in configs if isinstance(each, str)), None)
    if config is None:
        return None
    folder = Path(config).parent
    names = choose_files([path.name for path in folder.iterdir() if path.exists()])
    has_weights = any(name.endswith((".safetensors", ".bin")) for name in names)
    has_words = not set(WORDS).isdisjoint(names) or {"vocab.json", "merges.txt"} <= set(names)
    has_images = "preprocessor_config.json" in names or "processor_config.json" in names
    if not (has_weights and has_words and has_images):
        return None
    return {name: folder / name for name in names}
