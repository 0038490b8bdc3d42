"""The built-in data set and its model, through their public face."""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from thanosql_dbapi.storybook import MODEL_FOLDER, write_dataset
from thanosql_dbapi.storybook.captions import say
from thanosql_dbapi.storybook.chatter import chatter_in_its_language
from thanosql_dbapi.storybook.drawing import Painter
from thanosql_dbapi.storybook.korean import say_korean, with_particle
from thanosql_dbapi.storybook.meanings import Meaning, codes, fits, meant
from thanosql_dbapi.storybook.world import (
    COLOURS,
    MOODS,
    PLACES,
    SITTERS,
    THINGS,
    TIMES,
    Scene,
    lot,
    photo_id,
    sample_scene,
)

if TYPE_CHECKING:
    from thanosql_dbapi.storybook.quality import Reader

COLUMNS = ["photo_id", "image_path", "photo_image_url", "photo_description", "ai_description"]


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "storybook.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace") / "thanosql-dataset" / "storybook"
    write_dataset(folder, rows=30, seed=5)
    return folder


def test_table_has_the_tutorials_columns(dataset: Path) -> None:
    header = (dataset / "storybook.csv").read_text("utf-8").splitlines()[0]
    assert header.split(",") == COLUMNS


def test_table_names_the_pictures_relative_to_the_workspace(dataset: Path) -> None:
    rows = _table(dataset)
    assert len(rows) == 30
    for row in rows:
        assert row["image_path"] == f"thanosql-dataset/storybook/{row['photo_id']}.jpg"
        assert (dataset.parent.parent / row["image_path"]).is_file()


def test_descriptions(dataset: Path) -> None:
    rows = _table(dataset)
    assert all(row["ai_description"] for row in rows)
    empty = sum(not row["photo_description"] for row in rows)
    assert 0 < empty < len(rows)
    for i, row in enumerate(rows):
        scene = sample_scene(5, i)
        assert scene.colour in row["ai_description"]
        assert row["photo_image_url"] == f"storybook:5/{i}"


def test_pictures_are_small_jpegs(dataset: Path) -> None:
    from PIL import Image

    for path in dataset.glob("*.jpg"):
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (320, 240))


def test_same_seed_gives_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, rows=30, seed=5)
    assert _digests(tmp_path) == _digests(dataset)


def test_a_row_does_not_depend_on_how_many_there_are(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, rows=7, seed=5)
    many = _digests(dataset)
    assert all(
        many[name] == digest for name, digest in _digests(tmp_path).items() if "csv" not in name
    )
    assert _table(tmp_path) == _table(dataset)[:7]


def test_another_seed_gives_other_rows(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, rows=7, seed=6)
    assert not set(_digests(tmp_path)) - {"storybook.csv"} & set(_digests(dataset))


def test_progress_ends_at_all_rows(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_dataset(tmp_path, rows=25, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (25, 25)
    assert calls == sorted(calls)


def test_no_rows_is_a_table_with_a_header(tmp_path: Path) -> None:
    write_dataset(tmp_path, rows=0)
    assert (tmp_path / "storybook.csv").read_text("utf-8") == ",".join(COLUMNS) + "\n"


def test_negative_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows must be 0 or more, got -1"):
        write_dataset(tmp_path, rows=-1)


def test_a_script_without_a_main_guard_may_draw_on_all_cores(tmp_path: Path) -> None:
    """Child processes run the package's code only, and give the same bytes as one process."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from pathlib import Path\n"
        "print('once')\n"
        "from thanosql_dbapi.storybook import dataset\n"
        "dataset._WORTH_A_WORKER = 4\n"
        "dataset.cores = lambda: 2\n"
        "dataset.write_dataset(Path(sys.argv[2]), rows=8, seed=5)\n",
        encoding="utf-8",
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, script, root, tmp_path / "many"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "once\n"
    write_dataset(tmp_path / "one", rows=8, seed=5)
    assert _digests(tmp_path / "many") == _digests(tmp_path / "one")


def test_photo_ids_look_like_unsplashs_and_differ() -> None:
    names = {photo_id(seed, i) for seed in range(3) for i in range(2000)}
    assert len(names) == 6000
    assert all(len(name) == 11 and name[0].isalnum() for name in names)


def test_the_world_shows_everything() -> None:
    scenes = [sample_scene(0, i) for i in range(3000)]
    assert {(s.thing, s.colour) for s in scenes} == {(t, c) for t in THINGS for c in COLOURS}
    assert {s.place for s in scenes} == set(PLACES)
    assert {(s.time, s.mood) for s in scenes} == {(t, m) for t in TIMES for m in MOODS}
    assert {s.thing for s in scenes if s.is_on_chair} == set(SITTERS)
    assert all(s.count == 1 for s in scenes if s.is_on_chair)
    assert min(Counter(s.count for s in scenes).values()) > 500


@pytest.mark.parametrize("thing", THINGS)
def test_a_things_colour_is_on_the_picture(thing: str) -> None:
    painter = Painter()
    pictures = [
        painter.paint(Scene(thing, colour, 1, "snow", "day", "calm"), seed=1, index=1).tobytes()
        for colour in COLOURS
    ]
    assert len(set(pictures)) == len(COLOURS)


@pytest.mark.parametrize("say_it", [say, say_korean])
def test_every_caption_is_true_of_its_scene(say_it: Any) -> None:
    rng = lot("test")
    for i in range(500):
        scene = sample_scene(11, i)
        text, meaning = say_it(scene, rng)
        assert text == " ".join(text.split()) != ""
        assert fits(meaning, scene), text


def test_a_korean_caption_says_what_it_means() -> None:
    """The words for a kind of thing stand in no caption of another kind."""
    rng = lot("korean")
    words = {"cat": "고양이", "fish": "물고기", "flower": "꽃", "car": "자동차"}
    told = {
        "city": ("도시 한복판", "번화가"),
        "sunset": ("노을", "해 질 녘"),
        "gloomy": ("우울한", "쓸쓸한"),
    }
    captions = [(sample_scene(12, i), say_korean(sample_scene(12, i), rng)) for i in range(4000)]
    assert sum(word in text for word in words.values() for _, (text, _) in captions) > 500
    for scene, (text, meaning) in captions:
        if meaning == Meaning():  # a few in ten thousand say nothing
            continue
        assert re.fullmatch(r"[가-힣0-9, ]+", text), text
        for thing, word in words.items():
            assert word not in text or scene.thing == thing, text
        for value, said in told.items():
            if any(each in text for each in said):
                assert value in (scene.place, scene.time, scene.mood), text
        if " 두 " in text:
            assert (scene.count, meaning.count) == (2, 0b010), text


def test_particles_follow_the_last_sound() -> None:
    assert [with_particle(word, "이/가") for word in ("꽃", "고양이", "두 마리", "물")] == [
        "꽃이",
        "고양이가",
        "두 마리가",
        "물이",
    ]


def test_words_that_say_nothing_are_of_the_captions_language() -> None:
    rng = lot("chatter")
    for text, letters in (("검은 고양이", r"[가-힣?!. ]+"), ("a black cat", r"[a-z?!. ]+")):
        said = {chatter_in_its_language(text, rng) for _ in range(200)}
        assert len(said) > 20
        assert all(text in each and re.fullmatch(letters, each) for each in said)


def test_what_a_caption_is_true_of() -> None:
    two = Scene("cat", "black", 2, "city", "day", "calm")
    seated = Scene("cat", "black", 1, "city", "day", "calm", is_on_chair=True)
    assert fits(meant(thing="cat", colour="black"), two)
    assert not fits(meant(thing="cat", colour="black", count=1), two)
    assert not fits(meant(thing="cat", on_chair=True), two)
    assert fits(meant(thing="cat", on_chair=True), seated)
    assert fits(meant(thing="chair"), seated)
    assert not fits(meant(thing="chair", colour="black"), seated)
    assert fits(meant(thing="animal", colour="black"), seated)
    assert codes(two) != codes(seated)


def test_every_fitting_pair_is_right_in_the_loss() -> None:
    """Two captions that fit both pictures: equal closeness is the best there is."""
    import torch

    from thanosql_dbapi.training.contrastive.loss import contrast

    fits = torch.ones(2, 2)
    level, tilted = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert contrast(level, fits).item() == pytest.approx(0.6931, abs=1e-4)
    assert contrast(tilted, fits) > contrast(level, fits)
    assert contrast(tilted * 9, torch.eye(2)) < 0.01


# The model


@pytest.fixture(scope="module")
def reader() -> Reader:
    from thanosql_dbapi.storybook.quality import Reader

    return Reader(MODEL_FOLDER)


def test_model_is_a_small_plain_folder() -> None:
    assert sum(path.stat().st_size for path in MODEL_FOLDER.iterdir()) <= 8_000_000
    assert (MODEL_FOLDER / "model.safetensors").is_file()
    for path in MODEL_FOLDER.glob("*.json"):
        assert "auto_map" not in path.read_text("utf-8")


def test_processor_and_model_load_with_transformers() -> None:
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    model: Any = CLIPModel.from_pretrained(MODEL_FOLDER)
    processor: Any = CLIPProcessor.from_pretrained(MODEL_FOLDER)
    assert processor.image_processor.do_center_crop is False  # the whole picture is seen
    given = processor(
        text=["a black cat"], images=Image.new("RGB", (320, 240)), return_tensors="pt", padding=True
    )
    assert model(**given).logits_per_image.shape == (1, 1)


def test_end_token_is_the_configs_and_not_two(reader: Reader) -> None:
    config = reader.model.config.text_config
    assert config.eos_token_id == reader.tokenizer.eos_token_id != 2
    assert reader.tokenizer("a cat").input_ids[-1] == config.eos_token_id


def test_padding_changes_nothing(reader: Reader) -> None:
    alone = reader.texts(["a cat"])[0]
    padded = reader.texts(["a cat", "two black cats in front of the mountains at sunset"])[0]
    assert alone @ padded == pytest.approx(1, abs=1e-5)


def test_words_after_the_highest_token_id_count(reader: Reader) -> None:
    """Pooling at the highest token id, as for an end token 2, would not see them."""
    words = ["cat", "dog", "boat", "flower", "house"]
    ids = [reader.tokenizer(word).input_ids for word in words]
    highest = words[max(range(len(words)), key=lambda i: max(ids[i][1:-1]))]
    start = f"a {highest}"
    assert max(reader.tokenizer("at night").input_ids[1:-1]) < max(
        reader.tokenizer(start).input_ids[1:-1]
    )
    near = reader.texts([start, f"{start} at night"])
    assert near[0] @ near[1] < 0.95


def test_words_after_the_end_change_nothing(reader: Reader) -> None:
    import torch

    ids = reader.tokenizer("a black cat").input_ids
    other = [*ids, *reader.tokenizer("three boats").input_ids[1:-1]]
    with torch.inference_mode():
        tower = reader.model.text_model
        plain, longer = (tower(torch.tensor([x])).pooler_output[0] for x in (ids, other))
        shorter = tower(torch.tensor([[*ids[:-2], ids[-1]]])).pooler_output[0]
    assert torch.allclose(plain, longer, atol=1e-5)
    assert not torch.allclose(plain, shorter, atol=1e-2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "고양이 사진",
        "黒い猫",
        "😀🐈",
        "\x00\x07",
        "чёрный кот",
        "a" * 500,
        "ÀÉÎ ß",
        "A BLACK CAT",
    ],
)
def test_any_text_has_a_vector(reader: Reader, text: str) -> None:
    import numpy as np

    vector = reader.texts([text])[0]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_korean_changes_nothing_in_how_english_is_split(reader: Reader) -> None:
    from thanosql_dbapi.storybook.tokens import make_tokenizer

    english = make_tokenizer(100_000_001)
    for text in ("two black cats in front of the mountains", "Überraschung!", "кот 3"):
        assert reader.tokenizer.tokenize(text) == english.tokenize(text)
    assert len(reader.tokenizer.tokenize("검은 고양이")) == 2
    assert len(english.tokenize("검은 고양이")) > 10


def test_case_does_not_matter(reader: Reader) -> None:
    a, b = reader.texts(["A Black CAT", "a black cat"])
    assert a @ b == pytest.approx(1, abs=1e-6)


def test_searches_find_what_was_asked_for(reader: Reader) -> None:
    from thanosql_dbapi.storybook.korean_words import COLOUR_WORDS, MOOD_WORDS, THING_WORDS
    from thanosql_dbapi.storybook.quality import pictures, score

    rows, seed = 300, 77
    scenes = [sample_scene(seed, i) for i in range(rows)]
    vectors = reader.images(pictures(rows, seed))
    queries = [
        *((f"a {thing}", meant(thing=thing)) for thing in THINGS),
        *((f"something {colour}", meant(colour=colour)) for colour in COLOURS),
        *((f"{mood} photos", meant(mood=mood)) for mood in MOODS),
        ("photos at night", meant(time="night")),
        ("photos in the rain", meant(time="rain")),
        ("two cars", meant(thing="car", count=2)),
        *((THING_WORDS[thing][0], meant(thing=thing)) for thing in THINGS),
        *((f"{COLOUR_WORDS[colour][0]} 것", meant(colour=colour)) for colour in COLOURS),
        *((f"{MOOD_WORDS[mood][0]} 사진", meant(mood=mood)) for mood in MOODS),
        ("밤에 찍은 사진을 보여 주세요", meant(time="night")),
        ("비 오는 날 사진", meant(time="rain")),
        ("자동차 두 대", meant(thing="car", count=2)),
        ("바닷가에서 찍은 사진", meant(place="beach")),
    ]
    found = score(queries, scenes, vectors, reader)
    assert found.queries > 50
    assert found.precision > 0.95, found.worst
