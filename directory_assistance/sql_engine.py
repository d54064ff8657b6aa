"""Opening the database of an `sql` directory for reading.

What lives here: which addresses are databases of ours, and an engine that can only read. What does not: the
tables (`sql_tables.py`), making and changing them (the service's store).

INVARIANT: nothing opened here writes. A database file that is not there is a fault, never an empty directory:
SQLite would otherwise make the file, and everybody in it would be "not found".
"""

import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from directory_assistance.errors import shorten
from directory_assistance.sql_waiting import answered_until

__all__ = ["CONNECTIONS", "DatabaseMissing", "SqlSettings", "open_engine", "read_database_url"]

_BUSY_TIMEOUT_SECONDS = 2.0
"""How long SQLite waits for a writer that switches the journal; reading in write-ahead mode never waits."""

_CONNECT_TIMEOUT_SECONDS = 2
"""How long PostgreSQL may take to accept a connection (its smallest): the search waits meanwhile."""

_STATEMENT_TIMEOUT_MILLISECONDS = 5_000
"""How long PostgreSQL may work on one look-up; they take a millisecond. It keeps to this itself."""

_WAIT_SECONDS = 6.0
"""How long a look-up waits for a PostgreSQL that does not keep to it, because it has become silent."""

CONNECTIONS = 8
"""Connections kept: half as many as threads that decide, because each is needed for milliseconds."""

_POOL_TIMEOUT_SECONDS = 2.0
"""How long a look-up waits for a free connection."""

_EXPECTED = "expected `sqlite:///FILE` or `postgresql+psycopg://NAME@HOST/DATABASE`"


class DatabaseMissing(sqlite3.OperationalError):
    """There is no file where the database should be; SQLite itself says the same of a folder or a lack of rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSettings:
    """An `sql` directory.

    `url` is its address with an absolute file and the password in it; `shown` is the same without password.
    """

    url: str = field(repr=False)
    shown: str


def read_database_url(text: str) -> URL:
    """Read the address of a database.

    Raises:
        ValueError: it is none of ours; the text never repeats the address, which may hold a password.

    """
    try:
        url = make_url(text)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ValueError(f"{_EXPECTED}, found no such address") from error
    if url.drivername in {"sqlite", "sqlite+pysqlite"}:
        if not url.database or url.database == ":memory:" or url.query or url.host:
            raise ValueError("expected a file after `sqlite:///`, and nothing else")
        return url
    if url.drivername != "postgresql+psycopg":
        raise ValueError(f"{_EXPECTED}, found another kind of database")
    if not url.database:
        raise ValueError(f"{_EXPECTED}, found no database")
    if any("password" in key for key in url.query):
        raise ValueError("expected the password before the host (`NAME:${VARIABLE}@HOST`)")
    return url


def open_engine(text: str) -> Engine:
    """Open a database for reading; no connection is made yet.

    Args:
        text: an address that `read_database_url` reads; a relative file belongs to the working folder.

    Returns:
        An engine for several threads. Each transaction sees one state of the database; statements that write
        are refused by the database.

    Raises:
        ValueError: the text is no such address.

    """
    url = read_database_url(text)
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(str(url.database))
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        pool_pre_ping=True,  # a server that was restarted costs one reconnection, not one failed look-up
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "options": (
                f"-c default_transaction_read_only=on -c statement_timeout={_STATEMENT_TIMEOUT_MILLISECONDS}"
            ),
        },
    )
    limit_waits(engine, seconds=_WAIT_SECONDS)
    return engine


def _open_sqlite(database: str) -> Engine:
    # `mode=rw` and `query_only`, not `mode=ro`: a reader in write-ahead mode has to write the shared index.
    address = f"file:{quote(str(Path(database).absolute()))}?mode=rw"

    def connect() -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                address,
                uri=True,
                timeout=_BUSY_TIMEOUT_SECONDS,
                isolation_level=None,  # the driver would begin transactions by its own guess; `_begin` does
                check_same_thread=False,  # the pool lends a connection to one thread at a time
            )
        except sqlite3.OperationalError as error:
            if _is_missing(database):
                raise DatabaseMissing(f"there is no file `{shorten(database)}`") from error
            raise
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=QueuePool,  # for an address without a file SQLAlchemy would take a pool of one connection
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _is_missing(file: str) -> bool:
    try:
        Path(file).stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN")


def limit_waits(engine: Engine, *, seconds: float) -> None:
    """Let connections of a PostgreSQL engine end every wait; where one does, the connection is closed.

    Args:
        engine: with the driver `psycopg`, not yet connected.
        seconds: how long a wait outside of every block may take, and connecting in any case.

    """
    # Here, because who has no PostgreSQL has no driver for it.
    from directory_assistance.postgresql import BoundedConnection  # noqa: PLC0415

    def connect(
        _dialect: object, _entry: ConnectionPoolEntry, arguments: list[str], options: dict[str, str]
    ) -> object:
        with answered_until(
            time.monotonic() + seconds
        ):  # `connect_timeout` counts anew for each address of a host
            connection = BoundedConnection.connect(*arguments, **options)  # type: ignore[arg-type]  # SQLAlchemy's own, as it would pass them
        connection.longest_wait_seconds = seconds
        return connection

    event.listen(engine, "do_connect", connect)
