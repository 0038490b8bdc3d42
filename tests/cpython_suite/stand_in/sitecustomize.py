"""Put the driver in sqlite3's place in every Python process that has this folder on its path."""

import os
import sqlite3
import sqlite3.dump
import sys

if os.environ.get("SQLITE3_STAND_IN"):
    import thanosql_dbapi

    # sqlite3's own modules (__main__, the tests of Python 3.10) are still found below its name;
    # what they import as sqlite3 is the driver.
    thanosql_dbapi.__path__[:0] = sqlite3.__path__
    for name in ("sqlite3", "sqlite3.dbapi2"):
        sys.modules[name] = thanosql_dbapi
