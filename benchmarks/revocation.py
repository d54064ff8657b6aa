"""Revocation lists of a million entries: indexing, looking up, and what an event loop feels of it.

By hand: `PYTHONPATH=. .venv/bin/python benchmarks/revocation.py [ENTRIES]`. It makes a list of random serial numbers
of 16 octets with a reason each (49 MB for a million) in a temporary folder. Then, for each figure the median of five
runs:

* a child process maps the list into memory, indexes it and writes the index to a file: seconds, and how much its
  largest resident memory grew (the pages of the list among it);
* meanwhile a timer of one millisecond in the event loop of the parent: how late it was in 99.9 % of the cases, and
  the same without the child, in turn;
* the index is mapped: milliseconds until it can be asked, microseconds for a serial number in it, and for one that is
  not, both in random order, the empty loop taken off.
"""

import asyncio
import mmap
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from authsvc.sample_world.pki import Authority
from authsvc.trust.crl import RevocationList, index_crl
from tests.support.lists import entry, list_of_entries

_ROUNDS = 5
_LOOK_UPS = 100_000
_TICK = 0.001
_IDLE_SECONDS = 3.0
_SUPERSEDED = bytes.fromhex("300c300a0603551d1504030a0104")
_BITS = 127
_SEED = 5280


def _serials(count: int, seed: int) -> list[int]:
    chance = random.Random(seed)  # noqa: S311 - the same figures each time, no secret
    return [chance.getrandbits(_BITS) | 1 << (_BITS - 1) for _ in range(count)]


def _largest_memory() -> float:
    """Return the largest resident memory that this process had, in megabytes (rusage would have the parent's too)."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")
    )
    return int(line.split()[1]) * 1024 / 1e6


def _child(source: Path, target: Path) -> None:
    """Index a list, and print seconds, seconds of computing and megabytes."""
    before = _largest_memory()
    started, computed = time.perf_counter(), time.process_time()
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        index = index_crl(mapped)
    seconds, computed = time.perf_counter() - started, time.process_time() - computed
    grown = _largest_memory() - before
    target.write_bytes(index)
    print(seconds, computed, grown)


async def _index(source: Path, target: Path) -> list[float]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--child", str(source), str(target), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    return [float(figure) for figure in output.split()]


async def _lateness(work: Callable[[], Awaitable[object]]) -> tuple[float, object]:
    """Return by how many milliseconds a timer was late, in 99.9 % of the cases, while something went on."""
    late: list[float] = []
    task = asyncio.ensure_future(work())
    while not task.done():
        begun = time.perf_counter()
        await asyncio.sleep(_TICK)
        late.append((time.perf_counter() - begun - _TICK) * 1e3)
    return sorted(late)[int(len(late) * 0.999)], task.result()


def _microseconds(look_up: Callable[[int], object], serials: list[int]) -> float:
    started = time.perf_counter()
    for serial in serials:
        look_up(serial)
    return (time.perf_counter() - started) / len(serials) * 1e6


def _measure_look_ups(path: Path, listed: list[int]) -> None:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    started = time.perf_counter()
    crl = RevocationList.from_index(mapped, source="benchmark")
    print(f"mapped index of {len(mapped) / 1e6:.0f} MB ready: {(time.perf_counter() - started) * 1e3:.2f} ms")
    chance = random.Random(_SEED)  # noqa: S311 - as above
    issuer = crl.issuer_key
    for name, serials in (
        (
            "in the list",
            [serial + 0 for serial in chance.sample(listed, _LOOK_UPS)],
        ),  # new numbers, as they come
        ("not in the list", _serials(_LOOK_UPS, _SEED + 1)),
    ):
        nothing = statistics.median(_microseconds(lambda _: None, serials) for _ in range(_ROUNDS))
        figures = [
            _microseconds(lambda serial: crl.find(serial, issuer), serials) - nothing for _ in range(_ROUNDS)
        ]
        print(f"look-up, {name}: median {statistics.median(figures):.2f} µs, best {min(figures):.2f} µs")


async def _measure_indexing(source: Path, target: Path) -> None:
    seconds, computing, megabytes, beside, idle = [], [], [], [], []
    for _ in range(_ROUNDS):
        late, _ = await _lateness(lambda: asyncio.sleep(_IDLE_SECONDS))
        idle.append(late)
        late, figures = await _lateness(lambda: _index(source, target))
        assert isinstance(figures, list)
        beside.append(late)
        for column, figure in zip((seconds, computing, megabytes), figures, strict=True):
            column.append(figure)
    print(f"indexing: median {statistics.median(seconds):.2f} s, best {min(seconds):.2f} s, ", end="")
    print(f"computing {statistics.median(computing):.2f} s")
    print(f"largest resident memory of the child: {statistics.median(megabytes):.0f} MB more than before")
    print(f"timer of 1 ms, p99.9 late: idle {statistics.median(idle):.2f} ms, ", end="")
    print(f"beside it {statistics.median(beside):.2f} ms")


def main() -> None:
    """Make the list, and measure."""
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    listed = _serials(count, _SEED)
    root = Authority.root(now=datetime(2026, 3, 1, tzinfo=UTC))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "large.crl", Path(folder) / "large.index"
        dates = [
            b"\x17\x0d2602%02d%02d%02d%02dZ" % (n % 28 + 1, n % 24, n % 60, n % 59) for n in range(100_000)
        ]
        entries = (entry(serial, dates[n % len(dates)], _SUPERSEDED) for n, serial in enumerate(listed))
        source.write_bytes(list_of_entries(root, entries))
        print(f"list of {count} entries, {source.stat().st_size / 1e6:.0f} MB")
        asyncio.run(_measure_indexing(source, target))
        _measure_look_ups(target, listed)


if __name__ == "__main__":
    main()
