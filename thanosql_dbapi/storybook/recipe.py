"""Trains `storybook_clip` from nothing: `python -m thanosql_dbapi.storybook.recipe --help`.

A CLIP on drawn scenes. Three things make it learn quickly on two cores. Its contrastive loss
takes every caption of the batch that fits an image as right, so that "a black cat" is not pushed
away from the other black cats. In training only, the image tower has to name the scene's six
values as well. And Muon moves the matrices inside the towers. Deterministic given the seed on one
machine; stops and resumes.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .captions import SUBJECTS, codes, say
from .muon import Muon
from .reading import contrast, read_more
from .rendering import render
from .tokens import MAX_TOKENS, make_tokenizer
from .world import COLOURS, COUNTS, MOODS, PLACES, TIMES, lot, sample_scene

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SIDE_PX = 96
_VALUES = (len(SUBJECTS), len(COLOURS), len(COUNTS), len(PLACES), len(TIMES), len(MOODS))
_WEIGHTS = (0.4, 0.2, 0.4, 0.1, 0.1, 0.1)  # what is hard to see counts more
_MEAN = _STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Plan:
    """How long and with what to train.

    Attributes:
        seed: everything random follows from it.
        scenes: training scenes drawn, >= batch.
        steps: optimiser steps of both towers.
        reading_steps: steps of the text tower alone, after those.
        batch: scenes a step.
        captions: captions a step; each is compared with every scene of the batch.
        rate: peak learning rate of AdamW, for embeddings, norms and biases.
        muon_rate: peak learning rate of Muon, for the matrices inside the towers.
    """

    seed: int = 100_000_001
    scenes: int = 80_000
    steps: int = 3_600
    reading_steps: int = 1_500
    batch: int = 128
    captions: int = 96
    rate: float = 2e-3
    muon_rate: float = 0.02


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
        width = self.model.config.vision_config.hidden_size
        self.heads = torch.nn.ModuleList(torch.nn.Linear(width, n) for n in _VALUES).to(device)
        self.named = dict(self.model.named_parameters())
        inner = {n for n, p in self.named.items() if ".layers." in n and p.ndim == 2}
        self.muon = Muon([p for n, p in self.named.items() if n in inner])
        with torch.no_grad():  # positions as loud as the patches themselves
            for tower in (self.model.vision_model, self.model.text_model):
                tower.embeddings.position_embedding.weight.mul_(10)
        others = [p for n, p in self.named.items() if n not in inner]
        decayed = [p for p in others if p.ndim >= 2]
        plain = [p for p in others if p.ndim < 2]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [*decayed, *(h.weight for h in self.heads)], "weight_decay": 0.05},
                {"params": [*plain, *(h.bias for h in self.heads)], "weight_decay": 0.0},
            ],
            lr=plan.rate,
            betas=(0.9, 0.98),
        )
        self.mean = {name: p.detach().clone() for name, p in self.named.items()}
        self.step = 0
        self.right = [0.0] * len(_VALUES)

    def _pace(self) -> float:
        """Warm up, hold, and come down to nothing over the last 40 %; 0 to 1."""
        done = self.step / self.plan.steps
        return min(1.0, (self.step + 1) / 60) * min(1.0, (1.0 - done) / 0.4)

    def _order(self, epoch: int) -> Any:
        import torch

        generator = torch.Generator().manual_seed(self.plan.seed + epoch)
        return torch.randperm(self.plan.scenes, generator=generator)

    def _batch(self) -> tuple[Any, Any, Any, Any]:
        """Give pixels, token ids, scene codes and caption masks of the current step."""
        import numpy as np
        import torch

        size = self.plan.batch
        a_round = self.plan.scenes // size
        epoch, place = divmod(self.step, a_round)
        rows = np.sort(self._order(epoch)[place * size : (place + 1) * size].numpy())
        rng = lot(self.plan.seed, self.step, "captions")
        told = rng.sample(range(size), min(size, self.plan.captions))
        said = [say(self.scenes[rows[i]], rng) for i in told]
        masks = torch.tensor([meaning.bits() for _, meaning in said])
        ids = self.tokenizer(
            [text for text, _ in said], padding=True, return_tensors="pt"
        ).input_ids
        images = torch.from_numpy(self.pixels[rows]).to(self.device)
        images = images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        flip = torch.tensor([rng.random() < 0.5 for _ in rows])
        images[flip] = images[flip].flip(3)
        return images, ids.to(self.device), self.codes[torch.from_numpy(rows)], masks

    def train_step(self) -> tuple[float, float]:
        """Take one step; give the contrastive loss and the heads' loss."""
        import torch
        from torch.nn.functional import cross_entropy, normalize

        images, ids, values, masks = self._batch()
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * self._pace()
        seen = self.model.vision_model(images).pooler_output
        read = self.model.text_model(ids).pooler_output
        a = normalize(self.model.visual_projection(seen), dim=-1)
        b = normalize(self.model.text_projection(read), dim=-1)
        fits = ((masks[:, None, :] >> values[None, :, :]) & 1).all(-1).float().to(self.device)
        closeness = contrast(b @ a.T * self.model.logit_scale.exp(), fits)
        values = values.to(self.device)
        naming = torch.zeros((), device=self.device)
        for i, (head, share) in enumerate(zip(self.heads, _WEIGHTS, strict=True)):
            naming = naming + share * cross_entropy(head(seen), values[:, i])
        loss = closeness + naming
        for weight in (*self.named.values(), *self.heads.parameters()):
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.muon.step(self.plan.muon_rate * self._pace())
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=math.log(60))
            keep = min(0.995, (self.step + 1) / (self.step + 20))
            for name, p in self.named.items():
                self.mean[name].lerp_(p, 1 - keep)
        self.step += 1
        right = [
            (head(seen).argmax(1) == values[:, i]).float().mean().item()
            for i, head in enumerate(self.heads)
        ]
        self.right = [0.95 * a + 0.05 * b for a, b in zip(self.right, right, strict=True)]
        return closeness.item(), naming.item()

    def result(self) -> Any:
        """Give a model with the running mean of the weights."""
        import torch

        model = make_model(len(self.tokenizer), self.tokenizer.eos_token_id).to(self.device)
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(self.mean[name])
        return model

    def read_more(self) -> Any:
        """Give that model after the second part of the training."""
        model, n = self.result(), min(self.plan.scenes, 40_000)
        read_more(
            model,
            self.tokenizer,
            self.pixels[:n],
            self.scenes[:n],
            self.codes[:n],
            seed=self.plan.seed,
            steps=self.plan.reading_steps,
            device=self.device,
        )
        return model

    def save(self, model: Any, folder: Path) -> None:
        """Write a model folder."""
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        model.save_pretrained(part)
        (part / "model.safetensors").chmod(0o644)
        save_processor(part, self.tokenizer)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)

    def checkpoint(self) -> None:
        """Keep all that is needed to go on after a stop."""
        import torch

        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "muon": self.muon.state_dict(),
            "mean": self.mean,
        }
        part = self.work / "checkpoint.part"
        torch.save(state, part)
        part.replace(self.work / "checkpoint.pt")

    def resume(self) -> None:
        """Go on from the checkpoint in the working folder, if there is one."""
        import torch

        path = self.work / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.muon.load_state_dict(state["muon"])
        self.mean = state["mean"]


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
    parser.add_argument("--batch", type=int, default=plan.batch)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--save-every", type=int, default=300, help="steps between checkpoints")
    given = parser.parse_args()
    plan = Plan(given.seed, given.scenes, given.steps, given.reading_steps, given.batch)
    started = time.perf_counter()
    trainer = Trainer(plan, given.work, given.device)
    trainer.resume()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("%s parameters", f"{sum(p.numel() for p in trainer.named.values()):,}")
    while trainer.step < plan.steps:
        closeness, naming = trainer.train_step()
        if trainer.step % 20 == 0:
            shares = " ".join(f"{share:.3f}" for share in trainer.right)
            elapsed_s = time.perf_counter() - started
            log.info(
                "%6d %.3f %.3f %6.0f s  %s", trainer.step, closeness, naming, elapsed_s, shares
            )
        if trainer.step % given.save_every == 0 or trainer.step == plan.steps:
            trainer.checkpoint()
            trainer.save(trainer.result(), given.output)
    trainer.save(trainer.read_more(), given.output)


if __name__ == "__main__":
    main()
