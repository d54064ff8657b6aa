"""One world of people and groups, as each kind of directory holds it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.x509 import SubjectKeyIdentifier
from sqlalchemy import Engine, create_engine, insert

from directory_assistance.backends.ldap import LdapDirectory, LdapSettings, SimpleBind
from directory_assistance.backends.ldif import LdifDirectory, LdifSettings
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.dn import (
    DistinguishedName,
    FlatName,
    MemberReference,
    Name,
    RelativeDistinguishedName,
    key_text,
    read_ldap_dn,
    read_member,
    render_ldap,
    render_name,
)
from directory_assistance.dn_values import COMMON_NAME
from directory_assistance.entry import Entry, Group, GroupType, StoredCertificate
from directory_assistance.sql_tables import (
    certificates,
    group_members,
    groups,
    metadata,
    people,
    person_names,
)
from directory_assistance.sql_values import (
    certificate_values,
    common_name_key,
    group_key,
    member_key,
    name_key,
    text_key,
)
from tests.support.pki import BEGIN, END, NOW, Authority, Issued
from tests.support.samba_ad import SambaServer
from tests.support.slapd import SUFFIX, SlapdServer, Value, entries_ldif, ldif, serve

__all__ = [
    "ACME",
    "ALAN",
    "CROWD",
    "DAVE",
    "DAVE_OLD",
    "DOMAIN",
    "GROUPS",
    "JOHN_EAST",
    "JOHN_WEST",
    "LOOP",
    "PEOPLE",
    "PERIL",
    "ROOT",
    "STRANGER",
    "WILDCARD_GROUP",
    "Person",
    "add_group",
    "add_person",
    "deadline",
    "fill_sql",
    "ldap_directory",
    "ldap_settings",
    "ldif_directory",
    "memory_directory",
    "place_in_domain",
    "postgresql_engine",
    "samba_ldif",
    "samba_loop",
    "sql_directory",
    "sql_engine",
    "world_ldif",
]

DOMAIN = "Airius"

ROOT = Authority.root("CN=Airius Root CA,O=Airius", now=NOW, not_before=BEGIN, not_after=END)
ACME = Authority.root('CN=Acme \\"Best\\" CA\\, Ltd.,OU=R\\+D,O=Acme', now=NOW)
DAVE = ROOT.issue("CN=Dave Lawson,O=airius.com")
DAVE_OLD = ROOT.issue("CN=Dave Lawson,O=airius.com")
ALAN = ACME.issue("CN=Al Jones,O=airius.com", serial=0x00F1D2C3B4A5968778695A4B3C2D1E0F1A2B3C4D)
JOHN_EAST = ROOT.issue("CN=John Smith,O=airius.com")
JOHN_WEST = ROOT.issue("CN=John Smith,O=airius.com")
PERIL = ROOT.issue("CN=Peril,O=airius.com")
STRANGER = ROOT.issue("CN=Stranger,O=elsewhere")


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person; `dn` is the first name in every kind of directory."""

    dn: str
    aliases: tuple[str, ...] = ()
    mail: str = ""
    uid: str = ""
    upn: str = ""
    display_name: str = ""
    holds: tuple[Issued, ...] = ()
    disabled: bool = False
    further: Mapping[str, Sequence[Value]] = field(default_factory=dict)


PEOPLE = (
    Person(
        dn="CN=Dave Lawson,OU=East,O=airius.com",
        mail="dave@airius.com",
        uid="dlawson",
        upn="dave@corp.airius.com",
        display_name="Dave J. Lawson",
        holds=(DAVE, DAVE_OLD),
    ),
    Person(
        dn="CN=Alan Jones,O=airius.com",
        aliases=("AJones", "Al Jones"),
        mail="Alan.Jones@airius.com",
        holds=(ALAN,),
    ),
    Person(dn="CN=John Smith,OU=East,O=airius.com", mail="office@airius.com", holds=(JOHN_EAST,)),
    Person(dn="CN=John Smith,OU=West,O=airius.com", mail="office@airius.com", holds=(JOHN_WEST,)),
    Person(dn="CN=Jürgen Groß,O=airius.com", mail="office@airius.com"),
    Person(dn="CN=Gone Away,O=airius.com", mail="office@airius.com", disabled=True),
    Person(dn=r"CN=Peril (of) * \\ \"x\"\, Jr.+UID=p1,O=airius.com", holds=(PERIL,)),
)

LOOP = ("CN=John Smith,OU=West,O=airius.com", "Ring", "Back")
"""Somebody, the group that lists him and the other one, and the group that lists this one."""

CROWD = tuple(f"CN=Member {number},O=airius.com" for number in range(1_000))
"""Members of one large group, `Crowd`; of the world's people none is among them."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Sales": ("CN=Dave Lawson,OU=East,O=airius.com", "CN=Alan Jones,O=airius.com"),
    "Buyers": ("CN=Alan Jones,O=airius.com",),
    "Managers": ("Sales",),
    "Everybody": ("Managers", "CN=Gone Away,O=airius.com"),
    LOOP[1]: (LOOP[0], LOOP[2]),
    LOOP[2]: (LOOP[1],),
    "Crowd": CROWD,
}
"""Name and direct members: people by DN, groups by name."""

WILDCARD_GROUP = Group(name="The East", type=GroupType.ACL, reference=FlatName(text="The East"))


def deadline(seconds: float = 60.0) -> float:
    """Return an instant of the monotonic clock."""
    return time.monotonic() + seconds


# --- memory


def memory_directory(*further: Entry) -> MemoryDirectory:
    """Return the world as values."""
    further_attributes = {
        person.dn: {
            "userPrincipalName": [person.upn] if person.upn else [],
            "uid": [person.uid] if person.uid else [],
        }
        for person in PEOPLE
    }
    listed = [
        (
            Group(name=name, type=GroupType.MULTI, reference=FlatName(text=name)),
            [_member(member) for member in members],
        )
        for name, members in GROUPS.items()
    ]
    listed.append((WILDCARD_GROUP, [read_member("*/East/airius.com")]))
    return MemoryDirectory(DOMAIN, (*map(_entry, PEOPLE), *further), listed, attributes=further_attributes)


def _entry(person: Person) -> Entry:
    return Entry(
        key=person.dn,
        names=(read_ldap_dn(person.dn), *(FlatName(text=alias) for alias in person.aliases)),
        display_name=person.display_name,
        mails=(person.mail,) if person.mail else (),
        certificates=tuple(StoredCertificate(der=issued.der) for issued in person.holds),
        disabled=person.disabled,
    )


def _member(text: str) -> MemberReference:
    return read_ldap_dn(text) if "=" in text else read_member(text)


# --- SQL

_TABLES = [people, person_names, certificates, groups, group_members]


def sql_engine(folder: Path) -> Engine:
    """Return a database with the tables and nobody in them."""
    engine = create_engine(f"sqlite:///{folder / 'directory.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    metadata.create_all(engine, tables=_TABLES)
    return engine


def postgresql_engine(url: str) -> Engine:
    """Return an empty database of PostgreSQL with the tables and nobody in them, to be written."""
    engine = create_engine(url)
    metadata.create_all(engine, tables=_TABLES)
    return engine


def add_person(engine: Engine, person: Person) -> int:
    """Write one person; return the row's id."""
    names: tuple[Name, ...] = (read_ldap_dn(person.dn), *(FlatName(text=each) for each in person.aliases))
    with engine.begin() as connection:
        person_id: int = connection.execute(
            insert(people)
            .values(
                name_key=name_key(names[0]),
                display_name=person.display_name,
                mail=person.mail,
                mail_key=text_key(person.mail),
                disabled=person.disabled,
            )
            .returning(people.c.id)
        ).scalar_one()
        connection.execute(
            insert(person_names),
            [
                {
                    "person_id": person_id,
                    "position": position,
                    "text": render_name(name),
                    "key": name_key(name),
                    "common_name_key": common_name_key(name),
                }
                for position, name in enumerate(names)
            ],
        )
        for issued in person.holds:
            values = certificate_values(issued.der)
            connection.execute(
                insert(certificates).values(
                    person_id=person_id,
                    der=issued.der,
                    sha256=values.sha256,
                    issuer_key=values.issuer_key,
                    serial=values.serial,
                    subject_key_id=values.subject_key_id,
                    revoked=False,
                )
            )
    return person_id


def add_group(engine: Engine, name: str, members: Sequence[MemberReference], type: str = "multi") -> None:  # noqa: A002 - the column's name
    """Write one group."""
    with engine.begin() as connection:
        group_id = connection.execute(
            insert(groups).values(name=name, name_key=group_key(name), type=type).returning(groups.c.id)
        ).scalar_one()
        rows = [{"group_id": group_id, "key": member_key(each), "text": key_text(each)} for each in members]
        if rows:
            connection.execute(insert(group_members), rows)


def fill_sql(engine: Engine) -> None:
    """Write the world into a database that has the tables."""
    for person in PEOPLE:
        add_person(engine, person)
    for name, members in GROUPS.items():
        add_group(engine, name, [_member(member) for member in members])
    add_group(engine, WILDCARD_GROUP.name, [read_member("*/East/airius.com")], WILDCARD_GROUP.type)


def sql_directory(folder: Path) -> SqlDirectory:
    """Return the world in SQLite."""
    engine = sql_engine(folder)
    fill_sql(engine)
    return SqlDirectory(DOMAIN, engine)


# --- LDAP


def world_ldif(*further: tuple[str, Mapping[str, Sequence[Value]]]) -> str:
    """Return the world as LDIF."""
    units = [
        (f"ou={unit},{SUFFIX}", {"objectClass": ["organizationalUnit"], "ou": [unit]})
        for unit in ("East", "West")
    ]
    persons = [_ldap_person(person) for person in PEOPLE]
    listed = [
        (
            f"cn={name},{SUFFIX}",
            {
                "objectClass": ["groupOfNames"],
                "cn": [name],
                "member": [member if "=" in member else f"cn={member},{SUFFIX}" for member in members],
            },
        )
        for name, members in GROUPS.items()
    ]
    return ldif(*units, *persons, *listed, *further)


def _ldap_person(person: Person) -> tuple[str, Mapping[str, Sequence[Value]]]:
    leaf = read_ldap_dn(person.dn).rdns[0]
    own = [attribute.value for attribute in leaf.attributes if attribute.oid == "2.5.4.3"]
    uids = [attribute.value for attribute in leaf.attributes if attribute.oid != "2.5.4.3"]
    attributes: dict[str, Sequence[Value]] = {
        "objectClass": ["inetOrgPerson", "extensibleObject"],
        "cn": [*own, *person.aliases],
        "sn": ["x"],
        "mail": [person.mail] if person.mail else [],
        "uid": [*uids, *([person.uid] if person.uid else [])],
        "userPrincipalName": [person.upn] if person.upn else [],
        "displayName": [person.display_name] if person.display_name else [],
        "userCertificate;binary": [issued.der for issued in person.holds],
        "nsAccountLock": ["TRUE"] if person.disabled else [],
    }
    return person.dn, attributes | dict(person.further)


def place_in_domain(dn: DistinguishedName) -> DistinguishedName:
    """Return where somebody of the world stands in the Active Directory: a component there has one attribute."""
    top = read_ldap_dn(SUFFIX).rdns
    if dn.rdns[-len(top) :] != top:
        return dn
    below = tuple(_first_attribute(rdn) for rdn in dn.rdns[: -len(top)])
    return DistinguishedName(rdns=below + read_ldap_dn(_DOMAIN_PEOPLE).rdns)


def _first_attribute(rdn: RelativeDistinguishedName) -> RelativeDistinguishedName:
    names = [attribute for attribute in rdn.attributes if attribute.oid == COMMON_NAME]
    return RelativeDistinguishedName(attributes=tuple(names)) if names else rdn


_DOMAIN_PEOPLE = f"OU=People,{SambaServer.SUFFIX}"

_ENABLED = "544"
"""`userAccountControl`: a normal account that needs no password."""

_DISABLED = "546"


def samba_ldif() -> str:
    """Return the world as the LDIF of an Active Directory; parents and members before those that name them.

    A person's certificates are named by issuer and serial number, and by subject key identifier, as an administrator
    enters them: Active Directory does not look them up itself.
    """
    places = (_DOMAIN_PEOPLE, f"OU=East,{_DOMAIN_PEOPLE}", f"OU=West,{_DOMAIN_PEOPLE}")
    units = [(place, {"objectClass": ["organizationalUnit"]}) for place in places]
    listed = [
        (
            f"CN={name},{_DOMAIN_PEOPLE}",
            {
                "objectClass": ["group"],
                "member": [
                    render_ldap(place_in_domain(read_ldap_dn(member)))
                    if "=" in member
                    else f"CN={member},{_DOMAIN_PEOPLE}"
                    for member in members
                ],
            },
        )
        for name, members in _domain_groups().items()
    ]
    crowd = [
        (render_ldap(place_in_domain(read_ldap_dn(dn))), {"objectClass": ["contact"]})
        for dn in _CROWD_IN_DOMAIN
    ]
    return entries_ldif(*units, *map(_domain_person, PEOPLE), *crowd, *listed)


_CROWD_IN_DOMAIN = (CROWD[0], CROWD[499], CROWD[-1])
"""Samba looks through the members of each group one by one: a thousand would slow every question for groups."""


def _domain_groups() -> dict[str, tuple[str, ...]]:
    """Return the groups without what closes the loop: a member has to be there before it is named."""
    return {**GROUPS, LOOP[1]: LOOP[:1], "Crowd": _CROWD_IN_DOMAIN}


def samba_loop() -> str:
    """Return the change that closes the loop of groups."""
    ring, back = (f"CN={name},{_DOMAIN_PEOPLE}" for name in LOOP[1:])
    return f"dn: {ring}\nchangetype: modify\nadd: member\nmember: {back}\n"


def _domain_person(person: Person) -> tuple[str, Mapping[str, Sequence[Value]]]:
    attributes: dict[str, Sequence[Value]] = {
        "objectClass": ["user"],
        "mail": [person.mail] if person.mail else [],
        "uid": [person.uid] if person.uid else [],
        "userPrincipalName": [person.upn] if person.upn else [],
        "displayName": [person.display_name] if person.display_name else [],
        "userCertificate": [issued.der for issued in person.holds],
        "altSecurityIdentities": [text for issued in person.holds for text in _domain_identities(issued)],
        "userAccountControl": [_DISABLED if person.disabled else _ENABLED],
    }
    return render_ldap(place_in_domain(read_ldap_dn(person.dn))), attributes | dict(person.further)


def _domain_identities(issued: Issued) -> list[str]:
    """Return how an administrator names a certificate: the issuer root first, the serial number's octets last first."""
    issuer = ",".join(rdn.rfc4514_string() for rdn in issued.certificate.issuer.rdns)
    serial = issued.certificate.serial_number
    octets = serial.to_bytes(
        serial.bit_length() // 8 + 1, "little"
    )  # as DER has it: a zero before a first bit
    key_id = issued.certificate.extensions.get_extension_for_class(SubjectKeyIdentifier).value.digest
    return [f"X509:<I>{issuer}<SR>{octets.hex()}", f"X509:<SKI>{key_id.hex()}"]


def ldap_settings(server: SlapdServer, /, **deviations: object) -> LdapSettings:
    """Return settings that work with a server, but for the deviations."""
    base = LdapSettings(
        hosts=(server.url,),
        base=read_ldap_dn(SUFFIX),
        bind=SimpleBind(dn=server.reader_dn, password_file=lambda: server.reader_password),
    )
    return replace(base, **deviations)  # type: ignore[arg-type]  # one deviation, by field name


@contextmanager
def ldap_directory(
    folder: Path, content: str | None = None, **deviations: object
) -> Iterator[tuple[SlapdServer, LdapDirectory]]:
    """Start a server with the world (or other content) and open a directory on it."""
    with serve(folder, content or world_ldif()) as server:
        directory = LdapDirectory(DOMAIN, ldap_settings(server, **deviations))
        yield server, directory
        directory.close()


# --- LDIF


def ldif_directory(folder: Path, content: str | None = None) -> LdifDirectory:
    """Write the world (or other content) into a file, and open a directory on it."""
    wildcards = {
        "objectClass": ["dominoGroup"],
        "cn": [WILDCARD_GROUP.name],
        "member": ["*/East/airius.com"],
    }
    file = folder / "world.ldif"
    file.write_text(
        content or world_ldif((f"cn={WILDCARD_GROUP.name},{SUFFIX}", wildcards)), encoding="utf-8"
    )
    return LdifDirectory(DOMAIN, LdifSettings(path=file))
