"""PREDICT and EVALUATE: labels, probabilities, and how good they are."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_training import Connection, fill

import thanosql_dbapi as thanosql
from thanosql_dbapi.training.metrics import Interval, Pairs, Predictions, classification, retrieval


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    """A workspace with tables ``train``, ``test``, and classifiers of three and of two labels."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "tiny_clip").symlink_to(clip_folder)
    connection = thanosql.connect(
        folder / "a.db", progress=False, allowed_directories=[clip_folder]
    )
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    fill(connection, "train", 90, ["cat", "dog", "owl"])
    fill(connection, "test", 60, ["cat", "dog", "owl"], seed=1, noise=1.5)
    connection.execute("BUILD MODEL c USING clipen AS SELECT * FROM train")
    connection.execute("BUILD MODEL two USING clipen AS SELECT * FROM train WHERE label <> 'owl'")
    connection.close()
    return folder


@pytest.fixture
def judged(folder: Path) -> Any:
    connection = thanosql.connect(folder / "a.db", progress=False, isolation_level=None)
    connection.execute("BEGIN")
    yield connection
    connection.rollback()
    connection.close()


def classified(connection: Connection, model: str = "c") -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the predicted labels of table ``test``."""
    sql = f"SELECT label, predict_result FROM (PREDICT USING {model} AS SELECT * FROM test)"
    true, found = zip(*connection.execute(sql), strict=True)
    return np.array(true), np.array(found)


# -- PREDICT ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT predict_result FROM ({}) ORDER BY id",
        "WITH p AS ({}) SELECT predict_result FROM p ORDER BY id",
        "SELECT predict_result FROM ({}) AS a UNION ALL SELECT label FROM test WHERE 0",
        "SELECT predict_result FROM (SELECT * FROM ({}) LIMIT 60)",
        "SELECT b.predict_result FROM test AS a JOIN ({}) AS b ON a.id = b.id ORDER BY a.id",
    ],
)
def test_it_stands_where_a_query_does(judged: Connection, sql: str) -> None:
    _, found = classified(judged)
    rows = judged.execute(sql.format("PREDICT USING c AS SELECT * FROM test")).fetchall()
    assert [row[0] for row in rows] == found.tolist()


def test_rows_are_the_same_read_from_the_table_or_copied(judged: Connection) -> None:
    _, found = classified(judged)
    ways = [
        "SELECT * FROM test",
        "SELECT * FROM test WHERE id > 0 ORDER BY id",
        "SELECT t.* FROM test AS t JOIN train USING (id)",
        "SELECT id, m_clipen FROM test GROUP BY id",
    ]
    for query in ways:
        rows = judged.execute(
            f"SELECT predict_result FROM (PREDICT USING c AS {query}) ORDER BY id"
        )
        assert [row[0] for row in rows] == found.tolist(), query


def test_sparse_row_ids_and_a_table_without_them(judged: Connection) -> None:
    _, found = classified(judged)
    judged.execute("CREATE TABLE far (id INTEGER PRIMARY KEY, m_clipen BLOB)")
    judged.execute("INSERT INTO far SELECT id * 1000000000, m_clipen FROM test")
    judged.execute("CREATE TABLE named (id PRIMARY KEY, m_clipen BLOB) WITHOUT ROWID")
    judged.execute("INSERT INTO named SELECT id, m_clipen FROM test")
    for table in ("far", "named"):
        rows = judged.execute(
            f"SELECT predict_result FROM (PREDICT USING c AS SELECT * FROM {table})"
        )
        assert [row[0] for row in rows] == found.tolist()


def test_what_writes_keeps_what_was_predicted(judged: Connection) -> None:
    _, found = classified(judged)
    judged.execute("CREATE TABLE kept AS SELECT * FROM (PREDICT USING c AS SELECT * FROM test)")
    judged.execute(
        "INSERT INTO kept (id, predict_result)"
        " SELECT id + 100, predict_result FROM (PREDICT USING c AS SELECT * FROM test)"
    )
    rows = [row[0] for row in judged.execute("SELECT predict_result FROM kept ORDER BY id")]
    assert rows == [*found.tolist(), *found.tolist()]


def test_a_view_predicts_when_it_is_read(judged: Connection) -> None:
    _, found = classified(judged)
    judged.execute(
        "CREATE TEMP VIEW v AS SELECT * FROM (PREDICT USING c OPTIONS (score_col='s') AS"
        " SELECT id, m_clipen FROM test)"
    )
    rows = judged.execute("SELECT predict_result, s FROM v").fetchall()
    assert [row[0] for row in rows] == found.tolist()
    sql = "SELECT s FROM (PREDICT USING c OPTIONS (score_col='s') AS SELECT * FROM test)"
    assert [row[1] for row in rows] == pytest.approx([row[0] for row in judged.execute(sql)])
    judged.execute("UPDATE test SET m_clipen = NULL WHERE id = 1")
    assert judged.execute("SELECT predict_result, s FROM v LIMIT 1").fetchone() == (None, None)
    with pytest.raises(thanosql.StatementError, match=r"CREATE VIEW cannot give several labels"):
        judged.execute("CREATE VIEW w AS PREDICT USING c OPTIONS (top_k=2) AS SELECT * FROM test")


@pytest.mark.filterwarnings("error")
def test_a_vector_without_a_length_has_no_label_in_a_view_either(judged: Connection) -> None:
    judged.execute("CREATE TEMP VIEW v AS PREDICT USING c AS SELECT id, m_clipen FROM test")
    for number, value in enumerate((np.nan, np.inf, 3e38), start=1):
        vector = np.full(24, value, "<f4")
        judged.execute("UPDATE test SET m_clipen = ? WHERE id = ?", (vector, number))
    for source in ("v", "(PREDICT USING c AS SELECT id, m_clipen FROM test)"):
        rows = judged.execute(f"SELECT predict_result FROM {source} WHERE id < 5").fetchall()
        assert [row[0] is None for row in rows] == [True, True, True, False], source


def test_the_best_labels_are_rows_with_probabilities(judged: Connection) -> None:
    rows = judged.execute(
        "SELECT id, tag, p FROM (PREDICT USING c OPTIONS (result_col='tag', score_col='p', top_k=9)"
        " AS SELECT * FROM test)"
    ).fetchall()
    assert len(rows) == 180  # a classifier of three labels has no more
    for first in range(0, 180, 3):
        three = rows[first : first + 3]
        assert len({row[0] for row in three}) == 1
        assert {row[1] for row in three} == {"cat", "dog", "owl"}
        assert [row[2] for row in three] == sorted((row[2] for row in three), reverse=True)
        assert sum(row[2] for row in three) == pytest.approx(1)
    assert [row[1] for row in rows[::3]] == classified(judged)[1].tolist()


def test_a_row_without_vector_and_image_has_no_label(judged: Connection) -> None:
    judged.execute("UPDATE test SET m_clipen = NULL WHERE id = 2")
    judged.execute("UPDATE test SET m_clipen = zeroblob(96) WHERE id = 3")
    sql = "PREDICT USING c OPTIONS (score_col='p'{}) AS SELECT id, m_clipen FROM test WHERE id < 5"
    rows = judged.execute(sql.format("")).fetchall()
    assert [row[2] is None for row in rows] == [False, True, True, False]
    assert [row[3] is None for row in rows] == [False, True, True, False]
    assert len(judged.execute(sql.format(", top_k=2")).fetchall()) == 2 + 1 + 1 + 2


def test_an_image_is_embedded_where_there_is_no_vector(connection: Connection) -> None:
    connection.execute(
        "BUILD MODEL c USING m OPTIONS (label_col='n') AS"
        " SELECT image_path, photo_id > '002' AS n FROM photos"
    )
    sql = "SELECT predict_result FROM (PREDICT USING c AS SELECT * FROM photos)"
    fresh = connection.execute(sql).fetchall()
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    assert connection.execute(sql).fetchall() == fresh
    connection.execute("UPDATE photos SET m_clipen = NULL WHERE photo_id = '001'")
    assert connection.execute(sql).fetchall() == fresh
    assert None not in {row[0] for row in fresh}
    connection.execute("CREATE VIEW v AS PREDICT USING c AS SELECT image_path FROM photos")
    assert [row[1] for row in connection.execute("SELECT * FROM v")] == [row[0] for row in fresh]


def test_zero_shot_labels_are_the_most_similar_texts(converted: Connection) -> None:
    labels = ["a red picture", "a blue picture", "고양이"]
    cursor = converted.execute(
        "PREDICT USING m OPTIONS (labels=?, score_col='p', top_k=3) AS"
        " SELECT photo_id, m_clipen FROM photos",
        (labels,),
    )
    rows = cursor.fetchall()
    similarity = converted.execute(
        "SEARCH IMAGE texts=? USING m AS SELECT photo_id, m_clipen FROM photos", (labels,)
    ).fetchall()
    scale = logit_scale(converted)
    for place, row in enumerate(similarity):
        logits = scale * np.array(row[2:])
        chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        three = rows[3 * place : 3 * place + 3]
        order = np.argsort(-chances)
        assert [each[2] for each in three] == [labels[number] for number in order]
        assert [each[3] for each in three] == pytest.approx(chances[order].tolist(), abs=1e-4)


def logit_scale(connection: Connection) -> float:
    from safetensors.numpy import load_file

    weights = load_file(connection.workspace / "thanosql-model" / "m" / "model.safetensors")
    return float(np.exp(weights["logit_scale"]))


def test_many_labels_of_all_kinds(converted: Connection) -> None:
    labels = [*range(20), *(f"te'xt{number}" for number in range(20)), "a\0b", 1.5, float("inf")]
    converted.execute("CREATE TABLE tags (tag)")
    converted.executemany("INSERT INTO tags VALUES (?)", [(label,) for label in labels])
    sql = (
        "SELECT tag FROM (PREDICT USING m OPTIONS (label_col='tag', label_table='tags',"
        " result_col='tag', top_k=100) AS SELECT m_clipen FROM photos LIMIT 1)"
    )
    found = [row[0] for row in converted.execute(sql)]
    assert {(type(label), label) for label in found} == {(type(label), label) for label in labels}
    assert len(found) == len(labels)


def test_templates_are_averaged(converted: Connection) -> None:
    labels, templates = ["red", "blue"], ["a {} picture", "{}!"]
    rows = converted.execute(
        "SELECT p FROM (PREDICT USING m OPTIONS (labels=?, templates=?, score_col='p', top_k=2) AS"
        " SELECT m_clipen FROM photos LIMIT 1)",
        (labels, templates),
    ).fetchall()
    (picture,) = converted.execute("SELECT m_clipen FROM photos LIMIT 1").fetchone()
    logits = []
    for label in labels:
        vectors = [
            np.frombuffer(
                converted.execute("SELECT embed_text('m', ?)", (text,)).fetchone()[0], "f4"
            )
            for text in (each.replace("{}", label) for each in templates)
        ]
        mean = np.mean(vectors, axis=0)
        logits.append(logit_scale(converted) * picture @ (mean / np.linalg.norm(mean)))
    chances = np.exp(logits) / np.exp(logits).sum()
    assert sorted(row[0] for row in rows) == pytest.approx(sorted(chances), abs=1e-4)


def test_labels_of_a_column_keep_their_type(converted: Connection) -> None:
    converted.execute("CREATE TABLE tags (tag)")
    converted.executemany("INSERT INTO tags VALUES (?)", [(3,), ("three",), (3,), (None,)])
    sql = "PREDICT USING m OPTIONS (label_col='tag', label_table='tags') AS SELECT * FROM photos"
    assert {row[-1] for row in converted.execute(sql)} <= {3, "three"}
    sql = "PREDICT USING m OPTIONS (label_col='caption') AS SELECT * FROM photos"
    assert {row[-1] for row in converted.execute(sql)} <= {
        caption for (caption,) in converted.execute("SELECT caption FROM photos")
    }


def test_it_reads_what_the_transaction_has_written(judged: Connection) -> None:
    judged.execute("UPDATE test SET m_clipen = (SELECT m_clipen FROM test WHERE id = 1)")
    _, found = classified(judged)
    assert len(set(found.tolist())) == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("PREDICT USING m AS SELECT * FROM test", r"'m' is no classifier, so it must be told the"),
        (
            "PREDICT USING m OPTIONS (labels=['a']) AS SELECT * FROM test",
            r"'labels' must have two labels or more, to choose from; got 1",
        ),
        (
            "PREDICT USING m OPTIONS (labels=['a', 3]) AS SELECT * FROM test",
            r"option 'labels' must be a list of texts, got 3 in it",
        ),
        (
            "PREDICT USING m OPTIONS (labels=['a', 'b'], templates=['x']) AS SELECT * FROM test",
            r"a template must have '\{\}' once, in the label's place; got 'x'",
        ),
        (
            "PREDICT USING m OPTIONS (labels=['a', 'b'], templates=[]) AS SELECT * FROM test",
            r"a template must have '\{\}' once, in the label's place; got \[\]",
        ),
        (
            "PREDICT USING m OPTIONS (label_col='tag', label_table='train') AS SELECT * FROM test",
            r"table 'train' has no column 'tag' \(it has id, label, m_clipen\); name the column",
        ),
        (
            "PREDICT USING c OPTIONS (labels=['a', 'b']) AS SELECT * FROM test",
            r"a classifier has labels of its own; leave option 'labels' out, or use .* m,",
        ),
        (
            "PREDICT USING c OPTIONS (label_col='label') AS SELECT * FROM test",
            r"a classifier has labels of its own; leave option 'label_col' out",
        ),
        (
            "PREDICT USING m OPTIONS (labels=['a', 'b'], label_col='label') AS SELECT * FROM test",
            r"USING m: the labels are those of option 'labels'; leave option 'label_col' or",
        ),
        (
            "PREDICT USING c OPTIONS (result_col='label') AS SELECT * FROM test",
            r"the rows have a column 'label' already; name the new one with OPTIONS \(result_col",
        ),
        (
            "PREDICT USING c OPTIONS (score_col='predict_result') AS SELECT * FROM test",
            r"a column 'predict_result' already; name the new one with OPTIONS \(score_col",
        ),
        ("PREDICT USING c AS SELECT id FROM test", r"neither vectors of model 'm' nor a column"),
        (
            "PREDICT USING c OPTIONS (emb_col='label') AS SELECT * FROM test",
            r"column 'label' holds a value of type text, and model 'm' makes vectors of 24",
        ),
        (
            "PREDICT USING m OPTIONS (label_col='tag') AS SELECT * FROM test",
            r"the query has no column 'tag' \(it has id, label, m_clipen\)",
        ),
        (
            "PREDICT USING m OPTIONS (label_col='id', label_table='x') AS SELECT * FROM test",
            r"no such table: x; option label_table names one with labels",
        ),
        (
            "WITH w AS (SELECT * FROM test) SELECT * FROM (PREDICT USING c AS SELECT * FROM w)",
            r"PREDICT: its query reads 'w', which the WITH before it defines; put the WITH inside",
        ),
        (
            "EVALUATE USING m AS SELECT * FROM test",
            r"told what to judge .*; write OPTIONS \(text_col",
        ),
        (
            "EVALUATE USING two AS SELECT * FROM test",
            r"the rows have labels that it cannot give: 'owl'; it has 'cat', 'dog'; leave those",
        ),
        (
            "EVALUATE USING m OPTIONS (text_col='label', k=[0]) AS SELECT * FROM test",
            r"option 'k' must be whole numbers of at least 1, got 0",
        ),
        (
            "EVALUATE USING c OPTIONS (k=5) AS SELECT * FROM test",
            r"EVALUATE USING c: option 'k' is for how well texts find .* \(text_col\), and labels",
        ),
        (
            "EVALUATE USING m OPTIONS (text_col='label', label_col='label') AS SELECT * FROM test",
            r"option 'label_col' is for labels, and with text_col .* leave one of the two out",
        ),
        (
            "EVALUATE USING c OPTIONS (interval=95) AS SELECT * FROM test",
            r"option 'interval' must be between 0 and 1, e\.g\. 0\.95, got 95",
        ),
        (
            "EVALUATE USING c OPTIONS (by_label=True, interval=0.9) AS SELECT * FROM test",
            r"rows of by_label have no interval; leave interval or by_label out",
        ),
        (
            "EVALUATE USING m OPTIONS (text_col='label', by_label=True) AS SELECT * FROM test",
            r"a retrieval has no labels; leave by_label out",
        ),
        (
            "EVALUATE USING c AS SELECT * FROM test WHERE 0",
            r"no row has a label and a vector to be",
        ),
        (
            "CREATE VIEW v AS EVALUATE USING c AS SELECT * FROM test",
            r"EVALUATE cannot be part of CREATE VIEW",
        ),
    ],
)
def test_what_cannot_be_predicted_or_judged(judged: Connection, sql: str, message: str) -> None:
    with pytest.raises(sqlite3.Error, match=message) as caught:
        judged.execute(sql)
    kinds = (thanosql.OperationalError, thanosql.ProgrammingError, thanosql.NotSupportedError)
    assert isinstance(caught.value, kinds)


def test_a_classifier_whose_model_is_gone_says_so(judged: Connection) -> None:
    judged.execute("DELETE FROM thanosql_models WHERE name = 'm'")
    with pytest.raises(thanosql.ModelError, match=r"reads the vectors of model 'm', which is not"):
        classified(judged)


def test_rows_that_another_connection_changes_are_those_of_one_moment(folder: Path) -> None:
    reader = thanosql.connect(folder / "a.db", progress=False)
    writer = thanosql.connect(folder / "a.db", progress=False)
    sql = "SELECT id, predict_result FROM (PREDICT USING c AS SELECT * FROM test)"
    before = reader.execute(sql).fetchall()
    assert not reader.in_transaction
    writer.execute("INSERT INTO test (label, m_clipen) SELECT label, m_clipen FROM test LIMIT 1")
    writer.commit()
    after = reader.execute(sql).fetchall()
    assert after[:-1] == before
    assert after[-1][1] == before[0][1]
    writer.execute("DELETE FROM test WHERE id = (SELECT max(id) FROM test)")
    writer.commit()
    reader.close()
    writer.close()


# -- EVALUATE -----------------------------------------------------------------------------------


def test_three_labels_give_the_documented_rows_with_sklearns_figures(judged: Connection) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = classified(judged)
    cursor = judged.execute(
        "EVALUATE USING c OPTIONS (image_col='image_path', label_col='label') AS SELECT * FROM test"
    )
    assert [column[0] for column in cursor.description] == ["metric", "score"]
    how = {"average": "macro", "zero_division": 0}
    assert dict(cursor) == pytest.approx(
        {
            "Accuracy": metrics.accuracy_score(true, found),
            "macro-Recall": metrics.recall_score(true, found, **how),
            "macro-Precision": metrics.precision_score(true, found, **how),
            "macro-f1-score": metrics.f1_score(true, found, **how),
        }
    )
    assert 0.5 < metrics.accuracy_score(true, found) < 1


def test_two_labels_give_the_documented_rows_with_sklearns_figures(judged: Connection) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rows = judged.execute(
        "SELECT label, predict_result, p FROM (PREDICT USING two OPTIONS (score_col='p') AS"
        " SELECT * FROM test WHERE label <> 'owl')"
    ).fetchall()
    true = np.array([row[0] == "dog" for row in rows])
    found = np.array([row[1] == "dog" for row in rows])
    score = np.array([row[2] if row[1] == "dog" else 1 - row[2] for row in rows])
    judged_rows = judged.execute(
        "SELECT * FROM (EVALUATE USING two AS SELECT * FROM test WHERE label <> 'owl')"
    ).fetchall()
    assert [name for name, _ in judged_rows] == [
        *("Accuracy", "ROCAUC", "Recall", "Precision", "F1-Score", "Kappa", "MCC"),
    ]
    assert [score for _, score in judged_rows] == pytest.approx(
        [
            metrics.accuracy_score(true, found),
            metrics.roc_auc_score(true, score),
            metrics.recall_score(true, found),
            metrics.precision_score(true, found),
            metrics.f1_score(true, found),
            metrics.cohen_kappa_score(true, found),
            metrics.matthews_corrcoef(true, found),
        ]
    )


def test_each_label_has_sklearns_figures(judged: Connection) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = classified(judged)
    rows = judged.execute(
        "EVALUATE USING c OPTIONS (by_label=True) AS SELECT * FROM test"
    ).fetchall()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(true, found)
    assert [row[0] for row in rows] == ["cat", "dog", "owl"]
    assert [row[1] for row in rows] == support.tolist()
    for column, values in zip((2, 3, 4), (recall, precision, f1), strict=True):
        assert [row[column] for row in rows] == pytest.approx(values.tolist())


@pytest.mark.parametrize("count", [2, 5])
def test_measures_of_random_predictions_are_sklearns(count: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(count)
    true, found = generator.integers(0, count, (2, 500))
    scores = np.round(generator.random(500), 1)  # with ties
    rows = dict(classification(Predictions(true, found, count, scores if count == 2 else None)))  # type: ignore[arg-type]
    assert rows["Accuracy"] == pytest.approx(metrics.accuracy_score(true, found))
    if count == 2:
        assert rows["ROCAUC"] == pytest.approx(metrics.roc_auc_score(true, scores))
        assert rows["MCC"] == pytest.approx(metrics.matthews_corrcoef(true, found))
        assert rows["Kappa"] == pytest.approx(metrics.cohen_kappa_score(true, found))
    else:
        f1 = metrics.f1_score(true, found, average="macro")
        assert rows["macro-f1-score"] == pytest.approx(f1)


def test_a_bootstrap_interval_holds_the_score_and_is_the_same_for_a_seed(
    judged: Connection,
) -> None:
    sql = "EVALUATE USING c OPTIONS (interval={}, seed={}) AS SELECT * FROM test"
    cursor = judged.execute(sql.format(0.95, 1))
    assert [column[0] for column in cursor.description] == ["metric", "score", "low", "high"]
    rows = cursor.fetchall()
    assert all(low <= score <= high for _, score, low, high in rows)
    assert rows == judged.execute(sql.format(0.95, 1)).fetchall()
    assert rows != judged.execute(sql.format(0.95, 2)).fetchall()
    narrow = judged.execute(sql.format(0.5, 1)).fetchall()
    assert narrow[0][3] - narrow[0][2] < rows[0][3] - rows[0][2]
    # The spread of a share of 60 rows, by the normal distribution.
    share = rows[0][1]
    spread = 1.96 * (share * (1 - share) / 60) ** 0.5
    assert rows[0][3] - rows[0][2] == pytest.approx(2 * spread, rel=0.25)


@pytest.mark.filterwarnings("error")
def test_a_measure_that_no_sample_defines_has_no_interval(judged: Connection) -> None:
    rows = judged.execute(
        "EVALUATE USING two OPTIONS (interval=0.9) AS SELECT * FROM test WHERE label = 'cat'"
    ).fetchall()
    assert rows[1] == ("ROCAUC", None, None, None)
    assert None not in rows[0]


def test_retrieval_is_what_counting_by_hand_gives() -> None:
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((50, 8)).astype("f4")
    images = vectors[:30] / np.linalg.norm(vectors[:30], axis=1, keepdims=True)
    texts = vectors[30:] / np.linalg.norm(vectors[30:], axis=1, keepdims=True)
    rows = np.array([(image, image % 20) for image in range(30)])
    found = dict(retrieval(Pairs(images, texts, rows), (1, 5)))  # type: ignore[arg-type]
    similar = images @ texts.T
    of_image, of_text = [], []
    for image in range(30):
        right = similar[image, image % 20]
        of_image.append(1 + sum(similar[image] > right))
    for text in range(20):
        own = [image for image in range(30) if image % 20 == text]
        best = similar[own, text].max()
        others = [image for image in range(30) if image not in own]
        of_text.append(1 + sum(similar[others, text] > best))
    for way, ranks in (("image to text", of_image), ("text to image", of_text)):
        for k in (1, 5):
            assert found[f"{way} Recall@{k}"] == pytest.approx(np.mean(np.array(ranks) <= k))
        assert found[f"{way} median rank"] == pytest.approx(np.median(ranks))


def test_answers_that_are_all_the_same_are_no_good_retrieval() -> None:
    same = np.ones((10, 4), "f4") / 2
    rows = np.stack([np.arange(10)] * 2, axis=1)
    found = retrieval(Pairs(same, same, rows), (1,), Interval(0.9, 0))
    assert {row[0]: row[1] for row in found}["text to image Recall@1"] == 0


def test_a_retrieval_of_rows(converted: Connection) -> None:
    cursor = converted.execute(
        "EVALUATE USING m OPTIONS (image_col='image_path', text_col='caption', k=[1, 6]) AS"
        " SELECT * FROM photos"
    )
    found = dict(cursor)
    assert list(found) == [
        *("text to image Recall@1", "text to image Recall@6", "text to image median rank"),
        *("image to text Recall@1", "image to text Recall@6", "image to text median rank"),
    ]
    assert found["text to image Recall@6"] == found["image to text Recall@6"] == 1
    with pytest.raises(thanosql.OperationalError, match="1 rows have a text and an image"):
        converted.execute(
            "EVALUATE USING m OPTIONS (text_col='caption') AS SELECT * FROM photos LIMIT 1"
        )


def test_labels_without_training_are_judged(converted: Connection) -> None:
    sql = "EVALUATE USING m OPTIONS (label_col='caption'{}) AS SELECT * FROM photos"
    rows = converted.execute(sql.format("")).fetchall()
    assert [row[0] for row in rows][:1] == ["Accuracy"]
    predicted = converted.execute(
        "SELECT avg(caption = predict_result) FROM"
        " (PREDICT USING m OPTIONS (label_col='caption') AS SELECT * FROM photos)"
    ).fetchone()
    assert rows[0][1] == pytest.approx(predicted[0])
    with pytest.raises(thanosql.OperationalError, match="labels that it cannot give"):
        converted.execute(sql.format(", labels=['a', 'b']"))
