"""What only an LDAP directory does: connections, limits, faults, TLS, kinds of server.

Over real servers where one can be made to do it, over scripted octets where none would.
"""

import itertools
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import ldap3
import pytest
from cryptography.hazmat.primitives import serialization
from ldap3.protocol.rfc4511 import LDAPMessage
from pyasn1.codec.ber import decoder

from directory_assistance.backends.ldap import (
    AnonymousBind,
    ExternalBind,
    GroupStyle,
    LdapDirectory,
    LdapHost,
    LdapSettings,
    LdapTls,
    ServerKind,
    SimpleBind,
    Transport,
    read_ldap_uri,
)
from directory_assistance.backends.ldap import (
    client as client_module,
)
from directory_assistance.backends.ldap import (
    directory as directory_module,
)
from directory_assistance.backends.ldap import (
    opening as opening_module,
)
from directory_assistance.backends.ldap import (
    pool as pool_module,
)
from directory_assistance.backends.ldap.opening import make_tls_context, open_session
from directory_assistance.backends.ldap.session import LdapSession, SearchRequest
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
from directory_assistance.directory import LookUp
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryFault,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
    NameSyntaxError,
)
from directory_assistance.filters import Equality, Or
from tests.support import ldap_wire
from tests.support.directories import (
    DAVE,
    DOMAIN,
    ROOT,
    STRANGER,
    deadline,
    ldap_directory,
    ldap_settings,
    world_ldif,
)
from tests.support.pki import BEGIN, END, NOW, Authority, Issued
from tests.support.slapd import SUFFIX, SlapdServer, SlapdTls, change, serve

DAVE_DN = "CN=Dave Lawson,OU=East,O=airius.com"
DAVE_CN = TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave Lawson")

OTHER_ROOT = Authority.root("CN=Other Root,O=Other", now=NOW, not_before=BEGIN, not_after=END)
UMLAUT_ROOT = Authority.root("CN=Müller Root,O=Airius", now=NOW)
UMLAUT = UMLAUT_ROOT.issue("CN=Umlaut,O=airius.com")
SAME_NUMBER = ROOT.issue("CN=Same Number,O=airius.com")
LOOKALIKE = Authority.root("CN=Airius Root CA,O=Airius", now=NOW).issue(
    "CN=Same Number,O=airius.com", serial=SAME_NUMBER.certificate.serial_number
)
AD_SERIAL = ROOT.issue("CN=AD,O=airius.com", serial=0x00D1E2F3A4B5C6D7)
SID = "S-1-5-21-1004336348-1177238915-682003330-512"
SID_OCTETS = bytes.fromhex("010500000000000515000000dcf4dc3b833d2b46828ba62800020000")


def person(cn: str, **attributes: Sequence[str | bytes]) -> tuple[str, dict[str, Sequence[str | bytes]]]:
    base: dict[str, Sequence[str | bytes]] = {
        "objectClass": ["inetOrgPerson", "extensibleObject"],
        "cn": [cn],
        "sn": ["x"],
    }
    return f"cn={cn},{SUFFIX}", base | {
        name.replace("__", ";"): values for name, values in attributes.items()
    }


FURTHER = (
    person("Umlaut", userCertificate__binary=[UMLAUT.der]),
    person("Same Number", userCertificate__binary=[LOOKALIKE.der]),
    person("Locked By Policy", pwdAccountLockedTime=["000001010000Z"]),
    person("Locked By Flag", nsAccountLock=["TRUE"]),
    person("Locked By AD", userAccountControl=["514"]),
    person("Free", nsAccountLock=["false"], userAccountControl=["512"]),
    person("Mapped", notesDN=["CN=Mapped Person,O=Airius"]),
    person("Mapped Twice", notesDN=["CN=One,O=Airius", "CN=Two,O=Airius"]),
    person("Mapped Oddly", notesDN=["no name at all"]),
    person("Mapped To A DN", notesDN=[f"CN=Free,{SUFFIX}"]),
    person("Listed Unique"),
    person(
        "AD Person",
        objectSid=[SID_OCTETS],
        altSecurityIdentities=[
            "X509:<I>O=Airius,CN=Airius Root CA<SR>D7C6B5A4F3E2D100",
            "X509:<SKI>0102030405",
            "X509:<S>CN=whoever",
        ],
        userCertificate__binary=[AD_SERIAL.der],
    ),
    (
        f"cn=Ghost,{SUFFIX}",
        {"objectClass": ["alias", "extensibleObject"], "cn": ["Ghost"], "aliasedObjectName": [DAVE_DN]},
    ),
    (
        f"cn=Unique,{SUFFIX}",
        {
            "objectClass": ["groupOfUniqueNames"],
            "cn": ["Unique"],
            "uniqueMember": [f"cn=Listed Unique,{SUFFIX}"],
        },
    ),
    (
        f"cn=Plain,{SUFFIX}",
        {"objectClass": ["groupOfNames"], "cn": ["Plain"], "member": [f"cn=Listed Unique,{SUFFIX}"]},
    ),
    (
        f"cn=Two Names,{SUFFIX}",
        {"objectClass": ["groupOfNames"], "cn": ["Two Names", "A Second"], "member": [f"cn=Free,{SUFFIX}"]},
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    with serve(tmp_path_factory.mktemp("slapd") / "s", world_ldif(*FURTHER)) as started:
        yield started


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a slapd pass for another kind of server, whose attributes it has."""
    monkeypatch.setattr(client_module, "contradiction", lambda _root, _configured: "")


@pytest.fixture
def open_directory(server: SlapdServer) -> Iterator[Callable[..., LdapDirectory]]:
    """Open directories on the shared server, each with its deviation."""
    with ExitStack() as stack:

        def opened(**deviations: object) -> LdapDirectory:
            directory = LdapDirectory(DOMAIN, ldap_settings(server, **deviations))
            stack.callback(directory.close)
            return directory

        yield opened


def find(directory: LdapDirectory, candidate: Candidate, limit: int = 100, seconds: float = 60) -> LookUp:
    return directory.find_entries(candidate, limit=limit, deadline=deadline(seconds))


def names(found: LookUp) -> list[str]:
    assert found.supported
    assert not found.exceeded
    return [render_ldap(entry.dn).partition(",")[0] for entry in found.entries if entry.dn is not None]


def common_name(text: str) -> TextCandidate:
    return TextCandidate(find_by=FindBy.COMMON_NAME, text=text)


def certificate(issued: Issued) -> CertificateCandidate:
    read = read_certificate_names(issued.der)
    return CertificateCandidate(der=issued.der, issuer=read.issuer, serial=read.serial)


def issuer_serial(issued: Issued) -> IssuerSerialCandidate:
    read = read_certificate_names(issued.der)
    return IssuerSerialCandidate(issuer=read.issuer, serial=read.serial)


# --- what is asked of ldap3


def session_of(settings: LdapSettings, host: LdapHost | None = None) -> LdapSession:
    return open_session(DOMAIN, host or read_ldap_uri(settings.hosts[0]), settings, deadline())


def test_t59_ldap3_follows_no_referral_reads_no_schema_and_keeps_names_as_they_are(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These options are not ldap3's defaults; losing one would be silent."""
    made: list[ldap3.Connection] = []
    real = opening_module._make_connection

    def listen(*arguments: object) -> ldap3.Connection:
        made.append(real(*arguments))  # type: ignore[arg-type]  # what `open_session` gave
        return made[-1]

    monkeypatch.setattr(opening_module, "_make_connection", listen)
    session = session_of(ldap_settings(server, connect_timeout=timedelta(seconds=3)))
    (connection,) = made
    assert {
        "strategy": connection.strategy_type,
        "auto_referrals": connection.auto_referrals,
        "allowed_referral_hosts": connection.server.allowed_referral_hosts,
        "referral_cache": connection.use_referral_cache,
        "get_info": connection.server.get_info,
        "schema": connection.server.schema,
        "check_names": connection.check_names,
        "auto_range": connection.auto_range,
        "auto_escape": connection.auto_escape,
        "auto_encode": connection.auto_encode,
        "read_only": connection.read_only,
        "raise_exceptions": connection.raise_exceptions,
        "empty_attributes": connection.empty_attributes,
        "connect_timeout": connection.server.connect_timeout,
        "receive_timeout": connection.receive_timeout,
        "fast_decoder": connection.fast_decoder,
        "lazy": connection.lazy,
        "read size": connection.strategy.socket_size,
    } == {
        "strategy": ldap3.SAFE_SYNC,
        "auto_referrals": False,
        "allowed_referral_hosts": [],
        "referral_cache": False,
        "get_info": ldap3.NONE,
        "schema": None,
        "check_names": False,
        "auto_range": False,
        "auto_escape": False,
        "auto_encode": False,
        "read_only": True,
        "raise_exceptions": False,
        "empty_attributes": False,
        "connect_timeout": pytest.approx(3, abs=0.5),
        "receive_timeout": 3,
        "fast_decoder": True,
        "lazy": False,
        "read size": 256 * 1024,
    }
    session.close()


def as_ldap3_reads(octets: bytes) -> object:
    """Decode a request as another program would."""
    message, rest = decoder.decode(octets, asn1Spec=LDAPMessage())
    assert not rest
    return message


def test_t59_every_search_is_without_aliases_with_limits_and_with_attributes_listed(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(ldap_settings(server))
    sent: list[bytes] = []
    real = session._bounded.sendall

    def listen(octets: bytes) -> None:
        sent.append(octets)
        real(octets)

    monkeypatch.setattr(session._bounded, "sendall", listen)
    request = SearchRequest(
        base=SUFFIX,
        scope="SUBTREE",
        filter=Equality(attribute="cn", value="Dave Lawson"),
        attributes=("cn",),
        size_limit=3,
    )
    session.search(request, deadline(7.5))
    (message,) = map(as_ldap3_reads, sent)
    asked = message["protocolOp"]["searchRequest"]  # type: ignore[index]  # pyasn1 has no types
    assert {name: asked[name].prettyPrint() for name in asked if name != "filter"} == {
        "baseObject": SUFFIX,
        "scope": "wholeSubtree",
        "derefAliases": "neverDerefAliases",
        "sizeLimit": "3",
        "timeLimit": "8",
        "typesOnly": "False",
        "attributes": asked["attributes"].prettyPrint(),
    }
    assert [str(name) for name in asked["attributes"]] == ["cn"]
    assert not message["controls"].isValue  # type: ignore[index]  # as above
    session.close()


# --- finding


def test_the_certificate_is_asked_for_in_the_form_that_openldap_indexes(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    found = find(open_directory(), certificate(DAVE))
    assert "(userCertificate=\\7b serialNumber " in found.asked
    assert names(found) == ["CN=Dave Lawson"]


def test_another_certificate_of_that_issuer_and_number_is_not_the_one_asked_for(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    directory = open_directory()
    assert names(find(directory, certificate(SAME_NUMBER))) == []
    assert names(find(directory, certificate(LOOKALIKE))) == ["CN=Same Number"]


def test_an_issuer_outside_ascii_is_not_asked_for_because_openldap_never_finds_it(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    directory = open_directory()
    answers = [find(directory, certificate(UMLAUT)), find(directory, issuer_serial(UMLAUT))]
    assert [(answer.supported, answer.entries) for answer in answers] == [(False, ())] * 2
    assert "outside ASCII" in answers[0].asked


@pytest.mark.usefixtures("believed")
def test_389_ds_is_asked_for_the_octets_and_not_at_all_by_issuer_and_serial(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    directory = open_directory(server=ServerKind.DS389)
    assert find(directory, certificate(DAVE)).asked.startswith("`(userCertificate;binary=\\30\\82")
    assert not find(directory, issuer_serial(DAVE)).supported


@pytest.mark.usefixtures("believed")
@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (SidCandidate(sid=SID), ["CN=AD Person"]),
        (SidCandidate(sid="S-1-5-21-1004336348-1177238915-682003330-513"), []),
        (SidCandidate(sid="not a sid"), []),
        (SubjectKeyIdCandidate(subject_key_id=bytes.fromhex("0102030405")), ["CN=AD Person"]),
        (SubjectKeyIdCandidate(subject_key_id=b""), []),
        (SubjectKeyIdCandidate(subject_key_id=b"\1"), []),
        (issuer_serial(AD_SERIAL), ["CN=AD Person"]),
        (certificate(AD_SERIAL), ["CN=AD Person"]),
        (certificate(DAVE), []),
    ],
)
def test_active_directory_is_asked_by_its_own_identifiers(
    open_directory: Callable[..., LdapDirectory], candidate: Candidate, expected: list[str]
) -> None:
    assert names(find(open_directory(server=ServerKind.ACTIVE_DIRECTORY), candidate)) == expected


def test_identifiers_of_active_directory_are_handed_on(open_directory: Callable[..., LdapDirectory]) -> None:
    (entry,) = find(open_directory(), common_name("AD Person")).entries
    assert (entry.sid, entry.subject_key_ids) == (SID, (bytes.fromhex("0102030405"),))


@pytest.mark.parametrize("cn", ["Locked By Policy", "Locked By Flag", "Locked By AD"])
def test_t57_each_way_of_locking_an_account_disables_the_entry(
    open_directory: Callable[..., LdapDirectory], cn: str
) -> None:
    directory = open_directory()
    assert [entry.disabled for entry in find(directory, common_name(cn)).entries] == [True]
    assert [entry.disabled for entry in find(directory, common_name("Free")).entries] == [False]


def test_the_name_attribute_is_read_unchanged_and_found_as_a_name(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    directory = open_directory(name_attribute="notesDN")
    mapped = {
        cn: find(directory, common_name(cn)).entries[0].mapped_names
        for cn in ("Mapped", "Mapped Oddly", "Free")
    }
    assert mapped == {
        "Mapped": ("CN=Mapped Person,O=Airius",),
        "Mapped Oddly": ("no name at all",),
        "Free": (),
    }
    assert len(find(directory, common_name("Mapped Twice")).entries[0].mapped_names) == 2
    assert names(find(directory, SubjectCandidate(dn=read_ldap_dn("cn=mapped PERSON,o=airius")))) == [
        "CN=Mapped"
    ]
    assert names(find(open_directory(), SubjectCandidate(dn=read_ldap_dn("cn=mapped PERSON,o=airius")))) == []


def test_t48_the_limit_counts_whom_all_questions_found_together(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    """A name that is the DN of one and the mapped name of another is two people's, by one question each."""
    directory = open_directory(name_attribute="notesDN")
    subject = SubjectCandidate(dn=read_ldap_dn(f"CN=Free,{SUFFIX}"))
    assert names(find(directory, subject, limit=2)) == ["CN=Free", "CN=Mapped To A DN"]
    exceeded = find(directory, subject, limit=1)
    assert (exceeded.exceeded, exceeded.entries) == (True, ())


def test_a_subject_above_the_base_or_beside_it_is_not_asked_for(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    below_east = open_directory(base=read_ldap_dn(f"OU=East,{SUFFIX}"))
    assert names(find(below_east, SubjectCandidate(dn=read_ldap_dn(DAVE_DN)))) == ["CN=Dave Lawson"]
    assert find(below_east, SubjectCandidate(dn=read_ldap_dn(f"CN=Free,{SUFFIX}"))) == LookUp()
    assert find(below_east, SubjectCandidate(dn=read_ldap_dn(SUFFIX))) == LookUp()


def test_t59_an_alias_is_not_followed(open_directory: Callable[..., LdapDirectory]) -> None:
    assert names(find(open_directory(), common_name("Ghost"))) == ["CN=Ghost"]
    assert names(find(open_directory(), SubjectCandidate(dn=read_ldap_dn(f"CN=Ghost,{SUFFIX}")))) == [
        "CN=Ghost"
    ]


def test_a_filter_of_a_name_that_is_none_is_a_fault_of_the_question(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    with pytest.raises(DirectoryAnswerMalformed, match="the filter cannot be printed"):
        find(open_directory(), FilterCandidate(filter=Or(parts=())))


# --- groups


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (GroupStyle.MEMBER, ["Plain"]),
        (GroupStyle.UNIQUE_MEMBER, ["Unique"]),
        (GroupStyle.BOTH, ["Plain", "Unique"]),
    ],
)
def test_the_group_style_says_which_attribute_lists_members(
    open_directory: Callable[..., LdapDirectory], style: GroupStyle, expected: list[str]
) -> None:
    member = read_ldap_dn(f"CN=Listed Unique,{SUFFIX}")
    found = open_directory(group_style=style).find_groups([member], deadline=deadline())
    assert [group.name for group in found] == expected


def test_of_several_names_a_group_has_the_one_in_its_dn(open_directory: Callable[..., LdapDirectory]) -> None:
    found = open_directory().find_groups([read_ldap_dn(f"CN=Free,{SUFFIX}")], deadline=deadline())
    assert [group.name for group in found] == ["Two Names"]


def test_t63_more_groups_than_the_limit_are_a_fault_and_not_a_part(
    open_directory: Callable[..., LdapDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    alan = read_ldap_dn("CN=Alan Jones,O=airius.com")
    monkeypatch.setattr(directory_module, "MOST_GROUPS", 2)
    assert len(open_directory().find_groups([alan], deadline=deadline())) == 2
    monkeypatch.setattr(directory_module, "MOST_GROUPS", 1)
    with pytest.raises(ExpansionLimitExceeded):
        open_directory().find_groups([alan], deadline=deadline())
    monkeypatch.setattr(directory_module, "MOST_GROUPS", 2)
    monkeypatch.setattr(directory_module, "_MEMBERS_AT_ONCE", 1)
    with pytest.raises(ExpansionLimitExceeded):  # two questions whose answers together are too many
        open_directory().find_groups([alan, read_ldap_dn(f"CN=Free,{SUFFIX}")], deadline=deadline())


def test_t48_a_limit_of_the_server_below_ours_is_exceeded_and_not_a_part(tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif(), size_limit=3) as server:
        directory = LdapDirectory(DOMAIN, ldap_settings(server))
        office = TextCandidate(find_by=FindBy.MAIL, text="office@airius.com")
        assert (find(directory, office).exceeded, find(directory, office).entries) == (True, ())
        directory.close()


# --- answers that are none


def test_a_base_that_does_not_exist_is_a_fault_for_every_question(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    directory = open_directory(base=read_ldap_dn(f"OU=Nowhere,{SUFFIX}"))
    calls: list[Callable[[], object]] = [
        lambda: directory.check(deadline=deadline()),
        lambda: find(directory, DAVE_CN),
        lambda: find(directory, SubjectCandidate(dn=read_ldap_dn(f"CN=X,OU=Nowhere,{SUFFIX}"))),
        lambda: directory.find_groups([read_ldap_dn(DAVE_DN)], deadline=deadline()),
    ]
    for call in calls:
        with pytest.raises(DirectoryUnavailable, match=r"the base `OU=Nowhere,O=airius\.com` does not exist"):
            call()


def test_t59_a_bind_that_may_read_nothing_is_a_fault_and_not_an_empty_directory(
    open_directory: Callable[..., LdapDirectory],
) -> None:
    directory = open_directory(bind=AnonymousBind())
    for candidate in (DAVE_CN, SubjectCandidate(dn=read_ldap_dn(DAVE_DN))):
        with pytest.raises(DirectoryUnavailable):
            find(directory, candidate)


def test_an_anonymous_bind_reads_what_everybody_may_read(tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif(), anonymous_may_read=True) as server:
        directory = LdapDirectory(DOMAIN, ldap_settings(server, bind=AnonymousBind()))
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]
        directory.close()


def test_t59_a_referral_to_another_server_makes_the_answer_partial_and_so_none(tmp_path: Path) -> None:
    elsewhere = (
        f"ou=Elsewhere,{SUFFIX}",
        {
            "objectClass": ["referral", "extensibleObject"],
            "ou": ["Elsewhere"],
            "ref": ["ldap://127.0.0.1:9/ou=Elsewhere,o=airius.com"],
        },
    )
    with ldap_directory(tmp_path / "s", world_ldif(elsewhere)) as (_server, directory):
        for candidate in (
            DAVE_CN,
            common_name("Nobody"),
            SubjectCandidate(dn=read_ldap_dn(f"CN=X,OU=Elsewhere,{SUFFIX}")),
        ):
            with pytest.raises(DirectoryUnavailable, match="refer"):
                find(directory, candidate)
        assert names(find(directory, SubjectCandidate(dn=read_ldap_dn(DAVE_DN)))) == ["CN=Dave Lawson"]


@pytest.mark.parametrize(
    ("kind", "uri", "partial"),
    [
        (ServerKind.ACTIVE_DIRECTORY, "ldap://corp.example/CN=Configuration,DC=corp,DC=example", False),
        (
            ServerKind.ACTIVE_DIRECTORY,
            "ldap://ForestDnsZones.corp.example/DC=ForestDnsZones,DC=corp,DC=example",
            False,
        ),
        (
            ServerKind.ACTIVE_DIRECTORY,
            "ldap://DomainDnsZones.corp.example/DC=DomainDnsZones,DC=corp,DC=example",
            False,
        ),
        (ServerKind.ACTIVE_DIRECTORY, "ldap://child.corp.example/DC=child,DC=corp,DC=example", True),
        (ServerKind.ACTIVE_DIRECTORY, "nonsense", True),
        (ServerKind.STANDARD, "ldap://corp.example/CN=Configuration,DC=corp,DC=example", True),
    ],
)
def test_t59_only_the_references_that_active_directory_always_gives_are_nothing(
    kind: ServerKind, uri: str, *, partial: bool
) -> None:
    with scripted(
        lambda number: [ldap_wire.reference(number, uri), ldap_wire.search_done(number)], server=kind
    ) as directory:
        if partial:
            with pytest.raises(DirectoryUnavailable, match="partial"):
                find(directory, DAVE_CN)
        else:
            assert find(directory, DAVE_CN).entries == ()


@contextmanager
def scripted(script: ldap_wire.Script, **deviations: object) -> Iterator[LdapDirectory]:
    """Open a directory on a server that answers searches by a script."""
    with ldap_wire.serving(script) as uri:
        base = LdapSettings(hosts=(uri,), base=read_ldap_dn(SUFFIX), timeout=timedelta(seconds=5))
        directory = LdapDirectory(DOMAIN, replace(base, **deviations))  # type: ignore[arg-type]  # one deviation, by field name
        yield directory
        directory.close()


RESULT_CODES: list[tuple[int, type[DirectoryFault] | None]] = [
    (0, None),
    (1, DirectoryUnavailable),
    (2, DirectoryAnswerMalformed),
    (3, DirectoryUnavailable),
    (10, DirectoryUnavailable),
    (11, DirectoryUnavailable),
    (12, DirectoryAnswerMalformed),
    (17, DirectoryAnswerMalformed),
    (18, DirectoryAnswerMalformed),
    (21, None),
    (32, DirectoryUnavailable),
    (34, None),
    (50, DirectoryUnavailable),
    (51, DirectoryUnavailable),
    (52, DirectoryUnavailable),
    (53, DirectoryUnavailable),
    (80, DirectoryUnavailable),
]


@pytest.mark.parametrize(("code", "fault"), RESULT_CODES)
def test_t79_a_result_code_is_an_answer_a_fault_of_the_question_or_an_outage(
    code: int, fault: type[DirectoryFault] | None
) -> None:
    calls: list[Callable[[LdapDirectory], object]] = [
        lambda directory: find(directory, DAVE_CN).entries,
        lambda directory: directory.find_groups([read_ldap_dn(DAVE_DN)], deadline=deadline()),
    ]
    with scripted(lambda number: [ldap_wire.search_done(number, code)]) as directory:
        for call in calls:
            if fault is None:
                assert call(directory) == ()
            else:
                with pytest.raises(DirectoryFault) as caught:
                    call(directory)
                assert type(caught.value) is fault


def test_a_name_below_the_base_that_does_not_exist_is_nobody_where_the_server_shows_the_base() -> None:
    asked: list[int] = []

    def missing(number: int) -> list[bytes]:
        asked.append(number)
        return [ldap_wire.search_done(number, 32, matched_dn=f"ou=East,{SUFFIX}")]

    with scripted(missing) as directory:
        assert find(directory, SubjectCandidate(dn=read_ldap_dn(DAVE_DN))).entries == ()
    assert len(asked) == 1


@pytest.mark.parametrize("shown", ["", "o=elsewhere", "not a name"])
def test_a_missing_name_is_a_fault_where_the_base_does_not_show_either(shown: str) -> None:
    with (
        scripted(lambda number: [ldap_wire.search_done(number, 32, matched_dn=shown)]) as directory,
        pytest.raises(DirectoryUnavailable, match="the base"),
    ):
        find(directory, SubjectCandidate(dn=read_ldap_dn(DAVE_DN)))


def good(number: int, **attributes: Sequence[str | bytes]) -> list[bytes]:
    base: dict[str, Sequence[str | bytes]] = {"cn": ["Dave Lawson"]}
    return [ldap_wire.entry(number, DAVE_DN, **(base | attributes)), ldap_wire.search_done(number)]


MALFORMED: list[tuple[str, ldap_wire.Script]] = [
    ("an entry without a name", lambda n: [ldap_wire.entry(n, "", cn=["x"]), ldap_wire.search_done(n)]),
    (
        "an entry whose name is none",
        lambda n: [ldap_wire.entry(n, "Dave", cn=["x"]), ldap_wire.search_done(n)],
    ),
    (
        "an entry whose name is not UTF-8",
        lambda n: [ldap_wire.entry(n, b"cn=\xff", cn=["x"]), ldap_wire.search_done(n)],
    ),
    ("a common name that is not UTF-8", lambda n: good(n, cn=[b"\xff"])),
    ("a mail address of 9,000 octets", lambda n: good(n, mail=["m" * 9_000])),
    ("five thousand and one values", lambda n: good(n, mail=[str(each) for each in range(5_001)])),
    ("a part of the values", lambda n: good(n, **{"mail__range=1-2": ["a", "b"]})),
    ("a security identifier of no length", lambda n: good(n, objectSid=[b"\1\5"])),
    ("two security identifiers", lambda n: good(n, objectSid=[SID_OCTETS, SID_OCTETS[:-1] + b"\1"])),
    ("an account state that is no number", lambda n: good(n, userAccountControl=["normal"])),
    ("a value of 10 MB", lambda n: good(n, userCertificate=[b"\0" * 10_000_000])),
    (
        "an answer that never ends",
        lambda n: (ldap_wire.entry(n, DAVE_DN, cn=["x" * 8_000]) for _ in itertools.count()),
    ),
]


@pytest.mark.parametrize("script", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_what_cannot_be_read_is_a_named_fault_and_harms_no_other_question(script: ldap_wire.Script) -> None:
    answers: list[ldap_wire.Script] = [script, good]

    def next_answer(number: int) -> Iterator[bytes] | Sequence[bytes]:
        return answers.pop(0)(number)

    with scripted(next_answer) as directory:
        with pytest.raises(DirectoryAnswerMalformed):
            find(directory, DAVE_CN)
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]


ODD_GROUPS: list[tuple[str, dict[str, Sequence[str | bytes]]]] = [
    ("a group without a name", {"cn": []}),
    ("a group of several names, none of them in its DN", {"cn": ["One", "Two"]}),
]


@pytest.mark.parametrize("attributes", [case[1] for case in ODD_GROUPS], ids=[case[0] for case in ODD_GROUPS])
def test_a_group_without_one_name_is_a_fault(attributes: dict[str, Sequence[str | bytes]]) -> None:
    with (
        scripted(
            lambda n: [ldap_wire.entry(n, "ou=team,o=airius.com", **attributes), ldap_wire.search_done(n)]
        ) as directory,
        pytest.raises(DirectoryAnswerMalformed, match="expected one `cn`"),
    ):
        directory.find_groups([read_ldap_dn(DAVE_DN)], deadline=deadline())


def test_an_entry_that_the_server_took_for_the_one_asked_for_is_compared_again() -> None:
    """A server may take an accent for nothing, or answer a question for one entry with another."""

    def lax(number: int) -> list[bytes]:
        return [
            ldap_wire.entry(number, "cn=Jurgen,o=airius.com", cn=["Jurgen"]),
            ldap_wire.entry(number, "cn=x,o=airius.com", cn=["JÜRGEN", "x"]),
            ldap_wire.search_done(number),
        ]

    with scripted(lax) as directory:
        assert names(find(directory, common_name("Jürgen"))) == ["CN=x"]
        assert find(directory, SubjectCandidate(dn=read_ldap_dn(DAVE_DN))).entries == ()


def test_a_mapped_name_that_is_none_is_not_the_one_asked_for() -> None:
    def lax(number: int) -> list[bytes]:
        return good(number, notesDN=["no name at all"])

    with scripted(lax, name_attribute="notesDN") as directory:
        assert find(directory, SubjectCandidate(dn=read_ldap_dn("CN=Dave,O=Mapped"))).entries == ()


def test_messages_in_between_that_are_no_entries_are_nothing() -> None:
    """A server may send intermediate responses (RFC 4511 section 4.13)."""

    def chatty(number: int) -> list[bytes]:
        return [ldap_wire.message(number, bytes.fromhex("7900")), *good(number)]

    with scripted(chatty) as directory:
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]


def test_a_server_that_ignores_the_size_limit_does_not_get_more_in() -> None:
    def generous(number: int) -> list[bytes]:
        return [
            *(ldap_wire.entry(number, f"cn={n},o=airius.com", cn=["x"]) for n in range(3)),
            ldap_wire.search_done(number),
        ]

    with scripted(generous) as directory:
        assert find(directory, common_name("x"), limit=2).exceeded
        assert not find(directory, common_name("x"), limit=3).exceeded


def test_a_certificate_under_both_descriptions_is_held_once() -> None:
    both: dict[str, Sequence[str | bytes]] = {
        "userCertificate": [DAVE.der],
        "userCertificate__binary": [DAVE.der, b"junk"],
    }
    with scripted(lambda number: good(number, **both)) as directory:
        (entry,) = find(directory, DAVE_CN).entries
        assert [stored.der for stored in entry.certificates] == [DAVE.der, b"junk"]


# --- time, and servers that go and come


def faults_within(call: Callable[[], object], seconds: float) -> DirectoryUnavailable:
    """Call, expect an outage, and hold it to its time."""
    began = time.monotonic()
    with pytest.raises(DirectoryUnavailable) as caught:
        call()
    assert time.monotonic() - began < seconds
    return caught.value


NOISE: list[tuple[str, ldap_wire.Script, str]] = [
    ("no LDAP at all", lambda _n: [b"HTTP/1.1 400 Bad Request\r\n\r\n" * 8], "not LDAP|in time"),
    ("nothing but zeros", lambda _n: [b"\0" * 64], "not LDAP|in time"),
    ("the end of a bind instead of a search", lambda n: [ldap_wire.bind_done(n)], "not LDAP"),
    ("an answer to another question", lambda n: [ldap_wire.search_done(n + 1)], "another question"),
    ("a good-bye", lambda _n: [ldap_wire.notice_of_disconnection()], "good-bye"),
]


@pytest.mark.parametrize(("script", "why"), [case[1:] for case in NOISE], ids=[case[0] for case in NOISE])
def test_noise_is_an_outage(script: ldap_wire.Script, why: str) -> None:
    with scripted(script, timeout=timedelta(seconds=0.5)) as directory:
        fault = faults_within(lambda: find(directory, DAVE_CN), 3)
    assert re.search(why, fault.problem)


def test_a_silent_server_costs_one_time_limit_and_not_two() -> None:
    with scripted(lambda _number: [], timeout=timedelta(seconds=1)) as directory:
        began = time.monotonic()
        assert "in time" in faults_within(lambda: find(directory, DAVE_CN), 1.9).problem
        assert time.monotonic() - began >= 1


def test_the_deadline_is_kept_where_it_is_earlier_than_the_time_limit() -> None:
    with scripted(lambda _number: []) as directory:
        faults_within(lambda: find(directory, DAVE_CN, seconds=0.2), 3)


def test_a_server_that_sends_an_octet_now_and_then_does_not_outlive_the_deadline() -> None:
    stop = threading.Event()

    def drip(number: int) -> Iterator[bytes]:
        for octet in ldap_wire.entry(number, DAVE_DN, cn=["x" * 1_000]):
            if stop.wait(0.05):
                return
            yield bytes((octet,))

    with scripted(drip) as directory:
        faults_within(lambda: find(directory, DAVE_CN, seconds=0.4), 3)
        stop.set()


def test_a_server_that_accepts_and_never_speaks_is_held_to_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = LdapSettings(
            hosts=(f"ldap://127.0.0.1:{listener.getsockname()[1]}",),
            base=read_ldap_dn(SUFFIX),
            timeout=timedelta(seconds=0.3),
        )
        directory = LdapDirectory(DOMAIN, settings)
        faults_within(lambda: directory.check(deadline=deadline()), 3)
        faults_within(lambda: directory.check(deadline=deadline(0.1)), 3)
        directory.close()


def test_t50_a_killed_server_is_an_outage_at_once_and_back_it_answers_the_next_call(tmp_path: Path) -> None:
    with ldap_directory(tmp_path / "s") as (server, directory):
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]
        server.kill()
        for _again in range(2):
            faults_within(lambda: find(directory, DAVE_CN), 3)
        server.start()
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]


def test_a_restart_between_two_calls_is_not_noticed(tmp_path: Path) -> None:
    """The kept connections have ended; the question goes out once more on a new one."""
    with ldap_directory(tmp_path / "s") as (server, directory):
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]
        server.stop()
        server.start()
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]


def test_a_paused_server_is_an_outage_after_the_time_limit_and_resumed_it_answers(tmp_path: Path) -> None:
    with ldap_directory(
        tmp_path / "s", timeout=timedelta(seconds=0.5), connect_timeout=timedelta(seconds=0.5)
    ) as (server, directory):
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]
        server.pause()
        for _again in range(2):  # a kept connection, then a new one
            faults_within(lambda: find(directory, DAVE_CN), 3)
        server.resume()
        assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]


def test_the_hosts_are_tried_in_order_and_each_failure_is_named(server: SlapdServer, tmp_path: Path) -> None:
    nobody = "ldap://127.0.0.1:1"
    missing = f"ldapi://{str(tmp_path / 'no-socket').replace('/', '%2F')}"
    directory = LdapDirectory(DOMAIN, ldap_settings(server, hosts=(nobody, missing, server.url)))
    assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]
    directory.close()
    alone = LdapDirectory(DOMAIN, ldap_settings(server, hosts=(nobody, missing)))
    problem = faults_within(lambda: find(alone, DAVE_CN), 3).problem
    assert problem.startswith(f"`{nobody}`: ")
    assert f"; `{missing}`: " in problem


def test_a_socket_is_as_good_as_an_address(server: SlapdServer) -> None:
    directory = LdapDirectory(DOMAIN, ldap_settings(server, hosts=(server.ldapi_url,)))
    assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]
    directory.close()


# --- the pool


def test_calls_one_after_the_other_use_one_connection(
    open_directory: Callable[..., LdapDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = count_openings(monkeypatch)
    directory = open_directory()
    for _again in range(5):
        find(directory, DAVE_CN)
    assert len(opened) == 1


def count_openings(monkeypatch: pytest.MonkeyPatch) -> list[LdapSession]:
    opened: list[LdapSession] = []

    def counting(*arguments: object) -> LdapSession:
        opened.append(open_session(*arguments))  # type: ignore[arg-type]  # what the directory gave
        return opened[-1]

    monkeypatch.setattr(client_module, "open_session", counting)
    return opened


@pytest.mark.parametrize(("field", "seconds"), [("opened", 601), ("used", 61)])
def test_a_connection_too_old_or_too_long_unused_is_replaced(
    open_directory: Callable[..., LdapDirectory], monkeypatch: pytest.MonkeyPatch, field: str, seconds: float
) -> None:
    opened = count_openings(monkeypatch)
    directory = open_directory()
    find(directory, DAVE_CN)
    setattr(opened[0], field, getattr(opened[0], field) - (seconds - 2))
    find(directory, DAVE_CN)
    assert len(opened) == 1
    setattr(opened[0], field, getattr(opened[0], field) - seconds)
    find(directory, DAVE_CN)
    assert len(opened) == 2


def test_whoever_comes_when_all_connections_are_in_use_waits_and_then_gives_up(server: SlapdServer) -> None:
    settings = ldap_settings(server)
    pool = pool_module.SessionPool(
        DOMAIN, lambda until: open_session(DOMAIN, read_ldap_uri(server.url), settings, until), most=1
    )
    with pool.lend(deadline()) as first:
        fault = faults_within(lambda: pool.lend(deadline(0.1)).__enter__(), 3)
        assert fault.problem == "all 1 connections were in use"
        served: list[LdapSession] = []

        def wait() -> None:
            with pool.lend(deadline()) as second:
                served.append(second)

        waiting = threading.Thread(target=wait)
        waiting.start()
    waiting.join(timeout=10)
    assert served == [first]
    pool.close()


def test_a_pool_closed_while_a_connection_is_lent_closes_it_on_return(server: SlapdServer) -> None:
    settings = ldap_settings(server)
    pool = pool_module.SessionPool(
        DOMAIN, lambda until: open_session(DOMAIN, read_ldap_uri(server.url), settings, until)
    )
    with pool.lend(deadline()) as session:
        pool.close()
    assert session._bounded.plain.fileno() == -1


def test_a_new_connection_after_a_lost_one_closes_those_that_lie_idle(server: SlapdServer) -> None:
    settings = ldap_settings(server)
    pool = pool_module.SessionPool(
        DOMAIN, lambda until: open_session(DOMAIN, read_ldap_uri(server.url), settings, until)
    )
    with pool.lend(deadline()) as first, pool.lend(deadline()) as second:
        pass
    with pool.lend(deadline(), fresh=True) as third:
        assert third not in {first, second}
    assert [each._bounded.plain.fileno() for each in (first, second)] == [-1, -1]
    with pool.lend(deadline()) as again:
        assert again is third
    pool.close()


def test_a_connection_is_not_opened_after_the_deadline(server: SlapdServer) -> None:
    with pytest.raises(DirectoryUnavailable, match="no time left to connect"):
        open_session(DOMAIN, read_ldap_uri(server.url), ldap_settings(server), deadline(-1))


def test_a_filter_that_cannot_be_sent_is_a_fault_of_the_question(server: SlapdServer) -> None:
    session = session_of(ldap_settings(server))
    request = SearchRequest(
        base=SUFFIX, scope="SUBTREE", filter=Or(parts=()), attributes=("cn",), size_limit=1
    )
    with pytest.raises(DirectoryAnswerMalformed, match="the filter cannot be sent"):
        session.search(request, deadline())
    session.close()


# --- bind and TLS


@pytest.mark.parametrize(
    ("password", "why"),
    [
        (lambda: "wrong", "invalidCredentials"),
        (lambda: "", "the password is empty"),
        (lambda: "\n", "the password is empty"),
    ],
)
def test_a_wrong_or_empty_password_is_an_outage(
    server: SlapdServer, open_directory: Callable[..., LdapDirectory], password: Callable[[], str], why: str
) -> None:
    directory = open_directory(bind=SimpleBind(dn=server.reader_dn, password_file=password))
    assert why in faults_within(lambda: find(directory, DAVE_CN), 3).problem


def test_a_password_file_is_read_for_each_connection(
    server: SlapdServer, open_directory: Callable[..., LdapDirectory], tmp_path: Path
) -> None:
    file = tmp_path / "airius.password"
    directory = open_directory(bind=SimpleBind(dn=server.reader_dn, password_file=file))
    assert "cannot be read" in faults_within(lambda: find(directory, DAVE_CN), 3).problem
    file.write_bytes(b"\xff")
    assert "cannot be read" in faults_within(lambda: find(directory, DAVE_CN), 3).problem
    file.write_text(f"{server.reader_password}\r\n")
    assert names(find(directory, DAVE_CN)) == ["CN=Dave Lawson"]


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificate_of_server = ROOT.issue_server("127.0.0.1", not_before=BEGIN, not_after=END)
    other = ROOT.issue_server("ldap.example", not_before=BEGIN, not_after=END)
    expired = ROOT.issue_server("127.0.0.1", not_before=BEGIN, not_after=BEGIN + timedelta(days=1))
    early = ROOT.issue_server("127.0.0.1", not_before=END - timedelta(days=1), not_after=END)
    reader = ROOT.issue("CN=authsvc,O=Services", not_before=BEGIN, not_after=END)
    for name, text in {
        "ca.pem": ROOT.pem,
        "other-ca.pem": OTHER_ROOT.pem,
        "server.pem": certificate_of_server.pem,
        "server.key": certificate_of_server.key_pem,
        "other-name.pem": other.pem,
        "other-name.key": other.key_pem,
        "expired.pem": expired.pem,
        "expired.key": expired.key_pem,
        "early.pem": early.pem,
        "early.key": early.key_pem,
        "reader.pem": reader.pem,
        "reader.key": reader.key_pem,
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def tls_server(tls_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    tls = SlapdTls(
        certificate=tls_files / "server.pem",
        key=tls_files / "server.key",
        client_ca=tls_files / "ca.pem",
        reader_subject="^cn=authsvc,o=Services$",
    )
    with serve(tmp_path_factory.mktemp("slapd-tls") / "s", world_ldif(), tls=tls) as server:
        yield server


def over_tls(server: SlapdServer, transport: Transport) -> LdapHost:
    """Return the address of a server on loopback as if it stood elsewhere."""
    plain = read_ldap_uri(server.ldaps_url if transport is Transport.TLS else server.url)
    return replace(plain, transport=transport)


def found_by(session: LdapSession) -> list[bytes]:
    """Ask for somebody whom only the reader may see."""
    wanted = Equality(attribute="cn", value="Dave Lawson")
    request = SearchRequest(base=SUFFIX, scope="SUBTREE", filter=wanted, attributes=("cn",), size_limit=3)
    return [found.dn for found in session.search(request, deadline()).entries]


BOTH = pytest.mark.parametrize("transport", [Transport.TLS, Transport.START_TLS])


@BOTH
def test_a_verified_server_is_spoken_to_over_tls_without_delay(
    tls_server: SlapdServer, tls_files: Path, transport: Transport
) -> None:
    settings = ldap_settings(tls_server, tls=LdapTls(ca_file=tls_files / "ca.pem"))
    session = session_of(settings, over_tls(tls_server, transport))
    plain = session._bounded.plain
    assert isinstance(plain, ssl.SSLSocket)
    assert plain.version() in {"TLSv1.2", "TLSv1.3"}
    assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert found_by(session) == [b"cn=Dave Lawson,ou=East,o=airius.com"]
    session.close()


@BOTH
@pytest.mark.parametrize("ca_file", ["other-ca.pem", None, "missing.pem"])
def test_t60_a_server_of_an_unknown_authority_is_down(
    tls_server: SlapdServer, tls_files: Path, transport: Transport, ca_file: str | None
) -> None:
    settings = ldap_settings(
        tls_server, tls=LdapTls(ca_file=None if ca_file is None else tls_files / ca_file)
    )
    faults_within(lambda: session_of(settings, over_tls(tls_server, transport)), 2)


@BOTH
def test_t60_a_server_of_another_name_is_down_unless_names_are_not_checked(
    tls_files: Path, tmp_path: Path, transport: Transport
) -> None:
    tls = SlapdTls(certificate=tls_files / "other-name.pem", key=tls_files / "other-name.key")
    with serve(tmp_path / "s", world_ldif(), tls=tls) as server:
        checked = ldap_settings(server, tls=LdapTls(ca_file=tls_files / "ca.pem"))
        fault = faults_within(lambda: session_of(checked, over_tls(server, transport)), 2)
        assert "IP address mismatch" in fault.problem
        unchecked = replace(checked, tls=replace(checked.tls, verify_server_name=False))
        session_of(unchecked, over_tls(server, transport)).close()
        foreign = replace(unchecked, tls=replace(unchecked.tls, ca_file=tls_files / "other-ca.pem"))
        faults_within(lambda: session_of(foreign, over_tls(server, transport)), 2)


def test_t60_a_server_that_declines_starttls_is_down_and_is_sent_no_password(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[object] = []
    monkeypatch.setattr(ldap3.Connection, "bind", lambda *_arguments, **_named: bound.append(1))
    fault = faults_within(lambda: session_of(ldap_settings(server), over_tls(server, Transport.START_TLS)), 2)
    assert "startTLS failed" in fault.problem
    assert bound == []


def test_t60_a_starttls_that_ldap3_reports_as_done_but_is_not_is_down(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap3.Connection, "start_tls", lambda *_arguments, **_named: True)
    fault = faults_within(lambda: session_of(ldap_settings(server), over_tls(server, Transport.START_TLS)), 2)
    assert fault.problem.endswith("StartTLS failed")


EXPECTED_OF_TLS = [
    ("server", "other-ca.pem", "certificate verify failed: unable to get local issuer certificate"),
    ("expired", "ca.pem", "certificate verify failed: certificate has expired"),
    ("early", "ca.pem", "certificate verify failed: certificate is not yet valid"),
    (
        "other-name",
        "ca.pem",
        "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'",
    ),
]


@BOTH
@pytest.mark.parametrize("case", EXPECTED_OF_TLS, ids=lambda case: case[2])
def test_a_certificate_that_does_not_count_is_told_in_one_line_with_the_reason(
    tls_files: Path, tmp_path: Path, transport: Transport, case: tuple[str, str, str]
) -> None:
    shown, ca_file, said = case
    tls = SlapdTls(certificate=tls_files / f"{shown}.pem", key=tls_files / f"{shown}.key")
    with serve(tmp_path / "s", world_ldif(), tls=tls) as server:
        host = over_tls(server, transport)
        settings = ldap_settings(server, tls=LdapTls(ca_file=tls_files / ca_file))
        fault = faults_within(lambda: session_of(settings, host), 2)
        assert f"`{host.uri}`: TLS: {said}" == fault.problem


@contextmanager
def shaking_hands(answer: Callable[[socket.socket], object]) -> Iterator[LdapHost]:
    """Yield the address of a server that answers one connection in its own way."""

    def serve_one(listener: socket.socket) -> None:
        accepted, _address = listener.accept()
        with accepted, suppress(OSError):
            answer(accepted)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_one, args=(listener,))
        thread.start()
        yield read_ldap_uri(f"ldaps://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)


def _speak_tls_1_2(tls_files: Path, accepted: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls_files / "server.pem", tls_files / "server.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.wrap_socket(accepted, server_side=True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_speak_tls_1_2, "tlsv1 alert protocol version"),
        (lambda _files, accepted: accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n"), "wrong version number"),
        (lambda _files, accepted: accepted.recv(10_000), "no answer in time"),
    ],
    ids=["another version of TLS", "no TLS at all", "silence"],
)
def test_a_handshake_that_fails_is_told_in_one_line_with_the_reason(
    tls_files: Path, answer: Callable[[Path, socket.socket], object], said: str
) -> None:
    hold = threading.Event()

    def play(accepted: socket.socket) -> None:
        answer(tls_files, accepted)
        hold.wait(10)

    with shaking_hands(play) as host:
        settings = LdapSettings(
            hosts=(host.uri,),
            base=read_ldap_dn(SUFFIX),
            connect_timeout=timedelta(seconds=1),
            tls=LdapTls(ca_file=tls_files / "ca.pem", minimum_version="1.3"),
        )
        fault = faults_within(lambda: session_of(settings, host), 3)
        hold.set()
    assert f"`{host.uri}`: TLS: {said}" == fault.problem


# ldap3 leaves the socket of the first address to Python's collector, which closes it with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_name_with_several_addresses_is_told_as_one_line_of_what_each_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up = socket.getaddrinfo

    def two_addresses(_name: str, *arguments: object, **options: object) -> list[object]:
        return [
            *look_up("127.0.0.1", *arguments, **options),  # type: ignore[arg-type]  # as they come
            *look_up("127.0.0.2", *arguments, **options),  # type: ignore[arg-type]  # as they come
        ]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    uri = f"ldap://ldap.example:{port}"
    settings = LdapSettings(hosts=(uri,), base=read_ldap_dn(SUFFIX))
    host = replace(read_ldap_uri(uri), transport=Transport.LOOPBACK)
    fault = faults_within(lambda: session_of(settings, host), 3)
    said = "socket connection error while opening: [Errno 111] Connection refused"
    assert f"`{uri}`: {said}" == fault.problem


def test_a_tls_handshake_that_stalls_is_held_to_the_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = LdapSettings(
            hosts=(f"ldaps://127.0.0.1:{listener.getsockname()[1]}",),
            base=read_ldap_dn(SUFFIX),
            connect_timeout=timedelta(seconds=0.3),
        )
        faults_within(lambda: session_of(settings), 3)


@pytest.mark.parametrize(
    ("minimum", "version"), [("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3)]
)
def test_the_tls_context_verifies_and_keeps_the_minimum_version(
    server: SlapdServer, tls_files: Path, minimum: str, version: ssl.TLSVersion
) -> None:
    tls = LdapTls(ca_file=tls_files / "ca.pem", minimum_version=minimum)
    context = make_tls_context(ldap_settings(server, tls=tls))
    assert (context.verify_mode, context.check_hostname, context.minimum_version) == (
        ssl.CERT_REQUIRED,
        True,
        version,
    )


@BOTH
def test_the_client_certificate_says_who_we_are_with_sasl_external(
    tls_server: SlapdServer, tls_files: Path, transport: Transport
) -> None:
    bind = ExternalBind(certificate=tls_files / "reader.pem", key=tls_files / "reader.key")
    settings = ldap_settings(tls_server, bind=bind, tls=LdapTls(ca_file=tls_files / "ca.pem"))
    session = session_of(settings, over_tls(tls_server, transport))
    assert found_by(session) == [b"cn=Dave Lawson,ou=East,o=airius.com"]
    session.close()


def test_an_encrypted_key_file_is_an_outage_and_nobody_is_asked_for_its_password(
    tls_server: SlapdServer, tls_files: Path, tmp_path: Path
) -> None:
    key = serialization.load_pem_private_key((tls_files / "reader.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    bind = ExternalBind(certificate=tls_files / "reader.pem", key=locked)
    settings = ldap_settings(tls_server, bind=bind, tls=LdapTls(ca_file=tls_files / "ca.pem"))
    faults_within(lambda: session_of(settings, over_tls(tls_server, Transport.TLS)), 2)


def test_sasl_external_without_a_certificate_is_an_outage(tls_server: SlapdServer, tls_files: Path) -> None:
    bind = ExternalBind(certificate=tls_files / "missing.pem", key=tls_files / "reader.key")
    settings = ldap_settings(tls_server, bind=bind, tls=LdapTls(ca_file=tls_files / "ca.pem"))
    faults_within(lambda: session_of(settings, over_tls(tls_server, Transport.TLS)), 2)


# --- settings


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ldap://127.0.0.1", ("127.0.0.1", 389, Transport.LOOPBACK)),
        ("ldap://127.8.9.1:3890/", ("127.8.9.1", 3890, Transport.LOOPBACK)),
        ("ldap://localhost:3890", ("localhost", 3890, Transport.LOOPBACK)),
        ("ldap://[::1]:3890", ("::1", 3890, Transport.LOOPBACK)),
        ("ldap://ldap.airius.com", ("ldap.airius.com", 389, Transport.START_TLS)),
        ("ldap://localhost.airius.com", ("localhost.airius.com", 389, Transport.START_TLS)),
        ("ldap://10.0.0.1", ("10.0.0.1", 389, Transport.START_TLS)),
        ("ldap://[2001:db8::1]", ("2001:db8::1", 389, Transport.START_TLS)),
        ("ldaps://ldap.airius.com", ("ldap.airius.com", 636, Transport.TLS)),
        ("ldaps://127.0.0.1:1636", ("127.0.0.1", 1636, Transport.TLS)),
        ("ldapi://%2Frun%2Fldapi", ("/run/ldapi", 0, Transport.SOCKET)),
    ],
)
def test_t60_clear_text_goes_to_this_machine_only(uri: str, expected: tuple[str, int, Transport]) -> None:
    host = read_ldap_uri(uri)
    assert (host.host, host.port, host.transport, host.uri) == (*expected, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ldap.airius.com",
        "http://ldap.airius.com",
        "ldap://",
        "ldap://a b",
        "ldap://x:0",
        "ldap://x:65536",
        "ldap://user@x",
        "ldap://x/o=airius.com",
        "ldap://[1:2",
        "ldap://[1:2]",
        "ldap://[127.0.0.1.5]",
        "ldapi://",
        "ldapi://run%2Fldapi",
        "ldapi://%2Frun%00",
        "ldapi:///run/ldapi",
    ],
)
def test_what_is_no_address_of_an_ldap_server_is_refused(uri: str) -> None:
    with pytest.raises(NameSyntaxError):
        read_ldap_uri(uri)


@pytest.mark.parametrize("deviation", [{"hosts": ()}, {"hosts": ("x",)}, {"name_attribute": "notes DN"}])
def test_settings_that_cannot_be_used_are_refused_at_once(
    server: SlapdServer, deviation: dict[str, object]
) -> None:
    with pytest.raises(NameSyntaxError):
        LdapDirectory(DOMAIN, ldap_settings(server, **deviation))


def test_a_change_in_the_server_is_seen_by_the_next_call(tmp_path: Path) -> None:
    with ldap_directory(tmp_path / "s") as (server, directory):
        assert names(find(directory, certificate(STRANGER))) == []
        change(server, f"dn: {DAVE_DN}\nchangetype: modify\nadd: nsAccountLock\nnsAccountLock: TRUE\n")
        assert [entry.disabled for entry in find(directory, DAVE_CN).entries] == [True]
