"""LDAP messages: what is sent is what another implementation would send, what comes back is read strictly."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from pyasn1.codec.ber import encoder

from directory_assistance.backends.ldap.messages import (
    UNBIND,
    Control,
    FoundEntry,
    Message,
    MessageSyntaxError,
    Result,
    SearchRequest,
    cut_message,
    length_wanted,
    read_entry_message,
    read_message,
    read_reference_message,
    read_result_message,
    write_element,
    write_filter,
    write_integer,
    write_search,
)
from directory_assistance.errors import NameSyntaxError
from directory_assistance.filters import (
    And,
    Comparison,
    Equality,
    Extensible,
    Filter,
    Not,
    Operator,
    Or,
    Present,
    Substring,
    render_filter,
)

NAMES = st.sampled_from(["cn", "mail", "userCertificate;binary", "2.5.4.3"])
VALUES = st.text(st.characters(), max_size=12) | st.binary(max_size=12)
PIECES = st.text(st.characters(), min_size=1, max_size=6)

LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equality, attribute=NAMES, value=VALUES),
    st.builds(Comparison, attribute=NAMES, operator=st.sampled_from(Operator), value=VALUES),
    st.builds(Substring, attribute=NAMES, initial=PIECES, middle=st.tuples(PIECES), final=PIECES),
    st.builds(Substring, attribute=NAMES, initial=PIECES),
    st.builds(Substring, attribute=NAMES, final=PIECES),
    st.builds(
        Extensible, attribute=NAMES, rule=st.sampled_from(["", "2.5.13.2", "caseIgnoreMatch"]), value=VALUES
    ),
    st.builds(Present, attribute=NAMES),
)


def _nested(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.builds(And, parts=several) | st.builds(Or, parts=several) | st.builds(Not, part=parts)


FILTERS = st.recursive(LEAVES, _nested, max_leaves=6)


def as_ldap3_writes(text: str) -> bytes:
    """Encode the text of a filter as ldap3 does; its functions are untyped."""
    tree = parse_filter(  # type: ignore[no-untyped-call]
        text, None, auto_escape=False, auto_encode=False, validator=None, check_names=False
    )
    encoded: bytes = encoder.encode(compile_filter(tree.elements[0]))  # type: ignore[no-untyped-call]
    return encoded


@given(node=FILTERS)
def test_t44_a_filter_is_sent_as_ldap3_sends_its_text(node: Filter) -> None:
    """Two ways to the wire, one by escaped text and one without any, agree octet by octet."""
    assert write_filter(node) == as_ldap3_writes(render_filter(node))


NO_FILTERS: list[Filter] = [
    And(parts=()),
    Or(parts=()),
    Not(part=Or(parts=())),
    Substring(attribute="cn"),
    Substring(attribute="cn", middle=("",)),
    Extensible(value="x"),
    Extensible(rule="2.5.13.2)(", value="x"),
    Equality(attribute="cn)(x", value="x"),
    Present(attribute=""),
]


@pytest.mark.parametrize("node", NO_FILTERS, ids=str)
def test_a_filter_that_would_be_true_of_everybody_or_is_none_is_not_sent(node: Filter) -> None:
    with pytest.raises(NameSyntaxError):
        write_filter(node)
    with pytest.raises(NameSyntaxError):
        render_filter(node)


def test_a_rule_for_every_attribute_of_the_name_is_sent_whole() -> None:
    node = Extensible(rule="2.5.13.2", value="x", dn_attributes=True)
    assert write_filter(node).hex() == "a9108108322e352e31332e328301788401ff"


def test_a_search_is_sent_with_its_controls() -> None:
    request = SearchRequest(
        base="o=x", scope="BASE", filter=Present(attribute="cn"), attributes=("cn", "mail"), size_limit=300
    )
    controls = (
        Control(oid="1.2", critical=True, value=b"v"),
        Control(oid="1.3", critical=False),
    )
    operation = "632504036f3d780a01000a01000202012c0201050101008702636e"
    attributes = "300a0402636e04046d61696c"
    listed = "a014300b0403312e320101ff04017630050403312e33"
    expected = bytes.fromhex("3041020200c8" + operation + attributes + listed)
    assert write_search(200, request, time_limit_seconds=5, controls=controls) == expected


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, "0400"),
        (1, "0401"),
        (127, "047f"),
        (128, "048180"),
        (255, "0481ff"),
        (256, "04820100"),
        (65_535, "0482ffff"),
        (65_536, "0483010000"),
    ],
)
def test_a_length_is_written_in_its_shortest_form(length: int, head: str) -> None:
    assert write_element(0x04, bytes(length)) == bytes.fromhex(head) + bytes(length)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (255, "020200ff"),
        (256, "02020100"),
        (32_767, "02027fff"),
        (32_768, "0203008000"),
        (2**31 - 1, "02047fffffff"),
    ],
)
def test_an_integer_is_written_without_a_sign_and_without_an_octet_too_many(
    value: int, expected: str
) -> None:
    assert write_integer(value) == bytes.fromhex(expected)


def test_a_search_below_a_base_is_sent_without_controls_and_with_any_base() -> None:
    request = SearchRequest(
        base="o=\ud800", scope="SUBTREE", filter=Present(attribute="cn"), attributes=(), size_limit=0
    )
    operation = "631c04056f3deda0800a01020a01000201000201050101008702636e3000"
    assert write_search(7, request, time_limit_seconds=5) == bytes.fromhex("3021020107" + operation)


# --- reading


def octet_string(value: bytes) -> bytes:
    return write_element(0x04, value)


def attribute(name: bytes, *values: bytes) -> bytes:
    return write_element(0x30, octet_string(name) + write_element(0x31, b"".join(map(octet_string, values))))


def entry(dn: bytes, *attributes: bytes) -> bytes:
    return octet_string(dn) + write_element(0x30, b"".join(attributes))


def long_lengths(octets: bytes) -> bytes:
    """Return one element, and nothing inside, with its length in four octets, as Active Directory writes it."""
    content = octets[2:]
    return octets[:1] + b"\x84" + len(content).to_bytes(4, "big") + content


def test_an_entry_is_read_as_it_was_sent_with_descriptions_in_lower_case() -> None:
    content = entry(b"cn=x", attribute(b"CN", b"x", b"\xff"), attribute(b"mail"), attribute(b"cn", b"y"))
    expected = FoundEntry(dn=b"cn=x", values={"cn": (b"x", b"\xff", b"y"), "mail": ()})
    assert read_entry_message(content) == expected


def test_lengths_may_be_longer_than_they_need_to_be() -> None:
    content = long_lengths(octet_string(b"cn=x")) + long_lengths(write_element(0x30, attribute(b"cn", b"x")))
    assert read_entry_message(content) == FoundEntry(dn=b"cn=x", values={"cn": (b"x",)})
    message = write_element(0x30, write_integer(7) + write_element(0x64, content))
    assert read_message(long_lengths(message)).content == content


def test_a_message_is_read_with_its_controls() -> None:
    control = write_element(0x30, octet_string(b"1.2") + b"\x01\x01\xff" + octet_string(b"v"))
    bare = write_element(0x30, octet_string(b"1.3"))
    octets = write_element(
        0x30, write_integer(9) + write_element(0x65, b"x") + write_element(0xA0, control + bare)
    )
    assert read_message(octets) == Message(
        message_id=9, tag=0x65, content=b"x", controls={"1.2": b"v", "1.3": b""}
    )


def test_a_result_and_references_are_read() -> None:
    content = write_integer(10, 0x0A) + octet_string(b"o=x") + octet_string("nö".encode()) + b"\xa3\x00"
    assert read_result_message(content) == Result(code=10, matched_dn="o=x", message="nö")
    assert read_reference_message(octet_string(b"ldap://a/") + octet_string(b"ldap://b/")) == (
        "ldap://a/",
        "ldap://b/",
    )


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_message_is_awaited_until_all_of_it_is_there(cut: int) -> None:
    octets = bytes.fromhex("3084000000030201")  # three octets of content are announced
    assert cut_message(octets[:cut], 0) is None
    assert length_wanted(octets[:cut], 0) == (9 if cut >= 6 else 0)
    assert cut_message(octets + b"\x05", 0) == 9
    assert cut_message(octets + b"\x05next", 0) == 9


def test_short_lengths_are_awaited_too() -> None:
    assert (cut_message(b"\x30\x02\x05", 0), length_wanted(b"\x30\x02\x05", 0)) == (None, 4)
    assert cut_message(b"xx\x30\x02\x05\x00", 2) == 6


NOT_MESSAGES: list[tuple[str, Callable[[], object]]] = [
    ("another tag", lambda: cut_message(b"HTTP", 0)),
    ("an indefinite length", lambda: cut_message(b"\x30\x80\0\0", 0)),
    ("a length of five octets", lambda: cut_message(b"\x30\x85\1\1\1\1\1", 0)),
    ("an element cut off", lambda: read_message(b"\x30\x02\x02")),
    ("octets left over", lambda: read_message(b"\x30\x05\x02\x01\x01\x42\x00x")),
    ("no operation", lambda: read_message(b"\x30\x03\x02\x01\x01")),
    ("an id of six octets", lambda: read_message(bytes.fromhex("300a02060101010101014200"))),
    ("an id that is none", lambda: read_message(bytes.fromhex("30050401014200"))),
    (
        "something after the operation that is no controls",
        lambda: read_message(bytes.fromhex("300702010142000400")),
    ),
    ("controls that are none", lambda: read_message(bytes.fromhex("30090201014200a0020400"))),
    ("an inner length beyond the message", lambda: read_message(bytes.fromhex("30050201014201"))),
    ("an inner indefinite length", lambda: read_message(bytes.fromhex("30050201014280"))),
    ("an inner element without a length", lambda: read_message(bytes.fromhex("300402010142"))),
    ("an entry of nothing", lambda: read_entry_message(b"")),
    ("an entry without attributes", lambda: read_entry_message(octet_string(b"cn=x"))),
    ("an entry with more than attributes", lambda: read_entry_message(entry(b"cn=x") + b"\x04\x00")),
    ("an attribute that is none", lambda: read_entry_message(entry(b"cn=x", octet_string(b"cn")))),
    ("an attribute without a description", lambda: read_entry_message(entry(b"cn=x", b"\x30\x00"))),
    (
        "an attribute without values",
        lambda: read_entry_message(entry(b"cn=x", write_element(0x30, octet_string(b"cn")))),
    ),
    (
        "an attribute with more than values",
        lambda: read_entry_message(
            entry(b"cn=x", write_element(0x30, octet_string(b"cn") + b"\x31\x00\x04\x00"))
        ),
    ),
    (
        "a value of another type",
        lambda: read_entry_message(
            entry(b"cn=x", write_element(0x30, octet_string(b"cn") + b"\x31\x02\x02\x00"))
        ),
    ),
    ("a reference to nowhere", lambda: read_reference_message(b"")),
    ("a reference that is no address", lambda: read_reference_message(b"\x02\x00")),
    ("a result without a code", lambda: read_result_message(octet_string(b"") * 3)),
    ("a result that is cut off", lambda: read_result_message(write_integer(0, 0x0A))),
]


@pytest.mark.parametrize("read", [case[1] for case in NOT_MESSAGES], ids=[case[0] for case in NOT_MESSAGES])
def test_what_is_no_ldap_is_named(read: Callable[[], object]) -> None:
    with pytest.raises(MessageSyntaxError):
        read()


@given(octets=st.binary(max_size=60))
def test_whatever_is_received_is_a_message_or_none(octets: bytes) -> None:
    for read in (read_message, read_entry_message, read_reference_message, read_result_message):
        try:
            read(octets)
        except MessageSyntaxError:
            continue


@given(octets=st.data())
def test_a_damaged_entry_is_read_or_refused_and_never_reaches_beyond_itself(octets: st.DataObject) -> None:
    content = bytearray(entry(b"cn=x", attribute(b"cn", b"x", b"y"), attribute(b"mail", b"a@b")))
    at = octets.draw(st.integers(0, len(content) - 1))
    content[at] = octets.draw(st.integers(0, 255))
    try:
        found = read_entry_message(bytes(content))
    except MessageSyntaxError:
        return
    assert sum(len(value) for values in found.values.values() for value in values) <= len(content)


def test_good_bye_is_an_unbind_request() -> None:
    assert read_message(UNBIND) == Message(message_id=1, tag=0x42, content=b"", controls={})
