"""Short forms of the harnesses in ``tests/long`` that send damaged files and mutated statements."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SECONDS = 4


def harness(name: str) -> ModuleType:
    path = Path(__file__).parent / "long" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"long_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["bad_files", "fuzz"])
def test_nothing_damaged_leads_out_of_pep_249(name: str, tmp_path: Path, clip_folder: Path) -> None:
    found = harness(name).run(SECONDS, 1, tmp_path, clip_folder)
    assert found.wrong == []
    assert found.outcomes["answered"] > 0
    assert sum(found.outcomes.values()) > found.outcomes["answered"]
