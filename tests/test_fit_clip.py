"""FIT MODEL with ``text_col``: a registered model that learns the user's words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
from PIL import Image

import thanosql_dbapi
from thanosql_dbapi import Connection, ModelError, ModelWarning, OperationalError, ProgrammingError
from thanosql_dbapi.models.families.registry import read_family
from thanosql_dbapi.models.preprocessing import load_preparation
from thanosql_dbapi.statements import clip_training
from thanosql_dbapi.training.contrastive import batches, methods, trained
from thanosql_dbapi.training.contrastive.pairs import Pairs
from thanosql_dbapi.training.contrastive.tuning import from_model

WORDS = {
    "zorp": (200, 30, 30),
    "blick": (30, 200, 30),
    "wumpa": (30, 30, 200),
    "quill": (220, 220, 40),
}
PICTURES = 48
FIT = "FIT MODEL new USING m OPTIONS ({}) AS SELECT * FROM words"


def square(place: int, size: int = 32) -> Image.Image:
    """A picture of one colour, no two the same."""
    colour = list(WORDS.values())[place % len(WORDS)]
    noise = np.random.default_rng(place).normal(0, 25, (size, size, 3))
    return Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))


def caption(place: int) -> str:
    word = list(WORDS)[place % len(WORDS)]
    return f"a {word}" if place % 3 else f"the {word}"


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squares")
    for place in range(PICTURES):
        square(place).save(folder / f"{place}.png")
    return folder


@pytest.fixture
def database(tmp_path: Path, squares: Path, clip_folder: Path) -> Iterator[Connection]:
    """A database with the table ``words`` of pictures and captions, and the model ``m``."""
    shutil.copytree(squares, tmp_path / "squares")
    shutil.copytree(clip_folder, tmp_path / "tiny_clip")
    connection = thanosql_dbapi.connect(tmp_path / "t.db", progress=False)
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    connection.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, image_path, caption)")
    connection.executemany(
        "INSERT INTO words VALUES (?, ?, ?)",
        [(place, f"squares/{place}.png", caption(place)) for place in range(PICTURES)],
    )
    connection.commit()
    yield connection
    connection.close()


def fit(connection: Connection, options: str = "", seed: int = 1) -> Any:
    """Execute a FIT, and return its report."""
    usual = f"text_col='caption', batch_size=12, seed={seed}"
    connection.execute(FIT.format(f"{usual}, {options}" if options else usual))
    return connection.report


def model_files(connection: Connection, name: str) -> dict[str, bytes]:
    folder = connection.workspace / "thanosql-model" / name
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fingerprint(connection: Connection, name: str) -> str:
    sql = "SELECT fingerprint FROM thanosql_models WHERE name = ?"
    return str(connection.execute(sql, (name,)).fetchone()[0])


def found(connection: Connection, model: str, word: str) -> list[str]:
    """The captions of the pictures that a search finds first."""
    rows = connection.execute(
        f"SELECT caption FROM (SEARCH IMAGE text='a {word}' USING {model} OPTIONS (result_col='s')"
        " AS SELECT * FROM words) ORDER BY s DESC LIMIT 8"
    )
    return [row[0].split()[-1] for row in rows]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("head", "learning_rate=0.02, epochs=30"),
        ("lora", "learning_rate=0.01, epochs=20"),
        ("full", "learning_rate=0.003, epochs=10"),
    ],
)
def test_a_search_finds_what_was_given_a_new_name(
    database: Connection, method: str, options: str
) -> None:
    if method == "lora":
        pytest.importorskip("peft")
    report = fit(database, f"method='{method}', {options}")
    assert report.recall_at_1 > report.recall_at_1_before
    assert (report.statement, report.model, report.held_out) == ("FIT MODEL", "new", 5)
    database.execute("CONVERT USING new OPTIONS (table_name='words') AS SELECT * FROM words")
    for word in WORDS:
        assert found(database, "new", word) == [word] * 8


@pytest.fixture
def learnt(database: Connection) -> Connection:
    """The same, with the model ``new`` that has learnt the words."""
    fit(database, "learning_rate=0.02, epochs=10")
    return database


def test_what_comes_out_is_a_model_in_itself(learnt: Connection) -> None:
    uploaded = learnt.workspace / "tiny_clip"
    base = model_files(learnt, "m")
    assert all(base[path.name] == path.read_bytes() for path in uploaded.iterdir())
    rows = learnt.execute("SELECT model_name, kind, source FROM (LIST MODEL)").fetchall()
    assert ("new", "embedding", "fit:m") in rows
    learnt.execute("DELETE MODEL m")
    learnt.execute("CONVERT USING new OPTIONS (table_name='words') AS SELECT * FROM words")
    assert found(learnt, "new", "zorp") == ["zorp"] * 8
    names = [row[1] for row in learnt.execute("PRAGMA table_info(words)")]
    assert "new_clipen" in names


@pytest.mark.parametrize("method", ["head", "lora", "full"])
def test_transformers_reads_the_folder_alone(database: Connection, method: str) -> None:
    import torch
    from transformers import AutoTokenizer, CLIPModel

    if method == "lora":
        pytest.importorskip("peft")
    fit(database, f"method='{method}', learning_rate=0.01, epochs=2, validate=0")
    folder = database.workspace / "thanosql-model" / "new"
    assert {path.name for path in folder.iterdir()} >= {"config.json", "model.safetensors"}
    model, loading = CLIPModel.from_pretrained(folder, output_loading_info=True)
    assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys"))
    tokens = AutoTokenizer.from_pretrained(folder)(["a zorp"], return_tensors="pt")
    with torch.no_grad():
        features = model.get_text_features(**tokens)
    features = getattr(features, "pooler_output", features)
    expected = torch.nn.functional.normalize(features, dim=-1).numpy()[0]
    (vector,) = database.execute("SELECT embed_text('new', 'a zorp')").fetchone()
    (base,) = database.execute("SELECT embed_text('m', 'a zorp')").fetchone()
    assert np.frombuffer(vector, "<f4") == pytest.approx(expected, abs=1e-5)
    assert np.abs(np.frombuffer(base, "<f4") - expected).max() > 1e-3


def test_half_precision_stays_half_precision(database: Connection) -> None:
    from safetensors.torch import load_file, save_file

    folder = database.workspace / "half"
    shutil.copytree(database.workspace / "tiny_clip", folder)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value.half() for name, value in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    database.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'half'")
    report = fit(database, "method='full', learning_rate=0.003, epochs=4")
    saved = load_file(database.workspace / "thanosql-model" / "new" / "model.safetensors")
    assert {value.dtype for value in saved.values()} == {weights["logit_scale"].half().dtype}
    # What the report says is what the saved weights are worth.
    pairs = pairs_of(database)
    trained_on, held = pairs.split(0.1, 1)
    assert report.recall_at_1 == recall_at_1(database, [pairs.captions[at] for at in held], held)
    assert len(trained_on) == report.pictures


def pairs_of(database: Connection) -> Pairs:
    rows = database.execute("SELECT caption FROM words ORDER BY id").fetchall()
    pixels = np.stack([np.asarray(square(place)) for place in range(PICTURES)])
    return Pairs(pixels, [row[0] for row in rows], np.arange(PICTURES))


def recall_at_1(database: Connection, captions: list[str], places: np.ndarray) -> float:
    from thanosql_dbapi.models.encoder import Encoder

    encoder = Encoder(database.workspace / "thanosql-model" / "new", device="cpu")
    texts = encoder.embed_texts(captions)
    images = encoder.embed_images([square(place) for place in places])
    best = (texts @ images.T).argmax(1)
    return float(
        np.mean([captions[at] == caption for at, caption in zip(best, captions, strict=True)])
    )


def test_the_same_rows_and_seed_give_the_same_model(database: Connection) -> None:
    fit(database, "epochs=2, validate=0")
    first = fingerprint(database, "new")
    fit(database, "epochs=2, validate=0, overwrite=True")
    assert fingerprint(database, "new") == first
    fit(database, "epochs=2, validate=0, overwrite=True", seed=2)
    assert fingerprint(database, "new") != first


def test_where_nothing_is_better_the_base_is_kept_and_a_warning_says_so(
    learnt: Connection,
) -> None:
    with pytest.warns(ModelWarning, match=r"5 pictures held out, nothing .* better than 'new' \("):
        learnt.execute(
            "FIT MODEL worse USING new OPTIONS (text_col='caption', method='full', epochs=2,"
            " learning_rate=5.0, seed=1) AS SELECT * FROM words"
        )
    report = learnt.report
    assert report.best_step == 0
    assert report.recall_at_1 == report.recall_at_1_before
    assert fingerprint(learnt, "worse") == fingerprint(learnt, "new")


@pytest.mark.parametrize("family", sorted(families.MAKERS))
@pytest.mark.parametrize("method", ["head", "full"])
def test_every_family_learns_on(tmp_path: Path, family: str, method: str) -> None:
    """One step moves what the method says, and the saved folder makes the same vectors."""
    from thanosql_dbapi.models.encoder import Encoder

    base, folder = tmp_path / "base", tmp_path / "new"
    base.mkdir()
    folder.mkdir()
    families.MAKERS[family](base)
    setup = tuned(base, method)
    setup.learner.step(setup.sampler.batch(0), 1.0)
    setup.settle()
    setup.save(folder, is_base=False)
    before, after = Encoder(base, device="cpu"), Encoder(folder, device="cpu")
    texts = [caption(place) for place in range(4)]
    assert np.abs(before.embed_texts(texts) - after.embed_texts(texts)).max() > 1e-4
    pictures = [square(place) for place in range(4)]
    moved = np.abs(before.embed_images(pictures) - after.embed_images(pictures)).max()
    # SigLIP's image tower ends in no linear map, so its pictures stay where they are.
    assert (moved > 1e-4) == (method == "full" or not family.startswith("siglip"))
    places = np.arange(4)
    towers = trained.TunedTowers(setup.model, read_family(base))
    pixels = batches.in_range(pairs_in(base).pixels[places], load_preparation(base), "cpu")
    seen = towers.images(pixels)[1].detach().numpy()
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    assert after.embed_images(pictures) == pytest.approx(seen, abs=1e-5)


def pairs_in(base: Path) -> Pairs:
    preparation = load_preparation(base)
    pixels = np.stack([preparation.pixels(square(place)) for place in range(16)])
    return Pairs(pixels, [caption(place) for place in range(16)], np.arange(16))


def tuned(base: Path, method: str) -> Any:
    return from_model(
        base,
        read_family(base),
        load_preparation(base),
        pairs_in(base),
        method=method,
        learning_rate=0.01,
        batch_size=8,
    )


def test_the_last_layers_learn_the_same_with_kept_numbers_and_without(clip_folder: Path) -> None:
    kept = tuned(clip_folder, "head")
    whole = trained.load_model(clip_folder, read_family(clip_folder), "cpu")
    methods.begin(whole, read_family(clip_folder), "head")
    sampler = batches.Sampler(
        pairs_in(clip_folder),
        pairs_in(clip_folder).split(0.1, 0)[0],
        kept.sampler._tokenize,
        load_preparation(clip_folder),
        batch_size=8,
        seed=0,
        device="cpu",
        mirrors=False,
    )
    towers = trained.TunedTowers(whole, read_family(clip_folder))
    learner = type(kept.learner)(whole, towers, kept.learner.rates)
    for step in range(4):
        expected = learner.step(sampler.batch(step), 1.0)
        assert kept.learner.step(kept.sampler.batch(step), 1.0) == pytest.approx(expected, abs=1e-5)
    kept.settle()
    weights = whole.state_dict()
    for name, value in kept.model.state_dict().items():
        assert value.numpy() == pytest.approx(weights[name].numpy(), abs=1e-5), name


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        (FIT.format("text_col='caption', method='qlora'"), ProgrammingError, "head"),
        (FIT.format("method='head'"), ProgrammingError, r"OPTIONS \(text_col='…'\)"),
        (FIT.format("label_col='caption'"), ProgrammingError, "learns from captions"),
        (
            FIT.format("text_col='caption', label_col='caption'"),
            ProgrammingError,
            "'label_col' is for classifiers",
        ),
        (FIT.format("text_col='nothing'"), OperationalError, "no column 'nothing'"),
        (FIT.format("text_col='caption', image_col='no'"), OperationalError, "no column 'no'"),
        (FIT.replace("words", "words LIMIT 3").format("text_col='caption'"), OperationalError, "3"),
        (FIT.replace("USING m", "USING x").format("text_col='caption'"), ModelError, "'x'"),
        (FIT.replace("new", "m").format("text_col='caption'"), ModelError, "overwrite=True"),
        (FIT.format("text_col='caption', size='tiny'"), ProgrammingError, "size"),
        (
            FIT.format("text_col='caption', method='full', learning_rate=1e30, epochs=3"),
            OperationalError,
            "not finite after .* lower learning_rate.*nothing was registered",
        ),
    ],
)
def test_what_cannot_be_learnt_from_changes_nothing(
    database: Connection, sql: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        database.execute(sql)
    assert database.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (1,)


def test_a_classifier_learns_from_no_captions(database: Connection) -> None:
    database.execute(
        "BUILD MODEL c USING m OPTIONS (label_col='thing') AS SELECT *, id % 4 AS thing FROM words"
    )
    with pytest.raises(ProgrammingError, match=r"'c' is a classifier.*leave text_col out"):
        database.execute(FIT.replace("USING m", "USING c").format("text_col='caption'"))
    with pytest.raises(ProgrammingError, match=r"'c' is a classifier.*leave method out"):
        database.execute(FIT.replace("USING m", "USING c").format("method='full'"))


def test_without_peft_lora_says_what_to_install(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'thanosql-dbapi\[train\]'"):
        fit(database, "method='lora'")
    fit(database, "method='head', epochs=1, validate=0")


def test_a_model_without_a_temperature_cannot_be_trained(database: Connection) -> None:
    from safetensors.torch import load_file, save_file

    path = database.workspace / "tiny_clip" / "model.safetensors"
    weights = load_file(path)
    del weights["logit_scale"]
    save_file(weights, path, metadata={"format": "pt"})
    database.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'")
    with pytest.raises(ModelError, match=r"CLIP has no logit_scale in its weights"):
        fit(database)


def test_an_interrupt_keeps_what_is_better_and_the_same_statement_goes_on(
    tmp_path: Path, database: Connection
) -> None:
    steps: list[int] = []

    def stops(done: int, total: int | None, what: str) -> None:
        steps.append(done)
        if "recall" in what and done >= 24:
            raise KeyboardInterrupt("stopped")

    impatient = thanosql_dbapi.connect(tmp_path / "t.db", progress=stops)
    with (
        pytest.warns(ModelWarning, match="interrupted after 24 steps; the best weights so far"),
        pytest.raises(KeyboardInterrupt),  # noqa: PT011 - it is raised bare
    ):
        fit(impatient, "learning_rate=0.02, epochs=20")
    impatient.close()
    assert database.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (2,)
    database.execute("CONVERT USING new OPTIONS (table_name='words') AS SELECT * FROM words")
    assert len(found(database, "new", "zorp")) == 8


@pytest.mark.parametrize("validate", [0, 0.25])
def test_a_model_that_the_last_step_has_spoilt_is_not_registered(
    database: Connection, validate: float
) -> None:
    with pytest.raises(OperationalError, match="not finite after 1 steps; set a lower learning"):
        database.execute(
            FIT.format(
                "text_col='caption', epochs=1, batch_size=99, learning_rate=1e30,"
                f" validate={validate}"
            )
        )
    assert database.execute("SELECT model_name FROM (LIST MODEL)").fetchall() == [("m",)]


def test_time_ends_it(database: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(10_000))
    monkeypatch.setattr(clip_training, "clock", lambda: float(next(seconds)))
    report = fit(database, "learning_rate=0.02, max_minutes=1")
    assert report.stopped == "time"
    assert report.recall_at_5 is not None


def test_a_base_that_is_deleted_meanwhile_is_not_needed(
    tmp_path: Path, database: Connection
) -> None:
    def deletes(done: int, total: int | None, what: str) -> None:
        if "loss" in what and done == 1:
            database.execute("DELETE MODEL m")

    other = thanosql_dbapi.connect(tmp_path / "t.db", progress=deletes)
    fit(other, "epochs=1, validate=0")
    other.close()
    assert database.execute("SELECT model_name FROM (LIST MODEL)").fetchall() == [("new",)]
    database.execute("CONVERT USING new OPTIONS (table_name='words') AS SELECT * FROM words")


def test_a_full_disk_registers_nothing(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    def full(*_: object, **__: object) -> None:
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OperationalError, match=r"'new'.*No space left on device.*nothing was"):
        fit(database, "epochs=1, validate=0")
    assert database.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (1,)
    assert "new" not in {path.name for path in (database.workspace / "thanosql-model").iterdir()}
