"""The service without listeners: what makes a new snapshot, what makes the cache blind, and what it needs to open."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from sqlalchemy import Engine

from authsvc.access.databases import DatabaseTarget
from authsvc.access.levels import Level
from authsvc.access.requirements import Requirement
from authsvc.decision.pipeline import Policy
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Verdict
from authsvc.operations import service as module
from authsvc.operations.assistance import open_assistance
from authsvc.operations.audit import AuditFault, DecisionRecord
from authsvc.operations.service import Service
from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from authsvc.store.bootstrap import create_token
from authsvc.store.certificates import CertificateRecord
from authsvc.store.errors import SchemaRefused
from authsvc.store.migrate import migrate
from authsvc.store.people import create_person, mark_certificate
from authsvc.store.schema import open_engine
from authsvc.trust.anchors import TrustMaterialError
from directory_assistance.dn import read_name
from tests.support.pki import Authority, Issued
from tests.support.service import (
    BEGIN,
    END,
    NOW,
    Place,
    acl,
    lay_place,
    serving_service,
    world,
)
from tests.support.store import changing, person


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return lay_place(tmp_path)


@pytest.fixture
def service(place: Place) -> Iterator[Service]:
    with serving_service(place) as opened:
        yield opened


def reading(issued: Issued) -> DecisionRequest:
    return DecisionRequest(
        presentation=PresentedCertificate(der=issued.der),
        front_end=FrontEndPolicy(name="nginx"),
        target=DatabaseTarget(database="sales.nsf", requirement=Requirement(level=Level.READER)),
    )


DAVE = reading(world().people["dave"])


def ask(service: Service, request: DecisionRequest = DAVE) -> Verdict:
    return asyncio.run(service.decider.decide(request))


# --- a change makes a new epoch ----------------------------------------------------------------------------


def test_a_verdict_is_cached_once_the_service_has_looked(service: Service) -> None:
    verdict = ask(service)
    assert isinstance(verdict, Allowed)
    assert service.decider.cached(DAVE) is verdict
    service._look()
    assert service.decider.cached(DAVE) is verdict


def test_a_look_that_finds_no_change_keeps_the_snapshot(service: Service) -> None:
    before = service._current
    service._look()
    assert service._current is before


def test_while_nobody_knows_of_changes_every_look_makes_a_new_snapshot(
    place: Place, service: Service
) -> None:
    """So that nobody joins a decision that began long ago."""
    break_store(place)
    service._look()
    before = service._current
    service._look()
    assert service._current[0] is not before[0]


def _take_the_acl_entry_away(place: Place) -> None:
    place.put_database("sales.nsf", acl("Dave Lawson/Renovations", Level.NO_ACCESS))


def _mark_the_certificate(place: Place) -> None:
    with place.store() as engine, changing(engine) as change:
        held = CertificateRecord.from_der(world().people["dave"].der)
        mark_certificate(change, read_name("Dave Lawson/Renovations"), held.sha256, revoked=True)


def _publish_a_list(place: Place) -> None:
    place.write("issuing.crl", world().crl(world().people["dave"], number=2))


def _replace_the_anchor(place: Place) -> None:
    stranger = Authority.root("CN=Another Root", now=NOW, not_before=BEGIN, not_after=END)
    place.write("root.pem", stranger.pem)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_take_the_acl_entry_away, Reason.ACL_LEVEL),
        (_mark_the_certificate, Reason.CERTIFICATE_REVOKED),
        (_publish_a_list, Reason.CERTIFICATE_REVOKED),
        (_replace_the_anchor, Reason.CERTIFICATE_UNTRUSTED),
    ],
    ids=["an ACL", "a mark in the primary", "a revocation list", "an anchor"],
)
def test_t41_t66_a_change_by_another_process_ends_every_cached_verdict(
    place: Place, service: Service, change: Callable[[Place], None], reason: Reason
) -> None:
    assert isinstance(ask(service), Allowed)
    change(place)
    service._trust.poll()
    service._look()
    assert service.decider.cached(DAVE) is None
    verdict = ask(service)
    assert isinstance(verdict, Denied)
    assert verdict.reason is reason


def add_acme(place: Place, **fields: object) -> Path:
    """Add a secondary sql directory; return its database, migrated."""
    path = place.folder / "acme.db"
    with closing_engine(path) as engine:
        migrate(engine)
    domain = {"domain": "Acme", "type": "sql", "url": "sqlite:///acme.db"}
    rules = [{"rule": "*/Acme", "trusted": True}]
    place.configure_directories(domains=[domain | {"rules": rules} | fields])
    return path


@contextmanager
def closing_engine(path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def test_t66_a_write_to_a_secondary_sql_directory_ends_every_cached_verdict(place: Place) -> None:
    acme = add_acme(place)
    with serving_service(place) as service, closing_engine(acme) as engine:
        ask(service)
        assert service.decider.cached(DAVE) is not None
        with changing(engine) as change:
            create_person(change, person("Wile Coyote/Acme"))
        service._look()
        assert service.decider.cached(DAVE) is None


def test_a_disabled_domain_is_not_opened_and_hinders_nothing(place: Place) -> None:
    add_acme(place, enabled=False).write_bytes(b"no database")
    with serving_service(place) as service:
        assert isinstance(ask(service), Allowed)
        assert service.decider.cached(DAVE) is not None
        assert service.readiness().ready
        assert service.readiness().warnings == ()


def break_store(place: Place) -> None:
    """Let the store fail at the next question for its generation."""
    with closing(connect(place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE generation RENAME TO elsewhere")


def mend_store(place: Place) -> None:
    with closing(connect(place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO generation")


def test_while_the_store_cannot_be_read_nothing_is_served_from_the_cache(
    place: Place, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows what changed meanwhile; logged once; all is well again when the store is."""
    ask(service)
    break_store(place)
    for _ in range(3):
        service._look()
        assert service.decider.cached(DAVE) is None
        assert ask(service).reason is Reason.STORE_UNAVAILABLE
    assert ["store_unavailable"] == [record.message for record in caplog.records]
    mend_store(place)
    service._look()
    assert isinstance(ask(service), Allowed)
    assert service.decider.cached(DAVE) is not None


def test_a_store_that_has_lost_its_generation_serves_nothing_from_the_cache(
    place: Place, service: Service
) -> None:
    """No write could be seen any more."""
    ask(service)
    with closing(connect(place.folder / "directory.db")) as connection, connection:
        connection.execute("DELETE FROM generation")
    service._look()
    assert isinstance(ask(service), Allowed)
    assert service.decider.cached(DAVE) is None


@pytest.mark.parametrize(("seconds", "believed"), [(1.9, True), (2.0, False)])
def test_a_store_that_hangs_serves_nothing_from_the_cache_after_two_seconds(
    place: Place, seconds: float, *, believed: bool
) -> None:
    clock = [time.monotonic()]  # directories hold deadlines against the real one
    with serving_service(place, monotonic=lambda: clock[0]) as service:
        ask(service)
        clock[0] += seconds
        assert believed is (service.decider.cached(DAVE) is not None)
        service._look()
        assert service.decider.cached(DAVE) is not None


def test_before_the_first_look_nothing_is_cached(place: Place) -> None:
    service = Service.open(place.settings(), serving=True, now=lambda: NOW)
    with closing(service):
        assert isinstance(ask(service), Allowed)
        assert service.decider.cached(DAVE) is None


def test_a_started_service_sees_changes_by_itself_and_tells_of_new_authorities(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GENERATION_INTERVAL", timedelta(milliseconds=1))
    told = threading.Event()
    with serving_service(place) as service:
        known = service.authorities
        service.start(on_trust_change=told.set)
        _replace_the_anchor(place)
        service._trust.poll()
        assert told.wait(10)
        assert service.authorities != known
        assert ask(service).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a_defect_while_watching_blinds_the_cache_and_watching_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "GENERATION_INTERVAL", timedelta(milliseconds=1))
    looked = threading.Event()
    seen: list[object] = []

    class Defective(Service):
        def _look(self) -> None:
            if seen:
                looked.set()
            seen.append(self._current[1])
            raise ZeroDivisionError

    with serving_service(place) as service:
        ask(service)
        service.__class__ = Defective
        service.start()
        assert looked.wait(10)
        assert service.decider.cached(DAVE) is None
    assert [(1, (2,), ()), None] == seen[:2]
    assert "watch_failed" in caplog.messages


# --- what is configured is what decides --------------------------------------------------------------------


def test_the_policy_is_what_the_configuration_says(place: Place) -> None:
    trust = place.configuration["trust"]
    assert isinstance(trust, dict)
    place.configure(
        deny_access=["Leavers"],
        full_access_administrators=["Ada Auditor/Renovations"],
        unknown_certificate="anonymous",
        trust=trust | {"clock_skew": "90s"},
        cache={"time": "30s"},
    )
    expected = Policy(
        deny_access=("Leavers",),
        full_access_administrators=frozenset({read_name("Ada Auditor/Renovations")}),
        anonymous_without_entry=True,
        clock_skew=timedelta(seconds=90),
        allowed_lifetime=timedelta(seconds=30),
        refused_lifetime=timedelta(seconds=5),
    )
    with serving_service(place) as service:
        assert expected == service._current[0].policy


def test_the_default_policy_denies_whoever_has_no_entry(service: Service) -> None:
    assert Policy() == service._current[0].policy
    assert ask(service, reading(world().people["norma"])).reason is Reason.NO_ENTRY


def test_a_domain_is_opened_with_everything_its_configuration_says(place: Place) -> None:
    add_acme(
        place,
        search_order=3,
        size_limit=7,
        on_unavailable="skip",
        may_assert_primary_names=True,
        group_authorization="all",
        plain_group_names=True,
        mail_domains=["acme.example"],
        find_by=["mail"],
    )
    place.configure_directories(ambiguity="strict")
    settings = place.settings().directory_assistance
    with closing(open_assistance(settings)) as assistance:
        assert settings.ambiguity is assistance.ambiguity
        (opened,), (configured,) = assistance.domains, settings.domains
        for each in fields(opened):
            if each.name != "directory":
                assert getattr(configured, each.name) == getattr(opened, each.name), each.name
                assert each.name in _WITHOUT_DEFAULT or getattr(opened, each.name) != each.default


_WITHOUT_DEFAULT = {"domain", "plan", "rules", "enabled", "expansion"}
"""What a domain is always told, or what this configuration leaves as it is."""


# --- how long ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "allow_lives", "refusal_lives"),
    [("60s", 60, 5), ("3s", 3, 3), ("0s", 0, 0)],
    ids=["a refusal lives five seconds", "never longer than the cache time", "no cache at all"],
)
def test_t41_no_verdict_lives_longer_than_the_cache_time(
    place: Place, time: str, allow_lives: int, refusal_lives: int
) -> None:
    place.configure(cache={"time": time})
    with serving_service(place) as service:
        for person_, lives in (("dave", allow_lives), ("norma", refusal_lives)):
            request = reading(world().people[person_])
            verdict = ask(service, request)
            assert isinstance(verdict, Allowed | Denied)
            assert timedelta(seconds=lives) == verdict.valid_until - NOW
            assert (lives > 0) is (service.decider.cached(request) is not None)


# --- opening and closing -----------------------------------------------------------------------------------


def open_files(folder: Path) -> list[str]:
    """Return what this process has open in a folder."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing itself was one
            found.append(str(descriptor.readlink()))
    return sorted(path for path in found if path.startswith(str(folder)))


def _empty_anchors(place: Place) -> None:
    place.write("root.pem", "")


def _text_for_a_database(place: Place) -> None:
    place.write("directory.db", "this is no database at all")


def _newer_schema(place: Place) -> None:
    with closing(connect(place.folder / "directory.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def _audit_is_a_folder(place: Place) -> None:
    (place.folder / "audit.jsonl").mkdir()


OPENING = [
    (_empty_anchors, TrustMaterialError),
    (_text_for_a_database, StoreFault),
    (_newer_schema, SchemaRefused),
    (_audit_is_a_folder, AuditFault),
]


@pytest.mark.parametrize(("damage", "error"), OPENING, ids=[damage.__name__ for damage, _ in OPENING])
def test_t29_what_cannot_be_used_refuses_the_start_and_leaves_nothing_open(
    place: Place, damage: Callable[[Place], None], error: type[Exception]
) -> None:
    settings = place.settings()
    damage(place)
    with pytest.raises(error):
        Service.open(settings, serving=True)
    assert open_files(place.folder) == []


def test_a_configuration_that_vanished_refuses_the_start_and_leaves_nothing_open(place: Place) -> None:
    settings = place.settings()
    (place.folder / "directory-assistance.yaml").unlink()
    with pytest.raises(FileNotFoundError):
        Service.open(settings, serving=True)
    assert open_files(place.folder) == []


def test_closing_leaves_nothing_open_and_may_be_repeated(place: Place) -> None:
    with serving_service(place) as service:
        service.start()
        ask(service)
        assert open_files(place.folder) != []
        service.close()
        assert open_files(place.folder) == []


def test_what_does_not_serve_writes_nothing(place: Place) -> None:
    """So that `explain`, run by somebody else, leaves no file that the service cannot write."""
    before = sorted(place.folder.iterdir())
    with closing(Service.open(place.settings(), now=lambda: NOW)) as service:
        verdict = service.explain(DAVE)
        assert isinstance(verdict, Allowed)
        assert verdict.trace != ()
        assert not service.record_decision(record())
    assert before == [
        path for path in sorted(place.folder.iterdir()) if path.suffix not in {".db-shm", ".db-wal"}
    ]


def test_what_does_not_serve_refuses_a_database_without_schema(place: Place) -> None:
    place.write("directory.db", "")
    with pytest.raises(SchemaRefused):
        Service.open(place.settings())


def test_what_serves_makes_the_schema(place: Place) -> None:
    place.write("directory.db", "")
    with serving_service(place) as service:
        assert ask(service).reason is Reason.NO_ENTRY
        assert service.readiness().ready


# --- version -----------------------------------------------------------------------------------------------


def version(place: Place) -> str:
    with closing(Service.open(place.settings())) as service:
        return service.version


def test_t70_the_version_changes_with_either_file_and_with_nothing_else(place: Place) -> None:
    first = version(place)
    assert first == version(place)
    place.configure(expose_reasons=True)
    second = version(place)
    place.configure_directories(ambiguity="strict")
    third = version(place)
    assert len({first, second, third}) == 3
    place.configure(expose_reasons=False)
    place.configure_directories(ambiguity="first")
    assert version(place) not in {second, third}


# --- audit, token ------------------------------------------------------------------------------------------


def record() -> DecisionRecord:
    return DecisionRecord(
        time=NOW, request_id="r", front_end="nginx", peer="unix", status=200, reason=Reason.ALLOWED
    )


def break_audit(service: Service) -> None:
    """Let every write to the audit file fail, as on a full disk."""
    assert service.audit is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, service.audit._file)
    os.close(full)


def test_a_record_that_cannot_be_written_is_told_and_logged(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.record_decision(record())
    break_audit(service)
    assert not service.record_decision(record())
    assert ["audit_failed"] == caplog.messages


def test_the_bootstrap_token_is_checked_against_the_store(place: Place, service: Service) -> None:
    token = make_token(place)
    assert service.verify_bootstrap_token(token)
    assert not service.verify_bootstrap_token(token[:-1])
    assert not service.verify_bootstrap_token("")


def make_token(place: Place) -> str:
    path = place.folder / "token"
    with place.store() as engine:
        create_token(engine, path, actor="local:test", now=NOW)
    return path.read_text().strip()


def test_a_store_that_does_not_answer_says_nothing_about_a_token(place: Place, service: Service) -> None:
    with closing(connect(place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE settings RENAME TO elsewhere")
    with pytest.raises(StoreFault):
        service.verify_bootstrap_token("token")


def test_a_manager_who_is_seen_closes_the_door_of_the_token(
    place: Place, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = make_token(place)
    verdict = ask(service)
    assert isinstance(verdict, Allowed)
    assert verdict.identity is not None
    for _ in range(2):
        service.note_manager_used(verdict.identity)
    assert not service.verify_bootstrap_token(token)
    assert ["bootstrap_token_closed"] == caplog.messages


def test_a_store_that_does_not_answer_leaves_the_door_as_it_is(
    place: Place, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = ask(service)
    assert isinstance(verdict, Allowed)
    assert verdict.identity is not None
    with closing(connect(place.folder / "directory.db")) as connection:
        connection.execute("ALTER TABLE settings RENAME TO elsewhere")
    service.note_manager_used(verdict.identity)
    assert ["store_unavailable"] == caplog.messages


def test_insecure_options_are_logged_by_name(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    direct = {
        "name": "lenient",
        "dialect": "nginx",
        "listen": "unix:lenient.sock",
        "insecure_accept_expired": "7d",
    }
    place.configure(front_ends=[direct])
    place.configure_directories(
        primary={
            "domain": "Renovations",
            "url": "sqlite:///directory.db",
            "bind_by": "insecure_name_only",
        }
    )
    with serving_service(place) as service:
        service.log_insecure_options()
    options = [vars(each).get("option") for each in caplog.records if each.message == "insecure_option"]
    assert ["insecure_name_only", "insecure_accept_expired"] == options


# --- readiness ---------------------------------------------------------------------------------------------


def test_a_service_in_order_is_ready_without_a_warning(service: Service) -> None:
    readiness = service.readiness()
    assert readiness.ready
    assert ((), ()) == (readiness.problems, readiness.warnings)


def _no_directory_database(place: Place, _service: Service) -> None:
    with closing(connect(place.folder / "directory.db")) as connection, connection:
        connection.execute("DELETE FROM acl_entries")
        connection.execute("DELETE FROM database_roles")
        connection.execute("DELETE FROM databases")


def _broken_store(place: Place, _service: Service) -> None:
    break_store(place)


def _failed_audit(_place: Place, service: Service) -> None:
    break_audit(service)
    service.record_decision(record())


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_no_directory_database, "the built-in database `directory` is missing"),
        (_broken_store, "the store did not answer"),
        (_failed_audit, "audit: audit file"),
    ],
    ids=["the database `directory` is missing", "the store fails", "the audit file is full"],
)
def test_what_stands_in_the_way_is_a_problem(
    place: Place, service: Service, damage: Callable[[Place, Service], None], problem: str
) -> None:
    damage(place, service)
    readiness = service.readiness()
    assert not readiness.ready
    assert any(each.startswith(problem) for each in readiness.problems), readiness


def test_an_audit_file_that_can_be_written_again_is_ready_again(service: Service) -> None:
    break_audit(service)
    service.record_decision(record())
    assert service.audit is not None
    service.audit.reopen()
    service.record_decision(record())
    assert service.readiness().ready


def test_a_directory_that_is_down_is_a_warning(place: Place) -> None:
    acme = add_acme(place)
    with serving_service(place) as service:
        acme.write_bytes(b"no database any more")
        readiness = service.readiness()
        assert readiness.ready
        (warning,) = readiness.warnings
        assert "Acme" in warning


def test_a_directory_that_hangs_takes_no_other_ones_time(place: Place) -> None:
    """A server that accepts and never answers, before one in order."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        ldap = {
            "domain": "Silent",
            "type": "ldap",
            "rules": [{"suffix": "o=silent", "trusted": True}],
            "ldap": {
                "hosts": [f"ldap://127.0.0.1:{silent.getsockname()[1]}"],
                "bind": "anonymous",
                "base": "o=silent",
                "connect_timeout": "200ms",
                "timeout": "200ms",
            },
        }
        add_acme(place)
        place.configure_directories(domains=[ldap, *place.assistance["domains"]])  # type: ignore[misc]  # a list
        with serving_service(place) as service:
            readiness = service.readiness()
        assert readiness.ready
        (warning,) = readiness.warnings
        assert "Silent" in warning


def test_t37_a_stale_list_and_one_that_runs_out_are_warnings(place: Place) -> None:
    """Less than a fifth of its life left: an operator still has time."""
    life = timedelta(days=10)
    begin = NOW - timedelta(days=8, seconds=1)
    running_out = world().issuing.crl(this_update=begin, next_update=begin + life)
    stale = world().root.crl(this_update=NOW - life, next_update=NOW - timedelta(seconds=1))
    place.write("issuing.crl", running_out.pem)
    place.write("root.crl", stale.pem)
    with serving_service(place) as service:
        readiness = service.readiness()
        assert ask(service).reason is Reason.REVOCATION_UNAVAILABLE
    assert readiness.ready
    first, second = readiness.warnings
    assert "has less than 20% of its life left" in first
    assert "expired" in second


def test_a_list_with_a_fifth_of_its_life_left_is_no_warning_yet(place: Place) -> None:
    begin = NOW - timedelta(days=8)
    place.write(
        "issuing.crl", world().issuing.crl(this_update=begin, next_update=begin + timedelta(days=10)).pem
    )
    with serving_service(place) as service:
        assert service.readiness().warnings == ()
