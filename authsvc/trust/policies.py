"""Certificate policies over a certification path: RFC 5280 section 6.1 with the policy graph of RFC 9618.

Lives here: certificatePolicies, policyMappings, policyConstraints and inhibitAnyPolicy, read and processed. Not
here: everything else of the path (`path_validation.py`), which policies an anchor asks for (`anchors.py`).

The tree of RFC 5280 grows exponentially under mappings; the graph of RFC 9618 has one node for each policy and
depth. Nothing asks for the tree itself, so that only its lowest level is kept here, and for each node the
policies of the anchor's domain that it stems from. A level without nodes is the "null" tree.

INVARIANT: what cannot be read, or is more than the budgets allow, refuses; it never counts as "no policy".
Departures: qualifiers are not returned to anybody and are passed over, as RFC 5280 section 6.1.5 allows. The
anchor's own certificatePolicies and policyMappings are not part of a path (section 6.1.1 (d)); its
policyConstraints and inhibitAnyPolicy are honoured, as RFC 5937 asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from authsvc.trust.certificate import CertificateFacts
from directory_assistance.der import (
    INTEGER,
    OBJECT_IDENTIFIER,
    SEQUENCE,
    DerSyntaxError,
    Fields,
    read_element,
    read_elements,
    read_integer,
    read_object_identifier,
)
from directory_assistance.errors import shorten

__all__ = ["ANY_POLICY", "PolicyInputs", "find_policy_problem"]

ANY_POLICY: Final = "2.5.29.32.0"

_CERTIFICATE_POLICIES: Final = "2.5.29.32"
_POLICY_MAPPINGS: Final = "2.5.29.33"
_POLICY_CONSTRAINTS: Final = "2.5.29.36"
_INHIBIT_ANY_POLICY: Final = "2.5.29.54"

_REQUIRE_EXPLICIT: Final = 0x80
_INHIBIT_MAPPING: Final = 0x81

_MOST_POLICIES: Final = 500
"""Policies of one certificate, and mappings of one certificate: real ones have fewer than twenty."""

_MOST_STEPS: Final = 50_000
"""Policies that nodes of one path may stem from, counted over all nodes: some ten milliseconds (threat T24)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInputs:
    """What a relying party asks for (RFC 5280 section 6.1.1 (c), (e), (f), (g)).

    `initial`: dotted policies of which the path must be valid for one, empty for any policy. `explicit`: whether the
    path must be valid for one of them at all.
    """

    initial: frozenset[str] = frozenset()
    explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


@dataclass(slots=True)
class _Node:
    """One policy at the lowest depth: what it is expected to be called below, and where it stems from.

    `origins` are policies of the anchor's domain; anyPolicy where the node is anyPolicy all the way down.
    """

    expected: frozenset[str]
    origins: frozenset[str]


_Level = dict[str, _Node]


class _TooMuchError(Exception):
    """A budget is used up."""


def find_policy_problem(path: Sequence[CertificateFacts], inputs: PolicyInputs) -> str:
    """Say why certificate policies refuse a path, or return an empty text.

    Args:
        path: leaf first, anchor last; a pinned end entity alone is its own path.
        inputs: what is asked for.

    """
    try:
        return _Processing(path, inputs).run()
    except DerSyntaxError as error:
        return f"certificate policies cannot be read: {shorten(str(error))}"
    except _TooMuchError:
        return "certificate policies have more combinations than are looked at"


class _Processing:
    """The state variables of RFC 5280 section 6.1.2 and what changes them."""

    def __init__(self, path: Sequence[CertificateFacts], inputs: PolicyInputs) -> None:
        # From the anchor's side down, without the anchor: certificate 1 to certificate n.
        self._certificates = list(reversed(path[:-1] or path))
        self._anchor = path[-1] if len(path) > 1 else None
        self._inputs = inputs
        count = len(self._certificates) + 1
        self._explicit = 0 if inputs.explicit else count
        self._mapping = 0 if inputs.inhibit_mapping else count
        self._any = 0 if inputs.inhibit_any else count
        self._level: _Level = {ANY_POLICY: _Node(frozenset({ANY_POLICY}), frozenset({ANY_POLICY}))}
        self._steps = 0

    def run(self) -> str:
        if not self._inputs.explicit and not self._matters():
            return ""
        if self._anchor is not None:
            self._constrain(self._anchor)
        last = len(self._certificates) - 1
        for position, facts in enumerate(self._certificates):
            is_last = position == last
            self._descend(facts, is_last=is_last)
            if self._explicit == 0 and not self._level:
                return f"an explicit policy is required, and `{facts.subject_text}` ends the last one"
            if not is_last:
                problem = self._prepare(facts)
                if problem:
                    return problem
        return self._wrap_up(self._certificates[-1])

    def _matters(self) -> bool:
        """Whether anything in the path can make policies refuse it: without that, every path is valid."""
        return any(
            _POLICY_CONSTRAINTS in facts.extension_values or _POLICY_MAPPINGS in facts.extension_values
            for facts in (*self._certificates, *(() if self._anchor is None else (self._anchor,)))
        )

    def _descend(self, facts: CertificateFacts, *, is_last: bool) -> None:
        """Make the next level (section 6.1.3 (d) and (e))."""
        asserted = _read_policies(facts)
        above = self._level
        by_expected: dict[str, list[_Node]] = {}
        for node in above.values():
            for policy in node.expected:
                by_expected.setdefault(policy, []).append(node)
        level: _Level = {}
        for policy in asserted - {ANY_POLICY}:
            if policy in by_expected:
                level[policy] = self._child(policy, by_expected[policy])
            elif ANY_POLICY in above:
                level[policy] = _Node(frozenset({policy}), frozenset({policy}))
        if ANY_POLICY in asserted and (self._any > 0 or (not is_last and facts.issuer_is_subject)):
            for policy, parents in by_expected.items():
                if policy not in level:
                    level[policy] = self._child(policy, parents)
        self._level = level

    def _child(self, policy: str, parents: list[_Node]) -> _Node:
        origins: set[str] = set()
        for parent in parents:
            self._steps += len(parent.origins)
            if self._steps > _MOST_STEPS:
                raise _TooMuchError
            origins |= parent.origins
        return _Node(frozenset({policy}), frozenset(origins))

    def _prepare(self, facts: CertificateFacts) -> str:
        """Prepare for the next certificate (section 6.1.4 (a), (b), (h) to (j))."""
        mappings = _read_mappings(facts)
        if ANY_POLICY in mappings or any(ANY_POLICY in mapped for mapped in mappings.values()):
            return f"`{facts.subject_text}` maps anyPolicy, which RFC 5280 forbids"
        for policy, mapped in mappings.items():
            if self._mapping == 0:
                self._level.pop(policy, None)
            elif policy in self._level:
                self._level[policy].expected = mapped
            elif ANY_POLICY in self._level:
                self._level[policy] = _Node(mapped, frozenset({policy}))
        if not facts.issuer_is_subject:
            self._count_down()
        self._constrain(facts)
        return ""

    def _count_down(self) -> None:
        self._explicit = max(self._explicit - 1, 0)
        self._mapping = max(self._mapping - 1, 0)
        self._any = max(self._any - 1, 0)

    def _constrain(self, facts: CertificateFacts) -> None:
        explicit, mapping = _read_constraints(facts)
        if explicit is not None:
            self._explicit = min(self._explicit, explicit)
        if mapping is not None:
            self._mapping = min(self._mapping, mapping)
        value = facts.extension_values.get(_INHIBIT_ANY_POLICY)
        if value is not None:
            self._any = min(self._any, _read_skip(read_element(value, INTEGER).content))

    def _wrap_up(self, facts: CertificateFacts) -> str:
        """Judge the lowest level (section 6.1.5 (a), (b), (g))."""
        self._explicit = max(self._explicit - 1, 0)
        explicit, _mapping = _read_constraints(facts)
        if explicit == 0:
            self._explicit = 0
        if self._explicit > 0:
            return ""
        if not self._level:
            return "an explicit policy is required, and no policy is asserted by the whole path"
        valid = frozenset().union(*(node.origins for node in self._level.values()))
        wanted = self._inputs.initial
        if not wanted or ANY_POLICY in wanted or ANY_POLICY in valid or valid & wanted:
            return ""
        return (
            f"expected one of the certificate policies `{' '.join(sorted(wanted))}`, "
            f"found `{shorten(' '.join(sorted(valid)))}`"
        )


def _read_policies(facts: CertificateFacts) -> frozenset[str]:
    """Read certificatePolicies (RFC 5280 section 4.2.1.4); empty where there are none."""
    value = facts.extension_values.get(_CERTIFICATE_POLICIES)
    if value is None:
        return frozenset()
    elements = read_elements(read_element(value, SEQUENCE).content)
    if not elements or len(elements) > _MOST_POLICIES:
        raise DerSyntaxError(f"expected one to {_MOST_POLICIES} policies, found {len(elements)}")
    policies = [
        read_object_identifier(
            Fields(read_element(one.encoded, SEQUENCE).content).take(OBJECT_IDENTIFIER).content
        )
        for one in elements
    ]
    if len(set(policies)) < len(policies):
        raise DerSyntaxError("a policy stands twice")
    return frozenset(policies)


def _read_mappings(facts: CertificateFacts) -> dict[str, frozenset[str]]:
    """Read policyMappings (RFC 5280 section 4.2.1.5): issuer's policy to subject's policies."""
    value = facts.extension_values.get(_POLICY_MAPPINGS)
    if value is None:
        return {}
    elements = read_elements(read_element(value, SEQUENCE).content)
    if not elements or len(elements) > _MOST_POLICIES:
        raise DerSyntaxError(f"expected one to {_MOST_POLICIES} policy mappings, found {len(elements)}")
    mappings: dict[str, set[str]] = {}
    for one in elements:
        fields = Fields(read_element(one.encoded, SEQUENCE).content)
        policy = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
        mappings.setdefault(policy, set()).add(read_object_identifier(fields.take(OBJECT_IDENTIFIER).content))
        fields.finish()
    return {policy: frozenset(mapped) for policy, mapped in mappings.items()}


def _read_constraints(facts: CertificateFacts) -> tuple[int | None, int | None]:
    """Read policyConstraints (RFC 5280 section 4.2.1.11): skip counts of explicit policy and of mapping."""
    value = facts.extension_values.get(_POLICY_CONSTRAINTS)
    if value is None:
        return None, None
    fields = Fields(read_element(value, SEQUENCE).content)
    explicit, mapping = fields.take_optional(_REQUIRE_EXPLICIT), fields.take_optional(_INHIBIT_MAPPING)
    fields.finish()
    if explicit is None and mapping is None:
        raise DerSyntaxError("policy constraints are empty")
    return (
        None if explicit is None else _read_skip(explicit.content),
        None if mapping is None else _read_skip(mapping.content),
    )


def _read_skip(content: bytes) -> int:
    skip = read_integer(content)
    if skip < 0:
        raise DerSyntaxError("a number of certificates is negative")
    return skip
