"""The model's two small towers, and the folder they are kept in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from ..training.contrastive.towers import Size, clip_config, save_clip
from .tokens import MAX_TOKENS

if TYPE_CHECKING:
    from pathlib import Path

SIDE_PX = 96
_SIZE = Size(SIDE_PX, 16, 128, 6, 128, 2, 128, 640, 128)
_NEW_WORD_STD = 0.05  # as large as the trained ones are


def make_model(vocabulary: int, end_token: int) -> Any:
    """Build the untrained model.

    Args:
        vocabulary: number of tokens.
        end_token: id of the end token, the highest.

    Returns:
        A transformers CLIPModel of about 1.9 million parameters.
    """
    from transformers import CLIPModel

    assert end_token == vocabulary - 1
    return CLIPModel(clip_config(_SIZE, vocabulary, MAX_TOKENS))


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model folder, which takes the place of the one there.

    Args:
        model: a CLIPModel.
        tokenizer: its tokenizer.
        folder: the folder.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    save_clip(model, tokenizer, _SIZE.preparation, part)
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
