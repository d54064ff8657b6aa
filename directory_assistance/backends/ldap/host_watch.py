"""The watch of one host: a connection on which the server tells every change.

What lives here: the thread that listens, and what it makes of what it hears. What does not: the octets
(`notifications.py`), connections (`opening.py`), the hosts together (`watch.py`), who forgets what
(`backends/caching.py`).

1. Open a connection; learn from the root DSE by what means this server tells changes.
2. Ask it to. With OpenLDAP say that everything up to now is known, or it would send every entry first.
3. When it has begun: tell `EVERYTHING`, and be `LIVE`.
4. Tell each change, one that alters other entries twice. In between, ask something small: a connection that a
   firewall forgot is silent as well.
5. When the connection ends: be `LOST`, tell `EVERYTHING`, and begin again, soon at first, then less often.

NOTE: only content synchronisation says when it has begun. With the other means the server has begun a moment after it
took the request; we wait that moment, `_SETTLE_SECONDS`, before we are live.

INVARIANT: whatever is heard and not understood is `EVERYTHING`, or the end of the watch; never nothing.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from directory_assistance.backends.ldap.messages import (
    INTERMEDIATE,
    SEARCH_DONE,
    SEARCH_ENTRY,
    SEARCH_REFERENCE,
    FoundEntry,
    Message,
    MessageSyntaxError,
    SearchRequest,
    read_entry_message,
    read_result_message,
)
from directory_assistance.backends.ldap.notifications import (
    Means,
    WriteLedger,
    choose_means,
    notification_controls,
    read_sync_info,
    read_sync_state,
    write_csn_cookie,
)
from directory_assistance.backends.ldap.opening import name_result_code
from directory_assistance.backends.ldap.root_dse import HEARTBEAT_REQUEST, RootDse
from directory_assistance.backends.ldap.session import HostSilent, LdapSession, one_line
from directory_assistance.dn import DistinguishedName, read_ldap_dn
from directory_assistance.errors import DirectoryFault, DirectoryUnavailable, NameSyntaxError
from directory_assistance.filters import Present
from directory_assistance.watching import EVERYTHING, Change, OnChange, WatchState, WatchStatus

__all__ = ["HostWatch", "Watched"]

_HEARTBEAT_SECONDS = 2.0
"""Between two small questions, and how long the answer may take: a dead connection is noticed within four seconds."""

_LEDGER_SECONDS = 0.4
"""Between two looks at the number of the last write (Active Directory): within this time a removal counts."""

_SETTLE_SECONDS = 1.0
"""What a server may take from accepting a request for changes to telling the first one; milliseconds are usual."""

_RECKONED_SECONDS = 2.0
"""After which a change that alters other entries is told once more: 389-ds reckons them anew in a thread of its own,
milliseconds after it told the change, and who asked in between got, and kept, the old state."""

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0
"""Between two attempts to watch again."""

_UNSUPPORTED_PAUSE_SECONDS = 60.0
"""Between two looks at a server that tells no changes: an administrator may teach it."""

_UNSUPPORTED_CODES = frozenset({12, 50, 53})
"""unavailableCriticalExtension, insufficientAccessRights, unwillingToPerform: it could, but not here, or not for us."""

_SYNC_REFRESH_REQUIRED = 4096
"""e-syncRefreshRequired (RFC 4533 section 2.6): it no longer knows what came after our cookie."""


_CLOSE_SECONDS = 0.5
"""How long closing waits for the thread: nobody can interrupt a connection that is being made."""


class _Unsupported(Exception):  # noqa: N818 - how one attempt ends, inside this module
    """This server does not tell changes, and why."""


class _Heartbeat:
    """Asks something small now and then over the connection that changes are told on.

    Args:
        session: the connection.
        seconds: between two questions.

    """

    def __init__(self, session: LdapSession, seconds: float) -> None:
        self._session = session
        self._seconds = seconds
        self._awaited = 0
        self._asked_at = 0.0
        self.next_beat = time.monotonic() + seconds

    def beat(self) -> None:
        """Ask, when it is time.

        Raises:
            HostSilent: the question before has not been answered.

        """
        now = time.monotonic()
        if now < self.next_beat:
            return
        self.next_beat = now + self._seconds
        if not self._awaited:
            self._awaited = self._session.send_search(HEARTBEAT_REQUEST, now + _HEARTBEAT_SECONDS)
            self._asked_at = now
        elif now - self._asked_at >= _HEARTBEAT_SECONDS:
            raise HostSilent(self._session.domain, f"`{self._session.host.uri}` fell silent")

    def takes(self, message: Message) -> bool:
        """Whether a message is about our question."""
        if not self._awaited or message.message_id != self._awaited:
            return False
        if message.tag == SEARCH_DONE:
            self._awaited = 0
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched: the entries at and below `base`, and how a changed one is read.

    `attributes`: what a changed entry is sent with. `read_change`: makes a `Change` of it, or raises a
    `DirectoryFault`. `prefer`: the means to take where a server has several; None for the best.
    """

    base: str
    attributes: tuple[str, ...]
    read_change: Callable[[FoundEntry], Change]
    prefer: Means | None = None


class HostWatch:
    """Watches one host from the moment it is made.

    Args:
        domain: names the thread, and for the faults.
        watched: what.
        open_session: opens a connection within a deadline, and says what the server is.
        on_change: see `directory_assistance.watching`.

    """

    def __init__(
        self,
        domain: str,
        watched: Watched,
        open_session: Callable[[float], tuple[LdapSession, RootDse]],
        on_change: OnChange,
    ) -> None:
        self._domain = domain
        self._watched = watched
        self._open_session = open_session
        self._on_change = on_change
        self._status = WatchStatus(state=WatchState.STARTING)
        self._stop = threading.Event()
        self._awake = threading.Event()
        self._lock = threading.Lock()
        self._session: LdapSession | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._again_at = math.inf
        self._thread = threading.Thread(target=self._run, name=f"watch {domain}", daemon=True)
        self._thread.start()

    @property
    def status(self) -> WatchStatus:
        """How it stands now."""
        return self._status

    def wake(self) -> None:
        """Try again now, where it waits for its next attempt: the host is said to be back."""
        self._pause = _FIRST_PAUSE_SECONDS
        self._awake.set()

    def close(self) -> None:
        """Stop listening; nothing is told afterwards."""
        self._stop.set()
        self._awake.set()
        with self._lock:
            if self._session is not None:
                self._session.interrupt()
        if self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)  # one that is connecting ends by itself, and tells nothing

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self._watch_once()
            except Exception as error:  # noqa: BLE001 - see below
                # The outermost handler of this thread. If it ended, the watch would look live for ever, and nobody
                # would see a change any more.
                pause = self._lose(f"a defect of the watch: {one_line(error)}")
            self._awake.wait(pause)
            self._awake.clear()

    def _watch_once(self) -> float:
        """Watch until that ends; return how long to wait before the next attempt."""
        try:
            session, root = self._open_session(time.monotonic() + _LONGEST_PAUSE_SECONDS)
        except DirectoryFault as fault:
            return self._lose(fault.problem)
        with self._lock:
            self._session = session
        try:
            self._listen(session, root)
        except _Unsupported as why:
            self._become(WatchStatus(state=WatchState.UNSUPPORTED, problem=str(why)))
            return _UNSUPPORTED_PAUSE_SECONDS
        except MessageSyntaxError as error:
            return self._lose(f"`{session.host.uri}` told something that is not understood: {error}")
        except DirectoryFault as fault:
            return self._lose(fault.problem)
        finally:
            with self._lock:
                self._session = None
            session.abort()
        return 0.0

    def _lose(self, problem: str) -> float:
        if not self._stop.is_set():
            self._become(WatchStatus(state=WatchState.LOST, how=self._status.how, problem=problem))
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause

    def _become(self, status: WatchStatus) -> None:
        """Change the state; whoever remembers anything forgets it first when it was or becomes reliable."""
        told = self._status.state is not status.state
        if status.state is not WatchState.LIVE:
            self._status = status  # before telling: what is remembered from now on must not be relied on
        if told:
            self._tell(EVERYTHING)
        self._status = status

    def _tell(self, change: Change) -> None:
        if not self._stop.is_set():
            self._on_change(change)

    # --- one connection

    def _listen(self, session: LdapSession, root: RootDse) -> None:
        means = self._watched.prefer or choose_means(root)
        if means is None:
            raise _Unsupported(f"{root.product or 'the server'} offers no way to be told of changes")
        watching = self._begin(session, root, means)
        self._again_at = math.inf
        live_at = math.inf if means is Means.SYNCREPL else time.monotonic() + _SETTLE_SECONDS
        ledger = WriteLedger() if means is Means.AD_NOTIFICATION else None
        heart = _Heartbeat(session, _HEARTBEAT_SECONDS if ledger is None else _LEDGER_SECONDS)
        while not self._stop.is_set():
            if time.monotonic() >= live_at:
                self._go_live(means)
                live_at = math.inf
            if time.monotonic() >= self._again_at:
                self._again_at = math.inf
                self._tell(EVERYTHING)
            heart.beat()
            message = session.receive_any(min(heart.next_beat, live_at, self._again_at))
            if message is None:
                continue
            if heart.takes(message):
                self._hear_beat(message, ledger)
            elif message.message_id != watching:
                raise MessageSyntaxError("an answer to a question that was not asked")
            elif self._hear(message, means, ledger):
                self._go_live(means)

    def _begin(self, session: LdapSession, root: RootDse, means: Means) -> int:
        """Ask for changes; return the id of the search that tells them."""
        cookie = b""
        base = self._watched.base
        if means is Means.SYNCREPL:
            cookie = self._read_cookie(session, root)
        else:
            # An entry that is moved, or removed from an Active Directory, is told of only where it is then; and what it
            # rests on may stand beside the base.
            base = _naming_context_of(self._watched.base, root) or base
        request = SearchRequest(
            base=base,
            scope="SUBTREE",
            filter=Present(attribute="objectClass"),
            attributes=(
                *self._watched.attributes,
                *(("uSNChanged",) if means is Means.AD_NOTIFICATION else ()),
            ),
            size_limit=0,
        )
        return session.send_search(
            request,
            time.monotonic() + _HEARTBEAT_SECONDS,
            *notification_controls(means, cookie=cookie),
            time_limited=False,
        )

    def _read_cookie(self, session: LdapSession, root: RootDse) -> bytes:
        """Return what says that everything up to now is known; empty where that cannot be said."""
        context = _naming_context_of(self._watched.base, root)
        if context is None:
            return b""
        request = SearchRequest(
            base=context,
            scope="BASE",
            filter=Present(attribute="objectClass"),
            attributes=("contextCSN",),
            size_limit=1,
        )
        answer = session.search(request, time.monotonic() + _HEARTBEAT_SECONDS)
        values = [value for entry in answer.entries for value in entry.values.get("contextcsn", ())]
        return write_csn_cookie(tuple(value.decode("ascii", "replace") for value in values))

    def _go_live(self, means: Means) -> None:
        self._pause = _FIRST_PAUSE_SECONDS
        self._become(WatchStatus(state=WatchState.LIVE, how=means.value))

    def _hear_beat(self, message: Message, ledger: WriteLedger | None) -> None:
        """Tell `EVERYTHING` where a write was not told of: an entry may have been removed."""
        if ledger is None:
            return
        if message.tag == SEARCH_DONE:
            ledger.end_look()
        elif message.tag == SEARCH_ENTRY and not ledger.balances(read_entry_message(message.content)):
            self._tell(EVERYTHING)

    def _hear(self, message: Message, means: Means, ledger: WriteLedger | None) -> bool:
        """Tell what one message says; return whether the server says that it has begun."""
        live = self._status.state is WatchState.LIVE
        if message.tag == SEARCH_ENTRY:
            if live or means is not Means.SYNCREPL:  # what comes before is what was there already
                found = read_entry_message(message.content)
                if ledger is not None:
                    ledger.hear(found)
                self._tell(self._changed(message, found))
            return False
        if message.tag == INTERMEDIATE:
            told = read_sync_info(message)
            if told is None:
                return False
            if told.changes and live:
                self._tell(EVERYTHING)
            return told.refresh_done and not live
        if message.tag == SEARCH_DONE:
            self._end(read_result_message(message.content).code, means)
        if message.tag != SEARCH_REFERENCE:
            raise MessageSyntaxError(f"found tag 0x{message.tag:02x}")
        return False

    def _end(self, code: int, means: Means) -> None:
        """Raise what the end of the search means; it ends only where something is wrong."""
        said = name_result_code(code) if code != _SYNC_REFRESH_REQUIRED else f"{code} syncRefreshRequired"
        if code in _UNSUPPORTED_CODES:
            raise _Unsupported(f"the server does not tell changes by {means.value} here: {said}")
        raise DirectoryUnavailable(self._domain, f"the server ended telling changes: {said}")

    def _changed(self, message: Message, found: FoundEntry) -> Change:
        state = read_sync_state(message)
        if state is not None and state.deleted:
            return Change(unique_id=state.unique_id)
        try:
            change = self._watched.read_change(found)
        except DirectoryFault:  # an entry that cannot be read has changed all the same
            return EVERYTHING
        if change.everything:
            self._again_at = time.monotonic() + _RECKONED_SECONDS
            return change
        if state is not None:
            return Change(unique_id=state.unique_id, facts=change.facts)
        return change if change.unique_id is not None else EVERYTHING


def _naming_context_of(base: str, root: RootDse) -> str | None:
    """Return the longest naming context that holds the base, None where the server names none."""
    try:
        wanted = read_ldap_dn(base)
        contexts = [(read_ldap_dn(text), text) for text in root.naming_contexts]
    except NameSyntaxError:
        return None
    holding = [
        (len(context.rdns), text)
        for context, text in contexts
        if context.rdns and DistinguishedName(rdns=wanted.rdns[-len(context.rdns) :]) == context
    ]
    return max(holding)[1] if holding else None
