"""Directory assistance, opened: the configured directories as domains that decisions can ask.

Lives here: which directory remembers what, and which is watched. Not here: asking (`directory_assistance.search`), and
everything else that a service holds open (`service.py`).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from directory_assistance.backends import REMEMBERED, open_directory
from directory_assistance.backends.caching import CachingDirectory
from directory_assistance.backends.ldap.settings import LdapSettings
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain, SecondaryDomain
from directory_assistance.settings import DirectoryAssistanceSettings

__all__ = ["not_watched", "open_assistance", "without_memory"]


def open_assistance(
    settings: DirectoryAssistanceSettings,
    *,
    cache_time: timedelta = timedelta(seconds=60),
    monotonic: Callable[[], float] = time.monotonic,
) -> DirectoryAssistance:
    """Open every directory; no connection is made yet.

    Args:
        settings: the configuration of directory assistance.
        cache_time: an answer whose changes nobody tells is remembered for no longer; and not at all where the
            configuration says that a domain is not watched, because then the cache time is the whole of what its
            operator allows.
        monotonic: the clock of the ages of answers, in seconds.

    """
    remembered = replace(REMEMBERED, unwatched=min(REMEMBERED.unwatched, cache_time))
    off = not_watched(settings)
    primary = settings.primary
    directory = open_directory(primary.domain, primary.directory)
    assert isinstance(directory, SqlDirectory)  # the configuration knows no other kind for the primary
    return DirectoryAssistance(
        primary=PrimaryDomain(
            domain=primary.domain,
            directory=directory,
            plan=primary.plan,
            size_limit=primary.size_limit,
            expansion=primary.expansion,
        ),
        domains=tuple(
            SecondaryDomain(
                domain=each.domain,
                directory=open_directory(
                    each.domain,
                    each.directory,
                    lifetimes=None if each.domain in off else remembered,
                    monotonic=monotonic,
                ),
                plan=each.plan,
                rules=each.rules,
                enabled=each.enabled,
                search_order=each.search_order,
                size_limit=each.size_limit,
                on_unavailable=each.on_unavailable,
                may_assert_primary_names=each.may_assert_primary_names,
                group_authorization=each.group_authorization,
                plain_group_names=each.plain_group_names,
                mail_domains=each.mail_domains,
                expansion=each.expansion,
            )
            for each in settings.domains
        ),
        ambiguity=settings.ambiguity,
    )


def not_watched(settings: DirectoryAssistanceSettings) -> frozenset[str]:
    """Return the domains whose configuration says that they are not watched."""
    return frozenset(
        each.domain
        for each in settings.domains
        if isinstance(each.directory, LdapSettings) and not each.directory.watch
    )


def without_memory(assistance: DirectoryAssistance) -> DirectoryAssistance:
    """Return the same domains over directories that remember nothing."""
    return replace(
        assistance,
        domains=tuple(
            replace(each, directory=each.directory.inner)
            if isinstance(each.directory, CachingDirectory)
            else each
            for each in assistance.domains
        ),
    )
