"""Pictures and their captions, as a training reads them."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

_WORD = re.compile(r"\w+")
# A picture whose caption says one of these is never mirrored.
_SIDES = re.compile(r"\b(left|right)|왼쪽|오른쪽|좌측|우측|왼손|오른손", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures, and what is said of them.

    Attributes:
        pixels: uint8 array (pictures, height, width, 3), as the model's preparation gives them.
        captions: The captions, none of them empty.
        pictures: int64 array (captions,): which picture each caption is of. Each picture has one.
    """

    pixels: NDArray[np.uint8]
    captions: Sequence[str]
    pictures: Places

    @cached_property
    def of_picture(self) -> list[list[int]]:
        """The captions of each picture, by place."""
        found: list[list[int]] = [[] for _ in range(len(self.pixels))]
        for place, picture in enumerate(self.pictures.tolist()):
            found[picture].append(place)
        return found

    @cached_property
    def words(self) -> list[frozenset[str]]:
        """The words that the captions of each picture have together."""
        return [
            frozenset().union(*(words_of(self.captions[place]) for place in places))
            for places in self.of_picture
        ]

    def said_of(self, pictures: Sequence[int] | Places) -> list[list[str]]:
        """Return the captions of some pictures."""
        return [[self.captions[place] for place in self.of_picture[at]] for at in pictures]

    @cached_property
    def sided(self) -> list[bool]:
        """Whether a caption of each picture says left or right, so that it may not be mirrored."""
        return [
            any(_SIDES.search(self.captions[place]) for place in places)
            for places in self.of_picture
        ]

    def split(self, share: float, seed: int) -> tuple[Places, Places]:
        """Hold a share of the pictures out.

        Args:
            share: 0 to 1; more than 0 holds one out at least, and one stays.
            seed: Decides which.

        Returns:
            The pictures to train on and those held out, both in order.
        """
        count = len(self.pixels)
        held = min(count - 1, max(1, round(share * count))) if share > 0 else 0
        order = np.random.default_rng(seed).permutation(count)
        return np.sort(order[held:]), np.sort(order[:held])


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, in lower case."""
    return frozenset(_WORD.findall(text.lower()))


def some_words(text: str, rng: random.Random) -> str:
    """Return some consecutive words of a text, all of them at most.

    What is true of a picture is true of it in part: so a model learns what "black cat" means from
    "two black cats in the forest". ("Not" and "no" are lost now and then.)
    """
    pieces = list(re.finditer(r"\S+", text))
    if not pieces:
        return text
    length = 1 + int(len(pieces) * rng.random() ** 2)  # a few words more often than many
    start = rng.randint(0, len(pieces) - length)
    part = text[pieces[start].start() : pieces[start + length - 1].end()].strip(" ,;:")
    return part if words_of(part) else text


def phrase_of(text: str) -> str:
    """Return a text's words in lower case, a space around each: the form that is compared."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def fitting(said: Sequence[str], pictures: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Return which captions are taken to be true of which pictures.

    A caption fits a picture if its words stand in one of the picture's captions, one after
    another: "black cat" fits "two boats and a black cat". Words alone would not do: those of
    "black chair" are also in "a black cat on a chair". A caption without words, of signs alone,
    fits nothing but itself.

    Args:
        said: Captions, or parts of them.
        pictures: The captions of each picture.

    Returns:
        float32 array (captions, pictures) of 0 and 1.
    """
    phrases = ["|".join([*map(phrase_of, each), *each]) for each in pictures]
    found = np.zeros((len(said), len(pictures)), np.float32)
    for row, text in enumerate(said):
        part = phrase_of(text)
        part = part if part.strip() else text
        found[row] = [part in phrase for phrase in phrases]
    return found


def common_words(pictures: Sequence[frozenset[str]], most: int) -> list[str]:
    """Return the words that tell pictures apart: those of at least three and at most half of them.

    Args:
        pictures: The words of each picture.
        most: How many words at most, the most frequent first.
    """
    counts = Counter(word for words in pictures for word in sorted(words))
    return [word for word, count in counts.most_common() if 3 <= count <= len(pictures) / 2][:most]
