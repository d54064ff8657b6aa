"""What `explain` advises: one line for every refusal, of keys and commands that there are."""

import re
from dataclasses import replace

import pytest

from authsvc.access.acl import Level, Privilege
from authsvc.access.databases import RefusedTarget
from authsvc.decision.advice import advise
from authsvc.decision.verdict import Allowed, Denied, Undecided
from authsvc.reason import Reason
from directory_assistance.dn import FlatName, read_member
from directory_assistance.entry import Group, GroupType
from tests.support.command_line import command_names
from tests.support.config_keys import known_keys
from tests.support.decision import DAVE, Case, MappingDatabases, acl, person, primary_of, reading, sales
from tests.support.pki import NOW

REFUSALS = [reason for reason in Reason if reason.status != 200]


COMMANDS = {f"authsvc {name}" for name in command_names()}
FILES_AND_VALUES = {"Anonymous", "directory-assistance.yaml", "identity=only"}


def denied(reason: Reason) -> Denied:
    return Denied(reason=reason, detail="", step="answer", valid_until=NOW)


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_refusal_has_one_line_of_advice(reason: Reason) -> None:
    advice = advise(denied(reason))
    assert len(advice) > 20
    assert "\n" not in advice
    assert not advice.endswith(".")
    assert advice[0].islower()
    assert advise(Undecided(reason=reason, detail="", step="answer")) == advice


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_key_and_command_that_advice_names_is_one(reason: Reason) -> None:
    for quoted in re.findall(r"`([^`]+)`", advise(denied(reason))):
        key = quoted.partition(":")[0].rpartition(".")[2]
        assert quoted in COMMANDS or key in known_keys() or quoted in FILES_AND_VALUES, quoted


def test_an_allowed_verdict_needs_no_advice() -> None:
    verdict = Case().decide()
    assert isinstance(verdict, Allowed)
    assert advise(verdict) == ""


STAFF = (
    Group(name="Staff", type=GroupType.MULTI, reference=FlatName(text="Staff")),
    (read_member("*/Renovations"),),
)
NAME = "Dave Lawson/Renovations"
IN_STAFF = primary_of(person(NAME, holds=DAVE), groups=(STAFF,))

ACL_ADVICE = [
    pytest.param(
        Case(databases=MappingDatabases(sales(acl(NAME, Level.DEPOSITOR)))),
        f"give ACL entry `{NAME}` of `sales.nsf` a higher level (`authsvc apply`); it names the person, so no "
        "other counts",
        id="an explicit entry decides alone: that one is named",
    ),
    pytest.param(
        Case(databases=MappingDatabases(sales())),
        "add an ACL entry for the person, or one of the person's groups, to `sales.nsf`, with a higher level "
        "(`authsvc apply`)",
        id="nothing matched: an entry is missing",
    ),
    pytest.param(
        Case(
            primary=IN_STAFF,
            databases=MappingDatabases(sales(acl("Staff", Level.READER))),
            target=reading(None, privileges=frozenset({Privilege.DELETE_DOCUMENTS})),
        ),
        "give ACL entry `Staff` of `sales.nsf` the privilege, at a level that may hold it, or add one that names "
        "the person, which then decides alone (`authsvc apply`)",
        id="groups gave: their entries are named, and what they lack",
    ),
    pytest.param(
        Case(
            primary=IN_STAFF,
            databases=MappingDatabases(sales(acl("Staff", Level.READER), acl("*/Renovations", Level.READER))),
            target=reading(None, roles=frozenset({"Buyer"})),
        ),
        "give ACL entry `Staff` of `sales.nsf` the role, at Reader or above, or add one that names the person, "
        "which then decides alone (`authsvc apply`)",
        id="an entry of a later step is not named: changing it would change nothing",
    ),
]


@pytest.mark.parametrize(("case", "expected"), ACL_ADVICE)
def test_advice_about_an_acl_names_the_entries_that_decided(case: Case, expected: str) -> None:
    verdict = case.decide()
    assert isinstance(verdict, Denied)
    assert verdict.reason in {Reason.ACL_LEVEL, Reason.ACL_PRIVILEGE, Reason.ACL_ROLE}
    assert expected == advise(verdict)


def test_advice_without_known_access_is_still_given() -> None:
    assert "ACL entry that decided" in advise(denied(Reason.ACL_LEVEL))


def test_a_name_in_advice_cannot_move_the_cursor() -> None:
    verdict = Case(databases=MappingDatabases(sales())).decide()
    assert isinstance(verdict, Denied)
    assert verdict.access is not None
    forged = replace(verdict, access=replace(verdict.access, database="a\x1b[2Jb"))
    assert r"`a\x1b[2Jb`" in advise(forged)


def test_the_step_is_told_where_a_request_is_refused() -> None:
    bad = Case(target=RefusedTarget(reason=Reason.BAD_REQUEST, problem="unknown parameter")).decide()
    assert isinstance(bad, Denied)
    assert bad.step == "present"
