"""`/auth` answered by one process and by `serve --workers 2`, in turn, in one run.

Prints requests per second (median of several rounds), the ratio, and the processor time of a request, which other work
on the machine changes least: what more cores can bring is bounded by how little it grows with two. Warm and cold as in
`auth.py`, whose world this is. Each worker has a verdict cache of its own, so that with two a certificate is decided
twice before it is warm in both. Prints too how long it takes from a changed ACL, and from a new revocation list in its
file, until both workers refuse.

Needs wrk. Usage: PYTHONPATH=.:benchmarks python benchmarks/workers.py [--people N] [--seconds S] [--rounds N]
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import auth

from authsvc.access.levels import Level
from tests.support.pki import Issued
from tests.support.service import acl, lay_place, world
from tests.support.workers import Connection, supervised

_CONNECTIONS = 16


def _measure(
    folder: Path, ports: dict[str, int], workers: int, seconds: float, people: int
) -> dict[str, float]:
    serve = [sys.executable, "-m", "authsvc", "--config", str(folder / "authsvc.yaml"), "serve"]
    log = folder / f"authsvc-{workers}.log"
    log.unlink(missing_ok=True)
    ours = auth.start([*serve, "--workers", str(workers)], ports["edge"], log)
    try:
        while '"event": "ready"' not in log.read_text():  # until then only one may answer
            if ours.poll() is not None:
                raise SystemExit(f"it ended: {log.read_text()}")
            time.sleep(0.05)
        # Short enough that no certificate comes twice: a second time would be warm.
        begin = _processor_seconds(ours.pid)
        cold = auth.wrk(ports["edge"], folder / "cold.txt", min(seconds, 2), _CONNECTIONS)
        after_cold = _processor_seconds(ours.pid)
        if cold["requests"] > people:
            raise SystemExit(f"{cold['requests']:.0f} cold requests for {people} people: use --people")
        warm = auth.wrk(ports["edge"], folder / "warm.txt", seconds, _CONNECTIONS)
        after_warm = _processor_seconds(ours.pid)
    finally:
        ours.terminate()
        ours.wait()
    return {
        "cold": cold["rate"],
        "warm": warm["rate"],
        "cold_p99_ms": cold["p99_ms"],
        "warm_p99_ms": warm["p99_ms"],
        "cold_processor_ms": (after_cold - begin) / cold["requests"] * 1e3,
        "warm_processor_ms": (after_warm - after_cold) / warm["requests"] * 1e3,
    }


def _processor_seconds(pid: int) -> float:
    """Return what a process and its children have computed so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    spent = 0
    for each in (str(pid), *children):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def _lags(rounds: int) -> dict[str, list[float]]:
    """Return the seconds from a change until both workers refuse."""
    found: dict[str, list[float]] = {"acl": [], "revocation list file": []}
    dave, max_ = world().people["dave"], world().people["max"]
    readers = [acl(f"{name}/Renovations", Level.READER) for name in ("Dave Lawson", "Max Manager")]
    with tempfile.TemporaryDirectory(prefix="authsvc-") as name:
        place = lay_place(Path(name))
        place.put_database("sales.nsf", *readers)
        with supervised(place) as running:
            each = list(running.connect_to_each().values())
            for number in range(rounds):
                found["acl"].append(
                    _seconds(lambda: place.put_database("sales.nsf", readers[1]), each, dave, 403)
                )
                _seconds(lambda: place.put_database("sales.nsf", *readers), each, dave, 200)
                revoked, renewed = (
                    world().crl(*who, number=2 * number + 2 + later)
                    for later, who in enumerate(((max_,), ()))
                )
                found["revocation list file"].append(
                    _seconds(lambda text=revoked: place.write("issuing.crl", text), each, max_, 401)  # type: ignore[misc]
                )
                _seconds(lambda text=renewed: place.write("issuing.crl", text), each, max_, 200)  # type: ignore[misc]
    return {what: sorted(round(one, 3) for one in seconds) for what, seconds in found.items()}


def _seconds(change: Callable[[], object], each: list[Connection], who: Issued, status: int) -> float:
    """Change something; return how long it took until every worker answers with a status."""
    change()
    begin = time.monotonic()
    while {status} != {connection.ask(who) for connection in each}:
        pass
    return time.monotonic() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ports = {"api": auth.free_port(), "edge": auth.free_port()}
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        auth.lay(folder, options.people, ports)
        for number in range(options.rounds):
            order = (1, 2) if number % 2 == 0 else (2, 1)
            found = {
                workers: _measure(folder, ports, workers, options.seconds, options.people)
                for workers in order
            }
            rounds.append((found[1], found[2]))
    result = {
        "one": {key: round(statistics.median(one[key] for one, _two in rounds), 3) for key in rounds[0][0]},
        "two": {key: round(statistics.median(two[key] for _one, two in rounds), 3) for key in rounds[0][0]},
        "ratios": {
            key: sorted(round(two[key] / one[key], 2) for one, two in rounds) for key in ("warm", "cold")
        },
        "seconds_until_every_worker_refuses": _lags(options.rounds),
        "conditions": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "connections": _CONNECTIONS,
            "load": "wrk on the same cores",
            "load_average": os.getloadavg(),
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
