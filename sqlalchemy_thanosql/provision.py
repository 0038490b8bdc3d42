"""How SQLAlchemy's test suite prepares a database of this dialect: as one of SQLite.

The suite finds its hooks by the URL's first word, so ``thanosql://`` gets those of ``sqlite://``.
"""

from __future__ import annotations

# Importing them registers the hooks for `sqlite`.
from sqlalchemy.dialects.sqlite import provision as sqlite_provision
from sqlalchemy.testing import provision

__all__ = ["sqlite_provision"]

for _hook in vars(provision).values():
    if isinstance(_hook, provision.register) and "sqlite" in _hook.fns:
        _hook.fns["thanosql"] = _hook.fns["sqlite"]
