"""A page to search in, as a plugin of Datasette, and the command that starts it.

Importing this imports no Datasette: ``serve`` does, and says what to install where it is missing.
"""

from __future__ import annotations

from .server import serve

__all__ = ["serve"]
