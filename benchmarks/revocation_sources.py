"""Measure how long a new revocation list takes to end an access that a running service remembers.

Run by hand: `PYTHONPATH=. .venv/bin/python benchmarks/revocation_sources.py [TIMES]`. Real services on one folder, with
somebody's allow in the verdict cache of each. *File*: from the renaming of a new list to the first refusal. *Fetched*:
from when an HTTP server has sent a new list to the first refusal of the later of two services, only one of which
fetches. Printed are milliseconds over all rounds.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from authsvc.access.databases import IdentityTarget
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed
from authsvc.operations.service import Service
from authsvc.presented.presentation import PresentedCertificate
from tests.support.list_server import ListServer, Request, body, serving_lists
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


def _main(times: int) -> None:
    rounds: dict[str, list[float]] = {"file": [], "fetched": []}
    with serving_lists() as server:
        for _ in range(times):
            with tempfile.TemporaryDirectory() as folder:
                rounds["file"].append(_file(Path(folder)) * 1000)
            with tempfile.TemporaryDirectory() as folder:
                rounds["fetched"].append(_fetched(Path(folder), server) * 1000)
    for name, found in rounds.items():
        print(f"{name:8} median {statistics.median(found):4.0f} ms, longest {max(found):4.0f} ms")


if __name__ == "__main__":
    _main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
