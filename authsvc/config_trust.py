"""Reading `trust`: anchors, intermediates, revocation lists (semantics section 8).

What lives here: the keys, and that what they name can be used at start. What does not: keeping the files up
to date (`operations/trust_files.py`), paths and lists (`trust/`).

INVARIANT: an anchor or intermediate that is missing, empty or unreadable is a mistake, never "no check"
(threat T29). A revocation list that is missing is a warning: until it comes, certificates are undecided.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authsvc.config_anchors import REVOCATION_OFF, AnchorReader
from authsvc.config_models import RevocationModel, TrustModel
from authsvc.config_ocsp import read_ocsp
from authsvc.operations.trust_files import TrustSettings
from authsvc.trust.anchors import (
    RevocationMode,
    TrustMaterialError,
    read_certificates_pem,
)
from directory_assistance.config_reading import ConfigReader
from directory_assistance.errors import shorten
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
        crls = self._crls((*path, "revocation"), model.revocation)
        ocsp = read_ocsp(
            reader,
            (*path, "revocation", "ocsp"),
            model.revocation.ocsp,
            anchors=frozenset(anchor_reader.names),
            clock_skew=model.clock_skew,
        )
        modes = {anchor.settings.revocation for anchor in anchors if anchor is not None}
        self._lint_revocation((*path, "revocation"), model.revocation, modes)
        settings = TrustSettings(
            anchors=tuple(anchor for anchor in anchors if anchor is not None),
            intermediates=tuple(file for file in intermediates if file is not None),
            crls=crls,
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

    def _crls(self, path: YamlPath, model: RevocationModel) -> tuple[Path, ...]:
        self.reader.unique((*path, "crls"), model.crls)
        files = [self._crl((*path, "crls", position), text) for position, text in enumerate(model.crls)]
        return tuple(file for file in files if file is not None)

    def _crl(self, path: YamlPath, text: str) -> Path | None:
        if "://" in text:
            self.reader.error(
                path, f"expected a file, found `{shorten(text)}`: lists are not yet fetched by this version"
            )
            return None
        file = self.reader.located(path, text)
        if file is None:
            return None
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                self.reader.error(path, f"expected a file, found `{shorten(text)}`, which is none")
                return None
            with file.open("rb") as stream:
                stream.read(1)
        except OSError as error:
            self.reader.warn(
                path,
                f"`{shorten(text)}` cannot be read: {error.strerror or error}",
                hint="certificates of its issuer are undecided until it can",
            )
        return file

    def _lint_revocation(self, path: YamlPath, model: RevocationModel, modes: "set[RevocationMode]") -> None:
        if model.mode is RevocationMode.OFF:
            self.reader.warn((*path, "mode"), REVOCATION_OFF)
        none = not model.crls and model.ocsp is None and not self.reader.stands((*path, "crls"))
        if RevocationMode.REQUIRE in modes and none:
            self.reader.warn(
                (*path, "crls"),
                "no certificate can be proven good without a list or OCSP, so all of them are refused",
            )
