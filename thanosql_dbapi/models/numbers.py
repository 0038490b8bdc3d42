"""The numbers of a model's configuration, checked against what makes sense and one another.

transformers and torch take a vocabulary of -1, a patch of 0 or a million layers at their word, and
fail later, or never come back. Needs neither of them, but for a name of an activation that is not
known.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..errors import ModelError, clip
from .families.registry import family_of
from .files import CONFIG, read_config

_ACTIVATIONS = {"quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}


def check_config(folder: Path) -> dict[str, int]:
    """Check the numbers of a folder's configuration, and that they agree with one another.

    Args:
        folder: A model folder.

    Returns:
        The numbers, ``"vision_config.patch_size"`` and so on, as the family names them.

    Raises:
        ModelError: One makes no sense; the message has its name, its value and what is expected.
    """
    config = read_config(folder)
    family = family_of(config, folder)
    found: dict[str, int] = {}
    for part, numbers in family.numbers.items():
        settings = _part(folder, config, part) if part else config
        prefix = f"{part}." if part else ""
        for each in numbers:
            value = settings.get(each.name, each.default)
            if (
                isinstance(value, bool)
                or not isinstance(value, int)
                or not each.least <= value <= each.most
            ):
                expected = f"a whole number from {each.least} to {each.most:,}"
                raise wrong_number(folder, prefix + each.name, value, expected)
            found[prefix + each.name] = value
        if part:
            _check_tower(folder, part, settings, found)
    side, patch = found["vision_config.image_size"], found["vision_config.patch_size"]
    if patch > side:
        raise wrong_number(
            folder, "vision_config.patch_size", patch, f"image_size, {side}, at most"
        )
    if found["vision_config.num_channels"] != 3:
        channels = found["vision_config.num_channels"]
        raise wrong_number(folder, "vision_config.num_channels", channels, "3: red, green and blue")
    family.check(folder, config, found)
    return found


def _check_tower(folder: Path, part: str, settings: dict[str, Any], found: dict[str, int]) -> None:
    width, heads = found[f"{part}.hidden_size"], found[f"{part}.num_attention_heads"]
    if width % heads:
        raise wrong_number(
            folder, f"{part}.num_attention_heads", heads, f"a divisor of hidden_size, {width}"
        )
    _check_activation(folder, part, settings.get("hidden_act", "gelu"))
    epsilon = settings.get("layer_norm_eps", 1e-5)
    if (
        isinstance(epsilon, bool)
        or not isinstance(epsilon, (int, float))
        or not (math.isfinite(epsilon) and 0 < epsilon < 1)
    ):
        raise wrong_number(folder, f"{part}.layer_norm_eps", epsilon, "a number between 0 and 1")


def image_work(folder: Path) -> int:
    """Return about how many multiplications the image tower does for one image.

    Raises:
        ModelError: The folder holds no model, or its numbers make no sense.
    """
    numbers = {
        name.removeprefix("vision_config."): value
        for name, value in check_config(folder).items()
        if name.startswith("vision_config.")
    }
    width = numbers["hidden_size"]
    patches = (numbers["image_size"] // numbers["patch_size"]) ** 2
    layer = 4 * width**2 + 2 * width * numbers["intermediate_size"]
    return numbers["num_hidden_layers"] * layer * (patches + 1)


def _check_activation(folder: Path, part: str, name: Any) -> None:
    if not isinstance(name, str) or not (name in _ACTIVATIONS or _is_activation(name)):
        some = ", ".join(sorted(_ACTIVATIONS))
        raise wrong_number(
            folder, f"{part}.hidden_act", name, f"one that transformers has: {some} …"
        )


def _is_activation(name: str) -> bool:
    try:
        from transformers.activations import ACT2FN
    except ImportError:
        return False
    return name in ACT2FN


def _part(folder: Path, config: dict[str, Any], name: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    # Old folders repeat a part under another name, which wins.
    for each in (name, f"{name}_dict"):
        part = config.get(each) or {}
        if not isinstance(part, dict):
            raise wrong_number(folder, each, part, "a JSON object")
        parts.update(part)
    return parts


def wrong_number(folder: Path, name: str, value: Any, expected: str) -> ModelError:
    """Return the error about one number of a configuration.

    Args:
        folder: The model's folder.
        name: Where the number stands.
        value: What stands there.
        expected: What would make sense.
    """
    return ModelError(
        f"{str(folder / CONFIG)!r}: {name} is {clip(value)}; expected {expected};"
        " correct it, or get the model again"
    )
