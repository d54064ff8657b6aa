"""`check-config --with-directories`: what only the store and the directories can tell."""

from pathlib import Path

import pytest

from authsvc.access.entries import AclEntry
from authsvc.access.levels import Level
from authsvc.store.databases import create_database
from authsvc.store.groups import create_group
from tests.support.command_line import document_of, run_authsvc
from tests.support.service import Place, lay_place
from tests.support.store import changing, database, group

SALES = "directory-assistance.yaml:1: primary.url: database `wiki`: acl entry "


def entry(name: str, kind: str = "person group") -> AclEntry:
    return AclEntry.parse(name=name, level=Level.READER, type=kind)


def lay(folder: Path, *entries: AclEntry, domains: object = (), deny_access: tuple[str, ...] = ()) -> Place:
    """Lay a place whose primary has a group `Sales` and a group `Gone`, and a database `wiki` with these entries."""
    place = lay_place(folder)
    place.configure(deny_access=list(deny_access))
    place.write(
        "directory-assistance.yaml",
        "primary: {domain: Renovations, url: 'sqlite:///directory.db'}\n" + str(domains or ""),
    )
    with place.store() as engine, changing(engine) as change:
        create_group(change, group("Sales"))
        create_group(change, group("Gone"))
        create_database(change, database("wiki", *entries))
    return place


def warnings_of(place: Place) -> list[str]:
    """Return what is told with the directories that is not told without, without the folder."""
    plain = run_authsvc("check-config", config=place.file)
    result = run_authsvc("check-config", "--with-directories", config=place.file)
    assert (plain.exit_code, result.exit_code) == (0, 0)
    more = [line for line in result.stderr.splitlines() if line not in plain.stderr.splitlines()]
    return [line.replace(f"warning: {place.folder}/", "") for line in more]


ACME = (
    "domains:\n"
    "  - {domain: Acme, type: sql, url: 'sqlite:///directory.db', rules: [{rule: '*/Acme', trusted: true}]%s}\n"
)


@pytest.mark.parametrize(
    ("found", "domains", "expected"),
    [
        pytest.param(entry("Sales"), "", [], id="a group of the primary is no reason"),
        pytest.param(entry("Sales@Renovations"), "", [], id="nor is it by its whole name"),
        pytest.param(
            entry("Slaes"),
            "",
            ["`Slaes`: the primary directory has no such group"],
            id="a group that nobody defines",
        ),
        pytest.param(
            entry("Slaes@Renovations"),
            "",
            ["`Slaes@Renovations`: the primary directory has no such group"],
            id="a group that the primary does not define, by its whole name",
        ),
        pytest.param(
            entry("Sales@Nowhere"),
            "",
            ["`Sales@Nowhere`: there is no domain `nowhere`"],
            id="a domain that is not there",
        ),
        pytest.param(
            entry("Sales@Nowhere", "unspecified"),
            "",
            ["`Sales@Nowhere`: there is no domain `nowhere`"],
            id="a domain that is not there, of no type",
        ),
        pytest.param(
            entry("dave@renovations.example", "unspecified"),
            "",
            [],
            id="a mail address is no group of a domain",
        ),
        pytest.param(entry("Dave Lawson/Renovations", "person"), "", [], id="a person is no group"),
        pytest.param(entry("Slaes", "unspecified"), "", [], id="a name of no type may be a person's"),
        pytest.param(entry("*/Renovations"), "", [], id="a wildcard is no group"),
        pytest.param(
            entry("Any@Acme"),
            ACME % "",
            ["`Any@Acme`: groups of `Acme` count for nobody (`group_authorization`)"],
            id="a domain whose groups count for nobody",
        ),
        pytest.param(
            entry("Any@Acme"),
            ACME % ", enabled: false",
            ["`Any@Acme`: domain `Acme` is not enabled"],
            id="a domain that is not enabled",
        ),
        pytest.param(
            entry("Any@Acme"), ACME % ", group_authorization: true", [], id="a domain whose groups count"
        ),
        pytest.param(
            entry("Any"),
            ACME % ", group_authorization: true, plain_group_names: true",
            [],
            id="a plain name may be another domain's group",
        ),
        pytest.param(
            entry("Any"),
            ACME % ", enabled: false, group_authorization: true, plain_group_names: true",
            ["`Any`: the primary directory has no such group"],
            id="a plain name is not that of a domain that is not enabled",
        ),
    ],
)
def test_an_acl_entry_for_a_group_that_nobody_is_in_is_a_warning(
    tmp_path: Path, found: AclEntry, domains: str, expected: list[str]
) -> None:
    assert warnings_of(lay(tmp_path, found, domains=domains)) == [SALES + text for text in expected]


def test_a_group_under_deny_access_that_the_primary_has_not_is_a_warning(tmp_path: Path) -> None:
    place = lay(tmp_path, deny_access=("Gone", "Terminated"))
    (told,) = warnings_of(place)
    assert told.partition(": ")[2] == (
        "deny_access[1]: the primary directory has no group `Terminated`, so it denies nobody"
        " (`authsvc apply` a document with this group, of type `deny`)"
    )


def test_a_domain_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    place = lay(tmp_path, domains=(ACME % "").replace("directory.db", "absent.db"))
    (told,) = warnings_of(place)
    assert told.startswith("directory-assistance.yaml:3: domains[0]: `Acme` does not answer: ")
    assert told.endswith('(authsvc verify-directory "Acme")')
    assert warnings_of(lay_disabled(tmp_path)) == []


def lay_disabled(folder: Path) -> Place:
    place = Place(folder=folder, configuration={}, assistance={})
    text = (folder / "directory-assistance.yaml").read_text()
    place.write(
        "directory-assistance.yaml", text.replace("trusted: true}]", "trusted: true}], enabled: false")
    )
    return place


def test_a_store_that_cannot_be_asked_is_exit_code_3_and_without_the_option_nobody_asks(
    tmp_path: Path,
) -> None:
    place = lay(tmp_path)
    (place.folder / "directory.db").unlink()
    assert run_authsvc("check-config", config=place.file).exit_code == 0
    result = run_authsvc("check-config", "--with-directories", config=place.file)
    assert (result.exit_code, result.stdout) == (3, "")
    assert not (place.folder / "directory.db").exists()


def test_a_store_without_our_schema_is_exit_code_2(tmp_path: Path) -> None:
    place = lay(tmp_path)
    (place.folder / "directory.db").write_bytes(b"")
    assert run_authsvc("check-config", "--with-directories", config=place.file).exit_code == 2


def test_with_mistakes_in_the_files_nothing_is_asked(tmp_path: Path) -> None:
    place = lay(tmp_path, entry("Slaes"))
    place.configure(unheard_of=1)
    result = run_authsvc("check-config", "--with-directories", config=place.file)
    assert result.exit_code == 2
    assert "Slaes" not in result.stderr


def test_as_json_it_says_the_same(tmp_path: Path) -> None:
    place = lay(tmp_path, entry("Slaes"))
    document = document_of(run_authsvc("check-config", "--with-directories", "--json", config=place.file))
    assert isinstance(document, dict)
    assert document["usable"] is True
    (told,) = [problem for problem in document["problems"] if "Slaes" in problem["problem"]]
    assert (told["line"], told["path"], told["warning"]) == (1, "primary.url", True)
