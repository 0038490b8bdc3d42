"""BUILD MODEL, FIT MODEL, PREDICT and EVALUATE, as a user calls them."""

from __future__ import annotations

import json
import shutil
from contextlib import closing

import numpy as np
import pytest

import thanosql_dbapi as thanosql

DIMENSION = 24
Connection = thanosql.Connection


def clusters(
    rows: int, labels: int, *, seed: int = 0, noise: float = 0.4
) -> list[tuple[int, bytes]]:
    """Return (label, vector) of rows that lie around one direction a label."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((labels, DIMENSION))
    found = []
    for number in range(rows):
        vector = centres[number % labels] + noise * generator.standard_normal(DIMENSION)
        unit = (vector / np.linalg.norm(vector)).astype("<f4")
        found.append((number % labels, unit.tobytes()))
    return found


def fill(
    connection: Connection, table: str, rows: int, labels: list[object], **how: object
) -> None:
    connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, label, m_clipen BLOB)")
    connection.executemany(
        f"INSERT INTO {table} (label, m_clipen) VALUES (?, ?)",
        [(labels[code], vector) for code, vector in clusters(rows, len(labels), **how)],  # type: ignore[arg-type]
    )
    connection.commit()


@pytest.fixture
def trained(connection: Connection) -> Connection:
    """Tables ``train`` and ``test`` of three labels, and a classifier ``c`` of them."""
    fill(connection, "train", 90, ["cat", "dog", "owl"])
    fill(connection, "test", 60, ["cat", "dog", "owl"], seed=1, noise=1.2)
    connection.execute("BUILD MODEL c USING clipen AS SELECT * FROM train")
    return connection


def predicted(connection: Connection, table: str = "test", model: str = "c") -> list[object]:
    sql = f"SELECT predict_result FROM (PREDICT USING {model} AS SELECT * FROM {table})"
    return [row[0] for row in connection.execute(sql)]


# -- BUILD --------------------------------------------------------------------------------------


def test_a_classifier_learns_labels_of_vectors_that_are_there(trained: Connection) -> None:
    cursor = trained.execute("PREDICT USING c AS SELECT id, label, m_clipen FROM train")
    assert [column[0] for column in cursor.description] == [
        *("id", "label", "m_clipen", "predict_result"),
    ]
    rows = cursor.fetchall()
    assert len(rows) == 90
    assert sum(row[1] == row[3] for row in rows) >= 88


def test_the_older_spelling_of_a_network_trains_on_pictures(connection: Connection) -> None:
    with pytest.warns(thanosql.ModelWarning, match="ConvNeXt_Tiny is not trained; a linear"):
        cursor = connection.execute(
            "BUILD MODEL my_classifier USING ConvNeXt_Tiny OPTIONS (image_col='image_path',"
            " label_col='kind', max_epochs=1, overwrite=True) AS"
            " SELECT image_path, photo_id IN ('000', '002') AS kind FROM photos"
        )
    assert cursor.description is None
    rows = connection.execute(
        "SELECT * FROM (PREDICT USING my_classifier OPTIONS (image_col='image_path',"
        " result_col='tag') AS SELECT image_path FROM photos) LIMIT 10"
    )
    assert [column[0] for column in rows.description] == ["image_path", "tag"]
    assert {type(row[1]) for row in rows} == {int}


@pytest.mark.parametrize(
    "labels",
    [[1, 2, 3], [0.5, -1.5], ["고양이", "dog"], [b"\x00\xff", b""], [7, "7", 7.5, b"7"]],
    ids=["integers", "reals", "texts", "blobs", "mixed"],
)
def test_labels_come_back_as_they_were(connection: Connection, labels: list[object]) -> None:
    fill(connection, "t", 20 * len(labels), labels)
    connection.execute("BUILD MODEL c USING clipen AS SELECT * FROM t")
    rows = connection.execute(
        "SELECT label, predict_result FROM (PREDICT USING c AS SELECT * FROM t)"
    )
    pairs = rows.fetchall()
    assert {(type(label), label) for _, label in pairs} == {(type(each), each) for each in labels}
    assert sum(label == found for label, found in pairs) > 0.9 * len(pairs)


def test_a_training_is_the_same_for_the_same_seed(trained: Connection) -> None:
    trained.execute("BUILD MODEL d USING clipen OPTIONS (seed=0) AS SELECT * FROM train")
    rows = trained.execute("SELECT fingerprint FROM thanosql_models WHERE name IN ('c', 'd')")
    assert len(set(rows)) == 1


def test_a_classifier_is_listed_with_its_kind_and_the_model_it_reads(trained: Connection) -> None:
    rows = trained.execute("SELECT model_name, source, kind FROM (LIST MODEL)").fetchall()
    assert rows == [
        ("c", "model:m", "classifier"),
        ("m", rows[1][1], "embedding"),
    ]
    folder = trained.workspace / "thanosql-model" / "c"
    assert json.loads((folder / "config.json").read_text())["model_type"] == "thanosql_classifier"


def test_another_connection_reads_a_classifier(trained: Connection) -> None:
    before = predicted(trained)
    with closing(thanosql.connect(trained.workspace / "photos.db", progress=False)) as other:
        assert predicted(other) == before


def test_fit_goes_on_with_more_rows(trained: Connection) -> None:
    fill(trained, "more", 60, ["cat", "dog", "owl"], seed=5, noise=1.2)
    trained.execute("FIT MODEL c2 USING c AS SELECT * FROM more")
    before = sum(np.array(predicted(trained, "more")) == np.array(["cat", "dog", "owl"] * 20))
    after = sum(np.array(predicted(trained, "more", "c2")) == np.array(["cat", "dog", "owl"] * 20))
    assert after >= before
    config = json.loads((trained.workspace / "thanosql-model/c2/config.json").read_text())
    assert config["rows"] == 150


def test_fit_with_some_of_the_labels_keeps_the_others(trained: Connection) -> None:
    trained.execute("FIT MODEL c2 USING c AS SELECT * FROM train WHERE label = 'cat'")
    labels = [row[0] for row in trained.execute("SELECT label FROM train")]
    right = sum(a == b for a, b in zip(predicted(trained, "train", "c2"), labels, strict=True))
    assert right >= 85


def test_fit_lists_labels_it_does_not_know(trained: Connection) -> None:
    with pytest.raises(thanosql.OperationalError, match=r"was not trained on: 4, 'fox'; it has"):
        trained.execute(
            "FIT MODEL c2 USING c AS SELECT m_clipen, CASE id % 3 WHEN 0 THEN 'fox' WHEN 1 THEN 4"
            " ELSE label END AS label FROM train"
        )
    assert trained.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (2,)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "BUILD MODEL d USING clipen AS SELECT 'x' AS label, m_clipen FROM train",
            r"all 90 rows have the label 'x'; it takes two to tell apart; nothing was changed",
        ),
        (
            "BUILD MODEL d USING clipen OPTIONS (label_col='id') AS SELECT * FROM train",
            r"90 rows have 90 different labels, fewer than 2 rows a label; name the column",
        ),
        (
            "BUILD MODEL d USING clipen OPTIONS (label_col='tag') AS SELECT * FROM train",
            r"the query has no column 'tag' \(it has id, label, m_clipen\); name .* \(label_col",
        ),
        (
            "BUILD MODEL d USING clipen AS SELECT id, label FROM train",
            r"the query has neither vectors of model 'm' nor a column 'image_path'",
        ),
        (
            "BUILD MODEL d USING clipen OPTIONS (image_col='p') AS SELECT id, label FROM train",
            r"no column 'p' \(it has id, label\); name the column with the images",
        ),
        (
            "BUILD MODEL d USING clipen AS SELECT * FROM trian",
            r"no such table: trian; did you mean 'train'\?",
        ),
        (
            "BUILD MODEL d USING clipen AS SELECT * FROM train WHERE 0",
            r"no row has a label and a vector",
        ),
        (
            "BUILD MODEL d USING nonet AS SELECT * FROM train",
            r"no algorithm 'nonet'; expected one of CLIPEn, ConvNeXt_Tiny, .*, m; nothing",
        ),
        ("BUILD MODEL c USING clipen AS SELECT * FROM train", r"overwrite=True\) to replace it"),
        ("BUILD MODEL m USING clipen AS SELECT * FROM train", r"'m' is a model that makes vectors"),
        ("BUILD MODEL d USING c AS SELECT * FROM train", r"FIT MODEL d USING c … goes on with it"),
        ("FIT MODEL d USING x AS SELECT * FROM train", r"no model 'x' in this database"),
        ("SEARCH IMAGE text='a' USING c AS SELECT * FROM train", r"'c' is a classifier, which"),
        ("CONVERT USING c AS SELECT * FROM photos", r"the vectors it reads are those of m"),
    ],
)
def test_what_cannot_be_trained(trained: Connection, sql: str, message: str) -> None:
    with pytest.raises(thanosql.OperationalError, match=message):
        trained.execute(sql)
    assert trained.execute("SELECT count(*) FROM (LIST MODEL)").fetchone() == (2,)
    folder = trained.workspace / "thanosql-model"
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {"c", "m"}


def test_rows_without_label_or_vector_are_left_out_with_a_warning(trained: Connection) -> None:
    trained.execute("UPDATE train SET label = NULL WHERE id < 4")
    trained.execute("UPDATE train SET m_clipen = NULL WHERE id IN (7, 8)")
    with pytest.warns(thanosql.ModelWarning, match=r"3 rows have NULL as 'label' and 2 rows"):
        trained.execute("BUILD MODEL d USING clipen AS SELECT * FROM train")
    with pytest.warns(thanosql.ModelWarning, match="are left out"):
        trained.execute("EVALUATE USING d AS SELECT * FROM train")


def test_a_model_that_classifiers_rest_on_is_not_deleted(trained: Connection) -> None:
    with pytest.raises(thanosql.ModelError, match=r"vectors that 1 classifiers read: 'c'"):
        trained.execute("DELETE MODEL m")
    trained.execute("UPLOAD MODEL twin FROM 'tiny_clip'")
    trained.execute("DELETE MODEL m")  # the other one makes the same vectors
    sql = "PREDICT USING c OPTIONS (emb_col='m_clipen') AS SELECT * FROM test"
    assert {row[-1] for row in trained.execute(sql)} == {"cat", "dog", "owl"}
    trained.execute("DELETE MODEL c")
    trained.execute("DELETE MODEL twin")
    assert trained.execute("LIST MODEL").fetchall() == []


def test_a_rollback_takes_a_classifier_back(trained: Connection) -> None:
    trained.execute("BEGIN")
    trained.execute("BUILD MODEL d USING clipen AS SELECT * FROM train")
    assert predicted(trained, model="d")
    trained.rollback()
    with pytest.raises(thanosql.ModelError, match="no model 'd'"):
        predicted(trained, model="d")
    assert not (trained.workspace / "thanosql-model" / "d").exists()


def test_a_file_of_a_version_without_classifiers_takes_one(connection: Connection) -> None:
    connection.execute("ALTER TABLE thanosql_models DROP COLUMN rests_on")
    assert connection.execute("SELECT kind FROM (LIST MODEL)").fetchall() == [("embedding",)]
    fill(connection, "train", 20, ["a", "b"])
    connection.execute("BUILD MODEL c USING clipen AS SELECT * FROM train")
    assert set(predicted(connection, "train")) == {"a", "b"}


def test_several_models_and_no_vectors_need_a_base_model(connection: Connection) -> None:
    other = connection.workspace / "other"
    shutil.copytree(connection.workspace / "tiny_clip", other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "note": "another"}))
    connection.execute("UPLOAD MODEL other FROM 'other'")
    sql = (
        "BUILD MODEL c USING clipen OPTIONS (label_col='n'{}) AS"
        " SELECT image_path, photo_id > '002' AS n FROM photos"
    )
    with pytest.raises(thanosql.ModelError, match=r"several models make vectors: m, other; say"):
        connection.execute(sql.format(""))
    connection.execute(sql.format(", base_model='other'"))
    connection.execute(
        "BUILD MODEL d USING other OPTIONS (label_col='n') AS"
        " SELECT image_path, photo_id > '002' AS n FROM photos"
    )
    rows = connection.execute("SELECT source FROM (LIST MODEL) WHERE kind = 'classifier'")
    assert rows.fetchall() == [("model:other",), ("model:other",)]


def test_a_damaged_classifier_says_so(trained: Connection) -> None:
    weights = trained.workspace / "thanosql-model" / "c" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with (
        closing(thanosql.connect(trained.workspace / "photos.db", progress=False)) as other,
        pytest.raises(thanosql.ModelError, match=r"model.safetensors' are damaged: .*BUILD"),
    ):
        predicted(other)


def test_a_training_that_cannot_commit_leaves_nothing(trained: Connection) -> None:
    before = predicted(trained)
    trained.execute("PRAGMA busy_timeout = 0")
    with closing(thanosql.connect(trained.workspace / "photos.db", progress=False)) as other:
        reader = other.execute("SELECT id FROM train")
        reader.fetchone()
        with pytest.raises(thanosql.OperationalError, match="locked"):
            trained.execute(
                "BUILD MODEL c USING clipen OPTIONS (overwrite=True) AS"
                " SELECT label = 'cat' AS label, m_clipen FROM train"
            )
        assert not trained.in_transaction
        assert predicted(trained) == before
        reader.close()
    assert predicted(trained) == before
