"""MetaCLIP 2: CLIP's towers with the words of many languages.

Its answer is read at the first end token, whose number is 2, and which is the last of CLIP's
exceptions: there, 2 stands for the highest token of the text.
Source: https://arxiv.org/abs/2507.22062
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .clip import Clip
from .protocol import Family, ends_text


class MetaClip2(Clip):
    """MetaCLIP 2."""

    model_type = "metaclip_2"
    title = "MetaCLIP 2"
    base = "metaclip2"
    config_class = "MetaClip2Config"
    model_class = "MetaClip2Model"
    tokenizer_sets = (("tokenizer.json",), ("sentencepiece.bpe.model",))
    tokenizer_files = (*Family.tokenizer_files, "sentencepiece.bpe.model")

    def build(self, config: Any, kind: str) -> Any:
        return Family.build(self, config, kind)

    def vectors(self, tower: Any, kind: str, inputs: Mapping[str, Any]) -> Any:
        return Family.vectors(self, tower, kind, inputs)

    def check_tokenizer(self, folder: Path, config: Any, tokenizer: Any) -> None:
        ends_text(folder, tokenizer, config.text_config.eos_token_id)


FAMILY = MetaClip2()
