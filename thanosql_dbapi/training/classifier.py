"""A classifier's folder: ``config.json`` with its labels and the model it reads, and its weights.

Labels come back as the training table had them, so each is written with its storage class.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Union

import numpy as np

from ..errors import DataError, ModelError, clip
from ..models.files import CONFIG, WEIGHTS, looks_like, open_file, read_config
from .linear import Linear

MODEL_TYPE = "thanosql_classifier"
VERSION = 1

Label = Union[int, float, str, bytes]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A classifier on the vectors of a model.

    Attributes:
        labels: Its labels, in the order of :attr:`Linear.bias`.
        linear: Its weights.
        base_model: The name of the model whose vectors it reads, when it was trained.
        base_fingerprint: That model's fingerprint.
        rows: Rows it was trained on, those of the classifiers before it included.
        penalty: The strength of its penalty.
        seed: The seed of its training.
    """

    labels: tuple[Label, ...]
    linear: Linear
    base_model: str
    base_fingerprint: str
    rows: int
    penalty: float
    seed: int


def write_classifier(folder: Path, classifier: Classifier) -> str:
    """Write a classifier's files, and return its fingerprint.

    Args:
        folder: An empty folder.
        classifier: The classifier.

    Raises:
        DataError: A label is a text that is not UTF-8.
        OSError: The disk says no.
    """
    from safetensors.numpy import save_file

    config = {
        "model_type": MODEL_TYPE,
        "version": VERSION,
        "base_model": classifier.base_model,
        "base_fingerprint": classifier.base_fingerprint,
        "dimension": classifier.linear.weights.shape[1],
        "labels": [_written(label) for label in classifier.labels],
        "rows": classifier.rows,
        "penalty": classifier.penalty,
        "seed": classifier.seed,
    }
    text = json.dumps(config, ensure_ascii=False, indent=1)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    linear = classifier.linear
    save_file(
        {"weight": np.ascontiguousarray(linear.weights), "bias": linear.bias}, folder / WEIGHTS
    )
    return fingerprint(folder)


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 (hex) of a classifier's files."""
    total = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with open_file(folder, name) as opened:
            digest = hashlib.sha256(opened.read()).hexdigest()
        total.update(f"{name}\0{digest}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=8)
def load_classifier(folder: Path, fingerprint: str) -> Classifier:
    """Return the classifier in a folder; it is read once for each fingerprint.

    Args:
        folder: The folder, its path resolved.
        fingerprint: The classifier's, by which it is remembered.

    Raises:
        ModelError: A file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    config = read_config(folder)
    try:
        if config["model_type"] != MODEL_TYPE or config["version"] != VERSION:
            raise ValueError(f"model_type is {clip(config['model_type'])}")
        labels = tuple(_read(each) for each in config["labels"])
        shape = len(labels), int(config["dimension"])
        name, print_ = str(config["base_model"]), str(config["base_fingerprint"])
        rows, penalty, seed = int(config["rows"]), float(config["penalty"]), int(config["seed"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{str(folder / CONFIG)!r} is not that of a classifier of this version"
            f" ({clip(str(error))}); BUILD the classifier again"
        ) from error
    path = folder / WEIGHTS
    try:
        with open_file(folder, WEIGHTS) as opened:
            tensors = load(opened.read())
        weights, bias = tensors["weight"], tensors["bias"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"weights {str(path)!r} are damaged: {error}{looks_like(path)}; BUILD the classifier"
            " again"
        ) from error
    is_whole = weights.shape == shape and bias.shape == shape[:1]
    if not is_whole or weights.dtype != np.float32 or bias.dtype != np.float32:
        raise ModelError(
            f"weights {str(path)!r} have the shape {weights.shape}, and {CONFIG} says {shape};"
            " BUILD the classifier again"
        )
    return Classifier(labels, Linear(weights, bias), name, print_, rows, penalty, seed)


def ordered(labels: Sequence[Any]) -> tuple[Label, ...]:
    """Return the different labels of some rows in SQLite's order: numbers, texts, BLOBs.

    Source: https://www.sqlite.org/datatype3.html#sort_order
    """
    ranks: Mapping[type, int] = {str: 1, bytes: 2}
    return tuple(
        sorted(
            dict.fromkeys(labels),
            key=lambda label: (
                ranks.get(type(label), 0),
                label.encode("utf-8", "surrogatepass") if isinstance(label, str) else label,
            ),
        )
    )


def _written(label: Label) -> dict[str, Any]:
    if isinstance(label, bytes):
        return {"blob": label.hex()}
    if isinstance(label, str):
        try:
            label.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"the label {clip(label)} is a text that is not UTF-8") from error
        return {"text": label}
    if isinstance(label, float):
        return {"real": label if math.isfinite(label) else repr(label)}
    return {"integer": int(label)}


def _read(written: Mapping[str, Any]) -> Label:
    ((kind, value),) = written.items()
    if kind == "blob":
        return bytes.fromhex(value)
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "integer" and isinstance(value, int):
        return value
    if kind == "real":
        return float(value)
    raise ValueError(f"label {clip(dict(written))}")
