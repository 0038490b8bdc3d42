"""What a BUILD and a FIT of a CLIP have in common: options, hidden folder, training, registration.

Invariant: nothing is registered that was not judged, and nothing of a training that failed. What
takes long, the prepared pictures and the state of the training, is kept in a hidden folder beside
the models, by a digest of the statement and its data. The same statement goes on with it, and
removes it at the end. ``DELETE MODEL`` removes it, too.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelWarning, OperationalError, clip, warn_user
from ..language import grammar, training_options
from ..models.folder import inspect_folder
from ..models.forking import in_sound_thread
from ..planning.arguments import Arguments
from ..planning.training_report import TrainingReport
from ..sources.journal import locked
from ..stores.sqlite.registry import Model
from ..training.contrastive.course import Outcome, train
from ..training.contrastive.judging import Recall
from ..training.contrastive.setup import Setup
from ..training.contrastive.work import Work
from .context import Context
from .models import install_made, training_folder
from .new_model import Training, label, verb

EPOCHS = 30
"""Epochs where neither these nor a time is given."""
_MOST_MINUTES = 1e9
_MOST_RATE = 1e30  # above it, a step has no number in float32
_ENDLESS = 1_000_000  # epochs, where time ends the training
_VERSION = 1  # of the training: another one does not go on with what this one has left
_OF_CLASSIFIERS = (
    training_options.LABEL_COL,
    training_options.PREPARED_COL,
    training_options.BASE_MODEL,
    training_options.INPUT_SIZE,
    training_options.COLOR,
)


@dataclass(frozen=True)
class Wanted:
    """The options of a training.

    Attributes:
        epochs: How often each picture is seen, at most.
        batch_size: Pictures a step, or None for what suits the model.
        learning_rate: The peak rate, or None for what suits the model.
        max_seconds: Ends the training; None is no end.
        validate: Share of the pictures that are held out.
        seed: Decides everything random.
    """

    epochs: int
    batch_size: int | None
    learning_rate: float | None
    max_seconds: float | None
    validate: float
    seed: int


def read_wanted(arguments: Arguments, statement: Training, epochs: int = EPOCHS) -> Wanted:
    """Return the options of a training.

    Args:
        arguments: The statement's.
        statement: The statement.
        epochs: How many, where neither these nor a time is given.

    Raises:
        StatementError: An option has a value of another kind, or is one of classifiers.
    """
    for spec in _OF_CLASSIFIERS:
        if option := statement.option(spec.name):
            raise arguments.error(
                f"{label(statement)}: option {spec.name!r} is for classifiers, and text_col trains"
                " a CLIP; leave one of them out; nothing was changed",
                option,
            )
    minutes = arguments.option(statement, training_options.MAX_MINUTES)
    rate = arguments.option(statement, training_options.LEARNING_RATE)
    validate = arguments.option(statement, training_options.VALIDATE)
    batch = arguments.option(statement, grammar.BATCH_SIZE)
    for spec, is_right, expected in (
        (training_options.MAX_MINUTES, _within(minutes, _MOST_MINUTES), _above_0(_MOST_MINUTES)),
        (training_options.LEARNING_RATE, _within(rate, _MOST_RATE), _above_0(_MOST_RATE)),
        (training_options.VALIDATE, validate < 1, "at least 0 and less than 1"),
        (grammar.BATCH_SIZE, batch is None or batch >= 2, "at least 2"),
    ):
        if not is_right:
            raise arguments.error(
                f"{label(statement)}: option {spec.name!r} must be {expected} for a CLIP; nothing"
                " was changed",
                statement.option(spec.name) or statement,
            )
    usual = epochs if minutes is None else _ENDLESS
    return Wanted(
        arguments.option(statement, training_options.MAX_EPOCHS, usual) or usual,
        batch,
        rate,
        None if minutes is None else 60 * minutes,
        validate,
        arguments.option(statement, training_options.TRAINING_SEED),
    )


def _within(value: float | None, most: float) -> bool:
    return value is None or 0 < value <= most


def _above_0(most: float) -> str:
    return f"more than 0 and at most {most:g}"


@contextmanager
def working(context: Context, statement: Training, *facts: object) -> Iterator[Work]:
    """Hold the hidden folder of a training.

    Args:
        context: The connection.
        statement: The statement.
        facts: Everything that decides the outcome: the options, the device, the data's digest.

    Raises:
        OperationalError: Another process trains a model of this name here.
        OSError: The disk says no.
    """
    folder = training_folder(context, statement.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    journal = locked(folder.with_name(f"{folder.name}.lock"))
    if journal is None:
        raise OperationalError(
            f"{label(statement)}: another process is training {clip(statement.name)} in this"
            " workspace; wait for it, or choose another name; nothing was changed"
        )
    try:
        digest = hashlib.sha256(repr((_VERSION, verb(statement), *facts)).encode()).hexdigest()
        yield Work(folder, digest)
    finally:
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
        journal.close()


def run(
    context: Context,
    statement: Training,
    setup: Setup,
    wanted: Wanted,
    work: Work,
    device: str,
    began: float,
) -> Outcome:
    """Train a model, and show how it goes.

    Raises:
        OperationalError: The training failed; nothing is registered.
        KeyboardInterrupt: It was interrupted before there was something to judge.
    """
    plan = setup.plan(wanted.epochs, wanted.max_seconds)
    total, unit = (int(plan.max_seconds), "s") if plan.max_seconds else (plan.steps, "step")
    with context.settings.progress.track(label(statement), total, unit) as advance:
        shown = 0

        def tell(step: int, seconds: float, loss: float, recall: Recall | None) -> None:
            nonlocal shown
            now = min(total, int(seconds)) if plan.max_seconds else step
            note = f"loss {loss:.2f}" + (f", recall@5 {recall.at_5:.2f}" if recall else "")
            advance(now - shown, note)
            shown = now

        with named(statement):
            return in_sound_thread(
                lambda: train(
                    setup.learner,
                    setup.sampler.batch,
                    setup.judge.recall,
                    plan,
                    work=work,
                    device=device,
                    tell=tell,
                    clock=clock,
                    began=began,
                )
            )


@contextmanager
def named(statement: Training) -> Iterator[None]:
    """Have what a training raises name the statement, and say that nothing was registered.

    Raises:
        OperationalError: The training failed.
    """
    try:
        yield
    except OperationalError as error:
        raise OperationalError(f"{label(statement)}: {error}; nothing was registered") from error


def clock() -> float:
    """Return the seconds by which a training is ended; tests have their own."""
    return time.monotonic()


def finish(
    context: Context,
    arguments: Arguments,
    statement: Training,
    model: Model,
    write: Callable[[Path], None],
    setup: Setup,
    outcome: Outcome,
    work: Work,
    device: str,
) -> None:
    """Register the best weights, and clear up.

    Args:
        context: The connection.
        arguments: The statement's.
        statement: The statement.
        model: What the registry is to say of the model, but for its folder and fingerprint.
        write: Writes the model's folder.
        setup: What was trained.
        outcome: What came out.
        work: The hidden folder; it is removed where the training has ended.
        device: What computed.

    Raises:
        KeyboardInterrupt: That is what has ended the training; the model is registered.
    """

    def make(folder: Path) -> str:
        write(folder)
        return inspect_folder(folder).fingerprint

    install_made(context, model, make, overwrite=arguments.option(statement, grammar.OVERWRITE))
    context.state.report = TrainingReport(
        verb(statement),
        "",
        model=statement.name,
        pictures=setup.trained_on,
        held_out=setup.held_out,
        epochs=outcome.steps / setup.sampler.steps_per_epoch,
        steps=outcome.steps,
        loss=outcome.loss,
        recall_at_1=outcome.recall.at_1 if outcome.recall else None,
        recall_at_5=outcome.recall.at_5 if outcome.recall else None,
        recall_at_1_before=outcome.first_recall.at_1 if outcome.first_recall else None,
        recall_at_5_before=outcome.first_recall.at_5 if outcome.first_recall else None,
        best_step=outcome.best_step,
        seconds=outcome.seconds,
        device=device,
        stopped=outcome.stopped,
    )
    if outcome.stopped != "interrupt":
        work.remove()
        return
    warn_user(
        f"{label(statement)}: interrupted after {outcome.steps:,} steps; the best weights so far,"
        f" of step {outcome.best_step:,}, are model {clip(statement.name)}. The same statement with"
        f" OPTIONS (overwrite=True) goes on from what was kept last, at most a minute or so before;"
        f" {str(work.folder)!r} has it, and DELETE MODEL removes it",
        ModelWarning,
    )
    raise KeyboardInterrupt
