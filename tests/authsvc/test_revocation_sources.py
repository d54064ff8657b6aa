"""Where revocation lists come from, with real servers that misbehave: what is taken, and what stays."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from authsvc.operations import revocation_files
from authsvc.operations.indexing import index_in_process
from authsvc.operations.list_fetching import RefreshSettings, next_attempt
from authsvc.operations.revocation_records import Record
from authsvc.operations.revocation_states import ListStatus, SourceKind
from authsvc.operations.trust_files import TrustFiles, TrustSnapshot
from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.path import PathRefusal, verify_path
from authsvc.trust.revocation import (
    RevocationEvidence,
    RevocationRefusal,
    RevocationStatus,
    RevocationUndecided,
)
from tests.support import ldap_wire
from tests.support.fetched import MINUTE, TrustFolder, settle
from tests.support.list_server import Answer, ListServer, Request, body, server_context, serving_lists
from tests.support.lists import delta_of, entry, issuing_point, list_of_entries
from tests.support.pki import NOW, Authority, Issued, generate_key, uri
from tests.support.slapd import SUFFIX, change, ldif, serve
from tests.support.trust import verified, verify

DAY = timedelta(days=1)

WITHIN = 5.0
"""Seconds for what is promised in one, on a machine that does other things. Measured in `benchmarks/`."""


@pytest.fixture
def server() -> Iterator[ListServer]:
    with serving_lists() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> TrustFolder:
    return TrustFolder(path=tmp_path)


@contextmanager
def opened(folder: TrustFolder, *urls: str, **more: object) -> Iterator[TrustFiles]:
    files = folder.open(*urls, **more)  # type: ignore[arg-type]  # deviations, by name
    try:
        yield files
    finally:
        files.stop()


def is_good(folder: TrustFolder, files: TrustFiles, issued: Issued | None = None) -> bool:
    outcome = folder.outcome(files, issued)
    return isinstance(outcome, RevocationEvidence) and outcome.status is RevocationStatus.GOOD


def is_revoked(folder: TrustFolder, files: TrustFiles, issued: Issued | None = None) -> bool:
    outcome = folder.outcome(files, issued)
    return isinstance(outcome, RevocationRefusal) and outcome.reason is Reason.CERTIFICATE_REVOKED


def is_undecided(folder: TrustFolder, files: TrustFiles) -> bool:
    outcome = folder.outcome(files)
    return isinstance(outcome, RevocationUndecided) and outcome.reason is Reason.REVOCATION_UNAVAILABLE


# ----------------------------------------------------------------------------------------------- from a URL


def test_a_list_is_fetched_in_the_background_and_counts_at_the_next_look(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl(number=7).der)
    url = server.url("/ca.crl")
    with opened(folder, url) as files:
        assert is_undecided(folder, files)
        assert f"`{url}`: not fetched yet" in files.warnings(NOW)
        assert server.requests == []
        settle(files)
        assert is_good(folder, files)
        assert files.generation == 2
        assert files.warnings(NOW) == ()
        found = folder.status(files, url)
        assert (SourceKind.URL, ListStatus.CURRENT, 7, 0, NOW, 1, 0) == (
            found.kind,
            found.status,
            found.number,
            found.entries,
            found.succeeded,
            found.successes,
            found.failures,
        )
        server.answers["/ca.crl"] = body(folder.world.issuing.crl([folder.world.dave], number=8).pem.encode())
        folder.clock.advance(60 * MINUTE)
        settle(files)
        assert is_revoked(folder, files)


def test_a_list_is_asked_for_with_what_its_answer_was_told_by(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der, 'ETag: "1"', "Last-Modified: then")
    url = server.url("/ca.crl")
    with opened(folder, url) as files:
        settle(files)
        server.answers["/ca.crl"] = body(b"", status="304 Not Modified")
        before = files.current
        folder.clock.advance(60 * MINUTE)
        settle(files)
        assert ('"1"', "then") == (
            server.requests[-1].headers["if-none-match"],
            server.requests[-1].headers["if-modified-since"],
        )
        assert files.current is before
        found = folder.status(files, url)
        assert (2, folder.clock.now, "") == (found.successes, found.succeeded, found.problem)


# --------------------------------------------------------------------------------------------- the fault drill


def _dripping(start: bytes, drop: bytes) -> Answer:
    def answer(_request: Request, server: ListServer) -> Iterator[bytes]:
        yield start
        while not server.ended.wait(0.02):
            yield drop

    return answer


_OK = b"HTTP/1.1 200 OK\r\n"
_DAVE_REVOKED = 9

FAULTS: dict[str, tuple[Callable[[TrustFolder], Answer], str]] = {
    "hanging": (lambda _: _dripping(b"", b""), "expected the whole answer in time"),
    "headers drip": (lambda _: _dripping(_OK, b"X: a\r\n"), "expected"),
    "the body drips": (
        lambda _: _dripping(_OK + b"Content-Length: 9999\r\n\r\n", b"a"),
        "expected the whole answer in time",
    ),
    "endless": (
        lambda _: _dripping(
            _OK + b"Transfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b"a" * 32768 + b"\r\n"
        ),
        "too large: more than 200000 octets",
    ),
    "too large": (
        lambda _: _dripping(_OK + b"Content-Length: 107374182400\r\n\r\n", b""),
        "too large: 107374182400 octets announced",
    ),
    "cut off": (
        lambda folder: body(folder.world.issuing.crl().der[:-20]),
        "/ca.crl`: ",
    ),
    "garbled": (lambda _: body(b"<html>certificates revoked: none</html>"), "/ca.crl`: "),
    "empty": (lambda _: body(b""), "expected a revocation list, found nothing"),
    "two lists": (
        lambda folder: body((folder.world.issuing.crl().pem * 2).encode()),
        "expected one revocation list, found 2",
    ),
    "signed by another key": (
        lambda folder: body(folder.world.issuing.crl(number=_DAVE_REVOKED, signing_key=generate_key()).der),
        "not signed with the key of `CN=Renovations Issuing CA,O=Renovations`",
    ),
    "of an unknown issuer": (
        lambda folder: body(folder.world.root.issue_authority("CN=Unknown CA").crl(number=_DAVE_REVOKED).der),
        "is neither a trust anchor nor a configured intermediate",
    ),
    "an older number": (
        lambda folder: body(folder.world.issuing.crl(number=4).der),
        "expected a list newer than number 5",
    ),
    "an older date": (
        lambda folder: body(folder.world.issuing.crl(number=6, this_update=NOW - 2 * DAY).der),
        "expected a list newer than number 5",
    ),
    "expired": (
        lambda folder: body(
            folder.world.issuing.crl(number=6, this_update=NOW, next_update=NOW + timedelta(seconds=1)).der
        ),
        "expected a current list, found one from",
    ),
    "of tomorrow": (
        lambda folder: body(
            folder.world.issuing.crl(number=6, this_update=NOW + DAY, next_update=NOW + 9 * DAY).der
        ),
        "expected a current list, found one from",
    ),
    "gone": (lambda _: body(b"", status="410 Gone"), "expected status 200, found 410"),
    "broken": (lambda _: body(b"", status="500 Broken"), "expected status 200, found 500"),
    "redirected to another host": (
        lambda _: body(b"", "Location: http://evil.example.com/", status="302 Found"),
        "expected redirects to the same host only",
    ),
    "redirected to a private address": (
        lambda _: body(b"", "Location: http://169.254.169.254/", status="302 Found"),
        "expected redirects to the same host only",
    ),
}


@pytest.mark.parametrize(("answer", "text"), [pytest.param(*case, id=name) for name, case in FAULTS.items()])
def test_t33_t37_t39_a_server_that_misbehaves_is_reported_and_the_last_good_list_stays(
    folder: TrustFolder, server: ListServer, answer: Callable[[TrustFolder], Answer], text: str
) -> None:
    """And decisions go on meanwhile; at the list's next update they are undecided, never good."""
    eve = folder.world.issuing.issue("CN=Eve Expelled")
    server.answers["/ca.crl"] = body(folder.world.issuing.crl([eve], number=5).der)
    url = server.url("/ca.crl")
    with opened(folder, url) as files:
        settle(files)
        server.answers["/ca.crl"] = answer(folder)
        folder.clock.advance(60 * MINUTE)
        files.poll()
        server.wait_for_requests(2)
        began = time.perf_counter()
        assert is_good(folder, files)
        assert is_revoked(folder, files, eve)
        assert time.perf_counter() - began < WITHIN
        settle(files)
        assert is_good(folder, files)
        assert is_revoked(folder, files, eve)
        found = folder.status(files, url)
        assert text in found.problem
        assert (5, 1, 1, NOW) == (found.number, found.successes, found.failures, found.succeeded)
        (warning,) = files.warnings(folder.clock.now)
        assert text in warning
        assert warning.endswith("; the list read before is kept")
        folder.clock.now = NOW + 7 * DAY
        assert is_undecided(folder, files)
        assert is_revoked(folder, files, eve)


@pytest.mark.parametrize(
    "answer", [pytest.param(case[0], id=name) for name, case in FAULTS.items() if "older" not in name]
)
def test_t39_a_source_that_never_gave_a_list_makes_certificates_undecided(
    folder: TrustFolder, server: ListServer, answer: Callable[[TrustFolder], Answer]
) -> None:
    server.answers["/ca.crl"] = answer(folder)
    folder.clock.advance(60 * MINUTE)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        assert is_undecided(folder, files)
        assert files.warnings(folder.clock.now) != ()
        folder.mode = RevocationMode.PREFER
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        outcome = folder.outcome(files)
        assert isinstance(outcome, RevocationEvidence)
        assert outcome.status is RevocationStatus.UNKNOWN_ACCEPTED


def test_t39_a_server_that_refuses_and_comes_back(folder: TrustFolder, server: ListServer) -> None:
    url = server.url("/ca.crl").replace(str(server.port), "1")
    with opened(folder, url) as files:
        settle(files)
        assert "cannot be connected to" in folder.status(files, url).problem
        assert is_undecided(folder, files)
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        assert is_good(folder, files)


def test_t31_a_list_from_a_private_address_is_fetched_only_where_it_is_listed(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    folder.fetch = replace(folder.fetch, private_networks=())
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        assert "which is not a public address" in folder.status(files, server.url("/ca.crl")).problem
        assert is_undecided(folder, files)
        assert server.connections == 0


def test_t31_a_list_over_tls_is_taken_from_the_right_server_only(folder: TrustFolder) -> None:
    now = datetime.now(UTC)
    authority, other = Authority.root(now=now), Authority.root("CN=Other", now=now)
    folder.fetch = replace(folder.fetch, ca_file=folder.write("ca.pem", authority.pem))
    for issued, good in ((authority.issue_server(), True), (other.issue_server(), False)):
        with serving_lists(tls=server_context(issued, folder.path)) as secure:
            secure.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
            with opened(folder, secure.url("/ca.crl")) as files:
                settle(files)
                assert is_good(folder, files) == good
                assert is_undecided(folder, files) != good
                problem = folder.status(files, secure.url("/ca.crl")).problem
                assert ("the server's certificate is not accepted" in problem) != good


# ------------------------------------------------------------------------------------------------------- LDAP


def test_a_list_in_a_directory_is_fetched_anonymously(folder: TrustFolder) -> None:
    authority: dict[str, list[str | bytes]] = {
        "objectClass": ["applicationProcess", "certificationAuthority-V2"],
        "cn": ["CA"],
        "cACertificate;binary": [folder.world.issuing.der],
        "certificateRevocationList;binary": [folder.world.issuing.crl(number=3).der],
        "authorityRevocationList;binary": [folder.world.issuing.crl(number=3).der],
    }
    empty: dict[str, list[str | bytes]] = {"objectClass": ["applicationProcess"], "cn": ["Empty"]}
    content = ldif((f"cn=CA,{SUFFIX}", authority), (f"cn=Empty,{SUFFIX}", empty))
    with serve(folder.path / "slapd", content, anonymous_may_read=True) as slapd:
        url = f"{slapd.url}/cn=CA,{SUFFIX}?certificateRevocationList;binary"
        without = f"{slapd.url}/cn=Empty,{SUFFIX}"
        missing = f"{slapd.url}/cn=Nobody,{SUFFIX}"
        with opened(folder, url, without, missing) as files:
            settle(files)
            assert is_good(folder, files)
            assert "found none" in folder.status(files, without).problem
            assert "expected an entry of this name, found none" in folder.status(files, missing).problem
            fresh = folder.world.issuing.crl([folder.world.dave], number=4).der
            change(
                slapd,
                f"dn: cn=CA,{SUFFIX}\nchangetype: modify\nreplace: certificateRevocationList;binary\n"
                f"certificateRevocationList;binary:: {b64encode(fresh).decode()}\n",
            )
            folder.clock.advance(60 * MINUTE)
            settle(files)
            assert is_revoked(folder, files)


def test_t32_a_referral_of_a_directory_is_not_followed(folder: TrustFolder) -> None:
    def refer(message_id: int) -> Iterator[bytes]:
        yield ldap_wire.search_done(message_id, 10)

    with ldap_wire.serving(refer) as address:
        url = f"{address}/cn=CA"
        with opened(folder, url) as files:
            settle(files)
            assert "found a referral, which is not followed" in folder.status(files, url).problem
            assert is_undecided(folder, files)


# -------------------------------------------------------------------------------------------------- over time

REFRESH = RefreshSettings(minimum=MINUTE, maximum=60 * MINUTE)


@pytest.mark.parametrize(
    ("failing", "left", "chance", "wanted"),
    [
        pytest.param(0, 40 * MINUTE, 0.0, 20 * MINUTE, id="at half of its life at the earliest"),
        pytest.param(0, 40 * MINUTE, 1.0, 30 * MINUTE, id="at three quarters at the latest"),
        pytest.param(0, 7 * DAY, 1.0, 60 * MINUTE, id="never later than the maximum"),
        pytest.param(0, 7 * DAY, 0.0, 45 * MINUTE, id="nor all of them at the maximum"),
        pytest.param(0, MINUTE, 0.0, MINUTE, id="never sooner than the minimum"),
        pytest.param(0, -MINUTE, 0.5, MINUTE, id="an expired list, as soon as may be"),
        pytest.param(1, 7 * DAY, 1.0, MINUTE, id="after one failure"),
        pytest.param(4, 7 * DAY, 1.0, 8 * MINUTE, id="after four failures, eight times as long"),
        pytest.param(4, 7 * DAY, 0.0, 6 * MINUTE, id="a quarter sooner by chance"),
        pytest.param(6, 16 * MINUTE, 1.0, 4 * MINUTE, id="sooner where the list runs out"),
        pytest.param(99, 99 * DAY, 1.0, 60 * MINUTE, id="after ninety-nine failures, the maximum"),
        pytest.param(99, -DAY, 1.0, 60 * MINUTE, id="after ninety-nine failures without a list"),
    ],
)
def test_t72_the_next_question_comes_in_time_and_not_for_all_at_one_moment(
    folder: TrustFolder, failing: int, left: timedelta, chance: float, wanted: timedelta
) -> None:
    folder.write(
        "x.crl", folder.world.issuing.crl(next_update=NOW + left if left > timedelta(0) else NOW).der
    )
    with opened(folder, paths=[folder.path / "x.crl"]) as files:
        held = files._sources.states[0].held
    assert held is not None
    record = Record(source="x", failing=failing)
    assert wanted == next_attempt(record, held, REFRESH, now=NOW, chance=chance) - NOW


def test_a_source_is_never_asked_more_often_than_the_minimum(folder: TrustFolder, server: ListServer) -> None:
    with opened(folder, server.url("/ca.crl")) as files:
        for _ in range(5):
            settle(files)
        assert len(server.requests) == 1
        folder.clock.advance(MINUTE)
        settle(files)
        settle(files)
        assert len(server.requests) == 2


def test_t30_a_clock_that_was_set_back_does_not_stop_the_questions(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl(next_update=NOW + 365 * DAY).der)
    folder.clock.advance(30 * DAY)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        folder.clock.advance(-29 * DAY)
        settle(files)
        assert len(server.requests) == 2


def test_t37_a_grace_lets_a_list_count_on_and_is_seen(folder: TrustFolder, server: ListServer) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    url = server.url("/ca.crl")
    with opened(folder, url, grace=timedelta(hours=2)) as files:
        settle(files)
        for late, good, status in (
            (timedelta(0), True, ListStatus.GRACE),
            (timedelta(hours=2) - timedelta(seconds=1), True, ListStatus.GRACE),
            (timedelta(hours=2), False, ListStatus.EXPIRED),
        ):
            folder.clock.now = NOW + 7 * DAY + late
            outcome = folder.outcome(files)
            assert status == folder.status(files, url).status
            assert good == isinstance(outcome, RevocationEvidence)
            assert not good or (isinstance(outcome, RevocationEvidence) and outcome.grace_used)
            assert is_undecided(folder, files) != good
            (warning,) = files.warnings(folder.clock.now)
            assert "expired 2026-03-08T12:00:00+00:00" in warning
            assert ("because of `grace`" in warning) == good


def test_t37_an_older_list_does_not_count_after_a_restart_either(
    folder: TrustFolder, server: ListServer
) -> None:
    new = folder.world.issuing.crl([folder.world.dave], number=6).der
    old = folder.world.issuing.crl(number=5).der
    server.answers["/ca.crl"] = body(new)
    folder.write("issuing.crl", new)
    paths = [folder.path / "root.crl", folder.path / "issuing.crl"]
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
    with opened(folder, paths=paths) as files:
        assert is_revoked(folder, files)
    server.answers["/ca.crl"] = body(old)
    folder.write("issuing.crl", old)
    folder.clock.advance(60 * MINUTE)
    with opened(folder, server.url("/ca.crl")) as files:
        assert is_revoked(folder, files)  # before anything was fetched
        settle(files)
        assert is_revoked(folder, files)
        assert "expected a list newer than number 6" in folder.status(files, server.url("/ca.crl")).problem
    with opened(folder, paths=paths) as files:
        assert is_revoked(folder, files)
        assert "expected a list newer than number 6" in files.warnings(NOW)[0]
        files.poll()
        assert is_revoked(folder, files)


def test_t37_a_file_that_vanished_while_nobody_looked_is_remembered(folder: TrustFolder) -> None:
    path = folder.write("issuing.crl", folder.world.issuing.crl([folder.world.dave]).der)
    paths = [folder.path / "root.crl", path]
    with opened(folder, paths=paths):
        pass
    path.unlink()
    with opened(folder, paths=paths) as files:
        assert is_revoked(folder, files)
        assert (
            "cannot be read: No such file or directory; the list read before is kept"
            in files.warnings(NOW)[0]
        )


def test_a_new_intermediate_makes_a_fetched_list_count_that_it_signed(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    folder.write("issuing.pem", folder.world.root.issue_authority("CN=Another").pem)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        assert "is neither a trust anchor" in folder.status(files, server.url("/ca.crl")).problem
        folder.write("issuing.pem", folder.world.issuing.pem)
        folder.clock.advance(MINUTE)
        settle(files)
        assert is_good(folder, files)


# -------------------------------------------------------------------------------------------- several processes


def test_one_of_several_processes_fetches_and_all_of_them_know(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    url = server.url("/ca.crl")
    with opened(folder, url) as first, opened(folder, url) as second:
        settle(first)
        settle(second)
        assert (True, True) == (is_good(folder, first), is_good(folder, second))
        server.answers["/ca.crl"] = body(folder.world.issuing.crl([folder.world.dave], number=2).der)
        folder.clock.advance(60 * MINUTE)
        settle(second)
        assert is_good(folder, second)
        settle(first)
        second.poll()
        assert is_revoked(folder, second)
        assert len(server.requests) == 2


def test_when_the_one_that_fetches_is_killed_another_takes_its_place(
    folder: TrustFolder, server: ListServer
) -> None:
    """A real process holds the lock and is killed."""
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl")) as files:
        script = (
            "import fcntl, sys, time\n"
            "lock = open(sys.argv[1], 'w')\n"
            "fcntl.flock(lock, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\n"
            "time.sleep(600)\n"
        )
        lock = folder.path / "cache" / "lock"
        holder = subprocess.Popen([sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE)
        try:
            assert holder.stdout is not None
            assert b"held\n" == holder.stdout.readline()
            settle(files)
            assert is_undecided(folder, files)
            assert server.requests == []
        finally:
            holder.kill()
            holder.communicate()
        settle(files)
        assert is_good(folder, files)


def test_who_does_not_serve_reads_what_was_fetched_and_fetches_nothing(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl"), serving=False) as files:
        settle(files)
        assert is_undecided(folder, files)
        assert not (folder.path / "cache").exists()
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
    with opened(folder, server.url("/ca.crl"), serving=False) as files:
        assert is_good(folder, files)
    assert len(server.requests) == 1


def test_fetching_ends_when_it_is_told_to(folder: TrustFolder, server: ListServer) -> None:
    server.answers["/ca.crl"] = _dripping(b"", b"")
    folder.fetch = replace(folder.fetch, timeout=timedelta(minutes=2))
    files = folder.open(server.url("/ca.crl"))
    files.poll()
    server.wait_for_requests(1)
    began = time.monotonic()
    files.stop()
    assert time.monotonic() - began < 5
    assert not any(thread.name == "list-fetching" for thread in threading.enumerate())


# ---------------------------------------------------------------------------------------------------- the cache


def test_the_cache_is_its_owners_alone(folder: TrustFolder) -> None:
    folder.write("issuing.crl", folder.world.issuing.crl().der)
    with opened(folder, paths=[folder.path / "issuing.crl"]):
        cache = folder.path / "cache"
        assert 0o700 == cache.stat().st_mode & 0o777
        assert all(0o600 == each.stat().st_mode & 0o777 for each in cache.iterdir())
        assert 2 == len(list(cache.iterdir()))


def test_a_cache_that_others_may_write_is_not_believed(folder: TrustFolder) -> None:
    (folder.path / "cache").mkdir()
    (folder.path / "cache").chmod(0o777)
    with opened(folder) as files:
        (warning,) = files.warnings(NOW)
        assert (
            "revocation lists cannot be kept: expected a directory that its owner alone may write" in warning
        )


def test_a_cache_that_cannot_be_made_is_reported_and_lists_count_nevertheless(
    folder: TrustFolder, server: ListServer
) -> None:
    folder.write("cache", "a file")
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        assert is_good(folder, files)
        (warning,) = files.warnings(NOW)
        assert "revocation lists cannot be kept" in warning


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="emptied"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), id="cut off"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes().replace(b"a", b"b")), id="changed"),
        pytest.param(lambda path: path.write_bytes(b"[" * 60_000), id="nested"),
        pytest.param(lambda path: path.write_bytes(b" " * 99_999), id="too large"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a directory"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".index"])
def test_t42_a_cache_that_is_damaged_is_filled_again(
    folder: TrustFolder, server: ListServer, suffix: str, damage: Callable[[Path], object]
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der, 'ETag: "1"')
    url = server.url("/ca.crl")
    with opened(folder, url, paths=[]) as files:
        settle(files)
    (path,) = (folder.path / "cache").glob(f"*{suffix}")
    damage(path)
    with opened(folder, url, paths=[folder.path / "root.crl"]) as files:
        settle(files)
        is_directory = path.is_dir()
        assert is_good(folder, files) != is_directory
        assert is_undecided(folder, files) == is_directory


def test_a_start_without_the_network_uses_the_lists_of_the_last_time(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
    del server.answers["/ca.crl"]
    with opened(folder, server.url("/ca.crl")) as files:
        assert is_good(folder, files)
        assert files.warnings(NOW) == ()


def test_what_nobody_names_any_more_is_removed_from_the_cache(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        cache = folder.path / "cache"
        before = set(cache.glob("*.index"))
        long_ago = (NOW - DAY).timestamp()
        for each in (cache / ".new-left", cache / f"{'0' * 64}.index", *before):
            if each not in before:
                each.write_bytes(b"")
            os.utime(each, (long_ago, long_ago))
        server.answers["/ca.crl"] = body(folder.world.issuing.crl(number=2).der)
        folder.clock.advance(60 * MINUTE)
        settle(files)
        after = set(cache.glob("*.index"))
        assert len(after) == 2
        assert len(before & after) == 1  # the root's
        assert not (cache / ".new-left").exists()


# ------------------------------------------------------------------------------------------------- large lists


def _large(folder: TrustFolder, *more: Issued) -> bytes:
    serials = [
        *(0x7F << 120 | each for each in range(40_000)),
        *(each.certificate.serial_number for each in more),
    ]
    return list_of_entries(folder.world.issuing, map(entry, serials))


def test_a_large_list_is_indexed_by_another_process_while_decisions_go_on(
    folder: TrustFolder, server: ListServer
) -> None:
    folder.fetch = replace(folder.fetch, maximum_octets=8_000_000, timeout=timedelta(seconds=20))
    large = _large(folder, folder.world.dave)
    assert len(large) > 1024 * 1024
    server.answers["/ca.crl"] = body(large)
    path = folder.path / "issuing.crl"
    with opened(folder, server.url("/ca.crl"), paths=[folder.path / "root.crl", path]) as files:
        settle(files)
        assert is_revoked(folder, files)
        assert 40_001 == folder.status(files, server.url("/ca.crl")).entries
        folder.write("issuing.crl", large)
        files.poll()  # begins
        assert folder.status(files, str(path)).status is ListStatus.MISSING
        settle(files)
        assert folder.status(files, str(path)).status is ListStatus.CURRENT
        assert 40_001 == folder.status(files, str(path)).entries


def test_a_large_list_is_indexed_once_for_all_processes_and_starts(
    folder: TrustFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.write("issuing.crl", _large(folder, folder.world.dave))
    paths = [folder.path / "root.crl", path]
    with opened(folder, paths=paths) as files:
        assert is_revoked(folder, files)
        monkeypatch.setattr("authsvc.operations.revocation_files.index_in_process", None)
        with opened(folder, paths=paths) as other:
            assert is_revoked(folder, other)
        folder.write(
            "issuing.pem", folder.world.issuing.pem + folder.world.root.issue_authority("CN=New").pem
        )
        settle(files)  # other authorities: everything is read again
        assert is_revoked(folder, files)
        assert files.warnings(NOW) == ()


def test_two_processes_that_see_a_large_list_at_one_moment_index_it_once(
    folder: TrustFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed: list[Path] = []

    def counted(list_file: Path, index_file: Path, *, maximum_octets: int) -> str:
        indexed.append(list_file)
        return index_in_process(list_file, index_file, maximum_octets=maximum_octets)

    monkeypatch.setattr("authsvc.operations.revocation_files.index_in_process", counted)
    path = folder.write("issuing.crl", folder.world.issuing.crl().der)
    paths = [folder.path / "root.crl", path]
    with opened(folder, paths=paths) as first, opened(folder, paths=paths) as second:
        folder.write("issuing.crl", _large(folder, folder.world.dave))
        first.poll()
        second.poll()
        settle(first)
        settle(second)
        assert (True, True) == (is_revoked(folder, first), is_revoked(folder, second))
    assert [path] == indexed


def test_a_cache_that_vanishes_while_lists_are_fetched_is_reported(
    folder: TrustFolder, server: ListServer
) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        shutil.rmtree(folder.path / "cache")
        server.answers["/ca.crl"] = body(folder.world.issuing.crl([folder.world.dave], number=2).der)
        folder.clock.advance(60 * MINUTE)
        settle(files)
        assert is_good(folder, files)
        assert len(server.requests) == 1  # nothing is fetched that has no place
        (warning,) = files.warnings(NOW)
        assert warning.endswith("cache`: revocation lists cannot be kept: No such file or directory")
        folder.clock.advance(60 * MINUTE)
        settle(files)
        assert is_good(folder, files)


def test_a_defect_in_fetching_is_logged_and_a_problem(
    folder: TrustFolder, server: ListServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defective(_octets: bytes) -> bytes:
        raise RuntimeError("a defect")

    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    monkeypatch.setattr("authsvc.operations.list_fetching.index_crl", defective)
    with opened(folder, server.url("/ca.crl")) as files, caplog.at_level(logging.ERROR):
        settle(files)
        assert "a defect: a defect" in folder.status(files, server.url("/ca.crl")).problem
        assert is_undecided(folder, files)
    assert ["revocation_fetch_failed"] == [record.message for record in caplog.records]


def test_a_large_list_that_is_garbled_says_why(folder: TrustFolder) -> None:
    path = folder.write("issuing.crl", b"\0" * 2_000_000)
    with opened(folder, paths=[folder.path / "root.crl", path]) as files:
        assert str(path) in folder.status(files, str(path)).problem
        assert is_undecided(folder, files)


def test_t33_a_list_larger_than_any_may_be_is_refused_unread(folder: TrustFolder) -> None:
    path = folder.path / "issuing.crl"
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)
    with opened(folder, paths=[path]) as files:
        assert (
            "too large: expected a list of at most 268435456 octets"
            in folder.status(files, str(path)).problem
        )


# ------------------------------------------------------------------------------------------ directories of lists


def test_a_directory_gives_the_lists_that_stand_in_it(folder: TrustFolder) -> None:
    lists = folder.path / "lists"
    lists.mkdir()
    (folder.path / "root.crl").rename(lists / "root.pem")
    (lists / "README").write_text("not a list")
    (lists / ".hidden.crl").write_text("not a list")
    with opened(folder, paths=[lists]) as files:
        assert is_undecided(folder, files) is False
        assert not is_good(folder, files)
        folder.write("lists/issuing.crl", folder.world.issuing.crl().der)
        files.poll()
        assert is_good(folder, files)
        folder.write("lists/0a1b2c3d.r0", folder.world.issuing.crl([folder.world.dave], number=2).pem)
        files.poll()
        assert is_revoked(folder, files)
        assert files.warnings(NOW) == ()


def test_a_list_that_leaves_its_directory_counts_until_another_takes_its_place(folder: TrustFolder) -> None:
    lists = folder.path / "lists"
    lists.mkdir()
    first = folder.write("lists/1.crl", folder.world.issuing.crl([folder.world.dave], number=1).der)
    with opened(folder, paths=[folder.path / "root.crl", lists]) as files:
        first.unlink()
        files.poll()
        assert is_revoked(folder, files)
        assert any("1.crl" in each and "the list read before is kept" in each for each in files.warnings(NOW))
        folder.write("lists/2.crl", folder.world.issuing.crl(number=2).der)
        files.poll()
        files.poll()
        assert is_good(folder, files)
        assert files.warnings(NOW) == ()


@pytest.mark.parametrize("large", [False, True])
def test_t37_an_older_file_does_not_count_after_a_restart_whatever_its_name_and_size(
    folder: TrustFolder, large: bool
) -> None:
    lists = folder.path / "lists"
    lists.mkdir()
    new = folder.write("lists/2.crl", folder.world.issuing.crl([folder.world.dave], number=2).der)
    old = (
        _large(folder) if large else folder.world.issuing.crl(number=1).der
    )  # the large one has number 1 too
    paths = [folder.path / "root.crl", lists]
    with opened(folder, paths=paths) as files:
        folder.write("lists/2.crl", old)
        settle(files)
        settle(files)
        assert is_revoked(folder, files)
        assert "expected a list newer than number 2" in folder.status(files, str(new)).problem
    with opened(folder, paths=paths) as files:
        settle(files)
        assert is_revoked(folder, files)
    new.unlink()
    folder.write("lists/1.crl", old)
    with opened(folder, paths=paths) as files:
        settle(files)
        assert is_revoked(folder, files)


def test_t43_a_link_that_leaves_the_directory_is_not_read_and_said_to_be(folder: TrustFolder) -> None:
    lists = folder.path / "lists"
    (lists / "data").mkdir(parents=True)
    (lists / "data" / "issuing.crl").write_bytes(folder.world.issuing.crl().der)
    outside = folder.write("outside.crl", folder.world.issuing.crl([folder.world.dave], number=2).der)
    (lists / "inside.crl").symlink_to("data/issuing.crl")
    (lists / "outside.crl").symlink_to(outside)
    (lists / "upward.crl").symlink_to("../outside.crl")
    (lists / "loop.crl").symlink_to("loop.crl")
    with opened(folder, paths=[folder.path / "root.crl", lists]) as files:
        assert is_good(folder, files)
        for name in ("outside.crl", "upward.crl"):
            problem = folder.status(files, str(lists / name)).problem
            assert problem.startswith(f"`{lists / name}`: expected a file in this directory, found a link to")
        assert "cannot be read" in folder.status(files, str(lists / "loop.crl")).problem
        (lists / "data" / "issuing.crl").unlink()
        (lists / "data" / "issuing.crl").symlink_to(outside)  # a link behind a link
        files.poll()
        assert is_good(folder, files)
        assert not is_revoked(folder, files)


@pytest.mark.parametrize("content", [0, 1_001])
def test_a_directory_without_lists_or_with_too_many_is_a_problem(folder: TrustFolder, content: int) -> None:
    lists = folder.path / "lists"
    lists.mkdir()
    for number in range(content):
        (lists / f"{number}.crl").touch()
    with opened(folder, paths=[folder.path / "root.crl", lists]) as files:
        assert is_undecided(folder, files)
        found = folder.status(files, str(lists))
        assert (SourceKind.DIRECTORY, ListStatus.MISSING) == (found.kind, found.status)
        assert "found none" in found.problem or "expected at most 1000 lists" in found.problem


def test_t41_a_new_file_counts_soon(folder: TrustFolder) -> None:
    """With the interval that is used in earnest, and three files to look at."""
    changed = threading.Event()
    path = folder.write("issuing.crl", folder.world.issuing.crl().der)
    files = TrustFiles(
        folder.settings(paths=[folder.path / "root.crl", path]),
        on_change=lambda _: changed.set(),
        serving=True,
        now=folder.clock,
    )
    files.start()
    try:
        fresh = folder.world.issuing.crl([folder.world.dave], number=2).der
        began = time.monotonic()
        folder.write("issuing.crl", fresh)
        assert changed.wait(10)
        assert time.monotonic() - began < WITHIN
        assert is_revoked(folder, files)
    finally:
        files.stop()


def _setting(event: threading.Event) -> Callable[[TrustSnapshot], None]:
    def note(_snapshot: TrustSnapshot) -> None:
        event.set()

    return note


def test_t41_a_fetched_list_counts_in_every_process_soon(folder: TrustFolder, server: ListServer) -> None:
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    changed = [threading.Event(), threading.Event()]
    processes = [
        TrustFiles(
            folder.settings(server.url("/ca.crl")),
            on_change=_setting(event),
            serving=True,
            now=folder.clock,
        )
        for event in changed
    ]
    try:
        for files in processes:
            files.start()
        server.wait_for_requests(1)
        began = time.monotonic()
        assert all(event.wait(10) for event in changed)
        assert time.monotonic() - began < WITHIN
        assert all(is_good(folder, files) for files in processes)
    finally:
        for files in processes:
            files.stop()


# ------------------------------------------------------------------------------------------------ distribution points


def naming(folder: TrustFolder, *urls: str, name: str = "CN=Dora Distributed") -> Issued:
    """Return a certificate that names distribution points."""
    points = [
        x509.DistributionPoint(full_name=[uri(each)], relative_name=None, reasons=None, crl_issuer=None)
        for each in urls
    ]
    return folder.world.issuing.issue(name, extensions=[(x509.CRLDistributionPoints(points), False)])


def note(files: TrustFiles, issued: Issued) -> str:
    return files.note(verified(verify(issued, files.current.store)))


def hosts(*listed: str) -> dict[str, frozenset[str]]:
    return {"corp": frozenset(listed)}


def test_the_list_that_a_proven_certificate_names_is_fetched(folder: TrustFolder, server: ListServer) -> None:
    url = server.url("/ca.crl")
    server.answers["/ca.crl"] = body(folder.world.issuing.crl().der)
    dora = naming(folder, url)
    with opened(folder, hosts=hosts(server.host)) as files:
        settle(files)
        assert server.requests == []
        assert url == note(files, dora)
        settle(files)
        assert is_good(folder, files, dora)
        assert "" == note(files, dora)
        (found,) = [each for each in files.statuses(NOW) if each.kind is SourceKind.DISTRIBUTION_POINT]
        assert found.source.startswith(f"{url} of ")
    with opened(folder, hosts=hosts(server.host)) as files:
        assert is_good(folder, files, dora)  # it is remembered
    with opened(folder, hosts=hosts("another.example.com")) as files:
        assert not is_good(folder, files, dora)  # but not against the configuration
    assert len(server.requests) == 1


def test_t31_nobody_is_called_before_a_path_is_proven(folder: TrustFolder, server: ListServer) -> None:
    """A certificate of somebody else's authority that names our host, or any."""
    evil = Authority.root("CN=Renovations Root,O=Renovations", now=NOW)
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                full_name=[uri(server.url("/evil.crl"))], relative_name=None, reasons=None, crl_issuer=None
            )
        ]
    )
    leaf = evil.issue("CN=Eve", extensions=[(points, False)])
    with opened(folder, hosts=hosts(server.host)) as files:
        refused = verify_path(
            PresentedCertificate(der=leaf.der, chain=(evil.der,)),
            files.current.store,
            front_end="nginx",
            now=NOW,
            clock_skew=timedelta(0),
            accept_expired=timedelta(0),
        )
        assert isinstance(refused, PathRefusal)  # and so there is nothing to note
        settle(files)
        assert (0, 0) == (server.connections, len(files._sources._points.points))


@pytest.mark.parametrize(
    "url",
    [
        "http://internal.example.com/a.crl",
        "http://localhost/a.crl",
        "http://127.0.0.1:{port}/a.crl",
        "http://169.254.169.254/latest",
        "ftp://localhost:{port}/a.crl",
        "file:///etc/passwd",
        "ldap://localhost/cn=x",
        "http://localhost:{port}@evil.example.com/",
        "http://evil.example.com/?http://localhost:{port}/",
    ],
)
def test_t31_a_host_that_is_not_listed_is_never_called(
    folder: TrustFolder, server: ListServer, url: str
) -> None:
    dora = naming(folder, url.format(port=server.port))
    with opened(folder, hosts=hosts(server.host)) as files:
        assert "" == note(files, dora)
        settle(files)
        assert (0, ()) == (server.connections, files._sources._points.points)


@pytest.mark.parametrize("value", [b"", b"\x30\x00", b"\x04\x01a", b"\x30\x02\x30\x05"])
def test_distribution_points_that_cannot_be_read_are_none(folder: TrustFolder, value: bytes) -> None:
    broken = x509.UnrecognizedExtension(x509.FreshestCRL.oid, value)
    with opened(folder, hosts=hosts("localhost")) as files:
        outcome = verify(
            folder.world.issuing.issue("CN=Broken", extensions=[(broken, False)]), files.current.store
        )
        assert isinstance(outcome, PathRefusal) or files.note(outcome) == ""


def test_a_place_whose_issuer_cannot_be_read_is_forgotten(folder: TrustFolder, server: ListServer) -> None:
    dora = naming(folder, server.url("/ca.crl"))
    with opened(folder, hosts=hosts(server.host)) as files:
        note(files, dora)
        settle(files)
        (point,) = files._sources._points.points
        record = files._sources._cache.read_record(point.source)
        assert record is not None
        files._sources._cache.write_record(replace(record, issuer=b"\x30\x00"))
    with opened(folder, hosts=hosts(server.host)) as files:
        assert () == files._sources._points.points


def test_t31_hosts_are_listed_for_each_anchor(folder: TrustFolder, server: ListServer) -> None:
    dora = naming(folder, server.url("/ca.crl"))
    with opened(folder, hosts={"other": frozenset({server.host}), "": frozenset({server.host})}) as files:
        assert "" == note(files, dora)
        settle(files)
        assert 0 == server.connections


def test_t34_a_distribution_point_gives_lists_of_the_issuer_that_named_it_only(
    folder: TrustFolder, server: ListServer
) -> None:
    """Another authority that we know has signed it, and says nothing about Dora."""
    server.answers["/ca.crl"] = body(folder.world.root.crl(number=9).der)
    dora = naming(folder, server.url("/ca.crl"))
    with opened(folder, hosts=hosts(server.host)) as files:
        note(files, dora)
        settle(files)
        (found,) = [each for each in files.statuses(NOW) if each.kind is SourceKind.DISTRIBUTION_POINT]
        assert ListStatus.MISSING == found.status
        assert found.problem != ""
        assert not is_good(folder, files, dora)
        assert server.url("/ca.crl") == note(files, dora)


def test_t31_the_number_of_distribution_points_is_bounded(folder: TrustFolder, server: ListServer) -> None:
    with opened(folder, hosts=hosts(server.host)) as files:
        for number in range(40):
            note(files, naming(folder, server.url(f"/{number}.crl")))
        settle(files)
        assert 32 == len(files._sources._points.points)
        assert any(
            "is not fetched: expected at most 32 of one issuer" in each for each in files.warnings(NOW)
        )
        beyond = naming(folder, server.url("/39.crl"))
        assert server.url("/39.crl") == note(files, beyond)
        many = naming(folder, *(server.url(f"/x{number}.crl") for number in range(100)))
        note(files, many)
        assert len(files._sources._points._seen) <= 1 + 32


def _freshest(url: str) -> tuple[x509.ExtensionType, bool]:
    point = x509.DistributionPoint(full_name=[uri(url)], relative_name=None, reasons=None, crl_issuer=None)
    return (x509.FreshestCRL([point]), False)


@pytest.mark.parametrize("named_by", ["list", "certificate"])
def test_t40_the_delta_list_that_a_proven_list_or_certificate_names_is_fetched(
    folder: TrustFolder, server: ListServer, named_by: str
) -> None:
    freshest = _freshest(server.url("/delta.crl"))
    of_list, of_certificate = ([freshest], []) if named_by == "list" else ([], [freshest])
    dora = folder.world.issuing.issue("CN=Dora Distributed", extensions=of_certificate)
    delta = folder.world.issuing.crl([dora], number=6, extensions=[delta_of(5)])
    server.answers["/ca.crl"] = body(folder.world.issuing.crl(number=5, extensions=of_list).der)
    server.answers["/delta.crl"] = body(delta.der)
    allowed = {"corp": frozenset({server.host}), "": frozenset({server.host})}
    with opened(folder, server.url("/ca.crl"), hosts=allowed) as files:
        settle(files)
        note(files, dora)
        settle(files)
        settle(files)
        assert is_revoked(folder, files, dora)
        assert is_good(folder, files)
    with opened(folder, server.url("/ca.crl"), cache=folder.path / "other") as files:  # nobody is allowed
        settle(files)
        note(files, dora)
        settle(files)
        assert not is_revoked(folder, files, dora)


def test_t34_a_delta_list_of_another_issuer_is_not_taken(folder: TrustFolder, server: ListServer) -> None:
    server.answers["/ca.crl"] = body(
        folder.world.issuing.crl(number=5, extensions=[_freshest(server.url("/delta.crl"))]).der
    )
    server.answers["/delta.crl"] = body(folder.world.root.crl([7], number=6, extensions=[delta_of(5)]).der)
    with opened(folder, server.url("/ca.crl"), hosts={"": frozenset({server.host})}) as files:
        for _ in range(3):
            settle(files)
        (found,) = [each for each in files.statuses(NOW) if each.kind is SourceKind.DISTRIBUTION_POINT]
        assert "whose certificates or lists name this place" in found.problem
        assert is_good(folder, files)


def test_without_configuration_no_certificate_makes_anybody_be_called(
    folder: TrustFolder, server: ListServer
) -> None:
    dora = naming(folder, server.url("/ca.crl"))
    with opened(folder) as files:
        assert "" == note(files, dora)
        settle(files)
        assert 0 == server.connections


def test_the_lock_of_the_cache_is_free_again_at_the_end(folder: TrustFolder, server: ListServer) -> None:
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        with (folder.path / "cache" / "lock").open("w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (folder.path / "cache" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_list_without_an_end_that_vanishes_stops_nobody_from_looking(folder: TrustFolder) -> None:
    """Its end and a grace are more than there is time."""
    (folder.path / "lists").mkdir()
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    name = folder.write("lists/ca.crl", folder.world.issuing.crl(next_update=never, number=1).pem)
    with opened(folder, paths=(folder.path / "root.crl", folder.path / "lists"), grace=DAY) as files:
        name.unlink()
        folder.write("lists/other.crl", folder.world.issuing.crl([folder.world.dave], number=2).pem)
        files.poll()
        assert is_revoked(folder, files)


def test_an_index_that_is_lost_is_made_anew_although_the_list_is_the_same(
    folder: TrustFolder, server: ListServer
) -> None:
    """Another process has nothing to take, and is undecided, while the one that fetches still has the list."""

    def answer(request: Request, server: ListServer) -> Iterator[bytes]:
        if "if-none-match" in request.headers:
            return body(b"", status="304 Not Modified")(request, server)
        return body(folder.world.issuing.crl().der, 'ETag: "1"')(request, server)

    server.answers["/ca.crl"] = answer
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        for index in (folder.path / "cache").glob("*.index"):
            index.unlink()
        with opened(folder, server.url("/ca.crl")) as other:
            settle(other)
            assert is_undecided(folder, other)
            folder.clock.advance(60 * MINUTE)
            settle(files)
            settle(other)
            assert is_good(folder, other)


@pytest.mark.parametrize("what", ["of authorities", "of changes", "of another authority"])
def test_t34_a_list_of_another_kind_does_not_take_the_place_of_a_current_one(
    folder: TrustFolder, server: ListServer, what: str
) -> None:
    """Signed, and newer: whoever can choose among the lists of an authority would unsay what one of them revokes."""
    world = folder.world
    folder.mode = RevocationMode.PREFER
    others = {
        "of authorities": world.issuing.crl(number=6, extensions=[issuing_point(authorities=True)]),
        "of changes": world.issuing.crl(number=6, extensions=[delta_of(5)]),
        "of another authority": world.root.crl(number=6),
    }
    server.answers["/ca.crl"] = body(world.issuing.crl([world.dave], number=5).der)
    with opened(folder, server.url("/ca.crl")) as files:
        settle(files)
        server.answers["/ca.crl"] = body(others[what].der)
        folder.clock.advance(60 * MINUTE)
        settle(files)
        assert is_revoked(folder, files)
        assert "of the same kind and scope as before" in folder.status(files, server.url("/ca.crl")).problem
        server.answers["/ca.crl"] = body(world.issuing.crl(number=7).der)
        folder.clock.advance(60 * MINUTE)
        settle(files)
        assert is_good(folder, files)


def test_a_path_that_nobody_can_look_at_is_a_problem_of_its_own(folder: TrustFolder) -> None:
    """Other lists count nevertheless, and new ones are seen."""
    world, path = folder.world, folder.write("ca.crl", folder.world.issuing.crl(number=1).pem)
    odd = folder.path / "odd.crl"
    odd.symlink_to("x" * 300)  # the system refuses to say whether that is a directory
    with opened(folder, paths=(folder.path / "root.crl", path, odd)) as files:
        assert is_good(folder, files)
        assert "cannot be read: File name too long" in folder.status(files, str(odd)).problem
        folder.write("ca.crl", world.issuing.crl([world.dave], number=2).pem)
        files.poll()
        assert is_revoked(folder, files)


def test_a_defect_while_a_large_list_is_indexed_is_a_problem_of_that_list_alone(
    folder: TrustFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object, **_more: object) -> str:
        raise ValueError("broken")

    world = folder.world
    small, large = folder.path / "ca.crl", folder.path / "large.crl"
    folder.write("ca.crl", world.issuing.crl(number=1).pem)
    with opened(folder, paths=(folder.path / "root.crl", small, large)) as files:
        monkeypatch.setattr(revocation_files, "index_in_process", broken)
        folder.write("large.crl", b"\x30" * 1_500_000)
        settle(files)
        folder.write("ca.crl", world.issuing.crl([world.dave], number=2).pem)
        files.poll()
        assert is_revoked(folder, files)
        assert "large.crl`: a defect: broken" in folder.status(files, str(large)).problem
    assert "revocation_index_failed" in caplog.text
