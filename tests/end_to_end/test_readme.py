"""README's examples against what is really printed: the same lines, but for what differs from run to run."""

import json
import re
import shlex
from pathlib import Path

import pytest

from authsvc.sample_world.running import RunningWorld
from tests.authsvc.test_documentation import region
from tests.support.command_line import run_authsvc
from tests.support.curl import run_curl


def steady(text: str, world: RunningWorld | None = None) -> list[str]:
    """Return the lines with what differs from run to run made equal: place, ports, digests, numbers, times."""
    if world is not None:
        text = text.replace(str(world.folder), "world")
        ports = world.ports
        for port, shown in zip(
            (ports.api, ports.edge, ports.direct, ports.nginx), range(9440, 9444), strict=True
        ):
            text = text.replace(f":{port}", f":{shown}")
    text = re.sub(r"\d+\.\d ms", "MS", text)
    text = re.sub(r"until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "until TIME", text)
    text = re.sub(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{16}\b", "DIGEST", text)
    text = re.sub(r"serialNumber \d+", "serialNumber N", text)
    return text.splitlines()


def code_of(name: str) -> str:
    """Return the one fenced block of a marked region."""
    (found,) = re.findall(r"```\w+\n(.*?)```", region(name), re.DOTALL)
    return str(found)


def test_the_commands_that_readme_shows_print_what_it_shows(world: RunningWorld) -> None:
    """Each block of output belongs to the command above it, with the folder of the world in its place."""
    shown = re.split(r"^\$ ", code_of("explain"), flags=re.MULTILINE)[1:]
    assert len(shown) == 2
    for part in shown:
        line, _newline, output = part.partition("\n")
        words = [word.replace("world/", f"{world.folder}/") for word in shlex.split(line)]
        assert words[0] == "authsvc"
        assert steady(output.rstrip("\n")) == steady(run_authsvc(*words[1:]).output.rstrip("\n"), world)


def test_the_stories_that_readme_shows_are_told_so(
    world: RunningWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    from authsvc.cli.demo import print_ready, print_stories  # noqa: PLC0415 - what the demo prints when it runs
    from authsvc.cli.output import console  # noqa: PLC0415 - as above

    print_stories(world)
    print_ready(world, console)
    printed = steady(capsys.readouterr().out, world)
    shown = [line for line in steady(code_of("demo")) if line]
    assert shown[:2] == ["$ make run", "laying the sample world in world …"]
    assert "..." in shown
    wanted = [line.replace(".venv/bin/authsvc", "authsvc") for line in shown[2:] if line != "..."]
    assert [line for line in printed if line in wanted] == wanted


def test_the_audit_record_that_readme_shows_has_the_keys_of_a_real_one(world: RunningWorld) -> None:
    story = next(each for each in world.stories() if each.story == "a person of the primary directory reads")
    answer = run_curl(shlex.join(story.ways["rfc9440"].curl))
    lines = (world.folder / "var" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    (real,) = [each for each in records if each["request_id"] == answer.headers["x-request-id"]]
    shown = json.loads(code_of("audit"))
    assert shape(shown) == shape(real)
    steady_keys = (
        "event",
        "status",
        "outcome",
        "reason",
        "database",
        "requirement",
        "verdict",
        "identity",
        "access",
    )
    assert {key: shown[key] for key in steady_keys} == {key: real[key] for key in steady_keys}


def shape(value: object) -> object:
    """Return keys and kinds, in their order."""
    if isinstance(value, dict):
        return [(key, shape(below)) for key, below in value.items()]
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


def test_the_folder_of_the_world_is_the_one_that_make_run_uses() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert "WORLD ?= world" in makefile
    assert "PORT ?= 9440" in makefile
