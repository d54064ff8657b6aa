"""Threats T44 to T47 and T79: whatever text a certificate carries, a directory finds whom it means and nobody else.

Each field of a certificate that reaches a directory is given hundreds of texts (`tests/support/injections.py`), in
every kind of directory: first as candidates, which no check of a certificate stands before, then from certificates
that say so. Who is meant is decided here, by comparing the text with what the world's people have.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    FindWay,
    IssuerSerialCandidate,
    MatchPlan,
    SidCandidate,
    SubjectCandidate,
    TextCandidate,
    plan_candidates,
)
from directory_assistance.certificate_names import CertificateNames, read_certificate_names
from directory_assistance.dn import (
    Attribute,
    DistinguishedName,
    RelativeDistinguishedName,
    has_unusable_characters,
    prepare,
    read_ldap_dn,
    render_ldap,
)
from directory_assistance.errors import CertificateSyntaxError, DirectoryFault
from directory_assistance.filter_templates import fill_template, read_filter_template, template_facts
from directory_assistance.filters import And, Equality
from tests.support.directories import DAVE, PEOPLE, ROOT, STRANGER, Person, deadline
from tests.support.injections import injections
from tests.support.kinds import KINDS, Kind, Kinds
from tests.support.pki import upn

DAVE_DN = "CN=Dave Lawson,OU=East,O=airius.com"
DAVE_NAMES = read_certificate_names(DAVE.der)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> Kind:
    return kinds[request.param]


# --- who is meant


def values_of(kind: Kind, person: Person, find_by: FindBy) -> Sequence[str]:
    """Return what somebody of the world has in the attribute that a way compares."""
    leaf = read_ldap_dn(person.dn).rdns[0].attributes
    own = {attribute.oid: attribute.value for attribute in leaf}
    return {
        FindBy.COMMON_NAME: (own["2.5.4.3"], *(person.aliases if kind.has_aliases else ())),
        FindBy.MAIL: (person.mail,),
        FindBy.UPN: (person.upn,),
        FindBy.UID: (person.uid, own.get("0.9.2342.19200300.100.1.1", "")),
    }[find_by]


def owners(kind: Kind, find_by: FindBy, is_meant: Callable[[str], bool]) -> set[str]:
    """Return the people, as LDAP text, of whom one value is meant."""
    return {
        render_ldap(kind.dn(person.dn))
        for person in PEOPLE
        if any(is_meant(prepare(value)) for value in values_of(kind, person, find_by) if value)
    }


# --- the fields


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a certificate: what somebody has there, the question for a text in it, and who is meant by that.

    `candidate` is None for a text with which nothing is asked.
    """

    words: str
    value: str
    attribute: str
    candidate: Callable[[Kind, str], Candidate | None]
    meant: Callable[[Kind, str], set[str]]
    halved: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts to try; where one more field adds little that others have not shown, every second."""
        return _texts(self.value, self.attribute)[:: 2 if self.halved else 1]


@cache
def _texts(value: str, attribute: str) -> tuple[str, ...]:
    return injections(value, attribute)


def text_field(find_by: FindBy, value: str, attribute: str) -> Field:
    return Field(
        words=find_by.value,
        value=value,
        attribute=attribute,
        candidate=lambda _kind, text: TextCandidate(find_by=find_by, text=text),
        meant=lambda kind, text: owners(kind, find_by, prepare(text).__eq__),
    )


def filter_field(
    template: str, find_by: FindBy, value: str, attribute: str, *, contained: bool = False
) -> Field:
    """Return the field whose text stands in a template; `contained`: where it is only a part of the value."""
    read = read_filter_template(template)

    def candidate(_kind: Kind, text: str) -> Candidate | None:
        filled = fill_template(read, dict.fromkeys(template_facts(read), (text,)))
        return None if filled is None else FilterCandidate(filter=filled)

    def meant(kind: Kind, text: str) -> set[str]:
        wanted = prepare(text)
        return owners(kind, find_by, lambda stored: wanted in stored if contained else wanted == stored)

    return Field(
        words=template, value=value, attribute=attribute, candidate=candidate, meant=meant, halved=True
    )


def forged(dn: DistinguishedName, place: int, text: str) -> DistinguishedName:
    """Return a name with another value in one component."""
    oid = dn.rdns[place].attributes[0].oid
    component = RelativeDistinguishedName(attributes=(Attribute(oid=oid, value=text),))
    return DistinguishedName(rdns=(*dn.rdns[:place], component, *dn.rdns[place + 1 :]))


def below(dn: DistinguishedName, text: str) -> DistinguishedName:
    """Return a name with one more component."""
    leaf = RelativeDistinguishedName(attributes=(Attribute(oid="2.5.4.3", value=text),))
    return DistinguishedName(rdns=(leaf, *dn.rdns))


def beside(dn: DistinguishedName, text: str) -> DistinguishedName:
    """Return a name with one more attribute in its first component."""
    further = Attribute(oid="0.9.2342.19200300.100.1.1", value=text)
    leaf = RelativeDistinguishedName(attributes=(*dn.rdns[0].attributes, further))
    return DistinguishedName(rdns=(leaf, *dn.rdns[1:]))


def subject_field(
    words: str, value: str, make: Callable[[DistinguishedName, str], DistinguishedName]
) -> Field:
    def candidate(kind: Kind, text: str) -> Candidate:
        return SubjectCandidate(dn=make(kind.dn(DAVE_DN), text))

    def meant(kind: Kind, text: str) -> set[str]:
        wanted = make(kind.dn(DAVE_DN), text)
        return {render_ldap(kind.dn(person.dn)) for person in PEOPLE if kind.dn(person.dn) == wanted}

    return Field(words=f"the subject, {words}", value=value, attribute="cn", candidate=candidate, meant=meant)


def issuer_field(words: str, place: int, value: str) -> Field:
    """Return the field whose text stands in the issuer of a certificate with Dave's serial number."""

    def candidate(_kind: Kind, text: str) -> Candidate:
        issuer = forged(DAVE_NAMES.issuer, place, text)
        return IssuerSerialCandidate(issuer=issuer, serial=DAVE_NAMES.serial)

    def meant(kind: Kind, text: str) -> set[str]:
        same = forged(DAVE_NAMES.issuer, place, text) == DAVE_NAMES.issuer
        return {render_ldap(kind.dn(DAVE_DN))} if same else set()

    return Field(
        words=f"the issuer, {words}",
        value=value,
        attribute="cn",
        candidate=candidate,
        meant=meant,
        halved=True,
    )


def certificate_field() -> Field:
    """Return the field whose text stands in the issuer of a certificate that nobody holds."""

    def candidate(_kind: Kind, text: str) -> Candidate:
        issuer = forged(DAVE_NAMES.issuer, 0, text)
        return CertificateCandidate(der=STRANGER.der, issuer=issuer, serial=DAVE_NAMES.serial)

    return Field(
        words="the issuer of a certificate",
        value="Airius Root CA",
        attribute="cn",
        candidate=candidate,
        meant=lambda _kind, _text: set(),
        halved=True,
    )


def sid_field() -> Field:
    """Return the field of the security identifier; what it is made around belongs to a group."""
    return Field(
        words="sid",
        value="S-1-5-32-544",
        attribute="objectSid",
        candidate=lambda _kind, text: SidCandidate(sid=text),
        meant=lambda _kind, _text: set(),
        halved=True,
    )


TEXT_FIELDS = [
    text_field(FindBy.COMMON_NAME, "Dave Lawson", "cn"),
    text_field(FindBy.MAIL, "dave@airius.com", "mail"),
    text_field(FindBy.UPN, "dave@corp.airius.com", "userPrincipalName"),
    text_field(FindBy.UID, "dlawson", "uid"),
]

FILTER_FIELDS = [
    filter_field("(cn={subject.cn})", FindBy.COMMON_NAME, "Dave Lawson", "cn"),
    filter_field("(&(cn=*)(mail={san.mail}))", FindBy.MAIL, "dave@airius.com", "mail"),
    filter_field("(|(uid={subject.uid})(uid={subject.serialnumber}))", FindBy.UID, "dlawson", "uid"),
    filter_field("(mail=*{san.mail}*)", FindBy.MAIL, "dave@airius.com", "mail", contained=True),
]

OTHER_FIELDS = [
    issuer_field("its common name", 0, "Airius Root CA"),
    issuer_field("its organisation", 1, "Airius"),
    certificate_field(),
    sid_field(),
]

SUBJECT_FIELDS = [
    subject_field("its common name", "Dave Lawson", lambda dn, text: forged(dn, 0, text)),
    subject_field("its unit", "East", lambda dn, text: forged(dn, 1, text)),
    subject_field("its last component", "airius.com", lambda dn, text: forged(dn, len(dn.rdns) - 1, text)),
    subject_field("one more component", "Dave Lawson", below),
    subject_field("one more attribute", "Dave Lawson", beside),
]


def problem_with(kind: Kind, candidate: Candidate, meant: Callable[[], set[str]]) -> str:
    """Return what a directory does wrong with a question, or nothing."""
    try:
        found = kind.directory.find_entries(candidate, limit=100, deadline=deadline())
    except DirectoryFault as fault:
        return f"{type(fault).__name__}: {fault.problem}"
    if found.exceeded:
        return "finds more than the limit"
    # None where it is not asked so; that a field's own value is asked for is a test of its own.
    firsts = [entry.names[0] for entry in found.entries]
    names = {render_ldap(name) for name in firsts if isinstance(name, DistinguishedName)}
    wrong = names - meant() if firsts else set()
    return f"finds {sorted(wrong)}" if wrong else ""


def problem_with_text(kind: Kind, field: Field, text: str) -> str:
    candidate = field.candidate(kind, text)
    return "" if candidate is None else problem_with(kind, candidate, lambda: field.meant(kind, text))


def assert_harmless(kind: Kind, field: Field, texts: Iterable[str]) -> None:
    problems = {text: problem_with_text(kind, field, text) for text in texts}
    told = [f"{text[:60]!a} {problem}" for text, problem in problems.items() if problem]
    assert not told, f"{len(told)} of {len(problems)} texts as {field.words} in {kind.name}:\n" + "\n".join(
        told[:20]
    )


@pytest.mark.parametrize(
    "field", [*TEXT_FIELDS, *FILTER_FIELDS, *OTHER_FIELDS], ids=lambda field: field.words
)
def test_t44_a_text_that_imitates_a_filter_or_a_statement_finds_only_whom_it_means(
    kind: Kind, field: Field
) -> None:
    assert len(field.texts) >= 400
    assert_harmless(kind, field, field.texts)


@pytest.mark.parametrize("field", SUBJECT_FIELDS, ids=lambda field: field.words)
def test_t45_a_text_that_imitates_a_name_finds_only_whom_it_means(kind: Kind, field: Field) -> None:
    assert len(field.texts) >= 400
    assert_harmless(kind, field, field.texts)


@pytest.mark.parametrize(
    "field",
    [*TEXT_FIELDS, *FILTER_FIELDS, *OTHER_FIELDS[:2], *SUBJECT_FIELDS[:3]],
    ids=lambda field: field.words,
)
def test_the_text_that_somebody_has_finds_them(kind: Kind, field: Field) -> None:
    """What makes the tests above able to fail: in the same field, one change away, somebody is found."""
    value = kind.dn(DAVE_DN).rdns[-1].attributes[0].value if "last component" in field.words else field.value
    candidate = field.candidate(kind, value)
    assert candidate is not None
    found = kind.directory.find_entries(candidate, limit=100, deadline=deadline())
    assert (candidate.find_by not in kind.not_asked, bool(found.entries)) == (
        found.supported,
        found.supported,
    )


# --- blanks and missing facts

BLANKS = ("", " ", "\u3000", "*", "**", "\uff0a", "* *", "\u200b", "\u00ad*", "\u2060 ")


@pytest.mark.parametrize(
    "field", [*TEXT_FIELDS, *FILTER_FIELDS, *OTHER_FIELDS, *SUBJECT_FIELDS], ids=lambda field: field.words
)
def test_t46_a_blank_or_a_wildcard_finds_nobody(kind: Kind, field: Field) -> None:
    """Many have no mail, no UPN, no uid: nothing equals nothing."""
    assert_harmless(kind, field, BLANKS)


def test_t47_an_attribute_that_no_server_knows_does_not_drop_out_of_a_filter(kind: Kind) -> None:
    dave = Equality(attribute="cn", value="Dave Lawson")
    unknown = Equality(attribute="noSuchAttribute", value="x")
    absent = Equality(attribute="seeAlso", value="CN=X,O=airius.com")
    for wanted in (And(parts=(dave, unknown)), And(parts=(unknown, dave)), And(parts=(dave, absent))):
        found = kind.directory.find_entries(FilterCandidate(filter=wanted), limit=100, deadline=deadline())
        assert (found.entries, found.supported) == ((), FindBy.FILTER not in kind.not_asked)


# --- from certificates

TWO_FACTS = read_filter_template("(&(cn={subject.cn})(mail={san.mail}))")

WAYS = (
    *(FindWay(find_by=find_by) for find_by in FindBy if find_by is not FindBy.FILTER),
    FindWay(find_by=FindBy.FILTER, template=TWO_FACTS),
    FindWay(find_by=FindBy.FILTER, template=read_filter_template("(|(cn={subject.dn})(cn={issuer.dn}))")),
)

TEXTS_BY_FIELD = tuple(zip(*(field.texts for field in TEXT_FIELDS), strict=False))
"""A common name, a mail address, a UPN and a uid, made in the same way."""


def certificate(common_name: str, mail_address: str, user_principal_name: str, uid: str) -> bytes:
    """Return a certificate that says so; what an rfc822Name or UTF-8 cannot hold, it leaves out.

    A security identifier that is none makes a certificate unreadable, so there is none here.
    """
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # about the length of a common name
        names = [
            x509.NameAttribute(oid, text, _validate=False)
            for oid, text in ((NameOID.USER_ID, uid), (NameOID.COMMON_NAME, common_name))
            if is_utf8(text)
        ]
    alternatives = [upn(user_principal_name)] if is_utf8(user_principal_name) else []
    if mail_address.isascii():
        alternatives.append(x509.RFC822Name._init_without_validation(mail_address))
    return ROOT.issue(
        x509.Name(names),
        san=alternatives,
        issuer_name=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x"), *names]),
        key=ROOT.key,
    ).der


def is_utf8(text: str) -> bool:
    return text.encode("utf-8", "ignore").decode() == text


@cache
def readable_certificates() -> tuple[CertificateNames, ...]:
    """Return what the certificates say that can be read at all."""
    found = []
    for texts in TEXTS_BY_FIELD:
        try:
            found.append(read_certificate_names(certificate(*texts)))
        except CertificateSyntaxError:  # larger than any certificate may be
            assert max(map(len, texts)) > 1_000
    return tuple(found)


def test_t44_what_a_certificate_says_becomes_a_question_unchanged_or_none_at_all() -> None:
    assert len(readable_certificates()) >= 400
    asked = 0
    for names in readable_certificates():
        plan = plan_candidates(MatchPlan(ways=WAYS), names)
        assert len(plan.candidates) + len(plan.skipped) == len(WAYS)
        texts = {candidate.text for candidate in plan.candidates if isinstance(candidate, TextCandidate)}
        assert texts <= {*names.common_names, *names.san_mails, *names.san_upns, *names.subject_uids}
        assert not any(map(has_unusable_characters, texts))
        asked += len(texts)
    assert asked >= 400


def test_t44_what_certificates_say_makes_no_directory_fail_and_finds_no_other(kind: Kind) -> None:
    """Every tenth of them: the questions themselves are those of the tests above."""
    problems: list[str] = []
    for names in readable_certificates()[::10]:
        for candidate in plan_candidates(MatchPlan(ways=WAYS), names).candidates:
            problem = problem_with(kind, candidate, partial(whom, kind, candidate))
            problems += [f"{candidate.find_by} of {names.common_names!a:.60}: {problem}"] if problem else []
    assert not problems, "\n".join(problems[:20])


def whom(kind: Kind, candidate: Candidate) -> set[str]:
    """Return who is meant by a question of the ways above."""
    match candidate:
        case TextCandidate():
            return owners(kind, candidate.find_by, prepare(candidate.text).__eq__)
        case FilterCandidate(
            filter=And(parts=(Equality(value=str() as name), Equality(value=str() as address)))
        ):
            named = owners(kind, FindBy.COMMON_NAME, prepare(name).__eq__)
            return named & owners(kind, FindBy.MAIL, prepare(address).__eq__)
        case _:
            return set()


def test_t47_a_template_of_which_one_fact_is_missing_is_not_asked() -> None:
    for address, expected in (("dave@airius.com", 1), ("*", 0), (" ", 0), ("d\u00e4ve@airius.com", 0)):
        names = read_certificate_names(certificate("Dave Lawson", address, "x", "y"))
        plan = plan_candidates(MatchPlan(ways=(FindWay(find_by=FindBy.FILTER, template=TWO_FACTS),)), names)
        assert (len(plan.candidates), len(plan.skipped)) == (expected, 1 - expected)
