"""Puts words that say nothing around a caption, so that a new way of asking changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .korean import with_particle
from .meanings import pick

if TYPE_CHECKING:
    import random

_EMPTY_TEXT = """
i you we me my your this that these them it here there is are was be can could would
will do does want like need see get give have got take look know think please thanks
today now just some any all very really nice good great lovely pretty beautiful best
new old big small little cute favourite with and of for from to as so what which who
how hello hi dear dataset example result search query show list kind sort full high
quality stock free
"""
_EMPTY_WORDS = tuple(_EMPTY_TEXT.split())
_TEXT_BEFORE = """
나는 저는 나 내가 제가 우리 우리가 이 그 저 이런 그런 저런 어떤 아주 정말 참 너무 매우
좀 조금 잘 더 가장 제일 오늘 지금 여기 거기 안녕 안녕하세요 예쁜 귀여운 멋진 좋은
아름다운 작은 큰 오래된 최고의 그리고 또 모든 여러 다른 아무 꼭 빨리 그냥 음 네 예시
검색 새로운 고화질 무료
"""
_EMPTY_BEFORE = tuple(_TEXT_BEFORE.split())
_TEXT_AFTER = """
보여줘 보여 줘 보여주세요 주세요 찾아줘 찾아 찾아주세요 있어 있나 있어요 싶어요 싶어
보고 원해요 원해 필요해요 필요해 알려줘 알려주세요 검색 검색해줘 검색해 결과 목록 예시
추천 추천해줘 모음 사진 부탁해 부탁해요 감사합니다 고마워 뭐야 어느 거 것 좀 다 모두
전부 같은 대한 관련 이미지 볼래 볼까 좋아 좋아해요
"""
_EMPTY_AFTER = tuple(_TEXT_AFTER.split())
_ENDINGS = ("을/를", "이/가", "은/는", "이랑/랑", "이나/나", "도/도", "만/만", "과/와", "이요/요")


def chatter(text: str, rng: random.Random) -> str:
    """Put words that say nothing before or after an English caption.

    Args:
        text: the caption.
        rng: which words, and how many.

    Returns:
        The text, two times of three as it was.
    """
    if rng.random() < 0.65:
        return text

    def words() -> list[str]:
        n = int(rng.random() * 5)
        return [_EMPTY_WORDS[int(rng.random() * len(_EMPTY_WORDS))] for _ in range(n)]

    before, after = words(), words() if rng.random() < 0.5 else []
    return " ".join([*before, text, *after]) + _mark(rng)


def chatter_korean(text: str, rng: random.Random) -> str:
    """Put words that say nothing before or after a Korean caption.

    A particle may come between the caption and the words after it: 검은 고양이를 보여줘.

    Args:
        text: the caption.
        rng: which words, and how many.

    Returns:
        The text, three times of five as it was.
    """
    if rng.random() < 0.6:
        return text

    def words(of: tuple[str, ...]) -> list[str]:
        return [of[int(rng.random() * len(of))] for _ in range(int(rng.random() * 4))]

    before = words(_EMPTY_BEFORE) if rng.random() < 0.6 else []
    after = words(_EMPTY_AFTER)
    if rng.random() < 0.5:
        text = with_particle(text, pick(rng, _ENDINGS))
    return " ".join([*before, text, *after]) + _mark(rng)


def chatter_in_its_language(text: str, rng: random.Random) -> str:
    """Put words that say nothing around a caption in English or Korean."""
    is_korean = any("가" <= letter <= "힣" for letter in text)
    return chatter_korean(text, rng) if is_korean else chatter(text, rng)


def _mark(rng: random.Random) -> str:
    return ("", "", "?", "!", ".", "!!")[int(rng.random() * 6)]
