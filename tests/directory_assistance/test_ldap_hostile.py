"""A hostile LDAP server: whatever it sends, and at whatever pace, is a named fault, in bounded time and memory."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from directory_assistance.backends.ldap import AnonymousBind, LdapDirectory, LdapSettings, ServerKind
from directory_assistance.backends.ldap.bounded import BoundedSocket
from directory_assistance.backends.ldap.messages import read_entry_message, write_element
from directory_assistance.candidates import FindBy, TextCandidate
from directory_assistance.directory import HostState
from directory_assistance.dn import read_ldap_dn
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryFault
from directory_assistance.watching import Watch
from tests.support import ldap_wire
from tests.support.directories import DOMAIN, deadline
from tests.support.kinds import Kinds
from tests.support.proxy import black_hole
from tests.support.slapd import SUFFIX

DAVE_DN = f"cn=Dave Lawson,{SUFFIX}"
DAVE_CN = TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave Lawson")


@contextmanager
def scripted(
    script: ldap_wire.Script, *, root_dse: ldap_wire.RootDse | None = None, **deviations: object
) -> Iterator[LdapDirectory]:
    """Open a directory on a server that answers searches by a script."""
    shown = {} if root_dse is None else {"root_dse": root_dse}
    with ldap_wire.serving(script, **shown) as uri:
        base = LdapSettings(hosts=(uri,), base=read_ldap_dn(SUFFIX), timeout=timedelta(seconds=5))
        directory = LdapDirectory(DOMAIN, replace(base, **deviations))  # type: ignore[arg-type]  # one deviation, by field name
        try:
            yield directory
        finally:
            directory.close()


def held_to(seconds: float, directory: LdapDirectory, *, allowed: float) -> DirectoryFault:
    """Ask with so many seconds to the deadline, and expect a fault before `allowed` have passed."""
    began = time.monotonic()
    with pytest.raises(DirectoryFault) as caught:
        directory.find_entries(DAVE_CN, limit=5, deadline=deadline(seconds))
    assert time.monotonic() - began < allowed
    return caught.value


# --- pace


def test_a_server_that_is_always_just_in_time_does_not_outlive_the_deadline() -> None:
    """It sends an octet more often than a read that is late gives up: each one is there when it is asked for."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 100)
        bounded = BoundedSocket(ours)
        bounded.allow(time.monotonic() - 1, 1_000)
        assert bounded.recv(1) == b"x"  # what had arrived by the deadline
        with pytest.raises(TimeoutError):
            bounded.recv(1)
        assert bounded.timed_out
        with pytest.raises(TimeoutError):
            bounded.sendall(b"x")
        bounded.allow(time.monotonic() + 60, 1_000)
        assert bounded.recv(1) == b"x"


def test_a_server_that_takes_a_question_slowly_does_not_outlive_the_deadline() -> None:
    """Each piece of a large question has the time left, not the whole time again, over TLS too."""

    class Slow(socket.socket):
        def send(self, octets: object, flags: int = 0) -> int:
            assert isinstance(octets, memoryview)
            assert not flags
            return 1

    with Slow() as slow:
        bounded = BoundedSocket(slow)
        bounded.allow(time.monotonic() + 0.2, 0)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            bounded.sendall(bytes(50_000_000))
        assert time.monotonic() - began < 2


# --- size


def test_an_attribute_that_is_named_again_and_again_is_read_in_time_that_grows_with_its_octets() -> None:
    """Two hundred thousand times `cn` with one value are two megabytes: minutes, if each took all before along."""
    attribute = write_element(0x30, write_element(4, b"cn") + write_element(0x31, write_element(4, b"x")))
    content = write_element(4, DAVE_DN.encode()) + write_element(0x30, attribute * 200_000)
    began = time.monotonic()
    assert read_entry_message(content).values == {"cn": (b"x",) * 200_000}
    assert time.monotonic() - began < 5


def test_entries_beyond_those_asked_for_are_not_kept() -> None:
    def flood(number: int) -> Iterator[bytes]:
        yield ldap_wire.entry(number, "o=x") * 60_000
        yield ldap_wire.search_done(number)

    with scripted(flood, timeout=timedelta(seconds=30)) as directory:
        tracemalloc.start()
        try:
            found = directory.find_entries(DAVE_CN, limit=5, deadline=deadline())
            _now, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found.exceeded
        assert most < 8 * 1024 * 1024


def test_references_without_end_are_a_fault() -> None:
    def referring(number: int) -> Iterator[bytes]:
        yield ldap_wire.reference(number, *(f"ldap://h{each}/" for each in range(50))) * 200
        yield ldap_wire.search_done(number)

    with scripted(referring) as directory:
        assert "references" in held_to(10, directory, allowed=5).problem


# --- opening


def dave(number: int) -> list[bytes]:
    return [ldap_wire.entry(number, DAVE_DN, cn=["Dave Lawson"]), ldap_wire.search_done(number)]


def found(directory: LdapDirectory) -> int:
    return len(directory.find_entries(DAVE_CN, limit=5, deadline=deadline()).entries)


HOSTILE_ROOTS: list[tuple[str, ldap_wire.RootDse]] = [
    ("ten megabytes", lambda n: ldap_wire.entry(n, "", vendorName=[b"x" * 10_000_000])),
    ("a hundred thousand references", lambda n: ldap_wire.reference(n, "ldap://h/") * 100_000),
    ("too busy to say", lambda n: ldap_wire.search_done(n, 51)),
    ("of another kind", lambda n: ldap_wire.entry(n, "", objectClass=["OpenLDAProotDSE"])),
]


@pytest.mark.parametrize("root", [case[1] for case in HOSTILE_ROOTS], ids=[case[0] for case in HOSTILE_ROOTS])
def test_a_host_that_cannot_say_what_it_is_is_passed_over(root: ldap_wire.RootDse) -> None:
    """Nobody's question is in that, so it counts against the host, and the next one answers."""

    def root_dse(number: int) -> bytes:
        return root(number) + ldap_wire.search_done(number)

    with (
        ldap_wire.serving(lambda n: [ldap_wire.search_done(n)], root_dse=root_dse) as hostile,
        ldap_wire.serving(dave) as good,
        scripted(dave, hosts=(hostile, good), server=ServerKind.DS389) as directory,
    ):
        assert found(directory) == 1
        first, second = directory.host_statuses
        assert first.state is not HostState.UP
        assert second.state is HostState.UP


def test_t65_another_server_behind_the_same_address_is_noticed_by_the_next_connection() -> None:
    """A load balancer, or a name that leads elsewhere since: nothing failed, and the old connection is idle."""
    kinds = iter(["OpenLDAProotDSE", "top"])

    def root_dse(number: int) -> bytes:
        kind = next(kinds, "top")
        vendor = {} if kind != "top" else {"vendorName": ["389 Project"]}
        return ldap_wire.entry(number, "", objectClass=[kind], **vendor) + ldap_wire.search_done(number)

    with scripted(dave, root_dse=root_dse) as directory:
        assert found(directory) == 1
        for pool in directory._client._pools.values():
            pool.close_idle()
        assert "389 Project" in held_to(10, directory, allowed=5).problem


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_name_with_several_addresses_has_one_connect_timeout_for_all(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Over TLS each accepts and never shakes hands, without it each swallows whoever knocks."""
    with socket.create_server(("127.0.0.1", 0)) as listener, black_hole() as nowhere:
        port = int(nowhere.rpartition(":")[2]) if scheme == "ldap" else listener.getsockname()[1]
        one = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_asked: [one] * 8)
        hosts = (f"{scheme}://127.0.0.1:{port}",)
        with scripted(dave, hosts=hosts, connect_timeout=timedelta(seconds=0.4)) as directory:
            held_to(10, directory, allowed=1.5)


# --- what one question must not do to another


def test_t63_a_name_that_the_server_calls_invalid_hides_no_group_of_the_others() -> None:
    """Many names are asked for at once; one that no group can list must not make the others' groups none."""

    def picky(number: int) -> list[bytes]:
        asked.append(number)
        if len(asked) in {1, 2}:  # all together, and the odd one alone
            return [ldap_wire.search_done(number, 34)]
        return [ldap_wire.entry(number, f"cn=Team,{SUFFIX}", cn=["Team"]), ldap_wire.search_done(number)]

    asked: list[int] = []
    with scripted(picky) as directory:
        names = [read_ldap_dn("CN=Odd"), read_ldap_dn(DAVE_DN)]
        told = directory.find_groups(names, deadline=deadline())
        assert [group.name for group in told] == ["Team"]
        assert len(asked) == 3


def test_a_connection_whose_message_ids_are_used_up_is_replaced() -> None:
    """An id beyond maxInt (RFC 4511 section 4.1.1) would be no LDAP."""
    ids: list[int] = []

    def noting(number: int) -> list[bytes]:
        ids.append(number)
        return dave(number)

    with scripted(noting) as directory:
        assert found(directory) == 1
        (pool,) = directory._client._pools.values()
        (session,) = pool._idle
        session._message_id = 2**31 - 2
        assert (found(directory), found(directory)) == (1, 1)
        assert ids[1] == 2**31 - 1
        assert ids[2] < 100
        assert [status.state for status in directory.host_statuses] == [HostState.UP]


def test_sixteen_callers_at_one_hanging_and_one_good_host_are_all_answered_in_time() -> None:
    with ldap_wire.serving(dave) as good, ldap_wire.serving(lambda _n: []) as hanging:
        hosts, limit = (hanging, good), timedelta(seconds=1)
        with scripted(dave, hosts=hosts, timeout=limit) as directory, ThreadPoolExecutor(16) as callers:
            began = time.monotonic()
            told = [callers.submit(found, directory) for _each in range(16)]
            assert [each.result() for each in told] == [1] * 16
            assert time.monotonic() - began < 6


@pytest.mark.parametrize("name", ["slapd", "389-ds", "Samba AD"])
def test_t79_a_name_that_grows_beyond_what_a_server_takes_does_not_make_it_look_down(
    kinds: Kinds, name: str
) -> None:
    """One character of two octets in a certificate (U+FDFA in a BMPString) is prepared to eighteen of thirty-three.

    OpenLDAP lets strangers send 262,143 octets, Samba everybody 256,000, and both then close without a word.
    """
    kind = kinds[name]
    assert isinstance(kind.directory, LdapDirectory)
    strange = replace(kind.directory._settings, bind=AnonymousBind()) if name == "slapd" else None
    directory = kind.open_directory() if strange is None else LdapDirectory(DOMAIN, strange)
    assert isinstance(directory, LdapDirectory)
    candidate = TextCandidate(find_by=FindBy.COMMON_NAME, text="\ufdfa" * 30_000)
    with pytest.raises(DirectoryAnswerMalformed, match="the limit is"):
        directory.find_entries(candidate, limit=5, deadline=deadline())
    assert [status.state for status in directory.host_statuses] == [HostState.UP]
    shorter = TextCandidate(find_by=FindBy.COMMON_NAME, text="x" * 60_000)
    assert kind.directory.find_entries(shorter, limit=5, deadline=deadline()).entries == ()
    directory.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_directories_that_come_and_go_leave_no_thread_and_no_socket(kinds: Kinds) -> None:
    """As a reload has it: the new one is opened before the old one is closed, both are watched and asked."""

    def opened() -> tuple[LdapDirectory, Watch]:
        directory = kinds["slapd"].open_directory()
        assert isinstance(directory, LdapDirectory)
        watch = directory.watch(lambda _change: None)
        assert watch is not None
        assert found(directory) == 1
        return directory, watch

    def closed(directory: LdapDirectory, watch: Watch) -> None:
        watch.close()
        directory.close()

    closed(*opened())
    threads, files = set(threading.enumerate()), open_files()
    old = opened()
    for _again in range(50):
        new = opened()
        closed(*old)
        old = new
    closed(*old)
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files
