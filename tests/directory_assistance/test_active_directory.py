"""Active Directory as administrators with smart cards have it, live on a domain controller of Samba.

Every way in which an account may name a certificate finds and binds its owner, and one deviation does not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from directory_assistance.alternative_identities import (
    issuer_serial_identities,
    key_id_identity,
    public_key_identities,
)
from directory_assistance.backends.ldap import (
    GroupStyle,
    LdapDirectory,
    LdapSettings,
    LdapTls,
    ServerKind,
    SimpleBind,
)
from directory_assistance.backends.ldap import directory as directory_module
from directory_assistance.backends.ldap.questions import FilterQuestion, plan_questions
from directory_assistance.backends.ldap.reading import ReadEntry
from directory_assistance.backends.ldap.session import SearchRequest as SessionRequest
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import (
    BindBy,
    Candidate,
    CertificateCandidate,
    FindBy,
    FindWay,
    IssuerSerialCandidate,
    MatchPlan,
    SubjectKeyIdCandidate,
    TextCandidate,
)
from directory_assistance.certificate_names import CertificateNames, read_certificate_names
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.domains import (
    DirectoryAssistance,
    GroupAuthorization,
    PrimaryDomain,
    SecondaryDomain,
)
from directory_assistance.entry import Entry, StoredCertificate
from directory_assistance.errors import DirectoryFault, DirectoryUnavailable, ExpansionLimitExceeded
from directory_assistance.filter_templates import read_filter_template
from directory_assistance.filters import Equality
from directory_assistance.groups import ExpansionLimits, expand_groups
from directory_assistance.identifiers import read_sid
from directory_assistance.identify import identify
from directory_assistance.naming import read_suffix_rule
from directory_assistance.search import Match, SearchOutcome, SearchRequest, search
from directory_assistance.trace import TraceRecorder
from tests.support.directories import deadline, ldap_settings
from tests.support.pki import NOW, Authority, Issued, sid_extension, upn, uri
from tests.support.samba_ad import SambaServer
from tests.support.slapd import SUFFIX, Value, entries_ldif, ldif, serve

BASE = SambaServer.SUFFIX
PEOPLE = f"OU=People,{BASE}"

CORP = Authority.root(r"CN=Corp Root\, Inc.,O=Airius,ST=Bavaria,C=DE", now=NOW)
CORP_TWIN = Authority.root(r"CN=Corp Root\, Inc.,O=Airius,ST=Bavaria,C=DE", now=NOW)
"""A second CA that a company trusts, which calls itself as the first does."""
PARTNER = Authority.root("CN=Partner Root,O=Partner", now=NOW)

_SERIAL = 0x00D1E2F3A4B5C6D7
ANN = CORP.issue("CN=Ann,O=Airius", serial=_SERIAL)
BEA = CORP.issue("CN=Bea,O=Airius")
CID = CORP.issue("CN=Cid,O=Airius")
CID_RENEWED = CORP.issue("CN=Cid,O=Airius", key=CID.key)
EMIL = CORP.issue("CN=Emil,O=Airius", san=[upn("emil@airius.test")])
FRIDA = CORP.issue("CN=Frida,O=Airius", san=[upn("frida@airius.test")])
GIL = CORP.issue("CN=Gil,O=Airius")
IDA = CORP.issue("CN=Ida,O=Airius", san=[upn("Ida@Airius.TEST")])

NEVER = "9223372036854775807"
LONG_AGO = "133497504000000000"
"""15 January 2024 as `accountExpires` counts."""

_NORMAL = "544"
"""NORMAL_ACCOUNT, and no password needed."""

_DISABLED = "546"


def names_of(issued: Issued) -> CertificateNames:
    return read_certificate_names(issued.der)


def issuer_serial(issued: Issued, spelling: int = 0) -> str:
    names = names_of(issued)
    return issuer_serial_identities(names.issuer, names.serial)[spelling]


def account(name: str, **further: Sequence[Value]) -> tuple[str, Mapping[str, Sequence[Value]]]:
    base: dict[str, Sequence[Value]] = {
        "objectClass": ["user"],
        "sAMAccountName": [name.lower()],
        "userPrincipalName": [f"{name.lower()}@airius.test"],
        "userAccountControl": [_NORMAL],
    }
    return f"CN={name},{PEOPLE}", base | further


def group(name: str, *members: str) -> tuple[str, Mapping[str, Sequence[Value]]]:
    listed = {"member": [f"CN={member},{PEOPLE}" for member in members]} if members else {}
    return f"CN={name},{PEOPLE}", {"objectClass": ["group"], "sAMAccountName": [name], **listed}


def corp_ldif() -> str:
    ski = names_of(BEA).subject_key_id
    assert ski is not None
    entries = [
        (PEOPLE, {"objectClass": ["organizationalUnit"], "ou": ["People"]}),
        account("Ann", altSecurityIdentities=[issuer_serial(ANN)]),
        account("Bea", altSecurityIdentities=[key_id_identity(ski)]),
        account(
            "Cid",
            altSecurityIdentities=[public_key_identities(names_of(CID).public_key_info)[0]],
            userCertificate=[CID.der],
        ),
        account("Dora", mail=["dora@airius.com"]),
        account("Emil", userAccountControl=[_DISABLED]),
        account("Frida", accountExpires=[LONG_AGO]),
        account(
            "Gil",
            altSecurityIdentities=[
                'X509:<I>C=DE,S=Bavaria,O=Airius,CN="Corp Root, Inc."<S>O=Airius,CN=Gil',
                "X509:<S>O=Airius,CN=Gil",
                "X509:<RFC822>gil@airius.test",
            ],
        ),
        account("Hana"),
        account("Ida", altSecurityIdentities=["Kerberos:ida@ELSEWHERE.TEST"]),
        (f"CN=Kontakt,{PEOPLE}", {"objectClass": ["contact"], "mail": ["kontakt@airius.com"]}),
        group("Level One", "Dora"),
        group("Level Two", "Level One"),
        group("Level Three", "Level Two"),
        group("Level Four", "Level Three"),
        group("Level Five", "Level Four"),
        group("Team", "Hana"),
        group("Above Team", "Team"),
        group("Strangers", "Ann"),
    ]
    return entries_ldif(*entries)


@dataclass(frozen=True, kw_only=True)
class Corp:
    """The running domain; `sids` of its people by common name."""

    server: SambaServer
    sids: Mapping[str, str]

    def settings(self, **deviations: object) -> LdapSettings:
        base = LdapSettings(
            hosts=(self.server.ldaps_url,),
            base=read_ldap_dn(BASE),
            bind=SimpleBind(dn=self.server.reader_dn, password_file=lambda: self.server.reader_password),
            tls=LdapTls(ca_file=self.server.ca_file),
            server=ServerKind.ACTIVE_DIRECTORY,
        )
        return replace(base, **deviations)  # type: ignore[arg-type]  # one deviation, by field name


OpenDirectory = Callable[..., LdapDirectory]


def look(directory: LdapDirectory, cn: str) -> Entry:
    """Return the one entry of this common name."""
    found = directory.find_entries(
        TextCandidate(find_by=FindBy.COMMON_NAME, text=cn), limit=2, deadline=deadline()
    )
    (entry,) = found.entries
    return entry


def stored_sid(directory: LdapDirectory, cn: str) -> str:
    """Return the security identifier of a group: a group is no entry that a candidate means."""
    request = SessionRequest(
        base=PEOPLE,
        scope="SUBTREE",
        filter=Equality(attribute="cn", value=cn),
        attributes=("objectSid",),
        size_limit=2,
    )
    (found,) = directory._client.ask(request, deadline()).entries
    sid = read_sid(found.values["objectsid"][0])
    assert sid is not None
    return sid


@pytest.fixture(scope="module")
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corp]:
    with SambaServer(tmp_path_factory.mktemp("samba") / "s", ldif=corp_ldif()) as server:
        bare = Corp(server=server, sids={})
        directory = LdapDirectory("Corp", bare.settings())
        people = ("Ann", "Bea", "Cid", "Dora", "Emil", "Frida", "Gil", "Hana")
        sids = {cn: look(directory, cn).sid or "" for cn in people}
        sids["Team"] = stored_sid(directory, "Team")
        directory.close()
        server.change(
            f"dn: CN=Hana,{PEOPLE}\nchangetype: modify\nreplace: primaryGroupID\n"
            f"primaryGroupID: {sids['Team'].rpartition('-')[2]}\n\n"
            f"dn: CN=Level One,{PEOPLE}\nchangetype: modify\nadd: member\nmember: CN=Level Five,{PEOPLE}\n"
        )
        yield replace(bare, sids=sids)


@pytest.fixture
def open_directory(corp: Corp) -> Iterator[OpenDirectory]:
    with ExitStack() as stack:

        def opened(**deviations: object) -> LdapDirectory:
            directory = LdapDirectory("Corp", corp.settings(**deviations))
            stack.callback(directory.close)
            return directory

        yield opened


def plan(*ways: FindBy | FindWay, bind_by: BindBy, issued_by: Sequence[str] = ("corp",)) -> MatchPlan:
    return MatchPlan(
        ways=tuple(way if isinstance(way, FindWay) else FindWay(find_by=way) for way in ways),
        bind_by=bind_by,
        issued_by=frozenset(issued_by if bind_by.needs_issued_by else ()),
    )


def assistance_of(directory: LdapDirectory, match_plan: MatchPlan) -> DirectoryAssistance:
    nobody = MemoryDirectory("Renovations")
    return DirectoryAssistance(
        primary=PrimaryDomain(domain="Renovations", directory=nobody, plan=MatchPlan(ways=())),
        domains=(
            SecondaryDomain(
                domain="Corp",
                directory=directory,
                plan=match_plan,
                rules=(read_suffix_rule(BASE, trusted=True),),
                group_authorization=GroupAuthorization.OWN,
            ),
        ),
    )


def outcome_of(
    directory: LdapDirectory, match_plan: MatchPlan, issued: Issued, anchor: str = "corp"
) -> SearchOutcome:
    request = SearchRequest(
        names=names_of(issued), anchor_id=anchor, deadline=deadline(), now=datetime(2026, 3, 1, tzinfo=UTC)
    )
    return search(assistance_of(directory, match_plan), request, TraceRecorder())


def who(directory: LdapDirectory, match_plan: MatchPlan, issued: Issued, anchor: str = "corp") -> str:
    """Return the common name of the owner, or why there is none."""
    outcome = outcome_of(directory, match_plan, issued, anchor)
    if not isinstance(outcome, Match):
        return outcome.refusal.value
    assert outcome.entry.dn is not None
    return render_ldap(outcome.entry.dn).partition(",")[0].removeprefix("CN=")


# --- what an account names


BY_NUMBER = plan(FindBy.ISSUER_SERIAL, bind_by=BindBy.ISSUER_SERIAL)
BY_KEY_ID = plan(FindBy.SUBJECT_KEY_ID, bind_by=BindBy.SUBJECT_KEY_ID)
BY_SID = plan(FindBy.SID, bind_by=BindBy.SID)
BY_UPN = plan(FindBy.UPN, bind_by=BindBy.NAME)


@pytest.mark.parametrize(
    ("match_plan", "issued", "expected"),
    [
        (BY_NUMBER, ANN, "Ann"),
        (BY_NUMBER, CORP.issue("CN=Ann,O=Airius", serial=_SERIAL + 1), "no_entry"),
        (BY_NUMBER, PARTNER.issue("CN=Ann,O=Airius", serial=_SERIAL), "no_entry"),
        (BY_KEY_ID, BEA, "Bea"),
        (BY_KEY_ID, CORP.issue("CN=Bea,O=Airius", key=BEA.key), "Bea"),
        (BY_KEY_ID, CORP.issue("CN=Bea,O=Airius"), "no_entry"),
        (plan(FindBy.CERTIFICATE, bind_by=BindBy.CERTIFICATE), CID, "Cid"),
        (plan(FindBy.CERTIFICATE, bind_by=BindBy.CERTIFICATE), CID_RENEWED, "certificate_differs"),
        (plan(FindBy.CERTIFICATE, bind_by=BindBy.PUBLIC_KEY), CID_RENEWED, "Cid"),
        (plan(FindBy.CERTIFICATE, bind_by=BindBy.PUBLIC_KEY), CORP.issue("CN=Cid,O=Airius"), "no_entry"),
        (plan(FindBy.CERTIFICATE, bind_by=BindBy.CERTIFICATE), ANN, "no_entry"),
        (BY_NUMBER, GIL, "no_entry"),
        (plan(FindBy.CERTIFICATE, bind_by=BindBy.NAME), GIL, "no_entry"),
        (BY_UPN, IDA, "Ida"),
        (BY_UPN, CORP.issue("CN=Ida", san=[upn("ida2@airius.test")]), "no_entry"),
    ],
    ids=[
        "issuer and serial number",
        "another serial number",
        "another issuer",
        "key identifier",
        "key identifier of a renewed certificate",
        "another key identifier",
        "digest of the key, and the stored certificate",
        "the renewed certificate is not the stored one",
        "digest of the key, and the key of the stored certificate",
        "another key",
        "an identity without the stored certificate is not the certificate",
        "weak identities are not used",
        "weak identities are not used, whatever binds",
        "user principal name",
        "another user principal name",
    ],
)
def test_each_strong_identity_finds_and_binds_its_owner_and_a_deviation_does_not(
    open_directory: OpenDirectory, match_plan: MatchPlan, issued: Issued, expected: str
) -> None:
    assert who(open_directory(), match_plan, issued) == expected


@pytest.mark.parametrize("spelling", range(len(issuer_serial_identities(names_of(ANN).issuer, _SERIAL))))
def test_t52_t55_every_spelling_of_issuer_and_number_finds_and_binds(
    corp: Corp, open_directory: OpenDirectory, spelling: int
) -> None:
    """Active Directory compares the texts; what was asked for in time must be there."""

    def rewrite(value: str) -> None:
        corp.server.change(
            f"dn: CN=Ann,{PEOPLE}\nchangetype: modify\nreplace: altSecurityIdentities\n"
            f"altSecurityIdentities: {value}\n"
        )

    try:
        rewrite(
            issuer_serial(ANN, spelling).swapcase().replace("x509:<i>", "X509:<I>").replace("<sr>", "<SR>")
        )
        assert who(open_directory(), BY_NUMBER, ANN) == "Ann"
        head, mark, number = issuer_serial(ANN, spelling).rpartition("<SR>")
        rewrite(head + mark + bytes.fromhex(number)[::-1].hex())
        assert who(open_directory(), BY_NUMBER, ANN) == "no_entry"
    finally:
        rewrite(issuer_serial(ANN))


def test_what_the_server_found_counts_only_if_it_names_the_certificate(corp: Corp) -> None:
    """A server may find more than was meant: it compares texts, and here names, numbers and octets are compared."""
    names = names_of(ANN)
    assert names.subject_key_id is not None
    found = Entry(key="1", names=(read_ldap_dn(f"CN=Found,{PEOPLE}"),))
    cases: list[tuple[Candidate, Entry, Entry]] = [
        (
            IssuerSerialCandidate(issuer=names.issuer, serial=names.serial),
            replace(found, issuer_serials=((names.issuer, names.serial),)),
            replace(found, issuer_serials=((names.issuer, names.serial + 1),)),
        ),
        (
            SubjectKeyIdCandidate(subject_key_id=names.subject_key_id),
            replace(found, subject_key_ids=(names.subject_key_id,)),
            replace(found, subject_key_ids=(names.subject_key_id + b"\0",)),
        ),
        (
            CertificateCandidate(der=ANN.der, issuer=names.issuer, serial=names.serial),
            replace(found, certificates=(StoredCertificate(der=ANN.der),)),
            replace(
                found,
                issuer_serials=((names.issuer, names.serial),),
                certificates=(StoredCertificate(der=b""),),
            ),
        ),
    ]
    for candidate, meant, other in cases:
        questions = plan_questions(candidate, corp.settings())
        assert isinstance(questions, tuple)
        (question,) = questions
        assert isinstance(question, FilterQuestion)
        assert question.accepts(ReadEntry(entry=meant, texts={}))
        assert not question.accepts(ReadEntry(entry=other, texts={}))
        assert not question.accepts(ReadEntry(entry=found, texts={}))


# --- the security identifier in the certificate


def with_sid(corp: Corp, cn: str, *, authority: Authority = CORP) -> dict[str, Issued]:
    tag = uri(f"tag:microsoft.com,2022-09-14:sid:{corp.sids[cn]}")
    return {
        "extension": authority.issue("CN=Whoever", extensions=[(sid_extension(corp.sids[cn]), False)]),
        "tag uri": authority.issue("CN=Whoever", san=[tag]),
        "both": authority.issue("CN=Whoever", san=[tag], extensions=[(sid_extension(corp.sids[cn]), False)]),
    }


def test_the_security_identifier_finds_and_binds_from_extension_and_from_tag_uri(
    corp: Corp, open_directory: OpenDirectory
) -> None:
    directory = open_directory()
    found = {kind: who(directory, BY_SID, issued) for kind, issued in with_sid(corp, "Dora").items()}
    assert found == {"extension": "Dora", "tag uri": "Dora", "both": "Dora"}


def test_t87_a_certificate_with_two_security_identifiers_is_nobodys(
    corp: Corp, open_directory: OpenDirectory
) -> None:
    two = CORP.issue(
        "CN=Whoever",
        san=[uri(f"tag:microsoft.com,2022-09-14:sid:{corp.sids['Ann']}")],
        extensions=[(sid_extension(corp.sids["Dora"]), False)],
    )
    assert who(open_directory(), BY_SID, two) == "no_usable_name"
    assert who(open_directory(), replace(BY_UPN, bind_by=BindBy.SID), two) == "no_usable_name"


def test_a_security_identifier_of_nobody_finds_nobody(corp: Corp, open_directory: OpenDirectory) -> None:
    other = CORP.issue("CN=Whoever", extensions=[(sid_extension(corp.sids["Dora"] + "9"), False)])
    assert who(open_directory(), BY_SID, other) == "no_entry"


def test_the_security_identifier_binds_whom_a_filter_or_upn_found(
    corp: Corp, open_directory: OpenDirectory
) -> None:
    by_login = FindWay(find_by=FindBy.FILTER, template=read_filter_template("(sAMAccountName={subject.uid})"))
    both = plan(FindBy.UPN, by_login, bind_by=BindBy.SID)
    sid = [(sid_extension(corp.sids["Dora"]), False)]
    directory = open_directory()
    assert who(directory, both, CORP.issue("CN=x", san=[upn("dora@airius.test")], extensions=sid)) == "Dora"
    assert who(directory, both, CORP.issue("CN=x,UID=dora", extensions=sid)) == "Dora"
    assert who(directory, both, CORP.issue("CN=x,UID=ann", extensions=sid)) == "certificate_differs"


# --- T51, T87: another CA


def test_t87_t51_a_second_ca_cannot_state_who_an_administrator_is(
    corp: Corp, open_directory: OpenDirectory
) -> None:
    """A CA that is trusted, but not for this domain, puts every fact of an administrator into a leaf."""
    forged: dict[str, tuple[MatchPlan, Issued]] = {
        f"sid by {kind}": (BY_SID, issued)
        for kind, issued in with_sid(corp, "Dora", authority=CORP_TWIN).items()
    }
    forged["key identifier"] = (BY_KEY_ID, CORP_TWIN.issue("CN=Bea", key=BEA.key))
    forged["issuer and number"] = (BY_NUMBER, CORP_TWIN.issue("CN=Ann", serial=_SERIAL))
    forged["upn"] = (BY_UPN, CORP_TWIN.issue("CN=Ida", san=[upn("ida@airius.test")]))
    directory = open_directory()
    for what, (match_plan, issued) in forged.items():
        assert who(directory, match_plan, issued, anchor="twin") == "certificate_differs", what
        assert who(directory, replace(match_plan, issued_by=frozenset({"twin"})), issued, anchor="twin") in {
            "Dora",
            "Bea",
            "Ann",
            "Ida",
        }, f"{what}: the forgery is good, so only issued_by refuses it"


# --- T57: the state of the account


@pytest.mark.parametrize("issued", [EMIL, FRIDA], ids=["disabled", "expired"])
def test_t57_a_disabled_or_expired_account_is_refused_and_was_found(
    corp: Corp, open_directory: OpenDirectory, issued: Issued
) -> None:
    outcome = outcome_of(open_directory(), BY_UPN, issued)
    assert not isinstance(outcome, Match)
    assert outcome.refusal.value == "entry_disabled"
    cn = "Emil" if issued is EMIL else "Frida"
    attribute, good, bad = (
        ("userAccountControl", _NORMAL, _DISABLED) if issued is EMIL else ("accountExpires", NEVER, LONG_AGO)
    )

    def write(value: str) -> None:
        change = f"changetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        corp.server.change(f"dn: CN={cn},{PEOPLE}\n{change}")

    try:
        write(good)
        assert who(open_directory(), BY_UPN, issued) == cn
    finally:
        write(bad)


def test_what_stays_when_an_account_is_renamed_is_its_guid(open_directory: OpenDirectory) -> None:
    entry = look(open_directory(), "Dora")
    assert entry.unique_id is not None
    by_guid = open_directory().find_entries(
        TextCandidate(find_by=FindBy.UPN, text="dora@airius.test"), limit=2, deadline=deadline()
    )
    assert [each.unique_id for each in by_guid.entries] == [entry.unique_id]
    assert entry.unique_id != look(open_directory(), "Ann").unique_id
    assert not entry.disabled
    assert entry.expires is None


# --- groups

STYLES = (GroupStyle.MEMBER, GroupStyle.TOKEN_GROUPS, GroupStyle.IN_CHAIN)

EVERYBODY = {"Domain Users", "Users"}
"""The primary group of an account, and the built-in group that it is in."""

LEVELS = {"Level One", "Level Two", "Level Three", "Level Four", "Level Five"}


def groups_of(directory: LdapDirectory, cn: str) -> set[str]:
    found = expand_groups(
        directory,
        [read_ldap_dn(f"CN={cn},{PEOPLE}")],
        counts=lambda _group: True,
        limits=ExpansionLimits(),
        deadline=deadline(),
    )
    assert len({hit.group.reference for hit in found}) == len(found)
    return {hit.group.name for hit in found}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("cn", "expected"),
    [
        ("Dora", EVERYBODY | LEVELS),
        ("Ann", EVERYBODY | {"Strangers"}),
        ("Bea", EVERYBODY),
        ("Hana", EVERYBODY | {"Team", "Above Team"}),
    ],
    ids=["nested five deep and in a loop", "one group", "the primary group alone", "another primary group"],
)
def test_t63_every_style_tells_the_same_groups_the_primary_one_among_them(
    open_directory: OpenDirectory, style: GroupStyle, cn: str, expected: set[str]
) -> None:
    assert groups_of(open_directory(group_style=style), cn) == expected


@pytest.mark.parametrize("style", STYLES)
def test_groups_below_another_base_are_left_out(open_directory: OpenDirectory, style: GroupStyle) -> None:
    """`Domain Users` stands in `CN=Users`; so what leads through it is not reached step by step either."""
    directory = open_directory(group_style=style, base=read_ldap_dn(PEOPLE))
    assert groups_of(directory, "Dora") == LEVELS


@pytest.mark.parametrize("style", [GroupStyle.TOKEN_GROUPS, GroupStyle.IN_CHAIN])
@pytest.mark.parametrize(("most", "exceeded"), [(7, False), (6, True), (1, True)])
def test_t63_more_groups_than_the_limit_are_a_fault_and_never_a_shorter_list(
    open_directory: OpenDirectory,
    monkeypatch: pytest.MonkeyPatch,
    style: GroupStyle,
    most: int,
    *,
    exceeded: bool,
) -> None:
    """Samba minds no size limit, so what it sent is counted."""
    monkeypatch.setattr(directory_module, "MOST_GROUPS", most)
    if exceeded:
        with pytest.raises(ExpansionLimitExceeded):
            groups_of(open_directory(group_style=style), "Dora")
    else:
        assert len(groups_of(open_directory(group_style=style), "Dora")) == most


@pytest.mark.parametrize("style", STYLES)
def test_who_is_not_there_is_in_no_group(open_directory: OpenDirectory, style: GroupStyle) -> None:
    assert groups_of(open_directory(group_style=style), "Nobody") == set()


@pytest.mark.parametrize("style", STYLES)
def test_t65_a_base_that_does_not_exist_is_a_fault_and_never_no_groups(
    open_directory: OpenDirectory, style: GroupStyle
) -> None:
    gone = f"OU=Gone,{BASE}"
    directory = open_directory(group_style=style, base=read_ldap_dn(gone))
    with pytest.raises(DirectoryUnavailable, match="base"):
        directory.find_groups_of_person([read_ldap_dn(f"CN=Dora,{gone}")], deadline=deadline())


def test_t65_a_contact_has_no_token_and_that_is_a_fault(open_directory: OpenDirectory) -> None:
    with pytest.raises(DirectoryUnavailable, match="tokenGroups"):
        groups_of(open_directory(group_style=GroupStyle.TOKEN_GROUPS), "Kontakt")
    assert groups_of(open_directory(), "Kontakt") == set()


def test_groups_leave_under_the_name_of_the_domain(open_directory: OpenDirectory, corp: Corp) -> None:
    assistance = assistance_of(open_directory(group_style=GroupStyle.TOKEN_GROUPS), BY_SID)
    names = names_of(with_sid(corp, "Hana")["extension"])
    trace = TraceRecorder()
    match = search(assistance, SearchRequest(names=names, anchor_id="corp", deadline=deadline()), trace)
    assert isinstance(match, Match)
    identity = identify(assistance, match, deadline=deadline(), trace=trace)
    assert [membership.qualified_name for membership in identity.groups] == [
        "Above Team@Corp",
        "Domain Users@Corp",
        "Team@Corp",
        "Users@Corp",
    ]
    assert identity.strength.value == "strong"


# --- T65: a server that is none


@pytest.mark.parametrize("style", [GroupStyle.TOKEN_GROUPS, GroupStyle.IN_CHAIN])
def test_t65_an_openldap_that_is_asked_as_an_active_directory_is_a_fault_and_never_no_groups(
    tmp_path: Path, style: GroupStyle
) -> None:
    person = (f"cn=Dave,{SUFFIX}", {"objectClass": ["person"], "cn": ["Dave"], "sn": ["x"]})
    sales = (
        f"cn=Sales,{SUFFIX}",
        {"objectClass": ["groupOfNames"], "cn": ["Sales"], "member": [f"cn=Dave,{SUFFIX}"]},
    )
    with serve(tmp_path / "s", ldif(person, sales)) as server:
        kind = ServerKind.ACTIVE_DIRECTORY
        directory = LdapDirectory("Airius", ldap_settings(server, server=kind, group_style=style))
        dave = [read_ldap_dn(f"cn=Dave,{SUFFIX}")]
        for ask in (directory.find_groups_of_person, directory.find_groups):
            with pytest.raises(DirectoryFault, match="say `server: standard`"):
                ask(dave, deadline=deadline())
        directory.close()
        honest = LdapDirectory("Airius", ldap_settings(server))
        assert [group.name for group in honest.find_groups_of_person(dave, deadline=deadline()).groups] == [
            "Sales"
        ]
        honest.close()
