"""Bringing a database to the schema of this version: create it, migrate it, or refuse it.

Every `sql` directory has the whole schema, the primary as well as secondary ones. The revisions themselves
are in `migrations/versions`; how the tables look today is `schema.py` and `directory_assistance.sql_tables`.

INVARIANT: one transaction, under one lock, holds the whole way: a second process waits and then finds nothing
to do; one that fails leaves the database as it was.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from authsvc.store.builtin import ensure_directory_database
from authsvc.store.errors import SchemaRefused, StoreMalformed
from authsvc.store.schema import WRITES, ensure_generation, metadata, open_reading, unavailable
from directory_assistance.sql_waiting import answered_until

__all__ = ["migrate", "require_schema"]

_WAIT_MILLISECONDS = 60_000
"""How long a process waits for another one that migrates: copying a large table takes longer than any other
write."""

_LONGEST_MIGRATION_SECONDS = 600.0
"""How long migrating a PostgreSQL may take before it counts as silent: another process's turn, then our own
statements, each over a whole table."""

_MIGRATION_LOCK = 0x61757468737663
"""Key of the PostgreSQL advisory lock that one migrating process holds: the letters of `authsvc`."""


def migrate(engine: Engine) -> None:
    """Create or migrate the schema; harmless where it is current.

    1. Take the lock.
    2. Refuse a schema that this version does not know.
    3. Run the missing revisions.
    4. Make what every database holds: the generation, and the database `directory`.

    Raises:
        SchemaRefused: the schema is newer than this version, or the tables are not ours.
        StoreUnavailable: the database did not answer.
        StoreMalformed: rows refer to what is not there, as after a repair by hand; nothing was migrated.

    """
    try:
        with _open_migration(engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            scripts = _scripts()
            if _read_revisions(connection, ScriptDirectory.from_config(scripts)) is None:
                _refuse_foreign_tables(connection)
            scripts.attributes["connection"] = connection
            command.upgrade(scripts, "head")
            ensure_generation(connection)
            ensure_directory_database(connection)
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def require_schema(engine: Engine) -> None:
    """Accept only a database whose schema is exactly this version's, for commands that do not migrate.

    Raises:
        SchemaRefused: the schema is missing, older or newer.
        StoreUnavailable: the database did not answer.

    """
    with open_reading(engine) as connection:
        directory = ScriptDirectory.from_config(_scripts())
        found = _read_revisions(connection, directory)
    if found is None:
        raise SchemaRefused(
            "expected a directory database, found one without our schema; `authsvc apply` creates it"
        )
    if found != set(directory.get_heads()):
        raise SchemaRefused(
            f"expected schema {_shown(directory.get_heads())}, found the older {_shown(found)};"
            " `authsvc apply` or `authsvc serve` migrates it"
        )


@contextmanager
def _open_migration(engine: Engine) -> Iterator[Connection]:
    """Open the migration's transaction on a connection that nobody uses afterwards."""
    with (
        answered_until(time.monotonic() + _LONGEST_MIGRATION_SECONDS),
        engine.execution_options(**{WRITES: True}).connect() as connection,
    ):
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            cursor = (
                connection.connection.cursor()
            )  # not through `connection`, which would begin the transaction
            cursor.execute(f"PRAGMA busy_timeout = {_WAIT_MILLISECONDS}")
            # Altering a table means copying and dropping it, and dropping it would delete what refers to its
            # rows.
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.close()
        connection.detach()
        with connection.begin():
            yield connection
            orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first() if sqlite else None
            if orphan is not None:
                raise StoreMalformed(
                    f"table `{orphan[0]}` has rows that refer to nothing; nothing was migrated"
                )


def _scripts() -> Config:
    configuration = Config()
    # A `%` in the path would be read as interpolation.
    configuration.set_main_option(
        "script_location", str(files("authsvc.store") / "migrations").replace("%", "%%")
    )
    configuration.set_main_option("path_separator", "os")
    return configuration


def _read_revisions(connection: Connection, directory: ScriptDirectory) -> set[str] | None:
    """Return the revisions that the database is at, all of them known, or None where it never had one."""
    found = set(MigrationContext.configure(connection).get_current_heads())
    known = {script.revision for script in directory.walk_revisions()}
    if not found <= known:
        raise SchemaRefused(
            f"expected schema {_shown(directory.get_heads())} or older, found {_shown(found)}:"
            " the database was written by a newer version of authsvc"
        )
    return found or None


def _refuse_foreign_tables(connection: Connection) -> None:
    present = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if present:
        raise SchemaRefused(
            f"expected an empty database or one of ours, found tables {_shown(present)}"
            " without a schema version"
        )


def _shown(names: list[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
