"""Reading what `apply` reads: every mistake at once with its line, nothing guessed, no other exception."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from authsvc.access.acl import Level, WildcardMode
from authsvc.store.declared import Declaration, read_declaration, read_declaration_text
from directory_assistance.dn import render_member, render_name
from directory_assistance.entry import GroupType
from directory_assistance.errors import ConfigurationError, Problem
from tests.support.pki import NOW, KeyKind, small_world

WORLD = small_world()

CONTRACT = """\
people:
  - names: ["Alan Jones/Renovations", "AJones", "Al Jones"]    # the first is the identity
    mail: ajones@renovations.com
    certificates: [al-jones.pem]                               # files beside this one, or PEM text
    disabled: false
groups:
  - {name: Sales, type: multi, members: ["Dave Lawson/Renovations", "*/West/Acme", "Managers"]}
databases:
  - name: sales.nsf
    title: Sales tracking
    require_tls: false
    maximum_internet_access: Editor
    roles: [Buyer, Approver]
    acl:
      - {name: "-Default-", level: No Access}
      - {name: Sales, type: person group, level: Author, privileges: [create_documents], roles: [Buyer]}
"""
"""The example of contract section 5."""


def _read(text: str, folder: Path = Path("/nonexistent"), *, secondary: bool = False) -> Declaration:
    return read_declaration_text(text, file="world.yaml", folder=folder, now=NOW, secondary=secondary)


def _problems(text: str, folder: Path = Path("/nonexistent"), *, secondary: bool = False) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        _read(text, folder, secondary=secondary)
    return [str(problem) for problem in raised.value.problems]


def _shown(warnings: tuple[Problem, ...]) -> list[str]:
    assert all(warning.warning for warning in warnings)
    return [str(warning) for warning in warnings]


def test_the_document_of_the_contract_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "al-jones.pem").write_text(WORLD.dave.pem)
    (tmp_path / "world.yaml").write_text(CONTRACT)

    declaration = read_declaration(tmp_path / "world.yaml", now=NOW)

    assert declaration.people is not None
    assert declaration.groups is not None
    assert declaration.databases is not None
    alan, sales, tracking = declaration.people[0], declaration.groups[0], declaration.databases[0]
    assert ["Alan Jones/Renovations", "AJones", "Al Jones"] == [render_name(name) for name in alan.names]
    assert ("ajones@renovations.com", None, False) == (alan.mail, alan.display_name, alan.disabled)
    assert alan.certificates is not None
    assert [(WORLD.dave.der, None)] == [(one.record.der, one.revoked) for one in alan.certificates]
    assert GroupType.MULTI is sales.type
    assert sales.members is not None
    assert ["Dave Lawson/Renovations", "*/West/Acme", "Managers"] == [
        render_member(member) for member in sales.members
    ]
    assert ("sales.nsf", "Sales tracking", False, Level.EDITOR, None, ("Buyer", "Approver")) == (
        tracking.name,
        tracking.title,
        tracking.require_tls,
        tracking.maximum_internet_access,
        tracking.wildcards,
        tracking.roles,
    )
    assert tracking.entries is not None
    assert [("-Default-", Level.NO_ACCESS), ("Sales", Level.AUTHOR)] == [
        (entry.name, entry.level) for entry in tracking.entries
    ]
    assert () == declaration.warnings


def test_keys_that_are_left_out_say_nothing() -> None:
    declaration = _read("people: [{names: [A]}]\ngroups: [{name: G}]\ndatabases: [{name: d}]\n")

    assert declaration.people is not None
    assert declaration.groups is not None
    assert declaration.databases is not None
    person, group, database = declaration.people[0], declaration.groups[0], declaration.databases[0]
    assert [None] * 4 == [person.mail, person.display_name, person.disabled, person.certificates]
    assert [None] * 2 == [group.type, group.members]
    assert [None] * 6 == [
        database.title,
        database.require_tls,
        database.maximum_internet_access,
        database.wildcards,
        database.roles,
        database.entries,
    ]


def test_a_section_that_is_left_out_is_told_from_an_empty_one() -> None:
    declaration = _read("groups: []\n")

    assert (None, (), None) == (declaration.people, declaration.groups, declaration.databases)


def test_wildcards_may_be_joined_with_groups() -> None:
    declaration = _read("databases: [{name: d, wildcards: union}]\n")

    assert declaration.databases is not None
    assert WildcardMode.UNION is declaration.databases[0].wildcards


# --- mistakes


def test_t69_every_mistake_is_told_at_once_with_its_line() -> None:
    text = """\
people:
  - names: [Anonymous]
  - names: [Ada/Renovations]
    mail: ada
    disabled: "no"
    nickname: Addie
  - names: []
groups:
  - name: Sales
    type: club
  - name: "*/Sales"
  - name: Sales@Airius
    type: acl
databases:
  - name: a\\b
  - name: sales.nsf
    maximum_internet_access: Boss
    acl:
      - {name: Sales, level: Reader, privileges: [create_documents]}
"""

    nobodys = "`Anonymous`, `-Default-` and names with `*` are nobody's"
    keys = "`certificates`, `disabled`, `display_name`, `mail`, `names`"
    types = "(multi, acl, servers, deny, mail)"
    levels = "(Manager, Designer, Editor, Author, Reader, Depositor, No Access)"
    other_domain = " an ACL would read it as a group of another domain"
    backslash = "it holds the character U+005C (`\\`)"
    assert [
        f"2: people[0].names[0]: expected the name of a person, found `Anonymous`: {nobodys}",
        "4: people[1].mail: expected a mail address, found `ada`",
        "5: people[1].disabled: expected `true` or `false`, found `no`",
        f"6: people[1].nickname: unknown key (expected one of {keys})",
        "7: people[2].names: expected at least 1 of them, found an empty list",
        f"10: groups[0].type: expected a type {types}, found `club`",
        f"11: groups[1].name: expected the name of a group, found `*/Sales`: {nobodys}",
        f"12: groups[2].name: expected the name of a `acl` group without `@`, found `Sales@Airius`:{other_domain}",
        f"15: databases[0].name: expected the name of a database, found `a\\b`: {backslash}",
        f"17: databases[1].maximum_internet_access: expected a level {levels}, found `Boss`",
        "19: databases[1].acl[0]: acl entry `Sales`: level Reader never has `create_documents`",
    ] == [problem.removeprefix("world.yaml:") for problem in _problems(text)]


def test_t69_a_key_that_stands_twice_is_told_with_the_other_mistakes() -> None:
    assert [
        "world.yaml:1: people[0].mail: this key stands twice (first in line 1)",
        "world.yaml:2: groups[0].type: expected a type (multi, acl, servers, deny, mail), found `club`",
    ] == _problems("people: [{names: [A], mail: '', mail: a@b}]\ngroups: [{name: G, type: club}]\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "expected a mapping, found nothing", id="an empty file"),
        pytest.param("[]", "expected a mapping, found an empty list", id="a list"),
        pytest.param("{}", "expected `people`, `groups` or `databases`, found none of them", id="no section"),
        pytest.param("persons: []", "unknown key", id="a section that there is not"),
        pytest.param("people: {}", "expected a list, found an empty mapping", id="a section that is no list"),
        pytest.param("people: [{}]", "people[0].names: missing", id="a person without names"),
        pytest.param(
            "people: [{names: [1]}]", "expected text, found the number `1`", id="a name that is a number"
        ),
        pytest.param(
            "people: [{names: [A], disabled: 0}]", "expected `true` or `false`", id="a number for false"
        ),
        pytest.param(
            "people: [{names: [A, B]}, {names: [a]}]",
            "people[1]: this first name stands twice (first in line 1)",
            id="two people with one first name",
        ),
        pytest.param(
            "groups: [{name: G}, {name: g}]", "this group stands twice", id="two groups of one name"
        ),
        pytest.param("databases: [{name: d}, {name: D}]", "this database stands twice", id="two databases"),
        pytest.param(
            "databases: [{name: d, wildcards: never}]", "expected `fallback` or `union`", id="another mode"
        ),
        pytest.param(
            "databases: [{name: d, acl: [{name: A, level: Reader}, {name: a, level: Editor}]}]",
            "databases[0].acl[1]: acl entry `a` stands twice",
            id="two ACL entries of one name",
        ),
        pytest.param(
            "databases: [{name: d, roles: [R], acl: [{name: A, level: Reader, roles: [S]}]}]",
            "databases[0].acl[0].roles: acl entry `A`: role `S` is not defined",
            id="a role that is not defined",
        ),
        pytest.param(
            "databases: [{name: d, acl: [{name: A, level: No Access, privileges:"
            " [replicate_or_copy_documents]}]}]",
            "acl entry `A`: level No Access has `replicate_or_copy_documents` only together with"
            " `read_public_documents`",
            id="a privilege without the one it needs",
        ),
        pytest.param(
            "databases: [{name: d, acl: [{name: A, level: Reader, type: robot}]}]",
            "acl entry `A`: expected a type",
            id="a type that there is not",
        ),
        pytest.param(
            'databases: [{name: d, title: "a\\nb"}]', "no control characters", id="a title of two lines"
        ),
        pytest.param("groups: [{name: G, members: ['*']}]", "groups[0].members[0]: member:", id="everybody"),
    ],
)
def test_a_mistake_is_refused(text: str, problem: str) -> None:
    assert problem in "\n".join(_problems(text))


def test_built_in_roles_of_directory_need_not_be_named() -> None:
    _read("databases: [{name: directory, roles: [], acl: [{name: A, level: Reader, roles: [Auditor]}]}]")
    _read("databases: [{name: d, acl: [{name: A, level: Reader, roles: [Known to the store]}]}]")


def test_what_stands_twice_without_harm_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "dave.pem").write_text(WORLD.dave.pem)
    text = """\
people:
  - names: [A/B, a/b]
    certificates: [dave.pem, dave.pem]
groups:
  - {name: G, members: [A/B, a/b]}
"""

    assert [
        "world.yaml:2: people[0].names[1]: this name stands twice",
        "world.yaml:3: people[0].certificates[1]: this certificate stands twice",
        "world.yaml:5: groups[0].members[1]: this member stands twice",
    ] == _shown(_read(text, tmp_path).warnings)


def test_a_secondary_directory_has_people_and_groups_only() -> None:
    text = "people: []\ndatabases: [{name: d}]\n"

    assert [
        "world.yaml:2: databases: databases stand in the primary directory only (leave them out)"
    ] == _problems(text, secondary=True)
    _read("people: []\ndatabases: []\n", secondary=True)


# --- certificates


def test_a_certificate_is_pem_text_or_a_file_in_pem_or_der(tmp_path: Path) -> None:
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "dave.der").write_bytes(WORLD.dave.der)
    text = yaml.safe_dump(
        {"people": [{"names": ["A"], "certificates": [WORLD.dave.pem, "certificates/dave.der"]}]}
    )

    declaration = _read(text, tmp_path)

    assert declaration.people is not None
    assert declaration.people[0].certificates is not None
    assert [WORLD.dave.der] * 2 == [one.record.der for one in declaration.people[0].certificates]


def test_a_certificate_may_be_declared_revoked(tmp_path: Path) -> None:
    (tmp_path / "dave.pem").write_text(WORLD.dave.pem)

    declaration = _read(
        "people: [{names: [A], certificates: [{certificate: dave.pem, revoked: true}]}]", tmp_path
    )

    assert declaration.people is not None
    assert declaration.people[0].certificates is not None
    assert [True] == [one.revoked for one in declaration.people[0].certificates]


@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        pytest.param("missing.pem", "found no file `missing.pem`", id="when the file is missing"),
        pytest.param(".", "found no file `.`", id="when it is a folder"),
        pytest.param("pipe", "found no file `pipe`", id="when it is a pipe, which would never end"),
        pytest.param(
            "junk.pem", "certificate file `junk.pem`: expected one X.509 certificate", id="when it is junk"
        ),
        pytest.param(
            "two.pem", "certificate file `two.pem`: expected one PEM block, found 2", id="when it holds two"
        ),
        pytest.param("key.pem", "found `PRIVATE KEY`", id="when it is a key"),
        pytest.param("-----BEGIN CERTIFICATE-----", "expected one PEM block", id="when the text breaks off"),
        pytest.param("a\x00b", "U+0000", id="when the path holds a NUL"),
        pytest.param("x" * 5000, "cannot be read", id="when the path is too long"),
    ],
)
def test_a_certificate_that_cannot_be_read_is_a_mistake_of_its_line(
    tmp_path: Path, certificate: str, problem: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "junk.pem").write_bytes(b"junk")
    (tmp_path / "two.pem").write_text(WORLD.dave.pem * 2)
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    text = yaml.safe_dump({"people": [{"names": ["A"], "certificates": [certificate]}]})

    first = _problems(text, tmp_path)[0]

    assert problem in first
    assert ": people[0].certificates[0]: " in first


def test_any_readable_certificate_is_taken_and_warned_of_when_it_lets_nobody_in(tmp_path: Path) -> None:
    weak = WORLD.issuing.issue(key=KeyKind.RSA_1024)
    old = WORLD.issuing.issue(not_before=NOW - timedelta(days=20), not_after=NOW - timedelta(days=10))
    for name, pem in (
        ("weak", weak.pem),
        ("old", old.pem),
        ("ca", WORLD.issuing.pem),
        ("good", WORLD.dave.pem),
    ):
        (tmp_path / f"{name}.pem").write_text(pem)
    text = "people:\n- names: [A]\n  certificates:\n  - good.pem\n  - weak.pem\n  - old.pem\n  - ca.pem\n"

    declaration = _read(text, tmp_path)

    assert declaration.people is not None
    assert declaration.people[0].certificates is not None
    assert 4 == len(declaration.people[0].certificates)
    told = "\n".join(_shown(declaration.warnings))
    assert "world.yaml:4:" not in told
    assert "world.yaml:5: people[0].certificates[1]: " in told
    assert "RSA key of at least 2048 bits" in told
    assert "world.yaml:6: people[0].certificates[2]: expired at 2026-02-19 12:00 UTC" in told
    assert "world.yaml:7: people[0].certificates[3]: " in told
    assert "certification authority" in told


# --- anything at all


def _reads_or_refuses(text: str, folder: Path) -> None:
    try:
        declaration = _read(text, folder)
    except ConfigurationError as error:
        told = error.problems
    else:
        told = declaration.warnings
        assert isinstance(declaration, Declaration)
        assert all(problem.warning for problem in told)
    assert all(problem.file == "world.yaml" and problem.line >= 0 for problem in told)


WORDS = st.text(max_size=8) | st.sampled_from(
    [*re.findall(r"\w+", CONTRACT), "display_name", "wildcards", "certificate", "revoked", "Anonymous", "*"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.text())
@example("people: &a [*a]")
@example("people: [{names: [!!python/object:os.system x]}]")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_gives_a_declaration_or_a_configuration_error(tmp_path: Path, text: str) -> None:
    _reads_or_refuses(text, tmp_path)


@given(VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_data_of_our_words_gives_a_declaration_or_a_configuration_error(
    tmp_path: Path, data: object
) -> None:
    _reads_or_refuses(yaml.safe_dump(data, allow_unicode=True), tmp_path)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_mutation_of_the_example_gives_a_declaration_or_a_configuration_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(CONTRACT) - 1))
    length = data.draw(st.integers(0, 12))
    put = data.draw(WORDS)

    _reads_or_refuses(CONTRACT[:start] + put + CONTRACT[start + length :], tmp_path)


def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("people: [ä]".encode("latin-1"))

    for name in ("missing.yaml", "latin.yaml", "."):
        with pytest.raises(ConfigurationError):
            read_declaration(tmp_path / name, now=NOW)
