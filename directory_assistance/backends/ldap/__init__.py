"""LDAP directories: `LdapDirectory` over ldap3, and the settings it takes.

The parts: settings (`settings.py`), one connection (`session.py`), the pool of them (`pool.py`),
candidates as questions to a kind of server (`questions.py`), answers as entries and groups
(`reading.py`), and the directory itself (`directory.py`). ldap3 is named in `session.py` alone, so that
another client can take its place.
"""

from directory_assistance.backends.ldap.directory import LdapDirectory
from directory_assistance.backends.ldap.settings import (
    AnonymousBind,
    Bind,
    ExternalBind,
    GroupStyle,
    LdapHost,
    LdapSettings,
    LdapTls,
    ServerKind,
    SimpleBind,
    Transport,
    read_ldap_uri,
)

__all__ = [
    "AnonymousBind",
    "Bind",
    "ExternalBind",
    "GroupStyle",
    "LdapDirectory",
    "LdapHost",
    "LdapSettings",
    "LdapTls",
    "ServerKind",
    "SimpleBind",
    "Transport",
    "read_ldap_uri",
]
