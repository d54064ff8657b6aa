"""The service over PostgreSQL: the primary directory and a secondary one, from `apply` to `serve`."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from authsvc.operations.service import GENERATION_INTERVAL
from authsvc.reason import Reason
from tests.authsvc.test_serving import Running, run
from tests.support.command_line import run_authsvc
from tests.support.pki import Issued
from tests.support.postgresql import PostgresqlServer
from tests.support.service import BEGIN, END, Place, lay_place, world

_PATIENCE_SECONDS = 10.0

_LATE_SECONDS = 1.0
"""How much later than the interval of looks a change may count on a loaded machine."""

WILE = world().issuing.issue("CN=Wile Coyote,O=Acme", not_before=BEGIN, not_after=END)
DAVE = world().people["dave"]

PRIMARY = """\
people:
  - names: ["Dave Lawson/Renovations"]
    certificates: [dave.pem]
groups:
  - {name: Readers, type: multi, members: ["Dave Lawson/Renovations", "Wile Coyote/Acme"]}
databases:
  - name: sales.nsf
    acl:
      - {name: "-Default-", level: No Access}
      - {name: Readers, type: person group, level: READERS}
"""

SECONDARY = """\
people:
  - names: ["Wile Coyote/Acme"]
    certificates: [wile.pem]
    disabled: DISABLED
"""


@pytest.fixture
def place(postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place whose directories are two empty databases of a PostgreSQL."""
    with ExitStack() as opened:
        laid = lay_place(Path(opened.enter_context(TemporaryDirectory(prefix="authsvc-"))))
        for name in ("PRIMARY_URL", "ACME_URL"):
            monkeypatch.setenv(name, opened.enter_context(postgresql.database()))
        acme = {"domain": "Acme", "type": "sql", "url": "${ACME_URL}"}
        laid.configure_directories(
            primary={"domain": "Renovations", "url": "${PRIMARY_URL}"},
            domains=[acme | {"rules": [{"rule": "*/Acme", "trusted": True}]}],
        )
        laid.configure(expose_reasons=True)
        laid.write("dave.pem", DAVE.pem)
        laid.write("wile.pem", WILE.pem)
        yield laid


def apply(place: Place, text: str, *options: str) -> None:
    """Apply a document with engines of its own, as another process does."""
    place.write("document.yaml", text)
    applied = run_authsvc("apply", place.folder / "document.yaml", "--yes", *options, config=place.file)
    assert 0 == applied.exit_code, applied.stderr


def apply_primary(place: Place, readers: str = "Reader") -> None:
    apply(place, PRIMARY.replace("READERS", readers))


def apply_secondary(place: Place, disabled: str = "false") -> None:
    apply(place, SECONDARY.replace("DISABLED", disabled), "--directory", "Acme")


def told(answer: httpx.Response) -> tuple[int, str | None]:
    """Return status, and identity or reason."""
    headers = answer.headers
    return answer.status_code, headers.get("remote-user") or headers.get("auth-reason")


def refused(reason: Reason) -> tuple[int, str | None]:
    """Return what `told` tells of a refusal."""
    return reason.status, reason.value


def await_answer(running: Running, issued: Issued, expected: tuple[int, str | None]) -> float:
    """Ask until the answer is the expected one; return how long that took, in seconds."""
    began = time.monotonic()
    while told(answer := running.as_nginx(issued)) != expected:
        assert time.monotonic() - began < _PATIENCE_SECONDS, told(answer)
    return time.monotonic() - began


def test_t66_changes_by_another_process_count_at_once_in_a_primary_and_a_secondary_in_postgresql(
    place: Place,
) -> None:
    apply_primary(place)
    apply_secondary(place)

    def script(running: Running) -> None:
        allowed_dave, allowed_wile = (200, "Dave Lawson/Renovations"), (200, "Wile Coyote/Acme")
        assert (allowed_dave, allowed_wile) == (
            told(running.as_nginx(DAVE)),
            told(running.as_nginx(WILE)),
        )
        assert refused(Reason.NO_ENTRY) == told(running.as_nginx(world().people["eve"]))
        assert {"problems": [], "warnings": []}.items() <= running.get("api", "/readyz").json().items()

        limit = GENERATION_INTERVAL.total_seconds() + _LATE_SECONDS
        apply_secondary(place, disabled="true")
        assert await_answer(running, WILE, refused(Reason.ENTRY_DISABLED)) < limit
        assert allowed_dave == told(running.as_nginx(DAVE))
        apply_secondary(place)
        assert await_answer(running, WILE, allowed_wile) < limit

        apply_primary(place, "No Access")
        for issued in (DAVE, WILE):
            assert await_answer(running, issued, refused(Reason.ACL_LEVEL)) < limit
        apply_primary(place)
        assert await_answer(running, WILE, allowed_wile) < limit

    run(place, script)


def test_serve_makes_the_tables_of_empty_databases_itself(place: Place) -> None:
    def script(running: Running) -> None:
        assert refused(Reason.NO_ENTRY) == told(running.as_nginx(DAVE))
        apply_primary(place)
        await_answer(running, DAVE, (200, "Dave Lawson/Renovations"))

    run(place, script)
