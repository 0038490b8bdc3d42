"""The embedding room: model folders, encoder, image decoding, pipeline, remembered queries."""

from __future__ import annotations

import errno
import io
import json
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from thanosql_dbapi.embedding import batches
from thanosql_dbapi.embedding.batches import Batch
from thanosql_dbapi.embedding.digests import Digests
from thanosql_dbapi.embedding.executors.local import embed_rows
from thanosql_dbapi.embedding.executors.task import PictureReader
from thanosql_dbapi.embedding.images import open_image
from thanosql_dbapi.embedding.texts import embed_texts_rows
from thanosql_dbapi.errors import (
    MediaError,
    ModelError,
    ProgrammingError,
    WorkspaceError,
)
from thanosql_dbapi.models.encoder import Encoder, load_encoder, resolve_device
from thanosql_dbapi.models.folder import inspect_folder
from thanosql_dbapi.models.weights import adopt_weights
from thanosql_dbapi.workspace import Workspace

TEXTS = ["a black cat", "", "a dog on a chair " * 20, "검은 고양이", "gloomy\nphotos 🐈"]


# ---- fixtures --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(clip_folder: Path) -> Encoder:
    fingerprint = inspect_folder(clip_folder).fingerprint
    return load_encoder(clip_folder, device="cpu", fingerprint=fingerprint)


@pytest.fixture
def copied(clip_folder: Path, tmp_path: Path) -> Path:
    """A copy of the model to damage."""
    return Path(shutil.copytree(clip_folder, tmp_path / "copied"))


@pytest.fixture
def pickled(copied: Path) -> Path:
    """A copy of the model with its weights as a pickled state dict."""
    import torch

    torch.save(state_of(copied), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    return copied


def state_of(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def picture(seed: int = 0, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size).convert(mode)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def opened(source: object) -> Image.Image:
    return open_image(source, locate=Path)  # type: ignore[arg-type]


class Opens:
    """Opens pictures by a function, and makes the one colour of a picture its pixels."""

    least_side_px = None

    def __init__(self, read: Callable[[Any], Image.Image]) -> None:
        self.read = read

    def is_far(self, source: object) -> bool:
        return False

    def fetch(self, source: object) -> object:
        return source

    def opened(self, source: object) -> Any:
        return nullcontext(source)

    def decode(self, source: object, *how: object) -> Image.Image:
        return self.read(source)

    def pixels(self, image: Image.Image) -> np.ndarray:
        return np.full((1, 1, 3), image.getpixel((0, 0))[0], np.uint8)


class ContentsUnknown(Digests):
    """Tells nothing by its content."""

    def __init__(self) -> None:
        super().__init__(Workspace("/nowhere"), b"", "image")

    def of_picture(self, picture: object) -> None:
        return None


def reader(read: Callable[[Any], Image.Image], preparation: Any = None) -> PictureReader:
    opens: Any = Opens(read)
    return PictureReader(opens, ContentsUnknown(), preparation or opens)


def decode_threads() -> list[str]:
    return [
        t.name
        for t in threading.enumerate()
        if t.name.startswith(("thanosql-decode", "thanosql-model"))
    ]


# ---- vectors ---------------------------------------------------------------------------------


def transformers_vectors(folder: Path, texts: list[str], paths: list[Path]) -> tuple:
    """What transformers' own whole CLIPModel and processor say, normalised."""
    import torch
    import transformers

    model = transformers.CLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pil = hasattr(transformers, "CLIPImageProcessorPil")
    kind = transformers.CLIPImageProcessorPil if pil else transformers.CLIPImageProcessor
    processor = kind.from_pretrained(folder)
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=77, return_tensors="pt")
    pixels = processor([transformers_image(path) for path in paths], return_tensors="pt")
    with torch.inference_mode():
        found = [
            model.get_text_features(tokens["input_ids"], tokens["attention_mask"]),
            model.get_image_features(pixels["pixel_values"]),
        ]
    found = [getattr(features, "pooler_output", features) for features in found]
    return tuple((part / part.norm(dim=-1, keepdim=True)).numpy() for part in found)


def transformers_image(path: Path) -> Image.Image:
    from transformers.image_utils import load_image

    return load_image(Image.open(io.BytesIO(path.read_bytes())))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Image files of the sorts that cameras and the web make."""
    exif = Image.Exif()
    exif[0x0112] = 6
    contents = {
        "plain.jpg": encoded(picture(1, (300, 200)), "JPEG"),
        "turned.jpg": encoded(picture(2, (64, 48)), "JPEG", exif=exif),
        "grey.png": encoded(picture(3, mode="L")),
        "opaque.png": encoded(picture(4, mode="RGBA")),
        "palette.gif": encoded(picture(5, mode="P"), "GIF"),
        "print.jpg": encoded(picture(6, mode="CMYK"), "JPEG"),
        "web.webp": encoded(picture(7, (31, 90)), "WEBP"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def test_vectors_equal_transformers(encoder: Encoder, files: list[Path]) -> None:
    texts, pictures = transformers_vectors(encoder.folder, TEXTS, files)
    ours = encoder.embed_images([opened(str(path)) for path in files])
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), texts, atol=1e-5)
    np.testing.assert_allclose(ours, pictures, atol=1e-5)
    assert ours.dtype == np.float32
    assert ours.shape == (len(files), encoder.dimension)


def test_vectors_of_photographs_equal_transformers(encoder: Encoder, photos: Path) -> None:
    # transformers ignores colour profiles.
    plain = (p for p in sorted(photos.glob("*.jpg")) if b"ICC_PROFILE" not in p.read_bytes())
    paths = list(plain)[:12]
    _, want = transformers_vectors(encoder.folder, ["x"], paths)
    rows = ((p.name, str(p)) for p in paths)
    batches = embed_rows(encoder, rows, reader=reader(opened, encoder.preparation), batch_size=5)
    np.testing.assert_allclose(np.concatenate([b.vectors for b in batches]), want, atol=1e-5)


def test_texts_alone_and_in_a_batch_have_one_vector(encoder: Encoder) -> None:
    together = encoder.embed_texts(TEXTS)
    alone = np.concatenate([encoder.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (50, 1), (1, 50), (50, 3), (3, 50)])
def test_tiny_images(encoder: Encoder, size: tuple[int, int]) -> None:
    """Those 1 and 3 pixels high look as if their colours came first."""
    plain = [Image.new("RGB", one, (250, 20, 90)) for one in (size, (40, 30))]
    tiny, want = encoder.embed_images(plain)
    np.testing.assert_allclose(tiny, want, atol=1e-5)


def test_nothing_gives_no_rows(encoder: Encoder) -> None:
    assert encoder.embed_texts([]).shape == (0, 24)
    assert encoder.embed_pixels([]).shape == (0, 24)


def test_a_text_search_does_not_load_the_image_tower(copied: Path) -> None:
    encoder = Encoder(copied, device="cpu")
    state = {key: value for key, value in state_of(copied).items() if "vision" not in key}
    save_state(copied, state)  # there is no image tower to load
    encoder.embed_texts(["a cat"])
    with pytest.raises(ModelError, match=r"the weights lack 39 tensors .* 'vision_model\.emb"):
        encoder.embed_images([picture()])


def test_loading_is_silent(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    encoder = Encoder(copied, device="cpu")
    encoder.embed_texts(["a cat"])
    encoder.embed_images([picture()])
    assert capfd.readouterr() == ("", "")


def test_several_threads_share_an_encoder(copied: Path) -> None:
    encoder = Encoder(copied, device="cpu")
    want = Encoder(copied, device="cpu").embed_texts(TEXTS)
    found: list[np.ndarray] = []

    def work() -> None:
        encoder.embed_images([picture()])
        found.append(encoder.embed_texts(TEXTS))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for vectors in found:
        np.testing.assert_allclose(vectors, want, atol=1e-6)


def save_state(folder: Path, state: dict) -> None:
    from safetensors.torch import save_file

    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_vector_that_is_not_finite_is_an_error(copied: Path) -> None:
    state = state_of(copied)
    state["text_projection.weight"][0, 0] = float("nan")
    save_state(copied, state)
    with pytest.raises(ModelError, match="gave a vector that is zero or not finite"):
        Encoder(copied, device="cpu").embed_texts(["a cat"])


def test_an_end_token_that_the_tokenizer_never_writes_is_an_error(copied: Path) -> None:
    change_config(copied, lambda config: config["text_config"].update(eos_token_id=7))
    with pytest.raises(ModelError, match=r"ends a text with token 1, but .*eos_token_id .* is 7"):
        Encoder(copied, device="cpu").embed_texts(["a cat"])


def test_half_precision_weights_become_float32_on_the_cpu(copied: Path, encoder: Encoder) -> None:
    save_state(copied, {key: value.half() for key, value in state_of(copied).items()})
    vectors = Encoder(copied, device="cpu").embed_texts(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, encoder.embed_texts(TEXTS), atol=5e-3)


def test_sharded_weights(copied: Path, encoder: Encoder) -> None:
    state = state_of(copied)
    (copied / "model.safetensors").unlink()
    weight_map = {key: f"model-{1 + (key > 't')}-of-2.safetensors" for key in state}
    for name in set(weight_map.values()):
        save_state(copied, {key: state[key] for key in state if weight_map[key] == name})
        (copied / "model.safetensors").rename(copied / name)
    index = copied / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    np.testing.assert_array_equal(
        Encoder(copied, device="cpu").embed_texts(TEXTS), encoder.embed_texts(TEXTS)
    )
    (copied / "model-1-of-2.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks 'model-1-of-2\.safetensors', which"):
        inspect_folder(copied)


def test_encoders_are_shared_in_a_process(clip_folder: Path) -> None:
    first = load_encoder(clip_folder, device="cpu", fingerprint="a")
    assert load_encoder(clip_folder, device="CPU", fingerprint="a") is first
    assert load_encoder(clip_folder, device="cpu", fingerprint="b") is not first


def test_devices() -> None:
    assert resolve_device("cpu:0") == "cpu"
    with pytest.raises(ModelError, match=r"device 'tpu' is not available; this machine has cpu"):
        resolve_device("tpu")
    with pytest.raises(ModelError, match=r"device 'cuda:99' is not available"):
        resolve_device("cuda:99")


def test_missing_torch_says_what_to_install(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match="pip install torch transformers") as caught:
        Encoder(clip_folder)
    assert isinstance(caught.value.__cause__, ImportError)


# ---- model folders ---------------------------------------------------------------------------


def change_config(folder: Path, change: Callable[[dict], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_facts_of_a_folder(clip_folder: Path) -> None:
    facts = inspect_folder(clip_folder)
    assert (facts.dimension, facts.image_size_px, facts.max_tokens) == (24, 32, 77)
    assert facts.size_bytes == (clip_folder / "model.safetensors").stat().st_size
    assert len(facts.fingerprint) == 64


def test_facts_need_no_torch(clip_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from thanosql_dbapi.models.folder import inspect_folder;"
        f"inspect_folder(Path({str(clip_folder)!r}));"
        "print(sorted({'torch', 'transformers', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json"])
def test_the_fingerprint_follows_every_file(copied: Path, name: str) -> None:
    before = inspect_folder(copied).fingerprint
    (copied / "README.md").write_text("no part of the model")
    assert inspect_folder(copied).fingerprint == before
    (copied / name).write_text((copied / name).read_text() + "\n")
    assert inspect_folder(copied).fingerprint != before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: shutil.rmtree(f), "does not exist; get the model again"),
        (lambda f: (f / "config.json").unlink(), r"has no config\.json"),
        (lambda f: (f / "config.json").write_text("{"), r"cannot be read as JSON"),
        (lambda f: (f / "config.json").write_text("[]"), r"must hold a JSON object, got \[\]"),
        (lambda f: change_config(f, lambda c: c.update(model_type="bert")), r"got 'bert'"),
        (
            lambda f: change_config(f, lambda c: c.update(projection_dim=0)),
            "is 0; expected a whole",
        ),
        (lambda f: (f / "tokenizer.json").unlink(), r"no tokenizer: expected tokenizer\.json"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "has no image processor"),
        (
            lambda f: (f / "preprocessor_config.json").write_text(
                '{"image_processor_type": "ViTImageProcessor"}'
            ),
            "wants the image processor 'ViTImageProcessor'",
        ),
        (lambda f: (f / "model.safetensors").unlink(), r"no weights: expected model\.safet"),
    ],
)
def test_a_damaged_folder(copied: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(copied)
    with pytest.raises(ModelError, match=message) as caught:
        inspect_folder(copied)
    assert "copied" in str(caught.value)  # which folder


def test_damaged_weights(copied: Path) -> None:
    content = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors' are damaged"):
        Encoder(copied, device="cpu").embed_texts(["a cat"])


def test_an_image_processor_inside_processor_config(copied: Path, encoder: Encoder) -> None:
    """Transformers 5 writes it there."""
    path = copied / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    path.unlink()
    (copied / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    inspect_folder(copied)
    if hasattr(__import__("transformers"), "CLIPImageProcessorPil"):
        ours = Encoder(copied, device="cpu").embed_images([picture()])
        np.testing.assert_array_equal(ours, encoder.embed_images([picture()]))


def test_code_of_a_folder_is_ignored(copied: Path, encoder: Encoder, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (copied / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    auto_map = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "evil.Evil")
    change_config(copied, lambda config: config.update(auto_map=auto_map))
    for name in ("tokenizer_config.json", "preprocessor_config.json"):
        settings = json.loads((copied / name).read_text())
        settings["auto_map"] = {"AutoTokenizer": ["evil.Evil", None], "AutoImageProcessor": "evil"}
        (copied / name).write_text(json.dumps(settings))
    evil = Encoder(copied, device="cpu")
    np.testing.assert_array_equal(evil.embed_texts(TEXTS), encoder.embed_texts(TEXTS))
    evil.embed_images([picture()])
    assert not marker.exists()


# ---- weights that are pickles ----------------------------------------------------------------


def test_a_pickle_becomes_safetensors(pickled: Path, encoder: Encoder) -> None:
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is there, but has not been turned"):
        inspect_folder(pickled)
    adopt_weights(pickled)
    assert not (pickled / "pytorch_model.bin").exists()
    assert inspect_folder(pickled).dimension == 24
    np.testing.assert_array_equal(
        Encoder(pickled, device="cpu").embed_texts(TEXTS), encoder.embed_texts(TEXTS)
    )
    adopt_weights(pickled)  # a second time does nothing


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": {f"_orig_mod.{key}": value for key, value in state.items()}},
        lambda state: {**state, "text_model.embeddings.position_ids": counter()},
    ],
)
def test_wrapped_state_dicts(pickled: Path, wrap: Callable[[dict], dict]) -> None:
    import torch

    state = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    (pickled / "pytorch_model.bin").unlink()
    torch.save(wrap(state), pickled / "mine.pth")
    adopt_weights(pickled)
    assert state_of(pickled).keys() == state.keys()
    assert not (pickled / "mine.pth").exists()


def counter():
    import torch

    return torch.arange(77).expand((1, -1))


def test_tensors_that_share_memory(pickled: Path) -> None:
    import torch

    state = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    state["visual_projection.weight"] = state["text_projection.weight"]
    torch.save(state, pickled / "pytorch_model.bin")
    adopt_weights(pickled)
    found = state_of(pickled)
    assert torch.equal(found["visual_projection.weight"], found["text_projection.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("logit_scale"), "they lack 1 of its tensors, such as 'logit_scale'"),
        (lambda s: s.update(more=s["logit_scale"]), "have, beyond the model's, 1 .* 'more'"),
        (lambda s: s.update(logit_scale=counter()), "in another shape 1 .* 'logit_scale'"),
    ],
)
def test_weights_of_another_model(
    pickled: Path, change: Callable[[dict], object], message: str
) -> None:
    import torch

    path = pickled / "pytorch_model.bin"
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)
    with pytest.raises(ModelError, match=message):
        adopt_weights(pickled)
    assert path.exists()
    assert not list(pickled.glob("*safetensors*"))


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("kind", ["torch", 2, 4])
def test_a_pickle_that_wants_to_run_code(pickled: Path, tmp_path: Path, kind: object) -> None:
    import torch

    marker, path = tmp_path / "ran", pickled / "pytorch_model.bin"
    if kind == "torch":
        torch.save({"logit_scale": _Evil(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(_Evil(marker), protocol=kind))
    with pytest.raises(
        ModelError, match=r"refused: the file would run code .*open.*nothing was run"
    ):
        adopt_weights(pickled)
    assert not marker.exists()
    assert path.exists()
    assert not (pickled / "model.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"hello world", pickle.dumps([1, 2])])
def test_a_file_that_is_no_state_dict(pickled: Path, content: bytes) -> None:
    (pickled / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"(damaged|cannot be read|expected a state dict)"):
        adopt_weights(pickled)


def test_a_folder_without_any_weights(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    (copied / "training_args.bin").write_bytes(b"not weights")
    with pytest.raises(
        ModelError, match=r"has no weights: expected model\.safetensors, or a \.bin"
    ):
        adopt_weights(copied)


# ---- images ----------------------------------------------------------------------------------


def test_images_as_transformers_loads_them(files: list[Path]) -> None:
    for path in files:
        image = opened(str(path))
        assert image.mode == "RGB"
        assert image.tobytes() == transformers_image(path).tobytes(), path.name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_images_are_turned_upright(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(picture(size=(40, 24)), format, exif=exif)
    want = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    found = opened(content)
    assert found.size == ((24, 40) if orientation > 4 else (40, 24))
    assert found.tobytes() == want.tobytes()


def test_sixteen_bits_are_scaled_not_cut_off() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    found = np.asarray(opened(encoded(Image.fromarray(ramp))))
    np.testing.assert_allclose(found[..., 0].ravel(), np.arange(256), atol=1)


def test_floating_point_pictures() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    ramp[0, 0] = np.nan
    found = np.asarray(opened(encoded(Image.fromarray(ramp), "TIFF")))
    np.testing.assert_allclose(found[..., 0].ravel(), np.arange(256), atol=1)


def test_transparent_palette_gives_no_warning() -> None:
    image = picture(mode="P")
    content = encoded(image, transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(content).mode == "RGB"


def test_warnings_of_pillow_stay_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 800)  # Pillow warns above, refuses twice that
    content = encoded(picture(size=(40, 30)))
    before = list(warnings.filters)
    assert opened(content).size == (40, 30)
    assert warnings.filters == before
    with pytest.raises(Image.DecompressionBombWarning, match="exceeds limit"):
        Image.open(io.BytesIO(content))


def test_the_first_picture_of_an_animation() -> None:
    frames = [picture(seed) for seed in range(3)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert opened(content).tobytes() == Image.open(io.BytesIO(content)).convert("RGB").tobytes()


def test_corrupt_exif_says_nothing_of_the_picture() -> None:
    content = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert opened(content).size == (40, 30)


def test_bytes_of_every_kind_and_file_urls(tmp_path: Path) -> None:
    content = encoded(picture())
    path = tmp_path / "a cat#1.png"
    path.write_bytes(content)
    want = opened(content).tobytes()
    for source in (bytearray(content), memoryview(content), str(path), path.as_uri()):
        assert opened(source).tobytes() == want


JPEG = encoded(picture(size=(200, 150)), "JPEG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (JPEG[: len(JPEG) // 2], "is damaged or cut short"),
        (encoded(picture())[:900], "is damaged or cut short"),
        (b"hello world, no picture", r"first bytes are b'hello world,', expected JPEG"),
        (b"\n<!DOCTYPE html><p>404", "it looks like an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1", "it looks like a Git LFS pointer"),
        (b"%PDF-1.7 ....", "it looks like a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image of a known format"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41isom", "it looks like a video"),
    ],
)
def test_broken_images(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    workspace = Workspace(tmp_path)
    with pytest.raises(MediaError, match=message) as caught:
        open_image("broken.jpg", locate=workspace.locate)
    assert "image 'broken.jpg'" in str(caught.value)
    assert str(path) in str(caught.value)  # where it was looked for
    with pytest.raises(MediaError, match=rf"image of {len(content)} bytes"):
        opened(content)


def test_missing_images(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.png").write_bytes(b"x")
    locate = Workspace(tmp_path).locate
    for source, message in [
        ("cat.png", r"'cat\.png' does not exist \(looked for at '/"),
        ("file.png/cat.png", "does not exist"),
        ("folder.png", "is a folder, expected a file"),
        ("file://elsewhere/cat.png", "names the host 'elsewhere'"),
        ("x" * 5000, "(cannot be opened|does not exist)"),
        (7, "a path, a URL or bytes, got 7"),
    ]:
        with pytest.raises(MediaError, match=message):
            open_image(source, locate=locate)  # type: ignore[arg-type]
    with pytest.raises(WorkspaceError, match="outside the workspace"):
        open_image("../cat.png", locate=locate)


def test_a_bomb_is_not_decoded() -> None:
    """A PNG header that claims 40,000 × 40,000 pixels."""
    content = bytearray(encoded(picture()))
    content[16:24] = (40_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    with pytest.raises(MediaError, match=r"larger than the limit of 178,956,970 pixels"):
        opened(bytes(content))


# ---- the pipeline ----------------------------------------------------------------------------


class Fake:
    """An encoder whose vector of a grey picture is its level; notes the batches it got."""

    dimension = 2
    device = "cpu"
    fingerprint = "fake"
    dtype = "float32"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def prepare(self, image: Image.Image) -> np.ndarray:
        return np.full((1, 1, 3), image.getpixel((0, 0))[0], np.uint8)

    def embed_pixels(self, batch: list[np.ndarray]) -> np.ndarray:
        self.sizes.append(len(batch))
        return np.array([[pixels[0, 0, 0], 1] for pixels in batch], np.float32)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        self.sizes.append(len(texts))
        return np.array([[len(text), 1] for text in texts], np.float32)

    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        return self.embed_pixels([self.prepare(image) for image in images])

    def default_batch_size(self) -> int:
        return 4

    def claim_thread(self) -> None:
        self.thread = threading.current_thread().name


def grey(level: int) -> Image.Image:
    if level < 0:
        raise MediaError(f"no picture {level}")
    return Image.new("RGB", (1, 1), (level, level, level))


def test_rows_keep_their_order_and_are_all_accounted_for() -> None:
    rows = [("a", 3), ("b", None), ("c", -1), ("d", 5), ("e", 3), ("f", 8)]
    batches: list[Batch[str]] = list(embed_rows(Fake(), rows, reader=reader(grey), batch_size=4))
    assert [len(batch) for batch in batches] == [4, 2]
    assert [batch.keys for batch in batches] == [["a", "d"], ["e", "f"]]
    assert [batch.empty for batch in batches] == [["b"], []]
    (failure,) = batches[0].failures
    assert (failure.key, failure.source, str(failure.error)) == ("c", -1, "no picture -1")
    assert np.concatenate([batch.vectors for batch in batches])[:, 0].tolist() == [3, 5, 3, 8]
    assert not decode_threads()


def test_a_source_named_twice_in_a_batch_is_read_once() -> None:
    seen: list[str] = []

    def read(source: str) -> Image.Image:
        seen.append(source)
        return grey(int(source))

    rows = [(1, "7"), (2, "9"), (3, "7"), (4, "-2"), (5, "-2")]
    encoder = Fake()
    (batch,) = embed_rows(encoder, rows, reader=reader(read), batch_size=9)
    assert sorted(seen) == ["-2", "7", "9"]
    assert encoder.sizes == [2]
    assert batch.keys == [1, 2, 3]
    assert batch.vectors[:, 0].tolist() == [7, 9, 7]
    assert [failure.key for failure in batch.failures] == [4, 5]


def test_the_batch_size_of_the_device() -> None:
    encoder = Fake()
    list(embed_rows(encoder, ((n, n) for n in range(10)), reader=reader(grey)))
    assert encoder.sizes == [4, 4, 2]
    assert list(embed_rows(encoder, [], reader=reader(grey))) == []


@pytest.mark.parametrize("size", [0, -1, True, 2.5])
def test_bad_batch_sizes(size: object) -> None:
    with pytest.raises(ProgrammingError, match=f"batch_size must be 1 or more, got {size}"):
        embed_rows(Fake(), [(1, 1)], reader=reader(grey), batch_size=size)  # type: ignore[arg-type]
    with pytest.raises(ProgrammingError, match="batch_size must be 1 or more"):
        embed_texts_rows(Fake(), [(1, "x")], batch_size=size)  # type: ignore[arg-type]


def test_only_a_few_batches_are_read_ahead() -> None:
    taken: list[int] = []

    def rows():
        for n in range(100):
            taken.append(n)
            yield n, n

    batches = embed_rows(Fake(), rows(), reader=reader(grey), batch_size=5)
    next(batches)
    assert len(taken) == 15  # this one, and two ahead
    batches.close()
    assert not decode_threads()


def test_a_batch_of_large_blobs_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1000)
    content = encoded(grey(7))
    rows = [(n, content + bytes(400 - len(content))) for n in range(8)]
    parts = list(embed_rows(Fake(), rows, reader=reader(opened), batch_size=6))
    assert [batch.keys for batch in parts] == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_the_model_works_on_while_the_caller_writes() -> None:
    encoder = Fake()
    batches = embed_rows(encoder, ((n, n) for n in range(30)), reader=reader(grey), batch_size=5)
    next(batches)
    deadline = time.monotonic() + 10
    while encoder.sizes != [5, 5, 5] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert encoder.sizes == [5, 5, 5]  # the two that were read ahead
    assert encoder.thread.startswith("thanosql-model")
    batches.close()


def test_closing_cancels_what_waits() -> None:
    gate, started = threading.Event(), []

    def read(source: int) -> Image.Image:
        started.append(source)
        if source >= 4:
            gate.wait(10)
        return grey(source)

    batches = embed_rows(
        Fake(), ((n, n) for n in range(40)), reader=reader(read), batch_size=4, workers=2
    )
    assert next(batches).keys == [0, 1, 2, 3]
    closer = threading.Thread(target=batches.close)
    closer.start()
    gate.set()
    closer.join(10)
    assert not closer.is_alive()
    assert len(started) <= 8  # the first batch, and what ran when it closed
    assert not decode_threads()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ModelError("damaged")])
def test_other_errors_end_it_and_leave_no_thread(error: BaseException) -> None:
    def read(source: int) -> Image.Image:
        if source == 6:
            raise error
        return grey(source)

    batches = embed_rows(Fake(), ((n, n) for n in range(40)), reader=reader(read), batch_size=4)
    assert next(batches).keys == [0, 1, 2, 3]
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind, match=r"damaged|^$"):
        list(batches)
    assert not decode_threads()


def test_too_many_open_files_are_no_fault_of_an_image() -> None:
    """Its vector would be NULL in place of the one before."""

    def read(source: int) -> Image.Image:
        if source == 6:
            try:
                raise OSError(errno.EMFILE, "Too many open files")
            except OSError as error:
                raise MediaError("image 6 cannot be read") from error
        return grey(source)

    with pytest.raises(sqlite3.OperationalError, match=r"Too many open files.*ulimit -n"):
        list(embed_rows(Fake(), ((n, n) for n in range(40)), reader=reader(read), batch_size=4))
    assert not decode_threads()


def test_a_path_outside_the_workspace_fails_that_row_alone(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(encoded(grey(9)))
    locate = Workspace(tmp_path).locate

    def read(source: str) -> Image.Image:
        return open_image(source, locate=locate)

    (batch,) = embed_rows(Fake(), [(1, "in.png"), (2, "/etc/passwd")], reader=reader(read))
    assert batch.keys == [1]
    assert isinstance(batch.failures[0].error, WorkspaceError)


def test_texts_by_rows() -> None:
    rows = [(1, "abc"), (2, None), (3, 12), (4, b"x"), (5, "")]
    first, second = embed_texts_rows(Fake(), rows, batch_size=3)
    assert (first.keys, first.empty) == ([1, 3], [2])
    assert first.vectors[:, 0].tolist() == [3, 2]
    assert second.keys == [5]
    assert str(second.failures[0].error) == "expected a text, got b'x'"
