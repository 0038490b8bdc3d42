"""A model's two towers through transformers: texts and images become unit vectors of one space.

Each tower is loaded at its first use, so a text search never loads the image tower. Vectors equal
``get_text_features`` and ``get_image_features`` of transformers' own class, normalised, to 1e-5 on
the CPU. What differs between kinds of models is in ``families``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, ModelError, WorkspaceError, clip
from .devices import dtype_of, needs_proof, require_same, resolve_device
from .families.protocol import IMAGE, TEXT
from .families.registry import read_family
from .forking import Lock, check_device, in_sound_thread
from .numbers import check_config, image_work
from .preprocessing import Preparation, load_preparation
from .protocol import Pixels, Vectors
from .tokens import text_problem
from .weights import fill_tower, load_config, needs_torch

if TYPE_CHECKING:
    from PIL.Image import Image

CPU_BATCH = 16
GPU_BATCH = 256
# Multiplications and additions of a tower that one core does in a second, and what decoding a
# photograph takes it: orders of magnitude, to tell small models from large.
WORK_PER_S = 25e9
DECODING_S = 5e-3
# Models kept loaded in this process; the one unused for longest makes room.
LOADED_LIMIT = 4
# What an unproven device embeds before it is believed.
SAMPLE_TEXTS = (
    "a black cat",
    "a photo of two dogs on a beach at night",
    "",
    "검은 고양이",
    "red",
    "1",
)


class Encoder:
    """One model folder on one device; safe to use from several threads.

    Args:
        folder: A model folder with safetensors (see ``folder.inspect_folder``).
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None is the GPU if torch has
            CUDA, else the CPU.
        fingerprint: The folder's fingerprint, if known; it keys remembered query vectors.

    Raises:
        ModelError: The folder holds no model of a known family, the device is unknown, or torch
            or transformers is missing.

    Example:
        >>> encoder = Encoder(Path("thanosql-model/storybook_clip"))  # doctest: +SKIP
        >>> encoder.embed_texts(["a black cat"]).shape  # doctest: +SKIP
        (1, 128)
    """

    def __init__(self, folder: Path, *, device: str | None = None, fingerprint: str = "") -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.device = resolve_device(device)
        self.family = read_family(folder)
        numbers = check_config(folder)
        self.dimension = self.family.dimension(numbers)
        self._max_tokens = self.family.max_tokens(numbers)
        self._lock = Lock()
        self._config: Any = None
        self._text_tower: Any = None
        self._image_tower: Any = None
        self._tokenizer: Any = None

    def __repr__(self) -> str:
        return f"<Encoder {str(self.folder)!r} on {self.device}, {self.dimension} dimensions>"

    @property
    def dtype(self) -> str:
        """The precision it computes in, as torch names it: ``"float32"``, ``"float16"``."""
        return dtype_of(self.device)

    def default_batch_size(self) -> int:
        """Return how many images to give ``embed_pixels`` at once on this device."""
        return CPU_BATCH if self.device == "cpu" else GPU_BATCH

    def claim_thread(self) -> None:
        """Give the calling thread as many cores as the image tower makes use of beside decoding.

        Threads that share every small step of a small model wait for one another, all the more
        where others decode on the same cores: storybook_clip embeds 1.4 times as many photographs
        when it runs on one of two cores. A model of CLIP's own size gets them all.
        """
        if self.device != "cpu":
            return
        with needs_torch():
            import torch
        cores = torch.get_num_threads()
        seconds = image_work(self.folder) / WORK_PER_S
        wanted = max(1, round(cores * seconds / (seconds + DECODING_S)))
        if wanted == cores:
            return
        torch.set_num_threads(wanted)
        # What was set is this thread's own, but new threads would start with it, too. Set from a
        # thread that ends now, the old number is theirs again.
        restore = threading.Thread(target=torch.set_num_threads, args=(cores,))
        restore.start()
        restore.join()

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; what goes beyond the model's number of tokens is cut off.

        Args:
            texts: Any texts, the empty one included.

        Returns:
            float32 array (n, dimension), unit length, row i is ``texts[i]``.

        Raises:
            DataError: A text has half of a surrogate pair; see ``text_problem``.
            ModelError: The weights or the tokenizer are damaged, or a vector is not finite.
        """
        if not len(texts):
            return np.empty((0, self.dimension), dtype=np.float32)
        for text in texts:
            if problem := text_problem(text):
                raise DataError(problem)
        return in_sound_thread(lambda: self._embedded_texts(list(texts)))

    def _embedded_texts(self, texts: list[str]) -> Vectors:
        with self._lock:
            tower = self._text()
            tokens = self._tokens(texts)
            return self._run(tower, TEXT, self.device, tokens)

    def _tokens(self, texts: list[str]) -> Any:
        try:
            return self.family.tokens(self._tokenizer, texts, self._max_tokens)
        except Exception as exc:  # e.g. it has no token to pad with
            raise ModelError(
                f"model {str(self.folder)!r}: its tokenizer cannot be used: {clip(str(exc), 200)};"
                " get the model again"
            ) from exc

    @cached_property
    def preparation(self) -> Preparation:
        """What the model sees of an image.

        Raises:
            ModelError: The folder's image processor is missing, damaged or not supported.
        """
        return load_preparation(self.folder)

    def prepare(self, image: Image) -> Pixels:
        """Resize and crop an image as the model's own processor does.

        Safe to call from several threads at once; none waits for a forward pass.

        Args:
            image: An RGB image.

        Returns:
            uint8 array (height, width, 3).

        Raises:
            ModelError: See ``preparation``.
            MediaError: It cannot be brought to the model's size.
        """
        return self.preparation.pixels(image)

    def embed_pixels(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed images that went through ``prepare``.

        Args:
            batch: uint8 arrays (height, width, 3), all of one size.

        Returns:
            float32 array (n, dimension), unit length, row i is ``batch[i]``.

        Raises:
            ModelError: The weights are damaged, or a vector is not finite.
        """
        if not len(batch):
            return np.empty((0, self.dimension), dtype=np.float32)
        return in_sound_thread(lambda: self._embedded_pixels(batch))

    def _embedded_pixels(self, batch: Sequence[Pixels]) -> Vectors:
        with self._lock:
            tower = self._image()
            values = self._values(batch, self.device, tower.dtype)
            return self._run(tower, IMAGE, self.device, {"pixel_values": values})

    def _values(self, batch: Sequence[Pixels], device: str, dtype: Any) -> Any:
        """Return the tensor (n, 3, height, width) of a batch, in the range the model knows."""
        import torch

        # Bytes go to the device, a quarter of the float32 numbers that are made of them there.
        # From pinned memory, a GPU fetches them by itself.
        on_gpu = device.startswith("cuda")
        pixels = torch.empty((len(batch), *batch[0].shape), dtype=torch.uint8, pin_memory=on_gpu)
        np.stack(batch, out=pixels.numpy())
        values = pixels.to(device, non_blocking=on_gpu).permute(0, 3, 1, 2).float()
        shape = (1, 3, 1, 1)
        scale = torch.tensor(self.preparation.scale, device=device).view(shape)
        shift = torch.tensor(self.preparation.shift, device=device).view(shape)
        return values.mul_(scale).add_(shift).to(dtype)

    def embed_images(self, images: Sequence[Image]) -> Vectors:
        """Embed RGB images: ``prepare`` each, then ``embed_pixels``."""
        return self.embed_pixels([self.prepare(image) for image in images])

    def _run(self, tower: Any, kind: str, device: str, inputs: Mapping[str, Any]) -> Vectors:
        import torch

        inputs = {name: value.to(device) for name, value in inputs.items()}
        try:
            with torch.inference_mode():
                found = self.family.vectors(tower, kind, inputs).float().cpu().numpy()
        except torch.OutOfMemoryError as exc:
            raise ModelError(
                f"model {str(self.folder)!r}: {device} has no memory for a batch of"
                f" {len(next(iter(inputs.values())))}; set a smaller batch_size"
            ) from exc
        # What else torch says of weights, a configuration and inputs that do not fit, or of memory.
        except (RuntimeError, IndexError, ValueError, TypeError) as exc:
            raise ModelError(
                f"model {str(self.folder)!r} cannot compute on {device}:"
                f" {type(exc).__name__}: {clip(str(exc), 200)}; set a smaller batch_size if the"
                " memory is full, else get the model again"
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
            self._load_config()
            self._tokenizer = self._load_tokenizer()
            self._text_tower = self._tower(TEXT)
        return self._text_tower

    def _image(self) -> Any:
        if self._image_tower is None:
            self._load_config()
            self._image_tower = self._tower(IMAGE)
        return self._image_tower

    def _tower(self, kind: str) -> Any:
        if not needs_proof(self.device):
            return self._built(kind, self.device)
        towers = {device: self._built(kind, device) for device in ("cpu", self.device)}
        require_same(
            lambda device: self._sample(towers[device], kind, device), self.device, str(self.folder)
        )
        return towers[self.device]

    def _built(self, kind: str, device: str) -> Any:
        import torch

        return fill_tower(
            lambda: self.family.build(self._config, kind),
            self.folder,
            known_name=self.family.known_name,
            dtype=getattr(torch, dtype_of(device)),
            device=device,
        )

    def _sample(self, tower: Any, kind: str, device: str) -> Vectors:
        """Return the vectors of one batch that shows whether a device computes rightly."""
        if kind == TEXT:
            return self._run(tower, kind, device, self._tokens(list(SAMPLE_TEXTS)))
        noise = np.random.default_rng(0).integers(0, 256, (8, 96, 80, 3), dtype=np.uint8)
        batch = [self.prepare(_picture(each)) for each in noise]
        return self._run(
            tower, kind, device, {"pixel_values": self._values(batch, device, tower.dtype)}
        )

    def _load_config(self) -> None:
        if self._config is None:
            with needs_torch():
                import torch  # noqa: F401
                import transformers  # noqa: F401
            self._config = load_config(self.folder)

    def _load_tokenizer(self) -> Any:
        try:
            tokenizer = self.family.load_tokenizer(self.folder)
            tokenizer("")
        except (ModelError, WorkspaceError):
            raise
        except Exception as exc:
            raise ModelError(
                f"model {str(self.folder)!r}: its tokenizer cannot be loaded: {exc};"
                " get the model again"
            ) from exc
        self.family.check_tokenizer(self.folder, self._config, tokenizer)
        return tokenizer


def _picture(pixels: Pixels) -> Image:
    from PIL import Image

    return Image.fromarray(pixels)


_loaded: OrderedDict[tuple[str, str, str], Encoder] = OrderedDict()
_loaded_lock = Lock()


def load_encoder(folder: Path, *, device: str | None = None, fingerprint: str = "") -> Encoder:
    """Return the process's encoder of a model folder; connections and threads share it.

    Args:
        folder: A model folder.
        device: See ``Encoder``.
        fingerprint: The folder's fingerprint; another one means that the folder was replaced,
            and loads anew.

    Raises:
        ModelError: See ``Encoder``.
    """
    key = (str(folder.resolve()), fingerprint, resolve_device(device))
    check_device(key[2])
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
