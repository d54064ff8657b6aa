"""What only an SQL directory does: statements, keys, rows that cannot be read, limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, update

from directory_assistance.backends import sql as sql_module
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import CertificateCandidate, FindBy, SubjectCandidate, TextCandidate
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import FlatName, InternetName, read_ldap_dn, read_name
from directory_assistance.entry import GroupType
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
    NameSyntaxError,
)
from directory_assistance.sql_tables import certificates, groups, people, person_names
from directory_assistance.sql_values import (
    certificate_values,
    common_name_key,
    group_key,
    member_key,
    name_key,
    serial_text,
    text_key,
)
from tests.support.directories import (
    DAVE,
    DAVE_OLD,
    DOMAIN,
    Person,
    add_group,
    add_person,
    deadline,
    postgresql_engine,
    sql_engine,
)
from tests.support.postgresql import PostgresqlServer

DAVE_PERSON = Person(dn="CN=Dave Lawson,O=Acme", mail="dave@acme.com", holds=(DAVE, DAVE_OLD))
DAVE_CN = TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave Lawson")
DAVE_READ = read_certificate_names(DAVE.der)
DAVE_CERTIFICATE = CertificateCandidate(der=DAVE.der, issuer=DAVE_READ.issuer, serial=DAVE_READ.serial)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "SQLite":
        opened = sql_engine(tmp_path)
        add_person(opened, DAVE_PERSON)
        yield opened
        opened.dispose()
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.database() as url:
        opened = postgresql_engine(url)
        add_person(opened, DAVE_PERSON)
        yield opened
        opened.dispose()


@pytest.fixture
def directory(engine: Engine) -> SqlDirectory:
    return SqlDirectory(DOMAIN, engine)


@contextmanager
def listening(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that reach the database."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def test_a_look_up_is_two_reading_statements_and_one_where_nobody_is_found(
    engine: Engine, directory: SqlDirectory
) -> None:
    with listening(engine) as statements:
        assert len(directory.find_entries(DAVE_CERTIFICATE, limit=2, deadline=deadline()).entries) == 1
        assert len(statements) == 2
        directory.find_entries(SubjectCandidate(dn=read_ldap_dn("CN=Nobody")), limit=2, deadline=deadline())
        assert len(statements) == 3
        directory.find_groups([FlatName(text="x")], deadline=deadline())
        directory.holds_name(FlatName(text="x"), deadline=deadline())
        directory.holds_group("x", deadline=deadline())
        directory.check(deadline=deadline())
        assert len(statements) == 7
    assert {statement.split()[0] for statement in statements} == {"SELECT"}


def test_no_connection_and_no_transaction_is_held_between_look_ups(
    engine: Engine, directory: SqlDirectory
) -> None:
    """A writer must not wait for us, and we must see what it wrote."""
    directory.find_entries(DAVE_CN, limit=2, deadline=deadline())
    with engine.begin() as connection:
        connection.execute(update(people).values(disabled=True))
    (entry,) = directory.find_entries(DAVE_CN, limit=2, deadline=deadline()).entries
    assert entry.disabled


def test_names_come_in_their_order_and_the_first_is_the_identity(
    engine: Engine, directory: SqlDirectory
) -> None:
    add_person(engine, Person(dn="CN=Alan Jones,O=Acme", aliases=("Z", "A", "M")))
    (entry,) = directory.find_entries(
        TextCandidate(find_by=FindBy.COMMON_NAME, text="m"), limit=2, deadline=deadline()
    ).entries
    assert entry.names == (read_ldap_dn("CN=Alan Jones,O=Acme"), *(FlatName(text=each) for each in "ZAM"))


def test_a_person_found_by_two_names_counts_once(engine: Engine, directory: SqlDirectory) -> None:
    add_person(engine, Person(dn="CN=Twice,O=Acme", aliases=("Twice",)))
    found = directory.find_entries(
        TextCandidate(find_by=FindBy.COMMON_NAME, text="twice"), limit=1, deadline=deadline()
    )
    assert (len(found.entries), found.exceeded) == (1, False)


def test_a_stored_mark_of_revocation_is_handed_on(engine: Engine, directory: SqlDirectory) -> None:
    with engine.begin() as connection:
        connection.execute(update(certificates).where(certificates.c.der == DAVE.der).values(revoked=True))
    (entry,) = directory.find_entries(DAVE_CERTIFICATE, limit=2, deadline=deadline()).entries
    assert {stored.der: stored.revoked for stored in entry.certificates} == {
        DAVE.der: True,
        DAVE_OLD.der: False,
    }


def test_a_digest_beside_another_certificate_finds_nobody(engine: Engine, directory: SqlDirectory) -> None:
    """The digest only finds; what counts are the octets."""
    with engine.begin() as connection:
        connection.execute(update(certificates).values(der=b"something else"))
    assert directory.find_entries(DAVE_CERTIFICATE, limit=2, deadline=deadline()).entries == ()


def test_octets_that_are_no_certificate_are_handed_on_and_found_by_their_digest(
    engine: Engine, directory: SqlDirectory
) -> None:
    person_id = add_person(engine, Person(dn="CN=Junk,O=Acme"))
    values = certificate_values(b"junk")
    assert (values.issuer_key, values.serial, values.subject_key_id) == ("", "", None)
    with engine.begin() as connection:
        connection.execute(
            certificates.insert().values(
                person_id=person_id,
                der=b"junk",
                sha256=values.sha256,
                issuer_key="",
                serial="",
                revoked=False,
            )
        )
    junk = CertificateCandidate(der=b"junk", issuer=DAVE_READ.issuer, serial=1)
    (entry,) = directory.find_entries(junk, limit=2, deadline=deadline()).entries
    assert [stored.der for stored in entry.certificates] == [b"junk"]


MALFORMED = [
    ("a name that cannot be read", update(person_names).values(text="CN=")),
    ("a person without a name", delete(person_names)),
]


@pytest.mark.parametrize("damage", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_row_that_cannot_be_read_is_a_fault(
    engine: Engine, directory: SqlDirectory, damage: object
) -> None:
    with engine.begin() as connection:
        connection.execute(damage)  # type: ignore[call-overload]  # a statement
    with pytest.raises(DirectoryAnswerMalformed):
        directory.find_entries(DAVE_CERTIFICATE, limit=2, deadline=deadline())


@pytest.mark.parametrize("column", ["type", "name"])
def test_a_group_that_cannot_be_read_is_a_fault(engine: Engine, directory: SqlDirectory, column: str) -> None:
    dave = read_ldap_dn(DAVE_PERSON.dn)
    add_group(engine, "Sales", [dave])
    with engine.begin() as connection:
        connection.execute(update(groups).values({column: "CN="}))
    with pytest.raises(DirectoryAnswerMalformed, match="the stored group"):
        directory.find_groups([dave], deadline=deadline())


def test_groups_have_their_type_and_lead_on_by_their_name(engine: Engine, directory: SqlDirectory) -> None:
    """A group's name may be hierarchical; it is listed as it is read."""
    dave = read_ldap_dn(DAVE_PERSON.dn)
    add_group(engine, "Leavers/Acme", [dave], "deny")
    (leavers,) = directory.find_groups([dave], deadline=deadline())
    assert (leavers.name, leavers.type, leavers.reference) == (
        "Leavers/Acme",
        GroupType.DENY,
        read_name("CN=Leavers/O=Acme"),
    )
    add_group(engine, "Nested", [leavers.reference])
    assert [each.name for each in directory.find_groups([leavers.reference], deadline=deadline())] == [
        "Nested"
    ]
    assert directory.holds_group("leavers/ACME", deadline=deadline())


def test_t63_more_groups_than_the_limit_are_a_fault_and_not_a_part(
    engine: Engine, directory: SqlDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    dave = read_ldap_dn(DAVE_PERSON.dn)
    for name in ("A", "B"):
        add_group(engine, name, [dave])
    monkeypatch.setattr(sql_module, "MOST_GROUPS", 2)
    assert len(directory.find_groups([dave], deadline=deadline())) == 2
    monkeypatch.setattr(sql_module, "MOST_GROUPS", 1)
    with pytest.raises(ExpansionLimitExceeded):
        directory.find_groups([dave], deadline=deadline())


def test_more_certificates_than_the_limit_are_a_fault_and_not_a_part(
    directory: SqlDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_module, "MOST_CERTIFICATES", 2)
    assert directory.find_entries(DAVE_CN, limit=2, deadline=deadline()).entries
    monkeypatch.setattr(sql_module, "MOST_CERTIFICATES", 1)
    with pytest.raises(DirectoryAnswerMalformed, match="more than 1 certificates"):
        directory.find_entries(DAVE_CN, limit=2, deadline=deadline())


def test_more_names_than_the_limit_are_exceeded_and_not_a_part(
    engine: Engine, directory: SqlDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_person(engine, Person(dn="CN=Many,O=Acme", aliases=("M1", "M2")))
    many = TextCandidate(find_by=FindBy.COMMON_NAME, text="Many")
    monkeypatch.setattr(sql_module, "_MOST_NAMES", 3)
    assert len(directory.find_entries(many, limit=2, deadline=deadline()).entries) == 1
    monkeypatch.setattr(sql_module, "_MOST_NAMES", 2)
    found = directory.find_entries(many, limit=2, deadline=deadline())
    assert (found.exceeded, found.entries) == (True, ())


def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path) -> None:
    directory = SqlDirectory(DOMAIN, sql_engine(tmp_path))
    directory.close()
    for file in tmp_path.glob("directory.db*"):
        file.write_bytes(b"not a database " * 1000)
    broken = SqlDirectory(DOMAIN, directory._engine)
    with pytest.raises(DirectoryUnavailable, match="not a database") as caught:
        broken.check(deadline=deadline())
    assert "SELECT" not in caught.value.problem
    broken.close()


# --- keys


@given(first=st.text(max_size=12), second=st.text(max_size=12))
def test_texts_have_the_same_key_when_they_compare_equal_as_names(first: str, second: str) -> None:
    assert text_key(first.upper().upper()) == text_key(first.upper())
    if text_key(first) and text_key(first) == text_key(second):
        assert name_key(FlatName(text=first)) == name_key(FlatName(text=second))


@given(text=st.text())
def test_a_key_can_be_stored_in_every_database(text: str) -> None:
    key = text_key(text)
    assert "\0" not in key
    assert key.encode() or key == ""


@pytest.mark.parametrize("text", ["", " ", "\u200b", "a\0", "a\ud800", "\x1b"])
def test_t46_what_has_nothing_to_compare_or_cannot_be_stored_has_no_key(text: str) -> None:
    assert text_key(text) == ""


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (read_ldap_dn("CN=Dave  LAWSON,O=Acme"), "dave lawson"),
        (FlatName(text="AJones"), "ajones"),
        (InternetName(text="dave@acme.com"), ""),
        (read_ldap_dn("OU=Sales,O=Acme"), ""),
    ],
)
def test_the_common_name_is_that_of_the_leaf(name: FlatName, key: str) -> None:
    assert common_name_key(name) == key


def test_a_group_has_the_key_by_which_it_is_listed_as_a_member() -> None:
    assert group_key("East/Acme") == member_key(read_name("cn=east/o=acme"))
    with pytest.raises(NameSyntaxError):
        group_key("CN=")


@pytest.mark.parametrize(("serial", "text"), [(0, "0"), (255, "ff"), (2**159 + 1, "8" + "0" * 38 + "1")])
def test_a_serial_number_is_kept_in_hexadecimal(serial: int, text: str) -> None:
    assert serial_text(serial) == text
