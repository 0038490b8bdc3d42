"""What the HTML pages share: how templates are filled in."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from .display import visible
from .thumbnails import MIME

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@cache
def environment_of(package: str, folder: str = "templates") -> Environment:
    """Return a Jinja2 environment over the templates in a package's folder.

    Values are escaped for HTML, and their control characters as in a terminal. A name that the page
    was not given is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_shown,
    )
    environment.filters["data_url"] = data_url
    return environment


def source(environment: Environment, name: str) -> Markup:
    """Return a template as it is written: a style sheet, a script."""
    from markupsafe import Markup

    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def data_url(content: bytes, kind: str = MIME) -> Markup:
    """Return a file, a JPEG unless told otherwise, as a URL that holds it."""
    from markupsafe import Markup

    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")


def _shown(value: Any) -> Any:
    """Escape control characters: most may not be in a page, some turn the direction of others."""
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
