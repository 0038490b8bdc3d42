"""CLIP's text tower in numpy: some texts, without torch, whose import takes seconds.

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


def text_vectors(
    config: Mapping[str, Any],
    numbers: Mapping[str, int],
    read: Read,
    texts: Sequence[Sequence[int]],
) -> Floats | None:
    """Return the vectors of texts, not normalised; None where the end of one is not found.

    Args:
        config: ``text_config`` of ``config.json``.
        numbers: The whole numbers of the configuration.
        read: Reads the folder's weights.
        texts: The tokens of each, their begin and end included; no padding. One or more.

    Returns:
        float32 array (n, dimension).
    """
    places = [_end(tokens, int(config.get("eos_token_id", 49_407))) for tokens in texts]
    ends = [place for place in places if place is not None]
    if len(ends) < len(texts):
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

    # A token looks at those before it alone, so what pads a text does not matter.
    longest = max(map(len, texts))
    padded = np.array([[*tokens, *[tokens[-1]] * (longest - len(tokens))] for tokens in texts])
    known, which = np.unique(padded, return_inverse=True)
    embedded = read("text_model.embeddings.token_embedding.weight", known.tolist())
    positions = read("text_model.embeddings.position_embedding.weight", range(longest))
    x = embedded[which.ravel()] + np.tile(positions, (len(texts), 1))
    for number in range(layers):
        inner = norm(x, _LAYER.format(number, "layer_norm1"))
        attention = _LAYER.format(number, "self_attn")
        query, key, value = (linear(inner, f"{attention}.{part}_proj") for part in "qkv")
        mixed = _attended(query, key, value, len(texts), heads)
        x = x + linear(mixed, f"{attention}.out_proj")
        inner = norm(x, _LAYER.format(number, "layer_norm2"))
        inner = act(linear(inner, _LAYER.format(number, "mlp.fc1")))
        x = x + linear(inner, _LAYER.format(number, "mlp.fc2"))
    # A text's vector is that of its end.
    last = x[np.arange(len(texts)) * longest + np.array(ends)]
    pooled = norm(last, "text_model.final_layer_norm")
    found: Floats = pooled @ read("text_projection.weight", None).T
    return found


def _attended(query: Floats, key: Floats, value: Floats, texts: int, heads: int) -> Floats:
    """Return what each token takes of itself and those before it in its text.

    The arrays are (texts * tokens, width).
    """
    rows, width = query.shape
    count = rows // texts

    def split(x: Floats) -> Floats:
        found: Floats = x.reshape(texts, count, heads, width // heads).transpose(0, 2, 1, 3)
        return found

    keys = split(key).transpose(0, 1, 3, 2)
    scores = split(query) @ keys / np.float32((width // heads) ** 0.5)
    scores[..., np.triu(np.ones((count, count), bool), 1)] = -np.inf
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = scores / scores.sum(axis=-1, keepdims=True)
    mixed: Floats = (weights @ split(value)).transpose(0, 2, 1, 3).reshape(rows, width)
    return mixed


def _end(tokens: Sequence[int], end: int) -> int | None:
    """Return the place of the token whose vector is the text's."""
    # Checkpoints from before transformers 4.31 say 2 and mean the token of the highest number.
    wanted = max(tokens, default=0) if end == _FIRST_END else end
    return tokens.index(wanted) if wanted in tokens else None
