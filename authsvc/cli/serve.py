"""`authsvc serve`: answer until TERM; HUP reloads. Logs are JSON lines on standard error."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import typer

from authsvc.cli.application import app, configuration_path
from authsvc.cli.output import ConfigOption, JsonOption, fail, guarded, print_json
from authsvc.config import read_settings
from authsvc.operations.audit import AuditFault
from authsvc.web.serving import SecretUnreadable
from authsvc.web.serving import serve as serve_settings
from authsvc.web.sockets import ListenerError

__all__ = ["serve"]

_STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the event's own fields; everything else is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; ASCII only, so that no name can forge a line or move a terminal's cursor (threat T73)."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configure_logging() -> None:
    """Send everything at level info and above to standard error as JSON lines, warnings of libraries too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
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
def serve(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
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
        serve_settings(settings, on_ready=ready)
    except (AuditFault, ListenerError, SecretUnreadable) as error:
        raise fail(str(error)) from error
