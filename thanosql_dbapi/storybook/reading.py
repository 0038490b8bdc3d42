"""The short parts of the training: the image tower rests, the text tower reads much more.

Pictures are embedded once, so that a step can compare hundreds of captions with a thousand pictures
for little. Here captions also come with words around them that say nothing ("could i see …
today"), so that a new way of asking does not change what is asked for.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..training.contrastive.loss import contrast
from ..training.contrastive.muon import Muon
from .world import lot

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .meanings import Meaning
    from .world import Scene

Say = Callable[["Scene", random.Random], tuple[str, "Meaning"]]
"""Says some of a scene; gives the caption and its meaning."""
Chatter = Callable[[str, random.Random], str]
"""Puts words that say nothing around some captions."""
Pace = Callable[[int], float]
"""Gives a step's share of the peak learning rates, 0 to 1."""

log = logging.getLogger(__name__)

_PICTURES, _CAPTIONS = 1024, 256


def read_more(
    model: Any,
    tokenizer: Any,
    pixels: np.ndarray,
    scenes: list[Scene],
    values: torch.Tensor,
    *,
    say: Say,
    chatter: Chatter,
    seed: int,
    steps: int,
    pace: Pace,
    device: str,
) -> None:
    """Train text tower and projections against resting pictures, in place.

    A projection whose weights need no gradient rests as well.

    Args:
        model: a CLIPModel on the device.
        tokenizer: its tokenizer.
        pixels: uint8 array (n, side, side, 3).
        scenes: what they show; scenes[i] is pixels[i].
        values: their codes (n, 6).
        say: says some of a scene.
        chatter: puts words that say nothing around some captions.
        seed: which pictures and captions.
        steps: optimiser steps.
        pace: share of the peak learning rates at a step; the first 30 steps warm up.
        device: torch device name.
    """
    import torch
    from torch.nn.functional import normalize

    seen = _look(model, pixels, device)
    named = {
        n: p
        for n, p in model.named_parameters()
        if p.requires_grad and not n.startswith("vision_model.")
    }
    inner = [p for n, p in named.items() if ".layers." in n and p.ndim == 2]
    rest = [p for n, p in named.items() if not (".layers." in n and p.ndim == 2)]
    muon, adam = Muon(inner), torch.optim.AdamW(rest, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        rng = lot(seed, step, "reading")
        rows = rng.sample(range(len(scenes)), min(len(scenes), _PICTURES))
        said = [say(scenes[i], rng) for i in rows[:_CAPTIONS]]
        texts = [chatter(text, rng) for text, _ in said]
        masks = torch.tensor([meaning.bits() for _, meaning in said])
        fits = ((masks[:, None, :] >> values[rows][None, :, :]) & 1).all(-1).float().to(device)
        ids = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").input_ids
        read = model.text_model(ids.to(device)).pooler_output
        a = normalize(model.visual_projection(seen[rows]), dim=-1)
        b = normalize(model.text_projection(read), dim=-1)
        loss = contrast(b @ a.T * model.logit_scale.exp(), fits)
        for p in named.values():
            p.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(named.values()), 1.0)
        share = min(1.0, (step + 1) / 30) * pace(step)
        for group in adam.param_groups:
            group["lr"] = 1e-3 * share
        adam.step()
        muon.step(0.01 * share)
        if (step + 1) % 50 == 0:
            log.info("reading %5d %.3f", step + 1, loss.item())


def _look(model: Any, pixels: np.ndarray, device: str) -> torch.Tensor:
    """Give the image tower's own vectors of all pictures, before the projection."""
    import torch

    found = []
    with torch.no_grad():
        for start in range(0, len(pixels), 256):
            batch = torch.from_numpy(pixels[start : start + 256].copy()).to(device)
            batch = batch.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
            found.append(model.vision_model(batch).pooler_output)
    return torch.cat(found)
