"""What a type checker says of the public names: mypy reads this file, nothing runs it.

An ``ignore`` that is not needed is an error, so the last lines say what is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.selectable import TextualSelect
from typing_extensions import assert_type

from sqlalchemy_thanosql import (
    Vector,
    convert,
    cosine_similarity,
    embed_image,
    embed_text,
    search_image,
    search_text,
)


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    vector: Mapped[NDArray[np.float32]] = mapped_column(Vector(3))


query = select(Photo)

assert_type(Vector(3), Vector)
assert_type(Vector(dim=3, as_list=True).dim, int | None)
assert_type(Column("vector", Vector(3)), Column[NDArray[np.float32]])
assert_type(search_image("m", text="a cat", query=query, top_k=5), TextualSelect)
assert_type(search_image("m", image=[b"PNG", "cat.png"], query=Photo), TextualSelect)
assert_type(search_text("m", text="a cat", query=query), TextualSelect)
assert_type(convert("m", query=query, table_name="photos"), TextualSelect)
assert_type(embed_text("m", "a cat"), embed_text)
assert_type(embed_image("m", b"PNG"), embed_image)
assert_type(cosine_similarity(Photo.vector, [1.0, 0.0, 0.0]), cosine_similarity)
assert_type(Photo.vector.cosine_similarity([1.0, 0.0, 0.0]), Any)

Vector("3")  # type: ignore[arg-type]
search_image("m", text=3, query=query)  # type: ignore[arg-type]
search_image("m", text="a cat", query=query, top=5)  # type: ignore[call-arg]
