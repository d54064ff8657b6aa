"""The documents against the code: tables, keys, commands, links, words. What is told must be so, and stay so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from authsvc.config_models import DIALECTS_TO_COME
from authsvc.presented.registry import Dialect
from authsvc.reason import HIDDEN_REASON, Reason, outward_reason
from authsvc.sample_world.nginx import IDENTITY_HEADERS, render_nginx_configuration
from authsvc.web.responses import IdentityHeader
from directory_assistance.candidates import FindBy
from tests.support.command_line import command_names, command_paths, run_authsvc
from tests.support.config_keys import known_keys

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in {"world", "node_modules"} for part in path.relative_to(ROOT).parts
    )
)
EACH_DOCUMENT = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS]


def region(name: str) -> str:
    """Return what stands between the marks of README, the only one of this name."""
    (found,) = re.findall(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README, re.DOTALL)
    return str(found)


def blocks(path: Path, language: str) -> Iterator[str]:
    """Yield the fenced blocks of a language."""
    text = path.read_text(encoding="utf-8")
    yield from re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose_of(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


# --- README's tables


def test_the_header_table_is_the_headers_that_are_sent_in_their_order() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", region("headers"), re.MULTILINE)
    assert rows == [header.value for header in IdentityHeader]


def test_every_header_is_explained() -> None:
    rows = re.findall(r"^\| `[\w-]+` \| (.*) \|$", region("headers"), re.MULTILINE)
    assert all(len(meaning) > 5 for meaning in rows)


def test_the_reason_table_is_the_reasons_in_their_order_with_their_statuses() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \|$", region("reasons"), re.MULTILINE)
    assert [(int(status), code) for status, code, _meaning in rows] == [
        (reason.status, reason.value) for reason in Reason
    ]
    assert all(len(meaning) > 5 for _status, _code, meaning in rows)


def test_the_status_table_is_the_statuses_that_there_are() -> None:
    section = README.partition("## Statuses")[2].partition("\n## ")[0]
    rows = [int(status) for status in re.findall(r"^\| (\d{3}) \|", section, re.MULTILINE)]
    assert sorted(rows) == sorted({reason.status for reason in Reason})


def test_readme_says_which_codes_are_hidden_and_what_is_shown_instead() -> None:
    hidden = [reason.value for reason in Reason if outward_reason(reason, expose=False) == HIDDEN_REASON]
    assert len(hidden) == 6
    assert f"the six codes from `{hidden[0]}` to `{hidden[-1]}` are all `{HIDDEN_REASON}`" in README


# --- keys, dialects, commands


def test_readme_names_the_dialects_of_this_version() -> None:
    assert "dialects `rfc9440`, `nginx` and `tls`" in README
    assert frozenset({"rfc9440", "nginx", "tls"}) == frozenset(Dialect)


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_every_dialect_that_is_named_is_one(path: Path) -> None:
    named = re.findall(r"[Dd]ialect:? `([a-z0-9-]+)`", path.read_text(encoding="utf-8"))
    assert set(named) <= frozenset(Dialect) | DIALECTS_TO_COME | {"none"}


def keys_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield key
            if key != "identity_headers":  # its keys are headers
                yield from keys_in(below)
    elif isinstance(value, list):
        for each in value:
            yield from keys_in(each)


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_every_yaml_block_can_be_read_and_has_only_keys_that_there_are(path: Path) -> None:
    for block in blocks(path, "yaml"):
        ways_with_options = set(FindBy)  # `find_by: [{filter: ...}]`
        assert set(keys_in(yaml.safe_load(block))) <= known_keys() | ways_with_options


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_every_key_that_is_named_with_a_value_is_one(path: Path) -> None:
    named = re.findall(r"`([a-z_.]+): [^`]+`", prose_of(path))
    unknown = {key for name in named for key in name.split(".")} - known_keys()
    assert not unknown


def commands_in(path: Path) -> Iterator[list[str]]:
    """Yield every command line of authsvc that a document names, as words from the command on."""
    text = path.read_text(encoding="utf-8")
    lines = re.findall(r"`(?:\.venv/bin/)?authsvc ([^`\n]+)`", text)
    for language in ("sh", "console"):
        for block in blocks(path, language):
            lines += re.findall(r"^(?:\$ )?(?:\.venv/bin/)?authsvc (.+)$", block, re.MULTILINE)
    for line in lines:
        words = line.partition("#")[0].split()
        if words[0] == "--config":
            words = words[2:]
        yield words


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_every_command_that_is_named_is_one_and_has_the_options(path: Path) -> None:
    for command, *arguments in commands_in(path):
        if command.startswith("--"):
            assert command in run_authsvc("--help").stdout
            continue
        assert command in command_names(), command
        options = {argument for argument in arguments if argument.startswith("--")}
        deeper = tuple(arguments[:1]) if (command, *arguments[:1]) in command_paths() else ()
        text = run_authsvc(command, *deeper, "--help").stdout
        assert not [option for option in options if option not in text]


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_every_make_target_that_is_named_is_one(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"`make ([a-z-]+)`", path.read_text(encoding="utf-8"))
    for block in blocks(path, "sh"):
        named += re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)
    assert set(named) <= set(targets)


# --- links and places


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(path), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_no_relative_link_is_dead(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _hash, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked), target


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_every_file_of_the_project_that_is_named_is_there(path: Path) -> None:
    named = re.findall(
        r"`((?:authsvc|directory_assistance|tests|docs|fixtures|benchmarks|\.ci)/[\w./-]+)`", prose_of(path)
    )
    assert not [name for name in named if not (ROOT / name).exists() and "…" not in name]


@pytest.mark.parametrize("path", EACH_DOCUMENT)
def test_no_document_names_a_place_of_somebodys_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"/(?:home|root|work|Users|tmp)/\S*", text)


# --- ADRs


ADR_PARTS = ["Question", "Drivers", "Options", "Outcome", "Consequences"]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def test_adrs_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{number:04}" for number in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in ADRS])
def test_an_adr_bears_its_number_has_its_parts_in_order_and_fits_a_screen(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {int(path.name[:4])}. ")
    parts = re.findall(rf"^\*\*({'|'.join(ADR_PARTS)})\.\*\*", text, re.MULTILINE)
    assert [part for part in ADR_PARTS if part in parts] == parts
    assert {"Question", "Outcome"} <= set(parts)
    assert len(text.splitlines()) <= 50


# --- the web server's page


def directives(text: str) -> list[str]:
    """Return the lines of an nginx configuration without comments, blanks and spacing."""
    lines = (re.sub(r"#.*", "", line).strip() for line in text.splitlines())
    return [re.sub(r"\s+", " ", line) for line in lines if line]


def test_t13_the_page_about_nginx_has_every_line_that_the_sample_world_guards_with() -> None:
    (page,) = blocks(ROOT / "docs" / "operations" / "nginx.md", "nginx")
    real = render_nginx_configuration(Path("/world"), port=9443)
    begin, end = real.index("        location = /_authsvc {"), real.rindex("    }\n}")
    guard = directives(real[begin:end])
    assert len(guard) > 2 * len(IDENTITY_HEADERS) + 20
    told = directives(page)
    first = told.index("location = /_authsvc {")
    assert guard == told[first : first + len(guard)]
    for line in ("ssl_verify_client optional;", "ssl_verify_depth 3;"):
        assert line in told
        assert line in directives(real)


# --- the changelog


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.startswith("# Changelog\n")
    assert "★" in title
    assert "🔧" in title
    names = [section.partition("\n")[0] for section in sections]
    assert names[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", name) for name in names[1:])
    for section in sections:
        kinds = re.findall(r"^### (.+)$", section, re.MULTILINE)
        assert kinds
        assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        assert len(kinds) == len(set(kinds))
        for line in section.partition("\n")[2].splitlines():
            assert not line or line.startswith(("### ", "- ", "  ")), line


# --- the glossary

FOREIGN_WORDS = frozenset({"user", "users", "username", "principal", "principals", "account", "accounts"})
"""What the glossary gives up for *identity* and *entry*."""

_EXCEPTIONS = {
    "UserType": "the type of an ACL entry, a word of Domino's own",
    "read_user_type": "as UserType",
    "user_type": "as UserType",
    "USER": "the header Remote-User, which applications already read",
    "user": "a directive of nginx, and an argument of ldap3",
    "_USER_OF_ROOT": "a directive of nginx",
    "USER_ID": "the attribute type uid (RFC 4519: userid)",
    "_USER_ID": "as USER_ID",
    "_USER_PRINCIPAL_NAME": "the attribute userPrincipalName of Active Directory",
    "_ACCOUNT_DISABLED": "a bit of the attribute userAccountControl of Active Directory",
    "username": "a part of a URL, as SQLAlchemy calls it",
}
"""Names of others that we have to write."""


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case _:
                pass


def words_in(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def foreign_identifiers() -> set[str]:
    found: set[str] = set()
    for package in ("authsvc", "directory_assistance"):
        for path in (ROOT / package).rglob("*.py"):
            found |= {
                name
                for name in identifiers(ast.parse(path.read_text(encoding="utf-8")))
                if words_in(name) & FOREIGN_WORDS
            }
    return found


def test_no_name_in_the_code_uses_a_word_that_the_glossary_gives_up() -> None:
    assert foreign_identifiers() - set(_EXCEPTIONS) == set()


def test_every_exception_to_the_glossary_is_still_needed() -> None:
    assert set(_EXCEPTIONS) - foreign_identifiers() == set()


def test_the_glossary_is_sorted_and_tells_each_word_once() -> None:
    rows = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == sorted(rows, key=str.casefold)
    assert len(rows) == len(set(rows))
