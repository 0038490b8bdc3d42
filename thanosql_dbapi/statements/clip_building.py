"""BUILD MODEL with ``text_col``: a CLIP from nothing, on the pictures and captions of a query."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, clip
from ..language import training_options
from ..language.names import same_name
from ..language.tree import BuildModel
from ..models.devices import resolve_device
from ..planning.arguments import Arguments
from ..stores.sqlite.registry import Model
from ..training.contrastive.setup import from_nothing
from ..training.contrastive.towers import SIZES, save_clip
from . import clip_training
from .captioned import CaptionedRows
from .context import Context
from .new_model import begin, label

_BASE = "clipen"


def build_clip(context: Context, arguments: Arguments, statement: BuildModel) -> None:
    """Train a CLIP from nothing, and register it.

    Ctrl-C registers the best so far, once there is one, and then interrupts the program as ever.

    Raises:
        ModelError: The name is taken, or the base is not ``clipen``.
        OperationalError: The rows have too few pictures or captions; or the training failed.
        KeyboardInterrupt: It was interrupted.
    """
    began = clip_training.clock()
    wanted = clip_training.read_wanted(arguments, statement)
    if not same_name(statement.base, _BASE):
        raise ModelError(
            f"{label(statement)}: text_col trains a CLIP from nothing, BUILD MODEL … USING clipen;"
            f" got {clip(statement.base)}; FIT MODEL … goes on with a model; nothing was changed"
        )
    name = arguments.option(statement, training_options.MODEL_SIZE)
    size = SIZES[name]
    resolver = begin(context, arguments, statement, "embedding")
    device = resolve_device(context.settings.device)
    rows = CaptionedRows(resolver, statement)
    with clip_training.working(context, statement, name, wanted, device, rows.digest) as work:
        setup = from_nothing(
            size,
            rows.pairs(size.preparation, work),
            batch_size=wanted.batch_size,
            learning_rate=wanted.learning_rate,
            validate=wanted.validate,
            seed=wanted.seed,
            device=device,
        )
        outcome = clip_training.run(context, statement, setup, wanted, work, device, began)

        def write(folder: Path) -> None:
            save_clip(setup.model, setup.tokenizer, size.preparation, folder)

        model = Model(
            name=statement.name,
            base=_BASE,
            source=f"build:{name}",
            folder="",
            fingerprint="",
            dimension=size.dimension,
        )
        clip_training.finish(
            context, arguments, statement, model, write, setup, outcome, work, device
        )
