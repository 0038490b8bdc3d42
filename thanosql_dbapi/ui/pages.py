"""The templates of pages, and what they may do with a value."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .display import visible
from .thumbnails import MIME, Thumbnail

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def render(template: str, **values: Any) -> str:
    """Return a page: a template with its values put in, escaped.

    Args:
        template: A file of ``ui/templates``.
        values: What it names.
    """
    return _environment().get_template(template).render(values)


def part(name: str) -> Markup:
    """Return a file of ``ui/templates`` as it is, to be put into a page unescaped."""
    from markupsafe import Markup

    environment = _environment()
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("thanosql_dbapi.ui", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_shown,
    )
    environment.filters["coloured"] = _coloured
    environment.filters["data_url"] = _data_url
    environment.filters["folder_and_name"] = _folder_and_name
    return environment


def _shown(value: Any) -> Any:
    """Escape control characters: most may not be in a page, some turn the direction of others."""
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _data_url(thumbnail: Thumbnail) -> Markup:
    from markupsafe import Markup

    return Markup(f"data:{MIME};base64,{base64.b64encode(thumbnail.content).decode()}")


def _folder_and_name(name: str) -> tuple[str, str]:
    folder, slash, base = name.rpartition("/")
    return folder + slash, base


def _coloured(sql: str) -> Markup:
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    from .terminal import sql_lexer

    lines = visible("\n".join(sql.splitlines()))
    return Markup(highlight(lines, sql_lexer(), HtmlFormatter(nowrap=True)).rstrip("\n"))
