"""`authsvc demo`: the whole sample world on loopback, a curl line for every story, until Ctrl-C."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from authsvc.cli.application import app
from authsvc.cli.output import JsonOption, command_line, console, counted, errors, fail, guarded, place
from authsvc.sample_world.errors import WorldError
from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.slapd import SlapdError
from authsvc.sample_world.world import Ports, Story, Way

__all__ = ["demo", "ended_by_signals", "print_ready", "print_stories"]

_LOOK_SECONDS = 1.0
"""How often a running demo looks whether its servers still run."""

_HIGHEST_FIRST_PORT = 65_532
"""The first of four ports in a row."""

_TITLES = {"nginx": "through nginx", "tls": "TLS straight", "rfc9440": "by header"}
_REFUSED = {
    "web server": "refused by nginx itself",
    "handshake": "refused in the handshake",
    "client": "refused by the client itself",
}


@app.command()
@guarded
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the world is laid.")] = Path("world"),
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=_HIGHEST_FIRST_PORT, help="The first of four loopback ports in a row."
        ),
    ] = 9440,
    as_json: JsonOption = False,
) -> None:
    """Run the sample world until Ctrl-C: three directories, a real slapd and nginx, a certificate for every story.

    With --json the stories are printed as in DIR/world.json, and everything else goes to standard error.
    Exit code 2: something is missing or in the way.
    """
    told = errors if as_json else console
    told.print(Text.assemble("laying the sample world in ", (str(place(folder)), "bold"), " …"))
    try:
        with (
            ended_by_signals(),
            RunningWorld(folder, Ports.counted_from(port), now=datetime.now(UTC)) as world,
        ):
            if as_json:
                typer.echo((world.folder / "world.json").read_text(encoding="utf-8"), nl=False)
            else:
                print_stories(world)
            print_ready(world, told)
            _stay(world)
    except (WorldError, SlapdError) as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        told.print("\nthe sample world has ended")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let TERM, and a terminal that is closed, end the demo as Ctrl-C does; while it ends, let it end in order."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: object) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in ending}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def print_stories(world: RunningWorld) -> None:
    """Print each story with what authsvc answers, and a curl line for each way in."""
    for story in world.stories():
        console.print()
        console.print(Text.assemble((story.story, "bold"), "  ", *_outcome(story)))
        titles = {name: _title(name, way) for name, way in story.ways.items()}
        width = max(map(len, titles.values()))
        for name, way in story.ways.items():
            line = Text.assemble("  ", (titles[name].ljust(width), "dim"), "  ")
            console.print(line.append(shlex.join(way.curl), "cyan"))


def _title(name: str, way: Way) -> str:
    return f"{_TITLES[name]}: {_REFUSED[way.refused_by]}" if way.refused_by else _TITLES[name]


def _outcome(story: Story) -> list[tuple[str, str]]:
    """Return what authsvc answers, by whichever way it is asked at all."""
    way = next(way for way in story.ways.values() if way.status is not None)
    colour = {200: "green", 503: "yellow"}.get(way.status or 0, "red")
    identity = [(f" → {way.identity}", "green")] if way.identity else []
    return [(f"{way.status} {way.reason}", colour), *identity]


def print_ready(world: RunningWorld, told: Console) -> None:
    """Print that everything runs, and what else can be typed."""
    folder, configuration = place(world.folder), str(place(world.configuration))
    other_key = str(folder / "certificates" / "other-key.pem")
    url = f"https://localhost:{world.ports.api}/readyz"
    lines = {
        "why?": command_line("--config", configuration, "explain", other_key, "--database", "sales.nsf"),
        "health": shlex.join(["curl", "-s", "--cacert", str(folder / "tls" / "ca.pem"), url]),
        "audit": shlex.join(["tail", "-f", str(folder / "var" / "audit.jsonl")]),
    }
    stories = counted(len(world.stories()), "story", "stories")
    told.print()
    told.print(Text.assemble(("ready", "bold green"), f": {stories}; for scripts in {folder}/world.json"))
    for label, line in lines.items():
        told.print(Text.assemble("  ", (label.ljust(8), "dim"), (line, "cyan")))
    told.print("Ctrl-C ends it")


def _stay(world: RunningWorld) -> None:
    while True:
        ended = world.wait(_LOOK_SECONDS)
        if ended is not None:
            raise WorldError(f"{ended} ended by itself: see `{place(world.folder)}/logs/{ended}.log`")
