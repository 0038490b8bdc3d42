"""The option tables of the language page: name, type and default are those of the grammar.

What an option means is written by hand, in the page. ``python tests/test_option_tables.py`` writes
the rest anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from thanosql_dbapi.language import grammar
from thanosql_dbapi.language.option_specs import Kind, OptionSpec
from thanosql_dbapi.sources.unsplash import fetch_unsplash
from thanosql_dbapi.storybook.dataset import write_dataset

DOCS = Path(__file__).resolve().parents[1] / "docs"
SECTION = re.compile(r"^## (.+)\n(?:(?!## ).*\n)*", re.MULTILINE)
TABLE = re.compile(r"^(\| (?:option|옵션) \|.*\n\|[-|]+\|\n)((?:\|.*\n)+)", re.MULTILINE)

ENGLISH = {
    "older": "older",
    Kind.TEXT: "text",
    Kind.FLAG: "True, False",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.CHOICE: "one of {}",
    Kind.VALUE: "value, or a list",
    "minimum": "whole number, {} or more",
    "least": "number, {} or more",
}
KOREAN = {
    "older": "이전 이름",
    Kind.TEXT: "텍스트",
    Kind.FLAG: "True, False",
    Kind.INTEGER: "정수",
    Kind.NUMBER: "숫자",
    Kind.CHOICE: "{} 중 하나",
    Kind.VALUE: "값 또는 목록",
    "minimum": "{} 이상의 정수",
    "least": "{} 이상의 숫자",
    # What holds without an option: OptionSpec.unset.
    "storybook: 2000; unsplash_data: all": "storybook: 2000, unsplash_data: 전부",
    "the model's name": "모델의 이름",
    "none: nothing is stored": "없음: 저장하지 않음",
    "`{model}_{base algorithm}`": "`{모델}_{기본 알고리즘}`",
    "the driver's choice for the device": "장치에 맞게 드라이버가 정함",
    "`{emb_col}_similarity1`; in the later form `search_result`": (
        "`{emb_col}_similarity1`. 이후의 형식에서는 `search_result`"
    ),
    "all; in the later form 1000": "전부. 이후의 형식에서는 1000",
    "all; in a notebook 100": "전부. 노트북에서는 100",
    "the model of the table's vectors, or the only one": (
        "테이블의 벡터를 만든 모델, 또는 하나뿐인 모델"
    ),
    "the vectors of the model that the rows have": "행에 있는 그 모델의 벡터",
    "`'image_path'`, or `'image'`": "`'image_path'` 또는 `'image'`",
    "until nothing improves": "더 나아지지 않을 때까지",
    "until nothing improves; of a CLIP 30, in a FIT 20 or 10, or what `max_minutes` allows": (
        "더 나아지지 않을 때까지. CLIP은 30, FIT에서는 20 또는 10, 또는 `max_minutes`가"
        " 허락하는 만큼"
    ),
    "what suits the model": "모델에 맞게 정함",
    "the vectors of the query, or `'convert_result'`": "쿼리의 벡터 컬럼, 또는 `'convert_result'`",
    "none: no row is left out": "없음: 빼는 행 없음",
    "the row id": "row id",
    "must be given": "반드시 지정",
    "the same name as `emb_col`": "`emb_col`과 같은 이름",
    "the model's own": "모델이 정함",
    "the classifier's, or those of `label_col`": "분류 모델의 라벨, 또는 `label_col`의 값",
    "`['{}']`": "`['{}']`",
    "the query's rows": "쿼리의 행",
    "`[1, 5, 10]`": "`[1, 5, 10]`",
    "all": "전부",
    "none": "없음",
    "`'image'`; with `video_col` `'video'`": "`'image'`. `video_col`을 지정하면 `'video'`",
    "all that can be read": "읽을 수 있는 것 모두",
    "none: no frames are taken": "없음: 프레임을 뽑지 않음",
    "none: frames are BLOBs": "없음: 프레임은 BLOB",
    "the film's own": "영상 그대로",
}


def options_of(title: str) -> dict[str, OptionSpec[Any]]:
    """Return the options of the statements that a section is about, by name."""
    return {
        option.name: option
        for spec in grammar.SPECS.values()
        if spec.label in title or (title in ("SEARCH", "PRINT") and title in spec.words)
        for option in spec.options or ()
    }


def up_to_date(page: str, words: Mapping[Any, str]) -> str:
    """Return the page with the option tables that the grammar gives."""

    def section(found: re.Match[str]) -> str:
        options = options_of(found[1])
        tables = len(TABLE.findall(found[0]))
        assert tables == bool(options), f"{found[1]}: {tables} option tables, {len(options)} rows"
        return TABLE.sub(lambda table: table[1] + _rows(table[2], options, words), found[0])

    return SECTION.sub(section, page)


def _rows(written: str, options: Mapping[str, OptionSpec[Any]], words: Mapping[Any, str]) -> str:
    meanings = {}
    for row in written.splitlines():
        _, name, meaning, *_ = row.split("|")
        meanings[name.split("`")[1]] = meaning.strip()
    rows = []
    for name, option in options.items():
        assert meanings.get(name), f"the page does not say what {name} means"
        kind, default = _type(option, words), _default(option, words)
        row = f"| {_names(option, words)} | {meanings[name]} | {kind} | {default} |\n"
        rows.append(row.replace("|  |", "| |"))
    return "".join(rows)


def _names(option: OptionSpec[Any], words: Mapping[Any, str]) -> str:
    return ", ".join([f"`{option.name}`", *(f"{words['older']} `{old}`" for old in option.older)])


def _type(option: OptionSpec[Any], words: Mapping[Any, str]) -> str:
    if option.minimum is not None:
        kind = "minimum" if option.kind is Kind.INTEGER else "least"
        return words[kind].format(option.minimum)
    choices = ", ".join(f"`{choice!r}`" for choice in option.choices)
    return words[option.kind].format(choices) if len(option.choices) != 1 else choices


def _default(option: OptionSpec[Any], words: Mapping[Any, str]) -> str:
    if isinstance(option.default, str):
        return f"`{option.default!r}`"
    if option.default is not None:
        return str(option.default)
    if words is ENGLISH or not option.unset or option.unset.isdecimal():
        return option.unset
    return words[option.unset]


PAGES = (("language.md", ENGLISH), ("language.ko.md", KOREAN))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "words"), PAGES)
def test_the_tables_are_those_of_the_grammar(page: str, words: Mapping[Any, str]) -> None:
    assert text_of(page) == up_to_date(text_of(page), words)


def test_every_option_is_in_a_table() -> None:
    titles = {found[1] for found in SECTION.finditer(text_of("language.md"))}
    documented = [option for title in titles for option in options_of(title).values()]
    assert [
        (spec.label, option.name)
        for spec in grammar.SPECS.values()
        for option in spec.options or ()
        if option not in documented
    ] == []


def test_a_default_that_another_module_decides_is_the_documented_one() -> None:
    notebook = pytest.importorskip("thanosql_dbapi.ui.notebook", reason="needs IPython")
    drawn = inspect.signature(write_dataset).parameters
    assert f"storybook: {drawn['rows'].default}; unsplash_data: all" == grammar.ROWS.unset
    assert str(drawn["seed"].default) == grammar.SEED.unset
    fetched = inspect.signature(fetch_unsplash).parameters
    assert fetched["rows"].default is None
    assert str(fetched["width"].default) == grammar.WIDTH.unset
    assert str(fetched["workers"].default) == grammar.WORKERS.unset
    shown = notebook.ThanosqlMagics.image_limit.default_value
    assert grammar.LIMIT.unset == f"all; in a notebook {shown}"


if __name__ == "__main__":
    for name, its_words in PAGES:
        written = up_to_date(text_of(name), its_words)
        (DOCS / name).write_text(written, encoding="utf-8")
