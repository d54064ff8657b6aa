"""`/metrics`: the exact text for a known state and what it may never name."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from authsvc.operations.audit import AuditFault
from authsvc.operations.metrics import (
    METRICS,
    DirectoryFigures,
    Figures,
    Samples,
    continue_counters,
    join_samples,
    render_metrics,
    render_samples,
    verdict_of,
)
from authsvc.operations.ocsp_states import OcspFigures
from authsvc.operations.revocation_states import ListStatus, SourceKind, SourceStatus
from authsvc.operations.watches import DomainWatch
from authsvc.reason import Reason
from authsvc.web.app import create_app
from authsvc.web.serving import _InForce
from directory_assistance import backends
from directory_assistance.backends.caching import CacheCounts
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.watching import Change, WatchState, WatchStatus
from tests.authsvc.test_watches import NORMA, NORMA_ENTRY, configure, watching
from tests.support.api import API, EDGE, Call, Reply, by, send_call
from tests.support.pki import NOW
from tests.support.presented import byte_sequence
from tests.support.service import Place, lay_place, world
from tests.support.watching import WatchedDirectory

METRICS_CALL = Call(path="/metrics", method="GET", connection=by(None))

KNOWN = Figures(
    now=NOW,
    answers=Counter(
        {
            ("nginx", Reason.ALLOWED): 3,
            ("edge", Reason.ALLOWED): 2,
            ("edge", Reason.UNTRUSTED_FRONT_END): 1,
            ("nginx", Reason.OVERLOADED): 4,
            ("nginx", Reason.NO_ENTRY): 5,
        }
    ),
    cache_hits=6,
    watches=(
        DomainWatch(domain="Corp", status=WatchStatus(state=WatchState.LOST, how="notification"), changes=0),
        DomainWatch(
            domain='A "quoted\\" one', status=WatchStatus(state=WatchState.LIVE, how="syncrepl"), changes=7
        ),
    ),
    directories=(
        DirectoryFigures(domain="Renovations"),
        DirectoryFigures(
            domain="Corp",
            cache=CacheCounts(hits=8, misses=9, shared=10, purged=11),
            hosts=(HostStatus(uri="ldaps://dc1", state=HostState.DOWN, problem="refused"),),
        ),
    ),
    revocation=(
        SourceStatus(
            source="root.crl",
            kind=SourceKind.FILE,
            status=ListStatus.GRACE,
            issuer="CN=Root",
            this_update=NOW - timedelta(hours=2),
            next_update=NOW - timedelta(minutes=1),
        ),
        SourceStatus(
            source="http://crl",
            kind=SourceKind.URL,
            status=ListStatus.CURRENT,
            issuer="CN=Issuing",
            this_update=NOW - timedelta(hours=2),
            next_update=NOW + timedelta(hours=2),
            attempted=NOW - timedelta(minutes=1),
            succeeded=NOW - timedelta(minutes=2),
            successes=3,
            failures=1,
        ),
        SourceStatus(
            source="http://never",
            kind=SourceKind.DISTRIBUTION_POINT,
            status=ListStatus.MISSING,
            problem="refused",
            attempted=NOW,
            failures=5,
        ),
    ),
    fetches={("http://crl", "success"): 3, ("http://crl", "failure"): 1, ("http://never", "failure"): 5},
    ocsp=OcspFigures(
        answers={("ocsp.example.com", "good"): 12, ("ocsp.example.com", "unavailable"): 13},
        seconds={"ocsp.example.com": 1.5},
        remembered=14,
        shared=15,
        skipped=16,
        failing={"ocsp.example.com": True, "ocsp.example.net": False},
    ),
)

TEXT = r"""# HELP authsvc_decisions_total Answers, as the audit file has them
# TYPE authsvc_decisions_total counter
authsvc_decisions_total{reason="allowed",verdict="allowed"} 5.0
authsvc_decisions_total{reason="no_entry",verdict="denied"} 5.0
authsvc_decisions_total{reason="untrusted_front_end",verdict="denied"} 1.0
authsvc_decisions_total{reason="overloaded",verdict="undecided"} 4.0
# HELP authsvc_decision_cache_hits_total Decisions that an earlier equal question had made
# TYPE authsvc_decision_cache_hits_total counter
authsvc_decision_cache_hits_total 6.0
# HELP authsvc_untrusted_front_end_total Callers that a listener did not admit
# TYPE authsvc_untrusted_front_end_total counter
authsvc_untrusted_front_end_total{front_end="edge"} 1.0
# HELP authsvc_directory_watch_state 1 for the state that the watch of a directory is in, 0 for the others
# TYPE authsvc_directory_watch_state gauge
authsvc_directory_watch_state{domain="A \"quoted\\\" one",how="syncrepl",state="live"} 1.0
authsvc_directory_watch_state{domain="A \"quoted\\\" one",how="syncrepl",state="lost"} 0.0
authsvc_directory_watch_state{domain="A \"quoted\\\" one",how="syncrepl",state="off"} 0.0
authsvc_directory_watch_state{domain="A \"quoted\\\" one",how="syncrepl",state="starting"} 0.0
authsvc_directory_watch_state{domain="A \"quoted\\\" one",how="syncrepl",state="unsupported"} 0.0
authsvc_directory_watch_state{domain="Corp",how="notification",state="live"} 0.0
authsvc_directory_watch_state{domain="Corp",how="notification",state="lost"} 1.0
authsvc_directory_watch_state{domain="Corp",how="notification",state="off"} 0.0
authsvc_directory_watch_state{domain="Corp",how="notification",state="starting"} 0.0
authsvc_directory_watch_state{domain="Corp",how="notification",state="unsupported"} 0.0
# HELP authsvc_directory_changes_total Changes that a directory told
# TYPE authsvc_directory_changes_total counter
authsvc_directory_changes_total{domain="A \"quoted\\\" one"} 7.0
authsvc_directory_changes_total{domain="Corp"} 0.0
# HELP authsvc_directory_cache_hits_total Questions to a directory that were answered from memory
# TYPE authsvc_directory_cache_hits_total counter
authsvc_directory_cache_hits_total{domain="Corp"} 8.0
# HELP authsvc_directory_cache_misses_total Questions that were put to a directory
# TYPE authsvc_directory_cache_misses_total counter
authsvc_directory_cache_misses_total{domain="Corp"} 9.0
# HELP authsvc_directory_cache_shared_total Questions that waited for the same question of another request
# TYPE authsvc_directory_cache_shared_total counter
authsvc_directory_cache_shared_total{domain="Corp"} 10.0
# HELP authsvc_directory_cache_purged_total Answers of a directory that a change made forgotten
# TYPE authsvc_directory_cache_purged_total counter
authsvc_directory_cache_purged_total{domain="Corp"} 11.0
# HELP authsvc_directory_host_state 1 for the state that a server of a directory is in, 0 for the others
# TYPE authsvc_directory_host_state gauge
authsvc_directory_host_state{domain="Corp",host="ldaps://dc1",state="down"} 1.0
authsvc_directory_host_state{domain="Corp",host="ldaps://dc1",state="suspect"} 0.0
authsvc_directory_host_state{domain="Corp",host="ldaps://dc1",state="up"} 0.0
# HELP authsvc_revocation_next_update_seconds Seconds until the next update of a revocation list, below zero past it
# TYPE authsvc_revocation_next_update_seconds gauge
authsvc_revocation_next_update_seconds{issuer="CN=Issuing",source="http://crl"} 7200.0
authsvc_revocation_next_update_seconds{issuer="CN=Root",source="root.crl"} -60.0
# HELP authsvc_revocation_list_state 1 for the state that the list of a source is in, 0 for the others
# TYPE authsvc_revocation_list_state gauge
authsvc_revocation_list_state{source="http://crl",state="current"} 1.0
authsvc_revocation_list_state{source="http://crl",state="expired"} 0.0
authsvc_revocation_list_state{source="http://crl",state="future"} 0.0
authsvc_revocation_list_state{source="http://crl",state="grace"} 0.0
authsvc_revocation_list_state{source="http://crl",state="missing"} 0.0
authsvc_revocation_list_state{source="http://never",state="current"} 0.0
authsvc_revocation_list_state{source="http://never",state="expired"} 0.0
authsvc_revocation_list_state{source="http://never",state="future"} 0.0
authsvc_revocation_list_state{source="http://never",state="grace"} 0.0
authsvc_revocation_list_state{source="http://never",state="missing"} 1.0
authsvc_revocation_list_state{source="root.crl",state="current"} 0.0
authsvc_revocation_list_state{source="root.crl",state="expired"} 0.0
authsvc_revocation_list_state{source="root.crl",state="future"} 0.0
authsvc_revocation_list_state{source="root.crl",state="grace"} 1.0
authsvc_revocation_list_state{source="root.crl",state="missing"} 0.0
# HELP authsvc_revocation_fetches_total Attempts to fetch a revocation list
# TYPE authsvc_revocation_fetches_total counter
authsvc_revocation_fetches_total{result="failure",source="http://crl"} 1.0
authsvc_revocation_fetches_total{result="success",source="http://crl"} 3.0
authsvc_revocation_fetches_total{result="failure",source="http://never"} 5.0
# HELP authsvc_revocation_last_success_age_seconds Seconds since a source last gave a list or said that none is newer
# TYPE authsvc_revocation_last_success_age_seconds gauge
authsvc_revocation_last_success_age_seconds{source="http://crl"} 120.0
# HELP authsvc_ocsp_answers_total Questions that were put to an OCSP responder, by what came of them
# TYPE authsvc_ocsp_answers_total counter
authsvc_ocsp_answers_total{answer="good",host="ocsp.example.com"} 12.0
authsvc_ocsp_answers_total{answer="unavailable",host="ocsp.example.com"} 13.0
# HELP authsvc_ocsp_seconds_total Seconds for which an OCSP responder was waited for
# TYPE authsvc_ocsp_seconds_total counter
authsvc_ocsp_seconds_total{host="ocsp.example.com"} 1.5
# HELP authsvc_ocsp_remembered_total Questions about a certificate that were answered from memory
# TYPE authsvc_ocsp_remembered_total counter
authsvc_ocsp_remembered_total 14.0
# HELP authsvc_ocsp_shared_total Questions about a certificate that waited for the same question of another request
# TYPE authsvc_ocsp_shared_total counter
authsvc_ocsp_shared_total 15.0
# HELP authsvc_ocsp_skipped_total Questions about a certificate that were not put, because asking had just failed
# TYPE authsvc_ocsp_skipped_total counter
authsvc_ocsp_skipped_total 16.0
# HELP authsvc_ocsp_responder_failing 1 where an OCSP responder did not answer when it was last asked
# TYPE authsvc_ocsp_responder_failing gauge
authsvc_ocsp_responder_failing{host="ocsp.example.com"} 1.0
authsvc_ocsp_responder_failing{host="ocsp.example.net"} 0.0
"""


def samples(text: bytes) -> dict[str, float]:
    """Return the samples of a text as Prometheus reads it: `name{label=value,...}`, labels sorted."""
    return {
        sample.name
        + "".join(
            f"{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}"
        ): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_known_state_is_written_exactly_so() -> None:
    assert TEXT == render_metrics(KNOWN).decode()


def test_every_metric_is_written_even_where_nothing_happened() -> None:
    text = render_metrics(Figures(now=NOW, answers={}, cache_hits=0)).decode()
    told = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    assert [(metric.name, metric.kind) for metric in METRICS] == told


def test_every_sample_has_the_labels_of_its_metric_and_no_other() -> None:
    labels = {
        (sample.name, tuple(sorted(sample.labels)))
        for family in text_string_to_metric_families(TEXT)
        for sample in family.samples
    }
    assert {(metric.name, tuple(sorted(metric.labels))) for metric in METRICS} == labels


def test_t74_no_label_names_a_person_or_a_certificate() -> None:
    assert {
        "verdict",
        "reason",
        "front_end",
        "domain",
        "how",
        "state",
        "host",
        "source",
        "issuer",
        "result",
        "answer",
    } == {label for metric in METRICS for label in metric.labels}


@pytest.mark.parametrize("reason", list(Reason))
def test_the_verdict_of_a_reason_is_that_of_its_status(reason: Reason) -> None:
    expected = {200: "allowed", 400: "denied", 401: "denied", 403: "denied", 503: "undecided"}
    assert expected[reason.status] == verdict_of(reason)


# --- of a service


@pytest.fixture
def place(tmp_path: Path) -> Place:
    laid = lay_place(tmp_path)
    configure(laid)
    return laid


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> WatchedDirectory:
    directory = WatchedDirectory("Acme", NORMA_ENTRY)
    monkeypatch.setattr(backends, "LdapDirectory", lambda _domain, _settings: directory)
    return directory


@pytest.fixture
def in_force(place: Place, acme: WatchedDirectory) -> Iterator[_InForce]:
    with watching(place) as service:
        acme.server.turn(WatchState.LIVE)
        service._look()
        yield _InForce(service)


def scrape(in_force: _InForce) -> dict[str, float]:
    reply = send_call(in_force.answer, METRICS_CALL)
    assert reply.status == 200
    return samples(reply.body)


def sub_request(in_force: _InForce, secret: bytes = b"the secret of the edge") -> Reply:
    """Ask as the web server `edge` does: who is Norma?"""
    call = Call(
        path="/auth",
        method="GET",
        pieces=(),
        headers=((b"client-cert", byte_sequence(NORMA.der)), (b"x-front-end-secret", secret)),
        connection=EDGE,
    )
    return send_call(in_force.answer, call)


def test_metrics_are_open_to_everybody_on_the_api_listener(in_force: _InForce) -> None:
    reply = send_call(in_force.answer, METRICS_CALL)
    assert reply.status == 200
    assert "text/plain; version=0.0.4; charset=utf-8" == reply.value("Content-Type")
    assert "private, no-store" == reply.value("Cache-Control")
    assert send_call(in_force.answer, replace(METRICS_CALL, connection=EDGE)).status == 403
    assert send_call(in_force.answer, replace(METRICS_CALL, method="POST")).status == 405


def test_what_happens_is_counted(in_force: _InForce, acme: WatchedDirectory) -> None:
    for _ in range(3):
        assert sub_request(in_force).status == 403  # no database is named, no route matches
    assert sub_request(in_force, b"a guess").status == 403
    acme.server.tell(Change(unique_id=NORMA_ENTRY.unique_id))
    told = scrape(in_force)
    expected = {
        "authsvc_decisions_total{reason=database_unknown,verdict=denied}": 3.0,
        "authsvc_decisions_total{reason=untrusted_front_end,verdict=denied}": 1.0,
        "authsvc_untrusted_front_end_total{front_end=edge}": 1.0,
        "authsvc_decision_cache_hits_total{}": 2.0,
        "authsvc_directory_watch_state{domain=Acme,how=fake,state=live}": 1.0,
        "authsvc_directory_changes_total{domain=Acme}": 2.0,
        "authsvc_directory_cache_misses_total{domain=Acme}": 1.0,
        "authsvc_directory_cache_hits_total{domain=Acme}": 0.0,
        "authsvc_directory_cache_purged_total{domain=Acme}": 1.0,
    }
    assert expected == {name: told.get(name) for name in expected}


def test_calls_of_the_api_are_counted_as_they_are_recorded(in_force: _InForce) -> None:
    call = Call(body={"certificate": NORMA.pem}, connection=by(world().people["ada"]))
    assert send_call(in_force.answer, call).status == 200
    assert send_call(in_force.answer, replace(call, connection=by(None))).status == 401
    told = scrape(in_force)
    assert 1.0 == told["authsvc_decisions_total{reason=allowed_identity,verdict=allowed}"]
    assert 1.0 == told["authsvc_decisions_total{reason=certificate_missing,verdict=denied}"]


def test_an_allow_that_cannot_be_recorded_is_counted_as_what_was_answered(
    in_force: _InForce, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_record: object) -> None:
        raise AuditFault("the disk is full")

    assert in_force.service.audit is not None
    monkeypatch.setattr(in_force.service.audit, "record", fail)
    call = Call(body={"certificate": NORMA.pem}, connection=by(world().people["ada"]))
    assert send_call(in_force.answer, call).status == 503
    assert send_call(in_force.answer, replace(call, connection=by(None))).status == 401
    told = scrape(in_force)
    assert 1.0 == told["authsvc_decisions_total{reason=store_unavailable,verdict=undecided}"]
    assert 1.0 == told["authsvc_decisions_total{reason=certificate_missing,verdict=denied}"]
    assert not any("reason=allowed" in name for name in told)


def test_the_servers_of_a_directory_are_told_where_it_tells_them(
    in_force: _InForce, acme: WatchedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any("host_state" in name for name in scrape(in_force))
    hosts = (HostStatus(uri="ldaps://one", state=HostState.SUSPECT, problem="too slow"),)
    monkeypatch.setattr(acme, "host_statuses", hosts, raising=False)
    assert 1.0 == scrape(in_force)["authsvc_directory_host_state{domain=Acme,host=ldaps://one,state=suspect}"]


def test_an_application_without_a_service_has_nothing_to_tell() -> None:
    assert send_call(create_app(), replace(METRICS_CALL, connection=API)).status == 503


# --- of several processes

HITS, CHANGES, STATE = (
    "authsvc_decision_cache_hits_total",
    "authsvc_directory_changes_total",
    "authsvc_directory_watch_state",
)
LIVE, LOST = ("Corp", "syncrepl", "live"), ("Corp", "syncrepl", "lost")


def test_counters_of_all_are_added_up_and_gauges_of_the_living_are_shown_once() -> None:
    one: Samples = {HITS: {(): 3.0}, STATE: {LIVE: 1.0, LOST: 0.0}}
    other: Samples = {HITS: {(): 4.0}, CHANGES: {("Corp",): 2.0}, STATE: {LIVE: 0.0, LOST: 1.0}}
    ended: Samples = {HITS: {(): 5.0}, STATE: {("Corp", "syncrepl", "off"): 1.0}}
    joined = join_samples([one, other, ended], [one, other])
    expected: Samples = {metric.name: {} for metric in METRICS} | {
        HITS: {(): 12.0},
        CHANGES: {("Corp",): 2.0},
        STATE: {LIVE: 1.0, LOST: 1.0},
    }
    assert expected == joined
    assert b'state="lost"} 1.0' in render_samples(joined)


def test_a_gauge_that_is_below_zero_everywhere_stays_so() -> None:
    """Seconds until something that is over."""
    assert {LIVE: -2.0} == join_samples([], [{STATE: {LIVE: -2.0}}, {STATE: {LIVE: -3.0}}])[STATE]


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        pytest.param({}, {(): 3.0}, 13.0, id="the first figure of a new process"),
        pytest.param({(): 3.0}, {(): 5.0}, 12.0, id="it has grown"),
        pytest.param({(): 5.0}, {(): 5.0}, 10.0, id="it is the same"),
        pytest.param({(): 5.0}, {(): 2.0}, 12.0, id="it began anew with a reload"),
        pytest.param({(): 5.0}, {}, 10.0, id="its directory is gone from the configuration"),
    ],
)
def test_a_total_never_falls(
    last: dict[tuple[str, ...], float], now: dict[tuple[str, ...], float], expected: float
) -> None:
    total: Samples = {HITS: {(): 10.0}, STATE: {LIVE: 1.0}}
    continued = continue_counters(total, {HITS: last}, {HITS: now, STATE: {LIVE: 0.0}})
    assert {(): expected} == continued[HITS]
    assert {LIVE: 0.0} == continued[STATE]
