"""Trust whose revocation lists come from real servers on loopback, with a clock that a test sets."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from authsvc.operations.fetching import Fetcher
from authsvc.operations.list_fetching import FetchSettings, RefreshSettings
from authsvc.operations.revocation_sources import RevocationSettings
from authsvc.operations.revocation_states import SourceStatus
from authsvc.operations.trust_files import AnchorFile, TrustFiles, TrustSettings
from authsvc.trust.anchors import AnchorSettings, RevocationMode
from authsvc.trust.revocation import RevocationOutcome, check_revocation
from tests.support.pki import NOW, Issued, SmallWorld, small_world
from tests.support.trust import verified, verify

__all__ = ["MINUTE", "Clock", "TrustFolder", "settle"]

MINUTE = timedelta(minutes=1)

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass
class Clock:
    """A wall clock that stands still until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Read the clock."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Move the clock."""
        self.now += by


def at_loopback(_host: str, _port: int, _seconds: float) -> Sequence[str]:
    """Resolve every name to where the tests' servers are."""
    return ["127.0.0.1"]


def settle(files: TrustFiles) -> None:
    """Look, let what was begun end, and look again."""
    files.poll()
    for thread in tuple(files._sources._fetched._running.values()):
        thread.join(30)
        assert not thread.is_alive()
    for _stamp, job in tuple(files._sources._files._jobs.values()):
        job.join(60)
    files.poll()


@dataclass
class TrustFolder:
    """A folder with the trust material of a small world, and settings for where its lists come from."""

    path: Path
    world: SmallWorld = field(default_factory=small_world)
    clock: Clock = field(default_factory=Clock)
    fetch: FetchSettings = field(
        default_factory=lambda: FetchSettings(
            timeout=timedelta(milliseconds=500), maximum_octets=200_000, private_networks=_LOOPBACK
        )
    )
    mode: RevocationMode = RevocationMode.REQUIRE

    def __post_init__(self) -> None:
        """Write authorities and the root's list."""
        self.write("root.pem", self.world.root.pem)
        self.write("issuing.pem", self.world.issuing.pem)
        self.write("root.crl", self.world.root.crl(next_update=NOW + timedelta(days=365)).pem)

    def write(self, name: str, content: str | bytes) -> Path:
        """Replace a file as careful tools do: whole, under a new inode."""
        fresh = self.path / f".{name.replace('/', '-')}.new"
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        return fresh.replace(self.path / name)

    def settings(self, *urls: str, paths: Sequence[Path] | None = None, **more: object) -> TrustSettings:
        """Return settings: the root's list from a file, others from URLs."""
        revocation = RevocationSettings(
            paths=(self.path / "root.crl",) if paths is None else tuple(paths),
            urls=urls,
            fetch=self.fetch,
            refresh=RefreshSettings(minimum=MINUTE, maximum=60 * MINUTE),
            cache=self.path / "cache",
        )
        anchor = AnchorSettings(id="corp", revocation=self.mode)
        return TrustSettings(
            anchors=(AnchorFile(file=self.path / "root.pem", settings=anchor),),
            intermediates=(self.path / "issuing.pem",),
            revocation=replace(revocation, **more),  # type: ignore[arg-type]  # deviations, by name
        )

    def open(self, *urls: str, serving: bool = True, **more: object) -> TrustFiles:
        """Open trust as a process does."""
        return TrustFiles(
            self.settings(*urls, **more),  # type: ignore[arg-type]  # deviations, by name
            serving=serving,
            now=self.clock,
            fetcher=Fetcher(ca_file=self.fetch.ca_file, resolve=at_loopback),
        )

    def outcome(self, files: TrustFiles, issued: Issued | None = None) -> RevocationOutcome:
        """Return what revocation says of Dave, or of somebody else, now."""
        path = verified(verify(issued or self.world.dave, files.current.store))
        return check_revocation(path, files.current.revocation, now=self.clock.now)

    def status(self, files: TrustFiles, source: str) -> SourceStatus:
        """Return how a source stands now."""
        (found,) = [each for each in files.statuses(self.clock.now) if each.source == source]
        return found
