"""A drill: everything that can revoke somebody does, everything that tells it fails, and two workers decide on.

Real processes and servers: `authsvc serve --workers 2`, an HTTP server, a slapd, responders, files, the store. It is
run once, `Drill.run`, and the tests look at what was written down. Everybody has an authority of their own, so that
nobody's certificate is proven by the list of another.

What is promised within a second is held to `WITHIN`, because other tests run on the machine; `benchmarks/` measures.
"""

import subprocess
import sys
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGHUP
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from authsvc.access.levels import Level
from authsvc.operations.revocation_cache import RevocationCache
from authsvc.operations.revocation_records import Record
from authsvc.store.certificates import CertificateRecord
from authsvc.store.people import create_person
from tests.support.list_server import ListServer, Request, body, serving_lists
from tests.support.ocsp import (
    GOOD,
    OcspServer,
    Reply,
    access_to,
    failed,
    nonce_extension,
    nonce_of,
    response,
    revoked,
    serving_ocsp,
    single,
)
from tests.support.service import BEGIN, END, acl, lay_place, world
from tests.support.slapd import SUFFIX, SlapdServer, change, ldif, serve
from tests.support.store import changing, person
from tests.support.workers import LONGEST_WAIT, supervised

WITHIN: Final = 3.0
"""Seconds for what is promised in one."""

_ANSWER_LIFE: Final = timedelta(seconds=4)
"""Of what the responder says; it is asked anew before, in the background."""

_REVOKED_BY: Final = ("file", "http", "ldap", "ocsp", "block")
"""Whoever is let in, and then is not."""

_START_SECONDS: Final = 8.0
"""From when a worker fetches to when both are ready, at most."""

_FETCHED: Final = ("http", "ldap")
"""Those of them whose list is fetched again, ten seconds after it was the first time."""

_FAULTS: Final = ("garbage", "hanging", "refused", "older", "other")
"""Whose list was fetched once, before its server began to do this. Of `older` and `other` it had revoked them."""

_NEVER: Final = ("silent", "closed", "ocsp_hanging", "ocsp_later")
"""Whose state nobody has ever told."""

_PEOPLE: Final = (*_REVOKED_BY, *_FAULTS, *_NEVER)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One answer of one worker, with its audit record; `seconds` it took."""

    status: int
    reason: str
    seconds: float
    record: dict[str, object]


@dataclass
class Observed:
    """What was written down.

    `reasons`: all that a person was answered, by worker. `slowest`: seconds, of answers that were in hand. `lags`: from
    when it was known to when both workers refused. `last`: the last answer of each worker. `again`: after a reload.
    `asked`: how often each list was asked for, within `seconds`.
    """

    reasons: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    slowest: float = 0.0
    lags: dict[str, float] = field(default_factory=dict)
    last: dict[str, list[Seen]] = field(default_factory=dict)
    again: dict[str, list[Seen]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Drill:
    """The place, the servers, and both workers."""

    def __init__(self, opened: ExitStack, folder: Path) -> None:
        self.place = lay_place(folder)
        self.observed = Observed()
        self._lists = opened.enter_context(serving_lists())
        self._closing = ExitStack()
        self._refusing = self._closing.enter_context(serving_lists())
        opened.callback(self._closing.close)
        self._status = GOOD
        self._responders: dict[str, OcspServer] = {
            "ocsp": opened.enter_context(serving_ocsp(self._tell)),
            "ocsp_hanging": opened.enter_context(serving_ocsp(lambda _request: Reply(hangs=True))),
            "ocsp_later": opened.enter_context(serving_ocsp(lambda _request: failed(3))),
        }
        self._authorities = {
            name: world().root.issue_authority(f"CN={name} CA,O=Renovations", not_before=BEGIN, not_after=END)
            for name in _PEOPLE
        }
        self._people = {
            name: authority.issue(
                f"CN={name},O=Renovations",
                extensions=[access_to(self._responders[name].url)] if name in self._responders else [],
                not_before=BEGIN,
                not_after=END,
            )
            for name, authority in self._authorities.items()
        }
        self._slapd = opened.enter_context(_directory(folder, self._list("ldap")))
        self._urls = {
            "ldap": f"{self._slapd.url}/cn=CA,{SUFFIX}?certificateRevocationList;binary",
            "refused": self._refusing.url("/refused"),
            "closed": "http://127.0.0.1:9/closed",  # the port of "discard": nobody listens
            **{
                name: self._lists.url(f"/{name}")
                for name in ("http", "garbage", "hanging", "older", "other", "silent")
            },
        }
        self._fill()
        self._running = opened.enter_context(supervised(self.place))
        self._workers = self._running.connect_to_each()

    # ------------------------------------------------------------------------------------------------- before

    def _list(self, name: str, *listed: str, number: int = 5) -> bytes:
        people = [self._people[each] for each in listed]
        return self._authorities[name].crl(people, this_update=BEGIN, next_update=END, number=number).der

    def _tell(self, request: bytes) -> bytes:
        """Answer for a few seconds from now, as a responder does."""
        now, nonce = datetime.now(UTC).replace(microsecond=0), nonce_of(request)
        authority = self._authorities["ocsp"]
        said = single(
            self._people["ocsp"], authority, self._status, this_update=now, next_update=now + _ANSWER_LIFE
        )
        extensions = [] if nonce is None else [nonce_extension(nonce)]
        return response(said, signer=authority, produced_at=now, extensions=extensions)

    def _fill(self) -> None:
        place = self.place
        with place.store() as engine, changing(engine) as opened:
            for name, held in self._people.items():
                certificates = [CertificateRecord.from_der(held.der)]
                create_person(opened, person(f"{name}/Renovations", certificates=certificates))
        place.put_database("sales.nsf", *(acl(f"{name}/Renovations", Level.READER) for name in _PEOPLE))
        for name, authority in self._authorities.items():
            place.write(f"{name}.pem", authority.pem)
        for name in ("file", "block"):
            (place.folder / f"{name}.crl").write_bytes(self._list(name))
        self._lists.answers |= {
            "/http": body(self._list("http")),
            "/garbage": body(self._list("garbage")),
            "/hanging": body(self._list("hanging")),
            "/older": body(self._list("older", "older")),
            "/other": body(self._list("other", "other")),
            "/silent": _hangs,
        }
        self._refusing.answers["/refused"] = body(self._list("refused"))
        place.configure(
            trust={
                "anchors": [{"name": "corp", "file": "root.pem"}],
                "intermediates": [f"{name}.pem" for name in _PEOPLE],
                "revocation": {
                    "crls": ["root.crl", "file.crl", "block.crl", *self._urls.values()],
                    "fetch": {"private_networks": ["127.0.0.0/8", "::1"], "timeout": "1s"},
                    "refresh": {"minimum": "10s", "maximum": "10s"},
                    "ocsp": {
                        "hosts": [each.host for each in self._responders.values()],
                        "wait": "300ms",
                    },
                },
            }
        )

    # ------------------------------------------------------------------------------------------------- asking

    def _ask(self, name: str) -> list[Seen]:
        """Ask both workers about somebody, one after the other."""
        found = []
        for connection in self._workers.values():
            began = time.monotonic()
            status = connection.ask(self._people[name])
            seconds = time.monotonic() - began
            record = self.place.records()[-1]
            found.append(Seen(status=status, reason=str(record["reason"]), seconds=seconds, record=record))
            self.observed.reasons[name].add(found[-1].reason)
            if not name.startswith("ocsp"):
                self.observed.slowest = max(self.observed.slowest, seconds)
        return found

    def _wait_for(self, reason: str, *names: str) -> None:
        """Ask about people until both workers give this reason for each."""
        end, left = time.monotonic() + LONGEST_WAIT, set(names)
        while left:
            assert time.monotonic() < end, (reason, left, self.observed.reasons)
            left = {name for name in left if {reason} != {each.reason for each in self._ask(name)}}
            self._look_for_fetched()

    def _look_for_fetched(self) -> None:
        """Write down how long ago a list was fetched by which both workers refuse; whatever else is waited for."""
        for name in _FETCHED:
            if {"certificate_revoked"} == {each.reason for each in self._ask(name)}:
                record = self._record(name)
                assert record is not None
                assert record.succeeded is not None
                lag = (datetime.now(UTC) - record.succeeded).total_seconds()
                self.observed.lags.setdefault(name, lag)

    def _record(self, name: str) -> Record | None:
        cache = RevocationCache.open(self.place.folder / "var" / "revocation", writing=False)
        return cache.read_record(self._urls[name])

    # ---------------------------------------------------------------------------------------------- the drill

    def run(self) -> Observed:
        """Run it.

        1. Everybody whose state is told is let in, or refused.
        2. The servers begin to fail; and the file, the responder and an administrator revoke somebody, in turn.
        3. Lists are fetched again; two of them revoke, the others are no good.
        4. All of it once more after a reload, during which the responder says nothing.
        """
        observed, began = self.observed, time.monotonic()
        # 1
        self._wait_for("allowed", *_REVOKED_BY, "garbage", "hanging", "refused")
        self._wait_for("certificate_revoked", "older", "other")
        # 2
        self._fail()
        (self.place.folder / "new.crl").write_bytes(self._list("file", "file", number=6))
        self._revoke("file", lambda: (self.place.folder / "new.crl").replace(self.place.folder / "file.crl"))
        self._status = revoked()
        self._revoke("ocsp", lambda: None)
        self._revoke("block", self._block)
        # 3
        self._wait_for("certificate_revoked", *_FETCHED)
        self._until(lambda: all(self._has_failed(name) for name in _FAULTS), "not asked again")
        observed.last = {name: self._ask(name) for name in _PEOPLE}
        observed.asked = {name: len(self._lists.of(f"/{name}")) for name in ("http", "garbage", "older")}
        observed.seconds = time.monotonic() - began + _START_SECONDS
        # 4
        self._responders["ocsp"].answer = lambda _request: failed(3)
        self._running.signal(SIGHUP)
        self._running.wait_for("reloaded", 2)
        observed.again = {name: self._ask(name) for name in _PEOPLE}
        return observed

    def _fail(self) -> None:
        self._lists.answers |= {
            "/http": body(self._list("http", "http", number=6)),
            "/garbage": body(b"no list"),
            "/hanging": _hangs,
            "/older": body(self._list("older", number=4)),
            "/other": body(world().root.crl(this_update=BEGIN, next_update=END, number=6).der),
        }
        self._closing.close()
        fresh = b64encode(self._list("ldap", "ldap", number=6)).decode()
        attribute = "certificateRevocationList;binary"
        change(
            self._slapd,
            f"dn: cn=CA,{SUFFIX}\nchangetype: modify\nreplace: {attribute}\n{attribute}:: {fresh}\n",
        )

    def _revoke(self, name: str, make_known: Callable[[], object]) -> None:
        make_known()
        began = time.monotonic()
        self._wait_for("certificate_revoked", name)
        self.observed.lags[name] = time.monotonic() - began

    def _block(self) -> None:
        file = self.place.write("blocked.pem", self._people["block"].pem)
        command = [sys.executable, "-m", "authsvc", "--config", str(self.place.file), "blocks", "add"]
        with subprocess.Popen(
            [*command, "--public-key", str(file), "--reason", "drill"], stdout=subprocess.DEVNULL
        ) as running:
            while running.poll() is None:
                self._look_for_fetched()
        assert 0 == running.returncode

    def _has_failed(self, name: str) -> bool:
        record = self._record(name)
        return record is not None and record.failures > 0

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LONGEST_WAIT
        while not holds():
            assert time.monotonic() < end, what
            for name in _PEOPLE:
                self._ask(name)


def _hangs(_request: Request, server: ListServer) -> Iterator[bytes]:
    server.ended.wait(LONGEST_WAIT)
    yield b""


@contextmanager
def _directory(folder: Path, revocation_list: bytes) -> Iterator[SlapdServer]:
    authority: dict[str, list[str | bytes]] = {
        "objectClass": ["applicationProcess", "certificationAuthority-V2"],
        "cn": ["CA"],
        "cACertificate;binary": [world().issuing.der],
        "certificateRevocationList;binary": [revocation_list],
        "authorityRevocationList;binary": [revocation_list],
    }
    content = ldif((f"cn=CA,{SUFFIX}", authority))
    with serve(folder / "slapd", content, anonymous_may_read=True) as server:
        yield server


@pytest.fixture(scope="module")
def observed() -> Iterator[Observed]:
    with ExitStack() as opened:
        # A short path: that of a unix socket may have 107 bytes.
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="authsvc-")))
        yield Drill(opened, folder).run()


def _evidence(seen: Seen) -> dict[str, object]:
    evidence = seen.record["evidence"]
    assert isinstance(evidence, dict)
    return dict(evidence["revocation"])


@pytest.mark.parametrize("name", _REVOKED_BY)
def test_t41_whoever_is_revoked_is_refused_by_both_workers_soon(observed: Observed, name: str) -> None:
    assert [(401, "certificate_revoked")] * 2 == [(each.status, each.reason) for each in observed.last[name]]
    told = WITHIN + (_ANSWER_LIFE.total_seconds() if name == "ocsp" else 0)  # it is asked once in that time
    assert observed.lags[name] < told


@pytest.mark.parametrize("name", ["file", "http", "ldap", "ocsp", "older", "other"])
def test_the_audit_record_of_a_refusal_names_what_revoked(observed: Observed, name: str) -> None:
    for seen in observed.last[name]:
        evidence = _evidence(seen)
        sources = evidence["responders" if name == "ocsp" else "lists"]
        assert ("revoked", "ocsp" if name == "ocsp" else "crl") == (evidence["status"], evidence["source"])
        assert isinstance(sources, list)
        assert 1 == len(sources)
        assert {"file": "file.crl", "ldap": "certificateRevocationList", "ocsp": "/ocsp"}.get(
            name, f"/{name}"
        ) in sources[0]


@pytest.mark.parametrize("name", ["garbage", "hanging", "refused"])
def test_t39_a_server_that_fails_leaves_the_last_good_list(observed: Observed, name: str) -> None:
    assert {"allowed"} == {each.reason for each in observed.last[name]}
    assert all("good" == _evidence(each)["status"] for each in observed.last[name])


@pytest.mark.parametrize("name", ["older", "other"])
def test_t37_a_list_that_goes_back_or_speaks_for_others_lets_nobody_in(observed: Observed, name: str) -> None:
    assert {"revocation_unavailable", "certificate_revoked"} >= observed.reasons[name]
    assert {"certificate_revoked"} == {each.reason for each in observed.last[name]}


@pytest.mark.parametrize("name", _NEVER)
def test_t39_nobody_is_let_in_of_whom_nobody_tells(observed: Observed, name: str) -> None:
    assert {"revocation_unavailable"} == observed.reasons[name]
    assert all(503 == each.status for each in observed.last[name])


def test_nobody_is_refused_before_anything_is_known(observed: Observed) -> None:
    for name in (*_REVOKED_BY, "garbage", "hanging", "refused"):
        assert {"allowed", "revocation_unavailable", "certificate_revoked"} >= observed.reasons[name]
        assert "allowed" in observed.reasons[name]


def test_t39_servers_that_hang_hold_up_no_answer_that_is_at_hand(observed: Observed) -> None:
    assert observed.slowest < WITHIN


def test_one_worker_fetches_for_both(observed: Observed) -> None:
    """Every ten seconds, as configured: two who fetch would ask twice as often."""
    assert all(2 <= count <= 1 + observed.seconds // 10 for count in observed.asked.values()), observed.asked


def test_a_reload_forgets_nothing(observed: Observed) -> None:
    def told(answers: dict[str, list[Seen]]) -> dict[str, list[str]]:
        return {name: [each.reason for each in seen] for name, seen in answers.items()}

    assert told(observed.last) == told(observed.again)
