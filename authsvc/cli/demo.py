"""`authsvc demo`: the whole sample world on loopback, a curl line for every story, until Ctrl-C."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from authsvc.cli.main import app
from authsvc.cli.output import JsonOption, console, fail, guarded
from authsvc.sample_world.errors import MissingProgram
from authsvc.sample_world.running import RunningWorld
from authsvc.sample_world.slapd import SlapdError
from authsvc.sample_world.world import Ports, Story, Way

__all__ = ["demo"]

_LOOK_SECONDS = 1.0
"""How often a running demo looks whether its servers still run."""

_TITLES = {"nginx": "through nginx", "tls": "TLS straight", "rfc9440": "by header"}


@app.command()
@guarded
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where the world is laid")] = Path("world"),
    port: Annotated[int, typer.Option(help="the first of four ports in a row")] = 9440,
    as_json: JsonOption = False,
) -> None:
    """Run the sample world: three directories, a real slapd, a real nginx, and a certificate for every story."""
    console.print(f"laying the sample world in [bold]{escape(str(folder))}[/] ...")
    try:
        with (
            _ended_by_signals(),
            RunningWorld(folder, Ports.counted_from(port), now=datetime.now(UTC)) as world,
        ):
            if as_json:
                console.print((world.folder / "world.json").read_text(), markup=False)
            else:
                _print_stories(world)
            _print_ready(world)
            _stay(world)
    except (MissingProgram, SlapdError, FileExistsError, RuntimeError, TimeoutError) as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        console.print("\nthe sample world has ended")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let TERM end the demo as Ctrl-C does, so that the servers are stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_stories(world: RunningWorld) -> None:
    for story in world.stories():
        console.print()
        console.print(f"[bold]{escape(story.story)}[/]  {_outcome(story)}")
        for name, way in story.ways.items():
            note = f"  [dim]# refused by the {way.refused_by}[/]" if way.refused_by else ""
            console.print(f"  [dim]{_TITLES[name]:<13}[/] [cyan]{escape(shlex.join(way.curl))}[/]{note}")


def _outcome(story: Story) -> str:
    way = next(iter(story.ways.values()))
    colour = {200: "green", 503: "yellow"}.get(way.status or 0, "red")
    return f"[{colour}]{way.status} {way.reason}[/]{_identity(way)}"


def _identity(way: Way) -> str:
    return f" [green]→ {escape(way.identity)}[/]" if way.identity else ""


def _print_ready(world: RunningWorld) -> None:
    api = world.ports.api
    console.print()
    console.print(f"[bold green]ready[/]: {len(world.stories())} stories; the same for scripts in world.json")
    console.print(
        "  why?       " + _command(world, "explain", str(_shown(world.folder) / "certificates/other-key.pem"))
    )
    console.print(
        "  health     "
        f"[cyan]curl -s --cacert {_shown(world.folder)}/tls/ca.pem https://localhost:{api}/readyz[/]"
    )
    console.print(f"  audit      [cyan]tail -f {_shown(world.folder)}/var/audit.jsonl[/]")
    console.print("  Ctrl-C ends it.")


def _command(world: RunningWorld, *arguments: str) -> str:
    line = shlex.join([".venv/bin/authsvc", "--config", str(_shown(world.configuration)), *arguments])
    return f"[cyan]{escape(line)}[/]"


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _stay(world: RunningWorld) -> None:
    while True:
        ended = world.wait(_LOOK_SECONDS)
        if ended is not None:
            raise fail(f"{ended} ended by itself: see {_shown(world.folder)}/logs/{ended}.log")
