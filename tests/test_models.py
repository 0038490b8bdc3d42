"""GET, UPLOAD, DELETE and LIST of models and data sets, as statements."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

import thanosql


@pytest.fixture
def catalog(workspace: Path, clip_folder: Path) -> Path:
    """A catalog beside the workspace with a model and a data set of its own, as archives."""
    shelf = workspace.parent / "shelf"
    shelf.mkdir()
    shutil.make_archive(str(shelf / "model"), "zip", clip_folder)
    shutil.make_archive(str(shelf / "pictures"), "gztar", workspace, "images")
    entries = {
        "datasets": {"pictures": {"source": "pictures.tar.gz", "description": "six colours"}},
        "models": {"my_clip": {"source": "model.zip", "base": "clipen", "license": "MIT"}},
    }
    (shelf / "catalog.json").write_text(json.dumps(entries), encoding="utf-8")
    return shelf / "catalog.json"


@pytest.fixture
def database(workspace: Path, catalog: Path):
    connection = thanosql.connect(workspace / "a.db", catalog=catalog, progress=False, offline=True)
    yield connection
    connection.close()


def test_a_model_from_the_catalog(database: thanosql.Connection, workspace: Path) -> None:
    database.execute("GET THANOSQL MODEL my_clip")
    database.execute("GET THANOSQL MODEL my_clip OPTIONS (overwrite=True) AS second")
    database.execute("GET THANOSQL MODEL my_clip OPTIONS (model_name='third')")
    listed = database.execute("SELECT model_name, base, dimension FROM (LIST MODEL)").fetchall()
    assert listed == [("my_clip", "clipen", 24), ("second", "clipen", 24), ("third", "clipen", 24)]
    assert (workspace / "thanosql-model" / "second" / "model.safetensors").is_file()
    vectors = database.execute("SELECT embed_text('second', 'x') = embed_text('third', 'x')")
    assert vectors.fetchone() == (1,)


def test_a_model_that_is_there_already(database: thanosql.Connection) -> None:
    database.execute("GET THANOSQL MODEL my_clip")
    with pytest.raises(
        thanosql.ModelError, match=r"OPTIONS \(overwrite=True\).*nothing was changed"
    ):
        database.execute("GET THANOSQL MODEL my_clip")
    database.execute("GET THANOSQL MODEL my_clip OPTIONS (overwrite=True)")


def test_a_second_database_in_the_workspace_uses_the_same_files(
    database: thanosql.Connection, workspace: Path, catalog: Path
) -> None:
    database.execute("GET THANOSQL MODEL my_clip")
    other = thanosql.connect(workspace / "b.db", catalog=catalog, progress=False, offline=True)
    other.execute("GET THANOSQL MODEL my_clip")
    assert other.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (1,)
    # The other one replaces the files by a model of other weights.
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(workspace / "tiny_clip")
    torch.nn.init.normal_(model.text_projection.weight)
    model.save_pretrained(workspace / "tiny_clip")
    other.execute("UPLOAD MODEL my_clip OPTIONS (overwrite=True) FROM 'tiny_clip'")
    other.close()
    with pytest.raises(thanosql.ModelError, match="were replaced by another model"):
        database.execute("SELECT embed_text('my_clip', 'not asked before')").fetchone()


def test_a_data_set(database: thanosql.Connection, workspace: Path) -> None:
    assert database.execute("GET THANOSQL DATASET pictures").description is None
    database.execute("COPY pictures FROM 'thanosql-dataset/pictures/'")
    paths = [row[0] for row in database.execute("SELECT image_path FROM pictures").fetchall()]
    assert len(paths) == 6
    assert all((workspace / path).is_file() for path in paths)
    with pytest.raises(thanosql.SourceError, match=r"overwrite=True"):
        database.execute("GET THANOSQL DATASET pictures")
    database.execute("GET THANOSQL DATASET pictures OPTIONS (overwrite=True)")


def test_lists_stand_wherever_a_select_can(database: thanosql.Connection) -> None:
    database.execute("CREATE TABLE t (a)")
    database.execute("CREATE VIEW v AS SELECT * FROM (LIST THANOSQL MODEL)")
    database.execute("GET THANOSQL MODEL my_clip AS m")
    assert database.execute("LIST TABLE").fetchall() == [("t", "table"), ("v", "view")]
    both = "SELECT table_name FROM (LIST TABLE) UNION SELECT model_name FROM (LIST MODEL)"
    assert database.execute(both).fetchall() == [("m",), ("t",), ("v",)]
    models = {row[0] for row in database.execute("LIST THANOSQL MODEL").fetchall()}
    assert {"my_clip", "storybook_clip", "tutorial_search_clip", "clip", "clip_en"} <= models
    assert {row[0] for row in database.execute("SELECT model_name FROM v").fetchall()} == models
    datasets = database.execute("LIST THANOSQL DATASET")
    assert datasets.description[0][0] == "dataset_name"
    assert {"pictures", "storybook"} <= {row[0] for row in datasets.fetchall()}


def test_upload_copies_and_delete_removes_the_copy(
    database: thanosql.Connection, workspace: Path
) -> None:
    database.execute("UPLOAD MODEL mine FROM 'tiny_clip'")
    copied = workspace / "thanosql-model" / "mine"
    assert copied.is_dir()
    with pytest.raises(thanosql.ModelError, match=r"'mine' is in this database already"):
        database.execute("UPLOAD MODEL mine FROM 'tiny_clip'")
    database.execute(
        "UPLOAD MODEL mine OPTIONS (overwrite=True, framework='pytorch') FROM 'tiny_clip'"
    )
    database.execute("DELETE MODEL mine")
    assert not copied.exists()
    assert (workspace / "tiny_clip" / "config.json").is_file()
    with pytest.raises(thanosql.ModelError, match="no model 'mine'"):
        database.execute("DELETE MODEL mine")


def test_a_pickle_that_wants_to_run_code_is_refused(
    database: thanosql.Connection, workspace: Path
) -> None:
    import pickle

    class Attack:
        def __reduce__(self):
            return (Path.touch, (workspace / "it ran",))

    evil = workspace / "evil"
    shutil.copytree(workspace / "tiny_clip", evil)
    (evil / "model.safetensors").unlink()
    (evil / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Attack()}))
    with pytest.raises(thanosql.ModelError, match="code"):
        database.execute("UPLOAD MODEL evil FROM 'evil'")
    assert not (workspace / "it ran").exists()
    assert not (workspace / "thanosql-model" / "evil").exists()
    assert database.execute("LIST MODEL").fetchall() == []


def test_files_that_went_away_are_named(database: thanosql.Connection, workspace: Path) -> None:
    database.execute("GET THANOSQL MODEL my_clip")
    shutil.rmtree(workspace / "thanosql-model" / "my_clip")
    with pytest.raises(
        thanosql.ModelError, match=r"files of model 'my_clip' are gone.*overwrite=True"
    ):
        database.execute("SELECT embed_text('my_clip', 'never seen before')").fetchone()
    database.execute("DELETE MODEL my_clip")


def test_a_file_and_its_workspace_can_be_moved(
    database: thanosql.Connection, workspace: Path, tmp_path: Path
) -> None:
    database.execute("GET THANOSQL MODEL my_clip")
    database.close()
    moved = tmp_path / "elsewhere"
    workspace.rename(moved)
    connection = thanosql.connect(moved / "a.db", progress=False)
    assert connection.execute("SELECT length(embed_text('my_clip', 'x'))").fetchone() == (96,)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "kind", "message"),
    [
        ("GET THANOSQL MODEL my_clpi", thanosql.SourceError, "did you mean 'my_clip'"),
        ("GET THANOSQL DATASET picture", thanosql.SourceError, "did you mean 'pictures'"),
        ("GET THANOSQL MODEL clip", thanosql.SourceError, "offline"),
        ("GET THANOSQL MODEL my_clip AS 'a/b'", thanosql.StatementError, "letters, digits.*'a/b'"),
        ("GET THANOSQL MODEL my_clip AS '..'", thanosql.StatementError, "letters, digits"),
        ("GET THANOSQL MODEL my_clip OPTIONS (overwrite='si')", thanosql.StatementError, "True or"),
        ("GET THANOSQL DATASET pictures OPTIONS (rows=3)", thanosql.SourceError, "rows"),
        ("UPLOAD MODEL x FROM 'nowhere'", thanosql.SourceError, "no folder 'nowhere'"),
        ("UPLOAD MODEL x FROM '..'", thanosql.WorkspaceError, "outside the workspace"),
        ("UPLOAD MODEL x FROM 'images'", thanosql.ModelError, "config.json"),
        (
            "UPLOAD MODEL x OPTIONS (framework='tf') FROM 'tiny_clip'",
            thanosql.StatementError,
            "'pytorch', got 'tf'",
        ),
    ],
)
def test_bad_input(
    database: thanosql.Connection, sql: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        database.execute(sql)
    assert database.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (0,)


def test_a_model_is_forgotten_with_its_transaction(database: thanosql.Connection) -> None:
    database.execute("BEGIN")
    database.execute("GET THANOSQL MODEL my_clip")
    database.rollback()
    with pytest.raises(sqlite3.OperationalError, match="no model 'my_clip'"):
        database.execute("SEARCH IMAGE text='x' USING my_clip AS SELECT 1")
