"""Tiny random models of every family, made by transformers itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 32
TEXTS = ["a black cat", "A Dog, on a CHAIR!", "검은 고양이", "", "gloomy " * 120]
LAYERS = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
VISION = {**LAYERS, "image_size": SIDE, "patch_size": 8}
CORPUS = ["a black cat", "a dog on a chair", "gloomy photos", "A Dog CHAIR", "검은 고양이"]


def save(folder: Path, model: Any, tokenizer: Any, processor: dict[str, Any]) -> Path:
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def words(special: list[str], *, unk: str) -> Any:
    """A BPE tokenizer that falls back to bytes, with case kept, as Gemma's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=unk, byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=500, show_progress=False, special_tokens=[*special, *bytes_]
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def ending(tokenizer: Any, template: str, *tokens: str) -> Any:
    from tokenizers import processors

    tokenizer.post_processor = processors.TemplateProcessing(
        single=template,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in tokens],
    )
    return tokenizer


def siglip(folder: Path) -> Path:
    from transformers import PreTrainedTokenizerFast

    tokenizer = ending(words(["<pad>", "</s>", "<unk>"], unk="<unk>"), "$A </s>", "</s>")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
    )
    return save(folder, _siglip(tokenizer.get_vocab_size()), fast, SIGLIP_IMAGES)


SIGLIP_IMAGES = {
    "image_processor_type": "SiglipImageProcessor",
    "processor_class": "SiglipProcessor",
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "rescale_factor": 1 / 255,
    "resample": 2,
    "size": {"height": SIDE, "width": SIDE},
}


def _siglip(size: int) -> Any:
    from transformers import SiglipConfig, SiglipModel

    text = {**LAYERS, "vocab_size": size, "max_position_embeddings": 64}
    return SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))


def siglip2(folder: Path) -> Path:
    """As the hub has it: ``model_type`` siglip, the tokenizer Gemma's, padding on the right."""
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = words(special, unk="<unk>")
    content = json.loads(tokenizer.to_str())["model"]
    gemma = GemmaTokenizer(
        vocab=content["vocab"],
        merges=[tuple(each) for each in content["merges"]],
        model_max_length=64,
        padding_side="right",
        add_bos_token=False,
        add_eos_token=True,
    )
    save(folder, _siglip(tokenizer.get_vocab_size()), gemma, SIGLIP_IMAGES)
    return folder


CLIP_IMAGES = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
}


def many_languages(config: dict[str, Any]) -> Any:
    """XLM-RoBERTa's tokenizer, whose first tokens are numbered 0 to 3."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = words(["<s>", "<pad>", "</s>", "<unk>"], unk="<unk>")
    ending(tokenizer, "<s> $A </s>", "<s>", "</s>")
    config["vocab_size"] = tokenizer.get_vocab_size()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        model_max_length=77,
    )


def metaclip2(folder: Path) -> Path:
    from transformers import MetaClip2Config, MetaClip2Model

    # With 2 for the end, CLIP would take the highest token instead.
    text = {**LAYERS, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    tokenizer = many_languages(text)
    config = MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=24)
    config.text_config.projection_dim = config.vision_config.projection_dim = 24
    return save(folder, MetaClip2Model(config), tokenizer, CLIP_IMAGES)


def altclip(folder: Path) -> Path:
    from transformers import AltCLIPConfig, AltCLIPModel

    text = {**LAYERS, "max_position_embeddings": 90, "project_dim": 20, "initializer_factor": 1.0}
    tokenizer = many_languages(text)
    config = AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    return save(folder, AltCLIPModel(config), tokenizer, CLIP_IMAGES)


def chineseclip(folder: Path) -> Path:
    from transformers import BertTokenizer, ChineseCLIPConfig, ChineseCLIPModel

    letters = [*"abcdefghijklmnopqrstuvwxyz", *"黑猫红狗海滩晚上", "검은", "고양이", ",", "!"]
    pieces = [*letters, *(f"##{letter}" for letter in letters), "cat", "black"]
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(known) + "\n", encoding="utf-8")
    vocabulary = {word: number for number, word in enumerate(known)}
    text = {**LAYERS, "vocab_size": len(known), "max_position_embeddings": 60, "pad_token_id": 0}
    config = ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    images = {
        "image_processor_type": "ChineseCLIPImageProcessor",
        "size": {"height": SIDE, "width": SIDE},
        "do_center_crop": False,
    }
    save(folder, ChineseCLIPModel(config), BertTokenizer(vocab=vocabulary), images)
    (folder / "tokenizer.json").unlink()  # as the hub has it: vocab.txt alone
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "siglip": siglip,
    "siglip2": siglip2,
    "metaclip_2": metaclip2,
    "altclip": altclip,
    "chinese_clip": chineseclip,
}
