"""Which rows can be among the best: in one block, in many blocks and threads, and on a device."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thanosql_dbapi.stores.sqlite.topk import blocks
from thanosql_dbapi.stores.sqlite.topk.blocks import possible_rows
from thanosql_dbapi.stores.sqlite.topk.gpu import DeviceVectors
from thanosql_dbapi.stores.sqlite.topk.matrix import Matrix
from thanosql_dbapi.stores.sqlite.topk.quantized import Quantized, quantize

DIMENSION = 64
BLOCK = 257
ROWS = 20 * BLOCK + 31  # the last block is a short one
Floats = NDArray[np.float32]
Find = Callable[..., "tuple[NDArray[np.intp], float]"]
Finder = Callable[[Quantized], Find]


@pytest.fixture(params=["one block", "blocks", "threads", "device", "device in float32"])
def finder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Finder:
    """Make what searches rounded vectors, in each of the ways there are."""
    if request.param.startswith("device"):
        pytest.importorskip("torch")

        def on_device(vectors: Quantized) -> Find:
            device = DeviceVectors(vectors, "cpu")
            if "float32" in request.param:
                device.multiplies_bytes = False
            return device

        return on_device
    rows = 2**20 if request.param == "one block" else BLOCK
    monkeypatch.setattr(blocks, "FEWEST_ROWS", rows)
    monkeypatch.setattr(blocks, "MOST_ROWS", rows)
    monkeypatch.setattr(blocks, "THREAD_BYTES", 1)
    monkeypatch.setattr(blocks, "usable_cores", lambda: 4 if request.param == "threads" else 1)
    return lambda vectors: lambda *asked: possible_rows(vectors, *asked)


def similarities(vectors: Floats, query: Floats) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    result: NDArray[np.float64] = wide @ query / np.linalg.norm(wide, axis=1)
    return result / np.linalg.norm(query)


def cloud(order: str, query: Floats) -> Floats:
    """Return vectors whose similarity to a query grows, falls, is anyhow, or is often the same."""
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)
    if order == "equal":
        return vectors[np.arange(ROWS) % 100]
    by = np.argsort(similarities(vectors, query))
    return vectors[{"growing": by, "falling": by[::-1], "any": slice(None)}[order]]


QUERY = np.random.default_rng(1).standard_normal(DIMENSION).astype(np.float32)
NONE = np.empty(0, np.intp)


def check(
    finder: Finder,
    vectors: Floats,
    wanted: int,
    without: NDArray[np.intp] = NONE,
    query: Floats = QUERY,
) -> NDArray[np.intp]:
    """Return the rows found, having compared them with what float64 says."""
    quantized = quantize(vectors)
    rows, floor = finder(quantized)(quantized.rounded(query), wanted, without)
    exact = similarities(vectors, query)
    exact[without] = -np.inf
    assert (np.diff(rows) > 0).all()
    assert not np.isin(without, rows).any()
    assert (exact[np.setdiff1d(np.arange(len(vectors)), rows)] < floor).all()
    assert floor <= np.sort(exact)[-wanted]
    # The same rows, whatever the blocks: those whose bounds reach the floor.
    every = slice(0, len(vectors))
    asked = quantized.rounded(query)
    lower, upper = quantized.bounds(asked, every, quantized.products(asked, every))
    lower[without] = upper[without] = -np.inf
    assert abs(floor - np.sort(lower)[-wanted]) < 1e-6
    certain, likely = (np.flatnonzero(upper >= floor + off) for off in (1e-6, -1e-6))
    assert np.isin(certain, rows).all()
    assert np.isin(rows, likely).all()
    return rows


@pytest.mark.parametrize("wanted", [1, 5, 300, ROWS - 1])
@pytest.mark.parametrize("order", ["growing", "falling", "any", "equal"])
def test_no_row_is_missed_that_can_be_among_the_best(
    finder: Finder, order: str, wanted: int
) -> None:
    rows = check(finder, cloud(order, QUERY), wanted)
    assert len(rows) <= 2 * wanted + 100


def test_rows_at_the_ends_of_blocks(finder: Finder) -> None:
    vectors = cloud("any", QUERY)
    parts = blocks.blocks(ROWS, 1)
    ends = np.unique([[part.start, part.stop - 1] for part in parts])
    vectors[ends] = QUERY
    assert check(finder, vectors, 2).tolist() == ends.tolist()
    assert np.isin(ends[1::2], check(finder, vectors, len(parts), ends[::2])).all()


@pytest.mark.parametrize("wanted", [1, 30])
def test_rows_passed_over_do_not_raise_the_floor(finder: Finder, wanted: int) -> None:
    vectors = cloud("any", QUERY)
    best = np.argsort(-similarities(vectors, QUERY))
    check(finder, vectors, wanted, np.sort(best[:200]))
    check(finder, vectors, wanted, np.arange(ROWS - 100))
    check(finder, vectors, wanted, np.arange(BLOCK, ROWS))


def test_fewer_rows_than_wanted_are_all_possible(finder: Finder) -> None:
    vectors = cloud("any", QUERY)
    quantized = quantize(vectors)
    without = np.arange(10, ROWS)
    rows, floor = finder(quantized)(quantized.rounded(QUERY), 11, without)
    assert rows.tolist() == list(range(10))
    assert floor == -np.inf


def test_rows_of_one_vector_each(finder: Finder) -> None:
    # One number does not fit the others' scale: its rows are rounded badly, which bounds must say.
    vectors = cloud("any", QUERY)
    vectors[::3, 0] *= 200
    check(finder, vectors, 5)


@pytest.mark.parametrize("wanted", [1, 5])
def test_the_candidates_of_a_matrix(finder: Finder, wanted: int) -> None:
    vectors = cloud("any", QUERY)
    quantized = quantize(vectors)
    ids = np.arange(ROWS) * 3 + 7
    exact = similarities(vectors, QUERY)
    best = np.argsort(-exact)
    changed = {*ids[best[:2]].tolist(), 1, 2}  # two of the best, and two that are new
    exact[best[:2]] = -np.inf
    matrix = Matrix(None, ids, quantized, outliers=frozenset({3, 4}))
    sets = list(itertools.islice(matrix.candidates(QUERY, changed, wanted, finder(quantized)), 3))
    for (rows, floor), count in zip(sets, (wanted, 8 * wanted, 64 * wanted), strict=True):
        assert rows == sorted({*rows, *changed, 3, 4})
        assert (exact[~np.isin(ids, rows)] < floor).all()
        # What float32 and rounding leave open is little: no more than twice the rows asked for.
        assert np.sort(exact)[-count] - 0.01 < floor <= np.sort(exact)[-count]
        assert len(rows) <= 6 + 2 * count + 5


def test_a_device_that_fails_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    failed = []

    def full(*args: Any) -> Any:
        failed.append(args)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    vectors = cloud("any", QUERY)
    quantized = quantize(vectors)
    device = DeviceVectors(quantized, "cpu")
    monkeypatch.setattr(torch, "topk", full)
    rows, floor = device(quantized.rounded(QUERY), 5, NONE)
    assert failed
    right, right_floor = possible_rows(quantized, quantized.rounded(QUERY), 5, NONE)
    assert (rows.tolist(), floor) == (right.tolist(), right_floor)


@pytest.mark.parametrize("dimension", [9, 12, 1152])
def test_vectors_of_any_length(finder: Finder, dimension: int) -> None:
    # cuBLAS multiplies bytes of lengths that 8 divides; 1,152 products can exceed 2 ** 24.
    rng = np.random.default_rng(2)
    vectors = np.sign(rng.standard_normal((3 * BLOCK + 1, dimension))).astype(np.float32)
    check(finder, vectors, 5, query=vectors[40])
