"""The command line: what each command does, prints and exits with. `explain` and `demo` stand in `tests/end_to_end`."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from authsvc.cli.apply import local_actor
from authsvc.cli.output import command_line, counted, place, visible
from authsvc.store.bootstrap import read_token_file, verify_token
from authsvc.store.schema import open_engine
from tests.support.command_line import command_names, command_paths, document_of, run_authsvc
from tests.support.curl import run_curl
from tests.support.sample_world import free_ports

OPENAPI = Path(__file__).parents[2] / "openapi.yaml"


class World(NamedTuple):
    """What `authsvc init` wrote, and a secondary directory beside it."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "authsvc.yaml"

    @property
    def people(self) -> Path:
        return self.folder / "people.yaml"

    def document(self, name: str, **sections: object) -> Path:
        """Write a declarative document."""
        path = self.folder / name
        path.write_text(yaml.safe_dump(sections), encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `init` writes; made once, copied for each test."""
    folder = tmp_path_factory.mktemp("init") / "service"
    assert run_authsvc("init", folder).exit_code == 0
    return folder


@pytest.fixture
def world(pristine: Path, tmp_path: Path) -> World:
    folder = tmp_path / "service"
    subprocess.run(["cp", "-a", str(pristine), str(folder)], check=True)
    return World(folder)


@pytest.fixture
def applied(world: World) -> World:
    assert run_authsvc("apply", world.people, config=world.config).exit_code == 0
    return world


# --- init


def modes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")
    }


def test_init_writes_a_configuration_a_database_a_development_ca_and_a_token(pristine: Path) -> None:
    assert sorted(modes(pristine)) == sorted(
        [
            *("authsvc.yaml", "directory-assistance.yaml", "people.yaml"),
            *("certificates", "certificates/first-person.key", "certificates/first-person.pem"),
            *("run", "secrets", "secrets/bootstrap.token", "secrets/development-ca.key"),
            *("tls", "tls/ca.pem", "tls/server.key", "tls/server.pem"),
            *("trust", "trust/development-ca.crl", "trust/development-ca.pem"),
            *("var", "var/directory.db"),
        ]
    )


def test_what_init_writes_is_closed_to_others_where_it_is_secret(pristine: Path) -> None:
    found = modes(pristine)
    private = {name for name, mode in found.items() if name.endswith((".key", ".token"))}
    assert len(private) == 4
    assert {found[name] for name in private} == {"0o600"}
    assert (found["secrets"], found["run"], found["var"]) == ("0o700", "0o750", "0o750")


def test_what_init_writes_is_a_usable_configuration_without_warnings(pristine: Path) -> None:
    result = run_authsvc("check-config", config=pristine / "authsvc.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        f"usable, 0 warnings: {pristine / 'authsvc.yaml'}\n",
        "",
    )


def test_init_overwrites_nothing(pristine: Path) -> None:
    before = {path: path.read_bytes() for path in pristine.rglob("*") if path.is_file()}
    result = run_authsvc("init", pristine)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: `{pristine / 'authsvc.yaml'}` exists already: nothing was written\n"
    assert before == {path: path.read_bytes() for path in pristine.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["people.yaml", "tls", "secrets"])
def test_init_writes_nothing_where_anything_of_its_own_is_in_the_way(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    assert run_authsvc("init", tmp_path).exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_init_leaves_what_is_not_its_own_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert run_authsvc("init", tmp_path).exit_code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_token_of_init_works_and_a_new_one_takes_its_place(world: World) -> None:
    file = world.folder / "secrets" / "bootstrap.token"
    engine = open_engine(f"sqlite:///{world.folder / 'var' / 'directory.db'}")
    first = read_token_file(file)
    assert verify_token(engine, first)
    result = run_authsvc("init", "--token", config=world.config)
    assert result.exit_code == 0
    second = read_token_file(file)
    assert second not in result.output
    assert (verify_token(engine, first), verify_token(engine, second)) == (False, True)
    engine.dispose()


def test_init_as_json_says_what_to_do_next(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    document = document_of(run_authsvc("init", folder, "--json"))
    assert isinstance(document, dict)
    assert document["configuration"] == str(folder / "authsvc.yaml")
    assert document["bootstrap_token_file"] == str(folder / "secrets" / "bootstrap.token")
    assert [shlex.split(line)[0].rpartition("/")[2] for line in document["next"]] == [
        "authsvc",
        "authsvc",
        "curl",
    ]


def test_what_init_tells_to_do_next_works_word_by_word(tmp_path: Path) -> None:
    """init, apply, serve, curl: as printed, but for the ports, which another test may be using."""
    ports = free_ports()
    result = run_authsvc("init", tmp_path / "service")
    config = tmp_path / "service" / "authsvc.yaml"
    config.write_text(config.read_text().replace("8443", str(ports.api)).replace("9443", str(ports.direct)))
    lines = [line.strip() for line in result.stdout.partition("next:\n")[2].splitlines()]
    apply, serve, curl = lines
    assert run_authsvc(*shlex.split(apply)[1:]).exit_code == 0
    server = subprocess.Popen(
        [sys.executable, "-m", "authsvc", *shlex.split(serve)[1:], "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        listening = ""
        while not listening.endswith("}\n}\n"):  # one document, and then it listens
            line = server.stdout.readline()
            assert line, server.communicate()[1]
            listening += line
        assert set(json.loads(listening)["listening"]) == {"api", "nginx", "direct"}
        answer = run_curl(curl.replace("9443", str(ports.direct)))
        assert (answer.status, answer.reason, answer.identity) == (200, "allowed", "First Person/Example")
    finally:
        server.send_signal(signal.SIGTERM)
        _out, log = server.communicate()
    assert server.returncode == 0
    for line in log.splitlines():
        assert {"time", "level", "logger", "event"} <= set(json.loads(line))


# --- apply


def test_apply_shows_the_difference_and_makes_it(world: World) -> None:
    result = run_authsvc("apply", world.people, config=world.config)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("+ person First Person/Example: + certificate serial ")
    assert lines[1:5] == [
        "+ group Everybody: + member First Person/Example",
        "+ database wiki: + acl entry -Default-: No Access, unspecified",
        "+ database wiki: + acl entry Everybody: Editor, person group",
        "~ database directory: + acl entry First Person/Example: Manager, person, role Auditor",
    ]
    assert lines[5].startswith("applied 4 changes to sqlite:///")
    assert len(lines) == 6


def test_apply_a_second_time_has_nothing_to_change(applied: World) -> None:
    result = run_authsvc("apply", applied.people, config=applied.config)
    assert (result.exit_code, result.stdout) == (0, "nothing to change\n")


def test_apply_dry_run_shows_the_difference_and_changes_nothing(world: World) -> None:
    first = run_authsvc("apply", world.people, "--dry-run", config=world.config)
    second = run_authsvc("apply", world.people, "--dry-run", config=world.config)
    assert (first.exit_code, first.stdout) == (0, second.stdout)
    assert first.stdout.startswith("+ person First Person/Example")
    assert first.stdout.endswith("nothing was changed (--dry-run)\n")


def test_applying_an_export_changes_nothing(applied: World) -> None:
    exported = applied.folder / "exported.yaml"
    exported.write_text(run_authsvc("export", config=applied.config).stdout, encoding="utf-8")
    result = run_authsvc("apply", exported, "--prune", config=applied.config)
    assert (result.exit_code, result.stdout) == (0, "nothing to change\n")


def test_export_as_json_is_the_same_document(applied: World) -> None:
    text = run_authsvc("export", config=applied.config).stdout
    assert document_of(run_authsvc("export", "--json", config=applied.config)) == yaml.safe_load(text)


def reduced(world: World) -> Path:
    """Return a document that takes something away."""
    return world.document(
        "reduced.yaml",
        databases=[
            {"name": "wiki", "acl": [{"name": "Everybody", "type": "person group", "level": "Reader"}]}
        ],
    )


def level_of_everybody(world: World) -> str:
    exported = yaml.safe_load(run_authsvc("export", config=world.config).stdout)
    (wiki,) = [database for database in exported["databases"] if database["name"] == "wiki"]
    (everybody,) = [entry for entry in wiki["acl"] if entry["name"] == "Everybody"]
    level: str = everybody["level"]
    return level


ANSWERS = [
    pytest.param((), "y\n", 0, "Reader", id="asked, and the answer is yes"),
    pytest.param((), "n\n", 1, "Editor", id="asked, and the answer is no"),
    pytest.param((), "\n", 1, "Editor", id="asked, and the answer is nothing: that is no"),
    pytest.param((), None, 1, "Editor", id="nobody is there to answer: that is no"),
    pytest.param(("--yes",), None, 0, "Reader", id="--yes: it is not asked"),
    pytest.param(("--dry-run",), None, 0, "Editor", id="--dry-run: it is not asked"),
]


@pytest.mark.parametrize(("options", "typed", "exit_code", "level"), ANSWERS)
def test_apply_asks_before_it_reduces(
    applied: World, options: tuple[str, ...], typed: str | None, exit_code: int, level: str
) -> None:
    result = run_authsvc("apply", reduced(applied), *options, config=applied.config, text=typed)
    assert result.exit_code == exit_code
    assert "~ database wiki: ~ acl entry Everybody: level Editor -> Reader\n" in result.stdout
    assert ("something is deleted or reduced" in result.stderr) is (not options)
    assert ("error: nothing was changed: " in result.stderr) is (exit_code == 1)
    assert level == level_of_everybody(applied)


def test_apply_does_not_ask_when_it_only_adds(applied: World) -> None:
    added = applied.document("added.yaml", groups=[{"name": "New", "type": "acl", "members": []}])
    result = run_authsvc("apply", added, config=applied.config)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "applied 1 change to" in result.stdout


def test_what_the_document_does_not_name_is_left_alone_and_told(applied: World) -> None:
    added = applied.document("added.yaml", groups=[{"name": "New", "type": "acl", "members": []}])
    result = run_authsvc("apply", added, config=applied.config)
    assert "= group: 1 not named, left alone (--prune deletes them)\n" in result.stdout


@pytest.mark.parametrize(("typed", "exit_code"), [("n\n", 1), ("y\n", 0)])
def test_prune_deletes_what_is_not_named_after_it_has_asked(
    applied: World, typed: str, exit_code: int
) -> None:
    emptied = applied.document("emptied.yaml", groups=[])
    result = run_authsvc("apply", emptied, "--prune", config=applied.config, text=typed)
    assert result.exit_code == exit_code
    assert "- group Everybody\n" in result.stdout
    assert (
        "Everybody" in run_authsvc("export", config=applied.config).stdout.partition("databases:")[0]
    ) is (exit_code == 1)


def test_apply_as_json_prints_the_difference_and_whether_it_was_made(world: World) -> None:
    dry = document_of(run_authsvc("apply", world.people, "--dry-run", "--json", config=world.config))
    made = document_of(run_authsvc("apply", world.people, "--json", config=world.config))
    again = document_of(run_authsvc("apply", world.people, "--json", config=world.config))
    assert isinstance(dry, dict)
    assert isinstance(made, dict)
    assert (dry["applied"], made["applied"]) == (False, True)
    assert dry["changes"] == made["changes"]
    assert [change["kind"] for change in made["changes"]] == ["person", "group", "database", "database"]
    assert again == {"changes": [], "left_alone": [], "needs_confirmation": False, "applied": False}


def test_apply_as_json_never_asks(applied: World) -> None:
    result = run_authsvc("apply", reduced(applied), "--json", config=applied.config, text="y\n")
    document = document_of(result)
    assert isinstance(document, dict)
    assert (result.exit_code, document["needs_confirmation"], document["applied"]) == (1, True, False)
    assert "needs --yes" in result.stderr
    assert level_of_everybody(applied) == "Editor"


def test_every_mistake_of_a_document_is_told_with_its_line(world: World) -> None:
    document = world.folder / "mistakes.yaml"
    document.write_text(
        "people:\n"
        "  - names: [1]\n"
        "  - nmes: [x]\n"
        "groups:\n"
        "  - {name: A, type: foo, members: []}\n"
        "databases:\n"
        "  - {name: wiki, acl: [{name: A, level: King}]}\n"
    )
    result = run_authsvc("apply", document, config=world.config)
    assert (result.exit_code, result.stdout) == (2, "")
    places = [line.removeprefix("error: ").split(": ")[0] for line in result.stderr.splitlines()]
    assert places == [f"{document}:{line}" for line in (2, 3, 3, 5, 7)]


def test_a_warning_of_a_document_stops_nothing(world: World) -> None:
    pem = world.folder / "trust" / "development-ca.pem"
    document = world.document(
        "authority.yaml", people=[{"names": ["Ca/Example"], "certificates": [str(pem)]}]
    )
    result = run_authsvc("apply", document, config=world.config)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {document}:")


def test_the_last_manager_of_directory_cannot_be_taken_away(applied: World) -> None:
    document = applied.document("nobody.yaml", databases=[{"name": "directory", "acl": []}])
    result = run_authsvc("apply", document, "--yes", config=applied.config)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {document}:")
    assert "the last Manager entry cannot be removed" in result.stderr


# --- secondary directories


@pytest.fixture
def with_secondary(world: World) -> World:
    (world.folder / "directory-assistance.yaml").write_text(
        "primary: {domain: Example, url: sqlite:///var/directory.db}\n"
        "domains:\n"
        "  - domain: Acme West\n"
        "    type: sql\n"
        "    url: sqlite:///var/acme-west.db\n"
        '    rules: [{rule: "*/West/Acme", trusted: true}]\n'
        "  - domain: Airius\n"
        "    type: ldap\n"
        '    rules: [{suffix: "o=airius.com", trusted: true}]\n'
        '    ldap: {hosts: ["ldap://127.0.0.1"], bind: anonymous, base: "o=airius.com"}\n'
    )
    return world


def test_apply_and_export_reach_a_secondary_directory_by_its_name_in_any_case(with_secondary: World) -> None:
    document = with_secondary.document("acme.yaml", people=[{"names": ["Walter Winter/West/Acme"]}])
    options = ("--directory", "ACME west")
    assert run_authsvc("apply", document, *options, config=with_secondary.config).exit_code == 0
    exported = run_authsvc("export", *options, config=with_secondary.config).stdout
    assert [["Walter Winter/West/Acme"]] == [each["names"] for each in yaml.safe_load(exported)["people"]]
    assert "Walter" not in run_authsvc("export", config=with_secondary.config).stdout


LOOKS = [
    ("explain", "none"),
    ("check-config", "--with-directories"),
    ("export",),
]


@pytest.mark.parametrize("folder", ["var", "gone"], ids=["without the file", "without the folder"])
@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_a_look_at_a_database_that_is_not_there_is_undecided_and_makes_none(
    world: World, command: tuple[str, ...], folder: str
) -> None:
    """A mistyped path must not become an empty store, in which everybody is refused."""
    (world.folder / "var" / "directory.db").unlink()
    file = world.folder / folder / "directory.db"
    settings = world.folder / "directory-assistance.yaml"
    settings.write_text(settings.read_text().replace("var/directory.db", f"{folder}/directory.db"))
    result = run_authsvc(*command, config=world.config)
    assert (3, f"error: there is no file `{file}`: `authsvc apply` or `authsvc serve` makes it\n") == (
        result.exit_code,
        result.stderr,
    )
    assert not file.exists()
    assert [] == list((world.folder / "var").iterdir())


@pytest.mark.parametrize(
    "command", [("explain", "none"), ("export", "--directory", "Acme West")], ids=" ".join
)
def test_a_look_at_a_secondary_database_that_is_not_there_is_undecided_and_makes_none(
    with_secondary: World, command: tuple[str, ...]
) -> None:
    result = run_authsvc(*command, config=with_secondary.config)
    assert 3 == result.exit_code
    assert "there is no file" in result.stderr
    assert ["directory.db"] == [path.name for path in (with_secondary.folder / "var").iterdir()]


def test_a_secondary_database_that_is_not_there_is_a_warning_of_check_config(with_secondary: World) -> None:
    result = run_authsvc("check-config", "--with-directories", config=with_secondary.config)
    assert 0 == result.exit_code
    assert "`Acme West` does not answer: the database did not answer: there is no file" in result.stderr
    assert ["directory.db"] == [path.name for path in (with_secondary.folder / "var").iterdir()]


def test_a_look_writes_nothing_into_the_database(applied: World) -> None:
    """Neither a file beside it that stays, nor a newer schema."""
    file = applied.folder / "var" / "directory.db"
    before = file.read_bytes()
    for command in (("explain", applied.folder / "certificates" / "first-person.pem"), *LOOKS[1:]):
        assert 0 == run_authsvc(*command, config=applied.config).exit_code
    assert before == file.read_bytes()


def test_the_primary_may_be_named_too(with_secondary: World) -> None:
    options = ("--directory", "example")
    assert run_authsvc("export", *options, config=with_secondary.config).stdout == (
        run_authsvc("export", config=with_secondary.config).stdout
    )


def test_databases_in_a_secondary_directory_are_an_error(with_secondary: World) -> None:
    result = run_authsvc(
        "apply", with_secondary.people, "--directory", "Acme West", config=with_secondary.config
    )
    assert result.exit_code == 2
    assert "databases" in result.stderr


@pytest.mark.parametrize("name", ["Airius", "Nobody"])
@pytest.mark.parametrize("command", ["apply", "export"])
def test_a_directory_that_cannot_be_written_is_told_with_those_that_can(
    with_secondary: World, command: str, name: str
) -> None:
    file = [with_secondary.people] if command == "apply" else []
    result = run_authsvc(command, *file, "--directory", name, config=with_secondary.config)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: expected an sql directory (`Example`, `Acme West`), found `{name}`\n",
    )


# --- check-config


def test_check_config_prints_every_rule_in_six_parts(with_secondary: World) -> None:
    result = run_authsvc("check-config", config=with_secondary.config)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "Acme West: */*/*/West/Acme/* (trusted)",
        "Airius: O=airius.com (trusted)",
        f"usable, 0 warnings: {with_secondary.config}",
    ]


def test_check_config_says_which_rules_do_not_count(with_secondary: World) -> None:
    assistance = with_secondary.folder / "directory-assistance.yaml"
    assistance.write_text(
        assistance.read_text().replace(
            '[{rule: "*/West/Acme", trusted: true}]',
            '[{rule: "*/West/Acme", trusted: true}, {rule: "*/Acme"}, {rule: "/Acme", enabled: false}]',
        )
    )
    lines = run_authsvc("check-config", config=with_secondary.config).stdout.splitlines()
    assert lines[1:3] == [
        "Acme West: */*/*/*/Acme/* (not trusted)",
        "Acme West: ////Acme/ (not trusted, disabled)",
    ]


def test_check_config_reports_ten_mistakes_each_with_its_line(with_secondary: World) -> None:
    config = with_secondary.config
    config.write_text(
        "directory_assistance: directory-assistance.yaml\n"
        "api: {listen: 0.0.0.0:8443}\n"
        "front_ends:\n"
        '  - {name: a, dialect: ngnix, listen: "127.0.0.1:1"}\n'
        '  - {name: b, dialect: rfc9440, listen: "127.0.0.1:2"}\n'
        "trust:\n"
        "  anchors: [{name: corp, file: nowhere.pem}]\n"
        "  revocation: {mode: perhaps}\n"
        "routes:\n"
        "  - {path: sales.nsf, database: sales.nsf}\n"
        "cache: {time: soon}\n"
        "colour: blue\n"
    )
    assistance = with_secondary.folder / "directory-assistance.yaml"
    assistance.write_text(
        "primary: {domain: Example}\n"
        "domains:\n"
        '  - {domain: Acme, type: sql, url: sqlite:///a.db, rules: [{rule: "a/b/c/d/e/f/g", trusted: true}]}\n'
        "  - {domain: acme, type: sql, url: sqlite:///b.db}\n"
    )
    result = run_authsvc("check-config", config=config)
    assert result.exit_code == 2
    places = {line.removeprefix("error: ").split(": ")[0] for line in result.stderr.splitlines()}
    expected = {f"{config}:{line}" for line in (2, 4, 5, 7, 8, 10, 11, 12)}
    assert expected | {f"{assistance}:{line}" for line in (1, 3, 4)} <= places
    assert result.stdout.splitlines()[-1].startswith(
        f"{len([line for line in result.stderr.splitlines() if line.startswith('error: ')])} errors, "
    )


def test_check_config_as_json_says_the_same(with_secondary: World) -> None:
    assistance = with_secondary.folder / "directory-assistance.yaml"
    assistance.write_text(assistance.read_text().replace("type: sql", "type: sqll"))
    result = run_authsvc("check-config", "--json", config=with_secondary.config)
    document = document_of(result)
    assert isinstance(document, dict)
    assert (result.exit_code, document["usable"], result.stderr) == (2, False, "")
    (problem,) = document["problems"]
    assert problem["file"] == str(assistance)
    assert problem["line"] == 4
    assert problem["path"] == "domains[0].type"
    assert problem["warning"] is False
    assert set(problem) == {"file", "line", "path", "problem", "hint", "warning"}
    assert {"domain": "Airius", "rule": "O=airius.com", "trusted": True, "enabled": True} in document["rules"]


def test_a_warning_exits_with_0(world: World) -> None:
    config = world.config
    config.write_text(
        config.read_text().replace(
            '- {path: "/wiki/**", database: wiki}',
            '- {path: "/wiki/**", database: wiki}\n  - {path: "/wiki/**", database: other}',
        )
    )
    result = run_authsvc("check-config", config=config)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert result.stdout == f"usable, 1 warning: {config}\n"


def test_check_config_needs_no_database(world: World) -> None:
    (world.folder / "var" / "directory.db").unlink()
    assert run_authsvc("check-config", config=world.config).exit_code == 0
    assert not (world.folder / "var" / "directory.db").exists()


# --- openapi


def test_openapi_needs_no_configuration_and_is_the_document_that_is_checked_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_authsvc("openapi")
    assert result.exit_code == 0
    assert result.stdout == OPENAPI.read_text(encoding="utf-8")


def test_openapi_as_json_is_the_same_document() -> None:
    assert document_of(run_authsvc("openapi", "--json")) == yaml.safe_load(
        OPENAPI.read_text(encoding="utf-8")
    )


# --- which configuration


def one_way_before(world: World) -> list[str]:
    return ["--config", str(world.config), "check-config"]


def one_way_after(world: World) -> list[str]:
    return ["check-config", "--config", str(world.config)]


def both_ways(world: World) -> list[str]:
    return ["--config", "nowhere.yaml", "check-config", "--config", str(world.config)]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(one_way_before, id="before the command"),
        pytest.param(one_way_after, id="after the command"),
        pytest.param(both_ways, id="the nearer one counts"),
    ],
)
def test_the_configuration_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, written: Callable[[World], list[str]]
) -> None:
    monkeypatch.setenv("AUTHSVC_CONFIG", "elsewhere.yaml")
    assert run_authsvc(*written(world)).exit_code == 0


def test_the_environment_names_the_configuration(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHSVC_CONFIG", str(world.config))
    assert run_authsvc("check-config").exit_code == 0


@pytest.mark.parametrize("environment", [None, ""])
def test_the_configuration_of_the_working_folder_is_the_default(
    world: World, monkeypatch: pytest.MonkeyPatch, environment: str | None
) -> None:
    monkeypatch.delenv("AUTHSVC_CONFIG", raising=False)
    if environment is not None:
        monkeypatch.setenv("AUTHSVC_CONFIG", environment)
    monkeypatch.chdir(world.folder)
    assert run_authsvc("check-config").exit_code == 0


def test_without_any_configuration_the_error_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTHSVC_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    result = run_authsvc("check-config")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: no `authsvc.yaml` here: name one by --config or AUTHSVC_CONFIG, or let `authsvc init` write one\n",
    )


WITH_CONFIGURATION = [
    "apply",
    "blocks",
    "check-config",
    "explain",
    "export",
    "serve",
    "trust",
    "verify",
    "verify-directory",
]


@pytest.mark.parametrize("command", WITH_CONFIGURATION)
def test_a_configuration_that_is_not_there_is_an_error_of_every_command(tmp_path: Path, command: str) -> None:
    argument = {
        "apply": ["people.yaml"],
        "blocks": ["list"],
        "explain": ["none"],
        "trust": ["list"],
        "verify": ["none.pem"],
    }.get(command, [])
    result = run_authsvc(command, *argument, config=tmp_path / "authsvc.yaml")
    assert result.exit_code == 2
    assert str(tmp_path / "authsvc.yaml") in result.stderr


# --- exit codes


def test_a_store_that_does_not_answer_is_undecided(applied: World) -> None:
    assistance = applied.folder / "directory-assistance.yaml"
    assistance.write_text("primary: {domain: Example, url: sqlite:///nowhere/at/all.db}\n")
    for command in (["export"], ["explain", "none"], ["apply", str(applied.people)]):
        result = run_authsvc(*command, config=applied.config)
        assert result.exit_code == 3, command
        assert result.stderr.startswith("error: ")


def test_a_database_of_somebody_else_is_a_mistake_of_the_configuration(applied: World) -> None:
    assistance = applied.folder / "directory-assistance.yaml"
    (applied.folder / "var" / "other.db").write_bytes(b"")
    engine = open_engine(f"sqlite:///{applied.folder / 'var' / 'other.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE people (name TEXT)")
    engine.dispose()
    assistance.write_text("primary: {domain: Example, url: sqlite:///var/other.db}\n")
    for command in (["export"], ["explain", "none"]):
        result = run_authsvc(*command, config=applied.config)
        assert result.exit_code == 2, command
        assert "schema" in result.stderr


def test_a_database_without_our_tables_is_told_with_what_makes_them(world: World) -> None:
    (world.folder / "var" / "directory.db").write_bytes(b"")
    result = run_authsvc("explain", "none", config=world.config)
    assert result.exit_code == 2
    assert "`authsvc apply`" in result.stderr


def test_an_unknown_command_and_an_unknown_option_are_mistakes_of_usage() -> None:
    assert run_authsvc("explian").exit_code == 2
    assert run_authsvc("openapi", "--colour").exit_code == 2


# --- help


def test_every_command_of_the_contract_is_there() -> None:
    assert command_names() == {
        *(
            "apply",
            "blocks",
            "check-config",
            "demo",
            "explain",
            "export",
            "init",
            "openapi",
            "serve",
            "trust",
            "verify",
            "verify-directory",
        ),
    }


@pytest.mark.parametrize(
    "command", [pytest.param(each, id=" ".join(each)) for each in sorted(command_paths())]
)
def test_every_command_has_help_and_can_print_json(command: tuple[str, ...]) -> None:
    result = run_authsvc(*command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "..." not in result.stdout.partition("Options")[0]


@pytest.mark.parametrize(
    "command",
    [pytest.param(each, id=" ".join(each)) for each in sorted(command_paths() - {("demo",), ("openapi",)})],
)
def test_every_command_with_a_configuration_takes_it_after_its_name_too(command: tuple[str, ...]) -> None:
    assert "--config" in run_authsvc(*command, "--help").stdout


def test_the_version_is_told() -> None:
    result = run_authsvc("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("authsvc 0.")


# --- how things are shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Dave Lawson/Renovations", "Dave Lawson/Renovations", id="plain text stays"),
        pytest.param("Jürgen [bold]", "Jürgen [bold]", id="letters and brackets stay"),
        pytest.param("a\x1b[2Jb", r"a\x1b[2Jb", id="an escape sequence is shown, not obeyed"),
        pytest.param("a\rb\nc", r"a\rb\nc", id="line ends are shown"),
        pytest.param("\u202eevil", r"\u202eevil", id="a right-to-left override is shown"),
        pytest.param("\ud800", r"\ud800", id="an unpaired surrogate is shown"),
    ],
)
def test_t73_text_from_outside_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert shown == visible(text)


def test_t73_an_error_shows_what_somebody_typed_without_obeying_it(world: World) -> None:
    result = run_authsvc("export", "--directory", "\x1b[2J[bold]x", config=world.config)
    assert result.stderr == r"error: expected an sql directory (`Example`), found `\x1b[2J[bold]x`" + "\n"


def test_numbers_are_told_in_words_that_fit() -> None:
    assert ["0 errors", "1 error", "2 errors"] == [counted(number, "error", "errors") for number in range(3)]


def test_a_path_below_the_working_folder_is_shown_as_one_types_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place(tmp_path / "a" / "b") == Path("a/b")
    assert place(Path("a")) == Path("a")
    assert place(Path("/elsewhere")) == Path("/elsewhere")


def test_a_command_is_printed_by_the_name_that_works_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "authsvc"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert command_line("explain", "a b.pem") == "bin/authsvc explain 'a b.pem'"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command_line("explain") == "authsvc explain"
    monkeypatch.setattr(sys, "argv", ["/somewhere/authsvc/__main__.py"])
    assert command_line("explain") == "authsvc explain"


def test_who_ran_a_command_is_named_even_without_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "dave")
    assert local_actor() == "local:dave"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert local_actor() == f"local:{os.getuid()}"
