"""The tables of the service, and the one way to open and write a database that holds them.

The tables of people and groups are `directory_assistance.sql_tables`; the tables here (databases, ACLs,
emergency blocks, their logs, settings) stand in the same metadata, so that one migration makes both. A secondary `sql`
directory has all of them and uses the first half.

Not here: how a schema comes into being (`migrate.py`), and what the rows mean (`people.py`, `groups.py`,
`databases.py`, `blocks.py`).

INVARIANT: every write goes through `open_change`. It takes the write lock before it reads anything, so
that what a change checks ("this name is free", "another Manager remains") still holds when it is
committed, and it bumps the generation that caches watch.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from authsvc.store.errors import StoreUnavailable
from directory_assistance.errors import ConfigurationError, Problem, shorten
from directory_assistance.sql_engine import DatabaseMissing, limit_waits
from directory_assistance.sql_tables import generation, metadata
from directory_assistance.sql_waiting import answered_until

__all__ = [
    "GENERATION_CHANNEL",
    "WRITES",
    "Change",
    "GenerationReader",
    "acl_entries",
    "acl_log",
    "block_log",
    "blocks",
    "database_roles",
    "databases",
    "ensure_generation",
    "in_code_point_order",
    "metadata",
    "open_change",
    "open_engine",
    "open_reading",
    "read_generation",
    "read_time",
    "render_time",
    "settings",
    "unavailable",
]

_BUSY_TIMEOUT_MILLISECONDS = 5_000
"""How long SQLite waits for another writer; writes take milliseconds, so a longer wait means something
hangs."""

_WAIT_SECONDS = 5
"""How long a new connection, a free one of the pool, or PostgreSQL's answer to a statement may take before the store
counts as unavailable. It is also how long one writer waits for another there."""

_CONNECT_TIMEOUT_SECONDS = 2
"""How long PostgreSQL may take to accept a connection (its smallest), for each address of its host: a silent one
leaves time for the next."""

_GENERATION_SECONDS = 3.0
"""How long reading the generation may take in all, a second try and other threads' tries included: decisions wait for
it, and nothing is served from the cache meanwhile. It lasts for one silent address and another one that answers."""

WRITES = "authsvc_writes"
"""Execution option that marks a connection whose transaction writes: SQLite then locks at its beginning."""

GENERATION_CHANNEL = "authsvc_generation"
"""PostgreSQL notification channel that carries the new generation to every listening process."""

databases = Table(
    "databases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),  # names.database_key of the name
    Column("title", Text, nullable=False, default=""),
    Column("require_tls", Boolean, nullable=False, default=False),
    Column("maximum_internet_access", String(16), nullable=False),
    Column("wildcards", String(16), nullable=False),
    Column(
        "revision", Integer, nullable=False, default=1
    ),  # grows with every change of this database (If-Match)
)

database_roles = Table(
    "database_roles",
    metadata,
    Column("database_id", ForeignKey("databases.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),  # casefolded
    Column("name", Text, nullable=False),
)

acl_entries = Table(
    "acl_entries",
    metadata,
    Column("database_id", ForeignKey("databases.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),  # of the name: one ACL entry per name, whatever its type
    Column("name", Text, nullable=False),
    Column("type", String(16), nullable=False),
    Column("level", String(16), nullable=False),
    Column(
        "privileges", JSON, nullable=False
    ),  # sorted list: the privileges named, not those fixed by the level
    Column("roles", JSON, nullable=False),  # sorted list
)

acl_log = Table(
    "acl_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("database_key", Text, nullable=False),  # no foreign key: the log outlives its database
    Column("at", String(27), nullable=False),  # `render_time`
    Column("actor", Text, nullable=False),
    Column("before", JSON(none_as_null=True), nullable=True),  # null: the database was created
    Column("after", JSON(none_as_null=True), nullable=True),  # null: the database was deleted
    Index("ix_acl_log_database", "database_key", "id"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("value", Text, nullable=False),  # as `trust.block_reading` writes it
    Column("serial", String(64), nullable=True),  # hexadecimal behind `0x`; null but for `issuer_serial`
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ends", String(27), nullable=True),  # `render_time`; null: it does not end
    Column("created_by", Text, nullable=False),
    Column("created_at", String(27), nullable=False),  # `render_time`
    sqlite_autoincrement=True,  # no number is used twice: audit records name blocks that are gone
)

block_log = Table(
    "block_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("block_id", Integer, nullable=False),  # no foreign key: the log outlives its block
    Column("at", String(27), nullable=False),  # `render_time`
    Column("actor", Text, nullable=False),
    Column("before", JSON(none_as_null=True), nullable=True),  # null: the block was added
    Column("after", JSON(none_as_null=True), nullable=True),  # null: the block was removed
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


def open_engine(url: str) -> Engine:
    """Open a database by its SQLAlchemy address, to be written; no connection is made yet.

    NOTE: the first connection makes an SQLite file that is not there. Who only reads opens it by
    `directory_assistance.sql_engine`: a look must not turn a mistyped path into an empty store.

    Args:
        url: `sqlite:///file` or `postgresql+psycopg://...`; a relative file is relative to the working
        directory.

    Returns:
        An engine whose SQLite connections enforce foreign keys, use write-ahead logging, flush every
        commit and wait for other writers.

    Raises:
        ConfigurationError: the address is unreadable, of another kind, or an SQLite database in memory.

    """
    address = _read_url(url)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address, pool_timeout=_WAIT_SECONDS)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        address,
        pool_timeout=_WAIT_SECONDS,
        pool_pre_ping=True,  # a server that was restarted costs one reconnection, not one failed request
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_SECONDS},
    )
    limit_waits(engine, seconds=_WAIT_SECONDS)
    return engine


def _read_url(url: str) -> URL:
    try:
        address = make_url(url)
        address.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise _url_problem(
            "expected `sqlite:///file` or `postgresql+psycopg://…`, found no such address"
        ) from error
    shown = shorten(address.render_as_string(hide_password=True))
    if address.get_backend_name() == "sqlite":
        if address.database in {None, "", ":memory:"} or "mode" in address.query:
            # Each connection of the pool would see its own, empty database: everything in it would be
            # "not found".
            raise _url_problem(f"expected a file after `sqlite:///`, found `{shown}`")
        return address
    if address.drivername != "postgresql+psycopg":
        raise _url_problem(f"expected `sqlite:///file` or `postgresql+psycopg://…`, found `{shown}`")
    return address


def _url_problem(problem: str) -> ConfigurationError:
    return ConfigurationError([Problem(file="", line=0, path="url", problem=problem)])


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The driver would open transactions by its own guess, too late for our lock; `_begin_sqlite` opens
    # them.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MILLISECONDS}")  # first: the next ones may wait
        cursor.execute("PRAGMA foreign_keys = ON")  # off by default; per connection
        cursor.execute("PRAGMA synchronous = FULL")  # a revocation that was confirmed survives a power cut
        if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # Readers then never wait for the writer. The mode is the file's, set once. While another
            # process sets it, or writes in the old mode, SQLite refuses at once instead of waiting: then
            # the next connection sets it. Nothing but speed depends on it.
            with suppress(sqlite3.OperationalError):
                cursor.execute("PRAGMA journal_mode = WAL")
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock now, and waits for it. A transaction that began by reading could not
    # wait when it comes to write: SQLite answers "locked" at once, because its snapshot is already old.
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return  # each statement sees what is committed by then
    writes = options.get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One open transaction that writes, who makes it and when.

    `actor` is the name for ACLs of an administrator, `local:<login>` or `bootstrap`; `now` is in UTC.
    """

    connection: Connection
    actor: str
    now: datetime


@contextmanager
def open_change(engine: Engine, *, actor: str, now: datetime) -> Iterator[Change]:
    """Open the transaction of a change: committed on leaving, undone by any exception.

    1. Take the write lock: changes happen one after the other, over all processes.
    2. Bump the generation, seen by others when the change is committed.

    Raises:
        StoreUnavailable: the database did not answer, or refused a statement.
        ChangeRefused: from inside, unchanged.

    """
    try:
        with engine.execution_options(**{WRITES: True}).connect() as connection, connection.begin():
            # On PostgreSQL this row's lock is the write lock.
            connection.execute(
                update(generation).where(generation.c.id == 1).values(value=generation.c.value + 1)
            )
            if connection.dialect.name == "postgresql":
                value = connection.scalar(select(generation.c.value).where(generation.c.id == 1))
                connection.execute(select(func.pg_notify(GENERATION_CHANNEL, str(value))))
            yield Change(connection=connection, actor=actor, now=now)
    except SQLAlchemyError as error:
        raise unavailable(error) from error


@contextmanager
def open_reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads.

    Raises:
        StoreUnavailable: the database did not answer, or refused a statement.

    """
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def in_code_point_order(connection: Connection, column: Column[str]) -> ColumnElement[str]:
    """Return a text column as it sorts in Python, for ORDER BY and paging.

    SQLite sorts so by itself; PostgreSQL by the language that the database was made with.
    """
    return column.collate("C") if connection.dialect.name == "postgresql" else column


def unavailable(error: SQLAlchemyError) -> StoreUnavailable:
    """Translate what SQLAlchemy raises: the one place where a database error becomes a fault."""
    # The driver's own text: SQLAlchemy's repeats the statement with its values.
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, DatabaseMissing):
        return StoreUnavailable(f"{cause}: `authsvc apply` or `authsvc serve` makes it")
    return StoreUnavailable(f"the store did not answer: {shorten(' '.join(str(cause).split()))}")


class GenerationReader:
    """Reads the generation over one connection that stays open: it is asked for at every request.

    A connection from the pool would cost several times the question itself. Threads may share it: while one of them
    waits for a silent server, none of the others waits for it longer than `_GENERATION_SECONDS`.

    Args:
        engine: of a migrated database.

    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def read(self) -> int:
        """Return the generation.

        Raises:
            StoreUnavailable: the database did not answer, not even over a new connection.

        """
        deadline = time.monotonic() + _GENERATION_SECONDS
        if not self._lock.acquire(timeout=_GENERATION_SECONDS):
            raise StoreUnavailable("the store did not answer: another thread still waits for it")
        try:
            with answered_until(deadline):
                return self._read()
        finally:
            self._lock.release()

    def _read(self) -> int:
        if self._connection is not None:
            try:
                return read_generation(self._connection)
            except SQLAlchemyError:
                self._drop()  # a server that was restarted answers over a new connection
        try:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.detach()  # it takes no place in the pool, and is closed with this reader
            return read_generation(self._connection)
        except SQLAlchemyError as error:
            self._drop()
            raise unavailable(error) from error

    def close(self) -> None:
        """Give the connection up; a later question opens a new one."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # it may be broken already
                connection.close()


def read_generation(connection: Connection) -> int:
    """Return the generation; 0 where the row is missing, which no migrated database has."""
    return connection.scalar(select(generation.c.value).where(generation.c.id == 1)) or 0


def ensure_generation(connection: Connection) -> None:
    """Give a new database its generation row."""
    if connection.scalar(select(generation.c.id).where(generation.c.id == 1)) is None:
        connection.execute(insert(generation).values(id=1, value=1))


def render_time(moment: datetime) -> str:
    """Print an instant as RFC 3339, UTC, microseconds: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_time(text: str) -> datetime:
    """Read what `render_time` printed.

    Raises:
        ValueError: the text is something else.

    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or render_time(moment) != text:
        raise ValueError(f"expected a time like `2026-03-01T12:00:00.000000Z`, found `{shorten(text)}`")
    return moment
