"""ThanoSQL through SQLAlchemy: text, driver SQL, and the statements as selectables."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sqlalchemy import (
    Column,
    Float,
    Integer,
    String,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session, aliased, declarative_base

from sqlalchemy_thanosql import (
    Vector,
    convert,
    embed_image,
    evaluate,
    predict,
    search_image,
    search_text,
)

Base = declarative_base()


class Photo(Base):
    __tablename__ = "photos"

    photo_id = Column(String, primary_key=True)
    image_path = Column(String)
    caption = Column(String)
    m_clipen = Column(Vector(24))


class Found(Base):
    __tablename__ = "found"

    id = Column(Integer, primary_key=True)
    photo_id = Column(String)
    similarity = Column(Float)


@pytest.fixture
def session(photo_engine):
    with Session(photo_engine, future=True) as session:
        yield session


BLACK = "images/black.png"


def best(rows):
    return max(rows, key=lambda row: row.similarity)


def test_text_with_bound_parameters(session):
    statement = text(
        "SELECT image_path, similarity FROM (SEARCH IMAGE image=:image USING m"
        " OPTIONS (result_col='similarity') AS SELECT * FROM photos)"
        " ORDER BY similarity DESC LIMIT :k"
    )
    rows = session.execute(statement, {"image": BLACK, "k": 2}).all()
    assert len(rows) == 2
    assert rows[0].image_path == BLACK
    assert rows[0].similarity == pytest.approx(1, abs=1e-5)


def test_text_with_columns_is_a_selectable(session):
    searched = (
        text("SEARCH IMAGE image=:image USING m OPTIONS (top_k=3) AS SELECT * FROM photos")
        .columns(image_path=String, m_clipen_similarity1=Float)
        .bindparams(image=BLACK)
        .subquery()
    )
    query = select(searched.c.image_path).where(searched.c.m_clipen_similarity1 > 0.999)
    assert session.execute(query).scalars().all() == [BLACK]


def test_driver_sql(photo_engine):
    with photo_engine.connect() as connection:
        result = connection.exec_driver_sql(
            "SEARCH IMAGE image=? USING m OPTIONS (top_k=?) AS SELECT * FROM photos", (BLACK, 1)
        )
        assert list(result.keys())[-1] == "m_clipen_similarity1"
        assert result.mappings().one()["image_path"] == BLACK
        models = connection.exec_driver_sql("LIST MODEL").all()
        assert len(models) == 1


def test_a_statement_without_rows(photo_engine):
    with photo_engine.begin() as connection:
        result = connection.execute(text("COPY again FROM :source"), {"source": "photos.csv"})
        assert not result.returns_rows
        assert connection.execute(text("SELECT count(*) FROM again")).scalar() == 6


def test_print_returns_the_rows(photo_engine):
    with photo_engine.connect() as connection:
        rows = connection.execute(text("PRINT IMAGE AS SELECT image_path FROM photos")).all()
    assert len(rows) == 6


def test_search_keeps_the_querys_parameters(session, photo_engine):
    query = select(Photo.image_path, Photo.m_clipen).where(
        Photo.image_path.in_([BLACK, "images/red.png"]), Photo.photo_id != "x"
    )
    statement = search_image("m", image=BLACK, query=query, top_k=2)
    compiled = statement.compile(photo_engine)
    assert str(compiled).startswith(
        'SEARCH IMAGE image=? USING "m"'
        " OPTIONS (emb_col='m_clipen', result_col='similarity', top_k=?) AS SELECT "
    )
    assert BLACK not in str(compiled)
    rows = session.execute(statement).all()
    assert [row.image_path for row in rows] == [BLACK, "images/red.png"]
    assert rows[0].similarity == pytest.approx(1, abs=1e-5)
    assert isinstance(rows[0].m_clipen, np.ndarray)


@pytest.mark.parametrize("shape", ["functions", "search"])
def test_the_nearest_rows_come_from_memory(photo_engine, shape):
    vectors = np.random.default_rng(0).normal(size=(500, 24)).astype("<f4")
    rows = [{"photo_id": f"x{n}", "m_clipen": vector} for n, vector in enumerate(vectors)]
    with photo_engine.begin() as connection:
        connection.execute(insert(Photo.__table__), rows)
    if shape == "search":
        rows = search_image("m", image=BLACK, query=select(Photo)).subquery()
        query = select(rows.c.image_path).order_by(rows.c.similarity.desc()).limit(2)
    else:
        similarity = Photo.m_clipen.cosine_similarity(embed_image("m", BLACK))
        query = select(Photo).order_by(similarity.desc()).limit(2)
    compiled = query.compile(photo_engine, compile_kwargs={"render_postcompile": True})
    parameters = tuple(compiled.params[name] for name in compiled.positiontup)
    with photo_engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters).all()
    assert any("thanosql_matrix" in row.detail for row in plan), plan


def test_search_goes_on_as_a_subquery_a_cte_and_entities(session):
    statement = search_image("m", image=BLACK, query=select(Photo))
    for rows in (statement.subquery(), statement.cte("found")):
        query = select(rows.c.image_path).order_by(rows.c.similarity.desc()).limit(1)
        assert session.execute(query).scalar() == BLACK
    rows = statement.subquery()
    found = aliased(Photo, rows)
    query = select(found, rows.c.similarity).order_by(rows.c.similarity.desc()).limit(1)
    photo, similarity = session.execute(query).one()
    assert isinstance(photo, Photo)
    assert (photo.image_path, similarity) == (BLACK, pytest.approx(1, abs=1e-5))
    ranked = search_image("m", image=BLACK, query=Photo, top_k=2)
    photos = session.execute(select(Photo).from_statement(ranked)).scalars().all()
    assert [type(each) for each in photos] == [Photo, Photo]
    assert photos[0].image_path == BLACK


def test_search_reads_a_cte_and_a_union(session):
    some = select(Photo).where(Photo.image_path == BLACK).cte("some")
    statement = search_image("m", image=BLACK, query=select(some))
    assert session.execute(statement).one().image_path == BLACK
    rows = statement.subquery()
    assert session.execute(select(rows.c.image_path)).scalar() == BLACK
    both = union_all(
        *(
            select(search_image("m", image=path, query=Photo, top_k=1).subquery().c.image_path)
            for path in (BLACK, "images/red.png")
        )
    )
    assert session.execute(both).scalars().all() == [BLACK, "images/red.png"]


def test_search_for_several_values_and_a_threshold(session):
    statement = search_image(
        "m",
        image=[BLACK, "images/red.png"],
        text="a red picture",
        query=select(Photo.image_path.label("path"), Photo.m_clipen, literal(7).label("seven")),
    )
    assert [column.name for column in statement.selected_columns] == [
        "path",
        "m_clipen",
        "seven",
        "similarity1",
        "similarity2",
        "similarity3",
    ]
    rows = session.execute(statement).all()
    # Texts come first.
    assert max(rows, key=lambda row: row.similarity2).path == BLACK
    assert max(rows, key=lambda row: row.similarity3).path == "images/red.png"
    only = search_image("m", image=BLACK, query=Photo, threshold=0.99999)
    assert [row.image_path for row in session.execute(only)] == [BLACK]


def test_search_by_bytes_and_path_objects(session, workspace):
    image = workspace / BLACK
    for value in (image, image.read_bytes()):
        rows = session.execute(search_image("m", image=value, query=Photo)).all()
        assert best(rows).image_path == BLACK


def test_search_text(session):
    session.execute(
        convert(
            "m",
            query=Photo,
            table_name="photos",
            convert_type="text",
            text_col="caption",
            result_col="words",
        )
    )
    query = text("SELECT caption, words FROM photos").columns(caption=String, words=Vector(24))
    rows = session.execute(
        search_text("m", text="a black picture", query=query, result_col="likeness")
    ).all()
    found = max(rows, key=lambda row: row.likeness)
    assert (found.caption, found.likeness) == ("a black picture", pytest.approx(1, abs=1e-5))


def test_insert_from_search(session):
    Found.__table__.create(session.connection())
    rows = search_image("m", image=BLACK, query=Photo, top_k=2).subquery()
    session.execute(
        insert(Found).from_select(
            ["photo_id", "similarity"], select(rows.c.photo_id, rows.c.similarity)
        )
    )
    assert session.execute(select(func.count(Found.id))).scalar() == 2


def test_convert_returns_and_stores(session, recwarn):
    query = select(Photo.photo_id, Photo.image_path).where(Photo.image_path == BLACK)
    statement = convert("m", query=query, table_name="some", if_exists="replace", batch_size=2)
    row = session.execute(statement).one()
    assert (row.photo_id, row.m_clipen.shape) == ("003", (24,))
    session.commit()
    assert inspect(session.bind).get_table_names() == ["photos", "some"]
    again = convert("m", query=select(Photo), table_name="photos")
    names = [column.name for column in again.selected_columns]
    assert names == ["photo_id", "image_path", "caption", "m_clipen"]
    assert len(session.execute(again).all()) == 6
    assert not recwarn.list


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (
            {"query": select(Photo)},
            "search_image: expected text=… or image=… to search for, got neither",
        ),
        (
            {"text": "a", "query": "SELECT * FROM photos"},
            "expected query=select(…), a table or a mapped class, got 'SELECT * FROM photos'",
        ),
        (
            {"text": "a", "query": text("SELECT * FROM photos")},
            "expected a query with known columns, got text(…); add .columns(…) to it",
        ),
    ],
)
def test_arguments_that_make_no_statement(arguments, want):
    with pytest.raises(ValueError, match=re.escape(want)):
        search_image("m", **arguments)


def test_the_drivers_errors_arrive_as_sqlalchemys(session):
    with pytest.raises(OperationalError, match="no model 'n' in this database"):
        session.execute(search_image("n", text="a", query=Photo))
    with pytest.raises(ProgrammingError, match="SEARCH IMAGE: unknown option 'serch_by'"):
        session.execute(
            text("SEARCH IMAGE USING m OPTIONS (serch_by='text') AS SELECT * FROM photos")
        )
    with pytest.raises(DatabaseError, match=r"none\.png"):
        session.execute(search_image("m", image="none.png", query=Photo))
    with pytest.raises(OperationalError, match="no model 'n' in this database"):
        session.execute(text("SELECT embed_text('n', 'a')"))


def test_predict_labels_rows_and_goes_on_as_a_subquery(session):
    labels = ["a black picture", "a white picture"]
    found = predict(
        "m",
        labels=labels,
        templates=["{}", "{}!"],
        query=select(Photo).where(Photo.photo_id > "001"),
        score_col="p",
        top_k=2,
    ).subquery()
    rows = session.execute(
        select(found.c.photo_id, found.c.predict_result, found.c.p).where(found.c.p > 0.5)
    ).all()
    assert [row.photo_id for row in rows] == ["002", "003", "004", "005"]
    assert {row.predict_result for row in rows} <= set(labels)


def test_a_classifier_is_built_used_and_judged(session):
    session.execute(
        text(
            "BUILD MODEL c USING m OPTIONS (label_col='kind') AS"
            " SELECT *, photo_id > '002' AS kind FROM photos"
        )
    )
    kinds = select(Photo, (Photo.photo_id > "002").label("kind"))
    rows = session.execute(predict("c", query=kinds, result_col="found")).all()
    assert {row.found for row in rows} == {0, 1}
    right = sum(row.found == int(row.kind) for row in rows)
    judged = session.execute(evaluate("c", label_col="kind", query=kinds)).all()
    assert {row.metric: row.score for row in judged}["Accuracy"] == pytest.approx(right / 6)
    by_label = session.execute(evaluate("c", label_col="kind", query=kinds, by_label=True)).all()
    assert [(row.label, row.rows) for row in by_label] == [(0, 3), (1, 3)]
    assert sum(row.recall * row.rows for row in by_label) == pytest.approx(right)


def test_a_retrieval_is_judged_with_an_interval(session):
    statement = evaluate("m", text_col="caption", k=[1, 6], interval=0.9, seed=1, query=Photo)
    rows = session.execute(statement).all()
    assert rows[0].metric == "text to image Recall@1"
    assert all(row.low <= row.score <= row.high for row in rows)
