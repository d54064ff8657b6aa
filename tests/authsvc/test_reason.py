"""Reason codes against semantics section 9: their order, statuses and outward form, and README's table."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from authsvc.reason import HIDDEN_REASON, Reason, first_refusal, outward_reason

ROWS = {
    401: (
        "certificate_missing certificate_unreadable certificate_untrusted certificate_weak certificate_usage "
        "certificate_policy certificate_not_yet_valid certificate_expired certificate_revoked "
        "revocation_unknown no_usable_name ambiguous entry_disabled deny_group certificate_differs "
        "domain_not_trusted_for_name no_entry"
    ),
    403: "acl_level acl_privilege acl_role database_unknown tls_required untrusted_front_end",
    503: "directory_unavailable revocation_unavailable store_unavailable overloaded expansion_limit",
    200: "allowed allowed_anonymous allowed_identity allowed_full_access",
    400: "bad_request",
}
PEOPLE_EXIST = {
    "ambiguous",
    "entry_disabled",
    "deny_group",
    "certificate_differs",
    "domain_not_trusted_for_name",
    "no_entry",
}
README = Path(__file__).parents[2] / "README.md"


def test_the_codes_are_those_of_the_semantics_in_its_order_each_with_its_status() -> None:
    expected = [(code, status) for status, codes in ROWS.items() for code in codes.split()]
    assert expected == [(reason.value, reason.status) for reason in Reason]


@pytest.mark.parametrize(("earlier", "later"), list(combinations(ROWS[401].split(), 2)))
def test_of_two_refusals_the_first_of_the_401_row_is_given(earlier: str, later: str) -> None:
    assert Reason(earlier) is first_refusal([Reason(later), Reason(earlier), Reason(later)])


def test_of_no_refusals_none_is_given() -> None:
    assert first_refusal([]) is None


@pytest.mark.parametrize("reason", Reason)
def test_outward_the_codes_that_tell_which_people_exist_are_one(reason: Reason) -> None:
    """Threat T61: one external answer for not linked, ambiguous, disabled."""
    expected = HIDDEN_REASON if reason.value in PEOPLE_EXIST else reason.value
    assert expected == outward_reason(reason, expose=False)
    assert reason.value == outward_reason(reason, expose=True)


def test_the_hidden_code_is_no_reason_of_its_own() -> None:
    assert HIDDEN_REASON == "not_authenticated"
    assert HIDDEN_REASON not in set(Reason)


def test_readme_lists_every_code_with_its_status_in_order() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(str(reason.status), reason.value) for reason in Reason] == rows
