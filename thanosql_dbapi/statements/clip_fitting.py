"""FIT MODEL with ``text_col``: a registered model learns from the user's pictures and captions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import ModelError, ModelWarning, clip, warn_user
from ..language import training_options
from ..language.tree import FitModel
from ..models.devices import resolve_device
from ..models.families.registry import read_family
from ..models.forking import in_sound_thread
from ..models.preprocessing import Preparation, load_preparation
from ..planning.arguments import Arguments
from ..stores.sqlite.registry import Model
from ..training.contrastive.course import Outcome, Recall
from ..training.contrastive.methods import METHODS, require
from ..training.contrastive.tuning import TunedSetup, from_model
from . import clip_training
from .captioned import CaptionedRows
from .context import Context
from .new_model import begin, label


def fit_clip(context: Context, arguments: Arguments, statement: FitModel, old: Model) -> None:
    """Have a model learn on, and register what comes out. The old one stays as it is.

    Ctrl-C registers the best so far, once something is better than the old one, and then interrupts
    the program as ever.

    Args:
        context: The connection.
        arguments: The statement's.
        statement: The statement, with ``text_col``.
        old: The model it names.

    Raises:
        ModelError: The name is taken, or the model cannot be trained in this way.
        OperationalError: The rows have too few pictures or captions; or the training failed.
        KeyboardInterrupt: It was interrupted.
    """
    began = clip_training.clock()
    method = arguments.option(statement, training_options.METHOD)
    wanted = clip_training.read_wanted(arguments, statement, METHODS[method].epochs)
    resolver = begin(context, arguments, statement, "embedding")
    folder = context.model_folder(old).resolve()
    family = read_family(folder)
    require(method)
    preparation = _preparation(folder)
    device = resolve_device(context.settings.device)
    rows = CaptionedRows(resolver, statement)
    facts = (old.fingerprint, method, wanted, device, rows.digest)
    with clip_training.working(context, statement, *facts) as work:
        pairs = rows.pairs(preparation, work)
        what = f"{label(statement)}: the image tower"
        with context.settings.progress.track(what, len(pairs.pixels), "image") as advance:
            setup = in_sound_thread(
                lambda: from_model(
                    folder,
                    family,
                    preparation,
                    pairs,
                    method=method,
                    batch_size=wanted.batch_size,
                    learning_rate=wanted.learning_rate,
                    validate=wanted.validate,
                    seed=wanted.seed,
                    device=device,
                    advance=advance,
                )
            )
        outcome = clip_training.run(context, statement, setup, wanted, work, device, began)
        with clip_training.named(statement):
            outcome = in_sound_thread(lambda: _settled(setup, outcome))
        if is_base := not outcome.best_step:
            _warn_of_no_use(statement, old, setup, outcome)

        def write(made: Path) -> None:
            setup.save(made, is_base=is_base)

        model = Model(
            name=statement.name,
            base=old.base,
            source=f"fit:{old.name}",
            folder="",
            fingerprint="",
            dimension=old.dimension,
        )
        clip_training.finish(
            context, arguments, statement, model, write, setup, outcome, work, device
        )


def _preparation(folder: Path) -> Preparation:
    preparation = load_preparation(folder)
    if preparation.seen_px is None:
        raise ModelError(
            f"model folder {str(folder)!r}: its image processor neither crops nor brings images to"
            " one size, and a training takes them in one; nothing was changed"
        )
    return preparation


def _settled(setup: TunedSetup, outcome: Outcome) -> Outcome:
    """Bring the model into the form in which it is saved, and judge that."""
    setup.settle()
    if not outcome.best_step:
        return outcome
    return replace(outcome, recall=setup.judge.recall(setup.learner))


def _warn_of_no_use(statement: FitModel, old: Model, setup: TunedSetup, outcome: Outcome) -> None:
    assert outcome.first_recall is not None
    assert outcome.last_recall is not None
    warn_user(
        f"{label(statement)}: on {setup.held_out:,} pictures held out, nothing that was learnt is"
        f" better than {clip(old.name)} ({_said(outcome.first_recall)}; at the end of the training"
        f" {_said(outcome.last_recall)}), so {clip(statement.name)} has its very weights. More"
        f" pictures, another method, a learning_rate below {setup.learner.rates.adam:.2g}, or"
        " validate=0.3, which judges on more of them, may show a gain",
        ModelWarning,
    )


def _said(recall: Recall) -> str:
    return (
        f"recall@1 {recall.at_1:.3f}, recall@5 {recall.at_5:.3f}, of captions in part"
        f" {recall.precision:.3f}, loss {recall.loss:.3f}"
    )
