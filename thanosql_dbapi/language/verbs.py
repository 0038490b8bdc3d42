"""The table of verbs: which words open a statement, and which function reads the rest of it.

A new statement is a dataclass in ``tree``, its options in ``options``, and a line and a function
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn, Union

from ..errors import StatementError
from .lexer import Kind
from .reader import Reader, nearest, one_of
from .searching import LATER_KINDS, sought
from .tree import (
    BuildModel,
    Convert,
    Copy,
    DeleteModel,
    Evaluate,
    FitModel,
    GetDataset,
    GetModel,
    List,
    Predict,
    Print,
    QueryShaped,
    Search,
    Unsupported,
    UploadModel,
)

if TYPE_CHECKING:
    from .parser import Parser

AnyStatement = Union[
    QueryShaped, GetDataset, GetModel, Copy, Print, UploadModel, DeleteModel, BuildModel, FitModel
]
Rule = Callable[["Parser", str], AnyStatement]

QUERY_SHAPED = frozenset(
    {"SEARCH", "CONVERT", "PREDICT", "EVALUATE", "LIST", "TRANSFORM", "GENERATE", "FUNCTION"}
)
"""The verbs of statements that can stand where SQL takes a query."""


class UnsupportedError(Exception):
    """A statement that the driver does not run was met; the rest of the text is not read."""

    def __init__(self, statement: Unsupported) -> None:
        super().__init__(statement.what)
        self.statement = statement


def _get_dataset(parser: Parser, label: str) -> GetDataset:
    name = parser.reader.name(label, "the name of a data set")
    return GetDataset(name, options=parser.clauses(label).options)


def _get_model(parser: Parser, label: str) -> GetModel:
    """Read the rest; ``OPTIONS (model_name='x')`` and ``AS x`` say the same."""
    name = parser.reader.name(label, "the name of a model")
    found = parser.clauses(label, optional="AS")
    alias, rest = found.alias, []
    for option in found.options:
        if option.name != "model_name" or not isinstance(option.value, str):
            rest.append(option)
        elif alias is not None and alias != option.value:
            message = f"{label}: expected one name, found {option.value!r} and AS {alias!r}"
            raise parser.reader.error(message, option.offset)
        else:
            alias = option.value
    return GetModel(name, alias, options=tuple(rest))


def _copy(parser: Parser, label: str) -> Copy:
    table = parser.table(label)
    found = parser.clauses(label, "FROM")
    return Copy(table, found.source, options=found.options)


def _convert(parser: Parser, label: str) -> Convert:
    found = parser.clauses(label, "USING", "AS")
    return Convert(found.using, found.query, options=found.options)


def _search(parser: Parser, label: str) -> Search:
    reader = parser.reader
    word = label.split()[1].lower()
    if reader.peek().text == "=":
        message = f"SEARCH: expected IMAGE or TEXT before {word}="
        raise reader.error(message, reader.end - len(word), f"write SEARCH IMAGE {word}=…")
    begin = reader.peek().start
    found = parser.clauses(label, "USING", "AS", takes_values=True)
    for option in found.options:
        is_later = str(option.value).lower() in LATER_KINDS
        if option.name == "search_by" and is_later:
            raise UnsupportedError(Unsupported(f"{label} by {option.value}", offset=begin))
    values = sought(reader, label, found.values, found.options)
    return Search(
        word,
        values.texts,
        values.images,
        found.using,
        found.query,
        values.ranked,
        options=values.options,
    )


def _predict(parser: Parser, label: str) -> Predict:
    found = parser.clauses(label, "USING", "AS")
    return Predict(found.using, found.query, options=found.options)


def _evaluate(parser: Parser, label: str) -> Evaluate:
    found = parser.clauses(label, "USING", "AS")
    return Evaluate(found.using, found.query, options=found.options)


def _list(parser: Parser, label: str) -> List:
    what = " ".join(label.split()[1:]).replace("_", " ").lower()
    parser.clauses(label)
    return List(what)


def _print(parser: Parser, label: str) -> Print:
    found = parser.clauses(label, "AS")
    return Print(label.split()[1].lower(), found.query, options=found.options)


def _upload_model(parser: Parser, label: str) -> UploadModel:
    name = parser.reader.name(label, "a name for the model")
    found = parser.clauses(label, "FROM")
    return UploadModel(name, found.source, options=found.options)


def _delete_model(parser: Parser, label: str) -> DeleteModel:
    name = parser.reader.name(label, "the name of a model")
    parser.clauses(label)
    return DeleteModel(name)


def _build_model(parser: Parser, label: str) -> BuildModel:
    name = parser.reader.name(label, "a name for the model")
    found = parser.clauses(label, "USING", "AS")
    return BuildModel(name, found.using, found.query, options=found.options)


def _fit_model(parser: Parser, label: str) -> FitModel:
    name = parser.reader.name(label, "a name for the model")
    found = parser.clauses(label, "USING", "AS")
    return FitModel(name, found.using, found.query, options=found.options)


def _unsupported(parser: Parser, label: str) -> NoReturn:
    reader = parser.reader
    if label == "FUNCTION" and reader.peek().kind is Kind.NAME:
        label = f"FUNCTION {reader.take().text}"
        if reader.take_symbol(".") and reader.peek().kind is Kind.NAME:
            label = f"{label}.{reader.take().text}"
    raise UnsupportedError(Unsupported(label, end=len(reader.sql)))


RULES: Mapping[tuple[str, ...], Rule] = {
    ("GET", "THANOSQL", "DATASET"): _get_dataset,
    ("GET", "THANOSQL", "MODEL"): _get_model,
    ("COPY",): _copy,
    ("CONVERT",): _convert,
    ("SEARCH", "IMAGE"): _search,
    ("SEARCH", "TEXT"): _search,
    ("SEARCH", "AUDIO"): _unsupported,
    ("SEARCH", "VIDEO"): _unsupported,
    ("SEARCH", "KEYWORD"): _unsupported,
    ("PRINT", "IMAGE"): _print,
    ("PRINT", "AUDIO"): _print,
    ("PRINT", "VIDEO"): _print,
    ("LIST", "MODEL"): _list,
    ("LIST", "TABLE"): _list,
    ("LIST", "THANOSQL", "MODEL"): _list,
    ("LIST", "THANOSQL", "DATASET"): _list,
    ("LIST", "THANOSQL_MODEL"): _list,
    ("LIST", "THANOSQL_DATASET"): _list,
    ("UPLOAD", "MODEL"): _upload_model,
    ("DELETE", "MODEL"): _delete_model,
    ("BUILD", "MODEL"): _build_model,
    ("FIT", "MODEL"): _fit_model,
    ("PREDICT",): _predict,
    ("EVALUATE",): _evaluate,
    ("FUNCTION",): _unsupported,
    ("TRANSFORM",): _unsupported,
    ("GENERATE",): _unsupported,
}
"""The opening words of every statement, and its rule."""


def rule_of(reader: Reader) -> tuple[str, Rule]:
    """Take the words that open a statement; return them as one text, and the rule.

    Raises:
        StatementError: The words after the verb are not those of a statement.
    """
    words: tuple[str, ...] = (reader.take().word,)
    while words not in RULES:
        word = reader.peek().word
        if not any(phrase[: len(words) + 1] == (*words, word) for phrase in RULES):
            raise _unknown_word(reader, words)
        reader.take()
        words = (*words, word)
    return " ".join(words), RULES[words]


def _unknown_word(reader: Reader, words: tuple[str, ...]) -> StatementError:
    following = dict.fromkeys(_following(words))
    known = [word for word in following if "_" not in word]
    token = reader.peek()
    hint = None
    if token.kind is Kind.NAME:
        near = nearest(token.text.upper(), list(following))
        hint = f"did you mean {near}?" if near else None
    return reader.expected(" ".join(words), one_of(known), hint=hint)


def _following(words: tuple[str, ...]) -> Iterator[str]:
    for phrase, rule in RULES.items():
        if phrase[: len(words)] == words and rule is not _unsupported:
            yield phrase[len(words)]
