"""Two hosts, one of them in trouble: every question is answered, within its deadline, and the first host comes back.

Real servers; what befalls the first one is real, too.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from authsvc.sample_world.pki import host
from directory_assistance.backends.ldap import LdapDirectory, LdapTls, SimpleBind
from directory_assistance.backends.ldap import client as client_module
from directory_assistance.backends.ldap import hosts as hosts_module
from directory_assistance.backends.ldap.client import LdapClient
from directory_assistance.backends.ldap.opening import open_session
from directory_assistance.backends.ldap.session import HostSilent, LdapSession
from directory_assistance.backends.ldap.settings import LdapHost, read_ldap_uri
from directory_assistance.candidates import FindBy, TextCandidate
from directory_assistance.directory import HostState
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryUnavailable
from tests.support import ldap_wire
from tests.support.directories import DOMAIN, ROOT, deadline, ldap_settings, world_ldif
from tests.support.pki import BEGIN, END, NOW, SERVER_AUTH
from tests.support.proxy import Proxy, black_hole
from tests.support.slapd import SlapdServer, SlapdTls, serve

DAVE_CN = TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave Lawson")

PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    with serve(tmp_path_factory.mktemp("second") / "s", world_ldif()) as server:
        yield server


@pytest.fixture
def first(tmp_path: Path, second: SlapdServer) -> Iterator[SlapdServer]:
    with serve(tmp_path / "first", world_ldif(), reader_password=second.reader_password) as server:
        yield server


@contextmanager
def directory_of(second: SlapdServer, *hosts: str, **deviations: object) -> Iterator[LdapDirectory]:
    quick = {"connect_timeout": timedelta(seconds=0.5), "timeout": timedelta(seconds=1)}
    directory = LdapDirectory(DOMAIN, ldap_settings(second, hosts=hosts, **(quick | deviations)))
    yield directory
    directory.close()


def ask(directory: LdapDirectory, seconds: float = 10.0) -> int:
    return len(directory.find_entries(DAVE_CN, limit=5, deadline=deadline(seconds)).entries)


def states(directory: LdapDirectory) -> list[HostState]:
    return [status.state for status in directory.host_statuses]


def wait_for(directory: LdapDirectory, *expected: HostState) -> None:
    """Wait until the hosts stand so; the thread that looks after them wakes us."""
    condition = directory._client._hosts._condition
    with condition:
        end = time.monotonic() + PATIENCE_SECONDS
        while states_held(directory) != list(expected):
            assert time.monotonic() < end, directory._client._hosts._health
            condition.wait(0.05)


def states_held(directory: LdapDirectory) -> list[HostState]:
    return [health.state for health in directory._client._hosts._health.values()]


@pytest.fixture
def opened_by_questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the hosts to which questions, and not the thread that probes, open connections."""
    collected: list[str] = []

    def listen(domain: str, host: LdapHost, *rest: object) -> LdapSession:
        if threading.current_thread() is threading.main_thread():
            collected.append(host.uri)
        return open_session(domain, host, *rest)  # type: ignore[arg-type]  # what the client gave

    monkeypatch.setattr(client_module, "open_session", listen)
    return collected


# --- what befalls the first host


def test_t50_a_host_that_is_killed_costs_no_answer_and_is_asked_again_when_it_is_back(
    first: SlapdServer, second: SlapdServer, opened_by_questions: list[str]
) -> None:
    with directory_of(second, first.url, second.url) as directory:
        assert ask(directory) == 1
        assert opened_by_questions == [first.url]
        first.kill()
        assert [ask(directory) for _again in range(5)] == [1] * 5
        assert states(directory) == [HostState.DOWN, HostState.UP]
        # The kept connection, one new one, and from there on the first host costs nothing.
        assert opened_by_questions == [first.url, first.url, second.url]
        first.start()
        wait_for(directory, HostState.UP, HostState.UP)
        assert ask(directory) == 1
        assert opened_by_questions[3:] == [first.url]


def test_t50_the_answer_of_a_host_that_was_down_brings_it_back_before_anybody_looks_after_it(
    first: SlapdServer, second: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts_module, "_FIRST_PROBE_SECONDS", 600.0)
    with directory_of(second, first.url) as directory:
        first.kill()
        with pytest.raises(DirectoryUnavailable):
            ask(directory)
        assert states(directory) == [HostState.DOWN]
        first.start()
        assert ask(directory) == 1
        assert states(directory) == [HostState.UP]


def test_a_host_that_hangs_costs_one_question_its_share_and_the_others_nothing(
    first: SlapdServer, second: SlapdServer, opened_by_questions: list[str]
) -> None:
    with directory_of(second, first.url, second.url) as directory:
        assert ask(directory) == 1
        first.pause()
        began = time.monotonic()
        assert ask(directory, seconds=4) == 1
        assert time.monotonic() - began < 4
        wait_for(directory, HostState.DOWN, HostState.UP)  # silent to the probe, too
        del opened_by_questions[:]
        assert [ask(directory) for _again in range(5)] == [1] * 5
        assert opened_by_questions == []
        first.resume()
        wait_for(directory, HostState.UP, HostState.UP)
        assert ask(directory) == 1
        assert opened_by_questions == [first.url]


def test_a_host_behind_a_black_hole_costs_one_connect_timeout(
    second: SlapdServer, opened_by_questions: list[str]
) -> None:
    with black_hole() as nowhere, directory_of(second, nowhere, second.url) as directory:
        began = time.monotonic()
        assert ask(directory, seconds=4) == 1
        assert time.monotonic() - began < 4
        assert states(directory) == [HostState.DOWN, HostState.UP]
        assert [ask(directory) for _again in range(5)] == [1] * 5
        assert opened_by_questions == [nowhere, second.url]


def test_a_host_that_refuses_our_bind_is_passed_over_until_it_lets_us_in(
    second: SlapdServer, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    with serve(tmp_path / "other", world_ldif()) as refusing:  # its reader has another password
        password.write_text(second.reader_password)
        bind = SimpleBind(dn=second.reader_dn, password_file=password)
        with directory_of(second, refusing.url, second.url, bind=bind) as directory:
            assert ask(directory) == 1
            assert "invalidCredentials" in directory.host_statuses[0].problem
            password.write_text(refusing.reader_password)
            wait_for(directory, HostState.UP, HostState.UP)
            assert ask(directory) == 1


def test_t60_a_host_whose_certificate_has_expired_is_passed_over_until_it_is_renewed(
    second: SlapdServer, tmp_path: Path
) -> None:
    old = ROOT.issue(
        "CN=127.0.0.1",
        eku=(SERVER_AUTH,),
        san=[host("127.0.0.1")],
        not_before=NOW - timedelta(days=20),
        not_after=NOW - timedelta(days=10),
    )
    new = ROOT.issue_server("127.0.0.1", not_before=BEGIN, not_after=END)
    files = {"ca.pem": ROOT.pem, "server.pem": old.pem, "server.key": old.key_pem}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tls = SlapdTls(certificate=tmp_path / "server.pem", key=tmp_path / "server.key")
    first = serve(tmp_path / "s", world_ldif(), tls=tls, reader_password=second.reader_password)
    with first:
        hosts = (first.ldaps_url, second.url)
        with directory_of(second, *hosts, tls=LdapTls(ca_file=tmp_path / "ca.pem")) as directory:
            assert ask(directory) == 1
            assert "certificate has expired" in directory.host_statuses[0].problem
            first.stop()
            (tmp_path / "server.pem").write_text(new.pem)
            (tmp_path / "server.key").write_text(new.key_pem)
            first.start()
            wait_for(directory, HostState.UP, HostState.UP)
            assert ask(directory) == 1


def test_t79_a_slow_host_is_asked_last_and_never_taken_out_by_slow_questions(
    first: SlapdServer, second: SlapdServer
) -> None:
    with Proxy(read_ldap_uri(first.url).port) as way, directory_of(second, way.url, second.url) as directory:
        assert ask(directory) == 1
        way.slow_down(1.2)  # longer than an operation may take
        assert ask(directory, seconds=6) == 1
        assert states(directory)[0] is not HostState.UP
        way.slow_down(0)
        assert [ask(directory) for _again in range(3)] == [1] * 3


def test_connections_that_are_cut_are_replaced_and_nobody_notices(
    first: SlapdServer, second: SlapdServer
) -> None:
    with Proxy(read_ldap_uri(first.url).port) as way, directory_of(second, way.url, second.url) as directory:
        assert ask(directory) == 1
        way.cut()
        assert ask(directory) == 1
        assert states(directory) == [HostState.UP, HostState.UP]
        assert way.accepted == 2


def test_a_host_that_says_it_is_too_busy_is_suspected_and_the_next_one_asked(second: SlapdServer) -> None:
    with (
        ldap_wire.serving(lambda number: [ldap_wire.search_done(number, 51, text="later")]) as busy,
        directory_of(second, busy, second.url) as directory,
    ):
        assert ask(directory) == 1
        assert directory.host_statuses[0].state is HostState.SUSPECT
        assert directory.host_statuses[0].problem == f"`{busy}` answered 51 busy: later"


# --- all of them in trouble


def test_where_every_host_is_down_each_failure_is_named_and_the_first_one_back_answers_the_next_call(
    first: SlapdServer, second: SlapdServer
) -> None:
    with directory_of(second, first.url, "ldap://127.0.0.1:1") as directory:
        first.kill()
        for _again in range(3):
            with pytest.raises(DirectoryUnavailable) as caught:
                ask(directory)
            assert first.url in caught.value.problem
            assert "ldap://127.0.0.1:1" in caught.value.problem
        first.start()
        assert ask(directory) == 1


def test_where_every_host_hangs_one_question_waits_and_the_others_are_told_at_once(
    first: SlapdServer, second: SlapdServer
) -> None:
    with directory_of(second, first.url) as directory:
        assert ask(directory) == 1
        first.pause()
        with pytest.raises(DirectoryUnavailable):
            ask(directory, seconds=3)
        wait_for(directory, HostState.DOWN)
        hosts = directory._client._hosts
        with hosts.claim(read_ldap_uri(first.url)) as claimed:  # somebody is trying
            assert claimed
            began = time.monotonic()
            with pytest.raises(DirectoryUnavailable, match="in time"):
                ask(directory)
            assert time.monotonic() - began < 0.4  # less than a connect timeout: nobody waited
        first.resume()
        wait_for(directory, HostState.UP)
        assert ask(directory) == 1


def test_the_deadline_is_held_however_many_hosts_hang(second: SlapdServer) -> None:
    with (
        black_hole() as one,
        black_hole() as two,
        black_hole() as three,
        directory_of(second, one, two, three, second.url, connect_timeout=timedelta(seconds=5)) as directory,
    ):
        began = time.monotonic()
        assert ask(directory, seconds=2) == 1  # each host has its share of the two seconds
        assert time.monotonic() - began < 2
        with pytest.raises(DirectoryUnavailable, match="no time left"):
            ask(directory, seconds=-1)


# --- what is no trouble of a host


HARMLESS: list[tuple[str, ldap_wire.Script]] = [
    ("a question the server does not understand", lambda n: [ldap_wire.search_done(n, 18)]),
    ("a value the server calls invalid", lambda n: [ldap_wire.search_done(n, 21)]),
    ("a search that took the server too long", lambda n: [ldap_wire.search_done(n, 3)]),
    ("an administrative limit", lambda n: [ldap_wire.search_done(n, 11)]),
    ("an entry that cannot be read", lambda n: [ldap_wire.entry(n, b"\xff"), ldap_wire.search_done(n)]),
    ("a referral", lambda n: [ldap_wire.search_done(n, 10)]),
    ("an answer of 9 MB", lambda n: [ldap_wire.entry(n, "cn=x,o=airius.com", cn=["x" * 9_000_000])]),
]


@pytest.mark.parametrize("script", [case[1] for case in HARMLESS], ids=[case[0] for case in HARMLESS])
def test_t79_what_is_wrong_with_a_question_or_its_answer_never_counts_against_a_host(
    second: SlapdServer, script: ldap_wire.Script
) -> None:
    with ldap_wire.serving(script) as odd, directory_of(second, odd, second.url) as directory:
        for _again in range(5):
            try:
                assert ask(directory) == 0
            except (DirectoryUnavailable, DirectoryAnswerMalformed):
                continue
        assert states(directory) == [HostState.UP, HostState.UP]


def test_connections_all_in_use_say_nothing_about_a_host(first: SlapdServer, second: SlapdServer) -> None:
    with directory_of(second, first.url, second.url) as directory, ExitStack() as lent:
        pool = directory._client._pools[first.url]
        for _each in range(8):
            lent.enter_context(pool.lend(deadline()))
        assert ask(directory) == 1  # of the second host
        assert states(directory) == [HostState.UP, HostState.UP]


def test_a_password_that_cannot_be_read_says_nothing_about_a_host(
    second: SlapdServer, tmp_path: Path
) -> None:
    bind = SimpleBind(dn=second.reader_dn, password_file=tmp_path / "missing")
    with directory_of(second, second.url, bind=bind) as directory:
        with pytest.raises(DirectoryUnavailable, match="the password cannot be read"):
            ask(directory)
        assert states(directory) == [HostState.UP]


# --- servers of another kind


KINDS: list[tuple[str, dict[str, list[str | bytes]], str]] = [
    (
        "an Active Directory",
        {"supportedCapabilities": ["1.2.840.113556.1.4.800"]},
        "this is Active Directory, and `server: standard` is configured: say `server: active-directory`",
    ),
    (
        "a 389-ds",
        {"vendorName": ["389 Project"], "vendorVersion": ["389-Directory/2.3.1"]},
        "this is 389 Project 389-Directory/2.3.1, and `server: standard` is configured: say `server: 389ds`",
    ),
]


@pytest.mark.parametrize(("root", "why"), [case[1:] for case in KINDS], ids=[case[0] for case in KINDS])
def test_t65_a_server_of_another_kind_is_a_fault_and_not_an_empty_directory(
    second: SlapdServer, root: dict[str, list[str | bytes]], why: str
) -> None:
    def root_dse(number: int) -> bytes:
        return ldap_wire.entry(number, "", **root) + ldap_wire.search_done(number)

    with (
        ldap_wire.serving(lambda n: [ldap_wire.search_done(n)], root_dse=root_dse) as other,
        directory_of(second, other) as directory,
    ):
        with pytest.raises(DirectoryUnavailable) as caught:
            ask(directory)
        assert caught.value.problem == f"`{other}`: {why}"
    with directory_of(second, second.url) as directory:
        assert ask(directory) == 1


def test_what_a_server_is_is_asked_once_and_again_after_it_was_down(
    first: SlapdServer, second: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[str] = []
    real = LdapClient._learn

    def listen(client: LdapClient, host: LdapHost, *rest: object) -> object:
        learnt.append(host.uri)
        return real(client, host, *rest)  # type: ignore[arg-type]  # what the client gave

    monkeypatch.setattr(LdapClient, "_learn", listen)
    with directory_of(second, first.url) as directory:
        for _again in range(3):
            ask(directory)
        assert learnt == [first.url]
        first.stop()
        with pytest.raises(DirectoryUnavailable):
            ask(directory)
        first.start()
        assert ask(directory) == 1
        assert learnt[1:] == [first.url] * (len(learnt) - 1)
        assert len(learnt) > 1


# --- what is seen only before the thread has looked


def test_a_host_that_does_not_finish_a_handshake_is_down_and_not_only_suspected(
    second: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(domain: str, *_rest: object) -> LdapSession:
        raise HostSilent(domain, "no answer to the handshake")

    monkeypatch.setattr(client_module, "open_session", silent)
    with directory_of(second, second.url) as directory:
        directory._client._hosts.close()  # nobody looks after it
        with pytest.raises(DirectoryUnavailable, match="no answer to the handshake"):
            ask(directory)
        assert states(directory) == [HostState.DOWN]


def test_a_host_that_is_back_is_watched_at_once_and_the_less_preferred_ones_are_let_go(
    first: SlapdServer, second: SlapdServer
) -> None:
    woken: list[str] = []

    class Waking:
        def wake(self, host: LdapHost) -> None:
            woken.append(host.uri)

        def close(self) -> None: ...

    with directory_of(second, first.url, second.url) as directory:
        client = directory._client
        for uri in (first.url, second.url):
            with client._pools[uri].lend(deadline()):
                pass
        client._watch = Waking()  # type: ignore[assignment]  # a watch that only notes
        client._fail_back(client._in_order[0])
        assert woken == [first.url]
        assert [len(client._pools[uri]._idle) for uri in (first.url, second.url)] == [1, 0]


def test_a_probe_asks_something_of_a_host_whose_kind_is_known(second: SlapdServer) -> None:
    """A server that lets us in, and then answers nothing, is not back."""
    answers = [True]
    with (
        ldap_wire.serving(
            lambda _n: [], root_dse=lambda n: ldap_wire.search_done(n) if answers[0] else b""
        ) as odd,
        directory_of(second, odd) as directory,
    ):
        (host,) = directory._client._in_order
        directory._client._probe(host)
        answers[0] = False
        with pytest.raises(HostSilent):
            directory._client._probe(host)
