"""Threats T49 to T62, T86 and T87 in the configuration: what cannot be said, and what is off until it is said."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from directory_assistance.candidates import BindBy
from directory_assistance.config import examine_directory_assistance
from directory_assistance.domains import GroupAuthorization, OnUnavailable
from tests.support.config_files import lay_files

ANCHORS = frozenset({"corp", "partner"})

BASE = {
    "domain": "Airius",
    "type": "ldap",
    "rules": [{"suffix": "o=airius.com", "trusted": True}],
    "ldap": {
        "hosts": ["ldaps://ldap1.airius.com"],
        "bind": {"dn": "cn=authsvc,o=airius.com", "password_file": "airius.password"},
        "base": "o=airius.com",
        "tls": {"ca_file": "airius-ca.pem"},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that the configuration names."""
    lay_files(tmp_path)
    return tmp_path


def errors(folder: Path, *, ldap: Mapping[str, object] | None = None, **domain: object) -> list[str]:
    """Return what is wrong with a domain that is correct but for these keys."""
    changed = {**BASE, **domain}
    changed["ldap"] = {**BASE["ldap"], **(ldap or {})}  # type: ignore[dict-item]  # the base's own mapping
    document = {"primary": {"domain": "Renovations", "url": "sqlite:///d.db"}, "domains": [changed]}
    file = folder / "directory-assistance.yaml"
    file.write_text(yaml.safe_dump(document))
    reading = examine_directory_assistance(file, environment={}, anchors=ANCHORS)
    found = [f"{problem.path}: {problem.problem}" for problem in reading.problems if not problem.warning]
    assert bool(found) is (reading.settings is None)
    return found


def test_the_base_is_correct(folder: Path) -> None:
    assert errors(folder) == []


def test_what_lets_more_pass_is_off_until_it_is_said(folder: Path) -> None:
    assert errors(folder) == []
    reading = examine_directory_assistance(
        folder / "directory-assistance.yaml", environment={}, anchors=ANCHORS
    )
    assert reading.settings is not None
    (airius,) = reading.settings.domains
    assert (
        BindBy.CERTIFICATE,
        OnUnavailable.UNDECIDED,
        GroupAuthorization.NONE,
        False,
        False,
        frozenset(),
    ) == (
        airius.plan.bind_by,
        airius.on_unavailable,
        airius.group_authorization,
        airius.plain_group_names,
        airius.may_assert_primary_names,
        airius.mail_domains,
    )


@pytest.mark.parametrize(
    "key",
    [
        *("verify", "insecure", "accept_expired", "insecure_accept_expired", "check_certificate", "mode"),
        *("start_tls", "allow_clear_text", "ciphers"),
    ],
)
@pytest.mark.parametrize("value", [True, False, "off"])
def test_t60_no_key_turns_the_check_of_a_servers_certificate_off(
    folder: Path, key: str, value: object
) -> None:
    (problem,) = errors(folder, ldap={"tls": {"ca_file": "airius-ca.pem", key: value}})
    assert problem.startswith(f"domains[0].ldap.tls.{key}: unknown key")


@pytest.mark.parametrize(
    "key", ["start_tls", "follow_referrals", "referrals", "dereference_aliases", "verify", "check_names"]
)
def test_t59_t60_no_key_follows_referrals_or_aliases_or_speaks_in_the_clear(folder: Path, key: str) -> None:
    (problem,) = errors(folder, ldap={key: False})
    assert problem.startswith(f"domains[0].ldap.{key}: unknown key")


@pytest.mark.parametrize("version", ["1.0", "1.1", "any"])
def test_t60_a_version_of_tls_before_1_2_cannot_be_asked_for(folder: Path, version: str) -> None:
    tls = {"ca_file": "airius-ca.pem", "minimum_version": version}
    assert [problem.partition(":")[0] for problem in errors(folder, ldap={"tls": tls})] == [
        "domains[0].ldap.tls.minimum_version"
    ]
    assert errors(folder, ldap={"tls": {**tls, "minimum_version": "1.3"}}) == []


STATEMENTS = ["name", "sid", "issuer_serial", "subject_key_id"]


@pytest.mark.parametrize("bind_by", STATEMENTS)
@pytest.mark.parametrize("issued_by", [None, [], ["unheard-of"]], ids=["none", "empty", "of no anchor"])
def test_t51_t87_a_statement_of_a_ca_binds_only_with_the_anchors_that_may_make_it(
    folder: Path, bind_by: str, issued_by: list[str] | None
) -> None:
    said = {} if issued_by is None else {"issued_by": issued_by}
    ldap = {"find_by": ["common_name"], "bind_by": bind_by}
    assert len(errors(folder, ldap={**ldap, **said})) == 1
    assert errors(folder, ldap={**ldap, "issued_by": ["corp"]}) == []


def test_t64_two_domains_cannot_both_have_plain_group_names(folder: Path) -> None:
    one = {**BASE, "plain_group_names": True, "group_authorization": True}
    two = {**one, "domain": "Other"}
    document = {"primary": {"domain": "Renovations", "url": "sqlite:///d.db"}, "domains": [one, two]}
    file = folder / "directory-assistance.yaml"
    for second, expected in ((two, 1), ({**two, "plain_group_names": False}, 0)):
        file.write_text(yaml.safe_dump({**document, "domains": [one, second]}))
        reading = examine_directory_assistance(file, environment={}, anchors=ANCHORS)
        assert expected == len([problem for problem in reading.problems if not problem.warning])


@pytest.mark.parametrize("style", ["token_groups", "in_chain"], ids=["the token", "the rule of the chain"])
def test_t65_a_style_that_only_active_directory_answers_is_refused_for_others(
    folder: Path, style: str
) -> None:
    for server, expected in (("standard", 1), ("389ds", 1), ("active-directory", 0)):
        assert expected == len(errors(folder, ldap={"server": server, "groups": {"style": style}}))


@pytest.mark.parametrize("rule", ["(a+)+$", "^.*$", "[", "*/(", ".*/Acme"])
def test_t62_a_rule_is_never_a_pattern(folder: Path, rule: str) -> None:
    """It is six literal parts, or refused; either way it is the text that it is."""
    document = {**BASE, "rules": [{"rule": rule, "trusted": True}]}
    file = folder / "directory-assistance.yaml"
    file.write_text(
        yaml.safe_dump({"primary": {"domain": "R", "url": "sqlite:///d.db"}, "domains": [document]})
    )
    reading = examine_directory_assistance(file, environment={}, anchors=ANCHORS)
    if reading.settings is not None:
        (read,) = reading.settings.domains[0].rules
        assert rule.rpartition("/")[2] in repr(read)


def test_t62_a_rule_longer_than_any_name_is_refused(folder: Path) -> None:
    (problem,) = errors(folder, rules=[{"rule": "*/" + "a" * 100_000, "trusted": True}])
    assert "expected at most 4096 characters" in problem
    assert len(problem) < 400


def test_t86_a_domain_cannot_have_the_name_of_the_primary_or_of_another(folder: Path) -> None:
    assert len(errors(folder, domain="RENOVATIONS")) == 1
    assert errors(folder, domain="Renovations West") == []
