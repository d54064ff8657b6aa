"""Policy extensions for certificates that are really issued."""

from collections.abc import Iterable, Sequence

from cryptography import x509

from tests.support.constraints import POLICIES, POLICY_MAPPINGS, policies_der, policy_mappings_der

__all__ = ["policy_extensions"]


def policy_extensions(
    policies: Iterable[str], mappings: Sequence[tuple[str, str]]
) -> list[tuple[x509.ExtensionType, bool]]:
    """Return certificatePolicies and, if there are any, policyMappings, neither critical."""
    values = {POLICIES: policies_der(policies)}
    if mappings:
        values[POLICY_MAPPINGS] = policy_mappings_der(mappings)
    return [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False)
        for oid, value in values.items()
    ]
