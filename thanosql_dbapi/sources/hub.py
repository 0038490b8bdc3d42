"""Models from the Hugging Face hub, through huggingface_hub and its cache.

``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` count as they
stand when the model is fetched, not as they stood when huggingface_hub was imported.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError, clip
from ..progress import Progress
from .network import refuse_offline

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
_COMMIT = re.compile(r"[0-9a-f]{40}")


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


def fetch_snapshot(source: str, folder: Path, *, offline: bool, progress: Progress) -> None:
    """Put a hub model's files for transformers into a folder.

    Large files are hard links into the hub's cache where the file system allows it.

    Args:
        source: ``hf:org/name[@revision]``.
        folder: An empty folder.
        offline: Only the hub's cache may be used.
        progress: Shows the bytes.

    Raises:
        SourceError: The hub cannot be reached, or has no such model or revision, or wants a
            token; or the model is not in the cache while offline.
    """
    hub = parse_source(source)
    cached = _from_cache(hub)
    if cached is None or not _COMMIT.fullmatch(hub.revision):  # a branch may have moved
        if not _is_offline(offline):
            try:
                cached = _download(hub, progress)
            except SourceError:
                if cached is None:
                    raise
        elif cached is None:
            refuse_offline(offline, f"{hub} is not in the hub's cache; getting it")
            raise SourceError(
                f"{hub} is not in the hub's cache, and HF_HUB_OFFLINE forbids to get it; unset it"
            )
    for name, path in cached.items():
        _place(path, folder / name)


def _is_offline(offline: bool) -> bool:
    value = os.environ.get("HF_HUB_OFFLINE", "")
    return offline or value.upper() in ("1", "ON", "YES", "TRUE")


def _cache_folder() -> str | None:
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


def _from_cache(hub: HubSource) -> dict[str, Path] | None:
    """Return the model's files in the hub's cache; None if it is not whole there."""
    from huggingface_hub import try_to_load_from_cache

    where: dict[str, Any] = {"cache_dir": _cache_folder(), "revision": hub.revision}
    config = try_to_load_from_cache(hub.repo, CONFIG, **where)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    names = choose_files([path.name for path in folder.iterdir() if path.exists()])
    has_weights = any(name.endswith((".safetensors", ".bin")) for name in names)
    has_words = not set(WORDS).isdisjoint(names) or {"vocab.json", "merges.txt"} <= set(names)
    has_images = "preprocessor_config.json" in names or "processor_config.json" in names
    if not (has_weights and has_words and has_images):
        return None
    return {name: folder / name for name in names}


def _download(hub: HubSource, progress: Progress) -> dict[str, Path]:
    from huggingface_hub import HfApi, hf_hub_download

    endpoint = os.environ.get("HF_ENDPOINT") or None
    with _our_errors(hub, endpoint):
        api = HfApi(endpoint=endpoint, library_name="thanosql-dbapi")
        info = api.model_info(hub.repo, revision=hub.revision, files_metadata=True)
        sizes = {item.rfilename: item.size or 0 for item in info.siblings or []}
        names = choose_files(list(sizes))
        total = sum(sizes[name] for name in names) or None
        commit = info.sha or hub.revision
        where: dict[str, Any] = {
            "endpoint": endpoint,
            "cache_dir": _cache_folder(),
            "library_name": "thanosql-dbapi",
        }
        paths = {}
        with progress.track(f"download {hub.repo}", total, "B") as advance:
            for name in names:
                meter = _meter(advance)
                bars = {"tqdm_class": meter} if _takes_tqdm(hf_hub_download) else {}
                path = hf_hub_download(hub.repo, name, revision=commit, **where, **bars)
                paths[name] = Path(path)
                advance(max(0, sizes[name] - meter.counted))
        if commit != hub.revision:  # has the cache note which commit the branch stands at
            hf_hub_download(hub.repo, CONFIG, revision=hub.revision, **where)
    return paths


def _takes_tqdm(function: Callable[..., Any]) -> bool:
    import inspect

    return "tqdm_class" in inspect.signature(function).parameters


def _meter(advance: Callable[[int], None]) -> Any:
    """Return a tqdm class that shows nothing and tells ``advance`` of the bytes."""
    from tqdm.std import tqdm

    class Meter(tqdm):  # type: ignore[type-arg]
        counted = 0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # huggingface_hub's own tqdm has it
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            Meter.counted += int(n or 0)
            advance(int(n or 0))
            return None

    return Meter


@contextmanager
def _our_errors(hub: HubSource, endpoint: str | None) -> Iterator[None]:
    """Turn huggingface_hub's errors into one SourceError that says what to do."""
    from huggingface_hub import errors

    place = endpoint or "https://huggingface.co"
    try:
        yield
    except errors.GatedRepoError as exc:
        raise SourceError(
            f"{hub} asks to accept its terms first: do so at {place}/{hub.repo}, then set HF_TOKEN"
            " or log in with `hf auth login`"
        ) from exc
    except errors.RepositoryNotFoundError as exc:
        raise SourceError(
            f"{place} has no model {hub.repo!r}, or it is private; check the name, or set HF_TOKEN"
        ) from exc
    except errors.RevisionNotFoundError as exc:
        raise SourceError(
            f"model {hub.repo!r} has no revision {hub.revision!r} at {place}; leave out"
            f" @{hub.revision} for the newest"
        ) from exc
    except errors.HfHubHTTPError as exc:
        code = getattr(exc.response, "status_code", "an error")
        raise SourceError(f"{place} answers {code} for {hub}; try again later") from exc
    except SourceError:
        raise
    # What a failed connection raises depends on the HTTP library that huggingface_hub uses.
    except Exception as exc:
        raise SourceError(
            f"{hub} cannot be downloaded from {place}: {exc}; check the network (and HF_ENDPOINT)"
        ) from exc


def _place(path: Path, target: Path) -> None:
    """Put a cached file into the folder: large ones by hard link, where that can be."""
    real = path.resolve()
    if target.suffix in (".safetensors", ".bin"):
        try:
            os.link(real, target)
            return
        except OSError:
            pass  # another file system
    shutil.copyfile(real, target)
