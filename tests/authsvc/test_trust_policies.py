"""Certificate policies: tables of RFC 5280's variables, the RFC's own tree as the judge, what refuses, the budget."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authsvc.reason import Reason
from authsvc.trust import policies
from authsvc.trust.anchors import AnchorSettings
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.policies import ANY_POLICY, PolicyChecks, PolicyInputs
from directory_assistance.der import SEQUENCE
from tests.support.constraints import (
    INHIBIT_ANY,
    POLICIES,
    POLICY_CONSTRAINTS,
    POLICY_MAPPINGS,
    Templates,
    object_identifier,
    policies_der,
    policy_constraints_der,
    policy_mappings_der,
)
from tests.support.pki import NOW, Authority, der_element, generate_key
from tests.support.policies import policy_extensions
from tests.support.policy_tree import PolicyExtensions, is_valid_by_the_tree
from tests.support.trust import anchor_of, refused, store_of, verified, verify

TEMPLATES = Templates()
ONE, TWO, THREE, FOUR = "1.2.1", "1.2.2", "1.2.3", "1.2.4"
NOTHING = PolicyExtensions()
EXPLICIT = PolicyInputs(explicit=True)


def _values(says: PolicyExtensions) -> dict[str, bytes]:
    values = {}
    if says.policies is not None:
        values[POLICIES] = policies_der(says.policies)
    if says.mappings:
        values[POLICY_MAPPINGS] = policy_mappings_der(says.mappings)
    if says.explicit is not None or says.mapping is not None:
        values[POLICY_CONSTRAINTS] = policy_constraints_der(says.explicit, says.mapping)
    if says.inhibit_any is not None:
        values[INHIBIT_ANY] = der_element(0x02, bytes((says.inhibit_any,)))
    return values


def _path(certificates: Sequence[PolicyExtensions], anchor: PolicyExtensions) -> tuple[CertificateFacts, ...]:
    """Return a path, end entity first, for certificates in the RFC's order, end entity last."""
    *authorities, leaf = certificates
    return (
        TEMPLATES.certificate(_values(leaf), leaf=not leaf.self_issued, self_issued=leaf.self_issued),
        *(TEMPLATES.certificate(_values(one), self_issued=one.self_issued) for one in reversed(authorities)),
        replace(TEMPLATES.root, extension_values=_values(anchor)),
    )


def problem_of(
    *certificates: PolicyExtensions, anchor: PolicyExtensions = NOTHING, inputs: PolicyInputs = EXPLICIT
) -> str:
    return PolicyChecks().find_problem(_path(certificates, anchor), inputs)


def says(
    *asserted: str, mappings: tuple[tuple[str, str], ...] = (), self_issued: bool = False
) -> PolicyExtensions:
    return PolicyExtensions(policies=asserted, mappings=mappings, self_issued=self_issued)


def wanting(*wanted: str) -> PolicyInputs:
    return PolicyInputs(initial=frozenset(wanted), explicit=True)


# -------------------------------------------------------------------------------------------------- accepted


@pytest.mark.parametrize(
    ("certificates", "inputs", "accepted"),
    [
        pytest.param([says(ONE), says(ONE)], EXPLICIT, True, id="one policy all the way"),
        pytest.param([says(ONE), says(TWO)], EXPLICIT, False, id="another policy at the end"),
        pytest.param([says(ONE), NOTHING], EXPLICIT, False, id="no policy at the end"),
        pytest.param([NOTHING, says(ONE)], EXPLICIT, False, id="no policy in the middle"),
        pytest.param([NOTHING, says(ONE)], PolicyInputs(), True, id="and nobody asks"),
        pytest.param(
            [NOTHING, says(ONE)], PolicyInputs(initial=frozenset({TWO})), True, id="nor is it explicit"
        ),
        pytest.param([says(ONE), says(ONE)], wanting(ONE, TWO), True, id="one of the wanted policies"),
        pytest.param([says(ONE), says(ONE)], wanting(TWO), False, id="none of the wanted policies"),
        pytest.param([says(ONE), says(ONE)], wanting(ANY_POLICY), True, id="any policy is wanted"),
        pytest.param([says(ANY_POLICY), says(ONE)], wanting(ONE), True, id="any policy above a policy"),
        pytest.param([says(ANY_POLICY), says(ANY_POLICY)], wanting(ONE), True, id="any policy all the way"),
        pytest.param([says(ONE), says(ANY_POLICY)], wanting(ONE), True, id="any policy below a policy"),
        pytest.param([says(ONE), says(ANY_POLICY)], wanting(TWO), False, id="which is not the wanted one"),
        pytest.param([says(ONE, ANY_POLICY), says(TWO)], wanting(TWO), True, id="any policy beside a policy"),
        pytest.param(
            [says(ONE, mappings=((ONE, TWO),)), says(TWO)], wanting(ONE), True, id="a mapping, the upper name"
        ),
        pytest.param(
            [says(ONE, mappings=((ONE, TWO),)), says(TWO)], wanting(TWO), False, id="not the lower name"
        ),
        pytest.param(
            [says(ONE, mappings=((ONE, TWO),)), says(ONE)], wanting(ONE), False, id="nor the old one below"
        ),
        pytest.param(
            [says(ONE, mappings=((ONE, TWO), (ONE, THREE))), says(THREE)],
            wanting(ONE),
            True,
            id="mapped to two names",
        ),
        pytest.param(
            [says(ONE, TWO, mappings=((ONE, THREE), (TWO, THREE))), says(THREE)],
            wanting(TWO),
            True,
            id="two to one",
        ),
        pytest.param(
            [says(ANY_POLICY, mappings=((ONE, TWO),)), says(TWO)],
            wanting(ONE),
            True,
            id="a mapping of what any stands for",
        ),
        pytest.param(
            [says(THREE, mappings=((ONE, TWO),)), says(TWO)],
            EXPLICIT,
            False,
            id="a mapping of what is not asserted",
        ),
        pytest.param(
            [says(ONE, mappings=((ONE, ANY_POLICY),)), says(ONE)],
            PolicyInputs(),
            False,
            id="a mapping to any policy",
        ),
        pytest.param(
            [says(ONE, mappings=((ANY_POLICY, ONE),)), says(ONE)],
            PolicyInputs(),
            False,
            id="a mapping of any policy",
        ),
        pytest.param(
            [says(ONE, mappings=((ONE, ANY_POLICY),)), says(ONE, mappings=((ONE, TWO),))],
            PolicyInputs(),
            False,
            id="a mapping to any policy, though all map",
        ),
        pytest.param(
            [says(ONE), says(ONE, mappings=((ANY_POLICY, ONE),))],
            EXPLICIT,
            True,
            id="mappings of an end entity are none",
        ),
        pytest.param(
            [says(ONE, mappings=((ONE, TWO),)), says(TWO, mappings=((TWO, THREE),)), says(THREE)],
            wanting(ONE),
            True,
            id="mapped twice",
        ),
    ],
)
def test_t23_policies_hold_over_the_whole_path(
    certificates: list[PolicyExtensions], inputs: PolicyInputs, accepted: bool
) -> None:
    mapping_anchor = says(ONE, mappings=((ONE, TWO),))
    for anchor in (NOTHING, mapping_anchor):  # whose policies and mappings are no part of the path
        assert (problem_of(*certificates, anchor=anchor, inputs=inputs) == "") == accepted


def _skipping(
    explicit: int | None = None, mapping: int | None = None, inhibit_any: int | None = None
) -> PolicyExtensions:
    return replace(says(ONE), explicit=explicit, mapping=mapping, inhibit_any=inhibit_any)


@pytest.mark.parametrize(
    ("certificates", "accepted"),
    [
        pytest.param([_skipping(explicit=0), NOTHING], False, id="from here on"),
        pytest.param([_skipping(explicit=1), NOTHING], False, id="one further: the last counts too"),
        pytest.param([_skipping(explicit=2), NOTHING], True, id="two further, which is beyond the end"),
        pytest.param([_skipping(explicit=2), says(ONE), NOTHING], False, id="and with one more is not"),
        pytest.param([_skipping(explicit=3), says(ONE), NOTHING], True, id="each counts as one, not more"),
        pytest.param(
            [_skipping(explicit=2), says(ONE, self_issued=True), NOTHING],
            True,
            id="self-issued ones do not count",
        ),
        pytest.param([_skipping(explicit=0), says(ONE)], True, id="a policy is there"),
        pytest.param([NOTHING, replace(NOTHING, explicit=0)], False, id="the end entity asks itself"),
        pytest.param([NOTHING, replace(NOTHING, explicit=1)], True, id="but for itself only with zero"),
        pytest.param([_skipping(explicit=1), _skipping(explicit=5), NOTHING], False, id="the smaller counts"),
    ],
)
def test_t23_an_explicit_policy_is_required_from_where_a_certificate_says(
    certificates: list[PolicyExtensions], accepted: bool
) -> None:
    assert (problem_of(*certificates, inputs=PolicyInputs()) == "") == accepted


MAPS = says(ONE, mappings=((ONE, TWO),))


@pytest.mark.parametrize(
    ("certificates", "inputs", "accepted"),
    [
        pytest.param([_skipping(mapping=0), MAPS, says(TWO)], EXPLICIT, False, id="no mapping below"),
        pytest.param([_skipping(mapping=1), MAPS, says(TWO)], EXPLICIT, True, id="one below may map"),
        pytest.param(
            [_skipping(mapping=1), says(ONE), MAPS, says(TWO)], EXPLICIT, False, id="the second may not"
        ),
        pytest.param(
            [_skipping(mapping=2), says(ONE), MAPS, says(TWO)], EXPLICIT, True, id="where two may it may"
        ),
        pytest.param(
            [_skipping(mapping=1), says(ONE, self_issued=True), MAPS, says(TWO)],
            EXPLICIT,
            True,
            id="self-issued ones do not count",
        ),
        pytest.param([replace(MAPS, mapping=0), says(TWO)], EXPLICIT, True, id="who says so may map itself"),
        pytest.param(
            [MAPS, says(TWO)], replace(EXPLICIT, inhibit_mapping=True), False, id="who asks says so"
        ),
        pytest.param(
            [MAPS, says(ONE)], replace(EXPLICIT, inhibit_mapping=True), False, id="the policy is gone"
        ),
        pytest.param(
            [says(ONE, THREE, mappings=((ONE, TWO),)), says(THREE)],
            replace(EXPLICIT, inhibit_mapping=True),
            True,
            id="the others stay",
        ),
    ],
)
def test_t23_mappings_count_as_far_as_they_may(
    certificates: list[PolicyExtensions], inputs: PolicyInputs, accepted: bool
) -> None:
    assert (problem_of(*certificates, inputs=inputs) == "") == accepted


ANY = says(ANY_POLICY)


@pytest.mark.parametrize(
    ("certificates", "inputs", "accepted"),
    [
        pytest.param([_skipping(inhibit_any=0), ANY], EXPLICIT, False, id="any policy is none below"),
        pytest.param([_skipping(inhibit_any=1), ANY], EXPLICIT, True, id="one below may say any"),
        pytest.param([_skipping(inhibit_any=1), says(ONE), ANY], EXPLICIT, False, id="the second may not"),
        pytest.param([_skipping(inhibit_any=2), says(ONE), ANY], EXPLICIT, True, id="where two may it may"),
        pytest.param(
            [_skipping(inhibit_any=0), replace(ANY, self_issued=True), says(ONE)],
            EXPLICIT,
            True,
            id="a self-issued authority may",
        ),
        pytest.param(
            [_skipping(inhibit_any=0), replace(ANY, self_issued=True)],
            EXPLICIT,
            False,
            id="a self-issued end entity may not",
        ),
        pytest.param([ANY, says(ONE)], replace(EXPLICIT, inhibit_any=True), False, id="who asks says so"),
        pytest.param(
            [says(ONE), says(ONE)], replace(EXPLICIT, inhibit_any=True), True, id="and a policy is one"
        ),
    ],
)
def test_t23_any_policy_counts_as_far_as_it_may(
    certificates: list[PolicyExtensions], inputs: PolicyInputs, accepted: bool
) -> None:
    assert (problem_of(*certificates, inputs=inputs) == "") == accepted


@pytest.mark.parametrize(
    ("anchor", "certificates", "accepted"),
    [
        pytest.param(replace(NOTHING, explicit=0), [says(ONE), NOTHING], False, id="it asks for a policy"),
        pytest.param(replace(NOTHING, explicit=0), [NOTHING], False, id="of an end entity right below too"),
        pytest.param(replace(NOTHING, explicit=0), [says(ONE)], True, id="which has one"),
        pytest.param(
            replace(NOTHING, explicit=2), [says(ONE), NOTHING], False, id="which the second must have"
        ),
        pytest.param(
            replace(NOTHING, explicit=3), [says(ONE), NOTHING], True, id="not the third, which is beyond"
        ),
        pytest.param(
            replace(NOTHING, explicit=0, mapping=0), [MAPS, says(TWO)], False, id="it forbids mappings"
        ),
        pytest.param(replace(NOTHING, explicit=0, mapping=1), [MAPS, says(TWO)], True, id="but the first"),
        pytest.param(
            replace(NOTHING, explicit=0, inhibit_any=0), [ANY, says(ONE)], False, id="it forbids any policy"
        ),
        pytest.param(
            replace(NOTHING, explicit=0, inhibit_any=1), [ANY, says(ONE)], True, id="but of the first"
        ),
        pytest.param(
            replace(says(TWO), explicit=0), [says(ONE), says(ONE)], True, id="its own policies are no limit"
        ),
        pytest.param(
            says(ONE, mappings=((ONE, TWO),)),
            [says(ONE), says(ONE)],
            True,
            id="nor are its mappings any mapping",
        ),
    ],
)
def test_t23_an_anchor_constrains_as_any_authority_does(
    anchor: PolicyExtensions, certificates: list[PolicyExtensions], accepted: bool
) -> None:
    """RFC 5937."""
    assert (problem_of(*certificates, anchor=anchor, inputs=PolicyInputs()) == "") == accepted


@pytest.mark.parametrize(
    ("leaf", "inputs", "accepted"),
    [
        (NOTHING, EXPLICIT, False),
        (says(ONE), EXPLICIT, True),
        (says(ONE), wanting(ONE), True),
        (says(ONE), wanting(TWO), False),
        (ANY, wanting(TWO), True),
        (ANY, replace(EXPLICIT, inhibit_any=True), False),
        (replace(NOTHING, explicit=0), PolicyInputs(), False),
        (replace(NOTHING, explicit=1), PolicyInputs(), True),
        (NOTHING, PolicyInputs(), True),
    ],
)
def test_t23_a_pinned_certificate_is_its_own_path(
    leaf: PolicyExtensions, inputs: PolicyInputs, accepted: bool
) -> None:
    facts = TEMPLATES.certificate(_values(leaf), leaf=True)
    assert (PolicyChecks().find_problem((facts,), inputs) == "") == accepted


def test_the_text_says_what_was_wanted_and_found() -> None:
    assert problem_of(says(ONE, TWO), says(ONE, TWO), inputs=wanting(THREE, FOUR)) == (
        "expected one of the certificate policies `1.2.3 1.2.4`, found `1.2.1 1.2.2`"
    )
    assert problem_of(NOTHING, says(ONE)) == (
        "an explicit policy is required, and `CN=Renovations Issuing CA,O=Renovations` ends the last one"
    )
    assert problem_of(says(ONE), NOTHING) == (
        "an explicit policy is required, and `CN=Dave Lawson,O=Renovations` ends the last one"
    )
    assert problem_of(says(ONE), replace(says(TWO), explicit=0), inputs=PolicyInputs()) == (
        "an explicit policy is required, and no policy is asserted by the whole path"
    )
    assert problem_of(says(ONE, mappings=((ONE, ANY_POLICY),)), says(ONE)) == (
        "`CN=Renovations Issuing CA,O=Renovations` maps anyPolicy, which RFC 5280 forbids"
    )


# ------------------------------------------------------------------------------------------------- the tree

POLICY = st.sampled_from([ONE, TWO, THREE, ANY_POLICY])
SKIP = st.none() | st.integers(0, 3)


@st.composite
def _extensions(draw: st.DrawFn) -> PolicyExtensions:
    # Mostly what makes a path valid, so that both answers come up.
    few = st.lists(POLICY, unique=True, min_size=1, max_size=3).map(tuple)
    named = st.sampled_from([ONE, TWO, THREE])
    mappings = st.lists(st.tuples(named, named), max_size=3).map(tuple)
    return PolicyExtensions(
        policies=draw(st.one_of(few, few, few, few, st.none())),
        mappings=draw(
            st.one_of(mappings, st.just(((ONE, ANY_POLICY),))) if draw(st.booleans()) else st.just(())
        ),
        explicit=draw(st.one_of(st.none(), SKIP)),
        mapping=draw(st.one_of(st.none(), SKIP)),
        inhibit_any=draw(st.one_of(st.none(), SKIP)),
        self_issued=draw(st.sampled_from([False, False, True])),
    )


asked_at_random = given(
    certificates=st.lists(_extensions(), min_size=1, max_size=4),
    anchor=_extensions(),
    initial=st.frozensets(POLICY, max_size=2),
    explicit=st.sampled_from([True, True, False]),
    inhibit_mapping=st.booleans(),
    inhibit_any=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@asked_at_random
@example(
    certificates=[
        says(ONE, TWO, mappings=((ONE, THREE), (TWO, THREE))),
        says(THREE, mappings=((THREE, ONE),)),
        ANY,
    ],
    anchor=NOTHING,
    initial=frozenset({TWO}),
    explicit=True,
    inhibit_mapping=False,
    inhibit_any=False,
)
def test_t23_the_graph_says_what_the_tree_of_the_rfc_says(  # noqa: PLR0917 - hypothesis passes them by name
    certificates: list[PolicyExtensions],
    anchor: PolicyExtensions,
    initial: frozenset[str],
    explicit: bool,
    inhibit_mapping: bool,
    inhibit_any: bool,
) -> None:
    inputs = PolicyInputs(
        initial=initial, explicit=explicit, inhibit_mapping=inhibit_mapping, inhibit_any=inhibit_any
    )
    require_as_by_the_tree(certificates, anchor, inputs)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@asked_at_random
def test_t23_the_graph_says_what_the_tree_says_of_many_more_paths(  # noqa: PLR0917 - hypothesis passes them by name
    certificates: list[PolicyExtensions],
    anchor: PolicyExtensions,
    initial: frozenset[str],
    explicit: bool,
    inhibit_mapping: bool,
    inhibit_any: bool,
) -> None:
    inputs = PolicyInputs(
        initial=initial, explicit=explicit, inhibit_mapping=inhibit_mapping, inhibit_any=inhibit_any
    )
    require_as_by_the_tree(certificates, anchor, inputs)


def require_as_by_the_tree(
    certificates: list[PolicyExtensions], anchor: PolicyExtensions, inputs: PolicyInputs
) -> None:
    expected = is_valid_by_the_tree(
        certificates,
        anchor,
        initial=inputs.initial,
        explicit=inputs.explicit,
        inhibit_mapping=inputs.inhibit_mapping,
        inhibit_any=inputs.inhibit_any,
    )
    assert (problem_of(*certificates, anchor=anchor, inputs=inputs) == "") == expected


# -------------------------------------------------------------------------------------------- not to be read


def _many(count: int) -> tuple[str, ...]:
    return tuple(f"1.2.3.{number}" for number in range(count))


@pytest.mark.parametrize(
    ("oid", "value", "expected"),
    [
        pytest.param(POLICIES, b"", "expected tag 0x30, found the end", id="no policies at all"),
        pytest.param(POLICIES, policies_der(()), "expected at least 1 element, found 0", id="an empty list"),
        pytest.param(
            POLICIES,
            policies_der(_many(501)),
            "expected at most 500 policies, found 501",
            id="too many policies",
        ),
        pytest.param(POLICIES, policies_der((ONE, TWO, ONE)), "a policy stands twice", id="a policy twice"),
        pytest.param(POLICIES, policies_der((ONE,)) + b"\x05\x00", "expected the end", id="octets left over"),
        pytest.param(
            POLICIES,
            der_element(SEQUENCE, object_identifier(ONE)),
            "expected tag 0x30, found tag 0x06",
            id="a bare policy",
        ),
        pytest.param(
            POLICIES,
            der_element(SEQUENCE, b"\x30\x00"),
            "expected tag 0x06, found the end",
            id="a policy without a type",
        ),
        pytest.param(POLICY_MAPPINGS, b"\x30\x00", "expected at least 1 element, found 0", id="no mappings"),
        pytest.param(
            POLICY_MAPPINGS,
            policy_mappings_der([(ONE, TWO)] * 501),
            "expected at most 500 policy mappings, found 501",
            id="too many mappings",
        ),
        pytest.param(
            POLICY_MAPPINGS,
            der_element(SEQUENCE, der_element(SEQUENCE, object_identifier(ONE))),
            "expected tag 0x06, found the end",
            id="half a mapping",
        ),
        pytest.param(
            POLICY_MAPPINGS,
            der_element(SEQUENCE, der_element(SEQUENCE, object_identifier(ONE) * 3)),
            "expected the end, found tag 0x06",
            id="a mapping with three sides",
        ),
        pytest.param(POLICY_CONSTRAINTS, b"\x30\x00", "policy constraints are empty", id="empty constraints"),
        pytest.param(
            POLICY_CONSTRAINTS,
            b"\x30\x03\x80\x01\xff",
            "a number of certificates is negative",
            id="a negative number",
        ),
        pytest.param(
            POLICY_CONSTRAINTS,
            b"\x30\x03\x81\x01\x80",
            "a number of certificates is negative",
            id="the other one",
        ),
        pytest.param(
            POLICY_CONSTRAINTS,
            b"\x30\x06\x81\x01\x00\x80\x01\x00",
            "expected the end, found tag 0x80",
            id="wrong order",
        ),
        pytest.param(POLICY_CONSTRAINTS, b"\x30\x02\x80\x00", "integer without octets", id="an empty number"),
        pytest.param(
            INHIBIT_ANY, b"\x02\x01\xff", "a number of certificates is negative", id="a negative any"
        ),
        pytest.param(
            INHIBIT_ANY, b"\x04\x01\x00", "expected tag 0x02, found tag 0x04", id="any of another type"
        ),
    ],
)
def test_t23_what_cannot_be_read_refuses(oid: str, value: bytes, expected: str) -> None:
    good = _values(replace(says(ONE), explicit=0))
    leaf, root = TEMPLATES.leaf(_values(says(ONE))), TEMPLATES.root
    checks = PolicyChecks()
    assert checks.find_problem((leaf, TEMPLATES.certificate(good), root), EXPLICIT) == ""
    bad = TEMPLATES.certificate({**good, oid: value})
    for _ in range(2):  # what is remembered says the same
        problem = checks.find_problem((leaf, bad, root), EXPLICIT)
        assert problem.startswith(f"certificate policies cannot be read: {expected}")


def test_the_limits_themselves_are_within() -> None:
    assert problem_of(says(*_many(500)), says("1.2.3.7")) == ""
    assert problem_of(says(ONE, mappings=((ONE, TWO),) * 500), says(TWO)) == ""


# --------------------------------------------------------------------------------------------------- budget


def test_t24_steps_are_counted_over_all_paths_of_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each certificate: its policies, what is expected of them, and where each comes from."""
    path = _path([says(ONE), says(ONE)], NOTHING)
    monkeypatch.setattr(policies, "_MOST_STEPS", 10)
    checks = PolicyChecks()
    assert checks.find_problem(path, EXPLICIT) == ""
    assert checks.find_problem(path, EXPLICIT) == ""
    for _ in range(2):
        assert checks.find_problem(path, EXPLICIT) == (
            "certificate policies have more combinations than are looked at"
        )
    assert PolicyChecks().find_problem(path, EXPLICIT) == ""


def _seconds(action: Callable[[], object]) -> float:
    """Return seconds of computing, the least of three times."""

    def once() -> float:
        begin = process_time()
        action()
        return process_time() - begin

    return min(once() for _ in range(3))


def test_t24_policies_that_multiply_are_answered_in_time() -> None:
    """The tree of RFC 5280 would have eight to the power of eight leaves here."""
    names = _many(8)
    layer = says(*names, ANY_POLICY, mappings=tuple((one, two) for one in names for two in names))
    path = _path([*[layer] * 8, says(*names)], NOTHING)
    found = f"expected one of the certificate policies `1.2.1`, found `{' '.join(names)}`"
    assert PolicyChecks().find_problem(path, wanting(ONE)) == found
    assert _seconds(lambda: PolicyChecks().find_problem(path, wanting(ONE))) < 0.5


def test_t24_policies_beyond_the_budget_are_answered_in_time() -> None:
    many = _many(499)
    pairs = tuple((one, two) for one in many[:22] for two in many[:22])
    path = _path([*[says(*many, ANY_POLICY, mappings=pairs)] * 8, says(*many)], NOTHING)
    assert PolicyChecks().find_problem(path, wanting(ONE)) == (
        "certificate policies have more combinations than are looked at"
    )
    assert _seconds(lambda: PolicyChecks().find_problem(path, wanting(ONE))) < 0.5


def test_t24_cross_signed_authorities_with_many_policies_are_answered_in_time() -> None:
    root = Authority.root(now=NOW)
    many = _many(499)
    pairs = [(one, many[number * 7 % 499]) for number, one in enumerate(many)]
    extensions = policy_extensions((*many, ANY_POLICY), pairs)
    first, second = generate_key(), generate_key()
    upper = [
        root.issue_authority("CN=Upper", key=first, path_length=None, extensions=extensions) for _ in range(5)
    ]
    lower = [upper[0].issue_authority("CN=Lower", key=second, extensions=extensions) for _ in range(5)]
    chain = tuple(one.der for one in (*upper, *lower))
    store = store_of(anchor_of(root, AnchorSettings(id="corp", required_policies=frozenset({ONE}))))
    verified(verify(lower[0].issue(extensions=policy_extensions([ONE], [])), store, chain=chain))
    hostile = lower[0].issue(extensions=policy_extensions(many, []))
    assert refused(verify(hostile, store, chain=chain)).reason is Reason.CERTIFICATE_POLICY
    assert _seconds(lambda: verify(hostile, store, chain=chain)) < 0.5


OCTETS = st.binary(max_size=40) | st.binary(max_size=40).map(lambda body: der_element(SEQUENCE, body))


@settings(max_examples=400, deadline=None)
@given(
    values=st.dictionaries(
        st.sampled_from([POLICIES, POLICY_MAPPINGS, POLICY_CONSTRAINTS, INHIBIT_ANY]), OCTETS
    ),
    explicit=st.booleans(),
)
def test_any_octets_are_an_answer(values: dict[str, bytes], explicit: bool) -> None:
    facts = TEMPLATES.certificate(values)
    path = (TEMPLATES.leaf(values), facts, facts)
    assert isinstance(PolicyChecks().find_problem(path, PolicyInputs(explicit=explicit)), str)
