"""`authsvc verify` and `authsvc trust`: options, answers, drawings, and a batch that nothing stops."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from authsvc.cli.output import console
from authsvc.reason import Reason
from tests.support.batch import BatchCase, batch_case, verify_batch
from tests.support.command_line import Result, document_of, run_authsvc
from tests.support.pki import BEGIN, END, NOW, Authority, Issued, KeyKind, SmallWorld, small_world

AT = ("--at", "2026-03-01T12:00:00Z")


@dataclass(frozen=True, slots=True)
class Files:
    """A small world in files."""

    folder: Path
    world: SmallWorld

    def put(self, name: str, text: str | bytes) -> Path:
        file = self.folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def verify(self, certificate: Path, *arguments: str | Path) -> Result:
        """Verify against the world's root and issuing authority, at the instant of tests."""
        return run_authsvc(
            "verify",
            certificate,
            *("--anchors", self.folder / "root.pem", "--intermediates", self.folder / "issuing.pem"),
            *AT,
            *arguments,
        )

    @property
    def lists(self) -> tuple[str | Path, ...]:
        return ("--crls", self.folder / "root.crl", "--crls", self.folder / "issuing.crl")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    world = small_world()
    made = Files(tmp_path, world)
    made.put("root.pem", world.root.pem)
    made.put("issuing.pem", world.issuing.pem)
    made.put("dave.pem", world.dave.pem)
    made.put("root.crl", world.root.crl().pem)
    made.put("issuing.crl", world.issuing.crl().pem)
    return made


# --- one certificate


def test_a_certificate_with_a_path_and_current_lists_is_valid(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", *files.lists)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "valid, path to anchor given\n"
        "  ✓ anchor       CN=Renovations Root CA,O=Renovations  until 2036-02-27\n"
        "  │\n"
        "  ✓ intermediate CN=Renovations Issuing CA,O=Renovations  until 2036-02-27\n"
        "  │\n"
        "  ✓ certificate  CN=Dave Lawson,O=Renovations  until 2027-03-01\n"
        "\n"
        f"  revocation     good, by `{files.folder}/issuing.crl`, `{files.folder}/root.crl`, 3600 s old, "
        "next update 2026-03-08T12:00:00+00:00\n"
    )


def test_der_files_are_read_as_pem_files_are(files: Files) -> None:
    world = files.world
    result = run_authsvc(
        "verify",
        files.put("dave.der", world.dave.der),
        *("--anchors", files.put("root.der", world.root.der)),
        *("--intermediates", files.put("issuing.der", world.issuing.der)),
        *("--crls", files.put("root.crl.der", world.root.crl().der)),
        *("--crls", files.put("issuing.crl.der", world.issuing.crl().der)),
        *AT,
    )
    assert result.exit_code == 0, result.output


def test_several_lists_may_stand_in_one_file(files: Files) -> None:
    both = files.put("both.crl", files.world.root.crl().pem + files.world.issuing.crl().pem)
    result = files.verify(files.folder / "dave.pem", "--crls", both)
    assert result.exit_code == 0, result.output
    assert f"`{both} (1)`, `{both} (2)`" in result.stdout


def test_without_lists_nothing_is_known_and_that_is_not_valid(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "not valid: revocation_unknown, path to anchor given"


def test_revocation_is_not_looked_at_when_nobody_wants_it(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", "--revocation", "off")
    assert result.exit_code == 0
    assert "revocation     not checked (mode off)" in result.stdout


def test_what_is_accepted_without_proof_is_told(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", "--revocation", "prefer")
    assert result.exit_code == 0
    assert "revocation     unknown accepted; no current list covers" in result.stdout


def test_a_revoked_certificate_is_marked_where_it_stands(files: Files) -> None:
    revoked = files.put("revoked.crl", files.world.issuing.crl([files.world.dave]).pem)
    result = files.verify(files.folder / "dave.pem", "--crls", files.folder / "root.crl", "--crls", revoked)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "not valid: certificate_revoked, path to anchor given"
    assert lines[5:7] == [
        "  ✗ certificate  CN=Dave Lawson,O=Renovations  until 2027-03-01",
        f"                 `{revoked}` revokes `CN=Dave Lawson,O=Renovations` since 2026-03-01T11:00:00+00:00",
    ]


def test_a_revoked_issuer_is_marked_where_it_stands(files: Files) -> None:
    revoked = files.put("revoked.crl", files.world.root.crl([files.world.issuing]).pem)
    result = files.verify(
        files.folder / "dave.pem", "--crls", revoked, "--crls", files.folder / "issuing.crl"
    )
    assert result.exit_code == 1
    assert "  ✗ intermediate CN=Renovations Issuing CA" in result.stdout
    assert "  ✓ certificate  CN=Dave Lawson" in result.stdout


def test_a_list_that_cannot_be_used_is_undecided(files: Files) -> None:
    stranger = files.put("stranger.crl", Authority.root("CN=Elsewhere", now=NOW).crl().pem)
    result = files.verify(files.folder / "dave.pem", "--crls", files.folder / "root.crl", "--crls", stranger)
    assert result.exit_code == 3
    assert result.stdout.startswith("undecided: revocation_unavailable")


def test_an_expired_certificate_is_marked_where_it_stands(files: Files) -> None:
    old = files.world.issuing.issue(not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=2))
    result = files.verify(files.put("old.pem", old.pem), *files.lists)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "not valid: certificate_expired"
    assert "  ✗ certificate  CN=Dave Lawson,O=Renovations  until 2026-02-27\n" in result.stdout
    assert "  ✓ intermediate CN=Renovations Issuing CA" in result.stdout


def test_an_expired_issuer_is_marked_where_it_stands(files: Files) -> None:
    issuing = files.world.root.issue_authority(
        "CN=Old CA", not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=2)
    )
    result = files.verify(files.put("dave.pem", issuing.issue().bundle_pem), "--revocation", "off")
    assert result.exit_code == 1
    assert "  ✗ intermediate CN=Old CA" in result.stdout
    assert "  ✓ certificate  CN=Dave Lawson" in result.stdout


def test_a_pinned_certificate_is_its_own_anchor(files: Files) -> None:
    dave = files.folder / "dave.pem"
    result = run_authsvc("verify", dave, "--anchors", dave, *AT, "--revocation", "off")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1] == "  ✓ anchor       CN=Dave Lawson,O=Renovations  until 2027-03-01"


def test_a_missing_intermediate_is_told_from_an_unknown_root(files: Files) -> None:
    evil = Authority.root("CN=Evil Root", now=NOW)
    eve = evil.issue_authority("CN=Evil CA").issue("CN=Eve")
    unknown = files.verify(files.put("whole.pem", eve.bundle_pem + evil.pem))
    missing = files.verify(files.put("alone.pem", eve.pem))
    assert [unknown.exit_code, missing.exit_code] == [1, 1]
    assert "  ✗ unknown root CN=Evil Root  until" in unknown.stdout
    assert "no intermediate is missing: this root is not trusted here" in unknown.stdout
    assert "  ✓ intermediate CN=Evil CA  until" in unknown.stdout
    assert "  ? missing      CN=Evil CA\n" in missing.stdout
    assert "to mend: add this certificate if it is an intermediate" in missing.stdout
    assert "unknown root" not in missing.stdout


def test_an_issuer_of_the_anchors_name_with_another_key_is_not_drawn_as_the_anchor(files: Files) -> None:
    result = files.verify(files.put("other.pem", small_world().dave.bundle_pem))
    assert result.exit_code == 1
    assert "  ✓ anchor " not in result.stdout
    assert "  ? missing      CN=Renovations Root CA,O=Renovations\n" in result.stdout


def test_a_root_that_went_round_in_circles_ends_the_drawing(files: Files) -> None:
    first, second = Authority.root("CN=A", now=NOW), Authority.root("CN=B", now=NOW)
    first_by_second = second.issue_authority("CN=A", key=first.key, path_length=None)
    second_by_first = first.issue_authority("CN=B", key=second.key, path_length=None)
    chain = first.issue("CN=Eve").pem + first_by_second.pem + second_by_first.pem
    result = files.verify(files.put("circle.pem", chain))
    assert result.exit_code == 1
    assert result.stdout.count("intermediate") <= 4
    assert "  ✓ certificate  CN=Eve" in result.stdout


def test_an_unreadable_hint_beside_a_certificate_is_left_out(files: Files) -> None:
    result = files.verify(
        files.put("dave.pem", files.world.dave.pem + files.world.dave.pem.replace("M", "A")), *files.lists
    )
    assert result.exit_code in {0, 1}
    assert "certificate  CN=Dave Lawson" in result.stdout or "certificate_unreadable" in result.stdout


def test_an_unreadable_certificate_is_refused_and_says_why(files: Files) -> None:
    result = files.verify(files.put("nonsense.pem", "nonsense"))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "not valid: certificate_unreadable",
        "  ✗ certificate  expected base64: incorrect padding",
    ]
    shell = files.verify(files.put("shell.der", b"\x30\x03\x02\x01\x01"))
    assert shell.exit_code == 1
    assert shell.stdout.startswith("not valid: certificate_unreadable\n  ✗ certificate  ")


def test_the_same_answer_comes_as_json(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", *files.lists, "--json")
    assert result.exit_code == 0
    document = document_of(result)
    assert isinstance(document, dict)
    path = document.pop("path")
    assert [element["role"] for element in path] == ["certificate", "intermediate", "anchor"]
    assert path[0]["sha256"] == files.world.dave.certificate.fingerprint(_sha256()).hex()
    assert document == {
        "valid": True,
        "reason": "allowed",
        "detail": "",
        "at": "2026-03-01T12:00:00+00:00",
        "trust_anchor": "given",
        "revocation": {
            "status": "good",
            "policy": "require",
            "lists": [str(files.folder / "issuing.crl"), str(files.folder / "root.crl")],
            "this_update": "2026-03-01T11:00:00+00:00",
            "next_update": "2026-03-08T12:00:00+00:00",
            "age_seconds": 3600,
            "detail": "",
        },
    }


def test_a_refusal_comes_as_json_with_the_problem_at_its_element(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", "--json")
    document = document_of(result)
    assert isinstance(document, dict)
    assert result.exit_code == 1
    assert document["revocation"]["status"] == "revocation_unknown"
    assert [bool(element["problem"]) for element in document["path"]] == [True, False, False]
    stranger = document_of(files.verify(files.put("x.pem", small_world().dave.pem), "--json"))
    assert isinstance(stranger, dict)
    assert stranger["trust_anchor"] is None
    assert stranger["revocation"] is None


def _sha256() -> object:
    return None
