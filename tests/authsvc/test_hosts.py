"""The servers of the directories: each change of state is logged once, and told by `/readyz` while it lasts."""

import logging

import pytest

from authsvc.operations.hosts import HostLog
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import MatchPlan
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain, SecondaryDomain


class Hosted(MemoryDirectory):
    """A directory with servers that stand as a test says."""

    host_statuses: tuple[HostStatus, ...] = (HostStatus(uri="ldaps://one", state=HostState.UP),)


def world(*, enabled: bool = True) -> tuple[DirectoryAssistance, Hosted]:
    plan = MatchPlan(ways=())
    hosted = Hosted("Corp")
    primary = PrimaryDomain(domain="Acme", directory=MemoryDirectory("Acme"), plan=plan)
    corp = SecondaryDomain(domain="Corp", directory=hosted, plan=plan, enabled=enabled)
    return DirectoryAssistance(primary=primary, domains=(corp,)), hosted


def stand(hosted: Hosted, state: HostState, problem: str = "") -> None:
    hosted.host_statuses = (HostStatus(uri="ldaps://one", state=state, problem=problem),)


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    fields = ("domain", "host", "problem")
    return [
        {"level": record.levelname, "event": record.message}
        | {name: record.__dict__[name] for name in fields if name in record.__dict__}
        for record in caplog.records
    ]


def test_each_change_of_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assistance, hosted = world()
    log = HostLog(assistance)
    log.observe()
    assert told(caplog) == []
    for state, problem in (
        (HostState.SUSPECT, "in time"),
        (HostState.DOWN, "refused"),
        (HostState.DOWN, "refused again"),
        (HostState.UP, ""),
    ):
        stand(hosted, state, problem)
        log.observe()
        log.observe()
    base = {"domain": "Corp", "host": "ldaps://one"}
    assert told(caplog) == [
        {"level": "WARNING", "event": "directory_host_suspect", **base, "problem": "in time"},
        {"level": "WARNING", "event": "directory_host_down", **base, "problem": "refused"},
        {"level": "INFO", "event": "directory_host_up", **base},
    ]


def test_a_server_that_is_not_up_is_a_warning_while_it_lasts() -> None:
    assistance, hosted = world()
    log = HostLog(assistance)
    assert log.warnings() == []
    stand(hosted, HostState.DOWN, "refused")
    assert log.warnings(but={"Acme"}) == ["`Corp`: a server is down: refused"]
    assert log.warnings(but={"Corp"}) == []
    stand(hosted, HostState.UP)
    assert log.warnings() == []


def test_the_servers_of_a_disabled_domain_are_nobodys_concern() -> None:
    assistance, hosted = world(enabled=False)
    stand(hosted, HostState.DOWN, "refused")
    assert HostLog(assistance).warnings() == []
