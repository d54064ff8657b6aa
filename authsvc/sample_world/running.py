"""The servers of the sample world, started and stopped together: slapd, authsvc, the application, nginx.

Each is a child process in the foreground, stopped by its process id. `demo` runs all of them for people; the
tests run the same ones and kill them one by one.
"""

import contextlib
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from authsvc.sample_world.errors import WorldError
from authsvc.sample_world.nginx import NginxServer
from authsvc.sample_world.processes import (
    find_busy_port,
    listens_on,
    read_tail,
    start_process,
    stop_process,
    wait_for_port,
    wait_for_socket,
)
from authsvc.sample_world.slapd import SlapdServer
from authsvc.sample_world.world import (
    Ports,
    Story,
    lay_world,
    read_stories,
    write_configuration,
    write_world_json,
)

__all__ = ["RunningWorld"]

_DECLARATIONS = (("primary.yaml", ()), ("acme-west.yaml", ("--directory", "Acme West")))
"""What `authsvc apply` is given, and for which directory."""

_LONGEST_FOLDER = 80
"""Octets of the folder's path: a unix socket's path has 107 at most (unix(7)), and ours end in
`/run/application.sock`."""


class RunningWorld:
    """A world laid in a folder, with its servers.

    Args:
        folder: where everything stands.
        ports: where it listens.
        now: the reference instant of its certificates.

    Use it as a context manager: leaving stops every server that still runs.

    Raises:
        MissingProgram: nginx is not installed.
        WorldError: a port is in use, the folder's path is too long, holds something that is no sample world,
            or a world runs there. Then nothing was touched.

    """

    def __init__(self, folder: Path, ports: Ports, *, now: datetime) -> None:
        self.folder = folder.resolve()
        self.ports = ports
        self._require_room()
        NginxServer.find_program()
        laid = lay_world(folder, now=now)
        self.slapd = SlapdServer(
            self.folder / "slapd",
            ldif=laid.airius_ldif,
            suffix="o=airius.com",
            reader_password=laid.airius_password,
        )
        self.nginx = NginxServer(self.folder, port=ports.nginx)
        self._authsvc: subprocess.Popen[bytes] | None = None
        self._application: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        """The world's `authsvc.yaml`."""
        return self.folder / "authsvc.yaml"

    def __enter__(self) -> Self:
        """Start everything, in the order of dependence.

        Raises:
            SlapdError: slapd is not installed, or did not start.
            WorldError: something else did not start. Nothing is left running.

        """
        try:
            self.slapd.start()
            write_configuration(self.folder, self.ports, airius_url=self.slapd.url)
            self._apply_declarations()
            write_world_json(self.folder, self.stories())
            self.start_authsvc()
            self._start_application()
            self.nginx.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop every server that still runs."""
        self.stop()

    def stories(self) -> list[Story]:
        """Return the stories with their curl lines."""
        return read_stories(self.folder, self.ports)

    def start_authsvc(self) -> None:
        """Start `authsvc serve` and wait until it listens."""
        log = self.folder / "logs" / "authsvc.log"
        self._authsvc = start_process(self._command("serve"), log=log)
        # Every socket is bound before any is accepted from: one that answers means that all do.
        wait_for_port(self.ports.api, self._authsvc, name="authsvc", log=log)

    def stop_authsvc(self) -> None:
        """Stop authsvc alone; the web server stays."""
        if self._authsvc is not None:
            stop_process(self._authsvc)
            self._authsvc = None

    def wait(self, seconds: float) -> str | None:
        """Wait; return the name of a server that ended meanwhile, or None."""
        assert self._authsvc is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._authsvc.wait(seconds)
            return "authsvc"
        if self._application is not None and self._application.poll() is not None:
            return "application"
        return "nginx" if self.nginx.has_ended else None

    def stop(self) -> None:
        """Stop every server that still runs, the web server first."""
        self.nginx.stop()
        self.stop_authsvc()
        if self._application is not None:
            stop_process(self._application)
            self._application = None
        self.slapd.stop()

    def _apply_declarations(self) -> None:
        """Fill both sql directories, at the same time: each takes two seconds, nearly all of them Python's start."""
        with contextlib.ExitStack() as whatever_happens:
            started = []
            for file, options in _DECLARATIONS:
                command = self._command("apply", str(self.folder / file), "--yes", *options)
                log = self.folder / "logs" / f"apply-{file}.log"
                process = start_process(command, log=log)
                whatever_happens.callback(stop_process, process)
                started.append((file, process, log))
            for file, process, log in started:
                if process.wait() != 0:
                    raise WorldError(f"`authsvc apply {file}` failed: {read_tail(log)}")

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "authsvc", "--config", str(self.configuration), *arguments]

    def _start_application(self) -> None:
        log = self.folder / "logs" / "application.log"
        socket = self.folder / "run" / "application.sock"
        options = ["--uds", str(socket), "--log-level", "warning", "--no-proxy-headers"]
        command = [sys.executable, "-m", "uvicorn", "authsvc.sample_world.application:application", *options]
        self._application = start_process(command, log=log)
        wait_for_socket(socket, self._application, name="the application", log=log)

    def _require_room(self) -> None:
        """Refuse what would fail later, or would harm a world that runs, before anything is touched."""
        if len(os.fsencode(self.folder)) > _LONGEST_FOLDER:
            raise WorldError(
                f"the path `{self.folder}` is too long for the sockets in it: name a folder of at most "
                f"{_LONGEST_FOLDER} characters"
            )
        if listens_on(self.folder / "run" / "nginx.sock"):
            raise WorldError(f"a sample world runs in `{self.folder}`: end it, or name another folder")
        busy = find_busy_port((self.ports.api, self.ports.edge, self.ports.direct, self.ports.nginx))
        if busy is not None:
            raise WorldError(f"port {busy} of 127.0.0.1 is in use: name others with --port")
