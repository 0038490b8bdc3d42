"""All that a training of a model needs that has been trained before; see ``setup``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...models.families.protocol import Family
from ...models.numbers import check_config, image_work
from ...models.preprocessing import Preparation
from .batches import Sampler, Tokenize
from .heads import HeadSampler, HeadTowers
from .judging import Judge
from .learner import Learner, Rates
from .methods import HEAD, LORA, METHODS, USUAL_WIDTH, begin, merge
from .pairs import Pairs
from .setup import Setup
from .trained import Stored, TunedTowers, copy_model, load_model, round_as_stored, save_model

LEAST_BATCH, MOST_BATCH = 16, 64
"""Pictures a step, within these an eighth of what there is."""
_HEAD_BATCH = 256
_DECAY = 0.01
# Multiplications of the image tower that one chunk of a batch takes on the CPU, where nothing says
# that the memory is full before it is: 34 pictures of CLIP's ViT-B/32.
_CHUNK_WORK = 1.5e11


@dataclass(frozen=True, eq=False)
class TunedSetup(Setup):
    """A trained model, about to learn on.

    Attributes:
        family: Its family.
        base: The folder that it was loaded from.
        stored: What that folder has beside the weights' numbers.
        method: What learns.
    """

    family: Family = field(kw_only=True)
    base: Path = field(kw_only=True)
    stored: Stored = field(kw_only=True)
    method: str = field(kw_only=True)

    def settle(self) -> None:
        """Make the model what will be saved: no changes beside its weights, and their precision."""
        if isinstance(self.learner.towers, HeadTowers):
            self.learner.towers.put_back()
        if self.method == LORA:
            merge(self.model)
        round_as_stored(self.model, self.family, self.stored)

    def save(self, folder: Path, *, is_base: bool) -> None:
        """Write the model's folder, after :meth:`settle`.

        Args:
            folder: An empty folder.
            is_base: Whether nothing was learnt that is of use: the weights are the base's.
        """
        if is_base:
            copy_model(self.family, self.base, folder)
        else:
            save_model(self.model, self.family, self.stored, folder)


def load_tokenize(folder: Path, family: Family) -> Tokenize:
    """Return what tokenises texts for a model's text tower."""
    tokenizer = family.load_tokenizer(folder)
    most = family.max_tokens(check_config(folder))
    return lambda texts: family.tokens(tokenizer, list(texts), most)


def from_model(
    folder: Path,
    family: Family,
    preparation: Preparation,
    pairs: Pairs,
    *,
    method: str,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    validate: float = 0.1,
    seed: int = 0,
    device: str = "cpu",
    advance: Callable[[int], None] = lambda count: None,
) -> TunedSetup:
    """Load a model and have it learn on.

    Args:
        folder: Its folder, the path resolved.
        family: Its family.
        preparation: What it sees of an image.
        pairs: What it is going to be trained and judged on.
        method: What learns, one of ``methods.METHODS``.
        batch_size: Pictures a step; None is the default.
        learning_rate: Peak rate of AdamW; None is the method's, by the width of the image tower.
        validate: Share of the pictures held out, 0 to less than 1.
        seed: Decides everything random.
        device: Where it is trained.
        advance: With ``"head"``, hears of the pictures that have gone through the image tower.

    Raises:
        ModelError: The model is damaged, or cannot be trained in this way.
    """
    import torch

    model = load_model(folder, family, device)
    stored = Stored.read(model, family, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        begin(model, family, method)
    trained, held = pairs.split(validate, seed)
    most = _HEAD_BATCH if method == HEAD else MOST_BATCH
    drawn: dict[str, Any] = {
        "batch_size": batch_size or min(most, max(LEAST_BATCH, len(trained) // 8)),
        "seed": seed,
        "device": device,
    }
    arguments = pairs, trained, load_tokenize(folder, family), preparation
    towers: TunedTowers
    sampler: Sampler
    if method == HEAD:
        towers = head_towers = HeadTowers(model, family)
        sampler = HeadSampler(head_towers, *arguments, advance=advance, **drawn)
    else:
        towers = TunedTowers(model, family)
        sampler = Sampler(*arguments, **drawn)
    width = check_config(folder)["vision_config.hidden_size"]
    rate = learning_rate or METHODS[method].learning_rate * USUAL_WIDTH / width
    chunk = max(4, int(_CHUNK_WORK / image_work(folder))) if device == "cpu" else None
    rates = Rates(rate, muon=0.0, decay=_DECAY)
    learner = Learner(towers.learning, towers, rates, chunk=chunk)
    return TunedSetup(
        model,
        None,
        learner,
        sampler,
        Judge(pairs, held, sampler),
        len(trained),
        len(held),
        is_trained=True,
        family=family,
        base=folder,
        stored=stored,
        method=method,
    )
