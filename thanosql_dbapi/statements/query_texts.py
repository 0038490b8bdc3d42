"""Texts that are searched for: whether a model can read them, and warnings where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, ModelWarning, clip, warn_user
from ..settings import Settings
from ..stores.sqlite.registry import Model

if TYPE_CHECKING:
    from ..sources.catalog import Catalog


def check_texts(
    model: Model,
    folder: Path,
    texts: Sequence[str],
    settings: Settings,
    warned: set[tuple[str, str]],
) -> None:
    """Check that texts can be embedded, and warn of those that a model cannot read whole.

    Args:
        model: The model.
        folder: Its folder.
        texts: The texts.
        settings: The connection's.
        warned: What a connection was warned of: a model, and a script that it lacks.

    Raises:
        DataError: A text has half of a surrogate pair.
    """
    from ..models.tokens import text_problem, text_read

    for text in texts:
        if problem := text_problem(text):
            raise DataError(problem)
        if not text.isascii():
            _warn_of_script(model, text, settings, warned)
        read = text_read(folder, model.fingerprint, text)
        if read is not None:
            warn_user(
                f"the text is longer than model {clip(model.name)} reads and was cut after"
                f" {clip(read[-40:])}: {len(read):,} of {len(text):,} characters were used",
                ModelWarning,
            )


def _warn_of_script(
    model: Model, text: str, settings: Settings, warned: set[tuple[str, str]]
) -> None:
    """Warn, once a connection, of a text in a script that a model of the catalog lacks."""
    from ..sources.languages import lacking

    def catalog() -> Catalog:
        from ..sources.catalog import load_catalog
        from ..sources.network import is_url

        place = settings.catalog
        # Nothing is fetched for a warning.
        return (
            load_catalog()
            if place and is_url(str(place))
            else load_catalog(place, offline=settings.offline)
        )

    if warning := lacking(model.name, model.source, model.fingerprint, text, catalog, warned):
        warn_user(warning, ModelWarning)
