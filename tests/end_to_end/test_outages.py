"""What happens when a server of the sample world dies, and when it comes back. Each test has a world of its own."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.world import Story, Way
from tests.support.curl import CurlAnswer, run_curl
from tests.support.sample_world import open_world

_LIMIT_SECONDS = 4.0
"""connect_timeout 1 s and timeout 2 s of the world's LDAP domain, and a second for a loaded machine."""

_RECOVERY_SECONDS = 15.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorld]:
    yield from open_world(tmp_path_factory.mktemp("o"))


def ask(way: Way) -> CurlAnswer:
    return run_curl(" ".join(json.dumps(argument) for argument in way.curl))


def asked(world: RunningWorld, *, needs_ldap: bool) -> list[tuple[Story, Way]]:
    return [
        (story, story.ways["rfc9440"])
        for story in world.stories()
        if "rfc9440" in story.ways and story.needs_ldap is needs_ldap
    ]


def flush(world: RunningWorld) -> None:
    """Start authsvc anew, so that no cached verdict answers for a directory."""
    world.stop_authsvc()
    world.start_authsvc()


def test_t50_with_slapd_killed_what_needs_it_is_undecided_in_time_and_the_rest_as_before(
    world: RunningWorld,
) -> None:
    assert [ask(way).status for _story, way in asked(world, needs_ldap=True)] != []
    flush(world)
    world.slapd.kill()
    try:
        for story, way in asked(world, needs_ldap=True):
            started = time.monotonic()
            answer = ask(way)
            assert (answer.status, answer.reason) == (503, "directory_unavailable"), story.story
            assert time.monotonic() - started < _LIMIT_SECONDS
            assert "retry-after" in answer.headers
        for story, way in asked(world, needs_ldap=False):
            answer = ask(way)
            assert (answer.status, answer.reason) == (way.status, way.reason), story.story
    finally:
        world.slapd.start()
    end = time.monotonic() + _RECOVERY_SECONDS
    waiting = asked(world, needs_ldap=True)
    while waiting:
        waiting = [
            (story, way)
            for story, way in waiting
            if (answer := ask(way)).status != way.status or answer.reason != way.reason
        ]
        assert time.monotonic() < end, f"not recovered: {[story.story for story, _way in waiting]}"


def test_a_slapd_that_hangs_is_undecided_within_the_time_limit(world: RunningWorld) -> None:
    flush(world)
    world.slapd.pause()
    try:
        _story, way = asked(world, needs_ldap=True)[0]
        started = time.monotonic()
        answer = ask(way)
        assert (answer.status, answer.reason) == (503, "directory_unavailable")
        assert time.monotonic() - started < _LIMIT_SECONDS
    finally:
        world.slapd.resume()


def test_a_slapd_that_hangs_does_not_hold_up_whoever_does_not_need_it(world: RunningWorld) -> None:
    """Ten different questions that wait for the hanging server leave threads for a person of the primary."""
    flush(world)
    world.slapd.pause()
    waiting = []
    try:
        for _story, way in asked(world, needs_ldap=True):
            for database in ("wiki", "hr.nsf"):
                command = [
                    *way.curl[:-1],
                    way.curl[-1].partition("?")[0] + f"?database={database}&level=editor",
                ]
                waiting.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        reading = next(way for _story, way in asked(world, needs_ldap=False) if way.status == 200)
        started = time.monotonic()
        assert ask(reading).status == 200
        assert time.monotonic() - started < _LIMIT_SECONDS / 2
    finally:
        world.slapd.resume()
        for process in waiting:
            process.communicate()


def test_with_authsvc_stopped_nginx_allows_nothing(world: RunningWorld) -> None:
    world.stop_authsvc()
    try:
        for story in world.stories():
            if "nginx" in story.ways:
                answer = ask(story.ways["nginx"])
                assert answer.status in {None, 400, 503}, story.story
                assert "Hello" not in answer.body
    finally:
        world.start_authsvc()
    allowed = next(story.ways["nginx"] for story in world.stories() if story.ways["nginx"].status == 200)
    assert ask(allowed).status == 200
