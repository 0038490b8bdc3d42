"""From a spec of ``grammar`` to a node of ``tree``: opening words, clauses, and the node's fields.

Most statements are read by their spec alone. What a spec cannot say has a function in
:data:`_FINISH`: the two spellings of SEARCH's values, and the two of GET's alias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ..errors import StatementError
from . import grammar, tree
from .grammar import StatementSpec
from .lexer import Kind
from .reader import Reader, nearest, one_of
from .searching import LATER_KINDS, sought
from .tree import Statement, Unsupported

if TYPE_CHECKING:
    from .parser import Clauses, Parser

Fields = dict[str, Any]


class UnsupportedError(Exception):
    """A statement that the driver does not run was met; the rest of the text is not read."""

    def __init__(self, statement: Unsupported) -> None:
        super().__init__(statement.what)
        self.statement = statement


def spec_of(reader: Reader) -> StatementSpec:
    """Take the words that open a statement, and return its spec.

    Raises:
        StatementError: The words after the verb are not those of a statement.
    """
    words: tuple[str, ...] = (reader.take().word,)
    while words not in grammar.SPECS:
        word = reader.peek().word
        if not any(phrase[: len(words) + 1] == (*words, word) for phrase in grammar.SPECS):
            raise _unknown_word(reader, words)
        reader.take()
        words = (*words, word)
    return grammar.SPECS[words]


def read_statement(parser: Parser, spec: StatementSpec) -> Statement:
    """Read the rest of a statement, after its opening words.

    Raises:
        StatementError: It does not parse.
        UnsupportedError: The driver does not run it.
    """
    reader, label = parser.reader, spec.label
    if not spec.is_supported:
        _refuse(parser, label)
    if spec.takes_values and reader.peek().text == "=":
        word = spec.words[-1].lower()
        message = f"{spec.words[0]}: expected IMAGE or TEXT before {word}="
        raise reader.error(message, reader.end - len(word), f"write SEARCH IMAGE {word}=…")
    begin = reader.peek().start
    fields: Fields = dict(spec.fixed)
    if spec.subject == "a table":
        fields[spec.fields["SUBJECT"]] = parser.table(label)
    elif spec.subject:
        fields[spec.fields["SUBJECT"]] = reader.name(label, spec.subject)
    found = parser.clauses(spec)
    values = {"USING": found.using, "AS": found.query, "FROM": found.source, "ALIAS": found.alias}
    fields.update((spec.fields[word], values[word]) for word in values if word in spec.fields)
    fields["options"] = found.options
    finish = _FINISH.get(spec.node)
    if finish is not None:
        finish(parser, spec, found, begin, fields)
    node = getattr(tree, spec.node) if isinstance(spec.node, str) else spec.node
    return cast("Statement", node(**fields))


def _finish_search(
    parser: Parser, spec: StatementSpec, found: Clauses, begin: int, fields: Fields
) -> None:
    for option in found.options:
        if option.name == "search_by" and str(option.value).lower() in LATER_KINDS:
            raise UnsupportedError(Unsupported(f"{spec.label} by {option.value}", offset=begin))
    values = sought(parser.reader, spec.label, found.values, found.options)
    fields.update(
        texts=values.texts, images=values.images, ranked=values.ranked, options=values.options
    )


def _finish_get_model(
    parser: Parser, spec: StatementSpec, found: Clauses, begin: int, fields: Fields
) -> None:
    """Make one name of ``OPTIONS (model_name='x')`` and ``AS x``, which say the same."""
    alias, rest = found.alias, []
    for option in found.options:
        if option.name != "model_name" or not isinstance(option.value, str):
            rest.append(option)
        elif alias is not None and alias != option.value:
            message = f"{spec.label}: expected one name, found {option.value!r} and AS {alias!r}"
            raise parser.reader.error(message, option.offset)
        else:
            alias = option.value
    fields.update(alias=alias, options=tuple(rest))


_FINISH: Mapping[str | type, Callable[[Parser, StatementSpec, Clauses, int, Fields], None]] = {
    "Search": _finish_search,
    "GetModel": _finish_get_model,
}


def _refuse(parser: Parser, label: str) -> NoReturn:
    reader = parser.reader
    if label == "FUNCTION" and reader.peek().kind is Kind.NAME:
        label = f"FUNCTION {reader.take().text}"
        if reader.take_symbol(".") and reader.peek().kind is Kind.NAME:
            label = f"{label}.{reader.take().text}"
    raise UnsupportedError(Unsupported(label, end=len(reader.sql)))


def _unknown_word(reader: Reader, words: tuple[str, ...]) -> StatementError:
    following = dict.fromkeys(_following(words, every=True))
    known = list(dict.fromkeys(_following(words)))
    token = reader.peek()
    hint = None
    if token.kind is Kind.NAME:
        near = nearest(token.text.upper(), list(following))
        hint = f"did you mean {near}?" if near else None
    return reader.expected(" ".join(words), one_of(known), hint=hint)


def _following(words: tuple[str, ...], *, every: bool = False) -> Iterator[str]:
    for phrase, spec in grammar.SPECS.items():
        is_shown = spec.is_supported and (every or not spec.is_older)
        if phrase[: len(words)] == words and is_shown:
            yield phrase[len(words)]
