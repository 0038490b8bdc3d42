"""Which weights of a trained model learn on: those of its heads, low-rank changes, or all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from ...models.families.protocol import IMAGE, TEXT
from ...models.temperature import BIAS, SCALE
from .heads import head_of

if TYPE_CHECKING:
    import torch

    from ...models.families.protocol import Family

HEAD, LORA, FULL = "head", "lora", "full"
INSTALL_LORA = "pip install 'thanosql-dbapi[train]'"
_RANK = 16
_ALPHA = 32  # a change counts _ALPHA / _RANK times
_LAYERS = ".encoder.layer"  # what the names of all layers have, ``.layers.`` and ``.layer.``


@dataclass(frozen=True)
class Method:
    """A way to fine-tune.

    Attributes:
        learning_rate: Peak rate of AdamW for towers of :data:`USUAL_WIDTH`, where the user does not
            say.
        epochs: Passes over the pictures, where the user does not say.
    """

    learning_rate: float
    epochs: int


METHODS: Mapping[str, Method] = {
    HEAD: Method(5e-4, 20),
    LORA: Method(2e-4, 10),
    FULL: Method(2e-5, 10),
}
"""The methods by name; the first is the default."""
USUAL_WIDTH = 768
"""Width of CLIP's ViT-B. A rate that suits a matrix goes with one over its width.

Source: Yang et al. 2022, "Tensor Programs V", https://arxiv.org/abs/2203.03466
"""


def require(method: str) -> None:
    """Check that what a method needs is installed.

    Raises:
        ModelError: It is not.
    """
    if method == LORA and find_spec("peft") is None:
        raise ModelError(
            f"method='lora' needs the package peft: {INSTALL_LORA}; method='head' and"
            " method='full' need nothing more; nothing was changed"
        )


def begin(model: torch.nn.Module, family: Family, method: str) -> None:
    """Let the weights of a method learn, and no others.

    ``"head"`` is the last layer of each tower, which makes the vectors; ``"lora"`` is that and, for
    each matrix inside the layers, a change of low rank; ``"full"`` is everything. The temperature
    always learns.

    Args:
        model: See ``trained.load_model``; changed in place.
        family: Its family.
        method: One of :data:`METHODS`.

    Raises:
        ModelError: The family has no head that is known.
    """
    model.requires_grad_(method == FULL)
    if method == LORA:
        _inject(model)
    for name in (SCALE, BIAS):
        if hasattr(model, name):
            getattr(model, name).requires_grad_()
    found = [place for kind in (TEXT, IMAGE) if (place := head_of(model, family, kind))]
    if method == HEAD and not found:
        raise ModelError(
            f"method='head': {family.title} has no last layer that is known here; choose"
            " method='full' or method='lora'"
        )
    for parent, name in found:
        getattr(parent, name).requires_grad_()


def merge(model: torch.nn.Module) -> None:
    """Put the changes of LoRA into the matrices that they change, in place.

    The model is what it was before :func:`begin`, with other weights.
    """
    if not any(hasattr(tower, "peft_config") for tower in _towers(model)):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, BaseTunerLayer):
                layer.merge()
                setattr(module, name, layer.get_base_layer())
    for tower in _towers(model):
        del tower.peft_config


def _towers(model: torch.nn.Module) -> list[Any]:
    return list(model.children())


def _inject(model: torch.nn.Module) -> None:
    from peft import LoraConfig, inject_adapter_in_model
    from torch import nn

    for tower in _towers(model):
        matrices = [
            name
            for name, module in tower.named_modules()
            if isinstance(module, nn.Linear) and _LAYERS in name
        ]
        config = LoraConfig(r=_RANK, lora_alpha=_ALPHA, target_modules=matrices)
        inject_adapter_in_model(config, tower)
