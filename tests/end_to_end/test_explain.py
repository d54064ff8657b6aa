"""`authsvc explain` on every refusal of the sample world: the reason, the step, what decided, what would change it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from authsvc.reason import Reason
from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.world import fixtures_folder
from tests.support.command_line import Result, document_of, run_authsvc

# Any: the words of a story as YAML gives them; `tests/authsvc/test_sample_world.py` holds their shape
TOLD: list[dict[str, Any]] = yaml.safe_load((fixtures_folder() / "stories.yaml").read_text(encoding="utf-8"))
REFUSED = {words["story"]: words for words in TOLD if words["expect"]["status"] != 200}
ALLOWED = {words["story"]: words for words in TOLD if words["expect"]["status"] == 200}

NO_CERTIFICATE_TELLS_IT = "a caller that is no front end of ours"
"""`untrusted_front_end` is about the caller of `/auth`, before any certificate is looked at: there is nothing
that `explain` could be given."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What `explain` must say of a story: the step, words of the line `because`, words of the advice."""

    step: str
    because: tuple[str, ...]
    advice: tuple[str, ...]
    options: tuple[str, ...] = field(default=())


EXPLAINED: dict[str, Told] = {
    "nobody in particular is asked for a certificate": Told(
        step="decide",
        because=("no certificate was presented", "ACL entry `-Default-` (No Access", "`sales.nsf`"),
        advice=("present a client certificate", "`Anonymous`", "`anonymous: true`"),
        options=("--front-end", "nginx"),
    ),
    "an identity is asked of nobody": Told(
        step="present",
        because=("no certificate was presented", "front end `api` does not allow anonymous"),
        advice=("present a client certificate",),
    ),
    "a header that is no certificate": Told(
        step="present", because=("expected base64",), advice=("strip the client's own",)
    ),
    "a foreign CA with a good subject": Told(
        step="verify",
        because=("names issuer `CN=Renovations Issuing CA,O=Renovations`", "not signed by the key"),
        advice=("`trust.intermediates`", "`trust.anchors`"),
    ),
    "a key that is too weak": Told(
        step="verify", because=("RSA-1024", "2048"), advice=("RSA of 2048 bits or more",)
    ),
    "a server certificate used by a client": Told(
        step="verify", because=("clientAuth", "1.3.6.1.5.5.7.3.1"), advice=("clientAuth", "`eku: optional`")
    ),
    "a certificate that is not valid yet": Told(
        step="verify", because=("is valid from", "now is"), advice=("wait", "`trust.clock_skew`")
    ),
    "a certificate that has expired": Told(
        step="verify", because=("expired at", "now is"), advice=("renew",)
    ),
    "a certificate on its issuer's revocation list": Told(
        step="revocation",
        because=("renovations-issuing.crl", "revokes `CN=Dave Lawson,O=Renovations`"),
        advice=("issue a new certificate",),
    ),
    "an issuer without a revocation list": Told(
        step="revocation",
        because=("no current list covers", "CN=Renovations Branch CA,O=Renovations"),
        advice=("`trust.revocation.crls`",),
    ),
    "an issuer whose revocation list has expired": Told(
        step="revocation",
        because=("renovations-legacy.crl", "CN=Renovations Legacy CA,O=Renovations", "expired"),
        advice=("put a current list of the issuer",),
    ),
    "a control character in the name": Told(
        step="name", because=("control character", r"Dave\x00Lawson"), advice=("no control characters",)
    ),
    "one certificate in two entries": Told(
        step="search",
        because=("2 entries of Renovations", "`Tim Twin/Renovations`", "`Tom Twin/Renovations`"),
        advice=("let exactly one entry hold this certificate",),
    ),
    "a disabled person": Told(
        step="search",
        because=("`Fiona Former/Renovations` in `Renovations` is disabled",),
        advice=("enable the entry", "`disabled: false`"),
    ),
    "a member of the deny group": Told(
        step="identify",
        because=("`Max Moved/Renovations` in `Renovations`", "deny group `Terminated`"),
        advice=("`deny_access`",),
    ),
    "the same name with another key": Told(
        step="search",
        because=("`Dave Lawson/Renovations` in `Renovations`", "found by subject", "it holds 1 other"),
        advice=("store this certificate", "`bind_by`"),
    ),
    "a name that its directory is not trusted for": Told(
        step="search",
        because=("`Wendy East/East/Acme`", "rule of `Acme West`", "`*/*/*/West/Acme/*`"),
        advice=("`trusted: true`", "`directory-assistance.yaml`"),
    ),
    "a valid certificate that nobody knows": Told(
        step="search",
        because=(
            "Renovations: subject, common_name",
            "Acme West: certificate, common_name",
            "Airius: certificate",
        ),
        advice=("add an entry that holds this certificate", "`find_by`"),
    ),
    "an explicit No Access beats the group": Told(
        step="decide",
        because=(
            "level=Reader is required in `hr.nsf`",
            "ACL entry `Dave Lawson/Renovations` (No Access, by name)",
            "`Employees` (Reader, by group `Employees` (through `Sales`)) matches, but does not count",
        ),
        advice=("ACL entry `Dave Lawson/Renovations` of `hr.nsf`", "`authsvc apply`"),
    ),
    "a reader may not delete": Told(
        step="decide",
        because=(
            "privilege=delete_documents is required in `sales.nsf`",
            "ACL entry `Employees` (Reader, by group `Employees`)",
        ),
        advice=("ACL entry `Employees` of `sales.nsf`", "the privilege"),
    ),
    "a role that the person does not have": Told(
        step="decide",
        because=("role=Approver is required", "`Sales` (Author, create_documents, role Buyer, by group"),
        advice=("`Employees` or `Sales` of `sales.nsf`", "the role"),
    ),
    "a database that does not exist": Told(
        step="decide", because=("no database `payroll.nsf`",), advice=("create the database",)
    ),
    "a database that is served over TLS only": Told(
        step="decide",
        because=("`hr.nsf` is served over TLS only",),
        advice=("come by https", "`require_tls: false`"),
        options=("--no-tls",),
    ),
    "a parameter that nobody knows": Told(
        step="present",
        because=("expected a level", "found `vanilla`"),
        advice=("`database`", "`identity=only`"),
    ),
}


def explained(world: RunningWorld, words: dict[str, Any], *more: str) -> Result:
    """Explain a story as an operator would, with what the story says; nothing but the command line is used."""
    certificate: str | Path = "none"
    if "presented" in words:
        certificate = world.folder / "run" / "no-certificate.pem"
        certificate.write_text("not a certificate")
    elif words.get("certificate", "none") != "none":
        certificate = world.folder / "certificates" / f"{words['certificate']}.pem"
    options: list[str] = []
    if "database" in words:
        options += ["--database", words["database"]]
    for part in words.get("requirement", "").split("&"):
        name, _equals, value = part.partition("=")
        # a parameter that nobody knows is a matter of /auth; the nearest thing here is an unknown word
        options += [f"--{name if name != 'flavour' else 'level'}", value] if part else []
    return run_authsvc("explain", certificate, *options, *more, config=world.configuration)


def line_of(result: Result, label: str) -> str:
    """Return the text of the one line with this label."""
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"  {label:<12}")]
    return line.removeprefix(f"  {label:<12}")


def test_every_refusal_story_is_explained_but_the_one_that_no_certificate_can_tell() -> None:
    assert set(REFUSED) - {NO_CERTIFICATE_TELLS_IT} == set(EXPLAINED)
    assert REFUSED[NO_CERTIFICATE_TELLS_IT]["expect"]["reason"] == Reason.UNTRUSTED_FRONT_END


@pytest.mark.parametrize("story", [pytest.param(story, id=story) for story in EXPLAINED])
def test_explain_says_the_reason_the_step_what_decided_and_what_would_change_it(
    world: RunningWorld, story: str
) -> None:
    words, told = REFUSED[story], EXPLAINED[story]
    status, reason = words["expect"]["status"], words["expect"]["reason"]
    result = explained(world, words, *told.options)
    verdict = "undecided" if status == 503 else "denied"
    assert result.exit_code == (3 if status == 503 else 1)
    assert result.stdout.splitlines()[0] == f"{verdict}: {reason} ({status})"
    assert line_of(result, "step") == told.step
    for part in told.because:
        assert part in line_of(result, "because")
    advice = [line for line in result.stdout.splitlines() if line.startswith("To change this:")]
    assert len(advice) == 1
    for part in told.advice:
        assert part in advice[0]
    assert result.stderr == ""


@pytest.mark.parametrize("story", [pytest.param(story, id=story) for story in EXPLAINED])
def test_the_json_form_says_the_same(world: RunningWorld, story: str) -> None:
    words, told = REFUSED[story], EXPLAINED[story]
    status, reason = words["expect"]["status"], words["expect"]["reason"]
    result = explained(world, words, *told.options, "--json")
    document = document_of(result)
    assert isinstance(document, dict)
    assert result.exit_code == (3 if status == 503 else 1)
    assert document["verdict"] == ("undecided" if status == 503 else "denied")
    assert document["reason"] == reason
    for part in told.because:
        assert part in document["detail"]
    for part in told.advice:
        assert part in document["to_change_this"]
    last = document["trace"][-1]
    assert (last["step"], last["subject"], last["result"]) == (told.step, reason, document["detail"])
    assert all(line["milliseconds"] >= 0 for line in document["trace"])


@pytest.mark.parametrize("story", [pytest.param(story, id=story) for story in ALLOWED])
def test_an_allowed_story_exits_with_0_and_says_who_and_by_which_entries(
    world: RunningWorld, story: str
) -> None:
    words = ALLOWED[story]
    more = ("--front-end", "nginx") if words["certificate"] == "none" else ()
    result = explained(world, words, *more)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"allowed: {words['expect']['reason']} (200)"
    assert "To change this:" not in result.stdout
    if words["certificate"] != "none":
        assert line_of(result, "identity").startswith(f"{words['expect']['identity']}, of ")
    if "database" in words:
        assert line_of(result, "access").startswith(f"{words['database']}: ")


def test_explain_shows_the_groups_by_which_a_nested_member_came(world: RunningWorld) -> None:
    result = explained(world, ALLOWED["a manager, three groups deep, holds the role"])
    # in Sales by the wildcard too, which is the shorter way
    assert line_of(result, "groups") == "Employees (through Sales), Managers, Sales"
    assert line_of(result, "access") == "sales.nsf: Editor, by Employees, Managers, Sales (groups)"
    assert line_of(result, "roles") == "Approver, Buyer"


def test_explain_looks_on_for_a_second_owner_and_asks_every_directory(world: RunningWorld) -> None:
    result = explained(world, ALLOWED["a person of the primary directory reads"])
    for domain in ("Renovations", "Acme West", "Airius"):
        assert f"  search      {domain}: " in result.stdout


def test_the_trace_lists_every_acl_entry_that_matched(world: RunningWorld) -> None:
    result = explained(world, REFUSED["an explicit No Access beats the group"])
    assert "hr.nsf: ACL entry Dave Lawson/Renovations → No Access, by name" in result.stdout
    assert "hr.nsf: ACL entry Employees → Reader, by group `Employees` (through `Sales`): does not count" in (
        result.stdout
    )


# --- an operator who mistypes


def test_a_certificate_file_that_is_not_there_is_a_mistake_of_usage(world: RunningWorld) -> None:
    result = run_authsvc("explain", "nobody.pem", config=world.configuration)
    assert (result.exit_code, result.stdout, result.stderr) == (
        2,
        "",
        "error: `nobody.pem`: no such file or directory\n",
    )


def test_a_requirement_without_a_database_is_a_mistake_of_usage(world: RunningWorld) -> None:
    result = run_authsvc("explain", "none", "--level", "reader", config=world.configuration)
    assert (result.exit_code, result.stderr) == (2, "error: expected --database beside a requirement\n")


def test_an_unknown_front_end_is_told_with_those_that_there_are(world: RunningWorld) -> None:
    result = run_authsvc("explain", "none", "--front-end", "ngnix", config=world.configuration)
    assert (result.exit_code, result.stderr) == (
        2,
        "error: expected a front end (`direct`, `edge`, `nginx`), found `ngnix`\n",
    )
