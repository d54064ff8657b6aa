"""What options of `verify` and `trust` and members of a batch case mean: times, policies, certificates, lists.

What lives here: reading them, strictly. What does not: options and printing (the commands), the check
(`authsvc/operations/path_checking.py`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from authsvc.trust.anchors import AnchorSettings, Profile, RevocationMode, TrustMaterialError, read_pem_blocks
from directory_assistance.errors import shorten

__all__ = ["PathRules", "read_certificates", "read_policies", "read_revocation_lists"]

ANY_POLICY: Final = "2.5.29.32.0"
"""anyPolicy (RFC 5280 section 4.2.1.4): who asks for it asks for none in particular."""

_POLICY: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,32}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

_CERTIFICATES: Final = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_LISTS: Final = frozenset({b"X509 CRL"})
_DER_BEGIN: Final = b"\x30"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """What is asked of a path (RFC 5280 section 6.1.1 and revocation); None is as the anchor has it."""

    policies: frozenset[str] | None = None
    profile: Profile | None = None
    explicit_policy: bool = False
    inhibit_policy_mapping: bool = False
    inhibit_any_policy: bool = False
    revocation: RevocationMode | None = None

    def over(self, settings: AnchorSettings) -> AnchorSettings:
        """Return an anchor's settings with these rules over them; a switch that the anchor has on stays on."""
        return replace(
            settings,
            required_policies=settings.required_policies if self.policies is None else self.policies,
            profile=settings.profile if self.profile is None else self.profile,
            explicit_policy=settings.explicit_policy or self.explicit_policy,
            inhibit_policy_mapping=settings.inhibit_policy_mapping or self.inhibit_policy_mapping,
            inhibit_any_policy=settings.inhibit_any_policy or self.inhibit_any_policy,
            revocation=settings.revocation if self.revocation is None else self.revocation,
        )


def read_policies(texts: Iterable[str]) -> frozenset[str]:
    """Read dotted policies; the empty set, and anyPolicy among others, mean any policy, which is the empty set.

    Raises:
        ValueError: one of them is no object identifier.

    """
    policies = frozenset(texts)
    for text in policies:
        if _POLICY.fullmatch(text) is None:
            raise ValueError(
                f"expected a policy's object identifier such as `1.3.6.1.4.1.99.1`, found `{shorten(text)}`"
            )
    return frozenset() if ANY_POLICY in policies else policies


def read_certificates(octets: bytes, *, source: str) -> tuple[bytes, ...]:
    """Return the DER of every certificate of a PEM file, or of the one of a DER file; what DER they are is not checked.

    Raises:
        TrustMaterialError: it is neither.

    """
    return _read_blocks(octets, _CERTIFICATES, source)


def read_revocation_lists(octets: bytes, *, source: str) -> tuple[tuple[str, bytes], ...]:
    """Return the DER of every revocation list of a PEM file, or of the one of a DER file, each with its name.

    Raises:
        TrustMaterialError: it is neither.

    """
    blocks = _read_blocks(octets, _LISTS, source)
    return tuple(
        (source if len(blocks) == 1 else f"{source} ({number})", der)
        for number, der in enumerate(blocks, start=1)
    )


def _read_blocks(octets: bytes, labels: frozenset[bytes], source: str) -> tuple[bytes, ...]:
    if octets.startswith(_DER_BEGIN):
        return (octets,)
    if not octets.strip():
        raise TrustMaterialError(f"`{source}` is empty")
    return read_pem_blocks(octets, labels=labels, source=source)
