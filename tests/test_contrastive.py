"""BUILD MODEL with text_col, a CLIP from nothing, as a user calls it; and how it is trained."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import thanosql_dbapi as thanosql
from thanosql_dbapi.planning.training_report import TrainingReport
from thanosql_dbapi.sources.journal import locked
from thanosql_dbapi.statements import clip_training
from thanosql_dbapi.training.contrastive import course, judging
from thanosql_dbapi.training.contrastive.learner import Batch, Learner, Rates
from thanosql_dbapi.training.contrastive.loss import contrast
from thanosql_dbapi.training.contrastive.pairs import fitting, some_words
from thanosql_dbapi.training.contrastive.towers import SIZES, Size

Connection = thanosql.Connection

COLOURS = {
    "red": "빨간",
    "green": "초록",
    "blue": "파란",
    "black": "검은",
    "white": "하얀",
    "gold": "금색",
}
SMALLEST = "Size(32, 16, 32, 1, 32, 1, 24, 200, 12)"
BUILD = (
    "BUILD MODEL mine USING clipen OPTIONS (image_col='image_path', text_col='caption'{more})"
    " AS SELECT * FROM pictures"
)


def build(**options: object) -> str:
    options = {"size": "tiny", "batch_size": 12, "epochs": 4, **options}
    return BUILD.format(more="".join(f", {name}={value!r}" for name, value in options.items()))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on pictures of 32 pixels, and look at what was held out every second step."""
    monkeypatch.setitem(SIZES, "tiny", eval(SMALLEST, {"Size": Size}))  # type: ignore[arg-type]
    monkeypatch.setattr(course, "_LOOKS", (2, 1000))
    monkeypatch.setattr(course, "_SAVE_S", 0.0)
    monkeypatch.setattr(course, "_SAVE_TIMES", 0)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 36 pictures of noise around six colours, and a CSV of their captions."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "images").mkdir()
    noise = np.random.default_rng(0)
    lines = ["image_path,caption"]
    for number in range(36):
        english, korean = list(COLOURS.items())[number % 6]
        picture = np.array(Image.new("RGB", (40, 36), english), np.int16)
        picture += noise.integers(-30, 30, picture.shape, np.int16)
        name = f"images/{number:02}.png"
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / name)
        lines.append(f"{name},{f'a {english} wall' if number % 12 < 6 else f'{korean} 벽'}")
    (folder / "pictures.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


class StoppedError(thanosql.Error):
    """What a test stops a training with, in the place of a kill."""


@dataclass
class Watch:
    """Hears of the steps of a training, and stops it."""

    stops_at: int = 0
    error: type[BaseException] = StoppedError
    said: list[tuple[int, int | None, str]] = field(default_factory=list)

    def __call__(self, done: int, total: int | None, what: str) -> None:
        if "loss" in what:
            self.said.append((done, total, what))
            if self.stops_at and done >= self.stops_at:
                raise self.error(f"stopped at {done}")

    def run(self, connection: Connection, sql: str, stops_at: int = 0) -> list[int]:
        """Execute a statement, stopped at a step, and return the steps that were taken."""
        self.said, self.stops_at = [], stops_at
        if stops_at:
            with pytest.raises(self.error):
                connection.execute(sql)
        else:
            connection.execute(sql)
        return [done for done, _, _ in self.said]


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def con(tmp_path: Path, drawn: Path, watch: Watch) -> Iterator[Connection]:
    """A connection with the table ``pictures``."""
    folder = tmp_path / "workspace"
    shutil.copytree(drawn, folder)
    connection = thanosql.connect(folder / "p.db", progress=watch, device="cpu")
    connection.execute("COPY pictures FROM 'pictures.csv'")
    yield connection
    connection.close()


def fingerprint(connection: Connection) -> str:
    row = connection.execute("SELECT fingerprint FROM thanosql_models WHERE name = 'mine'")
    return str(row.fetchone()[0])


def hidden(connection: Connection) -> list[str]:
    folder = connection.workspace / "thanosql-model"
    return sorted(path.name for path in folder.glob(".mine*"))


def is_untouched(connection: Connection) -> bool:
    """Whether there is no model, neither a row nor a folder."""
    count = connection.execute("SELECT count(*) FROM (LIST MODEL)").fetchone()[0]
    return count == 0 and not (connection.workspace / "thanosql-model" / "mine").exists()


# -- the statement ------------------------------------------------------------------------------


def test_what_comes_out_is_a_model_like_any_other(con: Connection) -> None:
    cursor = con.execute(build(epochs=40, seed=1))
    assert cursor.description is None
    assert con.execute("LIST MODEL").fetchall()[0][:2] == ("mine", "clipen")
    con.execute("CONVERT USING mine OPTIONS (table_name='pictures') AS SELECT * FROM pictures")
    for asked in ("a blue wall", "파란 벽"):
        found = con.execute(
            "SELECT caption FROM (SEARCH IMAGE text=? USING mine AS SELECT * FROM pictures)"
            " ORDER BY mine_clipen_similarity1 DESC LIMIT 3",
            (asked,),
        ).fetchall()
        assert {caption for (caption,) in found} <= {"a blue wall", "파란 벽"}
    own = fingerprint(con)
    folder = con.workspace / "thanosql-model" / "mine"
    shutil.copytree(folder, con.workspace / "taken")
    con.execute("DELETE MODEL mine")
    assert not folder.exists()
    con.execute("UPLOAD MODEL mine FROM 'taken'")
    assert fingerprint(con) == own


def test_transformers_reads_the_folder(con: Connection) -> None:
    from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

    con.execute(build())
    con.execute("CONVERT USING mine OPTIONS (table_name='pictures') AS SELECT * FROM pictures")
    folder = con.workspace / "thanosql-model" / "mine"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "빨간 벽, ☃!"
    read = tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
    assert read.replace(" ", "") == text.replace(" ", "")
    processor, model = CLIPImageProcessor.from_pretrained(folder), CLIPModel.from_pretrained(folder)
    path, ours = con.execute("SELECT image_path, mine_clipen FROM pictures LIMIT 1").fetchone()
    with Image.open(con.workspace / path) as image:
        pixels = processor(images=image.convert("RGB"), return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs = model.visual_projection(model.vision_model(pixels).pooler_output)[0]
    assert ours @ (theirs / theirs.norm()).numpy() > 0.9999


def test_the_same_statement_gives_the_same_model(con: Connection) -> None:
    con.execute(build())
    first = fingerprint(con)
    con.execute(build(overwrite=True))
    assert fingerprint(con) == first
    con.execute(build(overwrite=True, seed=5))
    assert fingerprint(con) != first
    assert hidden(con) == []


def test_the_report_and_the_bar_say_how_good_it_is(con: Connection, watch: Watch) -> None:
    con.execute(build(validate=0.25))
    report = con.report
    assert isinstance(report, TrainingReport)
    assert (report.model, report.pictures, report.held_out) == ("mine", 27, 9)
    assert (report.steps, report.epochs, report.stopped) == (8, 4.0, "steps")
    assert report.recall_at_5 is not None
    assert 0 <= (report.recall_at_1 or 0) <= report.recall_at_5 <= 1
    assert [done for done, _, _ in watch.said] == list(range(1, 9))
    assert watch.said[-1][1] == 8
    assert "recall@5" in watch.said[-1][2]


def test_nothing_is_held_out_with_validate_0(con: Connection) -> None:
    con.execute(build(validate=0))
    assert isinstance(con.report, TrainingReport)
    assert (con.report.held_out, con.report.recall_at_5) == (0, None)


def test_pictures_may_be_blobs_and_have_several_captions(con: Connection) -> None:
    paths = [path for (path,) in con.execute("SELECT image_path FROM pictures")]
    con.execute("CREATE TABLE blobs (image, caption)")
    for path in paths[:16]:
        content = (con.workspace / path).read_bytes()
        con.executemany("INSERT INTO blobs VALUES (?, ?)", [(content, "a wall"), (content, 7)])
    con.commit()
    con.execute(build().replace("image_col='image_path', ", "").replace("pictures", "blobs"))
    assert isinstance(con.report, TrainingReport)
    assert con.report.pictures + con.report.held_out == 16


def test_rows_without_image_or_caption_are_left_out(con: Connection) -> None:
    con.execute("UPDATE pictures SET caption = '  ' WHERE rowid IN (1, 2)")
    con.execute("UPDATE pictures SET caption = NULL WHERE rowid = 3")
    con.execute("UPDATE pictures SET image_path = NULL WHERE rowid = 4")
    con.commit()
    with pytest.warns(thanosql.ModelWarning, match="1 rows have no image and 3 rows have no cap"):
        con.execute(build())


def test_pictures_that_cannot_be_read_are_left_out(con: Connection) -> None:
    (con.workspace / "images" / "00.png").write_bytes(b"no picture")
    (con.workspace / "images" / "01.png").unlink()
    with pytest.warns(thanosql.MediaWarning, match=r"2 of 36 images could not be read") as said:
        con.execute(build())
    assert any("images/01.png" in str(each.message) for each in said)
    assert isinstance(con.report, TrainingReport)
    assert con.report.pictures + con.report.held_out == 34


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        (build(label_col="kind"), thanosql.StatementError, "'label_col' is for classifiers"),
        (build(base_model="clip"), thanosql.StatementError, "'base_model' is for classifiers"),
        (build(validate=1), thanosql.StatementError, "'validate' must be at least 0 and less"),
        (build(max_minutes=0), thanosql.StatementError, "'max_minutes' must be more than 0"),
        (build(max_minutes=1e308), thanosql.StatementError, "'max_minutes' .* at most 1e"),
        (build(learning_rate=1e300), thanosql.StatementError, "'learning_rate' .* at most 1e"),
        (build(batch_size=1), thanosql.StatementError, "'batch_size' must be at least 2"),
        (build(size="huge"), thanosql.StatementError, "'tiny', 'small' or 'base'"),
        (
            build().replace("text_col='caption'", "text_col='words'"),
            thanosql.OperationalError,
            r"no column 'words' \(it has image_path, caption\)",
        ),
        (
            build().replace("image_col='image_path'", "image_col='photo'"),
            thanosql.OperationalError,
            "no column 'photo'",
        ),
        (
            build().replace("image_col='image_path', ", "").replace("*", "caption"),
            thanosql.OperationalError,
            "no column 'image_path'",
        ),
        (
            build() + " LIMIT 5",
            thanosql.OperationalError,
            "5 different pictures with a caption, expected 8 or more",
        ),
        (build().replace("pictures", "nothing"), thanosql.OperationalError, "nothing"),
        (build().replace("clipen", "ConvNeXt_Tiny"), thanosql.ModelError, "USING clipen"),
        (build(learning_rate=1e30), thanosql.OperationalError, "set a lower learning_rate; noth"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(
    con: Connection, sql: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        con.execute(sql)
    assert is_untouched(con)


@pytest.mark.parametrize("validate", [0, 0.25])
def test_a_model_that_the_last_step_has_spoilt_replaces_none(
    con: Connection, validate: float
) -> None:
    con.execute(build(epochs=1))
    before = fingerprint(con)
    with pytest.raises(thanosql.OperationalError, match="not finite after 1 steps; set a lower"):
        con.execute(
            build(epochs=1, batch_size=99, learning_rate=1e30, validate=validate, overwrite=True)
        )
    assert fingerprint(con) == before


def test_a_name_that_is_taken(con: Connection) -> None:
    con.execute(build())
    own = fingerprint(con)
    with pytest.raises(thanosql.ModelError, match=r"overwrite=True"):
        con.execute(build(seed=3))
    assert fingerprint(con) == own


# -- stops --------------------------------------------------------------------------------------


def test_a_stopped_training_goes_on_and_gives_the_same_model(con: Connection, watch: Watch) -> None:
    assert watch.run(con, build(epochs=6)) == list(range(1, 13))
    whole = fingerprint(con)
    con.execute("DELETE MODEL mine")
    watch.run(con, build(epochs=6), stops_at=7)
    assert is_untouched(con)
    assert hidden(con) == [".mine.training"]
    assert watch.run(con, build(epochs=6)) == [7, 8, 9, 10, 11, 12]
    assert fingerprint(con) == whole
    assert hidden(con) == []


def test_another_statement_does_not_go_on(con: Connection, watch: Watch) -> None:
    watch.run(con, build(), stops_at=5)
    con.execute("UPDATE pictures SET caption = 'a wall' WHERE rowid = 1")
    assert watch.run(con, build())[0] == 1


def test_a_damaged_state_is_begun_anew(con: Connection, watch: Watch) -> None:
    watch.run(con, build(), stops_at=5)
    state = con.workspace / "thanosql-model" / ".mine.training" / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    assert watch.run(con, build())[0] == 1
    assert hidden(con) == []


def test_delete_removes_what_a_training_has_left(con: Connection, watch: Watch) -> None:
    watch.error = KeyboardInterrupt
    with pytest.warns(thanosql.ModelWarning, match="interrupted after 5 steps; the best weights"):
        watch.run(con, build(), stops_at=5)
    assert hidden(con) == [".mine.training"]
    con.execute("DELETE MODEL mine")
    assert hidden(con) == []


def test_delete_removes_what_a_training_without_a_model_has_left(
    con: Connection, watch: Watch
) -> None:
    watch.run(con, build(), stops_at=5)
    assert hidden(con) == [".mine.training"]
    held = locked(con.workspace / "thanosql-model" / ".mine.training.lock")
    assert held is not None
    with pytest.raises(thanosql.OperationalError, match=r"is training 'mine'.*nothing was changed"):
        con.execute("DELETE MODEL mine")
    held.close()
    con.execute("DELETE MODEL mine")
    assert hidden(con) == []
    with pytest.raises(thanosql.ModelError, match=r"no model 'mine'"):
        con.execute("DELETE MODEL mine")


def test_the_first_look_is_kept_at_once(
    con: Connection, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_SAVE_S", 1e9)
    watch.run(con, build(), stops_at=5)
    assert watch.run(con, build())[0] > 1


def test_an_interrupt_before_the_first_look_registers_nothing(
    con: Connection, watch: Watch
) -> None:
    watch.error = KeyboardInterrupt
    watch.run(con, build(), stops_at=1)
    assert is_untouched(con)


def test_time_ends_a_training_and_the_best_is_kept(
    con: Connection, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_training, "clock", lambda: 10.0 * len(watch.said))
    con.execute(build(max_minutes=2).replace(", epochs=4", ""))
    assert isinstance(con.report, TrainingReport)
    assert (con.report.stopped, con.report.steps) == ("time", 12)
    assert 0 < con.report.best_step <= 12
    assert con.report.seconds == 120
    assert watch.said[5][:2] == (50, 120)
    assert fingerprint(con)


def test_one_process_at_a_time_trains_a_name(con: Connection) -> None:
    folder = con.workspace / "thanosql-model"
    folder.mkdir()
    journal = locked(folder / ".mine.training.lock")
    assert journal is not None
    with pytest.raises(thanosql.OperationalError, match="another process is training 'mine'"):
        con.execute(build())
    journal.close()
    con.execute(build())


def test_nothing_is_written_through_a_link(con: Connection) -> None:
    outside = con.workspace.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine", encoding="utf-8")
    folder = con.workspace / "thanosql-model" / ".mine.training"
    folder.mkdir(parents=True)
    for name in ("state.pt", "pixels.u8", "pictures.json", "training.json"):
        (folder / name).symlink_to(outside / "file")
        (folder / f"{name}.part").symlink_to(outside / "file")
    con.execute(build())
    assert (outside / "file").read_text(encoding="utf-8") == "mine"
    folder.symlink_to(outside)
    con.execute(build(overwrite=True))
    assert [path.name for path in outside.iterdir()] == ["file"]


SCRIPT = f"""
import signal, sys, warnings
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests ignores it
import thanosql
from thanosql_dbapi.training.contrastive import course, judging
from thanosql_dbapi.training.contrastive.towers import SIZES, Size
SIZES["tiny"] = {SMALLEST}
course._LOOKS = (2, 1000)
course._SAVE_S = course._SAVE_TIMES = 0
warnings.simplefilter("always")
def progress(done, total, what):
    if "recall" in what:
        print(done, flush=True)
con = thanosql.connect(sys.argv[1], progress=progress, device="cpu")
con.execute(sys.argv[2])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one child")
def test_ctrl_c_keeps_the_best_and_the_same_statement_goes_on(
    con: Connection, watch: Watch
) -> None:
    endless = build(epochs=100_000)
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(con.workspace / "p.db"), endless],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(3):
        assert child.stdout.readline().strip().isdigit()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode != 0
    assert "KeyboardInterrupt" in err.splitlines()  # 3.13 says what was left open after it
    assert "the best weights so far" in err
    assert con.execute("LIST MODEL").fetchall()[0][0] == "mine"
    con.execute("CONVERT USING mine OPTIONS (table_name='pictures') AS SELECT * FROM pictures")
    assert watch.run(con, build(epochs=100_000, overwrite=True), stops_at=3)[0] > 3


# -- the room -----------------------------------------------------------------------------------


def test_the_loss_takes_every_fitting_pair_as_right() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 5))
    fits = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]], float)

    def towards(values: np.ndarray, right: np.ndarray) -> list[float]:
        losses = []
        for row, marks in zip(values, right, strict=True):
            chances = np.exp(row) / np.exp(row).sum()
            losses.append(-np.log(chances[marks == 1]).mean() if marks.any() else 0.0)
        return losses

    expected = (np.mean(towards(logits, fits)) + np.mean(towards(logits.T, fits.T))) / 2
    found = contrast(torch.from_numpy(logits), torch.from_numpy(fits))
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_a_caption_fits_where_its_words_stand_together() -> None:
    said = ["black cat", "A cat", "검은 고양이", "!!!", "black chair"]
    pictures = [
        ["a black cat, asleep"],
        ["two boats", "a cat and a BLACK dog"],
        ["검은 고양이 둘"],
        ["!!!"],
        ["a black cat on a chair"],
    ]
    assert fitting(said, pictures).tolist() == [
        [1, 0, 0, 0, 1],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
    ]


def test_precision_is_of_the_first_five_pictures_or_of_those_that_can_be_right() -> None:
    pictures = torch.eye(8)
    asked = torch.tensor([[9.0, 8, 7, 6, 5, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 1]])
    fits = np.array([[1, 1, 0, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    assert judging.precision(asked, pictures, fits) == pytest.approx((3 / 5 + 1) / 2)


def test_a_part_of_a_caption_is_some_of_its_words_in_order() -> None:
    import random

    text = "two black cats, in the forest"
    parts = {some_words(text, random.Random(seed)) for seed in range(200)}
    assert {"black cats", "two", "in the forest", text} <= parts
    assert all(part in text for part in parts)
    assert some_words("!!!", random.Random(0)) == "!!!"


class TwoMatrices:
    """Two towers of one matrix each, with memory for so many rows at once."""

    def __init__(self, most: int = 1 << 30) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.ModuleList([torch.nn.Linear(12, 8), torch.nn.Linear(6, 8)])
        self.most = most

    def images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(pixels) > self.most:
            raise torch.OutOfMemoryError("full")
        seen = pixels.flatten(1)
        return seen, self.model[0](seen)

    def texts(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        vectors: torch.Tensor = self.model[1](tokens["values"])
        return vectors

    def loss(self, cosines: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
        return contrast(5 * cosines, fits)

    def bound(self) -> None:
        pass


def gradients(chunk: int | None, most: int = 1 << 30) -> dict[str, torch.Tensor]:
    """Return the gradients of a step over 20 pictures and 14 captions, in chunks."""

    class Aid(torch.nn.Linear):
        def forward(self, seen: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
            return (super().forward(seen)[:, 0] - told) ** 2

    towers, generator = TwoMatrices(most), torch.Generator().manual_seed(1)
    aid = Aid(12, 1)
    fits = (torch.rand((14, 20), generator=generator) < 0.2).float()
    fits[:, 0] = 1
    batch = Batch(
        torch.randn((20, 3, 2, 2), generator=generator),
        {"values": torch.randn((14, 6), generator=generator)},
        fits,
        torch.randn(20, generator=generator),
    )
    learner = Learner(towers.model, towers, Rates(muon=0), aid=aid, chunk=chunk)
    found: dict[str, torch.Tensor] = {}
    named = {**dict(towers.model.named_parameters()), **dict(aid.named_parameters(prefix="aid"))}

    def keep(*_: object) -> None:
        found.update({name: p.grad.clone() for name, p in named.items() if p.grad is not None})

    learner.adam.register_step_pre_hook(keep)
    learner.step(batch, 0.0)
    assert len(found) == 6
    return found


def test_gradients_in_chunks_are_those_of_the_whole_batch() -> None:
    whole = gradients(None)
    for chunk in (4, 7, 19):
        for name, value in gradients(chunk).items():
            torch.testing.assert_close(value, whole[name], rtol=1e-5, atol=1e-6)


def test_a_batch_that_does_not_fit_the_device_goes_in_smaller_chunks() -> None:
    whole = gradients(None)
    for name, value in gradients(None, most=6).items():
        torch.testing.assert_close(value, whole[name], rtol=1e-5, atol=1e-6)
    with pytest.raises(thanosql.OperationalError, match="choose a smaller size"):
        gradients(None, most=1)
