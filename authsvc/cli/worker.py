"""What a worker of `authsvc serve --workers N` runs, started by its supervisor: `python -m authsvc.cli.worker TEXT`.

It is no command: its one argument names open files that only the supervisor can hand over.
"""

import logging
import signal
import socket
import sys
from pathlib import Path

import typer

from authsvc.cli.output import Exit, fail, guarded
from authsvc.cli.serve import configure_logging
from authsvc.config import read_settings
from authsvc.operations.audit import AuditFault
from authsvc.operations.shared_figures import SharedFigures
from authsvc.web.serving import START_ERRORS, SecretUnreadable, WorkerPlace, serve_as_worker
from authsvc.web.sharing import ConnectionCounts
from authsvc.web.sockets import ListenerError
from authsvc.web.worker_link import SupervisorLink, WorkerArguments

__all__ = ["main"]

_LOG = logging.getLogger("authsvc.worker")


def main(text: str) -> int:
    """Serve as a worker; return the exit code, that of `serve`."""
    # Only the supervisor reloads, and only it knows what a second Ctrl-C means.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    arguments = WorkerArguments.from_text(text)
    # At once, so that this process ends with the supervisor even while it starts.
    link = SupervisorLink(socket.socket(fileno=arguments.link))
    try:
        _serve(arguments, link)
    except typer.Exit as end:
        return end.exit_code
    return Exit.YES


@guarded
def _serve(arguments: WorkerArguments, link: SupervisorLink) -> None:
    configure_logging(worker=arguments.number)
    place = WorkerPlace(
        number=arguments.number,
        places=arguments.places,
        sockets={
            name: [socket.socket(fileno=each) for each in found] for name, found in arguments.sockets.items()
        },
        link=link,
        figures=SharedFigures(arguments.figures, arguments.number),
        connections=ConnectionCounts(arguments.connections),
    )
    try:
        serve_as_worker(read_settings(Path(arguments.configuration)), place)
    except START_ERRORS as error:
        if arguments.again:  # the service runs: its log is JSON lines
            _LOG.error("worker_not_started", extra={"problem": "; ".join(str(error).splitlines())})
            raise typer.Exit(Exit.USAGE) from None
        if isinstance(error, AuditFault | ListenerError | SecretUnreadable):
            raise fail(str(error)) from error
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
