"""Families of models: their vectors are transformers' own, and their statements are the same."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi
from thanosql_dbapi.models.encoder import Encoder
from thanosql_dbapi.models.families.registry import read_family
from thanosql_dbapi.models.numbers import check_config

from .families import MAKERS, TEXTS

NAMES = sorted(MAKERS)
# name → (how transformers is to be asked for tokens, most tokens)
ASKED: dict[str, tuple[dict[str, Any], int]] = {
    "siglip": ({"padding": "max_length"}, 64),
    "siglip2": ({"padding": "max_length"}, 64),
    "metaclip_2": ({"padding": True}, 77),
    "altclip": ({"padding": True}, 77),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny model, made once; not to be changed."""
    root = tmp_path_factory.mktemp("families")

    def make(name: str) -> Path:
        import torch

        folder = root / name
        if not folder.exists():
            torch.manual_seed(0)
            folder.mkdir()
            MAKERS[name](folder)
        return folder

    return make


def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(1)
    sizes = [(48, 40), (31, 77), (32, 32), (200, 64)]
    return [
        Image.fromarray(noise.integers(0, 256, (high, wide, 3), dtype=np.uint8))
        for wide, high in sizes
    ]


def unit(vectors: Any) -> np.ndarray:
    vectors = getattr(vectors, "pooler_output", vectors).numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def own_texts(name: str, folder: Path, texts: list[str]) -> np.ndarray:
    """What transformers itself makes of texts, by its tokenizer and its get_text_features."""
    import torch
    import transformers

    how, most = ASKED[name]
    tokenizer = transformers.AutoProcessor.from_pretrained(folder).tokenizer
    if name == "siglip2":
        tokenizer = transformers.Siglip2Tokenizer.from_pretrained(folder, padding_side="right")
    if name == "siglip":  # SiglipTokenizer itself needs sentencepiece; this is what it does first
        texts = [canonical(text) for text in texts]
    tokens = tokenizer(texts, truncation=True, max_length=most, return_tensors="pt", **how)
    names = ["input_ids"] if name.startswith("siglip") else ["input_ids", "attention_mask"]
    with torch.inference_mode():
        return unit(whole(folder).get_text_features(**{key: tokens[key] for key in names}))


def canonical(text: str) -> str:
    import string

    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(kept.split())


def whole(folder: Path) -> Any:
    import transformers

    make = getattr(transformers, read_family(folder).model_class)
    return make.from_pretrained(folder).eval()


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_transformers_own(name: str, made: Callable[[str], Path]) -> None:
    folder = made(name)
    found = Encoder(folder, device="cpu").embed_texts(TEXTS)
    expected = own_texts(name, folder, TEXTS)
    assert np.abs(found - expected).max() < 1e-5
    assert (np.sum(found * expected, axis=1) > 1 - 1e-5).all()
    assert np.unique(found.round(4), axis=0).shape[0] == len(TEXTS)
    alone = np.vstack([Encoder(folder, device="cpu").embed_texts([text]) for text in TEXTS])
    assert np.abs(alone - found).max() < 1e-5  # whatever else is in the batch


@pytest.mark.parametrize("name", NAMES)
def test_images_are_transformers_own(name: str, made: Callable[[str], Path]) -> None:
    import torch
    import transformers

    folder = made(name)
    found = Encoder(folder, device="cpu").embed_images(pictures())
    processor = transformers.AutoProcessor.from_pretrained(folder).image_processor
    values = processor(pictures(), return_tensors="pt")
    with torch.inference_mode():
        expected = unit(whole(folder).get_image_features(**values))
    assert np.abs(found - expected).max() < 1e-5
    assert (np.sum(found * expected, axis=1) > 1 - 1e-5).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_of_the_model_is_checked(name: str, made: Callable[[str], Path]) -> None:
    folder = made(name)
    family = read_family(folder)
    stated = dict(family.tensors(check_config(folder)))
    scales = {"logit_scale", "logit_bias"}
    state = whole(folder).state_dict()
    shapes = {key: tuple(state[key].shape) for key in state.keys() - scales}
    assert stated == {family.known_name(key): shape for key, shape in shapes.items()}


# ---- statements ------------------------------------------------------------------------------

BASES = {"siglip": "siglip", "siglip2": "siglip2", "metaclip_2": "metaclip2", "altclip": "altclip"}


@pytest.fixture
def database(workspace: Path) -> Iterator[thanosql_dbapi.Connection]:
    connection = thanosql_dbapi.connect(workspace / "a.db", progress=False, device="cpu")
    connection.execute("COPY photos FROM 'photos.csv'")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", NAMES)
def test_upload_convert_and_search(
    name: str, made: Callable[[str], Path], database: thanosql_dbapi.Connection, workspace: Path
) -> None:
    shutil.copytree(made(name), workspace / "mine")
    database.execute("UPLOAD MODEL mine FROM 'mine'")
    base = BASES[name]
    assert database.execute("SELECT base FROM (LIST MODEL)").fetchall() == [(base,)]
    database.execute("CONVERT USING mine OPTIONS (table_name='photos') AS SELECT * FROM photos")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = database.execute(
            f"SELECT image_path, mine_{base}, mine_{base}_similarity1"
            " FROM (SEARCH IMAGE text='a Black cat' USING mine AS SELECT * FROM photos)"
            f" ORDER BY mine_{base}_similarity1 DESC LIMIT 3"
        ).fetchall()
    (text,) = Encoder(made(name), device="cpu").embed_texts(["a Black cat"])
    assert len(rows) == 3
    for path, vector, similarity in rows:
        (image,) = Encoder(made(name), device="cpu").embed_images(
            [Image.open(workspace / path).convert("RGB")]
        )
        assert np.abs(vector - image).max() < 1e-5
        assert similarity == pytest.approx(float(image @ text), abs=1e-5)
    pickled(workspace / "mine")
    database.execute("UPLOAD MODEL pickled FROM 'mine'")
    same = "SELECT vec_distance_cosine(embed_text('mine', 'x'), embed_text('pickled', 'x'))"
    assert database.execute(same).fetchone()[0] == pytest.approx(0, abs=1e-6)


def pickled(folder: Path) -> None:
    """Turn a folder's weights into a state dict with a counter that old checkpoints have."""
    import torch
    from safetensors.torch import load_file

    state = load_file(folder / "model.safetensors")
    state["text_model.embeddings.position_ids"] = torch.arange(77)
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
