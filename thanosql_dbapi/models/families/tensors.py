"""The names and shapes of the tensors that families have in common."""

from __future__ import annotations

from collections.abc import Iterator

from .protocol import Numbers, Shape

Tensors = Iterator[tuple[str, Shape]]


def linear(name: str, inside: int, outside: int, *, bias: bool = True) -> Tensors:
    """Yield the tensors of a linear layer from ``inside`` numbers to ``outside``."""
    yield f"{name}.weight", (outside, inside)
    if bias:
        yield f"{name}.bias", (outside,)


def layer_norm(name: str, width: int) -> Tensors:
    """Yield the tensors of a layer's normalisation."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def clip_layers(tower: str, part: str, numbers: Numbers) -> Tensors:
    """Yield the tensors of the layers of a tower built as CLIP's.

    Args:
        tower: The tower's name in the weights.
        part: The tower's part of the configuration.
        numbers: The numbers of the configuration.
    """
    width, inner = numbers[f"{part}.hidden_size"], numbers[f"{part}.intermediate_size"]
    for number in range(numbers[f"{part}.num_hidden_layers"]):
        layer = f"{tower}.encoder.layers.{number}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{layer}.self_attn.{name}", width, width)
        yield from linear(f"{layer}.mlp.fc1", width, inner)
        yield from linear(f"{layer}.mlp.fc2", inner, width)
        yield from layer_norm(f"{layer}.layer_norm1", width)
        yield from layer_norm(f"{layer}.layer_norm2", width)


def clip_image_tower(numbers: Numbers) -> Tensors:
    """Yield the tensors of an image tower built as CLIP's, ``vision_model``."""
    part, tower = "vision_config", "vision_model"
    width, patch = numbers[f"{part}.hidden_size"], numbers[f"{part}.patch_size"]
    patches = (numbers[f"{part}.image_size"] // patch) ** 2
    yield f"{tower}.embeddings.class_embedding", (width,)
    yield f"{tower}.embeddings.patch_embedding.weight", (width, 3, patch, patch)
    yield f"{tower}.embeddings.position_embedding.weight", (patches + 1, width)
    for name in ("pre_layrnorm", "post_layernorm"):
        yield from layer_norm(f"{tower}.{name}", width)
    yield from clip_layers(tower, part, numbers)


def clip_text_tower(numbers: Numbers) -> Tensors:
    """Yield the tensors of a text tower built as CLIP's, ``text_model``."""
    part, tower = "text_config", "text_model"
    width = numbers[f"{part}.hidden_size"]
    yield f"{tower}.embeddings.token_embedding.weight", (numbers[f"{part}.vocab_size"], width)
    positions = numbers[f"{part}.max_position_embeddings"]
    yield f"{tower}.embeddings.position_embedding.weight", (positions, width)
    yield from layer_norm(f"{tower}.final_layer_norm", width)
    yield from clip_layers(tower, part, numbers)


def bert_tower(tower: str, numbers: Numbers) -> Tensors:
    """Yield the tensors of a text tower built as BERT, without its pooler."""
    part = "text_config"
    width, inner = numbers[f"{part}.hidden_size"], numbers[f"{part}.intermediate_size"]
    words = f"{tower}.embeddings"
    for name, size in (
        ("word", "vocab_size"),
        ("position", "max_position_embeddings"),
        ("token_type", "type_vocab_size"),
    ):
        yield f"{words}.{name}_embeddings.weight", (numbers[f"{part}.{size}"], width)
    yield from layer_norm(f"{words}.LayerNorm", width)
    for number in range(numbers[f"{part}.num_hidden_layers"]):
        layer = f"{tower}.encoder.layer.{number}"
        for name in ("query", "key", "value"):
            yield from linear(f"{layer}.attention.self.{name}", width, width)
        yield from linear(f"{layer}.attention.output.dense", width, width)
        yield from layer_norm(f"{layer}.attention.output.LayerNorm", width)
        yield from linear(f"{layer}.intermediate.dense", width, inner)
        yield from linear(f"{layer}.output.dense", inner, width)
        yield from layer_norm(f"{layer}.output.LayerNorm", width)


def projections(numbers: Numbers, text_width: int) -> Tensors:
    """Yield the layers that bring both towers' vectors to one length."""
    dimension = numbers["projection_dim"]
    yield "text_projection.weight", (dimension, text_width)
    yield "visual_projection.weight", (dimension, numbers["vision_config.hidden_size"])
