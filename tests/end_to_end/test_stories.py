"""Every story of the sample world, by every way in, with curl, through real servers."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from authsvc.reason import Reason
from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.world import Ports, Story, read_stories
from tests.support.curl import CurlAnswer, run_curl

PLACE = Ports(api=1, edge=2, direct=3, nginx=4)
TOLD = read_stories(Path("/nowhere"), PLACE)
BY_WAY = [pytest.param(story.story, way, id=f"{way}: {story.story}") for story in TOLD for way in story.ways]

_WEB_SERVER_REFUSES = 400
_CURL_CANNOT_LOAD_CERTIFICATE = 58


def told(world: RunningWorld, story: str) -> Story:
    return next(each for each in world.stories() if each.story == story)


@pytest.mark.parametrize(("story", "way"), BY_WAY)
def test_story(world: RunningWorld, story: str, way: str) -> None:
    """The curl line answers as the story says."""
    expected = told(world, story).ways[way]
    answer = run_curl(" ".join(_quoted(expected.curl)))
    match expected.refused_by:
        case None:
            assert (answer.status, answer.reason) == (expected.status, expected.reason), answer
            assert identity_seen(way, answer) == expected.identity
        case "web server":
            assert answer.status == _WEB_SERVER_REFUSES
            assert answer.reason is None
        case "handshake":
            assert answer.status is None
            assert answer.exit_code not in {0, _CURL_CANNOT_LOAD_CERTIFICATE}
        case "client":
            assert answer.status is None
            assert answer.exit_code == _CURL_CANNOT_LOAD_CERTIFICATE
        case other:
            pytest.fail(f"a story says refused_by {other}")


def identity_seen(way: str, answer: CurlAnswer) -> str | None:
    return answer.seen_by_application.get("remote-user") if way == "nginx" else answer.identity


def _quoted(arguments: tuple[str, ...]) -> list[str]:
    return [json.dumps(argument) for argument in arguments]


def test_world_json_tells_every_story_with_its_curl_line(world: RunningWorld) -> None:
    written = json.loads((world.folder / "world.json").read_text())
    assert [story["story"] for story in written] == [story.story for story in TOLD]
    for story in written:
        assert story["ways"]
        for way, answer in story["ways"].items():
            assert way in {"rfc9440", "nginx", "tls"}
            assert answer["curl"].startswith("curl ")
            assert set(answer) in ({"curl", "refused_by"}, {"curl", "status", "reason", "identity"})


def test_the_stories_reach_every_reason_but_those_that_need_an_outage() -> None:
    reached = {answer.reason for story in TOLD for answer in story.ways.values()}
    outages = {"directory_unavailable", "store_unavailable", "overloaded", "expansion_limit"}
    assert {reason.value for reason in Reason} - reached == outages | {"certificate_policy"}


def test_every_allowed_story_has_a_refused_neighbour_with_the_same_database() -> None:
    def statuses(database: str, allowed: bool) -> set[str]:
        return {
            s.story
            for s in TOLD
            if s.database == database and any((w.status == 200) is allowed for w in s.ways.values())
        }

    for database in {story.database for story in TOLD if story.database and statuses(story.database, True)}:
        assert statuses(database, False), f"{database} is never refused"


FORGED = (
    "Remote-User",
    "Remote-Groups",
    "Remote-Roles",
    "Remote-Email",
    "Remote-Assertion",
    "Remote-Dn",
    "Remote-Name",
)


def test_t13_forged_identity_headers_never_reach_the_application(world: RunningWorld) -> None:
    line = told(world, "a person of the primary directory reads").ways["nginx"].curl
    forged = [part for name in FORGED for part in ("-H", f"{name}: Evil Eve/Renovations")]
    answer = run_curl(" ".join(_quoted(line)), *forged, "-H", "Remote_User: Evil Eve/Renovations")
    assert answer.status == 200
    assert "Evil" not in answer.body
    assert answer.seen_by_application["remote-user"] == "Dave Lawson/Renovations"


def test_t13_forged_identity_headers_of_an_anonymous_request_never_reach_the_application(
    world: RunningWorld,
) -> None:
    line = told(world, "nobody in particular reads the wiki").ways["nginx"].curl
    answer = run_curl(" ".join(_quoted(line)), *[part for name in FORGED for part in ("-H", f"{name}: Evil")])
    assert answer.status == 200
    assert "Evil" not in answer.body
    assert answer.seen_by_application["remote-user"] == "Anonymous"


def test_t1_a_clients_own_certificate_header_is_replaced_by_nginx(world: RunningWorld) -> None:
    header = (world.folder / "headers" / "dave-lawson.txt").read_text().partition(": ")[2].strip()
    line = told(world, "nobody in particular is asked for a certificate").ways["nginx"].curl
    answer = run_curl(
        " ".join(_quoted(line)), "-H", f"X-SSL-Client-Cert: {header}", "-H", "X-SSL-Client-Verify: SUCCESS"
    )
    assert (answer.status, answer.reason) == (401, "certificate_missing")


def test_t2_a_clients_header_of_another_dialect_is_refused(world: RunningWorld) -> None:
    header = (world.folder / "headers" / "dave-lawson.txt").read_text().partition(": ")[2].strip()
    line = told(world, "nobody in particular is asked for a certificate").ways["nginx"].curl
    answer = run_curl(" ".join(_quoted(line)), "-H", f"Client-Cert: {header}")
    assert (answer.status, answer.reason) == (401, "certificate_unreadable")


def test_every_allow_carries_every_identity_header_once(world: RunningWorld) -> None:
    for name in (
        "a person of the primary directory reads",
        "nobody in particular reads the wiki",
        "who is it, without a database",
    ):
        answer = run_curl(" ".join(_quoted(told(world, name).ways["rfc9440"].curl)))
        carried = {header for header in answer.headers if header.startswith("remote-")}
        assert carried == {
            "remote-user", "remote-dn", "remote-name", "remote-email", "remote-groups", "remote-groups-omitted",
            "remote-domain", "remote-database", "remote-access", "remote-privileges", "remote-roles",
            "remote-auth-method", "remote-certificate-sha256",
        }  # fmt: skip
        assert answer.headers["content-length"] == "0"


def test_no_refusal_carries_an_identity_header(world: RunningWorld) -> None:
    for story in world.stories():
        way = story.ways.get("rfc9440")
        if way is not None and way.status != 200:
            answer = run_curl(" ".join(_quoted(way.curl)))
            assert not [header for header in answer.headers if header.startswith("remote-")], story.story


def test_every_decision_is_audited_with_its_true_reason(world: RunningWorld) -> None:
    answer = run_curl(
        " ".join(
            _quoted(told(world, "a person found by an alias is known by the first name").ways["tls"].curl)
        )
    )
    records = [json.loads(line) for line in (world.folder / "var" / "audit.jsonl").read_text().splitlines()]
    record = next(each for each in records if each["request_id"] == answer.headers["x-request-id"])
    assert record["reason"] == "allowed"
    assert "Alan Jones/Renovations" in json.dumps(record, ensure_ascii=False)
    assert datetime.fromisoformat(record["time"]).tzinfo is not None
    assert abs((datetime.now(UTC) - datetime.fromisoformat(record["time"])).total_seconds()) < 3600
