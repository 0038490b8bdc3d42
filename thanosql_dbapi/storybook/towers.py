"""The model's two small towers, and the folder they are kept in."""

from __future__ import annotations

import json
import math
import shutil
from typing import TYPE_CHECKING, Any

from .tokens import MAX_TOKENS

if TYPE_CHECKING:
    from pathlib import Path

SIDE_PX = 96
_MEAN = _STD = (0.5, 0.5, 0.5)
_NEW_WORD_STD = 0.05  # as large as the trained ones are


def make_model(vocabulary: int, end_token: int) -> Any:
    """Build the untrained model.

    Args:
        vocabulary: number of tokens.
        end_token: id of the end token; must not be 2, where transformers pools elsewhere.

    Returns:
        A transformers CLIPModel of about 1.9 million parameters.
    """
    from transformers import CLIPConfig, CLIPModel

    shared = {"hidden_act": "relu", "layer_norm_eps": 1e-5}
    config = CLIPConfig(
        text_config={
            **shared,
            "vocab_size": vocabulary,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": MAX_TOKENS,
            "bos_token_id": end_token - 1,
            "eos_token_id": end_token,
            "pad_token_id": end_token,
        },
        vision_config={
            **shared,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "image_size": SIDE_PX,
            "patch_size": 16,
        },
        projection_dim=128,
        logit_scale_init_value=math.log(14),
    )
    return CLIPModel(config)


def save_processor(folder: Path, tokenizer: Any) -> None:
    """Write tokenizer and image processor files into a model folder."""
    tokenizer.backend_tokenizer.no_truncation()  # calls leave their settings behind
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    side = {"height": SIDE_PX, "width": SIDE_PX}
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": side,
        "resample": 3,
        "do_center_crop": False,
        "crop_size": side,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(_MEAN),
        "image_std": list(_STD),
    }
    text = json.dumps(processor, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model folder, which takes the place of the one there.

    Args:
        model: a CLIPModel.
        tokenizer: its tokenizer.
        folder: the folder.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    (part / "model.safetensors").chmod(0o644)
    save_processor(part, tokenizer)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def with_more_words(model: Any, known: dict[str, int], tokenizer: Any, seed: int) -> Any:
    """Give a model more tokens; all that it has learnt stays as it is.

    Args:
        model: a CLIPModel of `make_model`.
        known: its tokens and their ids.
        tokenizer: the larger tokenizer; every known token is one of its tokens.
        seed: of the new tokens' first vectors.

    Returns:
        A model that reads texts of known tokens alone as the given one does.
    """
    import torch

    larger = make_model(len(tokenizer), tokenizer.eos_token_id)
    weights = model.state_dict()
    name = "text_model.embeddings.token_embedding.weight"
    old = weights[name]
    words = tokenizer.get_vocab()
    new = torch.randn((len(words), old.shape[1]), generator=torch.Generator().manual_seed(seed))
    new *= _NEW_WORD_STD
    for word, i in known.items():
        new[words[word]] = old[i]
    larger.load_state_dict({**weights, name: new})
    return larger.to(old.device)
