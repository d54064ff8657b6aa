"""What `serve` writes to standard error: JSON lines and nothing else."""

import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from authsvc.cli.serve import configure_logging


@pytest.fixture
def logging_as_found() -> Iterator[None]:
    """Give the library back what `configure_logging` changes in the whole process."""
    root = logging.getLogger()
    others = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "alembic")]
    levels = [(logger, logger.level) for logger in (root, *others)]
    handlers = root.handlers[:]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield
        logging.captureWarnings(False)
    root.handlers[:] = handlers
    for logger, level in levels:
        logger.setLevel(level)


@pytest.mark.usefixtures("logging_as_found")
def test_t73_a_warning_of_a_library_is_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    warnings.warn("a name\nof \u202e two lines", stacklevel=1)
    logging.getLogger("authsvc.serve").info("listening")
    warned, listening = map(json.loads, capsys.readouterr().err.splitlines())
    assert (warned["level"], warned["logger"]) == ("warning", "py.warnings")
    assert "a name\nof \u202e two lines" in warned["event"]
    assert listening["event"] == "listening"
