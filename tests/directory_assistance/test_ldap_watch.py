"""Live change: what a real server tells, and that whoever asks after being told gets the new state."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from directory_assistance.backends.ldap import LdapDirectory, LdapSettings
from directory_assistance.backends.ldap.host_watch import HostWatch, Watched
from directory_assistance.backends.ldap.messages import FoundEntry, SearchRequest, write_element
from directory_assistance.backends.ldap.notifications import Means
from directory_assistance.backends.ldap.root_dse import RootDse
from directory_assistance.backends.ldap.session import LdapSession
from directory_assistance.candidates import FindBy, TextCandidate
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.entry import Entry
from directory_assistance.errors import DirectoryUnavailable
from directory_assistance.facts import facts_of_candidate
from directory_assistance.watching import EVERYTHING, Change, Watch, WatchState, WatchStatus
from tests.support import ldap_wire
from tests.support.directories import DOMAIN, deadline, ldap_settings, world_ldif
from tests.support.kinds import Kind, Kinds
from tests.support.slapd import SUFFIX, serve
from tests.support.slapd import change as change_slapd

PATIENCE_SECONDS = 15.0

ONES = "01010101-0101-0101-0101-010101010101"

LIVE_KINDS = {"slapd": "syncrepl", "389-ds": "persistent search", "Samba AD": "change notification"}


class Listener:
    """Collects what a watch tells."""

    def __init__(self) -> None:
        self.told: list[Change] = []
        self._condition = threading.Condition()

    def __call__(self, change: Change) -> None:
        with self._condition:
            self.told.append(change)
            self._condition.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; whatever is told wakes us, and so does time."""
        end = time.monotonic() + PATIENCE_SECONDS
        with self._condition:
            while not condition():
                assert time.monotonic() < end, self.told
                self._condition.wait(0.05)


@contextmanager
def watching(directory: LdapDirectory, prefer: Means | None = None) -> Iterator[tuple[Listener, Watch]]:
    listener = Listener()
    if prefer is None:
        watch = directory.watch(listener)
    else:
        watched = Watched(
            base=directory._base,
            attributes=directory._attributes(("uid",)),
            read_change=directory._read_change,
            prefer=prefer,
        )
        watch = directory._client.watch(watched, listener)
    assert watch is not None
    yield listener, watch
    watch.close()


def live(listener: Listener, watch: Watch) -> None:
    listener.wait(lambda: watch.status.state is WatchState.LIVE)


@pytest.fixture(params=LIVE_KINDS)
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> Kind:
    return kinds[request.param]


@pytest.fixture
def directory(kind: Kind) -> Iterator[LdapDirectory]:
    opened = kind.open_directory()
    assert isinstance(opened, LdapDirectory)
    yield opened
    opened.close()


@pytest.fixture
def change(kind: Kind) -> Callable[[str], None]:
    assert kind.change is not None
    return kind.change


@pytest.fixture
def person(kind: Kind, change: Callable[[str], None]) -> Iterator[str]:
    """Somebody who comes and goes with the test: the DN."""
    dn = render_ldap(kind.dn("CN=Vera,O=airius.com"))
    change(_added(kind, dn))
    yield dn
    change(f"dn: {dn}\nchangetype: delete\n")


def _added(kind: Kind, dn: str) -> str:
    return f"dn: {dn}\nchangetype: add\n{_class_of(kind)}\nmail: vera@airius.com\n"


def _class_of(kind: Kind) -> str:
    return "objectClass: user" if kind.name == "Samba AD" else "objectClass: inetOrgPerson\nsn: x"


def by_mail(text: str) -> TextCandidate:
    return TextCandidate(find_by=FindBy.MAIL, text=text)


def found(directory: LdapDirectory, mail: str) -> list[Entry]:
    return list(directory.find_entries(by_mail(mail), limit=5, deadline=deadline()).entries)


def concerns(change: Change, mail: str) -> bool:
    """Whether whoever remembers an answer about this address must forget it."""
    wanted = facts_of_candidate(by_mail(mail))
    assert wanted is not None
    return change.everything or bool(change.facts & wanted)


def test_a_watch_becomes_live_and_tells_that_everything_may_have_changed(
    kind: Kind, directory: LdapDirectory
) -> None:
    with watching(directory) as (listener, watch):
        live(listener, watch)
        assert listener.told == [EVERYTHING]
        assert (watch.status.how, watch.status.problem) == (LIVE_KINDS[kind.name], "")


def test_somebody_new_is_found_by_whoever_asks_after_being_told(
    kind: Kind, directory: LdapDirectory, change: Callable[[str], None]
) -> None:
    dn = render_ldap(kind.dn("CN=Nora,O=airius.com"))
    with watching(directory) as (listener, watch):
        live(listener, watch)
        change(_added(kind, dn).replace("vera@", "nora@"))
        listener.wait(lambda: any(concerns(each, "nora@airius.com") for each in listener.told[1:]))
        assert len(found(directory, "nora@airius.com")) == 1
        before = len(listener.told)
        change(f"dn: {dn}\nchangetype: delete\n")
        listener.wait(lambda: len(listener.told) > before)
        assert found(directory, "nora@airius.com") == []


def test_a_changed_attribute_is_told_with_what_the_entry_is_found_by_now(
    directory: LdapDirectory, person: str, change: Callable[[str], None]
) -> None:
    with watching(directory) as (listener, watch):
        live(listener, watch)
        (entry,) = found(directory, "vera@airius.com")
        change(f"dn: {person}\nchangetype: modify\nreplace: mail\nmail: v@airius.com\n")
        listener.wait(lambda: any(concerns(each, "v@airius.com") for each in listener.told[1:]))
        told = next(each for each in listener.told[1:] if concerns(each, "v@airius.com"))
        # What was remembered of the entry as it was is found by its unchanging name.
        assert told.unique_id == entry.unique_id is not None
        assert (len(found(directory, "v@airius.com")), found(directory, "vera@airius.com")) == (1, [])


def test_an_entry_that_is_renamed_keeps_the_name_by_which_it_is_forgotten(
    kind: Kind, directory: LdapDirectory, person: str, change: Callable[[str], None]
) -> None:
    with watching(directory) as (listener, watch):
        live(listener, watch)
        (before,) = found(directory, "vera@airius.com")
        change(f"dn: {person}\nchangetype: modrdn\nnewrdn: cn=Viola\ndeleteoldrdn: 1\n")
        listener.wait(lambda: any(each.unique_id == before.unique_id for each in listener.told))
        (after,) = found(directory, "vera@airius.com")
        assert (after.unique_id, after.dn == before.dn) == (before.unique_id, False)
        viola = render_ldap(kind.dn("CN=Viola,O=airius.com"))
        change(f"dn: {viola}\nchangetype: modrdn\nnewrdn: cn=Vera\ndeleteoldrdn: 1\n")


def test_a_change_of_membership_is_told(
    kind: Kind, directory: LdapDirectory, person: str, change: Callable[[str], None]
) -> None:
    group = render_ldap(kind.dn("CN=Buyers,O=airius.com"))
    member = kind.dn("CN=Vera,O=airius.com")
    for operation, expected in (("add", ["Buyers"]), ("delete", [])):
        with watching(directory) as (listener, watch):
            live(listener, watch)
            change(f"dn: {group}\nchangetype: modify\n{operation}: member\nmember: {person}\n")
            listener.wait(lambda: len(listener.told) > 1)
            groups = directory.find_groups([member], deadline=deadline())
            assert [each.name for each in groups] == expected


def test_an_outage_is_told_and_so_is_its_end(kind: Kind, directory: LdapDirectory) -> None:
    assert kind.outage is not None
    with watching(directory) as (listener, watch):
        live(listener, watch)
        with kind.outage():
            listener.wait(lambda: watch.status.state is WatchState.LOST)
            assert watch.status.problem
            told = len(listener.told)
            assert set(listener.told[1:]) == {EVERYTHING}  # the watch is lost, and the host is down
        live(listener, watch)
        assert set(listener.told[told:]) == {EVERYTHING}


def test_a_closed_watch_tells_nothing(
    directory: LdapDirectory, person: str, change: Callable[[str], None]
) -> None:
    with watching(directory) as (listener, watch):
        live(listener, watch)
        watch.close()
        with watching(directory) as (other, other_watch):
            live(other, other_watch)
            change(f"dn: {person}\nchangetype: modify\nreplace: mail\nmail: v@airius.com\n")
            other.wait(lambda: len(other.told) > 1)
        assert listener.told == [EVERYTHING]


def test_389_ds_tells_by_content_synchronisation_too(kinds: Kinds) -> None:
    kind = kinds["389-ds"]
    directory = kind.open_directory()
    assert isinstance(directory, LdapDirectory)
    assert kind.change is not None
    dn = render_ldap(kind.dn("CN=Wanda,O=airius.com"))
    with watching(directory, Means.SYNCREPL) as (listener, watch):
        live(listener, watch)
        assert listener.told == [EVERYTHING]  # what was there before is not told one by one
        kind.change(_added(kind, dn).replace("vera@", "wanda@"))
        listener.wait(lambda: any(concerns(each, "wanda@airius.com") for each in listener.told[1:]))
        (entry,) = found(directory, "wanda@airius.com")
        kind.change(f"dn: {dn}\nchangetype: delete\n")
        gone = Change(unique_id=entry.unique_id)
        listener.wait(lambda: gone in listener.told)
    directory.close()


def test_a_server_that_falls_silent_is_noticed(tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif()) as server:
        directory = LdapDirectory(DOMAIN, ldap_settings(server))
        with watching(directory) as (listener, watch):
            live(listener, watch)
            server.pause()
            listener.wait(lambda: watch.status.state is WatchState.LOST)
            assert "fell silent" in watch.status.problem or "in time" in watch.status.problem
            server.resume()
            live(listener, watch)
        directory.close()


def test_every_host_is_watched_and_one_that_may_be_asked_unwatched_is_not_live(tmp_path: Path) -> None:
    """A replica learns of a change at a time of its own."""
    with serve(tmp_path / "a", world_ldif()) as one:
        two = serve(tmp_path / "b", world_ldif(), reader_password=one.reader_password)
        with two:
            settings = ldap_settings(
                one,
                hosts=(one.url, two.url),
                connect_timeout=timedelta(seconds=1),
                timeout=timedelta(seconds=1),
            )
            directory = LdapDirectory(DOMAIN, settings)
            with watching(directory) as (listener, watch):
                live(listener, watch)
                before = len(listener.told)
                change_slapd(
                    two, f"dn: cn=New,{SUFFIX}\nchangetype: add\nobjectClass: inetOrgPerson\nsn: x\n"
                )
                listener.wait(lambda: len(listener.told) > before)
                two.kill()
                # A host that is down is not asked, and so need not be watched.
                listener.wait(lambda: _is_settled(directory, watch))
                two.start()
                listener.wait(lambda: directory.host_statuses[1].state.value == "up")
                live(listener, watch)
            directory.close()


def _is_settled(directory: LdapDirectory, watch: Watch) -> bool:
    down = directory.host_statuses[1].state.value == "down"
    return down and watch.status.state is WatchState.LIVE


# --- servers that tell nothing, or nonsense


def sync_state(state: int, unique_id: bytes = b"\1" * 16) -> bytes:
    value = write_element(0x30, write_element(0x0A, bytes((state,))) + write_element(0x04, unique_id))
    control = write_element(0x04, b"1.3.6.1.4.1.4203.1.9.1.2") + write_element(0x04, value)
    return write_element(0xA0, write_element(0x30, control))


def sync_info(number: int, value: bytes) -> bytes:
    content = write_element(0x80, b"1.3.6.1.4.1.4203.1.9.1.4") + write_element(0x81, value)
    return ldap_wire.message(number, write_element(0x79, content))


def refresh_done(number: int) -> bytes:
    return sync_info(number, write_element(0xA1, b""))


def with_controls(entry: bytes, controls: bytes) -> bytes:
    """Return a message with controls after its operation."""
    header = 2 if entry[1] < 0x80 else 2 + (entry[1] & 0x7F)
    return write_element(0x30, entry[header:] + controls)


def changed(number: int, state: int = 2, **attributes: Sequence[str | bytes]) -> bytes:
    return with_controls(ldap_wire.entry(number, f"cn=x,{SUFFIX}", **attributes), sync_state(state))


@contextmanager
def telling(
    *script: bytes | Callable[[int], bytes], controls: Sequence[str] = ("1.3.6.1.4.1.4203.1.9.1.1",)
) -> Iterator[tuple[Listener, Watch]]:
    """Watch a server that tells by a script, once; afterwards it is silent."""

    def root_dse(number: int) -> bytes:
        return ldap_wire.entry(number, "", supportedControl=controls) + ldap_wire.search_done(number)

    told = list(script)

    def answer(number: int) -> list[bytes]:
        pieces = [piece(number) if callable(piece) else piece for piece in told]
        told.clear()
        return pieces

    with ldap_wire.serving(answer, root_dse=root_dse) as uri:
        directory = LdapDirectory(DOMAIN, LdapSettings(hosts=(uri,), base=read_ldap_dn(SUFFIX)))
        with watching(directory) as (listener, watch):
            yield listener, watch
        directory.close()


def test_t65_a_server_that_offers_no_means_says_so_and_is_not_live() -> None:
    with telling(controls=()) as (listener, watch):
        listener.wait(lambda: watch.status.state is WatchState.UNSUPPORTED)
        assert watch.status.problem == "the server offers no way to be told of changes"


@pytest.mark.parametrize("code", [12, 50, 53])
def test_a_server_that_refuses_to_tell_says_so(code: int) -> None:
    with telling(lambda number: ldap_wire.search_done(number, code)) as (listener, watch):
        listener.wait(lambda: watch.status.state is WatchState.UNSUPPORTED)
        assert "does not tell changes by syncrepl here" in watch.status.problem


def test_a_deleted_entry_is_told_by_its_unique_id_alone() -> None:
    with telling(refresh_done, lambda n: changed(n, 3)) as (listener, _watch):
        listener.wait(lambda: len(listener.told) > 1)
        assert listener.told == [EVERYTHING, Change(unique_id=ONES)]


def test_what_was_there_before_the_watch_began_is_not_told() -> None:
    with telling(lambda n: changed(n, 1, mail=["a@x"]), refresh_done) as (listener, watch):
        live(listener, watch)
        assert listener.told == [EVERYTHING]


def test_an_entry_that_cannot_be_read_has_changed_all_the_same() -> None:
    with telling(refresh_done, lambda n: changed(n, 2, cn=[b"\xff"])) as (listener, _watch):
        listener.wait(lambda: len(listener.told) > 1)
        assert listener.told == [EVERYTHING, EVERYTHING]


ODD: list[tuple[str, Callable[[int], bytes]]] = [
    ("no state but a change without a unique id", lambda n: ldap_wire.entry(n, f"cn=x,{SUFFIX}", cn=["x"])),
    ("a set of names that changed", lambda n: sync_info(n, write_element(0xA3, b""))),
    (
        "a state that is none",
        lambda n: with_controls(ldap_wire.entry(n, f"cn=x,{SUFFIX}"), sync_state(2, b"\1")),
    ),
    ("information that is none", lambda n: sync_info(n, write_element(0x85, b""))),
    ("two informations at once", lambda n: sync_info(n, write_element(0x80, b"c") * 2)),
    ("an entry that is none", lambda n: ldap_wire.message(n, write_element(0x64, b""))),
    ("the end of a bind", ldap_wire.bind_done),
    ("the end of telling", lambda n: ldap_wire.search_done(n, 4096 % 256)),
    ("an answer to nobody", lambda n: ldap_wire.search_done(n + 100)),
    ("a good-bye", lambda _n: ldap_wire.notice_of_disconnection()),
    ("no LDAP at all", lambda _n: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
]


@pytest.mark.parametrize("odd", [case[1] for case in ODD], ids=[case[0] for case in ODD])
def test_whatever_is_not_understood_is_everything_or_the_end_of_the_watch(
    odd: Callable[[int], bytes],
) -> None:
    with telling(refresh_done, odd) as (listener, _watch):
        listener.wait(lambda: len(listener.told) > 1)
        assert listener.told[1] == EVERYTHING


def test_a_defect_in_what_listens_ends_the_watch_loudly_and_it_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that ended without a word would leave a watch that looks live for ever."""

    def break_down(_directory: LdapDirectory, _found: FoundEntry) -> Change:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(LdapDirectory, "_read_change", break_down)
    with telling(refresh_done, lambda n: changed(n, 2, cn=["x"])) as (listener, watch):
        listener.wait(lambda: watch.status.state is WatchState.LOST)
        assert watch.status.problem == "a defect of the watch: a bug"
        assert listener.told == [EVERYTHING, EVERYTHING]


HARMLESS: list[tuple[str, Callable[[int], bytes]]] = [
    ("a new cookie", lambda n: sync_info(n, write_element(0x80, b"rid=0"))),
    ("a refresh that is said to be done again", refresh_done),
    ("another intermediate response", lambda n: ldap_wire.message(n, write_element(0x79, b""))),
    ("a reference to elsewhere", lambda n: ldap_wire.reference(n, "ldap://elsewhere/")),
]


@pytest.mark.parametrize("told", [case[1] for case in HARMLESS], ids=[case[0] for case in HARMLESS])
def test_what_is_no_change_is_not_told(told: Callable[[int], bytes]) -> None:
    with telling(refresh_done, told, lambda n: changed(n, 3)) as (listener, _watch):
        listener.wait(lambda: len(listener.told) > 1)
        assert listener.told == [EVERYTHING, Change(unique_id=ONES)]


# --- the order of a change of state


def test_t66_the_state_is_not_live_while_everything_is_told_and_nothing_is_told_after_the_close() -> None:
    """Whoever forgets when told, and then remembers, must not take what it remembers for watched."""
    connecting = threading.Event()
    seen: list[WatchState] = []

    def open_session(_deadline: float) -> tuple[LdapSession, RootDse]:
        assert connecting.wait(20)
        raise DirectoryUnavailable(DOMAIN, "refused")

    watched = Watched(base="o=x", attributes=(), read_change=lambda _found: EVERYTHING)
    made: list[HostWatch] = []
    watch = HostWatch(DOMAIN, watched, open_session, lambda _change: seen.append(made[0].status.state))
    made.append(watch)
    watch._become(WatchStatus(state=WatchState.LIVE))
    assert watch.status.state is WatchState.LIVE
    watch._become(WatchStatus(state=WatchState.LOST))
    assert seen == [WatchState.STARTING, WatchState.LOST]
    watch._stop.set()
    watch._become(WatchStatus(state=WatchState.LIVE))
    assert seen == [WatchState.STARTING, WatchState.LOST]
    connecting.set()
    watch.close()


class NotingSession:
    """Notes the base of what is asked."""

    def __init__(self) -> None:
        self.bases: list[str] = []

    def send_search(self, request: SearchRequest, *_rest: object, **_options: object) -> int:
        self.bases.append(request.base)
        return 1


@pytest.fixture
def idle() -> Iterator[HostWatch]:
    """A watch that has not reached its host yet."""
    connecting = threading.Event()

    def open_session(_deadline: float) -> tuple[LdapSession, RootDse]:
        assert connecting.wait(20)
        raise DirectoryUnavailable(DOMAIN, "refused")

    watched = Watched(base="OU=People,DC=corp,DC=test", attributes=(), read_change=lambda _found: EVERYTHING)
    watch = HostWatch(DOMAIN, watched, open_session, lambda _change: None)
    yield watch
    connecting.set()
    watch.close()


def test_a_watch_is_where_what_leaves_the_base_goes_to(idle: HostWatch) -> None:
    """Who is moved out of the base is told of only at the new place. OpenLDAP alone tells that it left."""
    session = NotingSession()
    contexts = RootDse(naming_contexts=("DC=test", "DC=corp,DC=test", "CN=Configuration,DC=corp,DC=test"))
    for means in (Means.AD_NOTIFICATION, Means.PERSISTENT_SEARCH):
        idle._begin(session, contexts, means)  # type: ignore[arg-type]  # a session that only notes
    elsewhere = RootDse(naming_contexts=("DC=other,DC=test",))
    idle._begin(session, elsewhere, Means.AD_NOTIFICATION)  # type: ignore[arg-type]  # as above
    idle._begin(session, elsewhere, Means.SYNCREPL)  # type: ignore[arg-type]  # as above
    base = "OU=People,DC=corp,DC=test"
    assert session.bases == ["DC=corp,DC=test", "DC=corp,DC=test", base, base]


def test_whoever_is_woken_tries_again_without_waiting_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("directory_assistance.backends.ldap.host_watch._FIRST_PAUSE_SECONDS", 1000.0)
    attempts: queue.Queue[float] = queue.Queue()

    def open_session(deadline: float) -> tuple[LdapSession, RootDse]:
        attempts.put(deadline)
        raise DirectoryUnavailable(DOMAIN, "refused")

    watched = Watched(base="O=airius.com", attributes=(), read_change=lambda _found: EVERYTHING)
    watch = HostWatch(DOMAIN, watched, open_session, lambda _change: None)
    try:
        attempts.get(timeout=20)
        watch.wake()
        attempts.get(timeout=20)
    finally:
        watch.close()


def test_whoever_is_woken_waits_shortly_again(idle: HostWatch) -> None:
    pauses = [idle._lose("refused") for _again in range(3)]
    assert pauses == [pauses[0], 2 * pauses[0], 4 * pauses[0]]
    idle.wake()
    assert idle._lose("refused") == pauses[0]
