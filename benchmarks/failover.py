"""Measure what an outage of the first of two LDAP hosts costs: failed questions, the longest one, the way back.

Run by hand: `.venv/bin/python benchmarks/failover.py`. Two real `slapd` on loopback, four threads that ask all the time
with a deadline of four seconds, `connect_timeout` 0.5 s, `timeout` 1 s. In each drill the first host gets into trouble
after a second, and out of it three seconds later. It takes a minute.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from directory_assistance.backends.ldap import LdapDirectory, LdapTls
from directory_assistance.backends.ldap.settings import LdapSettings, read_ldap_uri
from directory_assistance.candidates import FindBy, TextCandidate
from directory_assistance.errors import DirectoryFault
from tests.support.directories import DOMAIN, ROOT, ldap_settings, world_ldif
from tests.support.pki import NOW, SERVER_AUTH, host
from tests.support.proxy import Proxy, black_hole
from tests.support.slapd import SlapdServer, SlapdTls, serve

_THREADS = 4
_DEADLINE_SECONDS = 4.0
_BEFORE_SECONDS = 1.0
_TROUBLE_SECONDS = 3.0
_LONGEST_RETURN_SECONDS = 6.0
_DAVE = TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave Lawson")


@dataclass
class Tally:
    """What the threads saw."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def asking(directory: LdapDirectory) -> Iterator[Tally]:
    """Ask all the time."""
    tally, stop = Tally(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                found = directory.find_entries(_DAVE, limit=5, deadline=began + _DEADLINE_SECONDS)
                if len(found.entries) != 1:
                    tally.failures.append("nobody was found")
            except DirectoryFault as fault:
                tally.failures.append(fault.problem)
            tally.milliseconds.append((time.monotonic() - began) * 1000)

    threads = [threading.Thread(target=ask) for _each in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def drill(
    name: str, settings: LdapSettings, trouble: Callable[[], object], relief: Callable[[], object]
) -> None:
    """Let the first host get into trouble while others ask, and print what they saw."""
    directory = LdapDirectory(DOMAIN, settings)
    with asking(directory) as tally:
        time.sleep(_BEFORE_SECONDS)
        calm = len(tally.milliseconds)
        trouble()
        time.sleep(_TROUBLE_SECONDS)
        relief()
        relieved = time.monotonic()
        back = ""
        while not back and time.monotonic() - relieved < _LONGEST_RETURN_SECONDS:
            time.sleep(0.01)
            if directory.host_statuses[0].state.value == "up":
                back = f"{time.monotonic() - relieved:.1f} s"
    times = tally.milliseconds[calm:]
    share = len(tally.failures) / max(1, len(tally.milliseconds))
    print(
        f"| {name} | {len(times)} | {len(tally.failures)} ({share:.3%}) | {statistics.median(times):.1f} "
        f"| {max(times):.0f} | {back or 'in trouble still'} |"
    )
    for problem in sorted(set(tally.failures))[:3]:
        print(f"|   {problem} |")
    directory.close()


def main() -> None:
    """Run every drill."""
    print("| first host | questions | failed | median ms | longest ms | asked again after |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "2", world_ldif()) as second:
        quick = {"connect_timeout": timedelta(seconds=0.5), "timeout": timedelta(seconds=1)}

        def settings(first: str, **further: object) -> LdapSettings:
            return ldap_settings(second, hosts=(first, second.url), **(quick | further))

        def server(name: str, **further: object) -> AbstractContextManager[SlapdServer]:
            password = {"reader_password": second.reader_password}
            return serve(Path(folder) / name, world_ldif(), **(password | further))

        with server("killed") as first:
            drill("killed", settings(first.url), first.kill, first.start)
        with server("stopped") as first:
            drill("stopped (SIGSTOP)", settings(first.url), first.pause, first.resume)
        with server("silent") as first, Proxy(read_ldap_uri(first.url).port) as way:
            drill("connections cut", settings(way.url), way.cut, lambda: None)
        with server("slow") as first, Proxy(read_ldap_uri(first.url).port) as way:
            drill(
                "slow (1.2 s an answer)",
                settings(way.url),
                lambda: way.slow_down(1.2),
                lambda: way.slow_down(0),
            )
        with black_hole() as nowhere:
            drill("black hole from the start", settings(nowhere), lambda: None, lambda: None)
        with serve(Path(folder) / "refusing", world_ldif()) as first:  # its reader has another password
            drill("refuses our bind from the start", settings(first.url), lambda: None, lambda: None)
        _drill_expiry(Path(folder), server, settings)


def _drill_expiry(
    folder: Path,
    server: Callable[..., AbstractContextManager[SlapdServer]],
    settings: Callable[..., LdapSettings],
) -> None:
    old = ROOT.issue(
        "CN=127.0.0.1",
        eku=(SERVER_AUTH,),
        san=[host("127.0.0.1")],
        not_before=NOW - timedelta(days=20),
        not_after=NOW - timedelta(days=10),
    )
    for name, text in {"ca.pem": ROOT.pem, "old.pem": old.pem, "old.key": old.key_pem}.items():
        (folder / name).write_text(text)
    tls = SlapdTls(certificate=folder / "old.pem", key=folder / "old.key")
    with server("expired", tls=tls) as first:
        wanted = settings(first.ldaps_url)
        wanted = replace(wanted, tls=LdapTls(ca_file=folder / "ca.pem"))
        drill("expired certificate from the start", wanted, lambda: None, lambda: None)


if __name__ == "__main__":
    main()
