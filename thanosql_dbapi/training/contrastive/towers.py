"""An untrained CLIP of a given size, how its towers are trained, and the folder it is kept in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.files import PREPROCESSOR, WEIGHTS
from ...models.preprocessing import Preparation
from .loss import contrast

if TYPE_CHECKING:
    import torch

LARGEST_SCALE = 60.0
"""Bound of the scale: 1 over the lowest temperature."""
_FIRST_SCALE = 14.0
_MEAN = _STD = 0.5
_BICUBIC = 3  # Pillow's number of the filter


@dataclass(frozen=True)
class Size:
    """The shape of a CLIP.

    Attributes:
        side_px: Width and height of the pictures that it sees, whatever their shape was.
        patch_px: Side of a patch.
        width: Width of the image tower.
        layers: Its layers.
        text_width: Width of the text tower.
        text_layers: Its layers.
        dimension: Length of the vectors.
        merges: Most merges of the tokenizer.
        batch: Pictures a step, where the user does not say.
    """

    side_px: int
    patch_px: int
    width: int
    layers: int
    text_width: int
    text_layers: int
    dimension: int
    merges: int
    batch: int

    @property
    def preparation(self) -> Preparation:
        """What the model sees of an image."""
        return Preparation(
            edge_px=None,
            size_px=(self.side_px, self.side_px),
            crop_px=None,
            resample=_BICUBIC,
            scale=(1 / 255 / _STD,) * 3,
            shift=(-_MEAN / _STD,) * 3,
        )


SIZES: Mapping[str, Size] = {
    "tiny": Size(64, 16, 128, 6, 128, 2, 128, 4_000, 128),
    "small": Size(128, 16, 256, 8, 256, 4, 256, 8_000, 256),
    "base": Size(224, 16, 768, 12, 512, 8, 512, 24_000, 512),
}
"""The sizes that a user may choose; docs/train.md has their parameters and times."""
_HEAD = 32  # width of an attention head of the small ones
_HEAD_BASE = 64


def clip_config(size: Size, vocabulary: int, most_tokens: int) -> Any:
    """Return the transformers CLIPConfig of a size.

    Args:
        size: The size.
        vocabulary: Number of tokens; the last is the end token, the one before it the start.
        most_tokens: Tokens that the text tower sees.
    """
    from transformers import CLIPConfig

    shared = {"hidden_act": "relu" if size.width < 768 else "quick_gelu", "layer_norm_eps": 1e-5}

    def tower(width: int, layers: int) -> dict[str, Any]:
        heads = width // (_HEAD if width < 512 else _HEAD_BASE)
        return {
            **shared,
            "hidden_size": width,
            "intermediate_size": (3 if width < 512 else 4) * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
        }

    return CLIPConfig(
        text_config={
            **tower(size.text_width, size.text_layers),
            "vocab_size": vocabulary,
            "max_position_embeddings": most_tokens,
            # Not 2, for which transformers takes a text's vector at the highest token id.
            "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1,
            "pad_token_id": vocabulary - 1,
        },
        vision_config={
            **tower(size.width, size.layers),
            "image_size": size.side_px,
            "patch_size": size.patch_px,
        },
        projection_dim=size.dimension,
        logit_scale_init_value=math.log(_FIRST_SCALE),
    )


def make_clip(config: Any, seed: int) -> Any:
    """Return an untrained transformers CLIPModel; the same seed gives the same weights.

    Args:
        config: A CLIPConfig.
        seed: Decides the first weights.
    """
    import torch
    from transformers import CLIPModel

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = CLIPModel(config)
        for tower in (model.vision_model, model.text_model):
            # Positions as loud as the patches and tokens themselves.
            tower.embeddings.position_embedding.weight.mul_(10)
    return model


class ClipTowers:
    """The towers of a transformers CLIPModel; see ``learner.Towers``.

    Args:
        model: The model.
        largest_scale: Bound of the scale.
    """

    def __init__(self, model: Any, largest_scale: float = LARGEST_SCALE) -> None:
        self._model, self._most = model, math.log(largest_scale)

    def images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed pictures; see ``learner.Towers``."""
        seen = self._model.vision_model(pixels).pooler_output
        return seen, self._model.visual_projection(seen)

    def texts(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Embed texts; see ``learner.Towers``."""
        read = self._model.text_model(**tokens).pooler_output
        vectors: torch.Tensor = self._model.text_projection(read)
        return vectors

    def loss(self, cosines: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
        """Return the contrastive loss; see ``learner.Towers``."""
        return contrast(cosines * self._model.logit_scale.exp(), fits)

    def bound(self) -> None:
        """Keep the scale at its bound."""
        self._model.logit_scale.clamp_(max=self._most)


def save_clip(model: Any, tokenizer: Any, preparation: Preparation, folder: Path) -> None:
    """Write a model folder as ``save_pretrained`` does.

    Args:
        model: A CLIPModel.
        tokenizer: Its tokenizer.
        preparation: What it sees of an image: a square, whatever the image's shape.
        folder: An empty folder, or none.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    # Not the model's own save_pretrained, which shows a bar of its own.
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    weights = {name: each.detach().cpu().contiguous() for name, each in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    tokenizer.backend_tokenizer.no_truncation()  # calls leave their settings behind
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    assert preparation.size_px is not None
    height, width = preparation.size_px
    side = {"height": height, "width": width}
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": side,
        "resample": preparation.resample,
        "do_center_crop": False,
        "crop_size": side,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [_MEAN] * 3,
        "image_std": [_STD] * 3,
    }
    text = json.dumps(processor, indent=2) + "\n"
    (folder / PREPROCESSOR).write_text(text, encoding="utf-8")
