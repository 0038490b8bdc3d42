"""The gallery's own words, in the language of what was asked."""

from __future__ import annotations

import re
from collections.abc import Mapping

_HANGUL = re.compile(r"[\uac00-\ud7a3]")

_ENGLISH = {
    "language": "en",
    "searches": "Searches",
    "asked": "The picture that was looked for",
    "none": "no pictures",
    "one": "1 picture",
    "all": "{count} pictures",
    "first": "the first {count} of {total} pictures",
    "similarity": "similarity",
    "no_similarity": "no similarity",
    "missing": "cannot be shown",
    "large": "Picture and its row",
    "place": "{number} of {count}",
    "file": "open the file",
    "previous": "Previous picture",
    "next": "Next picture",
    "close": "Close",
    "row": "The picture's row",
}
_KOREAN = {
    "language": "ko",
    "searches": "검색",
    "asked": "찾으려는 이미지",
    "none": "이미지 없음",
    "one": "이미지 1장",
    "all": "이미지 {count}장",
    "first": "이미지 {total}장 중 처음 {count}장",
    "similarity": "유사도",
    "no_similarity": "유사도 없음",
    "missing": "보여 줄 수 없음",
    "large": "이미지와 그 행",
    "place": "{count}장 중 {number}번째",
    "file": "파일 열기",
    "previous": "이전 이미지",
    "next": "다음 이미지",
    "close": "닫기",
    "row": "이미지의 행",
}


def words_for(text: str) -> Mapping[str, str]:
    """Return the gallery's words by name: Korean where a text has Hangul, English otherwise."""
    return _KOREAN if _HANGUL.search(text) else _ENGLISH
