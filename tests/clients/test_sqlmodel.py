"""SQLModel: a model with a vector, searched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sqlalchemy_thanosql import Vector, embed_image, search_image

sqlmodel = pytest.importorskip("sqlmodel", reason="the extra `clients` is not installed")

BLACK = "images/black.png"


class Photo(sqlmodel.SQLModel, table=True):
    __tablename__ = "photos"

    photo_id: str = sqlmodel.Field(primary_key=True)
    image_path: str
    caption: str = ""
    m_clipen: Any = sqlmodel.Field(default=None, sa_type=Vector(24))


@pytest.fixture
def session(photo_engine):
    with sqlmodel.Session(photo_engine) as session:
        yield session


def test_nearest_photos(session):
    similarity = Photo.m_clipen.cosine_similarity(embed_image("m", BLACK))
    photos = session.exec(sqlmodel.select(Photo).order_by(similarity.desc()).limit(2)).all()
    assert [type(photo) for photo in photos] == [Photo, Photo]
    assert photos[0].image_path == BLACK
    assert photos[0].m_clipen.shape == (24,)


def test_search_over_a_select_of_sqlmodels(session):
    query = sqlmodel.select(Photo).where(Photo.caption != "a red picture")
    found = search_image("m", image=BLACK, query=query, top_k=2).subquery()
    rows = session.exec(sqlmodel.select(found.c.image_path, found.c.similarity)).all()
    assert rows[0] == (BLACK, pytest.approx(1, abs=1e-5))
    assert "images/red.png" not in [path for path, _ in rows]


def test_a_table_of_its_own(session):
    class Point(sqlmodel.SQLModel, table=True):
        id: int | None = sqlmodel.Field(default=None, primary_key=True)
        place: Any = sqlmodel.Field(sa_type=Vector(2))

    Point.__table__.create(session.connection())
    session.add_all([Point(place=[1, 0]), Point(place=np.float32([0, 1]))])
    session.commit()
    nearest = sqlmodel.select(Point).order_by(Point.place.cosine_similarity([0, 1]).desc())
    assert session.exec(nearest).first().place.tolist() == [0, 1]
    sqlmodel.SQLModel.metadata.remove(Point.__table__)
