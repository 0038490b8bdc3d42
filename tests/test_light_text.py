"""One text's vector without torch: the one that transformers computes, or none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from thanosql_dbapi.models import light
from thanosql_dbapi.storybook import MODEL_FOLDER

TEXTS = (
    "a black cat",
    "",
    "A dog on a CHAIR!!",
    "검은 고양이 한 마리",
    "café naïve, it's 3 o'clock",
    " spaces \t and\nlines ",
    "emoji 😀 <|endoftext|> more",
    "a word " * 100,
)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has not imported torch."""
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "torch", raising=False)
        yield


def by_transformers(folder: Path, text: str) -> np.ndarray:
    import torch
    from transformers import AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    most = model.config.text_config.max_position_embeddings
    inputs = tokenizer([text], truncation=True, max_length=most, return_tensors="pt")
    with torch.inference_mode():
        found = model.get_text_features(**inputs)
    vector = getattr(found, "pooler_output", found)[0].numpy()
    return vector / np.linalg.norm(vector)


def light_vector(folder: Path, text: str, device: str | None = None) -> np.ndarray | None:
    found = light.text_vectors(folder, str(folder), [text], device)
    return None if found is None else found[0]


@pytest.fixture
def changed(clip_folder: Path, tmp_path: Path):
    """Copies the tiny model, with other settings of its text tower."""

    def make(**settings: object) -> Path:
        folder = tmp_path / f"changed{len(list(tmp_path.iterdir()))}"
        shutil.copytree(clip_folder, folder)
        config = json.loads((folder / "config.json").read_text())
        config["text_config"].update(settings)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("model", ["tiny", "storybook"])
def test_it_is_the_vector_of_transformers(
    model: str, text: str, clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clip_folder if model == "tiny" else MODEL_FOLDER
    want = by_transformers(folder, text)
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "torch")
        found = light_vector(folder, text)
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-5)


def test_many_texts_of_different_lengths_at_once(clip_folder: Path, without_torch: None) -> None:
    found = light.text_vectors(clip_folder, str(clip_folder), TEXTS, None)
    assert found is not None
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(vector, light_vector(clip_folder, text), rtol=0, atol=1e-6)


def test_the_settings_count(changed, clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = by_transformers(clip_folder, "a black cat")
    for settings in ({"hidden_act": "relu"}, {"layer_norm_eps": 0.3}, {"eos_token_id": 2}):
        folder = changed(**settings)
        want = by_transformers(folder, "a black cat")
        with monkeypatch.context() as patched:
            patched.delitem(sys.modules, "torch")
            found = light_vector(folder, "a black cat")
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-5)
        if "eos_token_id" not in settings:
            assert np.abs(found - plain).max() > 1e-3


def test_what_is_out_of_the_ordinary_is_left_to_torch(
    changed, clip_folder: Path, without_torch: None
) -> None:
    assert light_vector(clip_folder, "a cat", "cuda") is None
    assert light_vector(clip_folder, "a cat", "cpu") is not None
    assert light_vector(changed(hidden_act="gelu_new"), "a cat") is None
    assert light_vector(changed(eos_token_id=3), "a cat") is None
    assert light_vector(changed(num_hidden_layers=3), "a cat") is None
    torn = changed()
    (torn / "model.safetensors").write_bytes(b"torn")
    assert light_vector(torn, "a cat") is None
    bare = changed()
    (bare / "tokenizer.json").unlink()
    assert light_vector(bare, "a cat") is None


def test_where_torch_is_imported_it_computes(clip_folder: Path) -> None:
    import torch  # noqa: F401

    assert light_vector(clip_folder, "a cat") is None


def test_a_new_question_needs_no_torch(tmp_path: Path, clip_folder: Path) -> None:
    shutil.copytree(clip_folder, tmp_path / "tiny_clip")
    code = """
import sys, thanosql
connection = thanosql.connect("t.db", isolation_level=None)
connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
(vector,) = connection.execute("SELECT embed_text('m', 'never asked')").fetchone()
print(len(vector), "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["96", "False"], done.stderr
