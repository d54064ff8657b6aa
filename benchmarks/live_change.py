"""Measure how long a change in a directory takes to end an access that a running service remembers.

Run by hand: `.venv/bin/python benchmarks/live_change.py [TIMES]`. For each kind of directory a real server and a real
service, with somebody's allow in the verdict cache. The clock runs from when the server has accepted the change until
the first answer that is a refusal, asked for without a pause. Printed are milliseconds over all rounds.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from authsvc.access.databases import DatabaseTarget
from authsvc.access.entries import AclEntry
from authsvc.access.levels import Level
from authsvc.access.requirements import Requirement
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed
from authsvc.operations.service import Service
from authsvc.presented.presentation import PresentedCertificate
from directory_assistance.watching import WatchState
from tests.support.kinds import Kinds
from tests.support.living import LIVING, Living, living
from tests.support.postgresql import PostgresqlServer
from tests.support.service import lay_place, serving_service, world

_VERA = world().issue("Vera Vine")
_MAY = DecisionRequest(
    presentation=PresentedCertificate(der=_VERA.der),
    front_end=FrontEndPolicy(name="nginx"),
    target=DatabaseTarget(database="sales.nsf", requirement=Requirement(level=Level.READER)),
)
_LONGEST_SECONDS = 10.0


async def _allowed(service: Service) -> bool:
    verdict = service.decider.cached(_MAY) or await service.decider.decide(_MAY)
    return isinstance(verdict, Allowed)


async def _until(service: Service, *, allowed: bool) -> float:
    """Ask until the answer is so; return the milliseconds."""
    began = time.perf_counter()
    while await _allowed(service) is not allowed:
        if time.perf_counter() - began > _LONGEST_SECONDS:
            return float("inf")
        await asyncio.sleep(0)
    return (time.perf_counter() - began) * 1000


async def _measure(service: Service, vera: Living, times: int) -> dict[str, list[float]]:
    changes: dict[str, Callable[[], None]] = {
        "disabled": vera.disable,
        "removed": vera.remove,
        "certificate taken": vera.take_certificate,
        "left the group": vera.leave_group,
    }
    found: dict[str, list[float]] = {name: [] for name in changes}
    for _each in range(times):
        for name, change in changes.items():
            await asyncio.to_thread(vera.reset)
            await _until(service, allowed=True)
            assert service.decider.cached(_MAY) is not None or await _allowed(service)
            await asyncio.to_thread(change)
            found[name].append(await _until(service, allowed=False))
    return found


def main() -> None:
    """Measure every kind."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print("| kind | change | median ms | 95 % ms | longest ms |")
    print("|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as text,
        PostgresqlServer() as postgresql,
        Kinds(Path(text), postgresql) as kinds,
    ):
        for name in LIVING:
            folder = Path(text) / f"service-{LIVING.index(name)}"
            folder.mkdir()
            place = lay_place(folder)
            place.put_database(
                "sales.nsf",
                AclEntry.parse(name="Vets@Acme", level=Level.READER, type="person group", roles=()),
            )
            with living(name, folder, _VERA, kinds, postgresql) as vera:
                place.configure_directories(domains=[dict(vera.domain)])
                vera.reset()
                with serving_service(place) as service:
                    service.start()
                    while any(each.status.state is not WatchState.LIVE for each in service.figures().watches):
                        time.sleep(0.05)
                    found = asyncio.run(_measure(service, vera, times))
            for change, each in found.items():
                tail = sorted(each)[max(0, round(0.95 * len(each)) - 1)]
                print(
                    f"| {name} | {change} | {statistics.median(each):.1f} | {tail:.1f} | {max(each):.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
