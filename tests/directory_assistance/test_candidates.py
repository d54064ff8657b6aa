"""A match plan asks only what a certificate says once; everything else is skipped with its reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.candidates import (
    _FACTS,
    BindBy,
    Candidate,
    CandidatePlan,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    FindWay,
    IssuerSerialCandidate,
    MatchPlan,
    SidCandidate,
    SubjectCandidate,
    SubjectKeyIdCandidate,
    TextCandidate,
    plan_candidates,
)
from directory_assistance.certificate_names import CertificateNames, read_certificate_names
from directory_assistance.dn import dn_from_attributes, read_ldap_dn
from directory_assistance.filter_templates import TEMPLATE_FACTS, read_filter_template
from directory_assistance.filters import And, Equality, FactValue, render_filter
from tests.directory_assistance.test_filters import INJECTIONS
from tests.support.pki import NOW, Authority, mail, sid_extension, upn

AUTHORITY = Authority.root("CN=Root CA,OU=PKI,O=Renovations,C=US", now=NOW)

DAVE = read_certificate_names(
    AUTHORITY.issue(
        "UID=dlawson+CN=Dave Lawson,OU=East,O=Renovations,C=US",
        serial=0x1234,
        san=[mail("dave@renovations.com"), upn("dave@corp.renovations.com")],
        extensions=[(sid_extension("S-1-5-21-1-2-3-1104"), False)],
    ).der
)
"""The base certificate: each fact once."""

EVERY_WAY = tuple(
    FindWay(
        find_by=find_by,
        template=read_filter_template("(cn={subject.cn})") if find_by is FindBy.FILTER else None,
    )
    for find_by in FindBy
)


def plan(way: FindWay | FindBy, names: CertificateNames) -> Candidate | str:
    """Plan one way; return its candidate, or why it is skipped."""
    way = way if isinstance(way, FindWay) else FindWay(find_by=way)
    planned = plan_candidates(MatchPlan(ways=(way,)), names)
    if planned.candidates:
        assert () == planned.skipped
        [candidate] = planned.candidates
        assert way.find_by is candidate.find_by
        return candidate
    [(find_by, why)] = planned.skipped
    assert way.find_by is find_by
    return why


def text(find_by: FindBy, value: str) -> TextCandidate:
    return TextCandidate(find_by=find_by, text=value)


@pytest.mark.parametrize(
    ("find_by", "expected"),
    [
        (
            FindBy.SUBJECT,
            SubjectCandidate(dn=read_ldap_dn("CN=Dave Lawson+UID=dlawson,OU=East,O=Renovations,C=US")),
        ),
        (FindBy.COMMON_NAME, text(FindBy.COMMON_NAME, "Dave Lawson")),
        (FindBy.MAIL, text(FindBy.MAIL, "dave@renovations.com")),
        (FindBy.UPN, text(FindBy.UPN, "dave@corp.renovations.com")),
        (FindBy.UID, text(FindBy.UID, "dlawson")),
        (FindBy.CERTIFICATE, CertificateCandidate(der=DAVE.der, issuer=DAVE.issuer, serial=0x1234)),
        (FindBy.ISSUER_SERIAL, IssuerSerialCandidate(issuer=DAVE.issuer, serial=0x1234)),
        (FindBy.SUBJECT_KEY_ID, SubjectKeyIdCandidate(subject_key_id=DAVE.subject_key_id or b"")),
        (FindBy.SID, SidCandidate(sid="S-1-5-21-1-2-3-1104")),
    ],
)
def test_each_way_asks_for_its_own_fact(find_by: FindBy, expected: Candidate) -> None:
    assert expected == plan(find_by, DAVE)


def test_the_way_filter_asks_its_template_filled() -> None:
    way = FindWay(find_by=FindBy.FILTER, template=read_filter_template("(&(mail={san.mail})(o={subject.o}))"))
    expected = And(
        parts=(
            Equality(attribute="mail", value="dave@renovations.com"),
            Equality(attribute="o", value="Renovations"),
        )
    )
    assert FilterCandidate(filter=expected) == plan(way, DAVE)


def test_candidates_come_in_the_order_of_the_plan() -> None:
    """A way may stand twice; skipped ways keep their order too."""
    order = (FindBy.MAIL, FindBy.CERTIFICATE, FindBy.UPN, FindBy.MAIL, FindBy.SID)
    names = replace(DAVE, san_upns=(), sids=())
    planned = plan_candidates(MatchPlan(ways=tuple(FindWay(find_by=one) for one in order)), names)
    assert (FindBy.MAIL, FindBy.CERTIFICATE, FindBy.MAIL) == tuple(one.find_by for one in planned.candidates)
    assert (
        (FindBy.UPN, "no user principal name"),
        (FindBy.SID, "no security identifier"),
    ) == planned.skipped


def test_an_empty_plan_asks_nothing() -> None:
    assert CandidatePlan() == plan_candidates(MatchPlan(ways=()), DAVE)


NO_NAMES = replace(
    DAVE,
    subject=dn_from_attributes([]),
    common_names=(),
    subject_uids=(),
    san_mails=(),
    san_upns=(),
    sids=(),
    subject_key_id=None,
)


@pytest.mark.parametrize(
    ("find_by", "why"),
    [
        (FindBy.SUBJECT, "the subject is empty"),
        (FindBy.COMMON_NAME, "no common name in the subject"),
        (FindBy.MAIL, "no mail address in the subject alternative name"),
        (FindBy.UPN, "no user principal name"),
        (FindBy.UID, "no UID in the subject"),
        (FindBy.SUBJECT_KEY_ID, "the certificate has no subject key identifier"),
        (FindBy.SID, "no security identifier"),
        (FindBy.FILTER, "the way has no filter template"),
    ],
)
def test_t47_a_way_without_its_fact_is_skipped(find_by: FindBy, why: str) -> None:
    assert why == plan(find_by, NO_NAMES)


def test_t47_an_empty_key_identifier_is_none() -> None:
    assert "the certificate has no subject key identifier" == plan(
        FindBy.SUBJECT_KEY_ID, replace(DAVE, subject_key_id=b"")
    )


def test_the_ways_that_need_no_name_are_asked_for_a_certificate_without_names() -> None:
    planned = plan_candidates(MatchPlan(ways=EVERY_WAY), replace(NO_NAMES, subject_key_id=b"1"))
    assert (FindBy.CERTIFICATE, FindBy.ISSUER_SERIAL, FindBy.SUBJECT_KEY_ID) == tuple(
        one.find_by for one in planned.candidates
    )


def test_t18_an_unusable_certificate_yields_no_candidate_at_all() -> None:
    """Not even by the ways that need no name; the reason is in the trace."""
    why = "subject attribute 2.5.4.3 holds a control character"
    assert len(EVERY_WAY) == len(plan_candidates(MatchPlan(ways=EVERY_WAY), DAVE).candidates)
    planned = plan_candidates(MatchPlan(ways=EVERY_WAY), replace(DAVE, unusable=why))
    assert CandidatePlan(skipped=tuple((way.find_by, why) for way in EVERY_WAY)) == planned


def with_values(find_by: FindBy, *values: str) -> CertificateNames:
    """Return the base certificate with other values for the fact of one way."""
    match find_by:
        case FindBy.COMMON_NAME:
            return replace(DAVE, common_names=values)
        case FindBy.MAIL:
            return replace(DAVE, san_mails=values)
        case FindBy.UPN:
            return replace(DAVE, san_upns=values)
        case FindBy.UID:
            return replace(DAVE, subject_uids=values)
        case _:
            return replace(DAVE, sids=values)


ONE_FACT = pytest.mark.parametrize(
    ("find_by", "what"),
    [
        (FindBy.COMMON_NAME, "common name in the subject"),
        (FindBy.MAIL, "mail address in the subject alternative name"),
        (FindBy.UPN, "user principal name"),
        (FindBy.UID, "UID in the subject"),
        (FindBy.SID, "security identifier"),
    ],
)


@ONE_FACT
def test_t53_a_fact_with_several_values_is_skipped(find_by: FindBy, what: str) -> None:
    expected = f"2 values for {what}, and the way does not say `multiple: first`"
    assert expected == plan(find_by, with_values(find_by, "a", "b"))


@ONE_FACT
def test_t53_a_fact_with_several_values_is_its_first_where_the_way_says_so(
    find_by: FindBy, what: str
) -> None:
    way = FindWay(find_by=find_by, first_of_several=True)
    candidate = plan(way, with_values(find_by, "a", "b"))
    assert candidate in {text(find_by, "a"), SidCandidate(sid="a")}, what


@ONE_FACT
def test_t53_the_same_value_twice_is_one_value(find_by: FindBy, what: str) -> None:
    assert not isinstance(plan(find_by, with_values(find_by, "a", "a")), str), what


@ONE_FACT
@pytest.mark.parametrize("blank", ["", "  ", "*", "***", "* *", "\u200b", "\uff0a"])
def test_t46_a_blank_value_or_one_of_asterisks_is_skipped(find_by: FindBy, what: str, blank: str) -> None:
    assert f"{what} is blank or made of `*` only" == plan(find_by, with_values(find_by, blank))


@ONE_FACT
@pytest.mark.parametrize("unusable", ["a\0", "a\0b", "\x1b", "a\x80", "a\ud800"])
def test_t44_a_value_with_characters_that_no_name_may_hold_is_skipped(
    find_by: FindBy, what: str, unusable: str
) -> None:
    """Such a certificate is unusable as a whole; a backend must not depend on it."""
    expected = f"{what} has characters that no name may hold"
    assert expected == plan(find_by, with_values(find_by, unusable))


@ONE_FACT
def test_t46_a_blank_value_beside_another_is_one_of_several_and_never_gives_way(
    find_by: FindBy, what: str
) -> None:
    names = with_values(find_by, "", "a")
    assert f"2 values for {what}, and the way does not say `multiple: first`" == plan(find_by, names)
    way = FindWay(find_by=find_by, first_of_several=True)
    assert f"{what} is blank or made of `*` only" == plan(way, names)


@pytest.mark.parametrize("leaf", ["*", "", " "])
def test_t46_a_subject_with_a_blank_or_asterisk_component_is_not_asked_for(leaf: str) -> None:
    subject = dn_from_attributes([[("2.5.4.3", leaf)], [("2.5.4.10", "Renovations")]])
    expected = "a value in the subject is blank or made of `*` only"
    assert expected == plan(FindBy.SUBJECT, replace(DAVE, subject=subject))


def test_a_subject_of_one_component_is_asked_for() -> None:
    subject = read_ldap_dn("CN=Dave Lawson")
    assert SubjectCandidate(dn=subject) == plan(FindBy.SUBJECT, replace(DAVE, subject=subject))


@pytest.mark.parametrize(
    ("san_mails", "subject_emails", "legacy", "expected"),
    [
        pytest.param(("s@a",), ("l@a",), True, text(FindBy.MAIL, "s@a"), id="the SAN goes first"),
        pytest.param((), ("l@a",), True, text(FindBy.MAIL, "l@a"), id="the subject where the SAN has none"),
        pytest.param(
            (),
            ("l@a",),
            False,
            "no mail address in the subject alternative name",
            id="never the subject where the way does not say so",
        ),
        pytest.param(
            ("s@a", "t@a"),
            ("l@a",),
            True,
            "2 values for mail address in the subject alternative name, "
            "and the way does not say `multiple: first`",
            id="not the subject where the SAN has several",
        ),
        pytest.param(
            ("*",),
            ("l@a",),
            True,
            "mail address in the subject alternative name is blank or made of `*` only",
            id="not the subject where the SAN has a blank one",
        ),
        pytest.param(
            (),
            (),
            True,
            "no mail address in the subject alternative name or the subject",
            id="none anywhere",
        ),
    ],
)
def test_mail_is_the_rfc822_name_and_only_where_allowed_the_subject_email(
    san_mails: tuple[str, ...],
    subject_emails: tuple[str, ...],
    legacy: bool,
    expected: Candidate | str,
) -> None:
    way = FindWay(find_by=FindBy.MAIL, legacy_subject_email=legacy)
    assert expected == plan(way, replace(DAVE, san_mails=san_mails, subject_emails=subject_emails))


def test_every_fact_of_the_template_language_has_a_source() -> None:
    assert set(_FACTS) == TEMPLATE_FACTS


LONG_SUBJECT = (
    "CN=Dave Lawson,givenName=Dave,SN=Lawson,title=Mr,serialNumber=7,L=Rome,ST=RM,OU=East,O=Renovations,C=US,"
    "DC=acme,DC=com"
)
FACTS_OF_DAVE: dict[str, tuple[FactValue, ...]] = {
    "certificate": (DAVE.der,),
    "issuer.c": ("US",),
    "issuer.cn": ("Root CA",),
    "issuer.dn": ("CN=Root CA,OU=PKI,O=Renovations,C=US",),
    "issuer.o": ("Renovations",),
    "issuer.ou": ("PKI",),
    "san.dns": ("dave.example",),
    "san.ip": ("192.0.2.1",),
    "san.mail": ("dave@renovations.com",),
    "san.upn": ("dave@corp.renovations.com",),
    "san.uri": ("urn:dave",),
    "serial": ("4660",),
    "serial.hex": ("1234",),
    "sha256": (DAVE.sha256.hex(),),
    "sid": ("S-1-5-21-1-2-3-1104",),
    "skid": ((DAVE.subject_key_id or b"").hex(),),
    "subject.c": ("US",),
    "subject.cn": ("Dave Lawson",),
    "subject.dc": ("acme", "com"),
    "subject.dn": (LONG_SUBJECT,),
    "subject.givenname": ("Dave",),
    "subject.l": ("Rome",),
    "subject.mail": ("d@legacy",),
    "subject.o": ("Renovations",),
    "subject.ou": ("East",),
    "subject.serialnumber": ("7",),
    "subject.sn": ("Lawson",),
    "subject.st": ("RM",),
    "subject.title": ("Mr",),
    "subject.uid": ("dlawson",),
}


@pytest.mark.parametrize("fact", sorted(TEMPLATE_FACTS))
def test_each_fact_comes_from_its_own_place_in_the_certificate(fact: str) -> None:
    names = replace(
        DAVE,
        subject=read_ldap_dn(LONG_SUBJECT),
        subject_emails=("d@legacy",),
        san_dns=("dave.example",),
        san_ips=("192.0.2.1",),
        san_uris=("urn:dave",),
    )
    assert FACTS_OF_DAVE[fact] == _FACTS[fact](names)


@pytest.mark.parametrize("fact", ["subject.dn", "skid", "subject.cn", "san.dns"])
def test_t47_a_template_with_a_fact_the_certificate_lacks_is_skipped(fact: str) -> None:
    way = FindWay(find_by=FindBy.FILTER, template=read_filter_template(f"(|(a={{serial}})(b={{{fact}}}))"))
    assert f"no `{{{fact}}}`" == plan(way, NO_NAMES)


def test_t53_a_template_with_a_fact_of_several_values_is_skipped_unless_the_way_takes_the_first() -> None:
    template = read_filter_template("(&(a={serial})(ou={subject.ou}))")
    names = replace(DAVE, subject=read_ldap_dn("CN=Dave,OU=East,OU=Sales,O=Acme"))
    assert "2 values for `{subject.ou}`, and the way does not say `multiple: first`" == plan(
        FindWay(find_by=FindBy.FILTER, template=template), names
    )
    expected = And(parts=(Equality(attribute="a", value="4660"), Equality(attribute="ou", value="East")))
    assert FilterCandidate(filter=expected) == plan(
        FindWay(find_by=FindBy.FILTER, template=template, first_of_several=True), names
    )


def test_t46_a_template_with_a_blank_fact_is_skipped() -> None:
    way = FindWay(find_by=FindBy.FILTER, template=read_filter_template("(cn={subject.cn})"))
    subject = dn_from_attributes([[("2.5.4.3", " * ")], [("2.5.4.10", "Acme")]])
    assert "`{subject.cn}` is blank or made of `*` only" == plan(way, replace(DAVE, subject=subject))


def test_t45_a_hostile_component_keeps_the_number_of_components_of_a_dn_in_a_template() -> None:
    way = FindWay(find_by=FindBy.FILTER, template=read_filter_template("(entryDN={subject.dn})"))
    for value in ("x,OU=Admins", "x+UID=admin", 'x"', "x\\", "x;OU=Admins", "#0403"):
        subject = dn_from_attributes([[("2.5.4.3", value)], [("2.5.4.10", "Acme")]])
        candidate = plan(way, replace(DAVE, subject=subject))
        assert isinstance(candidate, FilterCandidate)
        assert isinstance(candidate.filter, Equality)
        again = read_ldap_dn(str(candidate.filter.value))
        assert 2 == len(again.rdns)
        assert subject == again


def test_t54_a_candidate_keeps_a_name_as_it_is_spelled() -> None:
    """Folding look-alikes is comparison, in one place (`dn.py`), not here."""
    for value in ("e\u0301", "\u202enimda", "\u0430dmin", "\uff21dmin"):
        assert text(FindBy.COMMON_NAME, value) == plan(
            FindBy.COMMON_NAME, replace(DAVE, common_names=(value,))
        )


def test_t55_a_serial_number_is_an_integer_and_its_text_has_no_leading_zeros() -> None:
    names = replace(DAVE, serial=0x00AB)
    template = read_filter_template("(a={serial}:{serial.hex})")
    assert FilterCandidate(filter=Equality(attribute="a", value="171:ab")) == plan(
        FindWay(find_by=FindBy.FILTER, template=template), names
    )
    assert IssuerSerialCandidate(issuer=DAVE.issuer, serial=171) == plan(FindBy.ISSUER_SERIAL, names)


def test_t79_hostile_names_never_raise_and_every_filter_can_be_printed() -> None:
    """A candidate that a certificate makes is never an error of the directory."""
    way = FindWay(
        find_by=FindBy.FILTER, template=read_filter_template("(|(cn={subject.cn})(dn={subject.dn}))")
    )
    for value in INJECTIONS:
        subject = dn_from_attributes([[("2.5.4.3", value)]])
        names = replace(DAVE, subject=subject, common_names=(value,), san_mails=(value,), san_upns=(value,))
        planned = plan_candidates(MatchPlan(ways=(*EVERY_WAY, way)), names)
        assert len(EVERY_WAY) + 1 == len(planned.candidates) + len(planned.skipped)
        for candidate in planned.candidates:
            if isinstance(candidate, FilterCandidate):
                assert render_filter(candidate.filter).isascii()
            if isinstance(candidate, TextCandidate) and candidate.find_by is FindBy.COMMON_NAME:
                assert value == candidate.text


@given(
    st.lists(st.sampled_from(EVERY_WAY)),
    st.lists(st.text(), max_size=3),
    st.lists(st.text(), max_size=3),
    st.binary(max_size=4),
)
def test_every_plan_gives_each_way_a_candidate_or_a_reason(
    ways: list[FindWay], values: list[str], others: list[str], subject_key_id: bytes
) -> None:
    names = replace(
        DAVE,
        subject=dn_from_attributes([[("2.5.4.3", value)] for value in values]),
        common_names=tuple(values),
        san_mails=tuple(others),
        subject_key_id=subject_key_id,
    )
    planned = plan_candidates(MatchPlan(ways=tuple(ways)), names)
    assert len(ways) == len(planned.candidates) + len(planned.skipped)
    assert all(why for _, why in planned.skipped)


def test_a_way_taken_out_of_a_plan_is_noted_with_the_reason() -> None:
    planned = plan_candidates(
        MatchPlan(
            ways=(FindWay(find_by=FindBy.SUBJECT), FindWay(find_by=FindBy.MAIL), FindWay(find_by=FindBy.SID))
        ),
        replace(DAVE, sids=()),
    )
    without = planned.without(FindBy.SUBJECT, "no trusted rule")
    assert (
        CandidatePlan(
            candidates=(text(FindBy.MAIL, "dave@renovations.com"),),
            skipped=((FindBy.SID, "no security identifier"), (FindBy.SUBJECT, "no trusted rule")),
        )
        == without
    )
    assert without == without.without(FindBy.SUBJECT, "again")


def test_t48_what_is_unique_and_what_people_may_share_is_known() -> None:
    unique = {FindBy.CERTIFICATE, FindBy.ISSUER_SERIAL, FindBy.SUBJECT_KEY_ID, FindBy.SID}
    assert unique == {find_by for find_by in FindBy if find_by.unique}


def test_t87_every_binding_that_rests_on_a_statement_of_the_ca_needs_issued_by() -> None:
    needing = {BindBy.ISSUER_SERIAL, BindBy.SUBJECT_KEY_ID, BindBy.SID, BindBy.NAME}
    assert needing == {bind_by for bind_by in BindBy if bind_by.needs_issued_by}
