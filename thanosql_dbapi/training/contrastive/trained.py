"""A trained model that learns on: loaded whole in float32, its towers, and the folder it becomes.

What comes out has the tensors, names and precision of the folder that it was read from, so it is an
ordinary folder for transformers, whatever method trained it.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from ...models.families.protocol import IMAGE, TEXT, Family
from ...models.files import (
    CONFIG,
    PREPROCESSOR,
    PROCESSOR,
    WEIGHTS,
    WEIGHTS_INDEX,
    open_file,
    weight_files,
)
from ...models.temperature import BIAS, SCALE
from ...models.weights import fill_tower, load_config, needs_torch
from .loss import contrast, pairwise

if TYPE_CHECKING:
    import torch

_LARGEST_SCALE = 100.0  # CLIP's own bound


def load_model(folder: Path, family: Family, device: str) -> torch.nn.ModuleDict:
    """Return both towers of a model and its temperature, in float32, nothing of it learning.

    Args:
        folder: A model folder, its path resolved.
        family: Its family.
        device: Where it is to live.

    Raises:
        ModelError: Its weights are damaged, or have no temperature: nothing to train it by.
    """
    with needs_torch():
        import torch
    config = load_config(folder)
    model = torch.nn.ModuleDict()
    for kind in (TEXT, IMAGE):
        model[kind] = fill_tower(
            lambda kind=kind: family.build(config, kind),  # type: ignore[misc]
            folder,
            known_name=family.known_name,
            dtype=torch.float32,
            device=device,
        )
    for name, value in _stored(folder, (SCALE, BIAS)).items():
        parameter = torch.nn.Parameter(value.to(device, torch.float32), requires_grad=False)
        model.register_parameter(name, parameter)
    if not hasattr(model, SCALE):
        raise ModelError(
            f"model folder {str(folder)!r}: {family.title} has no {SCALE} in its weights, so there"
            " is no contrast to train it by; choose a model of another family"
        )
    return model


class TunedTowers:
    """The towers of a model that learns on; see ``learner.Towers``.

    Args:
        model: See :func:`load_model`.
        family: Its family.

    Attributes:
        learning: The module whose weights learn.
    """

    def __init__(self, model: Any, family: Family) -> None:
        self.learning = model
        self.model, self.family = model, family

    def images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed pictures; see ``learner.Towers``."""
        vectors = self.family.vectors(self.model[IMAGE], IMAGE, {"pixel_values": pixels})
        return vectors, vectors

    def texts(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Embed texts; see ``learner.Towers``."""
        vectors: torch.Tensor = self.family.vectors(self.model[TEXT], TEXT, tokens)
        return vectors

    def loss(self, cosines: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
        """Return the loss that the model was trained with; see ``learner.Towers``."""
        logits = cosines * self.model.logit_scale.exp()
        if hasattr(self.model, BIAS):
            return pairwise(logits + self.model.logit_bias, fits)
        return contrast(logits, fits)

    def bound(self) -> None:
        """Keep the scale at its bound."""
        self.model.logit_scale.clamp_(max=math.log(_LARGEST_SCALE))


@dataclass(frozen=True, eq=False)
class Stored:
    """What a model's folder says beside its weights' numbers, read before a training.

    Attributes:
        files: The files that describe the model, by name.
        tensors: The tensors of its weights, by name; those that the model has are without numbers.
    """

    files: Mapping[str, bytes]
    tensors: Mapping[str, torch.Tensor]

    @classmethod
    def read(cls, model: Any, family: Family, folder: Path) -> Stored:
        """Read a folder.

        Args:
            model: What :func:`load_model` gave for it.
            family: Its family.
            folder: The folder, its path resolved.

        Raises:
            OSError: A file cannot be read.
        """
        files = {}
        for name in _described(family):
            if (folder / name).is_file():
                with open_file(folder, name) as opened:
                    files[name] = opened.read()
        learnt = _learnt(model, family)
        tensors = {
            name: value.to("meta") if family.known_name(name) in learnt else value
            for name, value in _stored(folder).items()
        }
        return cls(files, tensors)


def save_model(model: Any, family: Family, stored: Stored, folder: Path) -> None:
    """Write the folder of a model that has learnt on.

    Args:
        model: See :func:`load_model`; without LoRA's changes beside the matrices.
        family: Its family.
        stored: What the folder that it was loaded from had.
        folder: An empty folder.

    Raises:
        OSError: The disk says no.
        SafetensorError: The disk says no.
    """
    from safetensors.torch import save_file

    for name, content in stored.files.items():
        (folder / name).write_bytes(content)
    learnt = _learnt(model, family)
    state = {
        name: learnt.get(family.known_name(name), value).to(value.dtype).reshape(value.shape)
        for name, value in stored.tensors.items()
    }
    save_file(
        {name: value.cpu().contiguous() for name, value in state.items()},
        str(folder / WEIGHTS),
        metadata={"format": "pt"},
    )
    (folder / WEIGHTS).chmod(0o644)


def copy_model(family: Family, base: Path, folder: Path) -> None:
    """Write the folder of a model that is its base: the fingerprint is the same.

    Args:
        family: Its family.
        base: The base's folder, its path resolved.
        folder: An empty folder.

    Raises:
        ModelError: The base is not there any more.
        OSError: The disk says no.
    """
    if not (base / CONFIG).is_file():
        raise ModelError(f"model folder {str(base)!r} was removed during the training")
    weights = [path.name for path in weight_files(base)]
    for name in (*_described(family), *weights, WEIGHTS_INDEX):
        if (base / name).is_file():
            with (
                open_file(base, name) as opened,
                opened.reader() as source,
                (folder / name).open("xb") as file,
            ):
                shutil.copyfileobj(source, file)


def round_as_stored(model: Any, family: Family, stored: Stored) -> None:
    """Round a model's weights, in place, to the precision that they are saved in."""
    import torch

    learnt = _learnt(model, family)
    with torch.no_grad():
        for name, value in stored.tensors.items():
            own = learnt.get(family.known_name(name))
            if own is not None:
                own.copy_(own.to(value.dtype))


def _described(family: Family) -> tuple[str, ...]:
    return (CONFIG, PREPROCESSOR, PROCESSOR, *family.tokenizer_files)


def _learnt(model: Any, family: Family) -> dict[str, torch.Tensor]:
    """Return the weights of a model by the names that its family knows."""
    found = {}
    for kind in (TEXT, IMAGE):
        for name, value in model[kind].state_dict().items():
            found[family.known_name(name)] = value
    for name, value in model.named_parameters(recurse=False):
        found[name] = value.detach()
    return found


def _stored(folder: Path, names: tuple[str, ...] | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors of a folder's weights, or some of them, as they are stored."""
    from safetensors import safe_open

    found = {}
    for path in weight_files(folder):
        with (
            open_file(folder, path.name) as opened,
            safe_open(opened.name(), framework="pt") as file,
        ):
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                if names is None or name in names:
                    found[name] = file.get_tensor(name)
    return found
