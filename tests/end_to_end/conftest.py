"""One running sample world for all end-to-end tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from authsvc.sample_world.running import RunningWorld
from tests.support.sample_world import open_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorld]:
    yield from open_world(tmp_path_factory.mktemp("w"))
