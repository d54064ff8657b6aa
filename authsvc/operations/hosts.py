"""The servers of the directories: what is logged of them, and what an operator should know.

Not here: which of them is asked (`directory_assistance.backends.ldap.hosts`), and the figures (`metrics.py`).
"""

import logging
from collections.abc import Collection, Iterator
from typing import assert_never

from directory_assistance.directory import HostState, HostStatus, KnowsHosts
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain

__all__ = ["HostLog", "host_statuses"]

_LOG = logging.getLogger("authsvc.hosts")


def host_statuses(assistance: DirectoryAssistance) -> Iterator[tuple[str, HostStatus]]:
    """Yield every server of every enabled directory that tells, with its domain. Asks nobody."""
    for each in assistance.every_domain:
        if (isinstance(each, PrimaryDomain) or each.enabled) and isinstance(each.directory, KnowsHosts):
            yield from ((each.domain, status) for status in each.directory.host_statuses)


class HostLog:
    """Logs each state of a server that is another one than at the last look. Of one thread at a time."""

    def __init__(self, assistance: DirectoryAssistance) -> None:
        self._assistance = assistance
        self._logged: dict[tuple[str, str], HostState] = {}

    def observe(self) -> None:
        """Look at every server."""
        for domain, status in host_statuses(self._assistance):
            if self._logged.get((domain, status.uri), HostState.UP) is not status.state:
                self._logged[domain, status.uri] = status.state
                _log(domain, status)

    def warnings(self, *, but: Collection[str] = ()) -> list[str]:
        """Return what an operator should know now, of every domain but some."""
        return [
            f"`{domain}`: a server is {status.state}: {status.problem}"
            for domain, status in host_statuses(self._assistance)
            if status.state is not HostState.UP and domain not in but
        ]


def _log(domain: str, status: HostStatus) -> None:
    uri, problem = status.uri, status.problem
    match status.state:
        case HostState.UP:
            _LOG.info("directory_host_up", extra={"domain": domain, "host": uri})
        case HostState.SUSPECT:
            _LOG.warning("directory_host_suspect", extra={"domain": domain, "host": uri, "problem": problem})
        case HostState.DOWN:
            _LOG.warning("directory_host_down", extra={"domain": domain, "host": uri, "problem": problem})
        case _ as unreachable:
            assert_never(unreachable)
