"""Why a model is of no family here, and what comes nearest to it."""

from __future__ import annotations

from typing import Any

_OWN_CODE = (
    "it needs code of its own out of the folder (auto_map, trust_remote_code), and no code of a"
    " model is run"
)
# model_type → (why, the nearest of the catalog)
_REASONS = {
    "siglip2": (
        "NaFlex checkpoints take each picture in a shape of its own, and models here see one shape",
        "siglip2",
    ),
    "jina_clip": (_OWN_CODE, "siglip_multilingual"),
    "mexma-siglip": (_OWN_CODE, "siglip_multilingual"),
    "mexma-siglip2": (_OWN_CODE, "siglip2"),
    "mobileclip": ("transformers has no class for it", "clip_tiny"),
    "open_clip": ("transformers has no class for it", "clip_laion"),
    "clipseg": ("it marks parts of pictures and gives no vectors to search by", "clip"),
    "blip": ("it writes captions; its vectors are not compared by their cosine", "clip_laion"),
    "blip-2": ("it writes captions; its vectors are not compared by their cosine", "siglip2"),
    "siglip_vision_model": ("it has no text tower, and so texts find nothing", "siglip2"),
    "clip_vision_model": ("it has no text tower, and so texts find nothing", "clip"),
}
_BESIDE = "GET THANOSQL MODEL {} has one that comes near, and LIST THANOSQL MODEL shows them all"


def reason(config: dict[str, Any]) -> str:
    """Return why there is no family for a configuration, and what to take instead."""
    kind = config.get("model_type")
    if isinstance(kind, str) and kind.lower() in _REASONS:
        why, nearest = _REASONS[kind.lower()]
        return f"{why}. {_BESIDE.format(nearest)}"
    if config.get("auto_map"):
        return f"{_OWN_CODE}. {_BESIDE.format('siglip2')}"
    if "model_cfg" in config:
        return (
            f"it is a checkpoint of open_clip, not of transformers. {_BESIDE.format('clip_laion')}"
        )
    return (
        "another package can add a family of models by an entry point of the group"
        f" thanosql.families. {_BESIDE.format('clip')}"
    )
