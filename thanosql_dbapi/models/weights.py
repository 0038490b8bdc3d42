"""Weights: older files turned into safetensors without running their code, and towers filled.

A pickle is a program. ``torch.load(weights_only=True)`` reads the tensors of a state dict and
refuses the rest, so the file is read that way, once, and kept as safetensors from then on.
"""

from __future__ import annotations

import pickle
import pickletools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ModelError, clip
from .families.protocol import Family
from .families.registry import read_family
from .files import WEIGHTS, looks_like, open_file, pickle_files, read_config, weight_files
from .forking import in_sound_thread
from .numbers import check_config

INSTALL = "pip install torch transformers"
# Wrappers that trainers put around a state dict, and prefixes that they put before its names.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.", "clip.")


@contextmanager
def needs_torch() -> Iterator[None]:
    """Turn a missing or broken torch or transformers into a ModelError that says what to install.

    Raises:
        ModelError: torch, transformers or one of their parts cannot be imported.
    """
    try:
        yield
    except ImportError as exc:
        raise ModelError(
            f"models need the packages torch and transformers ({exc}): {INSTALL}"
        ) from exc


def adopt_weights(folder: Path) -> None:
    """Turn a folder's pickled state dict into ``model.safetensors``, and remove the pickle.

    Does nothing where the folder has safetensors already.

    Args:
        folder: A model folder with ``pytorch_model.bin``, or another ``.bin``, ``.pth``, ``.pt``.

    Raises:
        ModelError: There are no weights, the pickle wants to run code, or its tensors are not
            those of the model that ``config.json`` describes. The folder is left as it was.
    """
    read_family(folder)
    if not weight_files(folder):
        in_sound_thread(lambda: _adopt(folder))


def _adopt(folder: Path) -> None:
    candidates = pickle_files(folder)
    if not candidates:
        raise ModelError(
            f"model folder {str(folder)!r} has no weights: expected {WEIGHTS}, or a .bin, .pth or"
            " .pt state dict; copy the weights there"
        )
    shards = [path for path in candidates if path.name.startswith("pytorch_model-")]
    used = shards if shards and candidates[0] in shards else candidates[:1]
    state: dict[str, Any] = {}
    for path in used:
        state.update(_unwrap(_load_pickle(path), path))
    _write(folder, _matching(folder, state, used[0]))
    for path in used:
        path.unlink()


def _load_pickle(path: Path) -> Any:
    with needs_torch():
        import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats, which are what is wanted here
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        unsafe = _wanted_code(path)
        if unsafe:
            raise ModelError(
                f"weights {str(path)!r} refused: the file would run code when loaded"
                f" ({clip(', '.join(unsafe))}), and nothing was run; save the model's state_dict()"
                " alone, or as safetensors"
            ) from exc
        raise ModelError(
            f"weights {str(path)!r} are damaged, or no state dict{looks_like(path)}; get them again"
        ) from exc
    except Exception as exc:
        raise ModelError(
            f"weights {str(path)!r} cannot be read: {exc}{looks_like(path)}; expected a file that"
            " torch.save(model.state_dict(), …) wrote"
        ) from exc


def _wanted_code(path: Path) -> list[str]:
    """Return the functions that a pickle asks for beyond those that build tensors."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        return sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not torch's own zip
        return _named_functions(path)


def _named_functions(path: Path) -> list[str]:
    """Read the names of functions out of a plain pickle, without running it."""
    names: set[str] = set()
    texts: list[str] = []
    try:
        with path.open("rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name in ("GLOBAL", "INST"):
                    names.add(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    names.add(".".join(texts[-2:]))
                elif isinstance(argument, str):
                    texts.append(argument)
    except Exception:  # it ends early, or is no pickle: what was found counts
        pass
    return sorted(name for name in names if not name.startswith(("torch.", "collections.")))


def _unwrap(content: Any, path: Path) -> dict[str, Any]:
    """Return name → tensor, out of the wrappers and prefixes that trainers add."""
    import torch

    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise ModelError(
            f"weights {str(path)!r} hold {clip(type(content).__name__)}, expected a state dict"
            " (tensors by name), as torch.save(model.state_dict(), …) writes it"
        )
    state = {str(key): value for key, value in content.items() if torch.is_tensor(value)}
    for prefix in _PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            state = {key[len(prefix) :]: value for key, value in state.items()}
    return state


def _matching(folder: Path, state: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the model's own tensors out of ``state``, each a copy with its own memory."""
    family = read_family(folder)
    wanted = _expected_shapes(folder, family)
    named = {family.known_name(key): key for key in wanted}
    state = {named.get(family.known_name(key), key): value for key, value in state.items()}
    # Checkpoints from before transformers 4.31 also hold counters.
    extra = sorted(key for key in state.keys() - wanted.keys() if not key.endswith(family.ignored))
    missing = sorted(wanted.keys() - state.keys())
    wrong = sorted(
        key for key in wanted.keys() & state.keys() if tuple(state[key].shape) != wanted[key]
    )
    for names, what in (
        (missing, "lack"),
        (extra, "have, beyond the model's,"),
        (wrong, "have in another shape"),
    ):
        if names:
            raise ModelError(
                f"weights {str(path)!r} do not fit the model that config.json describes: they"
                f" {what} {len(names)} of its tensors, such as {names[0]!r}; expected the state"
                " dict of transformers' {family.model_class}"
            )
    return {key: state[key].detach().clone().contiguous() for key in wanted}


def _expected_shapes(folder: Path, family: Family) -> dict[str, tuple[int, ...]]:
    with needs_torch():
        import torch
        import transformers
    config = load_config(folder)
    with _refusals(folder), torch.device("meta"):
        model = _named(transformers, family.model_class)(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        raise ModelError(
            f"model folder {str(folder)!r}: transformers cannot build the model that config.json"
            f" describes: {type(exc).__name__}: {clip(str(exc), 200)}; get the model again"
        ) from exc


def _write(folder: Path, state: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    temporary = folder / f".{WEIGHTS}.partial"
    try:
        save_file(state, str(temporary), metadata={"format": "pt"})
        temporary.chmod(0o644)
        temporary.replace(folder / WEIGHTS)
    except OSError as exc:
        raise ModelError(f"weights cannot be written to {str(folder)!r}: {exc}") from exc
    finally:
        temporary.unlink(missing_ok=True)


def load_config(folder: Path) -> Any:
    """Return the folder's configuration as transformers has it.

    Raises:
        ModelError: transformers is missing, or refuses the configuration.
    """
    with needs_torch():
        import transformers
    family = read_family(folder)
    check_config(folder)  # a million layers would be built one by one
    content = read_config(folder)
    content.pop("auto_map", None)  # the folder's own code is never looked at
    try:
        config: Any = _named(transformers, family.config_class).from_dict(content)
    except Exception as exc:
        raise ModelError(
            f"model folder {str(folder)!r}: transformers refuses config.json: {exc}"
        ) from exc
    family.settle(config)
    return config


def _named(transformers: Any, name: str) -> Any:
    """Return a class of transformers.

    Raises:
        ModelError: This version has none of the name.
    """
    try:
        return getattr(transformers, name)
    except AttributeError as exc:
        raise ModelError(
            f"transformers {transformers.__version__} has no {name}; install a newer one:"
            " pip install -U transformers"
        ) from exc


def fill_tower(
    build: Callable[[], Any],
    folder: Path,
    *,
    known_name: Callable[[str], str],
    dtype: Any,
    device: str,
) -> Any:
    """Build one tower and give it its own tensors out of the folder's safetensors.

    ``from_pretrained`` would do, but reports the other tower's tensors as unexpected, shows bars,
    and fills missing tensors with random numbers; here a missing tensor is an error.

    Args:
        build: Makes the tower.
        known_name: Brings the names of its tensors and of the folder's together.
        folder: The model folder.
        dtype: The torch dtype of the tower's numbers.
        device: Where the tower shall live.

    Returns:
        The tower, in evaluation mode.

    Raises:
        ModelError: A weight file is damaged, or lacks a tensor of the tower.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    with _refusals(folder), torch.device("meta"):
        tower = build()
    wanted = tower.state_dict()
    named = {known_name(key): key for key in wanted}
    state: dict[str, Any] = {}
    for path in weight_files(folder):
        try:
            with (
                open_file(folder, path.name) as opened,
                safe_open(opened.name(), framework="pt") as file,
            ):
                stored = {known_name(key): key for key in file.keys()}  # noqa: SIM118
                for known in named.keys() & stored.keys():
                    key = stored[known]
                    state[named[known]] = file.get_tensor(key).to(device=device, dtype=dtype)
        except (SafetensorError, ValueError, TypeError) as exc:
            raise ModelError(
                f"weights {str(path)!r} are damaged: {exc}; get the model again"
            ) from exc
        except (OSError, RuntimeError) as exc:  # RuntimeError: torch maps the file
            raise ModelError(f"weights {str(path)!r} cannot be read: {exc}") from exc
    wrong = sorted(
        key for key in wanted if key not in state or state[key].shape != wanted[key].shape
    )
    if wrong:
        raise ModelError(
            f"model folder {str(folder)!r}: the weights lack {len(wrong)} tensors of the model that"
            f" config.json describes, or have them in another shape, such as {wrong[0]!r};"
            " get the model again"
        )
    tower.load_state_dict(state, strict=True, assign=True)
    _fill_counters(tower, device)
    return tower.eval().requires_grad_(False)


def _fill_counters(tower: Any, device: str) -> None:
    """Make the buffers that no weight file holds: positions, and types of tokens, which are 0."""
    import torch

    for name, buffer in list(tower.named_buffers()):
        if buffer.is_meta:
            owner, _, own = name.rpartition(".")
            if own == "position_ids":
                filled = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
            elif own == "token_type_ids":
                filled = torch.zeros(buffer.shape, dtype=buffer.dtype, device=device)
            else:
                raise ModelError(
                    f"this version of transformers wants a tensor {name!r} that no weight file"
                    " holds and that is not known here; install one that this driver was tried with"
                )
            tower.get_submodule(owner).register_buffer(own, filled, persistent=False)
