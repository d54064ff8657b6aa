"""Measure identities found over a real slapd with 100,000 entries, against a bare ldap3 loop of the same searches.

Run by hand: `.venv/bin/python benchmarks/identities.py [ENTRIES]`. One process, one thread, one connection each;
nothing is remembered in between. *Ours* is all of directory assistance, from the names of a verified certificate to the
identity: the primary (SQLite, empty) is asked first, then the LDAP domain by certificate, binding, trusted rules,
borrowed names, groups with nesting. *Bare* sends, by ldap3 as its documentation shows it, the same filters for the same
attributes and looks at nothing. Names and filters are made before the clock runs. The two take turns; the figures are
medians of rounds.
"""

import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import ldap3
from people import certificate_of, lines, template
from sqlalchemy import create_engine

from authsvc.sample_world.slapd import SlapdServer
from directory_assistance.backends.ldap import LdapDirectory, LdapSettings, SimpleBind
from directory_assistance.backends.ldap.questions import FilterQuestion, plan_questions
from directory_assistance.backends.ldap.reading import ENTRY_ATTRIBUTES, GROUP_ATTRIBUTES
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import CertificateCandidate, FindBy, FindWay, MatchPlan
from directory_assistance.certificate_names import CertificateNames, read_certificate_names
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.domains import (
    DirectoryAssistance,
    GroupAuthorization,
    PrimaryDomain,
    SecondaryDomain,
)
from directory_assistance.filters import Equality, Or, render_filter
from directory_assistance.identify import identify
from directory_assistance.naming import read_suffix_rule
from directory_assistance.search import Match, SearchRequest, search
from directory_assistance.sql_engine import open_engine
from directory_assistance.sql_tables import metadata
from directory_assistance.trace import TraceRecorder

_ROUNDS = 7
_IDENTITIES = 400
"""Identities of one round: about half a second."""


def assistance_over(server: SlapdServer, folder: Path) -> DirectoryAssistance:
    """Return an empty primary, and the server as a domain whose groups count."""
    database = f"sqlite:///{folder / 'primary.db'}"
    engine = create_engine(database)
    metadata.create_all(engine)
    engine.dispose()
    plan = MatchPlan(ways=(FindWay(find_by=FindBy.CERTIFICATE),))
    settings = LdapSettings(
        hosts=(server.url,),
        base=read_ldap_dn("o=Acme"),
        bind=SimpleBind(dn=server.reader_dn, password_file=lambda: server.reader_password),
    )
    return DirectoryAssistance(
        primary=PrimaryDomain(
            domain="Primary", directory=SqlDirectory("Primary", open_engine(database)), plan=plan
        ),
        domains=(
            SecondaryDomain(
                domain="Acme",
                directory=LdapDirectory("Acme", settings),
                plan=plan,
                rules=(read_suffix_rule("o=Acme", enabled=True, trusted=True),),
                group_authorization=GroupAuthorization.OWN,
            ),
        ),
    )


def ours(assistance: DirectoryAssistance, names: Mapping[int, CertificateNames]) -> Callable[[int], None]:
    """Return what finds one identity, whole; `names`: of each person's certificate."""

    def find(number: int) -> None:
        deadline = time.monotonic() + 10
        request = SearchRequest(names=names[number], anchor_id="corp", deadline=deadline)
        match = search(assistance, request, TraceRecorder())
        assert isinstance(match, Match)
        identity = identify(assistance, match, deadline=deadline, trace=TraceRecorder())
        assert len(identity.groups) == 1

    return find


def filter_of(names: CertificateNames) -> str:
    """Return the filter that finds somebody by the certificate, as ours asks."""
    candidate = CertificateCandidate(der=names.der, issuer=names.issuer, serial=names.serial)
    questions = plan_questions(candidate, LdapSettings(hosts=(), base=read_ldap_dn("o=Acme")))
    assert isinstance(questions, tuple)
    (question,) = questions
    assert isinstance(question, FilterQuestion)
    return render_filter(question.filter)


def bare(server: SlapdServer, filters: dict[int, str]) -> Callable[[int], None]:
    """Return what sends the same searches by ldap3: the entry, its groups, the groups that hold those.

    `filters`: the text by which each person is found, made before the clock runs.
    """
    connection = ldap3.Connection(
        ldap3.Server(server.url, get_info=ldap3.NONE),
        server.reader_dn,
        server.reader_password,
        client_strategy=ldap3.SAFE_SYNC,
        auto_bind=True,
    )

    def listing(dn: str) -> str:
        return render_filter(Or(parts=(Equality(attribute="member", value=render_ldap(read_ldap_dn(dn))),)))

    def ask(text: str, attributes: tuple[str, ...]) -> list[str]:
        _status, result, response, _request = connection.search(
            "o=Acme", text, attributes=list(attributes), size_limit=10_001
        )
        assert result["result"] == 0
        return [entry["dn"] for entry in response]

    def find(number: int) -> None:
        (found,) = ask(filters[number], ENTRY_ATTRIBUTES)
        (group,) = ask(listing(found), GROUP_ATTRIBUTES)
        assert ask(listing(group), GROUP_ATTRIBUTES) == []

    return find


def rate(find: Callable[[int], None], numbers: list[int]) -> float:
    """Return identities per second."""
    began = time.perf_counter()
    for number in numbers:
        find(number)
    return len(numbers) / (time.perf_counter() - began)


def main() -> None:
    """Load a server, let both take turns, print medians."""
    warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 and pyasn1, see pyproject.toml
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    whole, chance = template(), random.Random(1)  # noqa: S311 - the same people in each run
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        began = time.perf_counter()
        content = "".join(lines(whole, count)).removeprefix("version: 1\n\n")
        server = SlapdServer(folder / "s", ldif=content, suffix="o=Acme", size_limit=20_000)
        with server:
            print(f"{count} entries, loaded and started in {time.perf_counter() - began:.0f} s")
            assistance = assistance_over(server, folder)
            names: dict[int, CertificateNames] = {}
            filters: dict[int, str] = {}
            both = {"bare ldap3": bare(server, filters), "directory assistance": ours(assistance, names)}
            rates: dict[str, list[float]] = {name: [] for name in both}
            for _round in range(_ROUNDS):
                numbers = [chance.randrange(count) for _each in range(_IDENTITIES)]
                names.update((each, read_certificate_names(certificate_of(whole, each))) for each in numbers)
                filters.update((each, filter_of(names[each])) for each in numbers)
                for name, find in both.items():
                    rates[name].append(rate(find, numbers))
            medians = {name: statistics.median(each) for name, each in rates.items()}
            for name, median in medians.items():
                print(f"| {name} | {median:.0f} /s | {median / medians['bare ldap3']:.2f} |")
            assistance.close()


if __name__ == "__main__":
    main()
