"""`authsvc serve`: answer until TERM; HUP reloads. Logs are JSON lines on standard error.

With `--workers` this process is the supervisor; what its workers run is `worker.py`.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from authsvc.cli.application import app, configuration_path
from authsvc.cli.output import ConfigOption, Exit, JsonOption, fail, guarded, print_json
from authsvc.config import read_settings
from authsvc.operations.audit import AuditFault
from authsvc.web.serving import SecretUnreadable
from authsvc.web.serving import serve as serve_settings
from authsvc.web.sockets import ListenerError
from authsvc.web.supervisor import MOST_WORKERS, WorkerFailed, supervise

__all__ = ["configure_logging", "serve"]

_WORKER: Final = (sys.executable, "-P", "-m", "authsvc.cli.worker")
"""What starts a worker. `-P`: nothing is imported from the folder in which somebody happens to be."""

_STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the event's own fields; everything else is escaped.

    The lines of a worker bear its number.
    """

    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; ASCII only, so that no name can forge a line or move a terminal's cursor (threat T73)."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if self._worker is not None:
            line["worker"] = self._worker
        line |= {name: value for name, value in record.__dict__.items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configure_logging(*, worker: int | None = None) -> None:
    """Send everything at level info and above to standard error as JSON lines, warnings of libraries too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)  # cryptography has some to say about what others put into their lists
    # uvicorn's own lines about each server's life repeat ours; alembic's about each revision are for
    # developers
    for name in ("uvicorn", "uvicorn.error", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


@app.command()
@guarded
def serve(
    context: typer.Context,
    config: ConfigOption = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", metavar="N", min=1, max=MOST_WORKERS, help="How many processes answer; default 1."
        ),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Serve every front end and the API until TERM; HUP reads the configuration again.

    Logs are JSON lines on standard error. With --json, standard output gets one document when everything
    listens: the addresses of each listener. Exit code 2: configuration; 3: something does not answer.
    """
    settings = read_settings(configuration_path(context, config))
    configure_logging()

    def ready(addresses: Mapping[str, tuple[str, ...]]) -> None:
        for name, places in addresses.items():
            logging.getLogger("authsvc.serve").info(
                "listening", extra={"listener": name, "addresses": list(places)}
            )
        if as_json:
            print_json({"listening": {name: list(places) for name, places in addresses.items()}})
            sys.stdout.flush()  # whoever waits for it waits now

    try:
        if workers == 1:
            serve_settings(settings, on_ready=ready)
        else:
            supervise(settings, workers=workers, command=_WORKER, on_ready=ready)
    except WorkerFailed as failure:
        if failure.status is not None and failure.status > 0:
            raise typer.Exit(failure.status) from None  # it has said why
        raise fail(str(failure), Exit.UNDECIDED) from None
    except (AuditFault, ListenerError, SecretUnreadable) as error:
        raise fail(str(error)) from error
