"""A CLIP small enough to make on the spot, with vectors as long as the real one's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIMENSION = 512
START, END = "<|startoftext|>", "<|endoftext|>"
_IMAGE_SIZE_PX = 32
_MAX_TOKENS = 77


def make_model(folder: Path, *, dimension: int = DIMENSION, seed: int = 0) -> Path:
    """Write a randomly initialised CLIP folder, the same one for the same seed.

    Args:
        folder: Where it goes, as ``CLIPModel.save_pretrained`` writes it.
        dimension: Length of its vectors.
        seed: Seed of its weights.

    Returns:
        ``folder``, ready for ``UPLOAD MODEL``.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _byte_tokenizer()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=_MAX_TOKENS,
    ).save_pretrained(folder)
    layers = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = CLIPConfig(
        text_config={
            **layers,
            "vocab_size": tokenizer.get_vocab_size(),
            "max_position_embeddings": _MAX_TOKENS,
            "bos_token_id": tokenizer.token_to_id(START),
            "eos_token_id": tokenizer.token_to_id(END),
            "pad_token_id": tokenizer.token_to_id(END),
        },
        vision_config={**layers, "image_size": _IMAGE_SIZE_PX, "patch_size": 8},
        projection_dim=dimension,
    )
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "size": {"shortest_edge": _IMAGE_SIZE_PX},
                "crop_size": {"height": _IMAGE_SIZE_PX, "width": _IMAGE_SIZE_PX},
                "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711],
            }
        )
    )
    return folder


def _byte_tokenizer() -> Any:
    """Return a tokenizer whose tokens are the bytes of a text: it knows every text there is."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    # Not as number 2: with that number transformers looks for the highest token, not the end.
    tokens = [START, END, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([START, END])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])],
    )
    return tokenizer
