"""Put the driver in sqlite3's place and the dialect in that of SQLAlchemy's ``sqlite``."""

import os
import sys

if os.environ.get("SQLITE3_STAND_IN"):
    from sqlalchemy.dialects import registry

    import thanosql_dbapi

    for name in ("sqlite3", "sqlite3.dbapi2"):
        sys.modules[name] = thanosql_dbapi
    for name in ("sqlite", "sqlite.pysqlite"):
        registry.register(name, "sqlalchemy_thanosql.dialect", "ThanosqlDialect")
