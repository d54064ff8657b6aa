"""The kinds of directory, one module each, and the one place that knows them all."""

import time
from collections.abc import Callable
from typing import assert_never

from directory_assistance.backends.caching import CachingDirectory, Lifetimes
from directory_assistance.backends.ldap import LdapDirectory
from directory_assistance.backends.ldap.settings import LdapSettings
from directory_assistance.backends.ldif import LdifDirectory
from directory_assistance.backends.ldif.settings import LdifSettings
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.directory import Directory
from directory_assistance.sql_engine import SqlSettings, open_engine

__all__ = ["REMEMBERED", "open_directory", "open_sql_directory"]

REMEMBERED = Lifetimes()
"""How long the answers of a server across a network are remembered, where nobody says otherwise."""


def open_directory(
    domain: str,
    settings: SqlSettings | LdapSettings | LdifSettings,
    *,
    lifetimes: Lifetimes | None = REMEMBERED,
    monotonic: Callable[[], float] = time.monotonic,
) -> Directory:
    """Open a directory; nothing is connected to, and no file read, before the first question.

    Args:
        domain: the domain it serves.
        settings: as `directory_assistance.config` reads them.
        lifetimes: how long the answers of a server across a network are remembered (type `ldap`); None for not at
            all. Other kinds answer as fast as a memory would.
        monotonic: the clock of their ages, in seconds: the one that deadlines are told in.

    """
    match settings:
        case SqlSettings():
            return open_sql_directory(domain, settings)
        case LdapSettings():
            directory = LdapDirectory(domain, settings)
            return directory if lifetimes is None else CachingDirectory(directory, lifetimes, monotonic)
        case LdifSettings():
            return LdifDirectory(domain, settings)
        case _:
            assert_never(settings)


def open_sql_directory(domain: str, settings: SqlSettings) -> SqlDirectory:
    """Open an `sql` directory, which may be a primary."""
    return SqlDirectory(domain, open_engine(settings.url))
