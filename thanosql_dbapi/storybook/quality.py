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

from .captions import Meaning, article, codes, meant, plural
from .drawing import Painter
from .vocabulary import (
    COLOUR_WORDS,
    KINDS,
    MOOD_WORDS,
    PLACE_PHRASES,
    THING_WORDS,
    TIME_PHRASES,
)
from .world import COLOURS, MOODS, PLACES, SITTERS, THINGS, TIMES, Scene, sample_scene

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

log = logging.getLogger(__name__)

Query = tuple[str, Meaning]
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


def query_families() -> dict[str, list[Query]]:
    """Give the kinds of queries that are measured.

    Returns:
        Name of the kind -> its texts and meanings. The kinds from "phrasings" on are reported only.
    """
    pairs = [(c, t) for c in COLOURS for t in THINGS]
    families = {
        "a {colour} {thing}": [(article(f"{c} {t}"), meant(thing=t, colour=c)) for c, t in pairs],
        "a {colour} {thing} {place}": [
            (f"{article(f'{c} {t}')} {PLACE_PHRASES[p][0]}", meant(thing=t, colour=c, place=p))
            for c, t in pairs
            for p in PLACES
        ],
        "{two|three} {colour} {things}": [
            (f"{word} {c} {plural(t)}", meant(thing=t, colour=c, count=n))
            for c, t in pairs
            for n, word in ((2, "two"), (3, "three"))
        ],
        "moods": [
            (form.format(w), meant(mood=m))
            for m in MOODS
            for w in MOOD_WORDS[m]
            for form in ("{} photos", "{}", "a {} picture")
        ],
        "times": [
            (form.format(w), meant(time=t))
            for t in TIMES
            for w in TIME_PHRASES[t]
            for form in ("photos {}", "a picture {}")
        ],
        "places": [
            (form.format(w), meant(place=p))
            for p in PLACES
            for w in PLACE_PHRASES[p]
            for form in ("photos {}", "{}")
        ],
        "a {sitter} on a chair": [
            (article(f"{s} on a chair"), meant(thing=s, on_chair=True)) for s in SITTERS
        ]
        + [
            (f"{article(f'{c} {s}')} on a chair", meant(thing=s, colour=c, on_chair=True))
            for s in SITTERS
            for c in COLOURS
        ],
        "a {mood} {thing}": [
            (f"a {m} photo of {article(t)}", meant(thing=t, mood=m)) for m in MOODS for t in THINGS
        ],
        "{thing} {time}": [
            (f"{article(t)} {TIME_PHRASES[w][0]}", meant(thing=t, time=w))
            for t in THINGS
            for w in TIMES
        ],
    }
    return {**families, **_reported(pairs)}


def _reported(pairs: list[tuple[str, str]]) -> dict[str, list[Query]]:
    forms = (
        "show me {}",
        "i am looking for {}",
        "find {} please",
        "where is {}?",
        "do you have any pictures with {} in them",
        "{}!!!",
    )
    untaught = {
        "cat": ("puss", "tabby"),
        "dog": ("doggie", "canine"),
        "horse": ("colt",),
        "boat": ("yacht",),
        "house": ("bungalow",),
        "car": ("autocar",),
        "bird": ("fowl",),
        "tree": ("oak", "treetop"),
        "flower": ("wildflower",),
    }
    return {
        "phrasings never seen": [
            (form.format(article(f"{c} {t}")), meant(thing=t, colour=c))
            for i, (c, t) in enumerate(pairs)
            for form in (forms[i % 6], forms[(i + 3) % 6])
        ],
        "synonyms taught: things": [
            (article(f"{c} {w}"), meant(thing=t, colour=c))
            for t in THINGS
            for w in THING_WORDS[t][1:]
            if w != "someone"
            for c in ("black", "red", "blue")
        ],
        "synonyms taught: colours": [
            (article(f"{w} {t}"), meant(thing=t, colour=c))
            for c in COLOURS
            for w in COLOUR_WORDS[c][1:]
            for t in ("cat", "car", "house")
        ],
        "synonyms taught: places": [
            (f"{article(t)} {w}", meant(thing=t, place=p))
            for p in PLACES
            for w in PLACE_PHRASES[p][1:]
            for t in ("cat", "person", "flower")
        ],
        "wider words (an animal, …)": [
            (form, meant(thing=k, colour=c))
            for k in KINDS
            for c in ("black", "red", "blue")
            for form in (article(f"{c} {k}"), f"{c} {k}s")
        ],
        "words never taught": [(w, meant(thing=t)) for t in untaught for w in untaught[t]],
    }


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
        Kind of query -> score.
    """
    reader = Reader(folder)
    vectors = reader.images(pictures(rows, seed))
    scenes = [sample_scene(seed, index) for index in range(rows)]
    return {name: score(qs, scenes, vectors, reader) for name, qs in query_families().items()}


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
