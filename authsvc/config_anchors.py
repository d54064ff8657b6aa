"""Reading `trust.anchors` and `trust.cross_certificates` (semantics section 8).

What lives here: their keys, and that what they name can be used at start. What does not: the rest of `trust`
(`config_trust.py`), what an anchor means (`trust/anchors.py`).

INVARIANT: a cross-certificate has all its limits, or the configuration is refused: name subtrees, domains, end.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography.x509.oid import ExtendedKeyUsageOID

from authsvc.config_models import AnchorModel, CrossCertificateModel
from authsvc.config_revocation import RevocationReader
from authsvc.operations.trust_files import AnchorFile
from authsvc.trust.anchors import (
    AnchorSettings,
    RevocationMode,
    StrengthFloor,
    TrustAnchor,
    TrustMaterialError,
)
from authsvc.trust.profile import CLIENT_PURPOSES
from directory_assistance.config_reading import ConfigReader
from directory_assistance.dn import DistinguishedName
from directory_assistance.errors import shorten
from directory_assistance.naming import read_suffix_rule
from directory_assistance.yaml_lines import YamlPath, suggest

__all__ = ["REVOCATION_OFF", "AnchorReader", "anchor_names", "read_instant"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""An anchor's name stands in `issued_by`, logs and audit records."""

_POLICY = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,32}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

_PURPOSES: Final = {
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
    "smartcardLogon": ExtendedKeyUsageOID.SMARTCARD_LOGON.dotted_string,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string,
    "ipsecIKE": ExtendedKeyUsageOID.IPSEC_IKE.dotted_string,
}
"""Key purposes that have a name here; others are written as object identifiers."""

REVOCATION_OFF: Final = "revoked certificates are accepted"


def anchor_names(reader: ConfigReader) -> frozenset[str] | None:
    """Return the names of all anchors and cross-certificates, whatever else is wrong with them.

    None where the file has no anchors.
    """
    anchors = reader.loaded.value_at(("trust", "anchors"))
    if not isinstance(anchors, list):
        return None
    crosses = reader.loaded.value_at(("trust", "cross_certificates"))
    listed = [*anchors, *(crosses if isinstance(crosses, list) else ())]
    names = [anchor.get("name") for anchor in listed if isinstance(anchor, dict)]
    return frozenset(name for name in names if isinstance(name, str))


def read_instant(text: str) -> datetime:
    """Read a date, which begins at midnight UTC, or an instant (RFC 3339).

    Raises:
        ValueError: it is neither.

    """
    expected = f"expected a date such as `2027-01-31` or `2027-01-31T12:00:00Z`, found `{shorten(text)}`"
    try:
        end = datetime.fromisoformat(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except ValueError as error:
        raise ValueError(expected) from error
    if end.tzinfo is None:
        raise ValueError(f"{expected} (without a time zone)")
    try:
        return end.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(expected) from error


def _read_subtree(text: str) -> DistinguishedName:
    return read_suffix_rule(text).suffix


def _read_policy(text: str) -> str:
    if _POLICY.fullmatch(text) is None:
        raise ValueError(
            f"expected a policy's object identifier such as `1.3.6.1.4.1.99.1`, found `{shorten(text)}`"
        )
    return text


def _read_digest(text: str) -> bytes:
    digits = text.replace(":", "").lower()
    if _DIGEST.fullmatch(digits) is None:
        raise ValueError(
            f"expected the SHA-256 of a public key, 64 hexadecimal digits, found `{shorten(text)}`"
        )
    return bytes.fromhex(digits)


def _read_purpose(text: str) -> str:
    if text in _PURPOSES:
        return _PURPOSES[text]
    if _POLICY.fullmatch(text) is None:
        names = ", ".join(f"`{name}`" for name in sorted(_PURPOSES))
        raise ValueError(f"expected {names} or an object identifier, found `{shorten(text)}`")
    return text


@dataclass(slots=True)
class AnchorReader:
    """Reads anchors and cross-certificates, one after another; see `TrustReader` for the fields.

    `hosts`: by name, the hosts of distribution points that each has of its own, None where it has none.
    """

    reader: ConfigReader
    front_ends: frozenset[str]
    domains: frozenset[str] | None
    default_mode: RevocationMode
    names: dict[str, YamlPath] = field(default_factory=dict)
    hosts: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def anchor(self, path: YamlPath) -> AnchorFile | None:
        """Read a trust anchor; None where it cannot be used, which is reported."""
        model = self.reader.model(AnchorModel, path)
        return None if model is None else self._read(path, model, domains=None)

    def cross_certificate(self, path: YamlPath) -> AnchorFile | None:
        """Read a cross-certificate; as `anchor`."""
        model = self.reader.model(CrossCertificateModel, path)
        if model is None:
            return None
        self.reader.require((*path, "permitted_names"), hint='`permitted_names: ["O=Partner"]`')
        self.reader.require((*path, "domains"), hint="`domains: [Partners]`")
        self.reader.require((*path, "not_after"), hint="`not_after: 2027-01-31`")
        return self._read(path, model, domains=self._domains(path, model) or frozenset())

    def _read(
        self, path: YamlPath, model: AnchorModel, *, domains: frozenset[str] | None
    ) -> AnchorFile | None:
        reader = self.reader
        name = self._name(path, model.name)
        reader.require((*path, "file"))
        settings = AnchorSettings(
            id=name or "?",
            eku_required=model.eku == "required",
            allow_any_eku=model.allow_any_eku,
            purposes=self._purposes(path, model),
            floor=StrengthFloor(
                rsa_bits=model.minimum_rsa_bits,
                curve_bits=model.minimum_curve_bits,
                hash_bits=model.minimum_hash_bits,
            ),
            key_pins=self._key_pins(path, model),
            not_before=reader.read((*path, "not_before"), model.not_before, read_instant),
            not_after=reader.read((*path, "not_after"), model.not_after, read_instant),
            permitted_names=self._permitted_names(path, model),
            front_ends=self._front_ends(path, model),
            domains=domains,
            is_cross_certificate=domains is not None,
            required_policies=self._policies(path, model),
            revocation=model.revocation.mode or self.default_mode,
        )
        self._check_times(path, settings)
        hosts = RevocationReader(reader).hosts(
            (*path, "revocation", "distribution_points"), model.revocation.distribution_points
        )
        if name is not None:
            self.hosts[name] = hosts
        if settings.revocation is RevocationMode.OFF and hosts:
            reader.warn(
                (*path, "revocation"),
                "distribution points are fetched, and `mode: off` looks at none of them",
            )
        if model.revocation.mode is RevocationMode.OFF:
            reader.warn((*path, "revocation"), REVOCATION_OFF)
        found = reader.content((*path, "file"), model.file)
        if found is None:
            return None
        if settings.has_its_limits:  # what is missing has been told already
            try:
                TrustAnchor.from_pem(settings, found[1], source=str(model.file))
            except TrustMaterialError as error:
                reader.error((*path, "file"), str(error))
        return None if name is None else AnchorFile(file=found[0], settings=settings)

    def _check_times(self, path: YamlPath, settings: AnchorSettings) -> None:
        begin, end = settings.not_before, settings.not_after
        if begin is not None and end is not None and begin >= end:
            self.reader.error((*path, "not_after"), f"expected an end after {begin.isoformat()}")

    def _domains(self, path: YamlPath, model: CrossCertificateModel) -> frozenset[str]:
        here = (*path, "domains")
        if model.domains is not None and not model.domains:
            self.reader.error(here, "expected at least one domain, found none")
        for position, name in enumerate(model.domains or ()):
            if self.domains is not None and name not in self.domains:
                self.reader.error(
                    (*here, position),
                    f"there is no domain `{shorten(name)}`",
                    hint=suggest(name, self.domains),
                )
        return frozenset(model.domains or ())

    def _key_pins(self, path: YamlPath, model: AnchorModel) -> frozenset[bytes] | None:
        here = (*path, "key_pins")
        self.reader.unique(here, model.key_pins)
        pins = [
            self.reader.read((*here, position), text, _read_digest)
            for position, text in enumerate(model.key_pins)
        ]
        return frozenset(pin for pin in pins if pin is not None) or None

    def _purposes(self, path: YamlPath, model: AnchorModel) -> frozenset[str]:
        if model.purposes is None:
            return CLIENT_PURPOSES
        here = (*path, "purposes")
        if not model.purposes:
            self.reader.error(
                here, "expected at least one purpose, found none", hint="leave it out for clientAuth"
            )
        read = [
            self.reader.read((*here, position), text, _read_purpose)
            for position, text in enumerate(model.purposes)
        ]
        return frozenset(purpose for purpose in read if purpose is not None)

    def _name(self, path: YamlPath, name: str | None) -> str | None:
        here = (*path, "name")
        self.reader.require(here)
        if name is None:
            return None
        if _NAME.fullmatch(name) is None:
            self.reader.error(
                here, f"expected a name of letters, digits, `_`, `.`, `-`, found `{shorten(name)}`"
            )
            return None
        first = self.names.setdefault(name, here)
        if first != here:
            self.reader.error(
                here,
                f"`{name}` is the name of another trust anchor",
                hint=f"line {self.reader.loaded.line_of(first)}; a CA and its successor stand in one file",
            )
        return name

    def _permitted_names(self, path: YamlPath, model: AnchorModel) -> tuple[DistinguishedName, ...] | None:
        if model.permitted_names is None:
            return None
        here = (*path, "permitted_names")
        if not model.permitted_names:
            self.reader.error(
                here, "expected at least one name, found none", hint="leave it out for every name"
            )
        read = [
            self.reader.read((*here, position), text, _read_subtree)
            for position, text in enumerate(model.permitted_names)
        ]
        return tuple(name for name in read if name is not None)

    def _front_ends(self, path: YamlPath, model: AnchorModel) -> frozenset[str] | None:
        if model.front_ends is None:
            return None
        here = (*path, "front_ends")
        if not model.front_ends:
            self.reader.error(
                here, "expected at least one front end, found none", hint="leave it out for all of them"
            )
        for position, name in enumerate(model.front_ends):
            if name not in self.front_ends:
                self.reader.error(
                    (*here, position),
                    f"there is no front end `{shorten(name)}`",
                    hint=suggest(name, self.front_ends),
                )
        return frozenset(model.front_ends)

    def _policies(self, path: YamlPath, model: AnchorModel) -> frozenset[str]:
        for position, text in enumerate(model.policies):
            self.reader.read((*path, "policies", position), text, _read_policy)
        return frozenset(model.policies)
