"""Queries that were asked before: in this process, in another, and what is wrong with the file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import thanosql
from thanosql_dbapi.models.query_cache import Query, VectorCache, queries, query_vectors
from thanosql_dbapi.models.query_store import NAME, QueryStore

HEAVY = {"torch", "transformers"}
ASK = """
import sys
import thanosql
connection = thanosql.connect({database!r}, progress=False, device={device!r})
value = connection.execute("SELECT embed_{kind}('m', ?)", ({value!r},)).fetchone()[0]
rows = connection.execute(
    "SELECT photo_id FROM (SEARCH IMAGE {kind}=? USING m AS SELECT * FROM photos)"
    " ORDER BY m_clipen_similarity1 DESC", ({value!r},)).fetchall()
print(value.hex(), len(rows), sorted({{"torch", "transformers"}} & sys.modules.keys()))
"""


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Each test begins as a new process does."""
    queries.clear()


@pytest.fixture
def store_path(converted: thanosql.Connection, workspace: Path) -> Path:
    return workspace / "thanosql-model" / NAME


def ask(
    workspace: Path, value: str = "a black cat", kind: str = "text", device: str | None = None
) -> tuple[str, bool]:
    """Ask in a new process; return the vector as digits, and whether torch was imported."""
    code = ASK.format(database=str(workspace / "photos.db"), value=value, kind=kind, device=device)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    vector, count, modules = done.stdout.split(" ", 2)
    assert count == "6"
    assert modules.strip() in ("[]", str(sorted(HEAVY)))
    return vector, modules.strip() != "[]"


def embedded(connection: thanosql.Connection, text: str = "a black cat") -> bytes:
    vector: bytes = connection.execute("SELECT embed_text('m', ?)", (text,)).fetchone()[0]
    return vector


def entries(path: Path) -> int:
    connection = sqlite3.connect(path)
    (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
    connection.close()
    return count


# ---- a new process ---------------------------------------------------------------------------


def test_a_text_asked_before_is_not_embedded_again(store_path: Path, workspace: Path) -> None:
    assert not store_path.exists()
    first, imported = ask(workspace)
    assert not imported  # CLIP's text tower needs no torch
    assert entries(store_path) == 1
    assert ask(workspace) == (first, False)
    assert entries(store_path) == 1
    ask(workspace, "another text")
    assert entries(store_path) == 2
    ask(workspace, device="cpu")  # another device may compute otherwise
    assert entries(store_path) == 3
    store_path.unlink()
    assert ask(workspace) == (first, False)


def test_an_image_asked_before_is_known_by_what_it_shows(store_path: Path, workspace: Path) -> None:
    first, imported = ask(workspace, "images/red.png", "image")
    assert imported
    shutil.copy(workspace / "images" / "red.png", workspace / "copy.png")
    assert ask(workspace, "copy.png", "image") == (first, False)
    shutil.copy(workspace / "images" / "blue.png", workspace / "copy.png")
    changed, imported = ask(workspace, "copy.png", "image")
    assert imported
    assert changed != first


def test_the_file_names_no_query(
    converted: thanosql.Connection, store_path: Path, workspace: Path
) -> None:
    embedded(converted, "a most secret wish")
    assert entries(store_path) == 1
    assert b"secret" not in store_path.read_bytes()


# ---- what is never believed ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:model 'm' was replaced:thanosql_dbapi.ModelWarning")
def test_a_replaced_model_makes_new_vectors(
    converted: thanosql.Connection, store_path: Path, workspace: Path
) -> None:
    import torch
    from transformers import CLIPModel

    before = embedded(converted)
    model = CLIPModel.from_pretrained(workspace / "tiny_clip")
    torch.nn.init.normal_(model.text_projection.weight)
    model.save_pretrained(workspace / "tiny_clip")
    other = thanosql.connect(workspace / "other.db", progress=False)
    other.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'")
    assert embedded(other) != before
    # The first database has registered the files that were there before.
    with pytest.raises(sqlite3.OperationalError, match="were replaced by another model"):
        embedded(converted)
    converted.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'")
    assert embedded(converted) == embedded(other)
    other.close()


def overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database, but it is long enough to look like one" * 20)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1500])


def tear(path: Path) -> None:
    """Zero everything but the schema, as a power cut may."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))


def change_vector(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE vectors SET vector = zeroblob(length(vector))")
    connection.commit()
    connection.close()


def change_type(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE vectors SET vector = 'text'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [overwrite, truncate, tear, change_vector, change_type])
def test_a_damaged_file_is_made_anew(
    damage: Callable[[Path], None], converted: thanosql.Connection, store_path: Path
) -> None:
    want = embedded(converted)
    damage(store_path)
    queries.clear()
    assert embedded(converted) == want
    assert list(QueryStore(store_path).get([Query(*key_of(converted)).key()]).values()) == [want]


def key_of(connection: thanosql.Connection) -> tuple[str, int, None, str]:
    sql = "SELECT fingerprint, dimension FROM thanosql_models"
    return (*connection.execute(sql).fetchone(), None, "a black cat")


def test_a_vector_of_another_length_is_not_believed(tmp_path: Path) -> None:
    store = QueryStore(tmp_path / NAME)
    query = Query("f", 2, None, "cat")
    store.put({query.key(): b"12345678"})
    assert query_vectors([query], store, lambda places: [b"computed"]) == [b"12345678"]
    queries.clear()
    other = Query("f", 3, None, "cat")
    assert query_vectors([other], store, lambda places: [b"computed"]) == [b"computed"]


# ---- folders that cannot be written, and other processes -------------------------------------


def test_a_folder_that_cannot_be_written(
    converted: thanosql.Connection, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in the file's place stands for it: root may write everywhere."""
    store_path.mkdir()
    assert len(embedded(converted)) == 4 * 24
    assert store_path.is_dir()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_folder(converted: thanosql.Connection, store_path: Path) -> None:
    want = embedded(converted)
    store_path.chmod(0o444)
    store_path.parent.chmod(0o555)
    queries.clear()
    try:
        assert embedded(converted) == want
        assert len(embedded(converted, "another text")) == len(want)
    finally:
        store_path.parent.chmod(0o755)


def test_a_database_opened_read_only_writes_no_file_beside_it(
    converted: thanosql.Connection, store_path: Path, workspace: Path
) -> None:
    database = (workspace / "photos.db").as_uri() + "?mode=ro"
    reading = thanosql.connect(database, uri=True, workspace=workspace, progress=False)
    want = embedded(reading)
    assert not store_path.exists()
    queries.clear()
    assert embedded(converted) == want
    assert entries(store_path) == 1
    reading.close()


def test_a_locked_file_does_not_stop_a_search(
    converted: thanosql.Connection, store_path: Path
) -> None:
    embedded(converted)
    writer = sqlite3.connect(store_path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    queries.clear()
    assert len(embedded(converted)) == 4 * 24
    writer.execute("ROLLBACK")
    writer.close()


def test_a_look_up_makes_no_file(tmp_path: Path) -> None:
    assert QueryStore(tmp_path / NAME).get([b"key"]) == {}
    assert list(tmp_path.iterdir()) == []
    QueryStore(tmp_path / "no folder" / NAME).put({b"key": b"vector"})
    assert list(tmp_path.iterdir()) == []


def test_the_file_keeps_the_newest(tmp_path: Path) -> None:
    store = QueryStore(tmp_path / NAME, limit=3)
    for number in (0, 1, 2, 0, 3, 4):
        store.put({bytes([number]): b"vector %d" % number})
    found = store.get([bytes([number]) for number in range(5)])
    assert found == {bytes([number]): b"vector %d" % number for number in (0, 3, 4)}


def test_several_threads_share_the_file(tmp_path: Path) -> None:
    def work(number: int) -> None:
        store = QueryStore(tmp_path / NAME)
        for each in range(10):
            store.put({bytes([number, each]): b"%d" % number})
            assert store.get([bytes([number, each])]) in (
                {bytes([number, each]): b"%d" % number},
                {},
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entries(tmp_path / NAME) > 0


# ---- in this process -------------------------------------------------------------------------


def asked(content: object = "cat", fingerprint: str = "f", device: str | None = None) -> list[str]:
    calls: list[str] = []

    def compute(places: Sequence[int]) -> list[bytes]:
        calls.append("computed")
        return [b"12345678"]

    query = Query(fingerprint, 2, device, content)  # type: ignore[arg-type]
    assert query_vectors([query], None, compute) == [b"12345678"]
    return calls


def test_a_query_is_embedded_once() -> None:
    assert asked() == ["computed"]
    assert asked() == []
    assert asked("dog") == ["computed"]
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert asked(pixels) == ["computed"]
    assert asked(pixels.copy()) == []
    assert asked(pixels.reshape(1, 4, 3)) == ["computed"]
    assert asked("\ud800") == ["computed"]  # no text that UTF-8 knows


def test_another_model_or_device_is_another_query() -> None:
    assert asked() == asked(fingerprint="other") == asked(device="cuda:0") == ["computed"]
    assert asked(fingerprint="") == asked(fingerprint="") == ["computed"]  # may be any model's


def test_the_cache_is_bounded() -> None:
    cache = VectorCache(limit=2)
    for name in (b"a", b"b"):
        cache.put({name: name * 2})
    assert cache.get([b"a", b"c"]) == {b"a": b"aa"}
    cache.put({b"c": b"cc"})
    assert cache.get([b"a", b"b", b"c"]) == {b"a": b"aa", b"c": b"cc"}
    assert len(cache) == 2


def test_many_texts_are_embedded_in_one_go(
    converted: thanosql.Connection, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thanosql_dbapi.models.encoder import Encoder

    batches: list[list[str]] = []
    embed = Encoder.embed_texts
    monkeypatch.setattr(
        Encoder,
        "embed_texts",
        lambda self, texts: batches.append(list(texts)) or embed(self, texts),
    )
    search = "SEARCH IMAGE texts=? USING m AS SELECT * FROM photos"
    texts = [f"picture {number}" for number in range(70)]
    rows = converted.execute(search, [texts[:5]]).fetchall()
    converted.execute(search, [[*texts, texts[0]]])
    assert batches == [texts[:5], texts[5:69], texts[69:]]
    assert entries(store_path) == 70
    queries.clear()
    again = converted.execute(search, [texts[:5]]).fetchall()
    assert [row[-5:] for row in again] == [row[-5:] for row in rows]
    assert len(batches) == 3


def test_a_combined_question_embeds_its_parts_alone(
    converted: thanosql.Connection, store_path: Path
) -> None:
    converted.execute(
        "SEARCH IMAGE texts=['a cat', '-0.5*night'] USING m OPTIONS (combine=True)"
        " AS SELECT * FROM photos"
    )
    assert entries(store_path) == 2  # "a cat" and "night", and not "-0.5*night"
