"""From a spec of ``grammar`` to a node of ``tree``: the opening words, and the node's fields.

Most statements are made by their spec and their clauses alone. What a spec cannot say has a
function in :data:`_FINISH`: the two spellings of SEARCH's values, and the two of GET's alias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from ..errors import StatementError
from . import grammar, tree
from .grammar import StatementSpec
from .lexer import Kind
from .reader import Reader, nearest, one_of
from .searching import LATER_KINDS, sought
from .tree import Option, Query, Statement, TableName, Unsupported, Value

Fields = dict[str, Any]


@dataclass
class Clauses:
    """What follows the opening words of one statement, as far as it is read.

    Attributes:
        offset: Where it begins.
        subject: The name after the opening words.
    """

    offset: int
    subject: str | TableName = ""
    using: str = ""
    options: tuple[Option, ...] = ()
    query: Query | None = None
    alias: str | None = None
    source: Value = None
    values: tuple[Option, ...] = ()


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
    if words == (grammar.FUNCTION,):
        return _function(reader)
    while words not in grammar.SPECS:
        word = reader.peek().word
        if not any(phrase[: len(words) + 1] == (*words, word) for phrase in grammar.SPECS):
            raise _unknown_word(reader, words)
        reader.take()
        words = (*words, word)
    return grammar.SPECS[words]


def _function(reader: Reader) -> StatementSpec:
    """Take ``namespace.name``, and return the spec of that function."""
    begin = reader.peek()
    words = [grammar.FUNCTION, reader.take().word]
    if reader.take_symbol("."):
        words.append(reader.take().word)
    spec = grammar.SPECS.get(tuple(words))
    if spec is not None:
        return spec
    known = [each.label.partition(" ")[2] for each in grammar.specs_of(grammar.FUNCTION)]
    written = ".".join(words[1:]).lower()
    near = nearest(written, known) or nearest(written.rpartition(".")[2], known)
    raise reader.expected(
        grammar.FUNCTION,
        f"the name of a function, {one_of(known)}",
        begin._replace(text=reader.sql[begin.start : reader.end] if written else begin.text),
        hint=f"did you mean {near}?" if near else None,
    )


def check_opening(reader: Reader, spec: StatementSpec) -> None:
    """Check that a statement goes on after its opening words, and that the driver runs it.

    Raises:
        StatementError: The medium of a SEARCH was left out.
        UnsupportedError: The driver does not run it.
    """
    if not spec.is_supported:
        _refuse(reader, spec.label)
    if spec.takes_values and reader.peek().text == "=":
        word = spec.words[-1].lower()
        message = f"{spec.words[0]}: expected IMAGE or TEXT before {word}="
        raise reader.error(message, reader.end - len(word), f"write SEARCH IMAGE {word}=…")


def node_of(reader: Reader, spec: StatementSpec, found: Clauses) -> Statement:
    """Return the node of a statement whose clauses are read.

    Args:
        reader: For the wording and the place of errors.
        spec: The statement.
        found: Its clauses.

    Raises:
        StatementError: Two clauses contradict each other.
        UnsupportedError: The driver does not run it.
    """
    values = {
        "SUBJECT": found.subject,
        "USING": found.using,
        "AS": found.query,
        "FROM": found.source,
        "ALIAS": found.alias,
    }
    fields: Fields = dict(spec.fixed)
    fields.update((spec.fields[word], values[word]) for word in values if word in spec.fields)
    fields["options"] = found.options
    finish = _FINISH.get(spec.node)
    if finish is not None:
        finish(reader, spec, found, fields)
    node = getattr(tree, spec.node) if isinstance(spec.node, str) else spec.node
    return cast("Statement", node(**fields))


def _finish_search(reader: Reader, spec: StatementSpec, found: Clauses, fields: Fields) -> None:
    for option in found.options:
        if option.name == "search_by" and str(option.value).lower() in LATER_KINDS:
            raise UnsupportedError(
                Unsupported(f"{spec.label} by {option.value}", offset=found.offset)
            )
    values = sought(reader, spec.label, found.values, found.options)
    fields.update(
        texts=values.texts, images=values.images, ranked=values.ranked, options=values.options
    )


def _finish_get_model(reader: Reader, spec: StatementSpec, found: Clauses, fields: Fields) -> None:
    """Make one name of ``OPTIONS (model_name='x')`` and ``AS x``, which say the same."""
    alias, rest = found.alias, []
    for option in found.options:
        if option.name != "model_name" or not isinstance(option.value, str):
            rest.append(option)
        elif alias is not None and alias != option.value:
            message = f"{spec.label}: expected one name, found {option.value!r} and AS {alias!r}"
            raise reader.error(message, option.offset)
        else:
            alias = option.value
    fields.update(alias=alias, options=tuple(rest))


_FINISH: Mapping[str | type, Callable[[Reader, StatementSpec, Clauses, Fields], None]] = {
    "Search": _finish_search,
    "GetModel": _finish_get_model,
}


def _refuse(reader: Reader, label: str) -> NoReturn:
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
