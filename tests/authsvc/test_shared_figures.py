"""What workers tell each other of their figures: slots in shared memory, and what is made of them."""

import logging
import os
from collections.abc import Iterator

import pytest

from authsvc.operations.shared_figures import FigureSlot, SharedFigures, make_slot_file

HITS, STATE = "authsvc_decision_cache_hits_total", "authsvc_directory_watch_state"
LIVE = ("Corp", "syncrepl", "live")
AREA = 1_048_576


class Clock:
    """The clock that all processes of a machine share."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    made = make_slot_file(), make_slot_file()
    yield made
    for file in made:
        os.close(file)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def hits(number: float) -> dict[str, dict[tuple[str, ...], float]]:
    return {HITS: {(): number}}


# --- a slot


def test_what_one_process_writes_another_reads(files: tuple[int, int]) -> None:
    writing, reading = FigureSlot(files[0]), FigureSlot(files[0])
    assert reading.read() == b""
    for text in (b"one", b"two, longer", b"3"):
        writing.write(text)
        assert text == reading.read()
    assert FigureSlot(files[0]).read() == b"3"


@pytest.mark.parametrize("damaged", [0, 1, 20, 30], ids=["number", "number too", "check sum", "text"])
def test_half_a_writing_leaves_the_one_before(files: tuple[int, int], damaged: int) -> None:
    """The process was killed in the middle of it."""
    writing = FigureSlot(files[0])
    writing.write(b"the first text")
    writing.write(b"the second text")
    place = damaged  # the second writing has an even number: it is in the first area
    (before,) = os.pread(files[0], 1, place)
    os.pwrite(files[0], bytes([before ^ 0xFF]), place)
    assert FigureSlot(files[0]).read() == b"the first text"


def test_a_length_that_is_none_is_not_believed(files: tuple[int, int]) -> None:
    os.pwrite(files[0], (2).to_bytes(8, "little") + b"\xff" * 8 + b"text", 0)
    assert FigureSlot(files[0]).read() == b""


def test_the_next_writer_goes_on_where_the_last_ended(files: tuple[int, int]) -> None:
    reading = FigureSlot(files[0])
    FigureSlot(files[0]).write(b"of the first process")
    assert reading.read() == b"of the first process"
    FigureSlot(files[0]).write(b"of the second")
    assert reading.read() == b"of the second"


def test_a_text_that_is_too_long_is_refused_and_the_last_stays(files: tuple[int, int]) -> None:
    slot = FigureSlot(files[0])
    slot.write(b"short")
    with pytest.raises(OSError, match="expected at most 1048576 bytes of figures, found 1048576"):
        slot.write(b"x" * AREA)
    assert FigureSlot(files[0]).read() == b"short"


# --- of all workers


def test_every_worker_tells_the_figures_of_all(files: tuple[int, int], clock: Clock) -> None:
    one, other = (SharedFigures(files, number, monotonic=clock) for number in range(2))
    one.publish(hits(3), "v1")
    assert {(): 7} == other.together(hits(4), "v1")[HITS]
    assert {(): 8} == one.together(hits(4), "v1")[HITS]


def test_a_new_worker_goes_on_counting_where_the_one_before_ended(
    files: tuple[int, int], clock: Clock
) -> None:
    SharedFigures(files, 0, monotonic=clock).publish(hits(3), "v1")
    other = SharedFigures(files, 1, monotonic=clock)
    again = SharedFigures(files, 0, monotonic=clock)
    assert {(): 3} == other.together({}, "v1")[HITS]
    again.publish(hits(0), "v1")
    assert {(): 3} == other.together({}, "v1")[HITS]
    again.publish(hits(2), "v1")
    assert {(): 5} == other.together({}, "v1")[HITS]


def test_a_gauge_of_a_silent_worker_does_not_count_and_its_counters_do(
    files: tuple[int, int], clock: Clock
) -> None:
    one, other = (SharedFigures(files, number, monotonic=clock) for number in range(2))
    one.publish(hits(3) | {STATE: {LIVE: 1.0}}, "v1")
    own: dict[str, dict[tuple[str, ...], float]] = {STATE: {LIVE: 0.0}}
    assert {LIVE: 1.0} == other.together(own, "v1")[STATE]
    clock.now += 2.1
    told = other.together(own, "v1")
    assert ({LIVE: 0.0}, {(): 3}) == (told[STATE], told[HITS])


def test_figures_that_cannot_be_shared_are_logged_once_and_told_all_the_same(
    files: tuple[int, int], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    figures = SharedFigures(files, 0, monotonic=clock)
    endless: dict[str, dict[tuple[str, ...], float]] = {HITS: {("x" * AREA,): 1.0}}
    with caplog.at_level(logging.ERROR, "authsvc.figures"):
        for _ in range(2):
            assert endless[HITS] == figures.together(endless, "v1")[HITS]
    assert ["figures_not_shared"] == [record.getMessage() for record in caplog.records]


# --- warnings


def test_a_worker_that_is_silent_is_warned_of(files: tuple[int, int], clock: Clock) -> None:
    one, other = (SharedFigures(files, number, monotonic=clock) for number in range(2))
    one.publish({}, "v1")
    (warning,) = one.warnings()
    assert warning.startswith("1 of 2 workers are silent")
    other.publish({}, "v1")
    assert one.warnings() == []
    clock.now += 1.9
    one.publish({}, "v1")
    assert one.warnings() == []
    clock.now += 0.2
    assert one.warnings() == [warning]


def test_workers_under_different_configurations_are_warned_of(files: tuple[int, int], clock: Clock) -> None:
    one, other = (SharedFigures(files, number, monotonic=clock) for number in range(2))
    one.publish({}, "v1")
    other.publish({}, "v2")
    expected = ["workers answer under different configurations: `v1`, `v2`; reload"]
    assert expected == one.warnings() == other.warnings()
    one.publish({}, "v2")
    assert one.warnings() == []
