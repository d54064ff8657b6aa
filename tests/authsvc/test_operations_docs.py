"""The operators' pages against the code: every key with its default and values, every log event, every audit field.

Links, commands and keys named in passing are held by `test_documentation.py`, which reads every document.
"""

import ast
import re
import socket
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from authsvc import config_models as service
from authsvc.config import check_configuration
from authsvc.config_models import DIALECTS_TO_COME
from authsvc.operations.metrics import METRICS, verdict_of
from authsvc.operations.watches import SEEN_WITHIN
from authsvc.reason import Reason
from directory_assistance import config_models as directories
from directory_assistance.backends import REMEMBERED
from directory_assistance.candidates import BindBy, FindBy
from directory_assistance.config_reading import ConfigModel
from directory_assistance.directory import HostState
from directory_assistance.dn import read_name
from directory_assistance.filter_templates import TEMPLATE_FACTS
from directory_assistance.naming import (
    NamingRule,
    match_rule,
    read_naming_rule,
    read_suffix_rule,
    render_rule,
)
from directory_assistance.watching import WatchState
from tests.support.command_line import run_authsvc
from tests.support.config_files import lay_files
from tests.support.pki import SERVER_AUTH, Authority, host
from tests.support.service import BEGIN, END, Place, lay_place, world
from tests.support.slapd import SlapdServer, SlapdTls, ldif, serve

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations"
CONFIGURATION = (OPERATIONS / "configuration.md").read_text(encoding="utf-8")
DIRECTORIES = (OPERATIONS / "directories.md").read_text(encoding="utf-8")
RUNNING = (OPERATIONS / "running.md").read_text(encoding="utf-8")
PACKAGES = ("authsvc", "directory_assistance")

FILES: dict[str, ModuleType] = {"authsvc.yaml": service, "directory-assistance.yaml": directories}

PARTS: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
    (service.FileModel, "api"): service.ApiModel,
    (service.FileModel, "front_ends"): service.FrontEndModel,
    (service.FileModel, "trust"): service.TrustModel,
    (service.FileModel, "routes"): service.RouteModel,
    (service.TrustModel, "anchors"): service.AnchorModel,
    (service.TrustModel, "cross_certificates"): service.CrossCertificateModel,
    (directories.FileModel, "primary"): directories.PrimaryModel,
    (directories.FileModel, "domains"): directories.DomainModel,
    (directories.DomainModel, "rules"): directories.RuleModel,
    (directories.PrimaryModel, "find_by"): directories.WayOptionsModel,
    (directories.DomainModel, "find_by"): directories.WayOptionsModel,
    (directories.LdapModel, "find_by"): directories.WayOptionsModel,
}
"""Parts that their readers read one by one, so that the model around them says nothing of theirs."""


# --- what the models say


def inside(annotation: object) -> Iterator[object]:
    """Yield an annotation and everything in it."""
    yield annotation
    for each in get_args(annotation):
        yield from inside(each)


def walk(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel], FieldInfo]]:
    """Yield every key below a model: its path, the model it stands in, its field."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        yield path, model, field
        parts: list[type[BaseModel]] = [
            each for each in inside(field.annotation) if isclass(each) and issubclass(each, ConfigModel)
        ]
        parts += [PARTS[model, name]] if (model, name) in PARTS else []
        for part in parts:
            yield from walk(part, f"{path}.")


def fields_of(file: str) -> dict[str, FieldInfo]:
    return {path: field for path, _model, field in walk(FILES[file].FileModel)}


def default_text(field: FieldInfo) -> str | None:
    """Return how a default is written in a file; None where the file's silence has a meaning of its own."""
    default: object = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, timedelta):
        return f"{int(default.total_seconds())}s"
    if isinstance(default, str | int):
        return str(default)
    return {"()": "[]", "{}": "{}"}.get(repr(default))


def values_of(field: FieldInfo) -> Iterator[str]:
    """Yield the words and bounds that a key's type knows."""
    for each in inside(field.annotation):
        if isclass(each) and issubclass(each, StrEnum):
            yield from (word.value for word in each)
        elif get_origin(each) is Literal:
            yield from map(str, get_args(each))
    yield from bounds_in(field.metadata)
    for each in inside(field.annotation):
        for more in getattr(each, "__metadata__", ()):
            yield from bounds_in(more.metadata if isinstance(more, FieldInfo) else [more])


def bounds_in(metadata: Sequence[object]) -> Iterator[str]:
    for bound in metadata:
        for name in ("ge", "le"):
            value: object = getattr(bound, name, None)
            if isinstance(value, int):
                yield str(value)


# --- what the page says


def section(file: str) -> str:
    """Return the part of the page about a file."""
    found = CONFIGURATION.partition(f"\n## `{file}`\n")[2].partition("\n## ")[0]
    assert found
    return found


def rows_of(file: str) -> dict[str, tuple[str, str]]:
    """Return the tables' rows by key: default and values. A heading's code words are where its keys stand."""
    rows: dict[str, tuple[str, str]] = {}
    for part in section(file).split("\n### ")[1:]:
        heading, _, text = part.partition("\n")
        for key, default, values in re.findall(
            r"^\| `([a-z_]+)`[^|]* \| ?([^|]*) \| ([^|]*) \|", text, re.MULTILINE
        ):
            for prefix in re.findall(r"`([a-z_.]+)`", heading) or [""]:
                path = f"{prefix}.{key}".removeprefix(".")
                assert path not in rows, path
                rows[path] = (default, values)
    return rows


def example(file: str) -> str:
    (found,) = re.findall(
        rf"<!-- example:{file} -->\n```yaml\n(.*?)^```", CONFIGURATION, re.DOTALL | re.MULTILINE
    )
    return str(found)


EACH_FILE = [pytest.param(file, id=file) for file in FILES]


# --- configuration.md


@pytest.mark.parametrize("file", EACH_FILE)
def test_every_model_of_a_file_is_reached_from_its_top(file: str) -> None:
    """A part that is read by itself must be told to this test, or its keys would be forgotten."""
    models = {each for _name, each in getmembers(FILES[file], isclass) if issubclass(each, ConfigModel)}
    reached = {model for _path, model, _field in walk(FILES[file].FileModel)}
    assert models - {ConfigModel} - {directories.PlanModel} == reached - {directories.PlanModel}


@pytest.mark.parametrize("file", EACH_FILE)
def test_the_tables_have_every_key_there_is_and_no_other(file: str) -> None:
    assert sorted(fields_of(file)) == sorted(rows_of(file))


@pytest.mark.parametrize("file", EACH_FILE)
def test_the_tables_tell_every_default_as_it_is(file: str) -> None:
    rows = rows_of(file)
    told = {key: rows[key][0] for key in rows}
    expected = {
        key: f"`{default}`"
        for key, field in fields_of(file).items()
        if (default := default_text(field)) is not None
    }
    if file == "authsvc.yaml":
        expected["trust.anchors"] = "required"  # `[]`, which the reader refuses
    assert expected == {key: told[key] for key in expected}


@pytest.mark.parametrize("file", EACH_FILE)
def test_the_tables_name_every_word_and_bound_of_a_key(file: str) -> None:
    rows = rows_of(file)
    missing = {
        (key, value)
        for key, field in fields_of(file).items()
        for value in values_of(field)
        if not re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", rows[key][1])
    }
    assert missing == set()


@pytest.mark.parametrize("file", EACH_FILE)
def test_a_key_that_loosens_a_check_is_marked(file: str) -> None:
    insecure = {key.rpartition(".")[2] for key in fields_of(file) if "insecure_" in key}
    assert insecure == {key for key in insecure if f"| `{key}` ⚠ |" in section(file)}


@pytest.mark.parametrize("file", EACH_FILE)
def test_the_example_shows_every_key(file: str) -> None:
    keys = {key.rpartition(".")[2] for key in fields_of(file)}
    assert keys == {key for key in keys if re.search(rf"\b{key}:", example(file))}


def test_both_examples_are_accepted_together(tmp_path: Path) -> None:
    lay_files(tmp_path)
    for file in FILES:
        (tmp_path / file).write_text(example(file), encoding="utf-8")
    reading = check_configuration(tmp_path / "authsvc.yaml", environment={})
    assert reading.problems == ()
    assert reading.settings is not None


def test_every_dialect_to_come_is_told_to_be_refused() -> None:
    refused = CONFIGURATION.partition("\n## Refused as not yet supported\n")[2]
    assert set(DIALECTS_TO_COME) == {name for name in DIALECTS_TO_COME if f"`{name}`" in refused}


# --- directories.md


def rule_rows() -> list[tuple[str, str, list[str], list[str]]]:
    """Return the table of naming rules: rule, in six parts, names that match, names that do not."""
    table = DIRECTORIES.partition("\n## Naming rules\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*?) ?\| ([^|]*) \|([^|]*)\|$", table, re.MULTILINE)
    return [
        (rule, parts.strip("`"), re.findall(r"`([^`]+)`", yes), re.findall(r"`([^`]+)`", no))
        for rule, parts, yes, no in rows
    ]


def read_rule(text: str) -> NamingRule:
    suffix = re.fullmatch(r'suffix: "(.+)"', text)
    return read_naming_rule(text) if suffix is None else read_suffix_rule(suffix[1])


EACH_RULE = [pytest.param(*row, id=row[0]) for row in rule_rows()]


def test_the_table_of_naming_rules_is_read_whole() -> None:
    assert len(EACH_RULE) == 7


@pytest.mark.parametrize(("text", "six_parts", "matching", "others"), EACH_RULE)
def test_a_naming_rule_means_what_its_row_says(
    text: str, six_parts: str, matching: list[str], others: list[str]
) -> None:
    rule = read_rule(text)
    if six_parts:
        assert (text if six_parts == "the same" else six_parts) == render_rule(rule)
    assert [name for name in matching if match_rule(rule, read_name(name))] == matching
    assert [name for name in others if match_rule(rule, read_name(name))] == []


def test_the_table_of_match_plans_names_ways_and_bindings_that_there_are() -> None:
    table = DIRECTORIES.partition("\n## Match plan and binding\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| ?(?:`\[([^|]*)\]`)? ?\| `(\w+)` \|", table, re.MULTILINE)
    assert len(rows) == 7
    ways = {way for found, _binding in rows for way in re.findall(r"(?:^|, |\{)(\w+)(?=,|:|$)", found)}
    assert ways <= set(FindBy)
    assert {binding for _found, binding in rows} <= set(BindBy)


@pytest.mark.parametrize("fact", re.findall(r"`\{([a-z.]+)\}`", DIRECTORIES))
def test_every_fact_of_a_filter_that_is_named_is_one(fact: str) -> None:
    assert fact in TEMPLATE_FACTS


def test_the_times_of_live_change_are_those_of_the_code() -> None:
    """Each of them stands in the table of that section."""
    table = DIRECTORIES.partition("\n## Live change\n")[2].partition("\n## ")[0]
    in_memory, as_verdict = REMEMBERED.unwatched, SEEN_WITHIN - REMEMBERED.unwatched
    for text, told in (
        (f"within {SEEN_WITHIN.seconds} s", SEEN_WITHIN),
        (f"{in_memory.seconds} s old in its memory", in_memory),
        (f"{as_verdict.seconds} s more as a verdict", as_verdict),
        (f"found {REMEMBERED.live_hits.seconds // 60} minutes", REMEMBERED.live_hits),
        (f"not {REMEMBERED.live_misses.seconds // 60} minute", REMEMBERED.live_misses),
    ):
        assert text in table
        assert told == timedelta(seconds=told.seconds)


# --- directories.md: verification


VERIFY = DIRECTORIES.partition("\n## Verify\n")[2].partition("\n## ")[0]
HOST = "ldap1.airius.com"


@pytest.fixture(scope="module")
def directory_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SlapdServer, Place]]:
    """The page's example: an OpenLDAP over TLS, its entries, and a configuration that names it."""
    folder = tmp_path_factory.mktemp("docs")
    authority = Authority.root("CN=Airius CA,O=Airius", now=BEGIN, not_before=BEGIN, not_after=END)
    served = authority.issue(
        f"CN={HOST}", san=[host(HOST)], eku=(SERVER_AUTH,), not_before=BEGIN, not_after=END
    )
    person = world().issuing.issue("CN=John Doe,O=Airius", not_before=BEGIN, not_after=END)
    content = ldif(
        ("ou=people,o=airius.com", {"objectClass": ["organizationalUnit"], "ou": ["people"]}),
        (
            "uid=jdoe,ou=people,o=airius.com",
            {
                "objectClass": ["inetOrgPerson"],
                "uid": ["jdoe"],
                "cn": ["John Doe"],
                "sn": ["Doe"],
                "mail": ["jdoe@airius.com"],
                "userCertificate;binary": [person.der],
            },
        ),
        (
            "cn=Engineers,o=airius.com",
            {
                "objectClass": ["groupOfNames"],
                "cn": ["Engineers"],
                "member": ["uid=jdoe,ou=people,o=airius.com"],
            },
        ),
    )
    place = lay_place(folder)
    place.write("jdoe.pem", person.pem)
    place.write("airius-ca.pem", authority.pem)
    place.write("airius.password", "the reader").chmod(0o600)
    place.write("ldap.pem", served.pem)
    place.write("ldap.key", served.key_pem)
    tls = SlapdTls(certificate=folder / "ldap.pem", key=folder / "ldap.key")
    with serve(folder / "s", content, reader_password="the reader", tls=tls) as server:
        yield server, place


def steady(output: str) -> str:
    """Return output without what differs between two runs."""
    output = re.sub(r"\d+\.\d ms", "N ms", output)
    output = re.sub(r"serialNumber \d+", "serialNumber N", output)
    return re.sub(r"\(\d+ days left\)", "(N days left)", output)


@pytest.mark.parametrize(
    ("position", "ca_file", "exit_code"),
    [
        pytest.param(0, "airius-ca.pem", 0, id="a correct directory"),
        pytest.param(1, "root.pem", 1, id="another authority"),
    ],
)
def test_the_page_shows_what_a_verification_prints(
    directory_server: tuple[SlapdServer, Place],
    monkeypatch: pytest.MonkeyPatch,
    position: int,
    ca_file: str,
    exit_code: int,
) -> None:
    """The server runs on loopback; its name leads there, and its port is printed as the usual one."""
    server, place = directory_server
    port = server.ldaps_url.rpartition(":")[2]
    look_up = socket.getaddrinfo

    def here(name: str, *arguments: object, **options: object) -> object:
        return look_up("127.0.0.1" if name == HOST else name, *arguments, **options)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(socket, "getaddrinfo", here)
    domain = {
        "domain": "Airius",
        "type": "ldap",
        "rules": [{"suffix": "o=airius.com", "trusted": True}],
        "group_authorization": True,
        "sample": "jdoe.pem",
        "ldap": {
            "hosts": [f"ldaps://{HOST}:{port}"],
            "bind": {"dn": server.reader_dn, "password_file": "airius.password"},
            "base": "o=airius.com",
            "tls": {"ca_file": ca_file},
            "find_by": ["certificate", "mail"],
        },
    }
    place.configure_directories(domains=[domain])
    printed = run_authsvc("verify-directory", "Airius", config=place.file)
    output = printed.stdout.replace(f":{port}", "").replace(f"port {port}", "port 636")
    shown = re.findall(
        r"^```console\n\$ authsvc verify-directory Airius\n(.*?)^```", VERIFY, re.DOTALL | re.MULTILINE
    )
    assert len(shown) == 2
    assert steady(shown[position]) == steady(output.replace("127.0.0.1", "192.0.2.10"))
    assert printed.exit_code == exit_code


def test_the_table_of_checks_has_every_check_and_no_other() -> None:
    told = {
        name
        for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", VERIFY, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    made: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*verif*.py"):
            text = path.read_text(encoding="utf-8")
            made |= set(re.findall(r"recorder\.(?:ok|warn|fail|skip)\(\s*\"(\w+)\"", text))
    assert told == made


# --- running.md: logs


LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


def log_calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield every call of a logger in the product: where, at which level, the call."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            loggers = {
                target.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign) and "getLogger" in ast.dump(node.value)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(tree):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=level)) if name in loggers:
                        if level in LEVELS:
                            yield str(path), LEVELS[level], node
                    case ast.Call(func=ast.Attribute(value=ast.Call() as made, attr=level)):
                        if level in LEVELS and "getLogger" in ast.dump(made.func):
                            yield str(path), LEVELS[level], node
                    case _:
                        pass


def logged() -> dict[str, tuple[set[str], set[str]]]:
    """Return every event: its levels, and the fields that any of its calls gives."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path, level, call in log_calls():
        (event,) = call.args
        assert isinstance(event, ast.Constant), f"{path}: an event has one name, which stands in the call"
        levels, fields = found.setdefault(str(event.value), (set(), set()))
        levels.add(level)
        assert isinstance(call.func, ast.Attribute)
        fields |= {"exception"} if call.func.attr == "exception" else set()
        for keyword in call.keywords:
            assert isinstance(keyword.value, ast.Dict), f"{path}: the fields of an event stand in the call"
            fields |= {str(key.value) for key in keyword.value.keys if isinstance(key, ast.Constant)}
    return found


def test_the_log_table_has_every_event_with_its_level_and_fields_and_no_other() -> None:
    table = RUNNING.partition("\n## Logs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ?([^|]*) \|", table, re.MULTILINE)
    told = {event: ({level}, set(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows}
    assert len(rows) == len(told)
    assert logged() == told


# --- running.md: metrics


def test_the_table_of_metrics_has_each_with_its_kind_and_labels_and_no_other() -> None:
    table = RUNNING.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ?([^|]*) \|", table, re.MULTILINE)
    told = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]
    assert [(metric.name, metric.kind, metric.labels) for metric in METRICS] == told


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("authsvc_directory_watch_state", list(WatchState)),
        ("authsvc_directory_host_state", list(HostState)),
        ("authsvc_decisions_total", sorted({verdict_of(reason) for reason in Reason})),
    ],
)
def test_the_table_of_metrics_has_every_word_of_a_label(metric: str, words: Sequence[str]) -> None:
    (row,) = re.findall(rf"^\| `{metric}` \|.*$", RUNNING, re.MULTILINE)
    assert list(words) == [word for word in words if f"`{word}`" in row]


def test_the_alerts_name_metrics_that_there_are() -> None:
    named = set(re.findall(r"authsvc_\w+", RUNNING + DIRECTORIES))
    assert named <= {metric.name for metric in METRICS}


# --- running.md: the audit record


def audit_keys() -> set[str]:
    """Return every member that a record can have, from the text of what writes them."""
    tree = ast.parse((ROOT / "authsvc" / "operations" / "audit.py").read_text(encoding="utf-8"))
    keys: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Dict():
                keys |= {
                    key.value
                    for key in node.keys
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
            case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(key)), ctx=ast.Store()):
                keys.add(key)
            case _:
                pass
    return keys


def test_the_audit_table_has_every_field_and_no_other() -> None:
    table = RUNNING.partition("\n## The audit record\n")[2].partition("\n## ")[0]
    told: set[str] = set()
    for names in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE):
        group, *members = re.findall(r"`([\w.]+)`", names)
        told |= {part for name in (group, *members) for part in name.split(".")}
    assert audit_keys() == told
