"""Families of models: their vectors are transformers' own, and their statements are the same."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi
from thanosql_dbapi.models import devices
from thanosql_dbapi.models.encoder import Encoder
from thanosql_dbapi.models.families import registry
from thanosql_dbapi.models.families.clip import Clip
from thanosql_dbapi.models.families.registry import read_family
from thanosql_dbapi.models.folder import inspect_folder
from thanosql_dbapi.models.numbers import check_config
from thanosql_dbapi.sources.catalog import load_catalog

from .families import MAKERS, TEXTS

NAMES = sorted(MAKERS)
# name → (how transformers is to be asked for tokens, most tokens)
ASKED: dict[str, tuple[dict[str, Any], int]] = {
    "siglip": ({"padding": "max_length"}, 64),
    "siglip2": ({"padding": "max_length"}, 64),
    "metaclip_2": ({"padding": True}, 77),
    "altclip": ({"padding": True}, 77),
    "chinese_clip": ({"padding": True}, 52),
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

BASES = {
    "siglip": "siglip",
    "siglip2": "siglip2",
    "metaclip_2": "metaclip2",
    "altclip": "altclip",
    "chinese_clip": "chineseclip",
}


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


@pytest.mark.parametrize("name", NAMES)
def test_numbers_without_sense_are_refused_by_every_family(
    name: str, made: Callable[[str], Path], database: thanosql_dbapi.Connection, workspace: Path
) -> None:
    folder = Path(shutil.copytree(made(name), workspace / "mine"))
    config = json.loads((folder / "config.json").read_text())
    family = read_family(folder)
    for part, numbers in family.numbers.items():
        for number in numbers:
            for value in (-1, number.most + 1, "many", True, [2], 10**30):
                wrong = json.loads(json.dumps(config))
                (wrong[part] if part else wrong)[number.name] = value
                (folder / "config.json").write_text(json.dumps(wrong))
                with pytest.raises(thanosql_dbapi.ModelError, match=number.name) as caught:
                    database.execute("UPLOAD MODEL mine FROM 'mine'")
                assert "nothing was changed" in str(caught.value)
    for part, wrong_part in [
        ("text_config", {"num_hidden_layers": 900}),
        ("vision_config", {"patch_size": 4}),
        ("text_config", {"hidden_act": "none such"}),
        ("text_config", {"layer_norm_eps": -1}),
        ("text_config", []),
        ("vision_config", {"hidden_size": 64, "num_attention_heads": 5}),
    ]:
        wrong = json.loads(json.dumps(config))
        wrong[part] = {**wrong[part], **wrong_part} if isinstance(wrong_part, dict) else [1]
        (folder / "config.json").write_text(json.dumps(wrong))
        with pytest.raises(thanosql_dbapi.ModelError, match="nothing was changed"):
            database.execute("UPLOAD MODEL mine FROM 'mine'")


@pytest.mark.parametrize(
    ("config", "why", "nearest"),
    [
        ({"model_type": "jina_clip", "auto_map": {"AutoModel": "x.Y"}}, "no code", "multilingual"),
        ({"model_type": "new", "auto_map": {"AutoModel": "x.Y"}}, "no code of a", "siglip2"),
        ({"model_type": "siglip2"}, "NaFlex", "MODEL siglip2"),
        ({"model_type": "mobileclip"}, "no class", "clip_tiny"),
        ({"model_cfg": {"embed_dim": 512}}, "open_clip", "clip_laion"),
        ({"model_type": "bert"}, "thanosql.families", "MODEL clip "),
        ({"model_type": ["clip"]}, "thanosql.families", "MODEL clip "),
    ],
)
def test_a_model_of_no_family_is_refused_with_the_reason_and_the_nearest(
    config: dict[str, Any],
    why: str,
    nearest: str,
    database: thanosql_dbapi.Connection,
    workspace: Path,
) -> None:
    (workspace / "mine").mkdir()
    (workspace / "mine" / "config.json").write_text(json.dumps(config))
    with pytest.raises(thanosql_dbapi.ModelError, match="nothing was changed") as caught:
        database.execute("UPLOAD MODEL mine FROM 'mine'")
    assert why in str(caught.value)
    assert nearest in str(caught.value)
    named = str(caught.value).partition("GET THANOSQL MODEL ")[2].split()[0]
    offered = database.execute("SELECT model_name FROM (LIST THANOSQL MODEL)").fetchall()
    assert (named,) in offered


def test_another_package_adds_a_family(
    clip_folder: Path,
    database: thanosql_dbapi.Connection,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib.metadata import EntryPoint

    def points(value: str) -> list[EntryPoint]:
        return [EntryPoint(name="our_clip", value=value, group="thanosql.families")]

    value = f"{__name__}:OurClip"
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points(value))
    folder = Path(shutil.copytree(clip_folder, workspace / "ours"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "our_clip"}))
    database.execute("UPLOAD MODEL ours FROM 'ours'")
    database.execute("UPLOAD MODEL theirs FROM 'tiny_clip'")
    assert database.execute("SELECT base FROM (LIST MODEL)").fetchall() == [("ours",), ("clipen",)]
    same = "SELECT embed_text('ours', 'a cat') = embed_text('theirs', 'a cat')"
    assert database.execute(same).fetchone() == (1,)
    value = "no.such.package:Family"
    registry._family.cache_clear()
    with pytest.raises(thanosql_dbapi.ModelError, match=r"'our_clip' cannot be loaded from no\.su"):
        database.execute("UPLOAD MODEL again FROM 'ours'")
    registry._family.cache_clear()


class OurClip(Clip):
    model_type = "our_clip"
    base = "ours"


# ---- devices ---------------------------------------------------------------------------------


def test_a_device_says_how_precise_it_is(clip_folder: Path) -> None:
    encoder = Encoder(clip_folder, device="cpu")
    assert (encoder.device, encoder.dtype) == ("cpu", "float32")
    assert devices.dtype_of("cuda:1") == "float16"


@pytest.mark.parametrize("is_right", [True, False])
def test_apples_device_is_believed_when_it_agrees_with_the_cpu(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch, is_right: bool
) -> None:
    """The CPU under Apple's name; a wrong one mixes up the numbers of each vector."""
    import torch

    true_build, true_vectors = Encoder._built, Clip.vectors
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(Encoder, "_built", lambda self, kind, _: marked(true_build, self, kind, _))
    monkeypatch.setattr(torch.Tensor, "to", to_no_device(torch.Tensor.to))

    def vectors(self: Clip, tower: Any, kind: str, inputs: Any) -> Any:
        found = true_vectors(self, tower, kind, inputs)
        return found if is_right or tower.lives == "cpu" else found.flip(1)

    monkeypatch.setattr(Clip, "vectors", vectors)
    monkeypatch.setattr(Encoder, "_values", values_on_cpu(Encoder._values))
    encoder = Encoder(clip_folder, device="mps")
    if is_right:
        expected = Encoder(clip_folder, device="cpu")
        assert np.array_equal(encoder.embed_texts(["x"]), expected.embed_texts(["x"]))
        assert np.array_equal(
            encoder.embed_images(pictures()[:1]), expected.embed_images(pictures()[:1])
        )
        return
    for embed in (lambda: encoder.embed_texts(["x"]), lambda: encoder.embed_images(pictures())):
        with pytest.raises(thanosql_dbapi.ModelError, match=r"mps.*not those of the CPU.*'cpu'"):
            embed()


def marked(build: Any, encoder: Encoder, kind: str, device: str) -> Any:
    tower = build(encoder, kind, "cpu")
    tower.lives = device
    return tower


def to_no_device(true: Any) -> Any:
    return lambda self, *given, **more: true(
        self, *["cpu" if each == "mps" else each for each in given], **more
    )


def values_on_cpu(true: Any) -> Any:
    return lambda self, batch, _, dtype: true(self, batch, "cpu", dtype)


# ---- the catalog -----------------------------------------------------------------------------


@pytest.fixture
def offering(workspace: Path, clip_folder: Path) -> Iterator[thanosql_dbapi.Connection]:
    """A connection whose catalog has the tiny CLIP as an English and as a bilingual model."""
    entries = {
        "english": {"source": "tiny_clip", "languages": ["en"], "license": "CC-BY-NC-4.0"},
        "both": {"source": str(shutil.copytree(clip_folder, workspace / "second"))},
    }
    entries["both"]["languages"] = ["ko", "en"]
    entries["both"]["license"] = "MIT"
    catalog = workspace / "catalog.json"
    catalog.write_text(json.dumps({"models": entries}))
    connection = thanosql_dbapi.connect(
        workspace / "a.db", catalog=catalog, progress=False, device="cpu"
    )
    yield connection
    connection.close()


def test_a_licence_without_commercial_use_is_said_when_the_model_is_got(
    offering: thanosql_dbapi.Connection,
) -> None:
    with pytest.warns(thanosql_dbapi.ModelWarning, match=r"CC-BY-NC-4\.0, allows no commercial"):
        offering.execute("GET THANOSQL MODEL english")
    offering.execute("GET THANOSQL MODEL both")  # warnings are errors
    rows = offering.execute("SELECT base FROM (LIST MODEL)").fetchall()
    assert rows == [("clipen",), ("clipen",)]  # the family's, since the catalog names none
    shown = "SELECT languages, license FROM (LIST THANOSQL MODEL) WHERE model_name = 'both'"
    assert offering.execute(shown).fetchall() == [("ko, en", "MIT")]


def test_a_script_that_a_model_lacks_is_warned_of_once(
    offering: thanosql_dbapi.Connection,
) -> None:
    with pytest.warns(thanosql_dbapi.ModelWarning):
        offering.execute("GET THANOSQL MODEL english")
    offering.execute("GET THANOSQL MODEL both")
    ask = "SELECT embed_text(?, ?)"
    with pytest.warns(thanosql_dbapi.ModelWarning, match="'english' does not know Hangul") as seen:
        offering.execute(ask, ("english", "검은 고양이")).fetchall()
    assert "its languages are en; GET THANOSQL MODEL clip_ko or siglip2 gets" in str(
        seen[0].message
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        offering.execute(ask, ("english", "하얀 고양이")).fetchall()
        offering.execute(ask, ("both", "검은 고양이")).fetchall()
        offering.execute(ask, ("english", "Ein Kätzchen, ½ naïve — 5 €")).fetchall()
    with pytest.warns(thanosql_dbapi.ModelWarning, match="'both' does not know Cyrillic"):
        offering.execute(ask, ("both", "кот")).fetchall()


def test_a_model_of_the_users_own_is_not_warned_of(
    connection: thanosql_dbapi.Connection,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connection.execute("SELECT embed_text('m', '검은 고양이')").fetchall()


def test_every_model_of_the_catalog_says_what_it_is() -> None:
    for entry in load_catalog().models.values():
        assert entry.languages
        assert entry.size
        assert entry.license
        assert entry.base


@pytest.mark.parametrize("languages", ["English", [1], ["English"], {}, [""]])
def test_languages_are_codes(workspace: Path, languages: object) -> None:
    catalog = workspace / "catalog.json"
    entry = {"source": "tiny_clip", "languages": languages}
    catalog.write_text(json.dumps({"models": {"mine": entry}}))
    with pytest.raises(thanosql_dbapi.SourceError, match='"languages" must be a list of'):
        load_catalog(catalog)
    entry.update(languages="en, ko", size=605)
    catalog.write_text(json.dumps({"models": {"mine": entry}}))
    mine = load_catalog(catalog).model("mine")
    assert (mine.languages, mine.size) == (("en", "ko"), "605")


# ---- traps of tokenizers ---------------------------------------------------------------------


def settings_changed(folder: Path, **changes: object) -> Path:
    file = folder / "tokenizer_config.json"
    settings = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: each for name, each in settings.items() if each is not None}))
    return folder


def test_siglip_needs_no_sentencepiece_where_a_folder_has_tokenizer_json(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made("siglip"), tmp_path / "named"))
    settings_changed(folder, tokenizer_class="SiglipTokenizer", backend=None)  # as the hub has it
    expected = Encoder(made("siglip"), device="cpu").embed_texts(TEXTS)
    assert np.array_equal(Encoder(folder, device="cpu").embed_texts(TEXTS), expected)


def test_siglip_asks_for_sentencepiece_where_it_must_have_it(
    made: Callable[[str], Path], database: thanosql_dbapi.Connection, workspace: Path
) -> None:
    if importlib.util.find_spec("sentencepiece"):
        pytest.skip("sentencepiece is installed")
    folder = Path(shutil.copytree(made("siglip"), workspace / "mine"))
    settings_changed(folder, tokenizer_class="SiglipTokenizer", backend=None)
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"x")
    database.execute("UPLOAD MODEL mine FROM 'mine'")
    with pytest.raises(thanosql_dbapi.ModelError, match="pip install sentencepiece protobuf"):
        database.execute("SELECT embed_text('mine', 'a cat')")


@pytest.mark.parametrize("name", ["siglip", "siglip2"])
def test_siglip_reads_texts_in_lower_case_and_full_length(
    name: str, made: Callable[[str], Path]
) -> None:
    encoder = Encoder(made(name), device="cpu")
    small, large = encoder.embed_texts(["a black cat", "A BLACK Cat"])
    assert np.abs(small - large).max() < 1e-6
    encoder._load_config()
    tokenizer = encoder.family.load_tokenizer(made(name))
    tokens = encoder.family.tokens(tokenizer, ["a cat", "A cat " * 90], 64)
    assert set(tokens) == {"input_ids"}  # no place is masked
    assert tokens["input_ids"].shape == (2, 64)
    ends = (tokens["input_ids"][0] == tokenizer.eos_token_id).nonzero().flatten().tolist()
    padded = tokenizer.pad_token_id == tokenizer.eos_token_id
    assert ends[0] == len(tokenizer("a cat")["input_ids"]) - 1
    assert padded or ends[1:] == []
    assert tokens["input_ids"][0, -1] == tokenizer.pad_token_id  # on the right
    assert tokens["input_ids"][1, -1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("name", "token"), [("metaclip_2", "eos_token_id"), ("altclip", "bos_token_id")]
)
def test_a_token_that_the_tower_looks_for_in_vain_is_refused(
    name: str, token: str, made: Callable[[str], Path], tmp_path: Path
) -> None:
    """MetaCLIP 2 would read every text at its first place, and give all of them one vector."""
    folder = Path(shutil.copytree(made(name), tmp_path / "wrong"))
    config = json.loads((folder / "config.json").read_text())
    config["text_config"][token] = 200
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(thanosql_dbapi.ModelError, match=f"text_config.{token} in config.json is 2"):
        Encoder(folder, device="cpu").embed_texts(["a cat"])


def test_a_long_text_says_where_it_was_cut(
    made: Callable[[str], Path], database: thanosql_dbapi.Connection, workspace: Path
) -> None:
    shutil.copytree(made("siglip2"), workspace / "mine")
    database.execute("UPLOAD MODEL mine FROM 'mine'")
    text = "A Dog " * 90
    with pytest.warns(thanosql_dbapi.ModelWarning, match="longer than model 'mine' reads") as seen:
        database.execute("SELECT embed_text('mine', ?)", (text,)).fetchall()
    kept = int(str(seen[0].message).rpartition(": ")[2].partition(" ")[0])
    assert 0 < kept < len(text)
    whole, part = Encoder(made("siglip2"), device="cpu").embed_texts([text, text[:kept]])
    assert np.abs(whole - part).max() < 1e-6


@pytest.mark.parametrize(
    "words", ["spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "vocab.txt"]
)
def test_the_hub_gives_every_familys_words(words: str) -> None:
    from thanosql_dbapi.sources.hub_cache import choose_files

    names = ["config.json", words, "model.safetensors", "flax_model.msgpack", "README.md"]
    assert sorted(choose_files(names)) == sorted(names[:3])


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_follows_every_file_of_the_tokenizer(
    name: str, made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made(name), tmp_path / "copy"))
    seen = {inspect_folder(folder).fingerprint}
    for file in read_family(folder).tokenizer_files:
        content = (folder / file).read_text() if (folder / file).exists() else ""
        (folder / file).write_text(content + "\n")
        seen.add(inspect_folder(folder).fingerprint)
    assert len(seen) == 1 + len(read_family(folder).tokenizer_files)
