"""Verdicts as HTTP: statuses, identity headers, encoding, problem documents, pages."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.decision.verdict import Allowed, Verdict
from authsvc.presented.header_fields import field_name
from authsvc.reason import HIDDEN_REASON, Reason, outward_reason
from authsvc.web.header_values import decode_list, decode_value, encode_list, encode_url, encode_value
from authsvc.web.responses import (
    NO_STORE,
    TITLES,
    IdentityHeader,
    IdentityHeaders,
    Responses,
    StartMessage,
    accepts_html,
    cache_control,
)
from directory_assistance.dn import FlatName, read_name
from directory_assistance.entry import GroupMembership, GroupType, Identity
from tests.support.decision import DAVE
from tests.support.verdicts import ACCESS, IDENTITY, allowed, anonymous, denied, undecided

REQUEST_ID = b"0123456789abcdef01234567"
NAMES = [header.value.lower().encode() for header in IdentityHeader]


def answer(verdict: Verdict, responses: Responses | None = None, *, for_person: bool = False) -> StartMessage:
    made = (responses or Responses()).answer(verdict, for_person=for_person)
    return made.message(REQUEST_ID, NO_STORE)


def header(message: StartMessage, name: str) -> str:
    """Return the one value of a header, and fail where it stands twice or not at all."""
    (value,) = [value for found, value in message.headers if found == name.lower().encode()]
    return value.decode("ascii")


def test_an_allow_has_exactly_these_headers() -> None:
    """The whole answer, in order: nothing else leaves."""
    assert answer(allowed()) == StartMessage(
        200,
        [
            (b"auth-reason", b"allowed"),
            (b"remote-user", b"Dave Lawson/Renovations"),
            (b"remote-dn", b"CN=Dave Lawson%2CO=Renovations"),
            (b"remote-name", b"Dave Lawson"),
            (b"remote-email", b"dave@renovations.com"),
            (b"remote-groups", b"Partners@Airius,Sales"),
            (b"remote-groups-omitted", b""),
            (b"remote-domain", b"Renovations"),
            (b"remote-database", b"sales.nsf"),
            (b"remote-access", b"Editor"),
            (b"remote-privileges", b"create_documents,delete_documents"),
            (b"remote-roles", b"Approver,Buyer"),
            (b"remote-auth-method", b"client-certificate"),
            (b"remote-certificate-sha256", hashlib.sha256(DAVE.der).hexdigest().encode()),
            (b"content-length", b"0"),
            (b"x-request-id", REQUEST_ID),
            (b"cache-control", b"private, no-store"),
        ],
        b"",
    )


def test_t13_an_anonymous_allow_carries_every_identity_header_too() -> None:
    message = answer(anonymous())
    values = dict(message.headers)
    assert (message.status, message.body) == (200, b"")
    assert sorted(NAMES) == sorted(name for name, _ in message.headers if name in NAMES)
    assert (values[b"remote-user"], values[b"remote-auth-method"]) == (b"Anonymous", b"anonymous")
    assert (values[b"remote-access"], values[b"remote-database"]) == (b"Reader", b"sales.nsf")
    empty = ("dn", "name", "email", "groups", "domain", "privileges", "roles", "certificate-sha256")
    assert dict.fromkeys(empty, "") == {part: header(message, f"remote-{part}") for part in empty}


def test_t13_an_allow_of_identity_alone_carries_every_identity_header_too() -> None:
    message = answer(allowed(access=None))
    assert sorted(NAMES) == sorted(name for name, _ in message.headers if name in NAMES)
    assert header(message, "Auth-Reason") == "allowed_identity"
    empty = ("database", "access", "privileges", "roles")
    assert dict.fromkeys(empty, "") == {part: header(message, f"remote-{part}") for part in empty}


@pytest.mark.parametrize("name", [FlatName(text="Dave"), read_name("dave@renovations.com")])
def test_a_name_that_is_no_distinguished_name_has_no_dn(name: FlatName) -> None:
    assert header(answer(allowed(replace(IDENTITY, name=name))), "Remote-Dn") == ""


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.status != 200])
def test_t14_no_refusal_carries_an_identity_header(reason: Reason) -> None:
    """Each code has its status; none of them is 200, none says who it would have been."""
    verdict = undecided(reason) if reason.status == 503 else denied(reason)
    for for_person in (False, True):
        message = answer(verdict, for_person=for_person)
        assert message.status == reason.status
        assert not {name for name, _ in message.headers} & set(NAMES)
        assert header(message, "Auth-Reason") == outward_reason(reason, expose=False)
        assert header(message, "Content-Length") == str(len(message.body))
        assert b"Dave" not in message.body
        assert b"what an administrator may know" not in message.body
        assert (b"www-authenticate" in dict(message.headers)) == (reason.status == 401)
        assert (b"retry-after" in dict(message.headers)) == (reason.status == 503)


def test_a_problem_document_has_exactly_these_members() -> None:
    message = answer(denied(Reason.ACL_LEVEL))
    assert header(message, "Content-Type") == "application/problem+json"
    assert json.loads(message.body) == {
        "type": "urn:authsvc:reason:acl_level",
        "title": "Your access level is too low",
        "status": 403,
        "reason": "acl_level",
        "request_id": REQUEST_ID.decode(),
    }


HIDDEN = [reason for reason in Reason if outward_reason(reason, expose=False) == HIDDEN_REASON]


@pytest.mark.parametrize("reason", HIDDEN)
@pytest.mark.parametrize("for_person", [False, True])
def test_t61_six_reasons_are_one_outside(reason: Reason, *, for_person: bool) -> None:
    """Byte for byte the same answer, whichever it is."""
    assert answer(denied(reason), for_person=for_person) == answer(denied(HIDDEN[0]), for_person=for_person)


def test_exposed_reasons_are_the_true_ones() -> None:
    message = answer(denied(Reason.NO_ENTRY), Responses(expose_reasons=True))
    assert header(message, "Auth-Reason") == "no_entry"
    assert json.loads(message.body)["reason"] == "no_entry"


def test_the_true_reason_stays_with_the_answer_for_the_record() -> None:
    assert Responses().answer(denied(Reason.NO_ENTRY)).reason is Reason.NO_ENTRY


def test_every_outward_code_has_a_title() -> None:
    codes = {outward_reason(reason, expose=expose) for reason in Reason for expose in (False, True)}
    assert codes == set(TITLES)


def test_a_bad_request_says_what_was_wrong() -> None:
    made = Responses().refuse(Reason.BAD_REQUEST, detail='expected a parameter, found `"<b>`')
    document = json.loads(made.message(REQUEST_ID, NO_STORE).body)
    assert document["detail"] == 'expected a parameter, found `"<b>`'


def test_tls_required_says_where_to_go() -> None:
    responses, verdict = Responses(), denied(Reason.TLS_REQUIRED)
    url = 'https://app.example/a?b=<"\r\nSet-Cookie: x=1>'
    document = responses.answer(verdict, https_url=url).message(REQUEST_ID, NO_STORE)
    page = responses.answer(verdict, https_url=url, for_person=True).message(REQUEST_ID, NO_STORE)
    expected = "https://app.example/a?b=%3C%22%0D%0ASet-Cookie:%20x=1%3E"
    assert [expected, expected] == [header(document, "Location"), header(page, "Location")]
    assert json.loads(document.body)["https_url"] == url
    assert b'href="https://app.example/a?b=&lt;&quot;' in page.body
    assert b"location" not in dict(answer(verdict, responses).headers)


def test_a_location_of_another_scheme_is_no_link() -> None:
    made = Responses().refuse(Reason.TLS_REQUIRED, for_person=True, https_url="javascript:alert(1)")
    assert b"href" not in made.message(REQUEST_ID, NO_STORE).body


def test_a_person_gets_a_plain_page_with_the_request_id() -> None:
    message = answer(denied(Reason.CERTIFICATE_EXPIRED), for_person=True)
    assert header(message, "Content-Type") == "text/html; charset=utf-8"
    assert b"<h1>The client certificate has expired</h1>" in message.body
    assert b"<code>" + REQUEST_ID + b"</code>" in message.body


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"TEXT/HTML;level=1;q=0.4", True),
        (b"application/json, text/html", True),
        (b"text/html;q=0", False),
        (b"text/html; q=0.000", False),
        (b"text/html;q=0.001", True),
        (b"*/*", False),
        (b"text/*", False),
        (b"application/json", False),
        (b"", False),
        (b"text/htmlx", False),
        (b"\xff;;,=", False),
    ],
)
def test_a_page_is_for_who_names_html(accept: bytes, *, expected: bool) -> None:
    assert expected is accepts_html(accept)


# --- the header budget -------------------------------------------------------------------------------------


def in_groups(count: int, length: int = 20) -> Identity:
    groups = tuple(
        GroupMembership(
            name=f"{number:0{length}d}", domain="R", type=GroupType.MULTI, primary=True, plain=True
        )
        for number in range(count)
    )
    return replace(IDENTITY, groups=groups)


def size_of(message: StartMessage) -> int:
    return sum(len(name) + len(value) + 4 for name, value in message.headers if name in NAMES)


def test_over_the_budget_groups_are_omitted_whole_and_counted() -> None:
    message = answer(allowed(in_groups(200)))
    assert (header(message, "Remote-Groups"), header(message, "Remote-Groups-Omitted")) == ("", "200")
    assert size_of(message) <= 3_500
    assert header(message, "Remote-User") == "Dave Lawson/Renovations"


def test_the_budget_may_be_filled_to_the_byte() -> None:
    identity = in_groups(20)
    size = size_of(answer(allowed(identity)))
    exact = answer(allowed(identity), Responses(header_budget=size))
    short = answer(allowed(identity), Responses(header_budget=size - 1))
    assert (len(header(exact, "Remote-Groups")), header(exact, "Remote-Groups-Omitted")) == (419, "")
    assert (header(short, "Remote-Groups"), header(short, "Remote-Groups-Omitted")) == ("", "20")


def test_what_does_not_fit_without_groups_is_undecided() -> None:
    """Cutting a name would make another identity, and a web server would turn the answer into a 500."""
    identity = replace(IDENTITY, display_name="x" * 4_000)
    message = answer(allowed(identity))
    assert (message.status, header(message, "Auth-Reason")) == (503, "expansion_limit")
    assert not {name for name, _ in message.headers} & set(NAMES)


def test_an_anonymous_allow_that_does_not_fit_is_undecided() -> None:
    verdict = replace(anonymous(), access=replace(ACCESS, roles=frozenset({"x" * 4_000})))
    assert answer(verdict).status == 503


# --- names of headers --------------------------------------------------------------------------------------


def test_headers_may_be_renamed() -> None:
    responses = Responses(identity_headers=IdentityHeaders.of({"Remote-User": "X-Auth-User"}))
    message = answer(allowed(), responses)
    assert header(message, "X-Auth-User") == "Dave Lawson/Renovations"
    assert b"remote-user" not in dict(message.headers)


@pytest.mark.parametrize(
    "renamed",
    [
        {"Remote-Foo": "X-A"},
        {"Remote-User": "X Auth"},
        {"Remote-User": "X_Auth"},
        {"Remote-User": "X-Auth\r\nX"},
        {"Remote-User": ""},
        {"Remote-User": "Content-Length"},
        {"Remote-User": "x-request-id"},
        {"Remote-User": "remote-dn"},
        {"Remote-User": "X-A", "Remote-Name": "x-a"},
    ],
    ids=str,
)
def test_a_name_that_is_not_free_is_refused(renamed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        IdentityHeaders.of(renamed)


def test_two_headers_may_change_places() -> None:
    names = IdentityHeaders.of({"Remote-User": "Remote-Name", "Remote-Name": "Remote-User"}).names
    assert (names[IdentityHeader.USER], names[IdentityHeader.NAME]) == (b"remote-name", b"remote-user")


def test_every_default_name_is_a_field_name() -> None:
    assert [field_name(name.value) for name in IdentityHeader] == NAMES


# --- readiness ---------------------------------------------------------------------------------------------


def test_the_same_verdict_is_built_once() -> None:
    responses, verdict = Responses(), allowed()
    assert responses.answer(verdict) is responses.answer(verdict)
    assert responses.answer(verdict) is not responses.answer(allowed())


def test_a_page_and_a_document_of_one_verdict_are_two_answers() -> None:
    responses, verdict = Responses(), denied(Reason.ACL_ROLE)
    assert responses.answer(verdict, for_person=True) is not responses.answer(verdict)


def test_t76_ready_answers_are_bounded() -> None:
    """Verdicts that come and go do not fill the memory, and never meet another's answer."""
    responses = Responses()
    for reason in [Reason.ACL_LEVEL, Reason.ACL_ROLE] * 2_100:
        assert responses.answer(denied(reason)).reason is reason
    assert len(responses._ready) == 4_096


@pytest.mark.parametrize(
    ("max_age", "seconds", "expected"),
    [
        (None, 60.0, b"private, no-store"),
        (5, 60.0, b"private, max-age=5"),
        (60, 60.0, b"private, max-age=60"),
        (61, 60.9, b"private, max-age=60"),
        (5, 1.0, b"private, max-age=1"),
        (5, 0.9, b"private, no-store"),
        (5, -1.0, b"private, no-store"),
    ],
)
def test_t16_answers_are_cached_only_where_it_is_said_and_never_past_their_end(
    max_age: int | None, seconds: float, expected: bytes
) -> None:
    assert expected == cache_control(max_age, seconds)


# --- the encoder -------------------------------------------------------------------------------------------

EXAMPLES = {
    "a name": ("Dave Lawson/Renovations", b"Dave Lawson/Renovations"),
    "a distinguished name": ("CN=Dave,O=Renovations", b"CN=Dave%2CO=Renovations"),
    "a percent sign": ("100%", b"100%25"),
    "an umlaut": ("Jürgen", b"J%C3%BCrgen"),
    "a character of four octets": ("\U0001f511", b"%F0%9F%94%91"),
    "a line end": ("a\r\nSet-Cookie: b", b"a%0D%0ASet-Cookie: b"),
    "a NUL and a delete": ("\0\x7f", b"%00%7F"),
    "a space at either end": (" a  ", b"%20a%20%20"),
    "only spaces": ("  ", b"%20%20"),
    "nothing": ("", b""),
    "an unpaired surrogate": ("\ud800", b"%ED%A0%80"),
}


@pytest.mark.parametrize(("text", "value"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_values_are_encoded_so(text: str, value: bytes) -> None:
    assert value == encode_value(text)


TEXTS = st.text(st.characters(), max_size=60)  # surrogates, controls and everything else


@given(text=TEXTS)
def test_t84_any_text_is_one_header_value_and_comes_back(text: str) -> None:
    value = encode_value(text)
    assert text == decode_value(value)
    assert value == value.strip()
    assert all(0x20 <= octet < 0x7F for octet in value)
    assert b"," not in value


@given(elements=st.lists(TEXTS.filter(bool)))
def test_t84_any_list_comes_back(elements: list[str]) -> None:
    assert tuple(elements) == decode_list(encode_list(elements))


@given(texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), groups=st.lists(TEXTS, max_size=4))
def test_t84_an_allow_of_any_identity_is_a_whole_answer(
    texts: tuple[str, str, str, str, str], groups: list[str]
) -> None:
    """Never a 500, never a second header, and every name comes back as it was."""
    user, name, mail, domain, role = texts
    identity = replace(
        IDENTITY,
        name=FlatName(text=user),
        display_name=name,
        mail=mail,
        domain=domain,
        groups=tuple(
            GroupMembership(name=group, domain="R", type=GroupType.MULTI, primary=True, plain=True)
            for group in groups
        ),
    )
    access = replace(ACCESS, roles=frozenset({role}))
    message = answer(allowed(identity, access))
    assert message.status == 200
    assert sorted(NAMES) == sorted(found for found, _ in message.headers if found in NAMES)
    assert (name, mail) == (
        decode_value(header(message, "Remote-Name").encode()),
        decode_value(header(message, "Remote-Email").encode()),
    )
    for _, value in message.headers:
        assert all(0x20 <= octet < 0x7F for octet in value)


@given(url=TEXTS)
def test_t84_any_url_is_one_header_value(url: str) -> None:
    assert all(0x20 < octet < 0x7F for octet in encode_url(url))


def test_the_escapes_of_a_url_stay() -> None:
    assert encode_url("https://a.example/%C3%BC?b=%20,c") == b"https://a.example/%C3%BC?b=%20,c"


def test_t14_an_allow_without_its_subject_cannot_be_made() -> None:
    with pytest.raises(AssertionError):
        Allowed(
            reason=Reason.ALLOWED,
            identity=None,
            access=ACCESS,
            certificate=None,
            revocation=None,
            valid_until=allowed().valid_until,
        )
