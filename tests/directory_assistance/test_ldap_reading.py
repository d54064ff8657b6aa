"""What a server sent about somebody: state, end and identifier of an account."""

from datetime import UTC, datetime

import pytest

from directory_assistance.backends.ldap.reading import ENTRY_ATTRIBUTES, read_entry
from directory_assistance.backends.ldap.session import FoundEntry
from directory_assistance.dn import read_ldap_dn
from directory_assistance.entry import Entry
from directory_assistance.errors import DirectoryAnswerMalformed

SID = bytes.fromhex("010500000000000515000000dcf4dc3b833d2b46828ba62800020000")


def read(**values: bytes | list[bytes]) -> Entry:
    found = FoundEntry(
        dn=b"CN=Dave,DC=airius,DC=test",
        values={
            name.lower(): tuple(value) if isinstance(value, list) else (value,)
            for name, value in values.items()
        },
    )
    return read_entry("Corp", found, name_attribute=None, compared=()).entry


def test_what_is_read_is_asked_for() -> None:
    """Operational attributes come only where they are listed."""
    assert {"accountExpires", "entryUUID", "nsUniqueId", "objectGUID", "userAccountControl"} <= set(
        ENTRY_ATTRIBUTES
    )


@pytest.mark.parametrize(
    ("control", "disabled"),
    [
        (b"512", False),
        (b"514", True),
        (b"528", False),
        (b"66048", False),
        (b"-2147483646", True),
        (b"2", True),
    ],
    ids=[
        "normal",
        "disabled",
        "locked out",
        "password never expires",
        "disabled, high bit",
        "disabled alone",
    ],
)
def test_t57_an_account_is_disabled_by_its_second_bit_and_not_by_a_lock_out(
    control: bytes, *, disabled: bool
) -> None:
    entry = read(objectSid=SID, userAccountControl=control, lockoutTime=b"133000000000000000")
    assert entry.disabled is disabled


def test_t57_an_account_whose_state_is_not_shown_is_disabled_and_a_contact_has_none() -> None:
    assert read(objectSid=SID).disabled
    assert not read(mail=b"contact@airius.test").disabled


@pytest.mark.parametrize(
    ("stored", "expires"),
    [
        ([], None),
        (b"0", None),
        (b"9223372036854775807", None),
        (b"133497504000000000", datetime(2024, 1, 15, tzinfo=UTC)),
        (b"1", datetime(1601, 1, 1, tzinfo=UTC)),
        (b"9223372036854775806", None),
        ([b"9223372036854775807", b"133497504000000000"], datetime(2024, 1, 15, tzinfo=UTC)),
        (b"-9223372036854775808", datetime(1601, 1, 1, tzinfo=UTC)),
    ],
)
def test_t57_an_account_expires_when_it_says_so(
    stored: bytes | list[bytes], expires: datetime | None
) -> None:
    assert read(accountExpires=stored).expires == expires


def test_an_end_that_is_no_number_is_malformed() -> None:
    with pytest.raises(DirectoryAnswerMalformed, match="expected an integer in `accountExpires`"):
        read(accountExpires=b"never")


@pytest.mark.parametrize(
    "values",
    [
        {"entryUUID": b"00112233-4455-6677-8899-AABBCCDDEEFF"},
        {"nsUniqueId": b"00112233-44556677-8899aabb-ccddeeff"},
        {"objectGUID": bytes.fromhex("33221100554477668899aabbccddeeff")},
        {
            "nsUniqueId": b"00112233-44556677-8899aabb-ccddeeff",
            "entryUUID": b"ffffffff-4455-6677-8899-aabbccddeeff",
        },
    ],
    ids=["OpenLDAP", "389-ds", "Active Directory", "389-ds with both"],
)
def test_what_stays_when_an_entry_is_renamed_is_one_text_on_every_server(values: dict[str, bytes]) -> None:
    assert read(**values).unique_id == "00112233-4455-6677-8899-aabbccddeeff"


def test_an_entry_without_such_an_identifier_has_none() -> None:
    assert read().unique_id is None


@pytest.mark.parametrize("values", [{"entryUUID": b"x"}, {"nsUniqueId": b""}, {"objectGUID": b"short"}])
def test_an_identifier_that_is_none_is_malformed(values: dict[str, bytes]) -> None:
    with pytest.raises(DirectoryAnswerMalformed, match="expected a universally unique identifier"):
        read(**values)


def test_identities_of_certificates_are_handed_on_and_weak_ones_left_out() -> None:
    entry = read(
        altSecurityIdentities=[
            b"X509:<I>O=Airius,CN=Root<SR>0102",
            b"X509:<SKI>0a0b",
            b"X509:<SHA1-PUKEY>50bf88e67522ab8ce093ce51830ab0bcf8ba7824",
            b"X509:<I>O=Airius,CN=Root<S>CN=Dave",
            b"X509:<S>CN=Dave",
            b"X509:<RFC822>dave@airius.test",
            b"Kerberos:dave@AIRIUS.TEST",
        ]
    )
    assert entry.issuer_serials == (
        (read_ldap_dn("CN=Root,O=Airius"), 0x0201),
        (read_ldap_dn("O=Airius,CN=Root"), 0x0201),
    )
    assert entry.subject_key_ids == (b"\x0a\x0b",)
