"""The cache in front of a directory: what it remembers, for how long, what makes it forget, and who waits for whom."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.backends import answers as shelves
from directory_assistance.backends import caching as module
from directory_assistance.backends.caching import CacheCounts, CachingDirectory, Lifetimes
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    IssuerSerialCandidate,
    SidCandidate,
    SubjectCandidate,
    SubjectKeyIdCandidate,
    TextCandidate,
)
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.directory import Directory, HostState, HostStatus, LookUp, PersonGroups
from directory_assistance.dn import FlatName, MemberReference, WildcardName, read_ldap_dn, read_member
from directory_assistance.entry import Entry, Group, GroupType, StoredCertificate
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryFault,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
)
from directory_assistance.facts import Fact, facts_of_candidate, facts_of_entry
from directory_assistance.filters import Equality
from directory_assistance.watching import EVERYTHING, Change, OnChange, Watch, WatchState, WatchStatus
from tests.support.directories import ALAN, DAVE
from tests.support.watching import LONGEST_WAIT, FakeWatch

NO_END = 1e12


def person(name: str, unique_id: str | None = "", **fields: Any) -> Entry:
    dn = read_ldap_dn(f"CN={name},O=Acme")
    base = Entry(key=name, names=(dn,), dn=dn, unique_id=f"id of {name}" if unique_id == "" else unique_id)
    return replace(base, **fields)


DAVE_ENTRY = person("Dave", mails=("dave@acme.com",), certificates=(StoredCertificate(der=DAVE.der),))
ALAN_ENTRY = person("Alan", mails=("alan@acme.com",), certificates=(StoredCertificate(der=ALAN.der),))
SALES = Group(name="Sales", type=GroupType.MULTI, reference=FlatName(text="Sales"))
DAVE_DN = read_ldap_dn("CN=Dave,O=Acme")
NOBODY_DN = read_ldap_dn("CN=Nobody,O=Acme")


class Inner(MemoryDirectory):
    """A directory whose people change, which counts questions, can hold them back, fail, and be watched."""

    def __init__(self, *people: Entry) -> None:
        super().__init__("Acme", people, [(SALES, [DAVE_DN])])
        self.asked: list[object] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.problem: Exception | None = None
        self.watched: FakeWatch | None = None
        self.watchable = True
        self._counting = threading.Lock()

    def put(self, *people: Entry) -> None:
        """Let other people be in the directory."""
        fresh = MemoryDirectory("Acme", people)
        self._entries, self._attributes = fresh._entries, fresh._attributes

    def _enter(self, question: object) -> None:
        with self._counting:
            self.asked.append(question)

    def _leave(self) -> None:
        """Hold the answer back, which has been read."""
        self.entered.release()
        assert self.open.wait(LONGEST_WAIT)
        if self.problem is not None:
            raise self.problem

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        self._enter(candidate)
        found = super().find_entries(candidate, limit=limit, deadline=deadline)
        self._leave()
        return found

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        self._enter(tuple(members))
        found = super().find_groups(members, deadline=deadline)
        self._leave()
        return found

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        self._enter(("person", *members))
        found = MemoryDirectory.find_groups(self, members, deadline=deadline)
        self._leave()
        return PersonGroups(groups=found, complete=True)

    def watch(self, on_change: OnChange) -> Watch | None:
        if not self.watchable:
            return None
        self.watched = FakeWatch(on_change)
        return self.watched

    @property
    def host_statuses(self) -> tuple[HostStatus, ...]:
        return (HostStatus(uri="ldap://one", state=HostState.UP),)


def text(value: str, find_by: FindBy = FindBy.MAIL) -> TextCandidate:
    return TextCandidate(find_by=find_by, text=value)


DAVES_MAIL = text("dave@acme.com")
NOBODYS_MAIL = text("nobody@acme.com")


@dataclass
class Place:
    """A cache in front of a directory; the clock, the watch and the people are the test's."""

    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    inner: Inner = field(default_factory=lambda: Inner(DAVE_ENTRY, ALAN_ENTRY))
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.told: list[Change] = []
        self.cache = CachingDirectory(self.inner, self.lifetimes, lambda: self.now)
        self.watch = self.cache.watch(self.told.append)
        self.threads = ThreadPoolExecutor(max_workers=8)

    @property
    def server(self) -> FakeWatch:
        """The watch of the directory itself."""
        assert self.inner.watched is not None
        return self.inner.watched

    def find(
        self, candidate: Candidate = DAVES_MAIL, *, limit: int = 100, deadline: float = NO_END
    ) -> LookUp:
        return self.cache.find_entries(candidate, limit=limit, deadline=deadline)

    def questions(self) -> int:
        """Return how often the directory was asked since the last call of this."""
        count = len(self.inner.asked)
        self.inner.asked.clear()
        return count

    def asks_again(self, candidate: Candidate = DAVES_MAIL) -> bool:
        """Whether a look-up is put to the directory now."""
        self.questions()
        self.find(candidate)
        return self.questions() == 1

    # --- questions under way

    def take_off(self, candidate: Candidate = DAVES_MAIL, deadline: float = NO_END) -> "Future[LookUp]":
        """Put a question that the directory has read the answer to, and holds back."""
        self.inner.open.clear()
        flight = self.threads.submit(self.find, candidate, deadline=deadline)
        assert self.inner.entered.acquire(timeout=LONGEST_WAIT)
        return flight

    def join(self, count: int = 1, **options: float) -> "list[Future[LookUp]]":
        """Ask the same from other threads, and wait until all of them wait for the one under way."""
        before = self.cache.counts.shared
        waiting = [self.threads.submit(self.find, DAVES_MAIL, **options) for _ in range(count)]  # type: ignore[arg-type]  # a deadline
        while self.cache.counts.shared < before + count:
            assert not any(each.done() for each in waiting)
        return waiting

    def land(self) -> None:
        """Let every question end."""
        self.inner.open.set()


@contextmanager
def placed(state: WatchState | None = WatchState.LIVE, **changed: Any) -> Iterator[Place]:
    case = Place(**changed)
    if state is not None:
        case.server.turn(state)
        case.told.clear()
    try:
        yield case
    finally:
        case.land()
        case.threads.shutdown()


@pytest.fixture
def place() -> Iterator[Place]:
    """A cache over a directory whose watch is live."""
    with placed() as case:
        yield case


# --- what is remembered


def test_a_look_up_is_asked_once_and_answered_from_memory(place: Place) -> None:
    first = place.find()
    assert [DAVE_ENTRY] == list(first.entries)
    assert place.find() is first
    assert place.questions() == 1
    assert CacheCounts(hits=1, misses=1, shared=0, purged=0) == place.cache.counts


def test_t71_another_limit_is_another_question(place: Place) -> None:
    twins = [person(name, mails=("office@acme.com",)) for name in ("A", "B", "C")]
    place.inner.put(*twins)
    office = text("office@acme.com")
    assert place.find(office, limit=2).exceeded
    assert 3 == len(place.find(office, limit=3).entries)
    assert place.find(office, limit=2).exceeded
    assert place.questions() == 2


NAMES = read_certificate_names(DAVE.der)
DIFFERENT: list[Candidate] = [
    text("dave"),
    text("dave", FindBy.COMMON_NAME),
    text("DAVE"),
    text("dave", FindBy.UID),
    SubjectCandidate(dn=read_ldap_dn("CN=Dave,O=Acme")),
    SubjectCandidate(dn=read_ldap_dn("CN=dave,O=Acme")),
    SubjectCandidate(dn=read_ldap_dn("CN=Dave\\E2\\80\\8B,O=Acme")),
    CertificateCandidate(der=DAVE.der, issuer=NAMES.issuer, serial=NAMES.serial),
    CertificateCandidate(der=ALAN.der, issuer=NAMES.issuer, serial=NAMES.serial),
    CertificateCandidate(der=DAVE.der, issuer=NAMES.issuer, serial=NAMES.serial + 1),
    CertificateCandidate(der=DAVE.der, issuer=NAMES.subject, serial=NAMES.serial),
    IssuerSerialCandidate(issuer=NAMES.issuer, serial=NAMES.serial),
    IssuerSerialCandidate(issuer=read_ldap_dn("CN=AIRIUS root CA,O=Airius"), serial=NAMES.serial),
    SubjectKeyIdCandidate(subject_key_id=b"1"),
    SidCandidate(sid="1"),
    FilterCandidate(filter=Equality(attribute="mail", value="1")),
    FilterCandidate(filter=Equality(attribute="mail", value=b"1")),
]


def test_t71_no_two_questions_share_an_answer_even_where_names_compare_as_equal(place: Place) -> None:
    """A server is asked with the spelling; what it makes of that is its own affair."""
    for _ in range(2):
        for candidate in DIFFERENT:
            place.find(candidate)
    assert DIFFERENT == place.inner.asked


GROUP_QUESTIONS: list[tuple[MemberReference, ...]] = [
    (),
    (DAVE_DN,),
    (read_ldap_dn("CN=DAVE,O=Acme"),),
    (DAVE_DN, NOBODY_DN),
    (FlatName(text="Dave"),),
    (FlatName(text="dave"),),
    (read_member("*/Acme"),),
    (read_member("*/ACME"),),
]


def test_t71_each_question_for_groups_has_an_answer_of_its_own(place: Place) -> None:
    assert isinstance(GROUP_QUESTIONS[-1][0], WildcardName)
    for _ in range(2):
        for members in GROUP_QUESTIONS:
            found = place.cache.find_groups(members, deadline=NO_END)
            assert ((SALES,) if members and members[0] == DAVE_DN else ()) == found
    assert len(GROUP_QUESTIONS) == place.questions()


def test_the_groups_of_a_person_and_the_groups_that_list_somebody_are_two_questions(place: Place) -> None:
    for _ in range(2):
        assert (SALES,) == place.cache.find_groups([DAVE_DN], deadline=NO_END)
        told = place.cache.find_groups_of_person([DAVE_DN], deadline=NO_END)
        assert PersonGroups(groups=(SALES,), complete=True) == told
    assert place.questions() == 2


FAULTS = [
    DirectoryUnavailable("Acme", "connection refused"),
    DirectoryAnswerMalformed("Acme", "no name"),
    ExpansionLimitExceeded("Acme", "too many"),
]

QUESTIONS: list[tuple[str, Callable[[Directory], object]]] = [
    ("a look-up", lambda asked: asked.find_entries(DAVES_MAIL, limit=2, deadline=NO_END)),
    ("a question for groups", lambda asked: asked.find_groups([DAVE_DN], deadline=NO_END)),
    (
        "a question for a person's groups",
        lambda asked: asked.find_groups_of_person([DAVE_DN], deadline=NO_END),
    ),
]
EACH_QUESTION = pytest.mark.parametrize(
    "ask", [case[1] for case in QUESTIONS], ids=[case[0] for case in QUESTIONS]
)


@EACH_QUESTION
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_t50_a_fault_is_never_remembered(
    place: Place, ask: Callable[[Directory], object], fault: DirectoryFault
) -> None:
    place.inner.problem = fault
    for _ in range(2):
        with pytest.raises(type(fault)):
            ask(place.cache)
    place.inner.problem = None
    ask(place.cache)
    assert place.questions() == 3


def test_t50_an_answer_that_is_remembered_does_not_hide_an_outage_for_ever(place: Place) -> None:
    """It is good until its time is over; then the fault comes through, never "nobody"."""
    place.find()
    place.inner.problem = FAULTS[0]
    place.now += 599
    assert place.find().entries
    place.now += 1
    with pytest.raises(DirectoryUnavailable):
        place.find()


@EACH_QUESTION
def test_a_question_after_its_deadline_is_not_answered(
    place: Place, ask: Callable[[Directory], object]
) -> None:
    ask(place.cache)
    place.now = NO_END
    with pytest.raises(DirectoryUnavailable, match="no time left"):
        ask(place.cache)
    assert place.questions() == 1


# --- for how long

UNTOLD = [WatchState.STARTING, WatchState.LOST, WatchState.UNSUPPORTED, WatchState.OFF]

LIVES = [
    ("found", DAVES_MAIL, WatchState.LIVE, 600),
    ("found by nobody", NOBODYS_MAIL, WatchState.LIVE, 60),
    (
        "found by nobody with a filter",
        FilterCandidate(filter=Equality(attribute="mail", value="x")),
        WatchState.LIVE,
        60,
    ),
    *(("found", DAVES_MAIL, state, 2) for state in UNTOLD),
    *(("found by nobody", NOBODYS_MAIL, state, 2) for state in UNTOLD),
]


@pytest.mark.parametrize(
    ("candidate", "state", "seconds"),
    [case[1:] for case in LIVES],
    ids=[f"{what}, {state}" for what, _, state, _ in LIVES],
)
def test_t41_t66_an_answer_is_good_for_its_lifetime_and_no_longer(
    candidate: Candidate, state: WatchState, seconds: float
) -> None:
    with placed(state) as place:
        place.find(candidate)
        place.now += seconds - 0.001
        assert not place.asks_again(candidate)
        place.now += 0.001
        assert place.asks_again(candidate)


@pytest.mark.parametrize(("state", "hits", "misses"), [(WatchState.LIVE, 600, 60), (WatchState.LOST, 2, 2)])
def test_t66_groups_have_the_lifetimes_of_entries(state: WatchState, hits: float, misses: float) -> None:
    for member, seconds in ((DAVE_DN, hits), (NOBODY_DN, misses)):
        with placed(state) as place:
            for later, questions in ((0, 2), (seconds - 0.001, 0), (0.001, 2)):
                place.now += later
                place.cache.find_groups([member], deadline=NO_END)
                place.cache.find_groups_of_person([member], deadline=NO_END)
                assert questions == place.questions()


def test_too_many_to_be_told_lives_as_long_as_nobody(place: Place) -> None:
    place.inner.put(*(person(name, mails=("office@acme.com",)) for name in "ABC"))
    office = text("office@acme.com")
    assert place.find(office, limit=2).exceeded
    place.now += 59.999
    place.find(office, limit=2)
    place.now += 0.001
    place.find(office, limit=2)
    assert place.questions() == 2


@pytest.mark.parametrize("state", list(WatchState))
def test_that_a_directory_cannot_be_asked_so_is_remembered_long_whatever_the_watch(state: WatchState) -> None:
    unsupported = replace(DAVES_MAIL)

    class Narrow(Inner):
        def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
            super().find_entries(candidate, limit=limit, deadline=deadline)
            return LookUp(supported=False)

    with placed(state, inner=Narrow()) as place:
        place.find(unsupported)
        place.now += 599.999
        assert not place.asks_again(unsupported)
        place.now += 0.001
        assert place.asks_again(unsupported)


def test_t66_the_lifetime_in_force_is_that_of_the_moment_of_asking() -> None:
    """What was asked while all was told is not served on, once nothing is told; even if the loss tells nothing."""
    with placed() as place:
        place.find()
        place.now += 3
        place.server.status = WatchStatus(state=WatchState.LOST)
        assert place.asks_again()


def test_t66_an_answer_from_before_the_watch_was_live_does_not_become_a_watched_one() -> None:
    """Even if it should be kept between the state's turning and the telling of everything."""
    with placed(WatchState.STARTING) as place:
        place.find()
        place.server.status = WatchStatus(state=WatchState.LIVE)
        place.now += 2
        assert place.asks_again()


def test_a_directory_that_needs_no_watch_is_remembered_as_one_without() -> None:
    inner = Inner(DAVE_ENTRY)
    inner.watchable = False
    with placed(None, inner=inner) as place:
        assert place.watch is None
        place.find()
        place.now += 1.999
        assert not place.asks_again()
        place.now += 0.001
        assert place.asks_again()


def test_an_answer_is_as_old_as_its_question() -> None:
    """What was written while the server was answering need not be in the answer."""
    with placed(WatchState.LOST) as place:
        flight = place.take_off()
        place.now += 1.5
        place.land()
        flight.result(LONGEST_WAIT)
        place.now += 0.4
        assert not place.asks_again()
        place.now += 0.1
        assert place.asks_again()


def test_a_lifetime_of_nothing_keeps_nothing() -> None:
    with placed(WatchState.LOST, lifetimes=Lifetimes(unwatched=timedelta(0))) as place:
        place.find()
        assert place.asks_again()
        place.server.turn(WatchState.LIVE)
        place.find()
        assert not place.asks_again()


def test_a_new_answer_takes_the_place_of_the_old_one_on_either_shelf(place: Place) -> None:
    for people in ((), (DAVE_ENTRY,), ()):
        place.inner.put(*people)
        place.now += 600
        assert list(people) == list(place.find().entries)
        assert (len(people), 1 - len(people)) == (len(place.cache._hits), len(place.cache._misses))


# --- change


def mark(*candidates: Candidate) -> frozenset[Fact]:
    """Return the facts of candidates."""
    return frozenset().union(*(facts_of_candidate(each) or frozenset() for each in candidates))


FILTER = FilterCandidate(filter=Equality(attribute="mail", value="alan@acme.com"))
HELD = CertificateCandidate(der=DAVE.der, issuer=NAMES.issuer, serial=NAMES.serial)
ASKED: dict[str, Candidate] = {
    "dave": DAVES_MAIL,
    "dave's certificate": HELD,
    "alan": text("alan@acme.com"),
    "nobody": NOBODYS_MAIL,
    "nobody else": text("nobody-else@acme.com"),
    "filter": FILTER,
}

ALAN_GETS_DAVES_MAIL = facts_of_entry(replace(ALAN_ENTRY, mails=("dave@acme.com",)))

CHANGES: list[tuple[str, Change, set[str]]] = [
    ("everything", EVERYTHING, set(ASKED)),
    (
        "somebody new, who will be found where nobody was",
        Change(unique_id="id of new", facts=mark(NOBODYS_MAIL)),
        {"nobody", "filter"},
    ),
    (
        "an entry that was found, whatever it can be found by now",
        Change(unique_id="id of Dave"),
        {"dave", "dave's certificate", "filter"},
    ),
    (
        "an entry that can be found now where another one was",
        Change(unique_id="id of Alan", facts=ALAN_GETS_DAVES_MAIL),
        {"dave", "alan", "filter"},
    ),
    (
        "a certificate that is entered for somebody else",
        Change(unique_id="new", facts=mark(HELD)),
        {"dave's certificate", "filter"},
    ),
    (
        "a certificate of the same issuer and number",
        Change(unique_id="new", facts=mark(IssuerSerialCandidate(issuer=NAMES.issuer, serial=NAMES.serial))),
        {"dave's certificate", "filter"},
    ),
    ("an entry that has to do with nothing asked", Change(unique_id="id of printer"), {"filter"}),
    (
        "an entry without a unique id: nobody knows whose it was",
        Change(facts=mark(NOBODYS_MAIL)),
        {"dave", "dave's certificate", "alan", "nobody", "filter"},
    ),
]


@pytest.mark.parametrize(
    ("change", "forgotten"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
def test_t66_a_change_forgets_what_it_could_alter_and_nothing_else(
    place: Place, change: Change, forgotten: set[str]
) -> None:
    for candidate in ASKED.values():
        place.find(candidate)
    assert len(forgotten) == place.cache.purge(change)
    assert len(forgotten) == place.cache.counts.purged
    assert forgotten == {name for name, candidate in ASKED.items() if place.asks_again(candidate)}


@pytest.mark.parametrize("change", [case[1] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_t66_any_change_forgets_every_group_answer(place: Place, change: Change) -> None:
    for member in (DAVE_DN, NOBODY_DN):
        place.cache.find_groups([member], deadline=NO_END)
        place.cache.find_groups_of_person([member], deadline=NO_END)
    assert place.questions() == 4
    assert place.cache.purge(change) == 4
    for member in (DAVE_DN, NOBODY_DN):
        place.cache.find_groups([member], deadline=NO_END)
        place.cache.find_groups_of_person([member], deadline=NO_END)
    assert place.questions() == 4


def test_t48_any_change_forgets_that_there_were_too_many_to_be_told(place: Place) -> None:
    """Which they were nobody knows: one of them may have gone."""
    place.inner.put(*(person(name, mails=("office@acme.com",)) for name in "ABC"))
    office = text("office@acme.com")
    assert place.find(office, limit=2).exceeded
    place.inner.put(*(person(name, mails=("office@acme.com",)) for name in "AB"))
    assert place.cache.purge(Change(unique_id="id of C")) == 1
    assert 2 == len(place.find(office, limit=2).entries)


def test_t66_any_change_forgets_an_entry_that_has_no_unique_id(place: Place) -> None:
    place.inner.put(replace(DAVE_ENTRY, unique_id=None), ALAN_ENTRY)
    place.find()
    place.find(text("alan@acme.com"))
    assert place.cache.purge(Change(unique_id="id of somebody")) == 1
    assert place.asks_again()
    assert not place.asks_again(text("alan@acme.com"))


@given(
    people=st.lists(
        st.builds(
            person,
            st.sampled_from(["Dave", "Alan", "Ada"]),
            mails=st.sampled_from([(), ("dave@acme.com",), ("alan@acme.com", "dave@acme.com")]),
            certificates=st.sampled_from([(), (StoredCertificate(der=DAVE.der),)]),
        ),
        max_size=2,
        unique_by=lambda entry: entry.key,
    ),
    fresh=st.builds(
        person,
        st.sampled_from(["Dave", "Alan", "Ada"]),
        mails=st.sampled_from([(), ("dave@acme.com",), ("nobody@acme.com",)]),
        certificates=st.sampled_from([(), (StoredCertificate(der=DAVE.der),)]),
    ),
    gone=st.booleans(),
)
def test_t66_after_any_change_that_was_told_every_answer_is_that_of_the_directory(
    people: list[Entry], fresh: Entry, *, gone: bool
) -> None:
    """One entry is added, altered or removed: what memory and directory say never differs afterwards."""
    with placed(inner=Inner(*people)) as place:
        asked = [*ASKED.values(), text("Ada", FindBy.COMMON_NAME), SubjectCandidate(dn=DAVE_DN)]
        for candidate in asked:
            place.find(candidate)
        others = [each for each in people if each.key != fresh.key]
        place.inner.put(*others, *(() if gone else (fresh,)))
        place.server.tell(
            Change(unique_id=fresh.unique_id, facts=frozenset() if gone else facts_of_entry(fresh))
        )
        for candidate in asked:
            assert place.find(candidate) == place.inner.find_entries(candidate, limit=100, deadline=NO_END)


def test_a_change_is_forgotten_before_it_is_told_on() -> None:
    with placed() as place:
        seen: list[bool] = []
        place.cache.watch(lambda _change: seen.append(place.asks_again()))
        place.server.turn(WatchState.LIVE)
        place.find()
        place.server.tell(Change(unique_id="id of Dave"))
        assert [True, True] == seen


def test_a_change_is_told_on_as_it_was_told(place: Place) -> None:
    change = Change(unique_id="id of Dave", facts=mark(DAVES_MAIL))
    place.server.tell(change)
    assert [change] == place.told


# --- one question for all


def test_t72_many_who_ask_the_same_at_a_time_are_one_question(place: Place) -> None:
    first = place.take_off()
    others = place.join(6)
    place.land()
    found = first.result(LONGEST_WAIT)
    assert all(each.result(LONGEST_WAIT) is found for each in others)
    assert place.questions() == 1
    assert CacheCounts(hits=0, misses=1, shared=6, purged=0) == place.cache.counts


def test_others_who_ask_something_else_do_not_wait(place: Place) -> None:
    first = place.take_off()
    second = place.threads.submit(place.find, NOBODYS_MAIL)
    assert place.inner.entered.acquire(timeout=LONGEST_WAIT)  # both are in the directory
    place.land()
    assert (1, 0) == (len(first.result(LONGEST_WAIT).entries), len(second.result(LONGEST_WAIT).entries))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_t50_a_fault_is_told_to_everybody_who_waits(place: Place, fault: DirectoryFault) -> None:
    place.inner.problem = fault
    first = place.take_off()
    others = place.join(3)
    place.land()
    assert first.exception(LONGEST_WAIT) is fault
    for each in others:
        raised = each.exception(LONGEST_WAIT)
        assert isinstance(raised, DirectoryFault)
        assert type(raised) is type(fault)
        assert (fault.domain, fault.problem) == (raised.domain, raised.problem)
    assert place.questions() == 1


def test_a_bug_in_the_directory_is_everybodys_own(place: Place) -> None:
    """Nobody hangs, and nobody takes a bug for an answer."""
    place.inner.problem = ZeroDivisionError()
    first = place.take_off()
    (second,) = place.join()
    place.land()
    assert isinstance(first.exception(LONGEST_WAIT), ZeroDivisionError)
    assert isinstance(second.exception(LONGEST_WAIT), ZeroDivisionError)
    assert place.questions() == 2


def test_t50_who_waits_keeps_a_deadline_of_its_own(place: Place) -> None:
    first = place.take_off()
    (impatient,) = place.join(deadline=place.now + 0.01)
    (patient,) = place.join()
    raised = impatient.exception(LONGEST_WAIT)
    assert isinstance(raised, DirectoryUnavailable)
    assert "no time left" in raised.problem
    assert not first.done()
    place.land()
    assert patient.result(LONGEST_WAIT) is first.result(LONGEST_WAIT)
    assert not place.asks_again()


@EACH_QUESTION
@pytest.mark.parametrize(
    "change", [EVERYTHING, Change(unique_id="id of printer")], ids=["everything", "a printer"]
)
def test_t66_t72_an_answer_under_way_at_a_change_is_not_kept(
    place: Place, ask: Callable[[Directory], object], change: Change
) -> None:
    """It may have been read before the change or after it."""
    place.inner.open.clear()
    flight = place.threads.submit(ask, place.cache)
    assert place.inner.entered.acquire(timeout=LONGEST_WAIT)
    place.server.tell(change)
    place.land()
    flight.result(LONGEST_WAIT)
    place.questions()
    ask(place.cache)
    assert place.questions() == 1


def test_t66_who_asks_after_a_change_does_not_join_a_question_from_before(place: Place) -> None:
    """Dave has been removed; who had asked before may be told of him, who asks now may not."""
    before = place.take_off()
    (joined,) = place.join()
    place.inner.put(ALAN_ENTRY)
    place.server.tell(Change(unique_id="id of Dave"))
    after = place.threads.submit(place.find)
    assert place.inner.entered.acquire(timeout=LONGEST_WAIT)  # a question of its own
    place.land()
    assert (
        [DAVE_ENTRY] == list(before.result(LONGEST_WAIT).entries) == list(joined.result(LONGEST_WAIT).entries)
    )
    assert () == after.result(LONGEST_WAIT).entries
    assert () == place.find().entries
    assert place.questions() == 2


def test_t66_a_question_from_before_a_change_does_not_displace_the_answer_from_after() -> None:
    """The old one lands last."""
    release = [threading.Event(), threading.Event()]

    class TwoSpeeds(Inner):
        def _leave(self) -> None:
            number = len(self.asked) - 1
            self.entered.release()
            assert release[number].wait(LONGEST_WAIT)

    with placed(inner=TwoSpeeds(DAVE_ENTRY)) as place:
        before = place.threads.submit(place.find)
        assert place.inner.entered.acquire(timeout=LONGEST_WAIT)
        place.inner.put()
        place.server.tell(Change(unique_id="id of Dave"))
        after = place.threads.submit(place.find)
        assert place.inner.entered.acquire(timeout=LONGEST_WAIT)
        release[1].set()
        assert () == after.result(LONGEST_WAIT).entries
        release[0].set()
        assert [DAVE_ENTRY] == list(before.result(LONGEST_WAIT).entries)
        assert () == place.find().entries
        assert place.questions() == 2


def test_t66_a_watch_lost_while_a_question_is_under_way_leaves_no_watched_answer(place: Place) -> None:
    flight = place.take_off()
    place.server.status = WatchStatus(state=WatchState.LOST)  # its telling is yet to come
    place.land()
    flight.result(LONGEST_WAIT)
    place.now += 2
    assert place.asks_again()


def test_t66_nobody_joins_a_question_older_than_an_answer_may_be() -> None:
    """A server that hangs for three seconds is no way around the two of an unwatched answer."""
    with placed(WatchState.LOST) as place:
        first = place.take_off()
        place.now += 1.9
        (joined,) = place.join()
        place.now += 0.1
        second = place.threads.submit(place.find)
        assert place.inner.entered.acquire(timeout=LONGEST_WAIT)
        place.land()
        for each in (first, joined, second):
            assert [DAVE_ENTRY] == list(each.result(LONGEST_WAIT).entries)
        assert place.questions() == 2


def test_t66_a_question_from_before_the_watch_was_live_is_not_a_watched_one() -> None:
    """Even if somebody asks between the state's turning and the telling of everything."""
    with placed(WatchState.STARTING) as place:
        first = place.take_off()
        place.now += 2
        place.server.status = WatchStatus(state=WatchState.LIVE)
        second = place.threads.submit(place.find)
        assert place.inner.entered.acquire(timeout=LONGEST_WAIT)
        place.land()
        assert first.result(LONGEST_WAIT).entries == second.result(LONGEST_WAIT).entries
        assert place.questions() == 2


def test_t66_a_question_from_while_the_watch_was_live_is_not_a_watched_one_when_it_is_lost() -> None:
    """Even if somebody asks between the state's turning and the telling of everything."""
    with placed(WatchState.LIVE) as place:
        first = place.take_off()
        place.now += 2
        place.server.status = WatchStatus(state=WatchState.LOST)
        second = place.threads.submit(place.find)
        assert place.inner.entered.acquire(timeout=LONGEST_WAIT)
        place.land()
        assert first.result(LONGEST_WAIT).entries == second.result(LONGEST_WAIT).entries
        assert place.questions() == 2


def test_a_watched_question_is_joined_however_long_it_takes(place: Place) -> None:
    """Whatever changes meanwhile is told, and ends it."""
    first = place.take_off()
    place.now += 30
    (joined,) = place.join()
    place.land()
    assert joined.result(LONGEST_WAIT) is first.result(LONGEST_WAIT)


# --- bounds


def test_t76_strangers_do_not_push_out_the_people_who_work_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_HITS_OCTETS", 40_000)
    monkeypatch.setattr(module, "_MISSES_OCTETS", 20_000)
    with placed() as place:
        place.find()
        place.find(text("alan@acme.com"))
        for number in range(500):
            place.find(text(f"stranger-{number}@elsewhere"))
            assert len(place.cache._misses) <= 20
        assert not place.asks_again()
        assert not place.asks_again(text("alan@acme.com"))
        assert not place.asks_again(text("stranger-499@elsewhere"))
        assert place.asks_again(text("stranger-0@elsewhere"))


def test_t76_what_was_used_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MISSES_OCTETS", 10_000)
    with placed() as place:
        place.find(NOBODYS_MAIL)
        for number in range(100):
            place.find(text(f"stranger-{number}@elsewhere"))
            assert not place.asks_again(NOBODYS_MAIL)


LARGE: list[tuple[str, Candidate]] = [
    ("text", text("x" * 3_000)),
    ("certificate", CertificateCandidate(der=b"x" * 9_000, issuer=NAMES.issuer, serial=1)),
    ("subject", SubjectCandidate(dn=read_ldap_dn(f"CN={'x' * 1_000},O=Acme"))),
    ("issuer", IssuerSerialCandidate(issuer=read_ldap_dn(f"CN={'x' * 1_000},O=Acme"), serial=1)),
    ("filter", FilterCandidate(filter=Equality(attribute="mail", value="x" * 3_000))),
]


@pytest.mark.parametrize("candidate", [case[1] for case in LARGE], ids=[case[0] for case in LARGE])
def test_t76_what_a_stranger_writes_counts_by_its_size(
    candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "_LARGEST_ANSWER", 10_000)
    with placed() as place:
        place.find(candidate)
        assert place.asks_again(candidate)
        assert 0 == len(place.cache._misses)


@pytest.mark.parametrize(
    "entry",
    [
        replace(
            DAVE_ENTRY, certificates=tuple(StoredCertificate(der=bytes(1_000) + bytes([n])) for n in range(9))
        ),
        replace(DAVE_ENTRY, names=(*DAVE_ENTRY.names, *(FlatName(text=f"{n}" * 20) for n in range(20)))),
        replace(DAVE_ENTRY, subject_key_ids=tuple(bytes([n]) for n in range(9))),
        replace(DAVE_ENTRY, display_name="x" * 3_000),
    ],
    ids=["certificates", "names", "key identifiers", "texts"],
)
def test_t76_an_entry_counts_by_its_size(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "_LARGEST_ANSWER", 9_000)
    with placed(inner=Inner(entry)) as place:
        place.find()
        assert place.asks_again()
    with placed(inner=Inner(DAVE_ENTRY)) as place:
        place.find()
        assert not place.asks_again()


def test_groups_count_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "_LARGEST_ANSWER", 4_000)
    with placed() as place:
        for _ in range(2):
            place.cache.find_groups([DAVE_DN], deadline=NO_END)  # one group
            place.cache.find_groups([NOBODY_DN] * 20, deadline=NO_END)
        assert place.questions() == 3


def test_what_was_pushed_out_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MISSES_OCTETS", 5_000)
    with placed() as place:
        for number in range(50):
            place.find(text(f"stranger-{number}@elsewhere"))
        kept = place.cache._misses._answers
        assert len(kept) == len(kept.by_tag) < 5
        place.cache.purge(EVERYTHING)
        assert {} == kept.by_tag


# --- the rest of the contract


def test_it_is_the_directory_behind_in_all_else(place: Place) -> None:
    assert "Acme" == place.cache.domain
    assert place.cache.inner is place.inner
    assert place.cache.host_statuses == (HostStatus(uri="ldap://one", state=HostState.UP),)
    assert CachingDirectory(MemoryDirectory("Acme")).host_statuses == ()
    place.cache.check(deadline=NO_END)
    place.inner.close()
    with pytest.raises(DirectoryUnavailable):
        place.cache.check(deadline=NO_END)


@EACH_QUESTION
def test_t50_closed_it_remembers_nothing(place: Place, ask: Callable[[Directory], object]) -> None:
    ask(place.cache)
    place.cache.close()
    with pytest.raises(DirectoryUnavailable):
        ask(place.cache)


def test_t50_what_was_under_way_when_it_was_closed_is_not_kept(place: Place) -> None:
    flight = place.take_off()
    place.cache.close()
    place.land()
    flight.result(LONGEST_WAIT)
    with pytest.raises(DirectoryUnavailable):
        place.find()


def test_t66_a_watch_that_was_closed_counts_as_none(place: Place) -> None:
    place.find()
    assert place.watch is not None
    assert WatchState.LIVE is place.watch.status.state
    place.watch.close()
    assert 1 == place.server.closed
    place.now += 2
    assert place.asks_again()


def test_calls_from_many_threads_do_not_mix_their_answers(place: Place) -> None:
    """With changes between; what is counted adds up."""
    asked: list[tuple[Candidate, int]] = [
        (DAVES_MAIL, 1),
        (text("alan@acme.com"), 1),
        (NOBODYS_MAIL, 0),
        (HELD, 1),
    ] * 100

    def ask(number: int) -> bool:
        candidate, expected = asked[number]
        if number % 17 == 0:
            place.cache.purge(Change(unique_id="id of Dave"))
        return len(place.find(candidate).entries) == expected

    assert all(place.threads.map(ask, range(len(asked))))
    counts = place.cache.counts
    assert len(asked) == counts.hits + counts.misses + counts.shared
    assert place.questions() == counts.misses


def test_t76_each_shelf_has_its_room_and_that_of_strangers_is_the_smallest() -> None:
    mebi = 1024 * 1024
    assert (64 * mebi, 16 * mebi, 8 * mebi) == (
        module._HITS_OCTETS,
        module._GROUPS_OCTETS,
        module._MISSES_OCTETS,
    )
