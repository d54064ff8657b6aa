"""A real store in a file, for tests, and the words to fill it with."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from authsvc.store.migrate import migrate
from authsvc.store.schema import Change, open_change, open_engine

__all__ = ["ACTOR", "NOW", "changing", "open_store"]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
"""The instant at which changes happen."""

ACTOR = "local:test"
"""Who makes them."""


@contextmanager
def open_store(folder: Path) -> Iterator[Engine]:
    """Open a new, migrated database in a folder."""
    engine = open_engine(f"sqlite:///{folder / 'directory.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@contextmanager
def changing(engine: Engine) -> Iterator[Change]:
    """Open a change by `ACTOR` at `NOW`."""
    with open_change(engine, actor=ACTOR, now=NOW) as change:
        yield change
