"""The README's programs, run as they stand, in both languages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks(name: str) -> list[str]:
    """Return the Python programs of a README."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_korean_readme_has_the_same_programs_which_ask_in_korean() -> None:
    korean = "\0".join(blocks("README.ko.md"))
    for in_korean, english in (
        ("검은 고양이", "a black cat"),
        ("의자에 앉은 강아지", "a dog on a chair"),
    ):
        assert in_korean in korean
        korean = korean.replace(in_korean, english)
    assert korean.split("\0") == blocks("README.md")


def test_the_first_program_is_ten_lines_or_so() -> None:
    lines = [line for line in blocks("README.md")[0].splitlines() if line.strip()]
    assert len(lines) <= 12


def test_every_link_leads_somewhere() -> None:
    for name in ("README.md", "README.ko.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)", text):
            if "://" not in target:
                assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_programs_find_the_black_cats(tmp_path: Path) -> None:
    first, second = (run(block, tmp_path) for block in blocks("README.md"))
    paths = [line.split()[1] for line in first.splitlines()]
    assert len(paths) == 5
    captions = (tmp_path / "thanosql-dataset/storybook/storybook.csv").read_text(encoding="utf-8")
    for path in paths:
        (row,) = [line for line in captions.splitlines() if path in line]
        assert "black" in row
        assert re.search(r"\bcats?\b", row)
    assert len([line for line in second.splitlines() if ".jpg" in line]) == 5


def run(program: str, folder: Path) -> str:
    if "sqlalchemy" in program:
        pytest.importorskip("sqlalchemy")
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
