"""What a model sees of an image: the very pixels of transformers' own processor."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thanosql_dbapi.embedding.images import open_image
from thanosql_dbapi.errors import ModelError
from thanosql_dbapi.models.encoder import Encoder
from thanosql_dbapi.models.preprocessing import load_preparation
from thanosql_dbapi.storybook import MODEL_FOLDER

SETTINGS = [
    {},
    {"size": 33, "crop_size": 30},  # as OpenAI's own folders have it
    {"size": {"shortest_edge": 40}, "crop_size": {"height": 30, "width": 50}},
    {"size": {"height": 24, "width": 20}, "do_center_crop": False},
    {"size": [24, 20], "crop_size": [31, 18], "resample": 2},
    {"do_resize": False, "crop_size": 64},
    {"size": 32, "crop_size": 32, "do_normalize": False, "resample": 0},
    {"size": 32, "crop_size": 32, "do_rescale": False, "image_mean": 0.5, "image_std": 0.25},
    {"size": 32, "crop_size": 32, "rescale_factor": 0.5, "image_mean": [1, 2, 3]},
]
SIZES = [(64, 48), (48, 64), (50, 50), (33, 200), (201, 33), (7, 5), (1, 1), (3, 50), (32, 32)]


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def photograph(width: int, height: int) -> bytes:
    """A JPEG with large shapes, edges and grain."""
    rng = np.random.default_rng(5)
    shapes = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    grain = rng.integers(-4, 5, (height, width, 1))
    pixels = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC)) + grain
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def opened(content: bytes, least_side_px: int | None = None) -> Image.Image:
    return open_image(content, locate=Path, least_side_px=least_side_px)


def folder_with(path: Path, settings: object, name: str = "preprocessor_config.json") -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text('{"model_type": "clip"}')
    (path / name).write_text(json.dumps(settings), encoding="utf-8")
    return path


def transformers_pixels(folder: Path, image: Image.Image) -> np.ndarray:
    import transformers

    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    found = kind.from_pretrained(folder)(
        images=image, return_tensors="np", input_data_format="channels_last"
    )
    return found["pixel_values"][0]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_pixels_are_those_of_transformers(settings: dict, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "m", {"image_processor_type": "CLIPImageProcessor", **settings})
    preparation = load_preparation(folder)
    for size in SIZES:
        image = picture(size)
        pixels = preparation.pixels(image)
        assert pixels.dtype == np.uint8
        ours = pixels * np.array(preparation.scale) + np.array(preparation.shift)
        want = transformers_pixels(folder, image).transpose(1, 2, 0)
        np.testing.assert_allclose(ours, want, atol=2e-5, rtol=1e-6, err_msg=str(size))


def test_settings_in_processor_config_come_first(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "m", {"size": 20, "crop_size": 20})
    assert load_preparation(folder).edge_px == 20
    nested = {"image_processor": {"size": {"shortest_edge": 30}, "crop_size": 30}}
    folder_with(folder, nested, "processor_config.json")
    assert load_preparation(folder).edge_px == 30
    assert load_preparation(folder).pixels(picture((64, 48))).shape == (30, 30, 3)


def test_long_strips_are_cut_before_they_are_enlarged(tmp_path: Path) -> None:
    """The middle of 1 × 60,000 pixels is enlarged, not all of it, to 3 gigapixels."""
    preparation = load_preparation(folder_with(tmp_path / "m", {}))
    for size in [(60_000, 1), (1, 60_000)]:
        image = Image.new("RGB", size, (250, 20, 90))
        assert np.unique(preparation.pixels(image).reshape(-1, 3), axis=0).tolist() == [
            [250, 20, 90]
        ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"size": {"longest_edge": 9}},
            r"size .* is \{'longest_edge': 9\}; expected shortest_edge",
        ),
        ({"size": 0}, "size .* is 0; expected shortest_edge, or height and width, 1 to"),
        ({"crop_size": {"height": 9}}, "crop_size .* expected height and width, 1 to"),
        (
            {"image_mean": [0.5] * 4},
            r"image_mean .*expected three numbers, for red, green and blue",
        ),
        ({"image_std": [1, 1, 0]}, "image_std .* expected numbers other than 0"),
        ({"rescale_factor": "1"}, "rescale_factor .* is '1'; expected a number"),
        ({"resample": 9}, "resample .* is 9; expected the number of a Pillow filter"),
        ({"do_pad": True}, "do_pad .* is True; which is not supported; leave it out"),
    ],
)
def test_settings_that_are_refused(settings: dict, message: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "odd_model", settings)
    with pytest.raises(ModelError, match=message) as caught:
        load_preparation(folder)
    assert "odd_model" in str(caught.value)


# ---- large JPEGs at half their size ----------------------------------------------------------


def test_only_large_jpegs_are_decoded_at_half_their_size() -> None:
    large = photograph(2001, 1936)
    assert opened(large).size == (2001, 1936)
    assert opened(large, 960).size == (1001, 968)
    assert opened(large, 970).size == (2001, 1936)
    assert opened(photograph(1900, 1000), 960).size == (1900, 1000)
    png = io.BytesIO()
    opened(large).save(png, "PNG", compress_level=0)
    assert opened(png.getvalue(), 960).size == (2001, 1936)


def test_half_a_turned_or_grey_jpeg_is_upright_rgb() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    opened(photograph(2400, 2000)).convert("L").save(out, "JPEG", exif=exif)
    image = opened(out.getvalue(), 960)
    assert (image.mode, image.size) == ("RGB", (1000, 1200))


def similarity(encoder: Encoder, contents: list[bytes]) -> np.ndarray:
    """Cosines of the vectors of pictures as CONVERT decodes them to those decoded whole."""
    least = encoder.preparation.least_side_px
    whole = encoder.embed_images([opened(content) for content in contents])
    ours = encoder.embed_images([opened(content, least) for content in contents])
    assert [opened(content, least).size for content in contents] != [
        opened(content).size for content in contents
    ]
    return (whole * ours).sum(axis=1)


def test_half_the_size_keeps_the_vector() -> None:
    encoder = Encoder(MODEL_FOLDER, device="cpu")
    assert similarity(encoder, [photograph(4000, 3000), photograph(1960, 2700)]).min() >= 0.999


def test_half_the_size_keeps_the_vectors_of_photographs(photos: Path) -> None:
    """Enlarged, as the photographs at hand are small."""

    def enlarged(path: Path) -> bytes:
        image = opened(path.read_bytes())
        factor = 2_000 / min(image.size)
        out = io.BytesIO()
        image.resize(tuple(round(side * factor) for side in image.size)).save(out, "JPEG")
        return out.getvalue()

    encoder = Encoder(MODEL_FOLDER, device="cpu")
    contents = [enlarged(path) for path in sorted(photos.glob("*.jpg"))[:8]]
    assert similarity(encoder, contents).min() >= 0.999


# ---- the model's thread ----------------------------------------------------------------------


def threads_in(work: Callable[[], object]) -> tuple[int, int, int]:
    """Torch's threads in a thread that runs ``work`` first, then here, then in a new thread."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    with ThreadPoolExecutor(1, initializer=work) as pool:
        inside = pool.submit(torch.get_num_threads).result()
    with ThreadPoolExecutor(1) as pool:
        return inside, torch.get_num_threads(), pool.submit(torch.get_num_threads).result()


def test_a_small_model_leaves_the_cores_to_decoding(clip_folder: Path, tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        small = Encoder(clip_folder, device="cpu")
        assert threads_in(small.claim_thread) == (1, 2, 2)
        large = tmp_path / "large"
        large.mkdir()
        (large / "config.json").write_text('{"model_type": "clip"}')  # all of it by default
        assert threads_in(Encoder(large, device="cpu").claim_thread) == (2, 2, 2)
    finally:
        torch.set_num_threads(before)
