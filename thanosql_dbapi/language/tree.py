"""What a ThanoSQL text says: one frozen dataclass a statement.

The parser makes these, the handlers in ``statements`` read them. Nothing here knows a database,
a model or a file. Source offsets are kept for messages and left out of comparisons, so that two
spellings of one statement are equal.

A text is one of two things. A *query* is SQL in which query-shaped ThanoSQL statements may stand
as subqueries: :class:`Query`, a sequence of verbatim SQL, bound parameters and statements. Any
other statement (GET, COPY, PRINT …) is a whole text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Union

from .lexer import Kind, Token, tokens

Scalar = Union[str, int, float, bool, None]


@dataclass(frozen=True)
class Parameter:
    """A bound parameter: ``?``, ``?3``, ``:name``, ``@name`` or ``$name``.

    Attributes:
        number: Its number by SQLite's rules (https://www.sqlite.org/lang_expr.html#varparam):
            ``?`` is one more than the largest so far, the same name is the same number.
        name: The name without its sign, or None for ``?`` and ``?3``. ``:a`` and ``@a`` are two
            parameters of one name, as in SQLite.
        text: As written, sign included.
    """

    number: int
    name: str | None = None
    offset: int = field(default=0, compare=False, repr=False)
    text: str = field(default="?", compare=False, repr=False)


Value = Union[Scalar, Parameter, tuple["Value", ...]]


@dataclass(frozen=True)
class Option:
    """One ``name=value`` of an OPTIONS clause, or ``text=value`` of SEARCH."""

    name: str
    value: Value
    offset: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Statement:
    """What all ThanoSQL statements share: their options, and where they begin and end."""

    options: tuple[Option, ...] = field(default=(), kw_only=True)
    offset: int = field(default=0, compare=False, repr=False, kw_only=True)
    end: int = field(default=0, compare=False, repr=False, kw_only=True)

    def option(self, name: str) -> Option | None:
        """Return the option of this name, or None when it is not given.

        The parser has already turned older spellings (``column_name``) into today's
        (``result_col``).
        """
        return next((option for option in self.options if option.name == name), None)


@dataclass(frozen=True)
class TableName:
    """A table's name, unquoted, with its schema (``main``, ``temp``, an attached one) or None."""

    name: str
    schema: str | None = None


@dataclass(frozen=True)
class Search(Statement):
    """``SEARCH {IMAGE|TEXT} … USING model AS query``.

    Attributes:
        medium: ``"image"`` or ``"text"``: what the embedding column holds embeddings of.
        texts: Query texts, in order; a value may be a parameter, bound to one text or a list.
        images: Query images (paths, URLs or bound bytes), likewise.
        model: The model's name as registered in the database.
        query: The rows to compare.
        ranked: True for the later form (``search_by``/``search_input``), which returns rows best
            first and at most 1,000 unless ``top_k`` says otherwise.
    """

    medium: str
    texts: tuple[Value, ...]
    images: tuple[Value, ...]
    model: str
    query: Query
    ranked: bool = False


@dataclass(frozen=True)
class Convert(Statement):
    """``CONVERT USING model [OPTIONS (…)] AS query``."""

    model: str
    query: Query


@dataclass(frozen=True)
class Predict(Statement):
    """``PREDICT USING model [OPTIONS (…)] AS query``."""

    model: str
    query: Query


@dataclass(frozen=True)
class Evaluate(Statement):
    """``EVALUATE USING model [OPTIONS (…)] AS query``."""

    model: str
    query: Query


@dataclass(frozen=True)
class List(Statement):
    """``LIST {MODEL|TABLE|THANOSQL MODEL|THANOSQL DATASET}``.

    Attributes:
        what: ``"model"``, ``"table"``, ``"thanosql model"`` or ``"thanosql dataset"``.
    """

    what: str


@dataclass(frozen=True)
class Function(Statement):
    """``FUNCTION namespace.name [OPTIONS (…)] {AS query | FROM source}``.

    Attributes:
        name: Namespace and name in lower case, e.g. ``"preprocess.video_to_df"``.
        query: The query after AS, or None.
        source: What stands after FROM, text or a parameter, or None.
    """

    name: str
    query: Query | None = None
    source: Value = None


QueryShaped = Union[Search, Convert, Predict, Evaluate, List, Function]
Part = Union[str, Parameter, QueryShaped]


@dataclass(frozen=True)
class Query:
    """SQL with ThanoSQL subqueries: the parts in source order; joined they are the SQL again.

    The SQL runs from its first token to its last (``text[offset:end]``): comments inside are kept,
    what surrounds it (comments, ``;``) is not, so it can be put between parentheses as it is. A
    statement may be followed by more SQL (``UNION …``, ``ORDER BY …``, ``LIMIT …``).

    Attributes:
        parts: Verbatim SQL (comments and white space included), parameters, statements.
        verb: What the SQL around the subqueries does, upper case: ``"SELECT"``, ``"INSERT"``,
            ``"CREATE TABLE"``, ``"CREATE VIEW"``, ``"CREATE TRIGGER"``, ``"EXPLAIN"`` … For a
            query that is one statement of ours alone it is ``"SELECT"``.
    """

    parts: tuple[Part, ...]
    verb: str = field(default="SELECT", compare=False)
    offset: int = field(default=0, compare=False, repr=False)
    end: int = field(default=0, compare=False, repr=False)
    lexed: tuple[tuple[int, Token], ...] | None = field(default=None, compare=False, repr=False)

    @cached_property
    def tokens(self) -> tuple[tuple[int, Token], ...]:
        """Number of the part, and the token with its offset in that part; the last is END.

        A statement of ours counts as one token of kind UNKNOWN. The parser has kept them; only a
        query that was put together by a program is lexed here.
        """
        if self.lexed is not None:
            return self.lexed
        found: list[tuple[int, Token]] = []
        for number, part in enumerate(self.parts):
            if isinstance(part, str):
                found += [(number, each) for each in tokens(part) if each.kind is not Kind.END]
            elif isinstance(part, Parameter):
                found.append((number, Token(Kind.PARAMETER, part.text, 0, "")))
            else:
                found.append((number, STATEMENT))
        return (*found, (-1, Token(Kind.END, "", 0, "")))


STATEMENT = Token(Kind.UNKNOWN, "", 0, "")
"""Stands for a statement of ours among the tokens of the query around it."""


@dataclass(frozen=True)
class Ranked:
    """Plain SQL that asks for the rows most similar by the functions; see ``ranking``.

    Attributes:
        query: The SQL; its parts are text and parameters.
    """

    query: Query


@dataclass(frozen=True)
class GetDataset(Statement):
    """``GET THANOSQL DATASET name [OPTIONS (overwrite=…)]``."""

    name: str


@dataclass(frozen=True)
class GetModel(Statement):
    """``GET THANOSQL MODEL name [OPTIONS (…)] [AS alias]``; ``alias`` is None when not given."""

    name: str
    alias: str | None = None


@dataclass(frozen=True)
class Copy(Statement):
    """``COPY table [OPTIONS (…)] FROM source``; ``source`` is text or a parameter."""

    table: TableName
    source: Value


@dataclass(frozen=True)
class CreateUsing(Statement):
    """``CREATE [TEMP] TABLE [IF NOT EXISTS] table USING model [OPTIONS (…)] FROM source``.

    Attributes:
        table: The table.
        model: The model's name.
        source: The folder, text or a parameter.
        is_optional: Whether a table that exists is left as it is.
    """

    table: TableName
    model: str
    source: Value
    is_optional: bool = False


@dataclass(frozen=True)
class Print(Statement):
    """``PRINT {IMAGE|AUDIO|VIDEO} [OPTIONS (…)] AS query``; ``medium`` is in lower case."""

    medium: str
    query: Query


@dataclass(frozen=True)
class UploadModel(Statement):
    """``UPLOAD MODEL name [OPTIONS (…)] FROM 'folder'``."""

    name: str
    source: Value


@dataclass(frozen=True)
class DeleteModel(Statement):
    """``DELETE MODEL name``."""

    name: str


@dataclass(frozen=True)
class BuildModel(Statement):
    """``BUILD MODEL name USING base [OPTIONS (…)] AS query``."""

    name: str
    base: str
    query: Query


@dataclass(frozen=True)
class FitModel(Statement):
    """``FIT MODEL name USING model [OPTIONS (…)] AS query``."""

    name: str
    model: str
    query: Query


@dataclass(frozen=True)
class Unsupported(Statement):
    """A statement of ThanoSQL that parses and that this driver does not run.

    Attributes:
        what: The statement as the user knows it, e.g. ``"SEARCH AUDIO"``.
    """

    what: str


Tree = Union[
    Query,
    Ranked,
    GetDataset,
    GetModel,
    Copy,
    CreateUsing,
    Print,
    UploadModel,
    DeleteModel,
    BuildModel,
    FitModel,
    Unsupported,
]
