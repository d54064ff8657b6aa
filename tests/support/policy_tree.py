"""The policy tree of RFC 5280 section 6.1, step by step as it is written there: slow, and exponential under mappings.

What `authsvc/trust/policies.py` is held against on small paths. Departures: no qualifiers; what an anchor constrains
is the start of the state variables (RFC 5937).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["PolicyExtensions", "is_valid_by_the_tree"]

ANY = "2.5.29.32.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyExtensions:
    """What one certificate says about policies; None where an extension is absent."""

    policies: tuple[str, ...] | None = None
    mappings: tuple[tuple[str, str], ...] = ()
    explicit: int | None = None
    mapping: int | None = None
    inhibit_any: int | None = None
    self_issued: bool = False


@dataclass(slots=True, eq=False)
class _Node:
    depth: int
    valid_policy: str
    expected: set[str]
    parent: "_Node | None"
    children: list["_Node"] = field(default_factory=list)

    def add(self, policy: str, expected: set[str]) -> "_Node":
        child = _Node(self.depth + 1, policy, expected, self)
        self.children.append(child)
        return child

    def walk(self) -> "Iterator[_Node]":
        yield self
        for child in list(self.children):
            yield from child.walk()

    def remove(self) -> None:
        assert self.parent is not None
        self.parent.children.remove(self)


class _Tree:
    """A valid_policy_tree; `root` is None once it is NULL."""

    def __init__(self) -> None:
        self.root: _Node | None = _Node(0, ANY, {ANY}, None)

    def at(self, depth: int) -> list[_Node]:
        return [] if self.root is None else [node for node in self.root.walk() if node.depth == depth]

    def prune(self, depth: int) -> None:
        """Delete nodes of this depth and above that have no children, again and again."""
        for level in range(depth, 0, -1):
            for node in self.at(level):
                if not node.children:
                    node.remove()
        if self.root is not None and not self.root.children:
            self.root = None


def is_valid_by_the_tree(
    certificates: Sequence[PolicyExtensions],
    anchor: PolicyExtensions,
    *,
    initial: frozenset[str],
    explicit: bool,
    inhibit_mapping: bool,
    inhibit_any: bool,
) -> bool:
    """Tell whether a path is valid as far as policies go.

    Args:
        certificates: certificate 1 to certificate n; the last is the end entity.
        anchor: its constraints count, its policies and mappings do not.
        initial: user-initial-policy-set; empty for any policy.
        explicit: initial-explicit-policy.
        inhibit_mapping: initial-policy-mapping-inhibit.
        inhibit_any: initial-any-policy-inhibit.

    """
    n = len(certificates)
    tree = _Tree()
    explicit_policy = 0 if explicit else n + 1
    inhibit_any_policy = 0 if inhibit_any else n + 1
    policy_mapping = 0 if inhibit_mapping else n + 1
    explicit_policy = _least(explicit_policy, anchor.explicit)
    policy_mapping = _least(policy_mapping, anchor.mapping)
    inhibit_any_policy = _least(inhibit_any_policy, anchor.inhibit_any)
    for i, certificate in enumerate(certificates, start=1):
        # section 6.1.3, steps d and e
        if certificate.policies is None:
            tree.root = None
        elif tree.root is not None:
            _process_policies(
                tree, i, certificate, any_counts=inhibit_any_policy > 0 or (i < n and certificate.self_issued)
            )
        # step f
        if explicit_policy == 0 and tree.root is None:
            return False
        if i == n:
            break
        # section 6.1.4, step a
        if any(ANY in pair for pair in certificate.mappings):
            return False
        # step b
        _process_mappings(tree, i, certificate, allowed=policy_mapping > 0)
        # step h
        if not certificate.self_issued:
            explicit_policy = max(explicit_policy - 1, 0)
            policy_mapping = max(policy_mapping - 1, 0)
            inhibit_any_policy = max(inhibit_any_policy - 1, 0)
        # steps i and j
        explicit_policy = _least(explicit_policy, certificate.explicit)
        policy_mapping = _least(policy_mapping, certificate.mapping)
        inhibit_any_policy = _least(inhibit_any_policy, certificate.inhibit_any)
    # section 6.1.5, steps a and b
    explicit_policy = max(explicit_policy - 1, 0)
    if certificates[-1].explicit == 0:
        explicit_policy = 0
    # step g
    if tree.root is not None and initial and ANY not in initial:
        _intersect(tree, n, initial)
    return explicit_policy > 0 or tree.root is not None


def _least(value: int, skip: int | None) -> int:
    return value if skip is None else min(value, skip)


def _process_policies(tree: _Tree, i: int, certificate: PolicyExtensions, *, any_counts: bool) -> None:  # noqa: C901 - as above
    """Section 6.1.3 (d)."""
    assert certificate.policies is not None
    above = tree.at(i - 1)
    for policy in certificate.policies:
        if policy == ANY:
            continue
        # step 1
        matched = [node for node in above if policy in node.expected]
        for node in matched:
            node.add(policy, {policy})
        if not matched:
            for node in above:
                if node.valid_policy == ANY:
                    node.add(policy, {policy})
    # step 2
    if ANY in certificate.policies and any_counts:
        for node in above:
            for expected in node.expected:
                if expected not in {child.valid_policy for child in node.children}:
                    node.add(expected, {expected})
    # step 3
    tree.prune(i - 1)
    if i == 1 and tree.root is not None and not tree.root.children:
        tree.root = None


def _process_mappings(tree: _Tree, i: int, certificate: PolicyExtensions, *, allowed: bool) -> None:
    """Section 6.1.4 (b)."""
    mapped: Mapping[str, set[str]] = {
        first: {two for one, two in certificate.mappings if one == first} for first, _ in certificate.mappings
    }
    for policy, expected in mapped.items():
        here = [node for node in tree.at(i) if node.valid_policy == policy]
        if allowed:
            for node in here:
                node.expected = set(expected)
            if not here:
                for node in tree.at(i):
                    if node.valid_policy == ANY:
                        assert node.parent is not None
                        node.parent.add(policy, set(expected))
        else:
            for node in here:
                node.remove()
            tree.prune(i - 1)


def _intersect(tree: _Tree, n: int, initial: frozenset[str]) -> None:
    """Section 6.1.5 (g) (iii)."""
    assert tree.root is not None
    # 1
    node_set = [
        node for node in tree.root.walk() if node.parent is not None and node.parent.valid_policy == ANY
    ]
    # 2
    for node in node_set:
        if (
            node.valid_policy not in initial
            and node.valid_policy != ANY
            and node in (node.parent or node).children
        ):
            node.remove()
    # 3
    for node in tree.at(n):
        if node.valid_policy == ANY:
            assert node.parent is not None
            for policy in sorted(initial - {one.valid_policy for one in node_set}):
                node.parent.add(policy, {policy})
            node.remove()
    # 4
    tree.prune(n - 1)
