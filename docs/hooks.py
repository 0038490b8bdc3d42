"""Hooks of MkDocs: a Korean page has the theme's own words in Korean, and Korean neighbours."""

from __future__ import annotations

from typing import Any

KOREAN = ".ko.md"
TOGGLES = {"en": ("Dark", "Light"), "ko": ("어둡게", "밝게")}


def on_page_context(context: dict[str, Any], page: Any, config: Any, **_: Any) -> dict[str, Any]:
    """Set the theme's language right before a page is rendered; pages are rendered one by one."""
    language = _language_of(page)
    config.theme["language"] = language
    for palette, name in zip(config.theme["palette"], TOGGLES[language], strict=True):
        palette["toggle"]["name"] = name
    for side in ("previous_page", "next_page"):
        other = getattr(page, side)
        if other is not None and _language_of(other) != language:
            setattr(page, side, None)
    return context


def _language_of(page: Any) -> str:
    return "ko" if page.file.src_uri.endswith(KOREAN) else "en"
