"""The statements of ThanoSQL, one ``StatementSpec`` each: the single source of what is ours.

Recognition of first words and subqueries, the parser, option errors, "rows or Success",
completion and keywords of the shell, the sqlglot dialect, the handlers and the option tables of
the manual all read these specs. A new statement is a dataclass in ``tree``, a spec here (or
:func:`register`), and a handler in ``statements``.

The module is imported by plain SQL too, so it imports nothing but the standard library: a spec
names its tree class, and the parser looks it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from . import training_options as its
from .option_specs import OptionSpec, choice, flag, integer, number, text, value


class Shape(Enum):
    """What a statement returns, and where it can stand."""

    QUERY = "query"
    """Rows; it can stand wherever SQL takes a query."""
    SHOWN = "shown"
    """Rows; it is a whole text."""
    ACTION = "action"
    """No rows ("Success"); it is a whole text."""


class StatementSpec(NamedTuple):
    """One statement.

    Attributes:
        words: The words that open it, e.g. ``("SEARCH", "IMAGE")``.
        node: Its class in ``tree``, or the name of that class.
        shape: What it returns and where it can stand.
        subject: What name follows the opening words, for messages: ``"the name of a model"``;
            empty where none does. ``"a table"`` takes a schema.
        fields: Clause to field of the node: ``SUBJECT``, ``USING``, ``AS``, ``FROM``, ``ALIAS``
            (an optional AS and a name). All but ``ALIAS`` are required.
        is_either: Whether one of ``AS`` and ``FROM`` is required, and not both.
        fixed: Fields that the opening words decide, e.g. ``{"medium": "image"}``.
        options: What OPTIONS takes; None takes any name.
        takes_values: Whether ``text=…`` and the like may stand among the clauses.
        writes_files: Whether it writes files, though it returns rows.
        is_supported: False for a statement that is only recognised, to be refused by name.
        is_older: Whether it is another spelling of a statement, left out of messages.
    """

    words: tuple[str, ...]
    node: str | type
    shape: Shape = Shape.ACTION
    subject: str = ""
    fields: Mapping[str, str] = MappingProxyType({})
    fixed: Mapping[str, Any] = MappingProxyType({})
    options: tuple[OptionSpec[Any], ...] | None = ()
    is_either: bool = False
    takes_values: bool = False
    writes_files: bool = False
    is_supported: bool = True
    is_older: bool = False

    @property
    def label(self) -> str:
        """The statement in messages, e.g. ``"SEARCH IMAGE"``."""
        if self.words[0] == FUNCTION:
            return f"{FUNCTION} {'.'.join(self.words[1:]).lower()}"
        return " ".join(self.words)

    @property
    def clauses(self) -> tuple[str, ...]:
        """The words of the clauses that must be there, in their usual order."""
        return tuple(word for word in ("USING", "FROM", "AS") if word in self.fields)

    def option(self, name: str) -> OptionSpec[Any] | None:
        """Return the option of a name, older spellings included; None where there is none."""
        for each in self.options or ():
            if name == each.name or name in each.older:
                return each
        return None


FUNCTION = "FUNCTION"
"""The first word of statements whose other two are a namespace and a name, a dot between them."""

OVERWRITE = flag("overwrite")
IF_EXISTS = choice("if_exists", ("fail", "replace", "append"), "fail")

COPY_IF_EXISTS = choice("if_exists", ("fail", "replace", "append", "sync"), "fail")
EXCLUDE = value("exclude", "none")
FILE_TYPE = value("file_type", "all that can be read")
RECURSIVE = flag("recursive", True)
EXIF = flag("exif")
ALLOW_EMPTY = flag("allow_empty")

LEAST_S = 0.001
"""The least interval between two frames or clips of a film, in seconds."""
FRAME_S = number("interval", None, "none: no frames are taken", minimum=LEAST_S)
FRAME_DIR = text("frame_dir", None, "none: frames are BLOBs")
FRAME_WIDTH = integer("frame_width", None, "the film's own", minimum=16)

ROWS = integer("rows", None, "storybook: 2000; unsplash_data: all", minimum=1)
WIDTH = integer("width", None, "640", minimum=16)
WORKERS = integer("workers", None, "16", minimum=1)
SEED = integer("seed", None, "0", minimum=0)
MODEL_NAME = text("model_name", None, "the model's name")
FRAMEWORK = choice("framework", ("pytorch",), "pytorch")

IMAGE_COL = text("image_col", "image_path", older=("image_column",))
TEXT_COL = text("text_col", "text")
VIDEO_COL = text("video_col", "video_path", older=("video_column",))
CONVERT_TYPE = choice(
    "convert_type", ("image", "text", "video"), None, "`'image'`; with `video_col` `'video'`"
)
TABLE_NAME = text("table_name", None, "none: nothing is stored")
VECTOR_COL = text("result_col", None, "`{model}_{base algorithm}`", older=("column_name",))
BATCH_SIZE = integer("batch_size", None, "the driver's choice for the device", minimum=1)
ON_ERROR = choice("on_error", ("null", "fail"), "null")
VERIFY = flag("verify")
PATH_TYPE = choice("path_type", ("folder",), "folder")
DATA_TYPE = choice("data_type", ("image", "video"), "image")
POOL_S = number("interval", 1.0, minimum=LEAST_S)
BASE_DIR = text("base_dir", None, "none")

LATER_SIMILARITY_COL = "search_result"
"""The default of ``SIMILARITY_COL`` in the later form of SEARCH."""
LATER_TOP_K = 1000
"""The default of ``TOP_K`` in the later form of SEARCH; ``top_k=None`` is how to say "all"."""
EMB_COL = text("emb_col", None, "`{model}_{base algorithm}`")
SIMILARITY_COL = text(
    "result_col",
    None,
    f"`{{emb_col}}_similarity1`; in the later form `{LATER_SIMILARITY_COL}`",
    older=("column_name",),
)
TOP_K = integer("top_k", None, f"all; in the later form {LATER_TOP_K}", minimum=1)
THRESHOLD = number("threshold", None, "all")
COMBINE = flag("combine")
SCORE = choice("score", ("cosine", "percentile", "probability"), "cosine")
DIVERSIFY = number("diversify", None, "0")
SEARCH_BY = choice("search_by", ("text", "image"), None, older=("search_input_type",))
SEARCH_INPUT = value("search_input")

LIMIT = integer("limit", None, "all; in a notebook 100", minimum=0)
AUDIO_COL = text("audio_col", "audio_path", older=("audio_column",))

METHOD = choice("method", ("split",), "split")
CLIP_S = number("interval", 10.0, minimum=LEAST_S)
CLIP_COL = text("result_col", "video_split_path")
RESULT_DIR = text("result_dir", None, "must be given")

_TRAINING = (
    its.TRAINED_IMAGE_COL, its.LABEL_COL, its.TRAINED_TEXT_COL, its.PREPARED_COL, its.BASE_MODEL,
    BASE_DIR, BATCH_SIZE, its.MAX_EPOCHS, its.LEARNING_RATE, its.INPUT_SIZE, its.COLOR,
    its.MAX_MINUTES, its.VALIDATE, its.TRAINING_SEED, OVERWRITE,
)  # fmt: skip

_USING_AS = {"USING": "model", "AS": "query"}
_NEW_MODEL = "a name for the model"


def _search(medium: str) -> StatementSpec:
    return StatementSpec(
        ("SEARCH", medium.upper()), "Search", Shape.QUERY, "", _USING_AS, {"medium": medium},
        (
            EMB_COL, SIMILARITY_COL, TOP_K, THRESHOLD, COMBINE, SCORE, DIVERSIFY, SEARCH_BY,
            SEARCH_INPUT,
        ), takes_values=True,
    )  # fmt: skip


def _print(medium: str) -> StatementSpec:
    return StatementSpec(
        ("PRINT", medium.upper()), "Print", Shape.SHOWN, "", {"AS": "query"}, {"medium": medium},
        (IMAGE_COL, BASE_DIR, LIMIT, AUDIO_COL, VIDEO_COL),
    )  # fmt: skip


def _list(*words: str, is_older: bool = False) -> StatementSpec:
    what = " ".join(words).replace("_", " ").lower()
    return StatementSpec(
        ("LIST", *words), "List", Shape.QUERY, fixed={"what": what}, is_older=is_older
    )


def _function(
    namespace: str, name: str, *options: OptionSpec[Any], writes_files: bool = False
) -> StatementSpec:
    return StatementSpec(
        (FUNCTION, namespace.upper(), name.upper()), "Function", Shape.QUERY, "",
        {"AS": "query", "FROM": "source"}, {"name": f"{namespace}.{name}"}, options,
        is_either=True, writes_files=writes_files,
    )  # fmt: skip


def _refused(*words: str) -> StatementSpec:
    return StatementSpec(words, "Unsupported", Shape.QUERY, is_supported=False)


SPECS: dict[tuple[str, ...], StatementSpec] = {}
"""Every statement by its opening words, in the order of messages."""

_changed: list[Callable[[], None]] = []


def register(*specs: StatementSpec) -> None:
    """Add statements to the language, for this process.

    Example:
        >>> register(StatementSpec(("LIST", "CAPTIONS"), "List", Shape.QUERY,
        ...     fixed={"what": "captions"}))
        >>> ("LIST", "CAPTIONS") in SPECS
        True
        >>> unregister(("LIST", "CAPTIONS"))
    """
    SPECS.update((spec.words, spec) for spec in specs)
    for forget in _changed:
        forget()


def unregister(words: tuple[str, ...]) -> None:
    """Take a statement out of the language again."""
    del SPECS[words]
    for forget in _changed:
        forget()


def when_changed(forget: Callable[[], None]) -> None:
    """Have a function called whenever the language changes: it forgets what it derived."""
    _changed.append(forget)


_SHARED = {"CREATE", "DELETE"}


@cache
def first_words() -> frozenset[str]:
    """Return the words that begin a statement of ours; CREATE and DELETE, SQL's too, left out."""
    return frozenset(words[0] for words in SPECS) - _SHARED


@cache
def query_words() -> frozenset[str]:
    """Return the first words of statements that can stand where SQL takes a query."""
    return frozenset(words[0] for words, spec in SPECS.items() if spec.shape is Shape.QUERY)


when_changed(first_words.cache_clear)
when_changed(query_words.cache_clear)


def specs_of(first: str) -> Iterator[StatementSpec]:
    """Yield the statements that begin with a word."""
    return (spec for words, spec in SPECS.items() if words[0] == first)


def spec_for(node: object) -> StatementSpec | None:
    """Return the spec of a node of ``tree``: that of its class, and of what its words decide."""
    kind: Any = type(node)
    for spec in _specs_of_class(kind):
        if all(getattr(node, name) == value for name, value in spec.fixed.items()):
            return spec
    return None


@lru_cache(maxsize=64)
def _specs_of_class(kind: type) -> tuple[StatementSpec, ...]:
    return tuple(spec for spec in SPECS.values() if spec.node in (kind, kind.__name__))


when_changed(_specs_of_class.cache_clear)


def keywords() -> frozenset[str]:
    """Return every word that the language adds to SQL, for completion and colours."""
    words = {word for phrase in SPECS for word in phrase}
    words |= {clause for spec in SPECS.values() for clause in spec.clauses}
    return frozenset(words | {"OPTIONS"})


def subquery_pattern() -> str:
    r"""Return a regular expression that every text with a subquery of ours matches.

    There may be a comment between two words, so a comment after a first word matches too.
    """
    choices = []
    for first in sorted({words[0] for words in SPECS} - {"CREATE"}):
        seconds = set()
        for spec in specs_of(first):
            if len(spec.words) > 1:
                seconds.add(rf"{spec.words[1].lower()}\b")
            elif spec.subject:
                seconds.add(r"""["`\['a-z]""")
            else:
                seconds.add(r"(?:using|options)\b")
        if first == "SEARCH":  # a medium may be misspelt
            seconds = {r"""["`\[]?[a-z]"""}
        elif first == FUNCTION:  # a name may be misspelt
            seconds = {"[a-z]"}
        choices.append(rf"{first.lower()}(?:\s+(?:{'|'.join(sorted(seconds))})|\s*/\*|\s*--)")
    return rf"\b(?:{'|'.join(choices)})"


register(
    StatementSpec(
        ("GET", "THANOSQL", "DATASET"), "GetDataset", Shape.ACTION, "the name of a data set",
        {"SUBJECT": "name"}, options=(OVERWRITE, ROWS, SEED, WIDTH, WORKERS),
    ),
    StatementSpec(
        ("GET", "THANOSQL", "MODEL"), "GetModel", Shape.ACTION, "the name of a model",
        {"SUBJECT": "name", "ALIAS": "alias"}, options=(OVERWRITE, MODEL_NAME),
    ),
    StatementSpec(
        ("COPY",), "Copy", Shape.ACTION, "a table", {"SUBJECT": "table", "FROM": "source"},
        options=(
            COPY_IF_EXISTS, OVERWRITE, FILE_TYPE, EXCLUDE, RECURSIVE, EXIF, ALLOW_EMPTY,
            FRAME_S, FRAME_DIR, FRAME_WIDTH,
        ),
    ),
    StatementSpec(
        ("CREATE", "TABLE"), "CreateUsing", Shape.ACTION, "a table",
        {"SUBJECT": "table", "USING": "model", "FROM": "source"}, options=(
            PATH_TYPE, DATA_TYPE, FILE_TYPE, EXCLUDE, RECURSIVE, VECTOR_COL, BATCH_SIZE, ON_ERROR,
            OVERWRITE, POOL_S,
        ),
    ),
    StatementSpec(
        ("CONVERT",), "Convert", Shape.QUERY, "", _USING_AS, options=(
            IMAGE_COL, TEXT_COL, CONVERT_TYPE, TABLE_NAME, VECTOR_COL, BATCH_SIZE, IF_EXISTS,
            OVERWRITE, ON_ERROR, BASE_DIR, VERIFY, VIDEO_COL, POOL_S,
        ),
    ),
    _search("image"),
    _search("text"),
    _search("video"),
    _refused("SEARCH", "AUDIO"),
    _refused("SEARCH", "KEYWORD"),
    _print("image"),
    _print("audio"),
    _print("video"),
    _list("MODEL"),
    _list("TABLE"),
    _list("THANOSQL", "MODEL"),
    _list("THANOSQL", "DATASET"),
    _list("THANOSQL_MODEL", is_older=True),
    _list("THANOSQL_DATASET", is_older=True),
    StatementSpec(
        ("UPLOAD", "MODEL"), "UploadModel", Shape.ACTION, _NEW_MODEL,
        {"SUBJECT": "name", "FROM": "source"}, options=(FRAMEWORK, OVERWRITE),
    ),
    StatementSpec(
        ("DELETE", "MODEL"), "DeleteModel", Shape.ACTION, "the name of a model",
        {"SUBJECT": "name"},
    ),
    StatementSpec(
        ("BUILD", "MODEL"), "BuildModel", Shape.ACTION, _NEW_MODEL,
        {"SUBJECT": "name", "USING": "base", "AS": "query"}, options=(*_TRAINING, its.MODEL_SIZE),
    ),
    StatementSpec(
        ("FIT", "MODEL"), "FitModel", Shape.ACTION, _NEW_MODEL,
        {"SUBJECT": "name", "USING": "model", "AS": "query"}, options=(*_TRAINING, its.METHOD),
    ),
    StatementSpec(
        ("PREDICT",), "Predict", Shape.QUERY, "", _USING_AS, options=(
            its.TRAINED_IMAGE_COL, its.PREPARED_COL, its.PREDICTED_COL, its.SCORE_COL,
            its.BEST_LABELS, its.LABELS, its.LABELS_OF, its.LABEL_TABLE, its.TEMPLATES, BASE_DIR,
            BATCH_SIZE,
        ),
    ),
    StatementSpec(
        ("EVALUATE",), "Evaluate", Shape.QUERY, "", _USING_AS, options=(
            its.TRAINED_IMAGE_COL, its.LABELS_OF, its.TRAINED_TEXT_COL, its.PREPARED_COL,
            its.LABELS, its.TEMPLATES, its.RECALL_AT, its.BY_LABEL, its.INTERVAL,
            its.TRAINING_SEED, BASE_DIR, BATCH_SIZE,
        ),
    ),
    _function(
        "preprocess", "video_to_df",
        METHOD, CLIP_S, CLIP_COL, RESULT_DIR, VIDEO_COL, OVERWRITE, writes_files=True,
    ),
    _function("compute", "groupby_emb_mean", *its.MEAN),
    _function("compute", "similarity", *its.SIMILARITY),
    _function("compute", "nearest", *its.NEAREST),
    _function("compute", "duplicates", its.COMPUTED_EMB_COL, its.ALIKE, its.GROUP_COL),
    _function(
        "compute", "outliers", its.COMPUTED_EMB_COL, its.NEIGHBORS, its.MOST_UNLIKE,
        its.OUTLIER_COL,
    ),
    _refused("TRANSFORM"),
    _refused("GENERATE"),
)  # fmt: skip
