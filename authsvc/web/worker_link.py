"""What a supervisor and its workers say to each other, over one socket pair for each worker.

Here: the words, what a worker is given when it is started, and the worker's end. Not here: the supervisor's end
(`supervisor.py`).

The supervisor says single octets (`Command`). A worker says one line, when it is ready: its policy version. The end
of the conversation is the end of the other side, however it came: no process outlives the one it belongs to.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Final, Self

__all__ = ["Command", "SupervisorLink", "WorkerArguments"]

_ORPHAN_SECONDS: Final = 15.0
"""How long a worker without supervisor may drain before it ends at once: as long as a supervisor gives it."""


class Command(Enum):
    """What a worker is told."""

    RELOAD = b"R"
    DRAIN = b"D"
    CUT = b"C"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerArguments:
    """What a worker is given on its command line; numbers of open files among them, no secrets.

    `configuration`: path of `authsvc.yaml`. `number`: which worker this is, from 0. `again`: whether one of this
    number was there before. `places`: what the sockets were bound for (`serving.name_places`). `sockets`: file
    descriptors by the name of their listener. `link`: of the socket pair. `figures`: the slot of each worker
    (`shared_figures.py`). `connections`: the counts of all (`sharing.py`).
    """

    configuration: str
    number: int
    again: bool
    places: str
    sockets: Mapping[str, tuple[int, ...]]
    link: int
    figures: tuple[int, ...]
    connections: int

    def to_text(self) -> str:
        """Return the command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` returned."""
        told = json.loads(text)
        sockets = {name: tuple(found) for name, found in told.pop("sockets").items()}
        return cls(sockets=sockets, figures=tuple(told.pop("figures")), **told)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Every file that the worker must inherit."""
        return (
            *(each for found in self.sockets.values() for each in found),
            self.link,
            *self.figures,
            self.connections,
        )


class SupervisorLink:
    """A worker's end. It listens in a thread from the beginning, because a start may take its time.

    When the supervisor is gone, the worker drains; one that is not serving yet, or does not come to an end, is ended.

    Args:
        link: the socket.

    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._act: Callable[[Command], None] | None = None
        self._waiting: list[Command] = []
        threading.Thread(target=self._listen, name="supervisor", daemon=True).start()

    def tell_ready(self, policy_version: str) -> None:
        """Say that this worker accepts connections."""
        try:
            self._link.sendall(policy_version.encode("ascii") + b"\n")
        except OSError:
            return  # the supervisor is gone, which the thread notices too

    def obey(self, act: Callable[[Command], None]) -> None:
        """Hand over what the supervisor says from now on, and what it has said before.

        Args:
            act: called from another thread; must not block.

        """
        with self._lock:
            self._act = act
            for command in self._waiting:
                act(command)
            self._waiting.clear()

    def _listen(self) -> None:
        try:
            while octet := self._link.recv(1):
                self._tell(Command(octet))
        except ConnectionError:
            pass  # it ended with something of ours unread: the end all the same
        if self._act is not None:
            self._tell(Command.DRAIN)
            time.sleep(_ORPHAN_SECONDS)
        os._exit(1)

    def _tell(self, command: Command) -> None:
        with self._lock:
            if self._act is None:
                self._waiting.append(command)
            else:
                self._act(command)
