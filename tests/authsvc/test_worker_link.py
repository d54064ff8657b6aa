"""What a supervisor and a worker say to each other; the worker in a process of its own, because it ends it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from authsvc.web.worker_link import WorkerArguments

ARGUMENTS = WorkerArguments(
    configuration="/etc/authsvc/authsvc.yaml",
    number=1,
    again=True,
    places="0123456789ab",
    sockets={"api": (3, 4), "nginx": (5,)},
    link=6,
    figures=(7, 8),
    connections=9,
)

_WORKER = """
import socket, sys, threading
from authsvc.web import worker_link
worker_link._ORPHAN_SECONDS = 0.1
link = worker_link.SupervisorLink(socket.socket(fileno=int(sys.argv[1])))
print("there", flush=True)
if sys.stdin.readline():
    link.obey(lambda command: print(command.name, flush=True))
    link.tell_ready("0123456789ab")
threading.Event().wait()
"""


@contextmanager
def worker() -> "Iterator[tuple[socket.socket, subprocess.Popen[str]]]":
    """Yield the supervisor's end and a worker that says what it obeys, once it has read a line."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            text=True,
        )
        theirs.close()
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield ours, process
        finally:
            process.kill()
            process.communicate()


def test_arguments_arrive_as_they_were_given() -> None:
    assert ARGUMENTS == WorkerArguments.from_text(ARGUMENTS.to_text())


def test_every_file_is_inherited_that_an_argument_names() -> None:
    assert tuple(range(3, 10)) == ARGUMENTS.descriptors


def test_commands_are_obeyed_in_order_those_too_that_came_early() -> None:
    with worker() as (supervisor, process):
        assert process.stdin is not None
        assert process.stdout is not None
        supervisor.sendall(b"R")
        process.stdin.write("\n")
        process.stdin.flush()
        assert supervisor.recv(100) == b"0123456789ab\n"
        supervisor.sendall(b"DC")
        assert ["RELOAD\n", "DRAIN\n", "CUT\n"] == [process.stdout.readline() for _ in range(3)]


def test_a_worker_without_supervisor_drains_and_ends_though_it_hangs() -> None:
    with worker() as (supervisor, process):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert supervisor.recv(100) == b"0123456789ab\n"
        supervisor.close()
        assert process.stdout.readline() == "DRAIN\n"
        assert process.wait(10) == 1


def test_a_worker_that_still_starts_ends_with_its_supervisor_at_once() -> None:
    with worker() as (supervisor, process):
        supervisor.sendall(b"R")
        supervisor.close()
        assert process.wait(10) == 1
