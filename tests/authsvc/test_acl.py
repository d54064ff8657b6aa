"""The vocabulary of ACLs, reading ACL entries and databases, and requirements (semantics section 7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.access.acl import (
    FIXED_PRIVILEGES,
    OPTIONAL_PRIVILEGES,
    AclEntry,
    AclError,
    AnonymousTarget,
    Database,
    DecidedBy,
    DefaultTarget,
    EffectiveAccess,
    GroupTarget,
    Level,
    NameTarget,
    Privilege,
    Requirement,
    UserType,
    WildcardMode,
    WildcardTarget,
    explicit_names,
    full_access,
    read_database,
    read_level,
    read_privilege,
    read_role,
    read_user_type,
    unmet_requirement,
)
from authsvc.access.requirements import NO_REQUIREMENT, read_requirement
from authsvc.reason import Reason
from directory_assistance.dn import FlatName, InternetName, read_member, read_name
from tests.support.acl import database, entry

TABLE = """
                              Manager Designer Editor Author Reader Depositor No_Access
create_documents              Y       Y        Y      o      -      Y         -
delete_documents              o       o        o      o      -      -         -
create_private_agents         Y       Y        o      o      o      -         -
create_personal_folders       Y       Y        o      o      o      -         -
create_shared_folders         Y       Y        o      -      -      -         -
create_script_agents          Y       o        o      o      o      -         -
read_public_documents         Y       Y        Y      Y      Y      o         o
write_public_documents        Y       Y        Y      o      o      o         o
replicate_or_copy_documents   o       o        o      o      o      o         o
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [
    pytest.param(row[0], level, mark, id=f"{row[0]} of {level} is {mark}")
    for row in ROWS
    for level, mark in zip(HEADER, row[1:], strict=True)
]


def problem_of(**claims: object) -> str:
    """Return what is said against an ACL entry of these claims."""
    with pytest.raises(AclError) as problem:
        AclEntry.parse(**{"name": "Sales", "level": "Reader", **claims})  # type: ignore[arg-type] # claims are wrong on purpose
    return str(problem.value)


# --- the vocabulary


def test_levels_are_ordered_from_no_access_to_manager() -> None:
    expected = ["No Access", "Depositor", "Reader", "Author", "Editor", "Designer", "Manager"]
    assert expected == [level.label for level in sorted(Level)]
    assert list(range(7)) == sorted(Level)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("spell", [str, str.upper, str.lower, lambda text: text.replace(" ", "_")])
def test_a_level_is_read_in_any_case_and_with_an_underscore(level: Level, spell: type[str]) -> None:
    assert level is read_level(spell(level.label))


@pytest.mark.parametrize("text", ["", "noaccess", "editors", "Editor ", "4", "NO-ACCESS", "no  access"])
def test_anything_else_is_no_level_and_the_levels_are_listed(text: str) -> None:
    with pytest.raises(AclError) as problem:
        read_level(text)
    expected = "expected a level (Manager, Designer, Editor, Author, Reader, Depositor, No Access)"
    assert f"{expected}, found `{text}`" == str(problem.value)


def test_privileges_are_nine() -> None:
    assert [row[0] for row in ROWS] == [privilege.value for privilege in Privilege]
    assert [read_privilege(row[0]) for row in ROWS] == list(Privilege)


def test_an_unknown_privilege_is_refused_with_the_list() -> None:
    with pytest.raises(AclError) as problem:
        read_privilege("Create_documents")
    expected = f"expected a privilege ({', '.join(row[0] for row in ROWS)}), found `Create_documents`"
    assert expected == str(problem.value)


def test_user_types_are_six() -> None:
    expected = ["person", "server", "person group", "server group", "mixed group", "unspecified"]
    assert expected == [read_user_type(text).value for text in expected]
    assert len(expected) == len(UserType)


def test_an_unknown_type_is_refused_with_the_list() -> None:
    with pytest.raises(AclError) as problem:
        read_user_type("group")
    types = "person, server, person group, server group, mixed group, unspecified"
    assert f"expected a type ({types}), found `group`" == str(problem.value)


@pytest.mark.parametrize("text", ["Buyer", "Big Buyer", "x" * 255, "Käufer"])
def test_a_role_is_printable_text(text: str) -> None:
    assert text == read_role(text)


@pytest.mark.parametrize("text", ["", " ", "Buyer ", " Buyer", "a\nb", "x" * 256, "\ud800"])
def test_a_role_that_is_blank_padded_long_or_unprintable_is_refused(text: str) -> None:
    with pytest.raises(
        AclError, match=r"^expected a role \(1 to 255 printable characters, no blank at its ends\)"
    ):
        read_role(text)


# --- which level may hold which privilege


@pytest.mark.parametrize(("privilege", "level", "mark"), CELLS)
def test_each_cell_of_the_table(privilege: str, level: str, mark: str) -> None:
    read = Level[level.upper()]
    assert (mark == "Y") == (privilege in FIXED_PRIVILEGES[read])
    assert (mark == "o") == (privilege in OPTIONAL_PRIVILEGES[read])


@pytest.mark.parametrize(("privilege", "level", "mark"), CELLS)
def test_an_entry_has_what_is_fixed_and_what_it_names_and_nothing_else(
    privilege: str, level: str, mark: str
) -> None:
    label = Level[level.upper()].label
    assert (mark == "Y") == (privilege in entry("Sales", label).all_privileges), "privileges off unless named"
    needs_reading = privilege == "replicate_or_copy_documents" and label in {"Depositor", "No Access"}
    named = (privilege, "read_public_documents") if needs_reading else (privilege,)
    if mark == "-":
        expected = f"acl entry `Sales`: level {label} never has `{privilege}`"
        assert expected == problem_of(level=label, privileges=named)
    else:
        claimed = entry("Sales", label, privileges=named)
        assert set(named) - FIXED_PRIVILEGES[Level[level.upper()]] == claimed.privileges
        assert FIXED_PRIVILEGES[Level[level.upper()]] | set(named) == claimed.all_privileges


def test_every_privilege_that_an_entry_never_has_is_named_in_the_error() -> None:
    never = sorted(row[0] for row in ROWS if row[HEADER.index("No_Access") + 1] == "-")
    expected = f"acl entry `Sales`: level No Access never has {', '.join(f'`{name}`' for name in never)}"
    assert expected == problem_of(level="No Access", privileges=list(Privilege))
    assert len(never) == 6


@pytest.mark.parametrize("level", ["Depositor", "No Access"])
def test_replicating_without_reading_public_documents_is_refused(level: str) -> None:
    expected = (
        f"acl entry `Sales`: level {level} has `replicate_or_copy_documents` only together with "
        "`read_public_documents`"
    )
    assert expected == problem_of(level=level, privileges=["replicate_or_copy_documents"])


# --- whom a text names


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("-Default-", DefaultTarget()),
        ("-default-", DefaultTarget()),
        ("Anonymous", AnonymousTarget()),
        ("ANONYMOUS", AnonymousTarget()),
        ("Dave Lawson/Renovations", NameTarget(name=read_name("CN=Dave Lawson,O=Renovations"))),
        ("CN=Dave Lawson/O=Renovations", NameTarget(name=read_name("CN=Dave Lawson,O=Renovations"))),
        ("uid=Sandra Smith/o=Acme/c=US", NameTarget(name=read_name("uid=Sandra Smith,o=Acme,c=US"))),
        ("Sales", NameTarget(name=FlatName(text="Sales"))),
        ("dave@renovations.com", NameTarget(name=InternetName(text="dave@renovations.com"))),
    ],
)
def test_a_text_of_any_form_names_somebody(text: str, target: object) -> None:
    assert target == entry(text).target


@pytest.mark.parametrize("text", ["*/East/Acme", "*/OU=East/O=Acme", "*,OU=East,O=Acme"])
@pytest.mark.parametrize("user_type", ["unspecified", "mixed group", "person group"])
def test_a_wildcard_is_unspecified_mixed_group_or_person_group(text: str, user_type: str) -> None:
    wildcard = read_member("*/East/Acme")
    assert entry(text, type=user_type).target == WildcardTarget(wildcard=wildcard)  # type: ignore[arg-type] # read above


@pytest.mark.parametrize("user_type", ["person", "server", "server group"])
def test_a_wildcard_of_another_type_is_refused(user_type: str) -> None:
    expected = "a wildcard is of type unspecified, mixed group or person group, found"
    assert f"acl entry `*/Acme`: {expected} `{user_type}`" == problem_of(name="*/Acme", type=user_type)


@pytest.mark.parametrize("user_type", ["unspecified", "person", "person group", "mixed group"])
@pytest.mark.parametrize(
    "text", ["*", "Dave/*/Acme", "D*/Acme", "CN=*/O=Acme", "Sales*", "*@Airius", "*/*/Acme"]
)
def test_a_star_anywhere_else_is_refused(text: str, user_type: str) -> None:
    assert problem_of(name=text, type=user_type).startswith(f"acl entry `{text}`: ")


@pytest.mark.parametrize("name", ["-Default-", "Anonymous"])
@pytest.mark.parametrize("user_type", ["person", "server", "person group", "server group", "mixed group"])
def test_default_and_anonymous_are_unspecified(name: str, user_type: str) -> None:
    expected = f"acl entry `{name}`: `{name}` is of type unspecified, found `{user_type}`"
    assert expected == problem_of(name=name, type=user_type)


@pytest.mark.parametrize("name", ["CN=Anonymous", "CN=-Default-"])
def test_a_name_that_is_nobodys_is_refused(name: str) -> None:
    expected = "this name is nobody's: write `-Default-` or `Anonymous`, or `*` as leftmost component"
    assert f"acl entry `{name}`: {expected}" == problem_of(name=name)


@pytest.mark.parametrize("name", ["", " ", "\u200b", "a\x00b", "\ud800", "Dave//Acme", "Dave/", "0=Acme"])
def test_a_text_that_is_no_name_is_refused(name: str) -> None:
    assert problem_of(name=name).startswith("acl entry `")
    assert problem_of(name=name, type="person").startswith("acl entry `")


def test_a_name_has_at_most_255_characters() -> None:
    assert entry("x" * 255).name == "x" * 255
    expected = f"acl entry `{'x' * 200}…`: expected a name of at most 255 characters, found 256"
    assert expected == problem_of(name="x" * 256)


@pytest.mark.parametrize(
    ("text", "user_type"),
    [
        ("R&D = fun", "person group"),
        ("R&D = fun", "server group"),
        ("R&D = fun", "mixed group"),
        ("R&D = fun@Airius", "unspecified"),
    ],
)
def test_a_group_may_be_called_what_no_person_can_be(text: str, user_type: str) -> None:
    assert GroupTarget(group=FlatName(text=text)) == entry(text, type=user_type).target


@pytest.mark.parametrize(
    ("text", "user_type"),
    [
        ("R&D = fun", "unspecified"),
        ("R&D = fun", "person"),
        ("R&D = fun@Airius", "person"),
        ("R&D = fun@Airius", "server"),
        ("R&D = \n@Airius", "unspecified"),
        ("R&D = *", "mixed group"),
        (" ", "mixed group"),
    ],
)
def test_what_reads_as_no_name_is_refused_where_a_person_could_be_meant(text: str, user_type: str) -> None:
    assert problem_of(name=text, type=user_type).startswith("acl entry `")


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"level": "Boss"}, "expected a level ("),
        ({"type": "group"}, "expected a type ("),
        ({"privileges": ["fly"]}, "expected a privilege ("),
        ({"roles": [""]}, "expected a role ("),
    ],
)
def test_every_mistake_names_the_entry(claims: dict[str, object], expected: str) -> None:
    assert problem_of(**claims).startswith(f"acl entry `Sales`: {expected}")


def test_an_entry_keeps_its_text_and_what_it_names() -> None:
    read = entry("sales", "author", "person group", privileges=("create_documents",), roles=("Buyer",))
    assert (read.name, read.level, read.type) == ("sales", Level.AUTHOR, UserType.PERSON_GROUP)
    assert frozenset({Privilege.CREATE_DOCUMENTS}) == read.privileges
    assert frozenset({"Buyer"}) == read.roles
    assert AclEntry.parse(name="sales", level=Level.AUTHOR).level is Level.AUTHOR


@given(st.text(max_size=300), st.sampled_from(UserType), st.sampled_from(Level))
def test_reading_any_text_gives_an_entry_or_an_acl_error(
    name: str, user_type: UserType, level: Level
) -> None:
    try:
        outcome: AclEntry | AclError = AclEntry.parse(name=name, level=level, type=user_type)
    except AclError as problem:
        outcome = problem
    assert outcome.name == name if isinstance(outcome, AclEntry) else str(outcome).isprintable()


# --- databases


def test_a_database_keeps_what_is_written_and_has_safe_defaults() -> None:
    read = read_database(name="Sales.nsf")
    assert (
        Database(
            name="Sales.nsf",
            title="",
            require_tls=False,
            maximum_internet_access=Level.EDITOR,
            roles=frozenset(),
            entries=(entry("-Default-", "No Access"),),
            wildcards=WildcardMode.FALLBACK,
        )
        == read
    )
    assert read.key == "sales.nsf"


def test_a_database_made_of_a_name_alone_is_as_careful() -> None:
    assert Database(
        name="x",
        title="",
        require_tls=False,
        maximum_internet_access=Level.EDITOR,
        roles=frozenset(),
        entries=(),
        wildcards=WildcardMode.FALLBACK,
    ) == Database(name="x")


def test_a_database_keeps_what_deviates() -> None:
    sales = entry("Sales", roles=("Buyer",))
    default = entry("-default-", "Reader")
    read = read_database(
        name="x",
        title="T",
        require_tls=True,
        maximum_internet_access="reader",
        roles=["Buyer"],
        entries=[sales, default],
        wildcards="union",
    )
    assert (
        Database(
            name="x",
            title="T",
            require_tls=True,
            maximum_internet_access=Level.READER,
            roles=frozenset({"Buyer"}),
            entries=(sales, default),
            wildcards=WildcardMode.UNION,
        )
        == read
    )
    assert (
        read_database(name="x", maximum_internet_access=Level.NO_ACCESS).maximum_internet_access
        is Level.NO_ACCESS
    )


def test_a_missing_default_is_no_access_after_the_other_entries() -> None:
    sales = entry("Sales")
    assert (sales, entry("-Default-", "No Access")) == database(sales).entries


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sales", "sales"),
        ("Dave Lawson/Renovations", "CN=dave  lawson,O=Renovations"),
        ("*/Acme", "*/O=ACME"),
        ("-Default-", "-default-"),
        ("Anonymous", "anonymous"),
    ],
)
def test_two_entries_of_one_name_are_refused(one: str, other: str) -> None:
    with pytest.raises(AclError) as problem:
        read_database(name="x", entries=[entry(one), entry(other, "Reader")])
    assert f"database `x`: acl entries `{one}` and `{other}` are the same name" == str(problem.value)


def test_two_entries_of_one_name_are_refused_whatever_their_types() -> None:
    with pytest.raises(AclError, match="are the same name"):
        read_database(name="x", entries=[entry("Sales", type="person"), entry("Sales", type="person group")])


@pytest.mark.parametrize(("one", "other"), [("Sales", "CN=Sales"), ("*/Acme", "Acme"), ("x@y", "x")])
def test_two_entries_of_different_names_stand_beside_each_other(one: str, other: str) -> None:
    assert [one, other, "-Default-"] == [read.name for read in database(entry(one), entry(other)).entries]


def test_a_role_that_is_not_defined_is_refused_and_the_defined_ones_are_listed() -> None:
    with pytest.raises(AclError) as problem:
        read_database(
            name="x", roles=["Buyer", "Approver"], entries=[entry("Sales", roles=("buyer", "Boss", "Buyer"))]
        )
    expected = "database `x`: acl entry `Sales`: role `Boss`, `buyer` is not defined (roles: Approver, Buyer)"
    assert expected == str(problem.value)


def test_where_no_role_is_defined_the_error_says_none() -> None:
    with pytest.raises(AclError, match=r"role `Buyer` is not defined \(roles: none\)$"):
        read_database(name="x", entries=[entry("Sales", roles=("Buyer",))])


def test_two_roles_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(AclError) as problem:
        read_database(name="x", roles=["Buyer", "BUYER"])
    assert str(problem.value) == "database `x`: roles `Buyer` and `BUYER` differ in case alone"
    assert frozenset({"Buyer"}) == read_database(name="x", roles=["Buyer", "Buyer"]).roles


def test_a_database_without_a_name_or_with_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^expected the name of a database"):
        read_database(name="a//b")
    with pytest.raises(AclError) as problem:
        read_database(name="x", wildcards="both")
    assert str(problem.value) == "database `x`: expected wildcards fallback or union, found `both`"
    with pytest.raises(AclError, match=r"^expected a level"):
        read_database(name="x", maximum_internet_access="high")
    with pytest.raises(AclError, match=r"^expected a role"):
        read_database(name="x", roles=[""])


def test_the_explicit_names_of_an_acl_are_all_but_the_special_and_the_wildcards() -> None:
    names = ["Dave Lawson/Renovations", "Sales", "dave@renovations.com"]
    entries = [
        entry(name, type=kind) for name, kind in zip(names, ["person", "person group", "server"], strict=True)
    ]
    others = [entry("*/Acme"), entry("Anonymous"), entry("-Default-")]
    assert frozenset(map(read_name, names)) == explicit_names(database(*entries, *others))


# --- requirements


def given_access(
    level: Level, *privileges: Privilege, roles: tuple[str, ...] = (), by: DecidedBy = DecidedBy.GROUPS
) -> EffectiveAccess:
    """Return effective access of just this."""
    return EffectiveAccess(
        database="x", level=level, privileges=frozenset(privileges), roles=frozenset(roles), decided_by=by
    )


def needs(level: str | None = None, *privileges: str, roles: tuple[str, ...] = ()) -> Requirement:
    return read_requirement(level=level, privileges=privileges, roles=roles)


CREATE, DELETE = Privilege.CREATE_DOCUMENTS, Privilege.DELETE_DOCUMENTS
READ_PUBLIC, WRITE_PUBLIC = Privilege.READ_PUBLIC_DOCUMENTS, Privilege.WRITE_PUBLIC_DOCUMENTS


@pytest.mark.parametrize("needed", [level for level in Level if level is not Level.NO_ACCESS])
@pytest.mark.parametrize("level", Level)
def test_a_level_is_met_by_itself_and_every_higher_one(level: Level, needed: Level) -> None:
    expected = None if level >= needed else Reason.ACL_LEVEL
    assert expected is unmet_requirement(given_access(level), Requirement(level=needed))


@pytest.mark.parametrize(
    ("access", "requirement", "expected"),
    [
        pytest.param(
            given_access(Level.AUTHOR, CREATE), needs(None, CREATE), None, id="a privilege that is held"
        ),
        pytest.param(
            given_access(Level.AUTHOR),
            needs(None, CREATE),
            Reason.ACL_PRIVILEGE,
            id="a privilege that is not held",
        ),
        pytest.param(
            given_access(Level.AUTHOR, CREATE),
            needs(None, CREATE, DELETE),
            Reason.ACL_PRIVILEGE,
            id="of two privileges both must hold",
        ),
        pytest.param(
            given_access(Level.READER, roles=("Buyer",)),
            needs(roles=("Buyer",)),
            None,
            id="a role that is held",
        ),
        pytest.param(
            given_access(Level.READER, roles=("Buyer",)),
            needs(roles=("Buyer", "Boss")),
            Reason.ACL_ROLE,
            id="of two roles both must hold",
        ),
        pytest.param(
            given_access(Level.READER, roles=("Buyer",)),
            needs(roles=("buyer",)),
            Reason.ACL_ROLE,
            id="a role is compared exactly",
        ),
        pytest.param(
            given_access(Level.DEPOSITOR, roles=("Buyer",)),
            needs(roles=("Buyer",)),
            Reason.ACL_LEVEL,
            id="a role alone implies Reader",
        ),
        pytest.param(
            given_access(Level.DEPOSITOR, CREATE, roles=("Buyer",)),
            needs(None, CREATE, roles=("Buyer",)),
            None,
            id="a role beside a privilege does not imply Reader",
        ),
        pytest.param(
            given_access(Level.DEPOSITOR, roles=("Buyer",)),
            needs("Depositor", roles=("Buyer",)),
            None,
            id="a role beside a level does not imply Reader",
        ),
        pytest.param(
            given_access(Level.DEPOSITOR, CREATE),
            needs("Reader"),
            Reason.ACL_LEVEL,
            id="Depositor cannot read",
        ),
        pytest.param(
            given_access(Level.DEPOSITOR, CREATE), needs(None, CREATE), None, id="Depositor can create"
        ),
        pytest.param(
            given_access(Level.NO_ACCESS, READ_PUBLIC),
            needs(None, READ_PUBLIC),
            None,
            id="No Access may read public",
        ),
        pytest.param(
            given_access(Level.NO_ACCESS, WRITE_PUBLIC),
            needs(None, WRITE_PUBLIC),
            None,
            id="No Access may write public",
        ),
        pytest.param(
            given_access(Level.NO_ACCESS, READ_PUBLIC),
            needs("Depositor"),
            Reason.ACL_LEVEL,
            id="No Access meets no level",
        ),
        pytest.param(
            given_access(Level.NO_ACCESS),
            Requirement(level=Level.NO_ACCESS),
            Reason.ACL_LEVEL,
            id="No Access is no level that could be required",
        ),
        pytest.param(
            given_access(Level.DEPOSITOR),
            Requirement(level=Level.NO_ACCESS),
            None,
            id="and counts as Depositor",
        ),
        pytest.param(
            given_access(Level.MANAGER, *Privilege),
            Requirement(),
            Reason.ACL_LEVEL,
            id="nothing is met by nobody",
        ),
        pytest.param(
            given_access(Level.READER),
            needs("Editor", DELETE, roles=("Boss",)),
            Reason.ACL_LEVEL,
            id="the level is looked at first",
        ),
        pytest.param(
            given_access(Level.EDITOR),
            needs("Editor", DELETE, roles=("Boss",)),
            Reason.ACL_PRIVILEGE,
            id="then the privileges",
        ),
        pytest.param(
            given_access(Level.EDITOR, DELETE),
            needs("Editor", DELETE, roles=("Boss",)),
            Reason.ACL_ROLE,
            id="then the roles",
        ),
        pytest.param(
            given_access(Level.EDITOR, DELETE, roles=("Boss",)),
            needs("Editor", DELETE, roles=("Boss",)),
            None,
            id="where all hold it is met",
        ),
    ],
)
def test_a_requirement_is_met_or_the_reason_says_what_is_missing(
    access: EffectiveAccess, requirement: Requirement, expected: Reason | None
) -> None:
    assert expected is unmet_requirement(access, requirement)


def test_what_decided_has_a_stable_word() -> None:
    expected = [
        "explicit",
        "groups",
        "wildcards",
        "groups_and_wildcards",
        "default",
        "anonymous",
        "full_access",
    ]
    assert expected == [step.value for step in DecidedBy]


def test_full_access_is_everything_whatever_the_acl_says() -> None:
    sales = database(entry("-Default-", "No Access"))
    assert EffectiveAccess(
        database="sales.nsf",
        level=Level.MANAGER,
        privileges=frozenset(Privilege),
        roles=frozenset({"Buyer", "Approver", "Auditor"}),
        decided_by=DecidedBy.FULL_ACCESS,
        entries=(),
        via=(),
    ) == full_access(sales)


@pytest.mark.parametrize("requirement", [Requirement(), needs("Manager", *Privilege, roles=("Undefined",))])
def test_full_access_meets_every_requirement_and_a_manager_does_not(requirement: Requirement) -> None:
    assert unmet_requirement(full_access(database()), requirement) is None
    assert unmet_requirement(given_access(Level.MANAGER, *Privilege), requirement) is not None


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (NO_REQUIREMENT, "nothing"),
        (needs("editor"), "level=Editor"),
        (
            needs(None, *Privilege),
            " ".join(f"privilege={row}" for row in sorted(row[0] for row in ROWS)),
        ),
        (needs("Reader", CREATE, roles=("B", "A")), "level=Reader privilege=create_documents role=A role=B"),
    ],
)
def test_a_requirement_prints_as_its_parameters_sorted(requirement: Requirement, expected: str) -> None:
    assert expected == str(requirement)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (Requirement(), True),
        (needs("Reader"), False),
        (needs(None, CREATE), False),
        (needs(roles=("A",)), False),
    ],
)
def test_a_requirement_that_names_nothing_is_empty(requirement: Requirement, expected: bool) -> None:
    assert expected is requirement.is_empty


def test_nobody_can_require_no_access() -> None:
    with pytest.raises(AclError) as problem:
        needs("No Access")
    assert str(problem.value) == "expected a level that gives something, found `No Access`"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(needs("Reader"), needs("Editor"), needs("Editor"), id="the higher level"),
        pytest.param(needs("Reader"), NO_REQUIREMENT, needs("Reader"), id="nothing adds nothing"),
        pytest.param(
            needs(None, CREATE, roles=("A",)),
            needs(None, DELETE, roles=("B",)),
            needs(None, CREATE, DELETE, roles=("A", "B")),
            id="all privileges and all roles",
        ),
        pytest.param(
            needs(roles=("A",)),
            needs(None, CREATE),
            needs("Reader", CREATE, roles=("A",)),
            id="a role alone still implies Reader",
        ),
        pytest.param(
            needs(roles=("A",)), needs("Author"), needs("Author", roles=("A",)), id="or a higher level"
        ),
    ],
)
def test_requirements_are_joined(one: Requirement, other: Requirement, expected: Requirement) -> None:
    assert (expected, expected) == (one.joined_with(other), other.joined_with(one))


LEVELS = st.none() | st.sampled_from([level for level in Level if level is not Level.NO_ACCESS])
PRIVILEGES = st.frozensets(st.sampled_from(Privilege))
ROLES = st.frozensets(st.sampled_from(["Buyer", "Approver"]))
REQUIREMENTS = st.builds(Requirement, level=LEVELS, privileges=PRIVILEGES, roles=ROLES)
ACCESSES = st.builds(
    EffectiveAccess,
    database=st.just("x"),
    level=st.sampled_from(Level),
    privileges=PRIVILEGES,
    roles=ROLES,
    decided_by=st.just(DecidedBy.EXPLICIT),
)


@given(ACCESSES, REQUIREMENTS, REQUIREMENTS)
def test_a_joined_requirement_is_met_exactly_where_both_are(
    access: EffectiveAccess, one: Requirement, other: Requirement
) -> None:
    both = [requirement for requirement in (one, other) if not requirement.is_empty]
    expected = bool(both) and all(unmet_requirement(access, requirement) is None for requirement in both)
    assert expected == (unmet_requirement(access, one.joined_with(other)) is None)


@given(ACCESSES, REQUIREMENTS)
def test_more_access_never_meets_less(access: EffectiveAccess, requirement: Requirement) -> None:
    if unmet_requirement(access, requirement) is None:
        more = EffectiveAccess(
            database="x",
            level=Level.MANAGER,
            privileges=frozenset(Privilege),
            roles=frozenset({"Buyer", "Approver"}),
            decided_by=DecidedBy.EXPLICIT,
        )
        assert unmet_requirement(more, requirement) is None
