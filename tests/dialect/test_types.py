"""The type Vector and the functions: binding, fetching, literals, the ORM, reflection."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    column,
    func,
    inspect,
    literal,
    literal_column,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import SAWarning, StatementError
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.schema import CreateTable

from sqlalchemy_thanosql import Vector, cosine_similarity, embed_image, embed_text

Base = declarative_base()


class Photo(Base):
    __tablename__ = "photos"

    id = Column(Integer, primary_key=True)
    path = Column(String)
    emb = Column(Vector(3))


@pytest.fixture
def session(engine):
    Base.metadata.create_all(engine)
    with Session(engine, future=True) as session:
        session.add_all(
            [
                Photo(path="east", emb=[1, 0, 0]),
                Photo(path="north", emb=np.array([0.0, 1.0, 0.0])),
                Photo(path="northeast", emb=np.float32([1, 1, 0]).tobytes()),
                Photo(path="nowhere", emb=None),
            ]
        )
        session.commit()
        yield session


def test_ddl(engine):
    table = Table("t", MetaData(), Column("a", Vector(512)), Column("b", Vector()))
    assert "a VECTOR(512), \n\tb VECTOR\n" in str(CreateTable(table).compile(engine))


@pytest.mark.parametrize("dim", [0, -1, 2.5, "512", True])
def test_a_dimension_is_a_positive_integer(dim):
    with pytest.raises(
        ValueError,
        match=re.escape(f"dim must be a positive integer or None, got {dim!r}"),
    ):
        Vector(dim)


def test_as_list_is_true_or_false_and_part_of_the_type():
    with pytest.raises(TypeError, match="as_list must be True or False, got 4"):
        Vector(3, 4)
    assert repr(Vector(3, as_list=True).copy()) == "Vector(dim=3, as_list=True)"
    assert Vector(3, as_list=True)._static_cache_key != Vector(3)._static_cache_key


def test_a_column_declared_with_two_numbers_reflects_as_a_vector_of_any_length(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE odd (a VECTOR(3, 4))"))
    with pytest.warns(SAWarning, match="Could not instantiate type"):
        (found,) = inspect(engine).get_columns("odd")
    assert found["type"].dim is None


def test_vectors_go_in_as_arrays_lists_and_bytes_and_come_out_as_arrays(session):
    vectors = dict(session.execute(select(Photo.path, Photo.emb)).all())
    assert vectors["nowhere"] is None
    for path, want in {"east": [1, 0, 0], "north": [0, 1, 0], "northeast": [1, 1, 0]}.items():
        assert vectors[path].dtype == np.float32
        assert vectors[path].tolist() == want
    stored = session.execute(text("SELECT typeof(emb), length(emb) FROM photos LIMIT 1")).one()
    assert tuple(stored) == ("blob", 12)


def test_vectors_come_out_as_lists_where_that_is_asked_for(session, photo_engine):
    column = Photo.__table__.c.emb
    query = select(Photo.path, type_coerce(column, Vector(3, as_list=True)))
    vectors = dict(session.execute(query).all())
    assert vectors == {
        "east": [1, 0, 0],
        "north": [0, 1, 0],
        "northeast": [1, 1, 0],
        "nowhere": None,
    }
    assert type(vectors["east"][0]) is float
    assert Vector(3, as_list=True).python_type is list
    # The driver has decoded this one already.
    query = select(literal_column("m_clipen", Vector(24, as_list=True))).select_from(text("photos"))
    with photo_engine.connect() as connection:
        assert len(connection.execute(query).scalars().first()) == 24


def test_what_is_no_vector_in_the_column_stays_as_it_is(session):
    session.execute(text("UPDATE photos SET emb = 'words' WHERE id = 1"))
    assert session.execute(select(Photo.emb).where(Photo.id == 1)).scalar() == "words"


def test_the_orm_sees_a_changed_vector_and_no_other(session):
    photo = session.get(Photo, 1)
    photo.emb = np.float32([1, 0, 0])
    assert photo not in session.dirty or not session.is_modified(photo)
    photo.emb = np.float32([0, 0, 1])
    assert session.is_modified(photo)
    session.commit()
    assert session.get(Photo, 1).emb.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ([1, 2], "expected a vector of length 3, got one of length 2"),
        (np.zeros(512), "expected a vector of length 3, got one of length 512"),
        (b"\0" * 16, "expected a vector of length 3, got one of length 4"),
        (
            [1, float("nan"), 3],
            "expected a vector of length 3 of finite numbers, got one of length 3 with nan",
        ),
        (
            [0, 1, float("inf")],
            "of finite numbers, got one of length 3 with inf at index 2",
        ),
        ([[1, 2, 3]], "expected a vector of length 3, got an array of shape (1, 3)"),
        ("a cat", "expected a vector as array or list of numbers, got 'a cat'"),
        (["a", "b", "c"], "expected a vector as array or list of numbers, got ['a', 'b', 'c']"),
    ],
)
def test_a_wrong_vector_is_refused_with_both_lengths(session, value, want):
    session.add(Photo(emb=value))
    with pytest.raises(StatementError, match=re.escape(want)):
        session.flush()
    session.rollback()
    with pytest.raises(StatementError, match=re.escape(want)):
        session.execute(select(cosine_similarity(Photo.emb, literal(value, Vector(3)))))


@pytest.mark.parametrize(
    "other", [[0, 1, 0], np.float32([0, 2, 0]), np.float32([0, 3, 0]).tobytes()]
)
def test_rows_order_by_their_similarity_to_a_vector(session, other):
    query = (
        select(Photo, Photo.emb.cosine_similarity(other).label("similarity"))
        .order_by(Photo.emb.cosine_similarity(other).desc())
        .limit(3)
    )
    rows = [(photo.path, similarity) for photo, similarity in session.execute(query)]
    assert [path for path, _ in rows] == ["north", "northeast", "east"]
    assert [similarity for _, similarity in rows] == pytest.approx([1, 2**-0.5, 0])


def test_similarity_to_another_column(session):
    other = Photo.__table__.alias()
    query = select(Photo.path, other.c.path).where(
        Photo.emb.cosine_similarity(other.c.emb) > 0.9, Photo.id != other.c.id
    )
    assert session.execute(query).all() == []
    joined = select(func.count(Photo.emb.cosine_similarity(other.c.emb))).select_from(
        Photo.__table__.join(other, Photo.id < other.c.id)
    )
    assert session.execute(joined).scalar() == 3


def test_a_vector_of_another_length_is_refused_by_the_columns_own(session):
    with pytest.raises(StatementError, match="expected a vector of length 3, got one of length 2"):
        session.execute(select(Photo).order_by(Photo.emb.cosine_similarity([1, 0])))


def test_literals(engine):
    query = select(Photo.emb.cosine_similarity([1, 0, 0]), literal(None, Vector(3)))
    sql = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
    assert "cosine_similarity(photos.emb, X'0000803f0000000000000000')" in sql
    assert "NULL AS" in sql


def test_functions_have_types_and_bind_their_arguments(engine):
    query = select(
        embed_text("m", "a cat").label("t"),
        embed_image("m", b"PNG").label("i"),
        func.cosine_similarity(column("a"), [1, 2]).label("s"),
    )
    compiled = query.compile(engine)
    assert str(compiled) == (
        "SELECT embed_text(?, ?) AS t, embed_image(?, ?) AS i, cosine_similarity(a, ?) AS s"
    )
    assert list(compiled.params.values()) == ["m", "a cat", "m", b"PNG", [1, 2]]
    assert isinstance(embed_text("m", "a cat").type, Vector)
    assert cosine_similarity([1], [2]).type.python_type is float


def test_a_statement_is_compiled_once_whatever_is_bound(session):
    def key(vector, words):
        query = select(Photo.emb.cosine_similarity(vector)).where(
            Photo.emb.cosine_similarity(embed_text("m", words)) > 0
        )
        return query._generate_cache_key()[0]

    assert key([1, 0, 0], "a") == key([0, 1, 0], "b")


def test_reflection_gives_the_type(session):
    columns = {each["name"]: each["type"] for each in inspect(session.bind).get_columns("photos")}
    assert isinstance(columns["emb"], Vector)
    assert columns["emb"].dim == 3
    table = Table("photos", MetaData(), autoload_with=session.bind)
    query = select(table.c.path).order_by(table.c.emb.cosine_similarity([0, 1, 0]).desc())
    assert session.execute(query).scalars().first() == "north"


def test_the_functions_embed(photo_engine):
    table = Table("photos", MetaData(), autoload_with=photo_engine)
    assert table.c.m_clipen.type.dim == 24
    similarity = table.c.m_clipen.cosine_similarity(embed_image("m", "images/black.png"))
    query = select(table.c.image_path, similarity).order_by(similarity.desc()).limit(1)
    with photo_engine.connect() as connection:
        path, value = connection.execute(query).one()
        vector = connection.execute(select(embed_text("m", "a black cat"))).scalar()
    assert (path, value) == ("images/black.png", pytest.approx(1.0, abs=1e-5))
    assert (vector.dtype, vector.shape) == (np.float32, (24,))
