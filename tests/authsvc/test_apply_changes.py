"""`apply` and `export`: the difference shown is the difference made, and an export changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from authsvc.access.acl import AclEntry
from authsvc.store.certificates import CertificateRecord, describe_certificate
from authsvc.store.databases import create_database, find_database, read_acl_log, replace_acl
from authsvc.store.declaration import (
    Diff,
    apply_changes,
    diff_document,
    export_declaration,
    plan_changes,
    read_declaration_text,
    render_diff,
)
from authsvc.store.errors import ChangeRefused, DocumentChanged
from authsvc.store.groups import create_group, list_groups, replace_group
from authsvc.store.people import create_person, delete_person, list_people, replace_person
from authsvc.store.schema import open_reading, read_generation
from directory_assistance.dn import read_name
from directory_assistance.entry import GroupType
from directory_assistance.errors import ConfigurationError
from directory_assistance.yaml_lines import CONFIGURATION_LIMITS
from tests.support.pki import small_world
from tests.support.store import ACTOR, NOW, changing, database, group, open_store, person

WORLD = small_world()
DAVE = CertificateRecord.from_der(WORLD.dave.der)
DAVE_REVOKED = CertificateRecord.from_der(WORLD.dave.der, revoked=True)
DAVE_LINE = describe_certificate(WORLD.dave.der)
BASE = f"""\
people:
  - names: [Dave Lawson/Renovations, DLawson]
    mail: dave@renovations.com
    display_name: Dave
    disabled: false
    certificates:
      - {yaml.safe_dump(WORLD.dave.pem, default_style='"').strip()}
groups:
  - name: Sales
    type: multi
    members: [Dave Lawson/Renovations, "*/West/Acme"]
databases:
  - name: sales.nsf
    title: Sales
    require_tls: false
    maximum_internet_access: Editor
    wildcards: union
    roles: [Buyer]
    acl:
      - {{name: Sales, type: person group, level: Author, privileges: [create_documents], roles: [Buyer]}}
"""
"""What is in the store before each test; every test changes one thing."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_store(tmp_path) as engine:
        _apply(engine, BASE)
        yield engine


def _plan(engine: Engine, text: str, *, prune: bool = False, secondary: bool = False) -> Diff:
    declaration = read_declaration_text(
        text, file="world.yaml", folder=Path("/nonexistent"), now=NOW, secondary=secondary
    )
    return plan_changes(engine, declaration, prune=prune)


def _apply(engine: Engine, text: str, *, prune: bool = False, secondary: bool = False) -> Diff:
    diff = _plan(engine, text, prune=prune, secondary=secondary)
    apply_changes(engine, diff, actor=ACTOR, now=NOW)
    return diff


def _changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new)


def _everything(engine: Engine) -> str:
    return export_declaration(engine)


def test_new_things_are_shown_with_everything_that_they_have(tmp_path: Path) -> None:
    with open_store(tmp_path) as engine:
        diff = _plan(engine, BASE)

        assert (
            "+ person Dave Lawson/Renovations: + alias DLawson",
            "+ person Dave Lawson/Renovations: mail (none) -> dave@renovations.com",
            "+ person Dave Lawson/Renovations: display name (none) -> Dave",
            f"+ person Dave Lawson/Renovations: + certificate {DAVE_LINE}",
            "+ group Sales: + member Dave Lawson/Renovations",
            "+ group Sales: + member */West/Acme",
            "+ database sales.nsf: title (none) -> Sales",
            "+ database sales.nsf: wildcards fallback -> union",
            "+ database sales.nsf: + role Buyer",
            "+ database sales.nsf: + acl entry -Default-: No Access, unspecified",
            "+ database sales.nsf: + acl entry Sales: Author, person group, create_documents, role Buyer",
        ) == render_diff(diff)
        assert not diff.needs_confirmation
        assert b"sales" not in (tmp_path / "directory.db").read_bytes()  # planning wrote nothing


def test_what_has_nothing_but_a_name_has_one_line(engine: Engine) -> None:
    diff = _plan(engine, "people: [{names: [Ada]}]\ngroups: [{name: Empty}]\n")

    assert (
        "+ person Ada",
        "+ group Empty",
        "= person: 1 not named, left alone (--prune deletes them)",
        "= group: 1 not named, left alone (--prune deletes them)",
    ) == render_diff(diff)


def test_applying_the_same_again_changes_nothing_and_writes_nothing(engine: Engine) -> None:
    with open_reading(engine) as connection:
        before = read_generation(connection)

    diff = _apply(engine, BASE)

    assert Diff() == diff
    assert () == render_diff(diff)
    with open_reading(engine) as connection:
        assert before == read_generation(connection)


ENTRY = "{name: Sales, type: person group, level: Author, privileges: [create_documents], roles: [Buyer]}"


@pytest.mark.parametrize(
    ("old", "new", "lines", "takes_away"),
    [
        pytest.param(
            ", DLawson]", "]", ["person Dave Lawson/Renovations: - alias DLawson"], True, id="an alias less"
        ),
        pytest.param(
            ", DLawson]", ", dlawson]", ["person Dave Lawson/Renovations: ~ alias DLawson -> dlawson"], False,
            id="an alias written differently",
        ),
        pytest.param(
            "names: [Dave Lawson/R", "names: [DAVE Lawson/R",
            ["person DAVE Lawson/Renovations: name Dave Lawson/Renovations -> DAVE Lawson/Renovations"], False,
            id="a first name written differently",
        ),
        pytest.param(
            "mail: dave@renovations.com", "mail: d@renovations.com",
            ["person Dave Lawson/Renovations: mail dave@renovations.com -> d@renovations.com"], True,
            id="another mail address",
        ),
        pytest.param(
            "mail: dave@renovations.com", "mail: ''",
            ["person Dave Lawson/Renovations: mail dave@renovations.com -> (none)"], True,
            id="no mail address",
        ),
        pytest.param(
            "display_name: Dave", "display_name: D.", ["person Dave Lawson/Renovations: display name Dave -> D."],
            False, id="another display name",
        ),
        pytest.param(
            "disabled: false", "disabled: true", ["person Dave Lawson/Renovations: disabled false -> true"], True,
            id="a person disabled",
        ),
        pytest.param(
            '      - "-----', '      - revoked: true\n        certificate: "-----',
            [f"person Dave Lawson/Renovations: ~ certificate {DAVE_LINE}, marked revoked"], True,
            id="a certificate marked revoked",
        ),
        pytest.param(
            "members: [Dave Lawson/Renovations, ", "members: [Dave Lawson/Renovations, Ada, ",
            ["group Sales: + member Ada"], False, id="a member more",
        ),
        pytest.param(
            "members: [Dave Lawson/Renovations, ", "members: [", ["group Sales: - member Dave Lawson/Renovations"],
            True, id="a member less",
        ),
        pytest.param("type: multi", "type: acl", ["group Sales: type multi -> acl"], True, id="another type"),
        pytest.param("name: Sales\n", "name: SALES\n", ["group SALES: name Sales -> SALES"], False, id="a spelling"),
        pytest.param("title: Sales", "title: ''", ["database sales.nsf: title Sales -> (none)"], False, id="no title"),
        pytest.param(
            "require_tls: false", "require_tls: true", ["database sales.nsf: require_tls false -> true"], True,
            id="TLS demanded",
        ),
        pytest.param(
            "access: Editor", "access: Reader",
            ["database sales.nsf: maximum_internet_access Editor -> Reader"], True, id="a lower cap",
        ),
        pytest.param(
            "access: Editor", "access: Manager",
            ["database sales.nsf: maximum_internet_access Editor -> Manager"], False, id="a higher cap",
        ),
        pytest.param(
            "wildcards: union", "wildcards: fallback", ["database sales.nsf: wildcards union -> fallback"], True,
            id="wildcards counting less",
        ),
        pytest.param(
            "roles: [Buyer]\n", "roles: [Buyer, Approver]\n", ["database sales.nsf: + role Approver"], False,
            id="a role more",
        ),
        pytest.param(
            ENTRY, "{name: Sales, type: person group, level: Author, privileges: [create_documents]}",
            ["database sales.nsf: ~ acl entry Sales: - role Buyer"], True, id="a role taken from an ACL entry",
        ),
        pytest.param(
            ENTRY, "{name: Sales, type: person group, level: Author, roles: [Buyer]}",
            ["database sales.nsf: ~ acl entry Sales: - privilege create_documents"], True, id="a privilege less",
        ),
        pytest.param(
            "[create_documents]", "[create_documents, delete_documents]",
            ["database sales.nsf: ~ acl entry Sales: + privilege delete_documents"], False, id="a privilege more",
        ),
        pytest.param(
            "level: Author", "level: Editor",
            [
                "database sales.nsf: ~ acl entry Sales: level Author -> Editor",
                "database sales.nsf: ~ acl entry Sales: - privilege create_documents",
            ],
            False, id="a higher level, which has the privilege of itself",
        ),
        pytest.param(
            "level: Author", "level: Depositor",
            [
                "database sales.nsf: ~ acl entry Sales: level Author -> Depositor",
                "database sales.nsf: ~ acl entry Sales: - privilege create_documents",
            ],
            True, id="a lower level",
        ),
        pytest.param(
            "type: person group", "type: mixed group",
            ["database sales.nsf: ~ acl entry Sales: type person group -> mixed group"], True,
            id="an ACL entry of another type",
        ),
        pytest.param(
            ENTRY, f"{ENTRY}\n      - {{name: Bob, level: Reader}}",
            ["database sales.nsf: + acl entry Bob: Reader, unspecified"], False, id="an ACL entry more",
        ),
        pytest.param(
            ENTRY, f"{ENTRY}\n      - {{name: Bob, level: No Access}}",
            ["database sales.nsf: + acl entry Bob: No Access, unspecified"], True, id="an ACL entry that shuts out",
        ),
        pytest.param(
            ENTRY, "{name: -Default-, level: Reader}",
            [
                "database sales.nsf: - acl entry Sales: Author, person group, create_documents, role Buyer",
                "database sales.nsf: ~ acl entry -Default-: level No Access -> Reader",
            ],
            True, id="an ACL entry less",
        ),
    ],
)  # fmt: skip
def test_one_change_is_shown_in_its_line_made_and_then_done(
    engine: Engine, old: str, new: str, lines: list[str], takes_away: object
) -> None:
    text = _changed(old, new)

    diff = _apply(engine, text)

    assert [f"~ {line}" for line in lines] == list(render_diff(diff))
    assert takes_away is diff.needs_confirmation
    assert Diff() == _plan(engine, text)


def test_a_member_added_to_a_deny_group_takes_something_away(engine: Engine) -> None:
    _apply(engine, "groups: [{name: Gone, type: deny}]")

    diff = _plan(engine, "groups: [{name: Gone, members: [Dave Lawson/Renovations]}]")

    assert diff.needs_confirmation


def test_the_order_of_aliases_certificates_and_members_means_nothing(engine: Engine) -> None:
    _apply(engine, _changed(", DLawson]", ", DLawson, Dave L]"))

    assert Diff() == _plan(engine, _changed(", DLawson]", ", Dave L, DLawson]"))
    assert Diff() == _plan(
        engine,
        _changed(
            '[Dave Lawson/Renovations, "*/West/Acme"]', '["*/West/Acme", Dave Lawson/Renovations]'
        ).replace(", DLawson]", ", DLawson, Dave L]"),
    )


# --- keys and sections that are left out


def test_a_key_that_is_left_out_changes_nothing(engine: Engine) -> None:
    before = _everything(engine)

    diff = _apply(
        engine,
        "people: [{names: [Dave Lawson/Renovations, DLawson]}]\n"
        "groups: [{name: Sales}]\n"
        "databases: [{name: sales.nsf}]\n",
    )

    assert Diff() == diff
    assert before == _everything(engine)


def test_a_person_whom_somebody_disabled_is_not_enabled_by_a_file_that_says_nothing(engine: Engine) -> None:
    _apply(engine, _changed("disabled: false", "disabled: true"))

    assert Diff() == _plan(engine, _changed("    disabled: false\n", ""))


def test_an_empty_list_says_none(engine: Engine) -> None:
    diff = _plan(engine, "people: [{names: [Dave Lawson/Renovations, DLawson], certificates: []}]")

    assert (f"~ person Dave Lawson/Renovations: - certificate {DAVE_LINE}",) == render_diff(diff)
    assert diff.needs_confirmation


def test_a_mark_survives_a_file_that_does_not_speak_of_it_and_goes_with_prune(engine: Engine) -> None:
    with changing(engine) as change:
        name = read_name("Dave Lawson/Renovations")
        replace_person(change, name, person("Dave Lawson/Renovations", certificates=[DAVE_REVOKED]))
    plain_text = (
        "people: [{names: [Dave Lawson/Renovations], certificates: [" + _quoted(WORLD.dave.pem) + "]}]"
    )
    without = "people: [{names: [Dave Lawson/Renovations], certificates: []}]"
    cleared = (
        "people: [{names: [Dave Lawson/Renovations],"
        " certificates: [{revoked: false, certificate: " + _quoted(WORLD.dave.pem) + "}]}]"
    )

    assert Diff() == _plan(engine, plain_text)
    assert Diff() == _plan(engine, without)
    assert (f"~ person Dave Lawson/Renovations: - certificate {DAVE_LINE}, marked revoked",) == render_diff(
        _plan(engine, without, prune=True)
    )
    assert (
        f"~ person Dave Lawson/Renovations: ~ certificate {DAVE_LINE}, no longer marked revoked",
    ) == render_diff(_plan(engine, cleared))


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', width=10_000).strip()


def test_nothing_unnamed_is_deleted_without_prune_and_everything_with_it(engine: Engine) -> None:
    other = "people: [{names: [Ada]}]\ngroups: []\ndatabases: [{name: wiki}]\n"

    kept = _plan(engine, other)
    pruned = _apply(engine, other, prune=True)

    assert not kept.needs_confirmation
    assert (
        "= person: 1 not named, left alone (--prune deletes them)",
        "= group: 1 not named, left alone (--prune deletes them)",
        "= database: 1 not named, left alone (--prune deletes them)",
    ) == render_diff(kept)[-3:]
    assert pruned.needs_confirmation
    assert (
        "+ person Ada",
        "- person Dave Lawson/Renovations",
        "- group Sales",
        "+ database wiki: + acl entry -Default-: No Access, unspecified",
        "- database sales.nsf",
    ) == render_diff(pruned)
    with open_reading(engine) as connection:
        assert ["Ada"] == [one.shown_name for one in list_people(connection)]
        assert () == list_groups(connection)
        assert find_database(connection, "sales.nsf") is None
        assert find_database(connection, "directory") is not None  # built in: never pruned


def test_prune_does_not_touch_a_section_that_the_file_does_not_have(engine: Engine) -> None:
    diff = _plan(engine, "groups: []", prune=True)

    assert ("- group Sales",) == render_diff(diff)


def test_a_secondary_directory_keeps_its_databases_whatever_is_pruned(engine: Engine) -> None:
    diff = _plan(engine, "people: []\ngroups: []\ndatabases: []\n", prune=True, secondary=True)

    assert ("- person Dave Lawson/Renovations", "- group Sales") == render_diff(diff)


# --- what the file and the store make together


def test_every_mistake_that_only_the_store_shows_is_told_with_its_line(engine: Engine) -> None:
    with changing(engine) as change:
        replace_acl(change, "directory", [AclEntry.parse(name="Ada", level="Manager")])
        create_group(change, group("all@renovations.com", type=GroupType.MAIL))
    text = """\
groups:
  - name: new@renovations.com
databases:
  - name: directory
    acl: [{name: Ada, level: Designer}]
  - name: sales.nsf
    acl: [{name: Ada, level: Reader, roles: [Approver]}]
  - name: wiki
    roles: [Writer, writer]
"""

    with pytest.raises(ConfigurationError) as raised:
        _plan(engine, text)

    name = "expected the name of a `multi` group without `@`, found `new@renovations.com`"
    assert [
        f"2: groups[0]: {name}: an ACL would read it as a group of another domain",
        "4: databases[0]: database `directory`: the last Manager entry cannot be removed",
        "6: databases[1]: database `sales.nsf`: acl entry `Ada`: role `Approver` is not defined (roles: Buyer)",
        "8: databases[2]: database `wiki`: roles `Writer` and `writer` differ in case alone",
    ] == [str(problem).removeprefix("world.yaml:") for problem in raised.value.problems]
    assert Diff() == _plan(engine, "groups: [{name: all@renovations.com}, {name: Sales}]")


def test_built_in_roles_of_directory_are_kept_and_may_be_given(engine: Engine) -> None:
    diff = _apply(
        engine,
        "databases: [{name: directory, roles: [], acl: [{name: Ada, level: Manager, roles: [Auditor]}]}]",
    )

    assert ("~ database directory: + acl entry Ada: Manager, unspecified, role Auditor",) == render_diff(
        diff
    )[:1]


# --- carrying out


def test_apply_writes_the_log_of_acls_with_who_and_when(engine: Engine) -> None:
    with open_reading(engine) as connection:
        (line,) = read_acl_log(connection, "sales.nsf")

    assert (ACTOR, NOW, None) == (line.actor, line.at, line.before)


def _delete_dave(engine: Engine) -> None:
    with changing(engine) as change:
        delete_person(change, read_name("Dave Lawson/Renovations"))


def _change_dave(engine: Engine) -> None:
    with changing(engine) as change:
        replace_person(change, read_name("Dave Lawson/Renovations"), person("Dave Lawson/Renovations"))


def _change_sales(engine: Engine) -> None:
    with changing(engine) as change:
        replace_group(change, read_name("Sales"), group("Sales"))


def _change_acl(engine: Engine) -> None:
    with changing(engine) as change:
        replace_acl(change, "sales.nsf", [])


@pytest.mark.parametrize("meanwhile", [_delete_dave, _change_dave, _change_sales, _change_acl])
def test_a_plan_on_a_store_that_somebody_else_changed_is_refused_whole(
    engine: Engine, meanwhile: object
) -> None:
    assert callable(meanwhile)
    text = (
        _changed("disabled: false", "disabled: true")
        .replace("type: multi", "type: acl")
        .replace("title: Sales", "title: Tracking")
    )
    diff = _plan(engine, text)
    meanwhile(engine)
    before = _everything(engine)

    with pytest.raises(DocumentChanged, match="was changed by somebody else since it was compared"):
        apply_changes(engine, diff, actor=ACTOR, now=NOW)

    assert before == _everything(engine)


def test_a_plan_to_add_what_somebody_else_added_is_refused_whole(engine: Engine) -> None:
    diff = _plan(engine, "people: [{names: [Bob]}, {names: [Ada]}]")
    with changing(engine) as change:
        create_person(change, person("Ada"))

    with pytest.raises(ChangeRefused):
        apply_changes(engine, diff, actor=ACTOR, now=NOW)

    with open_reading(engine) as connection:
        assert 2 == len(list_people(connection))


def test_a_diff_is_told_in_json_too(engine: Engine) -> None:
    diff = _plan(engine, "groups: [{name: Sales, members: []}]\npeople: []\n")

    assert {
        "changes": [
            {
                "sign": "~",
                "kind": "group",
                "name": "Sales",
                "takes_away": True,
                "details": ["- member Dave Lawson/Renovations", "- member */West/Acme"],
            }
        ],
        "left_alone": [{"kind": "person", "name": "Dave Lawson/Renovations"}],
        "needs_confirmation": True,
    } == diff_document(diff)


def test_a_name_that_would_turn_the_terminal_around_is_printed_escaped(engine: Engine) -> None:
    (line,) = render_diff(_plan(engine, 'groups: [{name: "a\u202eb"}]'))[:1]

    assert "+ group a\\u202eb" == line


# --- export


def test_an_export_is_a_whole_document_that_changes_nothing(engine: Engine) -> None:
    with changing(engine) as change:
        create_person(
            change, person("Ada/Zürich", "0o17", "1e5", "yes", "Null", "~x", certificates=[DAVE_REVOKED])
        )
        create_group(change, group("R&D: fun", "#1", "- x", "a: b"))
        create_database(
            change, database("wiki", AclEntry.parse(name="*/Acme", level="Reader"), roles=("1", "no"))
        )
    text = _everything(engine)

    assert Diff() == _plan(engine, text, prune=True)
    assert {"people", "groups", "databases"} == set(yaml.safe_load(text))


def test_an_export_restores_an_empty_store(engine: Engine, tmp_path: Path) -> None:
    text = _everything(engine)
    (tmp_path / "other").mkdir()

    with open_store(tmp_path / "other") as other:
        _apply(other, text)

        assert text == _everything(other)


def test_an_export_undoes_whatever_was_changed_since(engine: Engine) -> None:
    text = _everything(engine)
    _change_dave(engine)
    _change_sales(engine)
    _change_acl(engine)
    _apply(engine, "people: [{names: [Ada]}]")

    _apply(engine, text, prune=True)

    assert text == _everything(engine)


def test_an_export_of_a_secondary_directory_has_no_databases(engine: Engine) -> None:
    assert {"people", "groups"} == set(yaml.safe_load(export_declaration(engine, secondary=True)))


TEXTS = st.text(min_size=1, max_size=12)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, max_size=4), TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_an_export_of_whatever_can_be_stored_changes_nothing(
    engine: Engine, names: list[str], members: list[str], title: str
) -> None:
    document = {
        "people": [{"names": names, "display_name": title}],
        "groups": [{"name": names[0], "members": members, "type": "mail"}],
        "databases": [{"name": title, "title": title, "acl": [{"name": names[-1], "level": "Reader"}]}],
    }
    try:
        _apply(engine, yaml.safe_dump(document, allow_unicode=True), prune=True)
    except ConfigurationError:
        return

    assert Diff() == _plan(engine, _everything(engine), prune=True)


def test_an_export_longer_than_a_configuration_may_be_is_read_again(tmp_path: Path) -> None:
    """A directory of thousands exports more than 4 MiB: `apply` must take what `export` wrote."""
    lines = "".join(
        f"  - {{names: ['Person {number}/Example'], mail: {'m' * 500}@example.com}}\n"
        for number in range(9000)
    )
    text = "people:\n" + lines
    assert len(text) > CONFIGURATION_LIMITS.octets
    declaration = read_declaration_text(text, file="people.yaml", folder=tmp_path, now=NOW)
    assert len(declaration.people or ()) == 9000
