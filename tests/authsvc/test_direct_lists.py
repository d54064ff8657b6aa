"""What an issuer's own complete lists say of a certificate: what an OCSP responder's certificate is judged by."""

from datetime import timedelta

import pytest
from cryptography import x509

from authsvc.trust.crl import read_crl
from authsvc.trust.crl_decision import SortedLists
from authsvc.trust.direct_lists import is_listed
from tests.support.lists import delta_of, issuing_point
from tests.support.pki import NOW, Authority, Issued, IssuedCrl, small_world
from tests.support.trust import facts_of

WORLD = small_world()
DAVE = WORLD.dave
NAMESAKE = Authority.root(WORLD.issuing.certificate.subject, now=NOW)
HOUR = timedelta(hours=1)


def late(*revoked: Issued) -> IssuedCrl:
    """Return a list that has just expired."""
    return WORLD.issuing.crl(revoked, number=2, this_update=NOW - 9 * HOUR, next_update=NOW)


def said(*lists: IssuedCrl) -> bool | None:
    """Return what lists say of Dave's certificate."""
    read = [read_crl(one.der, source=f"{number}.crl") for number, one in enumerate(lists)]
    return is_listed(SortedLists.of(read), facts_of(DAVE), facts_of(WORLD.issuing), now=NOW)


def test_a_current_list_for_everything_that_does_not_name_it_says_that_it_is_good() -> None:
    assert said(WORLD.issuing.crl([5])) is False


def test_a_current_list_that_names_it_revokes_it() -> None:
    assert said(WORLD.issuing.crl([DAVE])) is True


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param((), id="no list at all"),
        pytest.param((WORLD.root.crl(),), id="a list of somebody else"),
        pytest.param((late(),), id="a list that has expired"),
        pytest.param((WORLD.issuing.crl(this_update=NOW + HOUR),), id="a list that is to come"),
        pytest.param((WORLD.issuing.crl(number=2, extensions=[delta_of(1)]),), id="a delta list alone"),
        pytest.param(
            (WORLD.issuing.crl(extensions=[issuing_point(end_entities=True)]),),
            id="a list for some certificates",
        ),
        pytest.param(
            (
                WORLD.issuing.crl(
                    extensions=[issuing_point(reasons=frozenset({x509.ReasonFlags.key_compromise}))]
                ),
            ),
            id="a list for some reasons",
        ),
        pytest.param((NAMESAKE.crl(),), id="a list of the issuer's name that another key has signed"),
    ],
)
def test_t34_silence_that_is_not_about_it_now_says_nothing(silent: tuple[IssuedCrl, ...]) -> None:
    assert said(*silent) is None


@pytest.mark.parametrize(
    "naming",
    [
        pytest.param(late(DAVE), id="a list that has expired"),
        pytest.param(WORLD.issuing.crl([DAVE], number=2, extensions=[delta_of(1)]), id="a delta list"),
        pytest.param(
            WORLD.issuing.crl([DAVE], number=2, extensions=[issuing_point(authorities=True)]),
            id="a list for others",
        ),
        pytest.param(WORLD.issuing.crl([DAVE], number=0), id="an older list"),
    ],
)
def test_a_list_of_the_issuer_that_names_it_revokes_it_whatever_else_it_is(naming: IssuedCrl) -> None:
    assert said(naming) is True
    assert said(WORLD.issuing.crl([5]), naming) is True


def test_t34_a_list_that_another_key_has_signed_neither_revokes_nor_stands_in_the_way() -> None:
    assert said(NAMESAKE.crl([DAVE])) is None
    assert said(NAMESAKE.crl([DAVE], number=2), WORLD.issuing.crl()) is False


def test_a_removal_from_a_list_revokes_nothing() -> None:
    removal = WORLD.issuing.crl(
        [DAVE], number=2, reason=x509.ReasonFlags.remove_from_crl, extensions=[delta_of(1)]
    )
    assert said(removal) is None
    assert said(removal, WORLD.issuing.crl()) is False
