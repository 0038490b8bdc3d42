"""``python -m thanosql``: the command line."""

from __future__ import annotations

import sys

from thanosql_dbapi.ui.cli import main

if __name__ == "__main__":
    sys.exit(main())
