"""Reading `trust`: anchors, intermediates, revocation lists (semantics section 8).

What lives here: the keys, and that what they name can be used at start. What does not: keeping the files up
to date (`operations/trust_files.py`), where revocation lists come from (`config_revocation.py`), paths and lists
(`trust/`).

INVARIANT: an anchor or intermediate that is missing, empty or unreadable is a mistake, never "no check"
(threat T29). A revocation list that is missing is a warning: until it comes, certificates are undecided.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from authsvc.config_models import AnchorModel, RevocationModel, TrustModel
from authsvc.config_revocation import RevocationReader
from authsvc.operations.revocation_sources import RevocationSettings
from authsvc.operations.trust_files import AnchorFile, TrustSettings
from authsvc.trust.anchors import (
    AnchorSettings,
    RevocationMode,
    StrengthFloor,
    TrustAnchor,
    TrustMaterialError,
    read_certificates_pem,
)
from directory_assistance.config_reading import ConfigReader
from directory_assistance.dn import DistinguishedName
from directory_assistance.errors import shorten
from directory_assistance.naming import read_suffix_rule
from directory_assistance.yaml_lines import YamlPath, suggest

__all__ = ["TrustReader", "anchor_names"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""An anchor's name stands in `issued_by`, logs and audit records."""

_POLICY = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,32}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

_ANCHORS_HINT: Final = "`anchors: [{name: corp, file: corp-root.pem}]`"

_REVOCATION_OFF: Final = "revoked certificates are accepted"


def anchor_names(reader: ConfigReader) -> frozenset[str] | None:
    """Return the names of all anchors, whatever else is wrong with them; None where the file has none."""
    anchors = reader.loaded.value_at(("trust", "anchors"))
    if not isinstance(anchors, list):
        return None
    names = [anchor.get("name") for anchor in anchors if isinstance(anchor, dict)]
    return frozenset(name for name in names if isinstance(name, str))


def _read_end(text: str) -> datetime:
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


@dataclass(slots=True)
class TrustReader:
    """Reads `trust`. `front_ends`: the names that an anchor may be limited to, `api` among them."""

    reader: ConfigReader
    front_ends: frozenset[str]
    names: dict[str, YamlPath] = field(default_factory=dict)
    hosts: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def read(self) -> tuple[TrustSettings, TrustModel]:
        """Return the files of trust, and the model for what is not in files."""
        reader, path = self.reader, ("trust",)
        reader.require(path, hint=_ANCHORS_HINT)
        model = (reader.model(TrustModel, path) if reader.stands(path) else None) or TrustModel()
        if (
            reader.stands(path)
            and not model.anchors
            and reader.loaded.value_at((*path, "anchors")) in (None, [])
        ):
            reader.error(
                (*path, "anchors"), "expected at least one trust anchor, found none", hint=_ANCHORS_HINT
            )
        anchors = [
            self._anchor((*path, "anchors", position), model.revocation.mode)
            for position in range(len(model.anchors))
        ]
        intermediates = [
            self._certificates((*path, "intermediates", position), text)
            for position, text in enumerate(model.intermediates)
        ]
        revocation = RevocationReader(self.reader).read((*path, "revocation"), model.revocation, self.hosts)
        if isinstance(self.reader.loaded.value_at((*path, "revocation", "ocsp")), dict):
            self.reader.error(
                (*path, "revocation", "ocsp"), "OCSP is not yet supported by this version", hint="`ocsp: off`"
            )
        modes = {anchor.settings.revocation for anchor in anchors if anchor is not None}
        self._lint_revocation((*path, "revocation"), model.revocation, modes, revocation)
        settings = TrustSettings(
            anchors=tuple(anchor for anchor in anchors if anchor is not None),
            intermediates=tuple(file for file in intermediates if file is not None),
            revocation=revocation,
        )
        return settings, model

    def _anchor(self, path: YamlPath, default_mode: RevocationMode) -> AnchorFile | None:
        reader = self.reader
        model = reader.model(AnchorModel, path)
        if model is None:
            return None
        name = self._name(path, model.name)
        reader.require((*path, "file"))
        not_after = reader.read((*path, "not_after"), model.not_after, _read_end)
        settings = AnchorSettings(
            id=name or "?",
            eku_required=model.eku == "required",
            allow_any_eku=model.allow_any_eku,
            floor=StrengthFloor(rsa_bits=model.minimum_rsa_bits),
            not_after=not_after,
            permitted_names=self._permitted_names(path, model),
            front_ends=self._front_ends(path, model),
            required_policies=self._policies(path, model),
            revocation=model.revocation.mode or default_mode,
        )
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
            reader.warn((*path, "revocation"), _REVOCATION_OFF)
        found = reader.content((*path, "file"), model.file)
        if found is None:
            return None
        try:
            TrustAnchor.from_pem(settings, found[1], source=str(model.file))
        except TrustMaterialError as error:
            reader.error((*path, "file"), str(error))
        return None if name is None else AnchorFile(file=found[0], settings=settings)

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

    def _certificates(self, path: YamlPath, text: str) -> Path | None:
        found = self.reader.content(path, text)
        if found is None:
            return None
        try:
            read_certificates_pem(found[1], source=text)
        except TrustMaterialError as error:
            self.reader.error(path, str(error))
        return found[0]

    def _lint_revocation(
        self,
        path: YamlPath,
        model: RevocationModel,
        modes: "set[RevocationMode]",
        revocation: RevocationSettings,
    ) -> None:
        if model.mode is RevocationMode.OFF:
            self.reader.warn((*path, "mode"), _REVOCATION_OFF)
        fetched = any(revocation.hosts.values())
        if (
            RevocationMode.REQUIRE in modes
            and not model.crls
            and not fetched
            and not self.reader.stands((*path, "crls"))
        ):
            self.reader.warn(
                (*path, "crls"),
                "no certificate can be proven good without a list, so all of them are refused",
            )
