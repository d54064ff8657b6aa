"""Reading `trust.revocation`: where revocation lists come from, and who may be called for them (semantics section 8).

What lives here: the keys, and that what they name can be used. What does not: anchors (`config_trust.py`), OCSP, and
fetching itself (`operations/revocation_sources.py`).

INVARIANT: nobody is called whose host is not written in the file (threat T31): that of a URL under `crls`, or one under
`hosts`. A list that is missing is a warning: until it comes, certificates are undecided.
"""

import ipaddress
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from authsvc.config_models import DistributionPointsModel, FetchModel, RefreshModel, RevocationModel
from authsvc.operations.fetch_targets import Network, find_address_problem
from authsvc.operations.fetching import FetchFault, host_entry, read_url
from authsvc.operations.list_fetching import FetchSettings, RefreshSettings
from authsvc.operations.revocation_sources import RevocationSettings
from authsvc.trust.crl import LARGEST_CRL
from directory_assistance.config_reading import ConfigReader
from directory_assistance.errors import shorten
from directory_assistance.yaml_lines import YamlPath

__all__ = ["RevocationReader"]

_SIZE: Final = re.compile(r"([0-9]{1,12})(|KB|MB|GB)", re.ASCII)
_UNITS: Final = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}

_SMALLEST_SIZE: Final = 1024
"""Octets: the smallest list has some hundred."""

_TIMEOUTS: Final = (timedelta(milliseconds=100), timedelta(minutes=2))
"""Of an exchange: below, no TLS is made; above, a server that hangs blocks one of four threads too long."""

_SHORTEST_REFRESH: Final = timedelta(seconds=10)
"""Between two questions to one server: whoever asks more often is a nuisance."""

_LONGEST_REFRESH: Final = timedelta(days=7)
"""Between two questions: a new list should not wait longer."""

_LONGEST_GRACE: Final = timedelta(days=30)
"""After a list's next update: beyond, it is no grace but no check."""

_HOSTS_HINT: Final = "`distribution_points: {hosts: [crl.example.com]}`"


@dataclass(slots=True)
class RevocationReader:
    """Reads where revocation lists come from."""

    reader: ConfigReader

    def read(
        self, path: YamlPath, model: RevocationModel, of_anchors: Mapping[str, frozenset[str] | None]
    ) -> RevocationSettings:
        """Return the sources.

        Args:
            path: of `trust.revocation`.
            model: what stands there.
            of_anchors: by the name of each trust anchor the hosts that it has of its own, None where it has none.

        """
        reader = self.reader
        reader.unique((*path, "crls"), model.crls)
        paths: list[Path] = []
        urls: list[str] = []
        networks = self._networks((*path, "fetch", "private_networks"), model.fetch)
        for position, text in enumerate(model.crls):
            here = (*path, "crls", position)
            if "://" in text:
                urls += self._url(here, text, networks)
            else:
                paths += self._lists(here, text)
        hosts = self.hosts((*path, "distribution_points"), model.distribution_points) or frozenset()
        allowed = {"": hosts} | {name: hosts if own is None else own for name, own in of_anchors.items()}
        if model.grace > _LONGEST_GRACE:
            reader.error((*path, "grace"), f"expected at most {_LONGEST_GRACE.days}d")
        return RevocationSettings(
            paths=tuple(paths),
            urls=tuple(urls),
            hosts=MappingProxyType({name: listed for name, listed in allowed.items() if listed}),
            fetch=self._fetch((*path, "fetch"), model.fetch, networks),
            refresh=self._refresh((*path, "refresh"), model.refresh),
            grace=model.grace,
            cache=reader.located((*path, "cache"), model.cache),
        )

    def hosts(self, path: YamlPath, model: DistributionPointsModel | None) -> frozenset[str] | None:
        """Return the hosts that distribution points may have; None where nothing is said."""
        if model is None:
            return None
        if model.hosts is None:
            if isinstance(self.reader.loaded.value_at(path), dict):
                self.reader.require((*path, "hosts"), hint=_HOSTS_HINT)
            return frozenset()
        here = (*path, "hosts")
        if not model.hosts:
            self.reader.error(
                here, "expected at least one host, found none", hint="`distribution_points: off`"
            )
        self.reader.unique(here, model.hosts)
        read = [
            self.reader.read((*here, position), text, host_entry) for position, text in enumerate(model.hosts)
        ]
        return frozenset(host for host in read if host is not None)

    def _lists(self, path: YamlPath, text: str) -> list[Path]:
        """Read the name of a file or of a directory of lists."""
        file = self.reader.located(path, text)
        if file is None:
            return []
        try:
            mode = file.stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                self.reader.error(
                    path, f"expected a file or a directory, found `{shorten(text)}`, which is neither"
                )
                return []
            if stat.S_ISREG(mode):
                with file.open("rb") as stream:
                    stream.read(1)
        except OSError as error:
            self.reader.warn(
                path,
                f"`{shorten(text)}` cannot be read: {error.strerror or error}",
                hint="certificates of its issuer are undecided until it can",
            )
        return [file]

    def _url(self, path: YamlPath, text: str, networks: tuple[Network, ...]) -> list[str]:
        try:
            target = read_url(text)
        except FetchFault as fault:
            self.reader.error(path, str(fault))
            return []
        if target.scheme in {"ldap", "ldaps"} and target.path in {"", "/"}:
            self.reader.error(
                path,
                f"`{shorten(text)}`: expected the name of an entry",
                hint="`ldap://ldap.example.com/cn=CA,o=Example?certificateRevocationList;binary`",
            )
            return []
        local = target.host == "localhost"
        try:
            address = ipaddress.ip_address("127.0.0.1" if local else target.host)
        except ValueError:
            return [text]
        problem = find_address_problem(address, networks)
        if problem:
            self.reader.warn(
                path,
                f"`{shorten(text)}` is never fetched: its address {problem}",
                hint=f"`fetch: {{private_networks: [{address}]}}`",
            )
        return [text]

    def _networks(self, path: YamlPath, model: FetchModel) -> tuple[Network, ...]:
        read = [
            self.reader.read((*path, position), text, read_network)
            for position, text in enumerate(model.private_networks)
        ]
        return tuple(network for network in read if network is not None)

    def _fetch(self, path: YamlPath, model: FetchModel, networks: tuple[Network, ...]) -> FetchSettings:
        shortest, longest = _TIMEOUTS
        if not shortest <= model.timeout <= longest:
            self.reader.error((*path, "timeout"), "expected a time from `100ms` to `2m`")
        size = self.reader.read((*path, "maximum_size"), str(model.maximum_size), _read_size)
        return FetchSettings(
            timeout=model.timeout,
            maximum_octets=size or _SMALLEST_SIZE,
            private_networks=networks,
            ca_file=self.reader.existing((*path, "ca_file"), model.ca_file),
        )

    def _refresh(self, path: YamlPath, model: RefreshModel) -> RefreshSettings:
        if model.minimum < _SHORTEST_REFRESH:
            self.reader.error((*path, "minimum"), f"expected at least {_SHORTEST_REFRESH.seconds}s")
        if not model.minimum <= model.maximum <= _LONGEST_REFRESH:
            self.reader.error(
                (*path, "maximum"), f"expected a time from `minimum` to `{_LONGEST_REFRESH.days}d`"
            )
        return RefreshSettings(minimum=model.minimum, maximum=model.maximum)


def read_network(text: str) -> Network:
    """Read a network such as `10.0.0.0/8`, or one address.

    Raises:
        ValueError: it is none, has bits beyond its prefix, or is everything.

    """
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError as error:
        raise ValueError(
            f"expected a network such as `10.0.0.0/8`, or an address, found `{shorten(text)}`"
        ) from error
    if network.prefixlen == 0:
        raise ValueError(f"expected a network, found `{shorten(text)}`, which is every address")
    return network


def _read_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    octets = int(match[1]) * _UNITS[match[2]] if match else 0
    if not _SMALLEST_SIZE <= octets <= LARGEST_CRL:
        raise ValueError(
            f"expected octets, or a size such as `100MB`, from 1KB to {LARGEST_CRL // 1024**2}MB, "
            f"found `{shorten(text)}`"
        )
    return octets
