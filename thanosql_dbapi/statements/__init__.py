"""What ThanoSQL statements do: one handler a statement, from tree to plan, and its work.

A statement that is part of a query has a handler in ``resolve.HANDLERS``: what it decides before
any SQL is written, and what work it does. One that is the whole text has its function in
:data:`ACTIONS`. Both are given by their places, and imported when they are first asked for. A new
statement is a dataclass in ``language.tree``, a spec in ``language.grammar`` and a handler here.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import (
    DatabaseError,
    Error,
    InternalError,
    NotSupportedError,
    OperationalError,
    Warning,
    clip,
    clip_path,
)
from ..language.tree import (
    BuildModel,
    Convert,
    Copy,
    CreateUsing,
    DeleteModel,
    Evaluate,
    FitModel,
    GetDataset,
    GetModel,
    List,
    Predict,
    Print,
    Query,
    Ranked,
    Search,
    Tree,
    Unsupported,
    UploadModel,
)
from ..planning.arguments import Arguments
from ..planning.plans import SearchPlan
from ..stores.sqlite.compile import Compiled, compile_plan
from ..stores.sqlite.database import NOT_TAKEN, refused
from ..stores.sqlite.location import require_database
from .context import Context
from .resolve import Handler, does_work, is_repeatable, load, register, resolve
from .search import with_column_hint
from .staging import drop_staging
from .topk import compile_best, compile_ranked, is_search_only

if TYPE_CHECKING:
    from ..stores.sqlite.database import Parameters

__all__ = [
    "ACTIONS",
    "Context",
    "Handler",
    "load",
    "may_make_columns",
    "register",
    "run",
    "run_many",
]

_ATTEMPTS = 3

register(Search, "search:HANDLER")
register(Convert, "convert:HANDLER")
register(Predict, "predict:HANDLER")
register(Evaluate, "evaluate:HANDLER")
register(List, "listing:HANDLER")
register("compute.groupby_emb_mean", "computing:MEAN")
register("compute.similarity", "computing:SIMILARITY")
register("compute.nearest", "nearest:HANDLER")
register("compute.duplicates", "computing:DUPLICATES")
register("compute.outliers", "computing:OUTLIERS")
register("preprocess.video_to_df", "clips:HANDLER")

Action = Callable[[Context, Arguments, Any], None]

ACTIONS: dict[type, Action | str] = {
    GetDataset: "get:get_dataset",
    GetModel: "get:get_model",
    Copy: "copy:copy",
    CreateUsing: "create_using:create_using",
    UploadModel: "models:upload_model",
    DeleteModel: "models:delete_model",
    BuildModel: "building:build_model",
    FitModel: "building:fit_model",
}
"""For each class of ``language.tree`` that is a whole text and returns no rows, what it does, or
the place of that, see :func:`load`."""


def run(
    context: Context,
    execute: Callable[[str, Parameters], object],
    sql: str,
    tree: Tree,
    parameters: Parameters,
) -> None:
    """Do what a statement asks, and execute the plain SQL of its result.

    A search finds candidates first and compares them then. When another connection has committed
    in between, the candidates are found again, so that its rows are those of one moment.

    Args:
        context: The connection.
        execute: Executes plain SQL on the user's cursor, which has no statement open.
        sql: The statement's text.
        tree: The same, parsed.
        parameters: What the caller bound.

    Raises:
        sqlite3.Error: Whatever goes wrong, but for Ctrl-C and too little memory.
    """

    def execute_taken(text: str, values: Parameters) -> object:
        try:
            return execute(text, values)
        except NOT_TAKEN as error:
            raise refused(error, text, values) from error

    with only_pep249(context, tree):
        _run(context, execute_taken, sql, tree, parameters)


def _run(
    context: Context,
    execute: Callable[[str, Parameters], object],
    sql: str,
    tree: Tree,
    parameters: Parameters,
) -> None:
    drop_staging(context)
    context.state.searches = ()
    arguments = Arguments(sql, tree, parameters)
    if isinstance(tree, Print):
        if tree.medium == "audio":
            raise NotSupportedError(
                "PRINT AUDIO is not supported yet; PRINT IMAGE and PRINT VIDEO are"
            )
        tree = tree.query
    if isinstance(tree, Query):
        _run_query(context, execute, arguments, tree)
    elif isinstance(tree, Ranked):
        _run_ranked(context, execute, arguments, tree)
    else:
        context.state.answers.clear()
        action = ACTIONS.get(type(tree))
        if action is None:
            raise _not_supported(tree)
        if isinstance(action, str):
            action = ACTIONS[type(tree)] = load(action)
        _tidy(context)
        # The caller has ended the cursor's last statement, so it has no rows.
        action(context, arguments, tree)


def run_many(
    context: Context,
    execute_many: Callable[[str, Iterator[Any]], object],
    execute: Callable[[str, Parameters], object],
    sql: str,
    tree: Tree,
    sets: Iterable[Parameters],
) -> None:
    """Do what a statement asks, once for each set of parameters.

    sqlite3 itself executes the plain SQL for all sets, so ``rowcount`` is the sum that it counts.

    Args:
        context: The connection.
        execute_many: Executes plain SQL for many sets on the user's cursor.
        execute: Executes plain SQL once.
        sql: The statement's text.
        tree: The same, parsed; it returns no rows.
        sets: What the caller bound.
    """
    if not isinstance(tree, Query) or does_work(tree):
        for parameters in sets:
            run(context, execute, sql, tree, parameters)
        return

    def compile_set(parameters: Parameters) -> Compiled:
        with only_pep249(context, tree):
            context.begin()
            arguments = Arguments(sql, tree, parameters)
            return compile_plan(resolve(context, arguments, tree), arguments)

    waiting = map(compile_set, sets)
    following = next(waiting, None)
    while following is not None:
        text, pending = following.sql, following
        following = None

        def same_text(first: Compiled, text: str = text) -> Iterator[dict[str, Any]]:
            nonlocal following
            yield first.parameters
            for each in waiting:
                if each.sql != text:  # another number of query values
                    following = each
                    return
                yield each.parameters

        execute_many(text, same_text(pending))


@contextmanager
def only_pep249(context: Context, tree: Tree) -> Iterator[None]:
    """Let PEP 249's exceptions through, and warnings that the user wants as errors.

    Each kind of error is turned into one of ours where it arises, with its value in the message.
    What comes here has been overlooked, and still must not reach a program that catches
    ``sqlite3.Error``.

    Raises:
        DatabaseError: The file is no database.
        OperationalError: The operating system refused something.
        InternalError: Any other exception.
    """
    try:
        yield
    except DatabaseError as error:
        if str(error) == "file is not a database" and (file := context.database.file()):
            require_database(Path(file))
        raise
    except (Error, Warning, builtins.Warning, MemoryError):
        raise
    except OSError as error:
        named = error.filename
        show = clip_path if isinstance(named, str) else clip
        place = "" if named is None else f": {show(named)}"
        raise OperationalError(
            f"{type(tree).__name__}: {error.strerror or clip(error)}{place}"
        ) from error
    except Exception as error:
        raise InternalError(
            f"{type(tree).__name__}: unexpected {type(error).__name__}: {clip(str(error), 300)};"
            " this is a fault of the driver, please report it"
        ) from error


def may_make_columns(tree: Tree) -> bool:
    """Return whether a statement may make a vector column that was not known before."""
    if isinstance(tree, Print):
        tree = tree.query
    if isinstance(tree, Ranked):
        return False
    return not (isinstance(tree, Query) and is_search_only(tree))


def _run_query(
    context: Context,
    execute: Callable[[str, Parameters], object],
    arguments: Arguments,
    query: Query,
) -> None:
    # What writes, or embeds rows, cannot begin again when another connection has committed.
    reads_only = is_search_only(query)
    is_steady = context.database.connection.in_transaction or reads_only
    if not reads_only:
        _tidy(context)
    for attempt in range(1, _ATTEMPTS + 1):
        context.begin()
        plan = resolve(context.remembering() if reads_only else context, arguments, query)
        may_narrow = is_steady and attempt < _ATTEMPTS
        try:
            execute(*compile_best(context, arguments, plan, may_narrow=may_narrow))
        except OperationalError as error:
            raise with_column_hint(error, plan) from error.__cause__
        context.state.searches = tuple(
            node for node in plan.nodes.values() if isinstance(node, SearchPlan)
        )
        if not is_repeatable(query) or not context.is_outrun():
            return


def _run_ranked(
    context: Context,
    execute: Callable[[str, Parameters], object],
    arguments: Arguments,
    statement: Ranked,
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        context.begin()
        may_narrow = attempt < _ATTEMPTS
        found = compile_ranked(context, arguments, statement, may_narrow=may_narrow)
        execute(*(found or (arguments.sql, arguments.supplied)))
        if not context.is_outrun():
            return


def _tidy(context: Context) -> None:
    """Put right what a killed process has left, before anything is changed."""
    if not context.settings.is_read_only:
        from .models import settle_left
        from .unfinished import drop_if_empty

        settle_left(context)
        drop_if_empty(context.database)


def _not_supported(tree: Tree) -> NotSupportedError:
    what = tree.what if isinstance(tree, Unsupported) else type(tree).__name__
    return NotSupportedError(
        f"{what} is not supported; of ThanoSQL this driver runs GET, COPY, CREATE TABLE … USING,"
        " CONVERT, SEARCH IMAGE, SEARCH TEXT, SEARCH VIDEO, PRINT IMAGE, PRINT VIDEO, LIST, UPLOAD"
        " MODEL, DELETE MODEL, BUILD MODEL, FIT MODEL, PREDICT, EVALUATE and FUNCTION"
    )
