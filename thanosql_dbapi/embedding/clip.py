"""CLIP's two towers through transformers: texts and images become unit vectors of one space.

Each tower is loaded at its first use, so a text search never loads the image tower. Vectors equal
``CLIPModel.get_text_features`` and ``get_image_features``, normalised, to 1e-5 on the CPU.
Source: https://arxiv.org/abs/2103.00020
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MediaError, ModelError, clip
from .encoder import Pixels, Vectors
from .folder import PREPROCESSOR, read_config
from .weights import fill_tower, load_config, needs_torch

if TYPE_CHECKING:
    from PIL.Image import Image

CPU_BATCH = 16
GPU_BATCH = 256
# Longest side of an image in its shortest; what is beyond, at both ends, CLIP does not see.
SHAPE_LIMIT = 50
# Models kept loaded in this process; the one unused for longest makes room.
LOADED_LIMIT = 4


class Encoder:
    """One model folder on one device; safe to use from several threads.

    Args:
        folder: A CLIP folder with safetensors (see ``folder.inspect_folder``).
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None is the GPU if torch has
            CUDA, else the CPU.
        fingerprint: The folder's fingerprint, if known; it keys remembered query vectors.

    Raises:
        ModelError: The folder is no CLIP model, the device is unknown, or torch or transformers
            is missing.

    Example:
        >>> encoder = Encoder(Path("thanosql-model/storybook_clip"))  # doctest: +SKIP
        >>> encoder.embed_texts(["a black cat"]).shape  # doctest: +SKIP
        (1, 128)
    """

    def __init__(self, folder: Path, *, device: str | None = None, fingerprint: str = "") -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.device = resolve_device(device)
        self.dimension = int(read_config(folder).get("projection_dim", 512))
        self._lock = threading.RLock()
        self._config: Any = None
        self._text_tower: Any = None
        self._image_tower: Any = None
        self._tokenizer: Any = None
        self._processor: Any = None

    def __repr__(self) -> str:
        return f"<Encoder {str(self.folder)!r} on {self.device}, {self.dimension} dimensions>"

    def default_batch_size(self) -> int:
        """Return how many images to give ``embed_pixels`` at once on this device."""
        return CPU_BATCH if self.device == "cpu" else GPU_BATCH

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; what goes beyond the model's number of tokens is cut off.

        Args:
            texts: Any texts, the empty one included.

        Returns:
            float32 array (n, dimension), unit length, row i is ``texts[i]``.

        Raises:
            ModelError: The weights or the tokenizer are damaged, or a vector is not finite.
        """
        if not len(texts):
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._lock:
            tower = self._text()
            tokens = self._tokenizer(
                list(texts),
                padding=True,
                truncation=True,
                max_length=self._config.text_config.max_position_embeddings,
                return_attention_mask=True,
                return_tensors="pt",
            )
            return self._run(
                tower,
                "text_embeds",
                input_ids=tokens["input_ids"].to(self.device),
                attention_mask=tokens["attention_mask"].to(self.device),
            )

    def prepare(self, image: Image) -> Pixels:
        """Resize, crop and normalise an image as the model's own processor does.

        Safe to call from several threads at once; none waits for a forward pass.

        Args:
            image: An RGB image.

        Returns:
            float32 array (3, height, width).

        Raises:
            ModelError: The folder's image processor cannot be loaded.
            MediaError: It refuses the image.
        """
        processor = self._processor or self._load_processor()
        try:
            # Told where the colours are, as transformers 4 guesses wrong 1 and 3 pixels high.
            values = processor(
                images=_without_ends(image), return_tensors="np", input_data_format="channels_last"
            )["pixel_values"][0]
        except Exception as exc:
            raise MediaError(
                f"image of {image.width} × {image.height} pixels is refused by the model's image"
                f" processor: {exc}"
            ) from exc
        return np.ascontiguousarray(values, dtype=np.float32)

    def embed_pixels(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed images that went through ``prepare``.

        Args:
            batch: float32 arrays (3, height, width), all of one size.

        Returns:
            float32 array (n, dimension), unit length, row i is ``batch[i]``.

        Raises:
            ModelError: The weights are damaged, or a vector is not finite.
        """
        if not len(batch):
            return np.empty((0, self.dimension), dtype=np.float32)
        with needs_torch():
            import torch
        pixels = torch.from_numpy(np.stack(batch))
        with self._lock:
            tower = self._image()
            return self._run(
                tower, "image_embeds", pixel_values=pixels.to(self.device, tower.dtype)
            )

    def embed_images(self, images: Sequence[Image]) -> Vectors:
        """Embed RGB images: ``prepare`` each, then ``embed_pixels``."""
        return self.embed_pixels([self.prepare(image) for image in images])

    def _run(self, tower: Any, output: str, **inputs: Any) -> Vectors:
        import torch

        try:
            with torch.inference_mode():
                found = getattr(tower(**inputs), output).float().cpu().numpy()
        except torch.OutOfMemoryError as exc:
            raise ModelError(
                f"model {str(self.folder)!r}: {self.device} has no memory for a batch of"
                f" {len(next(iter(inputs.values())))}; set a smaller batch_size"
            ) from exc
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise ModelError(
                f"model {str(self.folder)!r} gave a vector that is zero or not finite; its weights"
                " are damaged or overflow on this device: get the model again, or try device='cpu'"
            )
        vectors: Vectors = np.asarray(found / lengths, dtype=np.float32)
        return vectors

    def _text(self) -> Any:
        if self._text_tower is None:
            with needs_torch():
                from transformers import CLIPTextModelWithProjection
            config = self._load_config()
            self._tokenizer = self._load_tokenizer()
            self._text_tower = self._tower(CLIPTextModelWithProjection, config.text_config)
        return self._text_tower

    def _image(self) -> Any:
        if self._image_tower is None:
            with needs_torch():
                from transformers import CLIPVisionModelWithProjection
            config = self._load_config()
            self._image_tower = self._tower(CLIPVisionModelWithProjection, config.vision_config)
        return self._image_tower

    def _tower(self, tower_class: Any, config: Any) -> Any:
        import torch

        # Half precision is many times slower than float32 on a CPU without it, and halves the
        # time on a GPU.
        dtype = torch.float16 if self.device.startswith("cuda") else torch.float32
        return fill_tower(tower_class, config, self.folder, dtype=dtype, device=self.device)

    def _load_config(self) -> Any:
        if self._config is None:
            self._config = load_config(self.folder)
        return self._config

    def _load_tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                str(self.folder), trust_remote_code=False, local_files_only=True
            )
            end = self._config.text_config.eos_token_id
            tokens = tokenizer("")["input_ids"]
        except Exception as exc:
            raise ModelError(
                f"model {str(self.folder)!r}: its tokenizer cannot be loaded: {exc};"
                " get the model again"
            ) from exc
        # The text tower reads its answer at the end token. With 2, the mark of old checkpoints,
        # transformers looks for the highest token instead.
        if end != 2 and end not in tokens:
            raise ModelError(
                f"model {str(self.folder)!r}: its tokenizer ends a text with token"
                f" {clip(tokens[-1] if tokens else None)}, but text_config.eos_token_id in"
                f" config.json is {end!r}; make them agree, else all texts get one vector"
            )
        return tokenizer

    def _load_processor(self) -> Any:
        with self._lock:
            if self._processor is None:
                with needs_torch():
                    import transformers
                # The Pillow one is CLIPImageProcessorPil in transformers 5, where the plain name
                # is torchvision's, and CLIPImageProcessor before.
                name = "CLIPImageProcessorPil"
                kind = getattr(transformers, name, None) or transformers.CLIPImageProcessor
                try:
                    self._processor = kind.from_pretrained(str(self.folder), local_files_only=True)
                except Exception as exc:
                    raise ModelError(
                        f"model {str(self.folder)!r}: its {PREPROCESSOR} cannot be loaded: {exc}"
                    ) from exc
            return self._processor


def _without_ends(image: Image) -> Image:
    """Return the middle of a strip; other images as they are.

    CLIP sees the middle square of an image whose short side it has brought to 224 pixels: a file
    of 1 × 60,000 would grow to 3 gigapixels on the way.
    """
    width, height = image.size
    limit = SHAPE_LIMIT * min(width, height)
    left, top = max(0, (width - limit) // 2), max(0, (height - limit) // 2)
    if not left and not top:
        return image
    return image.crop((left, top, width - left, height - top))


def resolve_device(device: str | None) -> str:
    """Return the device to compute on, checked.

    Args:
        device: What the user asked for; None is the GPU if torch has CUDA, else the CPU.

    Raises:
        ModelError: torch does not know the device, or this machine has none of it.
    """
    with needs_torch():
        import torch
    have = ["cpu"]
    have += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    have += ["mps"] if torch.backends.mps.is_available() else []
    if device is None:
        return "cuda:0" if len(have) > 1 and torch.cuda.is_available() else "cpu"
    wanted = str(device).strip().lower()
    wanted = {"cuda": "cuda:0", "gpu": "cuda:0", "cpu:0": "cpu", "mps:0": "mps"}.get(wanted, wanted)
    if wanted not in have:
        raise ModelError(
            f"device {clip(device)} is not available; this machine has {', '.join(have)}"
            f" (torch {torch.__version__})"
        )
    return wanted


_loaded: OrderedDict[tuple[str, str, str], Encoder] = OrderedDict()
_loaded_lock = threading.Lock()


def load_encoder(folder: Path, *, device: str | None = None, fingerprint: str = "") -> Encoder:
    """Return the process's encoder of a model folder; connections and threads share it.

    Args:
        folder: A CLIP folder.
        device: See ``Encoder``.
        fingerprint: The folder's fingerprint; another one means that the folder was replaced,
            and loads anew.

    Raises:
        ModelError: See ``Encoder``.
    """
    key = (str(folder.resolve()), fingerprint, resolve_device(device))
    with _loaded_lock:
        encoder = _loaded.get(key)
        if encoder is None:
            encoder = Encoder(folder, device=key[2], fingerprint=fingerprint)
            for old in [old for old in _loaded if (old[0], old[2]) == (key[0], key[2])]:
                del _loaded[old]
            _loaded[key] = encoder
            while len(_loaded) > LOADED_LIMIT:
                _loaded.popitem(last=False)
        _loaded.move_to_end(key)
        return encoder
