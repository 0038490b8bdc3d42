"""Storybook: a drawn picture-book world, its data set and its small CLIP, so that all runs offline.

Of the driver, it knows the room of training alone, in the recipe of its model. Pillow, torch and
transformers are imported inside functions only.
"""

from __future__ import annotations

from pathlib import Path

from .dataset import write_dataset

__all__ = ["MODEL_FOLDER", "write_dataset"]

MODEL_FOLDER: Path = Path(__file__).parent / "model"
"""Folder of `storybook_clip`, a plain transformers CLIP folder (base algorithm `clipen`)."""
