"""A CLIP of ViT-B/32's size with random weights: as much work as the real one, no download."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
# CLIP's own: the 256 bytes, the same at a word's end, a token for each merge, start and end.
MERGES = 49_408 - 512 - 2


def vit_b32(folder: Path, vocabulary: Path | None = None) -> Path:
    """Make the model's folder, and return it.

    Args:
        folder: Where to.
        vocabulary: OpenAI's ``bpe_simple_vocab_16e6.txt.gz``, for the real tokenizer; None makes
            one that knows bytes alone, which loads sooner.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True)
    end = _tokenizer(folder, vocabulary)
    torch.manual_seed(0)
    text = {"vocab_size": 49_408, "bos_token_id": end - 1, "eos_token_id": end}
    CLIPModel(CLIPConfig(text_config=text)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "CLIPImageProcessor", "size": 224, "crop_size": 224})
    )
    return folder


def _tokenizer(folder: Path, vocabulary: Path | None) -> int:
    """Save the tokenizer, and return the number of its end token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = _byte_letters()
    names = letters + [letter + "</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    if vocabulary is not None:
        lines = gzip.decompress(vocabulary.read_bytes()).decode("utf-8").split("\n")
        for line in lines[1 : MERGES + 1]:
            one, other = line.split()
            merges.append((one, other))
    names += ["".join(pair) for pair in merges] + [START, END]
    numbers = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(numbers, merges, unk_token=END, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, numbers[END]),
        (START, numbers[START]),
        trim_offsets=False,
        add_prefix_space=False,
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=77,
    ).save_pretrained(folder)
    return numbers[END]


def _byte_letters() -> list[str]:
    """Return GPT-2's visible letter of each byte, the printable bytes first."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in plain] + [
        chr(0x100 + number) for number in range(256 - len(plain))
    ]
