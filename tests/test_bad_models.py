"""Models with absurd configurations are refused at UPLOAD and GET, by name of what is wrong."""

from __future__ import annotations

import json
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thanosql_dbapi

CONFIGS: list[tuple[str, str, object]] = [
    *(
        ("text_config", "vocab_size", value)
        for value in (-1, 0, 10, 10**30, "many", None, True, [])
    ),
    *(("text_config", "hidden_size", value) for value in (0, 31, 33, -5, 10**12, 1.5)),
    *(("text_config", "num_hidden_layers", value) for value in (0, -1, 3, 1_000_000, "2", {})),
    *(("text_config", "num_attention_heads", value) for value in (0, 3, 10**9, False)),
    *(("text_config", "max_position_embeddings", value) for value in (-1, 1, 76, 10**9)),
    *(("text_config", "intermediate_size", value) for value in (0, 65, float("nan"))),
    *(("text_config", "hidden_act", value) for value in ("no_such_act", 5, None, [], "")),
    *(("text_config", "layer_norm_eps", value) for value in ("x", -1, float("nan"), float("inf"))),
    *(("vision_config", "patch_size", value) for value in (0, -8, 7, 64, 10**6, float("inf"))),
    *(("vision_config", "image_size", value) for value in (0, 33, 10**9, "big")),
    *(("vision_config", "num_channels", value) for value in (0, 1, 4)),
    *(("vision_config", "num_hidden_layers", value) for value in (1_000_000, 0, 1.0)),
    *(("vision_config", "hidden_act", value) for value in ("no_such_act", {})),
    *(("", "projection_dim", value) for value in (0, -1, 23, 10**9, "x", [1])),
    *(("", "text_config", value) for value in (5, [1], "x")),
    *(("", "model_type", value) for value in ("bert", None, 5)),
]
PROCESSORS: list[tuple[str, object]] = [
    *(("size", value) for value in (0, -1, 10**9, True, "x", {"shortest_edge": 0}, {}, [1])),
    *(("size", value) for value in ({"shortest_edge": 10**9}, {"height": 32, "width": 10**9})),
    *(("crop_size", value) for value in (0, 10**9, {"height": -1, "width": 5}, 31, "x", True)),
    *(("image_mean", value) for value in ([float("nan")] * 3, [1, 2], "x", [10**400] * 3)),
    *(("image_std", value) for value in ([0, 0, 0], float("nan"), float("inf"), [1e-300] * 3)),
    *(("rescale_factor", value) for value in ("x", float("nan"), float("inf"), None)),
    *(("resample", value) for value in (-1, 99, "x", [], True)),
    *(("do_center_crop", value) for value in (False,)),
    *(("image_processor_type", value) for value in ("ViTImageProcessor", 5)),
]
JSON_FILES = ("config.json", "preprocessor_config.json", "tokenizer.json")
NO_JSON: list[bytes] = [b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b"[" * 100_000, b'"x"', b"\0"]


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A sound model's folder in the workspace, to be damaged."""
    return workspace / "tiny_clip"


@pytest.fixture
def bare(workspace: Path) -> Any:
    """A connection without a model, whose catalog has the folder as model ``mine``."""
    catalog = workspace / "catalog.json"
    catalog.write_text(json.dumps({"models": {"mine": {"source": "tiny_clip"}}}))
    connection = thanosql_dbapi.connect(workspace / "a.db", progress=False, catalog=catalog)
    yield connection
    connection.close()


def refusal(connection: thanosql_dbapi.Connection) -> str:
    """Return why UPLOAD and GET refuse the folder; nothing of it is left."""
    messages = []
    for statement in ("UPLOAD MODEL u FROM 'tiny_clip'", "GET THANOSQL MODEL mine"):
        with pytest.raises(thanosql_dbapi.OperationalError, match="nothing was changed") as caught:
            connection.execute(statement)
        messages.append(str(caught.value))
    models = connection.workspace / "thanosql-model"
    assert not models.exists() or not list(models.iterdir())
    return "\n".join(messages)


def change(path: Path, update: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    update(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(("part", "name", "value"), CONFIGS)
def test_a_configuration_without_sense_is_refused(
    folder: Path, bare: thanosql_dbapi.Connection, part: str, name: str, value: object
) -> None:
    def update(config: dict[str, Any]) -> None:
        (config[part] if part else config)[name] = value

    change(folder / "config.json", update)
    message = refusal(bare)
    assert name in message or "shape" in message, message


@pytest.mark.parametrize(("name", "value"), PROCESSORS)
def test_an_image_processor_without_sense_is_refused(
    folder: Path, bare: thanosql_dbapi.Connection, name: str, value: object
) -> None:
    change(folder / "preprocessor_config.json", lambda settings: settings.update({name: value}))
    assert "image processor" in refusal(bare)


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize("content", NO_JSON)
def test_a_file_that_is_no_json_object_is_refused(
    folder: Path, bare: thanosql_dbapi.Connection, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    assert name in refusal(bare)


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"]
)
def test_a_missing_file_or_a_folder_in_its_place_is_refused(
    folder: Path, bare: thanosql_dbapi.Connection, name: str
) -> None:
    (folder / name).unlink()
    refusal(bare)
    (folder / name).mkdir()
    refusal(bare)


def headers(content: bytes) -> dict[str, bytes]:
    """Weights whose header does not say the truth."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]

    def written(header: object, data: bytes = data) -> bytes:
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    key = "text_projection.weight"
    wider = {**header, key: {**header[key], "shape": [24, 10**12]}}
    beyond = {**header, key: {**header[key], "data_offsets": [0, 10**15]}}
    return {
        "empty": b"",
        "a length without an end": struct.pack("<Q", 2**63) + content[8:],
        "no JSON": struct.pack("<Q", 50) + b"x" * 100,
        "cut": content[: len(content) // 2],
        "another shape": written(wider),
        "offsets beyond the end": written(beyond),
        "less data": written(header, data[:-100]),
        "no tensor": written({}, b""),
        "a type that nobody has": written({**header, key: {**header[key], "dtype": "F7"}}),
        "a shape of text": written({**header, key: {**header[key], "shape": "x"}}),
        "one tensor less": written(
            {name: each for name, each in header.items() if name != "logit_scale"}
        ),
    }


def test_weights_with_a_header_that_lies_are_refused(
    folder: Path, bare: thanosql_dbapi.Connection
) -> None:
    path = folder / "model.safetensors"
    for name, content in headers(path.read_bytes()).items():
        path.write_bytes(content)
        assert "weights" in refusal(bare), name


def test_tokens_beyond_the_vocabulary_are_refused(
    folder: Path, bare: thanosql_dbapi.Connection
) -> None:
    def update(tokenizer: dict[str, Any]) -> None:
        words = tokenizer["model"]["vocab"]
        words[max(words, key=words.get)] = 5000

    change(folder / "tokenizer.json", update)
    assert "5000" in refusal(bare)


def test_a_tokenizer_that_cannot_pad_is_an_error_of_the_model(
    folder: Path, bare: thanosql_dbapi.Connection
) -> None:
    change(folder / "tokenizer_config.json", lambda settings: settings.pop("pad_token"))
    bare.execute("UPLOAD MODEL u FROM 'tiny_clip'")
    with pytest.raises(thanosql_dbapi.ModelError, match="its tokenizer cannot be used"):
        bare.execute("SELECT embed_text('u', 'a cat')")


def test_a_model_damaged_after_its_upload_is_an_error_of_the_model(
    connection: thanosql_dbapi.Connection, workspace: Path, tmp_path: Path
) -> None:
    kept = workspace / "thanosql-model" / "m"
    sound = shutil.copytree(kept, tmp_path / "sound")
    damages: list[Callable[[], object]] = [
        lambda: change(kept / "config.json", lambda c: c["text_config"].update(vocab_size=-1)),
        lambda: change(kept / "config.json", lambda c: c.update(projection_dim=[])),
        lambda: (kept / "config.json").write_text("[]"),
        lambda: (kept / "thanosql.json").write_text("[" * 100_000),
        lambda: (kept / "tokenizer.json").write_text("{}"),
        lambda: (kept / "model.safetensors").write_bytes(b"x"),
        lambda: (kept / "preprocessor_config.json").write_text('{"size": 1000000000}'),
        lambda: (kept / "model.safetensors").unlink(),
        lambda: shutil.rmtree(kept),
    ]
    from thanosql_dbapi.models import encoder, tokens

    found: list[thanosql_dbapi.Error | None] = []
    for number, damage in enumerate(damages):
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(sound, kept)
        damage()
        encoder._loaded.clear()
        tokens._positions.cache_clear()
        tokens._tokenizer.cache_clear()
        for sql in (
            "SEARCH IMAGE text=? USING m OPTIONS (emb_col='x') AS SELECT x'00' AS x",
            "CONVERT USING m AS SELECT * FROM photos WHERE caption <> ?",
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found.append(outcome(connection, sql, f"new {number} {np.random.random()}"))
    assert [each for each in found if isinstance(each, thanosql_dbapi.InternalError)] == []
    assert sum(each is not None for each in found) >= len(damages)


def outcome(
    connection: thanosql_dbapi.Connection, sql: str, text: str
) -> thanosql_dbapi.Error | None:
    try:
        connection.execute(sql, (text,)).fetchall()
    except thanosql_dbapi.Error as error:
        return error
    return None
