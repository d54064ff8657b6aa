"""Name constraints: a table for each kind of name, whose certificates they hold for, what refuses, and the budget."""

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from time import process_time

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.reason import Reason
from authsvc.trust import name_constraints
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.name_constraints import NameConstraintChecks
from directory_assistance.der import SEQUENCE
from tests.support.constraints import (
    ALTERNATIVE_NAMES,
    INTERNATIONAL_MAIL,
    NAME_CONSTRAINTS,
    UPN,
    Templates,
    constraints_der,
    general_name,
    names_der,
)
from tests.support.pki import (
    NOW,
    Authority,
    Issued,
    der_element,
    dns,
    generate_key,
    name_from_text,
)
from tests.support.trust import anchor_of, refused, store_of, verified, verify

TEMPLATES = Templates()
SUBJECT = "CN=Dave Lawson,O=Renovations"


def problem_of(
    names: Iterable[str],
    *,
    permitted: Iterable[str] = (),
    excluded: Iterable[str] = (),
    subject: str = SUBJECT,
) -> str:
    """Return what is wrong with a leaf of these names below an authority of these constraints."""
    listed = tuple(names)
    leaf = TEMPLATES.leaf({ALTERNATIVE_NAMES: names_der(listed)} if listed else {}, subject=subject)
    authority = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(permitted, excluded)})
    return NameConstraintChecks().find_problem((leaf, authority, TEMPLATES.root))


INSIDE, OUTSIDE, UNTOLD = "inside", "outside", "untold"

COMPARISONS = [
    # constraint, name, as permitted, as excluded
    ("dns:corp.example", "dns:corp.example", INSIDE, INSIDE),
    ("dns:corp.example", "dns:CORP.Example", INSIDE, INSIDE),
    ("dns:Corp.EXAMPLE", "dns:a.corp.example", INSIDE, INSIDE),
    ("dns:corp.example", "dns:a.b.corp.example", INSIDE, INSIDE),
    ("dns:corp.example", "dns:acorp.example", OUTSIDE, OUTSIDE),
    ("dns:corp.example", "dns:example", OUTSIDE, OUTSIDE),
    ("dns:corp.example", "dns:corp.example.org", OUTSIDE, OUTSIDE),
    ("dns:corp.example", "dns:a.corp.example.", INSIDE, INSIDE),
    ("dns:corp.example.", "dns:a.corp.example", INSIDE, INSIDE),
    ("dns:.corp.example", "dns:a.corp.example", INSIDE, INSIDE),
    ("dns:.corp.example", "dns:corp.example", OUTSIDE, OUTSIDE),
    ("dns:", "dns:anything.example", INSIDE, INSIDE),
    ("dns:corp.example", "dns:*.corp.example", INSIDE, INSIDE),
    ("dns:corp.example", "dns:*.example", OUTSIDE, INSIDE),
    ("dns:a.corp.example", "dns:*.corp.example", OUTSIDE, INSIDE),
    ("dns:a.b.corp.example", "dns:*.corp.example", OUTSIDE, INSIDE),
    ("dns:.a.corp.example", "dns:*.corp.example", OUTSIDE, INSIDE),
    ("dns:a.corp.example", "dns:*.other.example", OUTSIDE, OUTSIDE),
    ("dns:corp.example", "dns:*.acorp.example", OUTSIDE, OUTSIDE),
    ("dns:_tcp.corp.example", "dns:_x._tcp.corp.example", INSIDE, INSIDE),
    ("dns:corp.example", "dns:a*.corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:*a.corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:a.*.corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:*", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:.corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:a..corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:a.corp.example..", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:a b.corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:a\x00.corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "dns:-.corp.example", UNTOLD, UNTOLD),
    ("dns:*.corp.example", "dns:a.corp.example", UNTOLD, UNTOLD),
    ("dns:.", "dns:a.corp.example", UNTOLD, UNTOLD),
    ("dns:..example", "dns:a.corp.example", UNTOLD, UNTOLD),
    ("dns:corp example", "dns:a.corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@corp.example", INSIDE, INSIDE),
    ("mail:corp.example", "mail:d@CORP.example", INSIDE, INSIDE),
    ("mail:corp.example", "mail:d@a.corp.example", OUTSIDE, OUTSIDE),
    ("mail:.corp.example", "mail:d@a.corp.example", INSIDE, INSIDE),
    ("mail:.corp.example", "mail:d@corp.example", OUTSIDE, OUTSIDE),
    ("mail:.corp.example", "mail:d@acorp.example", OUTSIDE, OUTSIDE),
    ("mail:d@corp.example", "mail:d@Corp.Example", INSIDE, INSIDE),
    ("mail:d@corp.example", "mail:D@corp.example", OUTSIDE, INSIDE),
    ("mail:d@corp.example", "mail:e@corp.example", OUTSIDE, OUTSIDE),
    ("mail:d@corp.example", "mail:d@a.corp.example", OUTSIDE, OUTSIDE),
    ("mail:", "mail:d@corp.example", INSIDE, INSIDE),
    ("mail:corp.example", 'mail:"e@evil.example"@corp.example', INSIDE, INSIDE),
    ("mail:corp.example", 'mail:"d@corp.example"@evil.example', OUTSIDE, OUTSIDE),
    ("mail:corp.example", "mail:d@evil.example@corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", 'mail:"@"@corp.example', INSIDE, INSIDE),
    ("mail:corp.example", 'mail:"@@corp.example', UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@corp.example.", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@.corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@[192.0.2.1]", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@corp.example ", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@a\x00.corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:@corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "mail:d@", UNTOLD, UNTOLD),
    ("mail:@corp.example", "mail:d@corp.example", UNTOLD, UNTOLD),
    ("mail:d@", "mail:d@corp.example", UNTOLD, UNTOLD),
    ("mail:.", "mail:d@corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example.", "mail:d@corp.example", UNTOLD, UNTOLD),
    ("mail:corp example", "mail:d@corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "international:dü@corp.example", UNTOLD, UNTOLD),
    ("dns:corp.example", "international:dü@corp.example", None, None),
    ("upn:corp.example", "upn:d@corp.example", INSIDE, INSIDE),
    ("upn:.corp.example", "upn:d@a.corp.example", INSIDE, INSIDE),
    ("upn:corp.example", "upn:d@other.example", OUTSIDE, OUTSIDE),
    ("upn:müller.example", "upn:d@müller.example", INSIDE, INSIDE),
    ("upn:müller.example", "upn:d@MÜLLER.example", OUTSIDE, INSIDE),
    ("upn:corp.example", "upn:d@\N{FULLWIDTH LATIN SMALL LETTER C}orp.example", OUTSIDE, INSIDE),
    ("upn:corp.example", "upn:d@corp。example", OUTSIDE, INSIDE),
    ("upn:corp.example", "upn:d@corp\N{FULLWIDTH FULL STOP}example", OUTSIDE, INSIDE),
    ("upn:müller.example", "upn:d@xn--mller-kva.example", OUTSIDE, UNTOLD),
    ("upn:xn--mller-kva.example", "upn:d@müller.example", OUTSIDE, UNTOLD),
    ("upn:xn--mller-kva.example", "upn:d@xn--mller-kva.example", INSIDE, INSIDE),
    ("upn:corp.example", "upn:d", UNTOLD, UNTOLD),
    ("upn:corp.example", f"other:{UPN} 1601ff", UNTOLD, UNTOLD),
    ("upn:corp.example", f"other:{UPN} 0c01ff", UNTOLD, UNTOLD),
    (f"other:{UPN} 0500", "upn:d@corp.example", UNTOLD, UNTOLD),
    ("mail:corp.example", "upn:d@other.example", None, None),
    ("other:1.2.3 0500", "other:1.2.3 0500", INSIDE, INSIDE),
    ("other:1.2.3 0500", "other:1.2.3 0101ff", OUTSIDE, INSIDE),
    ("other:1.2.3 0500", "other:1.2.4 0500", None, None),
    (f"other:{INTERNATIONAL_MAIL} 0c0164", "international:d", INSIDE, INSIDE),
    ("rid:1.2.3", "rid:1.2.3", INSIDE, INSIDE),
    ("rid:1.2.3", "rid:1.2.3.4", OUTSIDE, INSIDE),
    ("tag:a33000", "tag:a33000", INSIDE, INSIDE),
    ("tag:a33000", "tag:a330020500", OUTSIDE, INSIDE),
    ("tag:a5800161", "tag:a5800162", OUTSIDE, INSIDE),
    ("uri:corp.example", "uri:http://corp.example/x", INSIDE, INSIDE),
    ("uri:corp.example", "uri:HTTP://CORP.example", INSIDE, INSIDE),
    ("uri:Corp.example", "uri:ldap://corp.example:389?x", INSIDE, INSIDE),
    ("uri:corp.example", "uri:http://corp.example.#x", INSIDE, INSIDE),
    ("uri:corp.example.", "uri:http://corp.example:", INSIDE, INSIDE),
    ("uri:corp.example", "uri:http://a.corp.example/", OUTSIDE, OUTSIDE),
    ("uri:.corp.example", "uri:http://a.corp.example/", INSIDE, INSIDE),
    ("uri:.corp.example", "uri:http://corp.example/", OUTSIDE, OUTSIDE),
    ("uri:.corp.example", "uri:http://acorp.example/", OUTSIDE, OUTSIDE),
    ("uri:", "uri:http://corp.example/", INSIDE, INSIDE),
    ("uri:corp.example", "uri:http://me:secret@corp.example/@y", INSIDE, INSIDE),
    ("uri:corp.example", "uri:http://corp.example@evil.example/", OUTSIDE, OUTSIDE),
    ("uri:corp.example", "uri:http://evil.example/@corp.example", OUTSIDE, OUTSIDE),
    ("uri:corp.example", "uri:http://evil.example?@corp.example", OUTSIDE, OUTSIDE),
    ("uri:corp.example", "uri:http://evil.example#@corp.example", OUTSIDE, OUTSIDE),
    ("uri:corp.example", "uri:http://corp.example\\@evil.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://evil.example\\@corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://corp.example/\\x", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://a@b@corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://corp.example:evil/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://corp.exa\tmple/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://corp.example/a\nb", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://corp.example/a b", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri: http://corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://corp%2eexample/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://*.corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://192.0.2.1/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://127.1/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://127.0x1./", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://0x7f000001/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://a.1b/", OUTSIDE, OUTSIDE),
    ("uri:corp.example", "uri:http://[2001:db8::1]/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://a..corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http://.corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri://corp.example/", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:http:corp.example", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:urn:corp.example", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:file:///corp.example", UNTOLD, UNTOLD),
    ("uri:corp.example", "uri:", UNTOLD, UNTOLD),
    ("uri:*.corp.example", "uri:http://a.corp.example/", UNTOLD, UNTOLD),
    ("uri:http://corp.example", "uri:http://corp.example/", UNTOLD, UNTOLD),
    ("ip:192.0.2.0/24", "ip:192.0.2.1", INSIDE, INSIDE),
    ("ip:192.0.2.0/24", "ip:192.0.3.1", OUTSIDE, OUTSIDE),
    ("ip:192.0.2.1/32", "ip:192.0.2.1", INSIDE, INSIDE),
    ("ip:192.0.2.1/32", "ip:192.0.2.0", OUTSIDE, OUTSIDE),
    ("ip:0.0.0.0/0", "ip:192.0.2.1", INSIDE, INSIDE),
    ("ip:192.0.2.0/24", "ip:2001:db8::1", OUTSIDE, OUTSIDE),
    ("ip:2001:db8::/32", "ip:2001:db8::1", INSIDE, INSIDE),
    ("ip:2001:db8::/32", "ip:2001:db9::1", OUTSIDE, OUTSIDE),
    ("ip:2001:db8::/32", "ip:192.0.2.1", OUTSIDE, OUTSIDE),
    ("ip:::/0", "ip:192.0.2.1", OUTSIDE, OUTSIDE),
    ("ip:192.0.2.0/24", "ip:::ffff:192.0.2.1", OUTSIDE, INSIDE),
    ("ip:192.0.2.0/24", "ip:::ffff:192.0.3.1", OUTSIDE, OUTSIDE),
    ("ip:192.0.2.0/24", "ip:::fffe:192.0.2.1", OUTSIDE, OUTSIDE),
    ("ip:::ffff:192.0.2.0/120", "ip:192.0.2.1", OUTSIDE, INSIDE),
    ("ip:::ffff:192.0.2.0/120", "ip:192.0.3.1", OUTSIDE, OUTSIDE),
    ("ip:::ffff:192.0.2.0/120", "ip:::ffff:192.0.2.1", INSIDE, INSIDE),
    ("ip:::fffe:0:0/95", "ip:192.0.2.1", OUTSIDE, OUTSIDE),
    ("tag:87c00002000fffffff", "ip:192.0.2.1", UNTOLD, UNTOLD),
    ("tag:87c0000200ffff00ff", "ip:192.0.2.1", UNTOLD, UNTOLD),
    ("tag:87c0000200", "ip:192.0.2.1", UNTOLD, UNTOLD),
    ("tag:87c0000200ffffff00ff", "ip:192.0.2.1", UNTOLD, UNTOLD),
    ("ip:192.0.2.0/24", "tag:87c00002", UNTOLD, UNTOLD),
    ("ip:192.0.2.0/24", "tag:87c00002010000", UNTOLD, UNTOLD),
    ("dn:O=Renovations", "dn:CN=Dave,O=renovations", INSIDE, INSIDE),
    ("dn:O=Renovations", "dn:O=Renovations", INSIDE, INSIDE),
    ("dn:O=Renovations", "dn:CN=Dave,OU=X,O=RENOVATIONS", INSIDE, INSIDE),
    ("dn:O=Renovations", "dn:O=Renovations,C=US", OUTSIDE, OUTSIDE),
    ("dn:OU=X,O=Renovations", "dn:O=Renovations", OUTSIDE, OUTSIDE),
    ("dn:", "dn:CN=Dave", INSIDE, INSIDE),
    ("dn:O=Renovations", "dn:CN=Dave\\00,O=Renovations", UNTOLD, UNTOLD),
    ("dn:O=Renov\\00ations", "dn:CN=Dave,O=Renovations", UNTOLD, UNTOLD),
]


def _expect(name: str, constraint: str, expected: str | None, *, excluding: bool, found: str) -> None:
    beginning = f"issuer `CN=Renovations Issuing CA,O=Renovations` may not certify `{SUBJECT}`: "
    if expected is None or (expected == (OUTSIDE if excluding else INSIDE)):
        assert found == "", (constraint, name)
    elif expected == UNTOLD:
        assert found.startswith(beginning), (constraint, name)
        assert " cannot be compared: " in found, (constraint, name, found)
    elif excluding:
        assert found.startswith(beginning), (constraint, name)
        assert " is excluded by " in found, (constraint, name, found)
    else:
        assert found.startswith(beginning), (constraint, name)
        assert found.endswith(" is in none of the permitted subtrees"), (constraint, name, found)


@pytest.mark.parametrize(("constraint", "name", "permitted", "excluded"), COMPARISONS)
def test_t23_a_name_is_inside_a_subtree_outside_it_or_cannot_be_told(
    constraint: str, name: str, permitted: str | None, excluded: str | None
) -> None:
    """Under a permitted subtree what cannot be told counts as outside, under an excluded one as inside."""
    # A name of the subject's own kind: the subject has to be in the subtree as well.
    subject = "" if constraint.startswith(("dn:", "tag:a4")) else SUBJECT
    found = problem_of([name], permitted=[constraint], subject=subject).replace("(empty name)", SUBJECT)
    _expect(name, constraint, permitted, excluding=False, found=found)
    found = problem_of([name], excluded=[constraint], subject=subject)
    _expect(name, constraint, excluded, excluding=True, found=found)


@pytest.mark.parametrize(
    ("name", "excluded", "told"),
    [
        (
            "dns:a.corp.example",
            "dns:corp.example",
            "dNSName `a.corp.example` is excluded by dNSName `corp.example`",
        ),
        (
            "ip:10.1.2.3",
            "ip:10.0.0.0/8",
            "iPAddress `0a010203` is excluded by iPAddress `0a000000ff000000`",
        ),
        ("dns:corp.example", f"dn:{SUBJECT}", "its directoryName is excluded by its directoryName"),
    ],
)
def test_a_refusal_tells_the_name_and_the_constraint(name: str, excluded: str, told: str) -> None:
    assert problem_of([name], excluded=[excluded]).endswith(f": {told}")


@pytest.mark.parametrize(
    ("subject", "permitted", "excluded", "accepted"),
    [
        pytest.param(SUBJECT, ["dn:O=Renovations"], [], True, id="a subject in the permitted subtree"),
        pytest.param("CN=Dave,O=Else", ["dn:O=Renovations"], [], False, id="a subject outside of it"),
        pytest.param("", ["dn:O=Renovations"], [], True, id="an empty subject is no name"),
        pytest.param("", [], ["dn:"], True, id="nor is it excluded with all names"),
        pytest.param(SUBJECT, [], ["dn:"], False, id="a subject is excluded with all names"),
        pytest.param(SUBJECT, [], ["dn:CN=Z,O=Renovations"], True, id="a subject beside the excluded one"),
        pytest.param("CN=Z,O=RENOVATIONS", [], ["dn:CN=Z,O=Renovations"], False, id="the excluded subject"),
        pytest.param("E=d@corp.example,CN=D", ["mail:corp.example"], [], True, id="a permitted mail address"),
        pytest.param("E=d@evil.example,CN=D", ["mail:corp.example"], [], False, id="another mail address"),
        pytest.param("E=d@evil.example,CN=D", [], ["mail:evil.example"], False, id="an excluded one"),
        pytest.param("E=d@evil.example,CN=D", [], ["mail:other.example"], True, id="beside the excluded one"),
        pytest.param("CN=D+E=d@evil.example", [], ["mail:evil.example"], False, id="in a part of several"),
        pytest.param(
            "E=dü@corp.example,CN=D", ["mail:corp.example"], [], False, id="not ASCII, where it must be"
        ),
        pytest.param("CN=D,E=x,O=O", ["mail:corp.example"], [], False, id="no mail address at all"),
        pytest.param("CN=D,E=x,O=O", ["dns:corp.example"], [], True, id="which only mail constraints ask"),
        pytest.param(
            "CN=host.evil.example", ["dns:corp.example"], [], True, id="a common name is no DNS name"
        ),
    ],
)
def test_t23_the_subject_and_its_mail_addresses_are_names_too(
    subject: str, permitted: list[str], excluded: list[str], accepted: bool
) -> None:
    assert (problem_of([], permitted=permitted, excluded=excluded, subject=subject) == "") == accepted


def _odd_subject(oid: str, value: bytes) -> bytes:
    """Return a subject with one attribute whose value is no text: it cannot be compared."""
    attribute = der_element(SEQUENCE, bytes.fromhex(oid) + value)
    return der_element(SEQUENCE, der_element(0x31, attribute))


@pytest.mark.parametrize(
    ("subject", "constraint", "accepted"),
    [
        pytest.param(
            _odd_subject("06092a864886f70d010901", b"\x05\x00"), "mail:a.example", False, id="mail, no text"
        ),
        pytest.param(
            _odd_subject("06092a864886f70d010901", b"\x0c\x01\x00"), "mail:a.example", False, id="mail, NUL"
        ),
        pytest.param(
            _odd_subject("060355042d", b"\x03\x02\x00\x01"), "mail:a.example", True, id="no mail address"
        ),
        pytest.param(
            _odd_subject("060355042d", b"\x03\x02\x00\x01"), "dns:a.example", True, id="other constraints"
        ),
        pytest.param(
            _odd_subject("060355042d", b"\x03\x02\x00\x01"), "dn:O=Renovations", False, id="as a name"
        ),
    ],
)
@pytest.mark.parametrize("excluding", [True, False])
def test_t18_a_subject_that_cannot_be_read_falls_against_the_certificate(
    subject: bytes, constraint: str, accepted: bool, excluding: bool
) -> None:
    leaf = TEMPLATES.certificate({}, leaf=True, subject_der=subject)
    listed = {"excluded": [constraint]} if excluding else {"permitted": [constraint]}
    authority = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(**listed)})
    assert (NameConstraintChecks().find_problem((leaf, authority, TEMPLATES.root)) == "") == accepted


def test_t19_a_name_is_held_against_constraints_of_its_own_kind_only() -> None:
    """A mail address in a dNSName is no mail address, and the reverse."""
    assert problem_of(["uri:http://evil.example/"], permitted=["dns:corp.example"]) == ""
    assert problem_of(["dns:evil.example"], permitted=["mail:corp.example", "uri:corp.example"]) == ""
    assert problem_of(["dns:d@corp.example"], permitted=["dns:corp.example"]) != ""
    assert problem_of(["mail:corp.example"], permitted=["mail:corp.example"]) != ""


def test_t23_every_name_must_be_in_one_permitted_subtree_of_its_kind_and_in_no_excluded_one() -> None:
    permitted = ["dns:a.example", "dns:b.example", "mail:a.example"]
    excluded = ["dns:x.a.example", "mail:x.example"]
    assert (
        problem_of(
            ["dns:a.example", "dns:b.example", "mail:d@a.example"], permitted=permitted, excluded=excluded
        )
        == ""
    )
    for names in (
        ["dns:a.example", "dns:c.example"],
        ["dns:b.example", "dns:x.a.example"],
        ["mail:d@x.example"],
    ):
        assert problem_of(names, permitted=permitted, excluded=excluded) != ""


def test_t23_one_constraint_that_cannot_be_compared_refuses_wherever_it_stands() -> None:
    for permitted in (["dns:a.example", "dns:*.example"], ["dns:*.example", "dns:a.example"]):
        assert "the constraint is no host" in problem_of(["dns:a.example"], permitted=permitted)
    mixed = [
        f"other:{INTERNATIONAL_MAIL} {der_element(0x0C, 'dü@a.example'.encode()).hex()}",
        "mail:b.example",
    ]
    for permitted in (mixed, mixed[::-1]):
        assert "another spelling" in problem_of(["international:dü@a.example"], permitted=permitted)
    assert problem_of(["international:dü@a.example"], permitted=mixed[:1]) == ""


# ---------------------------------------------------------------------------------------- for whom they hold


def _find(*path: CertificateFacts) -> str:
    return NameConstraintChecks().find_problem(path)


def test_t23_constraints_hold_for_everybody_below_but_self_issued_authorities() -> None:
    outside = {ALTERNATIVE_NAMES: names_der(["dns:evil.example"])}
    inside = {ALTERNATIVE_NAMES: names_der(["dns:a.example"])}
    upper = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:a.example"])})
    leaf, evil_leaf = TEMPLATES.leaf(inside), TEMPLATES.leaf(outside)
    lower, evil_lower = TEMPLATES.certificate(inside), TEMPLATES.certificate(outside)
    evil_self_issued = TEMPLATES.certificate(outside, self_issued=True)
    assert _find(leaf, lower, upper, TEMPLATES.root) == ""
    assert _find(evil_leaf, lower, upper, TEMPLATES.root) != ""
    assert _find(leaf, evil_lower, upper, TEMPLATES.root) != ""
    assert _find(leaf, evil_self_issued, upper, TEMPLATES.root) == ""
    assert _find(evil_self_issued, upper, TEMPLATES.root) != ""  # the end entity itself is not exempt
    assert _find(evil_leaf, evil_self_issued, upper, TEMPLATES.root) != ""
    assert _find(evil_leaf) == ""


def test_t23_the_constraints_of_a_self_issued_authority_hold_too() -> None:
    leaf = TEMPLATES.leaf({ALTERNATIVE_NAMES: names_der(["dns:evil.example"])})
    value = {NAME_CONSTRAINTS: constraints_der(["dns:a.example"])}
    assert _find(leaf, TEMPLATES.certificate(value, self_issued=True), TEMPLATES.root) != ""


def test_t23_the_constraints_of_an_anchor_hold_and_those_of_an_end_entity_do_not() -> None:
    names = {ALTERNATIVE_NAMES: names_der(["dns:evil.example"])}
    value = {NAME_CONSTRAINTS: constraints_der(["dns:a.example"])}
    anchor = replace(TEMPLATES.root, extension_values=value)
    assert _find(TEMPLATES.leaf(names), anchor) != ""
    assert _find(TEMPLATES.leaf(names | value), TEMPLATES.root) == ""
    assert _find(TEMPLATES.leaf(names | {NAME_CONSTRAINTS: b""}), TEMPLATES.root) == ""


def test_t23_constraints_add_up_from_authority_to_authority() -> None:
    wide = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:a.example"])})
    narrow = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:b.a.example"])})
    wider = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:example"])})
    for name, lower, accepted in (
        ("dns:b.a.example", narrow, True),
        ("dns:c.a.example", narrow, False),
        ("dns:c.a.example", wider, True),
        ("dns:c.example", wider, False),
    ):
        leaf = TEMPLATES.leaf({ALTERNATIVE_NAMES: names_der([name])})
        assert (_find(leaf, lower, wide, TEMPLATES.root) == "") == accepted


# ------------------------------------------------------------------------------------------- not to be read


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"", "expected tag 0x30, found the end", id="nothing"),
        pytest.param(b"\x30\x00", "neither permitted nor excluded subtrees", id="an empty sequence"),
        pytest.param(b"\x30\x02\xa0\x00", "expected at least 1 element, found 0", id="an empty list"),
        pytest.param(
            b"\x30\x02\xa1\x00", "expected at least 1 element, found 0", id="an empty list of excluded"
        ),
        pytest.param(constraints_der(["dns:a"]) + b"\x00", "length missing at octet", id="octets left over"),
        pytest.param(
            constraints_der(["dns:a"] * 1001),
            "expected at most 1000 subtrees, found 1001",
            id="too many permitted",
        ),
        pytest.param(
            constraints_der([], ["dns:a"] * 1001),
            "expected at most 1000 subtrees, found 1001",
            id="too many excluded",
        ),
        pytest.param(
            der_element(0x30, der_element(0xA0, der_element(0x31, general_name("dns:a")))),
            "expected tag 0x30, found tag 0x31",
            id="a subtree that is no sequence",
        ),
        pytest.param(
            der_element(0x30, der_element(0xA0, der_element(0x30, b""))),
            "expected an element, found the end",
            id="a subtree without a base",
        ),
        pytest.param(
            der_element(0x30, der_element(0xA0, der_element(0x30, general_name("dns:a") + b"\x80\x01\x01"))),
            "a subtree has a minimum",
            id="a minimum",
        ),
        pytest.param(
            der_element(0x30, der_element(0xA0, der_element(0x30, general_name("dns:a") + b"\x81\x01\x01"))),
            "expected the end, found tag 0x81",
            id="a maximum",
        ),
        pytest.param(
            constraints_der(["tag:8c61"]), "expected a general name, found tag 0x8c", id="an unknown kind"
        ),
        pytest.param(constraints_der(["tag:82ff"]), "dNSName is not ASCII", id="a text that is not ASCII"),
        pytest.param(
            der_element(
                0x30,
                der_element(0xA1, der_element(0x30, general_name("dns:a"))) + constraints_der(["dns:b"])[2:],
            ),
            "expected the end, found tag 0xa0",
            id="excluded before permitted",
        ),
    ],
)
def test_t23_constraints_that_cannot_be_read_refuse(value: bytes, expected: str) -> None:
    authority = TEMPLATES.certificate({NAME_CONSTRAINTS: value})
    checks = NameConstraintChecks()
    for _ in range(2):  # what is remembered says the same
        problem = checks.find_problem((TEMPLATES.leaf({}), authority, TEMPLATES.root))
        assert problem.startswith(
            f"issuer `CN=Renovations Issuing CA,O=Renovations`: name constraints cannot be read: {expected}"
        )


def test_a_minimum_of_zero_is_the_default_and_1000_subtrees_are_read() -> None:
    value = der_element(0x30, der_element(0xA0, der_element(0x30, general_name("dns:a") + b"\x80\x01\x00")))
    authority = TEMPLATES.certificate({NAME_CONSTRAINTS: value})
    leaf = TEMPLATES.leaf({ALTERNATIVE_NAMES: names_der(["dns:a"])})
    assert _find(leaf, authority, TEMPLATES.root) == ""
    assert problem_of(["dns:a"], permitted=["dns:a"] * 1000, excluded=["dns:b"] * 1000) == ""


@pytest.mark.parametrize("value", [b"", b"\x30\x00", b"\x30\x03\x82\x01\xff", b"\x30\x03\xa4\x01\x00"])
def test_t23_names_that_cannot_be_read_refuse(value: bytes) -> None:
    authority = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:a"])})
    leaf = TEMPLATES.leaf({ALTERNATIVE_NAMES: value})
    assert "its names cannot be read: " in _find(leaf, authority, TEMPLATES.root)
    assert _find(leaf, TEMPLATES.certificate({}), TEMPLATES.root) == ""  # nobody asks


# --------------------------------------------------------------------------------------------------- budget


def test_t24_comparisons_are_counted_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three names (the subject is one) and two constraints are six comparisons."""

    def ask() -> str:
        return problem_of(["dns:a", "dns:b"], permitted=["dns:a", "dns:b"])

    monkeypatch.setattr(name_constraints, "_MOST_COMPARISONS", 6)
    assert ask() == ""
    monkeypatch.setattr(name_constraints, "_MOST_COMPARISONS", 5)
    assert ask() == (
        "issuer `CN=Renovations Issuing CA,O=Renovations`: more name constraints and names than are compared"
    )


@pytest.mark.parametrize(
    ("names", "constraint", "comparisons"),
    [
        pytest.param(["dns:" + "a" * 15], "dns:b", 2, id="a short name"),
        pytest.param(
            ["dns:" + "a" * 16], "dns:b", 4, id="a longer name counts for itself and its comparison"
        ),
        pytest.param(["dns:a"], "dns:" + "b" * 16, 3, id="a longer constraint counts once more"),
        pytest.param(
            ["mail:" + "a" * 40], "dns:b", 4, id="a name of another kind is not folded, but described"
        ),
        pytest.param(
            ["dn:CN=" + "a" * 60], "dn:O=Renovations", 2, id="distinguished names are folded already"
        ),
    ],
)
def test_t24_long_texts_count_as_several(
    monkeypatch: pytest.MonkeyPatch, names: list[str], constraint: str, comparisons: int
) -> None:
    for budget, exhausted in ((comparisons, False), (comparisons - 1, True)):
        monkeypatch.setattr(name_constraints, "_MOST_COMPARISONS", budget)
        problem = problem_of(names, excluded=[constraint])
        assert ("more name constraints" in problem) == exhausted


def test_t24_a_pair_is_compared_once_and_the_budget_is_that_of_all_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaf = TEMPLATES.leaf({ALTERNATIVE_NAMES: names_der(["dns:a"])})
    first = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:a"])})
    second = TEMPLATES.certificate({NAME_CONSTRAINTS: constraints_der(["dns:a", "dns:b"])})
    monkeypatch.setattr(name_constraints, "_MOST_COMPARISONS", 2)
    checks = NameConstraintChecks()
    for _ in range(3):
        assert checks.find_problem((leaf, first, TEMPLATES.root)) == ""
    assert "more name constraints" in checks.find_problem((leaf, second, TEMPLATES.root))
    assert checks.find_problem((leaf, first, TEMPLATES.root)) == ""


def _seconds(action: Callable[[], object]) -> float:
    """Return seconds of computing, which other processes do not lengthen."""
    begin = process_time()
    action()
    return process_time() - begin


@pytest.mark.parametrize(
    ("constraints", "names"),
    [
        pytest.param(["dns:b"] * 49, ["dns:a.b"] * 398, id="just within the budget"),
        pytest.param(["dns:b"] * 1000, ["dns:a.b"] * 1000, id="far beyond it"),
        pytest.param(["upn:ä" + "ö" * 15000 + ".b"] * 2, ["upn:d@" + "ü" * 15000] * 2, id="long texts"),
        pytest.param(["dn:CN=a" + str(n) for n in range(1000)], ["dn:CN=b"] * 1000, id="distinguished names"),
    ],
)
def test_t24_many_constraints_and_names_are_answered_in_time(
    constraints: list[str], names: list[str]
) -> None:
    problem_of(["dns:a"], permitted=["dns:a"])
    assert (
        min(_seconds(lambda: problem_of(names, excluded=["dns:z"], permitted=constraints)) for _ in range(3))
        < 0.5
    )


def test_t24_cross_signed_authorities_with_many_constraints_are_answered_in_time() -> None:
    """25 paths, each with as many comparisons as one question may cause, and every path is refused."""
    root = Authority.root(now=NOW)
    permitted: list[x509.GeneralName] = [dns(f"a{n}.example") for n in range(44)]
    constraint = x509.NameConstraints([*permitted, dns("b.example")], None)
    first, second = generate_key(), generate_key()
    upper = [
        root.issue_authority("CN=Upper", key=first, path_length=None, extensions=[(constraint, True)])
        for _ in range(5)
    ]
    lower = [upper[0].issue_authority("CN=Lower", key=second) for _ in range(5)]
    names = [dns(f"n{n}.b.example") for n in range(440)]
    chain = tuple(one.der for one in (*upper, *lower))
    store = store_of(anchor_of(root))
    verified(verify(lower[0].issue(san=names), store, chain=chain))
    hostile = lower[0].issue(san=[*names, dns("evil.example")])
    outcomes = []
    assert min(_seconds(lambda: outcomes.append(verify(hostile, store, chain=chain))) for _ in range(3)) < 0.5
    assert refused(outcomes[0]).reason is Reason.CERTIFICATE_UNTRUSTED


# ------------------------------------------------------------------------------------------------- totality


@settings(max_examples=300, deadline=None)
@given(
    value=st.binary(max_size=80) | st.binary(max_size=80).map(lambda body: der_element(0x30, body)),
    names=st.binary(max_size=80) | st.binary(max_size=80).map(lambda body: der_element(0x30, body)),
    subject=st.binary(max_size=40),
)
def test_any_octets_of_constraints_names_and_subjects_are_an_answer(
    value: bytes, names: bytes, subject: bytes
) -> None:
    leaf = TEMPLATES.certificate({ALTERNATIVE_NAMES: names}, leaf=True, subject_der=subject)
    authority = TEMPLATES.certificate({NAME_CONSTRAINTS: value})
    assert isinstance(_find(leaf, authority, TEMPLATES.root), str)


TEXTS = st.text(alphabet='ab.*@:/\\[]0x1 \t"%-_üß。\x00', max_size=12)
KINDS = st.sampled_from(["mail", "dns", "uri", "upn", "international"])


@settings(max_examples=600, deadline=None)
@given(kind=KINDS, name=TEXTS, constraint_kind=KINDS, constraint=TEXTS)
def test_any_texts_are_an_answer_and_never_both_permitted_and_beside_the_excluded(
    kind: str, name: str, constraint_kind: str, constraint: str
) -> None:
    """INVARIANT: what a permitted subtree lets in, the same subtree shuts out when it is excluded."""
    try:
        one, other = f"{kind}:{name}", f"{constraint_kind}:{constraint}"
        names_der([one, other])
    except UnicodeEncodeError:
        return
    permitted, excluded = problem_of([one], permitted=[other]), problem_of([one], excluded=[other])
    assert permitted or excluded or constraint_kind != kind


# ------------------------------------------------------------------------------------------ against OpenSSL

_CONSTRAINTS: dict[str, list[str]] = {
    "dns": ["corp.example", ".corp.example", "example", "other.example"],
    "mail": ["corp.example", ".corp.example", "d@corp.example", "other.example"],
    "uri": ["corp.example", ".corp.example", "a.corp.example"],
    "ip": ["192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32", "0.0.0.0/0"],
    "dn": ["O=Renovations", "OU=Sales,O=Renovations", "O=Other"],
}
_NAMES: dict[str, list[str]] = {
    "dns": ["corp.example", "a.corp.example", "acorp.example", "CORP.example", "b.other.example"],
    "mail": ["d@corp.example", "e@corp.example", "d@a.corp.example", "d@CORP.example"],
    "uri": [
        "http://corp.example/",
        "http://a.corp.example:80/x",
        "http://A.corp.example",
        "http://b.example/",
    ],
    "ip": ["192.0.2.1", "192.0.2.7", "198.51.100.1", "2001:db8::1"],
    "dn": ["CN=A,O=Renovations", "CN=B,OU=Sales,O=renovations", "CN=C,O=Elsewhere"],
}


ROOT = Authority.root(now=NOW)


def _openssl_accepts(folder: Path, root: Authority, issuing: Authority, leaf: Issued) -> bool:
    for name, pem in (("root", root.pem), ("issuing", issuing.pem), ("leaf", leaf.pem)):
        (folder / f"{name}.pem").write_text(pem)
    done = subprocess.run(
        [
            "openssl",
            "verify",
            "-x509_strict",
            "-attime",
            str(int(NOW.timestamp())),
            "-CAfile",
            "root.pem",
            "-untrusted",
            "issuing.pem",
            "leaf.pem",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "subtree violation" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("kind", sorted(_NAMES))
def test_t23_openssl_says_the_same_of_ordinary_names(tmp_path: Path, kind: str) -> None:
    """Random constraints and names of one kind, and of another beside them."""
    random = Random(kind)
    store = store_of(anchor_of(ROOT))
    seen = set()
    for _ in range(14):

        def some(of: dict[str, list[str]], most: int) -> list[str]:
            other = random.choice(sorted(of))
            kinds = random.choices([kind, kind, kind, other], k=random.randint(0, most))
            return sorted({f"{one}:{random.choice(of[one])}" for one in kinds})

        permitted, excluded = some(_CONSTRAINTS, 2), some(_CONSTRAINTS, 1)
        if not permitted and not excluded:
            permitted = [f"{kind}:{_CONSTRAINTS[kind][0]}"]
        extension = x509.UnrecognizedExtension(x509.NameConstraints.oid, constraints_der(permitted, excluded))
        issuing = ROOT.issue_authority(extensions=[(extension, True)])
        names = some(_NAMES, 3)
        san = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, names_der(names))
        leaf = issuing.issue(
            name_from_text(random.choice(_NAMES["dn"])), extensions=[(san, False)] if names else []
        )
        ours = verify(leaf, store, chain=(issuing.der,))
        theirs = _openssl_accepts(tmp_path, ROOT, issuing, leaf)
        assert (not hasattr(ours, "reason")) == theirs, (permitted, excluded, names, ours)
        seen.add(theirs)
    assert seen == {True, False}
