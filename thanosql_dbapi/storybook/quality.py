"""Measures a model on scenes it never saw: `python -m thanosql_dbapi.storybook.quality`.

Precision at 5: of the five pictures a text finds first, the share it is true of. A text counts
where at least five of the scenes fit it.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing import Painter
from .korean_queries import korean_query_families
from .meanings import codes
from .queries import Query, query_families
from .world import Scene, sample_scene

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

log = logging.getLogger(__name__)

_SEED = 900_000_001  # the training set's is 100,000,001
_BATCH = 100


@dataclass(frozen=True)
class Score:
    """How well one kind of query does.

    Attributes:
        queries: how many texts had at least five fitting scenes.
        precision: mean share of right pictures among the first five, 0 to 1.
        worst: the texts that did worst, with their precision, worst first; at most five.
    """

    queries: int
    precision: float
    worst: tuple[tuple[str, float], ...]


class Reader:
    """A model folder, ready to turn pictures and texts into vectors.

    Args:
        folder: a transformers CLIP folder.
    """

    def __init__(self, folder: Path) -> None:
        """See the class."""
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

        self.model: Any = CLIPModel.from_pretrained(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.processor: Any = CLIPImageProcessor.from_pretrained(folder)

    def images(self, pictures: Iterable[Image.Image]) -> np.ndarray:
        """Embed pictures.

        Args:
            pictures: any sizes.

        Returns:
            float32 array (n, dim), unit length, row i is the i-th picture.
        """
        import numpy as np
        import torch
        from torch.nn.functional import normalize

        def rows() -> Iterable[np.ndarray]:
            waiting: list[Image.Image] = []
            for picture in pictures:
                waiting.append(picture)
                if len(waiting) == _BATCH:
                    yield embed(waiting)
                    waiting = []
            if waiting:
                yield embed(waiting)

        def embed(batch: list[Image.Image]) -> np.ndarray:
            pixels = self.processor(images=batch, return_tensors="pt").pixel_values
            with torch.inference_mode():
                seen = self.model.vision_model(pixels).pooler_output
                found: np.ndarray = normalize(self.model.visual_projection(seen), dim=-1).numpy()
            return found

        return np.concatenate(list(rows()))

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts.

        Args:
            texts: any texts; long ones are cut.

        Returns:
            float32 array (n, dim), unit length, row i is texts[i].
        """
        import torch
        from torch.nn.functional import normalize

        ids = self.tokenizer(
            list(texts), padding=True, truncation=True, return_tensors="pt"
        ).input_ids
        with torch.inference_mode():
            read = self.model.text_model(ids).pooler_output
            found: np.ndarray = normalize(self.model.text_projection(read), dim=-1).numpy()
        return found


def score(
    queries: Sequence[Query], scenes: Sequence[Scene], vectors: np.ndarray, reader: Reader
) -> Score:
    """Measure precision at 5.

    Args:
        queries: texts with what they mean.
        scenes: what the pictures show.
        vectors: the pictures' embeddings, row i is scenes[i].
        reader: the model.

    Returns:
        The score over the texts that at least five scenes fit.
    """
    import numpy as np

    values = np.array([codes(scene) for scene in scenes])
    asked: list[tuple[str, np.ndarray]] = []
    for text, meaning in queries:
        right = ((np.array(meaning.bits())[None, :] >> values) & 1).all(1)
        if right.sum() >= 5:
            asked.append((text, right))
    if not asked:
        return Score(0, float("nan"), ())
    near = reader.texts([text for text, _ in asked]) @ vectors.T
    found: list[tuple[str, float]] = []
    for (text, right), row in zip(asked, near, strict=True):
        best = np.argsort(-row, kind="stable")[:5]
        found.append((text, float(right[best].mean())))
    worst = tuple(sorted((f for f in found if f[1] < 1), key=lambda f: f[1])[:5])
    return Score(len(found), float(np.mean([p for _, p in found])), worst)


def pictures(rows: int, seed: int, painter: Painter | None = None) -> Iterable[Image.Image]:
    """Draw scenes 0 … rows - 1 of a seed, as the data set would, without JPEG."""
    painter = painter or Painter()
    for index in range(rows):
        yield painter.paint(sample_scene(seed, index), seed=seed, index=index)


def measure(folder: Path, *, rows: int = 4000, seed: int = _SEED) -> dict[str, Score]:
    """Measure a model on freshly drawn scenes.

    Args:
        folder: the model folder.
        rows: scenes drawn.
        seed: their seed; must not be the training set's.

    Returns:
        Kind of query -> score; the English kinds come first, then the Korean ones.
    """
    reader = Reader(folder)
    vectors = reader.images(pictures(rows, seed))
    scenes = [sample_scene(seed, index) for index in range(rows)]
    families = {**query_families(), **korean_query_families()}
    return {name: score(queries, scenes, vectors, reader) for name, queries in families.items()}


def contact_sheet(
    folder: Path, texts: Sequence[str], path: Path, *, rows: int = 2000, seed: int = 0
) -> None:
    """Paste the first five pictures of each text into one image, a line a text.

    Args:
        folder: the model folder.
        texts: what to look for.
        path: the image file to write.
        rows: size of the data set searched.
        seed: its seed.
    """
    import numpy as np
    from PIL import Image

    reader, painter = Reader(folder), Painter()
    vectors = reader.images(pictures(rows, seed, painter))
    near = reader.texts(texts) @ vectors.T
    sheet = Image.new("RGB", (5 * 324, len(texts) * 244), (255, 255, 255))
    for line, row in enumerate(near):
        for column, index in enumerate(np.argsort(-row, kind="stable")[:5].tolist()):
            picture = painter.paint(sample_scene(seed, index), seed=seed, index=index)
            sheet.paste(picture, (column * 324, line * 244))
    sheet.save(path)


def main(tell: Callable[..., None] = log.info) -> None:
    """Print the table of scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=Path(__file__).parent / "model")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of --text searches here")
    parser.add_argument("--text", action="append", default=[], help="a text for the sheet")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.sheet:
        contact_sheet(given.model, given.text, given.sheet)
        return
    tell("| queries | how many | precision at 5 |\n|---|---|---|")
    for name, found in measure(given.model, rows=given.rows, seed=given.seed).items():
        tell("| %s | %d | %.3f |", name, found.queries, found.precision)
        for text, precision in found.worst[:3]:
            log.debug("    %.1f %s", precision, text)


if __name__ == "__main__":
    main()
