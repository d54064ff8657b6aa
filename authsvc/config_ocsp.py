"""Reading `trust.revocation.ocsp`: who may be asked, and what may be believed (semantics section 8).

What lives here: the keys, and that what they name can be used. What does not: asking
(`operations/ocsp_responders.py`), judging (`trust/ocsp.py`).

INVARIANT: nobody is called whose host is not written in the file (threat T31): that of `url`, or one of `hosts`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from authsvc.config_models import OcspModel
from authsvc.operations.fetch_connections import Network
from authsvc.operations.fetching import FetchFault, host_entry, read_url
from authsvc.operations.ocsp_responders import OcspSettings, read_pinned
from authsvc.trust.anchors import TrustMaterialError
from directory_assistance.config_reading import ConfigReader
from directory_assistance.errors import shorten
from directory_assistance.yaml_lines import YamlPath, suggest

__all__ = ["read_ocsp"]

_SHORTEST_WAIT: Final = timedelta(milliseconds=10)
_LONGEST_WAIT: Final = timedelta(seconds=5)
"""Half of the time of a decision: it is waited for once for each certificate of a path."""

_SHORTEST_AGE: Final = timedelta(minutes=1)
_LONGEST_AGE: Final = timedelta(days=7)
"""Of a response that does not say how long it holds, and until one in use is asked for anew."""

_WHO: Final = "`ocsp: {hosts: [ocsp.example.com]}`"


def read_ocsp(  # noqa: PLR0913 - what else in the file it depends on is passed in
    reader: ConfigReader,
    path: YamlPath,
    model: OcspModel | None,
    *,
    anchors: frozenset[str],
    clock_skew: timedelta,
    private_networks: Sequence[Network] = (),
) -> OcspSettings | None:
    """Return how responders are asked, None for not at all.

    Args:
        reader: of the file.
        path: of `ocsp`.
        model: what stands there, None for `off`.
        anchors: the names of trust anchors and cross-certificates.
        clock_skew: of `trust`.
        private_networks: that are not public, and may be called.

    """
    if model is None:
        return None
    if not _SHORTEST_WAIT <= model.wait <= _LONGEST_WAIT:
        reader.error((*path, "wait"), "expected a time of `10ms` to `5s`")
    if not _SHORTEST_AGE <= model.maximum_age <= _LONGEST_AGE:
        reader.error((*path, "maximum_age"), "expected a time of `1m` to `7d`")
    _check_who(reader, path, model)
    return OcspSettings(
        wait=model.wait,
        hosts=_read_hosts(reader, (*path, "hosts"), model.hosts),
        anchor_hosts=_read_anchor_hosts(reader, (*path, "anchor_hosts"), model, anchors),
        url=_read_url(reader, (*path, "url"), model.url),
        responder_file=_read_responder(reader, (*path, "responder"), model.responder),
        nonce=model.nonce,
        maximum_age=model.maximum_age,
        clock_skew=clock_skew,
        private_networks=tuple(private_networks),
    )


def _check_who(reader: ConfigReader, path: YamlPath, model: OcspModel) -> None:
    """Report where nobody could be asked, and hosts that are not used."""
    listed = {"hosts": model.hosts, "anchor_hosts": model.anchor_hosts}
    if not any(listed.values()) and not reader.stands((*path, "url")):
        here = (*path, "hosts")
        problem = "expected the hosts of responders, found none: nobody could be asked"
        reader.error(here if reader.stands(here) else path, problem, hint=_WHO)
    for key, hosts in listed.items():
        if hosts and model.url is not None:
            reader.warn(
                (*path, key),
                "not used: where `url` stands, nobody else is asked",
                hint="leave one of them out",
            )


def _read_hosts(reader: ConfigReader, path: YamlPath, hosts: tuple[str, ...]) -> frozenset[str]:
    reader.unique(path, hosts)
    read = [reader.read((*path, position), text, host_entry) for position, text in enumerate(hosts)]
    return frozenset(host for host in read if host is not None)


def _read_anchor_hosts(
    reader: ConfigReader, path: YamlPath, model: OcspModel, anchors: frozenset[str]
) -> Mapping[str, frozenset[str]]:
    for name in model.anchor_hosts:
        if name not in anchors:
            problem = f"there is no trust anchor `{shorten(name)}`"
            reader.error((*path, name), problem, hint=suggest(name, anchors))
    return MappingProxyType(
        {name: _read_hosts(reader, (*path, name), hosts) for name, hosts in model.anchor_hosts.items()}
    )


def _read_url(reader: ConfigReader, path: YamlPath, text: str | None) -> str:
    if text is None:
        return ""
    if "@" in text:  # not shown: what stands before it may be a secret
        reader.error(path, "expected a URL without a user name")
        return ""
    try:
        scheme = read_url(text).scheme
    except FetchFault:
        scheme = ""
    if scheme not in {"http", "https"}:
        hint = "`http://ocsp.example.com/`"
        reader.error(path, f"`{shorten(text)}`: expected a URL with http or https", hint=hint)
        return ""
    return text


def _read_responder(reader: ConfigReader, path: YamlPath, text: str | None) -> Path | None:
    """Return the file of the responders that may sign; it must be usable now, or nobody could be believed."""
    found = reader.content(path, text)
    if found is None:
        return None
    try:
        read_pinned(found[1], source=str(text))
    except TrustMaterialError as error:
        reader.error(path, str(error))
    return found[0]
