"""Servers and directories that all tests share, each started when it is first asked for; properties have no clock."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.kinds import Kinds
from tests.support.postgresql import PostgresqlServer

# A property holds however long one example takes: on a loaded machine any of them takes 200 ms now and then.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server


@pytest.fixture(scope="session")
def hung_postgresql() -> Iterator[PostgresqlServer]:
    """Another one, for tests that make it silent: nobody else has a connection to it."""
    with PostgresqlServer() as server:
        yield server


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgresqlServer) -> Iterator[Kinds]:
    """Every kind of directory with the world in it."""
    with Kinds(tmp_path_factory.mktemp("k"), postgresql) as built:
        yield built
