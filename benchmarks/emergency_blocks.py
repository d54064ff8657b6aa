"""Measure how long an emergency block takes to end an access that two running processes remember.

Run by hand: `.venv/bin/python benchmarks/emergency_blocks.py [TIMES]`. Two real `authsvc serve` on one store, each with
somebody's allow in its verdict cache, each asked over HTTP without a pause by a thread of its own. The clock runs from
when the store has taken the block until the first answer that is a refusal, and is that of the slower process. Printed
are milliseconds over all rounds; the second figure is the same for removing the block.
"""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sqlalchemy import Engine

from authsvc.operations.block_register import BlockRegister, BlockWish
from authsvc.store.schema import open_engine
from authsvc.trust.block_reading import blocked_by_certificate
from authsvc.trust.blocks import BlockKind
from tests.support.postgresql import PostgresqlServer
from tests.support.service import world
from tests.support.store import STORES
from tests.support.two_processes import Asked, TwoProcesses, two_processes

_DAVE = world().people["dave"]
_ALLOWED, _REFUSED = (200, "allowed"), (401, "certificate_revoked")
_WISH = BlockWish(
    blocked=blocked_by_certificate(BlockKind.PUBLIC_KEY, _DAVE.der), reason="measured", owner="x"
)


def _slowest(two: TwoProcesses, expected: tuple[int, str]) -> float:
    """Ask both at once until both answers are so; return the milliseconds of the slower one."""

    def wait(process: Asked) -> float:
        return process.wait_for(_DAVE, expected) * 1000

    with ThreadPoolExecutor(max_workers=2) as threads:
        return max(threads.map(wait, two.both))


def _measure(two: TwoProcesses, engine: Engine, times: int) -> tuple[list[float], list[float]]:
    register = BlockRegister(engine, now=lambda: datetime.now(UTC))
    added, removed = [], []
    _slowest(two, _ALLOWED)
    for number in range(times):
        time.sleep(
            0.037 * number % 0.25
        )  # so that the rounds begin anywhere between two looks at the generation
        block = register.add(_WISH, actor="local:benchmark")
        added.append(_slowest(two, _REFUSED))
        register.remove(block.id, actor="local:benchmark")
        removed.append(_slowest(two, _ALLOWED))
        _slowest(two, _ALLOWED)
    return added, removed


def main() -> None:
    """Measure both kinds of store."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print("| store | change | median ms | longest ms |")
    print("|---|---|---|---|")
    with PostgresqlServer() as postgresql:
        for store in STORES:
            with two_processes(None if store == "SQLite" else postgresql) as two:
                engine = open_engine(two.store_url)
                try:
                    found = _measure(two, engine, times)
                finally:
                    engine.dispose()
            for change, each in zip(("added", "removed"), found, strict=True):
                print(f"| {store} | {change} | {statistics.median(each):.0f} | {max(each):.0f} |", flush=True)


if __name__ == "__main__":
    main()
