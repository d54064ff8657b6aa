"""A real PostgreSQL for tests: a cluster of its own on loopback, and scratch databases in it.

Invariants:

* It listens on 127.0.0.1 and on a socket in its folder, nowhere else, and asks everybody for the password.
* The database system of the machine, if there is one, is not touched.
* A port is kept over restarts, so that clients may come back to it.

The folder is one of its own below that of temporary files: `postgres` refuses to run as root, and whom it runs as
instead could not enter the private folders of a test run. The data may be lost when the machine loses power.
"""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import psycopg

from tests.support.processes import Server, ServerError, ServerProcess, free_ports, run_to_end

__all__ = ["PostgresqlServer"]

_VERSIONS = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of each major version."""

_USER = "postgres"
"""Whom Debian's package makes for it."""

_SETTINGS = (
    "fsync=off",  # see the module; what was committed still outlives the server's own end
    "full_page_writes=off",
    "autovacuum=off",  # it would hold locks at times of its own choice
    "shared_buffers=16MB",
    "max_connections=60",
)


class PostgresqlServer(Server):
    """One cluster of databases; a context manager that starts and stops it."""

    def __init__(self) -> None:
        self._programs = _newest_programs()
        self._password = secrets.token_urlsafe(16)
        self._port = 0
        self._number = 0
        self._templates: set[str] = set()
        self._folder = Path()

    def url(self, database: str) -> str:
        """Return the address of a database, for SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://{_USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and remove the folder."""
        super().__exit__(kind, error, trace)
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server, make its cluster first if there is none, and return when it answers.

        Raises:
            ServerError: a program is missing, or the server does not come up.

        """
        if self._process is None:
            self._prepare()
        assert self._process is not None
        self._process.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Make the server silent inside the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """Make a scratch database and yield its address; drop it at the end, whoever is still connected.

        Args:
            template: the name of a database to copy, to which nobody is connected.

        """
        self._number += 1
        name = f"scratch_{self._number}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def template(self, name: str, fill: Callable[[str], None]) -> str:
        """Return the name of a database that scratch databases can be copies of; it is filled when first asked for.

        Args:
            name: of the database, an SQL name.
            fill: is given its address; nobody may be connected afterwards.

        """
        if name not in self._templates:
            self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
            fill(self.url(name))
            self._templates.add(name)
        return name

    def execute(self, statement: str) -> None:
        """Execute a statement as the administrator."""
        with self._connect() as connection:
            connection.execute(statement.encode())

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            dbname="postgres",
            user=_USER,
            password=self._password,
            connect_timeout=10,
            autocommit=True,
        )

    def _prepare(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="authsvc-postgresql-"))
        password_file = self._folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password, encoding="utf-8")
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_USER)
            for path in (self._folder, password_file):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        data = self._folder / "data"
        run_to_end(
            [
                *(f"{self._programs}/initdb", f"--pgdata={data}", f"--username={_USER}", "--no-sync"),
                *(f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            ],
            user=_USER,
        )
        (self._port,) = free_ports(1)
        settings = [
            f"port={self._port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
        ]
        self._process = ServerProcess(
            [
                *(f"{self._programs}/postgres", "-D", str(data)),
                *(part for setting in (*settings, *_SETTINGS) for part in ("-c", setting)),
            ],
            log=self._folder / "log",
            answers=self._answers,
            user=_USER,
            stop_signal=signal.SIGINT,  # fast: it ends connections instead of waiting for them
        )

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self._connect():
            return True
        return False


def _newest_programs() -> Path:
    """Return the folder of the newest installed version's programs."""
    found = [folder for folder in _VERSIONS.glob("*/bin") if re.fullmatch(r"[0-9]+", folder.parent.name)]
    found = [folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()]
    if not found:
        raise ServerError("PostgreSQL is not installed: it comes with the Debian package `postgresql`")
    return max(found, key=lambda folder: int(folder.parent.name))
