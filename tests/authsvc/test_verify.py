"""`authsvc verify` and `authsvc trust`: options, answers, drawings, and a batch that nothing stops."""

import hashlib
import json
import re
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from authsvc.cli.output import console
from authsvc.cli.verify_batch import answer_line
from authsvc.reason import Reason
from tests.support.batch import BatchCase, batch_case, crl_pem, pem_of, verify_batch
from tests.support.command_line import Result, document_of, run_authsvc
from tests.support.pki import BEGIN, END, NOW, Authority, SmallWorld, small_world
from tests.support.service import Place, lay_place, world

TRUST: dict[str, object] = {
    "anchors": [{"name": "corp", "file": "root.pem"}],
    "intermediates": ["issuing.pem"],
    "revocation": {"mode": "require", "crls": ["root.crl", "issuing.crl"]},
}
"""The key `trust` of a place's configuration."""

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
        "  revocation     good (mode require), 3600 s old\n"
        f"                 CN=Dave Lawson,O=Renovations: good by `{files.folder}/issuing.crl` number 1, "
        "until 2026-03-08T12:00:00+00:00\n"
        f"                 CN=Renovations Issuing CA,O=Renovations: good by `{files.folder}/root.crl` number 1, "
        "until 2026-03-08T12:00:00+00:00\n"
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
    assert f"`{both} (1)`" in result.stdout
    assert f"`{both} (2)`" in result.stdout


def test_without_lists_nothing_is_known_and_that_is_not_valid(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "not valid: revocation_unknown, path to anchor given"


def test_revocation_is_not_looked_at_when_nobody_wants_it(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", "--revocation", "off")
    assert result.exit_code == 0
    assert result.stdout.endswith("\n\n  revocation     not checked (mode off)\n")


def test_what_is_accepted_without_proof_is_told(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", "--revocation", "prefer")
    assert result.exit_code == 0
    assert "revocation     unknown accepted (mode prefer)\n" in result.stdout
    assert "CN=Dave Lawson,O=Renovations: unknown: no current list covers" in result.stdout


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
    broken = files.put("broken.crl", b"\x30\x00")
    result = files.verify(files.folder / "dave.pem", "--crls", files.folder / "root.crl", "--crls", broken)
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


def test_a_path_that_is_too_long_is_drawn_as_far_as_it_is_short_enough(files: Files) -> None:
    above, chain = files.world.root, ""
    for number in range(9):
        above = above.issue_authority(f"CN=CA {number}", path_length=None)
        chain = above.pem + chain
    certificate = files.put("long.pem", above.issue().pem)
    result = files.verify(certificate, "--intermediates", files.put("chain.pem", chain))
    assert result.exit_code == 1
    assert result.stdout.startswith("not valid: certificate_untrusted\n")
    assert result.stdout.count("✓ intermediate") >= 8


def test_a_circle_of_cross_certificates_is_drawn_once_round(files: Files) -> None:
    first, second = Authority.root("CN=A", now=NOW), Authority.root("CN=B", now=NOW)
    first_by_second = second.issue_authority("CN=A", key=first.key, path_length=None)
    second_by_first = first.issue_authority("CN=B", key=second.key, path_length=None)
    chain = first.issue("CN=Eve").pem + first_by_second.pem + second_by_first.pem
    result = files.verify(files.put("circle.pem", chain))
    assert result.exit_code == 1
    assert result.stdout.count("✓ intermediate") == 2
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
        "  ✗ certificate  expected a certificate in DER, which begins with a SEQUENCE",
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
    evidence = document["revocation"].pop("certificates")
    assert [(one["subject"], one["status"]) for one in evidence] == [
        ("CN=Dave Lawson,O=Renovations", "good"),
        ("CN=Renovations Issuing CA,O=Renovations", "good"),
    ]
    assert [element["role"] for element in path] == ["certificate", "intermediate", "anchor"]
    assert path[0]["sha256"] == hashlib.sha256(files.world.dave.der).hexdigest()
    assert document == {
        "valid": True,
        "reason": "allowed",
        "detail": "",
        "at": "2026-03-01T12:00:00+00:00",
        "trust_anchor": "given",
        "revocation": {
            "status": "good",
            "policy": "require",
            "source": "crl",
            "lists": [str(files.folder / "issuing.crl"), str(files.folder / "root.crl")],
            "responders": [],
            "this_update": "2026-03-01T11:00:00Z",
            "next_update": "2026-03-08T12:00:00Z",
            "age_seconds": 3600,
            "grace_used": False,
        },
    }


def test_a_refusal_comes_as_json_with_the_problem_at_its_element(files: Files) -> None:
    result = files.verify(files.folder / "dave.pem", "--json")
    document = document_of(result)
    assert isinstance(document, dict)
    assert result.exit_code == 1
    assert document["revocation"]["status"] == "unknown"
    assert [bool(element["problem"]) for element in document["path"]] == [True, False, False]
    stranger = document_of(files.verify(files.put("x.pem", small_world().dave.pem), "--json"))
    assert isinstance(stranger, dict)
    assert stranger["trust_anchor"] is None
    assert stranger["revocation"] is None


# --- policies and profiles


def test_a_policy_that_is_asked_for_must_be_the_paths(files: Files) -> None:
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.99.1"), None)]
    )
    issuing = files.world.root.issue_authority("CN=P", extensions=[(policies, False)])
    dave = files.put("p.pem", issuing.issue(extensions=[(policies, False)]).bundle_pem)
    off = ("--revocation", "off")
    assert files.verify(dave, *off, "--policy", "1.3.6.1.4.1.99.1").exit_code == 0
    assert files.verify(dave, *off, "--policy", "1.3.6.1.4.1.99.2", "--policy", "2.5.29.32.0").exit_code == 0
    assert files.verify(dave, *off, "--explicit-policy").exit_code == 0
    refused = files.verify(dave, *off, "--policy", "1.3.6.1.4.1.99.2")
    assert refused.exit_code == 1
    assert refused.stdout.startswith("not valid: certificate_policy")
    assert files.verify(files.folder / "dave.pem", *off, "--explicit-policy").exit_code == 1


def test_the_bare_path_algorithm_accepts_what_our_client_profile_refuses(files: Files) -> None:
    server = files.put("server.pem", files.world.issuing.issue_server("localhost").pem)
    refused = files.verify(server, "--revocation", "off")
    assert refused.exit_code == 1
    assert refused.stdout.startswith("not valid: certificate_usage")
    assert files.verify(server, "--revocation", "off", "--profile", "rfc5280").exit_code == 0


# --- mistakes of usage


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected a certificate file, or --batch"),
        (["dave.pem", "--batch", "-"], "expected --batch alone: each case says everything itself"),
        (["--batch", "-", "--policy", "1.2.3"], "expected --batch alone: each case says everything itself"),
        (
            ["dave.pem", "--at", "noon"],
            "expected a date such as `2027-01-31` or `2027-01-31T12:00:00Z`, found `noon`",
        ),
        (["dave.pem", "--at", "2026-03-01T12:00:00"], "(without a time zone)"),
        (["dave.pem", "--at", "0001-01-01T00:00:00+14:00"], "expected a date such as"),
        (["dave.pem", "--policy", "any"], "expected a policy's object identifier"),
        (["dave.pem", "--anchors", "empty"], "`empty` is empty"),
        (["dave.pem", "--anchors", "nowhere.pem"], "`nowhere.pem`: no such file or directory"),
        (["dave.pem", "--anchors", "broken.pem"], "`broken.pem`: certificate 1: "),
        (
            ["dave.pem", "--anchors", "root.pem", "--crls", "root.pem"],
            "expected PEM `X509 CRL`, found `CERTIFICATE`",
        ),
        (["--batch", "nowhere.jsonl"], "`nowhere.jsonl`: no such file or directory"),
    ],
)
def test_what_cannot_be_used_is_a_mistake_of_usage(
    files: Files, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(files.folder)
    files.put("empty", "")
    files.put("broken.pem", pem_of(b"\x30\x00"))
    result = run_authsvc("verify", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not result.stdout


# --- against the configuration


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return lay_place(tmp_path)


def test_without_anchors_the_configurations_trust_counts(place: Place) -> None:
    dave = place.write("dave.pem", world().people["dave"].pem)
    result = run_authsvc("verify", dave, config=place.file)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("valid, path to anchor corp\n")
    stranger = place.write("stranger.pem", small_world().dave.bundle_pem)
    assert run_authsvc("verify", stranger, config=place.file).exit_code == 1


def test_lists_of_the_options_stand_in_for_the_configurations(place: Place) -> None:
    dave = world().people["dave"]
    file = place.write("dave.pem", dave.pem)
    revoked = place.write("revoked.crl", world().crl(dave))
    result = run_authsvc(
        "verify", file, "--crls", place.folder / "root.crl", "--crls", revoked, config=place.file
    )
    assert result.stdout.startswith("not valid: certificate_revoked")


def test_intermediates_of_the_options_stand_beside_the_configurations(place: Place) -> None:
    place.configure(trust=TRUST | {"intermediates": []})
    file = place.write("dave.pem", world().people["dave"].pem)
    lists = ("--crls", place.folder / "root.crl", "--crls", place.folder / "issuing.crl")
    assert run_authsvc("verify", file, *lists, config=place.file).exit_code == 1
    beside = ("--intermediates", place.folder / "issuing.pem")
    assert run_authsvc("verify", file, *lists, *beside, config=place.file).exit_code == 0


def test_trust_show_draws_a_path_against_the_configured_trust(place: Place) -> None:
    dave = place.write("dave.pem", world().people["dave"].pem)
    result = run_authsvc("trust", "show", dave, config=place.file)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("valid, path to anchor corp\n  ✓ anchor       CN=Renovations Root CA")
    document = document_of(run_authsvc("trust", "show", dave, "--json", config=place.file))
    assert isinstance(document, dict)
    assert document["trust_anchor"] == "corp"


def test_trust_show_takes_what_a_client_would_send_along(place: Place) -> None:
    place.configure(trust=TRUST | {"intermediates": [], "revocation": {"mode": "off"}})
    dave = place.write("dave.pem", world().people["dave"].pem)
    alone = run_authsvc("trust", "show", dave, config=place.file)
    assert alone.exit_code == 1
    assert "  ? missing      CN=Renovations Issuing CA" in alone.stdout
    sent = run_authsvc("trust", "show", dave, "--chain", place.folder / "issuing.pem", config=place.file)
    assert sent.exit_code == 0


def test_trust_show_asks_for_a_front_end_that_there_is(place: Place) -> None:
    place.configure(trust=TRUST | {"anchors": [{"name": "corp", "file": "root.pem", "front_ends": ["edge"]}]})
    dave = place.write("dave.pem", world().people["dave"].pem)
    assert run_authsvc("trust", "show", dave, "--front-end", "edge", config=place.file).exit_code == 0
    elsewhere = run_authsvc("trust", "show", dave, "--front-end", "nginx", config=place.file)
    assert elsewhere.exit_code == 1
    assert "no trust anchor counts on front end `nginx`" in elsewhere.stdout
    unknown = run_authsvc("trust", "show", dave, "--front-end", "nobody", config=place.file)
    assert unknown.exit_code == 2
    assert "expected a front end (`api`, `direct`, `edge`, `nginx`), found `nobody`" in unknown.stderr


def test_trust_list_tells_what_is_trusted_for_what(place: Place) -> None:
    anchor = {
        "name": "corp",
        "file": "root.pem",
        "not_after": "2110-01-01",
        "permitted_names": ["o=Renovations"],
        "policies": ["1.2.3.4"],
        "front_ends": ["api", "edge"],
        "eku": "optional",
        "allow_any_eku": True,
    }
    place.configure(trust=TRUST | {"anchors": [anchor]})
    result = run_authsvc("trust", "list", config=place.file)
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert lines[0] == ["✓", "corp"]
    told = {line[0]: line[1] for line in lines[1:] if len(line) == 2}
    assert told["subject"] == "CN=Renovations Root CA,O=Renovations"
    assert told["front_ends"] == "api, edge"
    assert told["eku"] == "clientAuth, or none named, anyExtendedKeyUsage too"
    assert told["not_after"] == "2110-01-01T00:00:00+00:00"
    assert told["names"] == "*,O=Renovations"
    assert told["policies"] == "1.2.3.4"
    assert told["intermediate"] == "CN=Renovations Issuing CA,O=Renovations"
    assert told["1"] == "anchor, 1 intermediate"


def test_trust_list_comes_as_json(place: Place) -> None:
    result = run_authsvc("trust", "list", "--json", config=place.file)
    document = document_of(result)
    assert isinstance(document, dict)
    assert result.exit_code == 0
    assert [(anchor["id"], anchor["in_force"]) for anchor in document["trust_anchors"]] == [("corp", True)]
    assert document["cross_certificates"] == []
    assert document["trust_anchors"][0]["sha256"] == hashlib.sha256(world().root.der).hexdigest()
    assert [each["subject"] for each in document["intermediates"]] == [
        "CN=Renovations Issuing CA,O=Renovations"
    ]


def test_trust_list_tells_cross_certificates_with_their_limits(place: Place) -> None:
    place.write("partner.pem", Authority.root("CN=Partner CA", now=NOW, not_before=BEGIN, not_after=END).pem)
    cross = {
        "name": "partner",
        "file": "partner.pem",
        "permitted_names": ["O=Partners"],
        "domains": ["Renovations"],
        "not_after": "2110-01-01",
    }
    place.configure(trust=TRUST | {"cross_certificates": [cross]})
    result = run_authsvc("trust", "list", config=place.file)
    assert result.exit_code == 0, result.output
    assert "✓ partner (cross-certificate)\n  subject        CN=Partner CA\n" in result.stdout
    assert "  domains        Renovations\n" in result.stdout
    document = document_of(run_authsvc("trust", "list", "--json", config=place.file))
    assert isinstance(document, dict)
    assert [one["id"] for one in document["cross_certificates"]] == ["partner"]
    assert [one["id"] for one in document["trust_anchors"]] == ["corp"]


def test_trust_list_says_no_when_trust_in_an_anchor_has_ended(place: Place) -> None:
    place.configure(
        trust=TRUST | {"anchors": [{"name": "corp", "file": "root.pem", "not_after": "2021-01-01"}]}
    )
    result = run_authsvc("trust", "list", config=place.file)
    assert result.exit_code == 1
    assert result.stdout.startswith("✗ corp\n")


# --- a batch


def test_each_case_of_a_batch_has_one_answer_in_its_order(files: Files) -> None:
    """And nothing else is said: `cryptography` warns of a common name of more than 64 characters."""
    world = files.world
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        long = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 100, _validate=False)])
        named_at_length = world.issuing.issue(long)
    good = batch_case(world.dave, [world.root], name="good", intermediates=[world.issuing], profile="client")
    cases: list[BatchCase] = [
        good,
        {**good, "id": "no anchor", "anchors": []},
        {**good, "id": "unknown", "revocation": "require"},
        {**good, "id": "no certificate", "certificate": "nonsense"},
        {**good, "id": "neither", "certificate": "nonsense", "anchors": []},
        {**good, "id": "early", "at": "2020-01-01T00:00:00Z"},
        {
            **good,
            "id": "list that cannot be used",
            "revocation": "require",
            "crls": [crl_pem(b"\x30\x00")],
        },
        {
            **good,
            "id": "good by lists",
            "revocation": "require",
            "crls": [world.root.crl().pem + world.issuing.crl().pem],
        },
        {**good, "id": "a long name", "certificate": named_at_length.pem},
    ]
    answers = verify_batch(cases)  # fails if anything stands on standard error
    assert [case["id"] for case in cases] == [answer.id for answer in answers]
    assert [answer.reason for answer in answers] == [
        "allowed",
        "certificate_untrusted",
        "revocation_unknown",
        "certificate_unreadable",
        "certificate_untrusted",
        "certificate_not_yet_valid",
        "revocation_unavailable",
        "allowed",
        "allowed",
    ]
    assert [answer.valid for answer in answers] == [answer.reason == "allowed" for answer in answers]
    assert all(0 < answer.milliseconds < 10_000 for answer in answers)


def lines_of(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_no_line_stops_a_batch(files: Files) -> None:
    world = files.world
    good = batch_case(world.dave, [world.root], name="good", intermediates=[world.issuing])
    anchors: list[object] = good["anchors"]  # type: ignore[assignment]  # what follows is wrong on purpose
    lines: list[bytes] = [
        b"",
        b"   ",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": "cut',
        b'["id"]',
        b'{"id": true}',
        b'{"id": "x"}',
        b'{"id": 7, "certificate": "x", "colour": "red"}',
        *(
            json.dumps({**good, "id": "odd", **odd}).encode()
            for odd in (
                {"certificate": None},
                {"anchors": "x"},
                {"anchors": ["x"]},
                {"anchors": [*anchors, ""]},
                {"intermediates": ["-----BEGIN X-----"]},
                {"crls": ["x"]},
                {"policies": ["x"]},
                {"at": "noon"},
                {"at": 1},
                {"explicit_policy": "yes"},
                {"profile": "server"},
                {"revocation": "prefer"},
                {"id": None},
                {"id": 1.5},
                {"anchors": ["\ud800"]},
            )
        ),
        json.dumps(good).encode(),
    ]
    answers = lines_of(run_authsvc("verify", "--batch", files.put("batch.jsonl", b"\n".join(lines))))
    assert len(lines) - 2 == len(answers)
    *refused, last = answers
    assert {("bad_request", False)} == {(answer["reason"], answer["valid"]) for answer in refused}
    assert [None] * 6 + ["x", 7] == [answer["id"] for answer in refused[:8]]
    assert (last["id"], last["reason"]) == ("good", "allowed")


@pytest.mark.parametrize(
    "digits",
    [
        pytest.param(str(2**63), id="2 to the 63rd"),
        pytest.param("-" + str(2**63), id="minus 2 to the 63rd"),
        pytest.param("1" + "0" * 4_000, id="4,001 digits, which Python prints"),
        pytest.param("1" + "0" * 6_000, id="6,001 digits, which Python refuses to print"),
    ],
)
def test_an_id_that_no_reader_could_hold_is_a_bad_request_and_not_given_back(
    files: Files, digits: str
) -> None:
    case = batch_case(files.world.dave, [files.world.root], name="ID")
    line = json.dumps(case).replace('"ID"', digits)
    (answer,) = lines_of(run_authsvc("verify", "--batch", "-", text=line))
    assert (answer["id"], answer["reason"]) == (None, "bad_request")


def test_a_number_may_be_an_id(files: Files) -> None:
    case = {**batch_case(files.world.dave, [files.world.root], intermediates=[files.world.issuing]), "id": 7}
    (answer,) = lines_of(run_authsvc("verify", "--batch", "-", text=json.dumps(case)))
    assert (answer["id"], answer["reason"]) == (7, "allowed")


def test_the_lines_of_a_batch_may_come_by_standard_input(files: Files) -> None:
    world = files.world
    good = batch_case(world.dave, [world.root], name="good", intermediates=[world.issuing])
    result = run_authsvc("verify", "--batch", "-", text=json.dumps(good) + "\n")
    assert result.exit_code == 0
    assert [line["reason"] for line in lines_of(result)] == ["allowed"]


def test_a_line_over_the_limit_is_refused_and_the_next_one_answered(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = files.world
    monkeypatch.setattr("authsvc.cli.verify_batch._LONGEST_LINE", 8_000)
    good = batch_case(world.dave, [world.root], name="good", intermediates=[world.issuing])
    long = json.dumps({**good, "id": "x" * 20_000})
    result = run_authsvc("verify", "--batch", "-", text=f"{long}\n{json.dumps(good)}\n{long}")
    assert [(line["id"], line["reason"]) for line in lines_of(result)] == [
        (None, "bad_request"),
        ("good", "allowed"),
        (None, "bad_request"),
    ]


def test_a_defect_of_ours_refuses_its_case_and_is_told(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a defect")

    monkeypatch.setattr("authsvc.cli.verify_batch.check_file", broken)
    good = batch_case(files.world.dave, [files.world.root], name="good")
    result = run_authsvc("verify", "--batch", "-", text=json.dumps(good))
    assert [(line["id"], line["valid"], line["reason"]) for line in lines_of(result)] == [
        ("good", False, Reason.CERTIFICATE_UNTRUSTED.value)
    ]
    assert "a defect" in result.stderr


def test_what_no_path_could_use_is_left_out_of_a_batch(files: Files) -> None:
    world = files.world
    good = batch_case(world.dave, [world.root], name="good", intermediates=[world.issuing])
    unreadable = pem_of(b"\x30\x00")
    cases: list[BatchCase] = [
        {**good, "intermediates": [unreadable, *good["intermediates"]]},
        {**good, "anchors": [unreadable, *good["anchors"]]},
        {**good, "anchors": [*good["anchors"], *good["anchors"]]},
        {**good, "anchors": [unreadable]},
    ]
    answers = [answer_line(json.dumps(case).encode(), now=lambda: NOW) for case in cases]
    assert ["allowed", "allowed", "allowed", "certificate_untrusted"] == [one["reason"] for one in answers]


def test_a_case_without_a_time_is_asked_about_now(files: Files) -> None:
    good: dict[str, object] = dict(
        batch_case(files.world.dave, [files.world.root], intermediates=[files.world.issuing])
    )
    del good["at"]
    line = json.dumps(good).encode()
    assert answer_line(line, now=lambda: NOW)["valid"]
    assert answer_line(line, now=lambda: NOW + timedelta(days=400))["reason"] == "certificate_expired"


# --- on a terminal


def test_lines_are_folded_on_a_terminal(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_force_terminal", True)
    monkeypatch.setattr(console, "_width", 80)
    monkeypatch.setattr(console, "_height", 24)
    long = files.world.issuing.issue(
        f"CN=Dave,OU={('Long Name ' * 6).strip()},O={('Longer Name ' * 5).strip()}"
    )
    result = files.verify(files.put("long.pem", long.pem))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()
    assert max(map(len, lines)) <= 80
    assert "  ✗ certificate  CN=Dave,OU=Long Name Long Name Long Name Long Name Long Name" in lines
    assert (
        sum(line.startswith(" " * 17) for line in lines) >= 3
    )  # name and problem go on below their beginning
