"""People and groups in the store: written as described, read back the same, found by the SQL directory."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select, update

from authsvc.store.certificates import (
    CertificateRecord,
    describe_certificate,
    find_warnings,
    read_certificate_file,
    read_pem,
    render_pem,
)
from authsvc.store.errors import ChangeRefused, NameRefused, NameTaken, NotStored, StoreMalformed
from authsvc.store.groups import create_group, delete_group, find_group, list_groups, replace_group
from authsvc.store.people import (
    add_certificate,
    create_person,
    delete_person,
    find_person,
    list_people,
    mark_certificate,
    remove_certificate,
    replace_person,
)
from authsvc.store.records import (
    LONGEST_NAME,
    LONGEST_TEXT,
    GroupRecord,
    PersonRecord,
    read_group_member,
    read_group_name,
    read_group_type,
    read_mail,
    read_person_name,
    read_text,
)
from authsvc.store.schema import open_reading, read_generation
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FindBy,
    IssuerSerialCandidate,
    SubjectCandidate,
    TextCandidate,
)
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import DistinguishedName, read_name, render_name
from directory_assistance.entry import GroupType
from directory_assistance.errors import CertificateSyntaxError
from directory_assistance.sql_tables import certificates, group_members, groups, people, person_names
from tests.support.pki import NOW, KeyKind, small_world
from tests.support.store import STORES, PersonDetails, changing, group, person, store_of

WORLD = small_world()
DAVE_CERTIFICATE = CertificateRecord.from_der(WORLD.dave.der)
OTHER_CERTIFICATE = CertificateRecord.from_der(WORLD.issuing.issue().der)


@pytest.fixture(params=STORES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    yield from store_of(request, tmp_path)


def _dave(**changes: Unpack[PersonDetails]) -> PersonRecord:
    details: PersonDetails = {
        "mail": "dave@renovations.com",
        "display_name": "Dave Lawson",
        "certificates": (DAVE_CERTIFICATE, OTHER_CERTIFICATE),
    }
    details.update(changes)
    return person("Dave Lawson/Renovations", "DLawson", "Dave L", **details)


def _create(engine: Engine, *records: PersonRecord | GroupRecord) -> None:
    with changing(engine) as change:
        for record in records:
            if isinstance(record, PersonRecord):
                create_person(change, record)
            else:
                create_group(change, record)


def _stored(engine: Engine) -> tuple[PersonRecord, ...]:
    with open_reading(engine) as connection:
        return list_people(connection)


# --- people


def test_a_person_is_read_back_as_written(engine: Engine) -> None:
    _create(engine, _dave())

    assert (_dave(),) == _stored(engine)
    with open_reading(engine) as connection:
        assert _dave() == find_person(connection, read_name("cn=dave  LAWSON,o=renovations"))
        assert find_person(connection, read_name("DLawson")) is None


@pytest.mark.parametrize(
    "candidate",
    [
        pytest.param(TextCandidate(find_by=FindBy.COMMON_NAME, text="dlawson"), id="by an alias"),
        pytest.param(TextCandidate(find_by=FindBy.COMMON_NAME, text="DAVE LAWSON"), id="by the common name"),
        pytest.param(TextCandidate(find_by=FindBy.MAIL, text="Dave@Renovations.com"), id="by mail"),
        pytest.param("subject", id="by the whole subject"),
        pytest.param("certificate", id="by the certificate"),
        pytest.param("issuer and serial", id="by issuer and serial number"),
    ],
)
def test_the_directory_finds_a_written_person(engine: Engine, candidate: Candidate | str) -> None:
    _create(engine, _dave(), person("Dave Other/Renovations"))
    names = read_certificate_names(WORLD.dave.der)
    own_name = read_name("Dave Lawson/Renovations")
    assert isinstance(own_name, DistinguishedName)
    by_word: dict[str, Candidate] = {
        "subject": SubjectCandidate(dn=own_name),
        "certificate": CertificateCandidate(der=names.der, issuer=names.issuer, serial=names.serial),
        "issuer and serial": IssuerSerialCandidate(issuer=names.issuer, serial=names.serial),
    }
    asked = by_word[candidate] if isinstance(candidate, str) else candidate

    found = SqlDirectory("Renovations", engine).find_entries(asked, limit=2, deadline=time.monotonic() + 5)

    assert ["Dave Lawson/Renovations"] == [render_name(entry.names[0]) for entry in found.entries]


def test_a_first_name_is_unique_in_its_directory_and_an_alias_is_not(engine: Engine) -> None:
    _create(engine, _dave(), person("Dora/Renovations", "DLawson", "Dave Lawson/Renovations"))

    with (
        pytest.raises(NameTaken, match="first name `dave lawson/RENOVATIONS` is already there"),
        changing(engine) as change,
    ):
        create_person(change, person("dave lawson/RENOVATIONS"))
    with pytest.raises(NameTaken, match="already there"), changing(engine) as change:
        replace_person(change, read_name("Dora/Renovations"), person("Dave Lawson/Renovations"))

    assert 2 == len(_stored(engine))


def test_one_certificate_may_belong_to_several_people(engine: Engine) -> None:
    _create(engine, _dave(), person("Dora/Renovations", certificates=[DAVE_CERTIFICATE]))

    assert [2, 1] == [len(one.certificates) for one in _stored(engine)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"mail": ""}, id="the mail"),
        pytest.param({"display_name": "D. L."}, id="the display name"),
        pytest.param({"disabled": True}, id="disabled"),
        pytest.param({"certificates": ()}, id="no certificate"),
        pytest.param({"certificates": (OTHER_CERTIFICATE,)}, id="one certificate less"),
        pytest.param(
            {"certificates": (CertificateRecord.from_der(WORLD.dave.der, revoked=True), OTHER_CERTIFICATE)},
            id="a mark",
        ),
    ],
)
def test_a_replaced_person_is_as_described(engine: Engine, changes: PersonDetails) -> None:
    _create(engine, _dave(), person("Dora/Renovations", certificates=[DAVE_CERTIFICATE]))

    with changing(engine) as change:
        replace_person(change, read_name("Dave Lawson/Renovations"), _dave(**changes))

    assert (_dave(**changes), person("Dora/Renovations", certificates=[DAVE_CERTIFICATE])) == _stored(engine)


def test_a_person_may_be_renamed_and_get_a_certificate_first(engine: Engine) -> None:
    _create(engine, person("Dave/Renovations"))
    renamed = person("David/Renovations", "Dave/Renovations", certificates=[DAVE_CERTIFICATE])

    with changing(engine) as change:
        replace_person(change, read_name("Dave/Renovations"), renamed)

    assert (renamed,) == _stored(engine)


def test_a_deleted_person_leaves_no_row(engine: Engine) -> None:
    _create(engine, _dave())

    with changing(engine) as change:
        delete_person(change, read_name("Dave Lawson/Renovations"))

    with open_reading(engine) as connection:
        for table in (people, person_names, certificates):
            assert [] == connection.execute(select(table)).all()


def test_certificates_are_added_marked_and_removed(engine: Engine) -> None:
    _create(engine, person("Dave/Renovations"))
    name, digest = read_name("Dave/Renovations"), DAVE_CERTIFICATE.sha256
    revoked = CertificateRecord.from_der(WORLD.dave.der, revoked=True)

    with changing(engine) as change:
        add_certificate(change, name, DAVE_CERTIFICATE)
        mark_certificate(change, name, digest, revoked=True)
    assert (revoked,) == _stored(engine)[0].certificates

    with changing(engine) as change:
        add_certificate(change, name, DAVE_CERTIFICATE)  # adding it again does not take the mark off
    assert (revoked,) == _stored(engine)[0].certificates

    with changing(engine) as change:
        mark_certificate(change, name, digest, revoked=False)
    assert (DAVE_CERTIFICATE,) == _stored(engine)[0].certificates

    with changing(engine) as change:
        remove_certificate(change, name, digest)
    assert () == _stored(engine)[0].certificates


def test_what_is_not_there_cannot_be_changed(engine: Engine) -> None:
    _create(engine, person("Dave/Renovations"))
    dave, nobody = read_name("Dave/Renovations"), read_name("Nobody/Renovations")

    with changing(engine) as change:
        attempts: list[Callable[[], None]] = [
            lambda: delete_person(change, nobody),
            lambda: replace_person(change, nobody, person("Nobody/Renovations")),
            lambda: add_certificate(change, nobody, DAVE_CERTIFICATE),
            lambda: mark_certificate(change, dave, DAVE_CERTIFICATE.sha256, revoked=True),
            lambda: remove_certificate(change, dave, DAVE_CERTIFICATE.sha256),
            lambda: delete_group(change, nobody),
            lambda: replace_group(change, nobody, group("Nobody")),
        ]
        for attempt in attempts:
            with pytest.raises(NotStored, match=r"no person has|has no certificate|there is no group"):
                attempt()


def test_people_are_listed_in_the_order_of_their_keys_page_by_page(engine: Engine) -> None:
    _create(
        engine, *(person(f"Person {number}/Zürich") for number in (3, 1, 2)), person("älter"), person("Zoe")
    )

    everybody = _stored(engine)
    with open_reading(engine) as connection:
        first = list_people(connection, limit=2)
        second = list_people(connection, after=first[-1].key, limit=2)
        third = list_people(connection, after=second[-1].key, limit=2)

    assert sorted(one.key for one in everybody) == [one.key for one in everybody]
    assert everybody == (*first, *second, *third)
    assert [2, 2, 1] == [len(first), len(second), len(third)]


def test_each_change_moves_the_generation_by_one(engine: Engine) -> None:
    with open_reading(engine) as connection:
        before = read_generation(connection)

    _create(engine, person("Dave/Renovations"))

    with open_reading(engine) as connection:
        assert before + 1 == read_generation(connection)


@pytest.mark.parametrize("damage", ["name", "no names"])
def test_a_damaged_row_is_a_fault_and_not_a_missing_person(engine: Engine, damage: str) -> None:
    _create(engine, person("Dave/Renovations"))
    with engine.begin() as connection:
        if damage == "name":
            connection.execute(update(person_names).values(text="="))
        else:
            connection.execute(person_names.delete())

    with pytest.raises(StoreMalformed):
        _stored(engine)


# --- names


@pytest.mark.parametrize(
    "text",
    [
        "Anonymous",
        "-Default-",
        "anonymous ",
        "*/Renovations",
        "Dave*/Renovations",
        "*",
        "",
        "  ",
        "a\x00b",
        "/x",
    ],
)
def test_reserved_and_unreadable_names_belong_to_no_person_and_no_group(text: str) -> None:
    for read in (read_person_name, read_group_name):
        with pytest.raises(NameRefused):
            read(text)


@pytest.mark.parametrize("text", ["Anonymous", "-Default-", "*", "a*/Acme", "", "a\x00b"])
def test_reserved_and_unreadable_names_are_no_member(text: str) -> None:
    with pytest.raises(NameRefused):
        read_group_member(text)


def test_a_wildcard_is_a_member() -> None:
    assert group("Sales", "*/West/Acme") == group("Sales", "*/OU=West/O=ACME", "*/west/acme")


def test_names_and_texts_have_a_length() -> None:
    assert LONGEST_NAME == len(render_name(read_person_name("x" * LONGEST_NAME)))
    assert "x" * LONGEST_TEXT == read_text("x" * LONGEST_TEXT)
    read_group_member("x" * LONGEST_NAME)
    for read, longest in (
        (read_person_name, LONGEST_NAME),
        (read_group_member, LONGEST_NAME),
        (read_text, LONGEST_TEXT),
    ):
        with pytest.raises(NameRefused, match="at most 1000 characters"):
            read("x" * (longest + 1))


@pytest.mark.parametrize(
    "text", ["dave", "@renovations.com", "dave@", "da ve@x.org", "dave@x.org\n", "\x00@x", "@"]
)
def test_what_is_no_mail_address_is_refused(text: str) -> None:
    with pytest.raises(NameRefused):
        read_mail(text)


@pytest.mark.parametrize("text", ["", "dave@renovations.com", '"odd@local"@x.org', "dävë@rénovations.com"])
def test_a_mail_address_is_taken_as_it_is(text: str) -> None:
    assert text == read_mail(text)


@pytest.mark.parametrize("text", ["multi", "acl", "servers", "deny", "mail"])
def test_every_type_of_group_is_read_by_its_word(text: str) -> None:
    assert text == read_group_type(text).value


def test_another_type_of_group_is_refused_with_the_types_there_are() -> None:
    with pytest.raises(
        NameRefused, match=r"expected a type \(multi, acl, servers, deny, mail\), found `Multi`"
    ):
        read_group_type("Multi")


def test_a_person_without_a_name_is_refused() -> None:
    with pytest.raises(NameRefused, match="needs a name"):
        person()


def test_a_name_or_certificate_that_stands_twice_counts_once() -> None:
    assert person("A/B", "a", certificates=[DAVE_CERTIFICATE]) == person(
        "A/B", "a", "A", "a/b", certificates=[DAVE_CERTIFICATE, DAVE_CERTIFICATE]
    )


@pytest.mark.parametrize("kind", [GroupType.MULTI, GroupType.ACL, GroupType.SERVERS])
def test_t64_a_group_that_counts_for_acls_cannot_be_called_like_a_group_of_a_domain(kind: GroupType) -> None:
    with pytest.raises(NameRefused, match="an ACL would read it as a group of another domain"):
        group("Sales@Airius", type=kind)


@pytest.mark.parametrize("kind", [GroupType.MAIL, GroupType.DENY])
def test_a_group_that_does_not_count_for_acls_may_be_called_like_a_mail_address(kind: GroupType) -> None:
    assert "all@renovations.com" == group("all@renovations.com", type=kind).shown_name


@given(st.text())
@settings(deadline=None)
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    for read in (read_person_name, read_group_name):
        try:
            name = read(text)
        except ChangeRefused:
            continue
        assert name == read(render_name(name))


# --- groups


def test_a_group_is_read_back_as_written(engine: Engine) -> None:
    sales = group("Sales", "Dave Lawson/Renovations", "*/West/Acme", "Managers", type=GroupType.ACL)
    _create(engine, sales, group("Empty"))

    with open_reading(engine) as connection:
        assert (group("Empty"), sales) == list_groups(connection)
        assert sales == find_group(connection, read_name("SALES"))
        assert find_group(connection, read_name("Marketing")) is None


def test_a_group_name_is_unique_in_its_directory_and_a_person_may_have_it_too(engine: Engine) -> None:
    _create(engine, group("Sales"), group("Marketing"), person("Sales"))

    with pytest.raises(NameTaken, match="a group `sales` is already there"), changing(engine) as change:
        create_group(change, group("sales"))
    with pytest.raises(NameTaken, match="a group `sales` is already there"), changing(engine) as change:
        replace_group(change, read_name("Marketing"), group("sales"))


def test_a_replaced_group_is_as_described_and_a_deleted_one_is_gone(engine: Engine) -> None:
    _create(engine, group("Sales", "A/Acme", "B/Acme"), group("Other", "A/Acme"))
    renamed = group("SALES", "B/Acme", "C/Acme", type=GroupType.DENY)

    with changing(engine) as change:
        replace_group(change, read_name("Sales"), renamed)
        delete_group(change, read_name("Other"))

    with open_reading(engine) as connection:
        assert (renamed,) == list_groups(connection)
        assert "SALES" == list_groups(connection)[0].shown_name
        assert 2 == len(connection.execute(select(group_members)).all())


def test_the_directory_finds_the_groups_of_a_member_and_nests_hierarchical_groups(engine: Engine) -> None:
    _create(engine, group("Sales/Acme", "Dave/Acme"), group("Everybody", "Sales/Acme"))
    directory = SqlDirectory("Renovations", engine)
    deadline = time.monotonic() + 5

    direct = directory.find_groups([read_name("dave/ACME")], deadline=deadline)
    around = directory.find_groups([one.reference for one in direct], deadline=deadline)

    assert [["Sales/Acme"], ["Everybody"]] == [[one.name for one in found] for found in (direct, around)]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"name": "=", "name_key": "x", "type": "multi"}, id="a name that cannot be read"),
        pytest.param({"name": "x", "name_key": "x", "type": "club"}, id="a type that there is not"),
        pytest.param({"name": "a@b", "name_key": "x", "type": "acl"}, id="a name that would change hands"),
    ],
)
def test_a_damaged_group_is_a_fault_and_not_a_missing_group(engine: Engine, values: dict[str, str]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(groups).values(values))

    with (
        pytest.raises(StoreMalformed, match="a stored group cannot be read"),
        open_reading(engine) as connection,
    ):
        list_groups(connection)


# --- certificates


def test_pem_reads_back_as_it_was_printed() -> None:
    assert WORLD.dave.der == read_pem(render_pem(WORLD.dave.der))
    assert WORLD.dave.der == read_certificate_file(
        b"subject: somebody\n" + render_pem(WORLD.dave.der).encode()
    )
    assert WORLD.dave.der == read_certificate_file(WORLD.dave.der)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "expected one PEM block, found 0", id="nothing"),
        pytest.param(render_pem(b"x") * 2, "expected one PEM block, found 2", id="two"),
        pytest.param(render_pem(b"x") + "-----BEGIN CERTIFICATE-----", "found 2", id="one and a half"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n", "found 1", id="one without an end"),
        pytest.param(
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            "expected a PEM block `CERTIFICATE`, found `PRIVATE KEY`",
            id="a private key",
        ),
        pytest.param("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "base64", id="no base64"),
        pytest.param("-----BEGIN CERTIFICATE-----\nä\n-----END CERTIFICATE-----", "base64", id="no ASCII"),
    ],
)
def test_what_is_not_one_certificate_in_pem_is_refused(text: str, problem: str) -> None:
    with pytest.raises(CertificateSyntaxError, match=problem):
        read_pem(text)


def test_octets_that_are_no_certificate_cannot_be_stored() -> None:
    for octets in (b"", b"x", WORLD.dave.der[:-1], WORLD.dave.der + b"\x00"):
        with pytest.raises(CertificateSyntaxError):
            CertificateRecord.from_der(octets)


def test_a_correct_certificate_gives_no_warning() -> None:
    assert () == find_warnings(WORLD.dave.der, NOW)


def test_a_certificate_that_cannot_be_read_is_described_by_its_digest_and_warned_of() -> None:
    assert "unreadable (sha256 2d711642b726b044…)" == describe_certificate(b"x")
    assert ["cannot be presented"] == [text[:19] for text in find_warnings(b"x", NOW)]


def test_a_weak_certificate_an_authority_and_an_expired_one_are_warned_of() -> None:
    weak = WORLD.issuing.issue(key=KeyKind.RSA_1024)

    assert "RSA key of at least 2048 bits" in " ".join(find_warnings(weak.der, NOW))
    assert "certification authority" in " ".join(find_warnings(WORLD.issuing.der, NOW))
    last = WORLD.dave.certificate.not_valid_after_utc
    assert () == find_warnings(WORLD.dave.der, last)
    assert "expired at" in " ".join(find_warnings(WORLD.dave.der, last + timedelta(seconds=1)))
