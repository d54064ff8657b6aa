"""`authsvc blocks`: every spelling of what to refuse, what is printed, and the exit codes."""

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from authsvc.access.levels import Level
from authsvc.cli.apply import local_actor
from tests.support.command_line import Result, document_of, run_authsvc
from tests.support.service import Place, acl, lay_place, world

DAVE = world().people["dave"]
SHA256 = hashlib.sha256(DAVE.der).hexdigest()
SERIAL = DAVE.certificate.serial_number
ISSUER = "CN=Renovations Issuing CA,O=Renovations"
SUBJECT = "CN=Dave Lawson,O=Renovations"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    laid = lay_place(tmp_path)
    laid.write("dave.pem", DAVE.pem)
    (tmp_path / "dave.der").write_bytes(DAVE.der)
    laid.write("both.pem", DAVE.pem + world().issuing.pem)
    monkeypatch.chdir(tmp_path)
    return laid


def blocks(place: Place, *arguments: str) -> Result:
    return run_authsvc("blocks", *arguments, config=place.file)


def add(place: Place, *arguments: str) -> Result:
    return blocks(place, "add", *arguments, "--reason", "laptop stolen")


def listed(place: Place) -> list[dict[str, object]]:
    document = document_of(blocks(place, "list", "--json"))
    assert isinstance(document, dict)
    found: list[dict[str, object]] = document["blocks"]
    return found


def explained(place: Place) -> str:
    document = document_of(run_authsvc("explain", "dave.pem", "--json", config=place.file))
    assert isinstance(document, dict)
    return str(document["reason"])


WAYS = {
    "a PEM file": ["--certificate", "dave.pem"],
    "a DER file": ["--certificate", "dave.der"],
    "a digest": ["--certificate", SHA256],
    "a digest with colons": ["--certificate", bytes.fromhex(SHA256).hex(":").upper()],
    "a certificate's key": ["--public-key", "dave.pem"],
    "issuer and serial number of a file": ["--issuer-serial", "dave.pem"],
    "issuer and decimal serial number": ["--issuer", ISSUER, "--serial", str(SERIAL)],
    "issuer and hexadecimal serial number": ["--issuer", f"issuer={ISSUER}", "--serial", hex(SERIAL)],
    "a subject": ["--subject", SUBJECT],
    "a file's subject": ["--subject", "dave.pem"],
    "an identity": ["--identity", "Dave Lawson/Renovations"],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_whoever_is_named_is_refused_until_the_block_is_removed(place: Place, way: list[str]) -> None:
    assert "allowed_identity" == explained(place)
    assert 0 == add(place, *way).exit_code
    expected = "entry_disabled" if "--identity" in way else "certificate_revoked"
    assert expected == explained(place)
    assert 0 == blocks(place, "remove", "1").exit_code
    assert "allowed_identity" == explained(place)


@pytest.mark.parametrize("file", ["root.pem", "issuing.pem"])
def test_t21_the_key_of_an_authority_is_refused_with_everybody_below_it(place: Place, file: str) -> None:
    assert 0 == add(place, "--public-key", file).exit_code
    assert "certificate_revoked" == explained(place)


def test_blocks_are_printed_for_people(place: Place) -> None:
    added = add(place, "--issuer-serial", "dave.pem", "--owner", "Security desk", "--until", "2199-12-31")
    assert (0, "") == (added.exit_code, added.stderr)
    first, reason, owner = added.stdout.splitlines()
    assert (
        f"block 1 (in force, until 2200-01-01 00:00:00 UTC): issuer_serial {ISSUER}, serial {SERIAL:#x} ({SERIAL})"
        == first
    )
    assert "  laptop stolen" == reason
    assert owner.startswith(f"  owner Security desk; added by {local_actor()}, 20")
    again = blocks(place, "list")
    assert added.stdout + "1 block, 1 in force\n" == again.stdout
    removed = blocks(place, "remove", "1")
    assert (0, "removed block 1\n") == (removed.exit_code, removed.stdout)
    assert "0 blocks, 0 in force\n" == blocks(place, "list").stdout


def test_blocks_are_printed_for_scripts(place: Place) -> None:
    added = document_of(add(place, "--certificate", "dave.pem", "--json"))
    assert isinstance(added, dict)
    assert {
        "id": 1,
        "kind": "certificate",
        "value": SHA256,
        "serial": None,
        "owner": local_actor(),
        "reason": "laptop stolen",
        "ends": None,
        "in_force": True,
        "created_by": local_actor(),
    } == {name: value for name, value in added.items() if name != "created_at"}
    assert [added] == listed(place)
    assert {"id": 1, "removed": True} == document_of(blocks(place, "remove", "1", "--json"))
    assert [] == listed(place)


def test_a_block_that_has_ended_is_listed_as_ended(place: Place) -> None:
    add(place, "--certificate", "dave.pem")
    with closing(connect(place.folder / "directory.db")) as connection, connection:
        connection.execute("UPDATE blocks SET ends = '2021-01-01T00:00:00.000000Z'")
    printed = blocks(place, "list").stdout
    assert printed.startswith("block 1 (ended, until 2021-01-01 00:00:00 UTC): ")
    assert printed.endswith("1 block, 0 in force\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], "expected exactly one of --certificate", id="nothing"),
        pytest.param(
            ["--certificate", SHA256, "--identity", "Dave"], "expected exactly one of", id="two of them"
        ),
        pytest.param(
            ["--subject", SUBJECT, "--issuer", ISSUER, "--serial", "1"], "found 2", id="one, and a pair"
        ),
        pytest.param(["--issuer", ISSUER], "expected --issuer and --serial together", id="half a pair"),
        pytest.param(["--serial", "1"], "expected --issuer and --serial together", id="the other half"),
        pytest.param(
            ["--certificate", "nobody.pem"], "expected a certificate file or a SHA-256", id="no file"
        ),
        pytest.param(
            ["--certificate", SHA256[:-2]], "expected a certificate file or a SHA-256", id="cut digest"
        ),
        pytest.param(["--certificate", "."], "expected a certificate file", id="a folder"),
        pytest.param(["--certificate", "both.pem"], "expected one certificate, found 2", id="a bundle"),
        pytest.param(["--certificate", "server.key"], "labelled CERTIFICATE", id="a key file"),
        pytest.param(["--certificate", "directory.db"], "certificate file of at most", id="a large file"),
        pytest.param(
            ["--issuer-serial", "x"], "expected a certificate file or --issuer with", id="no such file"
        ),
        pytest.param(["--subject", "Dave"], "expected a certificate file or a whole name", id="neither"),
        pytest.param(["--subject", "C=US,O=Acme,CN=Dave"], "begins at the root: `CN=Dave", id="root first"),
        pytest.param(["--issuer", ISSUER, "--serial", "12ab"], "write `0x`", id="hexadecimal without a mark"),
        pytest.param(["--identity", "*"], "which is nobody's", id="everybody"),
        pytest.param(["--identity", "Dave", "--until", "soon"], "expected an end such as `12h`", id="no end"),
        pytest.param(
            ["--identity", "Dave", "--owner", "a\nb"], "expected an owner of one line", id="two lines"
        ),
    ],
)
def test_what_cannot_be_meant_is_a_mistake_of_usage_and_changes_nothing(
    place: Place, arguments: list[str], told: str
) -> None:
    result = add(place, *arguments)
    assert (2, "") == (result.exit_code, result.stdout)
    assert told in result.stderr
    assert [] == listed(place)


def test_a_reason_is_needed(place: Place) -> None:
    assert 2 == blocks(place, "add", "--identity", "Dave").exit_code
    assert 2 == blocks(place, "add", "--identity", "Dave", "--reason", " ").exit_code
    assert [] == listed(place)


def test_what_is_not_there_cannot_be_removed(place: Place) -> None:
    result = blocks(place, "remove", "7")
    assert (1, "", "error: there is no block 7\n") == (result.exit_code, result.stdout, result.stderr)
    assert 2 == blocks(place, "remove", "0").exit_code
    assert 2 == blocks(place, "remove", str(2**31)).exit_code


def test_an_end_that_is_over_is_refused(place: Place) -> None:
    result = add(place, "--identity", "Dave", "--until", "2021-01-01")
    assert 1 == result.exit_code
    assert "expected an end after" in result.stderr


def test_a_store_that_does_not_answer_is_undecided(place: Place) -> None:
    place.configure_directories(primary={"domain": "Renovations", "url": "sqlite:///no/folder/at/all.db"})
    for arguments in (["list"], ["add", "--identity", "Dave", "--reason", "x"], ["remove", "1"]):
        result = blocks(place, *arguments)
        assert 3 == result.exit_code, arguments
        assert result.stderr.startswith("error: ")


def test_to_look_makes_no_store(place: Place) -> None:
    place.configure_directories(primary={"domain": "Renovations", "url": "sqlite:///other.db"})
    assert 3 == blocks(place, "list").exit_code
    assert not (place.folder / "other.db").exists()


def only_max(place: Place) -> None:
    place.put_database("directory", acl("Max Manager/Renovations", Level.MANAGER))


def max_and_ada(place: Place) -> None:
    managers = ("Max Manager/Renovations", "Ada Auditor/Renovations")
    place.put_database("directory", *(acl(name, Level.MANAGER) for name in managers))


@pytest.mark.parametrize(
    ("arrange", "name", "warned"),
    [
        pytest.param(only_max, "CN=max manager,O=Renovations", True, id="the only Manager"),
        pytest.param(only_max, "Ada Auditor/Renovations", False, id="somebody else"),
        pytest.param(max_and_ada, "Max Manager/Renovations", False, id="one of two Managers"),
    ],
)
def test_a_block_of_the_only_manager_is_obeyed_with_a_warning(
    place: Place, arrange: Callable[[Place], None], name: str, warned: bool
) -> None:
    arrange(place)
    result = add(place, "--identity", name, "--json")
    assert 0 == result.exit_code
    assert warned is ("warning: this is the only Manager entry" in result.stderr)
    assert 1 == json.loads(result.stdout)["id"]


@pytest.mark.parametrize(
    "name", ["Dave", "Dave Lawson", "Norma Nobody/Renovations", "dave@renovations.example"]
)
def test_a_name_that_is_nobodys_first_in_the_primary_is_blocked_with_a_warning(
    place: Place, name: str
) -> None:
    result = add(place, "--identity", name)
    assert 0 == result.exit_code
    assert "nobody in the primary directory" in result.stderr
    assert "allowed_identity" == explained(place)
    assert "" == add(place, "--identity", "cn=DAVE lawson,o=renovations").stderr
    assert "entry_disabled" == explained(place)


def test_a_block_that_was_added_is_not_called_a_failure_by_what_is_looked_at_afterwards(place: Place) -> None:
    with closing(connect(place.folder / "directory.db")) as connection, connection:
        connection.execute("UPDATE acl_entries SET level = 'Emperor'")
    result = add(place, "--identity", "Dave Lawson/Renovations")
    assert 0 == result.exit_code
    assert "warning: the block is in force; whom it hits cannot be told" in result.stderr
    assert 1 == len(listed(place))


def test_t73_what_somebody_typed_is_shown_without_being_obeyed(place: Place) -> None:
    result = blocks(place, "add", "--identity", "[bold]D\u202eave", "--reason", "[red]\u202ex")
    assert 0 == result.exit_code
    assert "\u202e" not in result.stdout
    assert r"  [red]\u202ex" in result.stdout.splitlines()
