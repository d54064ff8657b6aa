"""Threat T50 for real: a primary in SQLite, and domains in an LDIF file, in slapd and in SQLite, asked in this order.

The certificate's owner is in the last of them. While the slapd before it is dead or silent, `authsvc serve` and
`authsvc explain` say neither who that is nor that there is nobody, unless the domain says `on_unavailable: skip`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from authsvc.sample_world.processes import start_process, stop_process, wait_for_port
from authsvc.store.certificates import CertificateRecord
from authsvc.store.migrate import migrate
from authsvc.store.people import create_person
from authsvc.store.schema import open_engine
from tests.support.pki import Issued
from tests.support.presented import byte_sequence
from tests.support.service import Place, lay_place, world
from tests.support.slapd import SUFFIX, SlapdServer, entries_ldif, ldif, serve
from tests.support.store import changing, person

_LIMIT_SECONDS = 8.0
"""connect_timeout and timeout of one second, for a look-up each and for the check of marks, on a loaded machine."""

PAULA = world().issue("Paula Partner")
AIDA = world().issue("Aida Airius")
WILE = world().issue("Wile West")
NOBODY = world().issue("Nobody Anywhere")

OWNERS = {
    "Paula Partner/Partners": PAULA,
    "Aida Airius/airius.com": AIDA,
    "Wile West/West/Acme": WILE,
}


@dataclass(frozen=True, kw_only=True)
class Three:
    """The place of a service with three domains, and the server of the second."""

    place: Place
    slapd: SlapdServer

    def say(self, on_unavailable: str) -> None:
        """Configure the domains; `on_unavailable` is of the second."""
        bind = {"dn": self.slapd.reader_dn, "password_file": "reader.password"}
        ldap = {
            "hosts": [self.slapd.url],
            "bind": bind,
            "base": SUFFIX,
            "connect_timeout": "1s",
            "timeout": "1s",
        }
        self.place.configure_directories(
            domains=[
                {
                    "domain": "Partners",
                    "type": "ldif",
                    "file": "partners.ldif",
                    "search_order": 1,
                    "rules": [{"rule": "*/Partners", "trusted": True}],
                },
                {
                    "domain": "Airius",
                    "type": "ldap",
                    "search_order": 2,
                    "rules": [{"suffix": SUFFIX, "trusted": True}],
                    "on_unavailable": on_unavailable,
                    "ldap": ldap,
                },
                {
                    "domain": "Acme West",
                    "type": "sql",
                    "url": "sqlite:///acme-west.db",
                    "search_order": 3,
                    "rules": [{"rule": "*/West/Acme", "trusted": True}],
                },
            ]
        )

    @contextmanager
    def serving(self) -> Iterator["Serving"]:
        """Run `authsvc serve`, which remembers nothing yet."""
        log = self.place.folder / "serve.log"
        process = start_process(self.command("serve"), log=log)
        try:
            for listener in ("api", "edge"):
                wait_for_port(self.port(listener), process, name="authsvc", log=log)
            yield Serving(self)
        finally:
            stop_process(process)

    def explain(self, issued: Issued) -> tuple[int, dict[str, object]]:
        """Run `authsvc explain`; return its exit code and what it says."""
        path = self.place.folder / "asked.pem"
        path.write_text(issued.pem)
        ended = subprocess.run(
            self.command("explain", str(path), "--json"), capture_output=True, text=True, check=False
        )
        told = json.loads(ended.stdout)
        assert isinstance(told, dict)
        return ended.returncode, told

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "authsvc", "--config", str(self.place.file), *arguments]

    def port(self, listener: str) -> int:
        settings = self.place.settings()
        address = (
            settings.api.listen
            if listener == "api"
            else next(each.listen for each in settings.front_ends if each.name == listener)
        )
        return int(str(address).rpartition(":")[2])


@dataclass(frozen=True)
class Serving:
    """A running service, as the web server `edge` sees it."""

    three: Three

    def ask(self, issued: Issued) -> tuple[int, str, str]:
        """Ask who that is; return status, reason and the name, within the time limit."""
        headers = {
            "X-Front-End-Secret": self.three.place.secret,
            "Client-Cert": byte_sequence(issued.der).decode("ascii"),
        }
        began = time.monotonic()
        answer = httpx.get(
            f"http://127.0.0.1:{self.three.port('edge')}/auth?identity=only",
            headers=headers,
            timeout=_LIMIT_SECONDS * 2,
        )
        assert time.monotonic() - began < _LIMIT_SECONDS
        assert (answer.status_code == 503) is ("retry-after" in answer.headers)
        return answer.status_code, answer.headers["auth-reason"], answer.headers.get("remote-user", "")


@pytest.fixture(scope="module")
def three() -> Iterator[Three]:
    """Lay the place in a folder of a short path: those of sockets have a limit."""
    with TemporaryDirectory(prefix="authsvc-") as folder:
        place = lay_place(Path(folder))
        (place.folder / "partners.ldif").write_text(
            entries_ldif(_entry("CN=Paula Partner,O=Partners", PAULA))
        )
        engine = open_engine(f"sqlite:///{place.folder / 'acme-west.db'}")
        migrate(engine)
        with changing(engine) as change:
            held = [CertificateRecord.from_der(WILE.der)]
            create_person(change, person("Wile West/West/Acme", certificates=held))
        engine.dispose()
        with serve(place.folder / "s", ldif(_entry(f"cn=Aida Airius,{SUFFIX}", AIDA))) as slapd:
            place.write("reader.password", slapd.reader_password).chmod(0o600)
            yield Three(place=place, slapd=slapd)


def _entry(dn: str, issued: Issued) -> tuple[str, dict[str, list[str | bytes]]]:
    name = dn.partition(",")[0].partition("=")[2]
    return dn, {
        "objectClass": ["inetOrgPerson"],
        "cn": [name],
        "sn": ["x"],
        "userCertificate;binary": [issued.der],
    }


@contextmanager
def outage(slapd: SlapdServer, how: str) -> Iterator[None]:
    """Kill the server, or let it hang; all is well again in the end."""
    if how == "killed":
        slapd.kill()
        try:
            yield
        finally:
            slapd.start()
    else:
        slapd.pause()
        try:
            yield
        finally:
            slapd.resume()


ALLOWED = {name: (200, "allowed_identity", name) for name in OWNERS}
UNDECIDED = (503, "directory_unavailable", "")
NOT_KNOWN = (401, "not_authenticated", "")


def test_each_of_three_domains_is_asked_and_answers(three: Three) -> None:
    three.say("undecided")
    with three.serving() as service:
        assert {name: service.ask(issued) for name, issued in OWNERS.items()} == ALLOWED
        assert service.ask(NOBODY) == NOT_KNOWN


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_t50_with_the_second_of_three_domains_down_who_may_be_in_it_is_undecided(
    three: Three, how: str
) -> None:
    """Whoever is found before it is found; whoever comes after it, and whoever is nowhere, is not known."""
    three.say("undecided")
    with three.serving() as service, outage(three.slapd, how):
        assert service.ask(WILE) == UNDECIDED
        assert service.ask(AIDA) == UNDECIDED
        assert service.ask(NOBODY) == UNDECIDED
        assert service.ask(PAULA) == ALLOWED["Paula Partner/Partners"]
        code, told = three.explain(WILE)
        assert (code, told["verdict"], told["reason"]) == (3, "undecided", "directory_unavailable")


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_t50_unless_it_says_skip_and_then_the_third_answers_and_the_trace_says_so(
    three: Three, how: str
) -> None:
    three.say("skip")
    with three.serving() as service, outage(three.slapd, how):
        assert service.ask(WILE) == ALLOWED["Wile West/West/Acme"]
        assert service.ask(AIDA) == NOT_KNOWN, "what skip costs: its own people are nobody"
        code, told = three.explain(WILE)
        assert (code, told["verdict"]) == (0, "allowed")
        trace = told["trace"]
        assert isinstance(trace, list)
        assert [
            line["subject"] for line in trace if "SKIPPED although it did not answer" in line["result"]
        ] == ["Airius"]


def test_t50_when_it_is_back_everybody_is_known_again(three: Three) -> None:
    three.say("undecided")
    with three.serving() as service:
        with outage(three.slapd, "killed"):
            assert service.ask(WILE) == UNDECIDED
        end = time.monotonic() + 15
        while service.ask(WILE) != ALLOWED["Wile West/West/Acme"]:
            assert time.monotonic() < end
        assert {name: service.ask(issued) for name, issued in OWNERS.items()} == ALLOWED
