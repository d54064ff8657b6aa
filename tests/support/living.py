"""Somebody in each kind of directory that can change while a service runs, and the changes that end an access.

What lives here: for each kind the domain as `directory-assistance.yaml` has it, the person Vera with a certificate, and
what an administrator does to her. What does not: who watches, and what is decided (the tests and benchmarks).

INVARIANT: a change has been accepted by its server when the call returns.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from authsvc.store.certificates import CertificateRecord
from authsvc.store.groups import create_group, replace_group
from authsvc.store.migrate import migrate
from authsvc.store.people import create_person, delete_person, replace_person
from authsvc.store.schema import open_engine
from directory_assistance.alternative_identities import issuer_serial_identities
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import read_ldap_dn, read_name, render_ldap
from tests.support.kinds import Kind, Kinds
from tests.support.pki import Issued
from tests.support.postgresql import PostgresqlServer
from tests.support.slapd import Value, entries_ldif
from tests.support.store import changing, group, open_store, person

__all__ = ["LIVING", "Living", "living"]

LIVING = ("slapd", "389-ds", "Samba AD", "LDIF", "SQLite", "PostgreSQL")
"""The kinds whose changes reach a running service."""

_DATABASE = "AUTHSVC_TEST_DATABASE"

_VERA = "CN=Vera Vine,O=Acme"
"""Her name in files and databases."""


@dataclass(frozen=True, kw_only=True)
class Living:
    """Vera in one kind of directory.

    `domain`: the configuration. `reset` makes her anew: enabled, with her certificate, in the group `Vets`. The other
    calls each end something.
    """

    domain: Mapping[str, object]
    reset: Callable[[], None]
    disable: Callable[[], None]
    remove: Callable[[], None]
    take_certificate: Callable[[], None]
    leave_group: Callable[[], None]


@contextmanager
def living(
    name: str, folder: Path, held: Issued, kinds: Kinds, postgresql: PostgresqlServer
) -> Iterator[Living]:
    """Yield Vera in a kind of directory, one of `LIVING`.

    Args:
        name: the kind.
        folder: for what the configuration names; the service's own folder.
        held: her certificate.
        kinds: the running servers.
        postgresql: a running server.

    """
    if name in {"slapd", "389-ds", "Samba AD"}:
        yield from _in_ldap(kinds[name], folder, held)
    elif name == "LDIF":
        yield _in_ldif(folder, held)
    elif name == "SQLite":
        (folder / "acme").mkdir()
        with open_store(folder / "acme") as engine:
            yield _in_sql(engine, "sqlite:///acme/directory.db", held)
    else:
        with postgresql.database() as url:
            engine = open_engine(url)
            migrate(engine)
            os.environ[_DATABASE] = url  # it has a password in it, which does not stand in a configuration
            yield _in_sql(engine, f"${{{_DATABASE}}}", held)
            del os.environ[_DATABASE]
            engine.dispose()


_RULES = {"group_authorization": True, "find_by": ["certificate"], "bind_by": "certificate"}


def _in_ldap(kind: Kind, folder: Path, held: Issued) -> Iterator[Living]:
    server, change = kind.server, kind.change
    assert server is not None
    assert change is not None
    dn, group_dn = (render_ldap(kind.dn(f"CN={name},O=airius.com")) for name in ("Vera Vine", "Vets"))
    is_domain = kind.name == "Samba AD"
    password = folder / f"{kind.name.replace(' ', '-')}.password"
    password.touch(mode=0o600)
    password.write_text(server.reader_password)
    names = read_certificate_names(held.der)
    certificate = "userCertificate" if is_domain else "userCertificate;binary"
    person_values: dict[str, list[Value]] = {
        "objectClass": ["user"] if is_domain else ["inetOrgPerson", "extensibleObject"],
        certificate: [held.der],
    }
    if is_domain:
        person_values |= {
            "sAMAccountName": ["vera"],
            "userAccountControl": ["544"],
            "altSecurityIdentities": list(issuer_serial_identities(names.issuer, names.serial)[:1]),
        }
    else:
        person_values["sn"] = ["Vine"]
    group_values: dict[str, list[Value]] = {
        "objectClass": ["group"] if is_domain else ["groupOfNames"],
        "member": [dn, server.reader_dn],
    }
    if is_domain:
        group_values["sAMAccountName"] = ["vets"]
    disabled = (
        "replace: userAccountControl\nuserAccountControl: 546"
        if is_domain
        else "add: nsAccountLock\nnsAccountLock: TRUE"
    )

    there: set[str] = set()

    def modify(what: str) -> None:
        change(f"dn: {dn}\nchangetype: modify\n{what}\n")

    def delete(entry: str) -> None:
        if entry in there:
            change(f"dn: {entry}\nchangetype: delete\n")
            there.discard(entry)

    def clear() -> None:
        delete(group_dn)
        delete(dn)

    def reset() -> None:
        clear()
        change(_added(entries_ldif((dn, person_values), (group_dn, group_values))))
        there.update((dn, group_dn))

    yield Living(
        domain={
            "domain": "Acme",
            "type": "ldap",
            "rules": [{"suffix": server.suffix, "trusted": True}],
            "group_authorization": True,
            "ldap": {
                "hosts": [server.url],
                "server": {"slapd": "standard", "389-ds": "389ds"}.get(kind.name, "active-directory"),
                "bind": {"dn": server.reader_dn, "password_file": password.name},
                "base": server.suffix,
                "find_by": ["certificate"],
            },
        },
        reset=reset,
        disable=lambda: modify(disabled),
        remove=lambda: delete(dn),
        take_certificate=lambda: modify(f"delete: {certificate}"),
        leave_group=lambda: change(f"dn: {group_dn}\nchangetype: modify\ndelete: member\nmember: {dn}\n"),
    )
    clear()


def _added(text: str) -> str:
    """Return entries as changes that add them."""
    return "\n\n".join(
        f"{first}\nchangetype: add\n{rest}"
        for first, _newline, rest in (each.partition("\n") for each in text.strip().split("\n\n"))
    )


def _in_ldif(folder: Path, held: Issued) -> Living:
    file = folder / "acme.ldif"

    def write(
        *, disabled: bool = False, present: bool = True, holds: bool = True, member: bool = True
    ) -> None:
        values: dict[str, list[Value]] = {"objectClass": ["inetOrgPerson"], "cn": ["Vera Vine"]}
        values["userCertificate;binary"] = [held.der] if holds else []
        values["nsAccountLock"] = ["TRUE"] if disabled else []
        listed = {
            "objectClass": ["groupOfNames"],
            "cn": ["Vets"],
            "member": [_VERA] if member else ["CN=X,O=Acme"],
        }
        entries = ([(_VERA, values)] if present else []) + [("CN=Vets,O=Acme", listed)]
        fresh = file.with_suffix(".new")
        fresh.write_text(entries_ldif(*entries), encoding="utf-8")
        fresh.replace(file)

    write()
    return Living(
        domain={
            "domain": "Acme",
            "type": "ldif",
            "file": file.name,
            "rules": [{"rule": "*/Acme", "trusted": True}],
        }
        | _RULES,
        reset=write,
        disable=lambda: write(disabled=True),
        remove=lambda: write(present=False),
        take_certificate=lambda: write(holds=False),
        leave_group=lambda: write(member=False),
    )


def _in_sql(engine: Engine, url: str, held: Issued) -> Living:
    name = read_ldap_dn(_VERA)
    certificate = CertificateRecord.from_der(held.der)
    vets = read_name("Vets")

    def write(*, disabled: bool = False, holds: bool = True) -> None:
        with changing(engine) as change:
            replace_person(
                change,
                name,
                person("Vera Vine/Acme", disabled=disabled, certificates=[certificate] if holds else []),
            )

    def list_members(*members: str) -> None:
        with changing(engine) as change:
            replace_group(change, vets, group("Vets", *members))

    there = False

    def reset() -> None:
        nonlocal there
        if there:
            remove()
        with changing(engine) as change:
            create_person(change, person("Vera Vine/Acme", certificates=[certificate]))
        list_members("Vera Vine/Acme")
        there = True

    def remove() -> None:
        nonlocal there
        with changing(engine) as change:
            delete_person(change, name)
        there = False

    with changing(engine) as change:
        create_group(change, group("Vets", "Nobody/Acme"))
    return Living(
        domain={"domain": "Acme", "type": "sql", "url": url, "rules": [{"rule": "*/Acme", "trusted": True}]}
        | _RULES,
        reset=reset,
        disable=lambda: write(disabled=True),
        remove=remove,
        take_certificate=lambda: write(holds=False),
        leave_group=lambda: list_members("Nobody/Acme"),
    )
