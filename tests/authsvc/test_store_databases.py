"""Databases and their ACLs: logged, protected, read by the pipeline as they are now."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, update

from authsvc.access.acl import AclEntry, Database, Level, WildcardMode, read_database
from authsvc.decision.ports import StoreFault
from authsvc.store.builtin import DIRECTORY_ROLES
from authsvc.store.databases import (
    AclLogLine,
    SqlDatabases,
    StoredDatabase,
    create_database,
    database_document,
    delete_database,
    find_database,
    list_databases,
    read_acl_log,
    replace_acl,
    replace_database,
)
from authsvc.store.errors import (
    AclRefused,
    DocumentChanged,
    NameRefused,
    NameTaken,
    NotStored,
    StoreMalformed,
    StoreUnavailable,
)
from authsvc.store.schema import acl_entries, acl_log, databases, open_engine, open_reading
from tests.support.store import ACTOR, NOW, STORES, changing, database, open_store, store_of

ADA = AclEntry.parse(name="Ada/Renovations", level="Manager", roles=["AclManager"])
BOB = AclEntry.parse(name="Bob/Renovations", level="Manager")
NOBODY = AclEntry.parse(name="-Default-", level="No Access")


@pytest.fixture(params=STORES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    yield from store_of(request, tmp_path)


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One empty store for many questions; nobody writes to it."""
    with open_store(tmp_path_factory.mktemp("store")) as engine:
        yield engine


def _sales(*entries: AclEntry, name: str = "Sales.nsf", title: str = "Sales tracking") -> Database:
    return read_database(
        name=name,
        title=title,
        require_tls=True,
        maximum_internet_access="Reader",
        roles=["Buyer", "Approver"],
        wildcards="union",
        entries=entries
        or [
            AclEntry.parse(name="*/West/Acme", level="Reader"),
            AclEntry.parse(
                name="Sales",
                level="Author",
                type="person group",
                privileges=["create_documents", "delete_documents"],
                roles=["Buyer"],
            ),
            AclEntry.parse(name="Sales@Airius", level="No Access", privileges=["read_public_documents"]),
            AclEntry.parse(name="Anonymous", level="Depositor"),
            AclEntry.parse(name="uid=Sandra Smith/o=Acme/c=US", level="Designer", type="person"),
            AclEntry.parse(name="R&D = fun", level="Editor", type="mixed group"),
        ],
    )


def _create(engine: Engine, *records: Database) -> None:
    with changing(engine) as change:
        for record in records:
            create_database(change, record)


def _set_directory(engine: Engine, *entries: AclEntry) -> None:
    with changing(engine) as change:
        replace_acl(change, "directory", entries)


def _log(engine: Engine) -> tuple[AclLogLine, ...]:
    with open_reading(engine) as connection:
        return read_acl_log(connection)


# --- writing


def test_a_database_is_read_back_as_written(engine: Engine) -> None:
    _create(engine, _sales())

    with open_reading(engine) as connection:
        found = find_database(connection, "SALES.NSF")

    assert found is not None
    assert database_document(_sales()) == database_document(found.database)
    assert 1 == found.revision
    assert set(_sales().entries) == set(found.database.entries)


def test_a_database_name_is_unique_whatever_its_spelling(engine: Engine) -> None:
    _create(engine, _sales())

    with (
        pytest.raises(NameTaken, match=r"a database `sales\.NSF` is already there"),
        changing(engine) as change,
    ):
        create_database(change, database("sales.NSF"))


@pytest.mark.parametrize(
    "name",
    ["SALES.NSF", "sales.nsf", "Sales.nsf"],
)
def test_a_database_is_found_in_any_case(engine: Engine, name: str) -> None:
    _create(engine, _sales())

    found = SqlDatabases(engine).find(name)

    assert found is not None
    assert "Sales.nsf" == found.name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("sales.nsf.", id="when a dot follows"),
        pytest.param("sales.nsf ", id="when a space follows"),
        pytest.param("db\\sales.nsf", id="when a backslash stands for the slash"),
        pytest.param("db//sales.nsf", id="when a slash is doubled"),
        pytest.param("db/./sales.nsf", id="when a part is a dot"),
        pytest.param("/db/sales.nsf", id="when a slash leads"),
        pytest.param("db/../db/sales.nsf", id="when it climbs"),
        pytest.param("sales.nsf\x00", id="when a NUL follows"),
        pytest.param("sales\u200b.nsf", id="when it holds an invisible character"),
        pytest.param("\uff53ales.nsf", id="when a letter is full-width"),
        pytest.param("sales%2ensf", id="when it is still encoded"),
        pytest.param("", id="when it is empty"),
        pytest.param("\ud800", id="when it is no text"),
        pytest.param("x" * 100_000, id="when it is endless"),
    ],
)
def test_t67_a_trick_with_the_name_finds_no_database(engine: Engine, name: str) -> None:
    _create(engine, _sales(), database("db/sales.nsf"))

    assert SqlDatabases(engine).find(name) is None
    with open_reading(engine) as connection:
        assert find_database(connection, name) is None
        assert () == read_acl_log(connection, name)
    with pytest.raises(NotStored), changing(engine) as change:
        delete_database(change, name)


@given(st.text())
@settings(deadline=None)
def test_any_text_is_a_database_or_none(shared_engine: Engine, name: str) -> None:
    assert SqlDatabases(shared_engine).find(name) is None or name.casefold() == "directory"


def test_a_replaced_database_has_the_next_revision_and_may_change_its_spelling_only(engine: Engine) -> None:
    _create(engine, _sales())
    wanted = _sales(ADA_WITHOUT_ROLE, name="SALES.nsf", title="All sales")

    with changing(engine) as change:
        stored = replace_database(change, "sales.nsf", wanted, expected_revision=1)

    assert StoredDatabase(database=wanted, revision=2) == stored
    with open_reading(engine) as connection:
        found = find_database(connection, "sales.nsf")
    assert found is not None
    assert (database_document(wanted), 2) == (database_document(found.database), found.revision)
    with (
        pytest.raises(NameRefused, match="a database is renamed by making a new one"),
        changing(engine) as change,
    ):
        replace_database(change, "sales.nsf", database("other.nsf"))


def test_a_document_that_somebody_else_changed_is_not_overwritten(engine: Engine) -> None:
    _create(engine, _sales())
    with changing(engine) as change:
        replace_acl(change, "sales.nsf", [BOB], expected_revision=1)

    with pytest.raises(DocumentChanged, match="expected revision 1, found 2"), changing(engine) as change:
        replace_acl(change, "sales.nsf", [NOBODY], expected_revision=1)
    assert 2 == len(_log(engine))


def test_a_new_acl_leaves_the_rest_of_the_database(engine: Engine) -> None:
    _create(engine, _sales())

    with changing(engine) as change:
        stored = replace_acl(change, "sales.nsf", [BOB])

    assert database_document(_sales(BOB)) == database_document(stored.database)
    assert {"-Default-", "Bob/Renovations"} == {entry.name for entry in stored.database.entries}


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([ADA], id="a role that is not defined"),
        pytest.param([BOB, AclEntry.parse(name="cn=BOB/o=renovations", level="Reader")], id="a name twice"),
    ],
)
def test_what_is_no_acl_is_refused_and_nothing_is_changed(engine: Engine, entries: list[AclEntry]) -> None:
    _create(engine, _sales())

    with pytest.raises(AclRefused), changing(engine) as change:
        replace_acl(change, "sales.nsf", entries)

    assert 1 == len(_log(engine))


def test_what_is_not_there_cannot_be_changed(engine: Engine) -> None:
    with pytest.raises(NotStored), changing(engine) as change:
        replace_database(change, "sales.nsf", _sales())
    with pytest.raises(NotStored), changing(engine) as change:
        replace_acl(change, "sales.nsf", [BOB])
    with pytest.raises(NotStored), changing(engine) as change:
        delete_database(change, "sales.nsf")


# --- the log


def test_every_change_of_an_acl_says_who_when_before_and_after(engine: Engine) -> None:
    first, second = _sales(), _sales(BOB)
    _create(engine, first)
    with changing(engine) as change:
        replace_database(change, "sales.nsf", second)
        delete_database(change, "sales.nsf")

    assert [
        (NOW, ACTOR, "sales.nsf", database_document(second), None),
        (NOW, ACTOR, "sales.nsf", database_document(first), database_document(second)),
        (NOW, ACTOR, "sales.nsf", None, database_document(first)),
    ] == [(line.at, line.actor, line.database_key, line.before, line.after) for line in _log(engine)]


def test_a_change_that_changes_nothing_writes_no_line_and_no_revision(engine: Engine) -> None:
    _create(engine, _sales())

    with changing(engine) as change:
        stored = replace_database(change, "sales.nsf", _sales(), expected_revision=1)

    assert 1 == stored.revision
    assert 1 == len(_log(engine))


def test_the_log_is_read_by_database_and_page(engine: Engine) -> None:
    _create(engine, _sales(), database("wiki"))
    _set_directory(engine, BOB)

    with open_reading(engine) as connection:
        newest = read_acl_log(connection, limit=2)
        older = read_acl_log(connection, before=newest[-1].number)
        wiki = read_acl_log(connection, "WIKI")

    assert [["directory", "wiki"], ["sales.nsf"], ["wiki"]] == [
        [line.database_key for line in lines] for lines in (newest, older, wiki)
    ]


def test_a_damaged_line_of_the_log_is_a_fault(engine: Engine) -> None:
    _create(engine, _sales())
    with engine.begin() as connection:
        connection.execute(update(acl_log).values(at="yesterday"))

    with pytest.raises(StoreMalformed, match="a line of the acl log cannot be read"):
        _log(engine)


# --- the database `directory`

ADA_WITHOUT_ROLE = AclEntry.parse(name="Ada/Renovations", level="Manager")


def test_the_last_manager_of_directory_cannot_be_removed(engine: Engine) -> None:
    _set_directory(engine, ADA, BOB)
    _set_directory(engine, BOB)

    for entries in (
        [],
        [AclEntry.parse(name="Bob/Renovations", level="Designer")],
        [AclEntry.parse(name="-Default-", level="Manager")],
    ):
        with pytest.raises(AclRefused, match="the last Manager entry cannot be removed"):
            _set_directory(engine, *entries)

    _set_directory(engine, ADA)  # another one in the same change is well


def test_directory_may_be_changed_freely_while_it_has_no_manager(engine: Engine) -> None:
    _set_directory(engine, AclEntry.parse(name="Ada/Renovations", level="Reader", roles=["Auditor"]))
    _set_directory(engine)

    assert 2 == len(_log(engine))


def test_another_database_may_lose_its_last_manager(engine: Engine) -> None:
    _create(engine, _sales(BOB))

    with changing(engine) as change:
        assert [NOBODY] == list(replace_acl(change, "sales.nsf", []).database.entries)


def test_directory_cannot_be_deleted(engine: Engine) -> None:
    with pytest.raises(AclRefused, match="`directory` cannot be deleted"), changing(engine) as change:
        delete_database(change, "Directory")


def test_directory_keeps_its_built_in_roles_and_may_have_more(engine: Engine) -> None:
    with changing(engine) as change:
        replace_database(change, "directory", database("directory", roles=(*DIRECTORY_ROLES, "Guest")))

    kept = tuple(role for role in DIRECTORY_ROLES if role != "Auditor")
    with (
        pytest.raises(AclRefused, match="the built-in roles `Auditor` cannot be removed"),
        changing(engine) as change,
    ):
        replace_database(change, "directory", database("directory", roles=kept))


def test_directory_never_gives_anything_to_somebody_without_a_certificate(engine: Engine) -> None:
    _set_directory(engine, AclEntry.parse(name="Anonymous", level="No Access"))

    with pytest.raises(AclRefused, match="`Anonymous` may only be No Access"):
        _set_directory(engine, AclEntry.parse(name="Anonymous", level="Depositor"))


# --- reading for decisions


def test_a_change_counts_at_the_next_question_in_every_process(engine: Engine) -> None:
    other_process = open_engine(engine.url.render_as_string(hide_password=False))
    asked = SqlDatabases(other_process)
    assert asked.find("sales.nsf") is None
    before = asked.generation()

    _create(engine, _sales())
    first = asked.find("sales.nsf")
    with changing(engine) as change:
        replace_acl(change, "sales.nsf", [BOB])
    second = asked.find("sales.nsf")
    with changing(engine) as change:
        delete_database(change, "sales.nsf")

    assert first is not None
    assert second is not None
    assert [7, 2] == [len(first.entries), len(second.entries)]
    assert asked.find("sales.nsf") is None
    assert before + 3 == asked.generation()
    asked.close()
    other_process.dispose()


def test_a_database_that_did_not_change_is_read_once(engine: Engine) -> None:
    _create(engine, _sales(), database("wiki"))
    asked = SqlDatabases(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))

    first = asked.find("sales.nsf")
    cost_of_first = len(statements)
    second = asked.find("SALES.nsf")

    assert first is second
    assert 1 < cost_of_first
    assert cost_of_first + 1 == len(statements)  # the generation


def test_a_connection_that_was_lost_is_replaced_without_a_fault(engine: Engine) -> None:
    asked = SqlDatabases(engine)
    first = asked.generation()
    held = asked._generation._connection
    assert held is not None
    assert held.connection.dbapi_connection is not None
    held.connection.dbapi_connection.close()

    assert first == asked.generation()
    assert held is not asked._generation._connection


def test_a_store_that_was_closed_opens_again_when_it_is_asked(engine: Engine) -> None:
    asked = SqlDatabases(engine)
    first = asked.generation()
    asked.close()
    asked.close()

    assert first == asked.generation()
    asked.close()


def test_names_that_outsiders_make_up_are_not_remembered(engine: Engine) -> None:
    asked = SqlDatabases(engine)

    for number in range(20):
        assert asked.find(f"made-up-{number}") is None

    assert {} == asked._known


def test_threads_that_ask_while_acls_change_get_one_of_the_acls(engine: Engine) -> None:
    _create(engine, _sales())
    asked = SqlDatabases(engine)
    seen: set[int] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            found = asked.find("sales.nsf")
            seen.add(-1 if found is None else len(found.entries))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        with changing(engine) as change:
            replace_acl(change, "sales.nsf", [BOB])
        with changing(engine) as change:
            replace_acl(change, "sales.nsf", [])
    done.set()
    for thread in threads:
        thread.join()

    assert seen <= {7, 2, 1}
    final = asked.find("sales.nsf")
    assert final is not None
    assert [NOBODY] == list(final.entries)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"level": "Boss"}, id="a level that there is not"),
        pytest.param(
            {"level": "Reader", "privileges": ["create_documents"]}, id="a privilege its level never has"
        ),
        pytest.param({"privileges": {"create_documents": True}}, id="privileges that are no list"),
        pytest.param({"roles": [1]}, id="a role that is no text"),
        pytest.param({"roles": ["Stranger"]}, id="a role that is not defined"),
        pytest.param({"name": "*"}, id="a name that is none"),
    ],
)
def test_a_damaged_acl_is_a_fault_and_not_a_missing_database(
    engine: Engine, values: dict[str, object]
) -> None:
    _create(engine, _sales(AclEntry.parse(name="Sales", level="Author", type="person group")))
    with engine.begin() as connection:
        connection.execute(update(acl_entries).where(acl_entries.c.name == "Sales").values(values))

    with pytest.raises(StoreFault, match="a stored acl cannot be read"):
        SqlDatabases(engine).find("sales.nsf")


@pytest.mark.parametrize("column", ["maximum_internet_access", "wildcards"])
def test_a_damaged_database_is_a_fault(engine: Engine, column: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(databases).values({column: "sometimes"}))

    with pytest.raises(StoreFault, match="a stored acl cannot be read"):
        SqlDatabases(engine).find("directory")


@pytest.mark.parametrize("value", [7, {"a": 1}, ["no such privilege"]])
def test_privileges_that_are_no_list_of_privileges_are_a_fault(engine: Engine, value: object) -> None:
    with engine.begin() as connection:
        connection.execute(update(acl_entries).values(privileges=value))

    with pytest.raises(StoreFault):
        SqlDatabases(engine).find("directory")


def test_privileges_that_are_no_json_are_a_fault(tmp_path: Path) -> None:
    """PostgreSQL does not store such a text; SQLite does."""
    with open_store(tmp_path) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE acl_entries SET privileges = '{'")

        with pytest.raises(StoreFault):
            SqlDatabases(engine).find("directory")


def test_a_store_without_tables_is_a_fault(tmp_path: Path) -> None:
    asked = SqlDatabases(open_engine(f"sqlite:///{tmp_path / 'empty.db'}"))

    with pytest.raises(StoreUnavailable, match="no such table"):
        asked.find("sales.nsf")
    with pytest.raises(StoreUnavailable, match="no such table"):
        asked.generation()


def test_databases_are_listed_in_order(engine: Engine) -> None:
    _create(engine, database("wiki"), _sales())

    with open_reading(engine) as connection:
        listed = list_databases(connection)

    assert ["directory", "Sales.nsf", "wiki"] == [one.database.name for one in listed]
    assert (Level.READER, WildcardMode.UNION) == (
        listed[1].database.maximum_internet_access,
        listed[1].database.wildcards,
    )
