"""The watch of an LDAP directory: every host of it, as one.

Why every host: hosts are replicas, and each learns of a change at a time of its own. An answer is read from one host;
if another told of the change before that one had it, the old state would be read again, and believed.

Invariants:

* The watch is live only while every host that may be asked is being watched live.
* Whenever it becomes live, `EVERYTHING` has been told since anything was read of a host that is not watched: when that
  host is watched, or when it is taken out (`leave`).
"""

from collections.abc import Mapping

from directory_assistance.backends.ldap.host_watch import HostWatch, Watched
from directory_assistance.backends.ldap.hosts import Hosts
from directory_assistance.backends.ldap.settings import LdapHost
from directory_assistance.directory import HostState
from directory_assistance.watching import EVERYTHING, OnChange, WatchState, WatchStatus

__all__ = ["LdapWatch", "Watched"]

_WORST_FIRST = (WatchState.UNSUPPORTED, WatchState.LOST, WatchState.STARTING)


class LdapWatch:
    """The watches of all hosts.

    Args:
        hosts: says which of them may be asked.
        watches: one for each host, by its URI.
        on_change: see `directory_assistance.watching`.

    """

    def __init__(self, hosts: Hosts, watches: Mapping[str, HostWatch], on_change: OnChange) -> None:
        self._hosts = hosts
        self._on_change = on_change
        self._watches = watches

    @property
    def status(self) -> WatchStatus:
        """How it stands now: the worst of the hosts that may be asked."""
        asked = [
            self._watches[each.uri].status
            for each in self._hosts.statuses
            if each.state is not HostState.DOWN
        ]
        for state in _WORST_FIRST:
            for status in asked:
                if status.state is state:
                    return status
        if not asked:
            problem = "; ".join(each.problem for each in self._hosts.statuses)
            return WatchStatus(state=WatchState.LOST, problem=problem)
        return asked[0]

    def wake(self, host: LdapHost) -> None:
        """Watch a host again that is back."""
        self._watches[host.uri].wake()

    def leave(self, host: LdapHost) -> None:
        """Tell `EVERYTHING` before a host that is not watched live is taken out, because the others may be.

        Something may just have been read of it that it had not yet been told, and would be believed from then on.
        """
        if self._watches[host.uri].status.state is not WatchState.LIVE:
            self._on_change(EVERYTHING)

    def close(self) -> None:
        """Stop watching; nothing is told afterwards."""
        for watch in self._watches.values():
            watch.close()
