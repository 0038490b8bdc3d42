"""Trains `storybook_clip` from nothing: `python -m thanosql_dbapi.storybook.recipe --help`.

A CLIP on drawn scenes, trained by ``training.contrastive``. Three things make it learn quickly on
two cores. Its contrastive loss takes every caption of the batch that fits an image as right, so
that "a black cat" is not pushed away from the other black cats. In training only, the image tower
has to name the scene's six values as well: that is what the drawn world knows, and all that is the
recipe's own. And Muon moves the matrices inside the towers. When it reads English, the image
tower is done: the text tower alone learns Korean too, which moves no picture's vector.
Deterministic given the seed on one machine; stops and resumes.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..training.contrastive.learner import Batch, Learner, Losses, Rates
from ..training.contrastive.towers import ClipTowers
from ..training.contrastive.work import Work
from . import captions, chatter
from .korean import say_korean
from .meanings import SUBJECTS, Meaning, codes
from .reading import Chatter, Say, read_more
from .rendering import render
from .tokens import make_tokenizer
from .towers import SIDE_PX, make_model, save, with_more_words
from .world import COLOURS, COUNTS, MOODS, PLACES, TIMES, Scene, lot, sample_scene

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

_VALUES = (len(SUBJECTS), len(COLOURS), len(COUNTS), len(PLACES), len(TIMES), len(MOODS))
_WEIGHTS = (0.4, 0.2, 0.4, 0.1, 0.1, 0.1)  # what is hard to see counts more


@dataclass(frozen=True)
class Plan:
    """How long and with what to train.

    Attributes:
        seed: everything random follows from it.
        scenes: training scenes drawn, >= batch.
        steps: optimiser steps of both towers.
        reading_steps: steps of the text tower alone, after those.
        korean_steps: steps of the text tower alone in both languages, after those.
        batch: scenes a step.
        captions: captions a step; each is compared with every scene of the batch.
        rate: peak learning rate of AdamW, for embeddings, norms and biases.
        muon_rate: peak learning rate of Muon, for the matrices inside the towers.
    """

    seed: int = 100_000_001
    scenes: int = 80_000
    steps: int = 3_600
    reading_steps: int = 1_500
    korean_steps: int = 2_400
    batch: int = 128
    captions: int = 96
    rate: float = 2e-3
    muon_rate: float = 0.02


class Trainer:
    """One training run in a working folder.

    Args:
        plan: how long and with what.
        work: keeps the drawn scenes and the checkpoint.
        device: torch device name.
    """

    def __init__(self, plan: Plan, work: Path, device: str) -> None:
        """See the class."""
        import numpy as np
        import torch

        self.plan, self.work, self.device = plan, work, device
        work.mkdir(parents=True, exist_ok=True)
        pixels = work / f"train-{plan.seed}-{plan.scenes}-{SIDE_PX}.u8"
        if not pixels.exists():
            part = pixels.with_suffix(".part")
            render(part, rows=plan.scenes, seed=plan.seed, side_px=SIDE_PX)
            part.rename(pixels)
        shape = (plan.scenes, SIDE_PX, SIDE_PX, 3)
        self.pixels: np.ndarray = np.memmap(pixels, np.uint8, "r", shape=shape)
        self.scenes = [sample_scene(plan.seed, i) for i in range(plan.scenes)]
        self.codes = torch.tensor([codes(scene) for scene in self.scenes])
        torch.manual_seed(plan.seed)
        self.tokenizer = make_tokenizer(plan.seed)
        self.model = make_model(len(self.tokenizer), self.tokenizer.eos_token_id).to(device)
        self.values: Any = _make_values(self.model.config.vision_config.hidden_size).to(device)
        with torch.no_grad():  # positions as loud as the patches themselves
            for tower in (self.model.vision_model, self.model.text_model):
                tower.embeddings.position_embedding.weight.mul_(10)
        rates = Rates(adam=plan.rate, muon=plan.muon_rate)
        self.learner = Learner(self.model, ClipTowers(self.model), rates, aid=self.values)

    @property
    def step(self) -> int:
        """The steps taken."""
        return self.learner.steps

    def _pace(self) -> float:
        """Warm up, hold, and come down to nothing over the last 40 %; 0 to 1."""
        done = self.step / self.plan.steps
        return min(1.0, (self.step + 1) / 60) * min(1.0, (1.0 - done) / 0.4)

    def _order(self, epoch: int) -> Any:
        import torch

        generator = torch.Generator().manual_seed(self.plan.seed + epoch)
        return torch.randperm(self.plan.scenes, generator=generator)

    def _batch(self) -> Batch:
        """Give what the current step learns from."""
        import numpy as np
        import torch

        size = self.plan.batch
        a_round = self.plan.scenes // size
        epoch, place = divmod(self.step, a_round)
        rows = np.sort(self._order(epoch)[place * size : (place + 1) * size].numpy())
        rng = lot(self.plan.seed, self.step, "captions")
        told = rng.sample(range(size), min(size, self.plan.captions))
        said = [captions.say(self.scenes[rows[i]], rng) for i in told]
        masks = torch.tensor([meaning.bits() for _, meaning in said])
        ids = self.tokenizer(
            [text for text, _ in said], padding=True, return_tensors="pt"
        ).input_ids
        images = torch.from_numpy(self.pixels[rows]).to(self.device)
        images = images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        flip = torch.tensor([rng.random() < 0.5 for _ in rows])
        images[flip] = images[flip].flip(3)
        values = self.codes[torch.from_numpy(rows)]
        fits = ((masks[:, None, :] >> values[None, :, :]) & 1).all(-1).float()
        tokens = {"input_ids": ids.to(self.device)}
        return Batch(images, tokens, fits.to(self.device), values.to(self.device))

    def train_step(self) -> Losses:
        """Take one step; give the contrastive loss and the loss of naming the scene's values."""
        return self.learner.step(self._batch(), self._pace())

    def result(self) -> Any:
        """Give a model with the running mean of the weights."""
        import torch

        model = make_model(len(self.tokenizer), self.tokenizer.eos_token_id).to(self.device)
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(self.learner.mean[name])
        return model

    def read_more(self) -> Any:
        """Give that model after the second part of the training."""
        model = self.result()
        plan = self.plan
        say, amid = captions.say, chatter.chatter
        self._read(model, self.tokenizer, say, amid, plan.seed, plan.reading_steps, _evenly)
        return model

    def learn_korean(self, english: Path) -> tuple[Any, Any]:
        """Take the third part of the training.

        Args:
            english: the model folder that the second part gave.

        Returns:
            The model that reads both languages, and its tokenizer. Pictures have the vectors
            that they had.
        """
        from transformers import CLIPModel

        tokenizer = make_tokenizer(self.plan.seed, korean=True)
        model: Any = CLIPModel.from_pretrained(english)
        known = self.tokenizer.get_vocab()
        model = with_more_words(model, known, tokenizer, self.plan.seed).to(self.device)
        model.visual_projection.requires_grad_(False)
        seed = self.plan.seed + 1  # other captions than in the second part
        steps = self.plan.korean_steps
        amid = chatter.chatter_in_its_language
        self._read(model, tokenizer, _say_either, amid, seed, steps, _faster_at_last)
        return model, tokenizer

    def _read(
        self,
        model: Any,
        tokenizer: Any,
        say: Say,
        amid: Chatter,
        seed: int,
        steps: int,
        falls: Callable[[float], float],
    ) -> None:
        n = min(self.plan.scenes, 40_000)
        read_more(
            model,
            tokenizer,
            self.pixels[:n],
            self.scenes[:n],
            self.codes[:n],
            say=say,
            chatter=amid,
            seed=seed,
            steps=steps,
            pace=lambda step: falls(step / steps),
            device=self.device,
        )

    def checkpoint(self) -> None:
        """Keep all that is needed to go on after a stop."""
        self._kept().save(self.learner.state_dict())

    def resume(self) -> None:
        """Go on from the checkpoint in the working folder, if there is one."""
        if state := self._kept().load(self.device):
            self.learner.load_state_dict(state)

    def _kept(self) -> Work:
        return Work(self.work / "checkpoint", repr(self.plan))


def _make_values(width: int) -> Any:
    """Return what has the image tower name a scene's six values; an ``Aid`` of the training.

    Args:
        width: Width of what the image tower sees.

    Returns:
        A module that takes the codes (n, 6) of scenes. Its ``right`` is the running share of
        scenes that it names rightly, for each value.
    """
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    class Values(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList(nn.Linear(width, n) for n in _VALUES)
            self.right = [0.0] * len(_VALUES)

        def forward(self, seen: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
            loss = seen.new_zeros(len(seen))
            for i, (head, share) in enumerate(zip(self.heads, _WEIGHTS, strict=True)):
                found = head(seen)
                loss = loss + share * cross_entropy(found, told[:, i], reduction="none")
                right = (found.argmax(1) == told[:, i]).float().mean().item()
                self.right[i] = 0.95 * self.right[i] + 0.05 * right
            return loss

    return Values()


def _say_either(scene: Scene, rng: random.Random) -> tuple[str, Meaning]:
    """Say a scene in Korean or, two times of five, in English, so that this is not forgotten."""
    return say_korean(scene, rng) if rng.random() < 0.6 else captions.say(scene, rng)


def _evenly(done: float) -> float:
    """Come down to nothing by the end; 1 to 0."""
    return 1 - done


def _faster_at_last(done: float) -> float:
    """Come down to a quarter or so, and over the last twelfth to nothing; 1 to 0."""
    return min(1 - 0.8 * done, 3.2 * (1 - done))


def main() -> None:
    """Train and write the model folder."""
    import torch

    plan = Plan()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="model folder to write")
    parser.add_argument(
        "--work", type=Path, default=Path("storybook-work"), help="scenes, checkpoint"
    )
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--scenes", type=int, default=plan.scenes)
    parser.add_argument("--steps", type=int, default=plan.steps)
    parser.add_argument("--reading-steps", type=int, default=plan.reading_steps)
    parser.add_argument("--korean-steps", type=int, default=plan.korean_steps)
    parser.add_argument("--batch", type=int, default=plan.batch)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--save-every", type=int, default=300, help="steps between checkpoints")
    given = parser.parse_args()
    plan = Plan(
        given.seed,
        given.scenes,
        given.steps,
        given.reading_steps,
        given.korean_steps,
        given.batch,
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    trainer = Trainer(plan, given.work, given.device)
    english = given.work / "english"
    if not english.exists():
        trainer.resume()
        _train_both_towers(trainer, given.save_every, given.output)
        save(trainer.read_more(), trainer.tokenizer, english)
    save(*trainer.learn_korean(english), given.output)


def _train_both_towers(trainer: Trainer, save_every: int, output: Path) -> None:
    """Take the first part of the training, telling and keeping how far it is."""
    started = time.perf_counter()
    log.info("%s parameters", f"{sum(p.numel() for p in trainer.model.parameters()):,}")
    while trainer.step < trainer.plan.steps:
        closeness, naming = trainer.train_step()
        if trainer.step % 20 == 0:
            shares = " ".join(f"{share:.3f}" for share in trainer.values.right)
            elapsed_s = time.perf_counter() - started
            log.info(
                "%6d %.3f %.3f %6.0f s  %s", trainer.step, closeness, naming, elapsed_s, shares
            )
        if trainer.step % save_every == 0 or trainer.step == trainer.plan.steps:
            trainer.checkpoint()
            save(trainer.result(), trainer.tokenizer, output)


if __name__ == "__main__":
    main()
