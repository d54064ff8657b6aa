"""The sample world for tests: the same servers as `make run`, on free ports."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.world import Ports

__all__ = ["free_ports", "open_world"]


def free_ports() -> Ports:
    """Four different loopback ports that nobody listens on at this moment."""
    probes = [socket.socket() for _ in range(4)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        api, edge, direct, nginx = (probe.getsockname()[1] for probe in probes)
        return Ports(api=api, edge=edge, direct=direct, nginx=nginx)
    finally:
        for probe in probes:
            probe.close()


def open_world(folder: Path) -> Iterator[RunningWorld]:
    """Lay and run a world until the generator is closed.

    NOTE: the one place where tests read the wall clock: real servers check real dates.
    """
    with RunningWorld(folder, free_ports(), now=datetime.now(UTC)) as world:
        yield world
