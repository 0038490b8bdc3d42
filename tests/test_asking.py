"""SEARCH beyond similarities: a combined question, other scores, variety."""

from __future__ import annotations

import shutil

import families
import numpy as np
import pytest

import thanosql_dbapi as thanosql

Connection = thanosql.Connection
PHOTOS = "SELECT photo_id, m_clipen FROM photos"


def embedded(connection: Connection, text: str) -> np.ndarray:
    (blob,) = connection.execute("SELECT embed_text('m', ?)", (text,)).fetchone()
    return np.frombuffer(blob, "f4").astype(np.float64)


def pictures(connection: Connection) -> np.ndarray:
    return np.stack([row[1] for row in connection.execute(PHOTOS)]).astype(np.float64)


# -- combine ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["texts=['a cat', '-a dog', '0.5*night']", "text=?"])
def test_texts_are_one_question(converted: Connection, spelling: str) -> None:
    bound = (["a cat", "- a dog", " 0.5 * night"],) if "?" in spelling else ()
    cursor = converted.execute(
        f"SEARCH IMAGE {spelling} USING m OPTIONS (combine=True, result_col='s') AS {PHOTOS}", bound
    )
    assert [column[0] for column in cursor.description] == ["photo_id", "m_clipen", "s"]
    question = embedded(converted, "a cat") - embedded(converted, "a dog")
    question += 0.5 * embedded(converted, "night")
    expected = pictures(converted) @ question / np.linalg.norm(question)
    assert [row[2] for row in cursor] == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::thanosql_dbapi.ModelWarning")
@pytest.mark.parametrize("digits", [300, 400])
def test_weights_that_overflow_are_refused(converted: Connection, digits: int) -> None:
    texts = [f"{'9' * digits}*a cat", "a dog"]
    with pytest.raises(thanosql.DataError, match="weights of the combined texts are too large"):
        converted.execute(
            f"SEARCH IMAGE text=? USING m OPTIONS (combine=True) AS {PHOTOS}", (texts,)
        )


def test_a_combined_question_names_its_column_as_a_single_one(converted: Connection) -> None:
    sql = (
        "SEARCH IMAGE text=['a', 'b'], image='images/red.png' USING m OPTIONS (combine=True) AS {}"
    )
    cursor = converted.execute(sql.format(PHOTOS))
    assert cursor.description[-1][0] == "m_clipen_similarity1"
    assert len(cursor.description) == 3


def test_the_plain_form_reads_a_minus_as_text(converted: Connection) -> None:
    (row,) = converted.execute(f"SEARCH IMAGE text='-a dog' USING m AS {PHOTOS} LIMIT 1")
    expected = pictures(converted)[0] @ embedded(converted, "-a dog")
    assert row[2] == pytest.approx(expected, abs=1e-5)


def test_a_view_keeps_a_combined_question(converted: Connection) -> None:
    options = "OPTIONS (combine=True, result_col='s')"
    sql = f"SEARCH IMAGE text=['a', '-2*b'] USING m {options} AS {PHOTOS}"
    converted.execute(f"CREATE VIEW v AS {sql}")
    expected = [row[2] for row in converted.execute(sql)]
    assert [row[2] for row in converted.execute("SELECT * FROM v")] == pytest.approx(expected)


# -- score --------------------------------------------------------------------------------------


def test_a_percentile_is_the_share_of_rows_that_are_at_most_as_similar(
    converted: Connection,
) -> None:
    converted.execute("UPDATE photos SET m_clipen = NULL WHERE photo_id = '005'")
    sql = "SEARCH IMAGE text='a cat' USING m OPTIONS (result_col='s', score='{}'{}) AS " + PHOTOS
    cosines = [row[2] for row in converted.execute(sql.format("cosine", ""))]
    found = [row[2] for row in converted.execute(sql.format("percentile", ""))]
    known = [cosine for cosine in cosines if cosine is not None]
    assert found == [
        None
        if cosine is None
        else pytest.approx(100 * sum(each <= cosine for each in known) / len(known))
        for cosine in cosines
    ]
    best = converted.execute(sql.format("percentile", ", threshold=80")).fetchall()
    assert sorted(row[2] for row in best) == pytest.approx([80, 100])
    ranked = converted.execute(sql.format("percentile", ", top_k=2")).fetchall()
    assert [row[2] for row in ranked] == pytest.approx([100, 80])


def test_a_probability_of_clip_is_a_softmax_with_a_picture_of_anything(
    converted: Connection,
) -> None:
    from safetensors.numpy import load_file

    weights = load_file(converted.workspace / "thanosql-model" / "m" / "model.safetensors")
    scale = np.exp(weights["logit_scale"]).item()
    texts = ["a red picture", "a blue picture"]
    sql = f"SEARCH IMAGE texts=? USING m OPTIONS (result_col='p', score='probability') AS {PHOTOS}"
    rows = converted.execute(sql, (texts,)).fetchall()
    words = [embedded(converted, text) for text in (*texts, "a picture")]
    logits = scale * pictures(converted) @ np.stack(words).T
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for column in (0, 1):
        assert [row[2 + column] for row in rows] == pytest.approx(
            chances[:, column].tolist(), abs=1e-5
        )


def test_nothing_looks_like_that_is_an_answer(converted: Connection) -> None:
    sql = "SEARCH IMAGE text='a picture' USING m OPTIONS (score='probability', threshold={}) AS {}"
    # As probable as what any picture shows.
    assert converted.execute(sql.format(0.51, PHOTOS)).fetchall() == []
    rows = converted.execute(sql.format(0.49, PHOTOS)).fetchall()
    assert [row[2] for row in rows] == pytest.approx([0.5] * 6, abs=1e-5)


def test_a_probability_of_siglip_is_a_sigmoid(connection: Connection) -> None:
    folder = families.siglip(connection.workspace / "siglip")
    connection.execute("UPLOAD MODEL s FROM 'siglip'")
    connection.execute("CONVERT USING s OPTIONS (table_name='photos') AS SELECT * FROM photos")
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    scale, bias = np.exp(weights["logit_scale"]).item(), weights["logit_bias"].item()
    sql = (
        "SEARCH IMAGE text='a' USING s OPTIONS (result_col='x', score='{}') AS SELECT * FROM photos"
    )
    cosines = np.array([row[-1] for row in connection.execute(sql.format("cosine"))])
    found = [row[-1] for row in connection.execute(sql.format("probability"))]
    assert found == pytest.approx((1 / (1 + np.exp(-(scale * cosines + bias)))).tolist(), rel=1e-4)


def test_a_view_keeps_a_probability(converted: Connection) -> None:
    sql = f"SEARCH IMAGE text='a' USING m OPTIONS (score='probability', result_col='s') AS {PHOTOS}"
    converted.execute(f"CREATE VIEW v AS {sql}")
    expected = [row[2] for row in converted.execute(sql)]
    assert [row[2] for row in converted.execute("SELECT * FROM v")] == pytest.approx(expected)


def test_weights_without_a_temperature_have_no_probability(connection: Connection) -> None:
    from safetensors.numpy import load_file, save_file

    folder = connection.workspace / "bare"
    shutil.copytree(connection.workspace / "tiny_clip", folder)
    weights = load_file(folder / "model.safetensors")
    weights["logit_scale"] = np.array(np.nan, np.float32)
    save_file(weights, folder / "model.safetensors")
    connection.execute("UPLOAD MODEL bare FROM 'bare'")
    with pytest.raises(thanosql.ModelError, match=r"has no logit_scale in its weights, so its"):
        connection.execute(
            "SEARCH IMAGE text='a' USING bare OPTIONS (score='probability', emb_col='v') AS"
            " SELECT zeroblob(96) AS v"
        )


# -- diversify ----------------------------------------------------------------------------------


@pytest.fixture
def copies(connection: Connection) -> Connection:
    """Table ``t``: ten near copies of the best row, and five others."""
    generator = np.random.default_rng(0)
    text = embedded(connection, "a cat")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m_clipen)")
    for number in range(15):
        own = generator.standard_normal(24)
        vector = text + (0.02 if number < 10 else 0.25) * own
        unit = (vector / np.linalg.norm(vector)).astype("f4")
        connection.execute("INSERT INTO t VALUES (?, ?)", (number, unit))
    connection.commit()
    return connection


def test_ten_copies_do_not_fill_the_answer(copies: Connection) -> None:
    sql = (
        "SELECT id, s FROM (SEARCH IMAGE text='a cat' USING m"
        " OPTIONS (top_k=4, result_col='s'{}) AS SELECT * FROM t)"
    )
    plain = copies.execute(sql.format("")).fetchall()
    assert {number for number, _ in plain} <= set(range(10))
    varied = copies.execute(sql.format(", diversify=0.6")).fetchall()
    assert varied[0] == plain[0]
    assert len({number for number, _ in varied}) == 4
    assert sum(number >= 10 for number, _ in varied) == 3
    same = copies.execute(sql.format(", diversify=0")).fetchall()
    assert same == plain


def test_variety_stands_where_a_query_does(copies: Connection) -> None:
    search = (
        "SEARCH IMAGE text='a cat' USING m OPTIONS (top_k=4, diversify=0.6, result_col='s') AS"
        " SELECT * FROM t"
    )
    ids = [row[0] for row in copies.execute(search)]
    copies.execute(f"CREATE TABLE kept AS SELECT * FROM ({search})")
    assert [row[0] for row in copies.execute("SELECT id FROM kept")] == ids
    assert not copies.in_transaction


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("diversify=0.5", r"option 'diversify' chooses the best rows .* say how many with top_k"),
        ("diversify=2, top_k=3", r"option 'diversify' must be between 0 and 1, got 2"),
        ("score='percent'", r"'score' must be 'cosine', 'percentile' or 'probability', got"),
        ("combine=True, top_k=0", r"'top_k' must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_asked(converted: Connection, options: str, message: str) -> None:
    with pytest.raises(thanosql.StatementError, match=message):
        converted.execute(f"SEARCH IMAGE text='a' USING m OPTIONS ({options}) AS {PHOTOS}")


def test_a_view_cannot_choose_varied_rows(converted: Connection) -> None:
    with pytest.raises(thanosql.StatementError, match="'diversify' cannot be part of CREATE VIEW"):
        converted.execute(
            "CREATE VIEW v AS SEARCH IMAGE text='a' USING m OPTIONS (diversify=0.5, top_k=3) AS"
            f" {PHOTOS}"
        )


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        (["a cat", "-"], thanosql.StatementError, r"the text '-' has a weight and no words"),
        (["a cat", "-a cat"], thanosql.DataError, r"cancel each other out"),
    ],
)
def test_a_combined_question_of_nothing(
    converted: Connection, texts: list[str], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        converted.execute(
            f"SEARCH IMAGE texts=? USING m OPTIONS (combine=True) AS {PHOTOS}", (texts,)
        )
