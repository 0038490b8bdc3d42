"""The face: ``import thanosql`` gives the driver's names, ``%load_ext thanosql`` its magics."""

from __future__ import annotations

from thanosql_dbapi import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Connection,
    Cursor,
    DatabaseError,
    DataError,
    Error,
    ExtensionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    MediaError,
    MediaWarning,
    ModelError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SourceError,
    StatementError,
    Warning,  # noqa: A004 - PEP 249 names it so
    WorkspaceError,
    __all__,
    __version__,
    apilevel,
    connect,
    load_ipython_extension,
    paramstyle,
    threadsafety,
    to_vector,
)
