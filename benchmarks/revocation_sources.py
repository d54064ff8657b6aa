"""Measure how long a new revocation list takes to end an access that a running service remembers.

Run by hand: `PYTHONPATH=. .venv/bin/python benchmarks/revocation_sources.py [TIMES]`. Real services on one folder, with
somebody's allow in the verdict cache of each. *File*: from the renaming of a new list to the first refusal. *Fetched*:
from when an HTTP server has sent a new list to the first refusal of the later of two services, only one of which
fetches. Printed are milliseconds over all rounds. *Large*: a list of a million entries in a file: from the renaming to
the new snapshot, how late a timer of one millisecond on an event loop of the same process is meanwhile, against the
same timer before, and how much memory the process has grown by. Then a start with the list in the cache.
"""

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from authsvc.access.databases import IdentityTarget
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed
from authsvc.operations.service import Service
from authsvc.operations.trust_files import TrustFiles
from authsvc.presented.presentation import PresentedCertificate
from tests.support.fetched import TrustFolder
from tests.support.list_server import ListServer, Request, body, serving_lists
from tests.support.lists import entry, list_of_entries
from tests.support.service import Place, lay_place, serving_service, world

_WHO = DecisionRequest(
    presentation=PresentedCertificate(der=world().people["dave"].der),
    front_end=FrontEndPolicy(name="nginx"),
    target=IdentityTarget(),
)
_LONGEST_SECONDS = 10.0


async def _allowed(service: Service) -> bool:
    verdict = service.decider.cached(_WHO) or await service.decider.decide(_WHO)
    return isinstance(verdict, Allowed)


async def _until(services: list[Service], *, allowed: bool) -> float:
    """Ask all of them until each answers so; return when that was."""
    end = time.perf_counter() + _LONGEST_SECONDS
    for service in services:
        while await _allowed(service) is not allowed:
            if time.perf_counter() > end:
                return float("inf")
            await asyncio.sleep(0)
    return time.perf_counter()


def _file(folder: Path) -> float:
    place = lay_place(folder)
    with serving_service(place) as service:
        service.start()
        asyncio.run(_until([service], allowed=True))
        time.sleep(0.1)  # somewhere between two looks
        fresh = world().crl(world().people["dave"], number=2)
        began = time.perf_counter()
        place.write("issuing.crl", fresh)
        return asyncio.run(_until([service], allowed=False)) - began


def _fetched(folder: Path, server: ListServer) -> float:
    """The services know an older list from the file, and fetch the new one when they start to watch."""
    sent: list[float] = []
    place = lay_place(folder)
    whole = body(world().crl(world().people["dave"], number=2).encode())

    def answer(request: Request, lists: ListServer) -> Iterator[bytes]:
        yield from whole(request, lists)
        sent.append(time.perf_counter())

    server.answers["/ca.crl"] = answer
    _configure(place, server)
    with ExitStack() as opened:
        services = [opened.enter_context(serving_service(place)) for _ in range(2)]
        asyncio.run(_until(services, allowed=True))
        for service in services:
            service.start()
        refused = asyncio.run(_until(services, allowed=False))
    assert len(sent) == 1, "one of them fetches"
    return refused - sent[0]


def _configure(place: Place, server: ListServer) -> None:
    place.configure(
        trust={
            "anchors": [{"name": "corp", "file": "root.pem"}],
            "intermediates": ["issuing.pem"],
            "revocation": {
                "crls": ["root.crl", "issuing.crl", server.url("/ca.crl")],
                "fetch": {"private_networks": ["127.0.0.0/8", "::1"]},
            },
        }
    )


async def _lateness(until: threading.Event, longest: float) -> list[float]:
    """Return by how many milliseconds each tick of a timer of one was late, until something or for so many seconds."""
    late: list[float] = []
    end = time.perf_counter() + longest
    while not until.is_set() and time.perf_counter() < end:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - began) * 1000 - 1)
    return late


def _tail(late: list[float]) -> float:
    return sorted(late)[min(int(len(late) * 0.999), len(late) - 1)]


def _large(folder: Path) -> None:
    place = TrustFolder(path=folder)
    path = place.write("issuing.crl", place.world.issuing.crl().der)
    settings = place.settings(paths=[folder / "root.crl", path])
    entries = (entry((0x7F << 120) + each * 0x9E3779B97F4A7C15) for each in range(1_000_000))
    octets = list_of_entries(place.world.issuing, entries)
    changed = threading.Event()
    files = TrustFiles(settings, serving=True, now=place.clock, on_change=lambda _: changed.set())
    files.start()
    idle = asyncio.run(_lateness(changed, 5))
    before = _resident()
    began = time.perf_counter()
    place.write("issuing.crl", octets)
    busy = asyncio.run(_lateness(changed, 120))
    took = time.perf_counter() - began
    print(
        f"large    {len(octets) / 1e6:.0f} MB in force after {took:.2f} s, memory {_resident() - before:+d} MB"
    )
    print(
        f"         timer p99.9 {_tail(busy):.1f} ms late, idle {_tail(idle):.1f} ms, most {max(busy):.1f} ms"
    )
    files.stop()
    began = time.perf_counter()
    again = TrustFiles(settings, serving=True, now=place.clock)
    print(f"         cold start with the cache {(time.perf_counter() - began) * 1000:.0f} ms")
    again.stop()


def _resident() -> int:
    """Return the process's own memory in MB, without what is mapped from files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [each for each in status.splitlines() if each.startswith("RssAnon")]
    return int(line.split()[1]) // 1024


def _main(times: int) -> None:
    rounds: dict[str, list[float]] = {"file": [], "fetched": []}
    with serving_lists() as server:
        for _ in range(times):
            with tempfile.TemporaryDirectory() as folder:
                rounds["file"].append(_file(Path(folder)) * 1000)
            with tempfile.TemporaryDirectory() as folder:
                rounds["fetched"].append(_fetched(Path(folder), server) * 1000)
    with tempfile.TemporaryDirectory() as folder:
        _large(Path(folder))
    for name, found in rounds.items():
        print(f"{name:8} median {statistics.median(found):4.0f} ms, longest {max(found):4.0f} ms")


if __name__ == "__main__":
    _main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
