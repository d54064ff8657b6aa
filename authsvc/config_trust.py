"""Reading `trust`: anchors, intermediates, revocation lists (semantics section 8).

What lives here: the keys, and that what they name can be used at start. What does not: keeping the files up
to date (`operations/trust_files.py`), anchors (`config_anchors.py`), where revocation lists come from
(`config_revocation.py`), paths and lists (`trust/`).

INVARIANT: an anchor or intermediate that is missing, empty or unreadable is a mistake, never "no check"
(threat T29). A revocation list that is missing is a warning: until it comes, certificates are undecided.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authsvc.config_anchors import REVOCATION_OFF, AnchorReader
from authsvc.config_models import RevocationModel, TrustModel
from authsvc.config_ocsp import read_ocsp
from authsvc.config_revocation import RevocationReader
from authsvc.operations.revocation_sources import RevocationSettings
from authsvc.operations.trust_files import TrustSettings
from authsvc.trust.anchors import (
    RevocationMode,
    TrustMaterialError,
    read_certificates_pem,
)
from directory_assistance.config_reading import ConfigReader
from directory_assistance.yaml_lines import YamlPath

__all__ = ["TrustReader"]

_ANCHORS_HINT: Final = "`anchors: [{name: corp, file: corp-root.pem}]`"


@dataclass(slots=True)
class TrustReader:
    """Reads `trust`.

    `front_ends`: the names that an anchor may be limited to, `api` among them. `domains`: the names of all domains,
    the primary's too; None where they are not known, because the other file is wrong.
    """

    reader: ConfigReader
    front_ends: frozenset[str]
    domains: frozenset[str] | None

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
        anchor_reader = AnchorReader(reader, self.front_ends, self.domains, model.revocation.mode)
        anchors = [anchor_reader.anchor((*path, "anchors", number)) for number in range(len(model.anchors))]
        anchors += [
            anchor_reader.cross_certificate((*path, "cross_certificates", number))
            for number in range(len(model.cross_certificates))
        ]
        intermediates = [
            self._certificates((*path, "intermediates", position), text)
            for position, text in enumerate(model.intermediates)
        ]
        revocation = RevocationReader(reader).read(
            (*path, "revocation"), model.revocation, anchor_reader.hosts
        )
        ocsp = read_ocsp(
            reader,
            (*path, "revocation", "ocsp"),
            model.revocation.ocsp,
            anchors=frozenset(anchor_reader.names),
            clock_skew=model.clock_skew,
            private_networks=revocation.fetch.private_networks,
        )
        modes = {anchor.settings.revocation for anchor in anchors if anchor is not None}
        self._lint_revocation((*path, "revocation"), model.revocation, modes, revocation)
        settings = TrustSettings(
            anchors=tuple(anchor for anchor in anchors if anchor is not None),
            intermediates=tuple(file for file in intermediates if file is not None),
            revocation=revocation,
            ocsp=ocsp,
        )
        return settings, model

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
            self.reader.warn((*path, "mode"), REVOCATION_OFF)
        asked = any(revocation.hosts.values()) or model.ocsp is not None
        none = not model.crls and not asked and not self.reader.stands((*path, "crls"))
        if RevocationMode.REQUIRE in modes and none:
            self.reader.warn(
                (*path, "crls"),
                "no certificate can be proven good without a list or OCSP, so all of them are refused",
            )
