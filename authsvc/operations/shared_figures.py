"""What the workers have counted, where each of them can read it: `/metrics` is the same whichever is asked.

Each worker has a slot in memory that all of them have open (a memfd, made by the supervisor). It alone writes it: a
few times a second, and when it is asked. Whoever is asked adds up all slots. No worker waits for another one, or for
the supervisor, so that one that hangs or dies stops nobody's figures.

What lives here: slots, and what to make of them. What does not: which figures there are (`metrics.py`).

Invariants:

* Counters never fall. A slot outlives its worker: the next one begins with what stands in it. What a worker that was
  killed had counted since it wrote last (`PUBLISH_SECONDS`) is lost. Whoever is asked writes its own slot first, so
  that another one that is asked later knows at least as much.
* A slot has two areas that are written in turn, each with its check sum: a worker that is killed while it writes
  leaves the other area whole.
* Gauges count of workers only that have written lately.
"""

import json
import logging
import os
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from authsvc.operations.metrics import Samples, continue_counters, join_samples

__all__ = ["PUBLISH_SECONDS", "FigureSlot", "SharedFigures", "make_slot_file"]

_LOG = logging.getLogger("authsvc.figures")

PUBLISH_SECONDS: Final = 0.25
"""Between two writings: more than Prometheus sees, and the most that a killed worker takes with it."""

_SILENT_SECONDS: Final = 2.0
"""A worker that has not written for so long, eight times in a row, is starting, hangs, or is gone."""

_AREA_BYTES: Final = 1_048_576
"""Of one area. The figures of a large configuration (50 front ends, 100 directories) take a tenth of it; memory that
is not written to does not exist."""

_HEAD: Final = struct.Struct("<QII")
"""Of an area: number of the writing, length and check sum of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a worker wrote: when (the clock that all processes of a machine share), under which configuration."""

    at: float
    policy_version: str
    samples: Samples


_NOTHING: Final = _Told(at=float("-inf"), policy_version="", samples={})


def make_slot_file() -> int:
    """Return the file descriptor of a new slot, in memory, without a name; closed at exec unless passed on."""
    return os.memfd_create("authsvc-figures")


class FigureSlot:
    """The figures of one worker, in a file that all of them have open.

    Args:
        file: the descriptor; from `make_slot_file`, in whichever process.

    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._number = 0
        self._text = b""
        self.read()

    def write(self, text: bytes) -> None:
        """Replace the text; of one process.

        Raises:
            OSError: it is too long, or the machine has no memory.

        """
        if _HEAD.size + len(text) > _AREA_BYTES:
            raise OSError(f"expected at most {_AREA_BYTES} bytes of figures, found {len(text)}")
        number = self._number + 1
        area = _HEAD.pack(number, len(text), _check_sum(number, text)) + text
        written = os.pwrite(self._file, area, number % 2 * _AREA_BYTES)
        if written != len(area):
            raise OSError(f"wrote {written} of {len(area)} bytes of figures")
        self._number, self._text = number, text

    def read(self) -> bytes:
        """Return the newest whole text, empty before the first; one that is being written is not whole yet."""
        for offset in (0, _AREA_BYTES):
            head = os.pread(self._file, _HEAD.size, offset)
            if len(head) < _HEAD.size:
                continue
            number, length, check_sum = _HEAD.unpack(head)
            if number <= self._number or length > _AREA_BYTES - _HEAD.size:
                continue
            text = os.pread(self._file, length, offset + _HEAD.size)
            if check_sum == _check_sum(number, text):
                self._number, self._text = number, text
        return self._text


class SharedFigures:
    """All slots, as one of the workers sees them; of its event loop alone.

    Args:
        files: the slots of all workers, in their order.
        own: which of them is this worker's.
        monotonic: a clock that all processes of the machine share, in seconds.

    """

    def __init__(
        self, files: Sequence[int], own: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = tuple(map(FigureSlot, files))
        self._own = own
        self._monotonic = monotonic
        self._total = _read(self._slots[own]).samples  # what its predecessors have counted
        self._last: Samples = {}
        self._problem = ""

    def publish(self, samples: Samples, policy_version: str) -> None:
        """Write this worker's samples into its slot. What cannot be written is logged, once when that begins."""
        self._total, self._last = continue_counters(self._total, self._last, samples), samples
        try:
            self._slots[self._own].write(_text(self._monotonic(), policy_version, self._total))
        except OSError as error:
            if not self._problem:
                _LOG.error("figures_not_shared", extra={"problem": error.strerror or str(error)})
            self._problem = str(error)
        else:
            self._problem = ""

    def together(self, samples: Samples, policy_version: str) -> Samples:
        """Return the figures of all workers, those of this one being `samples` now."""
        self.publish(samples, policy_version)
        others = [_read(slot) for number, slot in enumerate(self._slots) if number != self._own]
        since = self._monotonic() - _SILENT_SECONDS
        return join_samples(
            [self._total, *(told.samples for told in others)],
            [samples, *(told.samples for told in others if told.at >= since)],
        )

    def warnings(self) -> list[str]:
        """Return what an operator should know of the workers; of `/readyz`."""
        told = [_read(slot) for slot in self._slots]
        since = self._monotonic() - _SILENT_SECONDS
        living = [each for each in told if each.at >= since]
        found = []
        if len(living) < len(told):
            found.append(
                f"{len(told) - len(living)} of {len(told)} workers are silent: they are starting, or see"
                " `worker_ended` in the log"
            )
        versions = sorted({each.policy_version for each in living})
        if len(versions) > 1:
            named = ", ".join(f"`{version}`" for version in versions)
            found.append(f"workers answer under different configurations: {named}; reload")
        return found


def _check_sum(number: int, text: bytes) -> int:
    return zlib.crc32(text, number & 0xFFFF_FFFF)


def _text(at: float, policy_version: str, samples: Samples) -> bytes:
    flat = [[name, labels, value] for name, values in samples.items() for labels, value in values.items()]
    return json.dumps([at, policy_version, flat], separators=(",", ":")).encode("ascii")


def _read(slot: FigureSlot) -> _Told:
    text = slot.read()
    if not text:
        return _NOTHING
    at, policy_version, flat = json.loads(text)
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    for name, labels, value in flat:
        samples.setdefault(name, {})[tuple(labels)] = value
    return _Told(at=at, policy_version=policy_version, samples=samples)
