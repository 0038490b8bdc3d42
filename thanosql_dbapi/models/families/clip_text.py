"""CLIP's text tower in numpy: one text, without torch, whose import takes seconds.

The same sums as transformers' ``CLIPTextModelWithProjection`` in float32, to 1e-5. What is out of
the ordinary in a folder is left to torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = Sequence[int] | None
Read = Callable[[str, Rows], Floats]
"""Gives a tensor by its name as float32; of a large one, only the rows that are asked for."""

_LAYER = "text_model.encoder.layers.{}.{}"
_FIRST_END = 2
_EPSILON = 1e-5


def _quick_gelu(x: Floats) -> Floats:
    found: Floats = x / (1 + np.exp(np.float32(-1.702) * x))
    return found


def _relu(x: Floats) -> Floats:
    found: Floats = np.maximum(x, np.float32(0))
    return found


_ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "quick_gelu": _quick_gelu,
    "relu": _relu,
}


def can_compute(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration asks for nothing but what is computed here.

    Args:
        config: ``text_config`` of ``config.json``.
    """
    return config.get("hidden_act", "quick_gelu") in _ACTIVATIONS


def text_vector(
    config: Mapping[str, Any], numbers: Mapping[str, int], read: Read, tokens: Sequence[int]
) -> Floats | None:
    """Return the vector of a text, not normalised; None where its end is not found.

    Args:
        config: ``text_config`` of ``config.json``.
        numbers: The whole numbers of the configuration.
        read: Reads the folder's weights.
        tokens: The text's, its begin and end included; no padding.

    Returns:
        float32 array (dimension,).
    """
    place = _end(tokens, int(config.get("eos_token_id", 49_407)))
    if place is None:
        return None
    layers, heads = (
        numbers[f"text_config.{name}"] for name in ("num_hidden_layers", "num_attention_heads")
    )
    epsilon = float(config.get("layer_norm_eps", _EPSILON))
    act = _ACTIVATIONS[config.get("hidden_act", "quick_gelu")]

    def norm(x: Floats, name: str) -> Floats:
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(epsilon))
        found: Floats = x * read(f"{name}.weight", None) + read(f"{name}.bias", None)
        return found

    def linear(x: Floats, name: str) -> Floats:
        found: Floats = x @ read(f"{name}.weight", None).T + read(f"{name}.bias", None)
        return found

    x = read("text_model.embeddings.token_embedding.weight", tokens)
    x = x + read("text_model.embeddings.position_embedding.weight", range(len(tokens)))
    for number in range(layers):
        inner = norm(x, _LAYER.format(number, "layer_norm1"))
        attention = _LAYER.format(number, "self_attn")
        query, key, value = (linear(inner, f"{attention}.{part}_proj") for part in "qkv")
        x = x + linear(_attended(query, key, value, heads), f"{attention}.out_proj")
        inner = norm(x, _LAYER.format(number, "layer_norm2"))
        inner = act(linear(inner, _LAYER.format(number, "mlp.fc1")))
        x = x + linear(inner, _LAYER.format(number, "mlp.fc2"))
    # A text's vector is that of its end.
    pooled = norm(x[place], "text_model.final_layer_norm")
    found: Floats = pooled @ read("text_projection.weight", None).T
    return found


def _attended(query: Floats, key: Floats, value: Floats, heads: int) -> Floats:
    """Return what each token takes of itself and those before it; arrays are (tokens, width)."""
    count, width = query.shape

    def split(x: Floats) -> Floats:
        found: Floats = x.reshape(count, heads, width // heads).transpose(1, 0, 2)
        return found

    scores = split(query) @ split(key).transpose(0, 2, 1) / np.float32((width // heads) ** 0.5)
    scores[:, np.triu(np.ones((count, count), bool), 1)] = -np.inf
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = scores / scores.sum(axis=-1, keepdims=True)
    mixed: Floats = (weights @ split(value)).transpose(1, 0, 2).reshape(count, width)
    return mixed


def _end(tokens: Sequence[int], end: int) -> int | None:
    """Return the place of the token whose vector is the text's."""
    # Checkpoints from before transformers 4.31 say 2 and mean the token of the highest number.
    wanted = max(tokens, default=0) if end == _FIRST_END else end
    return tokens.index(wanted) if wanted in tokens else None
